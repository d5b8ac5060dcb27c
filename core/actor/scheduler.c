/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler.c — what the three schedulers share. */
#include "actor/scheduler.h"

#include "actor/actor.h"
#include "actor/message_pool.h"
#include "base/check.h"

int scheduler_init(struct scheduler *s, const struct scheduler_ops *ops, struct alloc *a,
                   const struct clock *clock, struct error *err)
{
    *s = (struct scheduler){.ops = ops, .alloc = a, .clock = clock};
    s->messages = message_pool_create(a, ops->kind == SCHEDULER_THREADS, err);
    if (!s->messages) return -1;
    mutex_init(&s->lock);
    condition_init(&s->actor_changed);
    return 0;
}

void scheduler_deinit(struct scheduler *s)
{
    CHECK(!s->actors);
    timer_heap_deinit(&s->timers, s->alloc);
    condition_deinit(&s->actor_changed);
    mutex_deinit(&s->lock);
    message_pool_destroy(s->messages);
}

void scheduler_destroy(struct scheduler *s)
{
    if (s) s->ops->destroy(s);
}

uint64_t scheduler_next_id(struct scheduler *s)
{
    mutex_lock(&s->lock);
    uint64_t id = ++s->next_id;
    mutex_unlock(&s->lock);
    return id;
}

int scheduler_submit(struct scheduler *s, enum task_class class, struct task *t, struct error *err)
{
    t->id = scheduler_next_id(s);
    return s->ops->submit(s, class, t, err);
}

uint64_t scheduler_fire_timers(struct scheduler *s)
{
    mutex_lock(&s->lock);
    timer_heap_fire(&s->timers, scheduler_now_us(s));
    uint64_t next_us = timer_heap_next_us(&s->timers);
    mutex_unlock(&s->lock);
    return next_us;
}

static bool read_flag(struct scheduler *s, const bool *flag)
{
    mutex_lock(&s->lock);
    bool is_set = *flag;
    mutex_unlock(&s->lock);
    return is_set;
}

void scheduler_await(struct scheduler *s, const bool *flag)
{
    if (s->ops->pump) {
        uint64_t next_us;
        /* What sets the flag is queued, so a pump that has nothing to do was called inside the
         * very turn it waits for. */
        while (!read_flag(s, flag)) CHECK(s->ops->pump(s, 0, &next_us) || read_flag(s, flag));
        return;
    }
    mutex_lock(&s->lock);
    while (!*flag) condition_wait(&s->actor_changed, &s->lock);
    mutex_unlock(&s->lock);
}
