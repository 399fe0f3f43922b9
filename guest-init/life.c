// SPDX-License-Identifier: Apache-2.0
#include "guest-init/life.h"

struct step {
	enum life_action action;
	enum life_state next;
};

/* What is not listed is LIFE_IGNORE and stays. */
static const struct step steps[LIFE_STATES][LIFE_EVENTS] =
	{
		[LIFE_SPEC] =
			{
				[LIFE_ON_SPEC] = {LIFE_COLLECT, LIFE_SPEC},
				[LIFE_ON_START] = {LIFE_START, LIFE_RUNNING},
				[LIFE_ON_POWER_OFF] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_GARBAGE] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_CLOSED] = {LIFE_OFF, LIFE_OVER},
			},
		[LIFE_RUNNING] =
			{
				[LIFE_ON_SPEC] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_START] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_SIGNAL] = {LIFE_DELIVER, LIFE_RUNNING},
				[LIFE_ON_RESIZE] = {LIFE_RESIZE, LIFE_RUNNING},
				[LIFE_ON_FAILED] = {LIFE_TELL, LIFE_OVER},
				[LIFE_ON_ENDED] = {LIFE_DRAIN, LIFE_DRAINING},
				[LIFE_ON_POWER_OFF] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_GARBAGE] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_CLOSED] = {LIFE_OFF, LIFE_OVER},
			},
		[LIFE_DRAINING] =
			{
				[LIFE_ON_SPEC] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_START] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_DRAINED] = {LIFE_REPORT, LIFE_OVER},
				[LIFE_ON_POWER_OFF] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_GARBAGE] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_CLOSED] = {LIFE_OFF, LIFE_OVER},
			},
		[LIFE_OVER] =
			{
				[LIFE_ON_SPEC] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_START] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_POWER_OFF] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_GARBAGE] = {LIFE_OFF, LIFE_OVER},
				[LIFE_ON_CLOSED] = {LIFE_OFF, LIFE_OVER},
			},
};

enum life_action life_step(enum life_state *state, enum life_event event)
{
	const struct step *step = &steps[*state][event];

	if (step->action != LIFE_IGNORE)
		*state = step->next;
	return step->action;
}
