# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# Hostile and damaged images: one clear line, status 125, nothing left in the store, nothing touched outside it.
# The tags (I1 ...) are those of docs/threat-model.md.

store=$work/store-hostile
canary=$work/canary
mkdir -p "$canary"
echo untouched >"$canary/file"

canary_look()
{
	find "$canary" -printf '%p %y %m %U %s %T@\n' && cat "$canary/file"
}
canary_before=$(canary_look)

# refused NAME PATTERN SOURCE [OPTION...]: loading fails in the way it should.
refused()
{
	what=$1 pattern=$2 from=$3
	shift 3
	rm -rf "$store"
	timeout 60 "$loader" load --store "$store" --platform linux/amd64 "$@" "$from" >"$work/out" 2>"$work/err"
	status=$?
	lines=$(wc -l <"$work/err")
	if [ $status -ne 125 ]; then
		bad "$what: status $status: $(cat "$work/err" "$work/out")"
	elif [ "$lines" -ne 1 ]; then
		bad "$what: $lines lines: $(cat "$work/err")"
	elif ! grep -Eq "$pattern" "$work/err"; then
		bad "$what: not /$pattern/ but: $(cat "$work/err")"
	elif grep -qi 'no such file or directory' "$work/err"; then
		bad "$what: sounds like a missing command: $(cat "$work/err")"
	elif [ -d "$store" ] && ! store_empty "$store"; then
		bad "$what: left in the store: $(find "$store" -type f)"
	elif [ "$canary_before" != "$(canary_look)" ]; then
		bad "$what: touched what is outside"
	else
		ok
	fi
}

# accepted NAME SOURCE
accepted()
{
	rm -rf "$store"
	if "$loader" load -q --store "$store" --platform linux/amd64 "$2" >/dev/null 2>"$work/err"; then
		ok
	else
		bad "$1: $(cat "$work/err")"
	fi
}

# layers TAR...: an image of these.
layers()
{
	layout_begin "$work/layout"
	for layer_tar in "$@"; do layout_layer "$layer_tar" none; done
	layout_end
}

# tar_refused NAME PATTERN MKTAR-WORDS...: an image of one such layer is refused.
tar_refused()
{
	what=$1 pattern=$2
	shift 2
	"$work/mktar" "$@" >"$work/h.tar"
	layers "$work/h.tar"
	refused "$what" "$pattern" "oci:$layout"
}

tar_accepted()
{
	what=$1
	shift
	"$work/mktar" "$@" >"$work/h.tar"
	layers "$work/h.tar"
	accepted "$what" "oci:$layout"
}

long=$(printf 'p%.0s' $(seq 256))
deep=$(printf 'dir/%.0s' $(seq 1100))

# ---- I1: names that lead out ----

tar_refused 'I1 ..' 'leads out of the image' entry 0 ../../canary/file data=x
tar_refused 'I1 a/../../b' 'leads out of the image' entry 0 a/../../canary/file data=x
tar_refused 'I1 .. at the end' 'leads out of the image' entry 5 a/..
tar_refused 'I1 absolute' 'leads out of the image' entry 0 "$canary/file" data=x
tar_refused 'I1 absolute in a pax header' 'leads out of the image' pax x path=/etc/passwd -- entry 0 x data=x
tar_refused 'I1 .. in a GNU name' 'leads out of the image' gnu L '../x\x00' -- entry 0 x data=x
tar_refused 'I1 NUL in a pax name' 'NUL' pax x 'path=a\x00b' -- entry 0 x data=x
tar_refused 'I1 part of 256 bytes' 'too long' pax x "path=$long" -- entry 0 x
tar_refused 'I1 name of 4400 bytes' 'too long' pax x "path=${deep}x" -- entry 0 x
tar_refused 'I1 no name' 'without a name' entry 0 '' data=x
tar_accepted 'I1 ./ // and the root itself' entry 5 / -- entry 5 ./ -- entry 5 .//a///b/ -- entry 0 ./a//b/c data=x
tar_refused 'the root is a file' 'root of the image is no folder' entry 0 . data=x

# ---- I3: through a symbolic link ----

tar_refused 'I3 file below a link' 'lies below "link", which is a symbolic link' \
	entry 2 link "link=$canary" -- entry 0 link/file data=x
