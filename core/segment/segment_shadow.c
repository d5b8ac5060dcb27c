/* SPDX-License-Identifier: Apache-2.0 */
/* segment_shadow.c — codes in blocks, filled from the front by whoever comes first.
 *
 * WHAT        Who asks for rows that are not there packs some, from the first one missing on, if
 *             nobody else is at it: as many as a search may read between two looks at the clock,
 *             and no more in all than it may be slowed down by.
 * LAYOUT      Blocks double like a tail's chunks (row_chunks.c): F, F, 2F, 4F, ... rows up to C,
 *             then C each; so a small segment has a small shadow, and a large one has blocks of
 *             huge pages.  A block is one piece of memory: codes, then scales, errors, norms.
 * INVARIANTS  (1) Rows [0, ready_count) of a block are packed and never change; ready_count never
 *                 falls.  Whoever asked for them could see them.
 *             (2) Who has set is_filling is the only one who writes the block; `codes` is set
 *                 before ready_count is more than 0.
 *             (3) The room counts every block of every segment, and is never over bytes_max.
 * THREADS     Any.  Nobody waits: who finds a block being filled reads the vectors instead.
 * FAILURE     None that is told: rows stay missing.  Damage is found again by who reads the rows.
 */
#include "segment/segment_shadow.h"

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

struct shadow_room {
    struct alloc *alloc;
    size_t bytes_max;
    _Atomic(size_t) bytes;
};

struct shadow_block {
    struct shadow_rows rows; /* codes NULL: no memory yet */
    size_t bytes;
    _Atomic(uint32_t) ready_count;
    _Atomic(bool) is_filling;
};

struct segment_shadow {
    struct shadow_source base; /* first */
    struct shadow_room *room;
    const struct vector_source *vectors; /* of its segment */
    const struct simd_kernels *kernels;
    uint32_t first_bits;           /* log2 of F */
    uint32_t full_bits;            /* log2 of C */
    _Atomic(uint32_t) ready_count; /* of all blocks */
    size_t block_count;
    struct shadow_block blocks[];
};

/* ---- The room ---- */

int shadow_room_create(struct alloc *a, size_t bytes_max, struct shadow_room **out,
                       struct error *err)
{
    struct shadow_room *r = (struct shadow_room *)mem_zalloc(a, MEM_CACHE, sizeof *r);

    if (!r) return error_no_memory(err, sizeof *r);
    r->alloc = a;
    r->bytes_max = bytes_max;
    atomic_init(&r->bytes, 0u);
    *out = r;
    return 0;
}

void shadow_room_destroy(struct shadow_room *r)
{
    if (!r) return;
    CHECK(atomic_load_relaxed(&r->bytes) == 0);
    mem_free(r->alloc, r);
}

size_t shadow_room_bytes(const struct shadow_room *r)
{
    return atomic_load_relaxed(&r->bytes);
}

/* NULL: there is no room, or no memory (3). */
static void *take_room(struct shadow_room *r, size_t bytes)
{
    void *memory = NULL;
    size_t before = atomic_add_relaxed(&r->bytes, bytes);

    if (before <= r->bytes_max && bytes <= r->bytes_max - before)
        memory = mem_alloc_aligned(r->alloc, MEM_CACHE, bytes, ALIGN_VECTOR);
    if (!memory) atomic_sub_relaxed(&r->bytes, bytes);
    return memory;
}

static void give_back(struct shadow_room *r, void *memory, size_t bytes)
{
    mem_free(r->alloc, memory);
    atomic_sub_relaxed(&r->bytes, bytes);
}

/* ---- Blocks ---- */

static struct segment_shadow *shadow_of(struct shadow_source *s)
{
    return (struct segment_shadow *)s;
}

/* The block of a row, its first row and how many it has. */
static size_t find_block(const struct segment_shadow *s, uint32_t row, uint32_t *out_first,
                         uint32_t *out_count)
{
    uint32_t full = row >> s->full_bits, small = row >> s->first_bits;

    if (full > 0) {
        *out_first = full << s->full_bits;
        *out_count = 1u << s->full_bits;
        return s->full_bits - s->first_bits + full;
    }
    uint32_t level = small ? 32 - (uint32_t)__builtin_clz(small) : 0;
    *out_first = level ? 1u << (s->first_bits + level - 1) : 0;
    *out_count = 1u << (s->first_bits + (level ? level - 1 : 0));
    return level;
}

/* Memory of a block's rows (2). */
static bool make_rows(struct segment_shadow *s, struct shadow_block *b, uint32_t row_count)
{
    size_t codes_bytes = row_count * code_stride(s->vectors->dim);
    size_t bytes = codes_bytes + row_count * 3 * sizeof(float);

    if (b->rows.codes) return true;
    uint8_t *codes = (uint8_t *)take_room(s->room, bytes);
    if (!codes) return false;
    float *scales = (float *)(void *)(codes + codes_bytes);
    b->bytes = bytes;
    b->rows =
        (struct shadow_rows){codes, scales, scales + row_count, scales + (size_t)2 * row_count};
    return true;
}

static struct shadow_rows rows_at(const struct segment_shadow *s, const struct shadow_block *b,
                                  uint32_t i)
{
    const struct shadow_rows *r = &b->rows;
    return (struct shadow_rows){r->codes + i * code_stride(s->vectors->dim), r->scales + i,
                                r->errors + i, r->norms + i};
}

