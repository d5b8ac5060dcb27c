/* SPDX-License-Identifier: Apache-2.0 */
/* pq.c — codes of parts: made, laid out, kept as bytes, and looked up.
 *
 * WHAT        The nearest point of a part has the largest product with it less half its own squared
 *             length.  Points lie component by component, so that sixteen products are made at
 *             once, by loops that compilers do in lanes; the tables of a query are made of the same
 *             products.
 * BYTES       u32 number of parts, f32 spread, then the points of a part after those of the one
 *             before, as they are in memory.
 * INVARIANTS  (1) Whatever codes a row or block holds, a table has an entry for them.
 *             (2) No entry is off by more than half a step, but for the rounding of floats.
 * THREADS     As pq.h says.
 * FAILURE     As pq.h says.
 */
#include "quant/pq.h"

#include <math.h>
#include <string.h>

enum { LANES = 16 };

#define SPAN_MIN 1e-30f /* of a part's products; less is nothing */

int pq_create(struct alloc *a, uint32_t bits, uint32_t part_count, uint32_t width,
              struct pq_parts **out, struct error *err)
{
    size_t head = align_up(sizeof(struct pq_parts), 64), codes = (size_t)1 << bits;
    size_t bytes = head + ((width + part_count) * codes + part_count) * sizeof(float);
    uint8_t *memory = (uint8_t *)mem_alloc_aligned(a, MEM_SEGMENT, bytes, 64);

    if (!memory) return error_no_memory(err, bytes);
    memset(memory, 0, bytes);
    struct pq_parts *p = (struct pq_parts *)(void *)memory;
    *p = (struct pq_parts){
        .alloc = a,
        .memory_bytes = bytes,
        .bits = bits,
        .width = width,
        .part_count = part_count,
        .place_count = pq_place_count(part_count),
        .spread = 1,
        .points = (float *)(void *)(memory + head),
    };
    p->halves = p->points + width * codes;
    p->longest = p->halves + part_count * codes;
    *out = p;
    return 0;
}

void pq_destroy(struct pq_parts *p)
{
    if (p) mem_free(p->alloc, p);
}

void pq_complete(struct pq_parts *p)
{
    const uint32_t codes = 1u << p->bits;

    for (uint32_t part = 0; part < p->part_count; part++) {
        const float *points = p->points + ((size_t)pq_part_begin(p, part) << p->bits);
        float *halves = p->halves + ((size_t)part << p->bits);
        for (uint32_t i = 0; i < pq_part_size(p, part) * codes; i++)
            halves[i % codes] += 0.5f * points[i] * points[i];
        for (uint32_t j = 0; j < codes; j++)
            if (halves[j] > p->longest[part]) p->longest[part] = halves[j];
        p->longest[part] = sqrtf(2 * p->longest[part]);
    }
}

/* ---- Bytes ---- */

struct saved_head {
    uint32_t part_count;
    float spread;
};
_Static_assert(sizeof(struct saved_head) == 8, "written as it is");

int pq_save(const struct pq_parts *p, struct buf *out, struct error *err)
{
    const struct saved_head head = {p->part_count, p->spread};
    size_t bytes = ((size_t)p->width << p->bits) * sizeof(float);

    buf_append(out, &head, sizeof head);
    buf_append(out, p->points, bytes);
    return buf_ok(out) ? 0 : error_no_memory(err, bytes);
}

static bool are_numbers(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(values[i]) <= PQ_POINT_MAX)) return false;
    return true;
}

int pq_open(struct alloc *a, struct reader *r, uint32_t bits, uint32_t width, struct pq_parts **out,
            struct error *err)
{
    uint32_t parts_max = bits == PQ_BITS_FEW ? PQ_PARTS_FEW : PQ_PARTS_MANY;
    struct saved_head head = {0};
    size_t count = (size_t)width << bits;
    struct slice head_bytes = reader_take(r, sizeof head);
    struct slice points = reader_take(r, count * sizeof(float));

    if (!r->failed) memcpy(&head, head_bytes.data, sizeof head);
    if (r->failed || head.part_count < 1 || head.part_count > parts_max ||
        head.part_count > width || !(head.spread >= 1 && head.spread <= PQ_POINT_MAX))
        return error_set(err, LYNSE_CORRUPT, "a quantizer of %u parts of %u components",
                         head.part_count, width);
    if (pq_create(a, bits, head.part_count, width, out, err) != 0) return -1;
    struct pq_parts *p = *out;
    p->spread = head.spread;
    memcpy(p->points, points.data, points.size);
    if (!are_numbers(p->points, count)) {
        pq_destroy(p);
        *out = NULL;
        return error_set(err, LYNSE_CORRUPT, "a quantizer's parts hold no numbers");
    }
    pq_complete(p);
    return 0;
}

/* ---- Products ---- */

/* out[j] = product of x with point j, of LANES points. */
static inline void multiply(const float *restrict x, uint32_t size, const float *restrict points,
                            uint32_t codes, float *restrict out)
{
    float sums[LANES] = {0};
    for (uint32_t c = 0; c < size; c++)
        for (uint32_t j = 0; j < LANES; j++) sums[j] += x[c] * points[c * codes + j];
    memcpy(out, sums, sizeof sums);
}

