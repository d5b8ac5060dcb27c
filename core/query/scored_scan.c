/* SPDX-License-Identifier: Apache-2.0 */
/* scored_scan.c — rows in batches to a hook: distances, the columns that it reads, new distances.
 *
 * WHAT        Rows of the range that the filter wants are gathered until a batch is full or a part
 *             ends; then one query after the other has its distances of them from the oracle, row
 *             by row or as a run, and its call of the hook.  So rows are matched, and columns read,
 *             once for all queries.  The hook tells which fields it reads by asking for them: every
 *             later batch comes with all of them.
 * LAYOUT      A batch's rows are of one part and ascending.  A batch without gaps is a run: it has
 *             no list of rows, ends where the cache's arrays of numbers do, and its columns are
 *             inside of those.  Columns of other batches are copied behind one another.
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

#include <math.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

enum {
    LANES = 32,
    WORD_ROWS = 64,        /* gathered at once; batches hold a multiple */
    BATCH_BYTES = 4 << 20, /* read in a few tenths of a millisecond */
};
_Static_assert(HOOK_BATCH_ROWS % LANES == 0, "the last lanes of a batch are there");
_Static_assert((int)HOOK_BATCH_ROWS == (int)COLUMN_NUMBERS_ROWS,
               "a full batch is one array of numbers");

struct scored_scan {
    struct alloc *alloc;
    struct exact_desc desc;
    struct column_cache *fields;
    struct hook *hook;
    struct hook_run *run; /* NULL: none is open */
    uint64_t deadline_us;
    uint8_t *oracle_memory;
    struct oracle **oracles; /* of the part at hand, one for each query */
    /* The next row: of this part, whose first row has this number in the view. */
    size_t part;
    uint64_t part_first;
    uint32_t row, row_end;
    bool is_open;                 /* oracles and reader are of this part */
    struct column_reader *reader; /* of the wanted fields; NULL: none */
    size_t reader_fields;
    /* The batch at hand. */
    uint32_t batch_max;
    uint32_t batch_count;
    uint32_t first_row;
    bool is_run;   /* its rows are first_row and those behind it; else `rows` */
    bool is_ready; /* it is being scored */
    size_t query;  /* whose turn it is then */
    size_t column_count;
    const double *columns[HOOK_FIELDS_MAX];
    double *copies; /* of the columns, where it is no run */
    size_t copied_fields;
    struct hook_wants wants;
    /* What is above is zero at first. */
    uint32_t rows[HOOK_BATCH_ROWS];
    float distances[HOOK_BATCH_ROWS];
    float scores[HOOK_BATCH_ROWS];
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
    memset((void *)s, 0, offsetof(struct scored_scan, wants));
    s->wants.parts = 0;
    s->wants.field_count = 0;
    s->alloc = a;
    s->desc = *desc;
    s->fields = fields;
    s->hook = hook;
    s->deadline_us = deadline_us;
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
    scored_scan_rest(s);
    column_reader_destroy(s->reader);
    mem_free(s->alloc, s->copies);
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
    s->is_open = true;
}

