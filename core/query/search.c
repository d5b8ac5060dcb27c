/* SPDX-License-Identifier: Apache-2.0 */
/* search.c — the search object: slices that scan, and the merge that ends it.
 *
 * WHAT        A slice is some of the queries over all rows, or all queries over some of the rows.
 *             It has a list of the best for each of its queries.  Many queries are cheapest each in
 *             one slice, for then a list is made once; few are bound by the reading of the rows,
 *             which is what has to be shared out then.  Parts that are looked up in an index come
 *             after the rows of the others, by turns among slices of rows.
 * LAYOUT      Two blocks of memory.  One: the object, the queries' descriptions, their vectors, the
 *             indexes of the parts.
 *             The other: the slices, then for each its lists, their heaps and its scan's memory.
 *             A filter is asked slice by slice, block by block, as the rows come up.
 * INVARIANTS  (1) Every pair of a query and a row is in one slice.
 *             (2) A slice's distances are those of the one-pair kernel whatever the slices, blocks
 *                 and batches, and its ties go by id: the answer does not depend on the split (P8).
 *             (3) No more than QUANTUM_BYTES of vectors are read between two looks at clock and
 *                 cancel flag, nor more than QUANTUM_ROWS rows, which might all be ties.
 * THREADS     A slice is touched by who advances it and by no other; what slices share is constant
 *             between search_split and search_finish.
 * FAILURE     A slice that failed stays so; the others may be advanced or left alone.
 */
#include "query/search.h"

#include <math.h>

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "filter/filter.h"
#include "query/indexed_scan.h"
#include "query/merge_topk.h"
#include "query/request.h"
#include "query/rerank.h"
#include "query/scored_scan.h"

enum {
    QUANTUM_BYTES = 1 << 20,
    QUANTUM_ROWS = 4096,
    FINISH_ROWS = 64, /* fetched between two looks at clock and cancel flag */
    SLICES_MAX = 64,
    INDEX_SPLIT_ROWS = SEARCH_SPLIT_ROWS / 8, /* a part that is looked up is worth so many */
    BATCH_QUERIES = 12, /* a slice of so many is bound by the processor, not by the memory */
};

/* Of one core, for the estimate: first query from memory, further ones from the caches. */
#define MEMORY_BYTES_PER_US 35000.0
#define CACHE_BYTES_PER_US 90000.0
#define SHADOW_GAIN 3.5 /* so many times as fast are rows that have a shadow */

struct search_slice {
    _Alignas(ALIGN_VECTOR) enum search_state state; /* no line is shared with a neighbour */
    bool has_begun;
    size_t query_first, query_count;
    struct topk *best; /* one for each of its queries */
    struct merge_tie tie;
    struct row_filter *filter; /* NULL: none */
    struct exact_scan scan;
    struct indexed_scan indexed; /* after it, in the same memory */
    bool is_scanned;             /* scan is done */
    struct scored_scan *scored;  /* instead of both, where there is a score hook */
    struct error error;          /* when FAILED */
};

struct search {
    struct alloc *alloc;
    struct view *view;
    struct filter *filter; /* NULL: none */
    struct column_cache *fields;
    struct shadow_room *shadows;
    struct hook *score; /* NULL: none */
    struct hook *rerank;
    bool rerank_may_fail;
    struct error rerank_error; /* why there is none any more */
    struct hook_wants rerank_wants;
    const struct clock *clock;
    const struct simd_kernels *kernels;
    struct exact_method method;
    struct indexed_parts indexed; /* count 0: no part is looked up */
    struct index_options options;
    const _Atomic(bool) *cancel;
    const uint32_t *host_cancel;
    uint64_t deadline_us;
    size_t query_count;
    unsigned columns;
    bool larger_is_nearer; /* of the metric: scores are negated distances, but for hooks */
    bool is_range;
    float threshold;      /* range: in the user's terms */
    float distance_max;   /* range: farther rows are not found */
    size_t list_capacity; /* of each list; 0: there is nothing to search */
    uint64_t row_count;   /* of all parts that are not looked up */
    uint64_t quantum;     /* distances between two looks */
    struct search_slice *slices;
    size_t slice_count;
    size_t slice_queries;          /* queries of each slice but perhaps the last */
    struct oracle_query queries[]; /* then their vectors */
};

