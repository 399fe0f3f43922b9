#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# stdin, stdout and stderr: separate, binary-safe, unbounded in length, and nobody waits for somebody who went away.
# shellcheck disable=SC2016,SC2317 # the container's shell expands; functions are called by check
. "$(dirname "$0")/lib.sh"
need_tools

big=$tmp/big
head -c $((64 << 20)) /dev/urandom >"$big"
start=$SECONDS
limited "$limit" mvrun run --rm -i tools cat <"$big" >"$out" 2>"$err"
status=$? last="run -i tools cat <64 MiB" seconds=$((SECONDS - start))
check_status "64 MiB from a file through cat" 0
check "64 MiB come back unharmed" cmp -s "$big" "$out"
: >"$out"

want=$(sha256sum <"$big")
# shellcheck disable=SC2002 # a pipe is the point
got=$(cat "$big" | limited "$limit" mvrun run --rm -i tools sh -c 'cat; echo done >&2' 2>"$err" | sha256sum)
check "64 MiB from a pipe to a pipe" [ "$got" = "$want" ]
check "stderr beside it" [ "$(cat "$err")" = "done" ]

vm run --rm tools sh -c 'echo to-out; echo to-err >&2; printf "\0\1\377\r\n\033"'
check "stdout alone" [ "$(od -An -tx1 <"$out" | tr -d ' \n')" = 746f2d6f75740a0001ff0d0a1b ]
check "stderr alone" [ "$(cat "$err")" = to-err ]

# Ends of streams.
start=$SECONDS
limited "$limit" mvrun run --rm tools yes 2>"$err" | head -n 3 >"$out"
check "yes | head: what head wants" out_is "$(printf 'y\ny\ny')"
check "yes | head ends" [ $((SECONDS - start)) -lt 30 ]
check "yes | head: nothing stays" no_processes
limited "$limit" mvrun run --rm tools sh -c 'echo to-out; echo to-err >&2; exit 4' >&- 2>"$err"
status=$? last="run ... >&-"
check_status "closed stdout" 4
check "closed stdout: stderr still works" grep -qx to-err "$err"
limited "$limit" mvrun run --rm -i tools sh -c 'cat; echo end' <&- >"$out" 2>"$err"
status=$? last="run -i ... <&-"
check_status "closed stdin" 0
check "closed stdin is an end of file" out_is end
vm run --rm -i tools sh -c 'cat | wc -c'
check "-i with /dev/null" out_is 0
# shellcheck disable=SC2216 # sleep holds the pipe open
sleep 30 | limited "$limit" mvrun run --rm tools sh -c 'cat; echo no stdin' >"$out" 2>"$err" &
pipeline=$!
check "without -i stdin is empty" wait_for out_is "no stdin"
pkill -P $$ -x sleep
wait "$pipeline"
sleep 60 | limited "$limit" mvrun run --rm -i tools sh -c 'head -c 0; exit 5' >"$out" 2>"$err" &
pipeline=$!
start=$SECONDS
check "a container that ends does not wait for stdin" wait_for no_processes
check "it ended soon" [ $((SECONDS - start)) -lt 20 ]
pkill -P $$ -x sleep
wait "$pipeline"
check "its status" [ $? -eq 5 ]
head -c $((8 << 20)) "$big" | limited "$limit" mvrun run --rm -i tools sh -c 'exec <&-; sleep 0.2; echo closed' >"$out" 2>"$err"
check "a container that closes stdin" out_is closed

# A slow reader of stdout does not hold up stderr, nor the other way round.
mkfifo "$tmp/slow"
limited "$limit" mvrun run --rm tools sh -c 'yes | head -c 3000000 & sleep 0.5; echo quick >&2; wait' >"$tmp/slow" 2>"$err" &
pipeline=$!
exec 7<"$tmp/slow"
check "stderr flows while stdout is full" wait_for grep -q quick "$err"
check "all of stdout arrives later" [ "$(wc -c <&7)" -eq 3000000 ]
exec 7<&-
wait "$pipeline"
check "and the status is right" [ $? -eq 0 ]

# Output that cannot be written turns 0 into 125, and nothing else.
limited "$limit" mvrun run --rm tools echo lost >/dev/full 2>"$err" </dev/null
status=$? last="run, standard output full"
check_status "a full disk" 125
check "a full disk: said so" err_has 'no space left on device'
limited "$limit" mvrun run --rm tools sh -c 'echo lost; exit 4' >/dev/full 2>"$err" </dev/null
status=$? last="exit 4, standard output full"
check_status "a full disk does not hide another status" 4
limited "$limit" mvrun run --rm tools echo lost >&- 2>"$err" </dev/null
status=$? last="run, standard output closed"
check_status "a closed standard output" 125
limited "$limit" mvrun run --rm tools true >&- 2>&- <&-
status=$? last="run, nothing open"
check_status "nothing open and nothing to say" 0

# The last byte before the exit arrives, every time.
short=0
for i in 1 2 3 4 5; do
	[ "$(limited "$limit" mvrun run --rm tools sh -c 'yes 0123456789 | head -c 300001; printf END' 2>"$err" | tail -c 4)" = 8END ] ||
		short=$((short + 1))
done
check "nothing is lost at the exit, five times ($short were short)" [ "$short" -eq 0 ]
vm run --rm tools sh -c '(sleep 1; echo late) & echo early'
check "a background process dies with the container" out_is early
finish
