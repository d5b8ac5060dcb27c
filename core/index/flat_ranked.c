/* SPDX-License-Identifier: Apache-2.0 */
/* flat_ranked.c — every row by its codes, and the first of them by their exact distances.
 *
 * WHAT        All open rows are ranked by the least that the oracle nominates for them; as many as
 *             were asked for, a multiple of k, are kept, and measured when all have been looked at.
 *             A row that is not among them is not found, however near it is: that is what was asked
 *             for.  Many queries are taken group by group, so that the memory of a search is
 *             bounded.
 * LAYOUT      struct flat_ranked, a list for each query of a group, their candidates.
 * INVARIANTS  (1) The state is a group, and in it a row and a query while rows are ranked, then a
 *                 query and a place in its list.
 *             (2) What is found does not depend on how far each advance goes: equal bounds are
 *                 ordered by row.
 * THREADS     One at a time.
 * FAILURE     What the oracle says; the search may not go on.
 */
#include "index/flat_ranked.h"

#include "base/bytes.h"
#include "base/limits.h"

enum { RANKED_ROWS = 1024, MEASURED_ROWS = 32, GROUP_BYTES = 8 << 20 };

struct flat_ranked {
    struct index_search_desc desc;               /* first, as in flat.c */
    struct topk *lists;                          /* one a query of the group */
    struct candidate *candidates;                /* of all lists */
    size_t group_most, group_first, group_count; /* queries */
    uint32_t row; /* up to here all are ranked, but for queries from `query` on */
    size_t query, place;
    float bounds[RANKED_ROWS];
};

static size_t capacity_of(const struct index *index, const struct index_options *options, size_t k)
{
    double wanted = ceil((double)k * (double)options->oversample);
    double most = index->row_count;
    return (size_t)(wanted < 1 ? 1 : wanted < most ? wanted : most);
}

/* Queries of a group: one at least. */
static size_t group_of(size_t capacity, size_t query_count)
{
    size_t most = GROUP_BYTES / (sizeof(struct topk) + capacity * sizeof(struct candidate));
    return query_count < most ? query_count : most < 1 ? 1 : most;
}

static size_t list_bytes(size_t group)
{
    return align_up(group * sizeof(struct topk), ALIGN_VECTOR);
}

size_t flat_ranked_bytes(const struct index *index, const struct index_options *options, size_t k,
                         size_t query_count)
{
    size_t capacity = capacity_of(index, options, k), group = group_of(capacity, query_count);
    return align_up(sizeof(struct flat_ranked), ALIGN_VECTOR) + list_bytes(group) +
           group * capacity * sizeof(struct candidate);
}

/* false: there is no query from `first` on. */
static bool begin_group(struct flat_ranked *s, size_t first)
{
    const struct index_search_desc *d = &s->desc;
    size_t left = d->query_count - first;
    size_t capacity = capacity_of(d->index, &d->options, d->queries[0].best->capacity);

    s->group_first = first;
    s->group_count = left < s->group_most ? left : s->group_most;
    s->row = d->row_first;
    s->query = s->place = 0;
    for (size_t i = 0; i < s->group_count; i++)
        topk_init_at(&s->lists[i], s->candidates + i * capacity, capacity, topk_lower_row, NULL);
    return left > 0;
}

void flat_ranked_begin(void *search, const struct index_search_desc *desc)
{
    struct flat_ranked *s = (struct flat_ranked *)search;
    uint8_t *room = (uint8_t *)search + align_up(sizeof *s, ALIGN_VECTOR);
    size_t capacity = capacity_of(desc->index, &desc->options, desc->queries[0].best->capacity);

    s->desc = *desc;
    s->group_most = group_of(capacity, desc->query_count);
    s->lists = (struct topk *)(void *)room;
    s->candidates = (struct candidate *)(void *)(room + list_bytes(s->group_most));
    begin_group(s, 0);
}

static uint64_t shut_word(const struct index_gate *gate, uint32_t row)
{
    return gate->shut_word ? gate->shut_word(gate->ctx, row / 64 * 64) : 0;
}

/* Rank rows from s->row on for the query whose turn it is. */
static void rank(struct flat_ranked *s, uint32_t row_count)
{
    const struct index_query *q = &s->desc.queries[s->group_first + s->query];
    struct topk *list = &s->lists[s->query];
    float limit = topk_limit(list, q->distance_max);
    uint64_t shut = 0;

    oracle_nominate(q->oracle, s->row, row_count, s->bounds);
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t row = s->row + i;
        if (i == 0 || row % 64 == 0) shut = shut_word(&s->desc.gate, row);
        if (!(s->bounds[i] <= limit) || shut >> (row % 64) & 1) continue;
        topk_push(list, s->bounds[i], 0, row);
        limit = topk_limit(list, q->distance_max);
    }
}

/* Measure some more rows of the list whose turn it is; how many. */
static int measure(struct flat_ranked *s, size_t *count, struct error *err)
{
    const struct index_query *q = &s->desc.queries[s->group_first + s->query];
    const struct topk *list = &s->lists[s->query];
    uint32_t rows[MEASURED_ROWS];
    float distances[MEASURED_ROWS];
    size_t left = list->count - s->place;

    *count = left < MEASURED_ROWS ? left : MEASURED_ROWS;
    for (size_t i = 0; i < *count; i++) rows[i] = list->heap[s->place + i].row;
    if (*count > 0 && oracle_gather(q->exact, rows, *count, distances, err) != 0) return -1;
    for (size_t i = 0; i < *count; i++)
        if (distances[i] <= q->distance_max)
            topk_push(q->best, distances[i], s->desc.part, rows[i]);
    s->place += *count;
    if (s->place < list->count) return 0;
    s->place = 0;
    s->query++;
    return 0;
}

enum index_state flat_ranked_advance(void *search, uint64_t distance_max, struct error *err)
{
    struct flat_ranked *s = (struct flat_ranked *)search;
    uint64_t done = 0;

    do {
        while (s->row < s->desc.row_end) {
            uint32_t left = s->desc.row_end - s->row;
            uint32_t row_count = left < RANKED_ROWS ? left : RANKED_ROWS;
            if (done > 0 && done >= distance_max) return INDEX_MORE;
            rank(s, row_count);
            done += row_count;
            if (++s->query < s->group_count) continue;
            s->query = 0;
            s->row += row_count;
        }
        while (s->query < s->group_count) {
            size_t count;
            if (done > 0 && done >= distance_max) return INDEX_MORE;
            if (measure(s, &count, err) != 0) return INDEX_FAILED;
            done += count;
        }
    } while (begin_group(s, s->group_first + s->group_count));
    return INDEX_DONE;
}
