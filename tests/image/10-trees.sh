# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# What is in the store is what umoci unpacks, node by node; and the disk is one fsck.erofs and the kernel accept.

# same_tree NAME [OTHER]: compare the image of $layout with umoci's opinion of it, or of the same image in OTHER, for
# umoci does not read zstd.
same_tree()
{
	store=$work/store-trees
	rm -rf "$store" "$work/unpacked"
	if ! "$loader" load --quiet --store "$store" --platform linux/amd64 "oci:$layout:latest" >/dev/null 2>"$work/err"; then
		bad "$1: $(cat "$work/err")"
		return
	fi
	disk_make "$store" "$manifest" "$work/disk"
	"$work/tree-dump" --disk "$work/disk" >"$work/ours" || bad "$1: tree-dump"
	umoci unpack --image "${2:-$layout}:latest" "$work/unpacked" >/dev/null 2>&1 || bad "$1: umoci"
	"$work/tree-dump" --dir "$work/unpacked/rootfs" >"$work/theirs" || bad "$1: tree-dump --dir"
	if diff "$work/theirs" "$work/ours" >"$work/diff"; then
		ok
	else
		bad "$1: the trees differ"
		head -n 20 "$work/diff"
	fi
	if fsck.erofs "$work/disk" >"$work/fsck" 2>&1; then
		ok
	else
		bad "$1: fsck.erofs: $(head -n 3 "$work/fsck")"
	fi
	kernel_tree "$1"
}

# The same through the kernel, where one may mount.
kernel_tree()
{
	grep -qw erofs /proc/filesystems || return 0
	mkdir -p "$work/mnt"
	mount -t erofs -o ro,loop "$work/disk" "$work/mnt" 2>/dev/null || return 0
	"$work/tree-dump" --dir "$work/mnt" >"$work/mounted"
	umount "$work/mnt"
	if cmp -s "$work/ours" "$work/mounted"; then
		ok
	else
		bad "$1: the kernel sees another tree"
		diff "$work/ours" "$work/mounted" | head -n 5
	fi
}

# ---- one layer with everything ----

tree=$work/tree
rm -rf "$tree"
mkdir -p "$tree/bin" "$tree/dev" "$tree/etc" "$tree/links" "$tree/tmp" "$tree/empty" "$tree/data"
cp /bin/busybox "$tree/bin/busybox"
chmod 4755 "$tree/bin/busybox"
chmod 1777 "$tree/tmp"
chmod 2750 "$tree/data"
ln "$tree/bin/busybox" "$tree/links/hard"
ln -s ../bin/busybox "$tree/links/soft"
ln -s "/$(printf 'x%.0s' $(seq 250))/$(printf 'y%.0s' $(seq 250))" "$tree/links/long-target"
ln -s "$(printf 'deep/%.0s' $(seq 600))end" "$tree/links/very-long-target"
: >"$tree/etc/nothing"
head -c 4096 /bin/busybox >"$tree/data/one-block"
head -c 4097 /bin/busybox >"$tree/data/one-block-and-a-byte"
head -c 3000000 /dev/zero >"$tree/data/zeros"
{ head -c 5000 /bin/busybox && head -c 700000 /dev/zero && head -c 100 /bin/busybox; } >"$tree/data/mixed"
chown 70000:80000 "$tree/data/one-block"
chown 33:44 "$tree/empty"
touch -d '2001-02-03 04:05:06.123456789' "$tree/etc/nothing"
touch -d '1960-01-01 00:00:00' "$tree/etc"
mkdir -p "$tree/$(printf 'n%.0s' $(seq 255))/$(printf 'm%.0s' $(seq 255))"
printf 'x' >"$tree/$(printf 'n%.0s' $(seq 255))/$(printf 'm%.0s' $(seq 255))/$(printf 'o%.0s' $(seq 255))"
for name in '-minus' '!bang' '+plus' ',comma' '.dot' '..dots' '...' 'ünïcødé' 'cafe'"$(printf '\314\201')" 'café' 'sp ace' "$(printf 'new\nline')" \
	"$(printf 'bad\377utf')" '*' '~'; do
	printf '%s' "$name" >"$tree/etc/$name"
