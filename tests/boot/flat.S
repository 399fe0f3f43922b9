// SPDX-License-Identifier: Apache-2.0
/*
 * Kernels of a few instructions, for what no Linux can be made to do. Built once per act:
 *
 *	-DPVH		entered as PVH says (the file has the note), otherwise in 64-bit mode as Linux
 *	-DACT=name	what to do when what was handed over is what the protocol says:
 *	  poweroff	switch off			spin	stop all interrupts and spin
 *	  fault		triple fault			sleep	stop all interrupts and halt
 *	  nowhere	execute where nothing is	sweep	write and read 4096 ports and the I/O APIC's page
 *
 * If what was handed over is wrong it resets the machine.
 */
#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)

#define POWER_PORT 0x604
#define POWER_OFF 0x2000
#define RESET_PORT 0x64
#define RESET 0xfe
#define PVH_MAGIC 0x336ec578
#define LINUX_MAGIC 0x53726448
#define IOAPIC 0xfec00000
#define NOWHERE 0xf0000000

#ifdef PVH
	.pushsection .note.Xen, "a", @note
	.align 4
	.long 4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start
	.popsection
	.code32
#else
	.code64
#endif

	.text
	.globl start
start:
#ifdef PVH
	cmpl	$PVH_MAGIC, (%ebx)
	jne	reset
	movl	24(%ebx), %eax		/* the command line */
	cmpl	$0x736e6f63, (%eax)	/* "cons" */
	jne	reset
	cmpl	$3, 48(%ebx)		/* ranges of memory */
	jb	reset
	movl	$stack, %esp
#else
	cmpl	$LINUX_MAGIC, 0x202(%rsi)
	jne	reset
	movl	0x228(%rsi), %eax	/* the command line */
	cmpl	$0x736e6f63, (%rax)
	jne	reset
	cmpb	$3, 0x1e8(%rsi)		/* ranges of memory */
	jb	reset
	movl	$stack, %esp
#endif
	cli
	jmp	PASTE(do_, ACT)

reset:
	movb	$RESET, %al
	outb	%al, $RESET_PORT
	jmp	reset

do_poweroff:
	movw	$POWER_OFF, %ax
	movw	$POWER_PORT, %dx
	outw	%ax, %dx
	jmp	do_poweroff

do_spin:
	jmp	do_spin

do_sleep:
	hlt
	jmp	do_sleep

do_fault:
	lidt	nothing
	int3

do_nowhere:
	movl	$NOWHERE, %eax
#ifdef PVH
	jmp	*%eax
#else
	jmp	*%rax
#endif

	/* Ports in every width but the two that mean something, then the I/O APIC's registers. */
do_sweep:
	xorl	%edx, %edx
	movl	$0x5a5a5a5a, %ecx
1:	cmpw	$POWER_PORT, %dx
	je	2f
	cmpw	$RESET_PORT, %dx
	je	2f
	movl	%ecx, %eax
	outb	%al, %dx
	outw	%ax, %dx
	outl	%eax, %dx
	inb	%dx, %al
	inw	%dx, %ax
	inl	%dx, %eax
2:	incw	%dx
	cmpw	$0x1000, %dx
	jb	1b
	movl	$IOAPIC, %esi
3:	movl	%ecx, (%esi)
	movb	%cl, 1(%esi)
	movl	(%esi), %eax
	movw	2(%esi), %ax
	addl	$4, %esi
	cmpl	$(IOAPIC + 0x1000), %esi
	jb	3b
	jmp	do_poweroff

	.align 8
nothing:
	.word	0
	.quad	0

	.bss
	.skip	256
stack:
	.section .note.GNU-stack, "", @progbits
