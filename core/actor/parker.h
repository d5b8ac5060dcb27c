/* SPDX-License-Identifier: Apache-2.0 */
/* parker.h — one thread waits until another wakes it: first by spinning, then asleep.
 *
 * A wake is remembered: parker_wait after parker_wake returns at once and consumes it, and several
 * wakes before one wait are one.  Everything written before a wake is visible after the wait.
 */
#ifndef ACTOR_PARKER_H
#define ACTOR_PARKER_H

#include <stdbool.h>
#include <stdint.h>

#include "actor/spinner.h"
#include "base/atomic.h"
#include "base/thread.h"

struct parker {
    _Atomic(uint32_t) state; /* enum parker_state */
    struct mutex lock;       /* with `woken`: only for a waiter that sleeps */
    struct condition woken;
};

void parker_init(struct parker *p);
void parker_deinit(struct parker *p);

/* Any thread; p must live until the call returns. */
void parker_wake(struct parker *p);

/* One waiter at a time.  Spins while that pays (sp NULL: not at all), then sleeps.  true: woken.
 * false: deadline_us (monotonic clock of the system; 0 = none) passed without a wake. */
bool parker_wait(struct parker *p, struct spinner *sp, uint64_t deadline_us);

#endif
