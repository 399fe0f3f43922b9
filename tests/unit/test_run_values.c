// SPDX-License-Identifier: Apache-2.0
/* What the values of run's options mean, and what is refused. */
#include "base/num.h"
#include "cli/envfile.h"
#include "cli/text.h"
#include "cli/values.h"
#include "oci/runtime/capability.h"
#include "oci/runtime/names.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#define BIT(n) (UINT64_C(1) << (n))

static struct err err;

static void test_memory(void **state)
{
	uint64_t bytes = 7;

	(void)state;
	assert_int_equal(value_memory("512m", &bytes, &err), 0);
	assert_int_equal(bytes, 512 * MIB);
	assert_int_equal(value_memory("32m", &bytes, &err), 0);
	assert_int_equal(value_memory("1g", &bytes, &err), 0);
	assert_int_equal(value_memory("33554433", &bytes, &err), 0);
	assert_int_equal(bytes, 33 * MIB);
	assert_int_equal(value_memory("1.5g", &bytes, &err), 0);
	assert_true(bytes == 1536 * MIB);
	assert_int_equal(value_memory("32.1m", &bytes, &err), 0);
	assert_true(bytes == 33 * MIB);
	bytes = 7;
	assert_int_equal(value_memory("1m", &bytes, &err), -EINVAL);
	assert_int_equal(value_memory("33554431", &bytes, &err), -EINVAL);
	assert_int_equal(value_memory("9223372036854775808", &bytes, &err), -EINVAL);
	assert_int_equal(value_memory("18446744073709551616", &bytes, &err), -EINVAL);
	assert_int_equal(value_memory("2t", &bytes, &err), -EINVAL);
	assert_int_equal(value_memory("", &bytes, &err), -EINVAL);
	assert_int_equal(value_memory("-5m", &bytes, &err), -EINVAL);
	assert_int_equal(value_memory("5 m", &bytes, &err), -EINVAL);
	assert_int_equal(bytes, 7);
}

static void test_cpus(void **state)
{
	uint64_t milli = 7;

	(void)state;
	assert_int_equal(value_cpus("1.5", 8, &milli, &err), 0);
	assert_int_equal(milli, 1500);
	assert_int_equal(value_cpus("0.01", 8, &milli, &err), 0);
	assert_int_equal(value_cpus("8", 8, &milli, &err), 0);
	assert_int_equal(value_cpus("64", 512, &milli, &err), 0);
	assert_int_equal(value_cpus("0", 8, &milli, &err), 0);
	assert_int_equal(milli, 8000);
	assert_int_equal(value_cpus("0.0", 512, &milli, &err), 0);
	assert_int_equal(milli, 64000);
	assert_int_equal(value_cpus(".5", 8, &milli, &err), 0);
	assert_int_equal(milli, 500);
	assert_int_equal(value_cpus("1.", 8, &milli, &err), 0);
	assert_int_equal(milli, 1000);
	milli = 7;
	assert_int_equal(value_cpus("0.0001", 8, &milli, &err), -EINVAL);
	assert_int_equal(value_cpus(".", 8, &milli, &err), -EINVAL);
	assert_int_equal(value_cpus("0.009", 8, &milli, &err), -EINVAL);
	assert_int_equal(value_cpus("8.001", 8, &milli, &err), -EINVAL);
	assert_int_equal(value_cpus("65", 512, &milli, &err), -EINVAL);
	assert_int_equal(value_cpus("10000", 8, &milli, &err), -EINVAL);
	assert_int_equal(value_cpus("x", 8, &milli, &err), -EINVAL);
	assert_int_equal(milli, 7);
}

