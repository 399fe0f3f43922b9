# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# What decodes is confined, limited, and nobody misses it when it is gone.

store=$work/store-decoder

# A layer that takes a moment, and cannot be compressed.
layout_begin "$work/slow-layout"
rm -rf "$work/slow"
mkdir -p "$work/slow"
head -c 60000000 /dev/urandom >"$work/slow/random"
tar -C "$work/slow" -cf "$work/slow.tar" .
layout_layer "$work/slow.tar"
layout_end
slow=$layout slow_manifest=$manifest

slow_whole()
{
	"$loader" load -q --store "$store" --platform linux/amd64 "oci:$slow" >/dev/null 2>"$work/err" &&
		[ -f "$store/images/$slow_manifest/image.json" ] && [ -z "$(ls -A "$store/ingest")" ]
}

# slow_begin: start loading, in the background; sets $loading.
slow_begin()
{
	rm -rf "$store"
	"$loader" load -q --store "$store" --platform linux/amd64 "oci:$slow" >"$work/out" 2>"$work/err" &
	loading=$!
}

# children PID...: those of all of them.
children()
{
	for parent; do cat /proc/"$parent"/task/*/children 2>/dev/null; done
}

# decoders_wait N: until the loader has a nursery with N workers; sets $nursery and $workers.
decoders_wait()
{
	tries=0
	while [ $tries -lt 500 ]; do
		nursery=$(children $loading | tr -d ' ')
		workers=$(children "$nursery")
		# shellcheck disable=SC2086
		set -- "$1" $workers
		[ $# -le "$1" ] || return 0
		tries=$((tries + 1))
		sleep 0.002
	done
	return 1
}

# ---- what /proc says of a decoder at work ----

field()
{
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" 2>/dev/null
}

is()
{
	if [ "$2" = "$3" ]; then ok; else bad "$1: \"$2\", not \"$3\""; fi
}

slow_begin
if decoders_wait 2; then
	# Nobody reads or writes the pipes now, so the workers stay where they are.
	kill -STOP $loading
	for pid in $nursery $workers; do
		is 'Seccomp' "$(field "$pid" Seccomp)" 2
		is 'NoNewPrivs' "$(field "$pid" NoNewPrivs)" 1
		for set in CapInh CapPrm CapEff CapBnd CapAmb; do is "$set" "$(field "$pid" $set)" 0000000000000000; done
		is 'Threads' "$(field "$pid" Threads)" 1
		[ "$(field "$pid" Uid | cut -f1)" != 0 ] && ok || bad 'a decoder is root'
	done
	# The nursery's filter comes on top of what there was, a worker's on top of that.
	filters=$(field self Seccomp_filters)
	is 'filters of the nursery' "$(field "$nursery" Seccomp_filters)" $((filters + 1))
	for pid in $workers; do
		is 'filters of a worker' "$(field "$pid" Seccomp_filters)" $((filters + 2))
		is 'processes' "$(sed -n 's/^Max processes *\([^ ]*\) .*/\1/p' "/proc/$pid/limits")" 0
		is 'core file' "$(sed -n 's/^Max core file size *\([^ ]*\) .*/\1/p' "/proc/$pid/limits")" 0
		[ "$(sed -n 's/^Max data size *\([^ ]*\) .*/\1/p' "/proc/$pid/limits")" -le 268435456 ] && ok || bad 'memory'
	done
	if [ "$(id -u)" = 0 ]; then
		for pid in $nursery $workers; do
			for space in mnt net ipc pid uts cgroup; do
				[ "$(readlink "/proc/$pid/ns/$space")" != "$(readlink "/proc/self/ns/$space")" ] && ok || bad "namespace $space"
			done
			is 'environment' "$(tr -d '\0' <"/proc/$pid/environ" | wc -c)" 0
			is 'root' "$(ls -A "/proc/$pid/root/")" ''
			is 'network' "$(tail -n +3 "/proc/$pid/net/dev" | cut -d: -f1 | tr -d ' ')" lo
		done
		for pid in $workers; do
			# /dev/null three times (which has lost the folder it was in), the answer, and pipes; one of the two has the files of the layer.
			ls -l "/proc/$pid/fd" | sed -n 's/.* -> //p' | sed 's|^/null|/dev/null|; s/[0-9a-f]\{64\}/HEX/; s/pipe:.*/pipe/; s|.*/ingest/.*/||' |
				sort | uniq -c | tr -s ' \n' ' ' >"$work/fds"
			# shellcheck disable=SC2016
			grep -Eq '^ 3 /dev/null 1 /memfd:answer \(deleted\) (2 pipe|1 HEX.data 1 HEX.tab 1 pipe) $' \
				"$work/fds" && ok || bad "descriptors: $(cat "$work/fds")"
		done
		is 'descriptors of the nursery' "$(ls -l "/proc/$nursery/fd" | sed -n 's/.* -> //p' | sed 's/:.*//; s|^/null|/dev/null|' | sort -u | tr '\n' ' ')" \
			'/dev/null pipe socket '
	fi
	kill -CONT $loading
else
	bad 'no decoders were seen'
fi
wait $loading && ok || bad "the load whose decoders were looked at: $(cat "$work/err")"

# ---- killed at any moment: one line, nothing left, and the next load works ----

# missed NAME STATUS: how a load ended of which a decoder was killed.
missed()
{
	if [ "$2" -ne 0 ]; then
		[ "$2" -eq 125 ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -Eq 'decoder' "$work/err" && ok || bad "$1: status $2: $(cat "$work/err")"
		store_empty "$store" && ok || bad "$1: left: $(find "$store" -type f)"
	fi
	slow_whole && ok || bad "load after $1: $(cat "$work/err")"
}
i=0
while [ $i -lt 24 ]; do
	case $((i % 3)) in
	0) signal=KILL ;;
	1) signal=SEGV ;;
	2) signal=SYS ;;
	esac
	slow_begin
	decoders_wait $((i % 2 + 1))
	# shellcheck disable=SC2086
	set -- $workers
	[ $i -lt 18 ] || set -- "$nursery"
	sleep "0.$(printf '%03d' $((i * i)))"
	kill -$signal "${1:-$nursery}" 2>/dev/null
	wait $loading
	missed "decoder $i, SIG$signal" $?
	i=$((i + 1))
