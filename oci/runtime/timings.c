// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/timings.h"

#include "base/clock.h"

#include <stddef.h>
#include <stdio.h>

void timings_init(struct timings *timings, uint64_t start_us)
{
	*timings = (struct timings){.start_us = start_us};
}

void timings_stamp(struct timings *timings, enum timing timing)
{
	timings->at_us[timing] = clock_now_us();
}

void timings_print(
	const struct timings *timings, const struct vmm_exit *exit, const struct proto_hello *hello)
{
	const struct {
		const char *name;
		uint64_t at_us;
	} phases[] = {
		{"monitor started", timings->at_us[TIMING_SPAWNED]},
		{"virtual machine created", exit->stamps_us[VMM_AT_VM_CREATED]},
		{"kernel loaded", exit->stamps_us[VMM_AT_LOADED]},
		{"first guest instruction", exit->stamps_us[VMM_AT_FIRST_RUN]},
		{"guest-init connected", exit->stamps_us[VMM_AT_FIRST_CONNECT]},
		{"guest-init heard", timings->at_us[TIMING_GUEST_UP]},
		{"container started", timings->at_us[TIMING_STARTED]},
		{"container exited", timings->at_us[TIMING_EXITED]},
		{"done", timings->at_us[TIMING_DONE]},
	};
	uint64_t before_us = timings->start_us;

	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		if (phases[i].at_us < timings->start_us)
			continue;
		fprintf(stderr, "mvrun: timing %10.3f ms %+10.3f  %s\n",
			(double)(phases[i].at_us - timings->start_us) / 1000,
			((double)phases[i].at_us - (double)before_us) / 1000, phases[i].name);
		before_us = phases[i].at_us;
	}
	fprintf(stderr, "mvrun: timing guest uptime at guest-init %.3f ms, exits to user space %llu\n",
		(double)hello->init_ns / 1e6, (unsigned long long)exit->exits_to_user);
}
