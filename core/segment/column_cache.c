/* SPDX-License-Identifier: Apache-2.0 */
/* column_cache.c — columns by segment and path; blocks that are filled once for all readers.
 *
 * WHAT        A segment that was ever asked for a field has a list of columns, each a path and an
 *             array of blocks.  Who needs a block that is not there fills it, for all the fields
 *             that it reads: a document is looked up once.  Columns that nobody reads form the
 *             list of what may be evicted, newest first.
 * INVARIANTS  (1) A block's row_count is published after its rows are complete; rows below it
 *                 never change, and its column never moves.
 *             (2) Blocks of a column are made and grown under its segment's `filling` alone.
 *             (3) A column is in the list of the idle if and only if nobody reads it; only those
 *                 are evicted.
 *             (4) bytes counts every column of every segment.  It passes bytes_max by no more than
 *                 what is being filled at the moment.
 * THREADS     Any.  Readers of blocks that are complete take no lock.  Order: filling, then the
 *             cache's.
 * FAILURE     NO_MEMORY, CORRUPT, IO: rows that were complete stay so, the rest is not there.
 */
#include "segment/column_cache.h"

#include <string.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/thread.h"

struct cached_block {
    struct column *column;       /* NULL: not made; written before row_count */
    _Atomic(uint32_t) row_count; /* complete (1) */
    size_t counted_bytes;        /* of the column, in bytes (4) */
};

struct cached_column {
    struct segment_columns *owner;
    struct cached_column *next; /* of its segment */
    struct cached_column *newer, *older;
    uint32_t reader_count;
    size_t bytes;
    _Atomic(bool) is_large; /* a block is over COLUMN_BLOCK_BYTES_MAX: no more of it is kept */
    size_t path_size;
    uint32_t block_count;
    struct cached_block blocks[]; /* then the path */
};

struct segment_columns {
    struct column_cache *cache;
    struct mutex filling;
    struct cached_column *first; /* the cache's lock */
};

struct column_cache {
    struct alloc *alloc;
    struct mutex mutex;
    size_t bytes_max;
    size_t bytes;
    struct cached_column *newest, *oldest; /* that nobody reads */
};

struct reader_field {
    struct cached_column *column; /* with a reader of it counted */
    struct column *passing;       /* a block that is not kept; NULL: none */
    bool is_passing;              /* the read at hand takes it from `passing` */
};

struct column_reader {
    struct column_cache *cache;
    struct segment *segment;
    size_t field_count;
    struct reader_field fields[];
};

int column_cache_create(struct alloc *a, size_t bytes_max, struct column_cache **out,
                        struct error *err)
{
    struct column_cache *c = (struct column_cache *)mem_zalloc(a, MEM_CACHE, sizeof *c);

    if (!c) return error_no_memory(err, sizeof *c);
    c->alloc = a;
    c->bytes_max = bytes_max;
    mutex_init(&c->mutex);
    *out = c;
    return 0;
}

void column_cache_destroy(struct column_cache *c)
{
    if (!c) return;
    CHECK(c->bytes == 0 && !c->newest);
    mutex_deinit(&c->mutex);
    mem_free(c->alloc, c);
}

size_t column_cache_bytes(struct column_cache *c)
{
    mutex_lock(&c->mutex);
    size_t bytes = c->bytes;
    mutex_unlock(&c->mutex);
    return bytes;
}

/* ---- Columns, under the cache's lock ---- */

static struct slice path_of(const struct cached_column *col)
{
    return slice_of((const uint8_t *)&col->blocks[col->block_count], col->path_size);
}

static void unlink_idle(struct column_cache *c, struct cached_column *col)
{
    if (col->newer) col->newer->older = col->older;
    else c->newest = col->older;
    if (col->older) col->older->newer = col->newer;
    else c->oldest = col->newer;
    col->newer = col->older = NULL;
}

static void push_idle(struct column_cache *c, struct cached_column *col)
{
    col->older = c->newest;
    if (c->newest) c->newest->newer = col;
    else c->oldest = col;
    c->newest = col;
}

/* Idle, or of a segment that is going. */
static void free_column(struct column_cache *c, struct cached_column *col)
{
    unlink_idle(c, col);
    c->bytes -= col->bytes;
    for (uint32_t i = 0; i < col->block_count; i++) column_destroy(col->blocks[i].column);
    mem_free(c->alloc, col);
}

static void evict_column(struct column_cache *c, struct cached_column *col)
{
    struct cached_column **at = &col->owner->first;

    while (*at != col) at = &(*at)->next;
    *at = col->next;
    free_column(c, col);
}

