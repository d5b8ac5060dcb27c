/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_search.c — a search over a disk index: one query after the other, a step at a time.
 *
 * WHAT        By its codes a query goes down the levels that are in memory, to some nodes of level
 *             1 that are near, and looks at the codes of all nodes of their pages: that reads
 *             nothing, and what it walks through then is begun from most of what it will find.
 *             From there it walks through pages (diskann_walk.c) until the nodes that it keeps, ef
 *             of them, were all looked at; with slack, until its results have stayed the same for
 *             long.  What it returns was measured by the vectors of pages.
 * GATES       Nodes that are shut are walked through, and not measured as results.  Where a look at
 *             the codes of all open nodes costs less than that, or a walk ends with fewer than
 *             were asked for, or has no room: the best of them by codes have their pages read.  So
 *             k come back if there are k.  More than DISKANN_POOL_MAX, or as many as there are
 *             rows, are not looked for: all rows are measured.
 * INVARIANTS  (1) A query's steps depend on no other's, on no budget and on no disk's speed:
 *                 however a search is cut, it finds the same.
 *             (2) No number is followed that open or diskann_page_check has not seen to; each step
 *                 looks at a node or page that it has not looked at before, or lets a query be
 *                 done.
 *             (3) A query pushes each of its results once: at its end, or as they come where all
 *                 rows are measured, which nothing is looked for after.
 * THREADS     One at a time.
 * FAILURE     What `exact` says; DAMAGED, with what became of a page.
 */
#include "index/diskann_search.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

enum {
    POOL_MIN = 256,
    POOL_FACTOR = 8, /* of ef, for shut nodes and ranges */
    ENTRIES = 24,    /* nodes of level 1 where a walk begins */
    SURVEY_NODES = 1024,
    FLIGHTS = 8, /* reads at once: with more, a walk goes where it need not */
    /* What things take, in ns. */
    CODE_NS = 20,
    GATE_NS = 4,
    PAGE_NS = 30000,
};
#define SPARE_SHARE 1.5f /* of k, nodes that are kept at least where nobody says how many */

/* ---- Memory ---- */

static uint32_t at_most(double count, uint32_t most)
{
    return count < most ? (uint32_t)count : most;
}

static uint32_t effort_of(const struct diskann *d, const struct index_options *options)
{
    return at_most(options->effort ? options->effort : d->head->l, DISKANN_POOL_MAX);
}

/* Nodes that are kept for k results; of a range those that are within it besides. */
static uint32_t list_of(const struct diskann *d, const struct index_options *options, size_t k)
{
    if (options->is_range) return effort_of(d, options);
    float share = options->oversample > 0 ? options->oversample : SPARE_SHARE;
    uint32_t least = at_most((double)k * (double)share, DISKANN_POOL_MAX);
    uint32_t effort = effort_of(d, options);
    return effort > least ? effort : least;
}

static uint32_t pool_of(uint32_t ef)
{
    uint32_t pool = at_most((double)ef * POOL_FACTOR, DISKANN_POOL_MAX);
    return pool < POOL_MIN ? POOL_MIN : pool;
}

/* How a search's memory is shared out: from the search to the end of each. */
struct places {
    size_t found, measured, visited, pages, flights, end;
    uint32_t pool, results, nodes_expected, pages_expected;
};

static struct places places_of(const struct diskann *d, const struct index_options *options,
                               size_t k)
{
    uint32_t ef = list_of(d, options, k);
    struct places p = {.pool = pool_of(ef), .results = at_most((double)k, DISKANN_POOL_MAX)};

    if (options->is_range && p.pool < p.results) p.pool = p.results;
    p.nodes_expected =
        at_most(2.0 * ef * d->layout.degree + ENTRIES * d->layout.page_nodes, d->layout.row_count);
    p.pages_expected = at_most(ef, d->layout.page_count);
    p.found = align_up(sizeof(struct diskann_search), ALIGN_VECTOR);
    p.measured = p.found + align_up((p.pool + 1) * sizeof(struct found_node), ALIGN_VECTOR);
    p.visited = p.measured + align_up((p.results + 1) * sizeof(struct found_node), ALIGN_VECTOR);
    p.pages =
        p.visited + align_up(visited_bytes(d->layout.row_count, p.nodes_expected), ALIGN_VECTOR);
    p.flights =
        p.pages + align_up(visited_bytes(d->layout.page_count, p.pages_expected), ALIGN_VECTOR);
    p.end = p.flights + disk_ring_bytes(d->layout.page_bytes, FLIGHTS);
    return p;
}