static void test_ulimit(void **state)
{
	struct spec_rlimit limit = {0};

	(void)state;
	assert_int_equal(value_ulimit("nofile=10:20", &limit, &err), 0);
	assert_int_equal(limit.resource, RLIMIT_NOFILE);
	assert_int_equal(limit.soft, 10);
	assert_int_equal(limit.hard, 20);
	assert_int_equal(value_ulimit("core=0", &limit, &err), 0);
	assert_int_equal(limit.hard, 0);
	assert_int_equal(value_ulimit("memlock=-1:-1", &limit, &err), 0);
	assert_true(limit.soft == UINT64_MAX);
	assert_int_equal(value_ulimit("nofile=20:10", &limit, &err), -EINVAL);
	assert_non_null(strstr(err.text, "soft limit is above the hard limit"));
	assert_int_equal(value_ulimit("nofile=-1:10", &limit, &err), -EINVAL);
	assert_int_equal(value_ulimit("nofile", &limit, &err), -EINVAL);
	assert_int_equal(value_ulimit("nofile=", &limit, &err), -EINVAL);
	assert_int_equal(value_ulimit("nofile=1:2:3", &limit, &err), -EINVAL);
	assert_int_equal(value_ulimit("nosuch=1", &limit, &err), -EINVAL);
	assert_int_equal(value_ulimit("averyveryverylongname=1", &limit, &err), -EINVAL);
}

static void test_tmpfs(void **state)
{
	struct spec_mount mount;
	char *owned = NULL;

	(void)state;
	assert_int_equal(value_tmpfs("/run", &mount, &owned, &err), 0);
	assert_string_equal(mount.target, "/run");
	assert_string_equal(mount.data, "");
	assert_true(mount.flags == (MS_NOSUID | MS_NODEV | MS_NOEXEC));
	free(owned);
	assert_int_equal(value_tmpfs("/run:size=16m,exec,mode=1777,ro", &mount, &owned, &err), 0);
	assert_string_equal(mount.data, "size=16m,mode=1777");
	assert_true(mount.flags == (MS_NOSUID | MS_NODEV | MS_RDONLY));
	free(owned);
	owned = NULL;
	assert_int_equal(value_tmpfs("run", &mount, &owned, &err), -EINVAL);
	assert_int_equal(value_tmpfs("/", &mount, &owned, &err), -EINVAL);
	assert_int_equal(value_tmpfs("", &mount, &owned, &err), -EINVAL);
	assert_int_equal(value_tmpfs("/a/../..", &mount, &owned, &err), -EINVAL);
	assert_int_equal(value_tmpfs("/run:size=1m,evil", &mount, &owned, &err), -EINVAL);
	assert_int_equal(value_tmpfs("/run:size=", &mount, &owned, &err), -EINVAL);
	assert_int_equal(value_tmpfs("/run:mode=1777\nuid=0", &mount, &owned, &err), -EINVAL);
	assert_null(owned);
}

static void test_capabilities(void **state)
{
	static const char *const all[] = {"all"}, *const chown_[] = {"cap_chown"}, *const raw[] = {"NET_RAW"},
				 *const none[] = {"CAP_NOTHING"};
	uint64_t set;

	(void)state;
	assert_int_equal(value_capabilities(NULL, 0, NULL, 0, &set, &err), 0);
	assert_true(set == 0xa80425fb); /* what docker's containers show in /proc/self/status */
	assert_int_equal(value_capabilities(NULL, 0, raw, 1, &set, &err), 0);
	assert_true(set == (0xa80425fb & ~BIT(CAP_NET_RAW)));
	assert_int_equal(value_capabilities(NULL, 0, all, 1, &set, &err), 0);
	assert_true(set == 0);
	assert_int_equal(value_capabilities(chown_, 1, all, 1, &set, &err), 0);
	assert_true(set == BIT(CAP_CHOWN));
	assert_int_equal(value_capabilities(all, 1, NULL, 0, &set, &err), 0);
	assert_true(set == capability_all());
	assert_int_equal(value_capabilities(all, 1, raw, 1, &set, &err), 0);
	assert_true(set == (capability_all() & ~BIT(CAP_NET_RAW)));
	assert_int_equal(value_capabilities(none, 1, NULL, 0, &set, &err), -EINVAL);
	assert_string_equal(err.text, "--cap-add: there is no capability \"CAP_NOTHING\"");
}

