/* SPDX-License-Identifier: Apache-2.0 */
/* message.h — the header of everything that is sent to an actor.
 *
 * A message is allocated by its sender and freed by its receiver.  It is answered exactly once, or
 * dropped with an error answer.  It holds no pointer into the sender's memory.  The concrete
 * message is a struct whose first member is this one.
 */
#ifndef ACTOR_MESSAGE_H
#define ACTOR_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/reply.h"
#include "base/mpsc.h"

struct message_shard;
struct scheduler;

enum message_class {
    MESSAGE_WRITE,
    MESSAGE_READ,
    MESSAGE_CONTROL,
    MESSAGE_SYSTEM /* has no bound and never gets BUSY: what sends it bounds it */
};

/* Kinds are the owner's, 0..65534; this one is the runtime's own. */
enum { MESSAGE_KIND_RUNTIME = UINT16_MAX };

struct message {
    struct mpsc_node node;      /* the mailbox's */
    uint16_t kind;              /* never reused for something else */
    uint8_t class;              /* enum message_class */
    _Atomic(bool) is_cancelled; /* see message_cancel */
    struct reply *reply;        /* completer's end, owned; NULL: nobody waits */
    uint64_t deadline_us;       /* monotonic; 0 = none */
    uint64_t trace_id;          /* 0 = none */
    size_t bytes;               /* what it weighs in the mailbox; constant once sent */
    /* Answer with an error of this code and free, inner parts too.  Any thread. */
    void (*drop)(struct message *m, int code);
    struct message_shard *home; /* where its memory goes back to; NULL: it is embedded */
};

/* A message of struct_bytes (header included), zeroed but for kind, class, bytes = struct_bytes and
 * drop = message_drop_plain.  NULL: out of memory.  Any thread. */
void *message_create(struct scheduler *s, size_t struct_bytes, uint16_t kind,
                     enum message_class class);

/* The receiver's end: let go of the reply (which must be answered) and free the memory.  What the
 * concrete message holds inside is freed before by its owner. */
void message_destroy(struct message *m);

/* Answer; nothing when nobody waits (a result is freed then). */
void message_answer(struct message *m, struct answer *take_answer);
void message_answer_code(struct message *m, int code); /* LYNSE_OK, or the table's sentence */
void message_answer_error(struct message *m, const struct error *error);

/* Refuse it: m->drop(m, code). */
void message_drop(struct message *m, int code);
/* The drop of a message that holds nothing inside: answer and destroy. */
void message_drop_plain(struct message *m, int code);

/* By a thread that knows the message to be alive (the sender before it is sent, the receiver, or
 * under a lock of the owner).  A requester with a future uses future_cancel instead. */
void message_cancel(struct message *m);
/* Either flag: the message's or the requester's. */
bool message_is_cancelled(const struct message *m);
/* LYNSE_OK, or why it must not be begun any more: CANCELLED, DEADLINE.  SYSTEM messages always may.
 */
int message_refusal(const struct message *m, uint64_t now_us);

#endif
