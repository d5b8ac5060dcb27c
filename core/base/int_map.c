/* SPDX-License-Identifier: Apache-2.0 */
/* int_map.c — u64 → u64: linear probing with deletion by backward shift.
 *
 * Any 64-bit number may be a key, so that emptiness is a bit beside the slots and no key is
 * special. Slots and bits share one block: one allocation, one place to fail. */
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/hash_map.h"

enum { SLOTS_MIN = 16 };

void int_map_init(struct int_map *m, struct alloc *a, enum mem_tag tag)
{
    *m = (struct int_map){.alloc = a, .tag = tag};
}

void int_map_deinit(struct int_map *m)
{
    if (m->slots) mem_free(m->alloc, m->slots);
    *m = (struct int_map){.alloc = m->alloc, .tag = m->tag};
}

static bool is_used(const struct int_map *m, size_t i)
{
    return (m->used[i / 64] >> (i % 64)) & 1;
}
static void mark_used(struct int_map *m, size_t i)
{
    m->used[i / 64] |= 1ull << (i % 64);
}
static void mark_free(struct int_map *m, size_t i)
{
    m->used[i / 64] &= ~(1ull << (i % 64));
}

static size_t home_of(const struct int_map *m, uint64_t key)
{
    return (size_t)hash_u64(key) & (m->slot_count - 1);
}

/* The slot that holds key, or the empty one that ends its run.  The table must have slots. */
static size_t find_slot(const struct int_map *m, uint64_t key)
{
    size_t i = home_of(m, key);
    while (is_used(m, i) && m->slots[i].key != key) i = (i + 1) & (m->slot_count - 1);
    return i;
}

static int rehash(struct int_map *m, size_t slot_count)
{
    size_t slot_bytes;
    size_t bits_bytes = (slot_count + 63) / 64 * sizeof(uint64_t);
    size_t bytes;
    if (!size_mul(slot_count, sizeof(struct int_map_slot), &slot_bytes)) return -1;
    if (!size_add(slot_bytes, bits_bytes, &bytes)) return -1;
    /* Aligned, so that a big table lies on huge pages: each probe is a cache miss. */
    uint8_t *block = (uint8_t *)mem_alloc_aligned(m->alloc, m->tag, bytes, 64);
    if (!block) return -1;

    struct int_map next = *m;
    next.slots = (struct int_map_slot *)(void *)block;
    next.used = (uint64_t *)(void *)(block + slot_bytes);
    next.slot_count = slot_count;
    memset(next.used, 0, bits_bytes);
    for (size_t i = 0; i < m->slot_count; i++) {
        if (!is_used(m, i)) continue;
        size_t to = find_slot(&next, m->slots[i].key);
        next.slots[to] = m->slots[i];
        mark_used(&next, to);
    }
    if (m->slots) mem_free(m->alloc, m->slots);
    *m = next;
    return 0;
}

int int_map_reserve(struct int_map *m, size_t more)
{
    size_t needed;
    if (!size_add(m->count, more, &needed) || needed > SIZE_MAX / 4) return -1;
    size_t slot_count = m->slot_count ? m->slot_count : SLOTS_MIN;
    while (slot_count / 4 * 3 < needed) slot_count *= 2;
    return slot_count == m->slot_count ? 0 : rehash(m, slot_count);
}

int int_map_put(struct int_map *m, uint64_t key, uint64_t value)
{
    if (m->slot_count != 0) {
        size_t i = find_slot(m, key);
        if (is_used(m, i)) {
            m->slots[i].value = value;
            return 0;
        }
    }
    if (int_map_reserve(m, 1) != 0) return -1;
    size_t i = find_slot(m, key);
    m->slots[i] = (struct int_map_slot){key, value};
    mark_used(m, i);
    m->count++;
    return 0;
}

bool int_map_get(const struct int_map *m, uint64_t key, uint64_t *out_value)
{
    if (m->slot_count == 0) return false;
    size_t i = find_slot(m, key);
    if (!is_used(m, i)) return false;
    *out_value = m->slots[i].value;
    return true;
}

bool int_map_remove(struct int_map *m, uint64_t key)
{
    if (m->slot_count == 0) return false;
    size_t hole = find_slot(m, key);
    if (!is_used(m, hole)) return false;

    /* Every later entry of the run may move up, unless that would put it before its home: it fits
     * when the hole is no farther from the home than the entry is now. */
    size_t mask = m->slot_count - 1;
    for (size_t i = (hole + 1) & mask; is_used(m, i); i = (i + 1) & mask) {
        size_t home = home_of(m, m->slots[i].key);
        if (((hole - home) & mask) > ((i - home) & mask)) continue;
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    mark_free(m, hole);
    m->count--;
    return true;
}
