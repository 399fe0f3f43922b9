#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A Debian root with python3: threads, sockets, subprocesses, temporary files (see workload.py).
# shellcheck disable=SC2016,SC2317 # the container's shell expands; functions are called by check
. "$(dirname "$0")/lib.sh"
limit=120
need_image debian "oci:$images/debian:gzip"

limited "$limit" mvrun run --rm -i --cpus 2 -m 256m debian python3 - one two <"$here/workload.py" >"$out" 2>"$err"
status=$? last="run -i debian python3 - <workload.py"
check_status "python workload" 6
for line in "arguments ['one', 'two']" "threads 499500" "loopback 1048576 same" "loopback6 1048576 same" "unix 1048576 same" \
	"subprocess ok" "pipeline 2" "tempfile 3145728 removed" "mmap ok" "select ok" "fork 11" "pipes ok" "locks ok" \
	"clock ok" "random ok" "done"; do
	check "python: $line" grep -qxF "$line" "$out"
done
check "python: a quiet stderr" err_is_empty
vm run --rm debian sh -c '. /etc/os-release; echo "$ID $VERSION_ID"; dpkg -l python3 | grep -c ^ii; date +%Y'
check "debian: release, dpkg, clock" out_is "$(printf 'debian 12\n1\n%s' "$(date +%Y)")"
vm run --rm -e FOO=bar debian
check_status "debian: python3 with an empty stdin" 0
finish
