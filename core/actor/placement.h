/* SPDX-License-Identifier: Apache-2.0 */
/* placement.h — on which worker a new actor runs, for good. */
#ifndef ACTOR_PLACEMENT_H
#define ACTOR_PLACEMENT_H

#include <stddef.h>

/* actor_counts[0..worker_max): actors of each worker; of these the first started_count have a
 * thread.  Returns the worker: one that has a thread and no actor; else one that has no thread yet
 * (number started_count); else the one with the fewest actors.  Ties: the lowest number.
 * worker_max >= 1. */
size_t placement_choose(const size_t *actor_counts, size_t started_count, size_t worker_max);

#endif
