# SPDX-License-Identifier: Apache-2.0
"""Writes OCI image layouts byte by byte, right ones and wrong ones, for the tests.

A Layout is a directory; whatever is put into it gets the digest and size it really has. Tests that need a lie
ask for it by name (`digest=`, `size=`) or change the file afterwards.
"""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
SUFFIX = {"plain": "", "gzip": "+gzip", "members": "+gzip", "zstd": "+zstd"}
SPARSE_DATA = (0, 1 << 20, (5 << 20) + 4096, 40 << 20)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Tar:
    """One layer. Names and modes go into the archive as given."""

    def __init__(self, fmt=tarfile.PAX_FORMAT):
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w", format=fmt)

    def add(self, name, kind=tarfile.REGTYPE, data=b"", mode=0o644, uid=0, gid=0, mtime="1700000000", link="",
            device=(0, 0), xattrs=None):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.uid, info.gid, info.linkname = kind, mode, uid, gid, link
        info.size = len(data)
        info.devmajor, info.devminor = device
        if mtime.isdigit() and int(mtime) < 1 << 33:
            info.mtime = int(mtime)
        else:
            info.pax_headers["mtime"] = mtime
        for key, value in (xattrs or {}).items():
            info.pax_headers["SCHILY.xattr." + key] = value.decode("utf-8", "surrogateescape")
        self.tar.addfile(info, io.BytesIO(data))
        return self

    def file(self, name, data=b"", **more):
        if isinstance(data, str):
            data = data.encode()
        return self.add(name, data=data, **more)

    def dir(self, name, mode=0o755, **more):
        return self.add(name, kind=tarfile.DIRTYPE, mode=mode, **more)

    def symlink(self, name, target, **more):
        return self.add(name, kind=tarfile.SYMTYPE, link=target, mode=0o777, **more)

    def hardlink(self, name, target, **more):
        return self.add(name, kind=tarfile.LNKTYPE, link=target, **more)

    def host_file(self, name, path, mode=0o755):
        with open(path, "rb") as f:
            return self.file(name, f.read(), mode=mode)

    def bytes(self):
        self.tar.close()
        return self.buffer.getvalue()


def sparse_tar(fmt, folder):
    """FOLDER/sparse, 64 MiB with four pieces of data, as GNU tar writes it in the given format."""
    with tempfile.TemporaryDirectory() as dir_name:
        path = dir_name + "/sparse"
        with open(path, "wb") as f:
            for offset in SPARSE_DATA:
                f.seek(offset)
                f.write(b"data at %d" % offset)
            f.truncate(64 << 20)
        os.utime(path, (1600000000, 1600000000))
        return subprocess.run(["tar", "-c", "--sparse", "--format=" + fmt, "--owner=3", "--group=4",
                               "--transform=s,^,%s/," % folder, "-C", dir_name, "sparse"],
                              stdout=subprocess.PIPE, check=True).stdout


def compress(data, how):
    if how == "plain":
        return data
    if how == "gzip":
        return gzip.compress(data, 1, mtime=0)
    if how == "members":  # RFC 1952: a gzip file is a series of members
        middle = len(data) // 2
        return gzip.compress(data[:middle], 1, mtime=0) + gzip.compress(data[middle:], 1, mtime=0)
    return subprocess.run(["zstd", "-q", "-1", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


class Layout:
    def __init__(self, path):
        self.path = path
        self.entries = []
        os.makedirs(path + "/blobs/sha256")
        with open(path + "/oci-layout", "w", encoding="ascii") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')

    def blob_path(self, descriptor):
        return self.path + "/blobs/sha256/" + descriptor["digest"].split(":")[1]

    def blob(self, data, media_type):
        descriptor = {"mediaType": media_type, "digest": "sha256:" + sha256(data), "size": len(data)}
        with open(self.blob_path(descriptor), "wb") as f:
            f.write(data)
        return descriptor

    def json_blob(self, value, media_type):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.blob(data, media_type)

    def layer(self, tar, how="gzip"):
        """(descriptor, diff ID) of a Tar or of a tar file's bytes."""
        data = tar.bytes() if isinstance(tar, Tar) else tar
        return self.blob(compress(data, how), LAYER + SUFFIX[how]), "sha256:" + sha256(data)

    def manifest(self, layers, config=None, arch="amd64", config_bytes=None, **lies):
        """A manifest over layers, as layer() returns them, with its configuration; the descriptor."""
        document = {"architecture": arch, "os": "linux", "created": "2024-01-02T03:04:05Z", "config": config or {},
                    "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]}}
        document.update(lies)
        return self.json_blob({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.json_blob(config_bytes if config_bytes is not None else document, CONFIG),
            "layers": [descriptor for descriptor, _ in layers],
        }, MANIFEST)

    def index(self, platforms):
        """A nested index over [(manifest descriptor, os, architecture)]."""
        return self.json_blob({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [dict(d, platform={"os": os_name, "architecture": arch}) for d, os_name, arch in platforms],
        }, INDEX)

    def tag(self, descriptor, name):
        self.entries.append(dict(descriptor, annotations={"org.opencontainers.image.ref.name": name}))

    def close(self):
        with open(self.path + "/index.json", "w", encoding="ascii") as f:
            json.dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.entries}, f)
