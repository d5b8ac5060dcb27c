/* SPDX-License-Identifier: Apache-2.0 */
/* scored_scan.c — rows in batches to a hook: distances, the columns that it reads, new distances.
 *
 * WHAT        For one query after the other, rows of the range that the filter wants are gathered
 *             until a batch is full or a part ends; their distances come from the oracle, row by
 *             row or as a run.  The hook tells which fields it reads by asking for them: they are
 *             added to the batch at hand and given with every later one.
 * LAYOUT      A batch's rows are of one part and ascending.  Columns are arrays of HOOK_BATCH_ROWS
 *             numbers behind one another, one for each field that is wanted so far.
 * INVARIANTS  (1) A run of the hook is open between an advance that needs it and the next rest.
 *             (2) A row that the hook gives NaN is not found; the others compete by what it gives.
 *             (3) After a failure nothing more is scored.
 * THREADS     One; slices of a search have scans of their own, and share the hook.
 * FAILURE     The hook's, the oracle's or the documents' error; lists hold what came before.
 */
#include "query/scored_scan.h"

#include <math.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

enum { LANES = 32 };
_Static_assert(HOOK_BATCH_ROWS % LANES == 0, "the last lanes of a batch are there");

struct scored_scan {
    struct alloc *alloc;
    struct exact_desc desc;
    struct column_cache *fields;
    struct hook *hook;
    struct hook_run *run; /* NULL: none is open */
    uint64_t deadline_us;
    uint8_t *oracle_memory;
    size_t query; /* whose turn it is */
    /* The next row: of this part, whose first row has this number in the view. */
    size_t part;
    uint64_t part_first;
    uint32_t row;
    bool is_open; /* oracle and reader are of this part and query */
    struct oracle *oracle;
    struct column_reader *reader;       /* of the wanted fields; NULL: none */
    size_t reader_first, reader_fields; /* of wants */
    struct hook_wants wants;
    double *columns;
    size_t column_count;
    uint32_t batch_count;
    uint32_t rows[HOOK_BATCH_ROWS];
    float distances[HOOK_BATCH_ROWS];
    float scores[HOOK_BATCH_ROWS];
};

int scored_scan_create(struct alloc *a, const struct exact_desc *desc, struct column_cache *fields,
                       struct hook *hook, uint64_t deadline_us, struct scored_scan **out,
                       struct error *err)
{
    size_t head = align_up(sizeof(struct scored_scan), ALIGN_VECTOR);
    size_t bytes = head + desc->method->quantizer->oracle_bytes(desc->view->dim);
    struct scored_scan *s =
        (struct scored_scan *)mem_alloc_aligned(a, MEM_SEARCH, bytes, ALIGN_VECTOR);

    CHECK(desc->filter);
    if (!s) return error_no_memory(err, bytes);
    memset((void *)s, 0, sizeof *s);
    s->alloc = a;
    s->desc = *desc;
    s->fields = fields;
    s->hook = hook;
    s->deadline_us = deadline_us;
    s->oracle_memory = (uint8_t *)s + head;
    *out = s;
    return 0;
}

void scored_scan_destroy(struct scored_scan *s)
{
    if (!s) return;
    scored_scan_rest(s);
    column_reader_destroy(s->reader);
    mem_free(s->alloc, s->columns);
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

static void open_part(struct scored_scan *s, uint32_t first_row)
{
    const struct exact_desc *d = &s->desc;
    const struct oracle_desc oracle = {
        .kernels = d->kernels,
        .query = d->queries[s->query],
        .vectors = &d->view->parts[s->part].segment->vectors,
        .metric = (enum metric)d->view->metric,
    };

    s->oracle = d->method->quantizer->oracle_init(s->oracle_memory, &oracle);
    s->row = first_row;
    s->is_open = true;
}

static void close_part(struct scored_scan *s)
{
    column_reader_destroy(s->reader);
    s->reader = NULL;
    s->reader_fields = 0;
    s->is_open = false;
    s->part_first += s->desc.view->parts[s->part++].row_count;
}

/* Open the next part that has rows of the range, of this query or the next; false at the end. */
static bool open_next(struct scored_scan *s, uint32_t *out_end)
{
    uint32_t first;

    for (; s->query < s->desc.query_count; s->query++, s->part = 0, s->part_first = 0) {
        for (; s->part < s->desc.view->part_count; close_part(s)) {
            if (!part_range(s, &first, out_end)) continue;
            if (!s->is_open) open_part(s, first);
            return true;
        }
    }
    return false;
}

/* ---- A batch ---- */

/* Gather wanted rows of the part until the batch is full, the part ends or row_max were seen. */
static uint64_t gather_rows(struct scored_scan *s, uint32_t row_end, uint64_t row_max)
{
    uint32_t first = s->row;

    while (s->row < row_end && s->batch_count <= HOOK_BATCH_ROWS - 64 && s->row - first < row_max) {
        uint32_t word_row = s->row / 64 * 64;
        uint64_t word = row_filter_word(s->desc.filter, s->part, word_row);
        word &= ~0ull << (s->row % 64);
        if (row_end - word_row < 64) word &= (1ull << (row_end - word_row)) - 1;
        uint32_t *rows = s->rows + s->batch_count;
        s->batch_count += (uint32_t)__builtin_popcountll(word);
        if (word == ~0ull) /* the common case, in lanes */
            for (uint32_t i = 0; i < 64; i++) rows[i] = word_row + i;
        else
            for (; word; word &= word - 1) *rows++ = word_row + (uint32_t)__builtin_ctzll(word);
        s->row = word_row + 64 < row_end ? word_row + 64 : row_end;
    }
    return s->row - first;
}

static int measure_rows(struct scored_scan *s, struct error *err)
{
    uint32_t count = s->batch_count, first = s->rows[0];

    if (s->rows[count - 1] - first == count - 1)
        return oracle_scan(s->oracle, first, count, s->distances, err);
    return oracle_gather(s->oracle, s->rows, count, s->distances, err);
}

static double number_of(const struct column_span *span, uint32_t i)
{
    switch (span->types[i]) {
    case VALUE_BOOL:
        return span->cells[i].boolean;
    case VALUE_INT:
        return (double)span->cells[i].integer;
    case VALUE_UINT:
        return (double)span->cells[i].uinteger;
    case VALUE_FLOAT:
        return span->cells[i].number;
    default:
        return NAN;
    }
}

/* A reader of the fields from column_count on, of the part at hand. */
static int ready_reader(struct scored_scan *s, size_t first, struct error *err)
{
    struct slice paths[HOOK_FIELDS_MAX];
    size_t count = s->wants.field_count - first;

    if (s->reader && s->reader_first == first && s->reader_fields == count) return 0;
    column_reader_destroy(s->reader);
    s->reader = NULL;
    for (size_t i = 0; i < count; i++)
        paths[i] = slice_of(s->wants.fields[first + i].name, s->wants.fields[first + i].size);
    s->reader_first = first;
    s->reader_fields = count;
    return column_reader_create(s->fields, s->desc.view->parts[s->part].segment, paths, count,
                                &s->reader, err);
}

/* out[i] = the number of row rows[i] - first_row of the span; one type, as a rule, and then few
 * branches that are not foreseen. */
static void copy_numbers(const struct column_span *span, const uint32_t *rows, uint32_t first_row,
                         uint32_t count, double *out)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows[i] - first_row;
        if (span->types[row] == VALUE_INT) out[i] = (double)span->cells[row].integer;
        else if (span->types[row] == VALUE_FLOAT) out[i] = span->cells[row].number;
        else out[i] = number_of(span, row);
    }
}

