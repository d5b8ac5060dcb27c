/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/mailbox.h"

#include "base/check.h"
#include "base/limits.h"

/* One word for both bounds, so that a push is one atomic addition. */
enum { CHARGE_COUNT_SHIFT = 44 };
static const uint64_t CHARGE_ONE = 1ull << CHARGE_COUNT_SHIFT;
static const uint64_t CHARGE_BYTES_MASK = (1ull << CHARGE_COUNT_SHIFT) - 1;
/* A single message counts at most as this much; far below the field's width, so that sums of what
 * concurrent pushes try cannot reach the count. */
static const uint64_t MESSAGE_BYTES_CEILING = 1ull << 40;
static const size_t MESSAGES_CEILING = (1u << 20) - 1;

int mailbox_init(struct mailbox *mb, struct alloc *a, const struct mailbox_desc *desc,
                 struct error *err)
{
    *mb = (struct mailbox){0};
    mb->alloc = a;
    mb->messages_max = desc->messages_max ? desc->messages_max : MAILBOX_MESSAGES;
    mb->bytes_max = desc->bytes_max ? desc->bytes_max : MAILBOX_BYTES;
    if (mb->messages_max > MESSAGES_CEILING)
        return error_set(err, LYNSE_LIMIT, "a mailbox of %zu messages is over the limit of %zu",
                         mb->messages_max, MESSAGES_CEILING);
    if (mb->bytes_max > MESSAGE_BYTES_CEILING)
        return error_set(err, LYNSE_LIMIT, "a mailbox of %zu bytes is over the limit of %llu",
                         mb->bytes_max, (unsigned long long)MESSAGE_BYTES_CEILING);
    if (desc->kind_limits && desc->kind_count) {
        size_t bytes = desc->kind_count * sizeof *mb->kind_queued;
        mb->kind_queued = mem_zalloc(a, MEM_GENERAL, bytes);
        if (!mb->kind_queued) return error_no_memory(err, bytes);
        mb->kind_limits = desc->kind_limits;
        mb->kind_count = desc->kind_count;
    }
    mpsc_init(&mb->queue);
    return 0;
}

void mailbox_deinit(struct mailbox *mb)
{
    if (!mb->alloc) return;
    CHECK(mailbox_length(mb) == 0);
    mem_free(mb->alloc, (void *)mb->kind_queued);
    *mb = (struct mailbox){0};
}

static uint64_t charged_bytes(const struct message *m)
{
    return m->bytes < MESSAGE_BYTES_CEILING ? m->bytes : MESSAGE_BYTES_CEILING;
}

/* The counters order nothing: the queue's own release and acquire do.  Hence relaxed. */
static bool charge(struct mailbox *mb, uint64_t bytes)
{
    uint64_t weight = CHARGE_ONE + bytes;

    if (bytes > mb->bytes_max) {
        uint64_t expected = 0;
        return atomic_compare_exchange_strong_explicit(&mb->charge, &expected, weight,
                                                       memory_order_relaxed, memory_order_relaxed);
    }
    uint64_t before = atomic_add_relaxed(&mb->charge, weight);
    if ((before >> CHARGE_COUNT_SHIFT) < mb->messages_max &&
        (before & CHARGE_BYTES_MASK) + bytes <= mb->bytes_max)
        return true;
    atomic_sub_relaxed(&mb->charge, weight);
    return false;
}

static uint16_t kind_limit(const struct mailbox *mb, const struct message *m)
{
    return m->kind < mb->kind_count ? mb->kind_limits[m->kind] : 0;
}

enum mailbox_push_result mailbox_push(struct mailbox *mb, struct message *m)
{
    if (m->class == MESSAGE_SYSTEM) {
        atomic_add_relaxed(&mb->system_count, 1);
    } else {
        uint16_t limit = kind_limit(mb, m);
        if (limit && atomic_add_relaxed(&mb->kind_queued[m->kind], 1) >= limit) {
            atomic_sub_relaxed(&mb->kind_queued[m->kind], 1);
            return MAILBOX_BUSY;
        }
        if (!charge(mb, charged_bytes(m))) {
            if (limit) atomic_sub_relaxed(&mb->kind_queued[m->kind], 1);
            return MAILBOX_BUSY;
        }
    }
    return mpsc_push(&mb->queue, &m->node) ? MAILBOX_WAKE : MAILBOX_QUEUED;
}

size_t mailbox_pop(struct mailbox *mb, struct message **out, size_t out_max, size_t bytes_enough,
                   bool *out_is_empty)
{
    size_t count = 0;
    uint64_t weight = 0;
    uint64_t system_count = 0;

    *out_is_empty = false;
    while (count < out_max && (count == 0 || (weight & CHARGE_BYTES_MASK) < bytes_enough)) {
        struct mpsc_node *node = mpsc_pop(&mb->queue);
        if (!node) {
            *out_is_empty = true;
            break;
        }
        struct message *m = (struct message *)node;
        if (m->class == MESSAGE_SYSTEM) {
            system_count++;
        } else {
            weight += CHARGE_ONE + charged_bytes(m);
            if (kind_limit(mb, m)) atomic_sub_relaxed(&mb->kind_queued[m->kind], 1);
        }
        out[count++] = m;
    }
    if (weight) atomic_sub_relaxed(&mb->charge, weight);
    if (system_count) atomic_sub_relaxed(&mb->system_count, system_count);
    return count;
}

bool mailbox_mark_idle(struct mailbox *mb)
{
    return mpsc_mark_idle(&mb->queue);
}

size_t mailbox_length(struct mailbox *mb)
{
    return (size_t)((atomic_load_relaxed(&mb->charge) >> CHARGE_COUNT_SHIFT) +
                    atomic_load_relaxed(&mb->system_count));
}

size_t mailbox_bytes(struct mailbox *mb)
{
    return (size_t)(atomic_load_relaxed(&mb->charge) & CHARGE_BYTES_MASK);
}
