/* SPDX-License-Identifier: Apache-2.0 */
/* doc_cache.c — decoded document blocks, least recently used first out.
 *
 * WHAT        A hash table of entries that also form a list, newest first.  An entry that is
 *             evicted while somebody reads it leaves table and list, and dies with its last
 *             reference.  Codecs that nobody decodes with wait here for the next who does.
 * INVARIANTS  (1) An entry is in the table if and only if it is in the list and in bytes.
 *             (2) bytes <= bytes_max whenever the lock is free.
 *             (3) An entry's bytes never change.
 * THREADS     Any, under one lock, which is never held while a block is decoded.
 * FAILURE     NO_MEMORY at insert: nothing has changed.
 */
#include "store/doc_cache.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/thread.h"

enum { BUCKETS_MIN = 64, IDLE_CODECS_MAX = 16 };

struct doc_block {
    struct doc_block *next_in_bucket;
    struct doc_block *newer;
    struct doc_block *older;
    uint64_t file;
    uint32_t index;
    uint32_t reference_count; /* readers; the cache itself holds none */
    bool is_cached;           /* (1) */
    uint8_t *bytes;
    size_t size;
};

struct doc_cache {
    struct alloc *alloc;
    struct mutex mutex;
    size_t bytes_max;
    size_t bytes; /* of cached entries, their structs included */
    uint64_t file_count;
    struct doc_block *newest;
    struct doc_block *oldest;
    size_t bucket_count; /* a power of two */
    struct doc_block **buckets;
    size_t idle_count;
    struct block_codec *idle[IDLE_CODECS_MAX];
};

int doc_cache_create(struct alloc *a, size_t bytes_max, struct doc_cache **out, struct error *err)
{
    size_t buckets = BUCKETS_MIN;
    while (buckets < bytes_max / DOC_BLOCK_BYTES) buckets *= 2;
    struct doc_cache *c = (struct doc_cache *)mem_zalloc(a, MEM_CACHE, sizeof *c);
    if (!c) return error_no_memory(err, sizeof *c);
    c->buckets = (struct doc_block **)mem_zalloc(a, MEM_CACHE, buckets * sizeof *c->buckets);
    if (!c->buckets) {
        mem_free(a, c);
        return error_no_memory(err, buckets * sizeof *c->buckets);
    }
    c->alloc = a;
    c->bytes_max = bytes_max;
    c->bucket_count = buckets;
    mutex_init(&c->mutex);
    *out = c;
    return 0;
}

struct alloc *doc_cache_alloc(const struct doc_cache *c)
{
    return c->alloc;
}

struct slice doc_block_bytes(const struct doc_block *b)
{
    return slice_of(b->bytes, b->size);
}

/* ---- Under the lock ---- */

static size_t cost_of(const struct doc_block *b)
{
    return sizeof *b + b->size;
}

static struct doc_block **bucket_of(struct doc_cache *c, uint64_t file, uint32_t index)
{
    uint64_t hash = hash_u64(file << 32 ^ file >> 32 ^ index);
    return &c->buckets[hash & (c->bucket_count - 1)];
}

static struct doc_block *look_up(struct doc_cache *c, uint64_t file, uint32_t index)
{
    struct doc_block *b = *bucket_of(c, file, index);
    while (b && (b->file != file || b->index != index)) b = b->next_in_bucket;
    return b;
}

static void unlink_from_list(struct doc_cache *c, struct doc_block *b)
{
    if (b->newer) b->newer->older = b->older;
    else c->newest = b->older;
    if (b->older) b->older->newer = b->newer;
    else c->oldest = b->newer;
    b->newer = b->older = NULL;
}

static void push_newest(struct doc_cache *c, struct doc_block *b)
{
    b->older = c->newest;
    if (c->newest) c->newest->newer = b;
    else c->oldest = b;
    c->newest = b;
}

static void free_block(struct doc_cache *c, struct doc_block *b)
{
    mem_free(c->alloc, b->bytes);
    mem_free(c->alloc, b);
}

/* Out of the cache; freed when nobody reads it. */
static void evict(struct doc_cache *c, struct doc_block *b)
{
    struct doc_block **at = bucket_of(c, b->file, b->index);
    while (*at != b) at = &(*at)->next_in_bucket;
    *at = b->next_in_bucket;
    unlink_from_list(c, b);
    c->bytes -= cost_of(b);
    b->is_cached = false;
    if (b->reference_count == 0) free_block(c, b);
}

