/* SPDX-License-Identifier: Apache-2.0 */
/* row_chunks.c — chunks that double up to the size of a huge page, and a heap behind them.
 *
 * WHAT        Rows are found by arithmetic: with F rows in the first chunk and C in a full one, the
 *             chunks hold F, F, 2F, 4F, ... C/2, C, C, ...; so chunk 0 starts at row 0, chunk i at
 *             F * 2^(i-1) while that is below C, and every further one at a multiple of C.
 * LAYOUT      A row_chunk is one block with its columns behind it, widest elements first, so that
 *             all are aligned; vectors are a block of their own, which alloc.c puts on huge pages.
 *             A heap chunk is filled from the front; an entry never spans two.  An adopted block
 *             holds the vectors of whole chunks; what it has before and behind them is a copy's
 *             source that nobody reads again.
 * INVARIANTS  (1) Nothing that was handed out moves or is freed before deinit, but for what rows
 *                 held that are dropped, which no reader was told of.
 *             (2) Heap entries lie in the order of their rows.
 *             (3) Blocks are adopted in the order of their rows: once trimmed, the newest one has a
 *                 chunk.  The last chunk need not be one of its own.
 * THREADS     One writer; readers as row_chunks.h says.
 * FAILURE     NO_MEMORY leaves the rows as they were; what was made for others waits for trim.
 */
#include "segment/row_chunks.h"

#include "base/check.h"
#include "base/limits.h"

enum {
    FIRST_ROWS_MAX = 64,
    CHUNK_VECTOR_BYTES = 2 << 20,
    HEAP_FIRST_BYTES = 4096,
    HEAP_FULL_BYTES = 1 << 20,
};

struct heap_chunk {
    struct heap_chunk *older;
    size_t capacity;
    size_t used;
    uint8_t data[];
};

struct adopted_block {
    struct adopted_block *older;
    float *vectors;
};

static uint32_t log2_up(uint64_t n)
{
    return n <= 1 ? 0 : 64 - (uint32_t)__builtin_clzll(n - 1);
}

/* ---- Chunks of rows ---- */

static uint32_t rows_of_chunk(const struct row_chunks *c, size_t i)
{
    size_t doublings = c->full_bits - c->first_bits;
    if (i == 0) return 1u << c->first_bits;
    return i > doublings ? 1u << c->full_bits : 1u << (c->first_bits + (uint32_t)i - 1);
}

int row_chunks_init(struct row_chunks *c, struct alloc *a, uint32_t dim, uint32_t row_capacity,
                    struct error *err)
{
    CHECK(dim >= 1 && dim <= LIMIT_DIM && row_capacity >= 1 && row_capacity < ROW_NONE);
    uint64_t row_bytes = (uint64_t)dim * sizeof(float);
    uint64_t rows = (CHUNK_VECTOR_BYTES + row_bytes - 1) / row_bytes;
    uint32_t full_bits = log2_up(rows < TAIL_CHUNK_ROWS ? rows : TAIL_CHUNK_ROWS);
    uint32_t first_bits = log2_up(FIRST_ROWS_MAX);
    if (first_bits > full_bits) first_bits = full_bits;

    size_t count = (size_t)(row_capacity >> full_bits) + 1 + (full_bits - first_bits);
    struct row_chunk **chunks =
        (struct row_chunk **)mem_zalloc(a, MEM_TAIL, count * sizeof(struct row_chunk *));
    if (!chunks) return error_no_memory(err, count * sizeof(struct row_chunk *));
    *c = (struct row_chunks){
        .alloc = a,
        .dim = dim,
        .row_capacity = row_capacity,
        .first_bits = first_bits,
        .full_bits = full_bits,
        .chunks = chunks,
    };
    return 0;
}

static void free_last_chunk(struct row_chunks *c)
{
    struct row_chunk *last = c->chunks[--c->chunk_count];

    c->chunks[c->chunk_count] = NULL;
    if (!last->block) mem_free(c->alloc, last->vectors);
    mem_free(c->alloc, last);
}

static void free_newest_block(struct row_chunks *c)
{
    struct adopted_block *newest = c->adopted;

    c->adopted = newest->older;
    mem_free(c->alloc, newest->vectors);
    mem_free(c->alloc, newest);
}