tar_refused 'I3 folder below a link' 'lies below "a/link"' entry 5 a -- entry 2 a/link link=../.. -- entry 5 a/link/x
tar_refused 'I3 file below a file' 'lies below "f", which is no folder' entry 0 f data=x -- entry 0 f/g data=x
tar_refused 'I3 hard link through a link' 'through a symbolic link' \
	entry 2 link "link=$canary" -- entry 1 hard link=link/file
"$work/mktar" entry 2 link "link=$canary" >"$work/lower.tar"
"$work/mktar" entry 0 link/file data=changed >"$work/upper.tar"
layers "$work/lower.tar" "$work/upper.tar"
accepted 'I3 across layers: a folder takes the place of the link' "oci:$layout"
disk_make "$store" "$manifest" "$work/disk"
"$work/tree-dump" --disk "$work/disk" | grep -q '^/link mode=040755' && ok || bad 'I3 across layers: the link is still there'
"$work/mktar" entry 0 link/.wh.file >"$work/upper.tar"
layers "$work/lower.tar" "$work/upper.tar"
refused 'I3 whiteout across layers through a link' 'below a symbolic link' "oci:$layout"

# ---- I4: hard links ----

tar_refused 'I4 out' 'leads out of the image' entry 1 a link=../../etc/passwd
tar_refused 'I4 absolute' 'leads out of the image' entry 1 a "link=$canary/file"
tar_refused 'I4 to what comes later' 'which is not there' entry 1 a link=b -- entry 0 b data=x
tar_refused 'I4 to itself' 'which is not there' entry 1 a link=a
tar_refused 'I4 to a folder' 'to a folder' entry 5 d -- entry 1 a link=d
tar_refused 'I4 to the root' 'to the root folder' entry 1 a link=/
tar_refused 'I4 with contents' 'contents on an entry that has none' entry 0 b data=x -- entry 1 a link=b data=y
tar_refused 'I4 without target' 'without a target' entry 1 a
tar_accepted 'I4 to a symbolic link' entry 2 s link=nowhere -- entry 1 a link=s

# ---- I5: whiteouts ----

for name in .wh. .wh.. .wh... a/.wh. a/.wh..; do
	tar_refused "I5 $name" 'not a valid whiteout' entry 5 a -- entry 0 "$name"
done
tar_refused 'I5 a whiteout as folder' 'not a valid whiteout' entry 0 .wh.a/b data=x
tar_accepted 'I5 of what is not there' entry 0 .wh.nothing -- entry 0 no/.wh.where -- entry 0 nor/.wh..wh..opq
tar_accepted 'I5 notes of aufs' entry 0 .wh..wh.aufs data=x -- entry 5 .wh..wh.plnk -- entry 0 .wh..wh.plnk/1 data=x
"$work/mktar" entry 0 a data=x -- entry 0 .wh.a -- entry 0 d/f data=x -- entry 0 d/.wh..wh..opq >"$work/same.tar"
layers "$work/same.tar"
accepted 'I5 in the same layer' "oci:$layout"
disk_make "$store" "$manifest" "$work/disk"
[ "$("$work/tree-dump" --disk "$work/disk" | cut -d' ' -f1 | tr '\n' ' ')" = '/ /a /d /d/f ' ] && ok ||
	bad 'I5: a whiteout hides what its own layer has'

# ---- I9: archives that can be read in two ways, or in none ----

tar_refused 'I9 checksum' 'damaged header' entry 0 a data=x -- entry 0 b sum=bad
tar_refused 'I9 not tar' 'no tar archive' raw "$(printf 'x%.0s' $(seq 600))" -- noend
tar_refused 'I9 negative size' 'bad size' entry 0 a 'size=\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff'
tar_refused 'I9 size that is no number' 'bad size' entry 0 a size=99999999999
tar_refused 'I9 enormous size' 'bad size' entry 0 a 'size=\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff'
tar_refused 'I9 cut in the contents' 'truncated' entry 0 a size=00000010000 -- raw short -- noend
tar_refused 'I9 cut in a header' 'truncated' entry 0 a data=x -- raw cut -- noend
tar_refused 'I9 pax name and GNU name' 'two headers' pax x path=a -- gnu L b -- entry 0 c
tar_refused 'I9 GNU name and pax name' 'two headers' gnu L b -- pax x path=a -- entry 0 c
tar_refused 'I9 two pax headers' 'two headers' pax x path=a -- pax x path=b -- entry 0 c
tar_refused 'I9 global header with a name' 'global pax header' pax g path=a -- entry 0 c
tar_refused 'I9 global header with a size' 'global pax header' pax g size=5 -- entry 0 c
tar_accepted 'I9 global header with a comment' pax g comment=0123456 -- entry 0 c data=x
tar_accepted 'I9 the size of a pax header counts' pax x size=3 -- entry 0 c size=00000000000 -- raw 'abc' -- \
	raw "$(printf '\\x00%.0s' $(seq 509))"
