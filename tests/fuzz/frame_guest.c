// SPDX-License-Identifier: Apache-2.0
/*
 * Frames that a guest sends, as the host reads them: through a socket, in pieces of any size. The conversation only
 * goes forward, and what is said after its end is not looked at.
 */
#include "tests/fuzz/fuzz.h"

#include "base/io.h"
#include "oci/runtime/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct seen {
	enum agent_state last;
	unsigned changes;
};

static void on_change(struct agent *agent, void *ctx)
{
	struct seen *seen = ctx;

	fuzz_require(agent->state > seen->last && ++seen->changes <= 3);
	if (agent->state == AGENT_STARTING)
		fuzz_require(agent->hello.version == PROTO_VERSION && memchr(agent->hello.kernel, 0, 64));
	else if (agent->state == AGENT_RUNNING)
		fuzz_require(seen->last == AGENT_STARTING);
	else if (agent->state == AGENT_EXITED)
		fuzz_require(seen->last == AGENT_RUNNING && agent->exited.exit_status <= 255);
	else if (agent->state == AGENT_FAILED)
		fuzz_require(seen->last == AGENT_STARTING && memchr(agent->failed.text, 0, PROTO_TEXT_MAX));
	else if (agent->state == AGENT_LIED)
		fuzz_require(agent->err.code && agent->err.text[0]);
	seen->last = agent->state;
	fuzz_note_u64((uint64_t)agent->state);
	fuzz_note_text(agent->err.text);
}

/* Let everything that is there be read. */
static void settle(struct loop *loop)
{
	int turns = 0;

	while (loop_turn(loop, 0) > 0)
		fuzz_require(++turns < 1000);
}

static void talk(struct loop *loop, int fd, struct fuzz_input *input)
{
	while (input->left) {
		const uint8_t *bytes;
		size_t len = 1 + (size_t)fuzz_u8(input) * 4;

		len = fuzz_bytes(input, len, &bytes);
		if (len && send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			fuzz_require(errno == EAGAIN || errno == EPIPE);
		settle(loop);
	}
}

void fuzz_one(const uint8_t *data, size_t len)
{
	static struct agent agent;
	struct fuzz_input input = {data, len};
	struct seen seen = {.last = AGENT_BOOTING};
	struct loop loop;
	int sockets[2];

	fuzz_require(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) == 0 && loop_init(&loop) == 0);
	fuzz_require(agent_init(&agent, &loop, sockets[0], 1000, on_change, &seen) == 0);
	talk(&loop, sockets[1], &input);
	fuzz_require(agent_talking(&agent) || !agent.source.active);
	close(sockets[1]);
	settle(&loop);
	fuzz_require(!agent_talking(&agent));
	agent_done(&agent);
	loop_done(&loop);
	close(sockets[0]);
}
