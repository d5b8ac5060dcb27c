/* SPDX-License-Identifier: Apache-2.0 */
/* scored_scan.c — rows in batches to a hook: distances, the columns that it reads, new distances.
 *
 * WHAT        Rows of the range that the filter wants are gathered until a batch is full or a part
 *             ends; then one query after the other has its distances of them from the oracle, row
 *             by row or as a run, and its call of the hook.  So rows are matched, and columns read,
 *             once for all queries.
 * LAYOUT      A batch's rows are of one part and ascending (score_batch.h).
 * INVARIANTS  (1) A run of the hook is open between an advance that needs it and the next rest.
 *             (2) A row that the hook gives NaN is not found; the others compete by what it gives.
 *             (3) After a failure nothing more is scored.
 *             (4) The rows of a batch have BATCH_BYTES of vectors at the most, or are 64: what is
 *                 done between two looks at the clock does not grow with the dimension.
 *             (5) Where the filter pauses, the batch at hand stays as far as it was gathered.
 * THREADS     One; slices of a search have scans of their own, and share the hook.
 * FAILURE     The hook's, the oracle's or the documents' error; lists hold what came before.
 */
#include "query/scored_scan.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

enum {
    WORD_ROWS = 64,        /* gathered at once; batches hold a multiple */
    BATCH_BYTES = 4 << 20, /* read in a few tenths of a millisecond */
};

struct scored_scan {
    struct alloc *alloc;
    struct exact_desc desc;
    uint8_t *oracle_memory;
    struct oracle **oracles; /* of the part at hand, one for each query */
    /* The next row: of this part, whose first row has this number in the view. */
    size_t part;
    uint64_t part_first;
    uint32_t row, row_end;
    bool is_open; /* oracles and batch are of this part */
    uint32_t batch_max;
    bool is_ready; /* the batch at hand is being scored */
    size_t query;  /* whose turn it is then */
    struct score_batch batch;
};

int scored_scan_create(struct alloc *a, const struct exact_desc *desc, struct column_cache *fields,
                       struct hook *hook, uint64_t deadline_us, struct scored_scan **out,
                       struct error *err)
{
    size_t head = align_up(sizeof(struct scored_scan), ALIGN_VECTOR);
    size_t list = align_up(desc->query_count * sizeof(struct oracle *), ALIGN_VECTOR);
    size_t row_bytes = desc->view->dim * sizeof(float);
    size_t bytes =
        head + list + desc->query_count * desc->method->quantizer->oracle_bytes(desc->view->dim);
    struct scored_scan *s =
        (struct scored_scan *)mem_alloc_aligned(a, MEM_SEARCH, bytes, ALIGN_VECTOR);

    CHECK(desc->filter);
    if (!s) return error_no_memory(err, bytes);
    memset((void *)s, 0, offsetof(struct scored_scan, batch));
    score_batch_init(&s->batch, a, fields, hook, deadline_us);
    s->alloc = a;
    s->desc = *desc;
    s->oracles = (struct oracle **)(void *)((uint8_t *)s + head);
    s->oracle_memory = (uint8_t *)s + head + list;
    s->batch_max = HOOK_BATCH_ROWS;
    while (s->batch_max > WORD_ROWS && s->batch_max * row_bytes > BATCH_BYTES) s->batch_max /= 2;
    *out = s;
    return 0;
}

void scored_scan_destroy(struct scored_scan *s)
{
    if (!s) return;
    score_batch_deinit(&s->batch);
    mem_free(s->alloc, s);
}

/* ---- Where it is ---- */

/* The rows of the part at hand that are of the range; false: none. */
static bool part_range(const struct scored_scan *s, uint32_t *out_first, uint32_t *out_end)
{
    const struct exact_desc *d = &s->desc;
    uint64_t first = s->part_first, end = first + d->view->parts[s->part].row_count;

    if (end <= d->row_first || first >= d->row_end) return false;
    *out_first = d->row_first > first ? (uint32_t)(d->row_first - first) : 0;
    *out_end = (uint32_t)((d->row_end < end ? d->row_end : end) - first);
    return *out_first < *out_end;
}

static void open_part(struct scored_scan *s)
{
    const struct exact_desc *d = &s->desc;
    size_t oracle_bytes = d->method->quantizer->oracle_bytes(d->view->dim);
    struct oracle_desc oracle = {
        .kernels = d->kernels,
        .vectors = &d->view->parts[s->part].segment->vectors,
        .metric = (enum metric)d->view->metric,
    };

    for (size_t i = 0; i < d->query_count; i++) {
        oracle.query = d->queries[i];
        s->oracles[i] =
            d->method->quantizer->oracle_init(s->oracle_memory + i * oracle_bytes, &oracle);
    }
    score_batch_enter(&s->batch, d->view->parts[s->part].segment);
    s->is_open = true;
}

static void close_part(struct scored_scan *s)
{
    score_batch_enter(&s->batch, NULL);
    s->is_open = false;
    s->part_first += s->desc.view->parts[s->part++].row_count;
}

