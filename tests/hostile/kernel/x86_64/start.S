// SPDX-License-Identifier: Apache-2.0
/*
 * Entry in 64-bit mode as Linux has it (%rsi: parameters, one-to-one mapping of the first GiB), and the first
 * instructions of every interrupt and exception: all of them go to trap_handle() with what was pushed.
 */
	.code64
	.text
	.globl start
start:
	cli
	movl	$stack_end, %esp
	xorl	%ebp, %ebp
	movq	%rsi, %rdi
	call	kernel_main
1:	hlt
	jmp	1b

	/* Some exceptions push an error code; for all others a 0 is pushed in its place. */

	.globl trap_entries
	.align	16
trap_entries:
	.set	vector, 0
	.rept	256
	.align	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_all
	.set	vector, vector + 1
	.endr

trap_all:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	andq	$-16, %rsp
	call	trap_handle
	movq	%rbx, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

	.bss
	.align	4096
	.skip	0x10000
stack_end:
	.section .note.GNU-stack, "", @progbits
