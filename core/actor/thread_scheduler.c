/* SPDX-License-Identifier: Apache-2.0 */
/* thread_scheduler.c — actors on worker threads, tasks on pools, one thread for time.
 *
 * WHAT        Workers and pool threads are started when they are first needed.  The ticker thread
 *             fires timers, and while actors run it looks at the watchdog once a second.
 * INVARIANTS  (1) An actor stays on the worker where it was placed.
 *             (2) While a worker is busy the ticker watches: the worker sets is_busy and then
 *                 reads is_watching; the ticker clears is_watching and then reads is_busy.  All
 *                 four are sequentially consistent, so at least one sees the other.
 *             (3) With no timer armed and no worker busy the ticker sleeps without end.
 * THREADS     The seam: any.  workers[], started_count, actor_counts: s->lock.
 * FAILURE     A worker that cannot be started is an error only when there is no other one to
 *             share.
 */
#include "actor/actor.h"
#include "actor/placement.h"
#include "actor/scheduler.h"
#include "actor/task_pool.h"
#include "actor/watchdog.h"
#include "actor/worker.h"
#include "base/check.h"
#include "os/machine.h"

enum {
    WATCH_PERIOD_US = 1000000,
    WORKERS_MAX = 1024,
};

struct thread_scheduler {
    struct scheduler base; /* first */
    uint32_t worker_spin_us;
    struct worker *workers;
    size_t *actor_counts;
    size_t worker_max;
    size_t started_count;
    struct task_pool *pools[TASK_CLASS_COUNT];
    /* The ticker; is_ticker_stopping and tick are used under base.lock. */
    struct thread ticker;
    struct condition tick;
    bool is_ticker_stopping;
    _Atomic(uint32_t) is_watching; /* (2) */
};

static struct thread_scheduler *self(struct scheduler *s)
{
    return (struct thread_scheduler *)s;
}

/* ---- The ticker ---- */

static bool is_any_worker_busy(struct thread_scheduler *ts)
{
    bool is_busy = false;
    for (size_t i = 0; i < ts->started_count; i++)
        is_busy = is_busy || atomic_load_explicit(&ts->workers[i].is_busy, memory_order_seq_cst);
    return is_busy;
}

/* On a worker thread, when it becomes busy. */
static void wake_watch(void *ctx)
{
    struct thread_scheduler *ts = ctx;

    if (atomic_load_explicit(&ts->is_watching, memory_order_seq_cst)) return; /* (2) */
    mutex_lock(&ts->base.lock);
    atomic_store_explicit(&ts->is_watching, 1, memory_order_seq_cst);
    condition_signal(&ts->tick);
    mutex_unlock(&ts->base.lock);
}

/* Under base.lock: go on watching?  Only when a whole period was quiet does it stop. */
static bool keep_watching(struct thread_scheduler *ts, bool was_any_running)
{
    if (was_any_running) return true;
    atomic_store_explicit(&ts->is_watching, 0, memory_order_seq_cst);
    if (!is_any_worker_busy(ts)) return false; /* (2), (3) */
    atomic_store_explicit(&ts->is_watching, 1, memory_order_seq_cst);
    return true;
}

static void run_ticker(void *ctx)
{
    struct thread_scheduler *ts = ctx;
    struct scheduler *s = &ts->base;
    uint64_t watch_us = UINT64_MAX; /* of the next look; MAX: not watching */

    mutex_lock(&s->lock);
    while (!ts->is_ticker_stopping) {
        uint64_t now_us = scheduler_now_us(s);
        bool is_watching = atomic_load_explicit(&ts->is_watching, memory_order_seq_cst) != 0;
        if (is_watching && watch_us == UINT64_MAX) watch_us = now_us + WATCH_PERIOD_US;
        if (now_us >= watch_us) {
            mutex_unlock(&s->lock);
            bool is_any_running = watchdog_scan(s, now_us);
            mutex_lock(&s->lock);
            watch_us = keep_watching(ts, is_any_running) ? now_us + WATCH_PERIOD_US : UINT64_MAX;
        }
        timer_heap_fire(&s->timers, now_us);
        uint64_t next_us = timer_heap_next_us(&s->timers);
        if (watch_us < next_us) next_us = watch_us;
        if (ts->is_ticker_stopping) break;
        if (next_us == UINT64_MAX) condition_wait(&ts->tick, &s->lock);
        else (void)condition_wait_until(&ts->tick, &s->lock, next_us);
    }
    mutex_unlock(&s->lock);
}

static void threads_timers_changed(struct scheduler *s)
{
    condition_signal(&self(s)->tick);
}

/* ---- The seam ---- */

/* Under base.lock. */
static int start_worker(struct thread_scheduler *ts, struct error *err)
{
    size_t number = ts->started_count;

    if (!ts->ticker.is_started &&
        thread_start(&ts->ticker, "lynse-ticker", run_ticker, ts, err) != 0)
        return -1;
    if (worker_start(&ts->workers[number], (unsigned)number, ts->worker_spin_us, wake_watch, ts,
                     err) != 0)
        return -1;
    ts->started_count++;
    return 0;
}

