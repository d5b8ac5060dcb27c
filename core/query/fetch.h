/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h — reads that score nothing: records by id, and walks over all of them. */
#ifndef QUERY_FETCH_H
#define QUERY_FETCH_H

#include "query/result.h"

/* The live records of these ids, in request order; unknown and deleted ones are left out. */
int fetch_ids(struct alloc *a, const struct view *v, const struct record_id *ids, size_t count,
              unsigned columns, struct result *out, struct error *err);
/* 1: live, 0: not, -1: error. */
int fetch_exists(const struct view *v, const struct record_id *id, struct error *err);

/* Rows of a view in the order in which they were written: oldest part first. */
struct fetch_cursor {
    struct view *view; /* held */
    size_t part;
    uint32_t row;
    bool deleted; /* the deleted rows instead of the live ones: the newest version of each id */
};
void fetch_cursor_init(struct fetch_cursor *c, struct view *take_view, bool deleted);
void fetch_cursor_deinit(struct fetch_cursor *c);
/* Up to row_max rows; out->count 0: the end. */
int fetch_next(struct fetch_cursor *c, struct alloc *a, size_t row_max, unsigned columns,
               struct result *out, struct error *err);
/* Pass over row_count matching rows (by counting bits for live ones). */
void fetch_skip(struct fetch_cursor *c, uint64_t row_count);

/* Names of top-level fields of live records, sorted by bytes, into the arena. */
int fetch_field_names(struct alloc *a, const struct view *v, struct arena *arena,
                      const struct slice **out, size_t *out_count, struct error *err);

#endif
