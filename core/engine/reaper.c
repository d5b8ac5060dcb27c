/* SPDX-License-Identifier: Apache-2.0 */
/* reaper.c — one task ends what was given, piece by piece.
 *
 * WHAT        Two lists under one lock.  Whoever gives something while the task is not out submits
 *             it; where it cannot be, he ends what there is himself.
 * INVARIANTS  (1) While something is on a list the task is out, or somebody is at it.
 *             (2) What is taken from a list is one thread's alone.
 * THREADS     reaper.h.
 * FAILURE     None.  A file that cannot be unlinked is garbage still.
 */
#include "engine/reaper.h"

#include "base/check.h"

static struct reaper *of_task(struct task *t)
{
    return (struct reaper *)(void *)((char *)t - offsetof(struct reaper, task));
}

/* One piece of what there is; false: there is nothing. */
static bool end_some(struct reaper *r)
{
    mutex_lock(&r->mutex);
    struct view *v = r->dead_views;
    struct file_sweep *s = v ? NULL : r->sweeps;
    if (v) r->dead_views = v->next;
    if (s) r->sweeps = s->next;
    mutex_unlock(&r->mutex);
    if (!v && !s) return false;
    bool has_more = v ? view_reap_step(v) : file_sweep_step(s); /* (2) */
    if (!has_more) {
        file_sweep_release(s);
        return true;
    }
    mutex_lock(&r->mutex);
    if (v) {
        v->next = r->dead_views;
        r->dead_views = v;
    } else {
        s->next = r->sweeps;
        r->sweeps = s;
    }
    mutex_unlock(&r->mutex);
    return true;
}

/* Nothing is left: the task ends, but for what came meanwhile. */
static bool leave(struct reaper *r)
{
    mutex_lock(&r->mutex);
    bool is_done = !r->dead_views && !r->sweeps;
    if (is_done) r->is_out = false;
    mutex_unlock(&r->mutex);
    return is_done;
}

static bool step(struct task *task, uint64_t budget_us)
{
    struct reaper *r = of_task(task);
    uint64_t began_us = scheduler_now_us(r->scheduler);

    /* A piece counts as a microsecond at least: a simulated clock stands still meanwhile. */
    for (uint64_t pieces = 1; end_some(r); pieces++) {
        uint64_t used_us = scheduler_now_us(r->scheduler) - began_us;
        if ((used_us > pieces ? used_us : pieces) >= budget_us) return false;
    }
    return leave(r);
}

static void drop(struct task *task, int code)
{
    struct reaper *r = of_task(task);

    (void)code;
    do
        while (end_some(r)) continue;
    while (!leave(r));
}

/* Something was put on a list, under the mutex, which is given back. */
static void call(struct reaper *r)
{
    bool must_submit = !r->is_out;

    r->is_out = true;
    mutex_unlock(&r->mutex);
    if (must_submit && scheduler_submit(r->scheduler, TASK_JOB, &r->task, NULL) != 0)
        drop(&r->task, 0); /* (1) */
}

static void take_view(struct view_reaper *to, struct view *take_v)
{
    struct reaper *r = (struct reaper *)(void *)((char *)to - offsetof(struct reaper, views));

    mutex_lock(&r->mutex);
    take_v->next = r->dead_views;
    r->dead_views = take_v;
    call(r);
}

static void take_sweep(struct file_sweeper *to, struct file_sweep *take_s)
{
    struct reaper *r = (struct reaper *)(void *)((char *)to - offsetof(struct reaper, sweeper));

    mutex_lock(&r->mutex);
    take_s->next = r->sweeps;
    r->sweeps = take_s;
    call(r);
}

int reaper_create(struct alloc *a, struct scheduler *s, struct reaper **out, struct error *err)
{
    struct reaper *r = mem_zalloc(a, MEM_GENERAL, sizeof *r);

    if (!r) return error_no_memory(err, sizeof *r);
    r->views.take = take_view;
    r->sweeper.take = take_sweep;
    r->task.step = step;
    r->task.drop = drop;
    r->alloc = a;
    r->scheduler = s;
    mutex_init(&r->mutex);
    *out = r;
    return 0;
}

void reaper_finish(struct reaper *r)
{
    uint64_t next_us;

    /* Without threads nobody else is at it, and the queue that the task is in may stay. */
    if (!r || !r->scheduler->ops->pump) return;
    while (r->is_out) CHECK(r->scheduler->ops->pump(r->scheduler, UINT64_MAX, &next_us));
}

void reaper_destroy(struct reaper *r)
{
    if (!r) return;
    CHECK(!r->is_out && !end_some(r));
    mutex_deinit(&r->mutex);
    mem_free(r->alloc, r);
}
