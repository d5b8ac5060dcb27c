/* SPDX-License-Identifier: Apache-2.0 */
/* model_test — random operations on a collection and on a plain reference, step by step.
 *
 *   model_test [--operations N] [--seed S] [--runs R] [--length L]
 *
 * A run is one collection of its own kind (swarm): dimension, metric, ids, which operations and how
 * often, how often disk or memory fail.  It ends after L operations (2000; test_rounds).  A seed
 * names a run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "model/driver.h"
#include "simd/metrics.h"
#include "support/test.h"

enum { REPORTED_MAX = 5 };

enum operation {
    OP_ADD,
    OP_ADD_AUTO,
    OP_UPSERT,
    OP_UPSERT_KEEP,
    OP_DELETE,
    OP_RESTORE,
    OP_BATCH,
    OP_WRONG_DIM,
    OP_SEARCH,
    OP_RANGE,
    OP_FETCH,
    OP_WALK,
    OP_WALK_DELETED,
    OP_COUNT,
    OP_COMPARE,
    OP_FLUSH,
    OP_CHECKPOINT,
    OP_SEAL_BEGIN,
    OP_SEAL_BUILD,
    OP_SEAL_FINISH,
    OP_MERGE_BEGIN,
    OP_MERGE_FINISH,
    OP_SYNC,
    OP_MARK,
    OP_LEVEL,
    OP_INDEX,
    OP_INDEX_BUILD,
    OP_INDEX_LOAD,
    OP_DESCRIBE,
    OP_REOPEN,
    OP_KILL,
    OP_POWER,
    OP_KINDS,
};
static const unsigned base_weights[OP_KINDS] = {
    [OP_ADD] = 6,          [OP_ADD_AUTO] = 4,     [OP_UPSERT] = 20,     [OP_UPSERT_KEEP] = 8,
    [OP_DELETE] = 12,      [OP_RESTORE] = 8,      [OP_BATCH] = 16,      [OP_WRONG_DIM] = 1,
    [OP_SEARCH] = 24,      [OP_RANGE] = 10,       [OP_FETCH] = 8,       [OP_WALK] = 1,
    [OP_WALK_DELETED] = 1, [OP_COUNT] = 4,        [OP_COMPARE] = 1,     [OP_FLUSH] = 2,
    [OP_CHECKPOINT] = 1,   [OP_SEAL_BEGIN] = 3,   [OP_SEAL_BUILD] = 3,  [OP_SEAL_FINISH] = 3,
    [OP_MERGE_BEGIN] = 3,  [OP_MERGE_FINISH] = 3, [OP_SYNC] = 3,        [OP_MARK] = 2,
    [OP_LEVEL] = 2,        [OP_INDEX] = 1,        [OP_INDEX_BUILD] = 6, [OP_INDEX_LOAD] = 2,
    [OP_DESCRIBE] = 1,     [OP_REOPEN] = 2,       [OP_KILL] = 1,        [OP_POWER] = 1,
};

/* Of those that measure whatever there is. */
static uint8_t choose_metric(struct rng *rng)
{
    uint8_t metric;
    do metric = (uint8_t)(1 + rng_below(rng, METRIC_MAX));
    while (metric_find(metric)->input != METRIC_INPUT_ANY);
    return metric;
}

static void choose_swarm(struct rng *rng, struct swarm *out)
{
    static const uint32_t dims[] = {1, 3, 4, 8, 17, 64};

    *out = (struct swarm){
        .dim = dims[rng_below(rng, 6)],
        .metric = choose_metric(rng),
        .id_max = 10 + (int)rng_below(rng, REF_EXPLICIT - 10),
        .vector_max = 2 + (uint32_t)rng_below(rng, rng_chance(rng, 0.3) ? 4 : 300),
        .fault_chance = rng_chance(rng, 0.4) ? 0.02 : 0,
        .oom_chance = rng_chance(rng, 0.4) ? 0.03 : 0,
    };
    for (int i = 0; i < OP_KINDS; i++) {
        out->weights[i] = base_weights[i];
        if (rng_chance(rng, 0.15)) out->weights[i] = 0;
        else if (rng_chance(rng, 0.15)) out->weights[i] *= 4;
        out->total += out->weights[i];
    }
}