/* Numbers of the fields from `first` on for the batch's rows. */
static int fill_columns(struct scored_scan *s, size_t first, struct error *err)
{
    struct column_span spans[HOOK_FIELDS_MAX];

    if (s->wants.field_count == first || s->batch_count == 0) return 0;
    if (ready_reader(s, first, err) != 0) return -1;
    for (uint32_t i = 0, end; i < s->batch_count; i = end) {
        uint32_t row = s->rows[i], row_count = s->rows[s->batch_count - 1] - row + 1;
        if (column_reader_read(s->reader, row, &row_count, spans, err) != 0) return -1;
        for (end = i; end < s->batch_count && s->rows[end] - row < row_count;) end++;
        for (size_t k = 0; k < s->reader_fields; k++)
            copy_numbers(&spans[k], s->rows + i, row, end - i,
                         s->columns + (first + k) * HOOK_BATCH_ROWS + i);
    }
    return 0;
}

/* The hook wants more fields than there are columns. */
static int add_columns(struct scored_scan *s, struct error *err)
{
    size_t first = s->column_count, count = s->wants.field_count;
    size_t bytes = count * HOOK_BATCH_ROWS * sizeof(double);

    CHECK(count <= HOOK_FIELDS_MAX);
    if (count > first) {
        double *columns = (double *)mem_resize(s->alloc, MEM_SEARCH, s->columns, bytes);
        if (!columns) return error_no_memory(err, bytes);
        s->columns = columns;
        s->column_count = count;
    }
    return fill_columns(s, first, err);
}

static enum hook_result call_hook(struct scored_scan *s, struct error *err)
{
    const double *columns[HOOK_FIELDS_MAX];
    struct hook_batch batch = {
        .row_count = s->batch_count,
        .distances = s->distances,
        .columns = columns,
        .column_count = s->column_count,
        .out = s->scores,
    };

    for (size_t i = 0; i < s->column_count; i++) columns[i] = s->columns + i * HOOK_BATCH_ROWS;
    return hook_score(s->run, &batch, &s->wants, err);
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
            topk_push(&s->desc.best[s->query], s->scores[j], (uint32_t)s->part, s->rows[j]);
            limit = limit_of(s);
        }
    }
}

/* Everything about the rows of the batch. */
static int score_batch(struct scored_scan *s, struct error *err)
{
    enum hook_result found;

    if (!s->run && hook_begin(s->hook, s->deadline_us, &s->run, err) != 0) return -1;
    if (measure_rows(s, err) != 0 || fill_columns(s, 0, err) != 0) return -1;
    while ((found = call_hook(s, err)) == HOOK_WANTS_MORE)
        if (add_columns(s, err) != 0) return -1;
    if (found == HOOK_FAILED) return -1;
    push_rows(s);
    s->batch_count = 0;
    return 0;
}

enum index_state scored_scan_advance(struct scored_scan *s, uint64_t row_max, struct error *err)
{
    enum index_state state = INDEX_DONE;
    uint64_t seen = 0;
    uint32_t row_end = 0;

    while (open_next(s, &row_end)) {
        seen += gather_rows(s, row_end, row_max - seen);
        bool is_full = s->batch_count > HOOK_BATCH_ROWS - 64 || s->row >= row_end;
        state = INDEX_FAILED;
        if (row_filter_error(s->desc.filter)->code != LYNSE_OK) {
            *err = *row_filter_error(s->desc.filter);
            break;
        }
        if (is_full && s->batch_count > 0 && score_batch(s, err) != 0) break;
        state = INDEX_MORE;
        if (s->row >= row_end) close_part(s);
        if (seen >= row_max) break;
        state = INDEX_DONE;
    }
    return state;
}

void scored_scan_rest(struct scored_scan *s)
{
    hook_end(s->run); /* (1) */
    s->run = NULL;
}
