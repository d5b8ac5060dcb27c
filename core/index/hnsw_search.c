/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_search.c — a search over a graph: some queries in flight, a step of each in turn.
 *
 * WHAT        A query goes down the levels to the node that is nearest on level 1, and from there
 *             on level 0 to the nearest node that it has not looked at yet, until those that it
 *             keeps are all looked at: ef of them, and what is within the range besides.
 *             A step of it is either to look at a node's links, and ask for the vectors of those
 *             that are new to it; or to measure these, and ask for the links of the node that is
 *             next.  Between two steps of one query others have theirs, so that the memory has
 *             time to answer.
 * GATES       Where few rows are shut they are walked through; a list without room for them says
 *             that they are not few here.  Then, or where the gate says that it shuts many, shut
 *             nodes are stepped over and never measured (hnsw_gate.c).  Where so few are open that
 *             a walk costs more, or when a walk ends with fewer than were asked for, the open rows
 *             are measured one after another, all of them: so k come back if there are k.
 * INVARIANTS  (1) A query's steps depend on no other's and on no budget: however a search is cut,
 *                 it finds the same.
 *             (2) What is pushed was measured by `exact`, or by the same kernel from the same
 *                 floats.
 *             (3) No number is followed that open has not checked; each step adds a node to those
 *                 that were met, or lets a query be done.
 * THREADS     One at a time.
 * FAILURE     What `exact` says.
 */
#include "index/hnsw_search.h"

#include <math.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

enum {
    PREFETCH_FLOATS = 128, /* of a vector: the processor sees the stream and fetches the rest */
    POOL_MIN = 256,
    POOL_FACTOR = 4,   /* of ef, for shut nodes and ranges */
    WALK_COST = 24,    /* rows of a scan that cost what one of ef costs */
    SPARE_RESULTS = 4, /* that are measured again, where it was not in full: ties */
};

/* ---- The oracle: the vectors of the index ---- */

size_t hnsw_oracle_bytes(const struct index *index, uint32_t dim)
{
    (void)index, (void)dim;
    return align_up(sizeof(struct hnsw_oracle), ALIGN_VECTOR);
}

struct oracle *hnsw_oracle_init(const struct index *index, void *memory,
                                const struct oracle_desc *desc)
{
    static const struct oracle_ops none = {0};
    const struct hnsw *h = (const struct hnsw *)index;
    struct hnsw_oracle *o = (struct hnsw_oracle *)memory;

    *o = (struct hnsw_oracle){
        .base = {&none, h->dim * (uint32_t)sizeof(float)},
        .pair = metric_kernels(h->metric, desc->kernels).pair,
        .query = desc->query.vector,
        .turn = {0, 1},
        .is_exact = true,
    };
    switch (metric_find(h->metric)->value) {
    case METRIC_VALUE_DISTANCE:
    case METRIC_VALUE_MEASURE:
        break;
    case METRIC_VALUE_PRODUCT:
        o->turn.factor = -1;
        break;
    case METRIC_VALUE_ANGLE:
        o->is_exact = false;
        o->turn = (struct hnsw_turn){1, desc->query.norm > 0 ? -1 / desc->query.norm : 0};
        break;
    }
    return &o->base;
}

static float measure(const struct hnsw_search *s, const struct hnsw_oracle *o, uint32_t node)
{
    return hnsw_distance(o->turn, o->pair(o->query, hnsw_vector(s->h, node), s->h->dim));
}

static void prefetch_vector(const struct hnsw *h, uint32_t node)
{
    const float *vector = hnsw_vector(h, node);
    for (uint32_t i = 0; i < h->vector_floats && i < PREFETCH_FLOATS; i += 16)
        __builtin_prefetch(vector + i);
}

static void prefetch_links(const struct hnsw *h, uint32_t node)
{
    const uint32_t *links = h->links + (size_t)node * h->link_places;
    __builtin_prefetch(links);
    __builtin_prefetch(links + 16);
}

/* ---- Memory ---- */

static uint32_t effort_of(const struct hnsw *h, const struct index_options *options, size_t k)
{
    uint32_t ef = options->effort ? options->effort : h->ef_search;
    return ef >= k ? ef : k < HNSW_POOL_MAX ? (uint32_t)k : HNSW_POOL_MAX;
}