size_t diskann_search_bytes(const struct index *index, const struct index_options *options,
                            size_t k, size_t query_count)
{
    (void)query_count;
    return places_of((const struct diskann *)index, options, k).end;
}

void diskann_begin(void *search, const struct index_search_desc *desc)
{
    struct diskann_search *s = (struct diskann_search *)search;
    const struct diskann *d = (const struct diskann *)desc->index;
    size_t k = desc->queries[0].best->capacity;
    struct places p = places_of(d, &desc->options, k);
    uint8_t *at = (uint8_t *)search;

    s->desc = *desc;
    s->d = d;
    s->next_query = 0;
    s->is_surveyed = false;
    s->open_estimate = desc->gate.comes_first && desc->gate.open_count > 0 ? desc->gate.open_count
                                                                           : d->layout.row_count;
    s->stage = DISKANN_IDLE;
    s->k = k;
    candidates_init(&s->found, at + p.found, p.pool);
    candidates_init(&s->measured, at + p.measured, p.results);
    visited_init(&s->visited, at + p.visited, d->layout.row_count, p.nodes_expected);
    visited_init(&s->pages, at + p.pages, d->layout.page_count, p.pages_expected);
    disk_ring_init(&s->ring, d->reads, d->layout.page_bytes, FLIGHTS, at + p.flights);
}

/* ---- What a query keeps ---- */

void diskann_keep(struct diskann_search *s, float distance, uint32_t node)
{
    struct candidates *c = &s->found;

    candidates_insert(c, distance, node);
    while (c->count > 0) {
        const struct found_node *last = &c->items[c->count - 1];
        bool is_spare =
            c->open_count > s->ef || (c->open_count == s->ef && last->node & CANDIDATE_SHUT);
        if (!is_spare || last->distance <= s->range) break;
        candidates_drop_last(c);
    }
    if (c->count <= c->capacity) return;
    s->is_overfull |= c->open_count < s->ef;
    candidates_drop_last(c);
}

int diskann_estimate(struct diskann_search *s, uint32_t count, struct error *err)
{
    struct oracle *codes = s->oracle->codes;

    if (s->range > -INFINITY && codes->ops->estimate)
        return codes->ops->estimate(codes, s->fresh, count, s->distances, s->bounds, err);
    for (uint32_t i = 0; i < count; i++) s->bounds[i] = 0;
    return oracle_gather(codes, s->fresh, count, s->distances, err);
}

int diskann_keep_fresh(struct diskann_search *s, uint32_t count, struct error *err)
{
    if (diskann_estimate(s, count, err) != 0) return -1;
    for (uint32_t i = 0; i < count; i++) {
        if (!diskann_is_wanted(s, s->distances[i], s->bounds[i])) continue;
        uint32_t mark = diskann_is_shut(s, s->fresh[i]) ? CANDIDATE_SHUT : 0;
        diskann_keep(s, s->distances[i], s->fresh[i] | mark);
    }
    return 0;
}

/* ---- Gates ---- */

static void survey(struct diskann_search *s)
{
    uint32_t count = s->d->layout.row_count, open = 0;
    uint32_t probes = count < SURVEY_NODES ? count : SURVEY_NODES;

    if (s->is_surveyed || !s->desc.gate.shut_word || s->desc.gate.open_count > 0) return;
    s->is_surveyed = true;
    for (uint32_t i = 0; i < probes; i++)
        open += !diskann_is_shut(s, (uint32_t)((uint64_t)i * count / probes));
    s->open_estimate = (uint64_t)open * count / probes;
}

/* Does a look at all codes cost less than a walk through what is shut, or is there no room for
 * that? */
static bool is_scan_cheaper(const struct diskann_search *s)
{
    double rows = s->d->layout.row_count, open = (double)s->open_estimate;
    double looked_at = s->ef * rows / (open > 1 ? open : 1);

    if (s->open_estimate == s->d->layout.row_count) return false;
    return looked_at > s->found.capacity || open * CODE_NS + rows * GATE_NS <= looked_at * PAGE_NS;
}

static void begin_scan(struct diskann_search *s, enum diskann_stage stage)
{
    s->stage = stage;
    s->scanned = 0;
    s->follows_links = false;
    CHECK(s->ring.count == 0);
    candidates_clear(&s->found);
    candidates_clear(&s->measured);
    visited_clear(&s->pages);
}

