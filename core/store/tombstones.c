/* SPDX-License-Identifier: Apache-2.0 */
/* tombstones.c — versions of a delete map that share the chunks in which they are equal.
 *
 * WHAT        A version is an array of chunks, each TOMBSTONE_CHUNK_BYTES of bits.  An edit copies
 *             the array and then, chunk by chunk, what it is going to change.
 * LAYOUT      version -> chunks[0] -> { references, words }     a chunk that is NULL has no bit set
 *                        chunks[1] -> ...                       and costs nothing
 *             On disk: format.h, PART_DELETES; one section, the words of all chunks in a row.
 * INVARIANTS  (1) A version never changes once tombstones_edit_finish has returned it.
 *             (2) dead_count is the number of set bits.
 *             (3) Bits at and past row_capacity are zero.
 *             (4) An edit holds the version it started from, so a chunk of the edit that has one
 *                 reference is the edit's own, and any other is shared and left alone.
 * THREADS     References are counted with acquire and release: who drops the last one sees what
 *             all others did, and (4) reads a count that only the edit's own thread can raise.
 * FAILURE     NO_MEMORY comes out of create, begin, reserve and read, and changes nothing.
 */
#include "store/tombstones.h"

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

enum {
    CHUNK_WORDS = TOMBSTONE_CHUNK_BYTES / 8,
    CHUNK_ROWS = TOMBSTONE_CHUNK_BYTES * 8,
};

struct chunk {
    _Atomic(uint32_t) reference_count;
    uint64_t words[CHUNK_WORDS];
};
static const struct chunk none_dead; /* what a place without a chunk stands for */

struct tombstones {
    struct alloc *alloc;
    _Atomic(uint32_t) reference_count;
    uint64_t row_capacity;
    uint64_t dead_count;
    size_t chunk_count;
    struct chunk *chunks[]; /* NULL: no row of it is deleted */
};

struct tombstones_edit {
    struct tombstones *from; /* held: invariant (4) */
    struct tombstones *next;
};

/* ---- Chunks ---- */

static void release_chunk(struct alloc *a, struct chunk *c)
{
    if (c && atomic_sub_acq_rel(&c->reference_count, 1u) == 1) mem_free(a, c);
}

/* A chunk of one reference with the bits of `from`, or none where that is NULL. */
static struct chunk *copy_chunk(struct alloc *a, const struct chunk *from)
{
    struct chunk *c = (struct chunk *)mem_zalloc(a, MEM_SEGMENT, sizeof *c);
    if (!c) return NULL;
    atomic_init(&c->reference_count, 1u);
    if (from) memcpy(c->words, from->words, sizeof c->words);
    return c;
}

static bool is_own(const struct chunk *c)
{
    /* Acquire pairs with the release of whoever dropped the chunk last. */
    return c && atomic_load_acquire(&c->reference_count) == 1;
}

/* ---- Versions ---- */

int tombstones_create(struct alloc *a, uint64_t row_capacity, struct tombstones **out,
                      struct error *err)
{
    size_t chunk_count = (size_t)(row_capacity / CHUNK_ROWS) + (row_capacity % CHUNK_ROWS != 0);
    size_t bytes = sizeof(struct tombstones) + chunk_count * sizeof(struct chunk *);
    struct tombstones *t = (struct tombstones *)mem_zalloc(a, MEM_SEGMENT, bytes);
    if (!t) return error_no_memory(err, bytes);
    t->alloc = a;
    atomic_init(&t->reference_count, 1u);
    t->row_capacity = row_capacity;
    t->chunk_count = chunk_count;
    *out = t;
    return 0;
}

struct tombstones *tombstones_acquire(struct tombstones *t)
{
    /* Relaxed: whoever acquires holds a reference already, or a lock under which one is held. */
    atomic_add_relaxed(&t->reference_count, 1u);
    return t;
}

void tombstones_release(struct tombstones *t)
{
    if (!t || atomic_sub_acq_rel(&t->reference_count, 1u) != 1) return;
    for (size_t i = 0; i < t->chunk_count; i++) release_chunk(t->alloc, t->chunks[i]);
    mem_free(t->alloc, t);
}

