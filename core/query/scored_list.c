/* SPDX-License-Identifier: Apache-2.0 */
/* scored_list.c — query by query and part by part, in batches.
 *
 * LAYOUT      One block: the object, the lists and their heaps, where each query's rows end, the
 *             rows, of each query ascending by part and row, as a batch wants them.
 * INVARIANTS  (1) A row is given to the hook once for each query that collected it.
 *             (2) What the hook gives depends on no other row, so that batches may be cut anywhere.
 * FAILURE     The hook's, the documents', or an id that cannot be read; then it is over.
 */
#include "query/scored_list.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

struct scored_list {
    struct alloc *alloc;
    struct scored_list_desc desc;
    struct merge_tie tie;
    struct topk *best;  /* one for each query */
    size_t *ends;       /* in `rows` */
    size_t added_count; /* queries */
    size_t query;       /* whose rows are being ranked */
    size_t next;        /* the first that is not */
    uint32_t part;      /* that the batch has entered */
    bool has_part;
    struct candidate *rows;
    struct score_batch batch;
};

int scored_list_create(struct alloc *a, const struct scored_list_desc *desc, size_t capacity,
                       struct scored_list **out, struct error *err)
{
    size_t n = desc->query_count;
    size_t head = align_up(sizeof(struct scored_list), ALIGN_VECTOR);
    size_t lists = align_up(n * (sizeof(struct topk) + sizeof(size_t)), ALIGN_VECTOR);
    size_t each = desc->k ? desc->k : 1;
    uint64_t bytes = head + lists + ((uint64_t)n * each + capacity) * sizeof(struct candidate);
    if (bytes > SIZE_MAX / 2) return error_no_memory(err, SIZE_MAX);
    uint8_t *at = (uint8_t *)mem_alloc_aligned(a, MEM_SEARCH, (size_t)bytes, ALIGN_VECTOR);

    if (!at) return error_no_memory(err, (size_t)bytes);
    struct scored_list *s = (struct scored_list *)at;
    memset((void *)s, 0, offsetof(struct scored_list, batch));
    s->alloc = a;
    s->desc = *desc;
    s->tie.view = desc->view;
    s->best = (struct topk *)(void *)(at + head);
    s->ends = (size_t *)(void *)(s->best + n);
    struct candidate *heaps = (struct candidate *)(void *)(at + head + lists);
    s->rows = heaps + n * each;
    for (size_t q = 0; q < n; q++)
        topk_init_at(&s->best[q], heaps + q * each, desc->k, merge_tie, &s->tie);
    score_batch_init(&s->batch, a, desc->fields, desc->hook, desc->deadline_us);
    *out = s;
    return 0;
}

void scored_list_destroy(struct scored_list *s)
{
    if (!s) return;
    score_batch_deinit(&s->batch);
    mem_free(s->alloc, s);
}

static int by_place(const void *a, const void *b)
{
    const struct candidate *x = (const struct candidate *)a, *y = (const struct candidate *)b;

    if (x->part != y->part) return x->part < y->part ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static size_t begin_of(const struct scored_list *s, size_t query)
{
    return query == 0 ? 0 : s->ends[query - 1];
}

void scored_list_add(struct scored_list *s, const struct topk *rows)
{
    struct candidate *to = s->rows + begin_of(s, s->added_count);

    CHECK(s->added_count < s->desc.query_count);
    if (rows->count > 0) {
        memcpy(to, rows->heap, rows->count * sizeof *to);
        qsort(to, rows->count, sizeof *to, by_place);
    }
    s->ends[s->added_count] = begin_of(s, s->added_count) + rows->count;
    s->added_count++;
}

size_t scored_list_row_count(const struct scored_list *s, size_t query)
{
    return s->ends[query] - begin_of(s, query);
}

struct topk *scored_list_best(struct scored_list *s, size_t query)
{
    return &s->best[query];
}

/* The next rows of the query that are of one part. */
static void take_rows(struct scored_list *s)
{
    struct score_batch *b = &s->batch;
    uint32_t part = s->rows[s->next].part;

    if (!s->has_part || part != s->part) score_batch_enter(b, s->desc.view->parts[part].segment);
    s->part = part;
    s->has_part = true;
    score_batch_clear(b);
    while (s->next < s->ends[s->query] && s->rows[s->next].part == part &&
           b->count < HOOK_BATCH_ROWS) {
        b->distances[b->count] = s->rows[s->next].distance;
        b->rows[b->count++] = s->rows[s->next++].row;
    }
}

enum index_state scored_list_advance(struct scored_list *s, uint64_t row_max, struct error *err)
{
    uint64_t seen = 0;

    while (s->query < s->desc.query_count) {
        if (s->next == s->ends[s->query]) {
            topk_sort(&s->best[s->query++]);
            continue;
        }
        if (seen > 0 && seen >= row_max) return INDEX_MORE;
        take_rows(s);
        if (score_batch_run(&s->batch, err) != 0) return INDEX_FAILED;
        score_batch_push(&s->batch, &s->best[s->query], s->part, s->desc.distance_max);
        seen += s->batch.count;
    }
    if (s->tie.error.code == LYNSE_OK) return INDEX_DONE;
    *err = s->tie.error;
    return INDEX_FAILED;
}

void scored_list_rest(struct scored_list *s)
{
    score_batch_rest(&s->batch);
}
