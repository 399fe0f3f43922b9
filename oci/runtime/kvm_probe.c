// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/kvm_probe.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIAL_PATIENCE_MS 3000
#define CPUID_ENTRIES_MAX 256

void kvm_trial_failed(struct kvm_trial *trial, const char *step, int error)
{
	trial->passed = false;
	if (error)
		snprintf(trial->detail, sizeof(trial->detail), "%s: %s", step, strerror(error));
	else
		snprintf(trial->detail, sizeof(trial->detail), "%s", step);
}

static void capabilities_check(int kvm_fd, struct kvm_report *report)
{
	static const struct {
		int number;
		const char *name;
	} needed[] = {
		{KVM_CAP_USER_MEMORY, "USER_MEMORY"},
		{KVM_CAP_IRQCHIP, "IRQCHIP"},
		{KVM_CAP_IRQFD, "IRQFD"},
		{KVM_CAP_IOEVENTFD, "IOEVENTFD"},
		{KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT"},
	};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, needed[i].number) > 0)
			continue;
		snprintf(report->missing + used, sizeof(report->missing) - used, "%s%s", used ? " " : "",
			needed[i].name);
		used = strlen(report->missing);
	}
}

#ifdef __x86_64__
static unsigned cpuid_count(int kvm_fd)
{
	auto_free struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));
	unsigned useful = 0;

	if (!cpuid)
		return 0;
	cpuid->nent = CPUID_ENTRIES_MAX;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return 0;
	for (unsigned i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		useful += entry->eax || entry->ebx || entry->ecx || entry->edx;
	}
	return useful;
}
#else
static unsigned cpuid_count(int kvm_fd)
{
	(void)kvm_fd;
	return 0;
}
#endif

/* The child's part: every trial, each reported as soon as it is over. */
static void trials_child(int kvm_fd, int report_fd)
{
	struct kvm_trial trial;

	for (size_t i = 0; i < KVM_TRIALS_MAX && kvm_trial_run(kvm_fd, i, &trial); i++) {
		if (write(report_fd, &trial, sizeof(trial)) != (ssize_t)sizeof(trial))
			break;
	}
}

/* One report, or the end, or nothing in time. */
static bool trial_receive(int fd, uint64_t deadline_ms, struct kvm_trial *trial)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	uint64_t now_ms = clock_now_ms();

	if (poll(&poll_fd, 1, now_ms < deadline_ms ? (int)(deadline_ms - now_ms) : 0) <= 0)
		return false;
	/* Less than PIPE_BUF: whole or not at all. */
	return read(fd, trial, sizeof(*trial)) == (ssize_t)sizeof(*trial);
}

static void trials_run(int kvm_fd, struct kvm_report *report)
{
	auto_fd ours = -1;
	auto_fd theirs = -1;
	uint64_t deadline_ms = clock_now_ms() + TRIAL_PATIENCE_MS;
	int pipe_fds[2], status = 0;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return;
	ours = pipe_fds[0];
	theirs = pipe_fds[1];
	pid = fork();
	if (pid == 0) {
		trials_child(kvm_fd, theirs);
		_exit(0);
	}
	fd_release(&theirs);
	if (pid < 0)
		return;
	while (report->n_trials < KVM_TRIALS_MAX &&
		trial_receive(ours, deadline_ms, &report->trials[report->n_trials]))
		report->n_trials++;
	if (waitpid(pid, &status, WNOHANG) != pid) {
		if (clock_now_ms() >= deadline_ms)
			snprintf(report->machine_error, sizeof(report->machine_error),
				"a guest did not come back within %d s", TRIAL_PATIENCE_MS / 1000);
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
}

void kvm_probe(struct kvm_report *report)
{
	auto_fd kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	*report = (struct kvm_report){0};
	report->paravirtual = access("/sys/module/kvm_pvm", F_OK) == 0;
	if (kvm_fd < 0) {
		report->open_error = errno;
		return;
	}
	report->api_version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);
	if (report->api_version != KVM_API_VERSION)
		return;
	capabilities_check(kvm_fd, report);
	report->cpuid_entries = cpuid_count(kvm_fd);
	trials_run(kvm_fd, report);
}
