/* SPDX-License-Identifier: Apache-2.0 */
/* search_rounds.c — what comes after the slices of a search: one list for each query, the score
 * hook over what was collected, further rounds, results, and the results after those.
 *
 * WHAT        Slices are merged.  Where a score hook ranks what an index collects, it is given the
 *             rows that are nearest by distance, several times as many as are wanted; more of them
 *             in a further round where it has dropped so many that too few are left, and in `beam`
 *             as long as a round brings another row into the list.  When that would be more rows
 *             than a list may have, the hook ranks every row, as it does without a mode.
 *             Further pages come out of the same list, past what was given; when it is exhausted
 *             the search is made anew for at least twice as many.
 * INVARIANTS  (1) A round looks at the same rows as the one before, and at more: what it ranks is
 *                 the answer of a search that began with so many.
 *             (2) No row is in two pages, whatever a later walk through an index finds.
 *             (3) A list that is not full has every row that there is, so that it needs no more.
 * THREADS     One; no slice is being advanced.
 * FAILURE     The search can only be destroyed then.
 */
#include <math.h>
#include <stdlib.h>

#include "base/check.h"
#include "filter/filter.h"
#include "query/rerank.h"
#include "query/search_object.h"

enum {
    FINISH_ROWS = 64,  /* fetched between two looks at clock and cancel flag */
    COLLECT_TIMES = 4, /* of k, where nothing is said */
    COLLECT_MIN = 100,
    SHORT_TIMES = 4, /* as many in the next round, where the hook dropped too many */
    BEAM_TIMES = 2,  /* where it found others */
};

/* ---- Lists ---- */

size_t search_collect_count(const struct search *s)
{
    double times = s->options.oversample > 0 ? (double)s->options.oversample : COLLECT_TIMES;
    double count = ceil((double)s->wanted * times);
    uint64_t most = s->wanted > LIMIT_K ? s->wanted : LIMIT_K;

    if (!s->score || search_scores_all(s)) return s->wanted;
    if (count < COLLECT_MIN) count = COLLECT_MIN;
    if (count < s->options.effort) count = s->options.effort;
    if (most > s->view->live_count) most = s->view->live_count;
    return count < (double)most ? (size_t)count : (size_t)most;
}

size_t search_slice_count(const struct search *s)
{
    return s->wanted == 0 || s->stage != STAGE_SCAN ? 1 : s->slice_count;
}

/* The list of a query; once it is merged, it is all of it. */
static struct topk *list_of(const struct search *s, size_t query)
{
    if (s->scored) return scored_list_best(s->scored, query);
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

/* ---- Rounds ---- */

static void drop_scored(struct search *s)
{
    scored_list_destroy(s->scored);
    scored_list_destroy(s->before);
    s->scored = s->before = NULL;
}

int search_drop_score(struct search *s, struct error *err)
{
    CHECK(s->score && s->wanted > 0);
    drop_scored(s);
    s->score = NULL;
    search_choose_scan(s);
    return search_make_slices(s, err);
}

/* What was collected, in front of the hook. */
static int begin_scoring(struct search *s, struct error *err)
{
    struct scored_list_desc desc = {
        .view = s->view,
        .fields = s->fields,
        .hook = s->score,
        .deadline_us = s->deadline_us,
        .query_count = s->query_count,
        .k = s->wanted,
        .distance_max = search_score_max(s),
    };
    size_t row_count = 0;

    for (size_t q = 0; q < s->query_count; q++) row_count += list_of(s, q)->count;
    struct scored_list *scored;
    if (scored_list_create(s->alloc, &desc, row_count, &scored, err) != 0) return -1;
    for (size_t q = 0; q < s->query_count; q++) scored_list_add(scored, list_of(s, q));
    s->scored = scored;
    s->stage = STAGE_SCORE;
    return 1;
}

static int end_scan(struct search *s, struct error *err)
{
    for (size_t i = 0; i < s->slice_count; i++) CHECK(s->slices[i].state == SEARCH_DONE);
    for (size_t q = 0; q < s->query_count; q++)
        if (merge_query(s, q, err) != 0) return -1;
    if (s->score && !search_scores_all(s)) return begin_scoring(s, err);
    s->stage = STAGE_LISTED;
    return 0;
}

static bool are_same_rows(const struct topk *a, const struct topk *b)
{
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++)
        if (a->heap[i].part != b->heap[i].part || a->heap[i].row != b->heap[i].row) return false;
    return true;
}

