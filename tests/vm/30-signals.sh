#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Signals sent to mvrun reach the container's process; the status says how it ended.
# shellcheck disable=SC2016,SC2317 # the container's shell expands; functions are called by check
. "$(dirname "$0")/lib.sh"
need_tools

# start ARG...: mvrun in the background, until its output has "ready". bash starts background jobs with SIGINT ignored.
start() {
	last=${*@Q}
	: >"$out"
	: >"$err"
	env --default-signal=INT,QUIT,HUP mvrun "$@" </dev/null >"$out" 2>"$err" &
	child=$!
	local i
	for ((i = 0; i < 400; i++)); do
		! grep -q ready "$out" || return 0
		sleep 0.1
	done
	return 1
}

# finished: waits for it; then $status. A watchdog ends what does not end.
finished() {
	(sleep 30 && kill -9 "$child") 2>/dev/null &
	local dog=$!
	status=0
	wait "$child" 2>/dev/null || status=$?
	pkill -P "$dog"
	kill "$dog" 2>/dev/null
	wait "$dog" 2>/dev/null
}

for pair in INT:130 TERM:143 HUP:129 QUIT:131; do
	start run --rm --init tools sh -c 'echo ready; exec sleep 100'
	kill -s "${pair%:*}" "$child"
	finished
	check_status "SIG${pair%:*} ends a process that does not handle it, below --init" "${pair#*:}"
done

handler='for s in INT TERM HUP QUIT USR1 USR2; do trap "echo got $s" $s; done
trap "echo got WINCH" WINCH; trap "echo bye; exit 9" ALRM; echo ready; while :; do sleep 0.1; done'
start run --rm tools sh -c "$handler"
for name in TERM HUP QUIT USR1 USR2 INT; do
	kill -s "$name" "$child"
	for ((i = 0; i < 100; i++)); do
		! grep -q "got $name" "$out" || break
		sleep 0.1
	done
	check "SIG$name reaches a handler" out_has "^got $name\$"
done
kill -s ALRM "$child"
finished
check_status "SIGALRM reaches a handler, its status counts" 9
check "and what it printed" out_has '^bye$'

start run --rm tools sh -c 'echo ready; exec sleep 100'
kill -s TERM "$child"
sleep 1
check "PID 1 without a handler ignores SIGTERM, as in docker" kill -0 "$child"
kill -s KILL "$child"
finished
check_status "SIGKILL of mvrun" 137
check "SIGKILL of mvrun: its VM ends too" no_processes

# A signal before the container runs ends everything at once.
env --default-signal=INT,QUIT mvrun run --rm tools sh -c 'trap "" TERM; echo ready; sleep 100' >"$out" 2>"$err" </dev/null &
child=$!
sleep 0.05
kill -s TERM "$child"
finished
check "SIGTERM during the start" [ "$status" -eq 143 -o "$status" -eq 137 ]
check "SIGTERM during the start: nothing stays" no_processes
finish
