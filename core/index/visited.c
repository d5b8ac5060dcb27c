/* SPDX-License-Identifier: Apache-2.0 */
#include "index/visited.h"

#include <string.h>

enum { SLOTS_MIN = 256, SLOTS_MAX = 16384 };

static size_t bitmap_bytes(uint32_t node_count)
{
    return ((size_t)node_count + 63) / 64 * sizeof(uint64_t);
}

/* Twice as many as nodes that are expected; none where a bitmap is no more to clear. */
static uint32_t slots_for(uint32_t node_count, uint32_t expected)
{
    uint32_t slots = SLOTS_MIN;

    while (slots < SLOTS_MAX && slots / 2 < expected) slots *= 2;
    return bitmap_bytes(node_count) <= slots * sizeof(uint32_t) ? 0 : slots;
}

size_t visited_bytes(uint32_t node_count, uint32_t expected)
{
    return bitmap_bytes(node_count) + slots_for(node_count, expected) * sizeof(uint32_t);
}

void visited_init(struct visited *v, void *memory, uint32_t node_count, uint32_t expected)
{
    uint32_t slots = slots_for(node_count, expected);

    *v = (struct visited){
        .bits = (uint64_t *)memory,
        .slots = (uint32_t *)(void *)((uint8_t *)memory + bitmap_bytes(node_count)),
        .slot_count = slots,
        .shift = slots ? 32 - (uint32_t)__builtin_ctz(slots) : 0,
        .node_count = node_count,
    };
}

void visited_clear(struct visited *v)
{
    v->slots_used = 0;
    v->is_bitmap = v->slot_count == 0;
    if (v->is_bitmap) memset(v->bits, 0, bitmap_bytes(v->node_count));
    else memset(v->slots, 0xff, v->slot_count * sizeof(uint32_t));
}

void visited_to_bits(struct visited *v)
{
    memset(v->bits, 0, bitmap_bytes(v->node_count));
    for (uint32_t i = 0; i < v->slot_count; i++)
        if (v->slots[i] != VISITED_NONE) v->bits[v->slots[i] / 64] |= 1ull << (v->slots[i] % 64);
    v->is_bitmap = true;
}
