#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Images whose own files lie where mounts go: /proc, /sys and /dev must be directories or not be there at all; for other
# mounts links count, and stay within the root.
. "$(dirname "$0")/lib.sh"

# Tag proc-link has a link for /proc, proc-file a file, and so on; tag bare has none of the three, tag tmp-link only a
# link that climbs. /info is in all of them.
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here/../images python3 - "$tmp/odd" "$images/helpers/info" <<'END'
import sys
from layout import Layout, Tar

layout = Layout(sys.argv[1])
def tag(name, tar):
    tar.host_file("info", sys.argv[2])
    layout.tag(layout.manifest([layout.layer(tar, "plain")], {"Entrypoint": ["/info"]}), name)
for place in ("proc", "sys", "dev"):
    tag(place + "-link", Tar().symlink(place, "../../../.."))
    tag(place + "-file", Tar().file(place, "no directory"))
tag("bare", Tar())
tag("tmp-link", Tar().dir("real").symlink("tmp", "../../../real"))
layout.close()
END
check "the images are made" [ -e "$tmp/odd/index.json" ]
export MVRUN_STORE=$tmp/store

for place in proc sys dev; do
	vm run --rm "oci:$tmp/odd:$place-link"
	refused "/$place is a link" "the image's /$place is a symbolic link"
	vm run --rm "oci:$tmp/odd:$place-file"
	refused "/$place is a file" "the image's /$place is no directory"
done
vm run --rm "oci:$tmp/odd:bare"
check_status "an image with none of them" 0
vm run --rm --read-only "oci:$tmp/odd:bare"
check_status "an image with none of them, read-only" 0
vm run --rm --tmpfs /tmp "oci:$tmp/odd:tmp-link"
check_status "a tmpfs over a link" 0
finish
