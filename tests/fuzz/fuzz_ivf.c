/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ivf.c — lists (fuzz_index.h).  Bits 2-3 of byte 0 are the quantizer, 4-7 how many lists. */
#include "fuzz/fuzz_index.h"
#include "index/ivf.h"

static void choose(uint8_t how, struct index_params *params, struct quantizer_spec *quantizer)
{
    static const enum quantizer_kind quantizers[] = {QUANTIZER_RAW, QUANTIZER_SQ8, QUANTIZER_RABITQ,
                                                     QUANTIZER_PQFS};

    params->values[IVF_N_CLUSTERS] = how / 16;
    params->values[IVF_NPROBE] = 2;
    quantizer->kind = quantizers[how / 4 % 4];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_index(&index_ivf, choose, data, size);
    return 0;
}
