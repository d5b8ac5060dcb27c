/* SPDX-License-Identifier: Apache-2.0 */
/* part_repair.h — make the checksums of a damaged segment part right again, so that what stands
 * behind them has to find the damage (P9).  Header-only: tests and fuzz targets share it. */
#ifndef SUPPORT_PART_REPAIR_H
#define SUPPORT_PART_REPAIR_H

#include <stdlib.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"
#include "codec/block.h"
#include "store/part_layout.h"

/* The sums inside a documents part: of its blocks, one after the other from the first on. */
static inline void part_repair_documents(uint8_t *bytes, size_t size)
{
    size_t at = PART_HEADER_BYTES;
    while (size - at >= BLOCK_HEADER_BYTES && memcmp(bytes + at, "LBk1", 4) == 0) {
        size_t stored = load_u32(bytes + at + 8), left = size - at - BLOCK_HEADER_BYTES;
        if (stored > left) return;
        store_u64(bytes + at + 16, hash_xxh3_64(bytes + at + BLOCK_HEADER_BYTES, stored));
        at += BLOCK_HEADER_BYTES + stored;
    }
}

/* Right all sums of `bytes` as far as its own footer lets one find them, and give the hash that a
 * manifest would have.  false: there is no footer to go by. */
static inline bool part_repair(uint8_t *bytes, size_t size, struct hash128 *out_hash)
{
    *out_hash = (struct hash128){0, 0};
    if (size < PART_HEADER_BYTES + PART_FOOTER_BYTES) return false;
    uint8_t *footer = bytes + size - PART_FOOTER_BYTES;
    store_u32(bytes + PART_AT_CRC, crc32c(0, bytes, PART_AT_CRC));
    uint64_t end = load_u64(footer + PART_END_AT_END);
    if (end < PART_HEADER_BYTES || end > size - PART_FOOTER_BYTES) return false;
    uint64_t blocks = (end - PART_HEADER_BYTES + CHECKSUM_BLOCK_BYTES - 1) / CHECKSUM_BLOCK_BYTES;
    if (blocks * 8 > size - PART_FOOTER_BYTES - end) return false;
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t at = PART_HEADER_BYTES + i * CHECKSUM_BLOCK_BYTES;
        size_t count = end - at < CHECKSUM_BLOCK_BYTES ? (size_t)(end - at) : CHECKSUM_BLOCK_BYTES;
        store_u64(bytes + end + i * 8, hash_xxh3_64(bytes + at, count));
    }
    size_t tail = size - (size_t)end - (PART_FOOTER_BYTES - PART_END_AT_HASH);
    uint8_t *covered = (uint8_t *)malloc(PART_HEADER_BYTES + tail);
    if (!covered) return false;
    memcpy(covered, bytes, PART_HEADER_BYTES);
    memcpy(covered + PART_HEADER_BYTES, bytes + end, tail);
    *out_hash = hash_xxh3_128(covered, PART_HEADER_BYTES + tail);
    free(covered);
    store_u64(footer + PART_END_AT_HASH, out_hash->low);
    store_u64(footer + PART_END_AT_HASH + 8, out_hash->high);
    return true;
}

#endif
