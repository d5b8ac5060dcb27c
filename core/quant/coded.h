/* SPDX-License-Identifier: Apache-2.0 */
/* coded.h — quantizers of 1 to 8 bits a component: what is trained, how codes lie in memory, and
 * what the parts of the implementation share.  The vtabs are in rabitq.c and sq.c.
 *
 * FRAMES      A vector is prepared (for a cosine made a unit vector; otherwise as it is) and told
 *             of by codes in one of two frames:
 *             turned   RaBitQ (arXiv 2405.12497, extended in 2409.09913): the residual r = x - c
 *                      from a center is rotated at random, and the code, read as a vector o of odd
 *                      halves, is the grid point that has about the smallest angle with it.
 *             scaled   component by component, between a low and a high value that were trained;
 *                      r ~ y = low + step * code.
 *             parts    turned; the code is one of parts (pq.h), read as the point that they stand
 *                      for.
 *             still    turned, without the turn: the codes of components as they are.
 * ESTIMATES   Both estimate a distance as base + add + mul * <code, query>, with base of the query
 *             and the center, add and mul of the row.  In the turned frame r ~ G * o, with G such
 *             that the rest e = r - G * o is at a right angle to r; in the scaled frame <r, e> is
 *             known and taken off.  So for a query q what is wrong is <q - c, e> = <q - x, e>: it
 *             has mean 0 where e points anywhere, as it does after a random rotation, and becomes
 *             small with the distance that is estimated.  Without one that is hoped for: vectors of
 *             which few components matter may be farther off than bounds say.
 * BOUNDS      <q - x, e> is about normal, with the deviation |q - x| * |e| / sqrt(n).  A bound is
 *             CODED_SIGMAS of it, and what the query's own rounding may do: one row in 700 is
 *             nearer than its estimate less its bound.  Of parts the deviation is as many times as
 *             large as the errors of a sample were: hoped for, too.
 * ROWS        The code (quant_kernels.h) and a struct code_tail, centred on the center that was
 *             trained.
 * BLOCKS      struct block_head, 32 adds, 32 muls, and the codes: of one bit transposed
 *             (quant_kernels.h), of parts likewise (pq.h), otherwise row after row.  Turned:
 *             centred on a point of the index's; for a cosine on its direction, where it is
 *             longer than 1.  Scaled: on the trained center, whatever is asked for.
 * SHIFT       In turned frames squared distances are of vectors less the trained center, which is
 *             taken off before the turn: of vectors that lie close together far from the origin
 *             floats that were turned, and digits of queries, would tell nothing.
 * LIMITS      Up to CODED_DIM_MAX components.  Vectors with norms beyond SHADOW_NORM_MIN..MAX (but
 *             for 0; for a cosine long ones have a direction) are as near as can be: -inf, so that
 *             who looks closer looks at them.  But by squared distances those beyond
 *             CODED_FAR_NORM are as far as CODED_FAR, which is less than they are from any query
 *             that can be told of; and for a cosine what is too long for a float has no direction,
 *             as exact distances have it.
 */
#ifndef QUANT_CODED_H
#define QUANT_CODED_H

#include "quant/pq.h"
#include "quant/quantizer.h"

#define CODED_SIGMAS 3.0f
/* 0.81 of the norm's square is the least distance; CODED_FAR and the most that is added to it, by
 * the ends of SHADOW_NORM_MAX and by ranges of components, 1e27, are less. */
#define CODED_FAR_NORM 1e16f
#define CODED_FAR 5e31f
enum { CODED_DIM_MAX = 8192, CODED_SIGNS_MAX = CODED_DIM_MAX / 64 * 4 };

enum coded_frame { CODED_TURNED, CODED_SCALED, CODED_PARTS, CODED_STILL }; /* in files */

struct coded {
    struct quantizer base; /* first */
    struct alloc *alloc;
    const struct simd_kernels *kernels;
    enum coded_frame frame;
    enum metric_value value;
    uint32_t bits;
    uint32_t width;       /* components of a code: dim up to a multiple of 64; the rest are 0 */
    uint64_t seed;        /* of the rotation */
    uint32_t round_count; /* of it */
    size_t memory_bytes;  /* of its block */
    float center_norm;
    bool is_shifted; /* of vectors it is told where they are from the center */
    /* Of width each, in the same block of memory. */
    float *center;
    float *turned_center;         /* turned */
    float *lows, *steps;          /* scaled: of the residual from the center */
    uint64_t *signs;              /* turned: width / 64 a round */
    struct pq_parts *parts;       /* its own; NULL: codes are of components */
    struct pq_training *training; /* of these parts, under way (pq_train.c); else NULL */
};

