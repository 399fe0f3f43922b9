#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Many containers, one after another and at once; names; what dies how; and nothing is left behind.
# shellcheck disable=SC2016,SC2317 # the container's shell expands; functions are called by check
. "$(dirname "$0")/lib.sh"
need_tools
vm run --rm tools true # what the first run makes for good, such as the state directory, is there now
remember

# ---- 50 one after another
right=0
for ((i = 0; i < 50; i++)); do
	vm run --rm tools sh -c 'echo "$1"; exit "$1"' sh "$i"
	if [ "$status" -eq "$i" ] && out_is "$i" && err_is_empty; then
		right=$((right + 1))
	else
		show_last
	fi
done
check "50 containers one after another" [ "$right" -eq 50 ]
nothing_left "50 one after another"

# ---- 8 at once
pids=()
for ((i = 0; i < 8; i++)); do
	limited 120 mvrun run --rm --name "at-once-$i" -m 64m tools sh -c 'sleep 3; echo "$1"; exit "$1"' sh "$i" \
		>"$tmp/out$i" 2>"$tmp/err$i" </dev/null &
	pids+=($!)
done
right=0
for ((i = 0; i < 8; i++)); do
	status=0
	wait "${pids[i]}" || status=$?
	if [ "$status" -eq "$i" ] && [ "$(cat "$tmp/out$i")" = "$i" ]; then
		right=$((right + 1))
	else
		echo "    container $i of 8: status $status, $(head -c 300 "$tmp/err$i")"
	fi
done
check "8 containers at once" [ "$right" -eq 8 ]
nothing_left "8 at once"

# ---- names
limited 60 mvrun run --rm --name taken tools sh -c 'echo ready; sleep 100' >"$tmp/ready" 2>&1 </dev/null &
holder=$!
check "a named container runs" wait_for grep -q ready "$tmp/ready"
vm run --rm --name taken tools true
refused "a name in use" 'taken.*in use|in use.*taken'
for name in ../x a/b '' -x "$(printf 'n%.0s' {1..300})"; do
	vm run --rm --name="$name" tools true
	check_status "the name '${name:0:10}' is refused" 125
done
vm rmi tools
check "an image in use is not removed" [ "$status" -ne 0 ]
check "and the error says why" err_has 'use'
has_image tools || need_tools

# ---- deaths
vmm=$(pgrep -x mvrun-vmm | head -n 1)
check "there is one VMM" [ "$(pgrep -cx mvrun-vmm)" -eq 1 ]
kill -9 "${vmm:-0}" 2>/dev/null
status=0
wait "$holder" || status=$?
check "SIGKILL of the VMM: mvrun ends with an error" [ "$status" -eq 125 -o "$status" -eq 137 ]
nothing_left "SIGKILL of the VMM"
vm run --rm --name taken tools echo again
check "the name is free again" out_is again

launch run --rm --name taken tools sh -c 'echo ready; sleep 100'
check "another named container runs" wait_for out_has ready
kill -9 "$child"
finished
check "SIGKILL of mvrun leaves no VM" no_processes
vm run --rm --name taken tools echo again
check "and the name is free again" out_is again
nothing_left "SIGKILL of mvrun"

# ---- Ctrl-C at 20 moments of a life, on a terminal-less run and below --init
leftover=0
for ((i = 0; i < 20; i++)); do
	launch run --rm --init --name victim tools sleep 100
	sleep "$(printf '0.%03d' $((i * i * 2)))"
	[ $((i % 4)) -ne 3 ] || sleep 1.5
	kill -INT "$child"
	finished
	last="run --init sleep 100, Ctrl-C number $i"
	[ "$status" -eq 130 ] || { leftover=$((leftover + 1)) && show_last; }
done
check "Ctrl-C at 20 moments: status 130 each time" [ "$leftover" -eq 0 ]
nothing_left "Ctrl-C at 20 moments"
vm run --rm --name victim tools echo fine
check "and everything still works" out_is fine
finish
