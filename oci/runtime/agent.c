// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/agent.h"

#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A guest that has hung up is on its way down (a panic, a power-off), or it lied. */
#define GONE_PATIENCE_MS 3000

/* Room for the largest spec in its frames, and for some thousand signals behind it. */
#define OUT_MAX (PROTO_SPEC_MAX + (256u << 10))

static const char *const frame_names[] = {
	[PROTO_HELLO] = "HELLO",
	[PROTO_STARTED] = "STARTED",
	[PROTO_START_FAILED] = "START_FAILED",
	[PROTO_EXITED] = "EXITED",
	[PROTO_WARNING] = "WARNING",
};

static const char *frame_name(uint16_t type)
{
	return type < sizeof(frame_names) / sizeof(frame_names[0]) && frame_names[type] ? frame_names[type]
											: "an unknown frame";
}

static void agent_watch(struct agent *agent)
{
	uint32_t events = EPOLLIN | (agent->out_sent < agent->out.len ? (uint32_t)EPOLLOUT : 0);

	if (agent_talking(agent))
		loop_mod(agent->loop, &agent->source, events);
	else
		loop_del(agent->loop, &agent->source);
}

static void agent_enter(struct agent *agent, enum agent_state state)
{
	agent->state = state;
	agent->deadline_ms = clock_now_ms() + (state == AGENT_GONE && agent->patience_ms > GONE_PATIENCE_MS
							      ? GONE_PATIENCE_MS
							      : agent->patience_ms);
	if (!agent_talking(agent))
		loop_del(agent->loop, &agent->source);
	agent->changed(agent, agent->ctx);
}

static void agent_lied(struct agent *agent, const char *what, uint16_t type)
{
	err_set(&agent->err, EBADMSG, "the guest sent %s: %s", frame_name(type), what);
	agent_enter(agent, AGENT_LIED);
}

/* How long the payload of a frame of this type may be; -1: the guest sends no such frames. */
static int payload_max(uint16_t type)
{
	switch (type) {
	case PROTO_HELLO:
		return PROTO_HELLO_BYTES;
	case PROTO_STARTED:
		return PROTO_STARTED_BYTES;
	case PROTO_START_FAILED:
		return PROTO_START_FAILED_BYTES;
	case PROTO_EXITED:
		return PROTO_EXITED_BYTES;
	case PROTO_WARNING:
		return PROTO_TEXT_MAX;
	default:
		return -1;
	}
}

static void on_hello(struct agent *agent, const uint8_t *payload, size_t len)
{
	if (agent->state != AGENT_BOOTING) {
		agent_lied(agent, "not in this state", PROTO_HELLO);
	} else if (proto_hello_decode(payload, len, &agent->hello)) {
		agent_lied(agent, "malformed", PROTO_HELLO);
	} else if (agent->hello.version != PROTO_VERSION) {
		err_set(&agent->err, EPROTO,
			"the initramfs speaks version %u of the protocol, mvrun version %d; reinstall mvrun",
			agent->hello.version, PROTO_VERSION);
		agent_enter(agent, AGENT_LIED);
	} else {
		agent_enter(agent, AGENT_STARTING);
	}
}

static void on_started(struct agent *agent, const uint8_t *payload, size_t len)
{
	if (agent->state != AGENT_STARTING)
		agent_lied(agent, "not in this state", PROTO_STARTED);
	else if (proto_started_decode(payload, len, &agent->started))
		agent_lied(agent, "malformed", PROTO_STARTED);
	else
		agent_enter(agent, AGENT_RUNNING);
}

static void on_start_failed(struct agent *agent, const uint8_t *payload, size_t len)
{
	if (agent->state != AGENT_STARTING)
		agent_lied(agent, "not in this state", PROTO_START_FAILED);
	else if (proto_start_failed_decode(payload, len, &agent->failed))
		agent_lied(agent, "malformed", PROTO_START_FAILED);
	else
		agent_enter(agent, AGENT_FAILED);
}

static void on_exited(struct agent *agent, const uint8_t *payload, size_t len)
{
	if (agent->state != AGENT_RUNNING)
		agent_lied(agent, "not in this state", PROTO_EXITED);
	else if (proto_exited_decode(payload, len, &agent->exited))
		agent_lied(agent, "malformed", PROTO_EXITED);
	else
		agent_enter(agent, AGENT_EXITED);
}

static void on_warning(struct agent *agent, const uint8_t *payload, size_t len)
{
	struct err text = ERR_INIT;

	if (agent->state == AGENT_BOOTING) {
		agent_lied(agent, "not in this state", PROTO_WARNING);
		return;
	}
	/* Through an err for its one clean line; the limit is for a guest that floods the user's terminal. */
	err_set(&text, 0, "%.*s", (int)len, (const char *)payload);
	if (log_allow(&agent->warnings))
		log_warn("%s", text.text);
}

static void agent_frame(struct agent *agent, uint16_t type, const uint8_t *payload, size_t len)
{
	switch (type) {
	case PROTO_HELLO:
		on_hello(agent, payload, len);
		break;
	case PROTO_STARTED:
		on_started(agent, payload, len);
		break;
	case PROTO_START_FAILED:
		on_start_failed(agent, payload, len);
		break;
	case PROTO_EXITED:
		on_exited(agent, payload, len);
		break;
	case PROTO_WARNING:
		on_warning(agent, payload, len);
		break;
	default:
		agent_lied(agent, "the host sends those", type);
	}
}

/*
 * Check the header at the front of the buffer. The length of the whole frame once it is there, 0 while it is
 * not, -1 after a lie.
 */