/* Codes of some open nodes. */
static int scan_codes(struct diskann_search *s, uint64_t *done, struct error *err)
{
    uint32_t left = s->d->layout.row_count - s->scanned, count = 0;
    uint32_t end = s->scanned + (left < DISKANN_SCAN_NODES ? left : DISKANN_SCAN_NODES);

    for (; s->scanned < end; s->scanned++)
        if (!diskann_is_shut(s, s->scanned)) s->fresh[count++] = s->scanned;
    *done += count + 1;
    if (diskann_estimate(s, count, err) != 0) return -1;
    for (uint32_t i = 0; i < count; i++)
        if (diskann_is_wanted(s, s->distances[i], s->bounds[i]))
            diskann_keep(s, s->distances[i], s->fresh[i]);
    if (s->scanned == s->d->layout.row_count) s->stage = DISKANN_WALK;
    return 0;
}

/* Some open rows, exactly; they are pushed at once. */
static int scan_rows(struct diskann_search *s, uint64_t *done, struct error *err)
{
    const struct index_gate *gate = &s->desc.gate;
    const struct index_query *q = s->query;
    uint32_t left = s->d->layout.row_count - s->scanned, count = 0;
    uint32_t end = s->scanned + (left < DISKANN_SCAN_NODES ? left : DISKANN_SCAN_NODES);

    for (uint32_t row = s->scanned; row < end; row++) {
        uint64_t shut = gate->shut_word ? gate->shut_word(gate->ctx, row / 64 * 64) : 0;
        if (!(shut >> (row % 64) & 1)) s->fresh[count++] = row;
    }
    *done += count + 1;
    if (count > 0 && oracle_gather(q->exact, s->fresh, count, s->distances, err) != 0) return -1;
    for (uint32_t i = 0; i < count; i++)
        if (s->distances[i] <= topk_limit(q->best, q->distance_max))
            topk_push(q->best, s->distances[i], s->desc.part, s->fresh[i]);
    s->scanned = end;
    if (end == s->d->layout.row_count) s->stage = DISKANN_IDLE;
    return 0;
}

/* ---- The way in ---- */

static int begin_query(struct diskann_search *s, struct error *err)
{
    const struct index_options *options = &s->desc.options;
    uint32_t row_count = s->d->layout.row_count;

    s->query = &s->desc.queries[s->next_query++];
    s->oracle = (const struct diskann_oracle *)s->query->oracle;
    s->range = s->query->distance_max < INFINITY ? s->query->distance_max : -INFINITY;
    s->ef = list_of(s->d, options, s->k);
    if (s->ef >= row_count || (s->k > DISKANN_POOL_MAX && !options->is_range)) {
        begin_scan(s, DISKANN_BY_ROWS);
        return 0;
    }
    if (s->range > -INFINITY) s->ef = effort_of(s->d, options); /* of a range any number may be */
    s->is_overfull = false;
    if (s->desc.gate.comes_first) survey(s);
    if (is_scan_cheaper(s)) {
        begin_scan(s, DISKANN_BY_CODES);
        return 0;
    }
    s->follows_links = true;
    candidates_clear(&s->found);
    candidates_clear(&s->measured);
    visited_clear(&s->visited);
    visited_clear(&s->pages);
    s->node = 0;
    s->level = s->d->head->level_count;
    s->stage = DISKANN_DESCEND;
    s->fresh[0] = s->d->entries[0];
    if (diskann_estimate(s, 1, err) != 0) return -1;
    s->distance = s->distances[0];
    return 0;
}

/* Distances of what a node of a level in memory links to; how many, and which in `links`. */
static int estimate_links(struct diskann_search *s, uint32_t level, uint32_t node,
                          const uint32_t **links, uint32_t *count, struct error *err)
{
    const struct diskann *d = s->d;

    *links = d->upper[level] + (size_t)node * d->upper_places;
    for (*count = 0; *count < d->upper_places && (*links)[*count] != HNSW_NONE; ++*count)
        s->fresh[*count] = d->entries[(*links)[*count]];
    return diskann_estimate(s, *count, err);
}

/* Nodes of a page that were not met, by their codes. */
static int meet_page(struct diskann_search *s, uint32_t page, uint64_t *done, struct error *err)
{
    uint32_t first = page * s->d->layout.page_nodes, count = 0;
    uint32_t end = first + diskann_page_count(&s->d->layout, page);

    for (uint32_t node = first; node < end; node++)
        if (visited_add(&s->visited, node)) s->fresh[count++] = node;
    *done += count;
    return diskann_keep_fresh(s, count, err);
}

/* Nodes of the lowest level are met, and a walk may begin. */
static int begin_walk(struct diskann_search *s, uint64_t *done, struct error *err)
{
    struct found_node entries[ENTRIES];
    uint32_t count = s->found.count < ENTRIES ? s->found.count : ENTRIES;

    memcpy(entries, s->found.items, count * sizeof *entries);
    candidates_clear(&s->found);
    visited_clear(&s->visited);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = s->d->entries[entries[i].node & CANDIDATE_NODE];
        if (meet_page(s, node / s->d->layout.page_nodes, done, err) != 0) return -1;
    }
    s->kth = INFINITY;
    s->vain_nodes = 0;
    s->stage = DISKANN_WALK;
    return 0;
}

