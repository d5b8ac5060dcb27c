/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h — a `where` text as a filter over columns (docs/WHERE.md has the language).
 *
 * THREADS  A filter never changes once it is parsed: any number of threads may read and match it.
 */
#ifndef FILTER_FILTER_H
#define FILTER_FILTER_H

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "field/column.h"

struct filter;

/* text is copied.  *out is the caller's, for filter_destroy.
 * PARSE: no expression; names the position (in characters, from 1), what was expected, and shows
 * the place.  LIMIT: over one of LIMIT_WHERE_….  NO_MEMORY. */
int filter_parse(struct alloc *a, struct slice text, struct filter **out, struct error *err);
void filter_destroy(struct filter *f); /* NULL is allowed */

/* What it was parsed from; borrowed until filter_destroy. */
struct slice filter_text(const struct filter *f);

/* The distinct fields that it reads, each as doc_get (codec/value.h) takes it; at most
 * LIMIT_WHERE_PATHS.  Borrowed until filter_destroy.  i: below the count (CHECK). */
size_t filter_path_count(const struct filter *f);
struct slice filter_path(const struct filter *f, size_t i);

/* Append text that parses to the same filter.  -1: out of memory, and out has failed. */
int filter_print(const struct filter *f, struct buf *out);

enum {
    FILTER_MATCH_WORDS = COLUMN_BLOCK_ROWS / 64,
    FILTER_WORK = 128 << 10, /* a fraction of a millisecond; many blocks are done with less */
};
/* Which of the rows [0, row_count) match, row_count <= COLUMN_BLOCK_ROWS (CHECK): begin, then
 * advance until it is true.  A match may be left in the middle for any time, and for good.
 *
 * spans    spans[i] is the column of filter_path(f, i); borrowed until the match is done
 * scratch  filter_scratch_bytes(f) bytes, aligned to 8, which nobody else uses meanwhile
 * work     how much to do, at least: text and arrays count by bytes, a test of a row as some.
 *          Passed by what cannot be left in the middle, which is a fraction of a millisecond.
 * out_true FILTER_MATCH_WORDS words, all of them written when it is done.  Bit r: the expression
 *          is true for row r; neither false nor unknown.  Bits from row_count on are 0. */
size_t filter_scratch_bytes(const struct filter *f);
void filter_match_begin(const struct filter *f, const struct column_span *spans, uint32_t row_count,
                        void *scratch);
bool filter_match_advance(void *scratch, uint64_t work, uint64_t *out_true);

#endif
