/* SPDX-License-Identifier: Apache-2.0 */
/* index_pace.c — when the next rows may be written.
 *
 * WHAT        Rows without an index are counted when a turn begins.  A row that is admitted puts
 *             off the next one by what a build takes for one, times how near the limit is: with x,
 *             0 to 1, of the way from half of the limit to all of it, x / (1 - x) times.  What the
 *             build under way has done of its rows counts as done: else writers would be slowest
 *             just before it ends.
 *             What is owed in this way is let pass up to a few milliseconds, and then waited for
 *             in full: what came meanwhile is written together, with one sync.
 *             Rows that were there when the index was asked for, or that lost theirs, are counted
 *             out: nobody waits for hours of building because of what others wrote long ago.
 * INVARIANTS  (1) Rows wait only while something is under way that ends: a seal, a build, a merge
 *                 before it; and what is owed ends with it.  A timer that fires soon is armed then.
 *             (2) Nothing waits for a seal or a build that fails or is put off, nor once the
 *                 collection is being closed.
 *             (3) Nobody owes more than OWED_US_MAX, whatever a build takes.
 * THREADS     index_pace.h.
 */
#include "engine/index_pace.h"

#include "base/limits.h"
#include "engine/engine.h"

enum {
    LOOK_US = 20000, /* between two looks at rows that wait: what a frame of a caller is */
    GROUP_US = 5000, /* may be owed by rows that are written together */
    OWED_US_MAX = 1000000,
    FIRST_ROW_US = 100,         /* before a build has told */
    SLOWEST = 4,                /* times what a build takes a row */
    PROGRESS_TOLD_PERCENT = 10, /* of a build: less says little about how fast it is */
};

static bool is_paced(const struct host *h)
{
    /* Inline a caller builds by itself, between its writes. */
    return h->collection && !h->is_ending && !h->engine->desc.is_inline && h->index_failures == 0 &&
           h->collection->seal_failures == 0 && !engine_index_is_put_off(h); /* (2) */
}

/* Rows that the build under way has done. */
static double done_rows(const struct collection *c)
{
    if (!c->index_build) return 0;
    return (double)index_builder_progress(c->index_build) *
           (double)index_builder_row_count(c->index_build);
}

void index_pace_look(struct host *h)
{
    struct index_pace *p = &h->pace;
    uint64_t before = p->rows;

    if (!is_paced(h)) return;
    collection_count_unindexed(h->collection, &p->rows, &p->waiting_rows);
    if (p->rows > before) p->old_rows += p->rows - before; /* all others were admitted */
    if (p->old_rows > p->waiting_rows) p->old_rows = p->waiting_rows;
    if (p->waiting_rows == 0) p->not_before_us = 0; /* (1) */
}

static double row_us(const struct host *h)
{
    const struct index_pace *p = &h->pace;
    double told = p->row_us > 0 ? p->row_us : FIRST_ROW_US;
    const struct collection *c = h->collection;

    if (!c->index_build || index_builder_progress(c->index_build) * 100 < PROGRESS_TOLD_PERCENT)
        return told;
    uint64_t now_us = scheduler_now_us(h->engine->scheduler);
    double now = (double)(now_us - p->began_us) / done_rows(c);
    return now > told ? now : told;
}

/* What the next row takes, of what it takes to be indexed. */
static double slowness(const struct host *h)
{
    const struct index_pace *p = &h->pace;
    const double half = UNINDEXED_ROWS_MAX / 2;
    double rows = (double)(p->rows - p->old_rows);

    if (p->old_rows == 0) rows -= done_rows(h->collection);
    if (rows <= half) return 0;
    double x = (rows - half) / half;
    return x / (1 - x) < SLOWEST && x < 1 ? x / (1 - x) : SLOWEST;
}

bool index_pace_holds(struct host *h, size_t row_count)
{
    struct index_pace *p = &h->pace;
    uint64_t now_us = scheduler_now_us(h->engine->scheduler);

    if (row_count == 0 || !is_paced(h) || p->waiting_rows == 0) return false; /* (1) */
    bool is_over = p->rows + row_count > UNINDEXED_ROWS_MAX && p->old_rows == 0;
    uint64_t owed_us = now_us < p->not_before_us ? p->not_before_us - now_us : 0;
    p->is_held = owed_us > (p->is_held ? 0 : GROUP_US);
    if (!is_over && !p->is_held) return false;
    /* A look drops what has waited too long, too. */
    uint64_t wait_us = p->is_held && owed_us < LOOK_US ? owed_us : LOOK_US;
    actor_timer_start(p->timer, now_us + wait_us, 0);
    return true;
}

void index_pace_admit(struct host *h, size_t row_count)
{
    struct index_pace *p = &h->pace;
    uint64_t now_us = scheduler_now_us(h->engine->scheduler);

    if (!is_paced(h)) return;
    double wait_us = p->rows > 0 ? slowness(h) * row_us(h) * (double)row_count : 0;
    p->rows += row_count;
    if (p->not_before_us < now_us) p->not_before_us = now_us;
    p->not_before_us += (uint64_t)(wait_us < OWED_US_MAX ? wait_us : OWED_US_MAX);
    if (p->not_before_us > now_us + OWED_US_MAX) p->not_before_us = now_us + OWED_US_MAX; /* (3) */
}

void index_pace_begin_build(struct host *h)
{
    h->pace.began_us = scheduler_now_us(h->engine->scheduler);
}

void index_pace_end_build(struct host *h, uint32_t row_count)
{
    struct index_pace *p = &h->pace;
    double us = (double)(scheduler_now_us(h->engine->scheduler) - p->began_us) / row_count;

    p->row_us = p->row_us > 0 ? (p->row_us + us) / 2 : us;
    p->old_rows -= p->old_rows < row_count ? p->old_rows : row_count; /* they are built first */
    index_pace_look(h);
}
