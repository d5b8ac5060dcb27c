/* SPDX-License-Identifier: Apache-2.0 */
/* pq.h — product quantization: a vector is cut into parts, and each part has a code, the number of
 * the nearest of 16 or 256 points that were trained for it.
 *
 * CUTS        Part p of n has the components from p * width / n on: all of them are in a part, and
 *             sizes differ by one at most.
 * ROWS        place_count codes: those of the parts, then zeros.  Of 8 bits a byte each; of 4 bits
 *             two a byte, the first in the low half.
 * BLOCKS      32 rows, transposed.  Of 4 bits: 16 bytes a place, as quant_scan has groups.  Of 8
 *             bits: 32 bytes a place, byte i is row i's.
 * TABLES      A query's product with each point, as a byte: so many steps above the least of the
 *             part.  The step is the same for all parts: 255 of them span the products of the
 *             widest part, at most twice the length of the query there times that of the longest
 *             point.  So a sum is off by no more than half a step a part, and by about the root of
 *             a twelfth of the parts in steps.
 * THREADS     What was trained is immutable.
 */
#ifndef QUANT_PQ_H
#define QUANT_PQ_H

#include "base/alloc.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "simd/kernels.h"

enum {
    PQ_BITS_FEW = 4,
    PQ_BITS_MANY = 8,
    PQ_PARTS_FEW = 512,  /* parts at most, of 4 bits */
    PQ_PARTS_MANY = 128, /* of 8 bits: their tables are long */
    PQ_PLACES = 8,       /* place_count is a multiple of so many */
    PQ_CODES_MAX = 256,
};

/* Of the components of points, which are about 1, and of spread: what was opened stays finite. */
#define PQ_POINT_MAX 1e6f

struct pq_parts {
    struct alloc *alloc;
    size_t memory_bytes;
    uint32_t bits; /* PQ_BITS_FEW or PQ_BITS_MANY */
    uint32_t width;
    uint32_t part_count, place_count;
    float spread; /* errors reach toward queries so many times as far as ones that point anywhere */
    float *points;  /* component c of point j of a part that begins at b: [((b + c) << bits) + j] */
    float *halves;  /* of the squared length of point j of part p: [(p << bits) + j] */
    float *longest; /* the length of the longest point of a part */
};

static inline uint32_t pq_part_begin(const struct pq_parts *p, uint32_t part)
{
    return part * p->width / p->part_count;
}
static inline uint32_t pq_part_size(const struct pq_parts *p, uint32_t part)
{
    return pq_part_begin(p, part + 1) - pq_part_begin(p, part);
}
/* Of a code of so many parts. */
static inline uint32_t pq_place_count(uint32_t part_count)
{
    return (uint32_t)align_up(part_count, PQ_PLACES);
}
static inline size_t pq_code_bytes(uint32_t bits, uint32_t part_count)
{
    return (size_t)pq_place_count(part_count) * bits / 8;
}
/* Of a query over vectors of `width` components, whatever number of parts there are. */
static inline size_t pq_table_bytes_max(uint32_t bits, uint32_t width)
{
    uint32_t most = bits == PQ_BITS_FEW ? PQ_PARTS_FEW : PQ_PARTS_MANY;
    return (size_t)(most < width ? most : width) << bits;
}

/* Points at the origin, spread 1.  part_count from 1 to what its bits allow, and to width.
 * NO_MEMORY. */
int pq_create(struct alloc *a, uint32_t bits, uint32_t part_count, uint32_t width,
              struct pq_parts **out, struct error *err);
void pq_destroy(struct pq_parts *p); /* NULL allowed */
/* What follows from the points; once they are there. */
void pq_complete(struct pq_parts *p);

/* As bytes, and back.  CORRUPT: no parts of so many bits and components, or points farther out
 * than PQ_POINT_MAX. */
int pq_save(const struct pq_parts *p, struct buf *out, struct error *err);
int pq_open(struct alloc *a, struct reader *r, uint32_t bits, uint32_t width, struct pq_parts **out,
            struct error *err);

/* The codes of x * factor, place_count of them, a byte each; grid: the points that they stand
 * for. */
void pq_find(const struct pq_parts *p, const float *x, float factor, float *grid, uint8_t *codes);
void pq_put_row(const struct pq_parts *p, const uint8_t *codes, uint8_t *row);
/* Row i of a block of codes that is zero there. */
void pq_put_block(const struct pq_parts *p, const uint8_t *codes, size_t i, uint8_t *block);

/* <points, query> = sum * step + shift. */
struct pq_tables {
    float step, shift;
};
/* tables: place_count << bits bytes, aligned to 64. */
struct pq_tables pq_make_tables(const struct pq_parts *p, const float *query, uint8_t *tables);
void pq_sum_rows(const struct pq_parts *p, const uint8_t *tables, const uint8_t *rows,
                 size_t stride, size_t row_count, int32_t *out);
void pq_sum_block(const struct pq_parts *p, const struct simd_kernels *kernels,
                  const uint8_t *tables, const uint8_t *block, int32_t out[QUANT_BLOCK]);

#endif
