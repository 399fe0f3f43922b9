// SPDX-License-Identifier: Apache-2.0
/* Rows of the table of system calls that only x86_64 has. */
#ifndef MVRUN_VMM_X86_64_CALLS_ARCH_H
#define MVRUN_VMM_X86_64_CALLS_ARCH_H

#define CALLS_ARCH_ROWS                                                                                      \
	IOCTL(KVM_SET_TSS_ADDR, CALLS_BUILD, "pages KVM needs on Intel processors"),                         \
		IOCTL(KVM_GET_SUPPORTED_CPUID, CALLS_BUILD, "what processors can do"),                       \
		IOCTL(KVM_GET_TSC_KHZ, CALLS_BUILD, "the guest is told"),                                    \
		IOCTL(KVM_SET_CPUID2, CALLS_BUILD, "what the guest sees of its processors"),                 \
		IOCTL(KVM_SET_MSRS, CALLS_BUILD, "registers at the start"),                                  \
		IOCTL(KVM_GET_SREGS, CALLS_BUILD, "registers at the start"),                                 \
		IOCTL(KVM_SET_SREGS, CALLS_BUILD, "registers at the start"),                                 \
		IOCTL(KVM_SET_REGS, CALLS_BUILD, "registers at the start"),                                  \
		IOCTL(KVM_GET_REGS, CALLS_VCPU, "where the guest was when it failed"),                       \
		IOCTL(KVM_SET_GSI_ROUTING, CALLS_VCPU, "the guest writes to its interrupt controller")

#endif
