/* SPDX-License-Identifier: Apache-2.0 */
/* segment_builder.h — frozen rows → the files of one sealed segment (R5), step by step: on a job
 * thread to the end, or within the budgets of a frame loop's polls.
 *
 * A row is left out when it is deleted in its tombstones and a newer version of its id is among the
 * inputs, or in a segment after them (superseded).  The newest version of a deleted id is kept,
 * deleted, so that `restore` finds it.  Deletes that come while this runs are not seen: the
 * collection replays them through the row map.
 */
#ifndef SEGMENT_SEGMENT_BUILDER_H
#define SEGMENT_SEGMENT_BUILDER_H

#include "segment/view.h"
#include "store/manifest.h"

struct segment_build_desc {
    struct alloc *alloc;
    struct vfs_dir *dir;
    struct file_owner owner;
    struct rng *rng;
    uint32_t dim;
    uint32_t storage;              /* of the vectors, enum storage_type; 0: F32 */
    const struct view_part *parts; /* oldest first; borrowed, with their tombstones as of F */
    size_t part_count;
    const struct view_part *newer; /* after them, oldest first: where newer versions may be too;
                                      nothing else is read of them; borrowed */
    size_t newer_count;
    uint64_t flushed_lsn;        /* F: the new segment's map_lsn */
    const _Atomic(bool) *cancel; /* may be NULL; looked at before each step */
};
struct segment_build {
    struct alloc *alloc;
    /* 3 parts and no delete map (see dead).  row_count 0: nothing was kept, no file was made. */
    struct manifest_segment segment;
    uint32_t **row_map; /* per input part: old row → new row, or UINT32_MAX where left out */
    size_t part_count;
    struct tombstones *dead; /* of the new rows as of F; never NULL when row_count > 0 */
};
/* What desc points to is borrowed until destroy; rng is used by the steps: nobody else may use it
 * meanwhile. */
struct segment_builder;
int segment_builder_create(const struct segment_build_desc *desc, struct segment_builder **out,
                           struct error *err);
/* A bounded piece of work: about BUILD_STEP_ROWS rows or BUILD_STEP_BYTES bytes, or the sync of one
 * part (under its final name then; not the directory: the publisher does that, R10).  On any
 * thread, one at a time.  0: more is left; 1: done; -1: only destroy is left: CORRUPT: inputs that
 * are damaged or out of LSN order; CANCELLED; DISK_FULL, IO, NO_MEMORY. */
int segment_builder_step(struct segment_builder *b, struct error *err);
/* After step said 1, once: what was built is the caller's. */
struct segment_build segment_builder_take(struct segment_builder *b);
/* What was not taken is removed, files too.  NULL is allowed. */
void segment_builder_destroy(struct segment_builder *b);

/* All steps.  On failure no file is left and out is untouched. */
int segment_build_run(const struct segment_build_desc *desc, struct segment_build *out,
                      struct error *err);
void segment_build_deinit(struct segment_build *b);
/* Remove the files of a build that is not going to be published. */
void segment_build_remove_files(const struct segment_build *b, struct vfs_dir *dir);

#endif
