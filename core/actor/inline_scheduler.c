/* SPDX-License-Identifier: Apache-2.0 */
/* inline_scheduler.c — no threads: work runs inside inline_poll and inside calls that wait.
 *
 * WHAT        Two queues in order of arrival, actors and tasks, served in turns, so that neither
 *             a long job nor a busy actor keeps the other from going on.
 * INVARIANTS  (1) One host thread at a time is inside (owner); it may nest: a completion callback
 *                 may make a call that waits.  The thing that is being run is in no queue, so a
 *                 nested pump never enters it again.
 *             (2) An actor is in the queue at most once (actor.c, invariant 1).
 * THREADS     schedule, submit: any, under run_lock, which is taken last.  The rest: the owner.
 * FAILURE     submit answers BUSY when queue_max tasks of the class wait.
 */
#include "actor/actor.h"
#include "actor/scheduler.h"
#include "base/check.h"

enum {
    PUMP_SLICE_US = 500, /* of a task, inside a call that waits for something else */
};

struct task_list {
    struct task *first;
    struct task *last;
    size_t count;
};

struct inline_scheduler {
    struct scheduler base; /* first */
    struct mutex run_lock; /* of all below */
    struct condition owner_left;
    uintptr_t owner; /* thread_self */
    unsigned depth;  /* nested turns of the owner; 0: nobody is inside */
    struct actor *actor_first;
    struct actor *actor_last;
    struct task_list tasks[TASK_CLASS_COUNT];
    enum task_class next_class;
    bool is_task_next;
    size_t queue_max;
};

static struct inline_scheduler *self(struct scheduler *s)
{
    return (struct inline_scheduler *)s;
}

/* ---- Queues; under run_lock ---- */

static void push_actor(struct inline_scheduler *is, struct actor *a)
{
    a->run_next = NULL;
    if (is->actor_last) is->actor_last->run_next = a;
    else is->actor_first = a;
    is->actor_last = a;
}

static struct actor *pop_actor(struct inline_scheduler *is)
{
    struct actor *a = is->actor_first;
    if (!a) return NULL;
    is->actor_first = a->run_next;
    if (!is->actor_first) is->actor_last = NULL;
    return a;
}

static void push_task(struct task_list *list, struct task *t)
{
    t->next = NULL;
    if (list->last) list->last->next = t;
    else list->first = t;
    list->last = t;
    list->count++;
}

static struct task *pop_task(struct task_list *list)
{
    struct task *t = list->first;
    if (!t) return NULL;
    list->first = t->next;
    if (!list->first) list->last = NULL;
    list->count--;
    return t;
}

/* The classes in turns. */
static struct task *pop_any_task(struct inline_scheduler *is, enum task_class *out_class)
{
    for (int i = 0; i < TASK_CLASS_COUNT; i++) {
        enum task_class class = is->next_class;
        is->next_class = (enum task_class)((class + 1) % TASK_CLASS_COUNT);
        struct task *t = pop_task(&is->tasks[class]);
        if (t) {
            *out_class = class;
            return t;
        }
    }
    return NULL;
}

/* ---- Entering: one thread at a time (1) ---- */

static bool enter(struct inline_scheduler *is, bool waits)
{
    bool is_in = true;

    mutex_lock(&is->run_lock);
    while (is->depth != 0 && is->owner != thread_self()) {
        is_in = waits;
        if (!waits) break;
        condition_wait(&is->owner_left, &is->run_lock);
    }
    if (is_in) {
        is->owner = thread_self();
        is->depth++;
    }
    mutex_unlock(&is->run_lock);
    return is_in;
}

static void leave(struct inline_scheduler *is)
{
    mutex_lock(&is->run_lock);
    if (--is->depth == 0) condition_signal(&is->owner_left);
    mutex_unlock(&is->run_lock);
}

/* ---- Running ---- */

static void run_actor(struct inline_scheduler *is, struct actor *a)
{
    if (actor_run(a, ACTOR_BATCH_MAX) != ACTOR_MORE) return;
    mutex_lock(&is->run_lock);
    push_actor(is, a);
    mutex_unlock(&is->run_lock);
}

static void run_task(struct inline_scheduler *is, struct task *t, enum task_class class,
                     uint64_t budget_us)
{
    if (t->step(t, budget_us)) return;
    mutex_lock(&is->run_lock);
    push_task(&is->tasks[class], t);
    mutex_unlock(&is->run_lock);
}