static void free_newest_heap(struct row_chunks *c)
{
    struct heap_chunk *newest = c->heap;

    c->heap = newest->older;
    c->heap_bytes -= newest->capacity;
    mem_free(c->alloc, newest);
}

void row_chunks_deinit(struct row_chunks *c)
{
    while (c->chunk_count > 0) free_last_chunk(c);
    while (c->adopted) free_newest_block(c);
    while (c->heap) free_newest_heap(c);
    if (c->chunks) mem_free(c->alloc, c->chunks);
    *c = (struct row_chunks){0};
}

/* vectors NULL: memory of its own. */
static struct row_chunk *make_chunk(struct alloc *a, uint32_t dim, uint32_t row_count,
                                    float *vectors)
{
    size_t wide = 4 * sizeof(uint64_t), narrow = sizeof(float) + sizeof(uint32_t);
    size_t header = align_up(sizeof(struct row_chunk), 16);
    uint8_t *block = (uint8_t *)mem_alloc(a, MEM_TAIL, header + row_count * (wide + narrow));
    if (block && !vectors)
        vectors = (float *)mem_alloc_aligned(a, MEM_TAIL, (size_t)row_count * dim * sizeof(float),
                                             ALIGN_VECTOR);
    if (!block || !vectors) {
        mem_free(a, block);
        return NULL;
    }
    struct row_chunk *c = (struct row_chunk *)block;
    c->vectors = vectors;
    c->block = NULL;
    c->row_count = row_count;
    c->lsns = (uint64_t *)(block + header);
    c->numbers = c->lsns + row_count;
    c->texts = (const uint8_t **)(c->numbers + row_count);
    c->documents = c->texts + row_count;
    c->norms = (float *)(c->documents + row_count);
    c->older = (uint32_t *)(c->norms + row_count);
    return c;
}

static uint64_t first_row_of_chunk(const struct row_chunks *c, size_t i)
{
    size_t doublings = c->full_bits - c->first_bits;
    if (i == 0) return 0;
    return i <= doublings ? 1ull << (c->first_bits + i - 1)
                          : (uint64_t)(i - doublings) << c->full_bits;
}

/* Rows [row, row_end) are in the block; NULL: nothing is adopted. */
static int grow(struct row_chunks *c, uint32_t row, uint32_t row_end, struct adopted_block *block,
                struct error *err)
{
    CHECK(row_end <= c->row_capacity);
    while (row_end > 0) {
        size_t i = c->chunk_count;
        uint64_t first = first_row_of_chunk(c, i);
        if (first >= row_end) break;
        uint32_t row_count = rows_of_chunk(c, i);
        bool is_inside = block && first >= row && first + row_count <= row_end;
        float *vectors = is_inside ? block->vectors + (first - row) * c->dim : NULL;
        struct row_chunk *chunk = make_chunk(c->alloc, c->dim, row_count, vectors);
        if (!chunk) return error_no_memory(err, (size_t)row_count * c->dim * sizeof(float));
        if (is_inside) chunk->block = block;
        c->chunks[i] = chunk;
        c->chunk_count++;
    }
    return 0;
}

int row_chunks_grow(struct row_chunks *c, uint32_t row_end, struct error *err)
{
    return grow(c, 0, row_end, NULL, err);
}

/* Is it worth it: would at most a quarter of the block be held for nothing?  Every chunk must begin
 * where vectors are aligned. */
static bool suits(const struct row_chunks *c, uint32_t row, uint32_t row_end, const float *vectors)
{
    uint64_t inside = 0, first;

    for (size_t i = c->chunk_count; (first = first_row_of_chunk(c, i)) < row_end; i++) {
        uint32_t row_count = rows_of_chunk(c, i);
        if (first < row || first + row_count > row_end) continue;
        if ((uintptr_t)(vectors + (first - row) * c->dim) % ALIGN_VECTOR != 0) return false;
        inside += row_count;
    }
    return inside > 0 && inside >= (uint64_t)(row_end - row) / 4 * 3;
}

