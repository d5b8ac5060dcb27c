/* SPDX-License-Identifier: Apache-2.0 */
/* ivf_search.c — which lists are read for which query, and when it is enough.
 *
 * WHAT        One query walks alone: its lists are put into a heap, and it reads them nearest
 *             first.  So does each of several where lists have codes: read together they were no
 *             faster (60,000 x 384, PQFS and RABITQ4, 512 queries: 140 and 110 us each, both ways).
 *             Several queries over vectors first choose the nprobe nearest lists each; the choices
 *             are sorted by list, and a list is read for all that chose it, a few at a time, while
 *             it is in the cache.  Then those that have not enough walk on alone, from where they
 *             are.
 *             Many queries are taken group by group, so that the memory of a search is bounded.
 * ENOUGH      See near_lists.h.
 * PASSED OVER Without a gate, a list of which no row can be near enough, by its radius, counts as
 *             read.
 * INVARIANTS  (1) Lists come in an order that depends on the query alone, so that a walk that is
 *                 taken up again begins with those that were read together.
 *             (2) A query finds the same alone and in a batch.  What is enough depends on the set
 *                 of lists that were visited, not on their order; so where there is a gate no list
 *                 is passed over, for the gate would go unseen.  What codes leave out does depend
 *                 on the order, as far as their bounds are a matter of chance: it is the same one.
 *                 With slack, what it leaves out of lists without codes may differ.
 * THREADS     One at a time.
 * FAILURE     What the exact oracle says.
 */
#include "index/ivf_search.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"

enum {
    GROUPS_MIN = 12, /* of lists, that are looked into */
    GROUP_QUERIES = 256,
    GROUP_BYTES = 8 << 20,
    BLOCK_BYTES = 512 << 10,
    TOGETHER_ROWS = IVF_BLOCK_ROWS / IVF_QUERIES,
    OVERSAMPLE = 10,      /* where nothing is said and codes know no bounds */
    LATER_ROWS_MIN = 128, /* kept for later, where they do */
};

/* ---- Memory ---- */

struct layout {
    size_t walks, pools, pool_memory, visits, visit_order, list_ends, near, end;
    size_t group_most, pool_rows, later_rows;
    uint32_t nprobe;
};

static void lay_out(const struct ivf *v, const struct index_options *options, size_t k,
                    size_t query_count, struct layout *l)
{
    uint32_t nprobe = options->effort > 0 ? options->effort : v->nprobe;
    double pool = options->oversample > 0 ? options->oversample : OVERSAMPLE;

    *l = (struct layout){.end = align_up(sizeof(struct ivf_search), ALIGN_VECTOR)};
    l->nprobe = nprobe < v->centers.count ? nprobe : v->centers.count;
    if (v->quantizer) l->pool_rows = (size_t)ceil(pool * (double)k);
    if (l->pool_rows > v->base.row_count) l->pool_rows = v->base.row_count;
    if (v->quantizer && !(options->oversample > 0) && !options->is_range)
        l->later_rows = l->pool_rows > LATER_ROWS_MIN ? l->pool_rows : LATER_ROWS_MIN;
    size_t kept_rows = l->pool_rows > l->later_rows ? l->pool_rows : l->later_rows;
    size_t each = l->nprobe * (sizeof(struct ivf_visit) + sizeof(uint32_t)) +
                  sizeof(struct list_walk) + sizeof(struct topk) +
                  kept_rows * sizeof(struct candidate);
    size_t most = GROUP_BYTES / each;
    most = most < 1 ? 1 : most > GROUP_QUERIES ? GROUP_QUERIES : most;
    l->group_most = query_count < most ? query_count : most;
    l->walks = take_aligned(&l->end, l->group_most * sizeof(struct list_walk));
    l->pools = take_aligned(&l->end, l->group_most * sizeof(struct topk));
    l->pool_memory = take_aligned(&l->end, l->group_most * kept_rows * sizeof(struct candidate));
    l->visits = take_aligned(&l->end, l->group_most * l->nprobe * sizeof(struct ivf_visit));
    l->visit_order = take_aligned(&l->end, l->group_most * l->nprobe * sizeof(uint32_t));
    l->list_ends = take_aligned(&l->end, v->centers.count * sizeof(uint32_t));
    l->near = take_aligned(&l->end, near_lists_bytes(&v->centers));
}