/* ---- groups ---- */

static int some_id(struct driver *d)
{
    if (rng_chance(&d->rng, 0.2)) return REF_NUMBERS + (int)rng_below(&d->rng, REF_TEXTS);
    return (int)rng_below(&d->rng, (uint64_t)d->swarm.id_max);
}

static bool has_id(const struct ref_group *g, int id)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->ids[i] == id) return true;
    return false;
}

static void make_group(struct driver *d, enum operation op, struct ref_group *out)
{
    static const enum ref_kind kinds[] = {[OP_ADD] = REF_ADD,       [OP_ADD_AUTO] = REF_ADD,
                                          [OP_UPSERT] = REF_UPSERT, [OP_UPSERT_KEEP] = REF_UPSERT,
                                          [OP_DELETE] = REF_DELETE, [OP_RESTORE] = REF_RESTORE};
    size_t most = rng_chance(&d->rng, 0.1) ? REF_GROUP_ROWS : 4;
    size_t wanted = 1 + (size_t)rng_below(&d->rng, most);

    *out = (struct ref_group){.kind = kinds[op], .dim = d->swarm.dim, .is_auto = op == OP_ADD_AUTO};
    bool has_rows = out->kind == REF_ADD || out->kind == REF_UPSERT;
    out->has_documents = op != OP_UPSERT_KEEP && rng_chance(&d->rng, 0.8);
    if (rng_chance(&d->rng, 0.15)) out->level = (uint8_t)(1 + rng_below(&d->rng, 3));
    for (size_t i = 0; i < wanted; i++) {
        int id = some_id(d);
        if (has_rows && !out->is_auto && has_id(out, id)) continue;
        out->ids[out->count] = out->is_auto ? 0 : id;
        out->vectors[out->count] = (uint32_t)rng_below(&d->rng, d->swarm.vector_max);
        /* Some rows of a group with fields may have none of their own. */
        if (has_rows && out->has_documents && rng_chance(&d->rng, 0.9))
            out->documents[out->count] = 1 + (uint32_t)rng_below(&d->rng, 5000);
        out->count++;
    }
    if (out->is_auto && d->ref.max_number + (int)out->count * DRIVER_WRITES >= REF_NUMBERS) {
        out->is_auto = false;
        out->kind = REF_DELETE;
    }
}

static int write_groups(struct driver *d, enum operation op)
{
    struct driver_write writes[DRIVER_WRITES];
    struct ref_group g;
    size_t count = op == OP_BATCH ? 2 + (size_t)rng_below(&d->rng, DRIVER_WRITES - 1) : 1;

    for (size_t i = 0; i < count; i++) {
        enum operation kind = op == OP_BATCH       ? (enum operation)rng_below(&d->rng, OP_BATCH)
                              : op == OP_WRONG_DIM ? OP_UPSERT
                                                   : op;
        make_group(d, kind, &g);
        if (op == OP_WRONG_DIM && d->ref.dim) g.dim = d->ref.dim == 5 ? 6 : 5;
        driver_write_make(d, &writes[i], &g);
    }
    int rc = driver_write(d, writes, count);
    for (size_t i = 0; i < count; i++) driver_write_deinit(d, &writes[i]);
    return rc;
}

/* ---- upkeep ---- */

static void promise_all(struct driver *d)
{
    d->kill_promise = d->power_promise = d->ref.lsn;
}

static int seal_begin(struct driver *d)
{
    struct error err = {0};

    if (d->c->seal.is_active) return 0;
    int rc = collection_freeze(d->c, &err);
    if (rc == 0) rc = collection_seal_begin(d->c, true, &d->build_desc, &err);
    return driver_result(d, "seal begin", rc, &err);
}

