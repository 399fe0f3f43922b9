# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the groups of black-box tests share. A group sources this file, makes its checks and ends with `finish`.
#
#   vm ARG...               runs `mvrun ARG...` with a time limit and no input; then $status, $seconds, and the files
#                           $out and $err say what came of it
#   check WHAT COMMAND...   one check: COMMAND must succeed. Prints nothing then (V=1: a line), else what `vm` saw last
#   check_status WHAT N     the last `vm` ended with N
#   launch ARG..., finished the same in the background, for signals
#   skip WHAT WHY           says that something cannot be checked here; does not count
#
# The groups share an image store and a state directory (see run), and what must not be left behind is compared with
# `remember` and `nothing_left`.
set -uo pipefail
umask 022

group=$(basename "$0" .sh)
# shellcheck disable=SC2034 # the groups use it
here=$(dirname "$(readlink -f "$0")")
images=${MVRUN_TEST_IMAGES:?the folder that tests/images/build prints}
limit=${MVRUN_TEST_LIMIT_S:-60}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mvrun-$group.XXXXXX")
out=$tmp/out
err=$tmp/err
passed=0
failed=0
status=0
last="nothing"
runs=0
shown=""
: >"$out"
: >"$err"
trap 'rm -rf "$tmp"' EXIT
export MVRUN_STATE=${MVRUN_STATE:-$tmp/state}

# Once per run, however many checks of it fail.
show_last() {
	[ "$last-$runs" != "$shown" ] || return 0
	shown=$last-$runs
	printf '    last: mvrun %.300s -> %s after %s s\n' "${last//$'\n'/ }" "$status" "${seconds:-0}"
	head -c 2000 "$out" | tail -n 12 | cat -v | sed 's/^/    out: /'
	head -c 2000 "$err" | tail -n 12 | cat -v | sed 's/^/    err: /'
}

# limited SECONDS COMMAND...: as timeout(1), and not in the way of signals.
limited() {
	timeout --kill-after=5 "$@"
}

# Whoever watches an emulated host from outside sees that it is alive.
pulse() {
	[ -z "${MVRUN_TEST_PULSE:-}" ] || printf . >>"$MVRUN_TEST_PULSE"
}

vm() {
	local start=$SECONDS
	pulse
	runs=$((runs + 1))
	last=${*@Q}
	status=0
	limited "$limit" mvrun "$@" </dev/null >"$out" 2>"$err" || status=$?
	seconds=$((SECONDS - start))
}

# launch ARG...: mvrun in the background, as $child, with the signals a terminal gives it (bash starts background jobs
# with SIGINT ignored) and $input, if set, as its standard input. Comes back when it runs: the shell and env, which it
# is at first, may lose a signal.
launch() {
	pulse
	runs=$((runs + 1))
	last=${*@Q}
	status=0
	env --default-signal=INT,QUIT,HUP mvrun "$@" <"${input:-/dev/null}" >"$out" 2>"$err" &
	child=$!
	wait_for is_mvrun "$child"
}

is_mvrun() {
	local comm
	[ -e "/proc/$1/exe" ] || return 0
	read -r comm <"/proc/$1/comm" && [[ $comm == mvrun* ]]
}

# finished: waits for what launch started; its $status. What does not end by itself within 30 seconds is killed.
finished() {
	(sleep 30 && kill -9 "$child") 2>/dev/null &
	local dog=$!
	status=0
	wait "$child" 2>/dev/null || status=$?
	pkill -P "$dog"
	kill "$dog" 2>/dev/null
	wait "$dog" 2>/dev/null
}

pass() {
	passed=$((passed + 1))
	[ -z "${V:-}" ] || printf 'ok   %s: %s  (at %d s)\n' "$group" "$1" "$SECONDS"
}

check() {
	local what=$1
	shift
	if "$@"; then
		pass "$what"
	else
		failed=$((failed + 1))
		printf 'FAIL %s: %s  (%.200s)\n' "$group" "$what" "$(printf '%q ' "$@")"
		show_last
	fi
}

check_status() {
	check "$1: status $2" [ "$status" -eq "$2" ]
}

