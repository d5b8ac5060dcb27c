/* SPDX-License-Identifier: Apache-2.0 */
/* mpsc.h — intrusive lock-free queue: many producers, one consumer, with an idle bit.
 *
 * The lowest bit of the head says "empty and unscheduled": the push that clears it knows that it
 * must schedule the consumer, so that no wake-up is lost and none is spurious (the idea is
 * libponyrt's messageq; D. Vyukov's node-based MPSC queue is the base).  Pushing never waits,
 * never allocates.  The consumer owns a node as soon as it is popped.
 */
#ifndef BASE_MPSC_H
#define BASE_MPSC_H

#include <stdbool.h>

#include "base/atomic.h"

struct mpsc_node {
    _Atomic(struct mpsc_node *) next;
};
struct mpsc {
    _Atomic(uintptr_t) head;          /* newest node | idle bit; producers */
    char pad[64 - sizeof(uintptr_t)]; /* the consumer's end has a cache line of its own */
    struct mpsc_node *tail;           /* oldest node; consumer only */
    struct mpsc_node stub;
};

void mpsc_init(struct mpsc *q); /* empty and idle; q must not move afterwards */
/* Any thread.  true: the queue was idle and the caller must schedule the consumer. */
bool mpsc_push(struct mpsc *q, struct mpsc_node *node);
/* Consumer only.  NULL: nothing is there now (a push may be half way). */
struct mpsc_node *mpsc_pop(struct mpsc *q);
/* Consumer only, after pop gave NULL: true = now idle, the next push will schedule; false = more
 * came. */
bool mpsc_mark_idle(struct mpsc *q);

#endif
