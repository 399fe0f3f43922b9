# SPDX-License-Identifier: Apache-2.0
# How the lists of the Makefile become archives, programs and tests: one archive per folder, linked in the order of
# the allowed dependencies, so that a call against the direction is a link error.

# V=1 shows whole commands.
Q := $(if $(V),,@)
say := @$(if $(V),:,echo)

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
init_objects = $(patsubst %.c,$(BUILD)/musl/%.o,$(1))

LIB_BASE := $(BUILD)/libbase.a
LIB_PROTO := $(BUILD)/libproto.a
LIB_JAIL := $(BUILD)/libjail.a
LIB_MEM := $(BUILD)/libmem.a
LIB_VIRTIO := $(BUILD)/libvirtio.a
LIB_VMM := $(BUILD)/libvmm.a
LIB_STORE := $(BUILD)/libstore.a
LIB_IMAGE := $(BUILD)/libimage.a
LIB_RUNTIME := $(BUILD)/libruntime.a
LIB_CLI := $(BUILD)/libcli.a

$(LIB_BASE): $(call objects,$(BASE_SRC))
$(LIB_PROTO): $(call objects,$(PROTO_SRC))
$(LIB_JAIL): $(call objects,$(JAIL_SRC))
$(LIB_MEM): $(call objects,$(MEM_SRC))
$(LIB_VIRTIO): $(call objects,$(VIRTIO_SRC))
$(LIB_VMM): $(call objects,$(filter-out vmm/main.c,$(VMM_SRC)) $(VMM_$(ARCH)_SRC))
$(LIB_STORE): $(call objects,$(STORE_SRC))
$(LIB_IMAGE): $(call objects,$(filter-out oci/image/main.c,$(IMAGE_SRC)))
$(LIB_RUNTIME): $(call objects,$(RUNTIME_SRC))
$(LIB_CLI): $(call objects,$(filter-out cli/main.c,$(CLI_SRC)))

$(BUILD)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(say) AR $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -fPIE -c -o $@ $<

$(BUILD)/musl/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC-INIT $<
	$(Q)$(MUSL_CC) $(MUSL_CFLAGS) -MMD -MP -c -o $@ $<

VMM_LIBS := $(LIB_VMM) $(LIB_VIRTIO) $(LIB_MEM) $(LIB_JAIL) $(LIB_BASE)
IMAGE_LIBS := $(LIB_IMAGE) $(LIB_STORE) $(LIB_JAIL) $(LIB_BASE)
CLI_LIBS := $(LIB_RUNTIME) $(LIB_STORE) $(LIB_PROTO) $(LIB_JAIL) $(LIB_BASE)

$(BUILD)/mvrun-vmm: $(call objects,$(filter vmm/main.c,$(VMM_SRC))) $(VMM_LIBS)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS_ALL) $(STATIC_PIE) $(LDFLAGS_ALL) -o $@ $^ -luring -lpthread

$(BUILD)/mvrun-image: $(call objects,$(filter oci/image/main.c,$(IMAGE_SRC))) $(IMAGE_LIBS)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS_ALL) -pie $(LDFLAGS_ALL) -o $@ $^ -lzstd -lz -lcrypto -ljansson -lpthread

$(BUILD)/mvrun: $(call objects,$(CLI_SRC)) $(CLI_LIBS)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS_ALL) $(STATIC_PIE) $(LDFLAGS_ALL) -o $@ $^ -ljansson

$(BUILD)/guest-init: $(call init_objects,$(INIT_SRC))
	$(say) LD $@
	$(Q)$(MUSL_CC) $(MUSL_CFLAGS) $(MUSL_LDFLAGS) -o $@ $^ $(MUSL_LIBS)

$(BUILD)/initramfs.cpio: $(BUILD)/guest-init scripts/make-initramfs
	scripts/make-initramfs $< $@

PROGRAMS := $(if $(CLI_SRC),$(BUILD)/mvrun) $(if $(VMM_SRC),$(BUILD)/mvrun-vmm) \
	$(if $(IMAGE_SRC),$(BUILD)/mvrun-image) $(if $(INIT_SRC),$(BUILD)/guest-init $(BUILD)/initramfs.cpio)

.DEFAULT_GOAL := all
all: $(PROGRAMS)

# ---- unit tests ------------------------------------------------------------------------------------------------