static int threads_attach(struct scheduler *s, struct actor *a, struct error *err)
{
    struct thread_scheduler *ts = self(s);
    int rc = 0;

    mutex_lock(&s->lock);
    size_t number = placement_choose(ts->actor_counts, ts->started_count, ts->worker_max);
    if (number == ts->started_count && start_worker(ts, err) != 0) {
        if (ts->started_count == 0) rc = -1;
        else number = placement_choose(ts->actor_counts, ts->started_count, ts->started_count);
    }
    if (rc == 0) {
        ts->actor_counts[number]++;
        a->place = &ts->workers[number];
    }
    mutex_unlock(&s->lock);
    return rc;
}

static void threads_detach(struct scheduler *s, struct actor *a)
{
    struct thread_scheduler *ts = self(s);

    mutex_lock(&s->lock);
    ts->actor_counts[(struct worker *)a->place - ts->workers]--;
    mutex_unlock(&s->lock);
}

static void threads_schedule(struct scheduler *s, struct actor *a)
{
    (void)s;
    worker_schedule(a->place, a);
}

static int threads_submit(struct scheduler *s, enum task_class class, struct task *t,
                          struct error *err)
{
    return task_pool_submit(self(s)->pools[class], t, err);
}

static void threads_destroy(struct scheduler *s)
{
    struct thread_scheduler *ts = self(s);

    for (int i = 0; i < TASK_CLASS_COUNT; i++) task_pool_destroy(ts->pools[i]);
    for (size_t i = 0; i < ts->started_count; i++) worker_stop(&ts->workers[i]);
    mutex_lock(&s->lock);
    ts->is_ticker_stopping = true;
    condition_signal(&ts->tick);
    mutex_unlock(&s->lock);
    thread_join(&ts->ticker);
    condition_deinit(&ts->tick);
    mem_free(s->alloc, ts->workers);
    mem_free(s->alloc, ts->actor_counts);
    scheduler_deinit(s);
    mem_free(s->alloc, ts);
}

static const struct scheduler_ops thread_ops = {
    .kind = SCHEDULER_THREADS,
    .attach = threads_attach,
    .detach = threads_detach,
    .schedule = threads_schedule,
    .submit = threads_submit,
    .timers_changed = threads_timers_changed,
    .destroy = threads_destroy,
};

/* ---- Creation ---- */

static uint32_t spin_of(int32_t asked_us, uint32_t default_us)
{
    /* On one core spinning keeps the other thread from running. */
    if (asked_us < 0 || machine_core_count() < 2) return 0;
    return asked_us == 0 ? default_us : (uint32_t)asked_us;
}

static int create_pools(struct thread_scheduler *ts, const struct thread_scheduler_desc *desc,
                        struct error *err)
{
    static const char *const names[TASK_CLASS_COUNT] = {"lynse-search", "lynse-job"};
    unsigned cores = machine_core_count();
    unsigned threads[TASK_CLASS_COUNT] = {
        [TASK_SEARCH] = desc->search_threads ? desc->search_threads : cores,
        [TASK_JOB] = desc->job_threads ? desc->job_threads : cores,
    };

    for (int i = 0; i < TASK_CLASS_COUNT; i++) {
        struct task_pool_desc pool = {
            .alloc = desc->alloc,
            .name = names[i],
            .threads_max = threads[i],
            .queue_max = desc->queue_max ? desc->queue_max : TASK_QUEUE_MAX,
            .steps_back = i == TASK_JOB,
            .spin_us = i == TASK_SEARCH ? ts->worker_spin_us : 0,
        };
        ts->pools[i] = task_pool_create(&pool, err);
        if (!ts->pools[i]) return -1;
    }
    return 0;
}

struct scheduler *thread_scheduler_create(const struct thread_scheduler_desc *desc,
                                          struct error *err)
{
    struct thread_scheduler *ts = mem_zalloc(desc->alloc, MEM_GENERAL, sizeof *ts);
    size_t worker_max = desc->actor_threads_max ? desc->actor_threads_max : machine_core_count();

    if (!ts) {
        error_no_memory(err, sizeof *ts);
        return NULL;
    }
    if (scheduler_init(&ts->base, &thread_ops, desc->alloc, clock_system(), err) != 0) {
        mem_free(desc->alloc, ts);
        return NULL;
    }
    condition_init(&ts->tick);
    if (worker_max > WORKERS_MAX) worker_max = WORKERS_MAX;
    ts->worker_max = worker_max;
    ts->worker_spin_us = spin_of(desc->spin_us, WORKER_SPIN_US);
    spinner_init(&ts->base.wait_spinner, spin_of(desc->wait_spin_us, WAIT_SPIN_US));
    size_t bytes = worker_max * sizeof *ts->workers;
    ts->workers = mem_alloc_aligned(desc->alloc, MEM_GENERAL, bytes, 64);
    ts->actor_counts = mem_zalloc(desc->alloc, MEM_GENERAL, worker_max * sizeof(size_t));
    if (ts->workers && ts->actor_counts) {
        for (size_t i = 0; i < worker_max; i++) ts->workers[i] = (struct worker){0};
        if (create_pools(ts, desc, err) == 0) return &ts->base;
    } else {
        error_no_memory(err, bytes);
    }
    threads_destroy(&ts->base);
    return NULL;
}
