/* SPDX-License-Identifier: Apache-2.0 */
/* active_segment.c — rows that are appended by one thread while others read them.
 *
 * WHAT        Rows in row_chunks.c, and a table from id to newest row.  [0, committed) can be seen,
 *             [committed, staged) is written but known to the writer alone.
 * LAYOUT      Id table: a power of two of 32-bit slots, linear probing, at most half full.  A slot
 *             is 0, or row + 1 in its low bits and, in what the row capacity leaves, bits of the
 *             hash, so that a probe rarely has to look at a row in vain.
 * INVARIANTS  (1) A row is complete before a slot or a view names it, and never changes after.
 *             (2) The table holds every id of the committed rows once; the slot names the newest
 *                 of them, row_chunk.older leads to each earlier one, always to a smaller row.
 *             (3) A slot that is taken stays its id's: probe chains never break.
 *             (4) The table has room for all staged rows, so that a commit cannot fail.
 *             (5) Rows are in the order of their LSNs.
 * THREADS     One writer.  Readers hold a reference, and know of rows through a view (published
 *             under a lock after the commit) or through a slot (release, paired with the acquire in
 *             find_newest); the table's pointer likewise.  A reader that found an older table
 *             misses only rows newer than its view; tables are kept until the end for its sake.
 * FAILURE     NO_MEMORY and LIMIT at stage: no row is staged, and what was taken for rows is given
 *             back.
 */
#include "segment/active_segment.h"

#include "base/atomic.h"
#include "base/check.h"
#include "base/limits.h"
#include "segment/row_chunks.h"
#include "simd/kernels.h"

enum {
    TABLE_SLOTS_MIN = 128,
    PREFETCH_ROWS = 12, /* that a commit hashes ahead: enough to hide one miss */
    /* Of a row besides its vector and the heap, and again while a segment is built of it. */
    ROW_BYTES = 72 + 88,
};

struct id_table {
    struct id_table *older;
    size_t slot_mask; /* slots - 1 */
    _Atomic(uint32_t) slots[];
};

struct active_segment {
    struct segment base; /* first */
    struct row_chunks rows;
    const struct simd_kernels *kernels;
    uint32_t row_bits;        /* of a slot: row + 1 */
    uint32_t committed_count; /* the writer's */
    uint32_t staged_count;    /* the writer's */
    uint64_t share_bytes;     /* the writer's; UINT64_MAX: no bound */
    _Atomic(struct id_table *) table;
};

static struct active_segment *active_of(struct segment *s)
{
    return (struct active_segment *)s;
}

/* ---- The id table ---- */

static struct id_table *make_table(struct alloc *a, size_t slot_count)
{
    size_t bytes = sizeof(struct id_table) + slot_count * sizeof(uint32_t);
    struct id_table *table = (struct id_table *)mem_zalloc(a, MEM_ID_MAP, bytes);
    if (table) table->slot_mask = slot_count - 1;
    return table;
}

static uint32_t tag_of(const struct active_segment *t, uint64_t hash)
{
    return (uint32_t)((hash >> 32) << t->row_bits);
}

static uint32_t row_of(const struct active_segment *t, uint32_t slot)
{
    return (uint32_t)(slot & ((1ull << t->row_bits) - 1)) - 1;
}

static struct record_id id_of(const struct active_segment *t, uint32_t row)
{
    uint32_t i;
    const struct row_chunk *c = row_chunks_at(&t->rows, row, &i);
    return row_chunk_id(c, i);
}

/* The slot of the id: the one that has it, whose content goes to *out_slot, or the empty one where
 * it belongs (0).  Any thread. */
