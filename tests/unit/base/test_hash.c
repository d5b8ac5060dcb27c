/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "base/bytes.h"
#include "support/test.h"

typedef uint32_t crc_fn(uint32_t crc, const void *data, size_t size);
static crc_fn *const variants[] = {crc32c, crc32c_portable};

/* One bit at a time, straight from the definition. */
static uint32_t crc32c_bitwise(uint32_t crc, const uint8_t *data, size_t size)
{
    uint32_t reg = ~crc;
    for (size_t i = 0; i < size; i++) {
        reg ^= data[i];
        for (int bit = 0; bit < 8; bit++) reg = (reg >> 1) ^ (0x82F63B78u & (0u - (reg & 1u)));
    }
    return ~reg;
}

/* Filler that does not depend on the code under test. */
static void fill(uint8_t *data, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
}

static void crc_gives_the_published_values(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t rising[32];
    uint8_t falling[32];
    memset(ones, 0xFF, sizeof ones);
    for (uint8_t i = 0; i < 32; i++) {
        rising[i] = i;
        falling[i] = (uint8_t)(31 - i);
    }
    /* RFC 3720 B.4: an iSCSI SCSI Read (10) command PDU. */
    const uint8_t pdu[48] = {0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
                             0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
                             0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0};
    for (size_t v = 0; v < 2; v++) {
        assert_int_equal(variants[v](0, "123456789", 9), 0xE3069283u);
        assert_int_equal(variants[v](0, zeros, 32), 0x8A9136AAu);
        assert_int_equal(variants[v](0, ones, 32), 0x62A8AB43u);
        assert_int_equal(variants[v](0, rising, 32), 0x46DD794Eu);
        assert_int_equal(variants[v](0, falling, 32), 0x113FDB5Cu);
        assert_int_equal(variants[v](0, pdu, 48), 0xD9963A56u);
        assert_int_equal(variants[v](0, "", 0), 0u);
        assert_int_equal(variants[v](0x12345678u, NULL, 0), 0x12345678u);
    }
}

static void crc_agrees_at_every_size_and_alignment(void **state)
{
    (void)state;
    static uint8_t data[1400];
    fill(data, sizeof data, 7);
    for (size_t offset = 0; offset < 8; offset++) {
        for (size_t size = 0; size <= 1300; size++) {
            uint32_t expected = crc32c_bitwise(0xDEADBEEFu, data + offset, size);
            assert_int_equal(crc32c(0xDEADBEEFu, data + offset, size), expected);
            assert_int_equal(crc32c_portable(0xDEADBEEFu, data + offset, size), expected);
        }
    }
}

static void crc_agrees_around_the_interleaved_blocks(void **state)
{
    (void)state;
    static uint8_t data[20000];
    fill(data, sizeof data, 99);
    const size_t near[] = {384, 768, 3072, 3072 + 384, 6144, 6144 + 768, 9216, 18432};
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        for (size_t size = near[i] - 9; size <= near[i] + 9; size++) {
            for (size_t offset = 0; offset < 9; offset++)
                assert_int_equal(crc32c(1, data + offset, size),
                                 crc32c_portable(1, data + offset, size));
        }
    }
}

static void crc_chains(void **state)
{
    (void)state;
    static uint8_t data[8000];
    fill(data, sizeof data, 5);
    uint32_t whole = crc32c(0, data, sizeof data);
    for (size_t cut = 0; cut <= sizeof data; cut += 37) {
        uint32_t first = crc32c(0, data, cut);
        assert_int_equal(crc32c(first, data + cut, sizeof data - cut), whole);
    }
}

static void xxh3_gives_the_published_values(void **state)
{
    (void)state;
    /* The sanity values of the xxHash specification for the empty input, and fixed ones of ours:
     * files carry these hashes, so that they may never change. */
    assert_true(hash_xxh3_64("", 0) == 0x2D06800538D394C2ull);
    struct hash128 empty = hash_xxh3_128("", 0);
    assert_true(empty.low == 0x6001C324468D497Full);
    assert_true(empty.high == 0x99AA06D3014798D8ull);
    static uint8_t data[70000];
    fill(data, sizeof data, 3);
    uint64_t seen[6];
    const size_t sizes[6] = {1, 16, 100, 240, 1000, 70000};
    for (size_t i = 0; i < 6; i++) {
        seen[i] = hash_xxh3_64(data, sizes[i]);
        struct hash128 h = hash_xxh3_128(data, sizes[i]);
        uint8_t copy[8];
        store_u64(copy, h.low);
        assert_true(h.low != h.high);
        /* For inputs over 240 bytes XXH3-64 is the low half of XXH3-128. */
        if (sizes[i] > 240) assert_true(load_u64(copy) == seen[i]);
    }
    for (size_t i = 1; i < 6; i++) assert_true(seen[i] != seen[i - 1]);
}

static void integer_mix_is_bijective_and_spreads(void **state)
{
    (void)state;
    /* Undone step by step it gives the input back. */
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t v = i * 0x123456789ABCDEFull + i;
        uint64_t h = hash_u64(v);
        h = h ^ (h >> 31) ^ (h >> 62);
        h *= 0x319642B2D24D8EC3ull;
        h = h ^ (h >> 27) ^ (h >> 54);
        h *= 0x96DE1B173F119089ull;
        h = h ^ (h >> 30) ^ (h >> 60);
        assert_true(h == v);
    }
    int flips = 0;
    for (int bit = 0; bit < 64; bit++)
        flips += __builtin_popcountll(hash_u64(12345) ^ hash_u64(12345 ^ (1ull << bit)));
    assert_in_range(flips, 64 * 28, 64 * 36);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(crc_gives_the_published_values),
    cmocka_unit_test(crc_agrees_at_every_size_and_alignment),
    cmocka_unit_test(crc_agrees_around_the_interleaved_blocks),
    cmocka_unit_test(crc_chains),
    cmocka_unit_test(xxh3_gives_the_published_values),
    cmocka_unit_test(integer_mix_is_bijective_and_spreads),
};

TEST_MAIN(tests)