/* ---- Making ---- */

/* Of a slice that looks so many queries up in every part. */
static struct indexed_desc indexed_desc(const struct search *s, size_t query_count)
{
    return (struct indexed_desc){
        .scan = {.view = s->view, .method = &s->method, .query_count = query_count},
        .parts = &s->indexed,
        .options = s->options,
        .is_filtered = s->filter != NULL,
        .k = s->list_capacity,
        .turn_count = 1,
    };
}

/* Memory of the scans of a slice, one after the other. */
static size_t scan_bytes(const struct search *s, size_t query_count)
{
    const struct indexed_desc desc = indexed_desc(s, query_count);
    size_t exact = exact_memory_bytes(&s->method, s->view->dim, query_count);
    size_t indexed = indexed_memory_bytes(&desc);

    return exact > indexed ? exact : indexed;
}

/* The lists and the scan of slices[i], in memory that was made for them.  NO_MEMORY: its filter. */
static int init_slice(struct search *s, struct search_slice *slices, size_t i, size_t slice_count,
                      size_t slice_queries, uint8_t *memory, struct error *err)
{
    struct search_slice *slice = &slices[i];
    bool has_row_range = slice_queries == s->query_count;
    size_t query_first = has_row_range ? 0 : i * slice_queries;
    size_t queries_left = s->query_count - query_first;

    *slice = (struct search_slice){
        .state = SEARCH_MORE,
        .query_first = query_first,
        .query_count = queries_left < slice_queries ? queries_left : slice_queries,
        .best = (struct topk *)memory,
        .tie = {.view = s->view},
    };
    uint8_t *heaps = memory + align_up(slice_queries * sizeof(struct topk), ALIGN_VECTOR);
    size_t heap_bytes = s->list_capacity * sizeof(struct candidate);
    for (size_t q = 0; q < slice->query_count; q++)
        topk_init_at(&slice->best[q], (struct candidate *)(heaps + q * heap_bytes),
                     s->list_capacity, merge_tie, &slice->tie);
    if ((s->filter || s->score) &&
        row_filter_create(s->alloc, s->fields, s->filter, s->view, &slice->filter, err) != 0)
        return -1;

    struct exact_desc scan = {
        .view = s->view,
        .method = &s->method,
        .kernels = s->kernels,
        .shadows = s->shadows,
        .queries = &s->queries[query_first],
        .query_count = slice->query_count,
        .best = slice->best,
        .distance_max = s->distance_max,
        .filter = slice->filter,
        .indexed = s->indexed.count > 0 ? s->indexed.list : NULL,
        .row_first = has_row_range ? s->row_count * i / slice_count : 0,
        .row_end = has_row_range ? s->row_count * (i + 1) / slice_count : s->row_count,
    };
    memory = heaps + align_up(slice_queries * heap_bytes, ALIGN_VECTOR);
    exact_begin(&slice->scan, &scan, memory);
    struct indexed_desc indexed = indexed_desc(s, slice->query_count);
    indexed.scan = scan;
    if (has_row_range) {
        indexed.turn = i;
        indexed.turn_count = slice_count;
    }
    indexed_begin(&slice->indexed, &indexed, memory);
    if (!s->score) return 0;
    return scored_scan_create(s->alloc, &scan, s->fields, s->score, s->deadline_us, &slice->scored,
                              err);
}

static void deinit_slice(struct search_slice *slice)
{
    scored_scan_destroy(slice->scored);
    row_filter_destroy(slice->filter);
}

