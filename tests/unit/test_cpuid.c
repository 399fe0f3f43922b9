// SPDX-License-Identifier: Apache-2.0
#include "vmm/x86_64/cpuid.h"

#include "tests/unit/cm.h"

#include <string.h>

/* What a KVM might say: everything it could, of both vendors. */
static struct cpuid_table offered(void)
{
	static const struct kvm_cpuid_entry2 entries[] = {
		{.function = 0x0, .eax = 0x20, .ebx = 0x756e6547},
		{.function = 0x1, .eax = 0x50657, .ebx = 0x12345678, .ecx = ~0u, .edx = ~0u},
		{.function = 0x4, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .index = 0, .eax = 0xfc004121},
		{.function = 0x4, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .index = 3, .eax = 0xfffff163},
		{.function = 0x4, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .index = 4, .eax = 0},
		{.function = 0x6, .eax = 0x77, .ecx = 9},
		{.function = 0x7,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.index = 0,
			.ebx = ~0u,
			.ecx = ~0u,
			.edx = ~0u},
		{.function = 0xa, .eax = 0x07300404},
		{.function = 0xb,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.index = 0,
			.eax = 1,
			.ebx = 2,
			.ecx = 0x100},
		{.function = 0xd,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.index = 0,
			.eax = 7,
			.ebx = 832,
			.ecx = 832},
		{.function = 0x14, .eax = 1, .ebx = 0xf},
		{.function = 0x1f, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .index = 0, .eax = 1},
		{.function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b},
		{.function = 0x40000001, .eax = 0x01007afb},
		{.function = 0x80000000, .eax = 0x80000021},
		{.function = 0x80000001, .ecx = ~0u, .edx = ~0u},
		{.function = 0x80000007, .edx = 0x100},
		{.function = 0x80000008, .eax = 0x3030, .ecx = 0x7007},
		{.function = 0x8000000a, .eax = 1, .ebx = 8},
		{.function = 0x8000001d, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .index = 0, .eax = 0x121},
		{.function = 0x80000021, .eax = 0},
		{.function = 0xc0000001, .edx = 1},
	};
	struct cpuid_table table = {.nent = sizeof(entries) / sizeof(entries[0])};

	memcpy(table.entries, entries, sizeof(entries));
	return table;
}

static struct cpuid_table trimmed(unsigned cpus)
{
	struct cpuid_machine machine = {.cpus = cpus, .has_tsc_deadline = true};
	struct cpuid_table table = offered();

	cpuid_trim(&table, &machine);
	return table;
}

static void test_unlisted_leaves_are_gone(void **state)
{
	static const uint32_t gone[] = {0xa, 0x14, 0x1f, 0x8000000a, 0x8000001d, 0xc0000001};
	struct cpuid_table table = trimmed(1);

	(void)state;
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		assert_null(cpuid_find(&table, gone[i], 0));
	/* The ends of the ranges are those of what is left and says something. */
	assert_int_equal(cpuid_find(&table, 0x0, 0)->eax, 0xd);
	assert_int_equal(cpuid_find(&table, 0x80000000, 0)->eax, 0x80000008);
	assert_int_equal(cpuid_find(&table, 0x40000000, 0)->eax, 0x40000010);
}

static void test_hidden_features(void **state)
{
	struct cpuid_table table = trimmed(1);
	const struct kvm_cpuid_entry2 *entry = cpuid_find(&table, 0x1, 0);

	(void)state;
	assert_false(entry->ecx & (1u << 5)); /* VMX */
	assert_false(entry->ecx & (1u << 15)); /* PDCM */
	assert_true(entry->ecx & (1u << 31)); /* hypervisor */
	assert_true(entry->ecx & (1u << 24)); /* TSC deadline */
	assert_true(entry->ecx & (1u << 21)); /* x2APIC */
	assert_true(entry->ecx & (1u << 13)); /* CMPXCHG16B */
	assert_false(cpuid_find(&table, 0x80000001, 0)->ecx & (1u << 2)); /* SVM */
	assert_false(cpuid_find(&table, 0x80000001, 0)->ecx & (1u << 23)); /* counters */
	assert_int_equal(cpuid_find(&table, 0x6, 0)->eax, 4);
	assert_int_equal(cpuid_find(&table, 0x6, 0)->ecx, 0);
	assert_false(cpuid_find(&table, 0x7, 0)->ebx & (1u << 2)); /* SGX */
	assert_true(cpuid_find(&table, 0x7, 0)->ebx & (1u << 5)); /* AVX2 */
}

