/* SPDX-License-Identifier: Apache-2.0 */
/* near_lists.c — lists a few at a time, groups of lists one by one, and what a query has seen of
 * a gate.
 *
 * WHAT        All lists are looked at; where there are many, in groups, those of the nearest
 *             groups, and of more of them as lists are taken.  The nearest of what was looked at
 *             are put in front, as many as fit, and only of these are distances exact.
 * INVARIANTS  (1) While there is a list that was not taken there is one to take: groups are opened
 *                 until as many lists as were put in front are more than made up for.
 * THREADS     One at a time.
 * FAILURE     None.
 */
#include "index/near_lists.h"

#include <math.h>

#include "base/bytes.h"
#include "base/limits.h"

enum {
    TILE = 256,       /* groups at a time */
    SHARE_LISTS = 32, /* of which a minimum is found */
    FLAT_MAX = 8192,  /* lists, of which codes are compared sooner than groups are chosen */
    FRONT_MIN = 16,   /* lists in front, half of those that were before, */
    FRONT_MAX = 1024,
    HALVINGS = 10,     /* of the range in which a limit is looked for */
    AHEAD_LISTS = 12,  /* groups are looked into that have so many for each in front */
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

/* Look at the lists [first, end). */
static void add_lists(struct near_lists *n, uint32_t first, uint32_t end)
{
    uint32_t *numbers = n->numbers + n->added;

    list_center_nearly(n->centers, &n->asked, first, end - first, n->distances + n->added);
    for (uint32_t list = first; list < end; list++) *numbers++ = list;
    n->added += end - first;
    n->measured += end - first;
}

static void add_groups(struct near_lists *n)
{
    uint32_t count = n->centers->group_count;
    float distances[TILE];

    for (uint32_t first = 0; first < count; first += TILE) {
        uint32_t some = count - first < TILE ? count - first : TILE;
        list_group_distances(n->centers, n->asked.query, first, some, distances);
        for (uint32_t i = 0; i < some; i++)
            push(n->groups, n->group_count++, (struct near_list){distances[i], first + i});
    }
    n->measured += count;
}

/* ---- Some in front ---- */

/* Open groups, so that another front is chosen from enough (1). */
static void open_groups(struct near_lists *n)
{
    const struct list_centers *c = n->centers;
    uint64_t wanted = (uint64_t)n->fronted * AHEAD_LISTS + FRONT_MIN;

    while (n->group_count > 0 &&
           (c->group_count - n->group_count < n->groups_min || n->added < wanted)) {
        uint32_t group = pop(n->groups, &n->group_count).list;
        add_lists(n, c->group_starts[group], c->group_starts[group + 1]);
    }
}

static void lower(float *restrict minima, const float *restrict distances, uint32_t count)
{
    for (uint32_t j = 0; j < count; j++)
        minima[j] = distances[j] < minima[j] ? distances[j] : minima[j];
}

/* In minima[j] the least of the distances j, j + n, j + 2n, …, n being how many there are; +inf
 * where none is left.  So lists that are near each other, as their numbers are, are in several. */
static uint32_t find_minima(struct near_lists *n)
{
    const uint32_t count = (n->added + SHARE_LISTS - 1) / SHARE_LISTS;

    for (uint32_t i = n->added; i < count * SHARE_LISTS; i++) n->distances[i] = NAN;
    for (uint32_t j = 0; j < count; j++) n->minima[j] = INFINITY;
    for (uint32_t i = 0; i < SHARE_LISTS; i++)
        lower(n->minima, n->distances + (size_t)i * count, count);
    return count;
}

/* A distance that at least so many minima are within, and so as many lists; about the least. */
static float find_limit(const float *minima, uint32_t count, uint32_t wanted)
{
    float low = INFINITY, high = -INFINITY;
    uint32_t finite = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!(minima[i] < INFINITY)) continue;
        low = minima[i] < low ? minima[i] : low;
        high = minima[i] > high ? minima[i] : high;
        finite++;
    }
    if (finite < wanted) return INFINITY;
    for (int i = 0; i < HALVINGS; i++) {
        float middle = low + (high - low) / 2;
        uint32_t within = 0;
        for (uint32_t j = 0; j < count; j++) within += minima[j] <= middle;
        if (within >= wanted) high = middle;
        else low = middle;
    }
    return high;
}

static int lower_place_first(void *ctx, const struct candidate *a, const struct candidate *b)
{
    const struct near_lists *n = (const struct near_lists *)ctx;
    return n->numbers[a->row] < n->numbers[b->row] ? -1 : 1;
}

