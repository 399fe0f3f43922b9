// SPDX-License-Identifier: Apache-2.0
/*
 * Frames that the host sends, as guest-init reads them: the same frames whatever the pieces they come in, each whole,
 * and nothing after the first that is none. Then every decoder: what it accepts survives encoding.
 */
#include "tests/fuzz/fuzz.h"

#include "guest-init/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What one reading of the input came to. */
struct heard {
	unsigned frames;
	bool ended;
	size_t bytes;
};

static struct heard heard;

/* Texts have bytes behind their NUL that do not count: so what is compared is what was decoded. */
#define ROUND_TRIP(name, NAME)                                                                               \
	do {                                                                                                 \
		uint8_t first[PROTO_##NAME##_BYTES], second[PROTO_##NAME##_BYTES];                           \
		struct proto_##name value;                                                                   \
		if (proto_##name##_decode(payload, len, &value) == 0) {                                      \
			fuzz_require(len == sizeof(first));                                                  \
			proto_##name##_encode(&value, first);                                                \
			fuzz_require(proto_##name##_decode(first, len, &value) == 0);                        \
			proto_##name##_encode(&value, second);                                               \
			fuzz_require(memcmp(first, second, len) == 0);                                       \
			fuzz_note(first, len);                                                               \
		}                                                                                            \
	} while (0)

static void decoders(const uint8_t *payload, size_t len)
{
	ROUND_TRIP(hello, HELLO);
	ROUND_TRIP(started, STARTED);
	ROUND_TRIP(start_failed, START_FAILED);
	ROUND_TRIP(exited, EXITED);
	ROUND_TRIP(signal, SIGNAL);
	ROUND_TRIP(resize, RESIZE);
}

static void on_frame(struct control *control, const struct proto_header *header, const uint8_t *payload)
{
	uint8_t bytes[PROTO_HEADER_BYTES];

	(void)control;
	fuzz_require(!heard.ended);
	if (!payload) {
		heard.ended = true;
		return;
	}
	fuzz_require(header->len <= PROTO_PAYLOAD_MAX);
	proto_header_encode(header, bytes);
	fuzz_require(memcmp(bytes, payload - PROTO_HEADER_BYTES, sizeof(bytes)) == 0);
	fuzz_note(payload, header->len);
	decoders(payload, header->len);
	heard.frames++;
	heard.bytes += PROTO_HEADER_BYTES + header->len;
}

static struct heard listen_to(struct fuzz_input input, size_t piece)
{
	static struct control control;
	struct loop loop;
	int sockets[2];

	heard = (struct heard){0};
	control = (struct control){0};
	fuzz_require(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) == 0 && loop_init(&loop) == 0);
	fuzz_require(control_start(&control, &loop, sockets[0], on_frame, NULL) == 0);
	while (input.left && !heard.ended) {
		const uint8_t *bytes;
		size_t len = fuzz_bytes(&input, piece, &bytes);

		fuzz_require(send(sockets[1], bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
		while (loop_turn(&loop, 0) > 0)
			;
	}
	close(sockets[1]);
	while (loop_turn(&loop, 0) > 0)
		;
	fuzz_require(heard.ended);
	loop_done(&loop);
	close(sockets[0]);
	return heard;
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct fuzz_input input = {data, len};
	size_t piece = 1 + (size_t)fuzz_u8(&input);
	struct heard small = listen_to(input, piece), large = listen_to(input, 4096);

	fuzz_require(small.frames == large.frames && small.bytes == large.bytes && large.bytes <= input.left);
	decoders(input.at, input.left);
}
