/* SPDX-License-Identifier: Apache-2.0 */
/* hook.h — how core calls a function of somebody else's in the middle of a query (architecture D8).
 *
 * WHAT        A host prepares a hook from its source text, once; a hook is run by any number of
 *             searches at once, each through a run: begin, score or rerank in batches, end.  Core
 *             knows the tables below and nothing of what is behind them: LuaJIT (lua/hooks.h), or a
 *             caller's own functions, whose tables may leave out what they never need.
 * WANTS       Which fields a function reads is known when it reads them.  A call that lacks
 *             something adds it to the wants and answers HOOK_WANTS_MORE: core gets it and calls
 *             again with the same batch; what the first call wrote is void.  Wants only grow, so
 *             that a batch is called again HOOK_FIELDS_MAX + 2 times at the most; who keeps them
 *             with its search gives each later batch all of it at once.  All calls of a run have
 *             the same wants.
 * OPTIONS     A document that is given with the source and handed to every call: the same source
 *             serves with other numbers.  A hook cannot change them for a later run.
 * INVARIANTS  (1) Smaller is nearer, in and out, whatever the metric.
 *             (2) A hook sees what it is given and keeps nothing: no call knows of another one.
 *             (3) What a hook does wrong is HOOK, with a text that says which hook, which line and
 *                 what; nothing that it does ends the process or outlives a bound of its host.
 * THREADS     A host and its hooks: any thread.  A run: one thread, from begin to end, and never
 *             across a return to the caller of the library; it holds something of which there are
 *             few.  One run a thread at a time: a second may wait for the first.
 * FAILURE     After -1 the out arrays are undefined; the run may be called again, or ended.
 */
#ifndef QUERY_HOOK_H
#define QUERY_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "codec/id.h"
#include "query/hook_points.h"

enum {
    HOOK_SOURCE_BYTES_MAX = 64 << 10,  /* LIMIT: a longer source */
    HOOK_OPTIONS_BYTES_MAX = 16 << 10, /* LIMIT: longer options */
    HOOK_FIELDS_MAX = 32,              /* HOOK: a function that reads more */
    HOOK_FIELD_BYTES_MAX = 255,        /* HOOK: a longer name or path of a field */
    HOOK_BATCH_ROWS = 4096,            /* rows of one score call; fewer cost more each */
    HOOK_HITS_MAX = 10000,             /* LIMIT: more hits to rerank */
    HOOK_OVERRUNS_MAX = 3,             /* a trusted hook that was late so often is disabled */
};

enum hook_result { HOOK_FAILED = -1, HOOK_DONE = 0, HOOK_WANTS_MORE = 1 };
enum hook_part { HOOK_DOCUMENTS = 1, HOOK_VECTORS = 2 };

struct hook_field {
    uint8_t size;
    char name[HOOK_FIELD_BYTES_MAX]; /* a path as of doc_get; any bytes but no NUL */
};
/* Zeroed, it is empty.  Owned by the caller, filled by calls. */
struct hook_wants {
    unsigned parts; /* enum hook_part; of rerank */
    size_t field_count;
    struct hook_field fields[HOOK_FIELDS_MAX];
};

/* All borrowed for the call.  row_count 1 to HOOK_BATCH_ROWS. */
struct hook_batch {
    size_t row_count;
    const float *distances;
    /* Of wants->fields, in that order, as many as there were when the batch was made; row_count
     * numbers each, NaN where the field is absent or no number. */
    const double *const *columns;
    size_t column_count;
    float *out; /* a row's new distance; NaN drops the row */
};

struct hook_hit {
    struct record_id id;
    float score;           /* a distance (1) */
    struct slice document; /* an encoded map; size 0: the empty one */
    const float *vector;   /* dim components */
};
struct hook_hits {
    size_t hit_count;
    const struct hook_hit *hits;
    uint32_t dim;
    unsigned parts; /* which members of the hits are set; the others are not looked at */
};
/* The caller's arrays, with room for hit_count each.  Hits in their new order, each at most once;
 * fewer: the others are dropped. */
struct hook_order {
    size_t count;
    uint32_t *places; /* in hook_hits.hits */
    float *scores;
};

/* Each of these is the head of a larger struct of the host's. */
struct hook_host {
    const struct hook_ops *ops;
};
struct hook {
    const struct hook_ops *ops;
    enum hook_point point;
};
struct hook_run {
    const struct hook_ops *ops;
};

struct hook_desc {
    enum hook_point point;
    struct slice source;  /* copied */
    struct slice builtin; /* or the name of a shipped one, and no source */
    struct slice options; /* a checked document, which the function gets; size 0: empty; copied */
    bool is_trusted;      /* the source may run fast and without limits of time */
    uint64_t deadline_us; /* of the preparing, which runs what is around the function; 0: none */
};

struct hook_ops {
    /* err PARSE: the source is none; HOOK: it makes no function; NOT_FOUND: no such builtin; LIMIT;
     * UNSUPPORTED; NO_MEMORY. */
    int (*prepare)(struct hook_host *host, const struct hook_desc *desc, struct hook **out,
                   struct error *err);
    /* No run of it is open, and its host is. */
    void (*destroy)(struct hook *hook);
    /* deadline_us: monotonic; 0: none.  It bounds the wait here and all calls of the run.
     * err BUSY: all that can run are running; HOOK: disabled, or what its source does fails;
     * NO_MEMORY. */
    int (*begin)(struct hook *hook, uint64_t deadline_us, struct hook_run **out, struct error *err);
    enum hook_result (*score)(struct hook_run *run, const struct hook_batch *batch,
                              struct hook_wants *wants, struct error *err);
    enum hook_result (*rerank)(struct hook_run *run, const struct hook_hits *hits,
                               struct hook_wants *wants, struct hook_order *out, struct error *err);
    void (*end)(struct hook_run *run);
    /* It was late so often that begin refuses it; NULL: that cannot be. */
    bool (*is_disabled)(struct hook *hook);
};

/* ---- What core calls; a host's table is reached through these alone ---- */

static inline int hook_prepare(struct hook_host *host, const struct hook_desc *desc,
                               struct hook **out, struct error *err)
{
    if (!host)
        return error_set(err, LYNSE_UNSUPPORTED,
                         "hooks from source text need a host of scripts, as liblynse-lua has one");
    return host->ops->prepare(host, desc, out, err);
}
static inline void hook_destroy(struct hook *hook) /* NULL is allowed */
{
    if (hook) hook->ops->destroy(hook);
}
static inline bool hook_is_disabled(struct hook *hook)
{
    return hook->ops->is_disabled && hook->ops->is_disabled(hook);
}
static inline int hook_begin(struct hook *hook, uint64_t deadline_us, struct hook_run **out,
                             struct error *err)
{
    return hook->ops->begin(hook, deadline_us, out, err);
}
static inline enum hook_result hook_score(struct hook_run *run, const struct hook_batch *batch,
                                          struct hook_wants *wants, struct error *err)
{
    return run->ops->score(run, batch, wants, err);
}
static inline enum hook_result hook_rerank(struct hook_run *run, const struct hook_hits *hits,
                                           struct hook_wants *wants, struct hook_order *out,
                                           struct error *err)
{
    return run->ops->rerank(run, hits, wants, out, err);
}
static inline void hook_end(struct hook_run *run) /* NULL is allowed */
{
    if (run) run->ops->end(run);
}

#endif