static void test_signals(void **state)
{
	(void)state;
	assert_int_equal(signal_parse("TERM"), SIGTERM);
	assert_int_equal(signal_parse("sigquit"), SIGQUIT);
	assert_int_equal(signal_parse("9"), SIGKILL);
	assert_int_equal(signal_parse("SIGRTMIN+3"), 37);
	assert_int_equal(signal_parse("RTMAX-1"), 63);
	assert_int_equal(signal_parse("RTMIN"), 34);
	assert_int_equal(signal_parse("64"), 64);
	assert_int_equal(signal_parse("0"), -EINVAL);
	assert_int_equal(signal_parse("65"), -EINVAL);
	assert_int_equal(signal_parse(""), -EINVAL);
	assert_int_equal(signal_parse("SIG"), -EINVAL);
	assert_int_equal(signal_parse("RTM"), -EINVAL);
	assert_int_equal(signal_parse("RTMIN+31"), -EINVAL);
	assert_int_equal(signal_parse("RTMIN-1"), -EINVAL);
	assert_int_equal(signal_parse("RTMIN+"), -EINVAL);
	assert_int_equal(signal_parse("FOO"), -EINVAL);
}

static void test_other_values(void **state)
{
	bool no_new_privs = false, seccomp_off = false;
	uint64_t pids = 7;

	(void)state;
	assert_int_equal(value_pids("100", &pids, &err), 0);
	assert_int_equal(pids, 100);
	assert_int_equal(value_pids("-1", &pids, &err), 0);
	assert_int_equal(pids, 0);
	assert_int_equal(value_pids("-2", &pids, &err), -EINVAL);
	assert_int_equal(value_pids("9999999999", &pids, &err), -EINVAL);
	assert_int_equal(value_hostname("web-1.example", &err), 0);
	assert_int_equal(value_hostname("", &err), -EINVAL);
	assert_int_equal(value_hostname("-web", &err), -EINVAL);
	assert_int_equal(value_hostname("a_b", &err), -EINVAL);
	assert_int_equal(value_hostname("a\nb", &err), -EINVAL);
	assert_int_equal(value_security("no-new-privileges", &no_new_privs, &seccomp_off, &err), 0);
	assert_true(no_new_privs);
	assert_int_equal(value_security("seccomp=unconfined", &no_new_privs, &seccomp_off, &err), 0);
	assert_true(seccomp_off);
	assert_int_equal(value_security("apparmor=x", &no_new_privs, &seccomp_off, &err), -EINVAL);
}

static void test_platform(void **state)
{
	static const char *const wrong[] = {
		"what", "", "linux", "linux/", "/amd64", "windows/amd64", "linux/riscv64", "linux/amd64x"};
	const char *architecture = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(value_platform(wrong[i], &architecture, &err), -EINVAL);
	assert_null(architecture);
	assert_int_equal(value_platform("linux/arm64/v8", &architecture, &err), 0);
	assert_string_equal(architecture, "arm64");
	assert_int_equal(value_platform("linux/x86_64", &architecture, &err), 0);
	assert_string_equal(architecture, "amd64");
}

/* Write text to a fresh file and read it as an environment file. */
static int envfile_read(struct env_list *list, const char *text, size_t len)
{
	char path[] = "/tmp/mvrun-test-env-XXXXXX";
	int fd = mkstemp(path), ret;

	assert_int_equal(write(fd, text, len), len);
	close(fd);
	err = ERR_INIT;
	ret = env_list_add_file(list, path, &err);
	unlink(path);
	return ret;
}

