# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# The store: several loads at once, interrupted and killed loads, a full disk.

store=$work/store-life
rm -rf "$store"

# An image whose layers take a moment: incompressible, 3 x 24 MB.
layout_begin "$work/big-layout"
for i in 1 2 3; do
	rm -rf "$work/big"
	mkdir -p "$work/big"
	head -c 24000000 /dev/urandom >"$work/big/random$i"
	tar -C "$work/big" -cf "$work/big$i.tar" .
	layout_layer "$work/big$i.tar"
done
layout_end
big=$layout big_manifest=$manifest

# store_has: the image is there, whole: its disk passes.
store_whole()
{
	disk_make "$store" "$big_manifest" "$work/disk" && fsck.erofs "$work/disk" >/dev/null 2>&1 &&
		[ -z "$(ls -A "$store/ingest")" ] && [ "$(find "$store/layers" -name '*.data' | wc -l)" = 3 ]
}

# ---- the layouts of skopeo and docker ----

skopeo copy -q "oci:$big:latest" "docker-archive:$work/docker.tar:some/name:tag" 2>/dev/null || bad skopeo
skopeo copy -q "oci:$big:latest" "oci-archive:$work/oci.tar:v1" 2>/dev/null || bad skopeo
expect()
{
	what=$1 wanted=$2
	shift 2
	rm -rf "$store"
	got=$("$loader" load --store "$store" --platform linux/amd64 "$@" 2>&1)
	if [ "$got" = "$wanted" ]; then ok; else bad "$what: $got"; fi
}
id=sha256:$(sed 's/.*"config":{[^}]*sha256:\([0-9a-f]*\).*/\1/' "$big/blobs/sha256/$big_manifest")
expect 'docker-archive' 'Loaded image: some/name:tag' "docker-archive:$work/docker.tar"
expect 'docker-archive, found out' 'Loaded image: some/name:tag' "$work/docker.tar"
expect 'docker-archive by name' 'Loaded image: some/name:tag' "docker-archive:$work/docker.tar:docker.io/some/name:tag"
expect 'docker-archive by place' 'Loaded image: some/name:tag' "docker-archive:$work/docker.tar:@0"
expect 'oci-archive' 'Loaded image: oci:v1' "oci-archive:$work/oci.tar:v1"
expect 'oci layout with a name' 'Loaded image: my/own:1' --name my/own:1 "oci:$big:latest"
expect 'quiet' "$id" --quiet "oci:$big"
got=$(gzip -1 <"$work/docker.tar" | "$loader" load --store "$store" --platform linux/amd64 - 2>&1)
[ "$got" = 'Loaded image: some/name:tag' ] && ok || bad "compressed, on standard input: $got"
got=$("$loader" load --store "$store" --platform linux/amd64 - <"$work/oci.tar" 2>&1)
[ "$got" = 'Loaded image ID: '"$id" ] || [ "${got#Loaded image}" != "$got" ] && ok || bad "standard input: $got"
got=$("$loader" load --store "$store" --platform linux/amd64 - <>"$work/oci.tar" 2>&1)
[ "${got#Loaded image}" != "$got" ] && ok || bad "standard input that could be written to: $got"

# A choice of platforms.
"$work/mktar" entry 0 arm data=arm >"$work/arm.tar"
layout_begin "$work/layout"
entries=
for arch in arm64 amd64 riscv64; do
	layers='' diff_ids=''
	layout_layer "$work/arm.tar"
	config_more="\"Labels\":{\"arch\":\"$arch\"}"
	layout_end
	entries="$entries{\"mediaType\":\"$image_type.manifest.v1+json\",\"digest\":\"sha256:$manifest\",\"size\":$size,\"platform\":{\"os\":\"linux\",\"architecture\":\"$arch\"}},"
done
arch=amd64 config_more=
printf '{"schemaVersion":2,"mediaType":"%s.index.v1+json","manifests":[%s{"mediaType":"%s.manifest.v1+json","digest":"sha256:%064d","size":5,"platform":{"os":"unknown","architecture":"unknown"}}]}' \
	"$image_type" "$entries" "$image_type" 0 >"$work/json"