# ThreadSanitizer has a thread of its own, and namespaces are for processes with one. Sanitizers want more memory than the
# limits of a decoder allow.
UNIT_PROGRAMS := $(patsubst %,$(BUILD)/tests/unit/test_%,$(filter-out \
	$(if $(filter tsan,$(VARIANT)),confine) $(if $(filter asan tsan,$(VARIANT)),decoder),$(UNIT_TESTS)))
# An archive, so that a test gets what it uses and nothing that its own sources define again.
UNIT_SUPPORT := $(BUILD)/tests/unit/libsupport.a
$(UNIT_SUPPORT): $(call objects,$(UNIT_SUPPORT_SRC))
# Tests see every archive but guest-init; image tests also need the decoders.
$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(UNIT_SUPPORT) $(LIB_VMM) $(LIB_VIRTIO) $(LIB_MEM) $(LIB_CLI) $(LIB_RUNTIME) \
		$(LIB_IMAGE) $(LIB_STORE) $(LIB_PROTO) $(LIB_JAIL) $(LIB_BASE)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS_ALL) -pie $(LDFLAGS_ALL) -o $@ $^ -lcmocka -luring -lzstd -lz -lcrypto -ljansson -lpthread

unit-build: $(UNIT_PROGRAMS)
unit: unit-build
	scripts/run-unit $(UNIT_PROGRAMS)

# ---- fuzzing -----------------------------------------------------------------------------------------------------

# The same targets twice: in the variant fuzz with libFuzzer, in any other as programs that run over given inputs.
FUZZ_DIR := $(BUILD)/tests/fuzz
FUZZ_PROGRAMS := $(patsubst %,$(FUZZ_DIR)/%,$(FUZZ_TARGETS))
FUZZ_DRIVER := tests/fuzz/$(if $(filter fuzz,$(VARIANT)),libfuzzer,replay).c
# Where an input leads in what only checks is nothing to search for, and watching it takes most of the time.
ifeq ($(VARIANT),fuzz)
$(call objects,$(FUZZ_DRIVER) $(FUZZ_UNWATCHED_SRC)): CFLAGS_ALL += -fno-sanitize=fuzzer-no-link
endif
$(FUZZ_PROGRAMS): $(FUZZ_DIR)/%: $(FUZZ_DIR)/%.o $(call objects,$(FUZZ_DRIVER) $(FUZZ_UNWATCHED_SRC) $(FUZZ_SUPPORT_SRC)) $(LIB_VMM) $(LIB_VIRTIO) \
		$(LIB_MEM) $(LIB_CLI) $(LIB_RUNTIME) $(LIB_IMAGE) $(LIB_STORE) $(LIB_PROTO) $(LIB_JAIL) $(LIB_BASE)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS_ALL) $(if $(filter fuzz,$(VARIANT)),-fsanitize=fuzzer) -pie $(LDFLAGS_ALL) -o $@ $^ \
		-luring -lzstd -lz -lcrypto -ljansson -lpthread

fuzz-build: $(FUZZ_PROGRAMS)

# Look for new inputs that break something: FUZZ_S seconds for each target, or for the one that FUZZ names.
fuzz:
	@$(MAKE) --no-print-directory VARIANT=fuzz BUILD=build/fuzz fuzz-build
	@tests/fuzz/run build/fuzz $(FUZZ_S) $(or $(FUZZ),$(FUZZ_TARGETS))

# Run every target over the inputs there are.
fuzz-replay: fuzz-build
	@tests/fuzz/check $(BUILD) $(FUZZ_TARGETS)

# ---- the hostile guest -----------------------------------------------------------------------------------------

$(BUILD)/tests/hostile/harness/harness: $(call objects,$(HOSTILE_DRIVER_SRC) $(HOSTILE_HARNESS_SRC)) \
		$(LIB_VIRTIO) $(LIB_MEM) $(LIB_BASE)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS_ALL) -pie $(LDFLAGS_ALL) -o $@ $^ -luring -lpthread

hostile-build: $(BUILD)/tests/hostile/harness/harness

# As many random queue operations and register accesses as N says, from seed SEED, under AddressSanitizer and
# UndefinedBehaviorSanitizer. The compiler announces each load, so that memory can change under the devices' eyes.
N ?= 1000000
hostile:
	@$(MAKE) --no-print-directory VARIANT=asan CC=clang CFLAGS=-fsanitize-coverage=edge,trace-loads \
		BUILD=$(BUILD)/asan-loads hostile-build
	$(BUILD)/asan-loads/tests/hostile/harness/harness --queue $(N) --registers $(N) $(if $(SEED),--seed $(SEED))