static int seal_build(struct driver *d)
{
    struct error err = {0};

    if (!d->c->seal.is_active || d->is_built) return 0;
    d->build = (struct segment_build){0};
    if (d->build_desc.part_count == 0 || segment_build_run(&d->build_desc, &d->build, &err) == 0) {
        d->is_built = true;
        return 0;
    }
    collection_seal_cancel(d->c);
    return driver_result(d, "seal build", -1, &err);
}

static int seal_finish(struct driver *d)
{
    struct error err = {0};
    bool has_build = d->build_desc.part_count > 0;

    if (seal_build(d) != 0) return -1;
    if (!d->c->seal.is_active) return 0;
    int rc = collection_seal_finish(d->c, has_build ? &d->build : NULL, false, &err);
    if (has_build) segment_build_deinit(&d->build);
    d->is_built = false;
    uint64_t flushed = d->c->manifest.flushed_lsn;
    if (rc == 0 && flushed > d->power_promise) d->power_promise = flushed;
    if (d->kill_promise < d->power_promise) d->kill_promise = d->power_promise;
    return driver_result(d, "seal finish", rc, &err);
}

static int merge_begin(struct driver *d)
{
    struct error err = {0};

    /* What waits for an index is not merged with what has one. */
    if (rng_chance(&d->rng, 0.5) && driver_build_indexes(d) != 0) return -1;
    if (!collection_wants_merge(d->c)) return 0;
    return driver_result(d, "merge begin", collection_merge_begin(d->c, &d->merge_desc, &err),
                         &err);
}

/* The segment first; then its index, piece by piece, where it is to have one. */
static int merge_build(struct driver *d)
{
    struct error err = {0};
    struct collection *c = d->c;

    if (!c->merge.is_active) return 0;
    if (!d->is_merge_built) {
        if (segment_build_run(&d->merge_desc, &d->merge_build, &err) != 0) {
            collection_merge_cancel(c);
            return driver_result(d, "merge build", -1, &err);
        }
        d->is_merge_built = true;
        if (collection_merge_index_begin(c, &d->merge_build, &err) < 0) {
            driver_cancel_merge(d);
            return driver_result(d, "merge index", -1, &err);
        }
    }
    if (!c->merge.index_build) return 0;
    if (driver_work_on_index(d, c->merge.index_build, &d->merge_may_fail) == INDEX_WORKED) return 0;
    int rc = collection_merge_index_end(c, &d->merge_build, &err);
    if (rc != 0) driver_cancel_merge(d);
    return driver_index_result(d, "merge index end", rc, &err, &d->merge_may_fail);
}

static int merge_finish(struct driver *d)
{
    struct error err = {0};

    if (merge_build(d) != 0) return -1;
    if (!d->c->merge.is_active || d->c->merge.index_build) return 0;
    bool has_index = d->c->merge.index != NULL;
    int rc = collection_merge_finish(d->c, &d->merge_build, &err);
    driver_forget_merge(d);
    d->merges += rc == 0;
    d->indexed_merges += rc == 0 && has_index;
    if (rc != 0 && err.code == LYNSE_BUSY) return 0; /* beside a seal in `none` */
    return driver_result(d, "merge finish", rc, &err);
}

static int flush(struct driver *d, bool retire_log)
{
    struct error err = {0};

    if (d->c->seal.is_active && seal_finish(d) != 0) return -1;
    if (d->c->seal.is_active) return 0;
    int rc = collection_flush(d->c, retire_log, &err);
    if (rc == 0) promise_all(d);
    return driver_result(d, "flush", rc, &err);
}

static int set_level(struct driver *d)
{
    struct error err = {0};
    uint8_t level = (uint8_t)(1 + rng_below(&d->rng, 4));
    bool was_none = d->c->manifest.sync_level == SYNC_NONE;

    if (d->c->seal.is_active && seal_finish(d) != 0) return -1;
    driver_cancel_merge(d);
    int rc = collection_set_sync(d->c, level, 10, &err);
    if (rc == 0 && was_none != (level == SYNC_NONE)) promise_all(d);
    return driver_result(d, "set sync", rc, &err);
}

