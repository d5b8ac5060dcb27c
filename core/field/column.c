/* SPDX-License-Identifier: Apache-2.0 */
/* column.c — blocks of cells and types, and a heap behind them.
 *
 * WHAT        Blocks of COLUMN_BLOCK_ROWS rows; texts and encoded containers lie in chunks that
 *             double, and cells point to them.  A short text that is one of the last few is not
 *             copied again: fields have few texts often, and who asks each row about its text may
 *             remember what it said of that pointer (filter/block.c).
 * INVARIANTS  (1) The array of blocks is made in full at the start: neither it nor a block moves.
 *             (2) What was appended never changes.
 *             (3) The places of a heap are multiples of eight bytes (column.h promises the first).
 * THREADS     One appender; readers of rows that they were told of.
 * FAILURE     NO_MEMORY appends nothing; a heap chunk that was made meanwhile stays.
 */
#include "field/column.h"

#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"

enum {
    HEAP_FIRST_BYTES = 1024,
    HEAP_FULL_BYTES = 256 << 10,
    RECENT_TEXTS = 64, /* by their hashes */
    RECENT_BYTES = 64, /* of a text, at most */
};

struct column_part {
    union column_cell cells[COLUMN_BLOCK_ROWS];
    uint8_t types[COLUMN_BLOCK_ROWS];
};

struct heap_chunk {
    struct heap_chunk *older;
    size_t capacity;
    size_t used;
    _Alignas(8) uint8_t data[];
};

struct column {
    struct alloc *alloc;
    uint32_t row_capacity;
    uint32_t row_count;
    size_t part_count; /* made so far */
    size_t memory_bytes;
    struct heap_chunk *heap;             /* newest first */
    const struct column_bytes **recents; /* NULL: no text yet; each may be NULL */
    struct column_part *parts[];
};

int column_create(struct alloc *a, uint32_t row_capacity, struct column **out, struct error *err)
{
    size_t part_count = column_block_count(row_capacity);
    size_t bytes = sizeof(struct column) + part_count * sizeof(struct column_part *);
    struct column *c = (struct column *)mem_zalloc(a, MEM_CACHE, bytes);

    if (!c) return error_no_memory(err, bytes);
    c->alloc = a;
    c->row_capacity = row_capacity;
    c->memory_bytes = bytes;
    *out = c;
    return 0;
}

void column_destroy(struct column *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->part_count; i++) mem_free(c->alloc, c->parts[i]);
    mem_free(c->alloc, c->recents);
    while (c->heap) {
        struct heap_chunk *older = c->heap->older;
        mem_free(c->alloc, c->heap);
        c->heap = older;
    }
    mem_free(c->alloc, c);
}

static struct column_bytes *take_bytes(struct column *c, size_t size, struct error *err)
{
    size_t bytes = align_up(sizeof(struct column_bytes) + size, 8);
    struct heap_chunk *h = c->heap;

    if (!h || h->capacity - h->used < bytes) {
        size_t capacity = h ? h->capacity * 2 : HEAP_FIRST_BYTES;
        if (capacity > HEAP_FULL_BYTES) capacity = HEAP_FULL_BYTES;
        if (capacity < bytes) capacity = bytes;
        h = (struct heap_chunk *)mem_alloc(c->alloc, MEM_CACHE, sizeof *h + capacity);
        if (!h) {
            error_no_memory(err, sizeof *h + capacity);
            return NULL;
        }
        *h = (struct heap_chunk){.older = c->heap, .capacity = capacity};
        c->heap = h;
        c->memory_bytes += sizeof *h + capacity;
    }
    struct column_bytes *at = (struct column_bytes *)(void *)(h->data + h->used);
    h->used += bytes;
    return at;
}

static bool may_come_again(const struct value *v)
{
    return v->type == VALUE_TEXT && v->as.text.size <= RECENT_BYTES;
}

static int make_recents(struct column *c, struct error *err)
{
    size_t bytes = RECENT_TEXTS * sizeof(const struct column_bytes *);

    c->recents = (const struct column_bytes **)mem_zalloc(c->alloc, MEM_CACHE, bytes);
    if (!c->recents) return error_no_memory(err, bytes);
    c->memory_bytes += bytes;
    return 0;
}

