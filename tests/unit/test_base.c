// SPDX-License-Identifier: Apache-2.0
/* err, buf, io and loop: the parts every program stands on. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/loop.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_err_is_one_line_however_it_is_fed(void **state)
{
	struct err err = ERR_INIT;
	char big[2000];

	(void)state;
	assert_int_equal(err_sys(&err, -ENOSPC, "write %s", "evil\n\x1b[31m"), -ENOSPC);
	assert_int_equal(err_wrap(&err, "load %s", "x"), -ENOSPC);
	assert_string_equal(err.text, "load x: write evil??[31m: No space left on device");
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&err, EINVAL, "%s", big);
	err_wrap(&err, "%s", big);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_int_equal(err_set(NULL, EINVAL, "nobody listens"), -EINVAL);
}

static void test_err_shows_letters_and_nothing_that_acts(void **state)
{
	static const struct {
		const char *in, *out;
	} texts[] = {
		{"caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80"},
		{"\xc2\x9b"
		 "31m \xc2\x80 \xc2\x9f",
			"?31m ? ?"}, /* C1: an escape without ESC */
		{"\xc2\xa0", "\xc2\xa0"},
		{"a\xe2\x80\xae"
		 "b\xe2\x81\xa6"
		 "c\xe2\x80\xa8"
		 "d\xd8\x9c",
			"a?b?c?d?"}, /* overrides, isolates, a line's end, the Arabic mark */
		{"\xe2\x80\x93 \xe2\x81\xaa", "\xe2\x80\x93 \xe2\x81\xaa"}, /* their neighbours */
		{"\x9b \xff \xc3", "? ? ?"}, /* no UTF-8; cut */
		{"\xc0\x8a \xe0\x80\x8a \xf0\x80\x80\x8a", "?? ??? ????"}, /* a line feed in too many bytes */
		{"\xed\xa0\x80 \xf4\x90\x80\x80 \xf8\x88\x80\x80\x80", "??? ???? ?????"},
		{"\x7f\t", "??"},
	};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		err_set(&err, EINVAL, "%s", texts[i].in);
		assert_string_equal(err.text, texts[i].out);
	}
}

static void test_buf_stops_at_its_limit_and_stays_failed(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	buf_append_text(&buf, "0123456789");
	assert_int_equal(buf_error(&buf), 0);
	buf_append(&buf, "x", 1);
	assert_int_equal(buf_error(&buf), -EMSGSIZE);
	assert_int_equal(buf.len, 10);
	assert_null(buf_text(&buf));
	buf_done(&buf);
	buf_init(&buf, 1000);
	buf_printf(&buf, "%d-%s", 42, "x");
	assert_string_equal(buf_text(&buf), "42-x");
	buf_consume(&buf, 3);
	assert_string_equal(buf_text(&buf), "x");
	buf_consume(&buf, 99);
	assert_int_equal(buf.len, 0);
	buf_done(&buf);
}

static void test_a_file_is_read_up_to_a_limit(void **state)
{
	char dir[] = "/tmp/mvrun-test-XXXXXX", *data = NULL;
	auto_fd fd = -1;
	auto_fd file = -1;
	size_t len;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	file = openat(fd, "file", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(io_write_all(file, "two!", 4), 0);
	assert_int_equal(io_read_file(fd, "file", 4, &data, &len), 0);
	assert_int_equal(len, 4);
	assert_string_equal(data, "two!");
	free(data);
	assert_int_equal(io_read_file(fd, "file", 3, &data, &len), -EFBIG);
	assert_int_equal(io_read_file(fd, "none", 3, &data, &len), -ENOENT);
	assert_int_equal(unlinkat(fd, "file", 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_descriptors_travel_and_an_overlong_message_leaks_none(void **state)
{
	int pair[2], got[2], before, after;
	char text[8];
	size_t n_fds;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(io_send_fds(pair[0], "hi", 2, (int[]){0, 1}, 2), 0);
	assert_int_equal(io_recv_fds(pair[1], text, sizeof(text), got, 2, &n_fds), 2);
	assert_int_equal(n_fds, 2);
	assert_int_equal(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	close(got[0]);
	close(got[1]);
	before = dup(0);
	close(before);
	assert_int_equal(io_send_fds(pair[0], "hi", 2, (int[]){0, 1}, 2), 0);
	assert_int_equal(io_recv_fds(pair[1], text, sizeof(text), got, 1, &n_fds), -EMSGSIZE);
	assert_int_equal(io_send_fds(pair[0], "too long a text", 15, (int[]){0}, 1), 0);
	assert_int_equal(io_recv_fds(pair[1], text, sizeof(text), got, 2, &n_fds), -EMSGSIZE);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	close(pair[0]);
	assert_int_equal(io_recv_fds(pair[1], text, sizeof(text), got, 2, &n_fds), 0);
	close(pair[1]);
}

static void test_reads_say_when_the_end_came_early(void **state)
{
	int pipe_fds[2];
	char data[4];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(io_write_all(pipe_fds[1], "abc", 3), 0);
	close(pipe_fds[1]);
	assert_int_equal(io_read_exact(pipe_fds[0], data, 4), -ENODATA);
	close(pipe_fds[0]);
}

struct two_sources {
	struct loop loop;
	struct loop_source a, b;
	int fired;
};

static void on_either(struct loop_source *source, uint32_t events)
{
	struct two_sources *t = source->ctx;

	(void)events;
	t->fired++;
	loop_del(&t->loop, &t->a);
	loop_del(&t->loop, &t->b);
	loop_quit(&t->loop);
}

static void test_a_source_removed_by_another_does_not_fire(void **state)
{
	struct two_sources t = {0};
	int one[2], two[2];

	(void)state;
	assert_int_equal(pipe(one), 0);
	assert_int_equal(pipe(two), 0);
	assert_int_equal(loop_init(&t.loop), 0);
	assert_int_equal(loop_add(&t.loop, &t.a, one[0], EPOLLIN, on_either, &t), 0);
	assert_int_equal(loop_add(&t.loop, &t.b, two[0], EPOLLIN, on_either, &t), 0);
	assert_int_equal(io_write_all(one[1], "x", 1), 0);
	assert_int_equal(io_write_all(two[1], "x", 1), 0);
	assert_int_equal(loop_run(&t.loop), 0);
	assert_int_equal(t.fired, 1);
	loop_done(&t.loop);
	for (int i = 0; i < 2; i++) {
		close(one[i]);
		close(two[i]);
	}
}

static void test_log_limit_stops_a_flood(void **state)
{
	struct log_limit limit = {0};
	int allowed = 0;

	(void)state;
	for (int i = 0; i < 100000; i++)
		allowed += log_allow(&limit);
	assert_in_range(allowed, 10, 13);
	assert_int_equal(limit.dropped, (uint64_t)(100000 - allowed));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_is_one_line_however_it_is_fed),
		cmocka_unit_test(test_err_shows_letters_and_nothing_that_acts),
		cmocka_unit_test(test_buf_stops_at_its_limit_and_stays_failed),
		cmocka_unit_test(test_a_file_is_read_up_to_a_limit),
		cmocka_unit_test(test_descriptors_travel_and_an_overlong_message_leaks_none),
		cmocka_unit_test(test_reads_say_when_the_end_came_early),
		cmocka_unit_test(test_a_source_removed_by_another_does_not_fire),
		cmocka_unit_test(test_log_limit_stops_a_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
