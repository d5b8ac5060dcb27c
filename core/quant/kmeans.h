/* SPDX-License-Identifier: Apache-2.0 */
/* kmeans.h — centroids of the rows of a segment, found in phases of pieces as index_build.h has
 * them: any piece of a phase on any thread, then turn, alone.
 *
 * The same rows and seed give the same centroids, of one SIMD level, whatever the threads.
 * OWNERSHIP  Borrows its desc until it is destroyed; owns the centroids, too.
 * FAILURE    After an error only destroy may be called.  NO_MEMORY; what the source says.
 */
#ifndef QUANT_KMEANS_H
#define QUANT_KMEANS_H

#include <stdbool.h>

#include "quant/centroids.h"
#include "quant/vector_source.h"

struct kmeans;

struct kmeans_desc {
    struct alloc *alloc;
    const struct simd_kernels *kernels;
    const struct vector_source *vectors; /* row_count rows, of which a sample is read */
    uint32_t row_count;                  /* 1 at least */
    uint32_t count;                      /* of centroids, 1 to row_count */
    bool is_spherical; /* directions: vectors count by their angle, and centroids have length 1 */
    uint64_t seed;
};

int kmeans_create(const struct kmeans_desc *desc, struct kmeans **out, struct error *err);
/* Of the phase at work; 0: the centroids are there. */
uint32_t kmeans_piece_count(const struct kmeans *k);
int kmeans_run(struct kmeans *k, uint32_t piece, struct error *err);
int kmeans_turn(struct kmeans *k, struct error *err);
/* 0 to 1, of all phases. */
float kmeans_progress(const struct kmeans *k);
/* In groups when there are many.  Valid until it is destroyed. */
const struct centroids *kmeans_centroids(const struct kmeans *k);
void kmeans_destroy(struct kmeans *k); /* NULL allowed */

/* Up to so many centroids there are no groups. */
enum { KMEANS_FLAT_MAX = 1024 };

#endif
