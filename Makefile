# SPDX-License-Identifier: Apache-2.0
#
# mvrun: one Makefile, explicit lists, everything below build/.
#
#   make                    build for this machine        make ARCH=arm64     cross-build
#   make demo               the main job, end to end      make check          all tests (what CI runs)
#   make kernel             the guest kernel              make bench          the figures of docs/spec.md
#   make fuzz FUZZ_S= FUZZ= look for inputs that break it  make cov            lines that tests reach
#   make install DESTDIR= PREFIX=                         make help           the rest
#
# VARIANT=release|asan|tsan|cov|fuzz chooses how; CC=clang works too.

HOST_ARCH := $(patsubst aarch64,arm64,$(shell uname -m))
ARCH ?= $(HOST_ARCH)
VARIANT ?= release
BUILD ?= build/$(if $(filter-out $(HOST_ARCH),$(ARCH)),$(ARCH)-)$(VARIANT)
PREFIX ?= /usr/local
VERSION := 0.1.0

# ---- tools -----------------------------------------------------------------------------------------------------

CROSS_PREFIX := $(if $(filter-out $(HOST_ARCH),$(ARCH)),$(if $(filter arm64,$(ARCH)),aarch64-linux-gnu-,x86_64-linux-gnu-))
ifneq ($(filter fuzz cov,$(VARIANT)),)
CC := clang
else ifeq ($(origin CC),default)
CC := $(CROSS_PREFIX)gcc
endif
ifeq ($(origin AR),default)
AR := $(CROSS_PREFIX)ar
endif
MUSL_CC := $(if $(CROSS_PREFIX),$(CC),musl-gcc)

# A cross build finds the other architecture's libraries in a folder that scripts/sysroot fills, outside the tree.
ifneq ($(CROSS_PREFIX),)
SYSROOT := $(shell scripts/sysroot --arch $(ARCH) --print)
TRIPLET := $(CROSS_PREFIX:-=)
SYSROOT_CFLAGS := -isystem $(SYSROOT)/usr/include -isystem $(SYSROOT)/usr/include/$(TRIPLET)
SYSROOT_LDFLAGS := -L$(SYSROOT)/usr/lib/$(TRIPLET) -L$(SYSROOT)/lib/$(TRIPLET) -Wl,--allow-shlib-undefined
endif

# ---- flags -----------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Walloca -Wundef \
	-Wcast-qual -Wwrite-strings -Wformat=2 -Wswitch-enum -Wconversion
CPPFLAGS += -D_GNU_SOURCE -I. $(SYSROOT_CFLAGS) -DMVRUN_VERSION='"$(VERSION)"'
BASE_CFLAGS := -std=c17 -g $(WARNINGS) -ffunction-sections -fdata-sections -include base/variant.h

HARDEN_x86_64 := -fcf-protection=full
HARDEN_arm64 := -mbranch-protection=standard
HARDEN := -fstack-protector-strong -fstack-clash-protection $(HARDEN_$(ARCH)) -ftrivial-auto-var-init=zero
# base/variant.h holds the two apart: a release has no fuzzing code in it.
VARIANT_release := -O2 -D_FORTIFY_SOURCE=3 $(HARDEN) -DMVRUN_RELEASE
VARIANT_asan := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
VARIANT_tsan := -O1 -fno-omit-frame-pointer -fsanitize=thread
# Counts in files that are mapped into the programs: they are there however one ends, and from processes without rights.
VARIANT_cov := -O0 -fprofile-instr-generate -fcoverage-mapping -Xclang -mllvm -Xclang -runtime-counter-relocation
VARIANT_fuzz := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DMVRUN_FUZZ
CFLAGS_ALL := $(BASE_CFLAGS) $(VARIANT_$(VARIANT)) $(CFLAGS)
LDFLAGS_ALL := -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections $(SYSROOT_LDFLAGS) \
	$(filter -fsanitize% -fprofile-instr-generate,$(VARIANT_$(VARIANT))) $(LDFLAGS)
# Sanitizers need a dynamic program.
STATIC_PIE := $(if $(filter release,$(VARIANT)),-static-pie,-pie)

