# SPDX-License-Identifier: Apache-2.0
"""What is measured: each case is one command that starts, does its work and ends."""

import shutil

MIB = 1 << 20

# Where things lie in the arena.
KERNEL = "/bench/vmlinux"
INITRAMFS = "/bench/initramfs.cpio"
DISK = "/bench/disk"
MVRUN = "/usr/bin/mvrun"

# What the kernel is told under QEMU; mvrun-vmm says the like by itself.
QEMU_CMDLINE = "console=hvc0 quiet panic=-1 reboot=t tsc=reliable no_timer_check noreplace-smp dummy.numdummies=0"
# The leanest machine QEMU has: no firmware tables, no legacy devices, kernel entered through PVH.
QEMU_MACHINE = "microvm,x-option-roms=off,isa-serial=off,pit=off,pic=off,rtc=off,acpi=off,auto-kernel-cmdline=on"


class Case:
    """command: list of words. statuses: wait statuses that mean success. says: words its output must have.
    quick: part of bench/check."""

    def __init__(self, name, text, command, statuses=(0,), says=None, quick=False, ours=False):
        self.name = name
        self.text = text
        self.command = command
        self.statuses = statuses
        self.says = says
        self.quick = quick
        self.ours = ours


def bootvm(memory_mib=128, cpus=1, extra=()):
    return [
        "/bench/bootvm", "--vmm", "/usr/libexec/mvrun/mvrun-vmm", "--kernel", KERNEL, "--initrd", INITRAMFS, "--disk", DISK,
        "--memory", "%dM" % memory_mib, "--cpus", str(cpus), *extra,
    ]


def qemu(program, memory_mib=128, extra=()):
    return [
        program, "-M", QEMU_MACHINE, "-accel", "kvm", "-cpu", "host", "-m", str(memory_mib), "-smp", "1",
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-kernel", KERNEL, "-initrd", INITRAMFS, "-append", QEMU_CMDLINE,
        "-chardev", "null,id=console", "-device", "virtio-serial-device", "-device", "virtconsole,chardev=console",
        "-blockdev", "driver=file,node-name=disk,filename=%s,read-only=on" % DISK,
        "-device", "virtio-blk-device,drive=disk", "-device", "virtio-rng-device", *extra,
    ]


# For bench/profile: the guest's log with the cost of every initcall.
LOG_OPTIONS = ("--console", "--cmdline", "initcall_debug log_buf_len=1M klog")

# The full binary has vhost-vsock and a port that ends it at once (status (0x2000 << 1 | 1) & 0xff = 1); the slim
# one, which is much faster, has neither. What the slim one needs is the bar; the full one is shown beside it.
QEMU_VSOCK = ("-device", "vhost-vsock-device,guest-cid=77", "-device", "isa-debug-exit,iobase=0x604,iosize=4")
STATUS_1 = 1 << 8


# What bootvm says when the guest switched itself off; it ends with status 0 whatever happened.
OFF = "guest-shutdown"


def boot_cases():
    off = "boot to userspace and off, "
    return [
        Case("boot", off + "1 vCPU, 128 MiB", bootvm(), says=OFF, quick=True, ours=True),
        Case("boot-1g-more", off + "1 GiB more", bootvm(memory_mib=128 + 1024), says=OFF, quick=True, ours=True),
        Case("qemu-boot", off + "QEMU microvm, slim", qemu("/usr/bin/qemu-system-x86_64-microvm"), quick=True),
        Case(
            "qemu-boot-vsock", off + "QEMU microvm, with vsock",
            qemu("/usr/bin/qemu-system-x86_64", extra=QEMU_VSOCK), statuses=(STATUS_1,),
        ),
    ]


def runtime(program, *options):
    return [program, *options, "run", "--bundle", "/bench/bundle", "bench"]


PIPE = "/bench/busybox dd if=/dev/zero bs=64k count=1024 2>/dev/null | /bench/busybox cat"
RUNSC = ("/usr/bin/runsc", "--root", "/run/runsc", "--platform=ptrace", "--network=none")


def container_cases():
    mvrun = [MVRUN, "run", "--rm"]
    one_cpu = ["-m", "128m", "--cpus", "1"]
    stdout = ["dd", "if=/dev/zero", "bs=64k", "count=1024"]
    return [
        Case("true", "fork and exec of a static true", ["/bench/busybox", "true"], quick=True),
        Case("run-true", "mvrun run busybox true", [*mvrun, *one_cpu, "busybox", "true"], quick=True, ours=True),
        Case("runc-true", "runc run, the same", runtime("/usr/sbin/runc"), quick=True),
        Case("crun-true", "crun run, the same", runtime("/usr/bin/crun"), quick=True),
        Case("runsc-true", "runsc run, the same", runtime(*RUNSC)),
        Case("run-stdout", "64 MiB to stdout, mvrun", [*mvrun, *one_cpu, "busybox", *stdout], ours=True),
        Case("pipe-stdout", "64 MiB through a pipe", ["/bench/busybox", "sh", "-c", PIPE]),
        Case("run-find", "find / in a new container", [*mvrun, *one_cpu, "busybox", "find", "/", "-xdev"], ours=True),
    ]


def all_cases():
    return boot_cases() + container_cases()


# A container that does nothing, to look at its monitor's memory.
IDLE_COMMAND = [MVRUN, "run", "--rm", "-m", "128m", "--cpus", "1", "busybox", "sleep", "600"]
IDLE_RAM_BYTES = 128 * MIB
MONITOR = "mvrun-vmm"


def fill(arena, build, tools, selected):
    """Puts all that these cases need into the arena. tools: where bench/run has built stopwatch and the like."""
    stage = build + "/stage"
    busybox = shutil.which("busybox")
    arena.add(stage + "/usr/libexec/mvrun/vmlinux", KERNEL)
    arena.add(tools + "/initramfs.cpio", INITRAMFS)
    with open(arena.inside(DISK), "wb") as file:
        file.truncate(MIB)
    arena.add(busybox, "/bench/busybox")
    arena.add(tools + "/stopwatch", "/bench/stopwatch")
    arena.add(tools + "/boot/bootvm", "/bench/bootvm")
    for program in ("bin/mvrun", "libexec/mvrun/mvrun-vmm", "libexec/mvrun/vmlinux", "libexec/mvrun/initramfs.cpio"):
        arena.add(stage + "/usr/" + program, "/usr/" + program)
    arena.add(build + "/demo-store", "/var/lib/mvrun")
    programs = {case.command[0] for case in selected}
    for peer in sorted(programs):
        if not peer.startswith("/bench/") and peer != MVRUN:
            arena.add_program(peer)
    if any("qemu" in program for program in programs):
        arena.add_qemu_files()
    arena.add_bundle(busybox)
