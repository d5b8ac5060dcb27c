/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.h — which instruction sets may be used here, as levels that contain each other.
 *
 * A level counts only when the processor has all of its extensions and the system saves the
 * registers that they use.
 */
#ifndef SIMD_CPU_H
#define SIMD_CPU_H

#include <stdint.h>

/* Lowest first, of this kind of machine.  SERIAL is plain C and exists everywhere.
 *    level   name       needs                                                        */
#if defined(__aarch64__)
#define SIMD_LEVELS(_)                                                                             \
    _(SERIAL, serial)   /* nothing */                                                              \
    _(NEON, neon)       /* Advanced SIMD, which every ARMv8-A has, with conversions of f16 */      \
    _(DOTPROD, dotprod) /* and dot products of bytes, from ARMv8.2 on */
#else
#define SIMD_LEVELS(_)                                                                             \
    _(SERIAL, serial)   /* nothing */                                                              \
    _(AVX2, avx2)       /* AVX2, FMA, F16C; ymm state saved */                                     \
    _(AVX512, avx512)   /* and AVX-512 F, BW, DQ, VL; zmm and mask state saved */                  \
    _(VNNI, vnni)       /* and AVX-512 VNNI */                                                     \
    _(VPOPCNT, vpopcnt) /* and AVX-512 VPOPCNTDQ */
#endif

enum simd_level {
#define SIMD_LEVEL(LEVEL, name) SIMD_##LEVEL,
    SIMD_LEVELS(SIMD_LEVEL)
#undef SIMD_LEVEL
        SIMD_LEVEL_COUNT
};

/* "serial", "avx2", …; static storage. */
const char *cpu_level_name(enum simd_level level);

/* What the machine says of itself; what is of another kind is zero. */
struct cpu_words {
    uint32_t leaf1_ecx; /* CPUID.1:ECX */
    uint32_t leaf7_ebx; /* CPUID.(7,0):EBX */
    uint32_t leaf7_ecx; /* CPUID.(7,0):ECX */
    uint64_t xcr0;      /* XGETBV(0); 0 unless OSXSAVE */
    uint64_t hwcap;     /* AT_HWCAP of Linux on aarch64 */
};

/* Asks the processor; a few hundred cycles, more in a virtual machine: once per process. */
void cpu_probe(struct cpu_words *out_words);

/* The highest level that the words allow. */
enum simd_level cpu_best_level(const struct cpu_words *words);

/* The level to use: `override` is the text of LYNSE_SIMD, or NULL.  A level's name lowers `best` to
 * that level.  Empty is NULL.  A name that is unknown, or above `best`, changes nothing and is
 * logged. */
enum simd_level cpu_choose_level(const char *override, enum simd_level best);

#endif
