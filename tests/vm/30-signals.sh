#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Signals sent to mvrun reach the container's process; the status says how it ended.
# shellcheck disable=SC2016,SC2317 # the container's shell expands; functions are called by check
. "$(dirname "$0")/lib.sh"
need_tools

# start ARG...: launches it and waits until its output has "ready".
start() {
	launch "$@"
	wait_for out_has ready
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
	check "SIG$name reaches a handler" wait_for out_has "^got $name\$"
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
launch run --rm tools sh -c 'trap "" TERM; echo ready; sleep 100'
kill -s TERM "$child"
finished
check_status "SIGTERM during the start" 143
check "SIGTERM during the start: nothing stays" no_processes
finish
