/* SPDX-License-Identifier: Apache-2.0 */
/* segment.h — what a segment is: rows in LSN order, each with id, LSN, vector and document.
 *
 * Two kinds: active_segment.c (in memory, appended to; frozen when full) and sealed_segment.c
 * (immutable files).  A row below the row_count that a view recorded never changes; whether it is
 * deleted is not the segment's business (store/tombstones.h, held by the view).
 * OWNERSHIP  Reference-counted; views and jobs hold references.
 * THREADS    Reads from any thread that holds a reference; appending is the collection's actor's.
 */
#ifndef SEGMENT_SEGMENT_H
#define SEGMENT_SEGMENT_H

#include "base/rng.h"
#include "codec/id.h"
#include "quant/vector_source.h"
#include "store/doc_file.h"

struct segment;
struct segment_columns;
struct segment_shadow;

struct segment_ops {
    int (*id)(struct segment *s, uint32_t row, struct record_id *out, struct error *err);
    int (*lsn)(struct segment *s, uint32_t row, uint64_t *out, struct error *err);
    int (*document)(struct segment *s, uint32_t row, struct doc_ref *out, struct error *err);
    /* The newest version of the id among rows below row_count: 1 found, 0 not there, -1 error. */
    int (*find)(struct segment *s, const struct record_id *id, uint32_t row_count,
                uint32_t *out_row, struct error *err);
    /* The next older version of the same id in this segment: 1, 0 or -1.  Sealed: never 1. */
    int (*find_older)(struct segment *s, uint32_t row, uint32_t *out_row, struct error *err);
    /* Every checksum, and what its files say of each other; NULL: it has none. */
    int (*verify)(struct segment *s, struct error *err);
    void (*destroy)(struct segment *s); /* by segment_release only */
};

struct segment {
    const struct segment_ops *ops;
    _Atomic(uint32_t) reference_count; /* segment.c only */
    struct vector_source vectors; /* of the default field; run() casts back through vector_owner */
    struct uuid uuid;             /* sealed: in its file names; active: zero */
    uint64_t first_lsn;           /* of its first row; 0 while empty */
    uint64_t row_capacity;        /* sealed: its rows */
    struct segment_columns *columns;         /* column_cache.h's; NULL: no field was asked for */
    _Atomic(struct segment_shadow *) shadow; /* segment_shadow.h's; NULL: none was made */
};

/* For the two kinds: s is zero but for what its owner has set; one reference, the caller's. */
void segment_init(struct segment *s, const struct segment_ops *ops);
struct segment *segment_acquire(struct segment *s);
void segment_release(struct segment *s); /* NULL allowed */
/* The caller's reference is the only one, now; NULL: it is none. */
bool segment_is_last(const struct segment *s);

static inline int segment_id(struct segment *s, uint32_t row, struct record_id *out,
                             struct error *err)
{
    return s->ops->id(s, row, out, err);
}
static inline int segment_lsn(struct segment *s, uint32_t row, uint64_t *out, struct error *err)
{
    return s->ops->lsn(s, row, out, err);
}
static inline int segment_document(struct segment *s, uint32_t row, struct doc_ref *out,
                                   struct error *err)
{
    return s->ops->document(s, row, out, err);
}
static inline int segment_find(struct segment *s, const struct record_id *id, uint32_t row_count,
                               uint32_t *out_row, struct error *err)
{
    return s->ops->find(s, id, row_count, out_row, err);
}
static inline int segment_find_older(struct segment *s, uint32_t row, uint32_t *out_row,
                                     struct error *err)
{
    return s->ops->find_older(s, row, out_row, err);
}

#endif
