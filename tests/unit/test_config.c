// SPDX-License-Identifier: Apache-2.0
#include "vmm/config.h"

#include "base/io.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct vmm_config good(void)
{
	struct vmm_config vm = {
		.magic = VMM_CONFIG_MAGIC,
		.version = VMM_CONFIG_VERSION,
		.vcpus = 1,
		.ram_bytes = UINT64_C(128) << 20,
		.guest_cid = 3,
	};

	return vm;
}

/* Two disks: one of two segments, one of one. */
static struct vmm_config with_disks(void)
{
	struct vmm_config vm = good();

	vm.n_disks = 2;
	vm.n_segments = 3;
	vm.disks[0] = (struct vmm_disk){.n_segments = 2, .read_only = 1};
	vm.disks[1] = (struct vmm_disk){.n_segments = 1, .read_only = 0};
	for (int i = 0; i < 3; i++)
		vm.segments[i].len_bytes = 4096;
	return vm;
}

static int judge(const struct vmm_config *vm, size_t n_fds, struct err *err)
{
	*err = ERR_INIT;
	return config_check(vm, sizeof(*vm), n_fds, err);
}

#define assert_refused(vm, n_fds, words)                                                                     \
	do {                                                                                                 \
		struct err err_;                                                                             \
		assert_true(judge(&(vm), n_fds, &err_) < 0);                                                 \
		assert_non_null(strstr(err_.text, words));                                                   \
	} while (0)

static void test_good_ones_pass(void **state)
{
	struct vmm_config vm = good();
	struct err err;

	(void)state;
	assert_int_equal(judge(&vm, 2, &err), 0);
	vm.flags = VMM_HAS_INITRAMFS | VMM_HAS_CONSOLE | VMM_DENSE | VMM_PLAIN;
	assert_int_equal(judge(&vm, 4, &err), 0);
	vm.vcpus = VMM_VCPUS_MAX;
	vm.ram_bytes = VMM_RAM_MAX_BYTES;
	assert_int_equal(judge(&vm, 4, &err), 0);
	vm = with_disks();
	assert_int_equal(judge(&vm, 5, &err), 0);
}

static void test_versions_must_match(void **state)
{
	struct vmm_config vm = good();
	struct err err = ERR_INIT;

	(void)state;
	assert_true(config_check(&vm, sizeof(vm) - 1, 2, &err) < 0);
	assert_true(config_check(&vm, 4, 2, &err) < 0);
	vm.version++;
	assert_refused(vm, 2, "must match");
	vm = good();
	vm.magic = 0;
	assert_refused(vm, 2, "must match");
	vm = good();
	vm.flags = 1u << 31;
	assert_refused(vm, 2, "unknown flags");
}

static void test_sizes_have_limits(void **state)
{
	struct vmm_config vm = good();

	(void)state;
	vm.vcpus = 0;
	assert_refused(vm, 2, "0 CPUs");
	vm.vcpus = VMM_VCPUS_MAX + 1;
	assert_refused(vm, 2, "65 CPUs");
	for (const uint64_t *bytes = (const uint64_t[]){0, 1 << 20, VMM_RAM_MIN_BYTES - 1,
		     VMM_RAM_MAX_BYTES + 1, UINT64_C(1) << 63, UINT64_MAX, 1};
		*bytes != 1; bytes++) {
		vm = good();
		vm.ram_bytes = *bytes;
		assert_refused(vm, 2, "MiB are possible");
	}
	vm = good();
	vm.ram_bytes++;
	assert_refused(vm, 2, "multiple of 1 MiB");
	for (uint32_t cid = 0; cid < 3; cid++) {
		vm = good();
		vm.guest_cid = cid;
		assert_refused(vm, 2, "reserved");
	}
	vm.guest_cid = UINT32_MAX;
	assert_refused(vm, 2, "reserved");
}

static void test_cmdline_is_one_line(void **state)
{
	struct vmm_config vm = good();

	(void)state;
	memset(vm.cmdline, 'a', sizeof(vm.cmdline));
	assert_refused(vm, 2, "does not end");
	vm = good();
	memcpy(vm.cmdline, "a\nb", 4);
	assert_refused(vm, 2, "control character");
}

