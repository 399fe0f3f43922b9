#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""good.py OUT HELPERS DEBIAN.tar: the images that work, as OCI layouts below OUT.

tools     busybox and our helper programs; one tag for each thing a configuration can say
scratch   one static program and nothing else
debian    a Debian root with python3 and s6, its layer once by gzip, once by zstd; tag s6 has s6-svscan as PID 1
"""

import os
import subprocess
import sys

from layout import Layout, Tar, sparse_tar

OUT, HELPERS, DEBIAN = sys.argv[1:]
BUSYBOX = "/bin/busybox"

PASSWD = """root:x:0:0:root:/root:/bin/sh
app:x:1234:2345:app:/home/app:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP = """root:x:0:
app:x:2345:
audio:x:29:app
video:x:44:root,app
nogroup:x:65534:
"""


def tools_layer():
    tar = Tar()
    for name in ("bin", "etc", "proc", "sys", "dev", "root", "home", "usr", "usr/bin"):
        tar.dir(name)
    tar.dir("tmp", mode=0o1777).dir("home/app", uid=1234, gid=2345)
    tar.host_file("bin/busybox", BUSYBOX)
    applets = subprocess.run([BUSYBOX, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            tar.symlink("bin/" + applet, "busybox")
    for helper in ("info", "treelist", "probe", "nodes", "vsock", "bomb"):
        tar.host_file(helper, HELPERS + "/" + helper)
    tar.file("etc/passwd", PASSWD).file("etc/group", GROUP)
    tar.file("etc/hostname").file("etc/hosts").file("etc/resolv.conf")
    tar.file("usr/bin/script", "#!/bin/sh\necho script \"$@\"\n", mode=0o755)
    tar.file("usr/bin/noexec", "#!/bin/sh\n", mode=0o644)
    tar.file("usr/bin/no-interpreter", "#!/no/such/interpreter\n", mode=0o755)
    tar.file("usr/bin/garbage", b"\x01\x02\x03\x04" * 16, mode=0o755)
    tar.host_file("usr/bin/setuid-info", HELPERS + "/info", mode=0o4755)
    return tar


# One tag for each part of a configuration.
TOOLS = {
    "latest": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["sh"]},
    "user-name": {"User": "app", "Entrypoint": ["/info"]},
    "user-ids": {"User": "1234:777", "Entrypoint": ["/info"]},
    "user-group": {"User": "app:audio", "Entrypoint": ["/info"]},
    "user-missing": {"User": "nosuchuser", "Entrypoint": ["/info"]},
    "user-huge": {"User": "4294967296", "Entrypoint": ["/info"]},
    "workdir": {"WorkingDir": "/made/for/me", "Entrypoint": ["/info"]},
    "workdir-fd": {"WorkingDir": "/proc/self/fd/7", "Entrypoint": ["/info"]},
    "env": {"Env": ["FOO=bar", "SPACE=a b", "EMPTY=", "PATH=/bin"], "Entrypoint": ["/info"]},
    "entrypoint": {"Env": ["PATH=/bin"], "Entrypoint": ["echo", "from-entrypoint"], "Cmd": ["from-cmd"]},
    "nothing": {},
    "stopsignal": {"Env": ["PATH=/bin"], "StopSignal": "SIGUSR1", "Cmd": ["sh"]},
    "many-env": {"Env": ["V%d=%s" % (i, "x" * 200) for i in range(200)], "Entrypoint": ["/info"]},
}


def make_tools():
    layout = Layout(OUT + "/tools")
    layers = [layout.layer(tools_layer())]
    for tag, config in TOOLS.items():
        layout.tag(layout.manifest(layers, config), tag)
    amd64 = layout.manifest(layers, {"Env": ["ARCH=amd64"], "Entrypoint": ["/info"]})
    arm64 = layout.manifest(layers, {"Env": ["ARCH=arm64"], "Entrypoint": ["/info"]}, arch="arm64")
    note = layout.manifest(layers, {"Entrypoint": ["/info"]}, arch="unknown", os="unknown")
    layout.tag(arm64, "arm64-only")
    layout.tag(layout.index([(note, "unknown", "unknown"), (arm64, "linux", "arm64"), (amd64, "linux", "amd64")]), "multi")
    for how in ("plain", "members", "zstd"):
        layout.tag(layout.manifest([layout.layer(tools_layer(), how)], TOOLS["latest"]), how)
    layout.tag(layout.manifest(layers + [layout.layer(sparse_tar("gnu", "tmp"))], TOOLS["latest"]), "sparse")
    layout.close()


def make_scratch():
    layout = Layout(OUT + "/scratch")
    layer = layout.layer(Tar().host_file("info", HELPERS + "/info"))
    layout.tag(layout.manifest([layer], {"Entrypoint": ["/info"]}), "latest")
    layout.close()


def s6_layer():
    tar = Tar().host_file("treelist", HELPERS + "/treelist").dir("svc").dir("svc/.s6-svscan")
    for name in ("one", "two"):
        tar.dir("svc/" + name)
        tar.file("svc/%s/run" % name, "#!/bin/sh\necho service %s up pid $$\nexec sleep 1000\n" % name, mode=0o755)
        tar.file("svc/%s/finish" % name, "#!/bin/sh\necho service %s down\n" % name, mode=0o755)
    tar.file("svc/.s6-svscan/finish", "#!/bin/sh\necho tree down\n", mode=0o755)
    return tar


def make_debian():
    layout = Layout(OUT + "/debian")
    with open(DEBIAN, "rb") as f:
        root = f.read()
    config = {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["python3"]}
    extra = layout.layer(s6_layer())
    packed = layout.layer(root)
    layout.tag(layout.manifest([packed, extra], config), "gzip")
    layout.tag(layout.manifest([layout.layer(root, "zstd"), extra], config), "zstd")
    layout.tag(layout.manifest([packed, extra], dict(config, Entrypoint=["s6-svscan", "/svc"])), "s6")
    layout.close()


if __name__ == "__main__":
    os.umask(0o022)
    make_tools()
    make_scratch()
    make_debian()
