/* SPDX-License-Identifier: Apache-2.0 */
/* search_exact.c — part by part, and where there is a filter block by block of its rows.
 *
 * WHAT        A part is opened, with an oracle for each query, some of them an advance; its rows
 *             are given to the index in one run.  Where there is a filter a run ends with the
 *             filter's block, which is matched before: a search can be left meanwhile, for an index
 *             cannot be left within.
 * INVARIANTS  (1) Rows below `row` of the part are searched for all queries.
 *             (2) The gate of a run is asked for rows of one block only, which is at hand.
 * THREADS     One at a time.
 * FAILURE     The index's; the filter keeps its own, and wants no rows then.
 */
#include "query/search_exact.h"

#include "base/bytes.h"
#include "base/limits.h"

enum {
    READY_QUERIES = 64, /* whose oracles an advance makes, some microseconds each */
};

uint64_t exact_row_count(const struct view *v, const struct segment_index *const *indexed)
{
    uint64_t count = 0;
    for (size_t i = 0; i < v->part_count; i++)
        if (!indexed || !indexed[i]) count += v->parts[i].row_count;
    return count;
}

static size_t search_bytes(const struct exact_method *m, size_t query_count)
{
    static const struct index_options none = {0};
    return align_up(m->index->search_bytes(NULL, &none, 0, query_count), ALIGN_VECTOR);
}

static size_t targets_bytes(size_t query_count)
{
    return align_up(query_count * sizeof(struct index_query), ALIGN_VECTOR);
}

size_t exact_memory_bytes(const struct exact_method *m, uint32_t dim, size_t query_count)
{
    return search_bytes(m, query_count) + targets_bytes(query_count) +
           query_count * m->quantizer->oracle_bytes(dim);
}

void exact_begin(struct exact_scan *s, const struct exact_desc *desc, void *memory)
{
    uint8_t *at = (uint8_t *)memory;
    *s = (struct exact_scan){
        .desc = *desc,
        .search = at,
        .targets = (struct index_query *)(at + search_bytes(desc->method, desc->query_count)),
        .oracles =
            at + search_bytes(desc->method, desc->query_count) + targets_bytes(desc->query_count),
    };
}

static uint64_t dead_word(void *ctx, uint32_t row)
{
    return tombstones_word((const struct tombstones *)ctx, row);
}

struct index_gate exact_live_gate(struct tombstones *dead)
{
    bool has_dead = tombstones_count(dead) > 0;
    return (struct index_gate){.shut_word = has_dead ? dead_word : NULL, .ctx = dead};
}

static uint64_t unwanted_word(void *ctx, uint32_t row)
{
    const struct exact_scan *s = (const struct exact_scan *)ctx;
    return ~row_filter_word(s->desc.filter, s->part, row);
}

/* Oracles for some more queries. */
static void make_oracles(struct exact_scan *s)
{
    const struct exact_desc *d = &s->desc;
    const struct quantizer_vtab *quantizer = d->method->quantizer;
    size_t oracle_bytes = quantizer->oracle_bytes(d->view->dim);
    const struct view_part *part = &d->view->parts[s->part];
    struct oracle_desc oracle = {.kernels = d->kernels,
                                 .vectors = &part->segment->vectors,
                                 .shadow = s->shadow,
                                 .metric = (enum metric)d->view->metric};

    size_t left = d->query_count - s->ready_count, i = s->ready_count;
    for (s->ready_count += left < READY_QUERIES ? left : READY_QUERIES; i < s->ready_count; i++) {
        oracle.query = d->queries[i];
        struct oracle *own = quantizer->oracle_init(s->oracles + i * oracle_bytes, &oracle);
        s->targets[i] = (struct index_query){
            .oracle = own,
            .exact = own,
            .best = &d->best[i],
            .distance_max = d->distance_max,
        };
    }
}

static void begin_run(struct exact_scan *s)
{
    const struct exact_desc *d = &s->desc;
    const struct view_part *part = &d->view->parts[s->part];
    uint32_t block_left = COLUMN_BLOCK_ROWS - s->row % COLUMN_BLOCK_ROWS;
    struct index_search_desc search = {
        .queries = s->targets,
        .query_count = d->query_count,
        .options = {.slack = d->slack},
        .part = (uint32_t)s->part,
        .row_first = s->row,
        .row_end = s->row_end,
    };

    if (d->filter)
        search.gate =
            (struct index_gate){.shut_word = unwanted_word, .ctx = s, .comes_first = true};
    else search.gate = exact_live_gate(part->dead);
    if (d->filter && s->row_end - s->row > block_left)
        search.row_end = s->row + block_left; /* (2) */
    d->method->index->begin(s->search, &search);
    s->run_end = search.row_end;
    s->is_begun = true;
}

/* Begin the next part that has rows of the range; false when there is none. */
static bool open_next(struct exact_scan *s)
{
    const struct exact_desc *d = &s->desc;
    for (; s->part < d->view->part_count; s->part++) {
        if (d->indexed && d->indexed[s->part]) continue;
        uint64_t first = s->part_first, end = first + d->view->parts[s->part].row_count;
        if (first >= d->row_end) return false;
        if (end > d->row_first && end > first) {
            uint64_t from = first > d->row_first ? first : d->row_first;
            uint64_t to = end < d->row_end ? end : d->row_end;
            s->row = (uint32_t)(from - first);
            s->row_end = (uint32_t)(to - first);
            s->shadow = segment_shadow(d->view->parts[s->part].segment, d->shadows, s->row_end);
            s->ready_count = 0;
            s->is_open = true;
            return true;
        }
        s->part_first = end;
    }
    return false;
}

enum index_state exact_advance(struct exact_scan *s, uint64_t distance_max, struct error *err)
{
    struct row_filter *filter = s->desc.filter;

    if (!s->is_open && !open_next(s)) return INDEX_DONE;
    if (s->ready_count < s->desc.query_count) {
        make_oracles(s);
        if (s->ready_count < s->desc.query_count) return INDEX_MORE;
    }
    if (!s->is_begun) {
        if (filter && !row_filter_load(filter, s->part, s->row)) return INDEX_MORE;
        begin_run(s);
    }
    enum index_state state = s->desc.method->index->advance(s->search, distance_max, err);
    if (state != INDEX_DONE) return state;
    s->is_begun = false;
    s->row = s->run_end;
    if (s->row < s->row_end) return INDEX_MORE;
    s->is_open = false;
    s->part_first += s->desc.view->parts[s->part++].row_count;
    return s->part_first < s->desc.row_end ? INDEX_MORE : INDEX_DONE;
}
