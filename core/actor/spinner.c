/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/spinner.h"

#include <stddef.h>

#include "base/clock.h"

enum {
    SPIN_PAUSES = 16,  /* between two looks at the clock, which costs as much as a few pauses */
    PROBE_PERIOD = 32, /* while spinning does not pay, one wait of so many tries it */
};

void spinner_init(struct spinner *sp, uint32_t max_us)
{
    sp->max_us = max_us;
    atomic_store_relaxed(&sp->now_us, max_us);
    atomic_store_relaxed(&sp->skipped_count, 0);
}

/* Tell the processor that this is a busy loop. */
static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Relaxed, here and below: what is learned is a guess, and carries nothing. */
static uint32_t choose_length_us(struct spinner *sp)
{
    uint32_t length_us = atomic_load_relaxed(&sp->now_us);
    if (length_us != 0 || sp->max_us == 0) return length_us;
    bool is_probe = atomic_add_relaxed(&sp->skipped_count, 1) % PROBE_PERIOD == PROBE_PERIOD - 1;
    return is_probe ? sp->max_us : 0;
}

bool spinner_spin(struct spinner *sp, bool (*is_ready)(void *ctx), void *ctx)
{
    const struct clock *clock = clock_system();

    if (is_ready(ctx)) return true;
    uint32_t length_us = sp ? choose_length_us(sp) : 0;
    if (length_us == 0) return false;
    uint64_t end_us = clock_now_us(clock) + length_us;
    do {
        for (int i = 0; i < SPIN_PAUSES; i++) {
            if (is_ready(ctx)) {
                atomic_store_relaxed(&sp->now_us, sp->max_us);
                return true;
            }
            pause_briefly();
        }
    } while (clock_now_us(clock) < end_us);
    atomic_store_relaxed(&sp->now_us, atomic_load_relaxed(&sp->now_us) / 2);
    return false;
}
