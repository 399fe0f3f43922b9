#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The jail of the machine monitor, seen from outside: what /proc says of mvrun-vmm while a guest runs, started by root and
# by somebody else; hosts that cannot make it; monitors that die.
# shellcheck disable=SC2016 # other shells expand
. "$(dirname "$0")/lib.sh"
need_tools
if [ "$(id -u)" != 0 ]; then
	skip "all of it" "needs root"
	finish
fi
remember

# The monitor that is a child of the last launched mvrun, as $monitor.
find_monitor() {
	monitor=$(pgrep -x mvrun-vmm | head -n 1)
	[ -n "$monitor" ] && grep -q '^Seccomp_filters:	[2-9]' "/proc/$monitor/status"
}

status_is() {
	grep -qE "^$1:[[:space:]]*$2\$" "/proc/$monitor/status"
}

every_thread_filtered() {
	local task
	for task in /proc/"$monitor"/task/*/status; do
		grep -q '^Seccomp:	2$' "$task" && grep -q '^Seccomp_filters:	[2-9]$' "$task" && grep -q '^NoNewPrivs:	1$' "$task" ||
			return 1
	done
}

limit_is() {
	grep -qE "^Max $1 +$2 +$2 " "/proc/$monitor/limits"
}

# Descriptors are what vmm/machine.h says and what was made of them: nothing has a name but parts of the image.
descriptors_are_few() {
	local fd n=0 target
	for fd in /proc/"$monitor"/fd/*; do
		target=$(readlink "$fd") || continue
		n=$((n + 1))
		case $target in
		/dev/null | anon_inode:* | socket:* | */images/*/meta.erofs | */layers/*) ;;
		*)
			echo "unexpected: $target"
			return 1
			;;
		esac
	done
	[ "$n" -le "$(awk '/^Max open files/ { print $4 }' "/proc/$monitor/limits")" ] && [ "$n" -gt 10 ]
}

# jailed WHO: what holds for every monitor.
jailed() {
	local who=$1 ns
	for ns in mnt pid net ipc uts; do
		check "$who: a $ns namespace of its own" [ "$(readlink "/proc/$monitor/ns/$ns")" != "$(readlink "/proc/self/ns/$ns")" ]
	done
	check "$who: first in its pid namespace" status_is NSpid "$monitor	1"
	check "$who: its root is empty" [ -z "$(ls -A "/proc/$monitor/root/")" ]
	check "$who: its root is read-only" grep -q ' / / ro,nosuid,nodev,noexec' "/proc/$monitor/mountinfo"
	check "$who: nothing else is mounted" [ "$(wc -l <"/proc/$monitor/mountinfo")" = 1 ]
	check "$who: no network device is up" [ "$(nsenter -n -t "$monitor" ip -br link 2>/dev/null | grep -vc '^lo .*DOWN')" = 0 ]
	for set in Inh Prm Eff Bnd Amb; do
		check "$who: no capability in Cap$set" status_is "Cap$set" 0000000000000000
	done
	check "$who: no new privileges" status_is NoNewPrivs 1
	check "$who: seccomp on every thread" every_thread_filtered
	check "$who: no core" limit_is "core file size" 0
	check "$who: no file may grow" limit_is "file size" 0
	check "$who: no memory may be locked" limit_is "locked memory" 0
	check "$who: no more threads than it needs" limit_is processes 10
	check "$who: few descriptors" descriptors_are_few
	check "$who: no environment" [ ! -s "/proc/$monitor/environ" ]
}

# inspect_says NAME EXPRESSION [COMMAND...]: in Python, of the container c and its jail j.
inspect_says() {
	local name=$1 expression=$2
	shift 2
	"$@" mvrun inspect "$name" >"$tmp/inspect" 2>&1
	check "inspect $name: $expression" python3 -c \
		"import json, sys; c = json.load(open(sys.argv[1]))[0]; j = c['Jail']; sys.exit(not ($expression))" "$tmp/inspect"
}

# ---- started by root

launch run --name jailed tools sleep 1000
check "root: the monitor runs" wait_for find_monitor
jailed root
inspect_says jailed 'not j["Degraded"] and not set(j["Missing"]) - {"cgroup"} and "own-uid" in j["Parts"] and "landlock" in j["Parts"]'
inspect_says jailed 'j["SeccompMode"] == 2 and j["NoNewPrivileges"] and j["Capabilities"] == 0 and j["Uid"] >= 2000000000'
inspect_says jailed 'c["State"]["Status"] == "running" and len(c["Id"]) == 64 and c["Name"] == "jailed"'
uid=$(awk '/^Uid:/ { print $2 }' "/proc/$monitor/status")
check "root: a user of its own" [ "$uid" -ge 2000000000 ]
check "root: all of it" status_is Uid "$uid	$uid	$uid	$uid"
# Who is not dumpable belongs to user 0 of its user namespace.
check "root: not dumpable" [ "$(stat -c %u "/proc/$monitor/fd")" = 0 ]
check "root: no groups" status_is Groups " *"
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
	cgroup=/sys/fs/cgroup$(cut -d : -f 3 "/proc/$monitor/cgroup")
	check "root: a cgroup of its own" [ "$(basename "$cgroup" | cut -c 1-6)" = mvrun- ]
	check "root: memory is limited" [ "$(cat "$cgroup/memory.max")" = $(((512 + 512 / 64 + 32) << 20)) ]
	check "root: threads are limited" [ "$(cat "$cgroup/pids.max")" = 10 ]
	check "root: time is limited" [ "$(cat "$cgroup/cpu.max")" = "200000 100000" ]
fi
kill -9 "$child"
wait "$child" 2>/dev/null
vm inspect jailed
refused "inspect of what was killed" 'no such container'
check "root: mvrun is killed: the monitor dies" no_processes

# A killed mvrun leaves its name and its machine's cgroup to the next one.
launch run --name jailed tools sleep 1000
check "a second monitor runs" wait_for find_monitor
kill -9 "$monitor"
finished
check_status "the monitor is killed" 137
check "the monitor is killed: one line" err_is_one_line
check "the monitor is killed: says so" err_has 'monitor was killed by signal 9'
nothing_left "monitors and mvrun killed"

# ---- started by somebody else

chmod 755 "$tmp"
install -d -o 65534 -g 65534 "$tmp/user"
cp -a "$images/tools" "$tmp/tools"
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups env "MVRUN_STORE=$tmp/user/store" "MVRUN_STATE=$tmp/user/state" HOME=/nonexistent)
"${nobody[@]}" mvrun load -q --name mine "oci:$tmp/tools:latest" >/dev/null
mode=$(stat -c %a /dev/kvm)
chmod 666 /dev/kvm
"${nobody[@]}" mvrun run mine sleep 1000 </dev/null >"$out" 2>"$err" &
child=$!
check "nobody: the monitor runs" wait_for find_monitor
jailed nobody
check "nobody: a user namespace" [ "$(readlink "/proc/$monitor/ns/user")" != "$(readlink /proc/self/ns/user)" ]
check "nobody: one user in it" grep -qE '^ +0 +65534 +1$' "/proc/$monitor/uid_map"
kill -9 "$(pgrep -x mvrun)"
wait "$child" 2>/dev/null
check "nobody: mvrun is killed: the monitor dies" no_processes

# ---- hosts that cannot

most=$(cat /proc/sys/user/max_user_namespaces)
echo 0 >/proc/sys/user/max_user_namespaces
limited 60 "${nobody[@]}" mvrun run mine true </dev/null >"$out" 2>"$err"
status=$? last="run without user namespaces"
refused "no user namespaces" 'namespaces.*--degraded'
limited 60 "${nobody[@]}" mvrun run --degraded --name weak mine sh -c 'sleep 3; echo ran' </dev/null >"$out" 2>"$err" &
child=$!
check "--degraded: the monitor runs" wait_for find_monitor
check "--degraded: no capability" status_is CapEff 0000000000000000
check "--degraded: seccomp on every thread" every_thread_filtered
inspect_says weak 'j["Degraded"] and j["Missing"][:2] == ["namespaces", "user-namespace"] and "landlock" in j["Parts"]' "${nobody[@]}"
finished
check_status "--degraded runs" 0
check "--degraded: the container's output" out_is ran
check "--degraded says what is missing" err_has 'lacks: namespaces'
check "--degraded: one line" err_is_one_line
echo "$most" >/proc/sys/user/max_user_namespaces
chmod "$mode" /dev/kvm
vm run --rm tools true
check_status "the next start" 0
nothing_left "all of it"
finish
