/* SPDX-License-Identifier: Apache-2.0 */
/* ivf_search.c — which lists are read for which query, and when it is enough.
 *
 * WHAT        One query walks alone: its lists are put into a heap, and it reads them nearest
 *             first.  Several queries first choose the nprobe nearest lists each; the choices are
 *             sorted by list, and a list is read for all that chose it, a few at a time, while it
 *             is in the cache.  Then those that have not enough walk on alone, from where they are.
 *             Many queries are taken group by group, so that the memory of a search is bounded.
 * ENOUGH      A query goes on beyond nprobe lists while
 *             (1) it has found fewer rows than it wants; so it never comes back with fewer than
 *                 there are; or
 *             (2) there is a gate, and it has not seen its due of open rows: as many as the first
 *                 nprobe lists have rows, times the root of the share that is open, in lists with
 *                 an open row.  Where fewer of the rows that it has seen are open than of all, the
 *                 nearest are shut, and the nearest open ones lie in many lists: the due is the
 *                 larger for it.  A gate that does not come first is known by a sample; or
 *             (3) it looks for all rows within a distance, and one of the last lists had some.
 * PASSED OVER Without a gate, a list of which no row can be near enough, by its radius, counts as
 *             read.
 * INVARIANTS  (1) Lists are visited by (distance, number), so that a walk that is taken up again
 *                 begins with those that were read together.
 *             (2) What is enough depends on the set of lists that were visited, not on their order:
 *                 a query finds the same alone and in a batch.  So where there is a gate no list is
 *                 passed over, for the gate would go unseen.
 * THREADS     One at a time.
 * FAILURE     What the exact oracle says.
 */
#include "index/ivf_search.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"

enum {
    GROUP_QUERIES = 256,
    GROUP_BYTES = 8 << 20,
    BLOCK_BYTES = 512 << 10,
    TOGETHER_ROWS = IVF_BLOCK_ROWS / IVF_QUERIES,
    OVERSAMPLE = 10, /* where nothing is said and codes know no bounds */
    VAIN_SHARE = 2,  /* of nprobe, lists without a row before a walk within a distance ends */
    TILE = 256,      /* centroids at a time */
};

/* ---- Memory ---- */

struct layout {
    size_t walks, pools, pool_memory, visits, visit_order, list_ends, heap, end;
    size_t group_most, pool_rows;
    uint32_t nprobe;
};

static size_t take(size_t *end, size_t bytes)
{
    size_t at = *end;
    *end = align_up(at + bytes, ALIGN_VECTOR);
    return at;
}

static void lay_out(const struct ivf *v, const struct index_options *options, size_t k,
                    size_t query_count, struct layout *l)
{
    uint32_t nprobe = options->effort > 0 ? options->effort : v->nprobe;
    double pool = options->oversample > 0 ? options->oversample : OVERSAMPLE;

    *l = (struct layout){.end = align_up(sizeof(struct ivf_search), ALIGN_VECTOR)};
    l->nprobe = nprobe < v->list_count ? nprobe : v->list_count;
    if (v->quantizer) l->pool_rows = (size_t)ceil(pool * (double)k);
    if (l->pool_rows > v->base.row_count) l->pool_rows = v->base.row_count;
    size_t each = l->nprobe * (sizeof(struct ivf_visit) + sizeof(uint32_t)) +
                  sizeof(struct ivf_walk) + sizeof(struct topk) +
                  l->pool_rows * sizeof(struct candidate);
    size_t most = GROUP_BYTES / each;
    most = most < 1 ? 1 : most > GROUP_QUERIES ? GROUP_QUERIES : most;
    l->group_most = query_count < most ? query_count : most;
    l->walks = take(&l->end, l->group_most * sizeof(struct ivf_walk));
    l->pools = take(&l->end, l->group_most * sizeof(struct topk));
    l->pool_memory = take(&l->end, l->group_most * l->pool_rows * sizeof(struct candidate));
    l->visits = take(&l->end, l->group_most * l->nprobe * sizeof(struct ivf_visit));
    l->visit_order = take(&l->end, l->group_most * l->nprobe * sizeof(uint32_t));
    l->list_ends = take(&l->end, v->list_count * sizeof(uint32_t));
    l->heap = take(&l->end, v->list_count * sizeof(struct ivf_near));
}

size_t ivf_search_bytes(const struct index *index, const struct index_options *options, size_t k,
                        size_t query_count)
{
    struct layout l;
    lay_out((const struct ivf *)index, options, k, query_count, &l);
    return l.end;
}

static int by_row(void *ctx, const struct candidate *a, const struct candidate *b)
{
    (void)ctx;
    return a->row < b->row ? -1 : a->row > b->row;
}

static void begin_group(struct ivf_search *s)
{
    size_t left = s->desc.query_count - s->group_first;

    s->group_count = left < s->group_most ? left : s->group_most;
    memset(s->walks, 0, s->group_count * sizeof *s->walks);
    for (size_t i = 0; i < s->group_count && s->pool_rows > 0; i++)
        topk_init_at(&s->pools[i], s->pool_memory + i * s->pool_rows, s->pool_rows, by_row, NULL);
    s->query = 0;
    s->visit_count = s->visit_at = 0;
    s->has_heap = false;
    s->place = s->end = 0;
    s->stage = s->group_count > 1 ? IVF_PLAN : IVF_ALONE;
}

