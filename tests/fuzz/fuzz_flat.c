/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_flat.c — codes of all rows (fuzz_index.h), by each quantizer that is trained.  Bits 2-4 of
 * byte 0 are the quantizer, 5-7 its number, as far as it takes one. */
#include "fuzz/fuzz_index.h"
#include "index/flat_codes.h"

static void choose(uint8_t how, struct index_params *params, struct quantizer_spec *quantizer)
{
    const unsigned trained = QUANTIZER_COUNT - QUANTIZER_SQ8;

    (void)params;
    quantizer->kind = (enum quantizer_kind)(QUANTIZER_SQ8 + how / 4 % 8 % trained);
    if (quantizer_find(quantizer->kind)->number_high > 0) quantizer->number = how / 32;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_index(&index_flat, choose, data, size);
    return 0;
}
