/* SPDX-License-Identifier: Apache-2.0 */
/* column_reader.c — fields of a segment's rows, as cells or as numbers, filled once for all.
 *
 * WHAT        Who needs a block that is not there fills it, for all the fields that it reads: a
 *             document is looked up once.  Numbers are made of cells that are complete, for whom
 *             asks for numbers, and lie in longer arrays beside them.
 * INVARIANTS  (1) A block's row_count is published after its rows are complete, its number_count
 *                 after its numbers are; what is below them never changes, and neither its column
 *                 nor its numbers move.
 *             (2) Blocks of a column are made and grown under its segment's `filling` alone.
 * THREADS     One for each reader.  Readers of blocks that are complete take no lock.
 * FAILURE     NO_MEMORY, CORRUPT, IO: rows that were complete stay so, the rest is not there.
 */
#include <math.h>
#include <string.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/limits.h"
#include "segment/cached_column.h"

struct reader_field {
    struct column *passing; /* a block that is not kept; NULL: none */
    double *numbers;        /* COLUMN_NUMBERS_ROWS of them, where they are not kept; NULL: none */
    bool is_passing;        /* the read at hand takes it from `passing` */
    bool is_apart;          /* the numbers at hand are in `numbers` */
};

struct column_reader {
    struct column_cache *cache;
    struct segment *segment;
    size_t field_count;
    struct cached_entry **columns; /* cached_column of each field, acquired */
    struct column_span *spans;     /* likewise, of rows that become numbers */
    struct reader_field fields[];  /* then the columns, and the spans */
};

/* ---- A column, for the cache ---- */

static size_t column_bytes(uint64_t row_capacity)
{
    return sizeof(struct cached_column) +
           column_block_count(row_capacity) * sizeof(struct cached_block);
}

static void init_column(struct cached_entry *e, uint64_t row_capacity)
{
    ((struct cached_column *)e)->block_count = (uint32_t)column_block_count(row_capacity);
}

static void deinit_column(struct cached_entry *e, struct alloc *a)
{
    struct cached_column *col = (struct cached_column *)e;

    for (uint32_t i = 0; i < col->block_count; i++) {
        column_destroy(col->blocks[i].column);
        if (i % NUMBERS_BLOCKS == 0) mem_free(a, col->blocks[i].numbers);
    }
}

static const struct cached_kind column_kind = {column_bytes, init_column, deinit_column, false};

static struct cached_column *column_of(const struct column_reader *r, size_t k)
{
    return (struct cached_column *)r->columns[k];
}

/* ---- Making ---- */

int column_reader_create(struct column_cache *c, struct segment *s, const struct slice *paths,
                         size_t path_count, struct column_reader **out, struct error *err)
{
    struct alloc *a = column_cache_alloc(c);
    size_t head = sizeof(struct column_reader) + path_count * sizeof(struct reader_field);
    size_t bytes = head + path_count * (sizeof(struct cached_entry *) + sizeof(struct column_span));
    struct column_reader *r = (struct column_reader *)mem_zalloc(a, MEM_SEARCH, bytes);

    CHECK(path_count > 0);
    if (!r) return error_no_memory(err, bytes);
    r->cache = c;
    r->segment = s;
    r->field_count = path_count;
    r->columns = (struct cached_entry **)(void *)&r->fields[path_count];
    r->spans = (struct column_span *)(void *)&r->columns[path_count];
    for (size_t i = 0; i < path_count; i++) {
        if (cached_entry_acquire(c, s, &column_kind, paths[i], &r->columns[i], err) == 0) continue;
        column_reader_destroy(r);
        return -1;
    }
    *out = r;
    return 0;
}

void column_reader_destroy(struct column_reader *r)
{
    if (!r) return;
    struct alloc *a = column_cache_alloc(r->cache);
    cached_entries_release(r->cache, r->columns, r->field_count);
    for (size_t i = 0; i < r->field_count; i++) {
        column_destroy(r->fields[i].passing);
        mem_free(a, r->fields[i].numbers);
    }
    mem_free(a, r);
}

/* Rows of the block that are complete; acquire pairs with publish: they can be read. */
static uint32_t complete_rows(struct cached_column *col, uint32_t block)
{
    return atomic_load_acquire(&col->blocks[block].row_count);
}

