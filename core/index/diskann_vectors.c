/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_vectors.c — what vectors are in pages: numbers of the narrowest type that holds all.
 *
 * WHAT        Vectors that were numbers of fewer bits before they came here, pixels or the output
 *             of a model that computes in 16 bits, are the same numbers as such: a page holds so
 *             many more nodes, and a search reads so many fewer.  Distances are the same to the
 *             bit, as narrow_kernels.h says; where a metric has no kernel for them, and as soon as
 *             one component is no such number, vectors are floats.
 *             A zero with a sign counts as one without: no sum that begins at 0 tells them apart.
 * THREADS     Any.
 */
#include "index/diskann_build.h"
#include "quant/narrow_rows.h"

enum { CHUNK = 64 };

/* Narrowest first. */
static const uint32_t narrow_types[] = {STORAGE_U8, STORAGE_I8, STORAGE_F16, STORAGE_BF16};
enum { NARROW_COUNT = sizeof narrow_types / sizeof *narrow_types };

narrow_many_fn *diskann_narrow_many(const struct simd_kernels *kernels, enum metric metric,
                                    uint32_t storage)
{
    const struct narrow_kernels *narrow = storage_kernels(kernels, storage);

    switch (metric_find(metric)->value) {
    case METRIC_VALUE_PRODUCT:
    case METRIC_VALUE_ANGLE:
        return narrow ? narrow->dot.many : NULL;
    case METRIC_VALUE_DISTANCE:
        return narrow ? narrow->l2.many : NULL;
    case METRIC_VALUE_MEASURE:
        return NULL;
    }
    return NULL;
}

bool diskann_is_same(const struct simd_kernels *kernels, uint32_t storage, const void *row,
                     const float *vector, uint32_t dim)
{
    size_t number_bytes = storage_row_bytes(storage, 1);
    float wide[CHUNK];

    for (uint32_t i = 0; i < dim; i += CHUNK) {
        uint32_t count = dim - i < CHUNK ? dim - i : CHUNK;
        storage_widen(kernels, storage, (const uint8_t *)row + i * number_bytes, 1, count, wide);
        for (uint32_t j = 0; j < count; j++)
            if (wide[j] != vector[i + j]) return false;
    }
    return true;
}

/* Do numbers of this type hold it? */
static bool holds(const struct simd_kernels *kernels, uint32_t storage, const float *vector,
                  uint32_t dim)
{
    uint16_t packed[CHUNK];

    for (uint32_t i = 0; i < dim; i += CHUNK) {
        uint32_t count = dim - i < CHUNK ? dim - i : CHUNK;
        storage_pack(kernels, storage, vector + i, 1, count, packed);
        if (!diskann_is_same(kernels, storage, packed, vector + i, count)) return false;
    }
    return true;
}

uint8_t diskann_types_of(const struct diskann_build *b, uint32_t first, uint32_t end)
{
    uint8_t types = 0;

    for (uint32_t i = 0; i < NARROW_COUNT; i++) {
        uint32_t node = first;
        if (!diskann_narrow_many(b->desc.kernels, b->desc.metric, narrow_types[i])) continue;
        while (node < end && holds(b->desc.kernels, narrow_types[i],
                                   hnsw_space_vector(&b->graph->space, node), b->desc.vectors->dim))
            node++;
        if (node == end) types |= (uint8_t)(1u << i);
    }
    return types;
}

uint32_t diskann_type(uint8_t types)
{
    for (uint32_t i = 0; i < NARROW_COUNT; i++)
        if (types >> i & 1) return narrow_types[i];
    return STORAGE_F32;
}
