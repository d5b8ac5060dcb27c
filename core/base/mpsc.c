/* SPDX-License-Identifier: Apache-2.0 */
/* mpsc.c — intrusive queue of many producers and one consumer, with an idle bit.
 *
 * WHAT        D. Vyukov's node-based MPSC queue; the idle bit in the head is after libponyrt.
 * LAYOUT      tail -> oldest -> ... -> newest <- head.  Links point from old to new.  The stub is a
 *             node of the queue's own that stands in the list when nothing else does, so that no
 *             producer ever meets an empty list.
 * INVARIANTS  (1) head, without its lowest bit, is the last node pushed; it is never NULL.
 *             (2) From tail, following next leads to head, but for links that a push between its
 *                 two steps has yet to write: there the list ends with NULL for the moment.
 *             (3) The idle bit is set only on the stub, only when the list is the stub alone, and
 *                 only by the consumer.  So it is cleared by exactly one push, which thereby knows
 *                 that it must schedule the consumer.
 *             (4) The stub is in the list at most once: the consumer puts it there only when tail
 *                 is another node and is the only one.
 * THREADS     mpsc_push any; the rest the consumer, which may be another thread each time it is
 *             scheduled.
 * FAILURE     None.  A producer that stops between its two steps hides its node and later ones
 *             from the consumer until it goes on (2); meanwhile mark_idle answers false.
 *
 * Orders and partners:
 *   (a) exchange of head in push, acquire and release.  Release: the node's next = NULL happens
 *       before the next producer's store to that next.  Acquire: the partner, the same exchange of
 *       the next producer.  Without the pair the two stores could land in the wrong order and the
 *       link would be lost.
 *   (b) store of prev->next in push, release; partner: the loads of next in pop, acquire.  They
 *       carry the message itself to the consumer, and let it reuse a popped node: the store to a
 *       node's next is the last access that any producer makes to it.
 *   (c) compare-and-swap of head in mark_idle, release on success; partner: the exchange (a) that
 *       finds the idle bit.  It carries the consumer's state (tail, and whatever the consumer
 *       owns) to the producer that schedules the next run, and through the scheduler to that run.
 */
#include "base/mpsc.h"

#include <stddef.h>

#define IDLE_BIT ((uintptr_t)1)

void mpsc_init(struct mpsc *q)
{
    /* Relaxed: whoever hands the queue to other threads publishes it. */
    atomic_store_relaxed(&q->stub.next, NULL);
    atomic_store_relaxed(&q->head, (uintptr_t)&q->stub | IDLE_BIT);
    q->tail = &q->stub;
}

bool mpsc_push(struct mpsc *q, struct mpsc_node *node)
{
    atomic_store_relaxed(&node->next, NULL);                             /* ordered by (a) */
    uintptr_t previous = atomic_swap_acq_rel(&q->head, (uintptr_t)node); /* (a), (c) */
    struct mpsc_node *before = (struct mpsc_node *)(previous & ~IDLE_BIT);
    atomic_store_release(&before->next, node); /* (b) */
    return (previous & IDLE_BIT) != 0;
}

struct mpsc_node *mpsc_pop(struct mpsc *q)
{
    struct mpsc_node *tail = q->tail;
    struct mpsc_node *next = atomic_load_acquire(&tail->next); /* (b) */
    if (tail == &q->stub) {
        if (!next) return NULL;
        q->tail = next;
        tail = next;
        next = atomic_load_acquire(&tail->next); /* (b) */
    }
    if (!next) {
        /* The last node may leave only when another follows it: append the stub.  Relaxed: the
         * value decides nothing but whether it is worth trying, a node behind the tail is seen by
         * the load below.  The idle bit cannot be set here (3). */
        if (atomic_load_relaxed(&q->head) != (uintptr_t)tail) return NULL;
        mpsc_push(q, &q->stub);
        next = atomic_load_acquire(&tail->next); /* (b) */
        if (!next) return NULL;
    }
    q->tail = next;
    return tail;
}

bool mpsc_mark_idle(struct mpsc *q)
{
    if (q->tail != &q->stub) return false;
    uintptr_t expected = (uintptr_t)&q->stub;
    if (atomic_cas_acq_rel(&q->head, &expected, expected | IDLE_BIT)) return true; /* (c) */
    return expected == ((uintptr_t)&q->stub | IDLE_BIT);
}
