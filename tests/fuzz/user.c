// SPDX-License-Identifier: Apache-2.0
/* Who the container runs as, with /etc/passwd and /etc/group of the image's making: ids in range, or a failure. */
#include "tests/fuzz/fuzz.h"

#include "guest-init/user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void user_check(const struct user *user)
{
	fuzz_require(
		user->uid <= USER_ID_MAX && user->gid <= USER_ID_MAX && user->n_groups <= USER_GROUPS_MAX);
	for (size_t i = 0; i < user->n_groups; i++)
		fuzz_require(user->groups[i] <= USER_ID_MAX);
	fuzz_require(memchr(user->home, 0, sizeof(user->home)));
	fuzz_note(user->groups, user->n_groups * sizeof(user->groups[0]));
	fuzz_note_text(user->home);
	fuzz_note_u64((uint64_t)user->uid << 32 | user->gid);
}

static struct user_text text_of(struct fuzz_input *input, size_t len)
{
	struct user_text text;
	const uint8_t *bytes;

	text.len = fuzz_bytes(input, len, &bytes);
	text.data = (const char *)bytes;
	return text;
}

/* Two lengths, who is asked for (its own bytes to a NUL), passwd, and the rest is group. */
void fuzz_one(const uint8_t *data, size_t len)
{
	static struct user user, again;
	struct fuzz_input input = {data, len};
	size_t wanted_len = fuzz_u8(&input), passwd_len = fuzz_u16(&input);
	struct user_text asked = text_of(&input, wanted_len), passwd = text_of(&input, passwd_len);
	struct user_text group = text_of(&input, input.left);
	struct failure failure = {0};
	char *wanted = fuzz_text((const uint8_t *)asked.data, asked.len);
	int ret;

	memset(&user, 0xee, sizeof(user));
	ret = user_resolve(wanted, passwd, group, &user, &failure);
	if (ret) {
		fuzz_require(
			failure.exit_status >= FAILURE_SETUP && failure.exit_status <= FAILURE_NOT_FOUND);
		fuzz_require(failure.text[0] && memchr(failure.text, 0, sizeof(failure.text)));
		fuzz_require(!strchr(failure.text, '\n'));
		fuzz_note_text(failure.text);
	} else {
		user_check(&user);
		memset(&again, 0x11, sizeof(again));
		fuzz_require(user_resolve(wanted, passwd, group, &again, &failure) == 0);
		fuzz_require(
			again.uid == user.uid && again.gid == user.gid && again.n_groups == user.n_groups);
	}
	free(wanted);
}