static size_t find_slot(const struct active_segment *t, struct id_table *table,
                        const struct record_id *id, uint64_t hash, uint32_t *out_slot)
{
    uint32_t tag = tag_of(t, hash), tag_mask = tag_of(t, ~0ull);
    for (size_t i = (size_t)hash & table->slot_mask;; i = (i + 1) & table->slot_mask) {
        /* Acquire pairs with the release in enter_row: the row that it names is complete. */
        uint32_t slot = atomic_load_acquire(&table->slots[i]);
        *out_slot = slot;
        if (slot == 0) return i;
        if ((slot & tag_mask) != tag) continue;
        struct record_id there = id_of(t, row_of(t, slot));
        if (id_equal(&there, id)) return i;
    }
}

/* Make the row the newest of its id.  Writer. */
static void enter_row(struct active_segment *t, struct id_table *table, uint32_t row, uint64_t hash)
{
    uint32_t i, slot;
    const struct row_chunk *c = row_chunks_at(&t->rows, row, &i);
    struct record_id id = row_chunk_id(c, i);
    size_t at = find_slot(t, table, &id, hash, &slot);
    c->older[i] = slot ? row_of(t, slot) : ROW_NONE;
    /* Release pairs with the acquire in find_slot. */
    atomic_store_release(&table->slots[at], tag_of(t, hash) | (row + 1));
}

/* Room for row_count rows of as many ids (4).  Writer. */
static int reserve_ids(struct active_segment *t, uint64_t row_count, struct error *err)
{
    struct id_table *old = atomic_load_relaxed(&t->table); /* our own store */
    size_t slot_count = old->slot_mask + 1;
    if (row_count * 2 <= slot_count) return 0;
    while (slot_count < row_count * 2) slot_count *= 2;
    struct id_table *table = make_table(t->rows.alloc, slot_count);
    if (!table) return error_no_memory(err, slot_count * sizeof(uint32_t));
    for (size_t i = 0; i <= old->slot_mask; i++) {
        uint32_t slot = atomic_load_relaxed(&old->slots[i]), none;
        if (slot == 0) continue;
        struct record_id id = id_of(t, row_of(t, slot));
        size_t at = find_slot(t, table, &id, id_hash(&id), &none);
        atomic_store_relaxed(&table->slots[at], slot);
    }
    table->older = old;
    /* Release pairs with the acquire in find_newest: the slots are filled. */
    atomic_store_release(&t->table, table);
    return 0;
}

/* ---- What readers call (segment_ops) ---- */

static int active_id(struct segment *s, uint32_t row, struct record_id *out, struct error *err)
{
    (void)err;
    *out = id_of(active_of(s), row);
    return 0;
}

static int active_lsn(struct segment *s, uint32_t row, uint64_t *out, struct error *err)
{
    (void)err;
    uint32_t i;
    const struct row_chunk *c = row_chunks_at(&active_of(s)->rows, row, &i);
    *out = c->lsns[i];
    return 0;
}

static int active_document(struct segment *s, uint32_t row, struct doc_ref *out, struct error *err)
{
    (void)err;
    uint32_t i;
    const struct row_chunk *c = row_chunks_at(&active_of(s)->rows, row, &i);
    *out = (struct doc_ref){.document = row_chunk_document(c, i)};
    return 0;
}

static uint32_t older_of(const struct active_segment *t, uint32_t row)
{
    uint32_t i;
    const struct row_chunk *c = row_chunks_at(&t->rows, row, &i);
    return c->older[i];
}

static int active_find(struct segment *s, const struct record_id *id, uint32_t row_count,
                       uint32_t *out_row, struct error *err)
{
    (void)err;
    struct active_segment *t = active_of(s);
    uint32_t slot;
    /* Acquire pairs with the release in reserve_ids: the slots are filled. */
    find_slot(t, atomic_load_acquire(&t->table), id, id_hash(id), &slot);
    if (slot == 0) return 0;
    uint32_t row = row_of(t, slot);
    while (row != ROW_NONE && row >= row_count) row = older_of(t, row); /* (2): ever smaller */
    if (row == ROW_NONE) return 0;
    *out_row = row;
    return 1;
}

