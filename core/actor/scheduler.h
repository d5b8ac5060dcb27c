/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler.h — who runs actors, tasks and timers: threads, the caller, or a seeded simulator.
 *
 * Everything above this seam is the same in all three: a send calls scheduler_schedule, a task
 * goes through scheduler_submit, and a wait that runs the work itself goes through pump.
 */
#ifndef ACTOR_SCHEDULER_H
#define ACTOR_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/reply.h"
#include "actor/task.h"
#include "actor/timer.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"

struct actor;
struct scheduler;

enum scheduler_kind { SCHEDULER_THREADS, SCHEDULER_INLINE, SCHEDULER_SIM };

struct scheduler_ops {
    enum scheduler_kind kind;
    /* Give the actor a place to run; called once, before anything is sent to it. */
    int (*attach)(struct scheduler *s, struct actor *a, struct error *err);
    /* It has ended (ACTOR_ENDED) and is in no queue. */
    void (*detach)(struct scheduler *s, struct actor *a);
    /* It has messages and is in no queue: run it soon.  Any thread, also under s->lock. */
    void (*schedule)(struct scheduler *s, struct actor *a);
    int (*submit)(struct scheduler *s, enum task_class class, struct task *t, struct error *err);
    /* Run one thing on this thread.  false: nothing is ready; *out_next_us is when a timer will be
     * (UINT64_MAX: none).  The simulator moves its clock up to until_us before it says so.
     * NULL: other threads do the work. */
    bool (*pump)(struct scheduler *s, uint64_t until_us, uint64_t *out_next_us);
    /* The earliest timer is another one now; under s->lock.  May be NULL. */
    void (*timers_changed)(struct scheduler *s);
    /* A message of this kind begins to be handled.  May be NULL. */
    void (*trace)(struct scheduler *s, uint64_t actor_id, uint32_t kind);
    void (*destroy)(struct scheduler *s);
};

struct scheduler {
    const struct scheduler_ops *ops;
    struct alloc *alloc;
    const struct clock *clock;
    struct message_pool *messages;
    struct spinner wait_spinner; /* of requesters */
    struct reply_counters replies;
    struct mutex lock;              /* of all below */
    struct condition actor_changed; /* an actor stopped or ended */
    struct timer_heap timers;
    struct actor *actors; /* newest first */
    uint64_t next_id;     /* creation ids of actors, timers and tasks: 1.. */
};

struct thread_scheduler_desc {
    struct alloc *alloc;
    unsigned actor_threads_max; /* 0: as many as cores */
    unsigned search_threads;    /* 0: as many as cores */
    unsigned job_threads;       /* 0: as many as cores */
    size_t queue_max;           /* tasks waiting, per class; 0: TASK_QUEUE_MAX */
    int32_t spin_us;            /* of workers after work, at most; 0: WORKER_SPIN_US; -1: never */
    int32_t wait_spin_us;       /* of requesters, at most; 0: WAIT_SPIN_US; -1: never */
};
enum {
    TASK_QUEUE_MAX = 1024,
    WORKER_SPIN_US = 50, /* about what a hand-over to a sleeping thread costs */
    WAIT_SPIN_US = 30,
};

/* Worker threads for actors, a thread for timers, a pool of threads per task class.  Each thread
 * is started when it is first needed.  On one core nothing spins. */
struct scheduler *thread_scheduler_create(const struct thread_scheduler_desc *desc,
                                          struct error *err);

struct inline_scheduler_desc {
    struct alloc *alloc;
    const struct clock *clock; /* NULL: the system's */
    size_t queue_max;          /* tasks waiting, per class; 0: TASK_QUEUE_MAX */
};

/* No threads: work runs inside inline_poll, and inside calls that wait. */
struct scheduler *inline_scheduler_create(const struct inline_scheduler_desc *desc,
                                          struct error *err);
/* Run what is ready for about budget_us, one thing at least; 0: just one thing.  Timers that are
 * due fire.  true: more is ready.  Any thread; returns true at once while another one is inside.
 * Not inside an actor's turn. */
bool inline_poll(struct scheduler *s, uint64_t budget_us);

enum sim_policy {
    SIM_UNIFORM,  /* each step takes any ready thing with equal chance */
    SIM_PRIORITY, /* the ready thing of highest random priority; now and then one is demoted */
};

struct sim_scheduler_desc {
    struct alloc *alloc;
    struct manual_clock *clock; /* the logical clock; moved by the simulator alone; borrowed */
    uint64_t seed;
    enum sim_policy policy;
    uint64_t step_us_max;  /* each step takes 0..this much logical time */
    uint64_t delay_us_max; /* a scheduled thing becomes ready after 0..this much; 0: at once */
    size_t queue_max;      /* tasks waiting, per class; 0: TASK_QUEUE_MAX */
};

/* One thread; the same seed and the same calls give the same interleaving. */
struct scheduler *sim_scheduler_create(const struct sim_scheduler_desc *desc, struct error *err);
/* Run one thing, moving the clock to it first.  false: nothing will ever be ready again. */
bool sim_step(struct scheduler *s);
/* Fold of (step, actor or task id, kind) over all that ran: equal for equal histories. */
uint64_t sim_trace_hash(const struct scheduler *s);
uint64_t sim_step_count(const struct scheduler *s);

/* All actors must have been destroyed.  Tasks that wait are dropped with SHUTTING_DOWN, those that
 * run are dropped after their slice.  NULL is allowed. */
void scheduler_destroy(struct scheduler *s);

static inline void scheduler_schedule(struct scheduler *s, struct actor *a)
{
    s->ops->schedule(s, a);
}

/* Queue a task; any thread.  On error it stays the caller's.
 * err: BUSY: too many wait; SHUTTING_DOWN; NO_MEMORY or the system's error when the first thread
 * of the pool cannot be started. */
int scheduler_submit(struct scheduler *s, enum task_class class, struct task *t, struct error *err);

static inline uint64_t scheduler_now_us(const struct scheduler *s)
{
    return clock_now_us(s->clock);
}

/* Only for scheduler implementations and actor.c. */
int scheduler_init(struct scheduler *s, const struct scheduler_ops *ops, struct alloc *a,
                   const struct clock *clock, struct error *err);
void scheduler_deinit(struct scheduler *s);
uint64_t scheduler_next_id(struct scheduler *s); /* takes s->lock */
/* Until *flag (guarded by s->lock) is set by an actor's turn; runs work here where no thread does.
 */
void scheduler_await(struct scheduler *s, const bool *flag);
/* Push every timer that is due to its actor.  Returns when the next one is due, or UINT64_MAX. */
uint64_t scheduler_fire_timers(struct scheduler *s);

#endif
