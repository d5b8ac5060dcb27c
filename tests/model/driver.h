/* SPDX-License-Identifier: Apache-2.0 */
/* driver.h — a collection on a file system that can be made to fail, beside the reference. */
#ifndef MODEL_DRIVER_H
#define MODEL_DRIVER_H

#include "base/clock.h"
#include "collection/collection.h"
#include "crashlab/disk.h"
#include "model/reference.h"
#include "support/vfs_faulty.h"

enum { DRIVER_WHY_BYTES = 512, DRIVER_WRITES = 6 };
/* Half of what a tiny collection remembers: no crash takes so many that one is forgotten. */
enum { DRIVER_REQUESTS = 6 };

/* A write that was applied with the id of its request. */
struct driver_request {
    struct ref_group group;
    uint32_t number;
    uint64_t lsn; /* 0: none; it was lost */
    size_t row_count;
};

/* What one run is like; drawn by chance (swarm). */
struct swarm {
    uint32_t dim;
    uint8_t metric;
    int id_max;          /* explicit ids and texts used */
    uint32_t vector_max; /* few: many ties */
    unsigned weights[32];
    unsigned total;
    double fault_chance; /* of an operation to run on a failing disk */
    double oom_chance;
};

struct driver {
    struct alloc *alloc;  /* the harness's */
    struct alloc *engine; /* the engine's, which can be made to refuse */
    struct rng rng;
    struct swarm swarm;
    struct reference ref;
    struct disk disk;
    struct mount mount;
    struct vfs *fs;
    struct collection *c;
    struct view_slot slot;
    struct manual_clock clock;
    struct rng engine_rng;
    struct doc_cache *cache;
    struct segment_build_desc build_desc;
    struct segment_build build;
    bool is_built;
    struct segment_build_desc merge_desc;
    struct segment_build merge_build;
    bool index_may_fail, merge_may_fail; /* something failed on purpose while they were built */
    bool is_merge_built;                 /* and may have its index */
    uint64_t merges;                     /* that were published */
    uint64_t indexed_merges;             /* with an index */
    uint64_t kill_promise;               /* LSN that a kill must leave */
    uint64_t power_promise;              /* and a power cut */
    bool expects_errors;                 /* the disk or the memory fails just now */
    bool has_doubt;      /* a group answered OUTCOME_UNKNOWN: only a reopening tells */
    bool is_pushed_back; /* a write was, because sealing fails */
    struct ref_group doubts[DRIVER_WRITES];
    size_t doubt_count;
    bool has_requests; /* every write has an id */
    uint32_t last_request;
    struct driver_request requests[DRIVER_REQUESTS]; /* by their numbers */
    struct driver_write *writing;                    /* the batch under way; NULL: a retry */
    size_t writing_count;
    bool has_failed;
    char why[DRIVER_WHY_BYTES];
    uint64_t crashes, faults, refusals; /* that happened */
    uint64_t indexes;                   /* that were loaded */
};

struct driver_write {
    struct collection_write w; /* first */
    struct ref_group group;
    uint32_t request; /* 0: none */
    struct record_id ids[REF_GROUP_ROWS];
    struct slice documents[REF_GROUP_ROWS];
    struct buf bytes;
    float *vectors;
    bool is_answered;
};

int driver_fail(struct driver *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What a call came to: 0, also for one that was refused while something fails. */
int driver_result(struct driver *d, const char *what, int rc, const struct error *err);

/* A collection in an empty file system, opened. */
void driver_init(struct driver *d, struct alloc *a, uint64_t seed, const struct swarm *swarm);
void driver_deinit(struct driver *d);

/* driver_disk.c: each -1 with d->why when the engine does what it must not. */
int driver_open(struct driver *d); /* and compare: any LSN from the promise on, or in doubt */
int driver_reopen(struct driver *d);
enum driver_crash { DRIVER_KILL, DRIVER_POWER };
int driver_crash(struct driver *d, enum driver_crash kind);
void driver_abandon(struct driver *d);
void driver_forget_merge(struct driver *d); /* what was built of it is published, or nobody's */
void driver_cancel_merge(struct driver *d);

/* driver_write.c */
int driver_write(struct driver *d, struct driver_write *writes, size_t count);
/* What is remembered is sent again: nothing is applied. */
int driver_retry(struct driver *d);
void driver_write_make(struct driver *d, struct driver_write *out, const struct ref_group *g);
void driver_write_deinit(struct driver *d, struct driver_write *w);
void driver_written(void *ctx, struct collection_write *w);

/* driver_index.c: another metric, and any plan that suits it; some of a build, or its end; what is
 * there is loaded. */
int driver_set_index(struct driver *d, uint8_t metric);
int driver_build_index(struct driver *d);
int driver_build_indexes(struct driver *d); /* some, until none is wanted, or one failed */
/* Some pieces of a build.  What fails in one is told at its end, when nothing may fail any more. */
enum index_work driver_work_on_index(struct driver *d, struct index_builder *b, bool *may_fail);
int driver_index_result(struct driver *d, const char *what, int rc, const struct error *err,
                        bool *may_fail);
int driver_load_indexes(struct driver *d);
struct result;
/* `count` found, each of the open_count nearest, `hits`. */
int driver_compare_found(struct driver *d, const struct result *r, const struct ref_hit *hits,
                         size_t open_count, size_t count);

/* driver_read.c: what is read is what the reference says, while nothing fails. */
int driver_compare(struct driver *d); /* all of it */
int driver_search(struct driver *d, bool is_range);
int driver_fetch(struct driver *d);
int driver_walk(struct driver *d, bool deleted);
int driver_count(struct driver *d);

#endif