# The catalogue, then lives and doorbells against each other, under ThreadSanitizer.
hostile-race:
	@$(MAKE) --no-print-directory VARIANT=tsan CC=clang BUILD=$(BUILD)/tsan hostile-build
	$(BUILD)/tsan/tests/hostile/harness/harness --queue 0 --registers 0

# ---- coverage --------------------------------------------------------------------------------------------------

# What the tests reach that need no machine; LINES=1 says which lines they do not.
cov:
	@$(MAKE) --no-print-directory VARIANT=cov BUILD=$(BUILD)/cov unit-build fuzz-build hostile-build $(BUILD)/cov/mvrun-image
	@scripts/cov $(BUILD)/cov "$(UNIT_TESTS)" "$(FUZZ_TARGETS)"
	@scripts/coverage $(if $(LINES),--lines) $(BUILD)/cov $(COV_PERCENT) $(COV_SRC)

# ---- the guest kernel ------------------------------------------------------------------------------------------

KERNEL := $(BUILD)/$(if $(filter arm64,$(ARCH)),Image,vmlinux)

kernel: $(KERNEL)
$(KERNEL): $(wildcard guest-kernel-config/*.config) scripts/build-kernel
	@mkdir -p $(@D)
	cp "$$(scripts/build-kernel --arch $(ARCH))" $@

# ---- installing ------------------------------------------------------------------------------------------------

LIBEXEC := $(DESTDIR)$(PREFIX)/libexec/mvrun
MANDIR := $(DESTDIR)$(PREFIX)/share/man

# What is installed is a release: no sanitizers, no fuzzing code.
ifneq ($(VARIANT),release)
install:
	@echo "make install: VARIANT=$(VARIANT) is for tests; install VARIANT=release" >&2
	@false
else
install: all $(KERNEL)
	install -D -m 755 $(BUILD)/mvrun $(DESTDIR)$(PREFIX)/bin/mvrun
	install -D -m 755 $(BUILD)/mvrun-vmm $(LIBEXEC)/mvrun-vmm
	install -D -m 755 $(BUILD)/mvrun-image $(LIBEXEC)/mvrun-image
	install -D -m 644 $(BUILD)/initramfs.cpio $(LIBEXEC)/initramfs.cpio
	install -D -m 644 $(KERNEL) $(LIBEXEC)/$(notdir $(KERNEL))
	install -D -m 644 man/mvrun.1 $(MANDIR)/man1/mvrun.1
endif

uninstall:
	rm -rf $(LIBEXEC) $(DESTDIR)$(PREFIX)/bin/mvrun $(MANDIR)/man1/mvrun.1

# A private installation and a store with the demo image: what the testbed lays over its root.
stage: all $(KERNEL)
	@rm -rf $(BUILD)/stage
	@$(MAKE) --no-print-directory install DESTDIR=$(BUILD)/stage PREFIX=/usr BUILD=$(BUILD) >/dev/null

demo-store: stage
	@rm -rf $(BUILD)/demo-store $(BUILD)/demo-image
	@scripts/make-demo-image $(BUILD)/demo-image
	@$(BUILD)/stage/usr/bin/mvrun load --quiet --store $(BUILD)/demo-store --name busybox oci:$(BUILD)/demo-image >/dev/null

# ---- what people type ------------------------------------------------------------------------------------------

# Targets that set the machine up by themselves, so that a fresh clone needs nothing but make.
setup:
	@scripts/setup

demo: setup
	@$(MAKE) --no-print-directory demo-store
	@scripts/demo $(abspath $(BUILD))

check: setup
	@scripts/sysroot --arch arm64 >/dev/null
	@$(MAKE) --no-print-directory all unit-build demo-store
	@scripts/check $(abspath $(BUILD))

check-long: setup
	@$(MAKE) --no-print-directory demo-store
	@tests/long/run $(abspath $(BUILD))

bench: setup
	@$(MAKE) --no-print-directory demo-store
	@bench/run $(abspath $(BUILD))

lint:
	@scripts/lint

help:
	@sed -n '3,12s/^# \{0,1\}//p' Makefile

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: all cov fuzz fuzz-build fuzz-replay hostile hostile-build hostile-race unit unit-build kernel install uninstall stage demo-store setup demo check check-long bench lint help clean
.SECONDARY:
