/* SPDX-License-Identifier: Apache-2.0 */
/* column_cache.c — entries by segment and name, and which of them go when there is no room.
 *
 * WHAT        A segment that was ever asked for a field has a list of entries; all of all segments
 *             are in one map, by a hash of segment and name, so that a look-up costs the same
 *             however many names were asked for.  Entries that nobody reads form the list of what
 *             may be evicted, newest first.
 * INVARIANTS  (1) An entry is in the list of the idle if and only if nobody reads it; only those
 *                 are evicted.
 *             (2) An entry is in the map, and in its segment's list, until it is freed.
 *             (3) bytes counts every entry of every segment.  It passes bytes_max by no more than
 *                 what is being filled at the moment.
 * THREADS     Any; everything here is under the cache's lock.
 * FAILURE     NO_MEMORY: there is no such entry; nothing else has changed.
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
    struct int_map entries;               /* key -> the first of its entries */
    struct cached_entry *newest, *oldest; /* that nobody reads */
};

int column_cache_create(struct alloc *a, size_t bytes_max, struct column_cache **out,
                        struct error *err)
{
    struct column_cache *c = (struct column_cache *)mem_zalloc(a, MEM_CACHE, sizeof *c);

    if (!c) return error_no_memory(err, sizeof *c);
    c->alloc = a;
    c->bytes_max = bytes_max;
    mutex_init(&c->mutex);
    int_map_init(&c->entries, a, MEM_CACHE);
    *out = c;
    return 0;
}

void column_cache_destroy(struct column_cache *c)
{
    if (!c) return;
    CHECK(c->bytes == 0 && !c->newest && c->entries.count == 0);
    int_map_deinit(&c->entries);
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

static uint64_t key_of(const struct segment_columns *s, struct slice name)
{
    return hash_xxh3_64(name.data, name.size) ^ hash_u64((uintptr_t)s);
}

static struct cached_entry *first_of_key(const struct column_cache *c, uint64_t key)
{
    uint64_t at = 0;
    return int_map_get(&c->entries, key, &at) ? (struct cached_entry *)(uintptr_t)at : NULL;
}

static struct cached_entry *find_entry(struct segment_columns *s, const struct cached_kind *kind,
                                       struct slice name)
{
    struct column_cache *c = s->cache;
    struct cached_entry *e = first_of_key(c, key_of(s, name));

    for (; e; e = e->next_same) {
        c->compared_count++;
        if (e->owner == s && e->kind == kind && slice_equal(e->name, name)) break;
    }
    return e;
}

static int add_to_map(struct column_cache *c, struct cached_entry *e)
{
    e->next_same = first_of_key(c, e->key);
    return int_map_put(&c->entries, e->key, (uintptr_t)e);
}

static void remove_from_map(struct column_cache *c, struct cached_entry *e)
{
    struct cached_entry *first = first_of_key(c, e->key);

    if (first != e) { /* two keys in 2^64: it is behind another one */
        while (first->next_same != e) first = first->next_same;
        first->next_same = e->next_same;
    } else if (!e->next_same) {
        int_map_remove(&c->entries, e->key);
    } else { /* The key is there: this takes no memory. */
        int_map_put(&c->entries, e->key, (uintptr_t)e->next_same);
    }
}

/* ---- Entries, under the cache's lock ---- */

static void unlink_idle(struct column_cache *c, struct cached_entry *e)
{
    if (e->newer) e->newer->older = e->older;
    else c->newest = e->older;
    if (e->older) e->older->newer = e->newer;
    else c->oldest = e->newer;
    e->newer = e->older = NULL;
}

static void push_idle(struct column_cache *c, struct cached_entry *e)
{
    e->older = c->newest;
    if (c->newest) c->newest->newer = e;
    else c->oldest = e;
    c->newest = e;
}

/* Idle. */
static void free_entry(struct column_cache *c, struct cached_entry *e)
{
    unlink_idle(c, e);
    remove_from_map(c, e);
    *e->at = e->next;
    if (e->next) e->next->at = e->at;
    c->bytes -= e->bytes;
    if (e->kind->deinit) e->kind->deinit(e, c->alloc);
    mem_free(c->alloc, e);
}

static bool make_room(struct column_cache *c, size_t more)
{
    while (c->bytes + more > c->bytes_max && c->oldest) free_entry(c, c->oldest);
    return c->bytes + more <= c->bytes_max;
}

/* NO_MEMORY; *out NULL: it needs room, and there is none. */
static int make_entry(struct segment_columns *s, uint64_t row_capacity,
                      const struct cached_kind *kind, struct slice name, struct cached_entry **out,
                      struct error *err)
{
    struct column_cache *c = s->cache;
    size_t own_bytes = kind->bytes(row_capacity), bytes = own_bytes + name.size;

    *out = NULL;
    if (kind->needs_room && !make_room(c, bytes)) return 0;
    struct cached_entry *e = (struct cached_entry *)mem_zalloc(c->alloc, MEM_CACHE, bytes);
    if (!e) return error_no_memory(err, bytes);
    e->kind = kind;
    e->owner = s;
    e->key = key_of(s, name);
    e->bytes = bytes;
    e->name = slice_of((uint8_t *)e + own_bytes, name.size);
    memcpy((uint8_t *)e + own_bytes, name.data, name.size);
    kind->init(e, row_capacity);
    if (add_to_map(c, e) != 0) {
        mem_free(c->alloc, e);
        return error_no_memory(err, bytes);
    }
    e->next = s->first;
    e->at = &s->first;
    if (e->next) e->next->at = &e->next;
    s->first = e;
    c->bytes += bytes;
    push_idle(c, e);
    *out = e;
    return 0;
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

int cached_entry_acquire(struct column_cache *c, struct segment *segment,
                         const struct cached_kind *kind, struct slice name,
                         struct cached_entry **out, struct error *err)
{
    struct cached_entry *e = NULL;
    int rc = 0;

    mutex_lock(&c->mutex);
    struct segment_columns *s = columns_of(c, segment);
    if (!s) rc = error_no_memory(err, sizeof *s);
    if (s) e = find_entry(s, kind, name);
    if (s && !e) rc = make_entry(s, segment->row_capacity, kind, name, &e, err);
    if (e && e->reader_count++ == 0) unlink_idle(c, e);
    mutex_unlock(&c->mutex);
    *out = e;
    return rc;
}

void cached_entries_release(struct column_cache *c, struct cached_entry **entries, size_t count)
{
    mutex_lock(&c->mutex);
    for (size_t i = 0; i < count; i++)
        if (entries[i] && --entries[i]->reader_count == 0) push_idle(c, entries[i]);
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

void column_cache_count(struct column_cache *c, struct cached_entry *e, size_t more)
{
    if (more == 0) return;
    mutex_lock(&c->mutex);
    e->bytes += more;
    c->bytes += more;
    mutex_unlock(&c->mutex);
}

void segment_columns_destroy(struct segment_columns *s)
{
    struct column_cache *c = s->cache;

    mutex_lock(&c->mutex);
    while (s->first) {
        CHECK(s->first->reader_count == 0);
        free_entry(c, s->first);
    }
    mutex_unlock(&c->mutex);
    mutex_deinit(&s->filling);
    mem_free(c->alloc, s);
}
