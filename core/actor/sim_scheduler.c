/* SPDX-License-Identifier: Apache-2.0 */
/* sim_scheduler.c — seeded interleavings on one thread, under a logical clock.
 *
 * WHAT        A table of what is scheduled.  A step takes one ready entry by chance, runs one batch
 *             of a random size, or one slice, and moves the clock by a random amount.
 * INVARIANTS  (1) The table has room for every attached actor and every queued task, so that
 *                 scheduling cannot fail.
 *             (2) Nothing that is decided or folded depends on an address, a thread or real time:
 *                 only on the seed, creation ids, and the order of calls.
 * THREADS     One.
 * FAILURE     pump and sim_step say false when nothing is scheduled and no timer is armed: what
 *             still waits then would wait for ever, which is how a lost wake-up shows.
 */
#include "actor/actor.h"
#include "actor/scheduler.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/rng.h"

enum {
    ENTRIES_FIRST = 64,
    BATCH_SIZES_LOG2 = 7, /* batches of 1, 2, 4, … 64 */
    TASK_BUDGET_US_MAX = 100,
    REDRAW_STEPS = 50,      /* SIM_PRIORITY: priorities are drawn anew this often on average */
    TRACE_CHOICE = 1 << 16, /* kinds of messages are below */
    TRACE_TASK = 1 << 17,
};

struct entry {
    struct actor *actor; /* or */
    struct task *task;
    enum task_class class;
    uint64_t id;
    uint64_t ready_us;
};

struct sim_scheduler {
    struct scheduler base; /* first */
    struct manual_clock *clock;
    struct rng rng;
    struct sim_scheduler_desc desc;
    struct entry *entries;
    size_t entry_count;
    size_t entry_capacity;
    size_t actor_count;
    size_t task_count[TASK_CLASS_COUNT];
    uint64_t priority_epoch;
    uint64_t step_count;
    uint64_t trace_hash;
};

static struct sim_scheduler *self(struct scheduler *s)
{
    CHECK(s->ops->kind == SCHEDULER_SIM);
    return (struct sim_scheduler *)s;
}

static void fold(struct sim_scheduler *ss, uint64_t id, uint64_t kind)
{
    ss->trace_hash = hash_u64(ss->trace_hash ^ hash_u64(ss->step_count));
    ss->trace_hash = hash_u64(ss->trace_hash ^ hash_u64(id));
    ss->trace_hash = hash_u64(ss->trace_hash ^ hash_u64(kind));
}

/* ---- The table ---- */

static int reserve_entry(struct sim_scheduler *ss, struct error *err)
{
    size_t needed = ss->actor_count + 1;
    for (int i = 0; i < TASK_CLASS_COUNT; i++) needed += ss->task_count[i];
    if (needed <= ss->entry_capacity) return 0;

    size_t capacity = ss->entry_capacity ? ss->entry_capacity * 2 : ENTRIES_FIRST;
    size_t bytes = capacity * sizeof *ss->entries;
    struct entry *entries = mem_resize(ss->base.alloc, MEM_GENERAL, ss->entries, bytes);
    if (!entries) return error_no_memory(err, bytes);
    ss->entries = entries;
    ss->entry_capacity = capacity;
    return 0;
}

static void add_entry(struct sim_scheduler *ss, struct entry e)
{
    CHECK(ss->entry_count < ss->entry_capacity); /* (1) */
    e.ready_us = ss->clock->now_us;
    if (ss->desc.delay_us_max) e.ready_us += rng_below(&ss->rng, ss->desc.delay_us_max + 1);
    ss->entries[ss->entry_count++] = e;
}

static struct entry take_entry(struct sim_scheduler *ss, size_t index)
{
    struct entry e = ss->entries[index];
    ss->entries[index] = ss->entries[--ss->entry_count];
    return e;
}

static uint64_t priority_of(const struct sim_scheduler *ss, const struct entry *e)
{
    return hash_u64(hash_u64(ss->desc.seed + ss->priority_epoch) ^ e->id);
}

/* One of the ready entries; SIZE_MAX: none is ready. */
static size_t choose_entry(struct sim_scheduler *ss)
{
    uint64_t now_us = ss->clock->now_us;
    size_t ready_count = 0;
    size_t chosen = SIZE_MAX;

    if (ss->desc.policy == SIM_PRIORITY && rng_below(&ss->rng, REDRAW_STEPS) == 0)
        ss->priority_epoch++;
    for (size_t i = 0; i < ss->entry_count; i++) {
        const struct entry *e = &ss->entries[i];
        if (e->ready_us > now_us) continue;
        ready_count++;
        if (ss->desc.policy == SIM_PRIORITY) {
            if (chosen == SIZE_MAX || priority_of(ss, e) > priority_of(ss, &ss->entries[chosen]))
                chosen = i;
        } else if (rng_below(&ss->rng, ready_count) == 0) {
            chosen = i; /* each ready entry with the same chance, in one pass */
        }
    }
    return chosen;
}

static uint64_t next_event_us(const struct sim_scheduler *ss, uint64_t next_timer_us)
{
    uint64_t next_us = next_timer_us;
    for (size_t i = 0; i < ss->entry_count; i++)
        if (ss->entries[i].ready_us < next_us) next_us = ss->entries[i].ready_us;
    return next_us;
}

