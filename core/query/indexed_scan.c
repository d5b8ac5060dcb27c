/* SPDX-License-Identifier: Apache-2.0 */
/* indexed_scan.c — part by part: which rows are wanted, how they are best found, and whether all
 * that were owed were.
 *
 * WHAT        Where there is a filter it is asked first, for every row of the part: then it is
 *             known how many may be found.  If they are few, or if so many results are wanted that
 *             an index saves little, they are measured one by one; otherwise the part's index is
 *             walked, with a gate.  A query whose list is not full after that, though rows of the
 *             part were left, looks at all of them: an index may miss rows, but never the number.
 *             Of a range any number may be within it, and what the index has found is the answer.
 *             Where an index turns out to be damaged, every query looks at all rows of the part.
 *             Many queries are taken group by group: their oracles are made when their group
 *             begins, and take no more memory than those of one.
 * LAYOUT      One block: targets, oracles (what the index walks by, and what measures), the bits
 *             of the rows, the index's search object or flat's, whichever is larger.
 * INVARIANTS  (1) A row is pushed once: what a part's index has found is taken back before the part
 *                 is looked at row by row.
 *             (2) The bits are of the part at hand, and complete before anything is searched.
 * THREADS     One at a time.
 * FAILURE     What an index says of anything but its file, the vectors'; the filter keeps its own,
 *             and wants no rows then.
 */
#include "query/indexed_scan.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

enum {
    SHUT_SHARE = 4,  /* one in so many rows may not be found: the gate comes first */
    WALK_STEPS = 24, /* distances for each unit of effort, for the estimate */
    GROUP_QUERIES = 256,
};
/* Of one distance to a row that nothing foretold. */
#define STEP_US 0.02
#define STEP_BYTES_PER_US 20000.0

/* ---- which parts ---- */

void indexed_parts_find(struct indexed_parts *p, const struct view *v)
{
    p->count = 0;
    for (size_t i = 0; i < v->part_count; i++) {
        const struct segment_index *index = v->parts[i].index;
        bool is_there = index && segment_index_metric(index) == (enum metric)v->metric &&
                        segment_index_get(index) && !segment_index_damage(index);
        p->list[i] = is_there ? index : NULL;
        p->count += is_there;
    }
}

static double effort_of(const struct segment_index *index, const struct index_options *options,
                        size_t k)
{
    const struct index_vtab *kind = segment_index_get(index)->kind;
    double effort = options->effort;

    if (options->effort == 0 && kind->effort_param >= 0)
        effort = segment_index_plan(index)->params.values[kind->effort_param];
    if (options->is_range) return effort > 1 ? effort : 1;
    return effort > (double)k ? effort : (double)k;
}

double indexed_cost_us(const struct indexed_parts *p, const struct view *v,
                       const struct index_options *options, size_t k)
{
    double step_us = STEP_US + v->dim * sizeof(float) / STEP_BYTES_PER_US, cost = 0;

    for (size_t i = 0; i < v->part_count; i++) {
        if (!p->list[i]) continue;
        double steps = effort_of(p->list[i], options, k) * WALK_STEPS;
        double rows = v->parts[i].row_count;
        if (segment_index_get(p->list[i])->kind->is_of_codes) {
            cost += rows * v->dim / STEP_BYTES_PER_US; /* all codes, one after another */
            continue;
        }
        cost += (steps < rows ? steps : rows) * step_us;
    }
    return cost;
}

/* ---- memory ---- */

/* The sizes that suit all parts. */
struct sizes {
    size_t targets, oracle, walk_oracle, open, search;
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t group_most(const struct indexed_desc *d)
{
    return d->scan.query_count < GROUP_QUERIES ? d->scan.query_count : GROUP_QUERIES;
}

static struct sizes sizes_of(const struct indexed_desc *d)
{
    const struct view *v = d->scan.view;
    size_t query_count = group_most(d);
    struct sizes z = {
        .targets = align_up(query_count * sizeof(struct index_query), ALIGN_VECTOR),
        .oracle = larger(d->scan.method->quantizer->oracle_bytes(v->dim),
                         quantizer_raw.oracle_bytes(v->dim)),
        .search = d->scan.method->index->search_bytes(NULL, &d->options, d->k, query_count),
    };

