/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h — CRC32C (our own: SSE4.2, ARMv8 CRC, or slicing tables, chosen once at run time) and
 * XXH3 (xxhash.h, compiled in here and nowhere else).
 *
 * CRC32C is the Castagnoli polynomial, reflected 0x82F63B78, initial value and final xor all ones
 * (RFC 3720 B.4): crc32c(0, "123456789", 9) == 0xE3069283.  Chaining: crc32c(crc32c(0,a),b) is the
 * CRC of a followed by b.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t low;
    uint64_t high;
};

uint32_t crc32c(uint32_t crc, const void *data, size_t size);
uint32_t crc32c_portable(uint32_t crc, const void *data,
                         size_t size); /* the reference, for tests */
uint64_t hash_xxh3_64(const void *data, size_t size);
struct hash128 hash_xxh3_128(const void *data, size_t size);
/* A good mix of one integer (bijective), for hash tables. */
uint64_t hash_u64(uint64_t v);

#endif