/* ---- Blocks ---- */

struct doc_block *doc_cache_find(struct doc_cache *c, uint64_t file, uint32_t index)
{
    mutex_lock(&c->mutex);
    struct doc_block *b = look_up(c, file, index);
    if (b) {
        b->reference_count++;
        unlink_from_list(c, b);
        push_newest(c, b);
    }
    mutex_unlock(&c->mutex);
    return b;
}

struct doc_block *doc_cache_insert(struct doc_cache *c, uint64_t file, uint32_t index,
                                   uint8_t *take_bytes, size_t size, struct error *err)
{
    struct doc_block *b = doc_cache_find(c, file, index);
    if (b) {
        mem_free(c->alloc, take_bytes);
        return b;
    }
    struct doc_block *made = (struct doc_block *)mem_zalloc(c->alloc, MEM_CACHE, sizeof *made);
    if (!made) {
        mem_free(c->alloc, take_bytes);
        error_no_memory(err, sizeof *made);
        return NULL;
    }
    *made = (struct doc_block){.file = file, .index = index, .bytes = take_bytes, .size = size};

    mutex_lock(&c->mutex);
    b = look_up(c, file, index); /* somebody may have come in between */
    if (!b) {
        struct doc_block **bucket = bucket_of(c, file, index);
        b = made;
        made = NULL;
        b->next_in_bucket = *bucket;
        *bucket = b;
        push_newest(c, b);
        b->is_cached = true;
        c->bytes += cost_of(b);
    }
    b->reference_count++;
    while (c->bytes > c->bytes_max) evict(c, c->oldest); /* (2) */
    mutex_unlock(&c->mutex);
    if (made) free_block(c, made);
    return b;
}

void doc_cache_release(struct doc_cache *c, struct doc_block *b)
{
    mutex_lock(&c->mutex);
    CHECK(b->reference_count > 0);
    b->reference_count--;
    bool is_last = b->reference_count == 0 && !b->is_cached;
    mutex_unlock(&c->mutex);
    if (is_last) free_block(c, b);
}

void doc_ref_release(struct doc_ref *r)
{
    if (r->block) doc_cache_release(r->cache, (struct doc_block *)r->block);
    *r = (struct doc_ref){0};
}

/* ---- Files ---- */

uint64_t doc_cache_add_file(struct doc_cache *c)
{
    mutex_lock(&c->mutex);
    uint64_t file = c->file_count++;
    mutex_unlock(&c->mutex);
    return file;
}

void doc_cache_drop_file(struct doc_cache *c, uint64_t file)
{
    mutex_lock(&c->mutex);
    for (struct doc_block *b = c->newest; b;) {
        struct doc_block *older = b->older;
        if (b->file == file) evict(c, b);
        b = older;
    }
    mutex_unlock(&c->mutex);
}

size_t doc_cache_bytes(struct doc_cache *c)
{
    mutex_lock(&c->mutex);
    size_t bytes = c->bytes;
    mutex_unlock(&c->mutex);
    return bytes;
}

/* ---- Codecs ---- */

int doc_cache_take_codec(struct doc_cache *c, struct block_codec **out, struct error *err)
{
    struct block_codec *codec = NULL;
    mutex_lock(&c->mutex);
    if (c->idle_count > 0) codec = c->idle[--c->idle_count];
    mutex_unlock(&c->mutex);
    if (!codec && block_codec_create(c->alloc, &codec, err) != 0) return -1;
    *out = codec;
    return 0;
}

void doc_cache_return_codec(struct doc_cache *c, struct block_codec *codec)
{
    mutex_lock(&c->mutex);
    bool is_kept = c->idle_count < IDLE_CODECS_MAX;
    if (is_kept) c->idle[c->idle_count++] = codec;
    mutex_unlock(&c->mutex);
    if (!is_kept) block_codec_destroy(codec);
}

void doc_cache_destroy(struct doc_cache *c)
{
    if (!c) return;
    while (c->oldest) {
        CHECK(c->oldest->reference_count == 0);
        evict(c, c->oldest);
    }
    while (c->idle_count > 0) block_codec_destroy(c->idle[--c->idle_count]);
    mutex_deinit(&c->mutex);
    mem_free(c->alloc, c->buckets);
    mem_free(c->alloc, c);
}
