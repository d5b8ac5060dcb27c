/* SPDX-License-Identifier: Apache-2.0 */
/* graph_bits.h — the vectors of a graph whose metric counts bits: packed, a 32nd of floats.
 *
 * A graph keeps rows of floats, hands pairs of them to a kernel, and asks for nothing else of them.
 * So a row of bits is kept in the room of floats: its words (quant/bit_rows.h), and behind them one
 * with how many bits are set.  A distance is the bits of the metric's kernel over the vectors.
 * THREADS  Any.
 */
#ifndef INDEX_GRAPH_BITS_H
#define INDEX_GRAPH_BITS_H

#include "quant/bit_rows.h"
#include "quant/vector_source.h"
#include "simd/kernels.h"

/* Floats whose room a packed row of dim components takes: an even number. */
static inline uint32_t graph_bits_floats(uint32_t dim)
{
    return (uint32_t)(bit_row_bytes(dim) + sizeof(uint64_t)) / (uint32_t)sizeof(float);
}

/* row: aligned to 8. */
void graph_bits_pack(const float *vector, uint32_t dim, float *row);
/* Row i of a run, kept as `storage` says: floats or bits. */
void graph_bits_pack_row(const struct row_run *run, uint32_t storage, uint32_t dim, uint32_t i,
                         float *row);
/* Of two packed rows of so many floats of room. */
dense_pair_f32_fn *graph_bits_pair(enum metric metric);

#endif
