#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A supervision tree as PID 1: s6-svscan with two services comes up, restarts what dies and goes down on SIGTERM.
# shellcheck disable=SC2016,SC2317 # the container's shell expands; functions are called by check
. "$(dirname "$0")/lib.sh"
limit=120
need_image debian "oci:$images/debian:gzip"
need_image debian-s6 "oci:$images/debian:s6"

# out_has_times PATTERN COUNT
out_has_times() {
	[ "$(grep -cE "$1" "$out")" -ge "$2" ]
}

launch run --rm --name s6 debian-s6
check "both services come up" wait_for out_has_times '^service (one|two) up' 2
kill -s HUP "$child"
sleep 1
check "SIGHUP rescans and changes nothing" kill -0 "$child"
kill -s TERM "$child"
finished
check_status "SIGTERM ends the tree" 0
check "every service was stopped" wait_for out_has_times '^service (one|two) down$' 2
check "the tree said goodbye" out_has '^tree down$'
check "nothing stays" no_processes

vm run --rm --entrypoint "" debian-s6 sh -c 's6-svscan /svc & tree=$!; sleep 2; s6-svc -k /svc/one; sleep 3
kill -TERM $tree; wait $tree; echo ended with $?'
check "a service that dies comes back" out_has_times '^service one up' 2
check "and the shell sees the end" out_has '^ended with 0$'
finish
