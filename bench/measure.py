# SPDX-License-Identifier: Apache-2.0
"""Measuring one command: time, exits of virtual machines, memory.

Time is that of the host's clock from exec to end. In an emulated host whose clock counts instructions a million
nanoseconds are a million instructions ("Mi"); on hardware they are a millisecond. Busy time is what is left without the
host's idle time (on hardware: the processor time of the command).
"""

import os
import re
import signal
import statistics
import subprocess
import time

TRACING = "/sys/kernel/tracing/events/kvm"

# Exit reasons of AMD SVM by the names of its manual; Intel's basic exit reasons by theirs.
SVM_REASONS = {
    0: "CR0 read", 4: "CR4 read", 16: "CR0 write", 19: "CR3 write", 20: "CR4 write", 24: "CR8 write",
    64: "exception #DE", 65: "exception #DB", 70: "exception #UD", 71: "exception #NM", 78: "exception #PF",
    96: "interrupt", 97: "NMI", 98: "SMI", 99: "INIT", 100: "interrupt window", 101: "CR0 selective write",
    110: "RDTSC", 112: "PUSHF", 114: "CPUID", 118: "INVD", 119: "PAUSE", 120: "HLT", 121: "INVLPG",
    123: "I/O port", 124: "MSR", 127: "shutdown", 129: "VMMCALL", 137: "WBINVD", 138: "MONITOR", 139: "MWAIT",
    141: "XSETBV", 1024: "nested page fault",
}
VMX_REASONS = {
    0: "exception", 1: "interrupt", 2: "shutdown", 7: "interrupt window", 10: "CPUID", 12: "HLT", 13: "INVD",
    14: "INVLPG", 18: "VMCALL", 28: "CR access", 29: "DR access", 30: "I/O port", 31: "MSR", 32: "MSR",
    40: "PAUSE", 48: "nested page fault", 49: "EPT misconfiguration", 54: "WBINVD", 55: "XSETBV", 56: "APIC write",
}
USER_REASONS = {
    2: "I/O port", 5: "HLT", 6: "MMIO", 8: "shutdown", 9: "failed entry", 10: "signal", 17: "internal error",
    24: "system event",
}
INTERRUPTED = -4  # errno of kvm_userspace_exit: KVM_RUN was left because of a signal


LIMIT_S = 5  # of the host's clock, for one start: ten times the longest case
TICK_NS = 4000000  # as in stopwatch.c
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"}


class Failed(Exception):
    """The command could not be measured; the text says why."""


