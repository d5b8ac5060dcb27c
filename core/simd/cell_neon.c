/* SPDX-License-Identifier: Apache-2.0 */
/* cell_neon.c — cells compared two at a time with NEON, and types looked up 16 at a time.  Each
 * lane of a set has the bits of its rows: `bit` moves up by two rows a step.  See cell_kernels.h.
 */
#include "simd/cell_kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

enum { LANES = 2 };

static inline uint64_t bits_of(uint64x2_t set)
{
    return vgetq_lane_u64(set, 0) | vgetq_lane_u64(set, 1);
}

void cell_order_i64_neon(const int64_t *cells, size_t word_count, int64_t k, uint64_t *less,
                         uint64_t *equal)
{
    const int64x2_t wide_k = vdupq_n_s64(k);

    for (size_t w = 0; w < word_count; w++, cells += CELL_WORD) {
        uint64x2_t is_less = vdupq_n_u64(0), is_equal = is_less;
        uint64x2_t bit = vcombine_u64(vcreate_u64(1), vcreate_u64(2));
        for (unsigned i = 0; i < CELL_WORD; i += LANES, bit = vshlq_n_u64(bit, LANES)) {
            int64x2_t v = vld1q_s64(cells + i);
            is_less = vorrq_u64(is_less, vandq_u64(vcltq_s64(v, wide_k), bit));
            is_equal = vorrq_u64(is_equal, vandq_u64(vceqq_s64(v, wide_k), bit));
        }
        less[w] = bits_of(is_less);
        equal[w] = bits_of(is_equal);
    }
}

void cell_order_f64_neon(const double *cells, size_t word_count, double k, uint64_t *less,
                         uint64_t *equal, uint64_t *greater)
{
    const float64x2_t wide_k = vdupq_n_f64(k);

    for (size_t w = 0; w < word_count; w++, cells += CELL_WORD) {
        uint64x2_t is_less = vdupq_n_u64(0), is_equal = is_less, is_greater = is_less;
        uint64x2_t bit = vcombine_u64(vcreate_u64(1), vcreate_u64(2));
        for (unsigned i = 0; i < CELL_WORD; i += LANES, bit = vshlq_n_u64(bit, LANES)) {
            float64x2_t v = vld1q_f64(cells + i);
            is_less = vorrq_u64(is_less, vandq_u64(vcltq_f64(v, wide_k), bit));
            is_equal = vorrq_u64(is_equal, vandq_u64(vceqq_f64(v, wide_k), bit));
            is_greater = vorrq_u64(is_greater, vandq_u64(vcgtq_f64(v, wide_k), bit));
        }
        less[w] = bits_of(is_less);
        equal[w] = bits_of(is_equal);
        greater[w] = bits_of(is_greater);
    }
}

void cell_select_neon(const uint8_t *types, size_t word_count, uint32_t wanted, uint64_t *out)
{
    static const uint8_t places[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8_t is_wanted[16];
    for (unsigned t = 0; t < 16; t++) is_wanted[t] = wanted >> t & 1 ? 0xff : 0;
    const uint8x16_t table = vld1q_u8(is_wanted), place = vld1q_u8(places);

    for (size_t w = 0; w < word_count; w++, types += CELL_WORD) {
        uint8x16_t part[4];
        for (unsigned i = 0; i < 4; i++)
            part[i] = vandq_u8(vqtbl1q_u8(table, vld1q_u8(types + i * 16)), place);
        uint8x16_t low = vpaddq_u8(part[0], part[1]), high = vpaddq_u8(part[2], part[3]);
        low = vpaddq_u8(low, high);
        out[w] = vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(low, low)), 0);
    }
}

#endif
