// SPDX-License-Identifier: Apache-2.0
/*
 * The life of a container as a table of states and events. Pure: what to do is returned, not done.
 *
 *             SPEC     START  SIGNAL   RESIZE  FAILED  ENDED  DRAINED  POWER_OFF, GARBAGE, CLOSED
 *   SPEC      collect  start  -        -       -       -      -        off
 *   RUNNING   off      off    deliver  resize  tell    drain  -        off
 *   DRAINING  off      off    -        -       -       -      report   off
 *   OVER      off      off    -        -       -       -      -        off
 *
 * There is no way back and no way out: the machine ends with its container.
 */
#ifndef MVRUN_GUEST_INIT_LIFE_H
#define MVRUN_GUEST_INIT_LIFE_H

enum life_state {
	LIFE_SPEC, /* waiting for the spec */
	LIFE_RUNNING, /* a process was started */
	LIFE_DRAINING, /* it has ended; its output is on its way */
	LIFE_OVER, /* the host was told how it ended, or that it did not start */
	LIFE_STATES,
};

enum life_event {
	/* frames of the host */
	LIFE_ON_SPEC,
	LIFE_ON_START,
	LIFE_ON_SIGNAL,
	LIFE_ON_RESIZE,
	LIFE_ON_POWER_OFF,
	LIFE_ON_GARBAGE, /* anything else */
	LIFE_ON_CLOSED, /* end of the control channel */
	/* of the guest */
	LIFE_ON_FAILED, /* the process could not be started */
	LIFE_ON_ENDED, /* the process has ended */
	LIFE_ON_DRAINED, /* the last byte of output has left */
	LIFE_EVENTS,
};

enum life_action {
	LIFE_IGNORE,
	LIFE_COLLECT, /* add a piece to the spec */
	LIFE_START,
	LIFE_DELIVER, /* a signal */
	LIFE_RESIZE,
	LIFE_DRAIN,
	LIFE_REPORT, /* EXITED */
	LIFE_TELL, /* START_FAILED */
	LIFE_OFF, /* power off */
};

/* Move *state on, and say what to do. */
enum life_action life_step(enum life_state *state, enum life_event event);

#endif
