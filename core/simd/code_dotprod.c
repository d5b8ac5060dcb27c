/* SPDX-License-Identifier: Apache-2.0 */
/* code_dotprod.c — products of codes with NEON's dot products.
 *
 * WHAT        As code_neon.c has it, four products at a time into 32 bits.
 * INVARIANTS, THREADS, FAILURE: see code_kernels.h.
 */
#include "simd/code_kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

enum { PREFETCH_BYTES = 2048, BYTES = 16 };

void code_dot_dotprod(const struct code_query *query, const uint8_t *rows, size_t row_count,
                      int32_t *out)
{
    for (size_t r = 0; r < row_count; r++, rows += query->stride) {
        int32x4_t high = vdupq_n_s32(0), low = high;
        const int8_t *digits = query->digits;
        for (size_t i = 0; i < query->stride; i += CODE_CHUNK, digits += 2 * CODE_CHUNK) {
            __builtin_prefetch(rows + i + PREFETCH_BYTES);
            for (size_t j = 0; j < CODE_CHUNK; j += BYTES) {
                uint8x16_t moved = veorq_u8(vld1q_u8(rows + i + j), vdupq_n_u8(CODE_ZERO));
                int8x16_t codes = vreinterpretq_s8_u8(moved);
                high = vdotq_s32(high, codes, vld1q_s8(digits + j));
                low = vdotq_s32(low, codes, vld1q_s8(digits + CODE_CHUNK + j));
            }
        }
        out[r] = vaddvq_s32(vaddq_s32(vshlq_n_s32(high, 7), low));
    }
}
#endif