static int sync_all(struct driver *d)
{
    struct error err = {0};
    uint64_t durable;

    int rc = collection_sync(d->c, &durable, &err);
    if (rc == 0 && d->c->manifest.sync_level != SYNC_NONE) {
        if (durable != d->ref.lsn)
            return driver_fail(d, "sync reached LSN %llu", (unsigned long long)durable);
        promise_all(d);
    }
    return driver_result(d, "sync", rc, &err);
}

static int perform(struct driver *d, enum operation op)
{
    struct error err = {0};

    switch (op) {
    case OP_SEARCH:
        return driver_search(d, false);
    case OP_RANGE:
        return driver_search(d, true);
    case OP_FETCH:
        return driver_fetch(d);
    case OP_WALK:
        return driver_walk(d, false);
    case OP_WALK_DELETED:
        return driver_walk(d, true);
    case OP_COUNT:
        return driver_count(d);
    case OP_COMPARE:
        return driver_compare(d);
    case OP_FLUSH:
        return flush(d, false);
    case OP_CHECKPOINT:
        return flush(d, true);
    case OP_SEAL_BEGIN:
        return seal_begin(d);
    case OP_SEAL_BUILD:
        return seal_build(d);
    case OP_SEAL_FINISH:
        return d->c->seal.is_active ? seal_finish(d) : 0;
    case OP_MERGE_BEGIN:
        return d->c->merge.is_active ? merge_build(d) : merge_begin(d);
    case OP_MERGE_FINISH:
        return merge_finish(d);
    case OP_SYNC:
        return sync_all(d);
    case OP_MARK:
        return driver_result(d, "mark", collection_mark(d->c, &err), &err);
    case OP_LEVEL:
        return set_level(d);
    case OP_INDEX:
        return driver_set_index(d, choose_metric(&d->rng));
    case OP_INDEX_BUILD:
        return driver_build_index(d);
    case OP_INDEX_LOAD:
        return driver_load_indexes(d);
    case OP_DESCRIBE:
        return driver_result(d, "describe", collection_set_description(d->c, "model", &err), &err);
    case OP_REOPEN:
        return driver_reopen(d);
    case OP_KILL:
        return driver_crash(d, DRIVER_KILL);
    case OP_POWER:
        return driver_crash(d, DRIVER_POWER);
    default:
        return write_groups(d, op);
    }
}

/* ---- failing ---- */

static void arm(struct driver *d)
{
    static const int codes[] = {EIO, ENOSPC, EDQUOT};

    if (rng_chance(&d->rng, d->swarm.fault_chance)) {
        struct faulty_plan plan = {
            .kinds = rng_chance(&d->rng, 0.5) ? (unsigned)FAULTY_ALL
                                              : FAULTY_WRITE | FAULTY_SYNC | FAULTY_RENAME |
                                                    FAULTY_DIR_SYNC | FAULTY_TRUNCATE,
            .os_errno = codes[rng_below(&d->rng, 3)],
            .mode = rng_chance(&d->rng, 0.3) ? FAULTY_STICKY : FAULTY_ONCE,
            .nth = 1 + rng_below(&d->rng, 12),
            .is_short = rng_chance(&d->rng, 0.5),
        };
        vfs_faulty_arm(d->fs, &plan);
        d->expects_errors = true;
        d->faults++;
    } else if (rng_chance(&d->rng, d->swarm.oom_chance)) {
        alloc_fail_after(d->engine, 1 + rng_below(&d->rng, 25), rng_chance(&d->rng, 0.5));
        d->expects_errors = true;
        d->faults++;
    }
}

