// SPDX-License-Identifier: Apache-2.0
/*
 * The relay of standard streams over real pipes, a real terminal and a socket pair in the place of vsock:
 * every byte arrives, ends are passed on, and nobody who is slow or gone holds anything up.
 */
#include "guest-init/relay.c"

#include "tests/unit/cm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#define MUCH (3u << 20)

struct stage {
	struct loop loop;
	struct relay relay;
	int ours[2]; /* the pipe, or the terminal's two sides */
	int host; /* the other end of the connection */
	int ended;
};

static void on_ended(struct relay *relay)
{
	struct stage *stage = relay->ctx;

	stage->ended++;
}

static void nonblock(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

/* relay_fd: which of ours[] the relay gets. */
static void stage_start(struct stage *stage, enum relay_kind kind, int relay_fd)
{
	bool output = kind == RELAY_PIPE_TO_SOCKET || kind == RELAY_TERMINAL_TO_SOCKET;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	nonblock(pair[0]);
	nonblock(pair[1]);
	nonblock(stage->ours[relay_fd]);
	stage->host = pair[1];
	assert_int_equal(
		relay_start(&stage->relay, &stage->loop, kind, output ? stage->ours[relay_fd] : pair[0],
			output ? pair[0] : stage->ours[relay_fd], on_ended, stage),
		0);
	stage->ours[relay_fd] = -1;
}

static struct stage *stage_new(void)
{
	struct stage *stage = calloc(1, sizeof(*stage));

	assert_int_equal(loop_init(&stage->loop), 0);
	return stage;
}

static void stage_free(struct stage *stage)
{
	relay_done(&stage->relay);
	close(stage->host);
	for (int i = 0; i < 2; i++) {
		if (stage->ours[i] >= 0)
			close(stage->ours[i]);
	}
	loop_done(&stage->loop);
	free(stage);
}

static void pipe_make(struct stage *stage)
{
	assert_int_equal(pipe(stage->ours), 0);
}

/* Turn until there is nothing more to do at once. A relay that spins never gets quiet and fails here. */
static void settle(struct stage *stage)
{
	int turns = 0;

	while (loop_turn(&stage->loop, 20) > 0)
		assert_true(++turns < 10000);
}

static void test_output_arrives_whole(void **state)
{
	struct stage *stage = stage_new();
	static char sent[MUCH], got[MUCH + 40003];
	size_t written = 0, read_bytes = 0;
	ssize_t n;

	(void)state;
	pipe_make(stage);
	nonblock(stage->ours[1]);
	stage_start(stage, RELAY_PIPE_TO_SOCKET, 0);
	for (size_t i = 0; i < MUCH; i++)
		sent[i] = (char)(rand() >> 7);
	while (read_bytes < MUCH) {
		/* Odd sizes on both sides, and a reader that is often behind. */
		n = written < MUCH ? write(stage->ours[1], sent + written,
					     MUCH - written < 70001 ? MUCH - written : 70001)
				   : 0;
		written += n > 0 ? (size_t)n : 0;
		loop_turn(&stage->loop, 0);
		n = rand() % 3 ? read(stage->host, got + read_bytes, 40003) : 0;
		read_bytes += n > 0 ? (size_t)n : 0;
	}
	assert_memory_equal(sent, got, MUCH);
	assert_int_equal(stage->ended, 0);
	stage_free(stage);
}

static void test_end_of_output_is_behind_the_last_byte(void **state)
{
	struct stage *stage = stage_new();
	char got[16];

	(void)state;
	pipe_make(stage);
	stage_start(stage, RELAY_PIPE_TO_SOCKET, 0);
	assert_int_equal(write(stage->ours[1], "last", 4), 4);
	close(stage->ours[1]);
	stage->ours[1] = -1;
	settle(stage);
	assert_int_equal(stage->ended, 1);
	assert_int_equal(read(stage->host, got, sizeof(got)), 4);
	assert_int_equal(read(stage->host, got, sizeof(got)), 0);
	stage_free(stage);
}

static void test_a_slow_reader_stops_the_writer_and_nothing_spins(void **state)
{
	struct stage *stage = stage_new();
	static char block[65536], got[65536];
	size_t written = 0, taken = 0;
	ssize_t n;

	(void)state;
	pipe_make(stage);
	nonblock(stage->ours[1]);
	stage_start(stage, RELAY_PIPE_TO_SOCKET, 0);
	do {
		n = write(stage->ours[1], block, sizeof(block));
		written += n > 0 ? (size_t)n : 0;
		settle(stage);
	} while (n > 0);
	assert_int_equal(stage->relay.state, RELAY_WRITING);
	assert_true(written < 4u << 20);
	/* The writer goes away meanwhile: still nothing spins, and still everything arrives. */
	close(stage->ours[1]);
	stage->ours[1] = -1;
	settle(stage);
	while ((n = read(stage->host, got, sizeof(got))) != 0) {
		taken += n > 0 ? (size_t)n : 0;
		loop_turn(&stage->loop, 0);
	}
	assert_int_equal(taken, written);
	assert_int_equal(stage->ended, 1);
	stage_free(stage);
}

static void test_a_reader_that_is_gone_closes_the_pipe(void **state)
{
	struct stage *stage = stage_new();

	(void)state;
	pipe_make(stage);
	stage_start(stage, RELAY_PIPE_TO_SOCKET, 0);
	settle(stage);
	close(stage->host);
	stage->host = -1;
	settle(stage);
	assert_int_equal(stage->ended, 1);
	assert_int_equal(write(stage->ours[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	stage_free(stage);
}

/* A host that never writes and says so still reads. */
static void test_a_half_closed_connection_goes_on(void **state)
{
	struct stage *stage = stage_new();
	char got[4];

	(void)state;
	pipe_make(stage);
	stage_start(stage, RELAY_PIPE_TO_SOCKET, 0);
	assert_int_equal(shutdown(stage->host, SHUT_WR), 0);
	settle(stage);
	assert_int_equal(stage->ended, 0);
	assert_int_equal(write(stage->ours[1], "abc", 3), 3);
	settle(stage);
	assert_int_equal(read(stage->host, got, sizeof(got)), 3);
	stage_free(stage);
}

static void test_input_and_its_end(void **state)
{
	struct stage *stage = stage_new();
	char got[16];

	(void)state;
	pipe_make(stage);
	stage_start(stage, RELAY_SOCKET_TO_PIPE, 1);
	settle(stage);
	assert_int_equal(write(stage->host, "in", 2), 2);
	settle(stage);
	assert_int_equal(read(stage->ours[0], got, sizeof(got)), 2);
	assert_int_equal(write(stage->host, "put", 3), 3);
	shutdown(stage->host, SHUT_WR);
	settle(stage);
	assert_int_equal(read(stage->ours[0], got, sizeof(got)), 3);
	assert_int_equal(read(stage->ours[0], got, sizeof(got)), 0);
	assert_int_equal(stage->ended, 1);
	stage_free(stage);
}

static void test_input_that_nobody_takes(void **state)
{
	struct stage *stage = stage_new();
	static char block[65536];
	ssize_t n;

	(void)state;
	pipe_make(stage);
	stage_start(stage, RELAY_SOCKET_TO_PIPE, 1);
	do {
		n = write(stage->host, block, sizeof(block));
		settle(stage);
	} while (n > 0);
	assert_int_equal(stage->ended, 0);
	/* Then the process closes its standard input. */
	close(stage->ours[0]);
	stage->ours[0] = -1;
	settle(stage);
	assert_int_equal(stage->ended, 1);
	assert_int_equal(send(stage->host, "x", 1, MSG_NOSIGNAL), -1);
	stage_free(stage);
}

static void terminal_make(struct stage *stage)
{
	struct termios raw;
	int unlock = 0;

	stage->ours[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	assert_true(stage->ours[0] >= 0);
	assert_int_equal(ioctl(stage->ours[0], TIOCSPTLCK, &unlock), 0);
	stage->ours[1] = ioctl(stage->ours[0], TIOCGPTPEER, O_RDWR | O_NOCTTY);
	assert_true(stage->ours[1] >= 0);
	assert_int_equal(tcgetattr(stage->ours[1], &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(stage->ours[1], TCSANOW, &raw), 0);
}

static void test_terminal_output_to_its_last_byte(void **state)
{
	struct stage *stage = stage_new();
	char line[200], got[8192];
	size_t taken = 0, written = 0;
	ssize_t n;

	(void)state;
	terminal_make(stage);
	stage_start(stage, RELAY_TERMINAL_TO_SOCKET, 0);
	memset(line, 'x', sizeof(line));
	for (int i = 0; i < 15; i++)
		written += (size_t)write(stage->ours[1], line, sizeof(line));
	close(stage->ours[1]);
	stage->ours[1] = -1;
	settle(stage);
	assert_int_equal(stage->ended, 1);
	while ((n = read(stage->host, got, sizeof(got))) > 0)
		taken += (size_t)n;
	assert_int_equal(n, 0);
	assert_int_equal(taken, written);
	stage_free(stage);
}

static void test_terminal_input(void **state)
{
	struct stage *stage = stage_new();
	char got[16];

	(void)state;
	terminal_make(stage);
	stage_start(stage, RELAY_SOCKET_TO_TERMINAL, 0);
	assert_int_equal(write(stage->host, "keys", 4), 4);
	settle(stage);
	assert_int_equal(read(stage->ours[1], got, sizeof(got)), 4);
	relay_stop(&stage->relay);
	assert_int_equal(stage->ended, 1);
	relay_stop(&stage->relay);
	assert_int_equal(stage->ended, 1);
	stage_free(stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_arrives_whole),
		cmocka_unit_test(test_end_of_output_is_behind_the_last_byte),
		cmocka_unit_test(test_a_slow_reader_stops_the_writer_and_nothing_spins),
		cmocka_unit_test(test_a_reader_that_is_gone_closes_the_pipe),
		cmocka_unit_test(test_a_half_closed_connection_goes_on),
		cmocka_unit_test(test_input_and_its_end),
		cmocka_unit_test(test_input_that_nobody_takes),
		cmocka_unit_test(test_terminal_output_to_its_last_byte),
		cmocka_unit_test(test_terminal_input),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
