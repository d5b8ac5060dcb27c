/* SPDX-License-Identifier: Apache-2.0 */
/* run.c — one seed: habits, steps, and the end, when all works again and everything is asked. */
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "sim/sim.h"

enum {
    IDLE_STEPS_MAX = 20000, /* liveness: so many steps answer all that is in flight */
    TURNS_PER_STEP = 40,    /* of clients, while nothing is ready */
};

int sim_fail(struct sim *s, const char *format, ...)
{
    va_list args;

    if (s->has_failed) return -1;
    s->has_failed = true;
    va_start(args, format);
    vsnprintf(s->text, sizeof s->text, format, args);
    va_end(args);
    sim_say(s, "FAILED: %s", s->text);
    return -1;
}

void sim_say(const struct sim *s, const char *format, ...)
{
    va_list args;

    if (!s->is_verbose) return;
    printf("%6llu %10llu ", (unsigned long long)s->counts.steps,
           (unsigned long long)s->clock.now_us);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

uint64_t sim_hash(const struct sim *s)
{
    return s->answers_hash;
}

static void choose_habits(struct sim *s)
{
    static const uint64_t steps_us[] = {0, 10, 1000, 50000};
    static const uint64_t delays_us[] = {0, 0, 100, 20000};
    static const size_t windows[] = {1, 3, 8, 40, 200};
    uint64_t on = rng_u64(&s->rng);

    s->habits = (struct habits){
        .policy = on & 1 ? SIM_UNIFORM : SIM_PRIORITY,
        .step_us_max = steps_us[rng_below(&s->rng, 4)],
        .delay_us_max = delays_us[rng_below(&s->rng, 4)],
        .window = windows[rng_below(&s->rng, 5)],
        .level = (uint8_t)rng_below(&s->rng, SYNC_NONE + 1),
        .asks_levels = on & 2,
        .fails_disk = (on & 12) == 12,
        .fails_memory = (on & 48) == 48,
        .crashes = on & 64,
        .reopens = on & 128,
        .drops = on & 256,
        .cancels = on & 512,
        .has_deadlines = on & 1024,
        .bursts = (on & 0xf000) == 0xf000,
    };
    if (rng_below(&s->rng, 3) == 0) s->habits.level = SYNC_ALWAYS;
}

static bool pump(struct sim *s)
{
    uint64_t next_us;
    return s->scheduler->ops->pump(s->scheduler, 0, &next_us);
}

/* The power is gone: what was running ends, and the disk is what it was then. */
static int start_again(struct sim *s)
{
    return world_close(s) == 0 ? world_open(s) : -1;
}

static int run_steps(struct sim *s, uint64_t steps)
{
    uint64_t turns = 0;

    while (s->counts.steps < steps && turns < steps * TURNS_PER_STEP) {
        bool has_run = false;
        turns++;
        if (s->is_dead && start_again(s) != 0) return -1;
        if (rng_below(&s->rng, 5) < 3) has_run = pump(s);
        if (!has_run && !s->is_dead && !s->has_failed) client_act(s);
        if (s->has_failed) return -1;
    }
    return s->is_dead ? start_again(s) : 0;
}

/* Nothing breaks and nobody asks any more: all that is in flight is answered (liveness). */
static int run_until_idle(struct sim *s)
{
    uint64_t left = IDLE_STEPS_MAX + s->in_flight;

    while (left > 0 && !s->has_failed && pump(s)) left--;
    if (s->has_failed) return -1;
    if (s->in_flight == 0 && left > 0) return 0;
    for (const struct request *r = s->requests; r; r = r->next)
        if (r->answers == 0)
            return sim_fail(s, "request %llu (kind %d) of %s is never answered",
                            (unsigned long long)r->id, (int)r->kind, sim_names[r->name]);
    return sim_fail(s, "it never comes to rest");
}

static int ask(struct sim *s, struct request *r)
{
    if (run_until_idle(s) != 0) return -1;
    if (r->code == LYNSE_OK) return 0;
    return sim_fail(s, "at the end, request kind %d of %s answers %s", (int)r->kind,
                    sim_names[r->name], error_name(r->code));
}

/* All that can be asked of a collection while nothing fails. */
static int question(struct sim *s, struct place *p)
{
    struct oracle_group touch = {.kind = GROUP_PUT, .ids = {0}, .values = {1}, .count = 1};
    char why[WHY_BYTES];

    touch.level = SYNC_ALWAYS;
    if (ask(s, client_send(s, KIND_CHECK, p)) != 0) return -1;
    if (ask(s, client_write(s, p, &touch, 0)) != 0) return -1;
    if (ask(s, client_send(s, KIND_INFO, p)) != 0) return -1;
    if (ask(s, client_send(s, KIND_CHECK, p)) != 0) return -1;
    struct view *v = p->host->slot.current;
    if (oracle_compare(&p->oracle, v, p->settled, why) != 0)
        return sim_fail(s, "%s at the end: %s", sim_names[p->name], why);
    return 0;
}

static int open_all(struct sim *s)
{
    for (size_t i = 0; i < SIM_NAMES; i++)
        if (catalog_number(s, i) && world_acquire(s, i) != 0)
            return sim_fail(s, "%s cannot be opened at the end", sim_names[i]);
    return 0;
}

static int settle(struct sim *s)
{
    world_heal(s);
    if (run_until_idle(s) != 0) return -1;
    if (s->dropped != s->live_at_open + s->created - s->engine->catalog.collection_count)
        return sim_fail(s, "a drop took effect without an answer");
    /* What a failure left read-only is for the next start. */
    s->is_settling = true;
    if (start_again(s) != 0 || open_all(s) != 0) return -1;
    for (size_t i = 0; i < SIM_NAMES; i++) {
        uint32_t number = catalog_number(s, i);
        if (number && question(s, place_of(s, number, i)) != 0) return -1;
    }
    if (start_again(s) != 0 || open_all(s) != 0) return -1;
    return world_close(s);
}

static void play(struct sim *s, uint64_t steps)
{
    if (world_open(s) != 0 || run_steps(s, steps) != 0) return;
    (void)settle(s);
}

int sim_run(struct sim *s, uint64_t seed, uint64_t steps, bool is_verbose)
{
    *s = (struct sim){.seed = seed, .is_verbose = is_verbose};
    rng_init(&s->rng, hash_u64(seed));
    choose_habits(s);
    world_begin(s);
    play(s, steps);
    s->answers_hash ^= sim_trace_hash(s->scheduler);
    if (!s->has_failed) world_end(s);
    return s->has_failed ? -1 : 0;
}
