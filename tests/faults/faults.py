# SPDX-License-Identifier: Apache-2.0
"""What the fault suites share: running a program with one call going wrong, and a folder's content."""

import dataclasses
import errno
import hashlib
import os
import subprocess


@dataclasses.dataclass(frozen=True)
class Call:
    who: str
    name: str
    n: int

    def __str__(self):
        return f"{self.who}:{self.name}:{self.n}"


@dataclasses.dataclass
class Outcome:
    """How a run under `inject` went (inject.c says what the facts are)."""

    status: int
    out: str
    err: str
    reached: bool
    hang: bool
    left: int
    crashes: list
    calls: list

    def told(self):
        """An error as it should be: one line, in our name, and nothing else."""
        lines = self.err.splitlines()
        return len(lines) == 1 and lines[0].startswith("mvrun: ") and lines[0].isprintable()


class Injector:
    def __init__(self, tool, work):
        self.tool = tool
        self.report = os.path.join(work, "report")

    def run(self, options, command, stdin=None, env=None):
        run = subprocess.run(
            [self.tool, "--report", self.report, *options, *command],
            stdin=open(stdin, "rb") if stdin else subprocess.DEVNULL,
            capture_output=True,
            env=env,
            timeout=120,
            check=False,
        )
        if run.returncode:
            raise RuntimeError(run.stderr.decode())
        facts = [line.split() for line in open(self.report, encoding="ascii")]
        value = {f[0]: f[-1] for f in facts}
        return Outcome(
            status=int(value["status"]),
            out=run.stdout.decode(errors="replace"),
            err=run.stderr.decode(errors="replace"),
            reached="reached" in value,
            hang="hang" in value,
            left=int(value["left"]),
            crashes=[" ".join(f[1:]) for f in facts if f[0] == "crash"],
            calls=[Call(f[1], f[2], int(f[3])) for f in facts if f[0] == "call"],
        )

    def kill(self, call, command, **more):
        return self.run(["--at", str(call), "--kill"], command, **more)

    def fail(self, call, error, command, onwards=False, **more):
        options = ["--at", str(call), "--errno", str(error)] + ["--onwards"] * onwards
        return self.run(options, command, **more)


# Which errors a call may give that is made of sound arguments: the file system, the tables and the memory of a host.
ERRORS = {
    errno.ENOSPC: "write pwrite64 ftruncate fallocate mkdir mkdirat openat linkat renameat renameat2 fsync",
    errno.EMFILE: "open openat socketpair epoll_create1 eventfd2 timerfd_create signalfd4 io_uring_setup memfd_create"
    " dup dup2 dup3 pipe2 recvmsg fcntl",
    errno.ENOMEM: "mmap mremap brk clone clone3 vfork mprotect",
    errno.EIO: "read pread64 write pwrite64 fsync close getdents64 ftruncate renameat2",
    errno.EINTR: "read pread64 write pwrite64 poll ppoll epoll_wait epoll_pwait recvmsg sendmsg",
    errno.EAGAIN: "clone clone3 vfork",
    errno.EPERM: "mount pivot_root umount2 setresuid setresgid setgroups capset prctl seccomp landlock_create_ruleset"
    " landlock_restrict_self prlimit64",
}


def errors_of(name):
    return [number for number, calls in ERRORS.items() if name in calls.split()]


def tree(path):
    """Everything below a folder: names, kinds, rights, contents."""
    found = {}
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            full = os.path.join(folder, name)
            mode = os.lstat(full).st_mode
            content = ""
            if name in files:
                with open(full, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            found[os.path.relpath(full, path)] = f"{mode:o} {content}"
    return found


def difference(wanted, got):
    names = sorted(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name))
    return ", ".join(("+" if name not in wanted else "-" if name not in got else "!") + name for name in names)


class Tally:
    """Counts checks, and says what failed, once for each thing that fails in the same way."""

    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failed = 0

    def check(self, good, what):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {what}", flush=True)
        return good

    def end(self):
        print(f"{self.name}: {self.passed} passed, {self.failed} failed")
        return 0 if self.passed and not self.failed else 1
