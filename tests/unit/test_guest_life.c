// SPDX-License-Identifier: Apache-2.0
/* The container's life: the way through it, and that no order of events leads elsewhere. */
#include "guest-init/life.c"

#include "tests/unit/cm.h"

#include <stdbool.h>

static void test_the_way_through(void **state)
{
	enum life_state life = LIFE_SPEC;

	(void)state;
	assert_int_equal(life_step(&life, LIFE_ON_SPEC), LIFE_COLLECT);
	assert_int_equal(life_step(&life, LIFE_ON_SPEC), LIFE_COLLECT);
	assert_int_equal(life_step(&life, LIFE_ON_SIGNAL), LIFE_IGNORE);
	assert_int_equal(life_step(&life, LIFE_ON_START), LIFE_START);
	assert_int_equal(life_step(&life, LIFE_ON_SIGNAL), LIFE_DELIVER);
	assert_int_equal(life_step(&life, LIFE_ON_RESIZE), LIFE_RESIZE);
	/* Output may end before the process does. */
	assert_int_equal(life_step(&life, LIFE_ON_DRAINED), LIFE_IGNORE);
	assert_int_equal(life_step(&life, LIFE_ON_ENDED), LIFE_DRAIN);
	assert_int_equal(life_step(&life, LIFE_ON_SIGNAL), LIFE_IGNORE);
	assert_int_equal(life_step(&life, LIFE_ON_DRAINED), LIFE_REPORT);
	assert_int_equal(life_step(&life, LIFE_ON_DRAINED), LIFE_IGNORE);
	assert_int_equal(life_step(&life, LIFE_ON_POWER_OFF), LIFE_OFF);
}

static void test_a_start_that_fails(void **state)
{
	enum life_state life = LIFE_SPEC;

	(void)state;
	assert_int_equal(life_step(&life, LIFE_ON_START), LIFE_START);
	assert_int_equal(life_step(&life, LIFE_ON_FAILED), LIFE_TELL);
	assert_int_equal(life_step(&life, LIFE_ON_ENDED), LIFE_IGNORE);
	assert_int_equal(life_step(&life, LIFE_ON_SIGNAL), LIFE_IGNORE);
	assert_int_equal(life_step(&life, LIFE_ON_CLOSED), LIFE_OFF);
}

/* Every sequence of five events: at most one start, one outcome, and the host's end is the machine's end. */
static void sequences(enum life_state life, int depth, int starts, int outcomes)
{
	for (int event = 0; depth && event < LIFE_EVENTS; event++) {
		enum life_state next = life;
		enum life_action action = life_step(&next, (enum life_event)event);
		bool ends = event == LIFE_ON_POWER_OFF || event == LIFE_ON_CLOSED || event == LIFE_ON_GARBAGE;
		int now_starts = starts + (action == LIFE_START);
		int now_outcomes = outcomes + (action == LIFE_REPORT || action == LIFE_TELL);

		assert_true(now_starts <= 1);
		assert_true(now_outcomes <= now_starts);
		if (ends)
			assert_int_equal(action, LIFE_OFF);
		if (action == LIFE_DELIVER || action == LIFE_RESIZE || action == LIFE_DRAIN)
			assert_true(starts == 1 && !outcomes);
		if (action != LIFE_OFF)
			sequences(next, depth - 1, now_starts, now_outcomes);
	}
}

static void test_no_other_way(void **state)
{
	(void)state;
	sequences(LIFE_SPEC, 6, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_way_through),
		cmocka_unit_test(test_a_start_that_fails),
		cmocka_unit_test(test_no_other_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