static uint32_t pool_of(uint32_t ef)
{
    uint64_t pool = (uint64_t)ef * POOL_FACTOR;
    return pool < POOL_MIN ? POOL_MIN : pool < HNSW_POOL_MAX ? (uint32_t)pool : HNSW_POOL_MAX;
}

static uint32_t expected_of(const struct hnsw *h, uint32_t ef)
{
    uint64_t expected = (uint64_t)ef * h->m;
    return expected < h->head->row_count ? (uint32_t)expected : h->head->row_count;
}

static size_t lane_bytes(const struct hnsw *h, uint32_t ef)
{
    return align_up(sizeof(struct hnsw_lane), ALIGN_VECTOR) +
           align_up((pool_of(ef) + 1) * sizeof(struct found_node), ALIGN_VECTOR) +
           align_up(visited_bytes(h->head->row_count, expected_of(h, ef)), ALIGN_VECTOR);
}

static uint32_t lanes_for(size_t query_count)
{
    return query_count < HNSW_LANES_MAX ? (uint32_t)query_count : HNSW_LANES_MAX;
}

size_t hnsw_search_bytes(const struct index *index, const struct index_options *options, size_t k,
                         size_t query_count)
{
    const struct hnsw *h = (const struct hnsw *)index;
    return align_up(sizeof(struct hnsw_search), ALIGN_VECTOR) +
           lanes_for(query_count) * lane_bytes(h, effort_of(h, options, k));
}

/* Does a walk cost more than a scan of so many rows? */
static bool is_scan_cheaper(const struct hnsw_search *s, uint64_t row_count)
{
    uint64_t ef = s->ef;
    return ef >= HNSW_POOL_MAX || row_count <= ef * WALK_COST + ef * ef / 64;
}

void hnsw_begin(void *search, const struct index_search_desc *desc)
{
    struct hnsw_search *s = (struct hnsw_search *)search;
    const struct hnsw *h = (const struct hnsw *)desc->index;

    s->desc = *desc;
    s->h = h;
    s->lane_count = lanes_for(desc->query_count);
    s->turn = 0;
    s->next_query = 0;
    s->is_surveyed = false;
    s->seed_count = 0;
    s->open_estimate = h->head->row_count;
    s->ef = effort_of(h, &desc->options, desc->queries[0].best->capacity);
    uint8_t *at = (uint8_t *)search + align_up(sizeof *s, ALIGN_VECTOR);
    s->lanes = (struct hnsw_lane *)(void *)at;
    size_t lanes = s->lane_count * align_up(sizeof(struct hnsw_lane), ALIGN_VECTOR);
    size_t pool = align_up((pool_of(s->ef) + 1) * sizeof(struct found_node), ALIGN_VECTOR);
    uint32_t expected = expected_of(h, s->ef);
    at += lanes;
    for (uint32_t i = 0; i < s->lane_count; i++) {
        s->lanes[i].stage = HNSW_IDLE;
        candidates_init(&s->lanes[i].found, at, pool_of(s->ef));
        visited_init(&s->lanes[i].visited, at + pool, h->head->row_count, expected);
        at += pool + align_up(visited_bytes(h->head->row_count, expected), ALIGN_VECTOR);
    }
}

/* ---- What a query keeps ---- */

static bool is_wanted(const struct hnsw_lane *lane, float distance)
{
    const struct candidates *c = &lane->found;
    return c->open_count < lane->ef || distance < c->items[c->count - 1].distance ||
           distance <= lane->range;
}

/* false: there is no room. */
static bool keep(struct hnsw_search *s, struct hnsw_lane *lane, float distance, uint32_t node)
{
    struct candidates *c = &lane->found;

    if (candidates_insert(c, distance, node) <= c->next)
        prefetch_links(s->h, node & CANDIDATE_NODE);
    while (c->count > 0) {
        const struct found_node *last = &c->items[c->count - 1];
        bool is_spare =
            c->open_count > lane->ef || (c->open_count == lane->ef && last->node & CANDIDATE_SHUT);
        if (!is_spare || last->distance <= lane->range) break;
        candidates_drop_last(c);
    }
    return c->count <= c->capacity;
}

