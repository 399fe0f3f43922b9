// SPDX-License-Identifier: Apache-2.0
#include "mem/giov.h"

#include <errno.h>
#include <string.h>

void giov_init(struct giov *g, struct iovec *storage, uint32_t cap)
{
	*g = (struct giov){.iov = storage, .cap = cap};
}

int giov_add(struct giov *g, const struct gmem *mem, gpa_t gpa, uint32_t len_bytes)
{
	void *host;

	if (!len_bytes)
		return 0;
	if (g->n == g->cap)
		return -E2BIG;
	host = gmem_slice(mem, gpa, len_bytes);
	if (!host)
		return -EFAULT;
	g->iov[g->n++] = (struct iovec){.iov_base = host, .iov_len = len_bytes};
	g->len_bytes += len_bytes;
	return 0;
}

/* Move on by len_bytes, which lie within the first piece. */
static void advance_in_piece(struct giov *g, size_t len_bytes)
{
	g->len_bytes -= len_bytes;
	if (len_bytes < g->iov->iov_len) {
		g->iov->iov_base = (uint8_t *)g->iov->iov_base + len_bytes;
		g->iov->iov_len -= len_bytes;
		return;
	}
	g->iov++;
	g->n--;
	g->cap--;
}

static size_t piece_len(const struct giov *g, uint64_t wanted)
{
	return wanted < g->iov->iov_len ? (size_t)wanted : g->iov->iov_len;
}

size_t giov_read(struct giov *g, void *data, size_t len_bytes)
{
	uint8_t *to = data;
	size_t done = 0;

	while (g->n && done < len_bytes) {
		size_t step = piece_len(g, len_bytes - done);

		memcpy(to + done, g->iov->iov_base, step);
		advance_in_piece(g, step);
		done += step;
	}
	/* As in gmem_read(): what was copied is what is used. */
	__asm__ volatile("" : : : "memory");
	return done;
}

size_t giov_write(struct giov *g, const void *data, size_t len_bytes)
{
	const uint8_t *from = data;
	size_t done = 0;

	while (g->n && done < len_bytes) {
		size_t step = piece_len(g, len_bytes - done);

		memcpy(g->iov->iov_base, from + done, step);
		advance_in_piece(g, step);
		done += step;
	}
	return done;
}

size_t giov_zero(struct giov *g, size_t len_bytes)
{
	size_t done = 0;

	while (g->n && done < len_bytes) {
		size_t step = piece_len(g, len_bytes - done);

		memset(g->iov->iov_base, 0, step);
		advance_in_piece(g, step);
		done += step;
	}
	return done;
}

void giov_skip(struct giov *g, uint64_t len_bytes)
{
	while (g->n && len_bytes) {
		size_t step = piece_len(g, len_bytes);

		advance_in_piece(g, step);
		len_bytes -= step;
	}
}

void giov_truncate(struct giov *g, uint64_t len_bytes)
{
	while (g->len_bytes > len_bytes) {
		struct iovec *last = &g->iov[g->n - 1];
		uint64_t excess = g->len_bytes - len_bytes;

		if (excess < last->iov_len) {
			last->iov_len -= (size_t)excess;
			g->len_bytes -= excess;
		} else {
			g->len_bytes -= last->iov_len;
			g->n--;
		}
	}
}

int giov_split(struct giov *g, uint64_t len_bytes, struct giov *head)
{
	struct giov_window window = giov_limit(g, len_bytes);
	uint64_t moved = 0;

	if (window.n > head->cap - head->n) {
		giov_unlimit(g, &window);
		return -E2BIG;
	}
	for (uint32_t i = 0; i < window.n; i++) {
		head->iov[head->n++] = g->iov[i];
		moved += g->iov[i].iov_len;
	}
	giov_unlimit(g, &window);
	head->len_bytes += moved;
	giov_skip(g, moved);
	return 0;
}

int giov_pop_byte(struct giov *g, struct iovec *last)
{
	struct iovec *piece;

	if (!g->n)
		return -ENODATA;
	piece = &g->iov[g->n - 1];
	*last = (struct iovec){.iov_base = (uint8_t *)piece->iov_base + piece->iov_len - 1, .iov_len = 1};
	giov_truncate(g, g->len_bytes - 1);
	return 0;
}

struct giov_window giov_limit(struct giov *g, uint64_t len_bytes)
{
	struct giov_window window = {0};
	uint64_t left = len_bytes < g->len_bytes ? len_bytes : g->len_bytes;

	while (left) {
		struct iovec *piece = &g->iov[window.n++];

		window.last_len_bytes = piece->iov_len;
		if (piece->iov_len > left)
			piece->iov_len = (size_t)left;
		left -= piece->iov_len;
	}
	return window;
}

void giov_unlimit(struct giov *g, const struct giov_window *window)
{
	if (window->n)
		g->iov[window->n - 1].iov_len = window->last_len_bytes;
}
