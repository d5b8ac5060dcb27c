/* SPDX-License-Identifier: Apache-2.0 */
/* rabitq.c — RaBitQ of 1 to 8 bits a component, and PolarVec, which is the same codes by another
 * name, of 4 bits where none are asked for (coded.h). */
#include "quant/coded.h"

static uint32_t bits_of(const struct quantizer_vtab *vtab, uint32_t number)
{
    return number > 0 ? number : vtab->number_standard;
}

static int rabitq_train(const struct quantizer_train_desc *desc, struct quantizer **out,
                        struct error *err)
{
    uint32_t bits = bits_of(&quantizer_rabitq, desc->number);
    return coded_train(&quantizer_rabitq, desc, CODED_TURNED, bits, out, err);
}

static int rabitq_open(struct alloc *a, const struct simd_kernels *kernels, struct slice bytes,
                       uint32_t dim, enum metric metric, struct quantizer **out, struct error *err)
{
    return coded_open(&quantizer_rabitq, CODED_TURNED, a, kernels, bytes, dim, metric, out, err);
}

static int polarvec_train(const struct quantizer_train_desc *desc, struct quantizer **out,
                          struct error *err)
{
    uint32_t bits = bits_of(&quantizer_polarvec, desc->number);
    return coded_train(&quantizer_polarvec, desc, CODED_TURNED, bits, out, err);
}

static int polarvec_open(struct alloc *a, const struct simd_kernels *kernels, struct slice bytes,
                         uint32_t dim, enum metric metric, struct quantizer **out,
                         struct error *err)
{
    return coded_open(&quantizer_polarvec, CODED_TURNED, a, kernels, bytes, dim, metric, out, err);
}

static size_t rabitq_code_bytes(uint32_t number, uint32_t dim)
{
    return coded_bytes(bits_of(&quantizer_rabitq, number), dim);
}

static size_t polarvec_code_bytes(uint32_t number, uint32_t dim)
{
    return coded_bytes(bits_of(&quantizer_polarvec, number), dim);
}

const struct quantizer_vtab quantizer_rabitq = {
    .mode_word = "RABITQ",
    .number_low = 1,
    .number_high = QUANT_BITS_MAX,
    .number_standard = 1,
    .train = rabitq_train,
    .open = rabitq_open,
    .code_bytes = rabitq_code_bytes,
    .oracle_bytes = coded_oracle_bytes,
    CODED_VTAB_REST,
};

const struct quantizer_vtab quantizer_polarvec = {
    .mode_word = "POLARVEC",
    .number_low = 1,
    .number_high = QUANT_BITS_MAX,
    .number_standard = 4,
    .train = polarvec_train,
    .open = polarvec_open,
    .code_bytes = polarvec_code_bytes,
    .oracle_bytes = coded_oracle_bytes,
    CODED_VTAB_REST,
};