static void free_slices(struct alloc *a, struct search_slice *slices, size_t slice_count)
{
    for (size_t i = 0; i < slice_count; i++) deinit_slice(&slices[i]);
    mem_free(a, slices);
}

/* Replace the slices.  NO_MEMORY: they are what they were. */
static int make_slices(struct search *s, size_t slice_count, size_t slice_queries,
                       struct error *err)
{
    /* The limits of k, queries and slices keep this far below 2^64. */
    uint64_t heaps_bytes = (uint64_t)s->list_capacity * sizeof(struct candidate) * slice_queries;
    if (heaps_bytes > SIZE_MAX / 2 / SLICES_MAX) return error_no_memory(err, SIZE_MAX);
    size_t head_bytes = slice_count * sizeof(struct search_slice);
    size_t slice_bytes = align_up(slice_queries * sizeof(struct topk), ALIGN_VECTOR) +
                         align_up((size_t)heaps_bytes, ALIGN_VECTOR) + scan_bytes(s, slice_queries);
    size_t bytes = head_bytes + slice_count * slice_bytes;
    uint8_t *memory = (uint8_t *)mem_alloc_aligned(s->alloc, MEM_SEARCH, bytes, ALIGN_VECTOR);
    if (!memory) return error_no_memory(err, bytes);
    struct search_slice *slices = (struct search_slice *)memory;
    for (size_t i = 0; i < slice_count; i++) {
        if (init_slice(s, slices, i, slice_count, slice_queries,
                       memory + head_bytes + i * slice_bytes, err) == 0)
            continue;
        free_slices(s->alloc, slices, i + 1);
        return -1;
    }
    free_slices(s->alloc, s->slices, s->slice_count);
    s->slices = slices;
    s->slice_count = slice_count;
    s->slice_queries = slice_queries;
    return 0;
}

static size_t list_capacity(const struct view *v, const struct search_request *r)
{
    uint64_t wanted = r->is_range ? r->max_results : r->k;
    return (size_t)(wanted < v->live_count ? wanted : v->live_count);
}

/* What a score hook gives is compared with the threshold as it is. */
static float distance_max(const struct search *s)
{
    if (!s->is_range) return INFINITY;
    return s->larger_is_nearer && !s->score ? -s->threshold : s->threshold;
}

static void init_search(struct search *s, struct alloc *a, struct view *v,
                        const struct search_request *r, const struct clock *clock,
                        const struct metric_info *metric)
{
    uint64_t quantum = QUANTUM_BYTES / (r->dim * sizeof(float));
    *s = (struct search){
        .alloc = a,
        .view = v,
        .fields = r->fields,
        .score = r->score,
        .rerank = r->rerank,
        .clock = clock,
        .kernels = kernels_active(),
        .cancel = r->cancel,
        .host_cancel = r->host_cancel,
        .deadline_us = r->deadline_us,
        .query_count = r->query_count,
        .columns = r->columns | RESULT_SCORES,
        .rerank_may_fail = r->rerank_may_fail,
        .larger_is_nearer = metric && metric->order == NEARER_IS_LARGER,
        .is_range = r->is_range,
        .threshold = r->threshold,
        .list_capacity = metric ? list_capacity(v, r) : 0,
        .options = r->options,
        .quantum = quantum < QUANTUM_ROWS ? quantum : QUANTUM_ROWS,
    };
    /* Codes tell of products; a hook wants every distance; serial kernels are faster over floats
     * than over codes. */
    bool has_products = metric && metric->value != METRIC_VALUE_MEASURE;
    if (!s->score && has_products && s->kernels->level > SIMD_SERIAL) s->shadows = r->shadows;
    /* P7: exact scores */
    s->method.index = index_find(INDEX_FLAT);
    s->method.quantizer = quantizer_find(s->shadows ? QUANTIZER_SHADOWED : QUANTIZER_RAW);
    s->distance_max = distance_max(s);
    s->options.is_range = s->distance_max < INFINITY;
}

