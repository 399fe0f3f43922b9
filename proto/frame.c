// SPDX-License-Identifier: Apache-2.0
#include "proto/frame.h"

#include "proto/bytes.h"

#include <errno.h>
#include <string.h>

#define SIGNAL_MAX 64
#define TERMINAL_SIDE_MAX 16384

/* Copy a text field that fills its whole room, cut and padded with NULs. */
static void text_put(uint8_t *at, const char *text, size_t room)
{
	size_t len = strnlen(text, room - 1);

	memcpy(at, text, len);
	memset(at + len, 0, room - len);
}

/* A text field must hold its own end: the sender always leaves one NUL. */
static int text_get(const uint8_t *at, char *text, size_t room)
{
	if (!memchr(at, 0, room))
		return -EBADMSG;
	memcpy(text, at, room);
	return 0;
}

void proto_header_encode(const struct proto_header *in, uint8_t out[PROTO_HEADER_BYTES])
{
	put_u32(out, in->len);
	put_u16(out + 4, in->type);
	put_u16(out + 6, 0);
	put_u32(out + 8, in->id);
	put_u32(out + 12, 0);
}

int proto_header_decode(const uint8_t in[PROTO_HEADER_BYTES], struct proto_header *out)
{
	uint32_t len = get_u32(in);

	if (len > PROTO_PAYLOAD_MAX || get_u16(in + 6) || get_u32(in + 12))
		return -EBADMSG;
	*out = (struct proto_header){.len = len, .type = get_u16(in + 4), .id = get_u32(in + 8)};
	return 0;
}

void proto_hello_encode(const struct proto_hello *in, uint8_t out[PROTO_HELLO_BYTES])
{
	put_u32(out, in->version);
	put_u32(out + 4, in->cpus);
	put_u64(out + 8, in->memory_bytes);
	put_u64(out + 16, in->init_ns);
	put_u64(out + 24, in->connect_ns);
	text_put(out + 32, in->kernel, sizeof(in->kernel));
}

int proto_hello_decode(const uint8_t *in, size_t len, struct proto_hello *out)
{
	struct proto_hello hello;

	if (len != PROTO_HELLO_BYTES || text_get(in + 32, hello.kernel, sizeof(hello.kernel)))
		return -EBADMSG;
	hello.version = get_u32(in);
	hello.cpus = get_u32(in + 4);
	hello.memory_bytes = get_u64(in + 8);
	hello.init_ns = get_u64(in + 16);
	hello.connect_ns = get_u64(in + 24);
	*out = hello;
	return 0;
}

void proto_started_encode(const struct proto_started *in, uint8_t out[PROTO_STARTED_BYTES])
{
	put_u64(out, in->uptime_ns);
}

int proto_started_decode(const uint8_t *in, size_t len, struct proto_started *out)
{
	if (len != PROTO_STARTED_BYTES)
		return -EBADMSG;
	out->uptime_ns = get_u64(in);
	return 0;
}

void proto_start_failed_encode(const struct proto_start_failed *in, uint8_t out[PROTO_START_FAILED_BYTES])
{
	put_u32(out, in->exit_status);
	put_u32(out + 4, in->error);
	text_put(out + 8, in->text, sizeof(in->text));
}

int proto_start_failed_decode(const uint8_t *in, size_t len, struct proto_start_failed *out)
{
	struct proto_start_failed failed;

	if (len != PROTO_START_FAILED_BYTES || text_get(in + 8, failed.text, sizeof(failed.text)))
		return -EBADMSG;
	failed.exit_status = get_u32(in);
	failed.error = get_u32(in + 4);
	if (failed.exit_status < 125 || failed.exit_status > 127)
		return -EBADMSG;
	*out = failed;
	return 0;
}

void proto_exited_encode(const struct proto_exited *in, uint8_t out[PROTO_EXITED_BYTES])
{
	put_u32(out, in->exit_status);
	put_u32(out + 4, in->signal);
	put_u32(out + 8, in->oom_kills);
	put_u32(out + 12, 0);
	put_u64(out + 16, in->uptime_ns);
	put_u64(out + 24, in->user_us);
	put_u64(out + 32, in->system_us);
	put_u64(out + 40, in->memory_peak_bytes);
}

int proto_exited_decode(const uint8_t *in, size_t len, struct proto_exited *out)
{
	struct proto_exited exited;

	if (len != PROTO_EXITED_BYTES || get_u32(in + 12))
		return -EBADMSG;
	exited.exit_status = get_u32(in);
	exited.signal = get_u32(in + 4);
	exited.oom_kills = get_u32(in + 8);
	exited.uptime_ns = get_u64(in + 16);
	exited.user_us = get_u64(in + 24);
	exited.system_us = get_u64(in + 32);
	exited.memory_peak_bytes = get_u64(in + 40);
	if (exited.exit_status > 255 || exited.signal > SIGNAL_MAX)
		return -EBADMSG;
	if (exited.signal && exited.exit_status != 128 + exited.signal)
		return -EBADMSG;
	*out = exited;
	return 0;
}

void proto_signal_encode(const struct proto_signal *in, uint8_t out[PROTO_SIGNAL_BYTES])
{
	put_u32(out, in->number);
}

int proto_signal_decode(const uint8_t *in, size_t len, struct proto_signal *out)
{
	if (len != PROTO_SIGNAL_BYTES || !get_u32(in) || get_u32(in) > SIGNAL_MAX)
		return -EBADMSG;
	out->number = get_u32(in);
	return 0;
}

void proto_resize_encode(const struct proto_resize *in, uint8_t out[PROTO_RESIZE_BYTES])
{
	put_u16(out, in->rows);
	put_u16(out + 2, in->columns);
}

int proto_resize_decode(const uint8_t *in, size_t len, struct proto_resize *out)
{
	if (len != PROTO_RESIZE_BYTES || get_u16(in) > TERMINAL_SIDE_MAX ||
		get_u16(in + 2) > TERMINAL_SIDE_MAX)
		return -EBADMSG;
	out->rows = get_u16(in);
	out->columns = get_u16(in + 2);
	return 0;
}