static int lower_list_first(const struct candidate *a, const struct candidate *b)
{
    if (a->distance != b->distance) return a->distance < b->distance ? -1 : 1;
    return a->row < b->row ? -1 : 1;
}

/* Exact distances of the lists in front, which are nearly in order, and that. */
static void sort_front(struct near_lists *n)
{
    const struct list_centers *c = n->centers;

    n->measured += n->front_count;
    for (uint32_t i = 0; i < n->front_count; i++) {
        struct candidate new = {.row = n->front[i].row};
        uint32_t at = i;
        list_center_distances(c, n->asked.query, new.row, 1, &new.distance);
        for (; at > 0 && lower_list_first(&new, &n->front[at - 1]) < 0; at--)
            n->front[at] = n->front[at - 1];
        n->front[at] = new;
    }
}

static void fill_front(struct near_lists *n)
{
    enum { LINE_FLOATS = 16 };
    const struct list_centers *c = n->centers;
    uint32_t wanted = n->fronted / 2 < FRONT_MIN ? FRONT_MIN : n->fronted / 2;
    struct topk nearest;

    open_groups(n);
    if (wanted > FRONT_MAX) wanted = FRONT_MAX;
    uint32_t count = find_minima(n);
    float limit = find_limit(n->minima, count, wanted);
    topk_init_at(&nearest, n->front, wanted, lower_place_first, n);
    for (uint32_t i = 0; i < count; i++) {
        if (!(n->minima[i] <= limit)) continue;
        for (uint32_t j = i; j < count * SHARE_LISTS; j += count)
            if (n->distances[j] <= limit && n->distances[j] <= topk_threshold(&nearest))
                topk_push(&nearest, n->distances[j], 0, j);
    }
    topk_sort(&nearest);
    n->front_at = 0;
    n->front_count = (uint32_t)nearest.count;
    n->fronted += n->front_count;
    for (uint32_t i = 0; i < n->front_count; i++) {
        uint32_t place = n->front[i].row;
        n->distances[place] = NAN;
        n->front[i].row = n->numbers[place];
        for (uint32_t j = 0; j < c->dim; j += LINE_FLOATS)
            __builtin_prefetch(list_center(c, n->front[i].row) + j);
    }
    sort_front(n);
}

/* ---- A walk ---- */

struct near_memory {
    size_t numbers, minima, front, groups, digits, end;
};

static struct near_memory lay_out(const struct list_centers *c)
{
    struct near_memory m = {.end =
                                align_up((c->count + SHARE_LISTS) * sizeof(float), ALIGN_VECTOR)};
    m.numbers = take_aligned(&m.end, c->count * sizeof(uint32_t));
    m.minima = take_aligned(&m.end, (c->count / SHARE_LISTS + 1) * sizeof(float));
    m.front = take_aligned(&m.end, (c->count < FRONT_MAX ? c->count + 1 : FRONT_MAX) *
                                       sizeof(struct candidate));
    m.groups = take_aligned(&m.end, c->group_count * sizeof(struct near_list));
    m.digits = take_aligned(&m.end, center_query_bytes(c));
    return m;
}

size_t near_lists_bytes(const struct list_centers *c)
{
    return lay_out(c).end;
}

void near_lists_begin(struct near_lists *n, const struct list_centers *c,
                      const struct oracle_query *query, uint32_t groups_min, void *memory)
{
    struct near_memory m = lay_out(c);
    uint8_t *at = (uint8_t *)memory;

    *n = (struct near_lists){
        .centers = c,
        .groups_min = groups_min,
        .distances = (float *)memory,
        .numbers = (uint32_t *)(void *)(at + m.numbers),
        .minima = (float *)(void *)(at + m.minima),
        .front = (struct candidate *)(void *)(at + m.front),
        .groups = (struct near_list *)(void *)(at + m.groups),
    };
    center_query_init(&n->asked, c, query, at + m.digits);
    if (c->group_count == 0 || (n->asked.has_codes && c->count <= FLAT_MAX))
        add_lists(n, 0, c->count);
    else add_groups(n);
}

struct near_list near_lists_take(struct near_lists *n)
{
    if (n->front_at == n->front_count) fill_front(n);
    const struct candidate *next = &n->front[n->front_at++];
    return (struct near_list){next->distance, next->row};
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

    if (gate->open_count > 0) return (double)gate->open_count / row_count;
    if (words == 0) return 1;
    for (uint32_t i = 0; i < words; i += step, asked++)
        open += (uint64_t)__builtin_popcountll(~gate->shut_word(gate->ctx, i * 64));
    return (double)open / (64.0 * asked);
}
