/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c — the system's clocks, and one that stands still. */
#include "base/clock.h"

#include <time.h>

#include "base/check.h"

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    CHECK(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static uint64_t system_monotonic_us(const struct clock *c)
{
    (void)c;
    return (uint64_t)read_us(CLOCK_MONOTONIC);
}

static int64_t system_wall_us(const struct clock *c)
{
    (void)c;
    return read_us(CLOCK_REALTIME);
}

static uint64_t system_processor_us(const struct clock *c)
{
    (void)c;
    return (uint64_t)read_us(CLOCK_THREAD_CPUTIME_ID);
}

const struct clock *clock_system(void)
{
    static const struct clock system_clock = {system_monotonic_us, system_wall_us,
                                              system_processor_us};
    return &system_clock;
}

static uint64_t manual_monotonic_us(const struct clock *c)
{
    return ((const struct manual_clock *)c)->now_us;
}

static int64_t manual_wall_us(const struct clock *c)
{
    return (int64_t)((const struct manual_clock *)c)->now_us;
}

void manual_clock_init(struct manual_clock *c, uint64_t start_us)
{
    c->base = (struct clock){.monotonic_us = manual_monotonic_us, .wall_us = manual_wall_us};
    c->now_us = start_us;
}

void manual_clock_advance(struct manual_clock *c, uint64_t us)
{
    c->now_us += us;
}
