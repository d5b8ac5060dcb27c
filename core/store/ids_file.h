/* SPDX-License-Identifier: Apache-2.0 */
/* ids_file.h — ids of a sealed segment: row → id and LSN, id → row through sorted ids and a blocked
 * Bloom filter (10 bits an id, one cache line a lookup); nothing is rebuilt at open. */
#ifndef STORE_IDS_FILE_H
#define STORE_IDS_FILE_H

#include "codec/id.h"
#include "store/part_file.h"

/* Rows in order: id and LSN of each. */
struct ids_source {
    void *ctx;
    uint64_t row_count;
    struct record_id (*id)(void *ctx, uint64_t row);
    uint64_t (*lsn)(void *ctx, uint64_t row);
};
/* Writes the ids part of a new segment in steps.  rows->ctx, dir and what the ids point to are
 * borrowed until destroy.  LIMIT: no row, or 2^32 - 1. */
struct ids_writer;
int ids_writer_create(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                      const struct uuid *segment, const struct ids_source *rows, struct rng *rng,
                      struct ids_writer **out, struct error *err);
/* About BUILD_STEP_ROWS rows or BUILD_STEP_BYTES bytes of work, or the sync at the end.
 * 0: more is left.  1: done, the file has its name and *out_part is set; only destroy is left.
 * -1: CORRUPT: ids that are not unique or not valid, LSNs that descend; only destroy is left. */
int ids_writer_step(struct ids_writer *w, struct manifest_part *out_part, struct error *err);
void ids_writer_destroy(struct ids_writer *w); /* unfinished: no file is left; NULL allowed */

struct ids_file;
int ids_file_open(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                  const struct uuid *segment, const struct manifest_part *expect,
                  uint64_t row_count, struct ids_file **out, struct error *err);
void ids_file_close(struct ids_file *f);
/* 1 found (*out_row), 0 not there, -1 CORRUPT. */
int ids_file_find(struct ids_file *f, const struct record_id *id, uint32_t *out_row,
                  struct error *err);
/* Id of a row, borrowed until close; its LSN. */
int ids_file_id(struct ids_file *f, uint32_t row, struct record_id *out, struct error *err);
int ids_file_lsn(struct ids_file *f, uint32_t row, uint64_t *out, struct error *err);
int ids_file_verify(struct ids_file *f, struct error *err); /* every cross-field invariant */

#endif
