/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/parker.h"

#include <stddef.h>

enum parker_state { PARKER_EMPTY, PARKER_SLEEPING, PARKER_WOKEN };

void parker_init(struct parker *p)
{
    atomic_store_relaxed(&p->state, PARKER_EMPTY);
    mutex_init(&p->lock);
    condition_init(&p->woken);
}

void parker_deinit(struct parker *p)
{
    condition_deinit(&p->woken);
    mutex_deinit(&p->lock);
}

void parker_wake(struct parker *p)
{
    /* Release: pairs with the swap in consume(). */
    if (atomic_swap_acq_rel(&p->state, PARKER_WOKEN) != PARKER_SLEEPING) return;
    /* The sleeper changed to SLEEPING under the lock, so that with the lock held here it is
     * either inside the condition or has seen WOKEN. */
    mutex_lock(&p->lock);
    condition_signal(&p->woken);
    mutex_unlock(&p->lock);
}

/* A swap and not a store: a second wake between our load and our store must be seen, too. */
static void consume(struct parker *p)
{
    (void)atomic_swap_acq_rel(&p->state, PARKER_EMPTY);
}

static bool is_woken(void *ctx)
{
    struct parker *p = ctx;
    return atomic_load_relaxed(&p->state) == PARKER_WOKEN;
}

bool parker_wait(struct parker *p, struct spinner *sp, uint64_t deadline_us)
{
    uint32_t expected = PARKER_EMPTY;
    bool was_woken = true;

    if (spinner_spin(sp, is_woken, p)) {
        consume(p);
        return true;
    }
    mutex_lock(&p->lock);
    if (atomic_cas_acq_rel(&p->state, &expected, PARKER_SLEEPING)) {
        while (was_woken && atomic_load_acquire(&p->state) == PARKER_SLEEPING) {
            if (deadline_us == 0) {
                condition_wait(&p->woken, &p->lock);
            } else if (!condition_wait_until(&p->woken, &p->lock, deadline_us)) {
                expected = PARKER_SLEEPING;
                was_woken = !atomic_cas_acq_rel(&p->state, &expected, PARKER_EMPTY);
            }
        }
    }
    if (was_woken) consume(p);
    mutex_unlock(&p->lock);
    return was_woken;
}