static int frame_ready(struct agent *agent, struct proto_header *header)
{
	int max;

	if (agent->in_len < PROTO_HEADER_BYTES)
		return 0;
	if (proto_header_decode(agent->in, header)) {
		agent_lied(agent, "malformed header", 0);
		return -1;
	}
	max = payload_max(header->type);
	if (max < 0 || header->len > (uint32_t)max || header->id != 0) {
		agent_lied(
			agent, max < 0 ? "the guest has no such frames" : "wrong length or id", header->type);
		return -1;
	}
	return agent->in_len < PROTO_HEADER_BYTES + header->len ? 0 : (int)(PROTO_HEADER_BYTES + header->len);
}

static void agent_frames(struct agent *agent)
{
	while (agent_talking(agent)) {
		struct proto_header header;
		int frame_bytes = frame_ready(agent, &header);

		if (frame_bytes <= 0)
			return;
		agent_frame(agent, header.type, agent->in + PROTO_HEADER_BYTES, header.len);
		agent->in_len -= (size_t)frame_bytes;
		memmove(agent->in, agent->in + frame_bytes, agent->in_len);
	}
}

static void agent_read(struct agent *agent)
{
	ssize_t n = read(agent->fd, agent->in + agent->in_len, sizeof(agent->in) - agent->in_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		agent_enter(agent, AGENT_GONE);
		return;
	}
	agent->in_len += (size_t)n;
	agent_frames(agent);
}

/* Send what the socket takes. A guest that is gone is noticed by reading. */
static void agent_flush(struct agent *agent)
{
	while (agent->out_sent < agent->out.len) {
		ssize_t n = send(agent->fd, agent->out.data + agent->out_sent,
			agent->out.len - agent->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			agent->out_sent = agent->out.len;
			break;
		}
		agent->out_sent += (size_t)n;
	}
	if (agent->out_sent == agent->out.len)
		agent->out.len = agent->out_sent = 0;
	agent_watch(agent);
}

static void on_control(struct loop_source *source, uint32_t events)
{
	struct agent *agent = source->ctx;

	if (events & EPOLLOUT)
		agent_flush(agent);
	if (events & (uint32_t)~EPOLLOUT)
		agent_read(agent);
}

int agent_init(
	struct agent *agent, struct loop *loop, int fd, uint64_t patience_ms, agent_fn *changed, void *ctx)
{
	*agent = (struct agent){
		.loop = loop, .fd = fd, .patience_ms = patience_ms, .changed = changed, .ctx = ctx};
	agent->deadline_ms = clock_now_ms() + patience_ms;
	buf_init(&agent->out, OUT_MAX);
	return loop_add(loop, &agent->source, fd, EPOLLIN, on_control, agent);
}

void agent_done(struct agent *agent)
{
	if (agent->loop)
		loop_del(agent->loop, &agent->source);
	buf_done(&agent->out);
}

/* Append a frame whole or, where there is no room for it, not at all. */
static int agent_queue(struct agent *agent, enum proto_type type, const uint8_t *payload, size_t len)
{
	struct proto_header header = {.len = (uint32_t)len, .type = (uint16_t)type};
	uint8_t bytes[PROTO_HEADER_BYTES];

	if (len + sizeof(bytes) > agent->out.max - agent->out.len)
		return -EMSGSIZE;
	proto_header_encode(&header, bytes);
	buf_append(&agent->out, bytes, sizeof(bytes));
	buf_append(&agent->out, payload, len);
	return buf_error(&agent->out);
}

int agent_start(struct agent *agent, const uint8_t *spec, size_t len)
{
	int ret = 0;

	while (len && !ret) {
		size_t piece = len < PROTO_PAYLOAD_MAX ? len : PROTO_PAYLOAD_MAX;

		ret = agent_queue(agent, PROTO_SPEC, spec, piece);
		spec += piece;
		len -= piece;
	}
	ret = ret ? ret : agent_queue(agent, PROTO_START, NULL, 0);
	if (!ret)
		agent_flush(agent);
	return ret;
}

void agent_signal(struct agent *agent, int number)
{
	struct proto_signal signal = {.number = (uint32_t)number};
	uint8_t payload[PROTO_SIGNAL_BYTES];

	proto_signal_encode(&signal, payload);
	if (agent_talking(agent) && !agent_queue(agent, PROTO_SIGNAL, payload, sizeof(payload)))
		agent_flush(agent);
}

void agent_resize(struct agent *agent, uint16_t rows, uint16_t columns)
{
	struct proto_resize resize = {.rows = rows, .columns = columns};
	uint8_t payload[PROTO_RESIZE_BYTES];

	proto_resize_encode(&resize, payload);
	if (agent_talking(agent) && !agent_queue(agent, PROTO_RESIZE, payload, sizeof(payload)))
		agent_flush(agent);
}

uint64_t agent_deadline_ms(const struct agent *agent)
{
	return agent->state <= AGENT_STARTING || agent->state == AGENT_GONE ? agent->deadline_ms : UINT64_MAX;
}

void agent_expire(struct agent *agent)
{
	unsigned long long seconds = (unsigned long long)(agent->patience_ms / 1000);

	if (agent->state == AGENT_GONE)
		err_set(&agent->err, EBADMSG,
			"the guest closed its control connection before the container had ended");
	else if (agent->state == AGENT_BOOTING)
		err_set(&agent->err, ETIMEDOUT,
			"the guest did not come up within %llu s (MVRUN_BOOT_TIMEOUT_S allows more)",
			seconds);
	else
		err_set(&agent->err, ETIMEDOUT, "the guest did not start the container within %llu s",
			seconds);
	agent_enter(agent, AGENT_LIED);
}