/* Behind the code of a row. */
struct code_tail {
    float add, mul;
    float spread; /* deviation of the estimate: |mul| * spread * |q - x|, twice that of a product */
};

struct block_head {
    float center_norm;
    float spread; /* the largest */
    float add;    /* the largest finite one, without its sign */
    uint8_t zeros[52];
};
_Static_assert(sizeof(struct block_head) == 64, "codes stay aligned");

static inline size_t coded_code_bytes(const struct coded *q)
{
    return q->parts ? pq_code_bytes(q->parts->bits, q->parts->part_count)
                    : (size_t)q->width / 8 * q->bits;
}

/* Of a row, of so many bits a component. */
static inline size_t coded_bytes(uint32_t bits, uint32_t dim)
{
    return align_up(dim, QUANT_CHUNK) / 8 * bits + sizeof(struct code_tail);
}

static inline const struct coded *coded_of(const struct quantizer *q)
{
    return (const struct coded *)q;
}

/* Are codes those of a residual's direction, turned or still? */
static inline bool coded_is_turned(const struct coded *q)
{
    return q->frame != CODED_SCALED;
}

/* Number and frame are the vtab's affair. */
int coded_train(const struct quantizer_vtab *vtab, const struct quantizer_train_desc *desc,
                enum coded_frame frame, uint32_t bits, struct quantizer **out, struct error *err);
int coded_open(const struct quantizer_vtab *vtab, enum coded_frame frame, struct alloc *a,
               const struct simd_kernels *kernels, struct slice bytes, uint32_t dim,
               enum metric metric, struct quantizer **out, struct error *err);

/* The rest of a vtab, oracle_bytes apart. */
const float *coded_center(const struct quantizer *q);
bool coded_takes(const struct metric_info *metric);
void coded_destroy(struct quantizer *q);
size_t coded_memory_bytes(const struct quantizer *q);
int coded_save(const struct quantizer *q, struct buf *out, struct error *err);
size_t coded_row_bytes(const struct quantizer *q);
void coded_encode(const struct quantizer *q, const float *vectors, const float *norms,
                  uint32_t row_count, uint8_t *codes, size_t stride);
size_t coded_block_bytes(const struct quantizer *q);
void coded_pack_block(const struct quantizer *q, const float *center, const float *const *vectors,
                      uint32_t count, uint8_t *block);
uint32_t coded_turned_floats(const struct quantizer *q);
void coded_turn(const struct quantizer *q, const float *vector, float *turned);
void coded_pack_turned(const struct quantizer *q, const float *center, const float *const *turned,
                       uint32_t count, uint8_t *block);
size_t coded_oracle_bytes(uint32_t dim);
/* The same, of parts with so many bits. */
size_t coded_parts_oracle_bytes(uint32_t dim, uint32_t bits);
struct oracle *coded_oracle_init(void *memory, const struct oracle_desc *desc);

#define CODED_VTAB_REST                                                                            \
    .dim_max = CODED_DIM_MAX, .takes = coded_takes, .destroy = coded_destroy,                      \
    .memory_bytes = coded_memory_bytes, .save = coded_save, .center = coded_center,                \
    .row_bytes = coded_row_bytes, .encode = coded_encode, .block_bytes = coded_block_bytes,        \
    .pack_block = coded_pack_block, .turned_floats = coded_turned_floats, .turn = coded_turn,      \
    .pack_turned = coded_pack_turned, .oracle_init = coded_oracle_init

/* A vector as codes tell of it: out[i] = vector[i] * factor, 0 from dim up to width; less the
 * center, where vectors are shifted. */
void coded_place(const struct coded *q, const float *vector, float factor, float *out);
/* The same, not shifted. */
void coded_widen(const struct coded *q, const float *vector, float factor, float *out);
/* What a vector of this norm is multiplied by: for a cosine to become a unit vector. */
float coded_factor(const struct coded *q, float norm);
/* Can a vector of this norm be told of? */
bool coded_can_tell(const struct coded *q, float norm);

#endif