static void test_ports_are_few_and_different(void **state)
{
	struct vmm_config vm = good();

	(void)state;
	vm.n_ports = VMM_PORTS_MAX + 1;
	assert_refused(vm, 2 + VMM_PORTS_MAX + 1, "vsock ports");
	vm.n_ports = UINT32_MAX;
	assert_refused(vm, 1, "vsock ports");
	vm.n_ports = 2;
	vm.ports[0] = vm.ports[1] = 1024;
	assert_refused(vm, 4, "given twice");
}

static void test_disks_account_for_all_segments(void **state)
{
	struct vmm_config vm = with_disks();

	(void)state;
	vm.n_disks = VMM_DISKS_MAX + 1;
	assert_refused(vm, 5, "are possible");
	vm = with_disks();
	vm.n_segments = VMM_SEGMENTS_MAX + 1;
	assert_refused(vm, 5, "are possible");
	vm = with_disks();
	vm.n_segments = 2;
	assert_refused(vm, 4, "disk 1 is described wrongly");
	vm = with_disks();
	vm.n_segments = 4;
	assert_refused(vm, 6, "1 segments belong to no disk");
	vm = with_disks();
	vm.disks[0].n_segments = UINT32_MAX;
	assert_refused(vm, 5, "described wrongly");
	vm = with_disks();
	vm.disks[0].n_segments = 0;
	assert_refused(vm, 5, "described wrongly");
	vm = with_disks();
	vm.disks[0].read_only = 0;
	assert_refused(vm, 5, "writable and in pieces");
}

static void test_segments_stay_inside_a_file_offset(void **state)
{
	static const struct vmm_segment bad[] = {
		{0, 0},
		{0, 511},
		{1, 512},
		{UINT64_MAX - 511, 512},
		{UINT64_C(1) << 63, 512},
		{0, UINT64_C(1) << 63},
		{INT64_MAX - 511, 1024},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vmm_config vm = with_disks();

		vm.segments[1] = bad[i];
		assert_refused(vm, 5, "segment 1 of disk 0 is impossible");
	}
	struct vmm_config vm = with_disks();

	/* Each is possible, their sum is not. */
	vm.segments[0].len_bytes = vm.segments[1].len_bytes = UINT64_C(1) << 62;
	assert_refused(vm, 5, "segment 1 of disk 0 is impossible");
}

static void test_descriptors_are_counted(void **state)
{
	struct vmm_config vm = with_disks();

	(void)state;
	for (size_t n = 0; n <= CONFIG_FDS_MAX; n++) {
		struct err err;

		assert_int_equal(judge(&vm, n, &err) == 0, n == 5);
	}
}

static void test_descriptors_are_sorted(void **state)
{
	struct vmm_config vm = good();
	struct config config = {0};
	struct err err = ERR_INIT;
	int pair[2], fds[6];

	(void)state;
	vm.flags = VMM_HAS_INITRAMFS;
	vm.n_ports = 2;
	vm.ports[0] = 1024;
	vm.ports[1] = 1025;
	vm.n_disks = vm.n_segments = 1;
	vm.disks[0] = (struct vmm_disk){1, 1};
	vm.segments[0].len_bytes = 512;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	for (int i = 0; i < 6; i++) {
		fds[i] = open("/dev/null", O_RDONLY);
		assert_true(fds[i] >= 0);
	}
	assert_int_equal(io_send_fds(pair[0], &vm, sizeof(vm), fds, 6), 0);
	assert_int_equal(config_receive(pair[1], &config, &err), 0);
	assert_true(config.kvm_fd >= 0 && config.kernel_fd > config.kvm_fd);
	assert_true(config.initramfs_fd > config.kernel_fd && config.port_fds[0] > config.initramfs_fd);
	assert_true(config.port_fds[1] > config.port_fds[0] && config.segment_fds[0] > config.port_fds[1]);
	assert_int_equal(config.console_fd, -1);
	close(pair[0]);
	assert_int_equal(config_receive(pair[1], &config, &err), -EPROTO);
	assert_int_equal(config_receive(-1, &config, &err), -EBADF);
	close(pair[1]);
	for (int i = 0; i < 6; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_ones_pass),
		cmocka_unit_test(test_versions_must_match),
		cmocka_unit_test(test_sizes_have_limits),
		cmocka_unit_test(test_cmdline_is_one_line),
		cmocka_unit_test(test_ports_are_few_and_different),
		cmocka_unit_test(test_disks_account_for_all_segments),
		cmocka_unit_test(test_segments_stay_inside_a_file_offset),
		cmocka_unit_test(test_descriptors_are_counted),
		cmocka_unit_test(test_descriptors_are_sorted),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
