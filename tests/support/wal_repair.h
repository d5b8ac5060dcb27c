/* SPDX-License-Identifier: Apache-2.0 */
/* wal_repair.h — make the checksums of a damaged log file right again, so that what stands behind
 * them has to find the damage (P9).  Header-only: tests and fuzz targets share it. */
#ifndef SUPPORT_WAL_REPAIR_H
#define SUPPORT_WAL_REPAIR_H

#include "base/bytes.h"
#include "base/hash.h"
#include "store/wal_replay.h"

/* The sums of one record, as far as its length lets one find them; its bytes, or 0: it has none. */
static inline size_t wal_repair_record(uint8_t *p, size_t left, uint32_t salt_crc,
                                       uint32_t prev_crc)
{
    if (left < WAL_RECORD_HEADER_BYTES) return 0;
    size_t body = align_up(load_u32(p), 8);
    if (body > left - WAL_RECORD_HEADER_BYTES) return 0;
    store_u32(p + 24, prev_crc);
    store_u16(p + 6, (uint16_t)crc32c(crc32c(salt_crc, p, 6), p + 8, 20));
    store_u32(p + 28, crc32c(crc32c(salt_crc, p, 28), p + WAL_RECORD_HEADER_BYTES, body));
    return WAL_RECORD_HEADER_BYTES + body;
}

/* Header, both copies, then record after record from the first one on. */
static inline void wal_repair(uint8_t *bytes, size_t size)
{
    uint32_t chain = 0;
    if (size < WAL_RECORDS) return;
    memcpy(bytes + WAL_SECOND_HEADER, bytes, WAL_BLOCK_BYTES);
    for (size_t at = 0; at < WAL_RECORDS; at += WAL_BLOCK_BYTES) {
        memset(bytes + at + 132, 0, 120);
        memset(bytes + at + WAL_HEADER_BYTES, 0, WAL_BLOCK_BYTES - WAL_HEADER_BYTES);
        store_u32(bytes + at + 252, crc32c(0, bytes + at, 252));
    }
    uint32_t salt_crc = crc32c(0, bytes + 64, 16);
    for (size_t at = WAL_RECORDS, n = 1; n > 0; at += n) {
        n = wal_repair_record(bytes + at, size - at, salt_crc, chain);
        if (n > 0) chain = load_u32(bytes + at + 28);
    }
}

#endif