tar_refused 'I9 pax size on a folder' 'contents on an entry' pax x size=512 -- entry 5 d
tar_refused 'I9 size on a symbolic link' 'contents on an entry' entry 2 d link=x size=00000000010
tar_refused 'I9 malformed pax record' 'malformed pax' paxraw x '12 path=a' -- entry 0 c
tar_refused 'I9 pax record beyond its header' 'malformed pax' paxraw x '99 path=a\x0a' -- entry 0 c
tar_refused 'I9 pax record of length 0' 'malformed pax' paxraw x '0 path=a\x0a' -- entry 0 c
tar_refused 'I9 pax header of 1 MiB and more' 'longer than 1 MiB' entry x h zeros=1048577
tar_refused 'I9 pax header for nothing' 'describes no entry' pax x path=a
tar_refused 'I9 pax time that is none' 'bad time' pax x mtime=never -- entry 0 a
tar_refused 'I9 owner that does not fit' 'does not fit' pax x uid=4294967296 -- entry 0 a
tar_refused 'I9 owner below zero' 'does not fit' pax x uid=-1 -- entry 0 a
tar_refused 'I9 unknown type' 'unknown type' entry Z a
tar_refused 'I9 multi-volume' 'unknown type' entry M a
tar_refused 'I9 something behind the end' 'behind the end' entry 0 a data=x -- zeros 2 -- entry 0 b data=x
tar_refused 'I9 one zero block in the middle' 'behind the end' entry 0 a data=x -- zeros 1 -- entry 0 b data=x
tar_accepted 'I9 no end at all' entry 0 a data=x -- noend
tar_accepted 'I9 much padding' entry 0 a data=x -- zeros 100
tar_accepted 'v7 folder' entry @ old/ magic=v7 -- entry @ old/f data=x magic=v7
tar_refused 'device number that does not fit' 'device number' entry 3 dev major=70000
tar_refused 'attribute of 65 KiB' 'attribute' pax x "SCHILY.xattr.user.a=$(head -c 65540 /dev/zero | tr '\0' v)" -- entry 0 a

tar_refused 'sparse: out of order' 'out of order' \
	pax x GNU.sparse.size=100 GNU.sparse.map=50,10,0,10 -- entry 0 s data=01234567890123456789
tar_refused 'sparse: does not add up' 'add up' pax x GNU.sparse.size=100 GNU.sparse.map=0,10 -- entry 0 s data=01234
tar_refused 'sparse: beyond its end' 'beyond its end' pax x GNU.sparse.size=5 GNU.sparse.map=0,10 -- entry 0 s data=0123456789
tar_refused 'sparse: half a pair' 'bad map' pax x GNU.sparse.size=100 GNU.sparse.map=0,10,20 -- entry 0 s data=0123456789
tar_refused 'sparse: no size' 'without its size' pax x GNU.sparse.map=0,10 -- entry 0 s data=0123456789
tar_refused 'sparse: map that does not end' 'bad map' \
	pax x GNU.sparse.major=1 GNU.sparse.minor=0 GNU.sparse.realsize=100 -- entry 0 s data=99999999999999999999999
tar_refused 'sparse: 2^62 bytes' 'does not fit' pax x GNU.sparse.size=4611686018427387904 GNU.sparse.map=0,1 -- entry 0 s data=x
tar_accepted 'sparse: 8 TiB of nothing' pax x GNU.sparse.size=8796093022208 GNU.sparse.map=4096,1 -- entry 0 s data=x
fsck_ok=$(disk_make "$store" "$manifest" "$work/disk" && fsck.erofs "$work/disk" >/dev/null 2>&1 && echo yes)
[ "$fsck_ok" = yes ] && ok || bad 'sparse: 8 TiB of nothing: fsck.erofs'

