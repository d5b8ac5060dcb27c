/* SPDX-License-Identifier: Apache-2.0 */
/* flat_ranked.c — every row by its codes, and the first of them by their exact distances.
 *
 * WHAT        All open rows are ranked by the least that the oracle nominates for them; as many as
 *             were asked for, a multiple of k, are kept, and measured when all have been looked at.
 *             A row that is not among them is not found, however near it is: that is what was asked
 *             for.
 * LAYOUT      struct flat_ranked, a list for each query, their candidates.
 * INVARIANTS  (1) The state is a row and a query while rows are ranked, then a query and a place in
 *                 its list.
 *             (2) What is found does not depend on how far each advance goes: equal bounds are
 *                 ordered by row.
 * THREADS     One at a time.
 * FAILURE     What the oracle says; the search may not go on.
 */
#include "index/flat_ranked.h"

#include "base/bytes.h"
#include "base/limits.h"

enum { RANKED_ROWS = 1024, MEASURED_ROWS = 32 };

struct flat_ranked {
    struct index_search_desc desc; /* first, as in flat.c */
    struct topk *lists;            /* one a query */
    uint32_t row;                  /* up to here all are ranked, but for queries from `query` on */
    size_t query, place;
    float bounds[RANKED_ROWS];
};

static size_t capacity_of(const struct index *index, const struct index_options *options, size_t k)
{
    double wanted = ceil((double)k * (double)options->oversample);
    double most = index->row_count;
    return (size_t)(wanted < 1 ? 1 : wanted < most ? wanted : most);
}

size_t flat_ranked_bytes(const struct index *index, const struct index_options *options, size_t k,
                         size_t query_count)
{
    size_t lists = align_up(query_count * sizeof(struct topk), ALIGN_VECTOR);
    return align_up(sizeof(struct flat_ranked), ALIGN_VECTOR) + lists +
           query_count * capacity_of(index, options, k) * sizeof(struct candidate);
}

static int lower_row_first(void *ctx, const struct candidate *a, const struct candidate *b)
{
    (void)ctx;
    return a->row < b->row ? -1 : a->row > b->row;
}

void flat_ranked_begin(void *search, const struct index_search_desc *desc)
{
    struct flat_ranked *s = (struct flat_ranked *)search;
    uint8_t *room = (uint8_t *)search + align_up(sizeof *s, ALIGN_VECTOR);

    s->desc = *desc;
    s->lists = (struct topk *)(void *)room;
    s->row = desc->row_first;
    s->query = s->place = 0;
    struct candidate *candidates =
        (struct candidate *)(void *)(room + align_up(desc->query_count * sizeof(struct topk),
                                                     ALIGN_VECTOR));
    for (size_t i = 0; i < desc->query_count; i++) {
        size_t capacity = capacity_of(desc->index, &desc->options, desc->queries[i].best->capacity);
        topk_init_at(&s->lists[i], candidates, capacity, lower_row_first, NULL);
        candidates += capacity;
    }
}

static uint64_t shut_word(const struct index_gate *gate, uint32_t row)
{
    return gate->shut_word ? gate->shut_word(gate->ctx, row / 64 * 64) : 0;
}

/* Rank rows from s->row on for the query whose turn it is. */
static void rank(struct flat_ranked *s, uint32_t row_count)
{
    const struct index_query *q = &s->desc.queries[s->query];
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
    const struct index_query *q = &s->desc.queries[s->query];
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

    while (s->row < s->desc.row_end) {
        uint32_t left = s->desc.row_end - s->row;
        uint32_t row_count = left < RANKED_ROWS ? left : RANKED_ROWS;
        if (done > 0 && done >= distance_max) return INDEX_MORE;
        rank(s, row_count);
        done += row_count;
        if (++s->query < s->desc.query_count) continue;
        s->query = 0;
        s->row += row_count;
    }
    while (s->query < s->desc.query_count) {
        size_t count;
        if (done > 0 && done >= distance_max) return INDEX_MORE;
        if (measure(s, &count, err) != 0) return INDEX_FAILED;
        done += count;
    }
    return INDEX_DONE;
}
