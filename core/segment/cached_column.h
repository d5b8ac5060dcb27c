/* SPDX-License-Identifier: Apache-2.0 */
/* cached_column.h — what the cache shares with those who fill it: entries with a name each, which
 * are the fields of column_reader.c, in blocks, and the matches of matched_rows.c.
 *
 * An entry is acquired by readers and belongs to the cache.  Who has one may read the blocks'
 * complete rows without a lock, and grows blocks under its segment's `filling`.
 * THREADS  Any.  Order of locks: filling, then the cache's, which no function here leaves taken.
 */
#ifndef SEGMENT_CACHED_COLUMN_H
#define SEGMENT_CACHED_COLUMN_H

#include "base/thread.h"
#include "segment/column_cache.h"

enum { NUMBERS_BLOCKS = COLUMN_NUMBERS_ROWS / COLUMN_BLOCK_ROWS };

struct cached_entry;

struct cached_block {
    struct column *column;          /* NULL: not made; written before row_count */
    _Atomic(uint32_t) row_count;    /* complete */
    _Atomic(uint32_t) number_count; /* of those, that are in `numbers` too */
    size_t counted_bytes;           /* of the column, in bytes */
    /* Inside of the array that the first of NUMBERS_BLOCKS blocks owns; NULL: not made; written
     * before number_count. */
    double *numbers;
};

/* What an entry is besides what the cache knows of it. */
struct cached_kind {
    size_t (*bytes)(uint64_t row_capacity); /* a multiple of 8; zeroed, the entry first */
    void (*init)(struct cached_entry *e, uint64_t row_capacity);
    void (*deinit)(struct cached_entry *e, struct alloc *a); /* NULL: there is nothing to free */
    /* Where there is no room for it there is none; else the bound is passed until readers go. */
    bool needs_room;
};

struct cached_entry {
    const struct cached_kind *kind;
    struct segment_columns *owner;
    struct cached_entry *next, **at; /* of its segment; *at is this one */
    struct cached_entry *next_same;  /* under the same key of the cache's map */
    uint64_t key;
    struct cached_entry *newer, *older;
    uint32_t reader_count;
    size_t bytes;
    struct slice name; /* a path or a where, behind the entry */
};

struct cached_column {
    struct cached_entry entry; /* first */
    _Atomic(bool) is_large;    /* a block is over COLUMN_BLOCK_BYTES_MAX: no more of it is kept */
    uint32_t block_count;
    struct cached_block blocks[];
};

struct segment_columns {
    struct column_cache *cache;
    struct mutex filling;
    struct cached_entry *first; /* the cache's lock */
};

struct alloc *column_cache_alloc(struct column_cache *c);
/* The segment's entry of this kind and name, empty where it is new.  *out NULL: there is no room,
 * which a kind may say.  NO_MEMORY. */
int cached_entry_acquire(struct column_cache *c, struct segment *s, const struct cached_kind *kind,
                         struct slice name, struct cached_entry **out, struct error *err);
/* All at once; NULLs among them are passed over. */
void cached_entries_release(struct column_cache *c, struct cached_entry **entries, size_t count);
/* Evict what is idle until there is room for more bytes; false where what is in use leaves none. */
bool column_cache_make_room(struct column_cache *c, size_t more);
/* The entry has become larger by so much; it may be 0. */
void column_cache_count(struct column_cache *c, struct cached_entry *e, size_t more);

#endif
