/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h — reads that score nothing: records by id, and walks over all of them. */
#ifndef QUERY_FETCH_H
#define QUERY_FETCH_H

#include "query/result.h"
#include "query/row_filter.h"

/* The live records of these ids, in request order; unknown and deleted ones are left out. */
int fetch_ids(struct alloc *a, const struct view *v, const struct record_id *ids, size_t count,
              unsigned columns, struct result *out, struct error *err);
/* 1: live, 0: not, -1: error. */
int fetch_exists(const struct view *v, const struct record_id *id, struct error *err);

/* A filter, and what it needs. */
struct fetch_filter {
    struct slice where;
    struct column_cache *fields;
    struct row_limits limits;
};
/* Live rows for which `where` is true.  PARSE, LIMIT; CORRUPT, IO: a document cannot be read;
 * DEADLINE, CANCELLED. */
int fetch_count(struct alloc *a, const struct view *v, const struct fetch_filter *filter,
                uint64_t *out, struct error *err);

/* Rows of a view in the order in which they were written: oldest part first. */
struct fetch_cursor {
    struct view *view;       /* held */
    struct row_filter *rows; /* owned; NULL: no filter */
    struct filter *filter;   /* owned */
    size_t part;
    uint32_t row;
    bool deleted; /* the deleted rows instead of the live ones: the newest version of each id */
    struct row_limits limits; /* of fetch_next */
};
void fetch_cursor_init(struct fetch_cursor *c, struct view *take_view, bool deleted);
/* Of the live rows only those for which `where` is true; before the first row is asked for.  Errors
 * as fetch_count's; those of documents come with the rows. */
int fetch_cursor_filter(struct fetch_cursor *c, struct alloc *a, const struct fetch_filter *filter,
                        struct error *err);
/* The deadline and cancel flag of the next call; in a filter one that passed has ended the walk. */
void fetch_cursor_limit(struct fetch_cursor *c, const struct row_limits *limits);
void fetch_cursor_deinit(struct fetch_cursor *c);
/* Up to row_max rows; out->count 0: the end.  Errors as fetch_count's, and NO_MEMORY. */
int fetch_next(struct fetch_cursor *c, struct alloc *a, size_t row_max, unsigned columns,
               struct result *out, struct error *err);
/* Up to row_max rows of a cursor with live rows: their ids, and the LSN that each was written at.
 * *out_count 0: the end.  Texts are borrowed from the view. */
int fetch_next_ids(struct fetch_cursor *c, size_t row_max, struct record_id *out_ids,
                   uint64_t *out_lsns, size_t *out_count, struct error *err);
/* Pass over row_count matching rows (by counting bits for live ones): how many there were, fewer at
 * the end and where the next fetch_next fails. */
uint64_t fetch_skip(struct fetch_cursor *c, uint64_t row_count);

/* Names of top-level fields of live records, sorted by bytes, into the arena. */
int fetch_field_names(struct alloc *a, const struct view *v, struct arena *arena,
                      const struct slice **out, size_t *out_count, struct error *err);

#endif
