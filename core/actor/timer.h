/* SPDX-License-Identifier: Apache-2.0 */
/* timer.h — deadlines and periodic ticks of actors.
 *
 * A timer that is due is pushed to its actor like a message and fires in the actor's turn, in
 * order with what was sent before.  While one firing is still queued, further ticks are skipped:
 * a slow actor gets one late tick and not a burst.
 */
#ifndef ACTOR_TIMER_H
#define ACTOR_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/error.h"

struct actor;
struct actor_timer; /* heap object of one actor */
typedef void timer_fn(struct actor *a, void *ctx);

/* All in the actor's turn, before anything was sent to it, or in its on_stop.
 * actor_timer_create: NULL: NO_MEMORY.  Not armed. */
struct actor_timer *actor_timer_create(struct actor *a, timer_fn *fire, void *ctx,
                                       struct error *err);
/* Fire at due_us (monotonic), then every period_us (0: once).  Re-arms one that is armed; a firing
 * that is already queued is dropped. */
void actor_timer_start(struct actor_timer *t, uint64_t due_us, uint64_t period_us);
void actor_timer_stop(struct actor_timer *t);    /* no firing after this */
void actor_timer_destroy(struct actor_timer *t); /* inside its own firing, too; NULL is allowed */

/* The scheduler's: a binary heap by (due time, creation id), so that equal times have one order.
 * Guarded by the scheduler's lock. */
struct timer_heap {
    struct actor_timer **items;
    size_t count;
    size_t capacity;
    size_t timer_count; /* timers alive, armed or not: the room that must be there */
};

void timer_heap_deinit(struct timer_heap *h, struct alloc *a);
uint64_t timer_heap_next_us(const struct timer_heap *h); /* UINT64_MAX: none */
/* Push the firing of every timer that is due at now_us to its actor. */
void timer_heap_fire(struct timer_heap *h, uint64_t now_us);

#endif
