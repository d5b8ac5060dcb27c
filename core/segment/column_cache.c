/* SPDX-License-Identifier: Apache-2.0 */
/* column_cache.c — columns by segment and path, and which of them go when there is no room.
 *
 * WHAT        A segment that was ever asked for a field has a list of columns; all columns of all
 *             segments are in one map, by a hash of segment and path, so that a look-up costs the
 *             same however many names were asked for.  Columns that nobody reads form the list of
 *             what may be evicted, newest first.
 * INVARIANTS  (1) A column is in the list of the idle if and only if nobody reads it; only those
 *                 are evicted.
 *             (2) A column is in the map, and in its segment's list, until it is freed.
 *             (3) bytes counts every column of every segment.  It passes bytes_max by no more than
 *                 what is being filled at the moment.
 * THREADS     Any; everything here is under the cache's lock.
 * FAILURE     NO_MEMORY: there is no such column; nothing else has changed.
 */
#include "segment/column_cache.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/hash_map.h"
#include "segment/cached_column.h"

struct column_cache {
    struct alloc *alloc;
    struct mutex mutex;
    size_t bytes_max;
    size_t bytes;
    uint64_t compared_count;
    struct int_map columns;                /* key -> the first of its columns */
    struct cached_column *newest, *oldest; /* that nobody reads */
};

int column_cache_create(struct alloc *a, size_t bytes_max, struct column_cache **out,
                        struct error *err)
{
    struct column_cache *c = (struct column_cache *)mem_zalloc(a, MEM_CACHE, sizeof *c);

    if (!c) return error_no_memory(err, sizeof *c);
    c->alloc = a;
    c->bytes_max = bytes_max;
    mutex_init(&c->mutex);
    int_map_init(&c->columns, a, MEM_CACHE);
    *out = c;
    return 0;
}

void column_cache_destroy(struct column_cache *c)
{
    if (!c) return;
    CHECK(c->bytes == 0 && !c->newest && c->columns.count == 0);
    int_map_deinit(&c->columns);
    mutex_deinit(&c->mutex);
    mem_free(c->alloc, c);
}

size_t column_cache_bytes(struct column_cache *c)
{
    mutex_lock(&c->mutex);
    size_t bytes = c->bytes;
    mutex_unlock(&c->mutex);
    return bytes;
}

uint64_t column_cache_compared(struct column_cache *c)
{
    mutex_lock(&c->mutex);
    uint64_t count = c->compared_count;
    mutex_unlock(&c->mutex);
    return count;
}

struct alloc *column_cache_alloc(struct column_cache *c)
{
    return c->alloc;
}

/* ---- The map, under the cache's lock ---- */

static uint64_t key_of(const struct segment_columns *s, struct slice path)
{
    return hash_xxh3_64(path.data, path.size) ^ hash_u64((uintptr_t)s);
}

static struct cached_column *first_of_key(const struct column_cache *c, uint64_t key)
{
    uint64_t at = 0;
    return int_map_get(&c->columns, key, &at) ? (struct cached_column *)(uintptr_t)at : NULL;
}

static struct cached_column *find_column(struct segment_columns *s, struct slice path)
{
    struct column_cache *c = s->cache;
    struct cached_column *col = first_of_key(c, key_of(s, path));

    for (; col; col = col->next_same) {
        c->compared_count++;
        if (col->owner == s && slice_equal(cached_column_path(col), path)) break;
    }
    return col;
}

static int add_to_map(struct column_cache *c, struct cached_column *col)
{
    col->next_same = first_of_key(c, col->key);
    return int_map_put(&c->columns, col->key, (uintptr_t)col);
}

static void remove_from_map(struct column_cache *c, struct cached_column *col)
{
    struct cached_column *first = first_of_key(c, col->key);

    if (first != col) { /* two keys in 2^64: it is behind another one */
        while (first->next_same != col) first = first->next_same;
        first->next_same = col->next_same;
    } else if (!col->next_same) {
        int_map_remove(&c->columns, col->key);
    } else { /* The key is there: this takes no memory. */
        int_map_put(&c->columns, col->key, (uintptr_t)col->next_same);
    }
}

/* ---- Columns, under the cache's lock ---- */

static void unlink_idle(struct column_cache *c, struct cached_column *col)
{
    if (col->newer) col->newer->older = col->older;
    else c->newest = col->older;
    if (col->older) col->older->newer = col->newer;
    else c->oldest = col->newer;
    col->newer = col->older = NULL;
}