/* Make room for more bytes; false when what is in use leaves none. */
static bool make_room(struct column_cache *c, size_t more)
{
    while (c->bytes + more > c->bytes_max && c->oldest) evict_column(c, c->oldest);
    return c->bytes + more <= c->bytes_max;
}

static struct cached_column *find_column(struct segment_columns *s, struct slice path)
{
    struct cached_column *col = s->first;

    while (col && !slice_equal(path_of(col), path)) col = col->next;
    return col;
}

static struct cached_column *make_column(struct segment_columns *s, uint64_t row_capacity,
                                         struct slice path)
{
    struct column_cache *c = s->cache;
    size_t block_count = (size_t)((row_capacity + COLUMN_BLOCK_ROWS - 1) / COLUMN_BLOCK_ROWS);
    size_t bytes = sizeof(struct cached_column) + block_count * sizeof(struct cached_block);
    struct cached_column *col =
        (struct cached_column *)mem_zalloc(c->alloc, MEM_CACHE, bytes + path.size);

    if (!col) return NULL;
    col->owner = s;
    col->block_count = (uint32_t)block_count;
    col->path_size = path.size;
    col->bytes = bytes + path.size;
    memcpy(&col->blocks[block_count], path.data, path.size);
    col->next = s->first;
    s->first = col;
    c->bytes += col->bytes;
    push_idle(c, col);
    return col;
}

/* The segment's list; made when it is asked for the first time. */
static struct segment_columns *columns_of(struct column_cache *c, struct segment *segment)
{
    if (segment->columns) return segment->columns;
    struct segment_columns *s =
        (struct segment_columns *)mem_zalloc(c->alloc, MEM_CACHE, sizeof *s);
    if (!s) return NULL;
    s->cache = c;
    mutex_init(&s->filling);
    segment->columns = s;
    return s;
}

static int acquire_column(struct column_reader *r, struct slice path, struct reader_field *out,
                          struct error *err)
{
    struct column_cache *c = r->cache;
    struct cached_column *col = NULL;

    mutex_lock(&c->mutex);
    struct segment_columns *s = columns_of(c, r->segment);
    if (s) col = find_column(s, path);
    if (s && !col) col = make_column(s, r->segment->row_capacity, path);
    if (col && col->reader_count++ == 0) unlink_idle(c, col);
    mutex_unlock(&c->mutex);
    out->column = col;
    return col ? 0 : error_no_memory(err, sizeof *col + path.size);
}

void segment_columns_destroy(struct segment_columns *s)
{
    struct column_cache *c = s->cache;

    mutex_lock(&c->mutex);
    while (s->first) {
        struct cached_column *col = s->first;
        CHECK(col->reader_count == 0);
        s->first = col->next;
        free_column(c, col);
    }
    mutex_unlock(&c->mutex);
    mutex_deinit(&s->filling);
    mem_free(c->alloc, s);
}

/* ---- Readers ---- */

int column_reader_create(struct column_cache *c, struct segment *s, const struct slice *paths,
                         size_t path_count, struct column_reader **out, struct error *err)
{
    size_t bytes = sizeof(struct column_reader) + path_count * sizeof(struct reader_field);
    struct column_reader *r = (struct column_reader *)mem_zalloc(c->alloc, MEM_SEARCH, bytes);

    CHECK(path_count > 0);
    if (!r) return error_no_memory(err, bytes);
    r->cache = c;
    r->segment = s;
    for (; r->field_count < path_count; r->field_count++) {
        if (acquire_column(r, paths[r->field_count], &r->fields[r->field_count], err) == 0)
            continue;
        column_reader_destroy(r);
        return -1;
    }
    *out = r;
    return 0;
}

void column_reader_destroy(struct column_reader *r)
{
    if (!r) return;
    struct column_cache *c = r->cache;
    mutex_lock(&c->mutex);
    for (size_t i = 0; i < r->field_count; i++) {
        struct cached_column *col = r->fields[i].column;
        if (--col->reader_count == 0) push_idle(c, col);
    }
    make_room(c, 0);
    mutex_unlock(&c->mutex);
    for (size_t i = 0; i < r->field_count; i++) column_destroy(r->fields[i].passing);
    mem_free(c->alloc, r);
}

/* Rows of the block that are complete; acquire pairs with publish: they can be read. */
static uint32_t complete_rows(const struct cached_column *col, uint32_t block)
{
    return atomic_load_acquire(&((struct cached_column *)col)->blocks[block].row_count);
}

