/* SPDX-License-Identifier: Apache-2.0 */
/* segment_builder.h — frozen rows → the files of one sealed segment (R5), on a job thread.
 *
 * A row is left out when it is deleted in its tombstones and a newer version of its id is among the
 * inputs (superseded).  The newest version of a deleted id is kept, deleted, so that `restore`
 * finds it. Deletes that come while this runs are not seen: the collection replays them through the
 * row map.
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
    const struct view_part *parts; /* oldest first; borrowed, with their tombstones as of F */
    size_t part_count;
    uint64_t flushed_lsn;        /* F: the new segment's map_lsn */
    const _Atomic(bool) *cancel; /* may be NULL; checked once per 1,024 rows */
};
struct segment_build {
    struct alloc *alloc;
    /* 3 parts and no delete map (see dead).  row_count 0: nothing was kept, no file was made. */
    struct manifest_segment segment;
    uint32_t **row_map; /* per input part: old row → new row, or UINT32_MAX where left out */
    size_t part_count;
    struct tombstones *dead; /* of the new rows as of F; never NULL when row_count > 0 */
};
/* CORRUPT: inputs that are damaged or out of LSN order; CANCELLED.  On failure no file is left and
 * out is untouched.  rng is used on the calling thread: nobody else may use it meanwhile.
 * Writes and syncs the parts under their final names (not the directory: the publisher does, R10).
 */
int segment_build_run(const struct segment_build_desc *desc, struct segment_build *out,
                      struct error *err);
void segment_build_deinit(struct segment_build *b);
/* Remove the files of a build that is not going to be published. */
void segment_build_remove_files(const struct segment_build *b, struct vfs_dir *dir);

#endif
