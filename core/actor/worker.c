/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c — the loop of a worker thread.
 *
 * WHAT        Its run queue is an mpsc whose idle bit means "the worker rests": the push that
 *             clears it wakes the worker.  An actor that has more to do goes to the end of the
 *             queue, so that actors of one worker take turns by batches.
 * INVARIANTS  (1) There is one wake for each time the queue stops being idle.
 *             (2) A resting worker uses no processor time: after spin_us it sleeps.
 * THREADS     worker_schedule: any.
 */
#include "actor/worker.h"

#include <sched.h>
#include <stddef.h>
#include <stdio.h>

#include "actor/actor.h"
#include "base/check.h"

enum { THREAD_NAME_BYTES = 16 };

void worker_schedule(struct worker *w, struct actor *a)
{
    if (mpsc_push(&w->run_queue, &a->run_node)) parker_wake(&w->parker);
}

static struct actor *actor_of(struct mpsc_node *run_node)
{
    return (struct actor *)((char *)run_node - offsetof(struct actor, run_node));
}

static void run_until_idle(struct worker *w)
{
    do {
        struct mpsc_node *node;
        while ((node = mpsc_pop(&w->run_queue)) != NULL) {
            struct actor *a = actor_of(node);
            uint64_t before = atomic_load_relaxed(&a->message_count);
            if (actor_run(a, ACTOR_BATCH_MAX) != ACTOR_MORE) continue;
            bool is_stalled = before == atomic_load_relaxed(&a->message_count);
            (void)mpsc_push(&w->run_queue, &a->run_node);
            /* Nothing came out although something is in: a sender stands between the two steps of
             * its push, and may need this core to go on. */
            if (is_stalled) sched_yield();
        }
    } while (!mpsc_mark_idle(&w->run_queue));
}

static void run_worker(void *ctx)
{
    struct worker *w = ctx;

    for (;;) {
        (void)parker_wait(&w->parker, &w->spinner, 0);
        if (atomic_load_acquire(&w->is_stopping)) break; /* pairs with worker_stop */
        /* seq_cst: see is_watching in thread_scheduler.c. */
        atomic_store_explicit(&w->is_busy, 1, memory_order_seq_cst);
        w->on_busy(w->ctx);
        run_until_idle(w);
        atomic_store_explicit(&w->is_busy, 0, memory_order_seq_cst);
    }
}

int worker_start(struct worker *w, unsigned number, uint32_t spin_us, void (*on_busy)(void *ctx),
                 void *ctx, struct error *err)
{
    char name[THREAD_NAME_BYTES];

    mpsc_init(&w->run_queue);
    parker_init(&w->parker);
    spinner_init(&w->spinner, spin_us);
    w->on_busy = on_busy;
    w->ctx = ctx;
    snprintf(name, sizeof name, "lynse-actor-%u", number % 100);
    if (thread_start(&w->thread, name, run_worker, w, err) == 0) return 0;
    parker_deinit(&w->parker);
    return -1;
}

void worker_stop(struct worker *w)
{
    if (!w->thread.is_started) return;
    atomic_store_release(&w->is_stopping, 1); /* pairs with run_worker */
    parker_wake(&w->parker);
    thread_join(&w->thread);
    parker_deinit(&w->parker);
}