done
if [ "$(id -u)" = 0 ]; then
	mknod "$tree/dev/null" c 1 3
	mknod "$tree/dev/big" b 259 300000
fi
mkfifo "$tree/dev/fifo"
if command -v setfattr >/dev/null; then
	setfattr -n user.short -v value "$tree/etc/nothing" 2>/dev/null
	setfattr -n user.binary -v 0x00ff0a3d20 "$tree/etc/nothing" 2>/dev/null
	setfattr -n user.long -v "$(printf 'v%.0s' $(seq 3000))" "$tree/data/one-block" 2>/dev/null
	setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 "$tree/bin/busybox" 2>/dev/null
	setfattr -n user.dir -v d "$tree/empty" 2>/dev/null
	setfattr -n trusted.own -v t "$tree/data" 2>/dev/null
fi

tar_pax="tar -C $tree --format=pax --xattrs --xattrs-include=* --numeric-owner --pax-option=delete=atime,delete=ctime"
$tar_pax -cf "$work/all.tar" .
layout_begin "$work/layout-gzip"
layout_layer "$work/all.tar"
layout_end
for compression in none gzip members zstd; do
	layout_begin "$work/layout"
	layout_layer "$work/all.tar" $compression
	layout_end
	same_tree "everything, $compression" "$work/layout-gzip"
done

# GNU format: long names and links of its own, base-256 owners; no attributes, no fractions of a second.
tar -C "$tree" --format=gnu --numeric-owner --mtime=@1000000000 -cf "$work/gnu.tar" .
layout_begin "$work/layout"
layout_layer "$work/gnu.tar"
layout_end
same_tree "everything, GNU format"

# ---- folders of every size, so that their ends fall anywhere in a block, and inodes with attributes between ----

many=$work/many
mkdir -p "$many"
i=1
while [ $i -le 90 ]; do
	mkdir "$many/d$i"
	(cd "$many/d$i" && seq -f "$(printf '%0*d' $((i * 2)) 0)-%g" $((i * i / 10 + 1)) | xargs touch -d @1000000000)
	[ $((i % 3)) -ne 0 ] || setfattr -n user.size -v "$(printf "%0*d" $((i * 40)) 0)" "$many/d$i" 2>/dev/null
	ln -s "$(printf '%0*d' $((i * 45)) 0)" "$many/s$i"
	i=$((i + 1))
done
tar -C "$many" --format=pax --xattrs --xattrs-include='*' --numeric-owner --pax-option=delete=atime,delete=ctime \
	-cf "$work/many.tar" .
layout_begin "$work/layout"
layout_layer "$work/many.tar"
layout_end
same_tree 'folders of every size'

# ---- the same input gives the same bytes ----

layout_begin "$work/layout"
layout_layer "$work/all.tar" zstd
layout_end
for i in 1 2; do
	rm -rf "$work/store-same-$i"
	"$loader" load -q --store "$work/store-same-$i" --platform linux/amd64 "oci:$layout" >/dev/null || bad "load again"
done
if diff -r -x refs -x lock "$work/store-same-1" "$work/store-same-2" >/dev/null; then ok; else bad "two loads differ"; fi
rm -rf "$work/store-same-1" "$work/store-same-2"

# ---- sparse files, in every way tar can say it ----

sparse=$work/sparse
rm -rf "$sparse"
mkdir -p "$sparse"
truncate -s 10M "$sparse/hole"
truncate -s 300M "$sparse/larger"
printf 'begin' | dd of="$sparse/begin" conv=notrunc status=none && truncate -s 1M "$sparse/begin"
for at in 0 5 1000 4096 70001 262144; do
	printf 'piece-%s' $at | dd of="$sparse/pieces" bs=1024 seek=$at conv=notrunc status=none
