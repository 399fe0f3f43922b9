#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Hosts that lack something: /dev/kvm, the right to use it, root, a home.
# shellcheck disable=SC2016 # other shells expand
. "$(dirname "$0")/lib.sh"
need_tools
if [ "$(id -u)" != 0 ]; then
	skip "all of it" "needs root"
	finish
fi

vm doctor
check_status "doctor on a host that can" 0
vm doctor --json
check_status "doctor --json" 0
check "doctor --json is JSON" python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$out"

# with_dev KIND COMMAND...: with a /dev of its own, whose kvm is missing, a null device, a file, or root's alone.
with_dev() {
	local kind=$1
	shift
	limited 60 unshare -m --propagation private sh -c '
		dev=$1 kind=$2
		shift 2
		mkdir -p "$dev"
		mount -t tmpfs none "$dev"
		cp -a /dev/null /dev/zero /dev/urandom /dev/random /dev/full "$dev"
		case $kind in
		null) mknod -m 666 "$dev/kvm" c 1 3 ;;
		file) : >"$dev/kvm" && chmod 666 "$dev/kvm" ;;
		root) mknod -m 600 "$dev/kvm" c 10 232 ;;
		all) mknod -m 666 "$dev/kvm" c 10 232 ;;
		esac
		mount --bind "$dev" /dev
		exec "$@"' sh "$tmp/dev" "$kind" "$@" >"$out" 2>"$err" </dev/null
	status=$? last="(with_dev $kind) ${*@Q}"
	runs=$((runs + 1))
}

for kind in missing null file; do
	with_dev "$kind" mvrun run --rm tools true
	refused "run, /dev/kvm: $kind" 'kvm'
	with_dev "$kind" mvrun doctor
	check_status "doctor, /dev/kvm: $kind" 1
	check "doctor, /dev/kvm: $kind: names it" out_has '/dev/kvm'
done

# Without root, with a store and a state directory that are one's own.
chmod 755 "$tmp"
cp -a "$images/tools" "$tmp/tools"
install -d -o 65534 -g 65534 "$tmp/user"
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups env "MVRUN_STORE=$tmp/user/store" "MVRUN_STATE=$tmp/user/state"
	HOME=/nonexistent)
with_dev all "${nobody[@]}" mvrun load --name mine "oci:$tmp/tools:latest"
check_status "load without root" 0
with_dev root "${nobody[@]}" mvrun run --rm mine true
refused "run without permission for /dev/kvm" 'permission|access|kvm'
with_dev all "${nobody[@]}" mvrun run --rm mine sh -c 'id -u; cat /proc/self/uid_map; echo done'
check_status "run without root" 0
check "run without root: root inside" out_is "$(printf '0\n         0          0 4294967295\ndone')"
check "run without root: every file is nobody's" [ -z "$(find "$tmp/user" ! -user 65534)" ]
with_dev all setpriv --reuid 65534 --regid 65534 --clear-groups env -u MVRUN_STORE -u MVRUN_STATE HOME=/nonexistent \
	XDG_RUNTIME_DIR= mvrun run --rm tools true
refused "neither a store nor a home" .
finish