uint64_t tombstones_word(const struct tombstones *t, uint64_t row)
{
    CHECK(row < t->row_capacity && row % 64 == 0);
    const struct chunk *c = t->chunks[row / CHUNK_ROWS];
    return c ? c->words[row % CHUNK_ROWS / 64] : 0;
}

bool tombstones_get(const struct tombstones *t, uint64_t row)
{
    CHECK(row < t->row_capacity);
    const struct chunk *c = t->chunks[row / CHUNK_ROWS];
    return c && (c->words[row % CHUNK_ROWS / 64] >> (row % 64) & 1);
}

uint64_t tombstones_count(const struct tombstones *t)
{
    return t->dead_count;
}

bool tombstones_equal(const struct tombstones *a, const struct tombstones *b)
{
    if (a->row_capacity != b->row_capacity || a->dead_count != b->dead_count) return false;
    for (size_t i = 0; i < a->chunk_count; i++) {
        const struct chunk *x = a->chunks[i] ? a->chunks[i] : &none_dead;
        const struct chunk *y = b->chunks[i] ? b->chunks[i] : &none_dead;
        if (x != y && memcmp(x->words, y->words, sizeof x->words) != 0) return false;
    }
    return true;
}

/* ---- Edits ---- */

int tombstones_edit_begin(struct tombstones *from, struct tombstones_edit **out, struct error *err)
{
    struct tombstones_edit *e =
        (struct tombstones_edit *)mem_alloc(from->alloc, MEM_SEGMENT, sizeof *e);
    if (!e) return error_no_memory(err, sizeof *e);
    if (tombstones_create(from->alloc, from->row_capacity, &e->next, err) != 0) {
        mem_free(from->alloc, e);
        return -1;
    }
    e->from = tombstones_acquire(from);
    e->next->dead_count = from->dead_count;
    for (size_t i = 0; i < from->chunk_count; i++) {
        struct chunk *c = from->chunks[i];
        if (c) atomic_add_relaxed(&c->reference_count, 1u);
        e->next->chunks[i] = c;
    }
    *out = e;
    return 0;
}

int tombstones_edit_reserve(struct tombstones_edit *e, uint64_t row, struct error *err)
{
    struct tombstones *t = e->next;
    CHECK(row < t->row_capacity);
    struct chunk **place = &t->chunks[row / CHUNK_ROWS];
    if (is_own(*place)) return 0; /* (4) */
    struct chunk *own = copy_chunk(t->alloc, *place);
    if (!own) return error_no_memory(err, sizeof *own);
    release_chunk(t->alloc, *place);
    *place = own;
    return 0;
}

static uint64_t *word_of(struct tombstones_edit *e, uint64_t row)
{
    CHECK(row < e->next->row_capacity);
    struct chunk *c = e->next->chunks[row / CHUNK_ROWS];
    CHECK(is_own(c)); /* (4): the row was reserved */
    return &c->words[row % CHUNK_ROWS / 64];
}

void tombstones_edit_set(struct tombstones_edit *e, uint64_t row)
{
    uint64_t *word = word_of(e, row);
    uint64_t bit = 1ull << (row % 64);
    e->next->dead_count += !(*word & bit);
    *word |= bit;
}

void tombstones_edit_clear(struct tombstones_edit *e, uint64_t row)
{
    uint64_t *word = word_of(e, row);
    uint64_t bit = 1ull << (row % 64);
    e->next->dead_count -= (*word & bit) != 0;
    *word &= ~bit;
}

struct tombstones *tombstones_edit_finish(struct tombstones_edit *take_e)
{
    struct tombstones *next = take_e->next;
    tombstones_release(take_e->from);
    mem_free(next->alloc, take_e);
    return next;
}

void tombstones_edit_abort(struct tombstones_edit *e)
{
    if (e) tombstones_release(tombstones_edit_finish(e));
}

/* ---- Files ---- */

