#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Full disks, read-only ones, and loads that are interrupted: an error of one line, the room given back, a store that
# still is one.
# shellcheck disable=SC2317 # functions are called by check and wait_for
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ]; then
	skip "all of it" "needs root"
	finish
fi
export MVRUN_STORE=$tmp/small
mkdir "$MVRUN_STORE"

used_kib() {
	df -k --output=used "$MVRUN_STORE" | tail -n 1
}

# ---- disk full: in a layer, at its very beginning, and with room but no more files
while read -r room image; do
	mount -t tmpfs -o "$room" none "$MVRUN_STORE"
	vm load "oci:$images/$image"
	refused "load $image, store of $room" 'no space|full'
	check "load $image, store of $room: the room is given back" [ "$(used_kib)" -lt 64 ]
	vm images
	check "images, store of $room: still a store, empty" [ "$status" -eq 0 -a "$(wc -l <"$out")" -le 1 ]
	[ "$image" != debian:gzip ] || vm load "oci:$images/tools:latest"
	[ "$image" != debian:gzip ] || check_status "a small image after the one that was too large" 0
	umount "$MVRUN_STORE"
done <<'END'
size=4m,nr_inodes=1000 debian:gzip
size=400k,nr_inodes=1000 tools:latest
size=100m,nr_inodes=12 tools:latest
END
mount -t tmpfs -o ro none "$MVRUN_STORE"
vm load "oci:$images/tools:latest"
refused "a read-only store" 'read-only'
umount "$MVRUN_STORE"

# ---- interrupted loads
empty_ingest() {
	[ -z "$(ls -A "$MVRUN_STORE/ingest" 2>/dev/null)" ]
}

# ingest_kib N: the load has written as much.
ingest_kib() {
	[ "$(du -sk "$MVRUN_STORE/ingest" 2>/dev/null | cut -f 1)0" -ge "${1}0" ]
}

# interrupted WHAT: the load in the background gets Ctrl-C now.
interrupted() {
	kill -INT "$child"
	finished
	check_status "Ctrl-C, $1" 130
	check "Ctrl-C, $1: nothing half-done" empty_ingest
	check "Ctrl-C, $1: no process" no_processes
}

for kib in 0 1 2000 20000; do
	launch load "oci:$images/debian:gzip"
	check "a load gets as far as $kib KiB" wait_for ingest_kib "$kib"
	interrupted "a load at $kib KiB"
done
# feed FILE N: N bytes of it into the pipe, which holds 64 KiB: so a reader has taken nearly all of them at the end.
feed() {
	timeout 40 head -c "$2" "$1" >&5
}

mkfifo "$tmp/pipe"
exec 5<>"$tmp/pipe"
input=$tmp/pipe launch load -
check "a load takes what a pipe has" feed "$images/tools.docker.tar" 1000000
interrupted "a load that waits for a pipe"
exec 5>&-

launch load "oci:$images/debian:gzip"
check "a load gets going" wait_for ingest_kib 2000
kill -9 "$child"
finished
check_status "SIGKILL in a load" 137
check "SIGKILL in a load: no process" no_processes
vm load "oci:$images/scratch:latest"
check_status "the next load works" 0
check "and takes away what was left" empty_ingest
vm run --rm scratch exit 4
check_status "and the store is whole" 4
finish
