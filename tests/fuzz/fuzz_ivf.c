/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ivf.c — lists (fuzz_index.h).  Bits 2-3 of byte 0 are the quantizer, 4-7 how many lists. */
#include "fuzz/fuzz_index.h"
#include "index/ivf.h"

static void choose(uint8_t how, struct index_params *params, struct quantizer_spec *quantizer)
{
    params->values[IVF_N_CLUSTERS] = how / 16;
    params->values[IVF_NPROBE] = 2;
    if (how / 4 % 4 > 0) quantizer->kind = how / 4 % 4 == 1 ? QUANTIZER_SQ8 : QUANTIZER_RABITQ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_index(&index_ivf, choose, data, size);
    return 0;
}
