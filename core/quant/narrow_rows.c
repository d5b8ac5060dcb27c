/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/narrow_rows.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "quant/bit_rows.h"

enum { CHUNK = 64 };

/* What numbers lie between.  f16 and bf16 go a little further, to what is rounded to an end: that
 * is not asked for, so that what is refused can be said in two numbers. */
struct storage_info {
    size_t bytes; /* of a component; BIT: see bit_rows.h */
    float least, most;
};

static const struct storage_info storages[STORAGE_TYPE_MAX + 1] = {
    [STORAGE_F32] = {4, -INFINITY, INFINITY},
    [STORAGE_F16] = {2, -65504, 65504},
    [STORAGE_BF16] = {2, -0x1.fep127f, 0x1.fep127f},
    [STORAGE_I8] = {1, -128, 127},
    [STORAGE_U8] = {1, 0, 255},
    [STORAGE_BIT] = {0, 0, 1},
};

size_t storage_row_bytes(unsigned storage, uint32_t dim)
{
    if (storage == 0) storage = STORAGE_F32;
    CHECK(storage_type_is_known(storage));
    return storage == STORAGE_BIT ? bit_row_bytes(dim) : storages[storage].bytes * dim;
}

const struct narrow_kernels *storage_kernels(const struct simd_kernels *kernels, unsigned storage)
{
    switch (storage) {
    case STORAGE_F16:
        return &kernels->narrow_f16;
    case STORAGE_BF16:
        return &kernels->narrow_bf16;
    case STORAGE_I8:
        return &kernels->narrow_i8;
    case STORAGE_U8:
        return &kernels->narrow_u8;
    default:
        return NULL;
    }
}

void storage_widen(const struct simd_kernels *kernels, unsigned storage, const void *rows,
                   size_t row_count, uint32_t dim, float *out)
{
    const struct narrow_kernels *narrow = storage_kernels(kernels, storage);
    const char *row = rows;

    if (narrow) narrow->widen(rows, row_count * dim, out);
    else if (storage != STORAGE_BIT) memcpy(out, rows, row_count * dim * sizeof *out);
    else
        for (size_t i = 0; i < row_count; i++, row += bit_row_bytes(dim))
            bit_row_widen((const uint64_t *)(const void *)row, dim, out + i * dim);
}

void storage_pack(const struct simd_kernels *kernels, unsigned storage, const float *vectors,
                  size_t row_count, uint32_t dim, void *rows)
{
    const struct narrow_kernels *narrow = storage_kernels(kernels, storage);
    char *row = rows;

    if (narrow) narrow->pack(vectors, row_count * dim, rows);
    else if (storage != STORAGE_BIT) memcpy(rows, vectors, row_count * dim * sizeof *vectors);
    else
        for (size_t i = 0; i < row_count; i++, row += bit_row_bytes(dim))
            bit_row_pack(vectors + i * dim, dim, (uint64_t *)(void *)row);
}

int vector_source_rows(const struct vector_source *source, uint32_t row, uint32_t row_max,
                       struct row_run *out, struct error *err)
{
    struct vector_run run;

    if (vector_source_is_narrow(source)) return source->run_narrow(source, row, row_max, out, err);
    if (source->run(source, row, row_max, &run, err) != 0) return -1;
    *out = (struct row_run){run.vectors, run.norms, run.row_count};
    return 0;
}

int vector_source_read(const struct vector_source *source, uint32_t row, uint32_t row_count,
                       float *out, float *norms, struct error *err)
{
    while (row_count > 0) {
        struct row_run run;
        if (vector_source_rows(source, row, row_count, &run, err) != 0) return -1;
        storage_widen(kernels_active(), source->storage, run.rows, run.row_count, source->dim, out);
        if (norms) {
            memcpy(norms, run.norms, run.row_count * sizeof *norms);
            norms += run.row_count;
        }
        out += (size_t)run.row_count * source->dim;
        row += run.row_count;
        row_count -= run.row_count;
    }
    return 0;
}

/* The first number that is not within the ends; count: there is none. */
static size_t find_outside(const float *numbers, size_t count, const struct storage_info *info)
{
    for (size_t i = 0; i < count; i++)
        if (!(numbers[i] >= info->least && numbers[i] <= info->most)) return i;
    return count;
}

int storage_round(const struct simd_kernels *kernels, unsigned storage, float *vectors,
                  size_t count, uint32_t dim, struct error *err)
{
    _Alignas(uint64_t) char chunk[CHUNK * sizeof(uint16_t)];

    if (storage == 0 || storage == STORAGE_F32) return 0;
    const struct storage_info *info = &storages[storage];
    size_t total = count * dim, at = find_outside(vectors, total, info);
    if (at < total)
        return error_set(err, LYNSE_INVALID,
                         "vectors: component %zu of row %zu is %g, %s holds %g to %g", at % dim,
                         at / dim, (double)vectors[at], storage_type_name(storage),
                         (double)info->least, (double)info->most);
    for (size_t i = 0; i < total; i += CHUNK) {
        uint32_t here = total - i < CHUNK ? (uint32_t)(total - i) : CHUNK;
        storage_pack(kernels, storage, vectors + i, 1, here, chunk);
        storage_widen(kernels, storage, chunk, 1, here, vectors + i);
    }
    return 0;
}