/* Open the next part that has rows of the range; false: there is none. */
static bool open_next(struct scored_scan *s)
{
    for (; !s->is_open && s->part < s->desc.view->part_count; close_part(s)) {
        if (!part_range(s, &s->row, &s->row_end)) continue;
        open_part(s);
        return true;
    }
    return s->is_open;
}

/* ---- A batch ---- */

/* Add the row_count rows from s->row on, all of them. */
static bool extend_run(struct scored_scan *s, uint32_t row_count)
{
    struct score_batch *b = &s->batch;

    if (b->count == 0) {
        b->first_row = s->row;
        b->is_run = true;
    }
    if (!b->is_run || b->first_row + b->count != s->row) return false;
    b->count += row_count;
    return true;
}

/* Add rows of the word that begins with word_row. */
static void add_rows(struct scored_scan *s, uint32_t word_row, uint64_t word)
{
    struct score_batch *b = &s->batch;

    if (b->is_run) /* no longer */
        for (uint32_t i = 0; i < b->count; i++) b->rows[i] = b->first_row + i;
    b->is_run = false;
    if (word == ~0ull) { /* the common case, in lanes */
        for (uint32_t i = 0; i < WORD_ROWS; i++) b->rows[b->count + i] = word_row + i;
        b->count += WORD_ROWS;
    } else
        for (; word; word &= word - 1)
            b->rows[b->count++] = word_row + (uint32_t)__builtin_ctzll(word);
}

/* Whether no more rows belong to the batch at hand. */
static bool is_batch_full(const struct scored_scan *s)
{
    return s->batch.count > s->batch_max - WORD_ROWS ||
           (s->batch.is_run && s->batch.count > 0 && s->row % COLUMN_NUMBERS_ROWS == 0);
}

/* Gather wanted rows of the part until the batch is full, the part ends or row_max were seen, which
 * *seen counts.  False: the filter paused before that (5). */
static bool gather_rows(struct scored_scan *s, uint64_t row_max, uint64_t *seen)
{
    uint32_t first = s->row;
    bool is_matched = true;

    while (s->row < s->row_end && !is_batch_full(s) && s->row - first < row_max) {
        uint32_t word_row = s->row / WORD_ROWS * WORD_ROWS;
        is_matched = row_filter_load(s->desc.filter, s->part, word_row);
        if (!is_matched) break;
        uint32_t end = word_row + WORD_ROWS < s->row_end ? word_row + WORD_ROWS : s->row_end;
        uint64_t all = ~0ull << (s->row - word_row) & ~0ull >> (word_row + WORD_ROWS - end);
        uint64_t word = row_filter_word(s->desc.filter, s->part, word_row) & all;
        if (word != 0 && !(word == all && extend_run(s, end - s->row))) add_rows(s, word_row, word);
        s->row = end;
    }
    s->is_ready = is_batch_full(s) || s->row >= s->row_end;
    *seen += s->row - first;
    return is_matched;
}

static int measure_rows(struct scored_scan *s, struct error *err)
{
    struct oracle *oracle = s->oracles[s->query];
    struct score_batch *b = &s->batch;

    if (b->is_run) return oracle_scan(oracle, b->first_row, b->count, b->distances, err);
    return oracle_gather(oracle, b->rows, b->count, b->distances, err);
}

/* Everything about the rows of the batch and the query whose turn it is. */
static int score_rows(struct scored_scan *s, struct error *err)
{
    const struct exact_desc *d = &s->desc;

    if (measure_rows(s, err) != 0 || score_batch_run(&s->batch, err) != 0) return -1;
    score_batch_push(&s->batch, &d->best[s->query], (uint32_t)s->part, d->distance_max);
    return 0;
}

static void end_batch(struct scored_scan *s)
{
    score_batch_clear(&s->batch);
    s->query = 0;
    s->is_ready = false;
    if (s->row >= s->row_end) close_part(s);
}

enum index_state scored_scan_advance(struct scored_scan *s, uint64_t row_max, struct error *err)
{
    uint64_t seen = 0;

    do {
        if (!s->is_ready) {
            if (!open_next(s)) return INDEX_DONE;
            if (!gather_rows(s, row_max - seen, &seen)) return INDEX_MORE;
            if (row_filter_error(s->desc.filter)->code != LYNSE_OK) {
                *err = *row_filter_error(s->desc.filter);
                return INDEX_FAILED;
            }
            if (s->is_ready && s->batch.count == 0) end_batch(s);
        } else {
            if (score_rows(s, err) != 0) return INDEX_FAILED; /* (3) */
            seen += s->batch.count;
            if (++s->query == s->desc.query_count) end_batch(s);
        }
    } while (seen < row_max);
    return INDEX_MORE;
}

void scored_scan_rest(struct scored_scan *s)
{
    score_batch_rest(&s->batch); /* (1) */
}
