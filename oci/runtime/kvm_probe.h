// SPDX-License-Identifier: Apache-2.0
/*
 * What the KVM of this host can really do.
 *
 * A /dev/kvm that can be opened proves little: nested and paravirtual ones exist that run a guest's first
 * instructions and stop at the first one their emulator does not know, long before Linux is up. So besides
 * asking for capabilities (KVM API, 4.4) a few guest instructions are run in every processor mode a kernel
 * passes through, in a child process with a deadline, so that no KVM can hang us.
 */
#ifndef MVRUN_OCI_RUNTIME_KVM_PROBE_H
#define MVRUN_OCI_RUNTIME_KVM_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#define KVM_TRIALS_MAX 4

struct kvm_trial {
	char name[32]; /* the processor mode */
	bool passed;
	char detail[96]; /* why not */
};

struct kvm_report {
	int open_error; /* errno of opening /dev/kvm, 0 if it could be */
	int api_version; /* KVM_API_VERSION, or what it says instead */
	char missing[128]; /* capabilities that mvrun cannot do without and that are not there; "" if none */
	unsigned cpuid_entries; /* what KVM_GET_SUPPORTED_CPUID offers; x86_64 only */
	bool paravirtual; /* the kvm_pvm module: no hardware virtualisation behind it */
	struct kvm_trial trials[KVM_TRIALS_MAX];
	size_t n_trials; /* 0 if no machine could be made */
	char machine_error[96]; /* why not */
};

/* Fills the whole report; never fails. Takes a second at most where KVM works, a few where it hangs. */
void kvm_probe(struct kvm_report *report);

/*
 * Run trial number i of this architecture (x86_64/kvm_trial.c, arm64/kvm_trial.c) on an open /dev/kvm. False
 * if there is no such trial.
 */
bool kvm_trial_run(int kvm_fd, size_t i, struct kvm_trial *trial);

/* For the trials: what KVM_RUN came back with, as text, where it was not what was expected. */
void kvm_trial_failed(struct kvm_trial *trial, const char *step, int error);

#endif
