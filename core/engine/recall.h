/* SPDX-License-Identifier: Apache-2.0 */
/* recall.h — how much do the searches of a collection find?  Some of those that are really made are
 * kept, a few at a time, and when nobody searches they are made again, through the index and by
 * looking at every record (recall_task.c).
 *
 * OWNERSHIP  The host has one; samples are copies.
 * THREADS    Any, under its mutex; counting needs no lock.
 * FAILURE    A sample that finds no memory or no room is not taken: that is all.
 */
#ifndef ENGINE_RECALL_H
#define ENGINE_RECALL_H

#include "base/atomic.h"
#include "base/thread.h"
#include "index/index_plan.h"
#include "query/search.h"

enum {
    RECALL_SAMPLES_MAX = 8,     /* that wait to be made again */
    RECALL_SAMPLE_K = 1000,     /* searches for more are not taken */
    RECALL_SAMPLE_BYTES = 1024, /* nor those with a longer filter */
    RECALL_WINDOW = 256,        /* searches after which what was found before counts half */
    RECALL_TICK_US = 250000,    /* so long nobody must have searched, and between two pieces */
    RECALL_PIECE_US = 5000,     /* of work: a fiftieth of one processor */
    RECALL_BUSY_TICKS_MAX = 40, /* after which a search that is half made again is given up */
};

struct recall_sample {
    size_t k;
    struct index_options options;
    uint32_t dim;
    size_t where_bytes;
    float vector[]; /* dim; then the filter's text */
};

/* What was measured, of the index that is named. */
struct recall_estimate {
    struct index_plan plan;
    uint8_t metric;
    uint32_t query_count; /* 0: nothing */
    double found, wanted; /* hits; older ones count less */
    uint32_t window_count;
    int64_t measured_at_us; /* the last, by the wall clock */
};

struct recall_sampler {
    struct alloc *alloc;
    _Atomic(uint64_t) search_count;
    struct mutex mutex; /* of all below */
    struct recall_sample *samples[RECALL_SAMPLES_MAX];
    size_t sample_count;
    struct recall_estimate estimate;
};

void recall_sampler_init(struct recall_sampler *s, struct alloc *a);
void recall_sampler_deinit(struct recall_sampler *s);
/* Count a search.  true: it is one of those that are kept, if it is of a kind that can be. */
bool recall_sampler_counts(struct recall_sampler *s);
/* Keep one query of a search: whether it is the only one that waits, so that somebody is told. */
bool recall_sampler_keep(struct recall_sampler *s, const struct search_request *r);
/* The next one, the caller's to free; NULL: none waits. */
struct recall_sample *recall_sampler_take(struct recall_sampler *s);
bool recall_sampler_has(struct recall_sampler *s);
/* Of a search by plan so many of what was wanted were found. */
void recall_sampler_note(struct recall_sampler *s, const struct index_plan *plan, uint8_t metric,
                         size_t found, size_t wanted, int64_t wall_us);
void recall_sampler_read(struct recall_sampler *s, struct recall_estimate *out);

#endif
