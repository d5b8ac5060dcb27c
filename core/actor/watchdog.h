/* SPDX-License-Identifier: Apache-2.0 */
/* watchdog.h — says in the log which actor is stuck and which mailbox grows.
 *
 * One line when a batch runs longer than WATCH_STUCK_US or a mailbox is longer than WATCH_LENGTH,
 * and one more each time the value has doubled.
 */
#ifndef ACTOR_WATCHDOG_H
#define ACTOR_WATCHDOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

struct actor;
struct scheduler;

enum {
    WATCH_STUCK_US = 5000000,
    WATCH_LENGTH = 256,
    WATCH_QUIET_US = 60000000, /* a mailbox that drained is reported anew after this */
};

struct watch {
    _Atomic(uint64_t) began_us; /* of the batch that runs, plus 1; 0: none.  The turn's */
    /* In the turn. */
    size_t length_next;      /* the next line about the mailbox is due at this length */
    uint64_t length_said_us; /* time of the last one */
    /* Under the scheduler's lock. */
    uint64_t seen_began;
    uint64_t stuck_next_us; /* the next line about this batch is due after this long */
};

void watch_init(struct watch *w);
/* The turn: a batch begins, with this many messages in the mailbox; a batch ends. */
void watch_begin(struct actor *a, uint64_t now_us, size_t queue_length);
static inline void watch_end(struct watch *w)
{
    atomic_store_relaxed(&w->began_us, 0);
}

/* Look at every actor; any thread.  true: a batch was running somewhere. */
bool watchdog_scan(struct scheduler *s, uint64_t now_us);

#endif
