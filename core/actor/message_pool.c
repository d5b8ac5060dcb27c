/* SPDX-License-Identifier: Apache-2.0 */
/* message_pool.c — slots of 256 bytes in shards; larger messages go to the allocator.
 *
 * WHAT        A shard has two lists: `local`, from which senders take, and `returned`, to which
 *             receivers push.  Only when `local` is empty does a sender look at the receivers'
 *             cache line, and then it takes everything that is there.
 * INVARIANTS  (1) A slot is in one list of the shard it was made for, or with a message.
 *             (2) `returned` is only pushed to and emptied as a whole, so a stale head cannot be
 *                 mistaken for a current one (no ABA).
 *             (3) A shard keeps about SHARD_SLOTS_MAX slots in each list, no more.
 * THREADS     Any.  Nobody waits: a sender that finds its shard held uses the allocator.
 * FAILURE     NULL when the allocator refuses.
 */
#include "actor/message_pool.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "os/machine.h"

enum {
    SLOT_BYTES = 256,
    SLOT_ALIGN = 64,       /* the header of a message in one cache line */
    SHARDS_MAX = 16,       /* power of two */
    SHARD_SLOTS_MAX = 512, /* 128 KiB */
    CACHE_LINE_BYTES = 64,
};

/* With an address sanitizer each message is a block of its own, so that a use after free shows. */
#if defined(__SANITIZE_ADDRESS__)
enum { POOL_IS_USED = 0 };
#else
enum { POOL_IS_USED = 1 };
#endif

struct free_slot {
    struct free_slot *next;
};

struct message_shard {
    /* Senders. */
    _Atomic(uint32_t) is_held;
    bool is_direct; /* not a shard: its blocks go to the allocator */
    struct free_slot *local;
    struct alloc *alloc;
    char pad_senders[CACHE_LINE_BYTES - 3 * sizeof(void *)];
    /* Receivers. */
    _Atomic(struct free_slot *) returned;
    _Atomic(uint32_t) returned_count; /* an estimate, for (3) */
    char pad_receivers[CACHE_LINE_BYTES - 2 * sizeof(void *)];
};

struct message_pool {
    struct alloc *alloc;
    bool keeps_slots;
    uint32_t shard_mask;
    struct message_shard *shards; /* shard_mask + 1 */
    struct message_shard direct;
};

struct message_pool *message_pool_create(struct alloc *a, bool keeps_slots, struct error *err)
{
    uint32_t shard_count = 1;
    while (shard_count < SHARDS_MAX && shard_count < machine_core_count()) shard_count *= 2;

    struct message_pool *p = mem_zalloc(a, MEM_MESSAGE, sizeof *p);
    size_t bytes = shard_count * sizeof *p->shards;
    if (p) p->shards = mem_alloc_aligned(a, MEM_MESSAGE, bytes, CACHE_LINE_BYTES);
    if (!p || !p->shards) {
        mem_free(a, p);
        error_no_memory(err, bytes);
        return NULL;
    }
    p->alloc = a;
    p->keeps_slots = keeps_slots && POOL_IS_USED;
    p->shard_mask = shard_count - 1;
    p->direct = (struct message_shard){.is_direct = true, .alloc = a};
    for (uint32_t i = 0; i < shard_count; i++) p->shards[i] = (struct message_shard){.alloc = a};
    return p;
}

static void free_slots(struct alloc *a, struct free_slot *slot)
{
    while (slot) {
        struct free_slot *next = slot->next;
        mem_free(a, slot);
        slot = next;
    }
}

void message_pool_destroy(struct message_pool *p)
{
    if (!p) return;
    for (uint32_t i = 0; i <= p->shard_mask; i++) {
        free_slots(p->alloc, p->shards[i].local);
        free_slots(p->alloc, atomic_load_acquire(&p->shards[i].returned));
    }
    mem_free(p->alloc, p->shards);
    mem_free(p->alloc, p);
}

/* Senders on different cores should meet different shards; any choice is correct. */
static struct message_shard *pick_shard(struct message_pool *p)
{
#if defined(__linux__)
    int cpu = sched_getcpu();
    return &p->shards[(uint32_t)(cpu < 0 ? 0 : cpu) & p->shard_mask];
#else
    return &p->shards[0];
#endif
}

static void *take_slot(struct message_shard *shard)
{
    /* Acquire pairs with the release below: the list is the previous holder's work. */
    if (atomic_load_relaxed(&shard->is_held) || atomic_swap_acq_rel(&shard->is_held, 1) != 0)
        return NULL;
    if (!shard->local && atomic_load_relaxed(&shard->returned)) {
        /* Acquire pairs with the release of each push in message_pool_give. */
        shard->local = atomic_swap_acq_rel(&shard->returned, (struct free_slot *)NULL);
        atomic_store_relaxed(&shard->returned_count, 0);
    }
    struct free_slot *slot = shard->local;
    if (slot) {
        shard->local = slot->next;
        /* It is in the receiver's cache, and the next message will be written there. */
        __builtin_prefetch(slot->next, 1);
    }
    atomic_store_release(&shard->is_held, 0);
    return slot;
}

void *message_pool_take(struct message_pool *p, size_t bytes, struct message_shard **out_home)
{
    void *block;

    if (!p->keeps_slots || bytes > SLOT_BYTES) {
        *out_home = &p->direct;
        return mem_alloc(p->alloc, MEM_MESSAGE, bytes);
    }
    struct message_shard *shard = pick_shard(p);
    block = take_slot(shard);
    if (!block) block = mem_alloc_aligned(p->alloc, MEM_MESSAGE, SLOT_BYTES, SLOT_ALIGN);
    *out_home = shard;
    return block;
}

void message_pool_give(struct message_shard *home, void *block)
{
    if (home->is_direct || atomic_load_relaxed(&home->returned_count) >= SHARD_SLOTS_MAX) {
        mem_free(home->alloc, block);
        return;
    }
    struct free_slot *slot = block;
    struct free_slot *head = atomic_load_relaxed(&home->returned);
    do {
        slot->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&home->returned, &head, slot,
                                                    memory_order_release, memory_order_relaxed));
    /* Not one addition: a count that two receivers lose makes the estimate a bit worse. */
    atomic_store_relaxed(&home->returned_count, atomic_load_relaxed(&home->returned_count) + 1);
}