/* Nothing fails any more; whatever the failure left has to be right, now or after opening again. */
static int disarm(struct driver *d)
{
    vfs_faulty_disarm(d->fs);
    alloc_fail_after(d->engine, 0, false);
    d->expects_errors = false;
    if (!d->c || d->c->is_poisoned || d->has_doubt) {
        if (d->c && rng_chance(&d->rng, 0.5)) return driver_crash(d, DRIVER_KILL);
        return driver_reopen(d);
    }
    return driver_compare(d);
}

static int step(struct driver *d)
{
    unsigned at = (unsigned)rng_below(&d->rng, d->swarm.total);
    int op = 0;

    while (at >= d->swarm.weights[op]) at -= d->swarm.weights[op++];
    bool is_plain = op != OP_KILL && op != OP_POWER; /* a new mount is not armed */
    if (is_plain) arm(d);
    int rc = perform(d, (enum operation)op);
    if (d->expects_errors && disarm(d) != 0) rc = -1;
    /* As its owner would: nobody lets frozen tails pile up. */
    if (rc == 0 && d->c->part_count > 12 && !d->c->seal.is_active) rc = flush(d, false);
    return d->has_failed ? -1 : rc;
}

struct totals {
    uint64_t operations, crashes, faults, refusals, indexes, merges, failed, runs;
};

static void run(uint64_t seed, uint64_t operations, struct totals *sum)
{
    struct driver *d = calloc(1, sizeof *d);
    struct rng rng;
    struct swarm swarm;
    uint64_t i = 0;

    CHECK(d);
    rng_init(&rng, hash_u64(seed));
    choose_swarm(&rng, &swarm);
    driver_init(d, alloc_libc(), rng_u64(&rng), &swarm);
    while (i < operations && !d->has_failed) {
        i++;
        if (step(d) != 0) d->has_failed = true;
    }
    if (!d->has_failed && driver_reopen(d) != 0) d->has_failed = true;
    driver_deinit(d);
    if (d->has_failed)
        printf("FAILED seed %llu, operation %llu: %s\n"
               "  reproduce: model_test --seed %llu --runs 1 --length %llu\n",
               (unsigned long long)seed, (unsigned long long)i, d->why, (unsigned long long)seed,
               (unsigned long long)operations);
    sum->operations += i;
    sum->crashes += d->crashes;
    sum->faults += d->faults;
    sum->refusals += d->refusals;
    sum->indexes += d->indexes;
    sum->merges += d->indexed_merges;
    sum->failed += d->has_failed;
    sum->runs++;
    free(d);
}

int main(int argc, char **argv)
{
    uint64_t operations = 200000, seed = 1, runs = UINT64_MAX;
    uint64_t length = (uint64_t)test_rounds(2000);
    struct totals sum = {0};

    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--operations") == 0) operations = value;
        else if (strcmp(argv[i], "--seed") == 0) seed = value;
        else if (strcmp(argv[i], "--runs") == 0) runs = value;
        else if (strcmp(argv[i], "--length") == 0) length = value;
        else return fprintf(stderr, "model_test: no option %s\n", argv[i]), 2;
    }
    printf("seeds from %llu\n", (unsigned long long)seed);
    while (sum.operations < operations && sum.runs < runs && sum.failed < REPORTED_MAX)
        run(seed++, length, &sum);
    printf(
        "%llu operations in %llu runs, %llu crashes, %llu operations on a failing disk or memory, "
        "%llu refusals, %llu indexes loaded, %llu merges with an index, %llu mismatches\n",
        (unsigned long long)sum.operations, (unsigned long long)sum.runs,
        (unsigned long long)sum.crashes, (unsigned long long)sum.faults,
        (unsigned long long)sum.refusals, (unsigned long long)sum.indexes,
        (unsigned long long)sum.merges, (unsigned long long)sum.failed);
    printf("cases: %llu passed, %llu failed\n", (unsigned long long)(sum.runs - sum.failed),
           (unsigned long long)sum.failed);
    return sum.failed != 0;
}
