/* SPDX-License-Identifier: Apache-2.0 */
/* near_lists.c — two heaps, of lists and of groups of lists, and what a query has seen of a gate.
 *
 * WHAT        Without groups all lists are put into one heap.  With groups those are, and the lists
 *             of the nearest of them; and of more, one by one, as lists are taken.
 * INVARIANTS  (1) While there is a list that was not taken there is one in its heap when one is
 *                 wanted: groups are opened until as many as were taken are more than made up for.
 * THREADS     One at a time.
 * FAILURE     None.
 */
#include "index/near_lists.h"

#include <math.h>

#include "base/bytes.h"
#include "base/limits.h"

enum {
    TILE = 256,        /* centers at a time */
    GROUPS_MIN = 12,   /* that are looked into, */
    AHEAD_LISTS = 12,  /* and as many as have so many lists for each that was taken */
    VAIN_SHARE = 2,    /* of nprobe, lists without a row before a walk within a distance ends */
    GATE_WORDS = 1024, /* that are asked for, at most, to know what share of all rows is open */
};

/* ---- Which is next ---- */

static inline bool is_nearer(const struct near_list *a, const struct near_list *b)
{
    return a->distance < b->distance || (a->distance == b->distance && a->list < b->list);
}

static void sift_down(struct near_list *heap, uint32_t count, uint32_t at)
{
    struct near_list moved = heap[at];
    uint32_t child;

    while ((child = 2 * at + 1) < count) {
        if (child + 1 < count && is_nearer(&heap[child + 1], &heap[child])) child++;
        if (!is_nearer(&heap[child], &moved)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void push(struct near_list *heap, uint32_t count, struct near_list new)
{
    uint32_t at = count;

    for (; at > 0 && is_nearer(&new, &heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = new;
}

static struct near_list pop(struct near_list *heap, uint32_t *count)
{
    struct near_list nearest = heap[0];

    heap[0] = heap[--*count];
    sift_down(heap, *count, 0);
    return nearest;
}

/* Lists [first, end) into the heap. */
static void add_lists(struct near_lists *n, uint32_t first, uint32_t end)
{
    uint32_t before = n->list_count;
    float distances[TILE];

    for (; first < end; first += TILE) {
        uint32_t some = end - first < TILE ? end - first : TILE;
        list_center_distances(n->centers, n->query, first, some, distances);
        for (uint32_t i = 0; i < some; i++)
            push(n->lists, n->list_count++, (struct near_list){distances[i], first + i});
        n->added += some;
    }
    n->measured += n->list_count - before;
}

static void add_groups(struct near_lists *n)
{
    uint32_t count = n->centers->group_count;
    float distances[TILE];

    for (uint32_t first = 0; first < count; first += TILE) {
        uint32_t some = count - first < TILE ? count - first : TILE;
        list_group_distances(n->centers, n->query, first, some, distances);
        for (uint32_t i = 0; i < some; i++)
            push(n->groups, n->group_count++, (struct near_list){distances[i], first + i});
    }
    n->measured += count;
}

size_t near_lists_bytes(const struct list_centers *c)
{
    return align_up(((size_t)c->count + c->group_count) * sizeof(struct near_list), ALIGN_VECTOR);
}

void near_lists_begin(struct near_lists *n, const struct list_centers *c,
                      const struct oracle_query *query, void *memory)
{
    struct near_list *lists = (struct near_list *)memory;

    *n = (struct near_lists){
        .centers = c, .query = query, .lists = lists, .groups = lists + c->count};
    if (c->group_count > 0) add_groups(n);
    else add_lists(n, 0, c->count);
}

struct near_list near_lists_take(struct near_lists *n)
{
    const struct list_centers *c = n->centers;

    while (n->group_count > 0 && (c->group_count - n->group_count < GROUPS_MIN ||
                                  n->added <= (uint64_t)n->taken * AHEAD_LISTS)) {
        uint32_t group = pop(n->groups, &n->group_count).list;
        add_lists(n, c->group_starts[group], c->group_starts[group + 1]);
    }
    n->taken++;
    return pop(n->lists, &n->list_count);
}

/* ---- When it is enough ---- */

void list_walk_visit(struct list_walk *w, const struct list_due *due, uint32_t row_count)
{
    if (w->visited++ < due->nprobe) w->first_rows += row_count;
    w->vain = w->visited <= due->nprobe ? 0 : w->has_found ? 1 : w->vain + 1;
    w->has_found = false;
}

void list_walk_count(struct list_walk *w, uint32_t asked, uint32_t open)
{
    w->seen += asked;
    w->useful += open > 0 ? asked : 0;
    w->open += open;
}

/* Of what it would see without a gate, the share of open rows that a query is to see (2). */
static double open_due(const struct list_walk *w, double open_share)
{
    double due = sqrt((double)w->open / (double)w->useful);
    double shut = open_share / sqrt((double)w->open / (double)w->seen);

    if (due < shut) due = shut;
    return due < 1 ? due : 1;
}

bool list_walk_wants_more(const struct list_walk *w, const struct list_due *due, size_t found,
                          size_t wanted)
{
    if (w->visited >= due->list_count) return false;
    if (w->visited < due->nprobe) return true;
    if (!due->is_range && found < wanted) return true;
    if (due->is_range && (w->has_found || w->vain <= due->nprobe / VAIN_SHARE)) return true;
    if (!due->has_gate) return false;
    if (w->open == 0) return true;
    double seen = (double)w->open * due->asked_one_in;
    return seen < (double)w->first_rows * open_due(w, due->open_share);
}

double list_open_share(const struct index_gate *gate, uint32_t row_count)
{
    uint32_t words = row_count / 64, step = words / GATE_WORDS + 1, asked = 0;
    uint64_t open = 0;

    if (words == 0) return 1;
    for (uint32_t i = 0; i < words; i += step, asked++)
        open += (uint64_t)__builtin_popcountll(~gate->shut_word(gate->ctx, i * 64));
    return (double)open / (64.0 * asked);
}
