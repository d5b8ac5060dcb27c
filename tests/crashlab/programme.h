/* SPDX-License-Identifier: Apache-2.0 */
/* programme.h — which histories are run, by how many processes, and what is said at the end. */
#ifndef CRASHLAB_PROGRAMME_H
#define CRASHLAB_PROGRAMME_H

#include "base/faults.h"
#include "crashlab/lab.h"

struct options {
    uint64_t states; /* until so many distinct ones were seen */
    uint64_t seed;   /* first of the histories by chance */
    unsigned jobs;   /* processes; 0: one a core */
    bool is_short;
    bool is_random; /* the history by chance of `seed` alone */
    bool wants_mutants;
    bool wants_readers;
    const char *mutant;
    struct history history; /* words NULL: the programme */
    struct crash_step steps[LAB_DEPTH_MAX];
    size_t step_count;
};

/* A share of the programme in a process of its own; lives in shared memory. */
enum { FAILURES_MAX = 4 };
struct share {
    struct lab_counts counts;
    uint64_t passed; /* histories, readers */
    uint64_t failed;
    uint64_t reader_runs;
    uint64_t next_seed; /* one beyond the last history by chance */
#ifdef LYNSE_FAULTS
    uint64_t reached[REACH_COUNT];
#endif
    char reports[FAILURES_MAX][REPORT_BYTES];
    char now[REPORT_BYTES]; /* what is being judged, should the process die */
};

/* Each returns the exit status. */
int programme_one(const struct options *o);
int programme_run(const struct options *o);
int programme_mutants(const struct options *o); /* mutants.c */

/* Shared memory that lives as long as the process; NULL never. */
struct share *share_create(void);
/* Units first, first + step, … until states_max are seen and the fixed histories are over, or
 * failures_max failed. */
void share_work(struct share *s, const struct options *o, unsigned first, unsigned step,
                uint64_t states_max, unsigned failures_max);
/* Run work(ctx) in a child; false: it died, how stands in `out`. */
bool run_in_child(void (*work)(void *ctx), void *ctx, char out[128]);
/* Run work(ctx) in `count` children at once, *number being 0, 1, … in each.  The exit statuses, as
 * of waitpid, in *out_statuses unless it is NULL. */
void run_in_children(void (*work)(void *ctx), void *ctx, unsigned *number, unsigned count,
                     int *out_statuses);

/* readers.c: readers beside a live writer, `runs` interleavings.  -1: `why`. */
int readers_run(struct alloc *a, uint64_t seed, uint64_t runs, char why[REPORT_BYTES]);

#endif
