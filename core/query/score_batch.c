/* SPDX-License-Identifier: Apache-2.0 */
/* score_batch.c — columns for a hook, its call, and what is near enough of its answer.
 *
 * WHAT        The columns are read when the hook asks for a field that is not there; then it is
 *             called again with the same rows.
 * INVARIANTS  (1) A reader has all fields that were ever asked for, or it is made anew.
 *             (2) NaN is compared with nothing: a row that has it is not pushed.
 * THREADS     One.
 * FAILURE     The hook's or the documents'; scores are undefined then.
 */
#include "query/score_batch.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"

_Static_assert(HOOK_BATCH_ROWS % TOPK_LANES == 0, "the last lanes of a batch are there");
_Static_assert((int)HOOK_BATCH_ROWS == (int)COLUMN_NUMBERS_ROWS,
               "a full batch is one array of numbers");

void score_batch_init(struct score_batch *b, struct alloc *a, struct column_cache *fields,
                      struct hook *hook, uint64_t deadline_us)
{
    memset((void *)b, 0, offsetof(struct score_batch, wants));
    b->wants.parts = 0;
    b->wants.field_count = 0;
    b->alloc = a;
    b->fields = fields;
    b->hook = hook;
    b->deadline_us = deadline_us;
}

void score_batch_deinit(struct score_batch *b)
{
    score_batch_rest(b);
    column_reader_destroy(b->reader);
    mem_free(b->alloc, b->copies);
}

void score_batch_enter(struct score_batch *b, struct segment *segment)
{
    column_reader_destroy(b->reader);
    b->reader = NULL;
    b->segment = segment;
}

void score_batch_clear(struct score_batch *b)
{
    b->count = 0;
    b->column_count = 0;
    b->is_run = false;
}

/* A reader of all wanted fields, of the part at hand. */
static int ready_reader(struct score_batch *b, struct error *err)
{
    struct slice paths[HOOK_FIELDS_MAX];
    size_t count = b->wants.field_count;

    CHECK(count <= HOOK_FIELDS_MAX);
    if (b->reader && b->reader_fields == count) return 0;
    column_reader_destroy(b->reader);
    b->reader = NULL;
    for (size_t i = 0; i < count; i++)
        paths[i] = slice_of(b->wants.fields[i].name, b->wants.fields[i].size);
    b->reader_fields = count;
    return column_reader_create(b->fields, b->segment, paths, count, &b->reader, err);
}

/* The columns of a batch with gaps. */
static int copy_columns(struct score_batch *b, struct error *err)
{
    const double *numbers[HOOK_FIELDS_MAX];
    size_t count = b->reader_fields, bytes = count * HOOK_BATCH_ROWS * sizeof(double);
    uint32_t last = b->rows[b->count - 1];

    if (b->copied_fields < count) {
        double *copies = (double *)mem_resize(b->alloc, MEM_SEARCH, b->copies, bytes);
        if (!copies) return error_no_memory(err, bytes);
        b->copies = copies;
        b->copied_fields = count;
    }
    for (uint32_t i = 0, end; i < b->count; i = end) {
        uint32_t row = b->rows[i], row_count = last - row + 1;
        if (column_reader_numbers(b->reader, row, &row_count, numbers, err) != 0) return -1;
        for (end = i; end < b->count && b->rows[end] - row < row_count;) end++;
        for (size_t k = 0; k < count; k++)
            for (uint32_t j = i; j < end; j++)
                b->copies[k * HOOK_BATCH_ROWS + j] = numbers[k][b->rows[j] - row];
    }
    for (size_t k = 0; k < count; k++) b->columns[k] = b->copies + k * HOOK_BATCH_ROWS;
    return 0;
}

/* The wanted fields of the batch's rows, where they are not there yet. */
static int fill_columns(struct score_batch *b, struct error *err)
{
    uint32_t row_count = b->count;

    if (b->column_count == b->wants.field_count) return 0;
    if (ready_reader(b, err) != 0) return -1;
    if (!b->is_run) {
        if (copy_columns(b, err) != 0) return -1;
    } else {
        if (column_reader_numbers(b->reader, b->first_row, &row_count, b->columns, err) != 0)
            return -1;
        CHECK(row_count == b->count);
    }
    b->column_count = b->reader_fields;
    return 0;
}

static enum hook_result call_hook(struct score_batch *b, struct error *err)
{
    struct hook_batch batch = {
        .row_count = b->count,
        .distances = b->distances,
        .columns = b->columns,
        .column_count = b->column_count,
        .out = b->scores,
    };
    enum hook_result result = hook_score(b->run, &batch, &b->wants, err);

    if (result == HOOK_WANTS_MORE && b->wants.field_count == b->column_count)
        return error_set(err, LYNSE_HOOK, "score: wants more, but names no field");
    return result;
}

int score_batch_run(struct score_batch *b, struct error *err)
{
    enum hook_result found;

    if (!b->run && hook_begin(b->hook, b->deadline_us, &b->run, err) != 0) return -1;
    do {
        if (fill_columns(b, err) != 0) return -1;
        found = call_hook(b, err);
    } while (found == HOOK_WANTS_MORE);
    return found == HOOK_FAILED ? -1 : 0;
}

void score_batch_push(struct score_batch *b, struct topk *best, uint32_t part, float distance_max)
{
    float limit = topk_limit(best, distance_max);

    for (uint32_t i = b->count; i % TOPK_LANES != 0; i++) b->scores[i] = NAN;
    for (uint32_t i = 0; i < b->count; i += TOPK_LANES) {
        if (!topk_has_near(b->scores + i, limit)) continue;
        for (uint32_t j = i; j < i + TOPK_LANES; j++) {
            if (!(b->scores[j] <= limit)) continue;
            topk_push(best, b->scores[j], part, score_batch_row(b, j));
            limit = topk_limit(best, distance_max);
        }
    }
}

void score_batch_rest(struct score_batch *b)
{
    hook_end(b->run);
    b->run = NULL;
}
