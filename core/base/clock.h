/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h — monotonic and wall time behind a pointer, so that tests and the simulator own time.
 * Deadlines use the monotonic clock only; the wall clock is for display, a thread's share of its
 * processor for what may work so long and no longer, however busy the machine is. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t (*monotonic_us)(const struct clock *c);
    int64_t (*wall_us)(const struct clock *c); /* microseconds since 1970-01-01 UTC */
    /* What the calling thread has had of its processor; NULL: monotonic_us stands for it. */
    uint64_t (*processor_us)(const struct clock *c);
};

const struct clock *clock_system(void);
static inline uint64_t clock_now_us(const struct clock *c)
{
    return c->monotonic_us(c);
}

static inline uint64_t clock_processor_us(const struct clock *c)
{
    return c->processor_us ? c->processor_us(c) : c->monotonic_us(c);
}

/* A clock that stands until it is moved; for tests and the simulator.  Not thread-safe. */
struct manual_clock {
    struct clock base; /* first */
    uint64_t now_us;
};
void manual_clock_init(struct manual_clock *c, uint64_t start_us);
void manual_clock_advance(struct manual_clock *c, uint64_t us);

#endif
