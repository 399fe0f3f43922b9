#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# -t on a real pseudo-terminal (see pty): raw while it runs, resized, given back as it was.
# shellcheck disable=SC2016,SC2317 # the container's shell expands; functions are called by check
. "$(dirname "$0")/lib.sh"
need_tools

# session WHAT STEP... -- COMMAND...
session() {
	local what=$1
	shift
	last="pty $what"
	status=0
	limited "$limit" "$here/pty" "$@" >"$out" 2>"$err" </dev/null || status=$?
	check "$what" [ "$status" -eq 0 ]
}

session "a shell on a terminal" --size 30x90 \
	'expect:/ # ' raw 'send:tty; stty size\r' 'expect:/dev/(pts/0|console)' 'expect:30 90' \
	'resize:40x100' 'send:sleep 1; stty size\r' 'expect:\n40 100' \
	'send:exit 7\r' status:7 cooked -- mvrun run --rm -it tools sh
session "Ctrl-C is a byte for the container's terminal" \
	'expect:/ # ' 'send:sleep 100\r' 'expect:sleep 100' 'pause:1' 'send:\x03' 'expect:/ # ' 'send:echo al""ive\r' 'expect:alive' \
	'send:\x04' status:0 cooked -- mvrun run --rm -it tools sh
session "output newlines are made once, in the container's terminal" \
	'expect:^a\r\nb\r\n$' status:0 cooked -- mvrun run --rm -it tools printf 'a\nb\n'
session "TERM is set" 'expect:term=xterm' status:0 -- mvrun run --rm -t tools sh -c 'echo term=$TERM'
session "SIGTERM gives the terminal back" \
	'expect:ready' raw 'kill:TERM' status:143 cooked -- mvrun run --rm --init -it tools sh -c 'echo ready; exec sleep 100'
session "a failure gives the terminal back" 'expect:mvrun: ' status:127 cooked -- mvrun run --rm -it tools nope
session "a closed terminal ends it" 'expect:ready' hangup gone -- mvrun run --rm --init -it tools sh -c 'echo ready; exec sleep 100'
check "nothing stays after a hangup" no_processes
session "a closed terminal ends a shell that ignores SIGHUP" 'expect:/ # ' hangup gone -- mvrun run --rm -it tools sh
check "nothing stays after that hangup" no_processes
session "without -t Ctrl-C is a signal" \
	'expect:ready' 'send:\x03' status:130 -- mvrun run --rm --init tools sh -c 'echo ready; exec sleep 100'
session "Ctrl-C three times ends what ignores it" \
	'expect:ready' 'send:\x03' 'pause:0.3' 'send:\x03' 'pause:0.3' 'send:\x03' exited \
	-- mvrun run --rm tools sh -c 'trap "" INT; echo ready; sleep 100'
check "nothing stays after three" no_processes
vm run --rm -it tools true
refused "-t without a terminal" "not a (tty|terminal)"
finish
