/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.h — when what has failed is tried again: after a while, then after twice that, and so on
 * up to a bound.  Any thread. */
#ifndef ENGINE_BACKOFF_H
#define ENGINE_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t first_us;  /* after the first failure */
    uint32_t doublings; /* at most */
};

/* After so many failures before this one. */
static inline uint64_t backoff_us(const struct backoff *b, uint32_t failures)
{
    return (uint64_t)b->first_us << (failures < b->doublings ? failures : b->doublings);
}

#endif
