/* SPDX-License-Identifier: Apache-2.0 */
/* timer.c — timers of actors in one binary heap per scheduler.
 *
 * WHAT        An armed timer is in the heap; one that is due is pushed to its actor as a message
 *             of the runtime, embedded in the timer, and a periodic one goes back into the heap.
 * INVARIANTS  (1) heap: items[i] is not later than its children; item->heap_index is its place.
 *             (2) The heap has room for every timer alive, so that arming cannot fail.
 *             (3) The embedded message is in the mailbox exactly while is_queued; a timer that is
 *                 destroyed then is freed when the message comes out.
 * THREADS     Everything here is under the scheduler's lock; fire() itself is called without it,
 *             in the actor's turn.
 * FAILURE     Only actor_timer_create can fail.
 */
#include "actor/timer.h"

#include <string.h>

#include "actor/actor.h"
#include "actor/scheduler.h"
#include "base/check.h"

struct actor_timer {
    struct runtime_message firing; /* first */
    struct actor *actor;
    timer_fn *fire;
    void *ctx;
    uint64_t id;
    uint64_t due_us;
    uint64_t period_us;
    size_t heap_index; /* NOT_ARMED: not in the heap */
    bool is_queued;
    bool is_wanted; /* the queued firing counts */
    bool is_dead;
};

static const size_t NOT_ARMED = SIZE_MAX;
enum { TIMER_HEAP_FIRST = 16 };

/* ---- The heap ---- */

static bool is_earlier(const struct actor_timer *a, const struct actor_timer *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->id < b->id;
}

static void place(struct timer_heap *h, size_t i, struct actor_timer *t)
{
    h->items[i] = t;
    t->heap_index = i;
}

static void sift_up(struct timer_heap *h, size_t i)
{
    struct actor_timer *t = h->items[i];
    while (i > 0 && is_earlier(t, h->items[(i - 1) / 2])) {
        place(h, i, h->items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(h, i, t);
}

static void sift_down(struct timer_heap *h, size_t i)
{
    struct actor_timer *t = h->items[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count) break;
        if (child + 1 < h->count && is_earlier(h->items[child + 1], h->items[child])) child++;
        if (!is_earlier(h->items[child], t)) break;
        place(h, i, h->items[child]);
        i = child;
    }
    place(h, i, t);
}

static void heap_insert(struct timer_heap *h, struct actor_timer *t)
{
    CHECK(h->count < h->capacity); /* (2) */
    place(h, h->count, t);
    sift_up(h, h->count++);
}

static void heap_remove(struct timer_heap *h, struct actor_timer *t)
{
    size_t i = t->heap_index;
    if (i == NOT_ARMED) return;
    struct actor_timer *last = h->items[--h->count];
    t->heap_index = NOT_ARMED;
    if (last == t) return;
    place(h, i, last);
    sift_up(h, i);
    sift_down(h, last->heap_index);
}

static int heap_reserve(struct timer_heap *h, struct alloc *a)
{
    if (h->timer_count < h->capacity) return 0;
    size_t capacity = h->capacity ? h->capacity * 2 : TIMER_HEAP_FIRST;
    struct actor_timer **items = mem_resize(a, MEM_GENERAL, h->items, capacity * sizeof(void *));
    if (!items) return -1;
    h->items = items;
    h->capacity = capacity;
    return 0;
}

void timer_heap_deinit(struct timer_heap *h, struct alloc *a)
{
    CHECK(h->timer_count == 0);
    mem_free(a, h->items);
    *h = (struct timer_heap){0};
}

uint64_t timer_heap_next_us(const struct timer_heap *h)
{
    return h->count ? h->items[0]->due_us : UINT64_MAX;
}

void timer_heap_fire(struct timer_heap *h, uint64_t now_us)
{
    while (h->count && h->items[0]->due_us <= now_us) {
        struct actor_timer *t = h->items[0];
        heap_remove(h, t);
        if (t->period_us != 0) {
            t->due_us += (1 + (now_us - t->due_us) / t->period_us) * t->period_us;
            heap_insert(h, t);
        }
        t->is_wanted = true;
        if (t->is_queued) continue;
        t->is_queued = true;
        actor_push_runtime(t->actor, &t->firing);
    }
}

/* ---- Timers ---- */

static void run_firing(struct actor *a, struct runtime_message *m)
{
    struct actor_timer *t = (struct actor_timer *)m;
    struct scheduler *s = a->scheduler;

    mutex_lock(&s->lock);
    bool is_dead = t->is_dead;
    bool is_wanted = t->is_wanted;
    t->is_queued = false;
    t->is_wanted = false;
    mutex_unlock(&s->lock);
    if (is_dead) mem_free(s->alloc, t); /* (3) */
    else if (is_wanted) t->fire(a, t->ctx);
}

struct actor_timer *actor_timer_create(struct actor *a, timer_fn *fire, void *ctx,
                                       struct error *err)
{
    struct scheduler *s = a->scheduler;
    struct actor_timer *t = mem_zalloc(s->alloc, MEM_GENERAL, sizeof *t);

    if (!t) {
        error_no_memory(err, sizeof *t);
        return NULL;
    }
    runtime_message_init(&t->firing, run_firing);
    t->actor = a;
    t->fire = fire;
    t->ctx = ctx;
    t->heap_index = NOT_ARMED;
    t->id = scheduler_next_id(s);
    mutex_lock(&s->lock);
    int rc = heap_reserve(&s->timers, s->alloc);
    if (rc == 0) {
        s->timers.timer_count++;
        a->timer_count++;
    }
    mutex_unlock(&s->lock);
    if (rc != 0) {
        mem_free(s->alloc, t);
        error_set(err, LYNSE_NO_MEMORY, "cannot grow the heap of timers");
        return NULL;
    }
    return t;
}

void actor_timer_start(struct actor_timer *t, uint64_t due_us, uint64_t period_us)
{
    struct scheduler *s = t->actor->scheduler;

    mutex_lock(&s->lock);
    heap_remove(&s->timers, t);
    t->is_wanted = false;
    t->due_us = due_us;
    t->period_us = period_us;
    heap_insert(&s->timers, t);
    if (t->heap_index == 0 && s->ops->timers_changed) s->ops->timers_changed(s);
    mutex_unlock(&s->lock);
}

void actor_timer_stop(struct actor_timer *t)
{
    struct scheduler *s = t->actor->scheduler;

    mutex_lock(&s->lock);
    heap_remove(&s->timers, t);
    t->is_wanted = false;
    mutex_unlock(&s->lock);
}

void actor_timer_destroy(struct actor_timer *t)
{
    if (!t) return;
    struct scheduler *s = t->actor->scheduler;

    mutex_lock(&s->lock);
    heap_remove(&s->timers, t);
    s->timers.timer_count--;
    t->actor->timer_count--;
    bool is_queued = t->is_queued;
    t->is_dead = true;
    mutex_unlock(&s->lock);
    if (!is_queued) mem_free(s->alloc, t); /* (3) */
}
