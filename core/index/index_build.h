/* SPDX-License-Identifier: Apache-2.0 */
/* index_build.h — an index is built in phases of pieces, so that all cores can share in it, a frame
 * loop can do a piece now and then, and it is the same index however many threads there were.
 *
 * A phase has piece_count pieces, each a fixed part of the rows: any of them may be run at any time
 * on any thread, each once.  When all have returned, turn goes on to the next phase, alone.  A
 * build is done when a phase has no piece.  What a piece computes depends on what earlier phases
 * left and on nothing that other pieces of its phase do.
 * OWNERSHIP  The build owns what it makes; it borrows all of its desc.
 * THREADS    run: any, several at once; all else: one, while no piece is run.
 * FAILURE    After an error only destroy may be called.  NO_MEMORY; what the source of the vectors
 *            says.
 */
#ifndef INDEX_INDEX_BUILD_H
#define INDEX_INDEX_BUILD_H

#include "index/index.h"
#include "index/index_image.h"

struct index_build; /* a kind's own */

struct index_build_desc {
    struct alloc *alloc;
    const struct simd_kernels *kernels;
    const struct vector_source *vectors; /* row_count rows */
    const struct index_params *params;   /* within their ranges */
    struct quantizer_spec quantizer;
    enum metric metric;
    uint32_t row_count; /* 1 at least */
    uint64_t seed;      /* of all that is random in it */
};

struct index_build_ops {
    int (*create)(const struct index_build_desc *desc, struct index_build **out, struct error *err);
    /* Of the phase at work; 0: it is done, and may be saved. */
    uint32_t (*piece_count)(const struct index_build *b);
    /* A piece is about a millisecond of work: less than a frame has left (bench_frames). */
    int (*run)(struct index_build *b, uint32_t piece, struct error *err);
    int (*turn)(struct index_build *b, struct error *err);
    /* 0 to 1, of all work. */
    float (*progress)(const struct index_build *b);
    int (*save)(struct index_build *b, struct index_writer *w, struct error *err);
    void (*destroy)(struct index_build *b); /* NULL allowed */
};

/* All pieces of all phases on this thread. */
int index_build_run_all(const struct index_build_ops *ops, struct index_build *b,
                        struct error *err);

#endif
