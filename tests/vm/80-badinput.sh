#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Bad input: one line of error, status 125, and nothing half-done stays. Images come from tests/images/broken.py, which
# also says what each error must speak of.
# shellcheck disable=SC2317 # functions are called by check
. "$(dirname "$0")/lib.sh"
need_tools
shared_store=$MVRUN_STORE
canary=/tmp/mvrun-canary
rm -rf "$canary"
mkdir "$canary"
echo untouched >"$canary/file"

canary_sings() {
	local names=("$canary"/*) text
	text_of "$canary/file"
	[ "${names[*]}" = "$canary/file" ] && [ "$text" = untouched ]
}

# What a refused load may leave of a store is an empty one.
clean_store() {
	shopt -s nullglob
	local left=("$MVRUN_STORE"/{ingest,images,refs}/*)
	shopt -u nullglob
	[ ${#left[@]} -eq 0 ]
}

# ---- images
export MVRUN_STORE=$tmp/store
remember
cd "$images" || exit 1
while IFS=$'\t' read -r name source pattern; do
	vm load "$source"
	refused "load $name" "$pattern"
	check "load $name: an empty store" clean_store
	check "load $name: the host is untouched" canary_sings
done <"$images/broken/list"
cd / || exit 1
check "after all broken images: no lock or temporary file of a layer" \
	[ -z "$(find "$MVRUN_STORE/layers" -type f ! -name '*.data' ! -name '*.tab' 2>/dev/null)" ]
nothing_left "after all broken images"
vm run --rm "oci:$images/broken/digest:latest" true
refused "run of a broken image" digest
: >"$tmp/unreadable"
chmod 0 "$tmp/unreadable"
vm load "oci-archive:$tmp/unreadable"
refused "an empty unreadable file" .
vm load
check_status "load without a source" 125
mkfifo "$tmp/fifo"
limit=10 vm load "oci-archive:$tmp/fifo"
refused "a fifo as archive" .
vm load "oci:$images/tools:latest"
check_status "after all that a good image loads" 0
export MVRUN_STORE=$shared_store

# ---- values: "option|value|pattern"
while IFS='|' read -r option value pattern; do
	vm run --rm "$option=$value" tools true
	refused "run $option=$value" "$pattern"
done <<'END'
--memory|1m|memory
--memory|0|memory
--memory|-5|memory
--memory|9223372036854775808|memory
--memory|8796093022208m|memory
--memory|17592186044416m|memory
--memory|99999999999999999999999g|memory
--memory|abc|memory
--memory|512x|memory
--memory|9999t|memory
--cpus|0.001|cpu
--cpus|10000|cpu
--cpus|-1|cpu
--cpus|1e9|cpu
--cpus|nan|cpu
--cpus|two|cpu
--pids-limit|many|pids
--pids-limit|99999999999999999999|pids
--ulimit|nofile|ulimit
--ulimit|nofile=a:b|ulimit
--ulimit|nosuch=1|ulimit
--ulimit|nofile=5:4|ulimit
--cap-add|FLY|FLY
--cap-drop|CAP_|cap
--env|=x|env|
--env-file|/no/such/file|/no/such/file
--env-file|/etc|/etc
--tmpfs|relative|tmpfs
--tmpfs|/x:nosuchoption|tmpfs|
--workdir|relative|dir
--kernel|/no/such/kernel|/no/such/kernel
--kernel|/etc|/etc
--kernel|/dev/zero|/dev/zero
--platform|what|platform
--hostname|-|host
--hostname|a/b|host
--nosuchoption|1|nosuchoption
END
vm run
refused "run without an image" .
vm run --rm --memory
refused "an option without its value" memory
vm run --rm 'UPPER CASE' true
refused "a name against the grammar" .
vm run --rm "$(printf 'a%.0s' {1..5000})" true
refused "a name of 5000 letters" .
vm nosuchcommand
refused "a word that is no command and no image" nosuchcommand
vm run --rm tools "$(printf 'x%.0s' {1..120000})"
check_status "a command of 120000 letters" 127
vm rmi
check_status "rmi without a name" 125
vm --nosuchoption
refused "an option that is unknown to mvrun" nosuchoption

# ---- kernels
libexec=$(dirname "$(readlink -f "$(command -v mvrun)")")/../libexec/mvrun
kernel=$tmp/kernel
: >"$kernel"
vm run --rm --kernel "$kernel" tools true
refused "an empty kernel" kernel
for bytes in 3 40 64 200 100000 2000000; do
	head -c "$bytes" "$libexec/vmlinux" >"$kernel"
	vm run --rm --kernel "$kernel" tools true
	refused "a kernel cut at $bytes" kernel
done
head -c 1000000 /dev/urandom >"$kernel"
vm run --rm --kernel "$kernel" tools true
refused "random bytes as kernel" kernel
cp /bin/busybox "$kernel"
vm run --rm --kernel "$kernel" tools true
refused "a program as kernel" "kernel|boot|reset|start|guest"
# The first program header's p_offset, p_filesz, p_memsz beyond all bounds.
for field in 8 32 40; do
	cp "$libexec/vmlinux" "$kernel"
	printf '\377\377\377\377\377\377\377\177' | dd of="$kernel" bs=1 seek=$((64 + field)) conv=notrunc status=none
	vm run --rm --kernel "$kernel" tools true
	refused "a kernel whose header lies at $field" kernel
done
nothing_left "after bad kernels"

# ---- odd surroundings
limited 60 mvrun run --rm tools sh -c 'exit 6' <&- >&- 2>&-
check "without stdin, stdout and stderr" [ $? -eq 6 ]
(umask 0777 && limited 60 mvrun run --rm tools sh -c 'umask; exit 6') >"$out" 2>"$err" </dev/null
status=$? last="run, umask 0777"
check_status "umask 0777" 6
check "umask 0777 is not the container's" out_is 0022
(cd "$tmp" && mkdir gone && cd gone && rmdir ../gone && limited 60 mvrun run --rm tools pwd) >"$out" 2>"$err" </dev/null
check "a working directory that is gone" out_is /
(ulimit -f 0 && limited 60 mvrun run --rm tools echo fine) 2>&1 </dev/null | cat >"$out"
check "no file may grow" out_is fine
for n in 3 4 5 6 8 10 12 16; do
	(ulimit -n "$n" && exec timeout 60 mvrun run --rm tools echo fine) >"$out" 2>"$err" </dev/null
	status=$? last="run with ulimit -n $n"
	if [ "$status" -eq 0 ]; then
		check "at most $n descriptors: it works" out_is fine
	elif ! grep -q 'error while loading\|timeout:' "$err"; then
		refused "at most $n descriptors" .
	fi
done
(exec env -i "$(command -v mvrun)" version) >"$out" 2>"$err"
check "an empty environment" [ $? -eq 0 ]
nothing_left "odd surroundings"
for word in run load images rmi doctor version help; do
	vm "$word" --help
	check_status "$word --help" 0
	check "$word --help: shows the usage" out_has "^Usage: mvrun $word"
	check "$word --help: on stdout alone" err_is_empty
done
rm -rf "$canary"
finish