/* Pack rows of the block, whose first row is `first`, from those that are ready to `end`, or as
 * many of them as SHADOW_FILL_BYTES and *make_max allow. */
static void fill(struct segment_shadow *s, struct shadow_block *b, uint32_t first, uint32_t end,
                 uint32_t *make_max)
{
    uint32_t most = SHADOW_FILL_BYTES / (s->vectors->dim * (uint32_t)sizeof(float)) + 1;
    uint32_t ready = atomic_load_relaxed(&b->ready_count); /* nobody else fills (2) */
    uint32_t before = ready;

    if (most > *make_max) most = *make_max;
    if (end - ready > most) end = ready + most;
    while (ready < end) {
        struct error ignored = {0};
        struct vector_run run;
        if (s->vectors->run(s->vectors, first + ready, end - ready, &run, &ignored) != 0) break;
        struct shadow_rows to = rows_at(s, b, ready);
        shadow_pack(s->kernels, run.vectors, run.norms, run.row_count, s->vectors->dim, &to);
        ready += run.row_count;
    }
    /* Release pairs with the acquire in run_of: the rows are packed (1). */
    atomic_store_release(&b->ready_count, ready);
    atomic_add_relaxed(&s->ready_count, ready - before); /* an estimate's */
    *make_max -= ready - before;
}

static void run_of(struct shadow_source *base, uint32_t row, uint32_t row_max, uint32_t *make_max,
                   struct shadow_run *out)
{
    struct segment_shadow *s = shadow_of(base);
    uint32_t first, count;
    struct shadow_block *b = &s->blocks[find_block(s, row, &first, &count)];
    uint32_t i = row - first, end = count - i < row_max ? count : i + row_max;

    *out = (struct shadow_run){0};
    uint32_t ready = atomic_load_acquire(&b->ready_count);
    /* The swap's acquire pairs with the release of who filled before: its memory is seen. */
    if (*make_max > 0 && ready < end && !atomic_swap_acq_rel(&b->is_filling, true)) {
        if (atomic_load_relaxed(&b->ready_count) < end && make_rows(s, b, count))
            fill(s, b, first, end, make_max);
        atomic_store_release(&b->is_filling, false);
        ready = atomic_load_acquire(&b->ready_count);
    }
    if (ready <= i) return;
    struct shadow_rows rows = rows_at(s, b, i);
    *out = (struct shadow_run){
        rows.codes, {rows.scales, rows.errors, rows.norms}, (ready < end ? ready : end) - i};
}

/* ---- The shadow ---- */

static uint32_t log2_down(uint32_t n)
{
    return 31 - (uint32_t)__builtin_clz(n);
}

static struct segment_shadow *make_shadow(struct segment *segment, struct shadow_room *room)
{
    size_t stride = code_stride(segment->vectors.dim);
    uint32_t full_rows = stride < SHADOW_BLOCK_BYTES ? (uint32_t)(SHADOW_BLOCK_BYTES / stride) : 1;
    uint32_t full_bits = log2_down(full_rows), first_bits = log2_down(SHADOW_FIRST_ROWS);
    if (first_bits > full_bits) first_bits = full_bits;
    size_t block_count = (size_t)(segment->row_capacity >> full_bits) + 1 + full_bits - first_bits;
    size_t bytes = sizeof(struct segment_shadow) + block_count * sizeof(struct shadow_block);
    struct segment_shadow *s = (struct segment_shadow *)mem_zalloc(room->alloc, MEM_CACHE, bytes);

    if (!s) return NULL;
    s->base.run = run_of;
    s->room = room;
    s->vectors = &segment->vectors;
    s->kernels = kernels_active();
    s->first_bits = first_bits;
    s->full_bits = full_bits;
    s->block_count = block_count;
    atomic_init(&s->ready_count, 0u);
    for (size_t i = 0; i < block_count; i++) {
        atomic_init(&s->blocks[i].ready_count, 0u);
        atomic_init(&s->blocks[i].is_filling, false);
    }
    return s;
}

struct shadow_source *segment_shadow(struct segment *segment, struct shadow_room *room,
                                     uint32_t row_count)
{
    /* Acquire pairs with the exchange below: it is made. */
    struct segment_shadow *s = atomic_load_acquire(&segment->shadow), *none = NULL;

    if (s) return room ? &s->base : NULL;
    if (!room || row_count < SHADOW_ROWS_MIN || segment->vectors.dim < SHADOW_DIM_MIN ||
        vector_source_is_narrow(&segment->vectors))
        return NULL; /* what is narrow is read as fast as half of it and more would be */
    s = make_shadow(segment, room);
    if (!s) return NULL;
    if (atomic_cas_acq_rel(&segment->shadow, &none, s)) return &s->base;
    mem_free(room->alloc, s);
    return &none->base;
}

uint32_t segment_shadow_ready(const struct segment *segment)
{
    const struct segment_shadow *s = atomic_load_acquire(&segment->shadow);
    return s ? atomic_load_relaxed(&s->ready_count) : 0;
}

void segment_shadow_destroy(struct segment_shadow *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->block_count; i++) {
        struct shadow_block *b = &s->blocks[i];
        if (b->rows.codes) give_back(s->room, b->rows.codes, b->bytes);
    }
    mem_free(s->room->alloc, s);
}