static int fill_cell(struct column *c, const struct value *v, union column_cell *out,
                     struct error *err)
{
    struct slice content = v->raw;

    switch (v->type) {
    case VALUE_NULL:
        return 0;
    case VALUE_BOOL:
        out->integer = v->as.boolean;
        return 0;
    case VALUE_INT:
        out->integer = v->as.integer;
        return 0;
    case VALUE_UINT:
        out->uinteger = v->as.uinteger;
        return 0;
    case VALUE_FLOAT:
        out->number = v->as.number;
        return 0;
    case VALUE_DATETIME:
        out->datetime_us = v->as.datetime_us;
        return 0;
    case VALUE_TEXT:
        content = v->as.text;
        break;
    case VALUE_BYTES:
        content = v->as.bytes;
        break;
    case VALUE_ARRAY:
    case VALUE_MAP:
        break;
    }
    CHECK(content.size <= UINT32_MAX);
    const struct column_bytes **recent = NULL;
    if (may_come_again(v)) {
        if (!c->recents && make_recents(c, err) != 0) return -1;
        recent = &c->recents[hash_xxh3_64(content.data, content.size) % RECENT_TEXTS];
        const struct column_bytes *last = *recent;
        if (last && slice_equal(slice_of(last->data, last->size), content)) {
            out->bytes = last;
            return 0;
        }
    }
    struct column_bytes *bytes = take_bytes(c, content.size, err);
    if (!bytes) return -1;
    bytes->size = (uint32_t)content.size;
    if (content.size > 0) memcpy(bytes->data, content.data, content.size);
    out->bytes = bytes;
    if (recent) *recent = bytes;
    return 0;
}

int column_append(struct column *c, const struct value *v, struct error *err)
{
    CHECK(c->row_count < c->row_capacity);
    struct column_part **part = &c->parts[c->row_count / COLUMN_BLOCK_ROWS];
    uint32_t i = c->row_count % COLUMN_BLOCK_ROWS;

    if (!*part) {
        *part = (struct column_part *)mem_alloc(c->alloc, MEM_CACHE, sizeof **part);
        if (!*part) return error_no_memory(err, sizeof **part);
        c->part_count++;
        c->memory_bytes += sizeof **part;
    }
    union column_cell cell = {.uinteger = 0};
    if (v && fill_cell(c, v, &cell, err) != 0) return -1;
    (*part)->cells[i] = cell;
    (*part)->types[i] = (uint8_t)(v ? v->type : VALUE_NULL);
    c->row_count++;
    return 0;
}

uint32_t column_row_count(const struct column *c)
{
    return c->row_count;
}

size_t column_memory_bytes(const struct column *c)
{
    return c->memory_bytes;
}

struct column_span column_block(const struct column *c, uint32_t row)
{
    CHECK_SLOW(row % COLUMN_BLOCK_ROWS == 0 && row < c->row_capacity);
    const struct column_part *part = c->parts[row / COLUMN_BLOCK_ROWS];
    return (struct column_span){part->types, part->cells};
}

struct value column_value(const struct column_span *span, uint32_t i)
{
    const union column_cell *cell = &span->cells[i];
    struct value v = {.type = (enum value_type)span->types[i]};

    switch (v.type) {
    case VALUE_NULL:
        break;
    case VALUE_BOOL:
        v.as.boolean = cell->boolean;
        break;
    case VALUE_INT:
        v.as.integer = cell->integer;
        break;
    case VALUE_UINT:
        v.as.uinteger = cell->uinteger;
        break;
    case VALUE_FLOAT:
        v.as.number = cell->number;
        break;
    case VALUE_DATETIME:
        v.as.datetime_us = cell->datetime_us;
        break;
    case VALUE_TEXT:
        v.as.text = slice_of(cell->bytes->data, cell->bytes->size);
        break;
    case VALUE_BYTES:
        v.as.bytes = slice_of(cell->bytes->data, cell->bytes->size);
        break;
    case VALUE_ARRAY:
    case VALUE_MAP:
        value_read(slice_of(cell->bytes->data, cell->bytes->size), &v);
        break;
    }
    return v;
}
