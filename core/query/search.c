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
#include <math.h>

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/check.h"
#include "filter/filter.h"
#include "query/request.h"
#include "query/search_object.h"

enum {
    QUANTUM_BYTES = 1 << 20,
    QUANTUM_ROWS = 4096,
    INDEX_SPLIT_ROWS = SEARCH_SPLIT_ROWS / 8, /* a part that is looked up is worth so many */
    BATCH_QUERIES = 12, /* a slice of so many is bound by the processor, not by the memory */
};

/* Of one core, for the estimate: first query from memory, further ones from the caches. */
#define MEMORY_BYTES_PER_US 35000.0
#define CACHE_BYTES_PER_US 90000.0
#define SHADOW_GAIN 3.5 /* so many times as fast are rows that have a shadow */

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
    if ((s->filter || search_scores_all(s)) &&
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
        .slack = s->options.slack,
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
    if (!search_scores_all(s)) return 0;
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

int search_make_slices(struct search *s, struct error *err)
{
    s->stage = STAGE_SCAN;
    return make_slices(s, s->slice_count, s->slice_queries, err);
}

static size_t wanted_count(const struct view *v, const struct search_request *r)
{
    uint64_t wanted = r->is_range ? r->max_results : r->k;
    return (size_t)(wanted < v->live_count ? wanted : v->live_count);
}

void search_choose_scan(struct search *s)
{
    const struct metric_info *metric = metric_find(s->view->metric);
    bool is_by_distance = !search_scores_all(s);

    if (s->is_exact) s->options.slack = 0;
    /* Codes tell of products; who scores every row wants every distance; serial kernels are faster
     * over floats than over codes. */
    bool has_codes = metric && metric->value != METRIC_VALUE_MEASURE;
    has_codes = has_codes && is_by_distance && s->kernels->level > SIMD_SERIAL;
    s->shadows = has_codes ? s->room : NULL;
    /* P7: exact scores */
    s->method.index = index_find(INDEX_FLAT);
    s->method.quantizer = quantizer_find(s->shadows ? QUANTIZER_SHADOWED : QUANTIZER_RAW);
    /* What is collected for a hook may be at any distance. */
    s->distance_max = s->score && is_by_distance ? INFINITY : search_score_max(s);
    s->options.is_range = is_by_distance && s->distance_max < INFINITY;
    s->indexed.count = 0;
    if (metric && !s->is_exact && is_by_distance) indexed_parts_find(&s->indexed, s->view);
    s->row_count = exact_row_count(s->view, s->indexed.count > 0 ? s->indexed.list : NULL);
    s->list_capacity = search_collect_count(s);
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
        .score_mode = r->score_mode,
        .room = r->shadows,
        .is_exact = r->is_exact,
        .pages = {.is_on = r->is_paged, .page = r->k},
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
        .wanted = metric ? wanted_count(v, r) : 0,
        .options = r->options,
        .quantum = quantum < QUANTUM_ROWS ? quantum : QUANTUM_ROWS,
    };
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
    search_choose_scan(s);
    if (r->where.data && filter_parse(a, r->where, &s->filter, err) != 0) goto out;
    if (s->wanted > 0) {
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
    scored_list_destroy(s->scored);
    scored_list_destroy(s->before);
    mem_free(s->alloc, s->pages.given);
    filter_destroy(s->filter);
    view_release(s->view);
    mem_free(s->alloc, s);
}

uint64_t search_cost_us(const struct search *s)
{
    if (s->wanted == 0) return 0;
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
    if (s->wanted == 0) return 1;
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

int search_check_limits(const struct search *s, struct error *err)
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
    if (search_check_limits(s, &slice->error) != 0) return SEARCH_FAILED;
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

/* What was collected, on the thread of the first slice. */
static enum search_state advance_scoring(struct search *s, uint64_t budget_us)
{
    struct search_slice *first = &s->slices[0];
    uint64_t begin_us = budget_us ? clock_now_us(s->clock) : 0;
    enum index_state state = INDEX_MORE;

    if (first->state == SEARCH_FAILED) return SEARCH_FAILED;
    while (state == INDEX_MORE) {
        if (search_check_limits(s, &first->error) != 0) state = INDEX_FAILED;
        else state = scored_list_advance(s->scored, QUANTUM_ROWS, &first->error);
        if (budget_us && clock_now_us(s->clock) - begin_us >= budget_us) break;
    }
    scored_list_rest(s->scored);
    if (state == INDEX_FAILED) first->state = SEARCH_FAILED;
    return state == INDEX_MORE ? SEARCH_MORE : state == INDEX_DONE ? SEARCH_DONE : SEARCH_FAILED;
}

enum search_state search_advance(struct search *s, size_t slice, uint64_t budget_us)
{
    if (s->wanted == 0 || s->stage == STAGE_LISTED) return SEARCH_DONE;
    CHECK(slice < s->slice_count);
    if (s->stage == STAGE_SCORE) return slice == 0 ? advance_scoring(s, budget_us) : SEARCH_DONE;
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

const struct view *search_damaged_view(const struct search *s)
{
    for (size_t i = 0; i < s->slice_count; i++)
        if (s->slices[i].indexed.met_damage) return s->view;
    return NULL;
}
