#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""broken.py OUT: images that must be refused, below OUT/broken, and what each refusal must speak of.

OUT/broken/list has one line each: name, source for `mvrun load` relative to OUT, an extended regular expression that
the error must match. Layers that try to get out of the image aim at /tmp/mvrun-canary.
"""

import gzip
import json
import lzma
import os
import subprocess
import sys

from layout import LAYER, Layout, Tar, compress, sha256

OUT = sys.argv[1]
CANARY = "tmp/mvrun-canary"
ROWS = []


def row(name, expect, source=None):
    ROWS.append((name, source or "oci:broken/%s:latest" % name, expect))


def plain_tar():
    return Tar().dir("etc").file("etc/passwd", "root:x:0:0::/:/bin/sh\n" * 100).bytes()


def image(name, expect, layers=None, **lies):
    """A layout with one image. layers: [(descriptor, diff ID)] or a function that makes them in the layout."""
    layout = Layout(OUT + "/broken/" + name)
    made = layers(layout) if layers else [layout.layer(plain_tar())]
    manifest = layout.manifest(made, **lies)
    layout.tag(manifest, "latest")
    layout.close()
    row(name, expect)
    return layout, manifest, made


def rewrite(layout, descriptor, data):
    with open(layout.blob_path(descriptor), "wb") as f:
        f.write(data)


def read(layout, descriptor):
    with open(layout.blob_path(descriptor), "rb") as f:
        return f.read()


def hostile_layer(name, tar, expect):
    image(name, expect, lambda layout: [layout.layer(plain_tar()), layout.layer(tar)])


def raw_layer(name, data, media_type, expect):
    """A layer blob with right digest and size, whose contents are not what the type says."""
    image(name, expect, lambda layout: [(layout.blob(data, media_type), "sha256:" + sha256(plain_tar()))])


def lie_about_blobs():
    layout, _, made = image("digest", "digest")
    data = bytearray(read(layout, made[0][0]))
    data[len(data) // 2] ^= 1
    rewrite(layout, made[0][0], data)
    for name, by in (("size-more", 1), ("size-less", -1), ("size-negative", -10 ** 9), ("size-huge", 1 << 63)):
        image(name, "size|bytes", lambda layout: [(dict(d, size=d["size"] + by), i) for d, i in [layout.layer(plain_tar())]])
    layout, _, made = image("blob-missing", "missing|not there|not found|no blob|No such|has no")
    os.unlink(layout.blob_path(made[0][0]))
    image("diff-id", "diff", lambda layout: [(layout.layer(plain_tar())[0], "sha256:" + "0" * 64)])
    image("diff-id-count", "diff|layers", rootfs={"type": "layers", "diff_ids": []})
    for name, digest in (("digest-path", "sha256:../../../etc/passwd"), ("digest-case", "sha256:" + "A" * 64),
                         ("digest-algorithm", "md5:" + "0" * 32)):
        image(name, "digest", lambda layout: [(dict(d, digest=digest), i) for d, i in [layout.layer(plain_tar())]])


def lie_in_json():
    layout = Layout(OUT + "/broken/json-index")
    layout.close()
    with open(layout.path + "/index.json", "w", encoding="ascii") as f:
        f.write('{"schemaVersion":2,"manifests":[')
    row("json-index", "index|JSON")
    deep = b"[" * 100000 + b"]" * 100000
    for name, data in (("json-manifest", b"{]"), ("json-deep", b'{"schemaVersion":2,"layers":' + deep + b"}"),
                       ("json-empty", b""), ("json-number", b"42"), ("json-nul", b'{"schemaVersion":2\0}')):
        layout = Layout(OUT + "/broken/" + name)
        layout.tag(layout.json_blob(data, "application/vnd.oci.image.manifest.v1+json"), "latest")
        layout.close()
        row(name, "manifest|JSON")
    image("json-config", "config|JSON", config_bytes=b'{"architecture":"amd64"')
    image("json-config-type", "config|entrypoint|Entrypoint|JSON", config={"Entrypoint": {"a": 1}})
    twice = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    image("json-twice", "config|JSON|duplicate", config_bytes=(twice[:-1] + ',"os":"linux"}').encode())


def climb():
    hostile_layer("climb-dotdot", Tar().file("../" * 12 + CANARY + "/dotdot", "x"), r"\.\.")
    hostile_layer("climb-inner", Tar().dir("a").file("a/../../" * 6 + CANARY + "/inner", "x"), r"\.\.")
    hostile_layer("climb-absolute", Tar().file("/" + CANARY + "/absolute", "x"), "absolute|/")
    hostile_layer("climb-symlink", Tar().symlink("out", "/" + CANARY).file("out/symlink", "x"), "symlink|symbolic|link")
    hostile_layer("climb-symlink-up", Tar().symlink("out", "../" * 12 + CANARY).file("out/symlink", "x"), "symlink|symbolic|link")
    hostile_layer("climb-hardlink", Tar().hardlink("out", "../" * 12 + CANARY + "/file"), "link")
    hostile_layer("climb-whiteout", Tar().file("../" * 12 + CANARY + "/.wh.file"), r"\.\.")
    hostile_layer("whiteout-dotdot", Tar().dir("a").file("a/.wh..."), r"whiteout|name|\.wh\.")
    hostile_layer("hardlink-nowhere", Tar().hardlink("etc/new", "etc/nothing"), "link")


def decode():
    good = plain_tar()
    packed = compress(good, "gzip")
    bad_crc = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
    raw_layer("gzip-truncated", packed[:-20], LAYER + "+gzip", "gzip|truncated|ends|compress|incomplete")
    raw_layer("gzip-crc", bad_crc, LAYER + "+gzip", "gzip|corrupt|check|compress|damaged")
    raw_layer("zstd-truncated", compress(good, "zstd")[:-20], LAYER + "+zstd", "zstd|truncated|ends|compress|incomplete")
    raw_layer("compression-type", lzma.compress(good), LAYER + "+xz", "media type|compress|xz")
    raw_layer("compression-content", lzma.compress(good), LAYER + "+gzip", "gzip|compress|xz")
    raw_layer("compression-none", os.urandom(4096), LAYER, "tar|archive|compress|diff")
    cut = good[:700]
    image("tar-truncated", "tar|truncated|ends|archive|incomplete", lambda layout: [layout.layer(cut)])
    checksum = bytearray(good)
    checksum[3] ^= 0x55
    image("tar-checksum", "tar|archive|checksum|header", lambda layout: [layout.layer(bytes(checksum))])


def archives():
    path = OUT + "/broken/whole.tar"
    subprocess.run(["tar", "-cf", path, "-C", OUT + "/tools", "."], check=True)
    with open(path, "rb") as f:
        whole = f.read()
    os.unlink(path)
    for name, data in (("archive-truncated", whole[:len(whole) // 2]), ("archive-empty", b""),
                       ("archive-garbage", b"no archive, " * 1000), ("archive-zeros", bytes(10240)),
                       ("archive-gzip-truncated", gzip.compress(whole[:100000])[:-1000])):
        with open(OUT + "/broken/" + name + ".tar", "wb") as f:
            f.write(data)
        row(name, ".", "oci-archive:broken/%s.tar" % name)
        row(name + "-docker", ".", "docker-archive:broken/%s.tar" % name)
    row("missing-dir", "no such|not found|does not exist|No such", "oci:broken/nowhere:latest")
    row("missing-file", "no such|not found|does not exist|No such", "oci-archive:broken/nowhere.tar")
    row("missing-tag", "nosuchtag", "oci:tools:nosuchtag")
    row("a-file-as-dir", ".", "oci:broken/archive-garbage.tar")
    row("a-dir-as-file", ".", "docker-archive:broken")
    row("transport", "transport|source|frob", "frob:broken")
    row("architecture", "arm64", "oci:tools:arm64-only")


if __name__ == "__main__":
    os.umask(0o022)
    os.mkdir(OUT + "/broken")
    lie_about_blobs()
    lie_in_json()
    climb()
    decode()
    archives()
    with open(OUT + "/broken/list", "w", encoding="ascii") as f:
        f.writelines("\t".join(r) + "\n" for r in ROWS)
