/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c — chunks that double; a request is a pointer moved forward. */
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/poison.h"

enum {
    ARENA_ALIGN = 16,
    CHUNK_BYTES_MIN = 4 << 10,
    CHUNK_BYTES_MAX = 1 << 20, /* doubling ends here: half of a chunk may stay unused */
};

struct arena_chunk {
    struct arena_chunk *next; /* older */
    size_t bytes;             /* of data */
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

void arena_init(struct arena *a, struct alloc *alloc, enum mem_tag tag)
{
    *a = (struct arena){.alloc = alloc, .tag = tag};
}

static void free_chunks(struct arena *a, struct arena_chunk *chunk)
{
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        a->total_bytes -= sizeof *chunk + chunk->bytes;
        unpoison(chunk->data, chunk->bytes);
        mem_free(a->alloc, chunk);
        chunk = next;
    }
}

void arena_deinit(struct arena *a)
{
    free_chunks(a, a->chunks);
    *a = (struct arena){.alloc = a->alloc, .tag = a->tag};
}

void arena_reset(struct arena *a)
{
    if (!a->chunks) return;
    struct arena_chunk **largest = &a->chunks;
    for (struct arena_chunk **at = &a->chunks; *at; at = &(*at)->next)
        if ((*at)->bytes > (*largest)->bytes) largest = at;
    struct arena_chunk *kept = *largest;
    *largest = kept->next;
    free_chunks(a, a->chunks);
    kept->next = NULL;
    a->chunks = kept;
    a->used = 0;
    /* What the previous request left is dead: under AddressSanitizer touching it is an error. */
    poison(kept->data, kept->bytes);
}

static bool add_chunk(struct arena *a, size_t bytes)
{
    size_t wanted = CHUNK_BYTES_MIN;
    if (a->chunks)
        wanted = a->chunks->bytes < CHUNK_BYTES_MAX / 2 ? a->chunks->bytes * 2 : CHUNK_BYTES_MAX;
    if (wanted < bytes) wanted = bytes;
    size_t total;
    if (!size_add(wanted, sizeof(struct arena_chunk), &total)) return false;
    struct arena_chunk *chunk = (struct arena_chunk *)mem_alloc(a->alloc, a->tag, total);
    if (!chunk) return false;
    *chunk = (struct arena_chunk){.next = a->chunks, .bytes = wanted};
    poison(chunk->data, chunk->bytes);
    a->chunks = chunk;
    a->used = 0;
    a->total_bytes += total;
    return true;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX - ARENA_ALIGN) return NULL;
    size_t step = align_up(bytes ? bytes : 1, ARENA_ALIGN);
    if (!a->chunks || a->chunks->bytes - a->used < step)
        if (!add_chunk(a, step)) return NULL;
    void *block = a->chunks->data + a->used;
    a->used += step;
    unpoison(block, bytes);
    return block;
}

void *arena_zalloc(struct arena *a, size_t bytes)
{
    void *block = arena_alloc(a, bytes);
    if (block) memset(block, 0, bytes);
    return block;
}

char *arena_copy_text(struct arena *a, const char *bytes, size_t count)
{
    if (count == SIZE_MAX) return NULL;
    char *copy = (char *)arena_alloc(a, count + 1);
    if (!copy) return NULL;
    if (count) memcpy(copy, bytes, count);
    copy[count] = '\0';
    return copy;
}