int search_create(struct alloc *a, struct view *take_view, const struct search_request *r,
                  const struct clock *clock, struct search **out, struct error *err)
{
    int rc = -1;
    struct view *v = take_view;
    struct search *s = NULL;
    const struct metric_info *metric = NULL;

    if (request_check(r, v->dim, err) != 0) goto out;
    if (v->dim != 0) {
        metric = metric_find(v->metric);
        if (!metric) {
            error_set(err, LYNSE_UNSUPPORTED, "metric: there is none with number %u", v->metric);
            goto out;
        }
        if (metric_check_vectors(metric, r->vectors, r->query_count, r->dim, "query", err) != 0)
            goto out;
    }
    size_t head_bytes =
        align_up(sizeof *s + r->query_count * sizeof(struct oracle_query), ALIGN_VECTOR);
    size_t query_bytes = r->query_count * request_query_bytes(r);
    size_t bytes = head_bytes + query_bytes + v->part_count * sizeof *s->indexed.list;
    s = (struct search *)mem_alloc_aligned(a, MEM_SEARCH, bytes, ALIGN_VECTOR);
    if (!s) {
        error_no_memory(err, bytes);
        goto out;
    }
    init_search(s, a, v, r, clock, metric);
    s->indexed.list =
        (const struct segment_index **)(void *)((uint8_t *)s + head_bytes + query_bytes);
    if (metric && !r->is_exact && !r->score) indexed_parts_find(&s->indexed, v);
    s->row_count = exact_row_count(v, s->indexed.count > 0 ? s->indexed.list : NULL);
    if (r->where.data && filter_parse(a, r->where, &s->filter, err) != 0) goto out;
    if (s->list_capacity > 0) {
        request_prepare(r, s->kernels, metric, (uint8_t *)s + head_bytes, s->queries);
        if (make_slices(s, 1, s->query_count, err) != 0) goto out;
    }
    *out = s;
    rc = 0;
out:
    if (rc != 0) {
        if (s) filter_destroy(s->filter);
        mem_free(a, s);
        view_release(v);
    }
    return rc;
}

void search_destroy(struct search *s)
{
    if (!s) return;
    free_slices(s->alloc, s->slices, s->slice_count); /* before the segments that they read */
    filter_destroy(s->filter);
    view_release(s->view);
    mem_free(s->alloc, s);
}

uint64_t search_cost_us(const struct search *s)
{
    if (s->list_capacity == 0) return 0;
    double rows = (double)s->row_count;
    for (size_t i = 0; s->shadows && i < s->view->part_count; i++) {
        const struct view_part *part = &s->view->parts[i];
        if (s->indexed.count > 0 && s->indexed.list[i]) continue;
        uint32_t ready = segment_shadow_ready(part->segment);
        rows -= (ready < part->row_count ? ready : part->row_count) * (1 - 1 / SHADOW_GAIN);
    }
    double bytes = rows * s->view->dim * sizeof(float);
    double looked_up = s->indexed.count == 0
                           ? 0
                           : indexed_cost_us(&s->indexed, s->view, &s->options, s->list_capacity);
    return (uint64_t)(bytes / MEMORY_BYTES_PER_US +
                      bytes * (double)(s->query_count - 1) / CACHE_BYTES_PER_US +
                      looked_up * (double)s->query_count);
}

static size_t smallest(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t least = a < b ? a : b;
    return (size_t)(least < c ? least : c);
}

