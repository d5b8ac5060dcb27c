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
 * SLACK       A walk that may leave out rows ends when its k nearest have been the same for a share
 *             of ef steps, and the next node is farther than they.
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
    POOL_MIN = 256,
    POOL_FACTOR = 4, /* of ef, for shut nodes and ranges */
    MET_SHARE = 2,   /* nodes that a walk meets, of ef times m; a bitmap costs more than room */
    WALK_COST = 24,  /* rows of a scan that cost what one of ef costs, where no node is shut */
    SHUT_SHARE = 6,  /* shut nodes are stepped over where fewer than one in so many is open */
    /* What takes how long where some are, in ns (bench/README.md). */
    THROUGH_NS = 3000,     /* one of ef, where shut nodes are walked through */
    OVER_NS = 7000,        /* where they are stepped over */
    ROW_BYTES_PER_NS = 16, /* of a scan; and SCANNED_ROW_NS */
    PATIENCE_SHARE = 8, /* of ef: steps without a nearer k-th row before a walk with slack ends */
    RANGE_OF_CODES = 4, /* times as hard is a range looked for whose limit codes tell roughly */
    SPARE_RESULTS = 4,  /* that are measured again, where it was not in full: ties */
    BOUNDED_NODES = 32, /* whose bounds are looked at at once */
};

/* ---- Memory ---- */

/* Open nodes that a query keeps at the most: of a range those that are within it, too. */
static uint32_t most_of(uint32_t ef, size_t k)
{
    return ef >= k ? ef : k < HNSW_POOL_MAX ? (uint32_t)k : HNSW_POOL_MAX;
}

static uint32_t effort_of(const struct hnsw *h, const struct index_options *options, size_t k)
{
    uint32_t ef = options->effort ? options->effort : h->ef_search;
    uint32_t most = most_of(ef, k);

    if (!options->is_range) return most;
    if (!h->quantizer) return ef;
    return ef < most / RANGE_OF_CODES ? ef * RANGE_OF_CODES : most;
}

static uint32_t pool_of(uint32_t ef)
{
    uint64_t pool = (uint64_t)ef * POOL_FACTOR;
    return pool < POOL_MIN ? POOL_MIN : pool < HNSW_POOL_MAX ? (uint32_t)pool : HNSW_POOL_MAX;
}

static uint32_t expected_of(const struct hnsw *h, uint32_t ef)
{
    uint64_t expected = (uint64_t)ef * h->m * MET_SHARE;
    return expected < h->head->row_count ? (uint32_t)expected : h->head->row_count;
}

static size_t lane_bytes(const struct hnsw *h, uint32_t ef, size_t k)
{
    return align_up(sizeof(struct hnsw_lane), ALIGN_VECTOR) +
           2 * align_up((pool_of(most_of(ef, k)) + 1) * sizeof(struct found_node), ALIGN_VECTOR) +
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
           lanes_for(query_count) * lane_bytes(h, effort_of(h, options, k), k);
}

static bool is_mostly_shut(const struct hnsw_search *s)
{
    return s->open_estimate * SHUT_SHARE < s->h->head->row_count;
}

/* Does a walk cost more than a scan of so many rows? */
static bool is_scan_cheaper(const struct hnsw_search *s, uint64_t row_count)
{
    uint64_t ef = s->ef, walk_ns = is_mostly_shut(s) ? OVER_NS : THROUGH_NS;
    uint64_t row_ns = SCANNED_ROW_NS + s->desc.queries[0].exact->row_bytes / ROW_BYTES_PER_NS;

    if (ef >= HNSW_POOL_MAX) return true;
    if (!s->desc.gate.shut_word) return row_count <= ef * WALK_COST + ef * ef / 64;
    return row_count * row_ns <= ef * walk_ns;
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
    s->open_estimate = desc->gate.shut_word && desc->gate.open_count > 0 ? desc->gate.open_count
                                                                         : h->head->row_count;
    s->ef = effort_of(h, &desc->options, desc->queries[0].best->capacity);
    uint8_t *at = (uint8_t *)search + align_up(sizeof *s, ALIGN_VECTOR);
    s->lanes = (struct hnsw_lane *)(void *)at;
    size_t lanes = s->lane_count * align_up(sizeof(struct hnsw_lane), ALIGN_VECTOR);
    s->most = most_of(s->ef, desc->queries[0].best->capacity);
    uint32_t capacity = pool_of(s->most);
    size_t pool = align_up((capacity + 1) * sizeof(struct found_node), ALIGN_VECTOR);
    uint32_t expected = expected_of(h, s->ef);
    at += lanes;
    for (uint32_t i = 0; i < s->lane_count; i++) {
        s->lanes[i].stage = HNSW_IDLE;
        candidates_init(&s->lanes[i].found, at, capacity);
        candidates_init(&s->lanes[i].measured, at + pool, capacity);
        visited_init(&s->lanes[i].visited, at + 2 * pool, h->head->row_count, expected);
        at += 2 * pool + align_up(visited_bytes(h->head->row_count, expected), ALIGN_VECTOR);
    }
}