static void test_one_cpu_has_no_neighbours(void **state)
{
	struct cpuid_table table = trimmed(1);

	(void)state;
	cpuid_personalise(&table, 0, 2000000);
	assert_false(cpuid_find(&table, 0x1, 0)->edx & (1u << 28)); /* HTT */
	assert_int_equal(cpuid_find(&table, 0x1, 0)->ebx, 0x00015600);
	assert_int_equal(cpuid_find(&table, 0x80000008, 0)->ecx, 0);
	assert_int_equal(cpuid_find(&table, 0x4, 0)->eax, 0x121);
	assert_int_equal(cpuid_find(&table, 0xb, 1)->eax, 0);
	assert_int_equal(cpuid_find(&table, 0x40000001, 0)->eax & 0x2a80, 0); /* no help between CPUs */
	assert_int_equal(cpuid_find(&table, 0x40000010, 0)->eax, 2000000);
}

static void test_topology_tells_cpus_apart(void **state)
{
	static const struct {
		unsigned cpus, bits;
	} sizes[] = {{2, 1}, {3, 2}, {4, 2}, {5, 3}, {8, 3}, {63, 6}, {64, 6}};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct cpuid_table table = trimmed(sizes[i].cpus);
		unsigned last = sizes[i].cpus - 1, share = (1u << sizes[i].bits) - 1;

		cpuid_personalise(&table, last, 0);
		assert_true(cpuid_find(&table, 0x1, 0)->edx & (1u << 28));
		assert_int_equal(cpuid_find(&table, 0x1, 0)->ebx >> 24, last);
		assert_int_equal(cpuid_find(&table, 0x1, 0)->ebx >> 16 & 0xff, 1u << sizes[i].bits);
		assert_int_equal(cpuid_find(&table, 0xb, 0)->eax, 0);
		assert_int_equal(cpuid_find(&table, 0xb, 0)->edx, last);
		assert_int_equal(cpuid_find(&table, 0xb, 1)->eax, sizes[i].bits);
		assert_int_equal(cpuid_find(&table, 0xb, 1)->ebx, sizes[i].cpus);
		assert_int_equal(cpuid_find(&table, 0xb, 1)->ecx, 0x201);
		assert_int_equal(cpuid_find(&table, 0xb, 2)->ecx, 2);
		assert_int_equal(cpuid_find(&table, 0x80000008, 0)->ecx, sizes[i].bits << 12 | last);
		/* The first-level cache is a core's own, the third everybody's. */
		assert_int_equal(cpuid_find(&table, 0x4, 0)->eax >> 14 & 0xfff, 0);
		assert_int_equal(cpuid_find(&table, 0x4, 3)->eax >> 14 & 0xfff, share);
		assert_int_equal(cpuid_find(&table, 0x4, 0)->eax >> 26, share);
		assert_int_equal(cpuid_find(&table, 0x4, 4)->eax, 0);
	}
}

static void test_an_empty_offer_is_no_accident(void **state)
{
	struct cpuid_machine machine = {.cpus = 4};
	struct cpuid_table table = {.nent = 0};

	(void)state;
	cpuid_trim(&table, &machine);
	cpuid_personalise(&table, 3, 1);
	assert_null(cpuid_find(&table, 0, 0));
	/* A full table has no room for more; nothing is written behind it. */
	table.nent = CPUID_ENTRIES_MAX;
	for (uint32_t i = 0; i < CPUID_ENTRIES_MAX; i++)
		table.entries[i] = (struct kvm_cpuid_entry2){.function = 0x7, .index = i};
	cpuid_trim(&table, &machine);
	assert_int_equal(table.nent, CPUID_ENTRIES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unlisted_leaves_are_gone),
		cmocka_unit_test(test_hidden_features),
		cmocka_unit_test(test_one_cpu_has_no_neighbours),
		cmocka_unit_test(test_topology_tells_cpus_apart),
		cmocka_unit_test(test_an_empty_offer_is_no_accident),
	};

	return cmocka_run_group_tests_name("cpuid", tests, NULL, NULL);
}
