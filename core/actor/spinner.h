/* SPDX-License-Identifier: Apache-2.0 */
/* spinner.h — how long it pays to look again and again before sleeping, learned from experience.
 *
 * Waking a sleeping thread takes tens of microseconds, and a partner that works on another core
 * often answers in less.  But a partner that shares the waiter's core cannot answer at all while
 * the waiter spins, and then each spin is lost in full.  So every spin in vain halves the next one
 * down to none, one that succeeds restores the full length, and now and then a spin is risked to
 * see whether things have changed.
 */
#ifndef ACTOR_SPINNER_H
#define ACTOR_SPINNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

/* May be shared by many waiters; then they learn from each other. */
struct spinner {
    uint32_t max_us; /* 0: never spins */
    _Atomic(uint32_t) now_us;
    _Atomic(uint32_t) skipped_count;
};

void spinner_init(struct spinner *sp, uint32_t max_us);

/* Look for is_ready until it is true (true) or it does not pay any more (false).  sp NULL: one
 * look. */
bool spinner_spin(struct spinner *sp, bool (*is_ready)(void *ctx), void *ctx);

#endif
