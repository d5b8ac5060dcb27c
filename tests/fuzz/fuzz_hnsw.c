/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_hnsw.c — graphs (fuzz_index.h).  Bits 2-3 of byte 0 are the layout, 4-6 which quantizer a
 * lean graph of codes has. */
#include "fuzz/fuzz_index.h"
#include "index/hnsw.h"

static void choose(uint8_t how, struct index_params *params, struct quantizer_spec *quantizer)
{
    const unsigned trained = QUANTIZER_COUNT - QUANTIZER_SQ8;

    params->values[HNSW_M] = 4;
    params->values[HNSW_EF_CONSTRUCTION] = 8;
    params->values[HNSW_FAST] = how / 4 % 4 == 2;
    if (how / 4 % 4 == 1)
        quantizer->kind = (enum quantizer_kind)(QUANTIZER_SQ8 + how / 16 % 8 % trained);
    else if (how / 4 % 4 > 1) quantizer->kind = QUANTIZER_RABITQ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_index(&index_hnsw, choose, data, size);
    return 0;
}
