/* SPDX-License-Identifier: Apache-2.0 */
/* task_pool.c — a queue under a mutex, and threads that spin for a moment before they sleep.
 *
 * WHAT        Many consumers want a lock anyway; what makes the hand-over quick is that one idle
 *             thread spins on the length, so that a submit while the pool is hot wakes nobody.
 * INVARIANTS  (1) If tasks wait, then a thread runs, spins, or was signalled: a spinning thread
 *                 looks at the queue under the lock before it sleeps.
 *             (2) At most one thread spins, for spin_us after work; the others sleep.
 *             (3) queue_length mirrors the list; it is written under the lock.
 *             (4) A task that used its slice while others wait goes to the end of the line.
 * THREADS     submit and length: any.
 * FAILURE     A thread that cannot be started is an error only when there is no other one.
 */
#include "actor/task_pool.h"

#include <stdbool.h>

#include "actor/spinner.h"
#include "base/atomic.h"
#include "base/thread.h"

struct task_pool {
    struct task_pool_desc desc;
    struct mutex lock;
    struct condition work;
    struct task *first;
    struct task *last;
    _Atomic(size_t) queue_length; /* (3) */
    _Atomic(bool) is_stopping;    /* written under the lock */
    unsigned started_count;
    unsigned sleeping_count;
    unsigned spinning_count;
    struct spinner spinner;
    struct thread *threads; /* desc.threads_max */
};

/* ---- The queue; under the lock ---- */

static size_t length(struct task_pool *p)
{
    return atomic_load_relaxed(&p->queue_length);
}

static void push(struct task_pool *p, struct task *t)
{
    t->next = NULL;
    if (p->last) p->last->next = t;
    else p->first = t;
    p->last = t;
    atomic_store_relaxed(&p->queue_length, length(p) + 1);
}

static struct task *pop(struct task_pool *p)
{
    struct task *t = p->first;
    if (!t) return NULL;
    p->first = t->next;
    if (!p->first) p->last = NULL;
    atomic_store_relaxed(&p->queue_length, length(p) - 1);
    return t;
}

static void remove_last(struct task_pool *p, struct task *t)
{
    struct task *before = NULL;
    for (struct task *i = p->first; i != t; i = i->next) before = i;
    if (before) before->next = NULL;
    else p->first = NULL;
    p->last = before;
    atomic_store_relaxed(&p->queue_length, length(p) - 1);
}

/* ---- Threads ---- */

/* Relaxed loads: they only say that it is time to look under the lock. */
static bool is_work_there(void *ctx)
{
    struct task_pool *p = ctx;
    return length(p) != 0 || atomic_load_relaxed(&p->is_stopping);
}

/* Under the lock, which is let go meanwhile. */
static void rest(struct task_pool *p)
{
    if (p->desc.spin_us != 0 && p->spinning_count == 0) { /* (2) */
        p->spinning_count++;
        mutex_unlock(&p->lock);
        (void)spinner_spin(&p->spinner, is_work_there, p);
        mutex_lock(&p->lock);
        p->spinning_count--;
    }
    if (p->first || atomic_load_relaxed(&p->is_stopping)) return; /* (1) */
    p->sleeping_count++;
    condition_wait(&p->work, &p->lock);
    p->sleeping_count--;
}

/* Without the lock.  Returns the task when it must wait for others. */
static struct task *run(struct task_pool *p, struct task *t)
{
    while (!t->step(t, TASK_SLICE_US)) {
        if (atomic_load_relaxed(&p->is_stopping)) {
            t->drop(t, LYNSE_SHUTTING_DOWN);
            return NULL;
        }
        if (length(p) != 0) return t; /* (4) */
    }
    return NULL;
}

static void run_pool_thread(void *ctx)
{
    struct task_pool *p = ctx;

    if (p->desc.steps_back) thread_step_back();
    mutex_lock(&p->lock);
    while (!atomic_load_relaxed(&p->is_stopping)) {
        struct task *t = pop(p);
        if (!t) {
            rest(p);
            continue;
        }
        mutex_unlock(&p->lock);
        t = run(p, t);
        mutex_lock(&p->lock);
        if (t) push(p, t);
    }
    mutex_unlock(&p->lock);
}

/* ---- Life and submission ---- */

struct task_pool *task_pool_create(const struct task_pool_desc *desc, struct error *err)
{
    struct task_pool *p = mem_zalloc(desc->alloc, MEM_GENERAL, sizeof *p);
    size_t bytes = desc->threads_max * sizeof *p->threads;

    if (p) p->threads = mem_zalloc(desc->alloc, MEM_GENERAL, bytes);
    if (!p || !p->threads) {
        mem_free(desc->alloc, p);
        error_no_memory(err, sizeof *p + bytes);
        return NULL;
    }
    p->desc = *desc;
    spinner_init(&p->spinner, desc->spin_us);
    mutex_init(&p->lock);
    condition_init(&p->work);
    return p;
}

void task_pool_destroy(struct task_pool *p)
{
    if (!p) return;
    mutex_lock(&p->lock);
    atomic_store_relaxed(&p->is_stopping, true);
    condition_broadcast(&p->work);
    mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->started_count; i++) thread_join(&p->threads[i]);
    for (struct task *t; (t = pop(p)) != NULL;) t->drop(t, LYNSE_SHUTTING_DOWN);
    condition_deinit(&p->work);
    mutex_deinit(&p->lock);
    mem_free(p->desc.alloc, p->threads);
    mem_free(p->desc.alloc, p);
}

/* Under the lock: see that somebody comes for the last task.  (1) */
static int call_a_thread(struct task_pool *p, struct error *err)
{
    if (length(p) <= p->spinning_count) return 0;
    if (p->sleeping_count != 0) {
        condition_signal(&p->work);
        if (length(p) <= p->spinning_count + p->sleeping_count) return 0;
    }
    if (p->started_count == p->desc.threads_max) return 0;
    struct thread *thread = &p->threads[p->started_count];
    if (thread_start(thread, p->desc.name, run_pool_thread, p, err) != 0)
        return p->started_count == 0 ? -1 : 0;
    p->started_count++;
    return 0;
}

int task_pool_submit(struct task_pool *p, struct task *t, struct error *err)
{
    int rc = -1;

    mutex_lock(&p->lock);
    if (atomic_load_relaxed(&p->is_stopping)) {
        error_set(err, LYNSE_SHUTTING_DOWN, "%s", error_sentence(LYNSE_SHUTTING_DOWN));
    } else if (length(p) >= p->desc.queue_max) {
        error_set(err, LYNSE_BUSY, "%zu tasks wait already", p->desc.queue_max);
    } else {
        push(p, t);
        rc = call_a_thread(p, err);
        if (rc != 0) remove_last(p, t);
    }
    mutex_unlock(&p->lock);
    return rc;
}

size_t task_pool_length(struct task_pool *p)
{
    return length(p);
}