# guest-init is a static program without a C library's weight: musl, no sanitizer, no unwinding.
MUSL_CFLAGS := -std=c17 -g -Os -D_GNU_SOURCE -DMVRUN_RELEASE -I. -include base/variant.h $(WARNINGS) -ffunction-sections -fdata-sections \
	-fno-asynchronous-unwind-tables -fstack-protector-strong -ftrivial-auto-var-init=zero -fno-pie
MUSL_LDFLAGS := -static -no-pie -s -Wl,--gc-sections -Wl,-z,noexecstack -Wl,--build-id=none
ifneq ($(CROSS_PREFIX),)
MUSL_DIR := $(SYSROOT)/usr/lib/aarch64-linux-musl
MUSL_CFLAGS += -nostdinc -isystem $(SYSROOT)/usr/include/aarch64-linux-musl \
	-isystem $(shell $(CC) -print-file-name=include) -idirafter /usr/aarch64-linux-gnu/include
MUSL_LDFLAGS += -nostdlib $(MUSL_DIR)/crt1.o $(MUSL_DIR)/crti.o
MUSL_LIBS := -L$(MUSL_DIR) -Wl,--start-group -lc -lgcc -lgcc_eh -Wl,--end-group $(MUSL_DIR)/crtn.o
else
MUSL_CFLAGS += -idirafter /usr/include -idirafter /usr/include/$(shell uname -m)-linux-gnu
endif

# ---- what there is ---------------------------------------------------------------------------------------------

BASE_SRC := base/buf.c base/cleanup.c base/err.c base/io.c base/log.c base/loop.c base/num.c
PROTO_SRC := proto/frame.c proto/spec.c
JAIL_SRC := jail/child.c jail/confine.c jail/filter.c
MEM_SRC := mem/gmem.c mem/giov.c
VIRTIO_SRC := virtio/backing.c virtio/blk.c virtio/blk_engine.c virtio/console.c virtio/device.c virtio/mmio.c virtio/queue.c \
	virtio/rng.c virtio/vsock.c virtio/vsock_conn.c virtio/vsock_rx.c
VMM_SRC := vmm/bus.c vmm/calls.c vmm/config.c vmm/control.c vmm/devices.c vmm/jail.c vmm/kvm.c vmm/main.c vmm/ram.c vmm/vcpu.c vmm/vm.c
VMM_x86_64_SRC := vmm/x86_64/arch.c vmm/x86_64/boot.c vmm/x86_64/cpuid.c vmm/x86_64/elf.c vmm/x86_64/ioapic.c \
	vmm/x86_64/mptable.c vmm/x86_64/processor.c
VMM_arm64_SRC := vmm/arm64/arch.c
INIT_SRC := guest-init/boot.c guest-init/caps.c guest-init/cgroup.c guest-init/container.c guest-init/control.c \
	guest-init/device_rules.c guest-init/devices.c guest-init/etc.c guest-init/exec.c guest-init/failure.c guest-init/life.c \
	guest-init/main.c guest-init/network.c guest-init/path.c guest-init/power.c guest-init/process.c guest-init/reaper.c \
	guest-init/relay.c guest-init/report.c guest-init/root.c guest-init/seccomp.c guest-init/seccomp_native.c guest-init/terminal.c \
	guest-init/user.c guest-init/vsock.c guest-init/$(ARCH)/power_machine.c \
	$(if $(filter x86_64,$(ARCH)),guest-init/x86_64/seccomp_i386.c) \
	base/buf.c base/cleanup.c base/loop.c proto/frame.c proto/spec.c
STORE_SRC := oci/store/digest.c oci/store/ingest.c oci/store/layout.c oci/store/list.c oci/store/record.c oci/store/ref.c \
	oci/store/remove.c oci/store/resolve.c oci/store/store.c
IMAGE_SRC := oci/image/answer.c oci/image/blob.c oci/image/calls.c oci/image/config.c oci/image/confine.c oci/image/data.c \
	oci/image/decoder.c oci/image/erofs.c oci/image/erofs_dir.c oci/image/erofs_plan.c oci/image/erofs_xattr.c \
	oci/image/feed.c oci/image/hash.c oci/image/json.c oci/image/layer.c oci/image/layers.c oci/image/load.c \
	oci/image/main.c oci/image/manifest.c oci/image/members.c oci/image/name.c oci/image/nursery.c \
	oci/image/order.c oci/image/platform.c oci/image/select.c oci/image/source.c oci/image/stream.c \
	oci/image/table.c oci/image/tar.c oci/image/tar_pax.c oci/image/tar_sparse.c oci/image/tree.c \
	oci/image/wire.c oci/image/worker.c