    for (size_t i = 0; i < v->part_count; i++) {
        if (!d->parts->list[i]) continue;
        const struct index *index = segment_index_get(d->parts->list[i]);
        z.walk_oracle = larger(z.walk_oracle, index->kind->oracle_bytes(index, v->dim));
        z.search =
            larger(z.search, index->kind->search_bytes(index, &d->options, d->k, query_count));
        if (d->is_filtered) z.open = larger(z.open, (v->parts[i].row_count + 63) / 64);
    }
    z.walk_oracle = align_up(z.walk_oracle, ALIGN_VECTOR);
    z.open = align_up(z.open * sizeof(uint64_t), ALIGN_VECTOR);
    z.search = align_up(z.search, ALIGN_VECTOR);
    return z;
}

size_t indexed_memory_bytes(const struct indexed_desc *desc)
{
    if (desc->parts->count == 0) return 0;
    struct sizes z = sizes_of(desc);
    return z.targets + group_most(desc) * (z.oracle + z.walk_oracle) + z.open + z.search;
}

void indexed_begin(struct indexed_scan *s, const struct indexed_desc *desc, void *memory)
{
    *s = (struct indexed_scan){.desc = *desc};
    if (desc->parts->count == 0) return;
    struct sizes z = sizes_of(desc);
    uint8_t *at = (uint8_t *)memory;
    s->targets = (struct index_query *)at;
    s->oracles = at += z.targets;
    s->oracle_bytes = z.oracle + z.walk_oracle;
    s->matched = (uint64_t *)(void *)(at += group_most(desc) * s->oracle_bytes);
    s->search = at + z.open;
}

/* ---- a part ---- */

static uint64_t shut_word(void *ctx, uint32_t row)
{
    return ~((const uint64_t *)ctx)[row / 64];
}

static const struct view_part *part_of(const struct indexed_scan *s)
{
    return &s->desc.scan.view->parts[s->part];
}

/* The two oracles of a target: of one who looks at every row they are the same. */
static void make_oracles(struct indexed_scan *s, size_t place, const struct oracle_query *query)
{
    const struct exact_desc *d = &s->desc.scan;
    const struct index *index = segment_index_get(s->index);
    uint8_t *memory = s->oracles + place * s->oracle_bytes;
    struct oracle_desc desc = {
        .kernels = d->kernels,
        .query = *query,
        .vectors = segment_index_vectors(s->index),
        .metric = (enum metric)d->view->metric,
    };

    if (s->is_scanned) {
        desc.shadow = segment_shadow(part_of(s)->segment, d->shadows, part_of(s)->row_count);
        s->targets[place].oracle = d->method->quantizer->oracle_init(memory, &desc);
        s->targets[place].exact = s->targets[place].oracle;
        return;
    }
    size_t exact_bytes = quantizer_raw.oracle_bytes(d->view->dim);
    s->targets[place].exact = quantizer_raw.oracle_init(memory, &desc);
    s->targets[place].oracle = s->kind->oracle_init(index, memory + exact_bytes, &desc);
}

/* Search the part for queries from query_first on. */
static void begin_search(struct indexed_scan *s, bool is_scanned, size_t query_first,
                         size_t query_count)
{
    const struct exact_desc *d = &s->desc.scan;
    const struct index *index = segment_index_get(s->index);

    s->is_scanned = is_scanned;
    s->kind = is_scanned ? d->method->index : index->kind;
    for (size_t i = 0; i < query_count; i++) {
        size_t query = query_first + i;
        s->targets[i].best = &d->best[query];
        s->targets[i].distance_max = d->distance_max;
        make_oracles(s, i, &d->queries[query]);
    }
    const struct index_search_desc search = {
        .index = is_scanned ? NULL : index,
        .queries = s->targets,
        .query_count = query_count,
        .gate = s->gate,
        .options = s->desc.options,
        .part = (uint32_t)s->part,
        .row_end = part_of(s)->row_count,
    };
    s->kind->begin(s->search, &search);
}

/* Search the part for the group of queries that begins there. */
static void begin_group(struct indexed_scan *s, bool is_scanned, size_t query_first)
{
    size_t left = s->desc.scan.query_count - query_first, count = group_most(&s->desc);
    uint32_t best = segment_index_get(s->index)->kind->query_group;

    if (!is_scanned && best > 0 && best < count) count = best;
    if (left < count) count = left;
    s->group_end = query_first + count;
    begin_search(s, is_scanned, query_first, count);
}

/* It is known which rows may be found (2). */
static void choose(struct indexed_scan *s)
{
    uint32_t row_count = part_of(s)->row_count;
    size_t k = s->desc.options.is_range ? 1 : s->desc.k;
    bool is_scanned = s->open_count <= larger(SCANNED_ROWS, k * SCANNED_ROWS_OF_K);

    s->gate.comes_first = row_count - s->open_count > row_count / SHUT_SHARE;
    s->gate.open_count = s->open_count;
    begin_group(s, is_scanned, 0);
    s->stage = INDEXED_WALK;
}

/* The next part that is this scan's; false: there is none. */
static bool open_next(struct indexed_scan *s)
{
    const struct indexed_desc *d = &s->desc;

    for (; s->part < d->scan.view->part_count; s->part++) {
        s->index = d->parts->list[s->part];
        if (!s->index || s->place++ % d->turn_count != d->turn) continue;
        const struct view_part *p = part_of(s);
        s->row = 0;
        s->open_count = 0;
        if (d->is_filtered) {
            s->stage = INDEXED_MATCH;
            return true;
        }
        uint32_t dead = (uint32_t)tombstones_count(p->dead);
        s->gate = exact_live_gate(p->dead);
        s->open_count = p->row_count - dead;
        if (s->open_count == 0) continue;
        choose(s);
        return true;
    }
    return false;
}

static void close_part(struct indexed_scan *s)
{
    s->part++;
    s->stage = INDEXED_NEXT;
}

/* The filter has spoken: `bits` of the part's rows, s->open_count of them set. */
static void end_match(struct indexed_scan *s, const uint64_t *bits)
{
    s->gate = (struct index_gate){
        .shut_word = shut_word, .ctx = (void *)(uintptr_t)bits, .open_bits = bits};
    if (s->open_count > 0) choose(s);
    else close_part(s);
}

/* Ask the filter for about row_max rows, or until it pauses. */
static void match_rows(struct indexed_scan *s, uint64_t row_max)
{
    struct row_filter *filter = s->desc.scan.filter;
    uint32_t row_count = part_of(s)->row_count, first = s->row;
    const uint64_t *known = first == 0 ? row_filter_whole(filter, s->part, &s->open_count) : NULL;

    if (known) {
        end_match(s, known);
        return;
    }
    while (s->row < row_count && s->row - first <= row_max) {
        uint32_t end = (s->row / COLUMN_BLOCK_ROWS + 1) * COLUMN_BLOCK_ROWS;
        if (!row_filter_load(filter, s->part, s->row)) return;
        for (; s->row < end && s->row < row_count; s->row += 64) {
            uint64_t word = row_filter_word(filter, s->part, s->row);
            s->matched[s->row / 64] = word;
            s->open_count += (uint32_t)__builtin_popcountll(word);
        }
    }
    if (s->row >= row_count) end_match(s, s->matched); /* it goes by 64 */
}

/* ---- what was owed ---- */

static uint32_t found_count(const struct topk *best, size_t part)
{
    uint32_t count = 0;
    for (size_t i = 0; i < best->count; i++) count += best->heap[i].part == part;
    return count;
}

/* Forget what was found of a part (1). */
static void take_back(struct topk *best, size_t part)
{
    size_t count = best->count;

    best->count = 0; /* pushes write no farther than what was read */
    for (size_t i = 0; i < count; i++) {
        struct candidate c = best->heap[i];
        if (c.part != part) topk_push(best, c.distance, c.part, c.row);
    }
}

/* The next query, from s->query on, that the part owes rows; false: none. */
static bool search_again(struct indexed_scan *s)
{
    const struct exact_desc *d = &s->desc.scan;

    if (s->desc.options.is_range) return false; /* nobody knows how many are within it */
    for (; s->query < d->query_count; s->query++) {
        struct topk *best = &d->best[s->query];
        if (best->count >= best->capacity || found_count(best, s->part) >= s->open_count) continue;
        take_back(best, s->part);
        begin_search(s, true, s->query++, 1);
        return true;
    }
    return false;
}

/* The part's rows one by one, for every query: its index cannot be read, as `why` says.  What it
 * has pushed is found again; what that had put out of a list it puts out again. */
static void do_without_index(struct indexed_scan *s, const struct error *why)
{
    const struct exact_desc *d = &s->desc.scan;

    CHECK(s->stage == INDEXED_WALK && !s->is_scanned);
    segment_index_note_damage(part_of(s)->index, why);
    s->met_damage = true;
    for (size_t i = 0; i < d->query_count; i++) take_back(&d->best[i], s->part);
    begin_group(s, true, 0);
}

static enum index_state search_part(struct indexed_scan *s, uint64_t distance_max,
                                    struct error *err)
{
    struct error failed = {0};
    enum index_state state = s->kind->advance(s->search, distance_max, &failed);

    if (state == INDEX_DAMAGED) {
        do_without_index(s, &failed);
        return INDEX_MORE;
    }
    if (state == INDEX_FAILED) *err = failed;
    if (state != INDEX_DONE) return state;
    if (s->stage == INDEXED_WALK && s->group_end < s->desc.scan.query_count) {
        begin_group(s, s->is_scanned, s->group_end);
        return INDEX_MORE;
    }
    if (s->stage == INDEXED_WALK) s->query = s->is_scanned ? s->desc.scan.query_count : 0;
    s->stage = INDEXED_AGAIN;
    if (!search_again(s)) close_part(s);
    return INDEX_MORE;
}

enum index_state indexed_advance(struct indexed_scan *s, uint64_t distance_max, struct error *err)
{
    if (s->desc.parts->count == 0) return INDEX_DONE;
    if (s->stage == INDEXED_NEXT && !open_next(s)) return INDEX_DONE;
    if (s->stage != INDEXED_MATCH) return search_part(s, distance_max, err);
    match_rows(s, distance_max);
    return INDEX_MORE;
}
