// SPDX-License-Identifier: Apache-2.0
/* The console under a hostile driver: what it shows is what was written, within the size of its ring. */
#include "tests/fuzz/guest.h"

#include "virtio/console.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct virtio_console console;
static int keyboard;

/* The user types, or goes. */
static void move_type(struct guest *guest)
{
	uint8_t len = fuzz_u8(&guest->input);
	const uint8_t *bytes;
	size_t n = fuzz_bytes(&guest->input, len, &bytes);

	if (n)
		(void)send(keyboard, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		shutdown(keyboard, SHUT_WR);
	guest_run(guest);
}

static void state_check(struct guest *guest)
{
	const struct virtio_console_state *state = &console.state;
	struct stat st;

	(void)guest;
	fuzz_require(state->drained_bytes <= state->written_bytes);
	fuzz_require(fstat(console.options.out_fd, &st) == 0);
	/* A file takes everything: what the ring held is there, and a line for what it did not. */
	fuzz_require(state->drained_bytes == state->written_bytes && !state->lost_bytes);
	fuzz_require((uint64_t)st.st_size <=
		     state->written_bytes + 80 * (state->written_bytes / CONSOLE_RING_BYTES));
}

static void tail_check(int out)
{
	uint8_t tail[1024], end[sizeof(tail)];
	size_t len = virtio_console_tail(&console, tail, sizeof(tail));
	off_t size = lseek(out, 0, SEEK_END);

	fuzz_require(len <= sizeof(tail) && len <= console.state.written_bytes && size >= (off_t)len);
	fuzz_require(pread(out, end, len, size - (off_t)len) == (ssize_t)len && memcmp(tail, end, len) == 0);
	fuzz_note(tail, len);
	fuzz_note_u64(virtio_console_panicked(&console));
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct guest *guest = guest_begin(data, len);
	struct virtio_wiring wiring = fake_wiring(&guest->fake);
	int sockets[2], out = fuzz_file(0, NULL, 0);

	fuzz_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) == 0);
	keyboard = sockets[1];
	memset(&console, 0, sizeof(console));
	fuzz_require(virtio_console_init(&console, &wiring,
			     &(struct virtio_console_options){.out_fd = out, .in_fd = sockets[0]}) == 0);
	guest->move = move_type;
	guest->check = state_check;
	guest_play(guest, &console.dev, 2);
	tail_check(out);
	virtio_console_done(&console);
	close(sockets[0]);
	close(sockets[1]);
}
