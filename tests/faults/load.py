#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
load.py [--all] BUILD INJECT IMAGE WORK: every system call of `mvrun load`, of all its processes, going wrong.

At each one the process that makes it is killed, and each one that can fail for want of something fails. Then: no
process is left; the load says that it failed, in one line, or what is in the store is right to the last byte; what the
store lists is whole; after an error nothing half-done is left; and the next load makes the store as it should be, with
nothing of the first one in it. Without --all: a sample, mostly of calls that matter to
the store or make something.
"""

import errno
import os
import shutil
import subprocess
import sys

from faults import Call, Injector, Tally, difference, errors_of, tree

# Those after which something is different outside of the process, or that make a descriptor or a process.
MATTERS = set(
    "openat write pwrite64 fsync renameat renameat2 linkat unlinkat mkdir mkdirat ftruncate fallocate flock clone clone3"
    " execve socketpair pipe2 memfd_create sendmsg sendto recvmsg exit_group kill mount pivot_root seccomp".split()
)
# Without --all, every so many of: those; the others; errors.
SAMPLE_MATTERS = 2
SAMPLE_OTHERS = 15
SAMPLE_ERRORS = 6
OURS = 125


class Loads:
    def __init__(self, build, inject, image, work):
        self.mvrun = os.path.join(build, "mvrun")
        self.image = image
        self.work = work
        self.injector = Injector(inject, work)
        self.tally = Tally("faults")
        self.reached = 0
        self.missed = 0
        self.clean_out = ""
        self.clean = {}

    def path(self, name):
        return os.path.join(self.work, name)

    def command(self):
        return [self.mvrun, "load", "--store", self.path("store"), "oci:" + self.image]

    def mvrun_says(self, *words):
        run = subprocess.run([self.mvrun, *words], capture_output=True, text=True, timeout=60, check=False)
        return run.returncode, run.stdout, run.stderr

    def measure(self):
        """A load that goes well: its calls in the order in which they are made."""
        shutil.rmtree(self.path("store"), ignore_errors=True)
        outcome = self.injector.run(["--list"], self.command())
        if outcome.status or outcome.left:
            raise RuntimeError(f"a plain load: {outcome}")
        self.clean_out = outcome.out
        self.clean = tree(self.path("store"))
        return outcome.calls

    def store_listed(self):
        """What is listed is whole: the image with all that it needs, or nothing."""
        status, out, err = self.mvrun_says("images", "--store", self.path("store"), "--quiet")
        if status:
            return "no image store" in err and not os.path.exists(self.path("store/VERSION"))
        now = tree(self.path("store"))
        needed = [n for n in self.clean if n.startswith(("images/", "layers/", "blobs/"))]
        return not out.strip() or all(now.get(name) == self.clean[name] for name in needed)

    def half_done(self):
        """What a load that ended by itself may not leave. Names and whole things are no matter."""
        now = tree(self.path("store")) if os.path.isdir(self.path("store")) else {}
        wrong = {n for n in now if n.startswith("ingest/") or ".tmp-" in n}
        return sorted(wrong | {n for n in now if n in self.clean and now[n] != self.clean[n]} | set(now) - set(self.clean))

    def again(self, what):
        """The next load makes all good."""
        status, out, err = self.mvrun_says(*self.command()[1:])
        wrong = difference(self.clean, tree(self.path("store")))
        self.tally.check(status == 0 and out == self.clean_out, f"{what}: next load: status {status}: {err}")
        if not self.tally.check(not wrong, f"{what}: store after the next load: {wrong}"):
            shutil.rmtree(self.path("store"))

    def begin(self):
        shutil.rmtree(self.path("store"), ignore_errors=True)

    def ended(self, outcome, what):
        self.reached += outcome.reached
        self.missed += not outcome.reached
        self.tally.check(not outcome.hang, f"{what}: it hangs")
        self.tally.check(not outcome.crashes, f"{what}: crashed: {outcome.crashes}")
        self.tally.check(not outcome.left, f"{what}: {outcome.left} processes are left")
        self.tally.check(self.store_listed(), f"{what}: the store lists what is not whole")

    def kill(self, call):
        what = f"SIGKILL at {call}"
        self.begin()
        outcome = self.injector.kill(call, self.command())
        self.ended(outcome, what)
        if call.who == "0" and outcome.reached:
            self.tally.check(outcome.status == 137, f"{what}: status {outcome.status}: {outcome.err}")
        elif outcome.status != 137:
            self.judge(outcome, what)
        self.again(what)

    def judge(self, outcome, what):
        """A load that ended by itself."""
        if outcome.status == 0:
            wrong = difference(self.clean, tree(self.path("store")))
            self.tally.check(not wrong, f"{what}: status 0, but the store differs: {wrong}")
            self.tally.check(outcome.out == self.clean_out, f"{what}: status 0, but it says {outcome.out!r}")
            return
        self.tally.check(outcome.status == OURS, f"{what}: status {outcome.status}: {outcome.err}")
        self.tally.check(outcome.told(), f"{what}: the error is {outcome.err!r}")
        left = self.half_done()
        self.tally.check(not left, f"{what}: left: {left}")

    def fail(self, call, error, onwards=False):
        what = f"{errno.errorcode[error]} at {call}{' and onwards' * onwards}"
        self.begin()
        outcome = self.injector.fail(call, error, self.command(), onwards=onwards)
        self.ended(outcome, what)
        self.judge(outcome, what)
        if error == errno.EINTR and outcome.reached:
            self.tally.check(outcome.status == 0, f"{what}: status {outcome.status}: {outcome.err}")
        self.again(what)


def ours(calls):
    """Without what the C library does before main of mvrun-image: the loader of programs has messages of its own."""
    at = max(i for i, call in enumerate(calls) if call == Call("0", "umask", 1))
    return calls[at:]


def main():
    arguments = sys.argv[1:]
    thorough = "--all" in arguments
    arguments = [a for a in arguments if a != "--all"]
    loads = Loads(*arguments[:4])
    calls = loads.measure()
    matter = [c for c in calls if c.name in MATTERS]
    others = [c for c in calls if c.name not in MATTERS]
    kills = calls if thorough else matter[::SAMPLE_MATTERS] + others[::SAMPLE_OTHERS]
    fails = [(c, error) for c in ours(calls) for error in errors_of(c.name)]
    fails = fails if thorough else fails[::SAMPLE_ERRORS]
    for call in kills:
        loads.kill(call)
    for call, error in fails:
        loads.fail(call, error)
        if error == errno.ENOSPC:
            loads.fail(call, error, onwards=True)
    print(f"{len(calls)} calls; killed at {len(kills)}, {len(fails)} errors; {loads.missed} not reached")
    return loads.tally.end()


if __name__ == "__main__":
    sys.exit(main())
