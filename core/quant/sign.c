/* SPDX-License-Identifier: Apache-2.0 */
/* sign.c — sign bits: RaBitQ's codes of one bit, of components that are not rotated (coded.h,
 * the still frame).  Quicker to make, for vectors that are spread evenly as they are. */
#include "quant/coded.h"

static int sign_train(const struct quantizer_train_desc *desc, struct quantizer **out,
                      struct error *err)
{
    return coded_train(&quantizer_sign, desc, CODED_STILL, 1, out, err);
}

static int sign_open(struct alloc *a, const struct simd_kernels *kernels, struct slice bytes,
                     uint32_t dim, enum metric metric, struct quantizer **out, struct error *err)
{
    return coded_open(&quantizer_sign, CODED_STILL, a, kernels, bytes, dim, metric, out, err);
}

static size_t sign_code_bytes(uint32_t number, uint32_t dim)
{
    (void)number;
    return coded_bytes(1, dim);
}

const struct quantizer_vtab quantizer_sign = {
    .mode_word = "SIGN",
    .train = sign_train,
    .open = sign_open,
    .code_bytes = sign_code_bytes,
    .oracle_bytes = coded_oracle_bytes,
    CODED_VTAB_REST,
};
