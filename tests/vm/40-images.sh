#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Images from disk: every transport, platforms, what the configuration says, images, rmi.
. "$(dirname "$0")/lib.sh"
shared_store=$MVRUN_STORE
export MVRUN_STORE=$tmp/store

# ---- load
vm load "oci:$images/tools:latest"
check_status "load oci:" 0
check "load oci: says what" out_has '^Loaded image: '
vm load --quiet "oci-archive:$images/tools.oci.tar"
check_status "load oci-archive:" 0
vm load "docker-archive:$images/tools.docker.tar"
check_status "load docker-archive:" 0
check "load docker-archive: its name" out_has '^Loaded image: (docker.io/library/|localhost/)?tools-docker:2$'
for how in plain members zstd; do
	vm load "oci:$images/tools:$how"
	check_status "load a $how layer" 0
done
check "one layer, packed in four ways, is stored once" [ "$(find "$MVRUN_STORE/layers" -name '*.data' | wc -l)" -eq 1 ]
vm load "oci:$images/scratch:latest"
check_status "load scratch" 0
cp "$images/tools.docker.tar" "$tmp/x.tar"
gzip -1 "$tmp/x.tar"
vm load "docker-archive:$tmp/x.tar.gz"
check_status "load a gzipped docker-archive" 0
vm load "oci:$images/tools:arm64-only"
refused "load another architecture" arm64
vm load --platform linux/arm64 --name forarm "oci:$images/tools:arm64-only"
check_status "load --platform" 0

# ---- images
vm images
check_status "images" 0
check "images: header" out_has '^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE'
check "images: docker's name" out_has 'tools-docker +2 +[0-9a-f]{12} '
id=$(awk '$1 ~ /tools-docker$/ { print $3 }' "$out")
config=$(tar -xOf "$images/tools.docker.tar" manifest.json | sed 's/.*"Config":"\([0-9a-f]*\).*/\1/')
check "images: the ID is the configuration's digest ($id)" [ "${config:0:12}" = "${id:-none}" ]
vm images --format json
check_status "images --format json" 0
check "images --format json is JSON" python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$out"
vm images -q
check "images -q: IDs only" out_lacks '[^0-9a-f]'
vm images --no-trunc
check "images --no-trunc" out_has "$config"

# ---- run by name, ID and source
for name in tools-docker:2 "$id" "${id:0:6}"; do
	vm run --rm "$name" echo "by $name"
	check "run $name" out_is "by $name"
done
vm run --rm "oci:$images/tools:latest" echo direct
check "run oci:" out_is direct
check "run oci: quiet" err_is_empty
vm run --rm "oci-archive:$images/tools.oci.tar" echo direct
check "run oci-archive:" out_is direct
vm run --rm "docker-archive:$images/tools.docker.tar:tools-docker:2" echo direct
check "run docker-archive:" out_is direct
vm run --rm "oci:$images/tools:multi"
check "a platform is chosen from an index" out_has '^env ARCH=amd64$'
vm run --rm "oci:$images/tools:sparse" sh -c 'sha256sum </tmp/sparse; stat -c "%s %u:%g %Y" /tmp/sparse'
want=$(python3 -c '
import hashlib
data = bytearray(64 << 20)
for offset in (0, 1 << 20, (5 << 20) + 4096, 40 << 20):
    text = b"data at %d" % offset
    data[offset:offset + len(text)] = text
print(hashlib.sha256(data).hexdigest())')
check "GNU sparse file" out_is "$(printf '%s  -\n67108864 3:4 1600000000' "$want")"
data=$(find "$MVRUN_STORE/layers" -name '*.data' -printf '%k %s\n' | sort -n | tail -n 1)
check "a sparse file takes no room in the store ($data)" [ "$(du -sk "$MVRUN_STORE/layers" | cut -f 1)" -lt 20000 ]

# ---- what the configuration says
config() {
	vm run --rm "oci:$images/tools:$1" "${@:2}"
}
config user-name
check "User: a name" out_has '^uid 1234 gid 2345 groups( 2345)? 29 44$'
check "User: its HOME" out_has '^env HOME=/home/app$'
config user-ids
check "User: numbers" out_has '^uid 1234 gid 777'
config user-group
check "User: name and group" out_has '^uid 1234 gid 29'
config user-missing
check "User: nobody knows it" [ "$status" -eq 125 -o "$status" -eq 126 ]
check "User: nobody knows it: named" err_has nosuchuser
check "User: nobody knows it: one line" err_is_one_line
config user-huge
check "User: 2^32 is not root" [ "$status" -eq 125 -o "$status" -eq 126 ]
check "User: 2^32: one line" err_is_one_line
config workdir
check "WorkingDir is made" out_has '^cwd /made/for/me$'
config workdir-fd
check "WorkingDir /proc/self/fd/7 leads nowhere" out_lacks '^cwd [^/]'
config env
for line in FOO=bar 'SPACE=a b' EMPTY= PATH=/bin; do
	check "Env: $line" out_has "^env $line\$"
done
config many-env
check "Env: 40 kB of it" [ "$(grep -c '^env V[0-9]*=x\{200\}$' "$out")" -eq 200 ]
config entrypoint
check "Entrypoint and Cmd" out_is "from-entrypoint from-cmd"
config entrypoint arg
check "Entrypoint and arguments" out_is "from-entrypoint arg"
config nothing
refused "neither Entrypoint nor Cmd" command
config nothing /info
check_status "neither, but a command" 0
config stopsignal echo ok
check "StopSignal is accepted" out_is ok

# ---- rmi
vm rmi nosuchimage
check "rmi of what is not there fails" [ "$status" -ne 0 ]
check "rmi of what is not there: one line" err_is_one_line
vm rmi tools-docker:2
check_status "rmi" 0
check "rmi: says what" out_has '^Untagged: '
vm run --rm tools-docker:2 true
check_status "rmi: the name is gone" 125
vm load --quiet --name two:a "oci:$images/scratch:latest"
vm load --quiet --name two:b "oci:$images/scratch:latest"
id=$(mvrun images | awk '$1 == "two" { print $3 }' | head -n 1)
vm rmi "$id"
check "rmi of an ID with several names needs --force" [ "$status" -ne 0 ]
vm rmi --force "$id"
check "rmi --force by ID: every name" [ "$(grep -c '^Untagged: ' "$out")" -ge 2 ]
mvrun images | awk 'NR > 1 { print $1 ":" $2 }' | while read -r name; do mvrun rmi "$name" </dev/null; done >"$out" 2>"$err"
vm images
check "rmi of everything: an empty list" [ "$(wc -l <"$out")" -eq 1 ]
check "rmi of everything: no layer, blob or image is left" \
	[ -z "$(find "$MVRUN_STORE"/{layers,blobs,images,refs,ingest} -type f 2>/dev/null)" ]
export MVRUN_STORE=$shared_store

# ---- at the same time
export MVRUN_STORE=$tmp/store2
pids=()
for i in 1 2 3 4; do
	limited "$limit" mvrun load --quiet "oci:$images/tools:latest" >"$tmp/load$i" 2>&1 &
	pids+=($!)
done
ok=0
for pid in "${pids[@]}"; do
	wait "$pid" && ok=$((ok + 1))
done
check "four loads of one image at once" [ "$ok" -eq 4 ]
check "and one layer" [ "$(find "$MVRUN_STORE/layers" -name '*.data' | wc -l)" -eq 1 ]
check "and nothing in ingest" [ -z "$(ls -A "$MVRUN_STORE/ingest")" ]
finish