/* ---- Filling ---- */

/* A block to fill; false: the field passes, for there is no room to keep it. */
static int ready_block(struct column_cache *c, struct cached_block *b, bool *out_has_room,
                       struct error *err)
{
    *out_has_room = true;
    if (b->column) return 0;
    mutex_lock(&c->mutex);
    *out_has_room = make_room(c, COLUMN_BLOCK_ROWS * (sizeof(union column_cell) + 1));
    mutex_unlock(&c->mutex);
    return *out_has_room ? column_create(c->alloc, COLUMN_BLOCK_ROWS, &b->column, err) : 0;
}

/* Readers may use what is complete (1); what the block has grown by is counted (4). */
static void publish(struct column_cache *c, struct cached_column *col, struct cached_block *b)
{
    size_t bytes = column_memory_bytes(b->column);

    mutex_lock(&c->mutex);
    col->bytes += bytes - b->counted_bytes;
    c->bytes += bytes - b->counted_bytes;
    b->counted_bytes = bytes;
    mutex_unlock(&c->mutex);
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
        struct cached_column *col = r->fields[k].column;
        struct column *to = r->fields[k].is_passing ? NULL : col->blocks[block].column;
        if (!to || column_row_count(to) != i) continue;
        rc = append_field(to, doc.document, path_of(col), err);
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
        struct cached_block *b = &r->fields[k].column->blocks[block];
        bool has_room;
        if (r->fields[k].is_passing) continue;
        rc = ready_block(r->cache, b, &has_room, err);
        r->fields[k].is_passing = rc == 0 && !has_room;
        if (b->column && column_row_count(b->column) < from) from = column_row_count(b->column);
    }
    for (; from < row_end && rc == 0 && !is_large; from++)
        rc = append_kept(r, block, from, &is_large, err);
    for (size_t k = 0; k < r->field_count; k++) {
        struct cached_column *col = r->fields[k].column;
        if (!r->fields[k].is_passing && col->blocks[block].column)
            publish(r->cache, col, &col->blocks[block]);
    }
    return rc;
}

/* Fields that are not kept: rows [row, *row_end) into columns of the reader's own. */
static int fill_passing(struct column_reader *r, uint32_t row, uint32_t *row_end, struct error *err)
{
    struct column_cache *c = r->cache;
    bool is_large = false;
    uint32_t at = row;
    int rc = 0;

    for (size_t k = 0; k < r->field_count; k++) {
        struct reader_field *f = &r->fields[k];
        column_destroy(f->passing);
        f->passing = NULL;
        if (f->is_passing && column_create(c->alloc, COLUMN_BLOCK_ROWS, &f->passing, err) != 0)
            return -1;
    }
    for (; at < *row_end && rc == 0 && !is_large; at++) {
        struct doc_ref doc = {0};
        rc = segment_document(r->segment, at, &doc, err);
        for (size_t k = 0; k < r->field_count && rc == 0; k++) {
            struct reader_field *f = &r->fields[k];
            if (!f->is_passing) continue;
            rc = append_field(f->passing, doc.document, path_of(f->column), err);
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
        bool has_rows = complete_rows(f->column, block) >= row_end;
        f->is_passing = !has_rows && atomic_load_relaxed(&f->column->is_large);
        is_complete &= has_rows || f->is_passing;
    }
    if (is_complete) return 0;
    struct segment_columns *s = r->segment->columns;
    mutex_lock(&s->filling);
    rc = fill_kept(r, block, row_end, err);
    mutex_unlock(&s->filling);
    for (size_t k = 0; k < r->field_count; k++)
        if (complete_rows(r->fields[k].column, block) < row_end) r->fields[k].is_passing = true;
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

    CHECK(row_count > 0 && block < r->fields[0].column->block_count);
    if (ready_kept(r, block, i + row_count, err) != 0) return -1;
    for (size_t k = 0; k < r->field_count; k++) has_passing |= r->fields[k].is_passing;
    if (has_passing && fill_passing(r, row, &row_end, err) != 0) return -1;
    for (size_t k = 0; k < r->field_count; k++) {
        const struct reader_field *f = &r->fields[k];
        struct column_span span =
            column_block(f->is_passing ? f->passing : f->column->blocks[block].column, 0);
        if (!f->is_passing) span = (struct column_span){span.types + i, span.cells + i};
        out_spans[k] = span;
    }
    *inout_row_count = row_end - row;
    return 0;
}
