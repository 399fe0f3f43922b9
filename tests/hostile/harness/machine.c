// SPDX-License-Identifier: Apache-2.0
#include "tests/hostile/harness/machine.h"

#include "base/cleanup.h"
#include "tests/hostile/harness/looks.h"
#include "virtio/mmio.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE VIRTIO_MMIO_PAGE_BYTES
#define PATTERN 0x5a
#define SECTOR_WORDS 64u
#define TURNS_MAX 200000 /* until the loop has to be idle: everything a device does in a turn is bounded */
#define BLOCK 65536

enum { SLOT_VSOCK, SLOT_CONSOLE, SLOT_RNG, SLOT_DISK_RO, SLOT_DISK_RW };
enum { OUT_READ, OUT_WRITE, IN_READ, IN_WRITE };

#define CHECKED(call)                                                                                        \
	do {                                                                                                 \
		if ((call) < 0)                                                                              \
			err(EXIT_FAILURE, "%s", #call);                                                      \
	} while (0)

/* ---- memory ---- */

static struct guarded guarded_new(size_t len)
{
	uint8_t *area = mmap(NULL, len + 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	CHECKED(mprotect(area + PAGE, len + 2 * PAGE, PROT_READ | PROT_WRITE));
	memset(area + PAGE, PATTERN, PAGE);
	memset(area + 2 * PAGE + len, PATTERN, PAGE);
	return (struct guarded){area + 2 * PAGE, len};
}

static void guarded_free(struct guarded *g)
{
	munmap(g->bytes - 2 * PAGE, g->len + 4 * PAGE);
}

static bool pattern_intact(const uint8_t *page)
{
	for (size_t i = 0; i < PAGE; i++) {
		if (page[i] != PATTERN)
			return false;
	}
	return true;
}

static bool guarded_intact(const struct guarded *g)
{
	return pattern_intact(g->bytes - PAGE) && pattern_intact(g->bytes + g->len);
}

/* ---- disks ---- */

static int file_new(void)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/mvrun-hostile.XXXXXX", dir ? dir : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		err(EXIT_FAILURE, "%s", path);
	unlink(path);
	return fd;
}

/* As the driver expects it: every word says which one it is. */
static void disk_words(uint64_t sector, uint64_t *words)
{
	for (uint64_t i = 0; i < SECTOR_WORDS; i++)
		words[i] = (sector * SECTOR_WORDS + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void disk_fill(int fd)
{
	uint64_t words[SECTOR_WORDS];

	for (uint64_t sector = 0; sector < MACHINE_DISK_BYTES / sizeof(words); sector++) {
		disk_words(sector, words);
		CHECKED(pwrite(fd, words, sizeof(words), (off_t)(sector * sizeof(words))));
	}
}

static bool disk_intact(int fd)
{
	uint64_t words[SECTOR_WORDS], found[SECTOR_WORDS];

	for (uint64_t sector = 0; sector < MACHINE_DISK_BYTES / sizeof(words); sector++) {
		disk_words(sector, words);
		if (pread(fd, found, sizeof(found), (off_t)(sector * sizeof(words))) != sizeof(found) ||
			memcmp(words, found, sizeof(found)))
			return false;
	}
	return true;
}

void machine_disk_cold(void *ctx)
{
	const struct machine *m = ctx;
	const int fds[] = {m->ro_fd, m->rw_fd};

	for (size_t i = 0; i < 2; i++) {
		CHECKED(fdatasync(fds[i]));
		posix_fadvise(fds[i], 0, 0, POSIX_FADV_DONTNEED);
	}
}

/* ---- far ends ---- */

static void peer_event(struct loop_source *source, uint32_t events);

static void peer_open(struct peer *peer)
{
	int pair[2];

	CHECKED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
	peer->fd = pair[0];
	CHECKED(loop_add(&peer->machine->far, &peer->source, peer->fd, EPOLLIN, peer_event, peer));
	CHECKED(virtio_vsock_allow(&peer->machine->vsock, peer->port, pair[1]));
}

static void peer_close(struct peer *peer)
{
	loop_del(&peer->machine->far, &peer->source);
	fd_release(&peer->fd);
}

/* What does not fit into the socket is lost: the driver's requests are small. */
static void peer_event(struct loop_source *source, uint32_t events)
{
	static char block[BLOCK];
	struct peer *peer = source->ctx;
	ssize_t n = recv(peer->fd, block, sizeof(block), MSG_DONTWAIT);

	(void)events;
	if (n > 0)
		n = send(peer->fd, block, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0 || (n < 0 && errno == EAGAIN))
		return;
	peer_close(peer);
	peer_open(peer);
}

static void console_event(struct loop_source *source, uint32_t events)
{
	static char block[BLOCK];
	struct machine *m = source->ctx;
	ssize_t n = read(m->console_pipes[OUT_READ], block, sizeof(block));
	size_t keep, len = n > 0 ? (size_t)n : 0;

	(void)events;
	if (len > MACHINE_TAIL_BYTES) {
		memcpy(m->tail, block + len - MACHINE_TAIL_BYTES, MACHINE_TAIL_BYTES);
		m->tail_len = MACHINE_TAIL_BYTES;
		return;
	}
	keep = m->tail_len < MACHINE_TAIL_BYTES - len ? m->tail_len : MACHINE_TAIL_BYTES - len;
	memmove(m->tail, m->tail + m->tail_len - keep, keep);
	memcpy(m->tail + keep, block, len);
	m->tail_len = keep + len;
}

bool machine_console_got(void *ctx, const char *text, size_t len)
{
	struct machine *m = ctx;

	machine_settle(m, 0);
	return memmem(m->tail, m->tail_len, text, len) != NULL;
}

void machine_console_send(void *ctx, const char *text, size_t len)
{
	const struct machine *m = ctx;
	char block[4096];

	/* What an earlier life left unread would come first. */
	while (read(m->console_pipes[IN_READ], block, sizeof(block)) > 0)
		;
	CHECKED(write(m->console_pipes[IN_WRITE], text, len));
}

/* ---- devices ---- */

static struct virtio_wiring wiring_make(struct machine *m, unsigned int slot, struct virtio_device *dev)
{
	m->devices[slot] = dev;
	m->irq_fds[slot] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECKED(m->irq_fds[slot]);
	return (struct virtio_wiring){
		.mem = &m->mem,
		.loop = &m->loop,
		/* Two pages for each: between any two there is one with a pattern. */
		.page = m->pages.bytes + (size_t)2 * slot * PAGE,
		.irq_fd = m->irq_fds[slot],
	};
}

static void disks_init(struct machine *m)
{
	struct virtio_blk_options ro = {.n_queues = 1, .block_bytes = 512}, rw = ro;
	struct virtio_wiring wiring;

	/* Both files could be written: that the device does not is for the device to see to. */
	m->ro_fd = file_new();
	disk_fill(m->ro_fd);
	m->rw_fd = file_new();
	disk_fill(m->rw_fd);
	/* Two segments, whose border is not at a page. */
	m->ro_segments[0] = (struct blk_segment){m->ro_fd, 0, 512 * 1000};
	m->ro_segments[1] = (struct blk_segment){m->ro_fd, 512 * 1000, MACHINE_DISK_BYTES - 512 * 1000};
	m->rw_segment = (struct blk_segment){m->rw_fd, 0, MACHINE_DISK_BYTES};
	CHECKED(blk_backing_segments(&ro.backing, m->ro_segments, 2));
	CHECKED(blk_backing_file(&rw.backing, &m->rw_segment));
	wiring = wiring_make(m, SLOT_DISK_RO, &m->disk_ro.dev);
	CHECKED(virtio_blk_init(&m->disk_ro, &wiring, &ro));
	wiring = wiring_make(m, SLOT_DISK_RW, &m->disk_rw.dev);
	CHECKED(virtio_blk_init(&m->disk_rw, &wiring, &rw));
}

static void console_init(struct machine *m)
{
	struct virtio_wiring wiring = wiring_make(m, SLOT_CONSOLE, &m->console.dev);

	CHECKED(pipe2(&m->console_pipes[OUT_READ], O_NONBLOCK | O_CLOEXEC));
	CHECKED(pipe2(&m->console_pipes[IN_READ], O_NONBLOCK | O_CLOEXEC));
	CHECKED(virtio_console_init(&m->console, &wiring,
		&(struct virtio_console_options){m->console_pipes[OUT_WRITE], m->console_pipes[IN_READ]}));
	CHECKED(loop_add(&m->far, &m->console_out, m->console_pipes[OUT_READ], EPOLLIN, console_event, m));
}

static void sockets_init(struct machine *m)
{
	struct virtio_wiring wiring = wiring_make(m, SLOT_VSOCK, &m->vsock.dev);

	CHECKED(virtio_vsock_init(&m->vsock, &wiring, 3));
	for (uint32_t i = 0; i < HOSTILE_PORTS; i++) {
		m->peers[i] = (struct peer){.machine = m, .port = HOSTILE_PORT_FIRST + i};
		peer_open(&m->peers[i]);
	}
}

void machine_init(struct machine *m)
{
	struct virtio_wiring wiring;

	memset(m, 0, sizeof(*m));
	m->ram = guarded_new(HOSTILE_MEMORY_BYTES);
	m->low = guarded_new(MACHINE_LOW_BYTES);
	m->pages = guarded_new((size_t)2 * MACHINE_SLOTS * PAGE);
	memset(m->pages.bytes, PATTERN, m->pages.len);
	memset(m->ram.bytes, 0, m->ram.len); /* all of it there, for the sake of what is counted later */
	CHECKED(gmem_add(&m->mem, gpa_of(MACHINE_RAM_GPA), m->ram.bytes, m->ram.len));
	CHECKED(gmem_add(&m->mem, gpa_of(MACHINE_RAM_GPA - MACHINE_LOW_BYTES), m->low.bytes, m->low.len));
	CHECKED(loop_init(&m->loop));
	CHECKED(loop_init(&m->far));
	sockets_init(m);
	console_init(m);
	wiring = wiring_make(m, SLOT_RNG, &m->rng.dev);
	CHECKED(virtio_rng_init(&m->rng, &wiring));
	disks_init(m);
}

void machine_done(struct machine *m)
{
	virtio_vsock_done(&m->vsock);
	virtio_console_done(&m->console);
	virtio_rng_done(&m->rng);
	virtio_blk_done(&m->disk_ro);
	virtio_blk_done(&m->disk_rw);
	for (size_t i = 0; i < HOSTILE_PORTS; i++)
		peer_close(&m->peers[i]);
	for (size_t i = 0; i < 4; i++)
		close(m->console_pipes[i]);
	for (size_t i = 0; i < MACHINE_SLOTS; i++)
		close(m->irq_fds[i]);
	close(m->ro_fd);
	close(m->rw_fd);
	loop_done(&m->loop);
	loop_done(&m->far);
	guarded_free(&m->ram);
	guarded_free(&m->low);
	guarded_free(&m->pages);
}

const char *machine_check(const struct machine *m)
{
	if (!guarded_intact(&m->ram) || !guarded_intact(&m->low))
		return "the pages around guest memory";
	if (!guarded_intact(&m->pages))
		return "the pages around the registers";
	for (size_t i = 0; i < MACHINE_SLOTS; i++) {
		if (!pattern_intact(m->pages.bytes + (2 * i + 1) * PAGE))
			return "the page behind a device's registers";
	}
	return disk_intact(m->ro_fd) ? NULL : "the read-only disk";
}

/* ---- time ---- */

void machine_settle(struct machine *m, int timeout_ms)
{
	uint64_t turns = 0;
	int devices = 1, far = 1;

	while (devices > 0 || far > 0) {
		looks_inside = true;
		devices = loop_turn(&m->loop, timeout_ms);
		looks_inside = false;
		far = loop_turn(&m->far, 0);
		timeout_ms = 0;
		if (++turns > TURNS_MAX) {
			m->spins = true;
			break;
		}
	}
	m->turns += turns;
	if (turns > m->turns_max)
		m->turns_max = turns;
}

void machine_hold(void *ctx)
{
	struct machine *m = ctx;

	loop_turn(&m->far, 0);
}

void machine_turn(struct machine *m)
{
	loop_turn(&m->loop, 1);
	loop_turn(&m->far, 0);
}

/* ---- the driver's view ---- */

uint64_t machine_read(void *ctx, unsigned int slot, uint32_t offset, unsigned int width)
{
	const struct machine *m = ctx;
	uint64_t value = 0;

	if (slot < MACHINE_SLOTS)
		virtio_mmio_read(m->devices[slot], offset, &value, width);
	return value;
}

void machine_write(void *ctx, unsigned int slot, uint32_t offset, uint64_t value, unsigned int width)
{
	const struct machine *m = ctx;

	virtio_mmio_write(m->devices[slot], offset, &value, width);
}

uint64_t machine_interrupts(void *ctx, unsigned int slot)
{
	const struct machine *m = ctx;
	uint64_t count = 0;

	return read(m->irq_fds[slot], &count, sizeof(count)) == sizeof(count) ? count : 0;
}

void machine_show(const struct machine *m, struct hostile *h)
{
	const uint64_t edges[] = {0, 1, MACHINE_RAM_GPA - MACHINE_LOW_BYTES - 1, MACHINE_RAM_GPA - 1,
		MACHINE_RAM_GPA - 16, MACHINE_RAM_GPA + HOSTILE_MEMORY_BYTES,
		MACHINE_RAM_GPA + HOSTILE_MEMORY_BYTES - 1, MACHINE_WINDOW_GPA, MACHINE_WINDOW_GPA + 0x50,
		UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 15};

	_Static_assert(sizeof(edges) / sizeof(edges[0]) <= HOSTILE_EDGES_MAX, "edges fit");
	h->memory = m->ram.bytes;
	h->memory_gpa = MACHINE_RAM_GPA;
	h->n_edges = sizeof(edges) / sizeof(edges[0]);
	memcpy(h->edges, edges, sizeof(edges));
}