size_t ivf_search_bytes(const struct index *index, const struct index_options *options, size_t k,
                        size_t query_count)
{
    struct layout l;
    lay_out((const struct ivf *)index, options, k, query_count, &l);
    return l.end;
}

static void begin_group(struct ivf_search *s)
{
    size_t left = s->desc.query_count - s->group_first;

    s->group_count = left < s->group_most ? left : s->group_most;
    memset(s->walks, 0, s->group_count * sizeof *s->walks);
    size_t kept_rows = s->pool_rows + s->later_rows;
    for (size_t i = 0; i < s->group_count && kept_rows > 0; i++)
        topk_init_at(&s->pools[i], s->pool_memory + i * kept_rows, kept_rows, topk_lower_row, NULL);
    s->query = 0;
    s->visit_count = s->visit_at = 0;
    s->has_near = false;
    s->place = s->end = 0;
    s->stage = s->group_count > 1 && !s->ivf->quantizer ? IVF_PLAN : IVF_ALONE; /* (2) */
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
    s->walks = (struct list_walk *)(void *)(at + l.walks);
    s->pools = (struct topk *)(void *)(at + l.pools);
    s->pool_memory = (struct candidate *)(void *)(at + l.pool_memory);
    s->visits = (struct ivf_visit *)(void *)(at + l.visits);
    s->visit_order = (uint32_t *)(void *)(at + l.visit_order);
    s->list_ends = (uint32_t *)(void *)(at + l.list_ends);
    s->near_memory = at + l.near;
    bool has_bounds = v->quantizer && first->inner->ops->estimate;
    s->pool_rows = has_bounds && !(desc->options.oversample > 0) ? 0 : l.pool_rows;
    s->later_rows = has_bounds ? l.later_rows : 0;
    uint32_t rows = BLOCK_BYTES / first->inner->row_bytes;
    s->block_rows = v->quantizer || rows > IVF_BLOCK_ROWS ? IVF_BLOCK_ROWS : rows < 1 ? 1 : rows;
    s->due = (struct list_due){
        .list_count = v->centers.count,
        .nprobe = l.nprobe,
        .has_gate = desc->gate.shut_word != NULL,
        .is_range = desc->queries[0].distance_max < INFINITY,
        .asked_one_in = desc->gate.comes_first ? 1 : IVF_SAMPLE_PLACES,
    };
    if (s->due.has_gate) s->due.open_share = list_open_share(&desc->gate, v->base.row_count);
    s->group_most = l.group_most;
    s->group_first = 0;
    begin_group(s);
}

/* ---- Which lists ---- */

static void begin_near(struct ivf_search *s)
{
    const struct ivf_oracle *o = ivf_oracle_of(ivf_query(s, s->query));
    near_lists_begin(&s->near, &s->ivf->centers, &o->query, GROUPS_MIN, s->near_memory);
    s->has_near = true;
}

/* Choose for the query whose turn it is. */
static void plan_query(struct ivf_search *s)
{
    begin_near(s);
    for (uint32_t i = 0; i < s->due.nprobe; i++)
        s->visits[s->visit_count++] =
            (struct ivf_visit){near_lists_take(&s->near), (uint32_t)s->query};
    s->has_near = false;
    s->query++;
}

/* visit_order: by list, and within one by query. */
static void sort_visits(struct ivf_search *s)
{
    uint32_t end = 0;

    memset(s->list_ends, 0, s->ivf->centers.count * sizeof *s->list_ends);
    for (size_t i = 0; i < s->visit_count; i++) s->list_ends[s->visits[i].at.list]++;
    for (uint32_t list = 0; list < s->ivf->centers.count; list++) {
        uint32_t size = s->list_ends[list];
        s->list_ends[list] = end;
        end += size;
    }
    for (size_t i = 0; i < s->visit_count; i++)
        s->visit_order[s->list_ends[s->visits[i].at.list]++] = (uint32_t)i;
}

