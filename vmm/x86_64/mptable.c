// SPDX-License-Identifier: Apache-2.0
#include "vmm/x86_64/mptable.h"

#include <assert.h>
#include <string.h>

/* MP specification 1.4; every field is little-endian and naturally aligned. */
struct mp_pointer { /* 4.1 */
	char signature[4]; /* "_MP_" */
	uint32_t table_gpa;
	uint8_t length_16; /* in units of 16 bytes */
	uint8_t revision;
	uint8_t checksum;
	uint8_t features[5]; /* all zero: a table is present, virtual wire mode */
};

struct mp_header { /* 4.2 */
	char signature[4]; /* "PCMP" */
	uint16_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem[8];
	char product[12];
	uint32_t oem_table_gpa;
	uint16_t oem_table_length;
	uint16_t n_entries;
	uint32_t lapic_gpa;
	uint16_t extended_length;
	uint8_t extended_checksum;
	uint8_t reserved;
};

struct mp_cpu { /* 4.3.1 */
	uint8_t type;
	uint8_t apic_id;
	uint8_t apic_version;
	uint8_t flags;
	uint32_t signature;
	uint32_t features;
	uint32_t reserved[2];
};

struct mp_bus { /* 4.3.2 */
	uint8_t type;
	uint8_t id;
	char name[6];
};

struct mp_ioapic { /* 4.3.3 */
	uint8_t type;
	uint8_t id;
	uint8_t version;
	uint8_t flags;
	uint32_t gpa;
};

struct mp_line { /* 4.3.4 and 4.3.5 */
	uint8_t type;
	uint8_t kind;
	uint16_t flags;
	uint8_t bus;
	uint8_t bus_line;
	uint8_t apic_id;
	uint8_t pin;
};

_Static_assert(sizeof(struct mp_pointer) == 16 && sizeof(struct mp_header) == 44, "as specified");
_Static_assert(sizeof(struct mp_cpu) == 20 && sizeof(struct mp_bus) == 8, "as specified");
_Static_assert(sizeof(struct mp_ioapic) == 8 && sizeof(struct mp_line) == 8, "as specified");

enum { ENTRY_CPU, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_IO_LINE, ENTRY_LOCAL_LINE };
enum { LINE_INT, LINE_NMI, LINE_SMI, LINE_EXTINT };
enum { FLAG_CPU_ENABLED = 1, FLAG_CPU_BOOT = 2, FLAG_IOAPIC_ENABLED = 1 };

#define MP_REVISION 4 /* specification 1.4 */
#define LAPIC_VERSION 0x14 /* integrated */
#define IOAPIC_VERSION 0x11
#define ALL_LAPICS 0xff
#define BUS_ISA 0

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	unsigned sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += bytes[i];
	return (uint8_t)(0x100 - (sum & 0xff));
}

/* Append an entry at page + at; where the next one goes. */
static size_t entry_put(uint8_t *page, size_t at, const void *entry, size_t len)
{
	assert(len <= LAYOUT_MP_POINTER_GPA - LAYOUT_MPTABLE_GPA - at);
	memcpy(page + at, entry, len);
	return at + len;
}

static size_t cpus_put(uint8_t *page, size_t at, unsigned cpus)
{
	for (unsigned i = 0; i < cpus; i++) {
		struct mp_cpu cpu = {
			.type = ENTRY_CPU,
			.apic_id = (uint8_t)i,
			.apic_version = LAPIC_VERSION,
			.flags = (uint8_t)(FLAG_CPU_ENABLED | (i ? 0 : FLAG_CPU_BOOT)),
		};

		at = entry_put(page, at, &cpu, sizeof(cpu));
	}
	return at;
}

static size_t lines_put(uint8_t *page, size_t at, unsigned ioapic_id, unsigned n_lines)
{
	/* Flags 0 mean: as the bus has it, which for ISA is edge-triggered, active high. */
	for (unsigned i = 0; i < n_lines; i++) {
		struct mp_line line = {
			.type = ENTRY_IO_LINE,
			.kind = LINE_INT,
			.bus = BUS_ISA,
			.bus_line = (uint8_t)(LAYOUT_IRQ_FIRST + i),
			.apic_id = (uint8_t)ioapic_id,
			.pin = (uint8_t)(LAYOUT_IRQ_FIRST + i),
		};

		at = entry_put(page, at, &line, sizeof(line));
	}
	struct mp_line nmi = {.type = ENTRY_LOCAL_LINE, .kind = LINE_NMI, .apic_id = ALL_LAPICS, .pin = 1};

	return entry_put(page, at, &nmi, sizeof(nmi));
}

void mptable_write(uint8_t *page, unsigned cpus, unsigned n_lines)
{
	struct mp_header header = {
		.signature = {'P', 'C', 'M', 'P'},
		.revision = MP_REVISION,
		.oem = {'M', 'V', 'R', 'U', 'N', ' ', ' ', ' '},
		.product = {'M', 'I', 'C', 'R', 'O', 'V', 'M', ' ', ' ', ' ', ' ', ' '},
		.n_entries = (uint16_t)(cpus + n_lines + 3), /* bus, I/O APIC, NMI */
		.lapic_gpa = (uint32_t)LAYOUT_LAPIC_GPA,
	};
	struct mp_bus bus = {.type = ENTRY_BUS, .id = BUS_ISA, .name = {'I', 'S', 'A', ' ', ' ', ' '}};
	struct mp_ioapic ioapic = {
		.type = ENTRY_IOAPIC,
		.id = (uint8_t)cpus, /* the first id that no processor has */
		.version = IOAPIC_VERSION,
		.flags = FLAG_IOAPIC_ENABLED,
		.gpa = (uint32_t)LAYOUT_IOAPIC_GPA,
	};
	struct mp_pointer pointer = {
		.signature = {'_', 'M', 'P', '_'},
		.table_gpa = (uint32_t)LAYOUT_MPTABLE_GPA,
		.length_16 = 1,
		.revision = MP_REVISION,
	};
	size_t at = sizeof(header);

	assert(cpus && cpus <= MPTABLE_CPUS_MAX && n_lines <= LAYOUT_IOAPIC_PINS_MAX - LAYOUT_IRQ_FIRST);
	at = cpus_put(page, at, cpus);
	at = entry_put(page, at, &bus, sizeof(bus));
	at = entry_put(page, at, &ioapic, sizeof(ioapic));
	at = lines_put(page, at, ioapic.id, n_lines);
	header.length = (uint16_t)at;
	memcpy(page, &header, sizeof(header));
	header.checksum = checksum(page, at);
	memcpy(page, &header, sizeof(header));
	pointer.checksum = checksum(&pointer, sizeof(pointer));
	memcpy(page + (LAYOUT_MP_POINTER_GPA - LAYOUT_MPTABLE_GPA), &pointer, sizeof(pointer));
}
