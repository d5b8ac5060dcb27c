/* SPDX-License-Identifier: Apache-2.0 */
/* message_pool.h — memory for messages, which one thread allocates and another one frees.
 *
 * That pattern is the worst case of a general allocator: its counters and free lists bounce
 * between the two cores for each message.  Here a freed slot goes back to the shard it came from,
 * and the senders take back a whole chain of them at once.
 */
#ifndef ACTOR_MESSAGE_POOL_H
#define ACTOR_MESSAGE_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/error.h"

struct message_pool;
struct message_shard; /* where a block goes back to */

/* keeps_slots false: everything goes to the allocator at once, for one thread that needs no more.
 * NULL: NO_MEMORY. */
struct message_pool *message_pool_create(struct alloc *a, bool keeps_slots, struct error *err);
void message_pool_destroy(struct message_pool *p); /* every block must be back; NULL is allowed */

/* Uninitialised, aligned to 64 (16 when larger than a slot); NULL: out of memory.  Any thread. */
void *message_pool_take(struct message_pool *p, size_t bytes, struct message_shard **out_home);
void message_pool_give(struct message_shard *home, void *block);

#endif