static uint32_t nearest_point(const struct pq_parts *p, uint32_t part, const float *x)
{
    const uint32_t codes = 1u << p->bits, size = pq_part_size(p, part);
    const float *points = p->points + ((size_t)pq_part_begin(p, part) << p->bits);
    const float *halves = p->halves + ((size_t)part << p->bits);
    float best = -INFINITY, products[LANES];
    uint32_t nearest = 0;

    for (uint32_t first = 0; first < codes; first += LANES) {
        multiply(x, size, points + first, codes, products);
        for (uint32_t j = 0; j < LANES; j++) {
            float score = products[j] - halves[first + j];
            nearest = score > best ? first + j : nearest;
            best = score > best ? score : best;
        }
    }
    return nearest;
}

void pq_find(const struct pq_parts *p, const float *x, float factor, float *grid, uint8_t *codes)
{
    for (uint32_t i = 0; i < p->width; i++) grid[i] = x[i] * factor;
    memset(codes, 0, p->place_count);
    for (uint32_t part = 0; part < p->part_count; part++) {
        uint32_t begin = pq_part_begin(p, part), size = pq_part_size(p, part);
        uint32_t code = nearest_point(p, part, grid + begin);
        codes[part] = (uint8_t)code;
        for (uint32_t c = begin; c < begin + size; c++)
            grid[c] = p->points[((size_t)c << p->bits) + code];
    }
}

/* ---- Layouts ---- */

void pq_put_row(const struct pq_parts *p, const uint8_t *codes, uint8_t *row)
{
    if (p->bits == PQ_BITS_MANY) {
        memcpy(row, codes, p->place_count);
        return;
    }
    for (uint32_t i = 0; i < p->place_count; i += 2)
        row[i / 2] = (uint8_t)((codes[i] & 15) | (codes[i + 1] & 15) << 4);
}

void pq_put_block(const struct pq_parts *p, const uint8_t *codes, size_t i, uint8_t *block)
{
    const size_t half = QUANT_BLOCK / 2;

    for (uint32_t place = 0; place < p->place_count; place++) {
        if (p->bits == PQ_BITS_MANY) block[place * (size_t)QUANT_BLOCK + i] = codes[place];
        else
            block[place * half + i % half] |=
                (uint8_t)((codes[place] & 15) << (i < half ? 0 : PQ_BITS_FEW));
    }
}

/* ---- Tables ---- */

/* The widest span that products of a part may have. */
static float widest_span(const struct pq_parts *p, const float *query)
{
    float widest = 0;

    for (uint32_t part = 0; part < p->part_count; part++) {
        float square = 0;
        for (uint32_t c = pq_part_begin(p, part); c < pq_part_begin(p, part + 1); c++)
            square += query[c] * query[c];
        float span = 2 * sqrtf(square) * p->longest[part];
        widest = span > widest ? span : widest;
    }
    return widest;
}

/* One part's table; the least of its products. */
static float make_table(const struct pq_parts *p, uint32_t part, const float *query, float inverse,
                        uint8_t *table)
{
    const uint32_t codes = 1u << p->bits, begin = pq_part_begin(p, part);
    const float *points = p->points + ((size_t)begin << p->bits);
    float products[PQ_CODES_MAX], least = INFINITY;

    for (uint32_t first = 0; first < codes; first += LANES)
        multiply(query + begin, pq_part_size(p, part), points + first, codes, products + first);
    for (uint32_t j = 0; j < codes; j++) least = products[j] < least ? products[j] : least;
    for (uint32_t j = 0; j < codes; j++) {
        float steps = (products[j] - least) * inverse + 0.5f;
        table[j] = (uint8_t)(int32_t)(steps < 255 ? steps : 255);
    }
    return least;
}

struct pq_tables pq_make_tables(const struct pq_parts *p, const float *query, uint8_t *tables)
{
    float widest = widest_span(p, query), inverse = widest > SPAN_MIN ? 255 / widest : 0;
    double shift = 0;

    memset(tables, 0, (size_t)p->place_count << p->bits);
    for (uint32_t part = 0; part < p->part_count; part++, tables += (size_t)1 << p->bits)
        shift += (double)make_table(p, part, query, inverse, tables);
    return (struct pq_tables){widest / 255, (float)shift};
}

/* ---- Sums ---- */

void pq_sum_rows(const struct pq_parts *p, const uint8_t *tables, const uint8_t *rows,
                 size_t stride, size_t row_count, int32_t *out)
{
    for (size_t r = 0; r < row_count; r++, rows += stride) {
        const uint8_t *table = tables;
        int32_t even = 0, odd = 0;
        if (p->bits == PQ_BITS_MANY)
            for (uint32_t i = 0; i < p->place_count; i += 2, table += 2 * PQ_CODES_MAX) {
                even += table[rows[i]];
                odd += table[PQ_CODES_MAX + rows[i + 1]];
            }
        else
            for (uint32_t i = 0; i < p->place_count / 2; i++, table += 2 * LANES) {
                even += table[rows[i] & 15];
                odd += table[LANES + (rows[i] >> 4)];
            }
        out[r] = even + odd;
    }
}

void pq_sum_block(const struct pq_parts *p, const struct simd_kernels *kernels,
                  const uint8_t *tables, const uint8_t *block, int32_t out[QUANT_BLOCK])
{
    if (p->bits == PQ_BITS_FEW) {
        kernels->quant_scan(tables, block, p->place_count, out);
        return;
    }
    memset(out, 0, QUANT_BLOCK * sizeof *out);
    for (uint32_t i = 0; i < p->place_count; i++, tables += PQ_CODES_MAX, block += QUANT_BLOCK)
        for (size_t row = 0; row < QUANT_BLOCK; row++) out[row] += tables[block[row]];
}
