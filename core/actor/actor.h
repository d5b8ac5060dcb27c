/* SPDX-License-Identifier: Apache-2.0 */
/* actor.h — an object that handles messages one batch at a time, on one thread at a time.
 *
 * What an actor is, is its ops and its state; the runtime does not look inside messages.
 */
#ifndef ACTOR_ACTOR_H
#define ACTOR_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/mailbox.h"
#include "actor/message.h"
#include "actor/watchdog.h"

struct actor;
struct scheduler;

/* All run in the actor's turn: never two at once, each sees what the one before it wrote. */
struct actor_ops {
    /* Handle batch[0..count), oldest first, count >= 1.  Each message is the handler's: answer it
     * and message_destroy it, now or later.  Expired and cancelled ones do not get here. */
    void (*on_batch)(struct actor *a, struct message **batch, size_t count);
    /* The mailbox has run empty.  Often; NULL: nothing. */
    void (*on_idle)(struct actor *a);
    /* Once, when it stops: answer what is kept, destroy the timers.  Messages that are still
     * queued are answered SHUTTING_DOWN afterwards, by the runtime.  NULL: nothing. */
    void (*on_stop)(struct actor *a);
};

enum { ACTOR_BATCH_MAX = 64, ACTOR_NAME_BYTES = 48 };

struct actor_desc {
    const struct actor_ops *ops;
    void *state;
    const char *name;   /* for logs; copied, cut at ACTOR_NAME_BYTES - 1 */
    size_t batch_max;   /* messages of one batch; 0: ACTOR_BATCH_MAX, which is the maximum */
    size_t batch_bytes; /* a batch is closed when it weighs this much; 0: SYNC_BATCH_BYTES */
    struct mailbox_desc mailbox;
};

/* A message of the runtime itself, embedded in its owner; run() handles it in the actor's turn. */
struct runtime_message {
    struct message base; /* first; kind MESSAGE_KIND_RUNTIME */
    void (*run)(struct actor *a, struct runtime_message *m);
};

struct actor {
    /* Read by every sender, hardly ever written. */
    const struct actor_ops *ops;
    void *state;
    struct scheduler *scheduler;
    uint64_t id; /* creation number, 1.. */
    size_t batch_max;
    size_t batch_bytes;
    void *place;                   /* the scheduler's */
    _Atomic(uint32_t) life;        /* enum actor_life */
    _Atomic(bool) has_lost_wakeup; /* only by the fault point ACTOR_LOST_WAKEUP */
    struct mailbox mailbox;
    /* Written in its turn only. */
    _Alignas(64) struct watch watch;
    _Atomic(uint64_t) batch_count; /* metrics; read by any thread */
    _Atomic(uint64_t) message_count;
    bool is_ending;
    /* The scheduler's, while it is in a run queue. */
    struct mpsc_node run_node;
    struct actor *run_next;
    /* Under the scheduler's lock. */
    struct actor *next;
    struct actor *previous;
    size_t timer_count;
    bool is_stopped; /* on_stop ran */
    bool is_ended;   /* and it is in no queue, for ever */
    struct runtime_message stop;
    struct runtime_message end;
    char name[ACTOR_NAME_BYTES];
};

/* Runs nothing until the first message.  err: NO_MEMORY, LIMIT, or the system's when a worker
 * thread cannot be started. */
struct actor *actor_create(struct scheduler *s, const struct actor_desc *desc, struct error *err);

/* Any thread.  LYNSE_OK: the message is taken.  BUSY, SHUTTING_DOWN: it stays the caller's. */
int actor_try_send(struct actor *a, struct message *m);
/* Any thread.  Takes the message in every case: one that is refused is dropped with the code, so
 * that its reply says so. */
void actor_send(struct actor *a, struct message *take_message);

/* Any thread, its own turn too; does not wait.  The batch in progress ends, on_stop runs, every
 * queued message and every later one is answered SHUTTING_DOWN. */
void actor_stop(struct actor *a);
/* The same, and wait until on_stop has run: from then on it handles nothing, but it can still be
 * sent to, and answers.  Not in any actor's turn. */
void actor_stop_and_wait(struct actor *a);
/* Stop it, wait until that is done, free it.  Nobody may send to it any more.  Not in any actor's
 * turn: the two may share a worker.  NULL is allowed. */
void actor_destroy(struct actor *a);

static inline size_t actor_queue_length(struct actor *a)
{
    return mailbox_length(&a->mailbox);
}

/* For schedulers: one batch of at most batch_max messages. */
enum actor_turn {
    ACTOR_IDLE, /* do not touch it before it is scheduled again */
    ACTOR_MORE, /* run it again */
    ACTOR_ENDED /* do not touch it */
};
enum actor_turn actor_run(struct actor *a, size_t batch_max);

/* For timer.c: push a message of the runtime, which is never refused. */
void actor_push_runtime(struct actor *a, struct runtime_message *m);
void runtime_message_init(struct runtime_message *m,
                          void (*run)(struct actor *a, struct runtime_message *m));

#endif