# ---- I10: compression ----

"$work/mktar" entry 0 a data=hello >"$work/h.tar"

# blob_as FILE [SUFFIX]: an image whose layer blob is FILE, whatever it is, promising h.tar.
blob_as()
{
	layout_begin "$work/layout"
	layout_layer "$work/h.tar" none
	blob_put "$1"
	layers="{\"mediaType\":\"$image_type.layer.v1.tar${2-+gzip}\",\"digest\":\"sha256:$digest\",\"size\":$size}"
	layout_end
}
gzip -n <"$work/h.tar" >"$work/h.gz"
{ cat "$work/h.gz" && printf 'trailing'; } >"$work/b" && blob_as "$work/b"
refused 'I10 something behind gzip' 'damaged gzip' "oci:$layout"
head -c -6 "$work/h.gz" >"$work/b" && blob_as "$work/b"
refused 'I10 gzip cut' 'truncated' "oci:$layout"
{ head -c -8 "$work/h.gz" && printf '\1\2\3\4\5\6\7\10'; } >"$work/b" && blob_as "$work/b"
refused 'I10 wrong CRC' 'damaged gzip' "oci:$layout"
zstd -q <"$work/h.tar" >"$work/h.zst"
head -c -3 "$work/h.zst" >"$work/b" && blob_as "$work/b" +zstd
refused 'I10 zstd cut' 'truncated' "oci:$layout"
{ cat "$work/h.zst" && printf 'trailing'; } >"$work/b" && blob_as "$work/b" +zstd
refused 'I10 something behind zstd' 'damaged zstd' "oci:$layout"
head -c 300000000 /dev/zero | zstd -q --long=31 --ultra -1 --no-check >"$work/b" && blob_as "$work/b" +zstd
refused 'I10 zstd window of 2 GiB' 'damaged zstd|no tar' "oci:$layout"
blob_as "$work/h.zst"
refused 'media type says gzip, data zstd' 'the data is zstd, its media type says gzip' "oci:$layout"
printf 'BZh91AY&SY' >"$work/b" && blob_as "$work/b"
refused 'bzip2' 'compressed with bzip2' "oci:$layout"
printf '\3757zXZ\0\0\4' >"$work/b" && blob_as "$work/b"
refused 'xz' 'compressed with xz' "oci:$layout"
blob_as "$work/h.tar" +lzma
refused 'unknown media type' 'not supported' "oci:$layout"
: >"$work/b" && blob_as "$work/b" ''
refused 'empty blob' 'diff ID' "oci:$layout"

# A bomb: 3 GiB of zeros in one file. Memory stays flat and the store small, whether a limit stops it or not.
"$work/mktar" entry 0 bomb size=30000000000 -- noend | head -c 512 >"$work/bomb.head"
{ cat "$work/bomb.head" && head -c 3221225472 /dev/zero && head -c 1024 /dev/zero; } | zstd -q -1 >"$work/b"
blob_as "$work/b" +zstd
refused 'I10 bomb, by its ratio' 'times its size' "oci:$layout"
{ cat "$work/bomb.head" && head -c 200000000 /dev/zero; } | gzip -1n >"$work/b"
blob_as "$work/b"
refused 'I10 bomb, by the limit' 'limit' "oci:$layout" --max-image-size 100m

# ---- I11: JSON ----

# json_as FILE: the layout's index is FILE.
json_as()
{
	layers "$work/h.tar"
	cp "$1" "$layout/index.json"
}
{ printf '{"a":' && head -c 100000 /dev/zero | tr '\0' '['; } >"$work/j" && json_as "$work/j"
refused 'I11 depth 100000' 'nested deeper' "oci:$layout"
{ printf '{"a":"' && head -c 5000000 /dev/zero | tr '\0' a && printf '"}'; } >"$work/j" && json_as "$work/j"
refused 'I11 5 MB' 'larger than 4096 KiB' "oci:$layout"
for text in '{"manifests":[],"manifests":[]}' '{"manifests":["\ud800"]}' '{"a":1e400,"manifests":[]}' \
	'{"a":"\u0000","manifests":[]}' '' '{' 'null' '[]' '"x"' '{"manifests":{}}' '{"manifests":[{}]}' '{"manifests":[1]}'; do
	printf '%s' "$text" >"$work/j" && json_as "$work/j"
	refused "I11 $text" 'JSON|index|digest' "oci:$layout"
