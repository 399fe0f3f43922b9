#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
run.py KILLS EVERY SEED INJECT WORK COMMAND...: `mvrun run`, COMMAND, in which things go wrong.

COMMAND is an image and what it is to do; it ends with status 4. KILLS times mvrun or its monitor is killed, at random
moments of a run (SEED says which), and every EVERY-th error of every call that both make before the guest runs happens.
Then no process is left and no mount, an error is one line, and the next run does what it should. Needs KVM.
"""

import errno
import os
import random
import signal
import subprocess
import sys
import time

from faults import Call, Injector, Tally, errors_of

RIGHT = 4
OURS = 125
KILLED = 128 + signal.SIGKILL
LOOK_EVERY = 10  # kills, until a whole run follows one
GONE_S = 5


def family():
    """Our processes: name by pid."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                name = file.read().strip()
        except OSError:
            continue
        if name.startswith("mvrun"):
            found[int(pid)] = name
    return found


def pulse():
    """Whoever watches an emulated host from outside sees that it is alive."""
    if "MVRUN_TEST_PULSE" in os.environ:
        with open(os.environ["MVRUN_TEST_PULSE"], "a", encoding="ascii") as file:
            file.write(".")


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return sorted(line.split(" ", 2)[2] for line in file)


class Runs:
    def __init__(self, inject, work, command):
        self.command = ["mvrun", "run", "--rm", *command]
        self.traced = [subprocess.check_output(["which", "mvrun"], text=True).strip(), *self.command[1:]]
        self.injector = Injector(inject, work)
        self.tally = Tally("run")
        self.mounts = mounts()
        self.missed = 0

    def nothing_left(self, what):
        pulse()
        end = time.monotonic() + GONE_S
        while family() and time.monotonic() < end:
            time.sleep(0.02)
        self.tally.check(not family(), f"{what}: processes are left: {family()}")
        self.tally.check(mounts() == self.mounts, f"{what}: mounts are left")

    def right(self, what):
        """A run in which nothing goes wrong, and how long it takes."""
        start = time.monotonic()
        run = subprocess.run(
            self.command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
        self.tally.check(run.returncode == RIGHT, f"{what}: the next run: status {run.returncode}: {run.stderr}")
        return time.monotonic() - start

    def kill(self, whom, delay, what):
        run = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        time.sleep(delay)
        victims = [pid for pid, name in family().items() if name == whom] or [run.pid]
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            _, err = run.communicate(timeout=GONE_S)
        except subprocess.TimeoutExpired:
            self.tally.check(False, f"{what}: mvrun does not end")
            run.kill()
            _, err = run.communicate()
        # The monitor's end is told, with the status that a container killed for its memory has.
        good = run.returncode in (-signal.SIGKILL, RIGHT)
        if run.returncode in (OURS, KILLED) and whom == "mvrun-vmm":
            good = len(err.splitlines()) == 1 and err.startswith("mvrun: ")
        self.tally.check(good, f"{what}: status {run.returncode}: {err!r}")
        self.nothing_left(what)

    def kills(self, n, takes_s):
        for i in range(n):
            whom = random.choice(["mvrun", "mvrun-vmm"])
            delay = random.random() * takes_s
            what = f"SIGKILL to {whom} after {delay * 1000:.0f} ms"
            self.kill(whom, delay, what)
            if i % LOOK_EVERY == LOOK_EVERY - 1:
                self.right(what)

    def points(self):
        """The calls that both make until a processor of the machine runs, which is a thread of the monitor's."""
        outcome = self.injector.run(["--list", "--timeout", "60"], self.traced)
        self.tally.check(outcome.status == RIGHT, f"a traced run: {outcome.status}: {outcome.err}")
        calls = outcome.calls
        # What the C library does before main it tells in its own way.
        main = calls.index(Call("0", "fcntl", 1))
        end = min(i for i, call in enumerate(calls) if call.name == "ioctl" and call.who.count(".") == 2)
        return [(call, error) for call in calls[main:end] for error in errors_of(call.name)]

    def fail(self, call, error):
        what = f"{errno.errorcode[error]} at {call}"
        outcome = self.injector.fail(call, error, self.traced)
        self.missed += not outcome.reached
        self.tally.check(not outcome.hang, f"{what}: it hangs")
        self.tally.check(not outcome.crashes, f"{what}: crashed: {outcome.crashes}")
        self.tally.check(not outcome.left, f"{what}: {outcome.left} tasks are left")
        self.tally.check(outcome.status in (RIGHT, OURS), f"{what}: status {outcome.status}: {outcome.err}")
        if outcome.status == OURS:
            self.tally.check(outcome.told(), f"{what}: the error is {outcome.err!r}")
        self.nothing_left(what)


def main():
    kills, every, seed = (int(a) for a in sys.argv[1:4])
    runs = Runs(sys.argv[4], sys.argv[5], sys.argv[6:])
    random.seed(seed)
    print(f"seed {seed}")
    takes_s = runs.right("the first run")
    runs.kills(kills, takes_s)
    points = runs.points()
    chosen = points[random.randrange(every) :: every] if every > 1 else points
    start = time.monotonic()
    for call, error in chosen:
        runs.fail(call, error)
    runs.right("all that")
    print(
        f"     {kills} kills within {takes_s:.2f} s, {len(chosen)} of {len(points)} errors"
        f" in {time.monotonic() - start:.0f} s, {runs.missed} not reached"
    )
    return runs.tally.end()


if __name__ == "__main__":
    sys.exit(main())
