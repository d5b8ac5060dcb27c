/* SPDX-License-Identifier: Apache-2.0 */
/* sq.c — scalar quantizers, SQ8 and SQ4: each component by itself, between a low and a high value
 * of its own (coded.h, the scaled frame). */
#include "quant/coded.h"

static int sq8_train(const struct quantizer_train_desc *desc, struct quantizer **out,
                     struct error *err)
{
    return coded_train(&quantizer_sq8, desc, CODED_SCALED, 8, out, err);
}

static int sq8_open(struct alloc *a, const struct simd_kernels *kernels, struct slice bytes,
                    uint32_t dim, enum metric metric, struct quantizer **out, struct error *err)
{
    return coded_open(&quantizer_sq8, CODED_SCALED, a, kernels, bytes, dim, metric, out, err);
}

static size_t sq8_code_bytes(uint32_t number, uint32_t dim)
{
    (void)number;
    return coded_bytes(8, dim);
}

static int sq4_train(const struct quantizer_train_desc *desc, struct quantizer **out,
                     struct error *err)
{
    return coded_train(&quantizer_sq4, desc, CODED_SCALED, 4, out, err);
}

static int sq4_open(struct alloc *a, const struct simd_kernels *kernels, struct slice bytes,
                    uint32_t dim, enum metric metric, struct quantizer **out, struct error *err)
{
    return coded_open(&quantizer_sq4, CODED_SCALED, a, kernels, bytes, dim, metric, out, err);
}

static size_t sq4_code_bytes(uint32_t number, uint32_t dim)
{
    (void)number;
    return coded_bytes(4, dim);
}

const struct quantizer_vtab quantizer_sq8 = {
    .mode_word = "SQ8",
    .train = sq8_train,
    .open = sq8_open,
    .code_bytes = sq8_code_bytes,
    .oracle_bytes = coded_oracle_bytes,
    CODED_VTAB_REST,
};

const struct quantizer_vtab quantizer_sq4 = {
    .mode_word = "SQ4",
    .train = sq4_train,
    .open = sq4_open,
    .code_bytes = sq4_code_bytes,
    .oracle_bytes = coded_oracle_bytes,
    CODED_VTAB_REST,
};