done
printf 'end' | dd of="$sparse/larger" bs=1M seek=299 conv=notrunc status=none
for i in $(seq 0 199); do
	printf '%s' "$i" | dd of="$sparse/many" bs=12288 seek="$i" conv=notrunc status=none
done
printf 'not sparse' >"$sparse/plain"
for form in gnu:0 pax:0.0 pax:0.1 pax:1.0; do
	version=${form#*:}
	option=--sparse-version=$version
	[ "${form%:*}" = pax ] || option=
	# shellcheck disable=SC2086
	tar -C "$sparse" --format="${form%:*}" --sparse $option --mtime=@1000 --numeric-owner -cf "$work/sparse.tar" .
	layout_begin "$work/layout"
	layout_layer "$work/sparse.tar"
	layout_end
	# umoci of Debian 12 does not know every kind; the folder itself is the measure.
	store=$work/store-sparse
	rm -rf "$store"
	if "$loader" load -q --store "$store" --platform linux/amd64 "oci:$layout" >/dev/null 2>"$work/err"; then
		disk_make "$store" "$manifest" "$work/disk"
		"$work/tree-dump" --disk "$work/disk" | sed 's/ mtime=[^ ]*//' >"$work/ours"
		"$work/tree-dump" --dir "$sparse" | sed 's/ mtime=[^ ]*//' >"$work/theirs"
		diff "$work/theirs" "$work/ours" && ok || bad "sparse files, $form"
		fsck.erofs "$work/disk" >/dev/null 2>&1 && ok || bad "sparse files, $form: fsck.erofs"
		used=$(du -sk "$store" | cut -f1)
		[ "$used" -lt 6000 ] && ok || bad "sparse files, $form: the store takes $used KiB"
	else
		bad "sparse files, $form: $(cat "$work/err")"
	fi
done

# ---- 120 layers: files that come, change and go ----

layout_begin "$work/layout"
stage=$work/stage
i=1
while [ $i -le 120 ]; do
	rm -rf "$stage"
	mkdir -p "$stage/d$((i % 7))" "$stage/shared"
	printf 'layer %s' "$i" >"$stage/d$((i % 7))/file$i"
	printf 'now by %s' "$i" >"$stage/shared/replaced"
	chmod $((600 + i % 8)) "$stage/shared/replaced"
	ln "$stage/shared/replaced" "$stage/d$((i % 7))/again"
	[ $((i % 3)) -ne 0 ] || : >"$stage/d$((i % 7))/.wh.file$((i - 7))"
	if [ $((i % 20)) -eq 0 ]; then
		: >"$stage/d$((i % 7))/.wh..wh..opq"
	fi
	if [ $((i % 25)) -eq 0 ]; then
		mkdir -p "$stage/kind"
		printf 'a file' >"$stage/kind/thing"
	elif [ $((i % 25)) -eq 12 ]; then
		mkdir -p "$stage/kind/thing/below"
	fi
	[ $i -ne 60 ] || : >"$stage/.wh.d3"
	[ $i -ne 90 ] || ln -s d1 "$stage/to-d1"
	touch -d "@$((1000000 + i))" "$stage"/* "$stage"/*/*
	tar -C "$stage" --format=pax --sort=name --numeric-owner --pax-option=delete=atime,delete=ctime -cf "$work/l.tar" .
	cp "$work/l.tar" "$work/l$i.tar"
	layout_layer "$work/l.tar"
	i=$((i + 1))
done
layout_end
same_tree "120 layers"

layout_begin "$work/layout-mixed"
i=1
while [ $i -le 120 ]; do
	case $((i % 4)) in
	0) layout_layer "$work/l$i.tar" zstd ;;
	1) layout_layer "$work/l$i.tar" none ;;
	2) layout_layer "$work/l$i.tar" members ;;
	3) layout_layer "$work/l$i.tar" gzip ;;
	esac
	i=$((i + 1))
done
layout_end
same_tree "120 layers of all kinds" "$work/layout"
