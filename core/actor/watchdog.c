/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/watchdog.h"

#include "actor/actor.h"
#include "actor/scheduler.h"
#include "base/log.h"

void watch_init(struct watch *w)
{
    *w = (struct watch){.length_next = WATCH_LENGTH};
}

static void report_length(struct actor *a, uint64_t now_us, size_t queue_length)
{
    log_event(LOG_WARN, "actor_overloaded actor=\"%s\" id=%llu queued=%zu bytes=%zu", a->name,
              (unsigned long long)a->id, queue_length, mailbox_bytes(&a->mailbox));
    a->watch.length_said_us = now_us;
    while (a->watch.length_next <= queue_length) a->watch.length_next *= 2;
}

void watch_begin(struct actor *a, uint64_t now_us, size_t queue_length)
{
    struct watch *w = &a->watch;

    /* Relaxed: the scan only reads the number. */
    atomic_store_relaxed(&w->began_us, now_us + 1);
    if (queue_length >= w->length_next) report_length(a, now_us, queue_length);
    else if (w->length_next > WATCH_LENGTH && queue_length < WATCH_LENGTH / 2 &&
             now_us - w->length_said_us > WATCH_QUIET_US)
        w->length_next = WATCH_LENGTH;
}

static void look_at(struct actor *a, uint64_t began, uint64_t now_us)
{
    struct watch *w = &a->watch;

    if (began != w->seen_began) {
        w->seen_began = began;
        w->stuck_next_us = WATCH_STUCK_US;
    }
    uint64_t running_us = now_us + 1 > began ? now_us + 1 - began : 0;
    if (running_us < w->stuck_next_us) return;
    log_event(LOG_WARN, "actor_stuck actor=\"%s\" id=%llu batch_ms=%llu queued=%zu", a->name,
              (unsigned long long)a->id, (unsigned long long)(running_us / 1000),
              mailbox_length(&a->mailbox));
    while (w->stuck_next_us <= running_us) w->stuck_next_us *= 2;
}

bool watchdog_scan(struct scheduler *s, uint64_t now_us)
{
    bool is_any_running = false;

    mutex_lock(&s->lock);
    for (struct actor *a = s->actors; a; a = a->next) {
        uint64_t began = atomic_load_relaxed(&a->watch.began_us);
        if (began == 0) continue;
        is_any_running = true;
        look_at(a, began, now_us);
    }
    mutex_unlock(&s->lock);
    return is_any_running;
}
