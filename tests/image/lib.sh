# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2034,SC2154
# For the tests of image loading: OCI layouts from tar archives, and what is expected of a load.

passed=0
failed=0
image_type=application/vnd.oci.image

# ok NAME / bad NAME TEXT...: count one check.
ok()
{
	passed=$((passed + 1))
}

bad()
{
	failed=$((failed + 1))
	echo "FAILED: $*"
}

digest_of()
{
	sha256sum <"$1" | cut -c1-64
}

# blob_put FILE: copy it into the layout under its digest; sets $digest and $size.
blob_put()
{
	digest=$(digest_of "$1")
	size=$(wc -c <"$1")
	cp "$1" "$layout/blobs/sha256/$digest"
}

# layout_begin DIR
layout_begin()
{
	layout=$1 layers='' diff_ids=''
	rm -rf "$layout"
	mkdir -p "$layout/blobs/sha256"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
}

# layout_layer TAR [none|gzip|members|zstd]: add a layer; "members" is gzip cut into several members.
layout_layer()
{
	suffix=+gzip
	diff_ids="$diff_ids${diff_ids:+,}\"sha256:$(digest_of "$1")\""
	case ${2:-gzip} in
	none)
		cp "$1" "$work/layer"
		suffix=
		;;
	gzip) gzip -1n <"$1" >"$work/layer" ;;
	members)
		head -c 700 "$1" | gzip -n >"$work/layer"
		tail -c +701 "$1" | head -c 3000 | gzip -n >>"$work/layer"
		tail -c +3701 "$1" | gzip -n >>"$work/layer"
		;;
	zstd)
		zstd -q -3 <"$1" >"$work/layer"
		suffix=+zstd
		;;
	esac
	blob_put "$work/layer"
	layers="$layers${layers:+,}{\"mediaType\":\"$image_type.layer.v1.tar$suffix\",\"digest\":\"sha256:$digest\",\"size\":$size}"
}

# layout_end [TAG]: write configuration, manifest and index. $config_more is put into the configuration.
layout_end()
{
	cat >"$work/json" <<-EOF
		{"architecture":"${arch:-amd64}","os":"linux","config":{${config_more:-}},"rootfs":{"type":"layers","diff_ids":[$diff_ids]}}
	EOF
	blob_put "$work/json"
	cat >"$work/json" <<-EOF
		{"schemaVersion":2,"config":{"mediaType":"$image_type.config.v1+json","digest":"sha256:$digest","size":$size},"layers":[$layers]}
	EOF
	blob_put "$work/json"
	manifest=$digest
	cat >"$layout/index.json" <<-EOF
		{"schemaVersion":2,"manifests":[{"mediaType":"$image_type.manifest.v1+json","digest":"sha256:$digest","size":$size,"annotations":{"org.opencontainers.image.ref.name":"${1:-latest}"}}]}
	EOF
}

# disk_make STORE MANIFEST FILE: the disk a guest would see.
disk_make()
{
	image=$1/images/$2
	cp --sparse=always "$image/meta.erofs" "$3"
	tr ',{' '\n\n' <"$image/image.json" |
		sed -n 's/^"bytes":\([0-9]*\)$/bytes \1/p; s/^"diff_id":"\([0-9a-f]*\)".*/id \1/p' |
		while read -r what value; do
			if [ "$what" = bytes ]; then
				bytes=$value
			elif [ "$bytes" != 0 ]; then
				end=$(($(stat -c %s "$3") / 524288))
				data=$1/layers/$(echo "$value" | cut -c1-2)/$value.data
				dd if="$data" of="$3" bs=512K seek=$end conv=sparse,notrunc status=none
				# A hole at the end is part of the disk.
				truncate -s $((end * 524288 + bytes)) "$3"
			fi
		done
}

# store_empty STORE: nothing of an image is in it, and nothing half-done.
store_empty()
{
	[ -z "$(find "$1" -type f ! -name VERSION ! -name lock 2>/dev/null)" ] &&
		[ -z "$(ls -A "$1/ingest" 2>/dev/null)" ]
}