/* ---- Filling ---- */

/* A block to fill; false: the field passes, for there is no room to keep it. */
static int ready_block(struct column_cache *c, struct cached_block *b, bool *out_has_room,
                       struct error *err)
{
    *out_has_room = true;
    if (b->column) return 0;
    *out_has_room = column_cache_make_room(c, COLUMN_BLOCK_ROWS * (sizeof(union column_cell) + 1));
    if (!*out_has_room) return 0;
    return column_create(column_cache_alloc(c), COLUMN_BLOCK_ROWS, &b->column, err);
}

/* Readers may use what is complete (1); what the block has grown by is counted (4). */
static void publish(struct column_cache *c, struct cached_column *col, struct cached_block *b)
{
    size_t bytes = column_memory_bytes(b->column);

    column_cache_count(c, &col->entry, bytes - b->counted_bytes);
    b->counted_bytes = bytes;
    /* Relaxed: a hint, and nothing is read because of it. */
    if (bytes > COLUMN_BLOCK_BYTES_MAX) atomic_store_relaxed(&col->is_large, true);
    atomic_store_release(&b->row_count, column_row_count(b->column)); /* with complete_rows */
}

static int append_field(struct column *to, struct slice document, struct slice path,
                        struct error *err)
{
    struct value v;
    bool is_there = doc_get(document, path, &v);

    return column_append(to, is_there ? &v : NULL, err);
}

/* Row i of the block, for the fields that are kept and have come as far as that. */
static int append_kept(struct column_reader *r, uint32_t block, uint32_t i, bool *out_is_large,
                       struct error *err)
{
    struct doc_ref doc = {0};
    int rc = segment_document(r->segment, block * COLUMN_BLOCK_ROWS + i, &doc, err);

    for (size_t k = 0; k < r->field_count && rc == 0; k++) {
        struct cached_column *col = column_of(r, k);
        struct column *to = r->fields[k].is_passing ? NULL : col->blocks[block].column;
        if (!to || column_row_count(to) != i) continue;
        rc = append_field(to, doc.document, col->entry.name, err);
        *out_is_large |= column_memory_bytes(to) > COLUMN_BLOCK_BYTES_MAX;
    }
    doc_ref_release(&doc);
    return rc;
}

/* Complete the kept fields' block up to row_end of it, or to where one becomes too large.  Under
 * `filling` (2). */
static int fill_kept(struct column_reader *r, uint32_t block, uint32_t row_end, struct error *err)
{
    uint32_t from = row_end;
    bool is_large = false;
    int rc = 0;

    for (size_t k = 0; k < r->field_count && rc == 0; k++) {
        struct cached_block *b = &column_of(r, k)->blocks[block];
        bool has_room;
        if (r->fields[k].is_passing) continue;
        rc = ready_block(r->cache, b, &has_room, err);
        r->fields[k].is_passing = rc == 0 && !has_room;
        if (b->column && column_row_count(b->column) < from) from = column_row_count(b->column);
    }
    for (; from < row_end && rc == 0 && !is_large; from++)
        rc = append_kept(r, block, from, &is_large, err);
    for (size_t k = 0; k < r->field_count; k++) {
        struct cached_column *col = column_of(r, k);
        if (!r->fields[k].is_passing && col->blocks[block].column)
            publish(r->cache, col, &col->blocks[block]);
    }
    return rc;
}

/* Fields that are not kept: rows [row, *row_end) into columns of the reader's own. */
static int fill_passing(struct column_reader *r, uint32_t row, uint32_t *row_end, struct error *err)
{
    struct alloc *a = column_cache_alloc(r->cache);
    bool is_large = false;
    uint32_t at = row;
    int rc = 0;

    for (size_t k = 0; k < r->field_count; k++) {
        struct reader_field *f = &r->fields[k];
        column_destroy(f->passing);
        f->passing = NULL;
        if (f->is_passing && column_create(a, COLUMN_BLOCK_ROWS, &f->passing, err) != 0) return -1;
    }
    for (; at < *row_end && rc == 0 && !is_large; at++) {
        struct doc_ref doc = {0};
        rc = segment_document(r->segment, at, &doc, err);
        for (size_t k = 0; k < r->field_count && rc == 0; k++) {
            struct reader_field *f = &r->fields[k];
            if (!f->is_passing) continue;
            rc = append_field(f->passing, doc.document, r->columns[k]->name, err);
            is_large |= column_memory_bytes(f->passing) > COLUMN_BLOCK_BYTES_MAX;
        }
        doc_ref_release(&doc);
    }
    *row_end = at;
    return rc;
}