static int active_find_older(struct segment *s, uint32_t row, uint32_t *out_row, struct error *err)
{
    (void)err;
    uint32_t older = older_of(active_of(s), row);
    if (older == ROW_NONE) return 0;
    *out_row = older;
    return 1;
}

static int active_run(const struct vector_source *source, uint32_t row, uint32_t row_max,
                      struct vector_run *out, struct error *err)
{
    (void)err;
    const struct active_segment *t =
        (const struct active_segment *)((const char *)source - offsetof(struct segment, vectors));
    uint32_t i;
    const struct row_chunk *c = row_chunks_at(&t->rows, row, &i);
    uint32_t left = c->row_count - i;
    *out = (struct vector_run){
        .vectors = c->vectors + (size_t)i * t->rows.dim,
        .norms = c->norms + i,
        .row_count = left < row_max ? left : row_max,
    };
    return 0;
}

static void active_destroy(struct segment *s)
{
    struct active_segment *t = active_of(s);
    struct alloc *a = t->rows.alloc;
    struct id_table *table = atomic_load_relaxed(&t->table); /* nobody else is left */
    while (table) {
        struct id_table *older = table->older;
        mem_free(a, table);
        table = older;
    }
    row_chunks_deinit(&t->rows);
    mem_free(a, t);
}

static const struct segment_ops active_ops = {
    .id = active_id,
    .lsn = active_lsn,
    .document = active_document,
    .find = active_find,
    .find_older = active_find_older,
    .destroy = active_destroy,
};

/* ---- What the writer calls ---- */

int active_segment_create(struct alloc *a, uint32_t dim, uint32_t row_capacity,
                          struct active_segment **out, struct error *err)
{
    struct active_segment *t = (struct active_segment *)mem_zalloc(a, MEM_TAIL, sizeof *t);
    if (!t) return error_no_memory(err, sizeof *t);
    struct id_table *table = make_table(a, TABLE_SLOTS_MIN);
    if (!table || row_chunks_init(&t->rows, a, dim, row_capacity, err) != 0) {
        mem_free(a, table);
        mem_free(a, t);
        return table ? -1 : error_no_memory(err, TABLE_SLOTS_MIN * sizeof(uint32_t));
    }
    segment_init(&t->base, &active_ops);
    t->base.vectors = (struct vector_source){.run = active_run, .dim = dim};
    t->base.row_capacity = row_capacity;
    t->kernels = kernels_active();
    t->share_bytes = UINT64_MAX;
    t->row_bits = 32 - (uint32_t)__builtin_clz(row_capacity); /* the largest row + 1 fits */
    atomic_init(&t->table, table);
    *out = t;
    return 0;
}

struct segment *active_segment_base(struct active_segment *t)
{
    return &t->base;
}

struct active_segment *active_segment_of(struct segment *base)
{
    CHECK(base->ops == &active_ops);
    return active_of(base);
}

/* Copy vectors, norms and LSN of staged rows to where they belong, a chunk at a time. */
static void fill_rows(struct active_segment *t, uint32_t row, uint32_t count, uint64_t lsn,
                      const float *vectors)
{
    uint32_t dim = t->rows.dim;
    while (count > 0) {
        uint32_t i;
        const struct row_chunk *c = row_chunks_at(&t->rows, row, &i);
        uint32_t here = c->row_count - i < count ? c->row_count - i : count;
        for (uint32_t k = 0; k < here; k++) {
            /* A row at a time, so that the norm finds it in the nearest cache. */
            float *to = c->vectors + (size_t)(i + k) * dim;
            const float *from = vectors + (size_t)k * dim;
            if (to != from) memcpy(to, from, dim * sizeof(float)); /* else it was adopted */
            c->norms[i + k] = dense_norm_f32(t->kernels, to, dim);
            c->lsns[i + k] = lsn;
        }
        row += here;
        count -= here;
        vectors += (size_t)here * dim;
    }
}