/* One actor or one task step, in turns while there are both. */
static bool run_one(struct inline_scheduler *is, uint64_t task_budget_us)
{
    enum task_class class = TASK_SEARCH;
    struct actor *a = NULL;
    struct task *t = NULL;

    mutex_lock(&is->run_lock);
    if (is->is_task_next) t = pop_any_task(is, &class);
    if (!t) a = pop_actor(is);
    if (!t && !a) t = pop_any_task(is, &class);
    is->is_task_next = a != NULL;
    mutex_unlock(&is->run_lock);
    if (a) run_actor(is, a);
    if (t) run_task(is, t, class, task_budget_us);
    return a || t;
}

static bool has_ready(struct inline_scheduler *is)
{
    mutex_lock(&is->run_lock);
    bool ready = is->actor_first != NULL;
    for (int i = 0; i < TASK_CLASS_COUNT; i++) ready = ready || is->tasks[i].count != 0;
    mutex_unlock(&is->run_lock);
    return ready;
}

bool inline_poll(struct scheduler *s, uint64_t budget_us)
{
    struct inline_scheduler *is = self(s);
    uint64_t began_us = scheduler_now_us(s);

    CHECK(s->ops->kind == SCHEDULER_INLINE);
    if (!enter(is, false)) return true;
    for (;;) {
        uint64_t used_us = scheduler_now_us(s) - began_us;
        uint64_t left_us = used_us < budget_us ? budget_us - used_us : 0;
        (void)scheduler_fire_timers(s);
        if (!run_one(is, left_us)) break;
        if (scheduler_now_us(s) - began_us >= budget_us) break;
    }
    leave(is);
    return has_ready(is);
}

static bool inline_pump(struct scheduler *s, uint64_t until_us, uint64_t *out_next_us)
{
    struct inline_scheduler *is = self(s);

    (void)until_us; /* time is the host's */
    (void)enter(is, true);
    *out_next_us = scheduler_fire_timers(s);
    bool ran = run_one(is, PUMP_SLICE_US);
    leave(is);
    return ran;
}

/* ---- The seam ---- */

static int inline_attach(struct scheduler *s, struct actor *a, struct error *err)
{
    (void)s;
    (void)a;
    (void)err;
    return 0;
}

static void inline_detach(struct scheduler *s, struct actor *a)
{
    (void)s;
    (void)a;
}

static void inline_schedule(struct scheduler *s, struct actor *a)
{
    struct inline_scheduler *is = self(s);

    mutex_lock(&is->run_lock);
    push_actor(is, a);
    mutex_unlock(&is->run_lock);
}

static int inline_submit(struct scheduler *s, enum task_class class, struct task *t,
                         struct error *err)
{
    struct inline_scheduler *is = self(s);

    mutex_lock(&is->run_lock);
    bool is_full = is->tasks[class].count >= is->queue_max;
    if (!is_full) push_task(&is->tasks[class], t);
    mutex_unlock(&is->run_lock);
    if (is_full) return error_set(err, LYNSE_BUSY, "%zu tasks wait already", is->queue_max);
    return 0;
}

static void inline_destroy(struct scheduler *s)
{
    struct inline_scheduler *is = self(s);
    enum task_class class;
    struct task *t;

    while ((t = pop_any_task(is, &class)) != NULL) t->drop(t, LYNSE_SHUTTING_DOWN);
    CHECK(!is->actor_first);
    scheduler_deinit(s);
    condition_deinit(&is->owner_left);
    mutex_deinit(&is->run_lock);
    mem_free(s->alloc, is);
}

static const struct scheduler_ops inline_ops = {
    .kind = SCHEDULER_INLINE,
    .attach = inline_attach,
    .detach = inline_detach,
    .schedule = inline_schedule,
    .submit = inline_submit,
    .pump = inline_pump,
    .destroy = inline_destroy,
};

struct scheduler *inline_scheduler_create(const struct inline_scheduler_desc *desc,
                                          struct error *err)
{
    struct inline_scheduler *is = mem_zalloc(desc->alloc, MEM_GENERAL, sizeof *is);
    const struct clock *clock = desc->clock ? desc->clock : clock_system();

    if (!is) {
        error_no_memory(err, sizeof *is);
        return NULL;
    }
    if (scheduler_init(&is->base, &inline_ops, desc->alloc, clock, err) != 0) {
        mem_free(desc->alloc, is);
        return NULL;
    }
    mutex_init(&is->run_lock);
    condition_init(&is->owner_left);
    is->queue_max = desc->queue_max ? desc->queue_max : TASK_QUEUE_MAX;
    return &is->base;
}
