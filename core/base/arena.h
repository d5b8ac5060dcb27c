/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h — bump allocation for one request: reset, not free.  One owner, no thread safety. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/alloc.h"

struct arena_chunk;
struct arena {
    struct alloc *alloc;
    enum mem_tag tag;
    struct arena_chunk *chunks; /* newest first */
    size_t used;                /* bytes used of the newest chunk */
    size_t total_bytes;         /* memory held */
};

void arena_init(struct arena *a, struct alloc *alloc, enum mem_tag tag);
void arena_deinit(struct arena *a); /* a zeroed arena is allowed */
void arena_reset(struct arena *a);  /* keeps the largest chunk */
/* Aligned to 16; NULL when out of memory.  arena_zalloc zeroes. */
void *arena_alloc(struct arena *a, size_t bytes);
void *arena_zalloc(struct arena *a, size_t bytes);
char *arena_copy_text(struct arena *a, const char *bytes, size_t count); /* NUL-terminated */

#endif