skip() {
	echo "skip $group: $1: $2"
}

finish() {
	echo "$group: $passed passed, $failed failed"
	[ "$failed" -eq 0 ]
	exit
}

# ---- what checks say about the last `vm`; without processes of their own where that is easy, since each one costs
# ---- an emulated machine milliseconds

# text_of FILE: its text, without newlines at the end, in $text.
text_of() {
	IFS= read -r -d '' text <"$1" || true
	while [[ $text == *$'\n' ]]; do
		text=${text%$'\n'}
	done
}

out_is() {
	local text
	text_of "$out"
	[ "$text" = "$1" ]
}

out_has() {
	grep -qE -- "$1" "$out"
}

out_lacks() {
	! grep -qE -- "$1" "$out"
}

err_is_empty() {
	[ ! -s "$err" ]
}

# err_has REGEX, in any case of letters
err_has() {
	local text
	text_of "$err"
	shopt -s nocasematch
	[[ $text =~ $1 ]]
	local result=$?
	shopt -u nocasematch
	return $result
}

# An error for a person: one line, from mvrun, without control characters.
err_is_one_line() {
	local text
	text_of "$err"
	[[ $text == "mvrun: "* && ! $text =~ [[:cntrl:]] ]]
}

# refused WHAT PATTERN [STATUS]: the last `vm` was refused with one line that matches PATTERN.
refused() {
	check_status "$1" "${3:-125}"
	check "$1: one line of error" err_is_one_line
	check "$1: the error says what" err_has "$2"
	check "$1: nothing on stdout" out_is ""
}

# wait_for COMMAND...: until it succeeds, up to 40 seconds.
wait_for() {
	local i
	for ((i = 0; i < 800; i++)); do
		! "$@" || return 0
		sleep 0.05
	done
	return 1
}

# ---- what is left behind

processes() {
	pgrep -a '^mvrun' || true
}

# Waits up to five seconds until no process of ours is left.
no_processes() {
	local i
	for ((i = 0; i < 50; i++)); do
		[ -n "$(processes)" ] || return 0
		sleep 0.1
	done
	processes
	return 1
}

vms_in_kernel() {
	local module
	for module in kvm_intel kvm_amd kvm; do
		if [ -r "/sys/module/$module/refcnt" ]; then
			cat "/sys/module/$module/refcnt"
			return
		fi
	done
}

world() {
	echo "processes: $(processes)"
	echo "state: $(find "$MVRUN_STATE" -mindepth 2 2>/dev/null | sort)"
	echo "ingest: $(find "${MVRUN_STORE:-/var/lib/mvrun}/ingest" -mindepth 1 2>/dev/null | sort)"
	echo "mounts: $(cut -d ' ' -f 3- /proc/self/mountinfo | sort)"
	echo "cgroups: $(find /sys/fs/cgroup -type d | sort)"
	echo "shm: $(ls -A /dev/shm)"
	echo "uses of kvm: $(vms_in_kernel)"
	echo "net: $(ls /sys/class/net)"
	echo "tmp: $(find /tmp /var/tmp -maxdepth 1 ! -path "$tmp" ! -name 'mvrun-*' | sort)"
}

remember() {
	world >"$tmp/before"
}

nothing_left() {
	check "$1: no process is left" no_processes
	world >"$tmp/after"
	check "$1: nothing is left behind" diff "$tmp/before" "$tmp/after"
}

# ---- images

# has_image NAME: the store has NAME, a repository with or without tag.
has_image() {
	local name=${1%:*} tag=latest
	[[ $1 != *:* ]] || tag=${1##*:}
	mvrun images 2>/dev/null | awk -v n="$name" -v t="$tag" '$1 == n && $2 == t { found = 1 } END { exit !found }'
}

# need_image NAME SOURCE: loads the image unless the store has it; the group ends if that fails.
need_image() {
	has_image "$1" && return
	limited 240 mvrun load --quiet --name "$1" "$2" >"$out" 2>"$err" </dev/null || status=$?
	has_image "$1" && return
	last="load --name $1 $2"
	check "load $1" false
	finish
}

need_tools() {
	need_image tools "oci:$images/tools:latest"
}
