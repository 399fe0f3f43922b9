# SPDX-License-Identifier: Apache-2.0
"""The arena: a root directory in RAM that holds everything a measured command touches.

Waiting for a disk or for a shared file system is no work of the program under test, yet a clock counts it. So all
programs, libraries, images and kernels are copied into one tmpfs once, and stopwatch makes that the root of a mount
namespace of its own for the measured command.
"""

import json
import os
import re
import shutil
import subprocess

QEMU_FILES = ("/usr/share/qemu",)


class Arena:
    def __init__(self, path="/run/mvrun-bench"):
        self.path = path
        self.missing = []

    def build(self):
        os.makedirs(self.path, exist_ok=True)
        mount("-t", "tmpfs", "-o", "mode=755,size=3g", "bench", self.path)
        for name in ("dev", "sys", "proc", "tmp", "run", "etc", "var/lib", "bench"):
            os.makedirs(self.inside("/" + name))
        for name in ("dev", "sys", "proc"):
            mount("--rbind", "/" + name, self.inside("/" + name))

    def close(self):
        subprocess.run(["umount", "-R", "-l", self.path], check=False)

    def inside(self, path):
        return self.path + path

    def add(self, source, target=None):
        """Copies one file (or a tree, holes kept) to target, a path of the arena."""
        target = self.inside(target or source)
        if not os.path.exists(source):
            self.missing.append(source)
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        subprocess.run(["cp", "-aL" if os.path.isfile(source) else "-a", "--sparse=always", source, target], check=True)

    def add_program(self, source, target=None):
        """Copies a program and the libraries it is linked to."""
        found = shutil.which(source)
        if not found:
            self.missing.append(source)
            return
        source = os.path.realpath(found)
        target = target or found
        self.add(source, target)
        for library in libraries_of(source):
            if not os.path.exists(self.inside(library)):
                self.add(library)

    def add_qemu_files(self):
        """Firmware of QEMU; only the small files, which are those of the x86 machines."""
        for folder in QEMU_FILES:
            for entry in os.scandir(folder) if os.path.isdir(folder) else ():
                source = os.path.realpath(entry.path)
                if os.path.isfile(source) and os.path.getsize(source) <= 256 << 10:
                    self.add(source, folder + "/" + entry.name)

    def add_bundle(self, busybox):
        """An OCI bundle /bench/bundle of busybox, as `runc spec` makes it: what runc, crun and runsc are given."""
        root = self.inside("/bench/bundle/rootfs")
        for name in ("bin", "dev", "proc", "sys", "tmp", "etc"):
            os.makedirs(root + "/" + name)
        shutil.copy(busybox, root + "/bin/busybox")
        for name in ("true", "sh"):
            os.symlink("busybox", root + "/bin/" + name)
        bundle = self.inside("/bench/bundle")
        subprocess.run(["runc", "spec", "--bundle", bundle], check=True)
        with open(bundle + "/config.json", encoding="utf-8") as file:
            config = json.load(file)
        config["process"]["terminal"] = False
        config["process"]["args"] = ["true"]
        with open(bundle + "/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)


def mount(*args):
    subprocess.run(["mount", *args], check=True)


def libraries_of(program):
    result = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return re.findall(r"(/\S+) \(0x", result.stdout)
