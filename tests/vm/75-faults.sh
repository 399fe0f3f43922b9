#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in which mvrun or its monitor is killed at a random moment, or in which a system call fails before the guest runs
# (tests/faults/run.py). MVRUN_FAULT_KILLS and MVRUN_FAULT_EVERY (1: every error) choose how many, MVRUN_FAULT_SEED
# which. Loads are tests/faults/check.
. "$(dirname "$0")/lib.sh"
need_tools
if [ "$(id -u)" != 0 ] || ! command -v cc >"$out"; then
	skip "all of it" "needs root and a compiler"
	finish
fi
has_image scratch || need_image scratch "oci:$images/scratch:latest"
remember

"$here/../faults/build" "$tmp/inject" || finish
seed=${MVRUN_FAULT_SEED:-$RANDOM}
PYTHONDONTWRITEBYTECODE=1 python3 "$here/../faults/run.py" "${MVRUN_FAULT_KILLS:-40}" "${MVRUN_FAULT_EVERY:-40}" "$seed" \
	"$tmp/inject" "$tmp" scratch exit 4 >"$tmp/faults" 2>&1
cat "$tmp/faults"
while read -r p f; do
	passed=$((passed + p))
	failed=$((failed + f))
done < <(sed -nE 's/^run: ([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$tmp/faults")
check "runs with faults came to their end" grep -q '^run: ' "$tmp/faults"
vm run --rm scratch exit 4
check_status "a run after all that" 4
nothing_left "faults"
finish
