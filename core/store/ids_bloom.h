/* SPDX-License-Identifier: Apache-2.0 */
/* ids_bloom.h — the blocked Bloom filter of an ids part (FORMAT.md 7): all bits of an id lie in one
 * cache line (F. Putze, P. Sanders, J. Singler, "Cache-, Hash- and Space-Efficient Bloom Filters",
 * 2007).  With 10 bits an id and 7 probes about 1 of 100 absent ids passes.
 *
 * hash is id_hash: its upper half chooses the block, its mix with itself the bits. */
#ifndef STORE_IDS_BLOOM_H
#define STORE_IDS_BLOOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

enum {
    BLOOM_BLOCK_BYTES = 64,
    BLOOM_BLOCK_BITS = 512,
    BLOOM_BITS_PER_ID = 10,
    BLOOM_PROBES = 7, /* times 9 bits: 63 of one hash */
};

static inline uint64_t bloom_block_count(uint64_t id_count)
{
    return (id_count * BLOOM_BITS_PER_ID + BLOOM_BLOCK_BITS - 1) / BLOOM_BLOCK_BITS;
}

/* block_count below 2^32. */
static inline uint64_t bloom_block_of(uint64_t hash, uint64_t block_count)
{
    return ((hash >> 32) * block_count) >> 32;
}

static inline void bloom_add(uint64_t block[BLOOM_BLOCK_BITS / 64], uint64_t hash)
{
    uint64_t bits = hash_u64(hash);
    for (int i = 0; i < BLOOM_PROBES; i++, bits >>= 9) block[bits >> 6 & 7] |= 1ull << (bits & 63);
}

static inline bool bloom_may_have(const uint64_t block[BLOOM_BLOCK_BITS / 64], uint64_t hash)
{
    uint64_t bits = hash_u64(hash);
    for (int i = 0; i < BLOOM_PROBES; i++, bits >>= 9)
        if (!(block[bits >> 6 & 7] >> (bits & 63) & 1)) return false;
    return true;
}

#endif
