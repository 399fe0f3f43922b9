// SPDX-License-Identifier: Apache-2.0
#include "vmm/x86_64/ioapic.h"

#include "tests/unit/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PINS 4

static struct kvm no_kvm = {.sys_fd = -1, .vm_fd = -1};

static uint32_t reg_read(struct ioapic *ioapic, uint32_t index)
{
	ioapic_ops.write(ioapic, 0x00, 4, index);
	return (uint32_t)ioapic_ops.read(ioapic, 0x10, 4);
}

static void reg_write(struct ioapic *ioapic, uint32_t index, uint32_t value)
{
	ioapic_ops.write(ioapic, 0x00, 4, index);
	ioapic_ops.write(ioapic, 0x10, 4, value);
}

static void test_registers(void **state)
{
	struct ioapic ioapic;

	(void)state;
	ioapic_init(&ioapic, &no_kvm, PINS);
	assert_int_equal(reg_read(&ioapic, 1), 0x11 | (PINS - 1) << 16);
	reg_write(&ioapic, 1, 0);
	assert_int_equal(reg_read(&ioapic, 1), 0x11 | (PINS - 1) << 16);
	reg_write(&ioapic, 0, 0x05ffffff);
	assert_int_equal(reg_read(&ioapic, 0), 0x05000000);
	assert_int_equal(reg_read(&ioapic, 2), 0x05000000);
	for (uint32_t pin = 0; pin < PINS; pin++) {
		assert_int_equal(reg_read(&ioapic, 0x10 + 2 * pin), IOAPIC_ENTRY_MASKED);
		reg_write(&ioapic, 0x10 + 2 * pin, ~0u);
		reg_write(&ioapic, 0x11 + 2 * pin, 0x12345678 + pin);
		/* Delivery status and remote IRR are not the guest's to write. */
		assert_int_equal(reg_read(&ioapic, 0x10 + 2 * pin), ~0u & ~(1u << 12) & ~(1u << 14));
		assert_int_equal(reg_read(&ioapic, 0x11 + 2 * pin), 0x12345678 + pin);
	}
}

static void test_what_is_not_there(void **state)
{
	struct ioapic ioapic;

	(void)state;
	ioapic_init(&ioapic, &no_kvm, PINS);
	for (uint32_t index = 0; index < 0x100; index++) {
		if (index <= 2 || (index >= 0x10 && index < 0x10 + 2 * PINS))
			continue;
		reg_write(&ioapic, index, ~0u);
		assert_int_equal(reg_read(&ioapic, index), 0);
	}
	/* The selector has eight bits; other widths and places do nothing. */
	ioapic_ops.write(&ioapic, 0x00, 4, 0xabcdef01);
	assert_int_equal(ioapic_ops.read(&ioapic, 0x00, 4), 0x01);
	ioapic_ops.write(&ioapic, 0x00, 1, 0x10);
	ioapic_ops.write(&ioapic, 0x00, 8, 0x10);
	ioapic_ops.write(&ioapic, 0x04, 4, 0x10);
	ioapic_ops.write(&ioapic, 0x40, 4, 0x10);
	assert_int_equal(ioapic_ops.read(&ioapic, 0x00, 4), 0x01);
	assert_int_equal(ioapic_ops.read(&ioapic, 0x00, 2), 0);
	assert_int_equal(ioapic_ops.read(&ioapic, 0xffc, 4), 0);
}

static void test_entries_become_messages(void **state)
{
	struct kvm_irq_routing_entry route;

	(void)state;
	assert_false(ioapic_route(IOAPIC_ENTRY_MASKED | 0x21, 1, &route));
	for (unsigned delivery = 2; delivery < 8; delivery++) /* SMI, NMI, INIT, ExtINT: not for devices */
		assert_false(ioapic_route(0x21 | delivery << 8, 1, &route));
	assert_true(ioapic_route(UINT64_C(7) << 56 | 0x21, 3, &route));
	assert_int_equal(route.gsi, 3);
	assert_int_equal(route.type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(route.u.msi.address_lo, 0xfee07000);
	assert_int_equal(route.u.msi.address_hi, 0);
	assert_int_equal(route.u.msi.data, 0x21);
	/* Lowest priority, logical, and a level trigger that is ignored. */
	assert_true(ioapic_route(UINT64_C(0xff) << 56 | 1u << 15 | 1u << 11 | 1u << 8 | 0xfe, 0, &route));
	assert_int_equal(route.u.msi.address_lo, 0xfeeff00c);
	assert_int_equal(route.u.msi.data, 0x1fe);
}

static void test_lines_that_cannot_be_wired(void **state)
{
	struct ioapic ioapic;

	(void)state;
	ioapic_init(&ioapic, &no_kvm, PINS);
	assert_int_equal(ioapic_wire(&ioapic, PINS, 0), -EINVAL);
	assert_int_equal(ioapic_wire(&ioapic, UINT32_MAX, 0), -EINVAL);
	assert_int_equal(ioapic_wire(&ioapic, 0, 0), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_what_is_not_there),
		cmocka_unit_test(test_entries_become_messages),
		cmocka_unit_test(test_lines_that_cannot_be_wired),
	};

	return cmocka_run_group_tests_name("ioapic", tests, NULL, NULL);
}