cp "$work/json" "$layout/index.json"
for want in arm64 amd64 riscv64; do
	rm -rf "$store"
	"$loader" load -q --store "$store" --platform linux/$want "oci:$layout" >/dev/null 2>"$work/err"
	grep -q "\"labels\":\[\"arch\",\"$want\"\]" "$store"/images/*/image.json && ok || bad "platform $want: $(cat "$work/err")"
done
blob_put "$work/json"
printf '{"manifests":[{"mediaType":"%s.index.v1+json","digest":"sha256:%s","size":%d,"annotations":{"org.opencontainers.image.ref.name":"multi"}}]}' \
	"$image_type" "$digest" "$size" >"$layout/index.json"
expect 'nested index' 'Loaded image: layout:multi' "oci:$layout:multi"
grep -q "\"index\":\"$digest\"" "$store"/images/*/image.json && ok || bad 'nested index: not recorded'
expect 'no such platform' "mvrun: load oci:$layout: no image for linux/s390x in $layout; it has linux/arm64, linux/amd64, linux/riscv64" \
	--platform linux/s390x "oci:$layout"

# ---- several at once ----

rm -rf "$store"
pids=
for i in 1 2 3 4 5 6; do
	"$loader" load -q --store "$store" --platform linux/amd64 --name "many:$i" "oci:$big" >/dev/null 2>>"$work/err-many" &
	pids="$pids $!"
done
for pid in $pids; do
	wait "$pid" && ok || bad 'one of six loads'
done
store_whole && ok || bad 'six loads at once: the store is not whole'
[ "$(find "$store/refs" -type f | wc -l)" = 6 ] && ok || bad 'six loads at once: names'

# ---- killed, interrupted, the disk full: at many moments ----

for signal in KILL INT TERM; do
	i=0
	while [ $i -lt 12 ]; do
		rm -rf "$store"
		"$loader" load -q --store "$store" --platform linux/amd64 "oci:$big" >/dev/null 2>"$work/err" &
		pid=$!
		sleep "0.0$((i * 4))"
		kill -$signal $pid 2>/dev/null
		wait $pid
		status=$?
		case $signal:$status in
		*:0 | KILL:137 | INT:130 | TERM:143) ok ;;
		*) bad "SIG$signal after 0.0$((i * 4)) s: status $status: $(cat "$work/err")" ;;
		esac
		if [ $signal != KILL ] && [ $status -ne 0 ]; then
			# Before its handlers are set a process dies without a word.
			[ "$(wc -l <"$work/err")" -le 1 ] && [ ! -d "$store" ] || store_empty "$store" && ok ||
				bad "SIG$signal: left: $(find "$store" -type f)"
		fi
		"$loader" load -q --store "$store" --platform linux/amd64 "oci:$big" >/dev/null 2>"$work/err" && store_whole &&
			ok || bad "load after SIG$signal: $(cat "$work/err")"
		i=$((i + 1))
	done
done

if [ "$(id -u)" = 0 ] && mkdir -p "$work/small" && mount -t tmpfs -o size=40m tmpfs "$work/small" 2>/dev/null; then
	for free in 40m 20m 1m 64k 16k; do
		mount -o remount,size=$free "$work/small"
		"$loader" load -q --store "$work/small/store" --platform linux/amd64 "oci:$big" >"$work/out" 2>"$work/err"
		status=$?
		[ $status -eq 125 ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -q 'No space left' "$work/err" && ok ||
			bad "disk full at $free: status $status: $(cat "$work/err")"
		[ ! -d "$work/small/store" ] || store_empty "$work/small/store" && ok || bad "disk full at $free: left something"
		rm -rf "$work/small/store"
	done
	umount "$work/small"
fi

# ---- a damaged store ----

rm -rf "$store"
"$loader" load -q --store "$store" --platform linux/amd64 "oci:$big" >/dev/null 2>&1
for victim in $(find "$store/layers" -name '*.tab' | head -n 1) $(find "$store/layers" -name '*.data' | head -n 1) \
	"$store/images/$big_manifest/meta.erofs" "$store/images/$big_manifest/image.json"; do
	truncate -s 100 "$victim"
	"$loader" load -q --store "$store" --platform linux/amd64 "oci:$big" >/dev/null 2>"$work/err"
	case $victim in
	# The table is not looked at while the image is whole.
	*.tab) rm -r "${store:?}/images/$big_manifest" && "$loader" load -q --store "$store" --platform linux/amd64 "oci:$big" >/dev/null ;;
	esac
	store_whole && ok || bad "repair of ${victim##*/}: $(cat "$work/err")"
done
echo 'mvrun store 99' >"$store/VERSION"
"$loader" load -q --store "$store" "oci:$big" >/dev/null 2>"$work/err"
[ $? -eq 125 ] && grep -q 'another format' "$work/err" && ok || bad "store of another version: $(cat "$work/err")"
rm -rf "$store"
