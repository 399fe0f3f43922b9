#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The line between guest-init and the host, from inside a container as root: nobody else gets on it (see vsock.c).
. "$(dirname "$0")/lib.sh"
need_tools

vsock_gains_nothing() {
	check_status "vsock, $1" 0
	check "vsock, $1: not one connection" out_has '^connected 0 of 196$'
	check "vsock, $1: ports of mvrun's own are reset" out_has '^error Connection reset by peer: '
	check "vsock, $1: nobody connects to the container" out_has '^listen nobody came$'
	check "vsock, $1: a flood of half-made connections ends" out_has '^flood ended$'
	check "vsock, $1: and the streams still work: the end of the output is there" \
		[ "$(tail -n 1 "$out")" = "flood ended" ]
}

vm run --rm --entrypoint /vsock tools
check "AF_VSOCK: not by socket(2)" out_has '^socket Operation not permitted$'
if [ "$(uname -m)" = x86_64 ]; then
	check "AF_VSOCK: not by the 32-bit socket(2)" out_has '^socket32 Operation not permitted$'
	check "AF_VSOCK: by socketcall(2), which no filter sees through" out_has '^socketcall yes$'
	vsock_gains_nothing "by socketcall(2)"
else
	check "AF_VSOCK: no 32-bit calls" out_has '^socketcall Function not implemented$'
fi
finish
