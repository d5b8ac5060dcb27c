/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h — pairs of states of one database: a bounded number, each borrowed for one run.
 *
 * THREADS  Any; what is borrowed belongs to the borrower until it gives it back.
 */
#ifndef LUA_POOL_H
#define LUA_POOL_H

#include "base/thread.h"
#include "lua/state.h"

struct state_pair {
    struct state *states[2]; /* untrusted, trusted; NULL: not made yet */
    struct state_pair *next; /* while idle */
};

struct pool {
    struct alloc *alloc;
    const struct clock *clock;
    struct mutex mutex;
    struct condition returned;
    unsigned pair_max;
    unsigned pair_count; /* borrowed and idle */
    struct state_pair *idle;
};

/* pair_max >= 1. */
void pool_init(struct pool *p, struct alloc *a, const struct clock *clock, unsigned pair_max);
void pool_deinit(struct pool *p); /* CHECK: all is given back */

/* A pair with a state of that kind, waiting until the deadline (0: a second) where all are
 * borrowed.  err BUSY, NO_MEMORY. */
int pool_borrow(struct pool *p, bool is_trusted, uint64_t deadline_us, struct state_pair **out,
                struct error *err);
/* States that are spent are closed first. */
void pool_give_back(struct pool *p, struct state_pair *pair);

#endif
