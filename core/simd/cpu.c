/* SPDX-License-Identifier: Apache-2.0 */
#include "simd/cpu.h"

#include <stddef.h>
#include <string.h>

#include "base/log.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

static const char *const level_names[SIMD_LEVEL_COUNT] = {
#define LEVEL_NAME(LEVEL, name) [SIMD_##LEVEL] = #name,
    SIMD_LEVELS(LEVEL_NAME)
#undef LEVEL_NAME
};

/* Intel SDM volume 2, CPUID; volume 1, 13.3 "Enabling the XSAVE feature set". */
#define LEAF1_ECX_FMA (1u << 12)
#define LEAF1_ECX_OSXSAVE (1u << 27)
#define LEAF1_ECX_AVX (1u << 28)
#define LEAF1_ECX_F16C (1u << 29)
#define LEAF7_EBX_AVX2 (1u << 5)
#define LEAF7_EBX_AVX512F (1u << 16)
#define LEAF7_EBX_AVX512DQ (1u << 17)
#define LEAF7_EBX_AVX512BW (1u << 30)
#define LEAF7_EBX_AVX512VL (1u << 31)
#define LEAF7_ECX_AVX512VNNI (1u << 11)
#define LEAF7_ECX_AVX512VPOPCNTDQ (1u << 14)
#define XCR0_YMM 0x06u /* xmm, upper half of ymm */
#define XCR0_ZMM 0xe0u /* masks, upper half of zmm0-15, zmm16-31 */
/* Linux, Documentation/arm64/elf_hwcaps. */
#define HWCAP_OF_ASIMD (1u << 1)
#define HWCAP_OF_DOTPROD (1u << 20)

const char *cpu_level_name(enum simd_level level)
{
    return level_names[level];
}

void cpu_probe(struct cpu_words *out_words)
{
    struct cpu_words words = {0};
#if defined(__x86_64__)
    uint32_t eax, ebx, ecx, edx;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) words.leaf1_ecx = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        words.leaf7_ebx = ebx;
        words.leaf7_ecx = ecx;
    }
    if (words.leaf1_ecx & LEAF1_ECX_OSXSAVE) {
        /* By hand: _xgetbv would need -mxsave for this whole file. */
        __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
        words.xcr0 = (uint64_t)edx << 32 | eax;
    }
#elif defined(__aarch64__)
    words.hwcap = getauxval(AT_HWCAP);
#endif
    *out_words = words;
}

static int has_all(uint64_t word, uint64_t bits)
{
    return (word & bits) == bits;
}

#if defined(__aarch64__)
enum simd_level cpu_best_level(const struct cpu_words *words)
{
    if (!has_all(words->hwcap, HWCAP_OF_ASIMD)) return SIMD_SERIAL;
    return has_all(words->hwcap, HWCAP_OF_DOTPROD) ? SIMD_DOTPROD : SIMD_NEON;
}
#else
enum simd_level cpu_best_level(const struct cpu_words *words)
{
    uint64_t xcr0 = has_all(words->leaf1_ecx, LEAF1_ECX_OSXSAVE) ? words->xcr0 : 0;

    if (!has_all(words->leaf1_ecx, LEAF1_ECX_AVX | LEAF1_ECX_FMA | LEAF1_ECX_F16C) ||
        !has_all(words->leaf7_ebx, LEAF7_EBX_AVX2) || !has_all(xcr0, XCR0_YMM))
        return SIMD_SERIAL;
    if (!has_all(words->leaf7_ebx, LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ | LEAF7_EBX_AVX512BW |
                                       LEAF7_EBX_AVX512VL) ||
        !has_all(xcr0, XCR0_YMM | XCR0_ZMM))
        return SIMD_AVX2;
    if (!has_all(words->leaf7_ecx, LEAF7_ECX_AVX512VNNI)) return SIMD_AVX512;
    return has_all(words->leaf7_ecx, LEAF7_ECX_AVX512VPOPCNTDQ) ? SIMD_VPOPCNT : SIMD_VNNI;
}
#endif

enum simd_level cpu_choose_level(const char *override, enum simd_level best)
{
    if (!override || override[0] == '\0') return best;
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        if (strcmp(override, level_names[level]) != 0) continue;
        if (level <= best) return level;
        log_event(LOG_WARN, "simd_level_unsupported asked=%s used=%s", level_names[level],
                  level_names[best]);
        return best;
    }
    log_event(LOG_WARN, "simd_level_unknown asked=\"%.32s\" used=%s", override, level_names[best]);
    return best;
}