void ivf_begin(void *search, const struct index_search_desc *desc)
{
    struct ivf_search *s = (struct ivf_search *)search;
    const struct ivf *v = (const struct ivf *)desc->index;
    const struct ivf_oracle *first = ivf_oracle_of(&desc->queries[0]);
    struct layout l;

    lay_out(v, &desc->options, desc->queries[0].best->capacity, desc->query_count, &l);
    uint8_t *at = (uint8_t *)search;
    s->desc = *desc;
    s->ivf = v;
    s->nprobe = l.nprobe;
    s->walks = (struct ivf_walk *)(void *)(at + l.walks);
    s->pools = (struct topk *)(void *)(at + l.pools);
    s->pool_memory = (struct candidate *)(void *)(at + l.pool_memory);
    s->visits = (struct ivf_visit *)(void *)(at + l.visits);
    s->visit_order = (uint32_t *)(void *)(at + l.visit_order);
    s->list_ends = (uint32_t *)(void *)(at + l.list_ends);
    s->heap = (struct ivf_near *)(void *)(at + l.heap);
    bool has_bounds = v->quantizer && first->inner->ops->estimate;
    s->pool_rows = has_bounds && !(desc->options.oversample > 0) ? 0 : l.pool_rows;
    uint32_t rows = BLOCK_BYTES / first->inner->row_bytes;
    s->block_rows = v->quantizer || rows > IVF_BLOCK_ROWS ? IVF_BLOCK_ROWS : rows < 1 ? 1 : rows;
    s->open_share = desc->gate.shut_word ? ivf_open_share(s) : 1;
    s->group_most = l.group_most;
    s->group_first = 0;
    begin_group(s);
}

/* ---- Which lists ---- */

static inline bool is_nearer(const struct ivf_near *a, const struct ivf_near *b)
{
    return a->distance < b->distance || (a->distance == b->distance && a->list < b->list);
}