static void test_envfile(void **state)
{
	static const char text[] =
		"# comment\n\n  A=1\r\nB=two words # no comment\nMVRUN_TEST_X\nC=\n  \t\nD=a=b\nLAST=1";
	struct env_list list = ENV_LIST_INIT;

	(void)state;
	setenv("MVRUN_TEST_X", "inherited", 1);
	assert_int_equal(envfile_read(&list, text, sizeof(text) - 1), 0);
	assert_int_equal(list.n_items, 6);
	assert_string_equal(list.items[0], "A=1");
	assert_string_equal(list.items[1], "B=two words # no comment");
	assert_string_equal(list.items[2], "MVRUN_TEST_X=inherited");
	assert_string_equal(list.items[3], "C=");
	assert_string_equal(list.items[4], "D=a=b");
	assert_string_equal(list.items[5], "LAST=1");
	unsetenv("MVRUN_TEST_X");
	assert_int_equal(env_list_add(&list, "MVRUN_TEST_X", &err), 0);
	assert_string_equal(list.items[6], "MVRUN_TEST_X");
	assert_int_equal(env_list_add(&list, "=1", &err), -EINVAL);
	assert_int_equal(env_list_add(&list, "", &err), -EINVAL);
	env_list_done(&list);
}

static void test_envfile_refused(void **state)
{
	struct env_list list = ENV_LIST_INIT;
	char *large = malloc(ENVFILE_MAX_BYTES + 1);

	(void)state;
	assert_int_equal(envfile_read(&list, "A=1\nexport B=2\n", 15), -EINVAL);
	assert_non_null(strstr(err.text, "line 2: not a variable"));
	assert_int_equal(envfile_read(&list, "=1\n", 3), -EINVAL);
	assert_int_equal(envfile_read(&list, "A=1\0B=2\n", 8), -EINVAL);
	memset(large, 'x', ENVFILE_MAX_BYTES + 1);
	assert_int_equal(envfile_read(&list, large, ENVFILE_MAX_BYTES + 1), -EFBIG);
	free(large);
	assert_int_equal(env_list_add_file(&list, "/nonexistent", &err), -ENOENT);
	assert_int_equal(env_list_add_file(&list, "/tmp", &err), -EISDIR);
	env_list_done(&list);
}

static void test_text(void **state)
{
	uint64_t seconds = 7;
	char text[64];

	(void)state;
	text_size(0, text, sizeof(text));
	assert_string_equal(text, "0B");
	text_size(4261550, text, sizeof(text));
	assert_string_equal(text, "4.26MB");
	text_size(UINT64_MAX, text, sizeof(text));
	assert_string_equal(text, "18.4EB");
	text_duration(1, text, sizeof(text));
	assert_string_equal(text, "1 second");
	text_duration(7200, text, sizeof(text));
	assert_string_equal(text, "2 hours");
	text_duration(21 * 86400, text, sizeof(text));
	assert_string_equal(text, "3 weeks");
	text_duration(3 * 365 * 86400, text, sizeof(text));
	assert_string_equal(text, "3 years");
	assert_int_equal(text_parse_time("2024-02-29T12:30:45.123456789Z", &seconds), 0);
	assert_int_equal(seconds, 1709209845);
	assert_int_equal(text_parse_time("2024-02-29T14:30:45+02:00", &seconds), 0);
	assert_int_equal(seconds, 1709209845);
	text_time(seconds, text, sizeof(text));
	assert_string_equal(text, "2024-02-29T12:30:45Z");
	assert_int_equal(text_parse_time("0001-01-01T00:00:00Z", &seconds), -EINVAL);
	assert_int_equal(text_parse_time("2024-13-01T00:00:00Z", &seconds), -EINVAL);
	assert_int_equal(text_parse_time("2024-01-01", &seconds), -EINVAL);
	assert_int_equal(text_parse_time("", &seconds), -EINVAL);
	assert_int_equal(text_parse_time("2024-01-01T00:00:00", &seconds), -EINVAL);
	assert_int_equal(seconds, 1709209845);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_ulimit),
		cmocka_unit_test(test_tmpfs),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_other_values),
		cmocka_unit_test(test_platform),
		cmocka_unit_test(test_envfile),
		cmocka_unit_test(test_envfile_refused),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