RUNTIME_SRC := oci/runtime/agent.c oci/runtime/capability.c oci/runtime/cgroup.c oci/runtime/claim.c oci/runtime/container.c \
	oci/runtime/host_check.c oci/runtime/jail_plan.c oci/runtime/kvm_probe.c oci/runtime/$(ARCH)/kvm_trial.c oci/runtime/machine.c \
	oci/runtime/names.c oci/runtime/paths.c oci/runtime/relay.c oci/runtime/running.c oci/runtime/session.c oci/runtime/signals.c \
	oci/runtime/spawn.c oci/runtime/streams.c oci/runtime/terminal.c oci/runtime/timings.c \
	oci/runtime/tiny_machine.c
CLI_SRC := cli/main.c cli/commands.c cli/doctor.c cli/envfile.c cli/help.c cli/imagecmd.c cli/images.c cli/inspect.c cli/load.c \
	cli/options.c cli/output.c cli/rmi.c cli/run.c cli/run_options.c cli/text.c cli/values.c cli/version.c

UNIT_TESTS_x86_64 := boot cpuid elf ioapic
UNIT_TESTS := num base calls confine proto gmem gmem_worlds giov queue queue_worlds mmio blk console rng vsock vsock_ends session session_control options run_values container bus config control $(UNIT_TESTS_$(ARCH)) guest_control guest_life guest_network guest_path guest_relay guest_seccomp guest_user ref store tar_name tar_reader merge layout_table json_manifest answer decoder
UNIT_SUPPORT_SRC := tests/unit/fake_driver.c tests/unit/fake_guest.c tests/unit/session_runs.c tests/unit/vsock_bench.c

# Each is tests/fuzz/NAME.c and has tests/fuzz/corpus/NAME.
FUZZ_TARGETS_x86_64 := elf
FUZZ_TARGETS := answer blk config console $(FUZZ_TARGETS_$(ARCH)) envfile erofs frame_guest frame_host index json layer manifest members merge \
	mmio name path queue ref rng spec stream table tar user values vmm_config vsock
FUZZ_UNWATCHED_SRC := tests/fuzz/archive.c tests/fuzz/erofs_reader.c tests/fuzz/fuzz.c tests/fuzz/merge_model.c tests/unit/fake_driver.c
FUZZ_SUPPORT_SRC := tests/fuzz/guest.c tests/fuzz/layers.c guest-init/control.c guest-init/failure.c guest-init/path.c \
	guest-init/user.c
FUZZ_S ?= 60

# Guest-facing code and parsers: of their lines, tests reach COV_PERCENT at least (make cov).
COV_SRC_x86_64 := vmm/x86_64/boot.c vmm/x86_64/cpuid.c vmm/x86_64/elf.c vmm/x86_64/ioapic.c vmm/x86_64/mptable.c
COV_SRC := $(MEM_SRC) $(PROTO_SRC) $(VIRTIO_SRC) $(IMAGE_SRC) vmm/bus.c vmm/config.c vmm/control.c $(COV_SRC_$(ARCH)) \
	guest-init/control.c guest-init/path.c guest-init/user.c oci/runtime/agent.c oci/store/digest.c oci/store/ref.c \
	cli/envfile.c cli/values.c
COV_PERCENT := 90

# What tests/hostile/harness attacks the devices with.
HOSTILE_DRIVER_SRC := tests/hostile/driver/blk.c tests/hostile/driver/cases_mmio.c tests/hostile/driver/cases_queue.c \
	tests/hostile/driver/cases_setup.c tests/hostile/driver/cases_small.c tests/hostile/driver/cases_vsock.c \
	tests/hostile/driver/catalogue.c tests/hostile/driver/device.c tests/hostile/driver/good.c \
	tests/hostile/driver/random.c tests/hostile/driver/vsock.c
HOSTILE_HARNESS_SRC := tests/hostile/harness/looks.c tests/hostile/harness/machine.c tests/hostile/harness/main.c tests/hostile/harness/threads.c

# The rest of this file follows from the lists.
include scripts/rules.mk