int tombstones_write(const struct tombstones *t, struct alloc *a, struct vfs_dir *dir,
                     const struct file_owner *owner, const struct uuid *segment, uint64_t row_count,
                     uint64_t lsn, struct rng *rng, struct manifest_part *out_part,
                     struct error *err)
{
    struct part_writer *w = NULL;
    int rc = -1;

    CHECK(row_count >= 1 && row_count <= t->row_capacity);
    if (part_writer_create(a, dir, owner, segment, PART_DELETES, 0, row_count, rng, &w, err) != 0)
        goto out;
    if (part_writer_begin(w, SECTION_DEAD, 8, t->dead_count, err) != 0) goto out;
    for (uint64_t row = 0; row < row_count; row += CHUNK_ROWS) {
        const struct chunk *c =
            t->chunks[row / CHUNK_ROWS] ? t->chunks[row / CHUNK_ROWS] : &none_dead;
        uint64_t rows = row_count - row < CHUNK_ROWS ? row_count - row : CHUNK_ROWS;
        if (part_writer_write(w, c->words, (size_t)(rows + 63) / 64 * 8, err) != 0) goto out;
    }
    if (part_writer_end(w, err) != 0) goto out;
    rc = part_writer_finish(w, lsn, out_part, err);
out:
    part_writer_destroy(w);
    return rc;
}

/* Fill a fresh map from the words of a file. */
static int read_chunks(struct tombstones *t, struct part_file *f, const struct part_section *s,
                       struct error *err)
{
    for (size_t i = 0; i < t->chunk_count; i++) {
        uint64_t first = (uint64_t)i * TOMBSTONE_CHUNK_BYTES;
        uint64_t left = s->bytes - first;
        size_t bytes = left < TOMBSTONE_CHUNK_BYTES ? (size_t)left : TOMBSTONE_CHUNK_BYTES;
        const void *words;
        if (part_file_borrow(f, s, first, bytes, &words, err) != 0) return -1;
        if (bytes_are_zero(words, bytes)) continue;
        struct chunk *c = copy_chunk(t->alloc, NULL);
        if (!c) return error_no_memory(err, sizeof *c);
        t->chunks[i] = c;
        memcpy(c->words, words, bytes);
        for (size_t w = 0; w < bytes / 8; w++)
            t->dead_count += (uint64_t)__builtin_popcountll(c->words[w]);
    }
    return 0;
}

int tombstones_read(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                    const struct uuid *segment, const struct manifest_part *expect,
                    uint64_t row_count, uint64_t lsn, struct tombstones **out, struct error *err)
{
    struct part_file *f = NULL;
    struct tombstones *t = NULL;
    int rc = -1;

    if (part_file_open(a, dir, owner, segment, expect, lsn, row_count, &f, err) != 0) goto out;
    const struct part_section *s = part_file_section(f, SECTION_DEAD);
    uint64_t word_count = row_count / 64 + (row_count % 64 != 0);
    if (row_count == 0 || !s || s->element_bytes != 8 || s->bytes / 8 != word_count) {
        error_set(err, LYNSE_CORRUPT, "%s: no bitmap of %llu rows", part_file_name(f),
                  (unsigned long long)row_count);
        goto out;
    }
    if (tombstones_create(a, row_count, &t, err) != 0 || read_chunks(t, f, s, err) != 0) goto out;
    uint64_t beyond = row_count % 64 ? ~0ull << (row_count % 64) : 0;
    if (tombstones_word(t, (row_count - 1) / 64 * 64) & beyond) { /* (3) */
        error_set(err, LYNSE_CORRUPT, "%s: rows past %llu are deleted", part_file_name(f),
                  (unsigned long long)row_count);
        goto out;
    }
    if (t->dead_count != s->number) {
        error_set(err, LYNSE_CORRUPT, "%s: %llu rows are deleted, not %llu", part_file_name(f),
                  (unsigned long long)t->dead_count, (unsigned long long)s->number);
        goto out;
    }
    *out = t;
    t = NULL;
    rc = 0;
out:
    tombstones_release(t);
    part_file_close(f);
    return rc;
}