static bool wants_round(const struct search *s, size_t query)
{
    const struct topk *best = list_of(s, query);

    if (s->list_capacity == s->view->live_count ||
        scored_list_row_count(s->scored, query) < s->list_capacity)
        return false; /* (3) */
    if (!s->is_range && best->count < s->wanted) return true;
    if (s->score_mode != SCORE_BEAM) return false;
    return !s->before || !are_same_rows(best, scored_list_best(s->before, query));
}

/* Collect more. */
static int begin_round(struct search *s, struct error *err)
{
    uint64_t more =
        (uint64_t)s->list_capacity * (s->score_mode == SCORE_BEAM ? BEAM_TIMES : SHORT_TIMES);

    scored_list_destroy(s->before);
    s->before = s->scored;
    s->scored = NULL;
    if (more > LIMIT_K) {
        drop_scored(s);
        s->score_mode = SCORE_ALL;
        search_choose_scan(s);
    } else {
        s->list_capacity = (size_t)(more < s->view->live_count ? more : s->view->live_count);
    }
    return search_make_slices(s, err) == 0 ? 1 : -1;
}

int search_continue(struct search *s, struct error *err)
{
    if (s->wanted == 0 || s->stage == STAGE_LISTED) return 0;
    if (s->stage == STAGE_SCAN) return end_scan(s, err);
    for (size_t q = 0; q < s->query_count; q++)
        if (wants_round(s, q)) return begin_round(s, err);
    s->stage = STAGE_LISTED;
    return 0;
}

/* ---- Pages ---- */

static uint64_t place_of(const struct candidate *c)
{
    return (uint64_t)c->part << 32 | c->row;
}

