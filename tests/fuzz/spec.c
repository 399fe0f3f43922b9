// SPDX-License-Identifier: Apache-2.0
/* A container's spec as guest-init decodes it: what is accepted encodes to bytes that decode to the same. */
#include "tests/fuzz/fuzz.h"

#include "base/buf.h"
#include "proto/frame.h"
#include "proto/spec.h"

#include <errno.h>
#include <string.h>

static void list_check(const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fuzz_note_text(list[i]);
	fuzz_require(!list[n]);
}

static void spec_good(const struct spec *spec)
{
	fuzz_require(spec->n_args && spec->cwd[0] == '/' && spec->user && spec->hostname);
	fuzz_require(spec->umask <= 0777 && spec->seccomp_bytes % 8 == 0);
	list_check(spec->args, spec->n_args);
	list_check(spec->env, spec->n_env);
	list_check(spec->masked_paths, spec->n_masked_paths);
	list_check(spec->read_only_paths, spec->n_read_only_paths);
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct spec_mount *mount = &spec->mounts[i];

		fuzz_require(mount->target[0] == '/');
		fuzz_note_text(mount->type);
		fuzz_note_text(mount->source);
		fuzz_note_text(mount->data);
	}
	if (spec->seccomp_bytes)
		fuzz_note(spec->seccomp, spec->seccomp_bytes);
}

/* Encoding is not the inverse of decoding, since items come in any order; but of what was encoded, it is. */
static void round_trip(const struct spec *spec)
{
	struct buf first, second;
	struct spec again;

	buf_init(&first, 2 * PROTO_SPEC_MAX);
	buf_init(&second, 2 * PROTO_SPEC_MAX);
	fuzz_require(spec_encode(spec, &first) == 0);
	fuzz_require(spec_decode(first.data, first.len, &again) == 0);
	fuzz_require(spec_encode(&again, &second) == 0);
	fuzz_require(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	fuzz_note(first.data, first.len);
	spec_done(&again);
	buf_done(&first);
	buf_done(&second);
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct spec spec;
	int ret = spec_decode(data, len, &spec);

	fuzz_require(ret == 0 || ret == -EBADMSG);
	if (!ret) {
		spec_good(&spec);
		round_trip(&spec);
		spec_done(&spec);
	}
	fuzz_note_u64((uint64_t)ret);
}
