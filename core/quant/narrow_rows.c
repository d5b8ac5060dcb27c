/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/narrow_rows.h"

#include <math.h>
#include <string.h>

#include "base/check.h"

enum { CHUNK = 64 };

/* What numbers lie between.  f16 and bf16 go a little further, to what is rounded to an end: that
 * is not asked for, so that what is refused can be said in two numbers. */
struct storage_info {
    size_t bytes;
    float least, most;
};

static const struct storage_info storages[STORAGE_TYPE_MAX + 1] = {
    [STORAGE_F32] = {4, -INFINITY, INFINITY},
    [STORAGE_F16] = {2, -65504, 65504},
    [STORAGE_BF16] = {2, -0x1.fep127f, 0x1.fep127f},
    [STORAGE_I8] = {1, -128, 127},
    [STORAGE_U8] = {1, 0, 255},
};

size_t storage_row_bytes(unsigned storage, uint32_t dim)
{
    if (storage == 0) storage = STORAGE_F32;
    CHECK(storage_type_is_supported(storage));
    return storages[storage].bytes * dim;
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
    const struct narrow_kernels *narrow = storage_kernels(kernels_active(), source->storage);

    while (row_count > 0) {
        struct row_run run;
        if (vector_source_rows(source, row, row_count, &run, err) != 0) return -1;
        size_t floats = (size_t)run.row_count * source->dim;
        if (narrow) narrow->widen(run.rows, floats, out);
        else memcpy(out, run.rows, floats * sizeof *out);
        if (norms) {
            memcpy(norms, run.norms, run.row_count * sizeof *norms);
            norms += run.row_count;
        }
        out += floats;
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
    const struct narrow_kernels *narrow = storage_kernels(kernels, storage);
    char chunk[CHUNK * sizeof(uint16_t)];

    if (!narrow) return 0;
    const struct storage_info *info = &storages[storage];
    size_t total = count * dim, at = find_outside(vectors, total, info);
    if (at < total)
        return error_set(err, LYNSE_INVALID,
                         "vectors: component %zu of row %zu is %g, %s holds %g to %g", at % dim,
                         at / dim, (double)vectors[at], storage_type_name(storage),
                         (double)info->least, (double)info->most);
    for (size_t i = 0; i < total; i += CHUNK) {
        size_t here = total - i < CHUNK ? total - i : CHUNK;
        narrow->pack(vectors + i, here, chunk);
        narrow->widen(chunk, here, vectors + i);
    }
    return 0;
}
