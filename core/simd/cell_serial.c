/* SPDX-License-Identifier: Apache-2.0 */
/* cell_serial.c — the reference: plain C, without branches.  See cell_kernels.h. */
#include "simd/cell_kernels.h"

void cell_order_i64_serial(const int64_t *cells, size_t word_count, int64_t k, uint64_t *less,
                           uint64_t *equal)
{
    for (size_t w = 0; w < word_count; w++, cells += CELL_WORD) {
        uint64_t is_less = 0, is_equal = 0;
        for (unsigned i = 0; i < CELL_WORD; i++) {
            is_less |= (uint64_t)(cells[i] < k) << i;
            is_equal |= (uint64_t)(cells[i] == k) << i;
        }
        less[w] = is_less;
        equal[w] = is_equal;
    }
}

void cell_order_f64_serial(const double *cells, size_t word_count, double k, uint64_t *less,
                           uint64_t *equal, uint64_t *greater)
{
    for (size_t w = 0; w < word_count; w++, cells += CELL_WORD) {
        uint64_t is_less = 0, is_equal = 0, is_greater = 0;
        for (unsigned i = 0; i < CELL_WORD; i++) {
            is_less |= (uint64_t)(cells[i] < k) << i;
            is_equal |= (uint64_t)(cells[i] == k) << i;
            is_greater |= (uint64_t)(cells[i] > k) << i;
        }
        less[w] = is_less;
        equal[w] = is_equal;
        greater[w] = is_greater;
    }
}

void cell_select_serial(const uint8_t *types, size_t word_count, uint32_t wanted, uint64_t *out)
{
    for (size_t w = 0; w < word_count; w++, types += CELL_WORD) {
        uint64_t is_wanted = 0;
        for (unsigned i = 0; i < CELL_WORD; i++)
            is_wanted |= (uint64_t)(wanted >> types[i] & 1) << i;
        out[w] = is_wanted;
    }
}
