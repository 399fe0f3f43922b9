#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The tree a container sees is the tree `umoci unpack` makes: types, modes, owners, times, link targets, hard links,
# xattrs, contents, for an image of 120 layers over a Debian root. The list comes from the same program (treelist.c).
# shellcheck disable=SC2317 # functions are called by check
. "$(dirname "$0")/lib.sh"

# Shows the first differences: one mistake may be in every entry.
same_tree() {
	diff "$1" "$2" | head -n 20
	return "${PIPESTATUS[0]}"
}

compare() {
	check_status "$1" 0
	check "$1: every entry is as umoci has it ($(wc -l <"$images/$1.tree") entries)" \
		same_tree "$images/$1.tree" "$out"
}

limit=180
need_image layers120 "oci:$images/layers120:latest"
vm run --rm layers120
compare layers120

need_image debian "oci:$images/debian:gzip"
vm run --rm debian /treelist /
compare debian
finish
