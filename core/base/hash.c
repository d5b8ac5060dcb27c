/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c — CRC32C three ways, and XXH3.
 *
 * WHAT        crc32c picks by what the processor has: SSE4.2 with PCLMULQDQ, the ARMv8 CRC
 *             instructions, or tables.  XXH3 is xxhash.h compiled in here and nowhere else.
 * LAYOUT      A register value is a polynomial over GF(2), reflected: bit 31 is x^0.
 *             Portable: slicing by eight (M. Kounavis, F. Berry, "Novel table lookup-based
 *             algorithms for high-performance CRC generation", 2008).
 *             SSE4.2: the crc32 instruction has a latency of three cycles and starts every cycle,
 *             so three lanes of LANE bytes run side by side and are then joined: lane a must be
 *             moved past two lanes of zeros and lane b past one, i.e. multiplied by x^(8 n) mod P
 *             (V. Gopal et al., "Fast CRC computation for iSCSI polynomial using CRC32
 *             instruction", 2011).  clmul of two reflected 32-bit values is their product times x,
 *             read as 64 bits; crc32(0, those) multiplies by x^32 and reduces.  So the factor for
 *             n bytes is x^(8 n - 33) mod P.
 * INVARIANTS  (1) All variants give equal results for all inputs; crc32c_portable is the reference.
 * THREADS     Any; there is no state.  The choice reads what libgcc or the kernel noted at start.
 * FAILURE     None.
 */
#include "base/hash.h"

#include <stdbool.h>

#include "base/bytes.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- CRC32C, portable ---- */

/* The table entry of byte i is linear in i: the sum of the entries of its bits.  Given the eight
 * entries of single bits the compiler writes out the other 248. */
#define BIT(i, bit, entry) ((((i) >> (bit)) & 1u) != 0 ? (entry) : 0u)
#define ENTRY(i, a, b, c, d, e, f, g, h)                                                           \
    (BIT(i, 0, a) ^ BIT(i, 1, b) ^ BIT(i, 2, c) ^ BIT(i, 3, d) ^ BIT(i, 4, e) ^ BIT(i, 5, f) ^     \
     BIT(i, 6, g) ^ BIT(i, 7, h))
#define ENTRIES_4(i, ...)                                                                          \
    ENTRY(i, __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), ENTRY((i) + 2, __VA_ARGS__),               \
        ENTRY((i) + 3, __VA_ARGS__)
#define ENTRIES_16(i, ...)                                                                         \
    ENTRIES_4(i, __VA_ARGS__), ENTRIES_4((i) + 4, __VA_ARGS__), ENTRIES_4((i) + 8, __VA_ARGS__),   \
        ENTRIES_4((i) + 12, __VA_ARGS__)
#define ENTRIES_64(i, ...)                                                                         \
    ENTRIES_16(i, __VA_ARGS__), ENTRIES_16((i) + 16, __VA_ARGS__),                                 \
        ENTRIES_16((i) + 32, __VA_ARGS__), ENTRIES_16((i) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
    {                                                                                              \
        ENTRIES_64(0u, __VA_ARGS__), ENTRIES_64(64u, __VA_ARGS__), ENTRIES_64(128u, __VA_ARGS__),  \
            ENTRIES_64(192u, __VA_ARGS__)                                                          \
    }

/* slicing[k][i]: the register that byte i leaves when k zero bytes follow it. */
static const uint32_t slicing[8][256] = {
    TABLE(0xF26B8303, 0xE13B70F7, 0xC79A971F, 0x8AD958CF, 0x105EC76F, 0x20BD8EDE, 0x417B1DBC,
          0x82F63B78),
    TABLE(0x13A29877, 0x274530EE, 0x4E8A61DC, 0x9D14C3B8, 0x3FC5F181, 0x7F8BE302, 0xFF17C604,
          0xFBC3FAF9),
    TABLE(0xA541927E, 0x4F6F520D, 0x9EDEA41A, 0x38513EC5, 0x70A27D8A, 0xE144FB14, 0xC76580D9,
          0x8B277743),
    TABLE(0xDD45AAB8, 0xBF672381, 0x7B2231F3, 0xF64463E6, 0xE964B13D, 0xD725148B, 0xABA65FE7,
          0x52A0C93F),
    TABLE(0x38116FAC, 0x7022DF58, 0xE045BEB0, 0xC5670B91, 0x8F2261D3, 0x1BA8B557, 0x37516AAE,
          0x6EA2D55C),
    TABLE(0xEF306B19, 0xDB8CA0C3, 0xB2F53777, 0x6006181F, 0xC00C303E, 0x85F4168D, 0x0E045BEB,
          0x1C08B7D6),
    TABLE(0x68032CC8, 0xD0065990, 0xA5E0C5D1, 0x4E2DFD53, 0x9C5BFAA6, 0x3D5B83BD, 0x7AB7077A,
          0xF56E0EF4),
    TABLE(0x493C7D27, 0x9278FA4E, 0x211D826D, 0x423B04DA, 0x847609B4, 0x0D006599, 0x1A00CB32,
          0x34019664),
};

static uint32_t fold_word(uint32_t low, uint32_t high)
{
    return slicing[7][low & 0xFF] ^ slicing[6][(low >> 8) & 0xFF] ^ slicing[5][(low >> 16) & 0xFF] ^
           slicing[4][low >> 24] ^ slicing[3][high & 0xFF] ^ slicing[2][(high >> 8) & 0xFF] ^
           slicing[1][(high >> 16) & 0xFF] ^ slicing[0][high >> 24];
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    uint32_t reg = ~crc;
    for (; size >= 8; p += 8, size -= 8) reg = fold_word(reg ^ load_u32(p), load_u32(p + 4));
    for (; size > 0; p++, size--) reg = (reg >> 8) ^ slicing[0][(reg ^ *p) & 0xFF];
    return ~reg;
}

/* ---- CRC32C, x86-64 ---- */

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>

#define TARGET_CRC __attribute__((target("sse4.2,pclmul")))

enum {
    LANE_LONG = 1024, /* three of these take about 400 cycles; the joining about 20 */
    LANE_SHORT = 128, /* so that a vector of a few hundred bytes gains too */
};
/* x^(8 n - 33) mod P, n = one and two lanes. */
#define LONG_BY_1 0x170076FAu
#define LONG_BY_2 0xA51B6135u
#define SHORT_BY_1 0x0D3B6092u
#define SHORT_BY_2 0xB9E02B86u

TARGET_CRC static inline uint32_t join_lanes(uint64_t a, uint64_t b, uint64_t c, uint32_t by_2,
                                             uint32_t by_1)
{
    __m128i a_times = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)a),
                                           _mm_cvtsi64_si128((long long)by_2), 0);
    __m128i b_times = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)b),
                                           _mm_cvtsi64_si128((long long)by_1), 0);
    uint64_t moved = (uint64_t)_mm_cvtsi128_si64(_mm_xor_si128(a_times, b_times));
    return (uint32_t)(_mm_crc32_u64(0, moved) ^ c);
}

