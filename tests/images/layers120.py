#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""layers120.py OUT DEBIAN.tar HELPERS: an image of 120 layers that do to a Debian root what layers can do.

The first layer is the Debian root, the second has the corner cases by hand, the others are drawn from a fixed seed:
files replaced, removed, turned into directories and back, directories emptied, hard links to files of lower layers,
owners, modes, times, xattrs. What the tree must be at the end is for `umoci unpack` to say.
"""

import io
import random
import sys
import tarfile

from layout import Layout, Tar, sparse_tar

OUT, DEBIAN, HELPERS = sys.argv[1:]
LAYERS = 120
KEEP = ("proc", "sys", "dev", "tmp", "treelist", "etc", "corner")

# struct vfs_ns_cap_data, revision 2: cap_net_raw+ep
CAPABILITY = bytes([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])


def corner_layer():
    tar = Tar().host_file("treelist", HELPERS + "/treelist").dir("corner", uid=7, gid=8)
    tar.file("corner/empty").file("corner/one", "x").file("corner/block", b"y" * 4096)
    tar.file("corner/block+1", b"z" * 4097).file("corner/big", bytes(range(256)) * 12345)
    tar.file("corner/setuid", mode=0o4755).file("corner/setgid", mode=0o2755).dir("corner/sticky", mode=0o1777)
    tar.file("corner/no-mode", mode=0).file("corner/owner", uid=4000000000, gid=3999999999)
    tar.file("corner/epoch", mtime="0").file("corner/nanoseconds", mtime="1234567890.123456789")
    tar.file("corner/after-2038", mtime="4000000000").file("corner/capability",
                                                        xattrs={"security.capability": CAPABILITY})
    tar.file("corner/xattrs", "v", xattrs={"user.one": b"1", "user.long": b"L" * 300})
    tar.dir("corner/xattr-dir", xattrs={"user.dir": b"yes"})
    tar.file("corner/" + "n" * 255).dir("corner/deep")
    name = "corner/deep"
    for i in range(12):
        name += "/" + ("d%02d" % i) * 20
        tar.dir(name)
    tar.file(name + "/end", "deep").symlink("corner/long-link", "../" * 40 + "t" * 400)
    tar.symlink("corner/link", "no/such").symlink("corner/abs-link", "/etc/passwd").symlink("corner/up", "../../../..")
    tar.file("corner/\u00fcml\u00e4ut \u2603", "utf-8").file("corner/space and\ttab")
    tar.add("corner/null", kind=tarfile.CHRTYPE, device=(1, 3), mode=0o666)
    tar.add("corner/disk", kind=tarfile.BLKTYPE, device=(259, 70000), mode=0o660, gid=6)
    tar.add("corner/fifo", kind=tarfile.FIFOTYPE, mode=0o600)
    tar.hardlink("corner/hard-a", "corner/one").hardlink("corner/hard-b", "corner/hard-a")
    tar.dir("corner/many")
    for i in range(1500):
        tar.file("corner/many/entry-%04d-%s" % (i, "p" * (i % 60)))
    for name in ("file-to-dir", "removed", "replaced"):
        tar.file("corner/" + name, name)
    tar.dir("corner/dir-to-file").file("corner/dir-to-file/inner").dir("corner/emptied").file("corner/emptied/old")
    tar.dir("corner/link-to-dir-target").symlink("corner/link-to-dir", "link-to-dir-target").dir("corner/re-mode")
    tar.file("corner/hidden", "lower")
    tar.file("etc/hostname").file("etc/hosts").file("etc/resolv.conf")
    return tar


def undo_layer():
    tar = Tar()
    tar.dir("corner/file-to-dir").file("corner/file-to-dir/inner", "in").file("corner/dir-to-file", "now a file")
    tar.file("corner/.wh.removed").file("corner/replaced", "new", uid=9)
    tar.dir("corner/emptied").file("corner/emptied/before", "b").file("corner/emptied/.wh..wh..opq")
    tar.file("corner/emptied/after", "a").dir("corner/link-to-dir").file("corner/link-to-dir/real", "r")
    tar.dir("corner/re-mode", mode=0o700, uid=11, mtime="1500000000").hardlink("corner/hard-c", "corner/block")
    tar.file("corner/.wh.hidden")
    return tar


class Tree:
    """What is there so far, well enough to draw sensible changes from."""

    def __init__(self, data, rng):
        self.rng = rng
        self.kinds = {}
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                name = member.name.removeprefix("./").rstrip("/")
                if name and name != "." and name.split("/")[0] not in KEEP:
                    self.kinds[name] = "d" if member.isdir() else "f" if member.isreg() else "o"

    def pick(self, kind, min_depth=2):
        names = [n for n, k in self.kinds.items() if k == kind and n.count("/") >= min_depth and self.is_real(n)]
        return self.rng.choice(names)

    def is_real(self, name):
        """All parents are directories (and not symlinks, which would lead elsewhere)."""
        parent = name
        while "/" in parent:
            parent = parent.rsplit("/", 1)[0]
            if self.kinds.get(parent) != "d":
                return False
        return True

    def remove(self, name, itself=True):
        for other in [n for n in self.kinds if n.startswith(name + "/")] + ([name] if itself else []):
            self.kinds.pop(other, None)


def whiteout(name):
    parent, base = name.rsplit("/", 1)
    return parent + "/.wh." + base


def change(tree, tar, number, used):
    """One drawn change. Returns the paths it touched, or nothing if they were touched in this layer before."""
    rng = tree.rng
    what = rng.choice(["replace"] * 6 + ["remove"] * 3 + ["add"] * 4 + ["hardlink"] * 4 + ["symlink", "remove-dir", "opaque",
                                                                              "file-to-dir", "dir-to-file", "dir-mode"])
    name = tree.pick("d" if "dir" in what.split("-")[:2] or what in ("add", "opaque", "dir-mode", "hardlink") else "f",
                     3 if what in ("remove-dir", "dir-to-file", "opaque") else 2)
    if any(name == u or name.startswith(u + "/") or u.startswith(name + "/") for u in used):
        return
    meta = {"uid": rng.choice([0, 1, 1000, 65534]), "gid": rng.choice([0, 8, 50]),
            "mtime": "%d.%09d" % (rng.randrange(1 << 31), rng.randrange(10 ** 9))}
    data = rng.randbytes(rng.choice([0, 5, 100, 4096, 20000]))
    new = "%s/new-%d-%d" % (name, number, rng.randrange(1000))
    used.add(name)
    if what == "replace":
        tar.file(name, data, mode=rng.choice([0o644, 0o755, 0o4711]), **meta)
    elif what == "remove":
        tar.file(whiteout(name))
        tree.remove(name)
    elif what == "add":
        tar.file(new, data, xattrs={"user.layer": b"%d" % number}, **meta)
        tree.kinds[new] = "f"
    elif what == "hardlink":
        target = tree.pick("f")
        if any(target == u or target.startswith(u + "/") for u in used):
            return
        used.add(target)
        tar.hardlink(new, target)
        tree.kinds[new] = "f"
    elif what == "symlink":
        tar.symlink(name, "/usr/bin/nothing-%d" % number, **meta)
        tree.kinds[name] = "o"
    elif what == "remove-dir":
        tar.file(whiteout(name))
        tree.remove(name)
    elif what == "opaque":
        tar.dir(name, **meta).file(name + "/.wh..wh..opq").file(new, data, **meta)
        tree.remove(name, itself=False)
        tree.kinds[new] = "f"
    elif what == "file-to-dir":
        tar.dir(name, **meta).file(name + "/inside", data, **meta)
        tree.kinds[name], tree.kinds[name + "/inside"] = "d", "f"
    elif what == "dir-to-file":
        tar.file(name, data, **meta)
        tree.remove(name)
        tree.kinds[name] = "f"
    elif what == "dir-mode":
        tar.dir(name, mode=rng.choice([0o700, 0o2755, 0o1777]), **meta)


def main():
    with open(DEBIAN, "rb") as f:
        root = f.read()
    layout = Layout(OUT + "/layers120")
    layers = [layout.layer(root), layout.layer(corner_layer()), layout.layer(sparse_tar("pax", "corner"), "plain"),
              layout.layer(undo_layer(), "members")]
    tree = Tree(root, random.Random(120))
    for number in range(len(layers), LAYERS):
        tar, used = Tar(), set()
        for _ in range(12):
            change(tree, tar, number, used)
        layers.append(layout.layer(tar, "plain" if number % 3 == 0 else "gzip"))
    layout.tag(layout.manifest(layers, {"Entrypoint": ["/treelist"], "Cmd": ["/"]}), "latest")
    layout.close()


if __name__ == "__main__":
    main()
