// SPDX-License-Identifier: Apache-2.0
/* The values of command line options: in range or refused with one line, and then untouched. */
#include "tests/fuzz/fuzz.h"

#include "base/num.h"
#include "cli/text.h"
#include "cli/values.h"
#include "vmm/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)
#define CPUS 8

static void refused_or(int ret, const struct err *err, bool good)
{
	fuzz_require(ret ? ret == -EINVAL && err->code == EINVAL && err->text[0] : good);
	fuzz_require(!strchr(err->text, '\n'));
	fuzz_note_text(err->text);
}

static void numbers(const char *text)
{
	uint64_t memory = UNTOUCHED, milli = UNTOUCHED, pids = UNTOUCHED;
	struct err err = ERR_INIT;
	int ret = value_memory(text, &memory, &err);

	refused_or(
		ret, &err, memory >= VMM_RAM_MIN_BYTES && memory <= VMM_RAM_MAX_BYTES && memory % MIB == 0);
	fuzz_require(!ret || memory == UNTOUCHED);
	err = ERR_INIT;
	ret = value_cpus(text, CPUS, &milli, &err);
	refused_or(ret, &err, milli >= 10 && milli <= CPUS * 1000);
	fuzz_require(!ret || milli == UNTOUCHED);
	err = ERR_INIT;
	ret = value_pids(text, &pids, &err);
	refused_or(ret, &err, pids <= 4u << 20);
	fuzz_require(!ret || pids == UNTOUCHED);
}

static void names(const char *text)
{
	struct spec_rlimit rlimit = {.resource = 0xffff};
	const char *architecture = NULL;
	struct err err = ERR_INIT;
	int signal = -1, ret = value_ulimit(text, &rlimit, &err);

	refused_or(ret, &err, rlimit.resource < 16 && rlimit.soft <= rlimit.hard);
	fuzz_require(!ret || rlimit.resource == 0xffff);
	err = ERR_INIT;
	ret = value_signal(text, &signal, &err);
	refused_or(ret, &err, signal >= 1 && signal <= 64);
	err = ERR_INIT;
	ret = value_hostname(text, &err);
	refused_or(ret, &err, strlen(text) <= 63 && !strpbrk(text, "/ \n"));
	err = ERR_INIT;
	ret = value_platform(text, &architecture, &err);
	refused_or(ret, &err, architecture && *architecture);
}

static void mounts(const char *text)
{
	struct spec_mount mount = {0};
	struct err err = ERR_INIT;
	char *owned = NULL;
	int ret = value_tmpfs(text, &mount, &owned, &err);

	refused_or(
		ret, &err, owned && mount.target && mount.target[0] == '/' && !strcmp(mount.type, "tmpfs"));
	fuzz_require(!ret || (!owned && !mount.target));
	if (!ret)
		fuzz_note_text(mount.data);
	free(owned);
}

static void rights(const char *text)
{
	const char *list[] = {text};
	bool no_new_privs = false, seccomp_off = false;
	uint64_t both = 0, added = 0, dropped = 0;
	struct err err = ERR_INIT;
	int ret = value_capabilities(list, 1, NULL, 0, &added, &err);

	refused_or(ret, &err, true);
	err = ERR_INIT;
	fuzz_require((value_capabilities(NULL, 0, list, 1, &dropped, &err) == 0) == (ret == 0));
	err = ERR_INIT;
	if (!ret && value_capabilities(list, 1, list, 1, &both, &err) == 0)
		fuzz_require((dropped & ~added) == 0);
	fuzz_note_u64(added ^ dropped ^ both);
	err = ERR_INIT;
	ret = value_security(text, &no_new_privs, &seccomp_off, &err);
	refused_or(ret, &err, true);
}

static void times(const char *text)
{
	char written[32];
	uint64_t seconds, again;

	if (text_parse_time(text, &seconds) || seconds > UINT64_C(253402300799))
		return;
	text_time(seconds, written, sizeof(written));
	fuzz_require(text_parse_time(written, &again) == 0 && again == seconds);
}

void fuzz_one(const uint8_t *data, size_t len)
{
	char *text = fuzz_text(data, len);

	numbers(text);
	names(text);
	mounts(text);
	rights(text);
	times(text);
	free(text);
}