done

# The other way round: the loader is killed, and its decoders with it.
for i in 1 2 3 4 5 6; do
	slow_begin
	decoders_wait 2
	sleep "0.0$((i * 10))"
	kill -KILL $loading 2>/dev/null
	wait $loading 2>/dev/null
	tries=0
	while [ $tries -lt 100 ]; do
		alive=
		for pid in $nursery $workers; do
			# A zombie is dead; who reaps it is not our affair.
			[ ! -d "/proc/$pid" ] || [ "$(field "$pid" State | cut -c1)" = Z ] || [ -z "$(field "$pid" State)" ] || alive=$pid
		done
		[ -n "$alive" ] || break
		tries=$((tries + 1))
		sleep 0.01
	done
	[ -z "$alive" ] && ok || bad "a decoder outlives its loader: $(cat "/proc/$alive/status")"
	slow_whole && ok || bad "load after the loader was killed: $(cat "$work/err")"
done

# ---- taken over: the decompressor is somebody else's ----

# taken ACTION PATTERN
taken()
{
	rm -rf "$store"
	LD_PRELOAD=$work/taken.so TAKEN=$1 "$loader" load -q --store "$store" --platform linux/amd64 "oci:$layout" >"$work/out" 2>"$work/err"
	status=$?
	[ $status -eq 125 ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -Eq "$2" "$work/err" && ok || bad "taken over, $1: status $status: $(cat "$work/err")"
	store_empty "$store" && ok || bad "taken over, $1: left: $(find "$store" -type f)"
}
"$work/mktar" entry 0 a data="$(head -c 2000 /dev/zero | tr '\0' x)" >"$work/h.tar"
layout_begin "$work/layout"
layout_layer "$work/h.tar"
layout_end
for action in open stat unlink socket connect sendmsg exec ptrace kill fork unshare code uring; do
	taken $action 'tried something it may not do'
done
taken crash 'ended by signal 11|tried something'
taken hog 'out of memory'
# Other bytes than those the layer is named after are parsed, and then thrown away.
taken lie 'unpacked data does not match its diff ID'
LD_PRELOAD=$work/taken.so TAKEN='' "$loader" load -q --store "$store" --platform linux/amd64 "oci:$layout" >/dev/null 2>"$work/err" && ok ||
	bad "taken over, and doing nothing: $(cat "$work/err")"

# ---- bombs: a limit stops them, soon, in little memory ----

# bomb NAME PATTERN MS KIB SOURCE [OPTION...]
bomb()
{
	what=$1 pattern=$2 most_ms=$3 most_kib=$4 from=$5
	shift 5
	rm -rf "$store"
	"$work/measure" "$work/measured" "$loader" load --store "$store" --platform linux/amd64 "$@" "$from" >"$work/out" 2>"$work/err"
	status=$?
	read -r ms kib <"$work/measured"
	if [ $status -ne 125 ] || [ "$(wc -l <"$work/err")" -ne 1 ] || ! grep -Eq "$pattern" "$work/err"; then
		bad "$what: status $status: $(cat "$work/err")"
	elif [ "$ms" -gt "$most_ms" ] || [ "$kib" -gt "$most_kib" ]; then
		bad "$what: $ms ms, $kib KiB"
	elif ! store_empty "$store"; then
		bad "$what: left: $(find "$store" -type f)"
	else
		ok
	fi
	echo "bomb, $what: $ms ms, $kib KiB" >&2
}

# blob_of FILE TAR SUFFIX: an image whose layer is FILE, and promises to be TAR.
blob_of()
{
	layout_begin "$work/layout"
	layout_layer "$2" none
	blob_put "$1"
	layers="{\"mediaType\":\"$image_type.layer.v1.tar$3\",\"digest\":\"sha256:$digest\",\"size\":$size}"
	layout_end
}

"$work/mktar" entry 0 a data=x >"$work/h.tar"
"$work/mktar" entry 0 bomb 'size=\x80\x00\x00\x00\x00\x00\x02\x80\x00\x00\x00\x00' -- noend | head -c 512 >"$work/bomb.head"
{ cat "$work/bomb.head" && head -c 1300000000 /dev/zero; } | gzip -1n >"$work/bomb.gz"
{ cat "$work/bomb.head" && head -c 4000000000 /dev/zero; } | zstd -q -1 >"$work/bomb.zst"
blob_of "$work/bomb.gz" "$work/h.tar" +gzip
bomb 'gzip' 'times its size' 30000 40000 "oci:$layout"
bomb 'gzip, by the size' 'the limit .--max-image-size' 30000 40000 "oci:$layout" --max-image-size 300m
blob_of "$work/bomb.zst" "$work/h.tar" +zstd
bomb 'zstd' 'times its size' 30000 40000 "oci:$layout"
# Several members or frames are one bomb.
head -c 300000000 /dev/zero | gzip -1n >"$work/b"
{ head -c 512 "$work/bomb.head" | gzip -n && cat "$work/b" "$work/b" "$work/b" "$work/b"; } >"$work/members.gz"
blob_of "$work/members.gz" "$work/h.tar" +gzip
bomb 'gzip of many members' 'times its size' 30000 40000 "oci:$layout"
# A bomb in a bomb is unpacked once, and is no archive then.
gzip -9n <"$work/bomb.gz" >"$work/nested.gz"
blob_of "$work/nested.gz" "$work/h.tar" +gzip
bomb 'gzip in gzip' 'no tar archive' 30000 40000 "oci:$layout"
# The archive of the image itself.
bomb 'an archive' 'times its size' 30000 40000 "$work/bomb.gz"
bomb 'an archive, from a pipe' 'times its size' 30000 40000 - <"$work/bomb.zst"
# Layers that are small one by one.
layout_begin "$work/layout"
for i in 1 2 3 4; do
	"$work/mktar" entry 0 "f$i" zeros=30000000 >"$work/part.tar"
	layout_layer "$work/part.tar"
done
layout_end
bomb 'many layers' 'the limit .--max-image-size' 30000 40000 "oci:$layout" --max-image-size 100m
# Sparse files with long maps: little of an archive, much of a table.
"$work/mktar" pax x GNU.sparse.size=268435456 GNU.sparse.map=0,1 -- entry 0 s data=x -- noend >"$work/sparse.part"
i=0
while [ $i -lt 400 ]; do cat "$work/sparse.part"; i=$((i + 1)); done >"$work/sparse.tar"
head -c 1024 /dev/zero >>"$work/sparse.tar"
layers_of_sparse()
{
	layout_begin "$work/layout"
	layout_layer "$work/sparse.tar"
	layout_end
}
layers_of_sparse
bomb 'maps of sparse files' 'more space than the limit' 30000 40000 "oci:$layout" --max-image-size 50m
# Text that is dear to parse.
{ printf '{"manifests":[],"x":[[]' && head -c 1300000 /dev/zero | sed 's/\x00/,[]/g' && printf ']}'; } >"$work/j"
cp "$work/j" "$layout/index.json"
bomb 'JSON' 'there is no image' 30000 400000 "oci:$layout"

# What is large and honest takes no more memory than what is small.
rm -rf "$store"
"$work/measure" "$work/measured" "$loader" load -q --store "$store" --platform linux/amd64 "oci:$slow" >/dev/null 2>"$work/err"
read -r ms kib <"$work/measured"
[ "$kib" -le 40000 ] && ok || bad "60 MB: $kib KiB"
echo "60 MB: $ms ms, $kib KiB" >&2

# ---- a host that cannot confine ----

# In a user namespace that may have no other: as on hosts that forbid them.
if unshare -Ur true 2>/dev/null; then
	rm -rf "$store"
	cat >"$work/forbidden" <<-EOF
		echo 0 >/proc/sys/user/max_user_namespaces || exit 77
		exec setpriv --bounding-set -all --inh-caps -all "\$@"
	EOF
	unshare -Ur sh "$work/forbidden" "$loader" load -q --store "$store" --platform linux/amd64 "oci:$slow" >/dev/null 2>"$work/err"
	status=$?
	if [ $status -ne 77 ]; then
		[ $status -eq 125 ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -q 'user namespaces, or add --degraded' "$work/err" && ok ||
			bad "no namespaces: status $status: $(cat "$work/err")"
		unshare -Ur sh "$work/forbidden" "$loader" load -q --degraded --store "$store" --platform linux/amd64 "oci:$slow" \
			>/dev/null 2>"$work/err"
		status=$?
		[ $status -eq 0 ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -q 'lacks: namespaces' "$work/err" && ok ||
			bad "no namespaces, degraded: status $status: $(cat "$work/err")"
	fi
fi
rm -rf "$store"
