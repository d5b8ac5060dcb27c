/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_spann.c — short lists on the disk (fuzz_index.h).  Bits 2-3 of byte 0 are how many replicas,
 * 4-7 how many lists.  Hashes of lists are made right again, so that what stands behind them is
 * reached; a search over lists that are wrong may fail. */
#include "base/hash.h"
#include "fuzz/fuzz_index.h"
#include "index/spann.h"

/* As long as the starts say that lists are, if they are right. */
static void repair_lists(struct image *i)
{
    const struct index_section *starts = index_image_find(&i->image, SPANN_SECTION_STARTS);
    const struct index_section *lists = index_image_find(&i->image, SPANN_SECTION_LISTS);
    uint8_t *bytes = i->memory[lists - i->sections];
    uint64_t at = 0;

    for (size_t list = 0; list + 2 <= starts->bytes / 4; list++) {
        const uint32_t *start = (const uint32_t *)starts->data + list;
        if (start[1] < start[0] || start[1] - start[0] > ROWS_END) return;
        size_t size = spann_list_bytes(start[1] - start[0], DIM);
        if (at + size > lists->bytes) return;
        store_u64(bytes + at, hash_xxh3_64(bytes + at + 8, size - 8));
        at += size;
    }
}

static void choose(uint8_t how, struct index_params *params, struct quantizer_spec *quantizer)
{
    (void)quantizer;
    params->values[SPANN_N_CLUSTERS] = how / 16;
    params->values[SPANN_REPLICA_COUNT] = how / 4 % 4;
    params->values[SPANN_NPROBE] = 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_repaired(&index_spann, choose, NULL, repair_lists, data, size);
    return 0;
}
