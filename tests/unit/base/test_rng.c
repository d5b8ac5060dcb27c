/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>

#include "support/test.h"

static void generator_gives_the_published_numbers(void **state)
{
    (void)state;
    struct rng r = {{1, 2, 3, 4}};
    const uint64_t expected[] = {11520ull, 0ull, 1509978240ull, 1215971899390074240ull};
    for (int i = 0; i < 4; i++) assert_true(rng_u64(&r) == expected[i]);
}

static void seeding_gives_the_published_state(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 0);
    const uint64_t expected[] = {0xE220A8397B1DCDAFull, 0x6E789E6AA1B965F4ull,
                                 0x06C45D188009454Full, 0xF88BB8A8724C81ECull};
    for (int i = 0; i < 4; i++) assert_true(r.state[i] == expected[i]);
    assert_true(rng_u64(&r) == 0x99EC5F36CB75F2B4ull);
}

/* Indexes are built from these: a change here changes files. */
static void draws_never_change(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 42);
    const uint64_t below[] = {83, 378, 680, 924};
    for (int i = 0; i < 4; i++) assert_int_equal(rng_below(&r, 1000), below[i]);
    assert_true(rng_unit(&r) == 0x1.fbcdb8ffc5d8bp-1);
    assert_true(fabs((double)rng_normal(&r) - (-0.328971619)) < 1e-6);
    uint8_t bytes[11];
    const uint8_t expected[11] = {0x87, 0x00, 0xE6, 0xEB, 0x43, 0x27, 0x9A, 0xD9, 0x7E, 0x64, 0x97};
    rng_bytes(&r, bytes, sizeof bytes);
    assert_memory_equal(bytes, expected, sizeof bytes);
    assert_true(rng_u64(&r) == 0x9556615F775FBC3Dull);
}

static void below_is_in_range_and_even(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(7));
    const uint64_t bounds[] = {1, 2, 3, 7, 10, 1ull << 32, (1ull << 63) + 1, UINT64_MAX};
    for (size_t b = 0; b < sizeof bounds / sizeof bounds[0]; b++)
        for (int i = 0; i < 1000; i++) assert_true(rng_below(&r, bounds[b]) < bounds[b]);
    int counts[7] = {0};
    for (int i = 0; i < 70000; i++) counts[rng_below(&r, 7)]++;
    for (int i = 0; i < 7; i++) assert_in_range(counts[i], 9500, 10500);
    /* A bound of 3/4 of the range is where draws without rejection are least even: one third would
     * get half of them. */
    int thirds[3] = {0};
    const uint64_t bound = 3ull << 62;
    for (int i = 0; i < 30000; i++) thirds[rng_below(&r, bound) >> 62]++;
    for (int i = 0; i < 3; i++) assert_in_range(thirds[i], 9500, 10500);
}

static void distributions_have_their_moments(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(8));
    enum { COUNT = 200000 };
    double unit_sum = 0, sum = 0, square_sum = 0;
    int hits = 0;
    for (int i = 0; i < COUNT; i++) {
        double unit = rng_unit(&r);
        assert_true(unit >= 0 && unit < 1);
        unit_sum += unit;
        double normal = (double)rng_normal(&r);
        assert_true(isfinite(normal));
        sum += normal;
        square_sum += normal * normal;
        hits += rng_chance(&r, 0.25);
    }
    assert_true(fabs(unit_sum / COUNT - 0.5) < 0.01);
    assert_true(fabs(sum / COUNT) < 0.02);
    assert_true(fabs(square_sum / COUNT - 1) < 0.02);
    assert_in_range(hits, COUNT / 4 - 1500, COUNT / 4 + 1500);
    for (int i = 0; i < 1000; i++) {
        assert_false(rng_chance(&r, 0));
        assert_true(rng_chance(&r, 1));
    }
}

static void system_bytes_differ(void **state)
{
    (void)state;
    uint8_t a[700] = {0};
    uint8_t b[700] = {0};
    assert_int_equal(rng_system_bytes(a, sizeof a), 0);
    assert_int_equal(rng_system_bytes(b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(rng_system_bytes(NULL, 0), 0);
}

static void uuids_have_version_and_variant_and_round_trip(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(9));
    struct uuid previous = {{0}};
    for (int i = 0; i < 1000; i++) {
        struct uuid u = uuid_make(&r);
        assert_int_equal(u.bytes[6] >> 4, 4);
        assert_int_equal(u.bytes[8] >> 6, 2);
        assert_false(uuid_equal(&u, &previous));
        char text[UUID_TEXT_BYTES];
        uuid_format(&u, text);
        assert_int_equal(strlen(text), 32);
        struct uuid back;
        assert_true(uuid_parse(text, 32, &back));
        assert_true(uuid_equal(&u, &back));
        previous = u;
    }
}

static void uuid_text_is_the_bytes_in_order(void **state)
{
    (void)state;
    const struct uuid u = {{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB,
                            0xCC, 0xDD, 0xEE, 0xFF}};
    char text[UUID_TEXT_BYTES];
    uuid_format(&u, text);
    assert_string_equal(text, "00112233445566778899aabbccddeeff");
    struct uuid back;
    assert_true(uuid_parse("00112233445566778899AABBCCDDEEFF", 32, &back));
    assert_true(uuid_equal(&u, &back));
}

static void bad_uuid_text_is_refused(void **state)
{
    (void)state;
    const char good[] = "00112233445566778899aabbccddeeff";
    struct uuid untouched = {{7}};
    struct uuid out = untouched;
    for (size_t size = 0; size < 32; size++) assert_false(uuid_parse(good, size, &out));
    assert_false(uuid_parse("00112233445566778899aabbccddeeff0", 33, &out));
    for (size_t at = 0; at < 32; at++) {
        const char bad[] = {'g', 'G', '/', ':', '@', '`', ' ', '-', '\0', (char)0xFF};
        for (size_t i = 0; i < sizeof bad; i++) {
            char text[33];
            memcpy(text, good, sizeof text);
            text[at] = bad[i];
            assert_false(uuid_parse(text, 32, &out));
        }
    }
    assert_true(uuid_equal(&out, &untouched));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(generator_gives_the_published_numbers),
    cmocka_unit_test(seeding_gives_the_published_state),
    cmocka_unit_test(draws_never_change),
    cmocka_unit_test(below_is_in_range_and_even),
    cmocka_unit_test(distributions_have_their_moments),
    cmocka_unit_test(system_bytes_differ),
    cmocka_unit_test(uuids_have_version_and_variant_and_round_trip),
    cmocka_unit_test(uuid_text_is_the_bytes_in_order),
    cmocka_unit_test(bad_uuid_text_is_refused),
};

TEST_MAIN(tests)