class Stopwatch:
    """Runs the program stopwatch in the root of an arena."""

    def __init__(self, program, arena, counts_idle):
        self.program = program
        self.arena = arena
        self.options = ["-r", arena.path, "-t", str(LIMIT_S), *(["-i"] if counts_idle else [])]

    def run(self, case, phase=0.0):
        """One start of a case at a phase (0 to 1) of the host's tick: {ns, busy_ns, rss_kib}; raises Failed for a
        status that the case does not expect."""
        command = [self.program, *self.options, "-p", str(int(phase * TICK_NS)), "--", *case.command]
        result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if result.returncode != 0 or not result.stdout:
            raise Failed(result.stderr.strip() or "stopwatch failed")
        elapsed_ns, idle_ns, user_us, system_us, rss_kib, faults, status = map(int, result.stdout.split())
        if status == signal.SIGKILL:
            raise Failed("not done after %d s: killed" % LIMIT_S)
        if status not in case.statuses:
            raise Failed("wait status %#x: %s" % (status, result.stderr.strip()[-300:]))
        busy_ns = elapsed_ns - idle_ns if "-i" in self.options else (user_us + system_us) * 1000
        return {"ns": elapsed_ns, "busy_ns": busy_ns, "rss_kib": rss_kib, "faults": faults}

    def check(self, case):
        """Raises Failed if the case does not say what it must."""
        if case.says:
            output = self.output_of(case.command)
            if case.says not in output:
                raise Failed("did not say %s but: %s" % (case.says, output.strip()[-300:]))

    def output_of(self, command):
        """What a command says on stdout and stderr."""
        command = [self.program, "-r", self.arena.path, "-o", "/dev/null", "-s", "--", *command]
        result = subprocess.run(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return result.stdout.decode("utf-8", "replace")


def settle():
    """Lets the host finish what the last command left behind: namespaces and memory are freed later, by workers."""
    time.sleep(0.25)


def summary(values):
    return {"mean": statistics.mean(values), "min": min(values), "max": max(values)}


# ---- exits -----------------------------------------------------------------------------------------------------------


class Histogram:
    """A histogram that the kernel keeps of one trace event."""

    def __init__(self, event, keys):
        self.folder = TRACING + "/" + event
        self.spec = "hist:keys=" + keys

    def __enter__(self):
        self.write(self.spec)
        return self

    def __exit__(self, *_):
        self.write("!" + self.spec)

    def write(self, text):
        with open(self.folder + "/trigger", "w", encoding="ascii") as file:
            file.write(text)

    def read(self):
        """{(key, ...): count}"""
        counts = {}
        with open(self.folder + "/hist", encoding="ascii") as file:
            for line in file:
                match = re.match(r"\{ (.*) \} hitcount: +(\d+)", line)
                if match:
                    keys = tuple(int(key.split(":")[1], 0) for key in match[1].split(","))
                    counts[keys] = counts.get(keys, 0) + int(match[2])
        return counts


def can_count_exits():
    return os.access(TRACING + "/kvm_exit/trigger", os.W_OK)


def named(counts, names):
    """{reason number: count} -> {reason name: count}, most frequent first."""
    result = {}
    for number, count in sorted(counts.items(), key=lambda item: -item[1]):
        name = names.get(number, "reason %d" % number)
        result[name] = result.get(name, 0) + count
    return result


def exits_of(stopwatch, case):
    """Starts a case once more and counts: {exits, reasons, user_exits, user_reasons}."""
    with Histogram("kvm_exit", "isa,exit_reason") as machine, Histogram("kvm_userspace_exit", "reason,errno") as user:
        stopwatch.run(case)
        exits = {}
        for (isa, reason), count in machine.read().items():
            exits[reason] = count
            names = VMX_REASONS if isa == 1 else SVM_REASONS
        user_exits = {}
        for (reason, errno), count in user.read().items():
            reason = 10 if to_signed(errno) == INTERRUPTED else reason
            user_exits[reason] = user_exits.get(reason, 0) + count
    return {
        "exits": sum(exits.values()),
        "reasons": named(exits, names if exits else {}),
        "user_exits": sum(user_exits.values()),
        "user_reasons": named(user_exits, USER_REASONS),
    }


# What exits were for: title, event, keys.
DETAILS = (
    ("exits by reason", "kvm_exit", "exit_reason"),
    ("I/O ports: write, port", "kvm_pio", "rw,port"),
    ("MMIO: type (0 not ready, 1 read, 2 write), address", "kvm_mmio", "type,gpa"),
    ("CPUID: function", "kvm_cpuid", "function"),
    ("MSR: write, register", "kvm_msr", "write,ecx"),
    ("interrupts injected: vector", "kvm_inj_virq", "vector"),
)


def details_of(stopwatch, case):
    """Starts a case once per event and counts: {title: {keys: count}}."""
    result = {}
    for title, event, keys in DETAILS:
        with Histogram(event, keys) as histogram:
            stopwatch.run(case)
            counts = histogram.read()
        result[title] = {", ".join("%#x" % key for key in keys): count for keys, count in counts.items()}
    return result


def to_signed(value):
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


# ---- memory ----------------------------------------------------------------------------------------------------------

MAP_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ \S+ (\d+) *(.*)")


def mappings(pid):
    """Every mapping of a process with its sizes in KiB."""
    result = []
    with open("/proc/%d/smaps" % pid, encoding="ascii", errors="replace") as file:
        for line in file:
            match = MAP_LINE.match(line)
            if match:
                low, high = int(match[1], 16), int(match[2], 16)
                result.append({"low": low, "high": high, "access": match[3], "anonymous": match[4] == "0"})
            else:
                key, value = line.split(":", 1)
                if value.endswith("kB\n"):
                    result[-1][key] = int(value.split()[0])
    return result


def memory_of(pid, ram_bytes):
    """Private memory of a monitor without its guest's RAM, and what the guest has touched, in KiB.

    Guest RAM is known by its size: neighbouring writable anonymous mappings that together cover half of it or more.
    """
    groups = []
    for entry in mappings(pid):
        last = groups[-1][-1] if groups else None
        kind = (entry["access"], entry["anonymous"])
        if last and last["high"] == entry["low"] and kind == (last["access"], last["anonymous"]):
            groups[-1].append(entry)
        else:
            groups.append([entry])
    result = {"private_kib": 0, "guest_kib": 0, "pss_kib": 0}
    for group in groups:
        size = group[-1]["high"] - group[0]["low"]
        is_ram = group[0]["access"].startswith("rw") and size >= ram_bytes // 2
        private = sum(entry["Private_Clean"] + entry["Private_Dirty"] for entry in group)
        result["guest_kib" if is_ram else "private_kib"] += private
        result["pss_kib"] += sum(entry["Pss"] for entry in group)
    return result
