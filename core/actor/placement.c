/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/placement.h"

size_t placement_choose(const size_t *actor_counts, size_t started_count, size_t worker_max)
{
    size_t best = 0;

    for (size_t i = 1; i < started_count; i++)
        if (actor_counts[i] < actor_counts[best]) best = i;
    if (started_count < worker_max && (started_count == 0 || actor_counts[best] != 0))
        return started_count;
    return best;
}