static void close_part(struct scored_scan *s)
{
    column_reader_destroy(s->reader);
    s->reader = NULL;
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

static uint32_t row_of(const struct scored_scan *s, uint32_t i)
{
    return s->is_run ? s->first_row + i : s->rows[i];
}

/* Add the row_count rows from s->row on, all of them. */
static bool extend_run(struct scored_scan *s, uint32_t row_count)
{
    if (s->batch_count == 0) {
        s->first_row = s->row;
        s->is_run = true;
    }
    if (!s->is_run || s->first_row + s->batch_count != s->row) return false;
    s->batch_count += row_count;
    return true;
}

/* Add rows of the word that begins with word_row. */
static void add_rows(struct scored_scan *s, uint32_t word_row, uint64_t word)
{
    if (s->is_run) /* no longer */
        for (uint32_t i = 0; i < s->batch_count; i++) s->rows[i] = s->first_row + i;
    s->is_run = false;
    if (word == ~0ull) { /* the common case, in lanes */
        for (uint32_t i = 0; i < WORD_ROWS; i++) s->rows[s->batch_count + i] = word_row + i;
        s->batch_count += WORD_ROWS;
    } else
        for (; word; word &= word - 1)
            s->rows[s->batch_count++] = word_row + (uint32_t)__builtin_ctzll(word);
}

/* Whether no more rows belong to the batch at hand. */
static bool is_batch_full(const struct scored_scan *s)
{
    return s->batch_count > s->batch_max - WORD_ROWS ||
           (s->is_run && s->batch_count > 0 && s->row % COLUMN_NUMBERS_ROWS == 0);
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

    if (s->is_run) return oracle_scan(oracle, s->first_row, s->batch_count, s->distances, err);
    return oracle_gather(oracle, s->rows, s->batch_count, s->distances, err);
}

/* A reader of all wanted fields, of the part at hand. */
static int ready_reader(struct scored_scan *s, struct error *err)
{
    struct slice paths[HOOK_FIELDS_MAX];
    size_t count = s->wants.field_count;

    CHECK(count <= HOOK_FIELDS_MAX);
    if (s->reader && s->reader_fields == count) return 0;
    column_reader_destroy(s->reader);
    s->reader = NULL;
    for (size_t i = 0; i < count; i++)
        paths[i] = slice_of(s->wants.fields[i].name, s->wants.fields[i].size);
    s->reader_fields = count;
    return column_reader_create(s->fields, s->desc.view->parts[s->part].segment, paths, count,
                                &s->reader, err);
}

/* The columns of a batch with gaps. */
static int copy_columns(struct scored_scan *s, struct error *err)
{
    const double *numbers[HOOK_FIELDS_MAX];
    size_t count = s->reader_fields, bytes = count * HOOK_BATCH_ROWS * sizeof(double);
    uint32_t last = s->rows[s->batch_count - 1];

    if (s->copied_fields < count) {
        double *copies = (double *)mem_resize(s->alloc, MEM_SEARCH, s->copies, bytes);
        if (!copies) return error_no_memory(err, bytes);
        s->copies = copies;
        s->copied_fields = count;
    }
    for (uint32_t i = 0, end; i < s->batch_count; i = end) {
        uint32_t row = s->rows[i], row_count = last - row + 1;
        if (column_reader_numbers(s->reader, row, &row_count, numbers, err) != 0) return -1;
        for (end = i; end < s->batch_count && s->rows[end] - row < row_count;) end++;
        for (size_t k = 0; k < count; k++)
            for (uint32_t j = i; j < end; j++)
                s->copies[k * HOOK_BATCH_ROWS + j] = numbers[k][s->rows[j] - row];
    }
    for (size_t k = 0; k < count; k++) s->columns[k] = s->copies + k * HOOK_BATCH_ROWS;
    return 0;
}

/* The wanted fields of the batch's rows, where they are not there yet. */
static int fill_columns(struct scored_scan *s, struct error *err)
{
    uint32_t row_count = s->batch_count;

    if (s->column_count == s->wants.field_count) return 0;
    if (ready_reader(s, err) != 0) return -1;
    if (!s->is_run) {
        if (copy_columns(s, err) != 0) return -1;
    } else {
        if (column_reader_numbers(s->reader, s->first_row, &row_count, s->columns, err) != 0)
            return -1;
        CHECK(row_count == s->batch_count);
    }
    s->column_count = s->reader_fields;
    return 0;
}

static enum hook_result call_hook(struct scored_scan *s, struct error *err)
{
    struct hook_batch batch = {
        .row_count = s->batch_count,
        .distances = s->distances,
        .columns = s->columns,
        .column_count = s->column_count,
        .out = s->scores,
    };
    enum hook_result result = hook_score(s->run, &batch, &s->wants, err);

    if (result == HOOK_WANTS_MORE && s->wants.field_count == s->column_count)
        return error_set(err, LYNSE_HOOK, "score: wants more, but names no field");
    return result;
}

static float limit_of(const struct scored_scan *s)
{
    float threshold = topk_threshold(&s->desc.best[s->query]);
    return threshold < s->desc.distance_max ? threshold : s->desc.distance_max;
}

/* Any of LANES scores within the limit; branchless, so that it is done in vectors. */
static inline bool has_near(const float *scores, float limit)
{
    int near = 0;
    for (int i = 0; i < LANES; i++) near |= scores[i] <= limit;
    return near != 0;
}

/* What of the batch is near enough, NaN left out (2). */
static void push_rows(struct scored_scan *s)
{
    float limit = limit_of(s);

    for (uint32_t i = s->batch_count; i % LANES != 0; i++) s->scores[i] = NAN;
    for (uint32_t i = 0; i < s->batch_count; i += LANES) {
        if (!has_near(s->scores + i, limit)) continue;
        for (uint32_t j = i; j < i + LANES; j++) {
            if (!(s->scores[j] <= limit)) continue;
            topk_push(&s->desc.best[s->query], s->scores[j], (uint32_t)s->part, row_of(s, j));
            limit = limit_of(s);
        }
    }
}

/* Everything about the rows of the batch and the query whose turn it is. */
static int score_batch(struct scored_scan *s, struct error *err)
{
    enum hook_result found;

    if (!s->run && hook_begin(s->hook, s->deadline_us, &s->run, err) != 0) return -1;
    if (measure_rows(s, err) != 0) return -1;
    do {
        if (fill_columns(s, err) != 0) return -1;
        found = call_hook(s, err);
    } while (found == HOOK_WANTS_MORE);
    if (found == HOOK_FAILED) return -1;
    push_rows(s);
    return 0;
}

static void end_batch(struct scored_scan *s)
{
    s->batch_count = 0;
    s->column_count = 0;
    s->query = 0;
    s->is_run = s->is_ready = false;
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
            if (s->is_ready && s->batch_count == 0) end_batch(s);
        } else {
            if (score_batch(s, err) != 0) return INDEX_FAILED; /* (3) */
            seen += s->batch_count;
            if (++s->query == s->desc.query_count) end_batch(s);
        }
    } while (seen < row_max);
    return INDEX_MORE;
}

void scored_scan_rest(struct scored_scan *s)
{
    hook_end(s->run); /* (1) */
    s->run = NULL;
}
