/* SPDX-License-Identifier: Apache-2.0 */
/* ids_file.h — ids of a sealed segment: row → id and LSN, id → row through sorted ids and a blocked
 * Bloom filter (10 bits an id, one cache line a lookup); nothing is rebuilt at open. */
#ifndef STORE_IDS_FILE_H
#define STORE_IDS_FILE_H

#include "codec/id.h"
#include "store/part_file.h"

/* Rows in order: id and LSN of each.  LIMIT: no row, or 2^32 - 1; CORRUPT: ids that are not unique
 * or not valid, LSNs that descend.  On failure no file is left. */
struct ids_source {
    void *ctx;
    uint64_t row_count;
    struct record_id (*id)(void *ctx, uint64_t row);
    uint64_t (*lsn)(void *ctx, uint64_t row);
};
int ids_file_write(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                   const struct uuid *segment, const struct ids_source *rows, struct rng *rng,
                   struct manifest_part *out_part, struct error *err);

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
