/* SPDX-License-Identifier: Apache-2.0 */
/* quantizer.h — what a quantizer is: a way to hold vectors, and the oracle that reads them.
 *
 * RAW and SHADOWED read the vectors of a segment as they are.  The others are trained over the rows
 * of a segment; the trained quantizer turns vectors into codes, which an index keeps: row by row
 * (struct code_rows), or in blocks of 32 inside its nodes and lists, centred on a point of its
 * choice.  An oracle reads either, and its index does not know what a code is.
 */
#ifndef QUANT_QUANTIZER_H
#define QUANT_QUANTIZER_H

#include "base/alloc.h"
#include "base/buf.h"
#include "base/slice.h"
#include "quant/oracle.h"
#include "quant/quantizer_kinds.h"
#include "quant/shadow.h"
#include "quant/vector_source.h"
#include "simd/kernels.h"
#include "simd/metrics.h"

/* A trained quantizer: immutable, any thread. */
struct quantizer {
    const struct quantizer_vtab *vtab;
    uint32_t dim;
    enum metric metric;
};

/* Codes of rows, one after another. */
struct code_rows {
    const uint8_t *codes; /* aligned to 64 */
    size_t stride;        /* row_bytes of the quantizer at least */
    uint32_t row_count;
};

struct quantizer_train_desc {
    struct alloc *alloc;
    const struct simd_kernels *kernels;
    const struct vector_source *vectors; /* row_count rows, of which a sample is read */
    uint32_t row_count;                  /* 1 at least */
    enum metric metric;
    uint32_t number; /* within the vtab's limits, or 0 */
    uint64_t seed;
};

/* A query as every oracle of a search wants it, made once for all segments and threads. */
struct oracle_query {
    const float *vector; /* finite; aligned to ALIGN_VECTOR is fastest */
    float norm;          /* dense_norm_f32 of it; read only where the metric needs norms */
};

struct oracle_desc {
    const struct simd_kernels *kernels;
    struct oracle_query query;           /* its vector is borrowed while the oracle is used */
    const struct vector_source *vectors; /* likewise */
    struct shadow_source *shadow;        /* of the same rows, likewise; NULL: there is none */
    enum metric metric;
    const struct quantizer *quantizer; /* trained; NULL where the vtab has no train */
    struct code_rows codes;            /* what scan and gather number; none: blocks alone */
    bool is_asked_for;                 /* who gathers has asked the memory for the rows before */
};

struct quantizer_vtab {
    /* In index modes, upper case: "SQ8"; a number may follow where number_high is not 0.  NULL: it
     * is no user's choice. */
    const char *mode_word;
    uint32_t number_low, number_high, number_standard;
    uint32_t dim_max; /* components that it takes at most; 0: as many as a vector may have */
    bool (*takes)(const struct metric_info *metric); /* does it make sense?  NULL: every metric */

    /* All of these, or none where nothing is trained.  LIMIT: the number does not suit the
     * dimension; NO_MEMORY; what the source of the vectors says. */
    int (*train)(const struct quantizer_train_desc *desc, struct quantizer **out,
                 struct error *err);
    /* What is left of the training then, some milliseconds a piece, tens of them at most: each is
     * run once, on any thread, several at once, and when all have returned training ends, alone.
     * Until then a quantizer has its sizes, and after an error it
     * can only be destroyed.  NULL: nothing is left. */
    uint32_t (*train_pieces)(const struct quantizer *q);
    int (*train_piece)(struct quantizer *q, uint32_t piece, struct error *err);
    void (*train_end)(struct quantizer *q);
    void (*destroy)(struct quantizer *q);              /* NULL allowed */
    size_t (*memory_bytes)(const struct quantizer *q); /* that it holds */
    /* As bytes, appended, and back.  CORRUPT: they make no quantizer; whatever they are, what was
     * opened reads no code astray. */
    int (*save)(const struct quantizer *q, struct buf *out, struct error *err);
    int (*open)(struct alloc *a, const struct simd_kernels *kernels, struct slice bytes,
                uint32_t dim, enum metric metric, struct quantizer **out, struct error *err);
    /* The middle of what it was trained over, dim floats: to center blocks on for who has no points
     * of its own.  NULL: it has none. */
    const float *(*center)(const struct quantizer *q);
    size_t (*row_bytes)(const struct quantizer *q);
    /* What that will be, once one of this number is trained over vectors of dim floats.  NULL: it
     * has no codes. */
    size_t (*code_bytes)(uint32_t number, uint32_t dim);
    /* row_count vectors, contiguous, with their norms (dense_norm_f32), to codes `stride` apart.
     * Any thread, into different rows at once. */
    void (*encode)(const struct quantizer *q, const float *vectors, const float *norms,
                   uint32_t row_count, uint8_t *codes, size_t stride);
    /* Blocks of up to BLOCK_CODES codes, all centred on `center` (dim floats; NULL: the origin).
     * NULL where a quantizer has none: then indexes keep rows.  Bytes are a multiple of 64.
     * pack_block: vectors[i] of count; what is left of the block is far from everything. */
    size_t (*block_bytes)(const struct quantizer *q);
    void (*pack_block)(const struct quantizer *q, const float *center, const float *const *vectors,
                       uint32_t count, uint8_t *block);
    /* The same for who packs a vector into many blocks, as a graph does, in a fraction of the time:
     * what is the same for all of them is done once, into turned_floats floats (aligned to
     * ALIGN_VECTOR is fastest), by which the center, not NULL, is given too; for a cosine the
     * center is then a direction.  All or none. */
    uint32_t (*turned_floats)(const struct quantizer *q);
    void (*turn)(const struct quantizer *q, const float *vector, float *turned);
    void (*pack_turned)(const struct quantizer *q, const float *center, const float *const *turned,
                        uint32_t count, uint8_t *block);

    /* What an oracle needs for vectors of dim floats, a multiple of ALIGN_VECTOR. */
    size_t (*oracle_bytes)(uint32_t dim); /* the most that any number of it needs */
    /* An oracle in `memory`, which is aligned to ALIGN_VECTOR.  Cheap: a batch makes one for each
     * query and segment. */
    struct oracle *(*oracle_init)(void *memory, const struct oracle_desc *desc);
};

#define QUANTIZER_DECLARE(KIND, name) extern const struct quantizer_vtab quantizer_##name;
QUANTIZER_KINDS(QUANTIZER_DECLARE)
#undef QUANTIZER_DECLARE

/* How many pieces its training has left; 0: it is trained. */
static inline uint32_t quantizer_train_pieces(const struct quantizer *q)
{
    return q->vtab->train_pieces ? q->vtab->train_pieces(q) : 0;
}

/* By number; NULL for one that is none, as a damaged file may hold. */
const struct quantizer_vtab *quantizer_find(unsigned kind);
/* The quantizer that a word of index modes stands for, "RABITQ4", ASCII case ignored; its number
 * need not be in range, and is 0 where none is written.  False: there is none, out is as it was. */
bool quantizer_find_word(struct slice word, struct quantizer_spec *out);

#endif