static void sift_down(struct ivf_near *heap, uint32_t count, uint32_t at)
{
    struct ivf_near moved = heap[at];
    uint32_t child;

    while ((child = 2 * at + 1) < count) {
        if (child + 1 < count && is_nearer(&heap[child + 1], &heap[child])) child++;
        if (!is_nearer(&heap[child], &moved)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static struct ivf_near pop_nearest(struct ivf_search *s)
{
    struct ivf_near nearest = s->heap[0];

    s->heap[0] = s->heap[--s->heap_count];
    sift_down(s->heap, s->heap_count, 0);
    return nearest;
}

/* All lists of the query whose turn it is. */
static void make_heap(struct ivf_search *s)
{
    const struct ivf_oracle *o = ivf_oracle_of(ivf_query(s, s->query));
    uint32_t count = s->ivf->list_count;
    float distances[TILE];

    for (uint32_t first = 0; first < count; first += TILE) {
        uint32_t some = count - first < TILE ? count - first : TILE;
        ivf_centroid_distances(o, first, some, distances);
        for (uint32_t i = 0; i < some; i++)
            s->heap[first + i] = (struct ivf_near){distances[i], first + i};
    }
    s->heap_count = count;
    for (uint32_t i = count / 2; i > 0; i--) sift_down(s->heap, count, i - 1);
    s->has_heap = true;
}

/* Choose for the query whose turn it is. */
static void plan_query(struct ivf_search *s)
{
    make_heap(s);
    for (uint32_t i = 0; i < s->nprobe; i++)
        s->visits[s->visit_count++] = (struct ivf_visit){pop_nearest(s), (uint32_t)s->query};
    s->has_heap = false;
    s->query++;
}

/* visit_order: by list, and within one by query. */
static void sort_visits(struct ivf_search *s)
{
    uint32_t end = 0;

    memset(s->list_ends, 0, s->ivf->list_count * sizeof *s->list_ends);
    for (size_t i = 0; i < s->visit_count; i++) s->list_ends[s->visits[i].at.list]++;
    for (uint32_t list = 0; list < s->ivf->list_count; list++) {
        uint32_t size = s->list_ends[list];
        s->list_ends[list] = end;
        end += size;
    }
    for (size_t i = 0; i < s->visit_count; i++)
        s->visit_order[s->list_ends[s->visits[i].at.list]++] = (uint32_t)i;
}

static void visit(struct ivf_search *s, size_t query, uint32_t list)
{
    struct ivf_walk *w = &s->walks[query];

    if (w->visited++ < s->nprobe) w->first_rows += s->ivf->starts[list + 1] - s->ivf->starts[list];
}

static bool may_have_near(const struct ivf_search *s, size_t query, const struct ivf_near *at)
{
    const struct index_query *q = ivf_query(s, query);
    if (s->desc.gate.shut_word) return true; /* (2) */
    return !(ivf_list_bound(ivf_oracle_of(q), at->list, at->distance) > ivf_limit(q));
}

static void begin_list(struct ivf_search *s, uint32_t list)
{
    s->asked = s->open_count = 0;
    s->place = s->ivf->starts[list];
    s->end = s->ivf->starts[list + 1];
}

/* The next queries that chose the same list; false: all were read. */
static bool next_together(struct ivf_search *s)
{
    size_t most = s->ivf->quantizer ? 1 : IVF_QUERIES;

    s->reader_count = 0;
    while (s->visit_at < s->visit_count && s->reader_count < most) {
        const struct ivf_visit *v = &s->visits[s->visit_order[s->visit_at]];
        if (s->reader_count > 0 && v->at.list != s->readers[0].at.list) break;
        s->visit_at++;
        visit(s, v->query, v->at.list);
        if (may_have_near(s, v->query, &v->at)) s->readers[s->reader_count++] = *v;
    }
    if (s->reader_count > 0) begin_list(s, s->readers[0].at.list);
    return s->reader_count > 0;
}

/* Of what it would see without a gate, the share of open rows that a query is to see (2). */
static double open_due(const struct ivf_search *s, const struct ivf_walk *w)
{
    double due = sqrt((double)w->open / (double)w->useful);
    double shut = s->open_share / sqrt((double)w->open / (double)w->seen);

    if (due < shut) due = shut;
    return due < 1 ? due : 1;
}

static bool wants_more(const struct ivf_search *s)
{
    const struct index_query *q = ivf_query(s, s->query);
    const struct ivf_walk *w = &s->walks[s->query];
    size_t found = q->best->count + (s->pool_rows > 0 ? s->pools[s->query].count : 0);

    if (w->visited >= s->ivf->list_count) return false;
    if (w->visited < s->nprobe) return true;
    if (q->distance_max == INFINITY && found < q->best->capacity) return true;
    if (q->distance_max < INFINITY && w->vain <= s->nprobe / VAIN_SHARE) return true;
    if (!s->desc.gate.shut_word) return false;
    if (w->open == 0) return true;
    return ivf_open_seen(s, w) < (double)w->first_rows * open_due(s, w);
}

/* The next list of the query that walks alone; false: it has enough. */
static bool next_alone(struct ivf_search *s)
{
    struct ivf_walk *w = &s->walks[s->query];

    while (wants_more(s)) {
        if (!s->has_heap) {
            make_heap(s);
            for (uint32_t i = 0; i < w->visited; i++) pop_nearest(s);
        }
        struct ivf_near nearest = pop_nearest(s);
        visit(s, s->query, nearest.list);
        w->vain = w->visited <= s->nprobe ? 0 : w->has_found ? 1 : w->vain + 1;
        w->has_found = false;
        if (!may_have_near(s, s->query, &nearest)) continue;
        s->readers[0] = (struct ivf_visit){nearest, (uint32_t)s->query};
        s->reader_count = 1;
        begin_list(s, nearest.list);
        return true;
    }
    return false;
}

/* ---- Steps ---- */

/* One step of the stage, about so many distances; -1: it failed. */
static int step(struct ivf_search *s, uint64_t *distances, struct error *err)
{
    *distances = 0;
    switch (s->stage) {
    case IVF_PLAN:
        plan_query(s);
        *distances = s->ivf->list_count;
        if (s->query < s->group_count) return 0;
        sort_visits(s);
        s->block_rows = s->block_rows > TOGETHER_ROWS ? TOGETHER_ROWS : s->block_rows;
        s->query = 0;
        s->stage = IVF_TOGETHER;
        return 0;
    case IVF_TOGETHER:
        if (!next_together(s)) s->stage = IVF_ALONE;
        return 0;
    case IVF_ALONE:
        if (!s->has_heap) *distances = s->ivf->list_count;
        if (!next_alone(s)) s->stage = IVF_CONFIRM;
        return 0;
    case IVF_CONFIRM:
        *distances = s->pool_rows;
        if (ivf_confirm(s, s->query, err) != 0) return -1;
        s->has_heap = false;
        s->stage = ++s->query < s->group_count ? IVF_ALONE : IVF_NEXT_GROUP;
        return 0;
    case IVF_NEXT_GROUP:
        break;
    }
    return 0;
}

enum index_state ivf_advance(void *search, uint64_t distance_max, struct error *err)
{
    struct ivf_search *s = (struct ivf_search *)search;
    uint64_t done = 0, distances;

    while (done == 0 || done < distance_max) {
        if (s->place < s->end) {
            uint32_t before = s->place;
            if (ivf_read_block(s, err) != 0) return INDEX_FAILED;
            done += (uint64_t)(s->place - before) * s->reader_count;
            continue;
        }
        if (s->stage == IVF_NEXT_GROUP) {
            s->group_first += s->group_count;
            if (s->group_first == s->desc.query_count) return INDEX_DONE;
            begin_group(s);
        }
        if (step(s, &distances, err) != 0) return INDEX_FAILED;
        done += distances;
    }
    return INDEX_MORE;
}
