# SPDX-License-Identifier: Apache-2.0
"""The outer side of a measurement: builds the small tools, starts the emulated host, takes the result."""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
SOURCE = os.path.dirname(HERE)
BASELINE = HERE + "/baseline.json"
WARNINGS = ["-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion"]


def build_tools(folder):
    """stopwatch, the init that powers off with an initramfs of it, and bootvm."""
    os.makedirs(folder, exist_ok=True)
    subprocess.run([SOURCE + "/tests/boot/build", folder + "/boot"], check=True)
    compiler = ["gcc", *WARNINGS]
    subprocess.run([*compiler, "-O2", "-static", "-o", folder + "/stopwatch", HERE + "/stopwatch.c"], check=True)
    bare = ["-Os", "-static", "-nostdlib", "-fno-stack-protector", "-fno-pie", "-no-pie", "-s"]
    link = ["-Wl,--build-id=none", "-Wl,-z,noseparate-code"]
    subprocess.run([*compiler, *bare, *link, "-o", folder + "/init", HERE + "/init.c"], check=True)
    with open(folder + "/init", "rb") as file:
        init = file.read()
    with open(folder + "/initramfs.cpio", "wb") as file:
        file.write(cpio([("dev", 0o40755, b"", (0, 0)), ("dev/console", 0o20600, b"", (5, 1)),
                         ("init", 0o100755, init, (0, 0)), ("TRAILER!!!", 0, b"", (0, 0))]))


def cpio(entries):
    """A "newc" archive of (name, mode, data, device)."""
    archive = b""
    for number, (name, mode, data, device) in enumerate(entries, start=1):
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        archive += b"\0" * (-len(archive) % 4) + data
        archive += b"\0" * (-len(archive) % 4)
    return archive


def guest_kernel(build):
    """The version of the guest kernel, from its own text."""
    try:
        with open(build + "/stage/usr/libexec/mvrun/vmlinux", "rb") as file:
            data = file.read()
    except OSError:
        return None
    start = data.find(b"Linux version 6")
    return data[start:start + 40].split(b" ")[2].decode("ascii", "replace") if start >= 0 else None


def run_inside(build, options, wall=False):
    """Runs bench/inside on the right host and answers its document."""
    build = os.path.realpath(build)
    tools = build + "/bench"
    build_tools(tools)
    command = [HERE + "/inside", json.dumps({**options, "build": build, "tools": tools, "wall": wall})]
    if not wall:
        command = [SOURCE + "/scripts/testbed", "--icount", "--root", "minimal", "--share", build, "--share", HERE, "--", *command]
    environment = {**os.environ, "BUILD": build}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit("bench: measuring failed with status %d" % done.returncode)
    return json.loads(done.stdout)


def measure(build, only=None, rounds=3, quick=False, wall=False):
    """All figures: the document of bench/inside with the mode and the conditions known only out here."""
    options = {"rounds": rounds, "only": only, "quick": quick, "memory": not only}
    result = run_inside(build, options, wall)
    result["mode"] = "wall" if wall else "icount"
    result["conditions"]["guest_kernel"] = guest_kernel(os.path.realpath(build))
    result["conditions"]["gcc"] = subprocess.run(
        ["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return result