/* ---- What a query keeps ---- */

/* Not where shut nodes are stepped over: those behind them are in no block of the node. */
static bool is_by_blocks(const struct hnsw_search *s, const struct hnsw_lane *lane)
{
    return s->h->layout == HNSW_BY_BLOCKS && lane->way != HNSW_OVER;
}

static bool is_wanted(const struct hnsw_lane *lane, float distance)
{
    const struct candidates *c = &lane->found;
    return c->open_count < lane->ef || distance < c->items[c->count - 1].distance ||
           (distance <= lane->range && c->open_count < lane->most);
}

/* false: there is no room. */
static bool keep(struct hnsw_lane *lane, float distance, uint32_t node)
{
    struct candidates *c = &lane->found;

    if (candidates_insert(c, distance, node) <= c->next)
        hnsw_prefetch_links(lane->oracle, node & CANDIDATE_NODE);
    while (c->count > 0) {
        const struct found_node *last = &c->items[c->count - 1];
        bool is_spare =
            c->open_count > lane->ef || (c->open_count == lane->ef && last->node & CANDIDATE_SHUT);
        bool is_full = c->open_count > lane->most ||
                       (c->open_count == lane->most && last->node & CANDIDATE_SHUT);
        if (!is_spare || (last->distance <= lane->range && !is_full)) break;
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
    if (!is_by_blocks(s, lane)) visited_add(&lane->visited, lane->node);
    candidates_insert(&lane->found, lane->distance, lane->node | mark);
    candidates_clear(&lane->measured);
    lane->kth = INFINITY;
    lane->vain_steps = 0;
    lane->has_distances = false;
    lane->fresh_count = 0;
    if (lane->way == HNSW_OVER) hnsw_survey(s);
    for (uint32_t i = 0; lane->way == HNSW_OVER && i < s->seed_count; i++) {
        if (!visited_add(&lane->visited, s->seeds[i])) continue;
        hnsw_prefetch(lane->oracle, s->seeds[i]);
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

static int begin_query(struct hnsw_search *s, struct hnsw_lane *lane, struct error *err)
{
    const struct index_query *query = &s->desc.queries[s->next_query++];

    lane->query = query;
    lane->oracle = (const struct hnsw_oracle *)query->oracle;
    lane->ef = s->ef;
    lane->most = s->most;
    lane->range = query->distance_max < INFINITY ? query->distance_max : -INFINITY;
    lane->way = s->desc.gate.shut_word ? HNSW_THROUGH : HNSW_PLAIN;
    lane->fresh_count = 0;
    if (s->desc.gate.comes_first) {
        if (s->desc.gate.open_count == 0) hnsw_survey(s);
        if (is_mostly_shut(s)) lane->way = HNSW_OVER;
    }
    if (is_scan_cheaper(s, s->open_estimate)) {
        begin_scan(lane);
        return 0;
    }
    lane->node = 0;
    if (hnsw_measure(lane->oracle, &lane->node, 1, &lane->distance, err) != 0) return -1;
    lane->level = s->h->head->level_count;
    if (lane->level > 0) lane->stage = HNSW_DESCEND;
    else begin_walk(s, lane);
    return 0;
}

/* To the nearest of the links, or down a level. */
static int descend(struct hnsw_search *s, struct hnsw_lane *lane, uint64_t *done, struct error *err)
{
    const struct hnsw *h = s->h;
    const uint32_t *links = hnsw_links(h, lane->level, lane->node);
    uint32_t before = lane->node, count = 0;

    while (count < h->upper_places && links[count] != HNSW_NONE)
        hnsw_prefetch(lane->oracle, links[count++]);
    if (hnsw_measure(lane->oracle, links, count, s->distances, err) != 0) return -1;
    for (uint32_t i = 0; i < count; i++) {
        if (!(s->distances[i] < lane->distance)) continue;
        lane->distance = s->distances[i];
        lane->node = links[i];
    }
    *done += count;
    if (lane->node == before && --lane->level == 0) begin_walk(s, lane);
    return 0;
}

/* By blocks: what is linked to is known by its codes, and measured when its turn comes.  A node
 * that was too far by the estimate of one that links to it may still be found by that of another.
 */
static int expand_block(struct hnsw_search *s, struct hnsw_lane *lane, struct error *err)
{
    const struct hnsw *h = s->h;
    const uint32_t *links = hnsw_links(h, 0, lane->node);
    const uint8_t *block = h->blocks + lane->node * h->block_count * h->block_bytes;
    uint32_t row = h->rows[lane->node];
    float center, estimates[BLOCK_CODES];

    lane->fresh_count = 0;
    if (oracle_gather(lane->query->exact, &row, 1, &center, err) != 0) return -1;
    if (lane->way != HNSW_THROUGH || !hnsw_is_shut(s, lane->node)) {
        if (lane->measured.count == lane->measured.capacity) candidates_drop_last(&lane->measured);
        candidates_insert(&lane->measured, center, lane->node);
    }
    for (uint32_t i = 0; i < h->link_places && links[i] != HNSW_NONE; i++) {
        uint32_t node = links[i];
        if (i % BLOCK_CODES == 0) {
            struct oracle *codes = lane->oracle->codes;
            codes->ops->score_block(codes, block, center, estimates, NULL);
            block += h->block_bytes;
        }
        float distance = estimates[i % BLOCK_CODES];
        if (!is_wanted(lane, distance) || visited_has(&lane->visited, node)) continue;
        if (lane->way == HNSW_THROUGH && hnsw_is_shut(s, node)) node |= CANDIDATE_SHUT;
        s->distances[lane->fresh_count] = distance;
        lane->fresh[lane->fresh_count++] = node;
    }
    return 0;
}

static void expand(struct hnsw_search *s, struct hnsw_lane *lane)
{
    const struct hnsw *h = s->h;

    lane->stage = HNSW_SCORE;
    if (lane->way == HNSW_OVER) hnsw_step_over(s, lane);
    else
        lane->fresh_count = visited_add_all(&lane->visited, hnsw_links(h, 0, lane->node),
                                            h->link_places, lane->fresh);
    for (uint32_t i = 0; i < lane->fresh_count; i++) hnsw_prefetch(lane->oracle, lane->fresh[i]);
    if (lane->way != HNSW_THROUGH) return;
    for (uint32_t i = 0; i < lane->fresh_count; i++)
        if (hnsw_is_shut(s, lane->fresh[i])) lane->fresh[i] |= CANDIDATE_SHUT;
}

/* How many of what was found may be results: by codes all, or as many as the caller says. */
static size_t result_count(const struct hnsw_search *s, const struct hnsw_lane *lane, bool is_exact)
{
    size_t k = lane->query->best->capacity;

    if (is_exact) return k;
    if (!lane->oracle->codes) return k + SPARE_RESULTS;
    float times = s->desc.options.oversample;
    return times > 0 ? (size_t)((float)k * times) : lane->found.count;
}

static void push(struct hnsw_search *s, const struct index_query *q, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (s->distances[i] <= q->distance_max)
            topk_push(q->best, s->distances[i], s->desc.part, s->rows[i]);
}

/* Open nodes of c from *at on with their distances, at most `most`; how many. */
static uint32_t take_open(struct hnsw_search *s, const struct candidates *c, uint32_t *at,
                          size_t most)
{
    uint32_t count = 0;

    for (; *at < c->count && count < most; ++*at) {
        if (c->items[*at].node & CANDIDATE_SHUT) continue;
        s->nodes[count] = c->items[*at].node & CANDIDATE_NODE;
        s->distances[count++] = c->items[*at].distance;
    }
    return count;
}

/* Of nodes, at most BOUNDED_NODES, those that may be nearer than what the query has, to the
 * front. */
static int drop_far(struct hnsw_search *s, const struct index_query *q, struct oracle *codes,
                    uint32_t *count, struct error *err)
{
    float bounds[BOUNDED_NODES], limit = topk_threshold(q->best);
    uint32_t left = 0;

    if (q->distance_max < limit) limit = q->distance_max;
    if (codes->ops->estimate(codes, s->nodes, *count, s->distances, bounds, err) != 0) return -1;
    for (uint32_t i = 0; i < *count; i++)
        if (s->distances[i] - bounds[i] <= limit) s->nodes[left++] = s->nodes[i];
    *count = left;
    return 0;
}

/* Measure what is found again, where that is needed, and push it.  Of what codes have found, first
 * as many as are wanted, and then those alone that may be nearer, unless the caller says how
 * many. */
static int push_found(struct hnsw_search *s, struct hnsw_lane *lane, struct error *err)
{
    const struct index_query *q = lane->query;
    bool is_exact = lane->oracle->is_exact || is_by_blocks(s, lane);
    const struct candidates *c = is_by_blocks(s, lane) ? &lane->measured : &lane->found;
    struct oracle *codes = lane->oracle->codes;
    size_t left = result_count(s, lane, is_exact), most = HNSW_SCAN_ROWS, k = q->best->capacity;
    bool has_bounds = !is_exact && codes && codes->ops->estimate && s->desc.options.oversample == 0;

    for (uint32_t at = 0, count; left > 0; left -= count) {
        bool is_bounded = has_bounds && q->best->count == k;
        if (has_bounds) most = is_bounded ? BOUNDED_NODES : k;
        if (most > HNSW_SCAN_ROWS) most = HNSW_SCAN_ROWS;
        count = take_open(s, c, &at, left < most ? left : most);
        if (count == 0) break;
        uint32_t wanted = count;
        if (is_bounded && drop_far(s, q, codes, &wanted, err) != 0) return -1;
        for (uint32_t i = 0; i < wanted; i++) s->rows[i] = s->h->rows[s->nodes[i]];
        if (!is_exact && wanted > 0 &&
            oracle_gather(q->exact, s->rows, wanted, s->distances, err) != 0)
            return -1;
        push(s, q, wanted);
    }
    return 0;
}

/* The walk has come to its end. */
static int end_walk(struct hnsw_search *s, struct hnsw_lane *lane, struct error *err)
{
    const struct candidates *c = is_by_blocks(s, lane) ? &lane->measured : &lane->found;
    size_t least = lane->query->best->capacity;

    if (lane->ef < least || lane->range > -INFINITY) least = 1; /* of a range any number may be */
    if (c->open_count < least && c->open_count < s->h->head->row_count) {
        if (lane->way == HNSW_THROUGH) walk_over(s, lane);
        else begin_scan(lane);
        return 0;
    }
    lane->stage = HNSW_IDLE;
    return push_found(s, lane, err);
}

/* By blocks: has another node led to it? */
static bool is_kept(const struct candidates *c, uint32_t node)
{
    uint32_t same = 0;

    for (uint32_t i = 0; i < c->count; i++)
        same |= ((c->items[i].node ^ node) & CANDIDATE_NODE) == 0;
    return same != 0;
}

/* What is fresh, with its distances, to what is kept.  false: there was no room, and the query
 * goes another way. */
static bool keep_fresh(struct hnsw_search *s, struct hnsw_lane *lane)
{
    for (uint32_t i = 0; i < lane->fresh_count; i++) {
        if (!is_wanted(lane, s->distances[i])) continue;
        if (is_by_blocks(s, lane) && is_kept(&lane->found, lane->fresh[i])) continue;
        if (keep(lane, s->distances[i], lane->fresh[i])) continue;
        if (lane->way == HNSW_THROUGH && lane->range == -INFINITY) walk_over(s, lane);
        else begin_scan(lane);
        return false;
    }
    return true;
}

/* With slack: the k nearest are the same for long, and what comes next is farther than they. */
static bool is_patience_over(const struct hnsw_search *s, struct hnsw_lane *lane)
{
    const struct candidates *c = &lane->found;
    float slack = s->desc.options.slack;
    size_t k = lane->query->best->capacity;

    if (!(slack > 0) || lane->way != HNSW_PLAIN || lane->range > -INFINITY || c->count < k ||
        k == 0)
        return false;
    float kth = c->items[k - 1].distance;
    lane->vain_steps = kth < lane->kth ? 0 : lane->vain_steps + 1;
    lane->kth = kth;
    if (lane->vain_steps * PATIENCE_SHARE < lane->ef) return false;
    return candidates_next_distance(c) > kth + slack;
}

static int score(struct hnsw_search *s, struct hnsw_lane *lane, struct error *err)
{
    uint32_t node;

    if (lane->has_distances) lane->has_distances = false;
    else if (hnsw_measure(lane->oracle, lane->fresh, lane->fresh_count, s->distances, err) != 0)
        return -1;
    if (!keep_fresh(s, lane)) return 0;
    if (is_patience_over(s, lane)) return end_walk(s, lane, err);
    node = candidates_take(&lane->found);
    if (node == UINT32_MAX) return end_walk(s, lane, err);
    uint32_t behind = candidates_peek(&lane->found);
    if (behind != UINT32_MAX) hnsw_prefetch_links(lane->oracle, behind);
    if (is_by_blocks(s, lane)) visited_add(&lane->visited, node);
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
        *done += 1;
        return begin_query(s, lane, err);
    case HNSW_DESCEND:
        return descend(s, lane, done, err);
    case HNSW_EXPAND:
        if (!is_by_blocks(s, lane)) {
            expand(s, lane);
            return 0;
        }
        *done += BLOCK_CODES;
        if (expand_block(s, lane, err) != 0) return -1;
        lane->has_distances = true;
        return score(s, lane, err);
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
