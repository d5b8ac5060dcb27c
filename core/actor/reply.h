/* SPDX-License-Identifier: Apache-2.0 */
/* reply.h — the answer to a message or a search, given exactly once.
 *
 * A reply has two ends.  The completer (who works: an actor, a pool task) calls reply_complete
 * once and reply_release at the end.  The requester is a callback, or it holds a future.  A
 * future is a heap object with one reference for each end, so that a requester that gave up
 * leaves nothing behind that a late answer could hit.
 */
#ifndef ACTOR_REPLY_H
#define ACTOR_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "actor/parker.h"
#include "base/alloc.h"
#include "base/atomic.h"
#include "base/error.h"

struct scheduler;

/* What is handed over.  Owns `result` when destroy_result is set. */
struct answer {
    int code;                             /* enum lynse_code; LYNSE_OK */
    void *result;                         /* what was asked for; its type is the message's */
    void (*destroy_result)(void *result); /* NULL: nothing to free */
    struct error error;                   /* set when code is not LYNSE_OK */
};

/* An answer of this code with the table's sentence as text. */
void answer_init(struct answer *a, int code);
void answer_init_error(struct answer *a, const struct error *error); /* code and text of it */
void answer_deinit(struct answer *a); /* frees the result; a zeroed answer is allowed */

/* Broken promises that a release build survives; a debug build fails a CHECK instead. */
struct reply_counters {
    _Atomic(uint64_t) completed_twice;
    _Atomic(uint64_t) forgotten; /* released unanswered: answered INTERNAL */
};

struct reply;
/* Runs on the completer's thread; must not block.  *take_answer is the callee's from then on:
 * it copies what it needs, and frees the result (answer_deinit) or keeps it. */
typedef void reply_fn(void *ctx, struct answer *take_answer);

struct reply {
    struct scheduler *scheduler;
    struct alloc *alloc; /* the scheduler's, which may be gone before the requester's end is */
    reply_fn *deliver;
    void *ctx;
    void (*free)(struct reply *r); /* completer's end */
    _Atomic(uint32_t) is_complete;
    _Atomic(bool) is_cancelled;
};

/* A callback, freed by reply_release.  NULL: NO_MEMORY. */
struct reply *reply_create_callback(struct scheduler *s, reply_fn *deliver, void *ctx,
                                    struct error *err);

/* Deliver *take_answer (its result is owned on every path) if this is the first answer; another
 * one is a bug: CHECK in debug, counted and freed otherwise. */
void reply_complete(struct reply *r, struct answer *take_answer);
void reply_complete_code(struct reply *r, int code);
/* The completer lets go; r NULL is allowed.  A reply that was never completed is a bug: CHECK in
 * debug, counted and answered INTERNAL otherwise. */
void reply_release(struct reply *r);

/* The requester does not want it any more; the completer may stop early with CANCELLED, and still
 * completes the reply.  Any thread that holds one end. */
void reply_cancel(struct reply *r);
static inline bool reply_is_cancelled(struct reply *r)
{
    /* Relaxed: the flag carries nothing with it. */
    return atomic_load_relaxed(&r->is_cancelled);
}

struct future {
    struct reply reply; /* first; the completer's end */
    _Atomic(uint32_t) reference_count;
    _Atomic(uint32_t) is_answered; /* answer is set; release in deliver, acquire in poll */
    struct parker parker;
    struct answer answer; /* until it is taken */
};

/* Two references: &f->reply for the completer (reply_release), f for the caller (future_release).
 * NULL: NO_MEMORY. */
struct future *future_create(struct scheduler *s, struct error *err);

/* True when answered; then *out_answer is the caller's.  An answer is given out once: afterwards
 * poll and wait answer the code again, without a result.  One thread at a time. */
bool future_poll(struct future *f, struct answer *out_answer);
/* Wait for it, by running the scheduler's work on this thread where no other does.
 * deadline_us: monotonic, 0 = none.  Not inside an actor's turn.
 * err: DEADLINE: it passed, or nothing is left that could answer (inline and simulator).
 * The future stays valid after an error: wait again, or cancel and release. */
int future_wait(struct future *f, uint64_t deadline_us, struct answer *out_answer,
                struct error *err);
void future_cancel(struct future *f);
/* The caller's end, also after the scheduler is gone (not its allocator); NULL is allowed. */
void future_release(struct future *f);

#endif
