/* SPDX-License-Identifier: Apache-2.0 */
/* candidates.h — the nodes that a walk over a graph has found, nearest first, each once: those that
 * it has still to look at, and those that it has.
 *
 * One sorted array is queue and result at once: an insertion moves some hundred bytes, which is
 * less than the branches of two heaps cost.  Nodes that may not be returned are walked through and
 * marked; how many may be is counted.  Lies in memory of its user; one thread at a time.
 */
#ifndef INDEX_CANDIDATES_H
#define INDEX_CANDIDATES_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CANDIDATE_DONE 0x80000000u /* it has been looked at */
#define CANDIDATE_SHUT 0x40000000u /* it may not be returned */
#define CANDIDATE_NODE 0x3fffffffu
enum { CANDIDATE_NODES_MAX = 1 << 30 };

struct found_node {
    float distance;
    uint32_t node; /* and marks */
};

struct candidates {
    struct found_node *items; /* nearest first; of equal ones the first that came */
    uint32_t count, capacity;
    uint32_t open_count; /* of them, without CANDIDATE_SHUT */
    uint32_t next;       /* all before it are done */
};

static inline void candidates_init(struct candidates *c, void *memory, uint32_t capacity)
{
    *c = (struct candidates){.items = (struct found_node *)memory, .capacity = capacity};
}

static inline void candidates_clear(struct candidates *c)
{
    c->count = c->open_count = c->next = 0;
}

/* There must be room.  Where it went, behind those that are no farther; node: with its marks.
 * From the end, for what is found late in a walk belongs there; and by steps, whose number alone is
 * what a processor may foretell wrongly. */
static inline uint32_t candidates_insert(struct candidates *c, float distance, uint32_t node)
{
    enum { STEP = 8 };
    struct found_node *items = c->items, moved[STEP];
    uint32_t place = c->count;

    for (; place >= STEP && items[place - STEP].distance > distance; place -= STEP) {
        memcpy(moved, items + place - STEP, sizeof moved);
        memcpy(items + place - STEP + 1, moved, sizeof moved);
    }
    for (; place > 0 && items[place - 1].distance > distance; place--)
        items[place] = items[place - 1];
    items[place] = (struct found_node){distance, node};
    c->count++;
    c->open_count += !(node & CANDIDATE_SHUT);
    if (place < c->next) c->next = place;
    return place;
}

/* Drop the farthest. */
static inline void candidates_drop_last(struct candidates *c)
{
    c->open_count -= !(c->items[--c->count].node & CANDIDATE_SHUT);
}

/* The nearest that is not done, which then is; its node, or UINT32_MAX when all are. */
static inline uint32_t candidates_take(struct candidates *c)
{
    while (c->next < c->count && c->items[c->next].node & CANDIDATE_DONE) c->next++;
    if (c->next == c->count) return UINT32_MAX;
    struct found_node *item = &c->items[c->next++];
    item->node |= CANDIDATE_DONE;
    return item->node & CANDIDATE_NODE;
}

/* How far the nearest is that is not done; -inf: all are. */
static inline float candidates_next_distance(const struct candidates *c)
{
    uint32_t next = c->next;
    while (next < c->count && c->items[next].node & CANDIDATE_DONE) next++;
    return next < c->count ? c->items[next].distance : -INFINITY;
}

/* The node behind the one that was taken last, if it is not done: the next, unless nearer ones are
 * found.  Else UINT32_MAX. */
static inline uint32_t candidates_peek(const struct candidates *c)
{
    if (c->next == c->count || c->items[c->next].node & CANDIDATE_DONE) return UINT32_MAX;
    return c->items[c->next].node & CANDIDATE_NODE;
}

#endif