static int descend(struct diskann_search *s, uint64_t *done, struct error *err)
{
    const uint32_t *links;
    uint32_t count, before = s->node;

    if (s->level <= 1) {
        visited_add(&s->visited, s->node);
        candidates_insert(&s->found, s->distance, s->node);
        if (s->level < 1) return begin_walk(s, done, err);
        s->stage = DISKANN_NAVIGATE;
        return 0;
    }
    if (estimate_links(s, s->level, s->node, &links, &count, err) != 0) return -1;
    *done += count;
    for (uint32_t i = 0; i < count; i++) {
        if (!(s->distances[i] < s->distance)) continue;
        s->distance = s->distances[i];
        s->node = links[i];
    }
    if (s->node == before) s->level--;
    return 0;
}

static int navigate(struct diskann_search *s, uint64_t *done, struct error *err)
{
    struct candidates *c = &s->found;
    const uint32_t *links;
    uint32_t count, node = candidates_take(c);

    if (node == UINT32_MAX) return begin_walk(s, done, err);
    if (estimate_links(s, 1, node, &links, &count, err) != 0) return -1;
    *done += count;
    for (uint32_t i = 0; i < count; i++) {
        float distance = s->distances[i];
        if (c->count == ENTRIES && distance >= c->items[c->count - 1].distance) continue;
        if (!visited_add(&s->visited, links[i])) continue;
        if (c->count == ENTRIES) candidates_drop_last(c);
        candidates_insert(c, distance, links[i]);
    }
    return 0;
}

/* ---- Steps ---- */

static void push_measured(struct diskann_search *s)
{
    const struct index_query *q = s->query;

    for (uint32_t i = 0; i < s->measured.count; i++) {
        const struct found_node *m = &s->measured.items[i];
        if (m->distance <= q->distance_max)
            topk_push(q->best, m->distance, s->desc.part, s->d->rows[m->node & CANDIDATE_NODE]);
    }
    s->stage = DISKANN_IDLE;
}

static int walk(struct diskann_search *s, uint64_t *done, struct error *err)
{
    bool is_done;

    if (diskann_walk_step(s, done, &is_done, err) != 0) return -1;
    if (!is_done) return 0;
    uint32_t row_count = s->d->layout.row_count;
    size_t least = s->range > -INFINITY ? 1 : s->k;
    bool is_short = s->measured.count < least && s->measured.count < row_count;
    if (s->k > DISKANN_POOL_MAX && s->measured.count == DISKANN_POOL_MAX) {
        begin_scan(s, DISKANN_BY_ROWS); /* a range has more than it could keep */
        return 0;
    }
    /* What a look at all codes brought is all there is. */
    if (s->follows_links && (is_short || s->is_overfull)) begin_scan(s, DISKANN_BY_CODES);
    else push_measured(s);
    return 0;
}

/* *done grows by the distances that it took. */
static int step(struct diskann_search *s, uint64_t *done, struct error *err)
{
    *done += 1;
    switch (s->stage) {
    case DISKANN_IDLE:
        return begin_query(s, err);
    case DISKANN_DESCEND:
        return descend(s, done, err);
    case DISKANN_NAVIGATE:
        return navigate(s, done, err);
    case DISKANN_WALK:
        return walk(s, done, err);
    case DISKANN_BY_CODES:
        return scan_codes(s, done, err);
    case DISKANN_BY_ROWS:
        return scan_rows(s, done, err);
    }
    UNREACHABLE();
}

static enum index_state advance(struct diskann_search *s, uint64_t distance_max, struct error *err)
{
    uint64_t done = 0;

    while (s->stage != DISKANN_IDLE || s->next_query < s->desc.query_count) {
        bool reads = s->stage == DISKANN_WALK; /* nothing else of a walk can fail */
        if (step(s, &done, err) != 0) return reads ? INDEX_DAMAGED : INDEX_FAILED;
        if (done >= distance_max) return INDEX_MORE;
    }
    return INDEX_DONE;
}

enum index_state diskann_advance(void *search, uint64_t distance_max, struct error *err)
{
    struct diskann_search *s = (struct diskann_search *)search;

    disk_ring_attach(&s->ring);
    enum index_state state = advance(s, distance_max, err);
    disk_ring_detach(&s->ring);
    return state;
}
