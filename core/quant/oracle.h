/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.h — distances between one query and the rows of one segment, by row number.
 *
 * An index asks an oracle and knows neither kernels nor codes: index kinds and quantizers add up,
 * they do not multiply.  Whatever the metric, smaller is nearer (an inner product is negated).  A
 * distance is never NaN: a row for which float overflows to NaN is as far as can be, +inf, so that
 * it is still a row.
 *
 * Where rows are codes, a distance is an estimate: `estimate` says how far off it may be.  Codes
 * that an index keeps in blocks of its own (quantizer.h, pack_block) are scored block by block,
 * from the exact distance of the point that they are centred on.
 *
 * OWNERSHIP  An oracle lies in memory of its user and owns nothing: it is forgotten, not freed.  It
 *            borrows the query and the source of the vectors.
 * THREADS    One thread at a time; any number of oracles may share a query and a source.
 */
#ifndef QUANT_ORACLE_H
#define QUANT_ORACLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct oracle;

enum { ORACLE_BLOCK_MAX = 8, BLOCK_CODES = 32 };

struct oracle_ops {
    /* out[i] = distance of row + i, i < row_count: a scan, at the speed of the memory. */
    int (*scan)(struct oracle *o, uint32_t row, uint32_t row_count, float *out, struct error *err);
    /* The same for several oracles of one kind, source and metric, at most ORACLE_BLOCK_MAX:
     * out[q][i] is what scan of oracles[q] says. */
    int (*scan_block)(struct oracle *const *oracles, size_t count, uint32_t row, uint32_t row_count,
                      float *const *out, struct error *err);
    /* out[i] = distance of row_index[i], i < index_count, in any order; numbers may repeat.  The
     * same bits as scan gives. */
    int (*gather)(struct oracle *o, const uint32_t *row_index, size_t index_count, float *out,
                  struct error *err);
    /* Both or none: an oracle that can tell more cheaply, of some rows, how near they may be.
     * ready: of how many of the rows from `row` on, 0 to row_count; these can be told of for good,
     * by all oracles of one kind and source.
     * nominate: out[i] is at most what scan says of row + i; -inf where nothing is known.  The rows
     * are ready. */
    uint32_t (*ready)(struct oracle *o, uint32_t row, uint32_t row_count);
    void (*nominate)(struct oracle *o, uint32_t row, uint32_t row_count, float *out);
    /* Both or none: to nominate the same rows for many oracles of one kind and source, faster.
     * pack: the rows from `row` on, which are ready, into `bytes` of memory aligned to
     * ALIGN_VECTOR; how many of them: 0 to row_count.  0: it is not worth it, or there is no room.
     * nominate_packed: out[q][i] = what nominate of oracles[q] says of the i-th row packed; at
     * most ORACLE_BLOCK_MAX oracles; row and row_count as they were packed. */
    uint32_t (*pack)(struct oracle *o, uint32_t row, uint32_t row_count, void *packed,
                     size_t bytes);
    void (*nominate_packed)(struct oracle *const *oracles, size_t count, const void *packed,
                            uint32_t row, uint32_t row_count, float *const *out);
    /* gather of codes, and of each how much nearer the row may be than that: exactly known, or but
     * for a chance that the quantizer states.  NULL: the bounds are not known, or distances are
     * exact. */
    int (*estimate)(struct oracle *o, const uint32_t *row_index, size_t index_count, float *out,
                    float *bound, struct error *err);
    /* The BLOCK_CODES estimates of a block that was centred on a point whose exact distance is
     * center_distance, and their bounds (NULL: not wanted).  NULL: it has no blocks. */
    void (*score_block)(struct oracle *o, const uint8_t *block, float center_distance,
                        float out[BLOCK_CODES], float *bound);
    /* Of the same block, in a fraction of the time: bit i is whether row i, by its estimate less
     * its bound, may be as near as limit; a rounding more of them than those say.  Of these rows
     * alone out has the estimates, and least the estimates less their bounds. */
    uint32_t (*find_near)(struct oracle *o, const uint8_t *block, float center_distance,
                          float limit, float out[BLOCK_CODES], float least[BLOCK_CODES]);
};

struct oracle {
    const struct oracle_ops *ops;
    uint32_t row_bytes; /* memory that one distance reads; what blocks are sized by */
};

/* All fail with what the source of the vectors says (CORRUPT, IO); out is then undefined. */
static inline int oracle_scan(struct oracle *o, uint32_t row, uint32_t row_count, float *out,
                              struct error *err)
{
    return o->ops->scan(o, row, row_count, out, err);
}
static inline int oracle_scan_block(struct oracle *const *oracles, size_t count, uint32_t row,
                                    uint32_t row_count, float *const *out, struct error *err)
{
    return oracles[0]->ops->scan_block(oracles, count, row, row_count, out, err);
}
static inline int oracle_gather(struct oracle *o, const uint32_t *row_index, size_t index_count,
                                float *out, struct error *err)
{
    return o->ops->gather(o, row_index, index_count, out, err);
}
/* 0 where the oracle cannot nominate at all. */
static inline uint32_t oracle_ready(struct oracle *o, uint32_t row, uint32_t row_count)
{
    return o->ops->ready ? o->ops->ready(o, row, row_count) : 0;
}
static inline void oracle_nominate(struct oracle *o, uint32_t row, uint32_t row_count, float *out)
{
    o->ops->nominate(o, row, row_count, out);
}
/* 0 where the oracle cannot pack at all. */
static inline uint32_t oracle_pack(struct oracle *o, uint32_t row, uint32_t row_count, void *packed,
                                   size_t bytes)
{
    return o->ops->pack ? o->ops->pack(o, row, row_count, packed, bytes) : 0;
}
static inline void oracle_nominate_packed(struct oracle *const *oracles, size_t count,
                                          const void *packed, uint32_t row, uint32_t row_count,
                                          float *const *out)
{
    oracles[0]->ops->nominate_packed(oracles, count, packed, row, row_count, out);
}

#endif
