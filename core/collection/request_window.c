/* SPDX-License-Identifier: Apache-2.0 */
/* request_window.c — a ring of requests, and a table of their places by id.
 *
 * WHAT        Remembers the requests in the order of their groups, and finds one by its id.
 * LAYOUT      The table has at least twice as many slots as the ring has places; linear probing,
 *             deletion by backward shift.
 * INVARIANTS  (1) LSNs ascend from the oldest to the newest.
 *             (2) A slot names the newest entry of its id; an older one of the same id, which was
 *                 too old to be found, is in the ring alone.
 * THREADS     The collection's actor.
 * FAILURE     Only reserving and copying can.
 */
#include "collection/request_window.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/limits.h"

enum { CAPACITY_MIN = 16 };

void request_window_init(struct request_window *w, struct alloc *a, uint64_t seed)
{
    *w = (struct request_window){.alloc = a, .seed = seed};
}

void request_window_deinit(struct request_window *w)
{
    if (!w->alloc) return;
    mem_free(w->alloc, w->ring);
    mem_free(w->alloc, w->slots);
    request_window_init(w, w->alloc, w->seed);
}

static size_t place_of(const struct request_window *w, size_t i)
{
    size_t place = w->first + i;
    return place < w->capacity ? place : place - w->capacity;
}

static struct applied_request *entry_at(const struct request_window *w, size_t i)
{
    return &w->ring[place_of(w, i)];
}

static bool is_old(const struct applied_request *q, int64_t now_us)
{
    return q->stamp.at_us < now_us &&
           (uint64_t)now_us - (uint64_t)q->stamp.at_us > (uint64_t)REQUEST_WINDOW_US;
}

/* ---- the table ---- */

static size_t home_of(const struct request_window *w, const uint8_t *id)
{
    uint64_t low = load_u64(id), high = load_u64(id + 8);
    return (size_t)hash_u64(low ^ hash_u64(high ^ w->seed)) & (w->slot_count - 1);
}

/* The slot of the id, or the empty one where it would go. */
static size_t slot_of(const struct request_window *w, const uint8_t *id)
{
    size_t at = home_of(w, id);

    while (w->slots[at] != 0 &&
           memcmp(w->ring[w->slots[at] - 1].stamp.id, id, REQUEST_ID_BYTES) != 0)
        at = (at + 1) & (w->slot_count - 1);
    return at;
}

static void empty_slot(struct request_window *w, size_t at)
{
    size_t mask = w->slot_count - 1;

    for (size_t next = (at + 1) & mask; w->slots[next] != 0; next = (next + 1) & mask) {
        size_t home = home_of(w, w->ring[w->slots[next] - 1].stamp.id);
        if (((next - home) & mask) < ((next - at) & mask)) continue;
        w->slots[at] = w->slots[next];
        at = next;
    }
    w->slots[at] = 0;
}

static void forget_place(struct request_window *w, size_t place)
{
    size_t at = slot_of(w, w->ring[place].stamp.id);
    if (w->slots[at] == place + 1) empty_slot(w, at); /* (2) */
}

/* ---- what it is for ---- */

int request_window_reserve(struct request_window *w, struct error *err)
{
    if (w->count < w->capacity) return 0;
    /* By half: at the bound little more than the bound is held. */
    size_t capacity = w->capacity ? w->capacity + w->capacity / 2 : CAPACITY_MIN, slot_count = 1;
    while (slot_count < 2 * capacity) slot_count *= 2;
    struct applied_request *ring = mem_alloc(w->alloc, MEM_LOG, capacity * sizeof *ring);
    uint32_t *slots = mem_zalloc(w->alloc, MEM_LOG, slot_count * sizeof *slots);
    if (!ring || !slots) {
        mem_free(w->alloc, ring);
        mem_free(w->alloc, slots);
        return error_no_memory(err, capacity * sizeof *ring + slot_count * sizeof *slots);
    }
    for (size_t i = 0; i < w->count; i++) ring[i] = *entry_at(w, i);
    mem_free(w->alloc, w->ring);
    mem_free(w->alloc, w->slots);
    w->ring = ring;
    w->capacity = capacity;
    w->first = 0;
    w->slots = slots;
    w->slot_count = slot_count;
    for (size_t i = 0; i < w->count; i++)
        slots[slot_of(w, ring[i].stamp.id)] = (uint32_t)i + 1; /* (2): the newest is last */
    return 0;
}

void request_window_add(struct request_window *w, const struct applied_request *q)
{
    CHECK(w->count < w->capacity && !request_stamp_is_none(&q->stamp));
    CHECK(request_window_newest_lsn(w) < q->lsn); /* (1) */
    size_t place = place_of(w, w->count++);
    size_t at = slot_of(w, q->stamp.id);
    w->ring[place] = *q;
    w->slots[at] = (uint32_t)place + 1;
}

const struct applied_request *request_window_find(const struct request_window *w,
                                                  const uint8_t id[REQUEST_ID_BYTES],
                                                  int64_t now_us)
{
    if (w->count == 0) return NULL;
    uint32_t slot = w->slots[slot_of(w, id)];
    return slot == 0 || is_old(&w->ring[slot - 1], now_us) ? NULL : &w->ring[slot - 1];
}

uint64_t request_window_newest_lsn(const struct request_window *w)
{
    return w->count > 0 ? entry_at(w, w->count - 1)->lsn : 0;
}

void request_window_trim(struct request_window *w)
{
    if (w->count == 0) return;
    int64_t newest_us = entry_at(w, w->count - 1)->stamp.at_us;
    while (w->count > LIMIT_REQUESTS || is_old(entry_at(w, 0), newest_us)) {
        forget_place(w, w->first);
        w->first = place_of(w, 1);
        w->count--;
    }
}

void request_window_cut(struct request_window *w, uint64_t lsn)
{
    while (w->count > 0 && entry_at(w, w->count - 1)->lsn > lsn) {
        forget_place(w, place_of(w, w->count - 1));
        w->count--;
    }
}

int request_window_copy(const struct request_window *w, uint64_t lsn, int64_t now_us,
                        struct applied_requests *out, struct error *err)
{
    size_t begin = 0, end = w->count;

    while (end > 0 && entry_at(w, end - 1)->lsn > lsn) end--;
    if (end > LIMIT_REQUESTS) begin = end - LIMIT_REQUESTS;
    while (begin < end && is_old(entry_at(w, begin), now_us)) begin++;
    if (begin == end) return 0;
    out->list = mem_alloc(w->alloc, MEM_LOG, (end - begin) * sizeof *out->list);
    if (!out->list) return error_no_memory(err, (end - begin) * sizeof *out->list);
    for (size_t i = begin; i < end; i++) out->list[out->count++] = *entry_at(w, i);
    return 0;
}
