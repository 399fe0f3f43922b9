// SPDX-License-Identifier: Apache-2.0
/*
 * Guest-physical addresses of an x86_64 machine.
 *
 *	0x00000000  RAM; of its first MiB only [0, 0x9f000) is usable
 *	0x0009f000  MP table (reserved), floating pointer at 639 KiB where kernels look for it
 *	0x000a0000  nothing: there is no VGA and no firmware
 *	0x00100000  RAM: kernel (where its file says), then boot data, then initramfs
 *	0xc0000000  nothing, but:
 *	0xd0000000    register pages of the virtio devices, one each
 *	0xfec00000    I/O APIC
 *	0xfee00000    local APICs (KVM's)
 *	0xfffbd000    three pages that KVM wants on Intel processors without unrestricted guest mode
 *	0x100000000 the rest of RAM
 */
#ifndef MVRUN_VMM_X86_64_LAYOUT_H
#define MVRUN_VMM_X86_64_LAYOUT_H

#include <stdint.h>

#define LAYOUT_MPTABLE_GPA UINT64_C(0x9f000)
#define LAYOUT_MP_POINTER_GPA UINT64_C(0x9fc00)
#define LAYOUT_LOW_END_GPA UINT64_C(0xa0000)
#define LAYOUT_HIGH_START_GPA UINT64_C(0x100000)
#define LAYOUT_HOLE_GPA UINT64_C(0xc0000000)
#define LAYOUT_VIRTIO_GPA UINT64_C(0xd0000000)
#define LAYOUT_IOAPIC_GPA UINT64_C(0xfec00000)
#define LAYOUT_IOAPIC_BYTES UINT64_C(0x1000)
#define LAYOUT_LAPIC_GPA UINT64_C(0xfee00000)
#define LAYOUT_KVM_TSS_GPA UINT64_C(0xfffbd000)
#define LAYOUT_ABOVE_HOLE_GPA UINT64_C(0x100000000)

/*
 * Interrupt lines: device i has line LAYOUT_IRQ_FIRST + i, and the I/O APIC ends with the last device's: a
 * Linux that turns x2APIC on saves and restores every entry there is, by eight exits each. Line 0 would mean
 * "none" to it.
 */
#define LAYOUT_IRQ_FIRST 1u
#define LAYOUT_IOAPIC_PINS_MAX 16u

#endif