done
printf '\357\273\277{"manifests":[]}' >"$work/j" && json_as "$work/j"
refused 'I11 BOM' 'not valid JSON' "oci:$layout"
printf '{"manifests":[], "x":"\377"}' >"$work/j" && json_as "$work/j"
refused 'I11 bad UTF-8' 'not valid JSON' "oci:$layout"
printf '{"manifests":[]}' >"$work/j" && json_as "$work/j"
refused 'empty index' 'there is no image' "oci:$layout"

# ---- I13, I14: digests and sizes ----

# descriptor_as DIGEST SIZE
descriptor_as()
{
	layers "$work/h.tar"
	printf '{"manifests":[{"mediaType":"%s","digest":"%s","size":%s}]}' "$image_type.manifest.v1+json" "$1" "$2" >"$layout/index.json"
}
zeros64=$(printf '0%.0s' $(seq 64))
for one in 'sha256:../../etc/passwd' "sha256:$(echo "$zeros64" | tr 0 A)" 'sha256:0123' "sha256:${zeros64}0" 'sha256:' '' "$zeros64" \
	"sha256:${zeros64%??}\\u0000"; do
	descriptor_as "$one" 100
	refused "I13 $one" 'digest|JSON' "oci:$layout"
done
descriptor_as "sha512:$zeros64$zeros64" 100
refused 'I13 sha512' 'only sha256' "oci:$layout"
descriptor_as "sha256:$zeros64" 100
refused 'blob that is not there' 'is missing' "oci:$layout"
layers "$work/h.tar"
for one in -1 0 9223372036854775807 9223372036854775808 1.5 '"12"' null 12; do
	descriptor_as "sha256:$manifest" "$one"
	refused "I14 size $one" 'size|expected|JSON' "oci:$layout"
done

# damaged WHAT FILE: flip one byte in it.
damaged()
{
	layers "$work/h.tar"
	file=$(eval echo "$1")
	printf '\377' | dd of="$file" bs=1 seek=20 conv=notrunc status=none
	refused "digest: $1" 'does not match its digest' "oci:$layout"
	layers "$work/h.tar"
	printf 'x' >>"$file"
	refused "size: $1" 'expected' "oci:$layout"
	layers "$work/h.tar"
	rm "$file"
	refused "missing: $1" 'is missing' "oci:$layout"
}
layers "$work/h.tar"
config=$(sed 's/.*"config":{[^}]*sha256:\([0-9a-f]*\).*/\1/' "$layout/blobs/sha256/$manifest")
layer=$(digest_of "$work/h.tar")
# shellcheck disable=SC2016 # expanded when used
damaged '$layout/blobs/sha256/$manifest'
# shellcheck disable=SC2016
damaged '$layout/blobs/sha256/$config'
# shellcheck disable=SC2016
damaged '$layout/blobs/sha256/$layer'

layers "$work/h.tar"
diff_ids="\"sha256:$zeros64\"" && layout_end
refused 'wrong diff ID' 'diff ID' "oci:$layout"
diff_ids='' && layout_end
refused 'no diff ID' '0 diff IDs for 1 layers' "oci:$layout"
diff_ids='"sha256:../../x"' && layout_end
refused 'diff ID that is none' 'not a valid diff ID' "oci:$layout"

# ---- links in a layout folder, other wrong files ----

