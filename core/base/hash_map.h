/* SPDX-License-Identifier: Apache-2.0 */
/* hash_map.h — two open-addressing maps: u64 → u64, and bytes → u64.  One owner.
 *
 * Power-of-two tables, linear probing, load at most 3/4, deletion by backward shift, so that
 * there are no tombstone slots.  Growth happens only in reserve and put; a caller that must not
 * fail later reserves first (architecture 5, insert step 5).
 */
#ifndef BASE_HASH_MAP_H
#define BASE_HASH_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/slice.h"

struct int_map_slot {
    uint64_t key;
    uint64_t value;
};
struct int_map {
    struct alloc *alloc;
    enum mem_tag tag;
    struct int_map_slot *slots;
    uint64_t *used; /* one bit a slot */
    size_t slot_count;
    size_t count;
};

void int_map_init(struct int_map *m, struct alloc *a, enum mem_tag tag);
void int_map_deinit(struct int_map *m);
int int_map_reserve(struct int_map *m, size_t more); /* -1: out of memory */
int int_map_put(struct int_map *m, uint64_t key,
                uint64_t value); /* overwrites; -1: out of memory */
bool int_map_get(const struct int_map *m, uint64_t key, uint64_t *out_value);
bool int_map_remove(struct int_map *m, uint64_t key); /* true when it was there */

/* Keys are copied into chunks that the map owns; a removed key's bytes are reclaimed at deinit. */
struct text_map_slot {
    const uint8_t *key; /* NULL: empty */
    uint32_t key_size;
    uint32_t hash;
    uint64_t value;
};
struct text_map {
    struct alloc *alloc;
    enum mem_tag tag;
    struct text_map_slot *slots;
    size_t slot_count;
    size_t count;
    void *key_chunks;
    size_t key_chunk_left;
};

void text_map_init(struct text_map *m, struct alloc *a, enum mem_tag tag);
void text_map_deinit(struct text_map *m);
/* Room for `more` keys of `key_bytes` in all, so that as many puts cannot fail. */
int text_map_reserve(struct text_map *m, size_t more, size_t key_bytes);
int text_map_put(struct text_map *m, struct slice key, uint64_t value); /* overwrites */
bool text_map_get(const struct text_map *m, struct slice key, uint64_t *out_value);
bool text_map_remove(struct text_map *m, struct slice key);

#endif
