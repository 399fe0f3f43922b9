#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The confinement of a container is what runc makes of docker's defaults: one script (facts) looks around in a container
# of each, and what differs must be in the list of what differs on purpose (runc-differs; docs/decisions/0011).
. "$(dirname "$0")/lib.sh"
need_tools
for tool in runc umoci jq; do
	command -v $tool >/dev/null || { skip "all of it" "no $tool" && finish; }
done

# What docker adds to `runc spec` and umoci's idea of it.
docker_spec='
	["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
	 "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"] as $names | ($names | map("CAP_" + .)) as $caps |
	.process.args = ["sh", "-c", $facts] | .process.terminal = false | .process.noNewPrivileges = false |
	.process.capabilities = {bounding: $caps, effective: $caps, permitted: $caps} |
	.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 1024, hard: 524288}] |
	.process.user = {uid: 0, gid: 0, additionalGids: [44]} | .root.readonly = false |
	.linux.namespaces = [["pid", "network", "ipc", "uts", "mount", "cgroup"][] | {type: .}] |
	.linux.maskedPaths += ["/proc/interrupts", "/sys/devices/virtual/powercap"] |
	(.mounts[] | select(.destination == "/proc")).options = ["nosuid", "noexec", "nodev"] |
	.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["swapon"], action: "SCMP_ACT_ERRNO"}]}'
facts=$(cat "$here/facts")
umoci unpack --image "$images/tools:latest" "$tmp/bundle" >"$out" 2>"$err" || { check "umoci unpack" false && finish; }
jq --arg facts "$facts" "$docker_spec" "$tmp/bundle/config.json" >"$tmp/config.json" &&
	mv "$tmp/config.json" "$tmp/bundle/config.json"
limited 60 runc run --bundle "$tmp/bundle" "mvrun-test-$$" >"$tmp/runc" 2>"$err" </dev/null
check "a container of runc" [ $? -eq 0 ]
vm run --rm tools sh -c "$facts"
check_status "a container of mvrun" 0
check "both found something out" [ "$(wc -l <"$tmp/runc")" -ge 60 -a "$(wc -l <"$out")" -ge 60 ]

# differences: "< what runc has" and "> what mvrun has".
differences() {
	diff <(LC_ALL=C sort "$tmp/runc") <(LC_ALL=C sort "$out") | grep '^[<>]'
}

differences >"$tmp/differs"
grep -vE '^(#|$)' "$here/runc-differs" | sed 's/^? //' >"$tmp/allowed"
while IFS= read -r line; do
	check "runc and mvrun: $line" grep -qxEf "$tmp/allowed" <<<"$line"
done <"$tmp/differs"
while IFS= read -r pattern; do
	check "a difference on purpose is one: $pattern" grep -qxE -- "$pattern" "$tmp/differs"
done < <(grep -vE '^(#|$|\?)' "$here/runc-differs")
finish
