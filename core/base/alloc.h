/* SPDX-License-Identifier: Apache-2.0 */
/* alloc.h — the allocator that each database is given, with accounting by tag and a budget.
 *
 * Every allocation of the library goes through a `struct alloc`; there is no malloc elsewhere.
 * A block carries a 16-byte header with its size and tag, so that mem_free needs no size.
 * Thread-safe: counters are atomics (relaxed, base/atomic.h); the hooks must be thread-safe.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mem_tag {
    MEM_GENERAL, /* handles, names, lists */
    MEM_MESSAGE, /* messages and their arenas */
    MEM_TAIL,    /* rows of active and frozen segments */
    MEM_ID_MAP,  /* id map of the tail */
    MEM_SEGMENT, /* descriptors, delete maps, verified-block bitmaps */
    MEM_CACHE,   /* decoded document blocks, columns, shadows */
    MEM_SEARCH,  /* heaps, arenas, results */
    MEM_LOG,     /* log buffers */
    MEM_SCRIPT,  /* states of scripts, and their sources */
    MEM_TAG_COUNT
};

/* The caller's allocator.  Both functions or none: with one of them NULL libc serves.  alloc
 * returns memory aligned to `align` (a power of two, 16..4096) or NULL; free gets what alloc
 * returned with the same size. */
struct alloc_hooks {
    void *(*alloc)(void *ctx, size_t bytes, size_t align);
    void (*free)(void *ctx, void *block, size_t bytes);
    void *ctx;
};

struct alloc; /* heap object; see alloc_create */

/* budget_bytes 0 = no budget.  Returns NULL when the hooks give no memory. */
struct alloc *alloc_create(const struct alloc_hooks *hooks, size_t budget_bytes);
void alloc_destroy(struct alloc *a); /* CHECKs that nothing is left, in debug builds */

/* One process-wide libc allocator without budget, for tests and for what precedes a database. */
struct alloc *alloc_libc(void);

/* NULL when the budget or the system refuses, or the test countdown hits.  bytes 0 gives a unique
 * block.  mem_zalloc zeroes.  The result is aligned to 16.  Without hooks, blocks of 512 KiB
 * and more are the system's again when they are freed, but for 12 MiB of them, and of 4 MiB and
 * more are on huge pages. */
void *mem_alloc(struct alloc *a, enum mem_tag tag, size_t bytes) __attribute__((malloc));
void *mem_zalloc(struct alloc *a, enum mem_tag tag, size_t bytes) __attribute__((malloc));
/* Aligned to 64..4096 bytes; blocks of 2 MiB and more are aligned to 2 MiB and advised to huge
 * pages where libc serves them. */
void *mem_alloc_aligned(struct alloc *a, enum mem_tag tag, size_t bytes, size_t align);
/* Keeps the contents; on NULL the old block is untouched.  block NULL allocates.
 * Not for blocks of mem_alloc_aligned. */
void *mem_resize(struct alloc *a, enum mem_tag tag, void *block, size_t bytes);
void mem_free(struct alloc *a, void *block); /* NULL is allowed; aligned blocks too */

/* A NUL-terminated copy of bytes[0..count); NULL when out of memory. */
char *mem_copy_text(struct alloc *a, enum mem_tag tag, const char *bytes, size_t count);

size_t alloc_used_bytes(const struct alloc *a); /* now, headers included */
size_t alloc_tag_bytes(const struct alloc *a, enum mem_tag tag);
size_t alloc_budget_bytes(const struct alloc *a);

/* Tests: the n-th allocation from now fails (1 = the next); sticky: and all after it.  0 = off. */
void alloc_fail_after(struct alloc *a, uint64_t n, bool sticky);
uint64_t alloc_count(const struct alloc *a); /* allocations so far, for the sweep's upper end */

#endif
