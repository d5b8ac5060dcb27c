/* SPDX-License-Identifier: Apache-2.0 */
/* text_map.c — bytes → u64: linear probing with deletion by backward shift.
 *
 * WHAT        The map of int_map.c for keys of any size.
 * LAYOUT      A slot holds 32 bits of the key's XXH3, which choose its home and spare nearly all
 *             comparisons of unequal keys.  The keys' bytes lie in chunks, newest first; the last
 *             key_chunk_left bytes of the newest are free.
 * INVARIANTS  (1) slots[i].key is NULL exactly when the slot is empty; a key of no bytes points
 *                 at the empty text.
 *             (2) Between a slot and its home there is no empty slot.
 *             (3) After reserve(more, key_bytes) the table has room for `more` slots and the newest
 *                 chunk for key_bytes, so that as many puts allocate nothing.
 * THREADS     One owner.
 * FAILURE     -1 when memory is short; the map is as it was.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/hash_map.h"

enum {
    SLOTS_MIN = 16,
    CHUNK_BYTES_MIN = 1 << 10,
    CHUNK_BYTES_MAX = 256 << 10,
};

struct key_chunk {
    struct key_chunk *next; /* older */
    size_t bytes;           /* of data */
    uint8_t data[];
};

void text_map_init(struct text_map *m, struct alloc *a, enum mem_tag tag)
{
    *m = (struct text_map){.alloc = a, .tag = tag};
}

void text_map_deinit(struct text_map *m)
{
    for (struct key_chunk *chunk = (struct key_chunk *)m->key_chunks; chunk;) {
        struct key_chunk *next = chunk->next;
        mem_free(m->alloc, chunk);
        chunk = next;
    }
    if (m->slots) mem_free(m->alloc, m->slots);
    *m = (struct text_map){.alloc = m->alloc, .tag = m->tag};
}

static uint32_t hash_key(struct slice key)
{
    return (uint32_t)hash_xxh3_64(key.data, key.size);
}

/* The slot that holds key, or the empty one that ends its run.  The table must have slots. */
static size_t find_slot(const struct text_map *m, struct slice key, uint32_t hash)
{
    size_t mask = m->slot_count - 1;
    size_t i = hash & mask;
    for (; m->slots[i].key; i = (i + 1) & mask) {
        const struct text_map_slot *s = &m->slots[i];
        if (s->hash == hash && slice_equal(slice_of(s->key, s->key_size), key)) break;
    }
    return i;
}

static int rehash(struct text_map *m, size_t slot_count)
{
    size_t bytes;
    if (!size_mul(slot_count, sizeof(struct text_map_slot), &bytes)) return -1;
    struct text_map_slot *slots =
        (struct text_map_slot *)mem_alloc_aligned(m->alloc, m->tag, bytes, 64);
    if (!slots) return -1;
    memset(slots, 0, bytes);

    size_t mask = slot_count - 1;
    for (size_t i = 0; i < m->slot_count; i++) {
        if (!m->slots[i].key) continue;
        size_t to = m->slots[i].hash & mask;
        while (slots[to].key) to = (to + 1) & mask; /* all keys differ: no need to compare them */
        slots[to] = m->slots[i];
    }
    if (m->slots) mem_free(m->alloc, m->slots);
    m->slots = slots;
    m->slot_count = slot_count;
    return 0;
}

static int reserve_slots(struct text_map *m, size_t more)
{
    size_t needed;
    if (!size_add(m->count, more, &needed) || needed > SIZE_MAX / 4) return -1;
    size_t slot_count = m->slot_count ? m->slot_count : SLOTS_MIN;
    while (slot_count / 4 * 3 < needed) slot_count *= 2;
    return slot_count == m->slot_count ? 0 : rehash(m, slot_count);
}

static int reserve_key_bytes(struct text_map *m, size_t key_bytes)
{
    if (key_bytes <= m->key_chunk_left) return 0;
    struct key_chunk *newest = (struct key_chunk *)m->key_chunks;
    size_t bytes = CHUNK_BYTES_MIN;
    if (newest) bytes = newest->bytes < CHUNK_BYTES_MAX / 2 ? newest->bytes * 2 : CHUNK_BYTES_MAX;
    if (bytes < key_bytes) bytes = key_bytes;
    size_t total;
    if (!size_add(bytes, sizeof *newest, &total)) return -1;
    struct key_chunk *chunk = (struct key_chunk *)mem_alloc(m->alloc, m->tag, total);
    if (!chunk) return -1;
    chunk->next = newest;
    chunk->bytes = bytes;
    m->key_chunks = chunk;
    m->key_chunk_left = bytes;
    return 0;
}

int text_map_reserve(struct text_map *m, size_t more, size_t key_bytes)
{
    if (reserve_slots(m, more) != 0) return -1;
    return reserve_key_bytes(m, key_bytes);
}

/* The room must be reserved. */
static const uint8_t *store_key(struct text_map *m, struct slice key)
{
    static const uint8_t empty[1];
    if (key.size == 0) return empty; /* (1) */
    struct key_chunk *chunk = (struct key_chunk *)m->key_chunks;
    uint8_t *to = chunk->data + (chunk->bytes - m->key_chunk_left);
    memcpy(to, key.data, key.size);
    m->key_chunk_left -= key.size;
    return to;
}

int text_map_put(struct text_map *m, struct slice key, uint64_t value)
{
    uint32_t hash = hash_key(key);
    if (m->slot_count != 0) {
        size_t i = find_slot(m, key, hash);
        if (m->slots[i].key) {
            m->slots[i].value = value;
            return 0;
        }
    }
    if (key.size > UINT32_MAX || text_map_reserve(m, 1, key.size) != 0) return -1;
    size_t i = find_slot(m, key, hash);
    m->slots[i] = (struct text_map_slot){store_key(m, key), (uint32_t)key.size, hash, value};
    m->count++;
    return 0;
}

bool text_map_get(const struct text_map *m, struct slice key, uint64_t *out_value)
{
    if (m->slot_count == 0) return false;
    size_t i = find_slot(m, key, hash_key(key));
    if (!m->slots[i].key) return false;
    *out_value = m->slots[i].value;
    return true;
}

bool text_map_remove(struct text_map *m, struct slice key)
{
    if (m->slot_count == 0) return false;
    size_t hole = find_slot(m, key, hash_key(key));
    if (!m->slots[hole].key) return false;

    /* As in int_map_remove: an entry moves up unless that would put it before its home (2). */
    size_t mask = m->slot_count - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;
        if (((hole - home) & mask) > ((i - home) & mask)) continue;
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    m->slots[hole] = (struct text_map_slot){0};
    m->count--;
    return true;
}