layers "$work/h.tar"
ln -sf /etc/passwd "$layout/blobs/sha256/$layer"
refused 'a blob that is a link' 'open blobs|symbolic' "oci:$layout"
layers "$work/h.tar"
rm "$layout/blobs/sha256/$layer" && mkfifo "$layout/blobs/sha256/$layer"
refused 'a blob that is a pipe' 'is no file' "oci:$layout"
refused 'not there' 'does not exist' "$work/nothing"
refused 'not there, oci' 'does not exist' "oci:$work/nothing"
refused 'a folder that is no layout' 'oci-layout' "$work"
refused 'a file that is no archive' 'no tar archive' "$work/mktar"
: >"$work/empty-file"
refused 'an empty file' 'empty' "$work/empty-file"
refused 'no such tag' 'there is no nope' "oci:$layout:nope"
refused 'a bad name' 'not a valid image name' "oci:$layout" --name 'UPPER CASE'
refused 'a bad platform' 'expected OS/ARCH' "oci:$layout" --platform a/b/c/d
layers "$work/h.tar"
refused 'another platform' 'no image for linux/arm64 in .*; it has linux/amd64' "oci:$layout" --platform linux/arm64
echo '{"imageLayoutVersion":"2.0.0"}' >"$layout/oci-layout"
refused 'another layout version' 'version 2.0.0' "oci:$layout"

# ---- configuration ----

for one in '"Env":"x"' '"Env":[1]' '"Cmd":{}' '"User":5' '"Labels":{"a":1}' '"Volumes":[]' '"Healthcheck":"x"'; do
	config_more=$one
	layers "$work/h.tar"
	refused "configuration $one" 'is malformed' "oci:$layout"
done
config_more='"User":"4294967296","WorkingDir":"/proc/self/fd/7","Env":["A=new\nline","=","NOEQUALS"],"Volumes":{"../../":{}}'
layers "$work/h.tar"
accepted 'I18: strange texts are the guest'"'"'s business' "oci:$layout"
config_more=

# ---- 241 layers ----

"$work/mktar" entry 5 d >"$work/d.tar"
layout_begin "$work/layout"
layout_layer "$work/d.tar" none
one_layer=$layers one_id=$diff_ids
i=1
while [ $i -lt 241 ]; do
	layers="$layers,$one_layer" diff_ids="$diff_ids,$one_id"
	i=$((i + 1))
done
layout_end
refused '241 layers' 'at most 240' "oci:$layout"

# ---- archives ----

refused_archive()
{
	what=$1 pattern=$2
	shift 2
	"$work/mktar" "$@" >"$work/archive.tar"
	refused "$what" "$pattern" "$work/archive.tar"
}
refused_archive 'archive: two files of one name' 'two files' entry 0 manifest.json data=x -- entry 0 ./manifest.json data=y
refused_archive 'archive: name that leads out' 'refused' entry 0 ../manifest.json data=x
refused_archive 'archive: manifest.json is no JSON' 'not valid JSON' entry 0 manifest.json data=x
refused_archive 'archive: configuration missing' 'is missing' \
	entry 0 manifest.json 'data=[{"Config":"c.json","RepoTags":["a:b"],"Layers":[]}]'
refused_archive 'archive: configuration outside' 'is missing' \
	entry 0 manifest.json 'data=[{"Config":"../../etc/passwd","RepoTags":["a:b"],"Layers":[]}]'
refused_archive 'archive: link that leads out' 'is missing' entry 2 c.json link=../../../etc/passwd -- \
	entry 0 manifest.json 'data=[{"Config":"c.json","RepoTags":["a:b"],"Layers":[]}]'
refused_archive 'archive: links in a circle' 'is missing' entry 2 c.json link=d -- entry 2 d link=c.json -- \
	entry 0 manifest.json 'data=[{"Config":"c.json","RepoTags":["a:b"],"Layers":[]}]'
refused_archive 'archive: digest of the configuration' 'does not match its digest' entry 0 "$zeros64.json" data={} -- \
	entry 0 manifest.json "data=[{\"Config\":\"$zeros64.json\",\"RepoTags\":[\"a:b\"],\"Layers\":[]}]"
layers "$work/h.tar"
tar -C "$layout" -cf "$work/whole.tar" .
accepted 'an archive of a layout' "$work/whole.tar"
for cut in 100 600 2000 4000 6000; do
	head -c $cut "$work/whole.tar" >"$work/cut.tar"
	refused "archive cut at $cut" 'truncated|missing|no image archive|empty|no tar' "$work/cut.tar"
done
gzip -n <"$work/whole.tar" | head -c 500 >"$work/cut.tar"
refused 'compressed archive cut' 'truncated' "$work/cut.tar"
