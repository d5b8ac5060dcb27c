/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/parker.h"

#include <stddef.h>

#include "base/clock.h"

enum parker_state { PARKER_EMPTY, PARKER_SLEEPING, PARKER_WOKEN };

/* Pauses between two looks at the clock, which costs as much as a few pauses. */
enum { SPIN_PAUSES = 32 };

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

void parker_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
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

static bool spin(struct parker *p, uint64_t spin_us)
{
    const struct clock *clock = clock_system();
    uint64_t end_us = clock_now_us(clock) + spin_us;

    do {
        for (int i = 0; i < SPIN_PAUSES; i++) {
            if (atomic_load_relaxed(&p->state) == PARKER_WOKEN) return true;
            parker_pause();
        }
    } while (clock_now_us(clock) < end_us);
    return false;
}

bool parker_wait(struct parker *p, uint64_t spin_us, uint64_t deadline_us)
{
    uint32_t expected = PARKER_EMPTY;
    bool is_woken = true;

    if (atomic_load_relaxed(&p->state) == PARKER_WOKEN || (spin_us != 0 && spin(p, spin_us))) {
        consume(p);
        return true;
    }
    mutex_lock(&p->lock);
    if (atomic_cas_acq_rel(&p->state, &expected, PARKER_SLEEPING)) {
        while (is_woken && atomic_load_acquire(&p->state) == PARKER_SLEEPING) {
            if (deadline_us == 0) {
                condition_wait(&p->woken, &p->lock);
            } else if (!condition_wait_until(&p->woken, &p->lock, deadline_us)) {
                expected = PARKER_SLEEPING;
                is_woken = !atomic_cas_acq_rel(&p->state, &expected, PARKER_EMPTY);
            }
        }
    }
    if (is_woken) consume(p);
    mutex_unlock(&p->lock);
    return is_woken;
}