static void push_idle(struct column_cache *c, struct cached_column *col)
{
    col->older = c->newest;
    if (c->newest) c->newest->newer = col;
    else c->oldest = col;
    c->newest = col;
}

/* Idle. */
static void free_column(struct column_cache *c, struct cached_column *col)
{
    unlink_idle(c, col);
    remove_from_map(c, col);
    *col->at = col->next;
    if (col->next) col->next->at = col->at;
    c->bytes -= col->bytes;
    for (uint32_t i = 0; i < col->block_count; i++) {
        column_destroy(col->blocks[i].column);
        if (i % NUMBERS_BLOCKS == 0) mem_free(c->alloc, col->blocks[i].numbers);
    }
    mem_free(c->alloc, col);
}

static bool make_room(struct column_cache *c, size_t more)
{
    while (c->bytes + more > c->bytes_max && c->oldest) free_column(c, c->oldest);
    return c->bytes + more <= c->bytes_max;
}

static struct cached_column *make_column(struct segment_columns *s, uint64_t row_capacity,
                                         struct slice path)
{
    struct column_cache *c = s->cache;
    size_t block_count = (size_t)((row_capacity + COLUMN_BLOCK_ROWS - 1) / COLUMN_BLOCK_ROWS);
    size_t bytes = sizeof(struct cached_column) + block_count * sizeof(struct cached_block);
    struct cached_column *col =
        (struct cached_column *)mem_zalloc(c->alloc, MEM_CACHE, bytes + path.size);

    if (!col) return NULL;
    col->owner = s;
    col->key = key_of(s, path);
    col->block_count = (uint32_t)block_count;
    col->path_size = path.size;
    col->bytes = bytes + path.size;
    memcpy(&col->blocks[block_count], path.data, path.size);
    if (add_to_map(c, col) != 0) {
        mem_free(c->alloc, col);
        return NULL;
    }
    col->next = s->first;
    col->at = &s->first;
    if (col->next) col->next->at = &col->next;
    s->first = col;
    c->bytes += col->bytes;
    push_idle(c, col);
    return col;
}

/* The segment's list; made when it is asked for the first time. */
static struct segment_columns *columns_of(struct column_cache *c, struct segment *segment)
{
    if (segment->columns) return segment->columns;
    struct segment_columns *s =
        (struct segment_columns *)mem_zalloc(c->alloc, MEM_CACHE, sizeof *s);
    if (!s) return NULL;
    s->cache = c;
    mutex_init(&s->filling);
    segment->columns = s;
    return s;
}

/* ---- For readers ---- */

int cached_column_acquire(struct column_cache *c, struct segment *segment, struct slice path,
                          struct cached_column **out, struct error *err)
{
    struct cached_column *col = NULL;

    mutex_lock(&c->mutex);
    struct segment_columns *s = columns_of(c, segment);
    if (s) col = find_column(s, path);
    if (s && !col) col = make_column(s, segment->row_capacity, path);
    if (col && col->reader_count++ == 0) unlink_idle(c, col);
    mutex_unlock(&c->mutex);
    *out = col;
    return col ? 0 : error_no_memory(err, sizeof *col + path.size);
}

void cached_columns_release(struct column_cache *c, struct cached_column **columns, size_t count)
{
    mutex_lock(&c->mutex);
    for (size_t i = 0; i < count; i++)
        if (columns[i] && --columns[i]->reader_count == 0) push_idle(c, columns[i]);
    make_room(c, 0);
    mutex_unlock(&c->mutex);
}

bool column_cache_make_room(struct column_cache *c, size_t more)
{
    mutex_lock(&c->mutex);
    bool has_room = make_room(c, more);
    mutex_unlock(&c->mutex);
    return has_room;
}

void column_cache_count(struct column_cache *c, struct cached_column *col, size_t more)
{
    if (more == 0) return;
    mutex_lock(&c->mutex);
    col->bytes += more;
    c->bytes += more;
    mutex_unlock(&c->mutex);
}

void segment_columns_destroy(struct segment_columns *s)
{
    struct column_cache *c = s->cache;

    mutex_lock(&c->mutex);
    while (s->first) {
        CHECK(s->first->reader_count == 0);
        free_column(c, s->first);
    }
    mutex_unlock(&c->mutex);
    mutex_deinit(&s->filling);
    mem_free(c->alloc, s);
}