TARGET_CRC static inline uint32_t run_lanes(uint32_t reg, const uint8_t *p, size_t lane,
                                            uint32_t by_2, uint32_t by_1)
{
    uint64_t a = reg, b = 0, c = 0;
    for (size_t i = 0; i < lane; i += 8) {
        a = _mm_crc32_u64(a, load_u64(p + i));
        b = _mm_crc32_u64(b, load_u64(p + lane + i));
        c = _mm_crc32_u64(c, load_u64(p + 2 * lane + i));
    }
    return join_lanes(a, b, c, by_2, by_1);
}

TARGET_CRC static uint32_t crc32c_sse42(uint32_t crc, const uint8_t *p, size_t size)
{
    uint32_t reg = ~crc;
    for (; size >= 3 * LANE_LONG; p += 3 * LANE_LONG, size -= 3 * LANE_LONG)
        reg = run_lanes(reg, p, LANE_LONG, LONG_BY_2, LONG_BY_1);
    for (; size >= 3 * LANE_SHORT; p += 3 * LANE_SHORT, size -= 3 * LANE_SHORT)
        reg = run_lanes(reg, p, LANE_SHORT, SHORT_BY_2, SHORT_BY_1);
    for (; size >= 8; p += 8, size -= 8) reg = (uint32_t)_mm_crc32_u64(reg, load_u64(p));
    for (; size > 0; p++, size--) reg = _mm_crc32_u8(reg, *p);
    return ~reg;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return crc32c_sse42(crc, (const uint8_t *)data, size);
    return crc32c_portable(crc, data, size);
}

/* ---- CRC32C, ARMv8 ---- */

#elif defined(__aarch64__)
#include <sys/auxv.h>

/* Written in assembler: gcc and clang disagree on how a function says that it may use the
 * extension, and older ones hide the intrinsics from files that are not compiled for it as a whole.
 */
static inline uint32_t crc32c_u64(uint32_t reg, uint64_t v)
{
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(reg) : "r"(v));
    return reg;
}

static inline uint32_t crc32c_u8(uint32_t reg, uint32_t v)
{
    __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(reg) : "r"(v));
    return reg;
}

static uint32_t crc32c_armv8(uint32_t crc, const uint8_t *p, size_t size)
{
    uint32_t reg = ~crc;
    for (; size >= 8; p += 8, size -= 8) reg = crc32c_u64(reg, load_u64(p));
    for (; size > 0; p++, size--) reg = crc32c_u8(reg, *p);
    return ~reg;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    if ((getauxval(AT_HWCAP) & HWCAP_CRC32) != 0)
        return crc32c_armv8(crc, (const uint8_t *)data, size);
    return crc32c_portable(crc, data, size);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    return crc32c_portable(crc, data, size);
}

#endif

/* ---- XXH3 and integers ---- */

uint64_t hash_xxh3_64(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

struct hash128 hash_xxh3_128(const void *data, size_t size)
{
    XXH128_hash_t h = XXH3_128bits(data, size);
    return (struct hash128){h.low64, h.high64};
}

/* D. Stafford's mix 13, the finaliser of splitmix64: each input bit flips each output bit in about
 * half of the cases. */
uint64_t hash_u64(uint64_t v)
{
    v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9ull;
    v = (v ^ (v >> 27)) * 0x94D049BB133111EBull;
    return v ^ (v >> 31);
}
