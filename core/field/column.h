/* SPDX-License-Identifier: Apache-2.0 */
/* column.h — one field of many rows, taken out of their documents: a type and eight bytes a row.
 *
 * Values keep their types; what does not fit eight bytes (text, bytes, arrays, maps) is copied
 * beside.  Rows are appended in order and never change; blocks never move, so that readers may use
 * rows that they were told of while more are appended.
 * THREADS  One appender.  Readers: rows that something ordered before them.
 */
#ifndef FIELD_COLUMN_H
#define FIELD_COLUMN_H

#include "base/alloc.h"
#include "base/error.h"
#include "codec/value.h"

enum { COLUMN_BLOCK_ROWS = 1024 };

/* Blocks of so many rows, the last of them perhaps not full. */
static inline size_t column_block_count(uint64_t row_count)
{
    return (size_t)((row_count + COLUMN_BLOCK_ROWS - 1) / COLUMN_BLOCK_ROWS);
}

/* TEXT, BYTES: their content.  ARRAY, MAP: the whole encoded value.  Eight bytes can be read there,
 * whatever the size: what is behind the content has no meaning. */
struct column_bytes {
    uint32_t size;
    uint8_t data[];
};
union column_cell {
    bool boolean; /* and integer, likewise 0 or 1 */
    int64_t integer;
    uint64_t uinteger;
    double number;
    int64_t datetime_us;
    const struct column_bytes *bytes;
};
/* Some rows, side by side: types[i] is an enum value_type, VALUE_NULL where the field is absent,
 * and says which member of cells[i] is set (of NULL: none). */
struct column_span {
    const uint8_t *types;
    const union column_cell *cells;
};

struct column;
/* row_capacity: 0 to UINT32_MAX.  NO_MEMORY. */
int column_create(struct alloc *a, uint32_t row_capacity, struct column **out, struct error *err);
void column_destroy(struct column *c); /* NULL is allowed */

/* The next row; v NULL: absent.  The value is copied.  NO_MEMORY: nothing is appended.  CHECK:
 * below row_capacity. */
int column_append(struct column *c, const struct value *v, struct error *err);
uint32_t column_row_count(const struct column *c);  /* the appender's */
size_t column_memory_bytes(const struct column *c); /* likewise */
/* Rows [row, row + COLUMN_BLOCK_ROWS) as far as they were appended; row: a multiple of
 * COLUMN_BLOCK_ROWS, of a row that was. */
struct column_span column_block(const struct column *c, uint32_t row);

/* The value of a cell, its text and containers borrowed from the column; raw is set for ARRAY and
 * MAP alone. */
struct value column_value(const struct column_span *span, uint32_t i);

#endif