size_t search_split(struct search *s, size_t slice_max, struct error *err)
{
    if (s->list_capacity == 0) return 1;
    CHECK(!s->slices[0].has_begun);
    if (slice_max > SLICES_MAX) slice_max = SLICES_MAX;
    uint64_t row_count = s->row_count + s->indexed.count * INDEX_SPLIT_ROWS;
    size_t by_rows = smallest(slice_max, row_count / SEARCH_SPLIT_ROWS, SLICES_MAX);
    size_t by_queries =
        smallest(slice_max, s->query_count, row_count * s->query_count / SEARCH_SPLIT_ROWS);
    size_t slice_count = by_rows, slice_queries = s->query_count;
    bool suits_queries = by_queries > by_rows || s->query_count >= slice_max * BATCH_QUERIES;
    /* Slices of queries would each ask the filter for every row. */
    if (suits_queries && (!s->filter || by_rows < 2)) {
        slice_queries =
            by_queries > 1 ? (s->query_count + by_queries - 1) / by_queries : slice_queries;
        slice_count = (s->query_count + slice_queries - 1) / slice_queries;
    }
    if (slice_count < 2) return 1;
    return make_slices(s, slice_count, slice_queries, err) == 0 ? slice_count : 0;
}

/* ---- Advancing ---- */

static int check_limits(const struct search *s, struct error *err)
{
    if (is_cancelled(s->cancel, s->host_cancel))
        return error_set(err, LYNSE_CANCELLED, "the search was cancelled");
    if (s->deadline_us != 0 && clock_now_us(s->clock) >= s->deadline_us)
        return error_set(err, LYNSE_DEADLINE, "the deadline passed before the search was done");
    return 0;
}

static enum index_state advance_scans(struct search_slice *slice, uint64_t quantum)
{
    struct error *err = &slice->error;

    if (slice->scored) return scored_scan_advance(slice->scored, quantum, err);
    if (slice->is_scanned) return indexed_advance(&slice->indexed, quantum, err);
    enum index_state state = exact_advance(&slice->scan, quantum, err);
    if (state != INDEX_DONE || slice->indexed.desc.parts->count == 0) return state;
    slice->is_scanned = true;
    return INDEX_MORE;
}

static enum search_state advance_slice(const struct search *s, struct search_slice *slice)
{
    if (check_limits(s, &slice->error) != 0) return SEARCH_FAILED;
    enum index_state state = advance_scans(slice, s->quantum);
    if (state == INDEX_FAILED) return SEARCH_FAILED;
    if (slice->filter && row_filter_error(slice->filter)->code != LYNSE_OK) {
        slice->error = *row_filter_error(slice->filter);
        return SEARCH_FAILED;
    }
    if (slice->tie.error.code != LYNSE_OK) {
        slice->error = slice->tie.error;
        return SEARCH_FAILED;
    }
    return state == INDEX_DONE ? SEARCH_DONE : SEARCH_MORE;
}

enum search_state search_advance(struct search *s, size_t slice, uint64_t budget_us)
{
    if (s->list_capacity == 0) return SEARCH_DONE;
    CHECK(slice < s->slice_count);
    struct search_slice *one = &s->slices[slice];
    uint64_t begin_us = budget_us ? clock_now_us(s->clock) : 0;
    struct row_limits limits = {s->clock, s->deadline_us, s->cancel,
                                budget_us ? begin_us + budget_us : 0, s->host_cancel};
    if (one->filter) row_filter_limit(one->filter, &limits);
    one->has_begun = true;
    while (one->state == SEARCH_MORE) {
        one->state = advance_slice(s, one);
        if (budget_us && clock_now_us(s->clock) - begin_us >= budget_us) break;
    }
    if (one->scored) scored_scan_rest(one->scored);
    return one->state;
}

const struct error *search_error(const struct search *s)
{
    for (size_t i = 0; i < s->slice_count; i++)
        if (s->slices[i].state == SEARCH_FAILED) return &s->slices[i].error;
    return NULL;
}

int search_drop_score(struct search *s, struct error *err)
{
    struct hook *score = s->score;

    CHECK(score && s->list_capacity > 0);
    s->score = NULL;
    s->distance_max = distance_max(s);
    if (make_slices(s, s->slice_count, s->slice_queries, err) == 0) return 0;
    s->score = score;
    s->distance_max = distance_max(s);
    return -1;
}

/* ---- Finishing ---- */

