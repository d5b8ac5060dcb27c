/* SPDX-License-Identifier: Apache-2.0 */
/* view.h — the one thing that readers see: an immutable list of segments with their deletions, and
 * the slot in which a collection publishes it (architecture 3, "Reader safety"). */
#ifndef SEGMENT_VIEW_H
#define SEGMENT_VIEW_H

#include "base/thread.h"
#include "segment/segment.h"
#include "segment/segment_index.h"
#include "store/installed_hook.h"
#include "store/tombstones.h"

struct view_part {
    struct segment *segment;
    struct tombstones *dead;
    uint32_t row_count;          /* rows that this view may see */
    struct segment_index *index; /* NULL: it has none */
};
struct view;

/* Who ends what a view was the last to hold, later and on any thread: unmapping the files of a
 * segment, or freeing an index, takes milliseconds. */
struct view_reaper {
    void (*take)(struct view_reaper *to, struct view *take_v);
};

struct view {
    _Atomic(uint32_t) reference_count;
    struct alloc *alloc;
    struct view_reaper *reaper; /* NULL: whoever releases it last ends that himself */
    struct view *next;          /* the reaper's */
    uint64_t lsn;               /* applied up to here (P6: as_of_lsn) */
    uint64_t live_count;        /* rows that are not deleted */
    uint64_t dead_count;
    uint32_t dim;       /* 0: not known yet */
    uint8_t metric;     /* enum metric of simd/metrics.h */
    uint8_t index_kind; /* enum index_kind: what was asked for */
    struct installed_hooks hooks;
    size_t part_count;
    struct view_part parts[]; /* oldest first; the tail last */
};

/* Room for part_count parts, all zero, one reference; the caller fills it in (acquiring what it
 * names) before it is published. */
int view_create(struct alloc *a, size_t part_count, struct view **out, struct error *err);
struct view *view_acquire(struct view *v);
/* Releases its segments and tombstones with the last reference; what was held by nobody else goes
 * to the reaper. */
void view_release(struct view *v);
/* The reaper's: a part of what it was given ends; false: all has, and v is freed. */
bool view_reap_step(struct view *take_v);

/* The newest version of an id: searched from the newest part down, stopping at the first hit.
 * 1: *out_part, *out_row, *out_dead; 0: never seen (or reclaimed); -1: error. */
int view_find(const struct view *v, const struct record_id *id, size_t *out_part, uint32_t *out_row,
              bool *out_dead, struct error *err);

/* A published view.  acquire is a lock, an increment, an unlock: about 20 ns uncontended. */
struct view_slot {
    struct mutex mutex;
    struct view *current;       /* NULL before the first publish and after close */
    struct view_reaper *reaper; /* of what is published; set before that; NULL: none */
};
void view_slot_init(struct view_slot *s);
void view_slot_deinit(struct view_slot *s);
void view_slot_publish(struct view_slot *s, struct view *take_v); /* the old one is released */
struct view *view_slot_acquire(struct view_slot *s);              /* NULL: closed */

#endif