static void visit(struct ivf_search *s, size_t query, uint32_t list)
{
    uint32_t rows = s->ivf->starts[list + 1] - s->ivf->starts[list];
    list_walk_visit(&s->walks[query], &s->due, rows);
}

static bool may_have_near(const struct ivf_search *s, size_t query, const struct near_list *at)
{
    const struct index_query *q = ivf_query(s, query);
    const struct oracle_query *own = &ivf_oracle_of(q)->query;
    if (s->desc.gate.shut_word) return true; /* (2) */
    return !(list_bound(&s->ivf->centers, own, at->list, at->distance) > ivf_bound_limit(s, q));
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
    s->reader_count = 0;
    while (s->visit_at < s->visit_count && s->reader_count < IVF_QUERIES) {
        const struct ivf_visit *v = &s->visits[s->visit_order[s->visit_at]];
        if (s->reader_count > 0 && v->at.list != s->readers[0].at.list) break;
        s->visit_at++;
        visit(s, v->query, v->at.list);
        if (may_have_near(s, v->query, &v->at)) s->readers[s->reader_count++] = *v;
    }
    if (s->reader_count > 0) begin_list(s, s->readers[0].at.list);
    return s->reader_count > 0;
}

static bool wants_more(const struct ivf_search *s)
{
    const struct index_query *q = ivf_query(s, s->query);
    size_t found = q->best->count + (s->pool_rows > 0 ? s->pools[s->query].count : 0);

    return list_walk_wants_more(&s->walks[s->query], &s->due, found, q->best->capacity);
}

/* What a list is read by: its first blocks, of which the processor sees the stream and fetches the
 * rest, and which rows are in it. */
static void ask_for_list(const struct ivf_search *s, uint32_t list)
{
    enum { LINE_BYTES = 64, LINE_ROWS = LINE_BYTES / sizeof(uint32_t), AHEAD_BYTES = 4096 };
    const struct ivf *v = s->ivf;

    if (list == NEAR_LISTS_NONE || !v->quantizer) return;
    const uint8_t *blocks = v->blocks + v->block_starts[list] * v->block_bytes;
    for (size_t i = 0; i < AHEAD_BYTES; i += LINE_BYTES) __builtin_prefetch(blocks + i);
    for (size_t i = v->starts[list]; i < v->starts[list + 1]; i += LINE_ROWS)
        __builtin_prefetch(v->rows + i);
}

/* The next list of the query that walks alone; false: it has enough. */
static bool next_alone(struct ivf_search *s)
{
    struct list_walk *w = &s->walks[s->query];

    while (wants_more(s)) {
        if (!s->has_near) {
            begin_near(s);
            for (uint32_t i = 0; i < w->visited; i++) near_lists_take(&s->near);
        }
        struct near_list nearest = near_lists_take(&s->near);
        visit(s, s->query, nearest.list);
        if (!may_have_near(s, s->query, &nearest)) continue;
        s->readers[0] = (struct ivf_visit){nearest, (uint32_t)s->query};
        s->reader_count = 1;
        begin_list(s, nearest.list);
        ask_for_list(s, near_lists_ahead(&s->near));
        return true;
    }
    return false;
}

/* ---- Steps ---- */

/* One step of the stage, about so many distances; -1: it failed. */
static int step(struct ivf_search *s, uint64_t *distances, struct error *err)
{
    uint64_t before;

    *distances = 0;
    switch (s->stage) {
    case IVF_PLAN:
        plan_query(s);
        *distances = s->near.measured;
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
        before = s->has_near ? s->near.measured : 0;
        if (!next_alone(s)) s->stage = IVF_CONFIRM;
        if (s->has_near) *distances = s->near.measured - before;
        return 0;
    case IVF_CONFIRM:
        if (s->pool_rows + s->later_rows > 0) *distances = s->pools[s->query].count;
        if (ivf_confirm(s, s->query, err) != 0) return -1;
        s->has_near = false;
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