/* The list of a query; once it is merged, it is all of it. */
static struct topk *list_of(const struct search *s, size_t query)
{
    struct search_slice *slice = &s->slices[query / s->slice_queries];
    return &slice->best[query - slice->query_first];
}

/* The list of a query, from all slices that have one. */
static int merge_query(struct search *s, size_t query, struct error *err)
{
    struct topk *lists[SLICES_MAX];
    size_t first = query / s->slice_queries, count = 1;
    if (s->slice_queries == s->query_count) count = s->slice_count;
    for (size_t i = 0; i < count; i++) {
        struct search_slice *slice = &s->slices[first + i];
        lists[i] = &slice->best[query - slice->query_first];
    }
    merge_topk(lists, count);
    const struct error *failed = &s->slices[first].tie.error;
    if (failed->code != LYNSE_OK) {
        if (err) *err = *failed;
        return -1;
    }
    return 0;
}

static int finish_rows(struct search *s, const struct topk *best, struct result *out,
                       struct error *err)
{
    bool is_descending = s->larger_is_nearer && !s->score;

    for (size_t i = 0; i < best->count; i++) {
        const struct candidate *c = &best->heap[i];
        float score = is_descending ? -c->distance : c->distance;
        if (i % FINISH_ROWS == 0 && check_limits(s, err) != 0) return -1;
        if (result_add(out, s->view, c->part, c->row, score, err) != 0) return -1;
    }
    result_end_query(out);
    return 0;
}

/* The same in the order of the rerank hook. */
static int finish_reranked(struct search *s, const struct topk *best, struct result *out,
                           struct error *err)
{
    struct arena arena;
    struct hook_order order = {0};

    arena_init(&arena, s->alloc, MEM_SEARCH);
    const struct row_limits limits = {s->clock, s->deadline_us, s->cancel, 0, s->host_cancel};
    int rc = rerank_hits(s->rerank, &limits, s->view, best, &s->rerank_wants, &arena, &order, err);
    for (size_t i = 0; i < order.count && rc == 0; i++) {
        const struct candidate *c = &best->heap[order.places[i]];
        if (i % FINISH_ROWS == 0) rc = check_limits(s, err);
        if (rc == 0) rc = result_add(out, s->view, c->part, c->row, order.scores[i], err);
    }
    arena_deinit(&arena);
    if (rc == 0) result_end_query(out);
    return rc;
}

static size_t found_count_max(const struct search *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->slice_count; i++)
        for (size_t q = 0; q < s->slices[i].query_count; q++) count += s->slices[i].best[q].count;
    size_t most = s->query_count * s->list_capacity;
    return count < most ? count : most;
}

static int fill_result(struct search *s, struct result *out, struct error *err)
{
    if (result_init(out, s->alloc, s->view, found_count_max(s), s->query_count, s->columns, err) !=
        0)
        return -1;
    for (size_t q = 0; q < s->query_count; q++) {
        if (s->list_capacity == 0) {
            result_end_query(out);
            continue;
        }
        const struct topk *best = list_of(s, q);
        if ((s->rerank ? finish_reranked(s, best, out, err) : finish_rows(s, best, out, err)) == 0)
            continue;
        result_deinit(out);
        return -1;
    }
    return 0;
}

int search_finish(struct search *s, struct result *out, struct error *err)
{
    struct error failed = {0};

    for (size_t i = 0; i < s->slice_count; i++) CHECK(s->slices[i].state == SEARCH_DONE);
    for (size_t q = 0; q < s->query_count && s->list_capacity > 0; q++)
        if (merge_query(s, q, err) != 0) return -1;
    if (fill_result(s, out, &failed) == 0) return 0;
    if (failed.code == LYNSE_HOOK && s->rerank && s->rerank_may_fail) {
        s->rerank = NULL;
        s->rerank_error = failed;
        return fill_result(s, out, err);
    }
    if (err) *err = failed;
    return -1;
}

const struct error *search_rerank_error(const struct search *s)
{
    return s->rerank_error.code ? &s->rerank_error : NULL;
}
