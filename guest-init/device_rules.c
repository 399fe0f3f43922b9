// SPDX-License-Identifier: Apache-2.0
#include "guest-init/device_rules.h"

#include "guest-init/sys.h"

#include <linux/bpf.h>

#define MEM_MAJOR 1
#define NULL_MINOR 3
#define ZERO_MINOR 5
#define FULL_MINOR 7
#define RANDOM_MINOR 8
#define URANDOM_MINOR 9
#define TTY_MAJOR 5
#define TTY_MINOR 0
#define PTMX_MINOR 2
#define PTS_MAJOR 136

#define LOAD(reg, field)                                                                                     \
	{                                                                                                    \
		.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (reg), .src_reg = BPF_REG_1,                   \
		.off = offsetof(struct bpf_cgroup_dev_ctx, field)                                            \
	}
#define ALU(op, reg, value)                                                                                  \
	{                                                                                                    \
		.code = BPF_ALU64 | BPF_K | (op), .dst_reg = (reg), .imm = (value)                           \
	}
#define COPY(reg, from)                                                                                      \
	{                                                                                                    \
		.code = BPF_ALU64 | BPF_X | BPF_MOV, .dst_reg = (reg), .src_reg = (from)                     \
	}
/* The instruction at index at goes on at index to if "reg op value". */
#define JUMP(at, op, reg, value, to)                                                                         \
	{                                                                                                    \
		.code = BPF_JMP | BPF_K | (op), .dst_reg = (reg), .off = (to) - (at)-1, .imm = (value)       \
	}

enum {
	RESULT = BPF_REG_0,
	TYPE = BPF_REG_2,
	MAJOR = BPF_REG_3,
	MINOR = BPF_REG_4,
	ACCESS = BPF_REG_5,
};

#define TTY 18
#define DENY 20
#define DONE 21

static const struct bpf_insn rules[] = {
	/*  0 */ LOAD(TYPE, access_type), /* access << 16 | type */
	/*  1 */ LOAD(MAJOR, major),
	/*  2 */ LOAD(MINOR, minor),
	/*  3 */ COPY(ACCESS, TYPE),
	/*  4 */ ALU(BPF_RSH, ACCESS, 16),
	/*  5 */ ALU(BPF_AND, TYPE, 0xffff),
	/*  6 */ ALU(BPF_MOV, RESULT, 1),
	/*  7 */ JUMP(7, BPF_JEQ, ACCESS, BPF_DEVCG_ACC_MKNOD, DONE), /* made, not opened */
	/*  8 */ JUMP(8, BPF_JNE, TYPE, BPF_DEVCG_DEV_CHAR, DENY),
	/*  9 */ JUMP(9, BPF_JEQ, MAJOR, PTS_MAJOR, DONE),
	/* 10 */ JUMP(10, BPF_JEQ, MAJOR, TTY_MAJOR, TTY),
	/* 11 */ JUMP(11, BPF_JNE, MAJOR, MEM_MAJOR, DENY),
	/* 12 */ JUMP(12, BPF_JEQ, MINOR, NULL_MINOR, DONE),
	/* 13 */ JUMP(13, BPF_JEQ, MINOR, ZERO_MINOR, DONE),
	/* 14 */ JUMP(14, BPF_JEQ, MINOR, FULL_MINOR, DONE),
	/* 15 */ JUMP(15, BPF_JEQ, MINOR, RANDOM_MINOR, DONE),
	/* 16 */ JUMP(16, BPF_JEQ, MINOR, URANDOM_MINOR, DONE),
	/* 17 */ JUMP(17, BPF_JA, 0, 0, DENY),
	/* 18 */ JUMP(TTY, BPF_JEQ, MINOR, TTY_MINOR, DONE),
	/* 19 */ JUMP(19, BPF_JEQ, MINOR, PTMX_MINOR, DONE),
	/* 20 */ ALU(BPF_MOV, RESULT, 0),
	/* 21 */ {.code = BPF_JMP | BPF_EXIT},
};

int device_rules_attach(int cgroup_fd, struct failure *failure)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insn_cnt = sizeof(rules) / sizeof(rules[0]),
		.insns = (uintptr_t)rules,
		.license = (uintptr_t) "Apache-2.0",
	};
	int ret = 0, program_fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (program_fd < 0)
		return setup_failed(failure, errno, "load the device rules");
	attr = (union bpf_attr){
		.target_fd = (uint32_t)cgroup_fd,
		.attach_bpf_fd = (uint32_t)program_fd,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI,
	};
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0)
		ret = setup_failed(failure, errno, "attach the device rules");
	close(program_fd);
	return ret;
}
