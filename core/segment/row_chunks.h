/* SPDX-License-Identifier: Apache-2.0 */
/* row_chunks.h — the memory of a tail's rows: columns in chunks that never move.
 *
 * The first chunk is small and each further one doubles the rows, up to about 2 MiB of vectors (one
 * huge page) or TAIL_CHUNK_ROWS.  The array of chunk pointers is made in full at the start.  Texts
 * of ids and documents lie behind one another in a heap of chunks of their own.  Vectors of many
 * rows that come in a block of their own can stay in it: a bulk load is copied once.
 * THREADS  One writer.  A reader touches only rows that it was told of by something that orders its
 *          reads after the writes: a published view, or a slot of the id table.
 */
#ifndef SEGMENT_ROW_CHUNKS_H
#define SEGMENT_ROW_CHUNKS_H

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "codec/id.h"

#define ROW_NONE UINT32_MAX

struct heap_chunk;
struct adopted_block;

/* The columns of some rows; one block of memory for all but the vectors. */
struct row_chunk {
    float *vectors;            /* dim floats a row; the first aligned to ALIGN_VECTOR */
    uint64_t *lsns;            /* of the version that the row is */
    uint64_t *numbers;         /* integer id; 0 where the id is text */
    const uint8_t **texts;     /* u8 length, bytes; NULL where the id is an integer */
    const uint8_t **documents; /* u32 size, bytes; NULL: the empty map */
    float *norms;              /* Euclidean norm of the vector */
    uint32_t *older;           /* row of the next older version of the id, or ROW_NONE */
    /* That the vectors lie in, one of row_chunks.adopted; NULL: they have memory of their own. */
    struct adopted_block *block;
    uint32_t row_count; /* rows that fit */
};

struct row_chunks {
    struct alloc *alloc;
    uint32_t dim;
    uint32_t row_capacity;
    uint32_t first_bits; /* log2 of the rows of the first chunk */
    uint32_t full_bits;  /* log2 of the rows of a full one */
    struct row_chunk **chunks;
    size_t chunk_count;            /* made so far; the writer's */
    struct heap_chunk *heap;       /* newest first; the writer's */
    uint64_t heap_bytes;           /* of all of them; the writer's */
    struct adopted_block *adopted; /* the writer's */
};

/* dim 1..LIMIT_DIM, row_capacity 1..UINT32_MAX - 1 (CHECK).  NO_MEMORY. */
int row_chunks_init(struct row_chunks *c, struct alloc *a, uint32_t dim, uint32_t row_capacity,
                    struct error *err);
void row_chunks_deinit(struct row_chunks *c); /* a zeroed one is allowed */

/* Make the chunks of the rows below row_end.  NO_MEMORY: those made so far stay, unused, until
 * row_chunks_trim. */
int row_chunks_grow(struct row_chunks *c, uint32_t row_end, struct error *err);
/* The same for rows [row, row_end), whose vectors fill the block *take_vectors of the same
 * allocator: chunks that are made for these rows alone get theirs from it.  When enough do, the
 * block is kept and *take_vectors becomes NULL.  What lies outside of those chunks is not
 * copied. */
int row_chunks_grow_around(struct row_chunks *c, uint32_t row, uint32_t row_end,
                           float **take_vectors, struct error *err);
/* Give back the chunks in which no row is below row_end, and the blocks that none of the others
 * lies in.  Rows from row_end on are dropped, and no reader was told of them. */
void row_chunks_trim(struct row_chunks *c, uint32_t row_end);

/* Where a row lies: *out_index of the chunk that is returned.  The chunk was made. */
static inline const struct row_chunk *row_chunks_at(const struct row_chunks *c, uint32_t row,
                                                    uint32_t *out_index)
{
    uint32_t doublings = c->full_bits - c->first_bits;
    uint32_t full = row >> c->full_bits;
    if (full > 0) {
        *out_index = row - (full << c->full_bits);
        return c->chunks[doublings + full];
    }
    uint32_t small = row >> c->first_bits; /* 0: the first; 1: the second; 2, 3: the third; ... */
    uint32_t level = small ? 32 - (uint32_t)__builtin_clz(small) : 0;
    *out_index = level ? row - (1u << (c->first_bits + level - 1)) : row;
    return c->chunks[level];
}

/* Copy the text of the id (when it is text) and the document (when its size is not 0) into the heap
 * and write both, or the number, into the row.  NO_MEMORY: nothing was copied. */
int row_chunks_put(struct row_chunks *c, uint32_t row, const struct record_id *id,
                   struct slice document, struct error *err);
/* Give back what rows [row, row_end), the last ones that were put, hold in the heap. */
void row_chunks_drop(struct row_chunks *c, uint32_t row, uint32_t row_end);

/* Borrowed for the life of the chunks. */
static inline struct record_id row_chunk_id(const struct row_chunk *c, uint32_t index)
{
    const uint8_t *text = c->texts[index];
    return text ? id_of_text(slice_of(text + 1, text[0])) : id_of_number(c->numbers[index]);
}
static inline struct slice row_chunk_document(const struct row_chunk *c, uint32_t index)
{
    const uint8_t *document = c->documents[index];
    return document ? slice_of(document + 4, load_u32(document)) : slice_of(NULL, 0);
}

#endif
