/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_hnsw.c — graphs (fuzz_index.h).  Bits 2-3 of byte 0 are the layout. */
#include "fuzz/fuzz_index.h"
#include "index/hnsw.h"

static void choose(uint8_t how, struct index_params *params, struct quantizer_spec *quantizer)
{
    params->values[HNSW_M] = 4;
    params->values[HNSW_EF_CONSTRUCTION] = 8;
    params->values[HNSW_FAST] = how / 4 % 4 == 2;
    if (how / 4 % 4 > 0) quantizer->kind = how / 4 % 4 == 1 ? QUANTIZER_SQ8 : QUANTIZER_RABITQ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_index(&index_hnsw, choose, data, size);
    return 0;
}