int row_chunks_grow_around(struct row_chunks *c, uint32_t row, uint32_t row_end,
                           float **take_vectors, struct error *err)
{
    if (!suits(c, row, row_end, *take_vectors)) return grow(c, 0, row_end, NULL, err);
    struct adopted_block *block =
        (struct adopted_block *)mem_alloc(c->alloc, MEM_TAIL, sizeof *block);
    if (!block) return error_no_memory(err, sizeof *block);
    *block = (struct adopted_block){c->adopted, *take_vectors};
    c->adopted = block; /* first: chunks that are made before memory runs out stay */
    *take_vectors = NULL;
    return grow(c, row, row_end, block, err);
}

static bool has_chunk(const struct row_chunks *c, const struct adopted_block *block)
{
    for (size_t i = c->chunk_count; i > 0; i--)
        if (c->chunks[i - 1]->block == block) return true;
    return false;
}

void row_chunks_trim(struct row_chunks *c, uint32_t row_end)
{
    while (c->chunk_count > 0 && first_row_of_chunk(c, c->chunk_count - 1) >= row_end)
        free_last_chunk(c);
    while (c->adopted && !has_chunk(c, c->adopted)) free_newest_block(c); /* (3) */
}

/* ---- The heap ---- */

static uint8_t *take_heap(struct row_chunks *c, size_t bytes, struct error *err)
{
    struct heap_chunk *h = c->heap;
    if (!h || h->capacity - h->used < bytes) {
        size_t capacity = h ? h->capacity * 2 : HEAP_FIRST_BYTES;
        if (capacity > HEAP_FULL_BYTES) capacity = HEAP_FULL_BYTES;
        if (capacity < bytes) capacity = bytes;
        h = (struct heap_chunk *)mem_alloc(c->alloc, MEM_TAIL, sizeof *h + capacity);
        if (!h) {
            error_no_memory(err, sizeof *h + capacity);
            return NULL;
        }
        *h = (struct heap_chunk){.older = c->heap, .capacity = capacity};
        c->heap = h;
        c->heap_bytes += capacity;
    }
    uint8_t *at = h->data + h->used;
    h->used += bytes;
    return at;
}

int row_chunks_put(struct row_chunks *c, uint32_t row, const struct record_id *id,
                   struct slice document, struct error *err)
{
    uint32_t i;
    const struct row_chunk *chunk = row_chunks_at(c, row, &i);
    size_t text_bytes = id->is_text ? 1 + id->text.size : 0;
    size_t document_bytes = document.size > 0 ? 4 + document.size : 0;
    uint8_t *at = NULL;

    CHECK(!id->is_text || id->text.size <= LIMIT_ID_BYTES);
    CHECK(document.size <= UINT32_MAX);
    if (text_bytes + document_bytes > 0) {
        at = take_heap(c, text_bytes + document_bytes, err);
        if (!at) return -1;
    }
    chunk->numbers[i] = id->number;
    chunk->texts[i] = id->is_text ? at : NULL;
    chunk->documents[i] = document.size > 0 ? at + text_bytes : NULL;
    if (id->is_text) {
        at[0] = (uint8_t)id->text.size;
        if (id->text.size > 0) memcpy(at + 1, id->text.data, id->text.size);
    }
    if (document.size > 0) {
        store_u32(at + text_bytes, (uint32_t)document.size);
        memcpy(at + text_bytes + 4, document.data, document.size);
    }
    return 0;
}

static bool holds(const struct heap_chunk *h, const uint8_t *at)
{
    return (uintptr_t)at - (uintptr_t)h->data < h->used;
}

void row_chunks_drop(struct row_chunks *c, uint32_t row, uint32_t row_end)
{
    for (; row < row_end; row++) {
        uint32_t i;
        const struct row_chunk *chunk = row_chunks_at(c, row, &i);
        const uint8_t *first = chunk->texts[i] ? chunk->texts[i] : chunk->documents[i];
        if (!first) continue;
        /* Everything from here on belongs to dropped rows (2). */
        while (!holds(c->heap, first)) free_newest_heap(c);
        c->heap->used = (size_t)(first - c->heap->data);
        return;
    }
}
