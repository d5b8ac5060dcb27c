/* SPDX-License-Identifier: Apache-2.0 */
/* search_pool.c — one search on several threads: slice 0 on the caller's, the others on the pool.
 *
 * A slice that the pool refuses is done by the caller, so that a search never fails for want of
 * threads; one that it drops (it ends with the root) fails the search.  The caller waits for its
 * slices without a deadline: each one looks at the search's own at least once per millisecond.
 */
#include "base/check.h"
#include "engine/engine.h"

enum { SLICES_MAX = 64 };

struct slice_group {
    struct mutex mutex;
    struct condition done;
    size_t running;
};
struct slice_task {
    struct task task; /* first */
    struct slice_group *group;
    struct search *search;
    size_t slice;
    uint64_t budget_us;
    enum search_state state;
    int drop_code; /* LYNSE_OK: it ran */
};

static void slice_done(struct slice_task *t, enum search_state state)
{
    struct slice_group *g = t->group;

    mutex_lock(&g->mutex);
    t->state = state;
    if (--g->running == 0) condition_signal(&g->done);
    mutex_unlock(&g->mutex);
}

static bool slice_step(struct task *task, uint64_t budget_us)
{
    struct slice_task *t = (struct slice_task *)task;

    (void)budget_us;
    slice_done(t, search_advance(t->search, t->slice, t->budget_us));
    return true;
}

static void slice_drop(struct task *task, int code)
{
    struct slice_task *t = (struct slice_task *)task;

    t->drop_code = code;
    slice_done(t, SEARCH_FAILED);
}

static void wait_for_slices(struct slice_group *g)
{
    mutex_lock(&g->mutex);
    while (g->running > 0) condition_wait(&g->done, &g->mutex);
    mutex_unlock(&g->mutex);
}

unsigned engine_search_threads(const struct engine *e)
{
    if (e->scheduler->ops->kind != SCHEDULER_THREADS) return 1;
    return e->search_threads < SLICES_MAX ? e->search_threads : SLICES_MAX;
}

static enum search_state worst(enum search_state a, enum search_state b)
{
    if (a == SEARCH_FAILED || b == SEARCH_FAILED) return SEARCH_FAILED;
    return a == SEARCH_MORE || b == SEARCH_MORE ? SEARCH_MORE : SEARCH_DONE;
}

/* A search may outlive every handle of its collection: whose index is damaged is looked for. */
static void heed_damage(struct engine *e, const struct search *s)
{
    const struct view *v = search_damaged_view(s);
    const struct uuid *collection = NULL;

    for (size_t i = 0; v && i < v->part_count && !collection; i++)
        if (v->parts[i].index) collection = segment_index_collection(v->parts[i].index);
    if (!collection) return;
    engine_lock(e);
    for (struct host *h = e->hosts; h; h = h->next)
        if (memcmp(&h->entry.uuid, collection, sizeof *collection) == 0) engine_want_indexes(h, v);
    engine_unlock(e);
}

enum search_state engine_advance_search(struct engine *e, struct search *s, size_t slice_count,
                                        uint64_t budget_us, struct error *err)
{
    struct slice_task tasks[SLICES_MAX];
    struct slice_group group = {.running = 0};
    bool is_here[SLICES_MAX] = {false};
    enum search_state state;

    CHECK(slice_count >= 1 && slice_count <= SLICES_MAX);
    mutex_init(&group.mutex);
    condition_init(&group.done);
    group.running = slice_count - 1;
    for (size_t i = 1; i < slice_count; i++) {
        tasks[i] = (struct slice_task){.task = {.step = slice_step, .drop = slice_drop},
                                       .group = &group,
                                       .search = s,
                                       .slice = i,
                                       .budget_us = budget_us};
        if (scheduler_submit(e->scheduler, TASK_SEARCH, &tasks[i].task, NULL) == 0) continue;
        is_here[i] = true;
        mutex_lock(&group.mutex);
        group.running--;
        mutex_unlock(&group.mutex);
    }
    state = search_advance(s, 0, budget_us);
    for (size_t i = 1; i < slice_count; i++)
        if (is_here[i]) state = worst(state, search_advance(s, i, budget_us));
    wait_for_slices(&group);
    int drop_code = LYNSE_OK;
    for (size_t i = 1; i < slice_count; i++) {
        if (is_here[i]) continue;
        state = worst(state, tasks[i].state);
        if (tasks[i].drop_code) drop_code = tasks[i].drop_code;
    }
    mutex_deinit(&group.mutex);
    condition_deinit(&group.done);
    heed_damage(e, s);
    if (drop_code) error_set(err, drop_code, "the search's threads were ended under it");
    else if (state == SEARCH_FAILED && err) *err = *search_error(s);
    return state;
}
