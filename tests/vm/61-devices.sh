#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Devices of the guest, from inside a container as root: nodes can be made, and lead nowhere; nor do file systems on them.
# shellcheck disable=SC2016 # the container's shell expands
. "$(dirname "$0")/lib.sh"
need_tools

# Every number there may be. What docker lets through but the guest's console, 5:1; 0:0 is no device but the mark of a
# removed file.
harmless='c 0:0 No such device or address
c 1:3 opened
c 1:5 opened
c 1:7-9 opened
c 5:0 No such device or address
c 5:2 opened
c 136:0-31 '
everything() {
	local line
	check_status "nodes, $1" 0
	while read -r line; do
		check "nodes, $1: harmless: $line" out_has "^$line"
	done <<<"$harmless"
	check "nodes, $1: nothing else" [ "$(grep -cE '^[bc] ' "$out")" -eq "$(wc -l <<<"$harmless")" ]
	check "nodes, $1: all were tried" out_has '^tries 65[0-9]{3}$'
}
vm run --rm --entrypoint /nodes tools
everything "docker's capabilities"
vm run --rm --cap-add ALL --entrypoint /nodes tools
everything "all capabilities"

# The disk by its number, and by the nodes that the kernel makes, which CAP_SYS_ADMIN may mount.
attack='disk=$(awk "\$2 == \"virtblk\" { print \$1 }" /proc/devices)
[ -n "$disk" ] && mknod /tmp/disk b "$disk" 0 && echo "node made"
mkdir -p /tmp/mnt /tmp/dev
if mount -t erofs -o ro /tmp/disk /tmp/mnt; then
	echo "mounted by number"
	cmp /tmp/mnt/etc/passwd /etc/passwd && echo "the image"
	mount -o remount,rw /tmp/mnt && echo "mounted for writing"
	touch /tmp/mnt/file && echo "file made"
fi
dd if=/tmp/disk of=/dev/null count=1 2>/dev/null && echo "read"
dd if=/dev/zero of=/tmp/disk count=1 conv=notrunc 2>/dev/null && echo "written"
mount -t devtmpfs none /tmp/dev && echo "devtmpfs mounted"
for node in $(ls /tmp/dev); do
	case $node in null | zero | full | random | urandom | tty | ptmx) continue ;; esac
	[ -d "/tmp/dev/$node" ] && continue
	dd if="/tmp/dev/$node" of=/dev/null count=0 2>/dev/null && echo "opened $node"
	mount -t erofs -o ro "/tmp/dev/$node" /tmp/mnt 2>/dev/null && echo "mounted $node"
done
echo done'
vm run --rm --entrypoint "" tools sh -c "$attack"
check_status "the disk, docker's capabilities" 0
check "the disk: a node is made, and nothing comes of it" out_is "$(printf 'node made\ndone')"
# The kernel gives out a file system that is mounted without asking for the device: the image, which is the container's
# root anyway, for reading.
for more in "" "--security-opt=seccomp=unconfined"; do
	# shellcheck disable=SC2086 # no word, or one
	vm run --rm --cap-add SYS_ADMIN $more --entrypoint "" tools sh -c "$attack"
	check_status "the disk, CAP_SYS_ADMIN $more" 0
	check "the disk, CAP_SYS_ADMIN $more: the image can be mounted again, as it is, and no device opened" \
		out_is "$(printf 'node made\nmounted by number\nthe image\ndevtmpfs mounted\ndone')"
done
finish
