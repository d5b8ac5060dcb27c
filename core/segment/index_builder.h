/* SPDX-License-Identifier: Apache-2.0 */
/* index_builder.h — the index of one sealed segment is built and written, by as many threads as
 * care to work on it.
 *
 * Who wants to help calls work again and again; each call does a piece, some milliseconds of it.
 * The result is one file, synced and under its name, which no manifest names yet (R5).
 * OWNERSHIP  It holds its segment; its file is removed with it unless it was taken.
 * THREADS    create, take, destroy: one, while nobody works.  work, progress, cancel: any.
 */
#ifndef SEGMENT_INDEX_BUILDER_H
#define SEGMENT_INDEX_BUILDER_H

#include "index/index_mode.h"
#include "segment/segment.h"
#include "store/manifest.h"

struct index_builder;

struct index_builder_desc {
    struct alloc *alloc;
    struct vfs_dir *dir; /* borrowed */
    struct file_owner owner;
    struct rng *rng;         /* used by create alone */
    struct segment *segment; /* sealed; a reference is taken */
    uint32_t row_count;
    enum metric metric;
    struct index_plan plan; /* of a kind that is built */
    uint32_t build;         /* no manifest ever named one of this kind and segment that had it */
};

enum index_work {
    INDEX_WORKED,
    INDEX_NO_WORK, /* others are at what is left; there may be more when they are done */
    INDEX_TO_SAVE, /* only the writing of the file is left, which work was told not to do */
    INDEX_BUILT,   /* it is over, well or not; nobody is at work */
};

/* A file is made, and nothing of the vectors read. */
int index_builder_create(const struct index_builder_desc *desc, struct index_builder **out,
                         struct error *err);
/* may_save: the file may be written and synced here (R4b). */
enum index_work index_builder_work(struct index_builder *b, bool may_save);
/* So many callers can be of use now, 1 at least. */
uint32_t index_builder_room(struct index_builder *b);
void index_builder_cancel(struct index_builder *b, int code);
float index_builder_progress(struct index_builder *b); /* 0 to 1, as of the last phase's end */

const struct uuid *index_builder_segment(const struct index_builder *b);
const struct index_plan *index_builder_plan(const struct index_builder *b);
uint32_t index_builder_row_count(const struct index_builder *b);
enum metric index_builder_metric(const struct index_builder *b);
/* What no garbage collection may remove: the name that it is written under, and its own. */
const char *index_builder_temporary(const struct index_builder *b);
const char *index_builder_name(const struct index_builder *b);

/* When it is built: the file's part of a manifest, and the file is the caller's.  -1: why it
 * failed: CORRUPT, IO, DISK_FULL, NO_MEMORY, or the code of cancel. */
int index_builder_take(struct index_builder *b, struct manifest_part *out, struct error *err);
void index_builder_destroy(struct index_builder *b); /* NULL allowed */

#endif