/* Decide which fields pass, and fill those that are kept. */
static int ready_kept(struct column_reader *r, uint32_t block, uint32_t row_end, struct error *err)
{
    bool is_complete = true;
    int rc = 0;

    for (size_t k = 0; k < r->field_count; k++) {
        struct reader_field *f = &r->fields[k];
        bool has_rows = complete_rows(column_of(r, k), block) >= row_end;
        f->is_passing = !has_rows && atomic_load_relaxed(&column_of(r, k)->is_large);
        is_complete &= has_rows || f->is_passing;
    }
    if (is_complete) return 0;
    struct segment_columns *s = r->segment->columns;
    mutex_lock(&s->filling);
    rc = fill_kept(r, block, row_end, err);
    mutex_unlock(&s->filling);
    for (size_t k = 0; k < r->field_count; k++)
        if (complete_rows(column_of(r, k), block) < row_end) r->fields[k].is_passing = true;
    return rc;
}

int column_reader_read(struct column_reader *r, uint32_t row, uint32_t *inout_row_count,
                       struct column_span *out_spans, struct error *err)
{
    uint32_t block = row / COLUMN_BLOCK_ROWS, i = row % COLUMN_BLOCK_ROWS;
    uint32_t left = COLUMN_BLOCK_ROWS - i;
    uint32_t row_count = *inout_row_count < left ? *inout_row_count : left;
    uint32_t row_end = row + row_count;
    bool has_passing = false;

    CHECK(row_count > 0 && block < column_of(r, 0)->block_count);
    if (ready_kept(r, block, i + row_count, err) != 0) return -1;
    for (size_t k = 0; k < r->field_count; k++) has_passing |= r->fields[k].is_passing;
    if (has_passing && fill_passing(r, row, &row_end, err) != 0) return -1;
    for (size_t k = 0; k < r->field_count; k++) {
        const struct reader_field *f = &r->fields[k];
        struct column_span span =
            column_block(f->is_passing ? f->passing : column_of(r, k)->blocks[block].column, 0);
        if (!f->is_passing) span = (struct column_span){span.types + i, span.cells + i};
        out_spans[k] = span;
    }
    *inout_row_count = row_end - row;
    return 0;
}

/* ---- Numbers ---- */

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

static void copy_numbers(struct column_span span, uint32_t from, uint32_t end, double *out)
{
    for (uint32_t i = from; i < end; i++) out[i - from] = number_of(&span, i);
}

/* Numbers of the block that are there; acquire pairs with keep_numbers. */
static uint32_t number_rows(struct cached_column *col, uint32_t block)
{
    return atomic_load_acquire(&col->blocks[block].number_count);
}

/* An array for the block and its neighbours; false: there is no room to keep it.  Under `filling`
 * (2). */
static int make_numbers(struct column_cache *c, struct cached_column *col, uint32_t block,
                        bool *out_has_room, struct error *err)
{
    uint32_t first = block - block % NUMBERS_BLOCKS, left = col->block_count - first;
    uint32_t block_count = left < NUMBERS_BLOCKS ? left : NUMBERS_BLOCKS;
    size_t bytes = block_count * COLUMN_BLOCK_ROWS * sizeof(double);

    *out_has_room = col->blocks[block].numbers || column_cache_make_room(c, bytes);
    if (col->blocks[block].numbers || !*out_has_room) return 0;
    double *numbers = (double *)mem_alloc(column_cache_alloc(c), MEM_CACHE, bytes);
    if (!numbers) return error_no_memory(err, bytes);
    for (uint32_t i = 0; i < block_count; i++)
        col->blocks[first + i].numbers = numbers + (size_t)i * COLUMN_BLOCK_ROWS;
    column_cache_count(c, &col->entry, bytes);
    return 0;
}

