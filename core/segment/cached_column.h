/* SPDX-License-Identifier: Apache-2.0 */
/* cached_column.h — what the cache and the readers of columns share: a field in blocks.
 *
 * A column is acquired by readers and belongs to the cache.  Who has one may read the blocks'
 * complete rows without a lock, and grows blocks under its segment's `filling`.
 * THREADS  Any.  Order of locks: filling, then the cache's, which no function here leaves taken.
 */
#ifndef SEGMENT_CACHED_COLUMN_H
#define SEGMENT_CACHED_COLUMN_H

#include "base/thread.h"
#include "segment/column_cache.h"

enum { NUMBERS_BLOCKS = COLUMN_NUMBERS_ROWS / COLUMN_BLOCK_ROWS };

struct cached_block {
    struct column *column;          /* NULL: not made; written before row_count */
    _Atomic(uint32_t) row_count;    /* complete */
    _Atomic(uint32_t) number_count; /* of those, that are in `numbers` too */
    size_t counted_bytes;           /* of the column, in bytes */
    /* Inside of the array that the first of NUMBERS_BLOCKS blocks owns; NULL: not made; written
     * before number_count. */
    double *numbers;
};

struct cached_column {
    struct segment_columns *owner;
    struct cached_column *next, **at; /* of its segment; *at is this one */
    struct cached_column *next_same;  /* under the same key of the cache's map */
    uint64_t key;
    struct cached_column *newer, *older;
    uint32_t reader_count;
    size_t bytes;
    _Atomic(bool) is_large; /* a block is over COLUMN_BLOCK_BYTES_MAX: no more of it is kept */
    size_t path_size;
    uint32_t block_count;
    struct cached_block blocks[]; /* then the path */
};

struct segment_columns {
    struct column_cache *cache;
    struct mutex filling;
    struct cached_column *first; /* the cache's lock */
};

/* Borrowed from the column. */
static inline struct slice cached_column_path(const struct cached_column *col)
{
    return slice_of((const uint8_t *)&col->blocks[col->block_count], col->path_size);
}

struct alloc *column_cache_alloc(struct column_cache *c);
/* The segment's column of this path, empty where it is new.  NO_MEMORY. */
int cached_column_acquire(struct column_cache *c, struct segment *s, struct slice path,
                          struct cached_column **out, struct error *err);
/* All at once; NULLs among them are passed over. */
void cached_columns_release(struct column_cache *c, struct cached_column **columns, size_t count);
/* Evict what is idle until there is room for more bytes; false where what is in use leaves none. */
bool column_cache_make_room(struct column_cache *c, size_t more);
/* The column has become larger by so much; it may be 0. */
void column_cache_count(struct column_cache *c, struct cached_column *col, size_t more);

#endif
