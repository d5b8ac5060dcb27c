/* SPDX-License-Identifier: Apache-2.0 */
/* oom_sweep.h — run a scenario with every one of its allocations failing in turn. */
#ifndef SUPPORT_OOM_SWEEP_H
#define SUPPORT_OOM_SWEEP_H

#include "base/alloc.h"
#include "base/error.h"

/* Run scenario(ctx) with its 1st, 2nd, ... n-th allocation of `a` failing, first that one alone,
 * then that one and all after it, each time until it gets by with fewer (test_sweep_next may leave
 * some out).  A run that was failed must return -1 with LYNSE_NO_MEMORY and leave
 * alloc_used_bytes(a) as it was; the run that was not must return 0.  The scenario must be
 * repeatable: it frees what it made, in both cases, or leaves it where the next run expects it.
 * Every allocation between entry and return must come from the calling thread. */
void oom_sweep(struct alloc *a, int (*scenario)(void *ctx, struct error *err), void *ctx);

#endif