/* Of all rows of the block whose cells are complete. */
static int keep_numbers(struct column_reader *r, size_t k, uint32_t block, struct error *err)
{
    struct cached_column *col = column_of(r, k);
    struct cached_block *b = &col->blocks[block];
    bool has_room;

    mutex_lock(&r->segment->columns->filling);
    int rc = make_numbers(r->cache, col, block, &has_room, err);
    uint32_t from = number_rows(col, block), end = complete_rows(col, block);
    if (rc == 0 && has_room && from < end) {
        copy_numbers(column_block(b->column, 0), from, end, b->numbers + from);
        atomic_store_release(&b->number_count, end); /* with number_rows */
    }
    mutex_unlock(&r->segment->columns->filling);
    return rc;
}

/* Whether the numbers of [row, row_end) are kept; they are of one array. */
static bool has_numbers(struct cached_column *col, uint32_t row, uint32_t row_end)
{
    while (row < row_end) {
        uint32_t block = row / COLUMN_BLOCK_ROWS, block_end = (block + 1) * COLUMN_BLOCK_ROWS;
        uint32_t end = block_end < row_end ? block_end : row_end;
        if (number_rows(col, block) < end - block * COLUMN_BLOCK_ROWS) return false;
        row = end;
    }
    return true;
}

static double *numbers_at(struct cached_column *col, uint32_t row)
{
    return col->blocks[row / COLUMN_BLOCK_ROWS].numbers + row % COLUMN_BLOCK_ROWS;
}

/* Rows [row, row + row_count) of field k, of which [row, at) are there already: from now on in
 * memory of the reader's own. */
static int put_apart(struct column_reader *r, size_t k, uint32_t row, uint32_t at,
                     struct error *err)
{
    struct reader_field *f = &r->fields[k];
    size_t bytes = COLUMN_NUMBERS_ROWS * sizeof(double);

    if (!f->numbers)
        f->numbers = (double *)mem_alloc(column_cache_alloc(r->cache), MEM_SEARCH, bytes);
    if (!f->numbers) return error_no_memory(err, bytes);
    if (at > row) memcpy(f->numbers, numbers_at(column_of(r, k), row), (at - row) * sizeof(double));
    f->is_apart = true;
    return 0;
}

/* Numbers of the rows [at, at + row_count) of one block, which were read as r->spans; the reading
 * began with `row`. */
static int put_numbers(struct column_reader *r, uint32_t row, uint32_t at, uint32_t row_count,
                       struct error *err)
{
    for (size_t k = 0; k < r->field_count; k++) {
        struct reader_field *f = &r->fields[k];
        struct cached_column *col = column_of(r, k);
        if (!f->is_apart && !has_numbers(col, at, at + row_count)) {
            if (!f->is_passing && keep_numbers(r, k, at / COLUMN_BLOCK_ROWS, err) != 0) return -1;
            if (!has_numbers(col, at, at + row_count) && put_apart(r, k, row, at, err) != 0)
                return -1;
        }
        if (f->is_apart) copy_numbers(r->spans[k], 0, row_count, f->numbers + (at - row));
    }
    return 0;
}

int column_reader_numbers(struct column_reader *r, uint32_t row, uint32_t *inout_row_count,
                          const double **out_numbers, struct error *err)
{
    uint32_t left = COLUMN_NUMBERS_ROWS - row % COLUMN_NUMBERS_ROWS;
    uint32_t row_count = *inout_row_count < left ? *inout_row_count : left;
    bool is_complete = true;

    CHECK(row_count > 0);
    for (size_t k = 0; k < r->field_count; k++) {
        r->fields[k].is_apart = false;
        is_complete &= has_numbers(column_of(r, k), row, row + row_count);
    }
    for (uint32_t at = row, here; at < row + row_count && !is_complete; at += here) {
        here = row + row_count - at;
        if (column_reader_read(r, at, &here, r->spans, err) != 0 ||
            put_numbers(r, row, at, here, err) != 0)
            return -1;
    }
    for (size_t k = 0; k < r->field_count; k++)
        out_numbers[k] =
            r->fields[k].is_apart ? r->fields[k].numbers : numbers_at(column_of(r, k), row);
    *inout_row_count = row_count;
    return 0;
}