/* ---- Stages ---- */

static void begin_scan(struct hnsw_lane *lane)
{
    lane->stage = HNSW_SCAN;
    lane->scan_row = 0;
}

/* On level 0, from the node at hand. */
static void begin_walk(struct hnsw_search *s, struct hnsw_lane *lane)
{
    uint32_t mark = lane->way != HNSW_PLAIN && hnsw_is_shut(s, lane->node) ? CANDIDATE_SHUT : 0;

    candidates_clear(&lane->found);
    visited_clear(&lane->visited);
    visited_add(&lane->visited, lane->node);
    candidates_insert(&lane->found, lane->distance, lane->node | mark);
    lane->fresh_count = 0;
    for (uint32_t i = 0; lane->way == HNSW_OVER && i < s->seed_count; i++) {
        if (!visited_add(&lane->visited, s->seeds[i])) continue;
        prefetch_vector(s->h, s->seeds[i]);
        lane->fresh[lane->fresh_count++] = s->seeds[i];
    }
    lane->stage = HNSW_SCORE;
}

/* Once more, over what is shut; or a scan, if that is less. */
static void walk_over(struct hnsw_search *s, struct hnsw_lane *lane)
{
    hnsw_survey(s);
    if (is_scan_cheaper(s, s->open_estimate)) {
        begin_scan(lane);
        return;
    }
    lane->way = HNSW_OVER;
    uint32_t node = lane->found.items[0].node & CANDIDATE_NODE;
    lane->distance = lane->found.items[0].distance;
    lane->node = node;
    begin_walk(s, lane);
}

static void begin_query(struct hnsw_search *s, struct hnsw_lane *lane)
{
    const struct index_query *query = &s->desc.queries[s->next_query++];

    lane->query = query;
    lane->oracle = (const struct hnsw_oracle *)query->oracle;
    lane->ef = s->ef;
    lane->range = query->distance_max < INFINITY ? query->distance_max : -INFINITY;
    lane->way = s->desc.gate.shut_word ? HNSW_THROUGH : HNSW_PLAIN;
    lane->fresh_count = 0;
    if (s->desc.gate.comes_first) {
        hnsw_survey(s);
        if (s->open_estimate * 3 < s->h->head->row_count) lane->way = HNSW_OVER;
    }
    if (is_scan_cheaper(s, s->open_estimate)) {
        begin_scan(lane);
        return;
    }
    lane->node = 0;
    lane->distance = measure(s, lane->oracle, 0);
    lane->level = s->h->head->level_count;
    if (lane->level > 0) lane->stage = HNSW_DESCEND;
    else begin_walk(s, lane);
}

/* To the nearest of the links, or down a level. */
static uint64_t descend(struct hnsw_search *s, struct hnsw_lane *lane)
{
    const struct hnsw *h = s->h;
    const uint32_t *links = hnsw_links(h, lane->level, lane->node);
    uint32_t before = lane->node, count = 0;

    while (count < h->upper_places && links[count] != HNSW_NONE) prefetch_vector(h, links[count++]);
    for (uint32_t i = 0; i < count; i++) {
        float distance = measure(s, lane->oracle, links[i]);
        if (distance < lane->distance) {
            lane->distance = distance;
            lane->node = links[i];
        }
    }
    if (lane->node == before && --lane->level == 0) begin_walk(s, lane);
    return count;
}

static void expand(struct hnsw_search *s, struct hnsw_lane *lane)
{
    const struct hnsw *h = s->h;
    const uint32_t *links = hnsw_links(h, 0, lane->node);
    uint32_t count = 0;

    lane->stage = HNSW_SCORE;
    if (lane->way == HNSW_OVER) {
        hnsw_step_over(s, lane);
        for (uint32_t i = 0; i < lane->fresh_count; i++)
            prefetch_vector(h, lane->fresh[i] & CANDIDATE_NODE);
        return;
    }
    for (uint32_t i = 0; i < h->link_places && links[i] != HNSW_NONE; i++) {
        uint32_t node = links[i];
        if (!visited_add(&lane->visited, node)) continue;
        prefetch_vector(h, node);
        if (lane->way == HNSW_THROUGH && hnsw_is_shut(s, node)) node |= CANDIDATE_SHUT;
        lane->fresh[count++] = node;
    }
    lane->fresh_count = count;
}

