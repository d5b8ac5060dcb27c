/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdbool.h>

#include "base/log.h"
#include "simd/cpu.h"

static void test_no_words_mean_serial(void **state)
{
    (void)state;
    assert_int_equal(cpu_best_level(&(struct cpu_words){0}), SIMD_SERIAL);
}

#if defined(__x86_64__)
/* Words of a processor with everything, under a system that saves everything: FMA, OSXSAVE, AVX and
 * F16C; AVX2 and AVX-512 F, DQ, BW, VL; AVX-512 VNNI and VPOPCNTDQ; x87, xmm, ymm, masks and both
 * zmm parts. */
static const struct cpu_words everything = {
    .leaf1_ecx = 1u << 12 | 1u << 27 | 1u << 28 | 1u << 29,
    .leaf7_ebx = 1u << 5 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31,
    .leaf7_ecx = 1u << 11 | 1u << 14,
    .xcr0 = 0xe7,
};

static void test_each_missing_extension_lowers_the_level(void **state)
{
    (void)state;
    assert_int_equal(cpu_best_level(&everything), SIMD_VPOPCNT);
    for (unsigned bit = 0; bit < 32; bit++) {
        struct cpu_words words = everything;
        words.leaf1_ecx &= ~(1u << bit);
        bool is_needed = everything.leaf1_ecx >> bit & 1;
        assert_int_equal(cpu_best_level(&words), is_needed ? SIMD_SERIAL : SIMD_VPOPCNT);

        words = everything;
        words.leaf7_ebx &= ~(1u << bit);
        is_needed = everything.leaf7_ebx >> bit & 1;
        enum simd_level without = bit == 5 ? SIMD_SERIAL : SIMD_AVX2;
        assert_int_equal(cpu_best_level(&words), is_needed ? without : SIMD_VPOPCNT);

        words = everything;
        words.leaf7_ecx &= ~(1u << bit);
        without = bit == 11 ? SIMD_AVX512 : bit == 14 ? SIMD_VNNI : SIMD_VPOPCNT;
        assert_int_equal(cpu_best_level(&words), without);
    }
}

static void test_registers_that_the_system_does_not_save_are_not_used(void **state)
{
    (void)state;
    static const struct {
        uint64_t xcr0;
        enum simd_level level;
    } cases[] = {
        {0xe7, SIMD_VPOPCNT}, {0xe6, SIMD_VPOPCNT}, {0x07, SIMD_AVX2},   {0x67, SIMD_AVX2},
        {0xa7, SIMD_AVX2},    {0xc7, SIMD_AVX2},    {0xe3, SIMD_SERIAL}, {0xe5, SIMD_SERIAL},
        {0x03, SIMD_SERIAL},  {0, SIMD_SERIAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cpu_words words = everything;
        words.xcr0 = cases[i].xcr0;
        assert_int_equal(cpu_best_level(&words), cases[i].level);
    }
}
#elif defined(__aarch64__)
/* AT_HWCAP with Advanced SIMD and dot products of bytes. */
static const struct cpu_words everything = {.hwcap = 1u << 1 | 1u << 20};

static void test_each_missing_extension_lowers_the_level(void **state)
{
    (void)state;
    assert_int_equal(cpu_best_level(&everything), SIMD_DOTPROD);
    for (unsigned bit = 0; bit < 64; bit++) {
        struct cpu_words words = everything;
        words.hwcap &= ~((uint64_t)1 << bit);
        enum simd_level without = bit == 1 ? SIMD_SERIAL : bit == 20 ? SIMD_NEON : SIMD_DOTPROD;
        assert_int_equal(cpu_best_level(&words), without);
    }
}
#endif

static void test_probe_agrees_with_the_compiler_library(void **state)
{
    (void)state;
    struct cpu_words words;
    cpu_probe(&words);
#if defined(__x86_64__)
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); /* and F16C */
    bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    enum simd_level wide = !__builtin_cpu_supports("avx512vnni")       ? SIMD_AVX512
                           : __builtin_cpu_supports("avx512vpopcntdq") ? SIMD_VPOPCNT
                                                                       : SIMD_VNNI;
    enum simd_level expected = !has_avx2 ? SIMD_SERIAL : has_avx512 ? wide : SIMD_AVX2;
    assert_int_equal(cpu_best_level(&words), expected);
#elif defined(__aarch64__)
    assert_int_equal(cpu_best_level(&words) >= SIMD_NEON, 1); /* Linux asks for it */
#else
    assert_int_equal(cpu_best_level(&words), SIMD_SERIAL);
#endif
}

struct captured {
    int count;
    char text[256];
};

static void capture(void *ctx, enum log_level level, const char *message)
{
    struct captured *captured = ctx;
    assert_int_equal(level, LOG_WARN);
    captured->count++;
    snprintf(captured->text, sizeof captured->text, "%s", message);
}

/* Every kind of machine has one level above serial at least. */
static const enum simd_level highest_level = (enum simd_level)(SIMD_LEVEL_COUNT - 1);

static void test_override_lowers_the_level(void **state)
{
    (void)state;
    struct captured captured = {0};
    log_set_sink(capture, &captured, LOG_INFO);
    assert_int_equal(cpu_choose_level(NULL, highest_level), highest_level);
    assert_int_equal(cpu_choose_level("", highest_level), highest_level);
    assert_int_equal(cpu_choose_level("serial", highest_level), SIMD_SERIAL);
    assert_int_equal(cpu_choose_level("serial", SIMD_SERIAL), SIMD_SERIAL);
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++)
        assert_int_equal(cpu_choose_level(cpu_level_name(level), highest_level), level);
    assert_int_equal(captured.count, 0);
    log_set_sink(NULL, NULL, LOG_INFO);
}

static void test_override_that_cannot_be_followed_is_said_and_ignored(void **state)
{
    (void)state;
    const char *highest = cpu_level_name(highest_level);
    struct captured captured = {0};
    log_set_sink(capture, &captured, LOG_INFO);
    assert_int_equal(cpu_choose_level(highest, SIMD_SERIAL), SIMD_SERIAL);
    assert_int_equal(captured.count, 1);
    assert_non_null(strstr(captured.text, highest));
    assert_non_null(strstr(captured.text, "serial"));
    assert_int_equal(cpu_choose_level("mmx", highest_level), highest_level);
    assert_int_equal(captured.count, 2);
    assert_non_null(strstr(captured.text, "mmx"));
    assert_int_equal(cpu_choose_level("SERIAL", highest_level), highest_level);
    assert_int_equal(captured.count, 3);
    log_set_sink(NULL, NULL, LOG_INFO);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_no_words_mean_serial),
    cmocka_unit_test(test_each_missing_extension_lowers_the_level),
#if defined(__x86_64__)
    cmocka_unit_test(test_registers_that_the_system_does_not_save_are_not_used),
#endif
    cmocka_unit_test(test_probe_agrees_with_the_compiler_library),
    cmocka_unit_test(test_override_lowers_the_level),
    cmocka_unit_test(test_override_that_cannot_be_followed_is_said_and_ignored),
};

TEST_MAIN(tests)