/* ---- Steps ---- */

static void run_entry(struct sim_scheduler *ss, struct entry e)
{
    if (e.actor) {
        fold(ss, e.id, TRACE_CHOICE);
        size_t batch_max = (size_t)1 << rng_below(&ss->rng, BATCH_SIZES_LOG2);
        if (actor_run(e.actor, batch_max) == ACTOR_MORE) add_entry(ss, e);
    } else {
        fold(ss, e.id, (uint64_t)TRACE_TASK + e.class);
        uint64_t budget_us = 1 + rng_below(&ss->rng, TASK_BUDGET_US_MAX);
        if (e.task->step(e.task, budget_us)) ss->task_count[e.class]--;
        else add_entry(ss, e);
    }
}

/* Timers are pushed to their actors here; the moment at which an actor handles one is a choice
 * like any other. */
static bool step(struct sim_scheduler *ss, uint64_t until_us, uint64_t *out_next_us)
{
    for (;;) {
        uint64_t next_timer_us = scheduler_fire_timers(&ss->base);
        size_t chosen = choose_entry(ss);
        if (chosen != SIZE_MAX) {
            ss->step_count++;
            if (ss->desc.step_us_max)
                manual_clock_advance(ss->clock, rng_below(&ss->rng, ss->desc.step_us_max + 1));
            run_entry(ss, take_entry(ss, chosen));
            return true;
        }
        uint64_t next_us = next_event_us(ss, next_timer_us);
        *out_next_us = next_us;
        if (until_us != 0 && next_us > until_us) {
            if (ss->clock->now_us < until_us) ss->clock->now_us = until_us;
            return false;
        }
        if (next_us == UINT64_MAX) return false;
        ss->clock->now_us = next_us;
    }
}

bool sim_step(struct scheduler *s)
{
    uint64_t next_us;
    return step(self(s), 0, &next_us);
}

uint64_t sim_trace_hash(const struct scheduler *s)
{
    return ((const struct sim_scheduler *)s)->trace_hash;
}

uint64_t sim_step_count(const struct scheduler *s)
{
    return ((const struct sim_scheduler *)s)->step_count;
}

/* ---- The seam ---- */

static int sim_attach(struct scheduler *s, struct actor *a, struct error *err)
{
    struct sim_scheduler *ss = self(s);

    (void)a;
    if (reserve_entry(ss, err) != 0) return -1;
    ss->actor_count++;
    return 0;
}

static void sim_detach(struct scheduler *s, struct actor *a)
{
    (void)a;
    self(s)->actor_count--;
}

static void sim_schedule(struct scheduler *s, struct actor *a)
{
    add_entry(self(s), (struct entry){.actor = a, .id = a->id});
}

static int sim_submit(struct scheduler *s, enum task_class class, struct task *t, struct error *err)
{
    struct sim_scheduler *ss = self(s);
    size_t queue_max = ss->desc.queue_max ? ss->desc.queue_max : TASK_QUEUE_MAX;

    if (ss->task_count[class] >= queue_max)
        return error_set(err, LYNSE_BUSY, "%zu tasks wait already", queue_max);
    if (reserve_entry(ss, err) != 0) return -1;
    ss->task_count[class]++;
    add_entry(ss, (struct entry){.task = t, .class = class, .id = t->id});
    return 0;
}

static bool sim_pump(struct scheduler *s, uint64_t until_us, uint64_t *out_next_us)
{
    return step(self(s), until_us, out_next_us);
}

static void sim_trace(struct scheduler *s, uint64_t actor_id, uint32_t kind)
{
    fold(self(s), actor_id, kind);
}

static void sim_destroy(struct scheduler *s)
{
    struct sim_scheduler *ss = self(s);

    while (ss->entry_count) {
        struct entry e = take_entry(ss, 0);
        CHECK(e.task);
        e.task->drop(e.task, LYNSE_SHUTTING_DOWN);
    }
    mem_free(s->alloc, ss->entries);
    scheduler_deinit(s);
    mem_free(s->alloc, ss);
}

static const struct scheduler_ops sim_ops = {
    .kind = SCHEDULER_SIM,
    .attach = sim_attach,
    .detach = sim_detach,
    .schedule = sim_schedule,
    .submit = sim_submit,
    .pump = sim_pump,
    .trace = sim_trace,
    .destroy = sim_destroy,
};

struct scheduler *sim_scheduler_create(const struct sim_scheduler_desc *desc, struct error *err)
{
    struct sim_scheduler *ss = mem_zalloc(desc->alloc, MEM_GENERAL, sizeof *ss);

    if (!ss) {
        error_no_memory(err, sizeof *ss);
        return NULL;
    }
    if (scheduler_init(&ss->base, &sim_ops, desc->alloc, &desc->clock->base, err) != 0) {
        mem_free(desc->alloc, ss);
        return NULL;
    }
    ss->desc = *desc;
    ss->clock = desc->clock;
    rng_init(&ss->rng, desc->seed);
    return &ss->base;
}