int active_segment_stage_many(struct active_segment *t, const struct tail_rows *rows,
                              uint32_t *out_first_row, struct error *err)
{
    uint32_t first = t->staged_count;
    if (rows->count > t->rows.row_capacity - first)
        return error_set(err, LYNSE_LIMIT, "%zu more rows are over the %u that a tail holds",
                         rows->count, t->rows.row_capacity);
    uint32_t end = first + (uint32_t)rows->count;
    if (reserve_ids(t, end, err) != 0) return -1;
    int rc = rows->take_block && *rows->take_block
                 ? row_chunks_grow_around(&t->rows, first, end, rows->take_block, err)
                 : row_chunks_grow(&t->rows, end, err);
    for (uint32_t row = first; rc == 0 && row < end; row++) {
        uint32_t i = row - first;
        struct slice document = rows->documents ? rows->documents[i] : slice_of(NULL, 0);
        rc = row_chunks_put(&t->rows, row, &rows->ids[i], document, err);
        if (rc != 0) row_chunks_drop(&t->rows, first, row);
    }
    if (rc != 0) {
        row_chunks_trim(&t->rows, first);
        return -1;
    }
    fill_rows(t, first, (uint32_t)rows->count, rows->lsn, rows->vectors);
    t->staged_count = end;
    *out_first_row = first;
    return 0;
}

int active_segment_stage(struct active_segment *t, const struct record_id *id, uint64_t lsn,
                         const float *vector, struct slice document, uint32_t *out_row,
                         struct error *err)
{
    struct tail_rows rows = {
        .ids = id, .count = 1, .lsn = lsn, .vectors = vector, .documents = &document};
    return active_segment_stage_many(t, &rows, out_row, err);
}

uint32_t active_segment_staged(const struct active_segment *t)
{
    return t->staged_count;
}

void active_segment_commit(struct active_segment *t, uint32_t row_count)
{
    CHECK(row_count >= t->committed_count && row_count <= t->staged_count);
    struct id_table *table = atomic_load_relaxed(&t->table); /* our own store */
    uint64_t hashes[PREFETCH_ROWS];
    uint32_t hashed = t->committed_count;
    if (t->committed_count == 0 && row_count > 0) {
        uint64_t lsn = 0;
        active_lsn(&t->base, 0, &lsn, NULL);
        t->base.first_lsn = lsn;
    }
    for (uint32_t row = t->committed_count; row < row_count; row++) {
        for (; hashed < row_count && hashed < row + PREFETCH_ROWS; hashed++) {
            struct record_id id = id_of(t, hashed);
            uint64_t hash = id_hash(&id);
            __builtin_prefetch(&table->slots[(size_t)hash & table->slot_mask], 1);
            hashes[hashed % PREFETCH_ROWS] = hash;
        }
        enter_row(t, table, row, hashes[row % PREFETCH_ROWS]);
    }
    t->committed_count = row_count;
}

void active_segment_drop_staged(struct active_segment *t, uint32_t row_count)
{
    CHECK(row_count >= t->committed_count && row_count <= t->staged_count);
    row_chunks_drop(&t->rows, row_count, t->staged_count);
    row_chunks_trim(&t->rows, row_count);
    t->staged_count = row_count;
}

uint64_t active_segment_bytes(const struct active_segment *t)
{
    return (uint64_t)t->committed_count * t->rows.dim * sizeof(float);
}

void active_segment_set_share(struct active_segment *t, uint64_t bytes)
{
    t->share_bytes = bytes;
}

bool active_segment_is_over_share(const struct active_segment *t)
{
    uint64_t rows = t->committed_count;
    uint64_t held = active_segment_bytes(t) + rows * ROW_BYTES + t->rows.heap_bytes;
    return rows > 0 && held > t->share_bytes;
}

bool active_segment_is_full(const struct active_segment *t)
{
    return t->committed_count >= SEAL_ROWS || active_segment_bytes(t) >= SEAL_BYTES ||
           active_segment_is_over_share(t);
}
