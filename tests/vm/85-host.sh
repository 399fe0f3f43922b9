#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Hosts that lack something: /dev/kvm, permission, disk space, root; and work on images that is interrupted.
# shellcheck disable=SC2016,SC2317 # other shells expand; functions are called by check
. "$(dirname "$0")/lib.sh"
need_tools
if [ "$(id -u)" != 0 ]; then
	skip "all of it" "needs root"
	finish
fi
shared_store=$MVRUN_STORE

vm doctor
check_status "doctor on a host that can" 0
vm doctor --json
check_status "doctor --json" 0
check "doctor --json is JSON" python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$out"

# with_dev KIND COMMAND...: with a /dev of its own, whose kvm is missing, a null device, a file, or root's alone.
with_dev() {
	local kind=$1
	shift
	limited 60 unshare -m --propagation private sh -c '
		dev=$1 kind=$2
		shift 2
		mkdir -p "$dev"
		mount -t tmpfs none "$dev"
		cp -a /dev/null /dev/zero /dev/urandom /dev/random /dev/full "$dev"
		case $kind in
		null) mknod -m 666 "$dev/kvm" c 1 3 ;;
		file) : >"$dev/kvm" && chmod 666 "$dev/kvm" ;;
		root) mknod -m 600 "$dev/kvm" c 10 232 ;;
		all) mknod -m 666 "$dev/kvm" c 10 232 ;;
		esac
		mount --bind "$dev" /dev
		exec "$@"' sh "$tmp/dev" "$kind" "$@" >"$out" 2>"$err" </dev/null
	status=$? last="(with_dev $kind) ${*@Q}"
}

for kind in missing null file; do
	with_dev "$kind" mvrun run --rm tools true
	refused "run, /dev/kvm: $kind" 'kvm'
	with_dev "$kind" mvrun doctor
	check_status "doctor, /dev/kvm: $kind" 1
	check "doctor, /dev/kvm: $kind: names it" out_has '/dev/kvm'
done

# Without root, with a store and a state directory that are one's own.
chmod 755 "$tmp"
cp -a "$shared_store" "$tmp/store"
mkdir -p "$tmp/user-state"
chown -R 65534:65534 "$tmp/store" "$tmp/user-state"
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups env "MVRUN_STORE=$tmp/store" "MVRUN_STATE=$tmp/user-state" HOME=/nonexistent)
with_dev root "${nobody[@]}" mvrun run --rm tools true
refused "run without permission for /dev/kvm" 'permission|access|kvm'
with_dev all "${nobody[@]}" mvrun run --rm tools sh -c 'id -u; hostname x 2>/dev/null; echo done'
check_status "run without root" 0
check "run without root: root inside" out_is "$(printf '0\ndone')"
cp -a "$images/tools" "$tmp/tools"
with_dev all "${nobody[@]}" mvrun load --name mine "oci:$tmp/tools:latest"
check_status "load without root" 0
with_dev all setpriv --reuid 65534 --regid 65534 --clear-groups env -u MVRUN_STORE -u MVRUN_STATE HOME=/nonexistent \
	XDG_RUNTIME_DIR= mvrun run --rm tools true
refused "neither a store nor a home" .
rm -rf "$tmp/store" "$tmp/tools"

# ---- disk full: a store of a few MiB, and one of a few files
export MVRUN_STORE=$tmp/small
mkdir "$MVRUN_STORE"
for room in size=4m,nr_inodes=1000 size=400k,nr_inodes=1000 size=100m,nr_inodes=12; do
	mount -t tmpfs -o "$room" none "$MVRUN_STORE"
	vm load "oci:$images/debian:gzip"
	refused "load, store of $room" 'no space|full'
	check "load, store of $room: the room is given back" [ "$(df -k --output=used "$MVRUN_STORE" | tail -n 1)" -lt 64 ]
	vm images
	check "images, store of $room: still a store, empty" [ "$status" -eq 0 -a "$(wc -l <"$out")" -le 1 ]
	umount "$MVRUN_STORE"
done
mount -t tmpfs -o size=16m none "$MVRUN_STORE"
vm load "oci:$images/debian:gzip"
check_status "load a large image into 16 MiB" 125
vm load "oci:$images/tools:latest"
check_status "and a small one after it" 0
umount "$MVRUN_STORE"
mount -t tmpfs -o ro none "$MVRUN_STORE"
vm load "oci:$images/tools:latest"
refused "a read-only store" 'read-only'
umount "$MVRUN_STORE"
vm load "oci:$images/tools:latest"
check_status "a store made anew" 0

# ---- interrupted loads
empty_ingest() {
	[ -z "$(ls -A "$MVRUN_STORE/ingest" 2>/dev/null)" ]
}
statuses=''
for delay in 0 0.1 0.3 0.7 1.2; do
	rm -rf "$MVRUN_STORE"
	launch load "oci:$images/debian:gzip"
	sleep "$delay"
	kill -INT "$child"
	finished
	statuses="$statuses $status"
	check "Ctrl-C in a load after $delay s: nothing half-done" empty_ingest
	check "Ctrl-C in a load after $delay s: no process" no_processes
done
check "Ctrl-C in a load: 130 each time ($statuses )" [ "$statuses" = " 130 130 130 130 130" ]
launch load "oci:$images/debian:gzip"
sleep 0.7
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
