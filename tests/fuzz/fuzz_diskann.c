/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_diskann.c — graphs on the disk (fuzz_index.h).  Bits 2-3 of byte 0 are the quantizer, 4-7
 * how many neighbours, 5-7 what numbers the rows are too, and so how wide those in pages.  Hashes
 * of pages are made right again, so that what stands behind them is reached; a search over pages
 * that are wrong may fail. */
#include "base/hash.h"
#include "fuzz/fuzz_index.h"
#include "index/diskann.h"

static void repair_pages(struct image *i)
{
    for (size_t s = 0; s < i->image.section_count; s++) {
        uint64_t page_bytes = i->sections[s].number;
        if (i->sections[s].kind != DISKANN_SECTION_PAGES) continue;
        for (uint64_t at = 0; at + page_bytes <= i->sections[s].bytes; at += page_bytes) {
            uint8_t *page = i->memory[s] + at;
            store_u64(page, hash_xxh3_64(page + 8, (size_t)page_bytes - 8));
        }
    }
}

static void choose(uint8_t how, struct index_params *params, struct quantizer_spec *quantizer)
{
    params->values[DISKANN_R] = DISKANN_R_MIN + how / 16;
    params->values[DISKANN_L] = 16;
    params->values[DISKANN_MEMORY] = how / 4 % 4 == 3;
    if (how / 4 % 4 == 1) quantizer->kind = QUANTIZER_SQ8;
    if (how / 4 % 4 == 2) quantizer->kind = QUANTIZER_RABITQ;
}

static enum storage_type numbers_of(uint8_t how)
{
    static const enum storage_type numbers[] = {STORAGE_F32,  STORAGE_U8,  STORAGE_I8, STORAGE_F16,
                                                STORAGE_BF16, STORAGE_F32, STORAGE_U8, STORAGE_I8};
    return numbers[how / 32];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_repaired(&index_diskann, choose, numbers_of, repair_pages, data, size);
    return 0;
}
