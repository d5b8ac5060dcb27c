/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox.h — a lock-free queue of messages with bounds in count and bytes.
 *
 * Full means MAILBOX_BUSY at once; nothing waits.  A message heavier than the byte bound is taken
 * when no other bounded message is queued.  SYSTEM messages are never refused and not charged.
 * A push close to the bound may be refused although a concurrent refused push just made it look
 * full; the bound itself is never passed.
 */
#ifndef ACTOR_MAILBOX_H
#define ACTOR_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/message.h"
#include "base/alloc.h"
#include "base/mpsc.h"

enum mailbox_push_result {
    MAILBOX_QUEUED, /* taken; the owner is already scheduled */
    MAILBOX_WAKE,   /* taken; it was idle and the caller must schedule the owner */
    MAILBOX_BUSY    /* refused; the message stays the caller's */
};

struct mailbox_desc {
    size_t messages_max;         /* 0: MAILBOX_MESSAGES; at most 2^20 - 1 */
    size_t bytes_max;            /* 0: MAILBOX_BYTES; at most 2^40 */
    const uint16_t *kind_limits; /* by kind, 0 = no bound of its own; borrowed for ever; or NULL */
    size_t kind_count;           /* entries of it */
};

/* Who writes what decides the lines: a sender must not wait for the owner's line, nor the owner for
 * the senders'. */
struct mailbox {
    /* Read only after init. */
    size_t messages_max;
    size_t bytes_max;
    const uint16_t *kind_limits;
    size_t kind_count;
    _Atomic(uint32_t) *kind_queued; /* kind_count; NULL without limits */
    struct alloc *alloc;
    _Alignas(64) struct mpsc queue; /* senders' head, then the owner's tail */
    /* Senders, and the owner once a batch. */
    _Alignas(64) _Atomic(uint64_t) charge; /* of bounded messages: count << 44 | bytes */
    _Atomic(uint64_t) system_count;        /* SYSTEM messages queued */
};

int mailbox_init(struct mailbox *mb, struct alloc *a, const struct mailbox_desc *desc,
                 struct error *err);     /* NO_MEMORY; LIMIT when a bound is out of range */
void mailbox_deinit(struct mailbox *mb); /* must be empty; a zeroed mailbox is allowed */

/* Any thread. */
enum mailbox_push_result mailbox_push(struct mailbox *mb, struct message *m);
/* Owner only: the oldest messages, up to out_max of them and until they weigh bytes_enough
 * together (one at least).  *out_is_empty: nothing more is there now. */
size_t mailbox_pop(struct mailbox *mb, struct message **out, size_t out_max, size_t bytes_enough,
                   bool *out_is_empty);
/* Owner only, when pop found it empty.  true: the next push gives MAILBOX_WAKE, and the owner must
 * not touch the mailbox before that.  false: more came. */
bool mailbox_mark_idle(struct mailbox *mb);

size_t mailbox_length(struct mailbox *mb); /* messages queued now; any thread */
size_t mailbox_bytes(struct mailbox *mb);  /* of the bounded ones */

#endif
