/* SPDX-License-Identifier: Apache-2.0 */
/* column_cache.h — columns of the fields that filters and hooks name, taken out of the documents
 * once and kept, least recently used first out, within a bound of bytes.
 *
 * A column grows by blocks of COLUMN_BLOCK_ROWS rows, in any order; a tail's last block is extended
 * as the tail grows and never rebuilt.  Hooks that score read numbers: of the columns that they
 * name, arrays of those are kept beside.  What the bound has no room for, or holds values that are
 * too large, is taken out for one reading and forgotten: the answer is the same.
 */
#ifndef SEGMENT_COLUMN_CACHE_H
#define SEGMENT_COLUMN_CACHE_H

#include "field/column.h"
#include "segment/segment.h"

/* One for a database; any thread. */
struct column_cache;
int column_cache_create(struct alloc *a, size_t bytes_max, struct column_cache **out,
                        struct error *err);
void column_cache_destroy(struct column_cache *c); /* its segments are gone */
size_t column_cache_bytes(struct column_cache *c); /* of the columns that are kept */
/* Paths that look-ups were compared with since it was made: what a look-up costs. */
uint64_t column_cache_compared(struct column_cache *c);

/* Some fields of one segment, being read by one thread. */
struct column_reader;
/* paths: as doc_get has them, copied; 1 at least.  The segment is borrowed.  NO_MEMORY. */
int column_reader_create(struct column_cache *c, struct segment *s, const struct slice *paths,
                         size_t path_count, struct column_reader **out, struct error *err);
void column_reader_destroy(struct column_reader *r); /* NULL is allowed */

/* out_spans[i] becomes field i of rows [row, row + *inout_row_count), valid until the next read.
 * Fewer rows than asked for, one at least, are given where a block ends or values are large.  The
 * rows are below a row_count that a view recorded.  NO_MEMORY, and what the segment says when a
 * document cannot be read. */
int column_reader_read(struct column_reader *r, uint32_t row, uint32_t *inout_row_count,
                       struct column_span *out_spans, struct error *err);

/* Numbers lie side by side between two multiples of this many rows. */
enum { COLUMN_NUMBERS_ROWS = 4 * COLUMN_BLOCK_ROWS };
/* out_numbers[i] becomes field i of these rows as numbers, valid until the next read: NaN where the
 * field is absent or no number; TRUE is 1.  Fewer rows than asked for are given up to the next
 * multiple of COLUMN_NUMBERS_ROWS; all else as above. */
int column_reader_numbers(struct column_reader *r, uint32_t row, uint32_t *inout_row_count,
                          const double **out_numbers, struct error *err);

/* By segment_release: nobody reads the segment any more. */
struct segment_columns;
void segment_columns_destroy(struct segment_columns *s);

#endif
