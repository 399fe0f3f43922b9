// SPDX-License-Identifier: Apache-2.0
/*
 * The MP configuration table (Intel MultiProcessor Specification 1.4, chapter 4): how a kernel without ACPI
 * learns of the processors, the I/O APIC and the interrupt lines.
 */
#ifndef MVRUN_VMM_X86_64_MPTABLE_H
#define MVRUN_VMM_X86_64_MPTABLE_H

#include "vmm/x86_64/layout.h"

#include <stddef.h>
#include <stdint.h>

#define MPTABLE_BYTES (LAYOUT_LOW_END_GPA - LAYOUT_MPTABLE_GPA)
#define MPTABLE_CPUS_MAX 128

/*
 * Write table and floating pointer for cpus processors (1 to MPTABLE_CPUS_MAX, APIC ids 0 to cpus - 1) and
 * n_lines edge-triggered lines from LAYOUT_IRQ_FIRST on into page, which becomes guest memory at
 * LAYOUT_MPTABLE_GPA. page is zeroed and MPTABLE_BYTES long.
 */
void mptable_write(uint8_t *page, unsigned cpus, unsigned n_lines);

#endif
