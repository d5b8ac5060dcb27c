/* SPDX-License-Identifier: Apache-2.0 */
/* lab.h — run histories, crash after and inside every operation, recover, compare.
 *
 * A history is words (world.h) on a target.  Each operation of the file system is a crash point;
 * another one stands before it when the engine has promised something since the last.  At a point
 * the images of images.h are built, opened, judged, opened again, written to, opened again.  Some
 * go on: the rest of the history runs from there and crashes too, recovery first (depth 2).
 * Everything follows from the history, its seed and the plan, so that one line names a state.
 */
#ifndef CRASHLAB_LAB_H
#define CRASHLAB_LAB_H

#include "base/hash_map.h"
#include "crashlab/images.h"
#include "crashlab/world.h"
#include "support/vfs_faulty.h"

enum { LAB_DEPTH_MAX = 3, HISTORY_BYTES = 4096, REPORT_BYTES = 8192 };

/* One crash of a chain that is to be run again. */
struct crash_step {
    uint64_t point;
    bool is_kill;
    struct image image;
};

struct history {
    const struct target_ops *ops;
    uint64_t seed;
    const char *words;
    struct faulty_plan fault; /* kinds 0: the disk works */
    bool is_thorough;         /* short and telling: more images go on */
};

struct lab_plan {
    size_t images_per_point; /* first run */
    size_t images_per_point_deep;
    size_t branch_max; /* images that go on, per history and depth */
    double branch_chance;
    unsigned depth_max;
    size_t damage_per_word;
    /* One state again: */
    struct crash_step steps[LAB_DEPTH_MAX];
    size_t step_count;
};

struct lab_counts {
    uint64_t states;      /* distinct (history, point, image) */
    uint64_t judged;      /* distinct images that were recovered and judged */
    uint64_t in_recovery; /* of states: the crash came while recovering from one */
    uint64_t deep;        /* of states: there was a crash before */
    uint64_t damaged;     /* images with one block of a file destroyed */
    uint64_t reported;    /* of these, answered with CORRUPT */
    uint64_t blind;       /* of these, a suffix was lost that nobody had vouched for */
    uint64_t histories;
    uint64_t points;
};

struct lab {
    struct alloc *alloc;
    struct lab_plan plan;
    struct lab_counts counts;
    struct int_map states; /* keys of `counts.states` */
    struct rng rng;        /* of the history under way, so that each stands for itself */
    bool has_failed;
    char report[REPORT_BYTES]; /* of the first failure */
    char *now; /* where the state under judgement is noted, for whoever survives us; REPORT_BYTES */
};

void lab_init(struct lab *l, struct alloc *a, const struct lab_plan *plan);
void lab_deinit(struct lab *l);
/* -1: the first failure is in l->report. */
int lab_run(struct lab *l, const struct history *h);

/* A history by chance: the swarm picks which words it knows.  words is the memory of its text. */
void history_make(uint64_t seed, struct history *out, char words[HISTORY_BYTES]);
/* The histories that found something once, and those of the recovery model. */
extern const char *const lab_histories[];      /* NULL at the end */
extern const char *const lab_root_histories[]; /* for root_target */
/* Histories in which each operation of a kind fails in turn: number i of LAB_SWEEPS. */
enum { LAB_SWEEPS = 5 * 5 * 16 };
void lab_sweep(uint64_t i, struct history *out);

#endif