/* Measure what is found again, where that is needed, and push it. */
static int push_found(struct hnsw_search *s, struct hnsw_lane *lane, struct error *err)
{
    const struct index_query *q = lane->query;
    const struct candidates *c = &lane->found;
    size_t most = q->best->capacity + (lane->oracle->is_exact ? 0 : SPARE_RESULTS), pushed = 0;

    for (uint32_t at = 0; at < c->count && pushed < most;) {
        uint32_t count = 0;
        for (; at < c->count && count < HNSW_SCAN_ROWS && pushed + count < most; at++) {
            if (c->items[at].node & CANDIDATE_SHUT) continue;
            s->rows[count] = s->h->rows[c->items[at].node & CANDIDATE_NODE];
            s->distances[count++] = c->items[at].distance;
        }
        if (!lane->oracle->is_exact && count > 0 &&
            oracle_gather(q->exact, s->rows, count, s->distances, err) != 0)
            return -1;
        for (uint32_t i = 0; i < count; i++) {
            if (s->distances[i] > q->distance_max) continue;
            topk_push(q->best, s->distances[i], s->desc.part, s->rows[i]);
        }
        pushed += count;
    }
    return 0;
}

/* The walk has come to its end. */
static int end_walk(struct hnsw_search *s, struct hnsw_lane *lane, struct error *err)
{
    size_t least = lane->query->best->capacity;

    if (lane->ef < least || lane->range > -INFINITY) least = 1; /* of a range any number may be */
    if (lane->found.open_count < least && lane->found.open_count < s->h->head->row_count) {
        if (lane->way == HNSW_THROUGH) walk_over(s, lane);
        else begin_scan(lane);
        return 0;
    }
    lane->stage = HNSW_IDLE;
    return push_found(s, lane, err);
}

static int score(struct hnsw_search *s, struct hnsw_lane *lane, struct error *err)
{
    for (uint32_t i = 0; i < lane->fresh_count; i++) {
        float distance = measure(s, lane->oracle, lane->fresh[i] & CANDIDATE_NODE);
        if (!is_wanted(lane, distance)) continue;
        if (keep(s, lane, distance, lane->fresh[i])) continue;
        if (lane->way == HNSW_THROUGH && lane->range == -INFINITY) walk_over(s, lane);
        else begin_scan(lane);
        return 0;
    }
    uint32_t node = candidates_take(&lane->found);
    if (node == UINT32_MAX) return end_walk(s, lane, err);
    lane->node = node;
    lane->stage = HNSW_EXPAND;
    return 0;
}

/* A step of a query; *done grows by the distances that it took. */
static int step(struct hnsw_search *s, struct hnsw_lane *lane, uint64_t *done, struct error *err)
{
    bool is_done = false;

    switch (lane->stage) {
    case HNSW_IDLE:
        begin_query(s, lane);
        *done += 1;
        return 0;
    case HNSW_DESCEND:
        *done += descend(s, lane);
        return 0;
    case HNSW_EXPAND:
        expand(s, lane);
        return 0;
    case HNSW_SCORE:
        *done += lane->fresh_count + 1;
        return score(s, lane, err);
    case HNSW_SCAN:
        if (hnsw_scan(s, lane, done, &is_done, err) != 0) return -1;
        if (is_done) lane->stage = HNSW_IDLE;
        return 0;
    }
    UNREACHABLE();
}

enum index_state hnsw_advance(void *search, uint64_t distance_max, struct error *err)
{
    struct hnsw_search *s = (struct hnsw_search *)search;
    uint64_t done = 0;
    uint32_t idle = 0;

    while (idle < s->lane_count) {
        struct hnsw_lane *lane = &s->lanes[s->turn];
        s->turn = s->turn + 1 < s->lane_count ? s->turn + 1 : 0;
        if (lane->stage == HNSW_IDLE && s->next_query == s->desc.query_count) {
            idle++;
            continue;
        }
        idle = 0;
        if (step(s, lane, &done, err) != 0) return INDEX_FAILED;
        if (done >= distance_max) return INDEX_MORE;
    }
    return INDEX_DONE;
}
