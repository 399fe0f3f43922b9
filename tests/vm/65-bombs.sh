#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Bombs of a container without limits, and a flood of output, with the host's side watched while they go off: the
# monitor's memory stays within the machine's RAM and 2 MiB, its threads and descriptors stay few, mvrun's memory flat;
# and the container can still be ended, with the right status (see bomb.c).
. "$(dirname "$0")/lib.sh"
need_tools
ram_mib=128
bomb_s=3

# rss_kib PID: the resident memory of a process, private and shared, in $rss. Sampling starts no processes: the emulated
# host is slow at that, and what is looked at is soon gone.
rss_kib() {
	local key value rest
	rss=0
	while read -r key value rest; do
		[ "$key" != Rss: ] || rss=$value
	done <"/proc/$1/smaps_rollup"
}

# larger NAME VALUE: keeps the maximum in the file peak.NAME.
larger() {
	local peak=0
	[ ! -e "$tmp/peak.$1" ] || read -r peak <"$tmp/peak.$1"
	[ "$2" -le "$peak" ] || echo "$2" >"$tmp/peak.$1"
}

# watch PID VMM: follows this mvrun and its monitor until they are gone.
watch() {
	local files
	while [ -d "/proc/$1/fd" ] && [ -d "/proc/$2/fd" ]; do
		rss_kib "$1" && larger mvrun "$rss"
		rss_kib "$2" && larger vmm "$rss"
		files=("/proc/$2/task"/*) && larger threads ${#files[@]}
		files=("/proc/$2/fd"/*) && larger fds ${#files[@]}
		sleep 0.2
	done 2>"$tmp/watch"
}

# peak NAME: what watch saw.
peak() {
	cat "$tmp/peak.$1" 2>/dev/null || echo 999999999
}

# watch_begin PID: comes back when everything has been looked at once.
watch_begin() {
	local vmm
	vmm=$(pgrep -x mvrun-vmm | head -n 1)
	rm -f "$tmp"/peak.*
	watch "$1" "$vmm" &
	watcher=$!
	wait_for test -e "$tmp/peak.fds"
}

stayed_within() {
	wait "$watcher"
	echo "     $1: monitor $(peak vmm) KiB of RAM and its own, $(peak threads) threads, $(peak fds) descriptors; mvrun $(peak mvrun) KiB"
	check "$1: the monitor's memory: RAM and 2 MiB" [ "$(peak vmm)" -le $(((ram_mib + 2) * 1024)) ]
	check "$1: the monitor's threads" [ "$(peak threads)" -le "$threads_max" ]
	check "$1: the monitor's descriptors" [ "$(peak fds)" -le "$fds_max" ]
	check "$1: mvrun's memory" [ "$(peak mvrun)" -le "$mvrun_max_kib" ]
}

# What a container that does nothing takes is what one that does everything may take: besides memory of the guest.
threads_max=1000 fds_max=1000 mvrun_max_kib=1000000
launch run --rm -m ${ram_mib}m --entrypoint "" tools sh -c 'trap "exit 7" TERM; echo ticking; while :; do sleep 1; done'
check "a container that waits" wait_for out_has '^ticking$'
watch_begin "$child"
sleep 1
kill -TERM "$child"
finished
check_status "a container that waits" 7
stayed_within "a container that waits"
check "a container that waits: no process is left" no_processes
threads_max=$(peak threads) fds_max=$(peak fds) mvrun_max_kib=$(($(peak mvrun) + 256))

for kind in cpu fork memory fds files; do
	launch run --rm -m ${ram_mib}m --entrypoint /bomb tools $kind
	check "$kind bomb: it ticks" wait_for out_has '^ticking$'
	watch_begin "$child"
	sleep $bomb_s
	check "$kind bomb: still there after $bomb_s s" kill -0 "$child"
	kill -TERM "$child"
	finished
	check_status "$kind bomb: ends at SIGTERM" 7
	check "$kind bomb: at most a warning about memory" [ -z "$(grep -v '^mvrun: warning: .* ran out of memory' "$err")" ]
	stayed_within "$kind bomb"
	check "$kind bomb: no process is left" no_processes
done

vm run --rm -m ${ram_mib}m --entrypoint /bomb tools hog
check_status "a first process that takes all memory is killed for it" 137
check "no VM is left" no_processes

# 256 MiB of output, and a reader that takes none, then some, then all.
mkfifo "$tmp/flood"
{
	sleep 3
	head -c 1000000 | wc -c
	sleep 2
	wc -c
} <"$tmp/flood" >"$tmp/read" &
reader=$!
env --default-signal=INT,QUIT,HUP mvrun run --rm -m ${ram_mib}m tools dd if=/dev/zero bs=64k count=4096 </dev/null \
	>"$tmp/flood" 2>"$err" &
child=$! last="run dd, slow reader"
wait_for is_mvrun "$child"
sleep 1
watch_begin "$child"
status=0
wait "$child" || status=$?
wait "$reader"
check_status "256 MiB to a slow reader" 0
check "256 MiB to a slow reader: every byte" [ "$(awk '{ n += $1 } END { print n }' "$tmp/read")" -eq $((256 << 20)) ]
stayed_within "256 MiB to a slow reader"
finish