static int by_place(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool was_given(const struct search_pages *p, const struct candidate *c)
{
    uint64_t place = place_of(c);

    if (p->given_count == 0) return false;
    return bsearch(&place, p->given, p->given_count, sizeof place, by_place) != NULL;
}

/* The next page of the list, into memory for as many; (2). */
static void fill_page(const struct search *s, struct candidate *memory, struct topk *out)
{
    const struct topk *best = list_of(s, 0);

    *out = (struct topk){.heap = memory, .capacity = s->pages.page};
    for (size_t i = 0; i < best->count && out->count < s->pages.page; i++)
        if (!was_given(&s->pages, &best->heap[i])) memory[out->count++] = best->heap[i];
}

static int reserve_given(struct search *s, struct error *err)
{
    struct search_pages *p = &s->pages;
    size_t count = p->given_count + p->page;

    if (count <= p->given_capacity) return 0;
    uint64_t *given =
        (uint64_t *)mem_resize(s->alloc, MEM_SEARCH, p->given, 2 * count * sizeof *given);
    if (!given) return error_no_memory(err, 2 * count * sizeof *given);
    p->given = given;
    p->given_capacity = 2 * count;
    return 0;
}

static void note_given(struct search_pages *p, const struct topk *page)
{
    for (size_t i = 0; i < page->count; i++) p->given[p->given_count++] = place_of(&page->heap[i]);
    qsort(p->given, p->given_count, sizeof *p->given, by_place);
    p->is_given = true;
}

int search_next(struct search *s, size_t k, uint64_t deadline_us, struct error *err)
{
    struct search_pages *p = &s->pages;
    size_t left = 0;

    if (!p->is_on || !p->is_given)
        return error_set(err, LYNSE_INVALID, "next: %s",
                         p->is_on ? "the results before it are not there yet"
                                  : "the search was not begun for more than its first results");
    if (k < 1 || p->given_count + k > LIMIT_K)
        return error_set(err, k < 1 ? LYNSE_INVALID : LYNSE_LIMIT,
                         "k is %zu after %zu results, allowed are 1 to %d in all", k,
                         p->given_count, LIMIT_K);
    p->page = k;
    p->is_given = false;
    s->deadline_us = deadline_us;
    if (s->wanted == 0) return 0;
    const struct topk *best = list_of(s, 0);
    for (size_t i = 0; i < best->count; i++) left += !was_given(p, &best->heap[i]);
    if (left >= k || best->count < s->wanted || s->wanted == s->view->live_count)
        return 0; /* (3) */
    uint64_t wanted = p->given_count + k > 2 * s->wanted ? p->given_count + k : 2 * s->wanted;
    if (wanted > LIMIT_K) wanted = LIMIT_K;
    s->wanted = (size_t)(wanted < s->view->live_count ? wanted : s->view->live_count);
    drop_scored(s);
    search_choose_scan(s);
    struct search_slice *first = &s->slices[0];
    if (search_make_slices(s, &first->error) == 0) return 0;
    first->state = SEARCH_FAILED;
    if (err) *err = first->error;
    return -1;
}

/* ---- Finishing ---- */

static int finish_rows(struct search *s, const struct topk *best, struct result *out,
                       struct error *err)
{
    bool is_descending = s->larger_is_nearer && !s->score;

    for (size_t i = 0; i < best->count; i++) {
        const struct candidate *c = &best->heap[i];
        float score = is_descending ? -c->distance : c->distance;
        if (i % FINISH_ROWS == 0 && search_check_limits(s, err) != 0) return -1;
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
        if (i % FINISH_ROWS == 0) rc = search_check_limits(s, err);
        if (rc == 0) rc = result_add(out, s->view, c->part, c->row, order.scores[i], err);
    }
    arena_deinit(&arena);
    if (rc == 0) result_end_query(out);
    return rc;
}

static int finish_list(struct search *s, const struct topk *best, struct result *out,
                       struct error *err)
{
    return s->rerank ? finish_reranked(s, best, out, err) : finish_rows(s, best, out, err);
}

static int fill_result(struct search *s, struct result *out, struct error *err)
{
    size_t count = 0;

    for (size_t q = 0; q < s->query_count && s->wanted > 0; q++) count += list_of(s, q)->count;
    if (result_init(out, s->alloc, s->view, count, s->query_count, s->columns, err) != 0) return -1;
    for (size_t q = 0; q < s->query_count; q++) {
        if (s->wanted == 0) result_end_query(out);
        else if (finish_list(s, list_of(s, q), out, err) != 0) {
            result_deinit(out);
            return -1;
        }
    }
    return 0;
}

static int fill_paged(struct search *s, struct result *out, struct error *err)
{
    struct topk page = {0};
    size_t bytes = s->pages.page * sizeof(struct candidate);
    int rc = -1;

    if (s->wanted == 0) {
        s->pages.is_given = true;
        return fill_result(s, out, err);
    }
    struct candidate *memory = (struct candidate *)mem_alloc(s->alloc, MEM_SEARCH, bytes);
    if (!memory) return error_no_memory(err, bytes);
    if (reserve_given(s, err) != 0) goto out;
    fill_page(s, memory, &page);
    if (result_init(out, s->alloc, s->view, page.count, 1, s->columns, err) != 0) goto out;
    rc = finish_list(s, &page, out, err);
    if (rc == 0) note_given(&s->pages, &page);
    else result_deinit(out);
out:
    mem_free(s->alloc, memory);
    return rc;
}

static int fill(struct search *s, struct result *out, struct error *err)
{
    return s->pages.is_on ? fill_paged(s, out, err) : fill_result(s, out, err);
}

int search_finish(struct search *s, struct result *out, struct error *err)
{
    struct error failed = {0};
    int more = search_continue(s, err);

    if (more < 0) return -1;
    CHECK(more == 0);
    if (fill(s, out, &failed) == 0) return 0;
    if (failed.code == LYNSE_HOOK && s->rerank && s->rerank_may_fail) {
        s->rerank = NULL;
        s->rerank_error = failed;
        return fill(s, out, err);
    }
    if (err) *err = failed;
    return -1;
}

const struct error *search_rerank_error(const struct search *s)
{
    return s->rerank_error.code ? &s->rerank_error : NULL;
}
