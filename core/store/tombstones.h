/* SPDX-License-Identifier: Apache-2.0 */
/* tombstones.h — which rows of a segment are deleted: immutable versions that share untouched
 * 4 KiB chunks, so that a delete copies one chunk whatever the size of the segment.
 *
 * A version is reference-counted; readers hold it through a view.  Writers build the next version:
 * tombstones_edit_begin, any number of set/clear, then take it.  `set` and `clear` of a chunk's
 * first touch may allocate; tombstones_edit_reserve makes the touched chunks ahead, so that what
 * follows the log cannot fail. THREADS  Versions: any.  An edit: the collection's actor.
 */
#ifndef STORE_TOMBSTONES_H
#define STORE_TOMBSTONES_H

#include "store/part_file.h"

struct tombstones;

/* No row deleted; row_capacity bits (a tail knows its capacity, a sealed segment its rows). */
int tombstones_create(struct alloc *a, uint64_t row_capacity, struct tombstones **out,
                      struct error *err);
struct tombstones *tombstones_acquire(struct tombstones *t);
void tombstones_release(struct tombstones *t); /* NULL allowed */
bool tombstones_get(const struct tombstones *t, uint64_t row);
uint64_t tombstones_count(const struct tombstones *t); /* deleted rows */
/* 64 rows from row (a multiple of 64): bit i = row + i is deleted. */
uint64_t tombstones_word(const struct tombstones *t, uint64_t row);
/* The version's bits equal? (skips shared chunks) */
bool tombstones_equal(const struct tombstones *a, const struct tombstones *b);

struct tombstones_edit;
int tombstones_edit_begin(struct tombstones *from, struct tombstones_edit **out, struct error *err);
int tombstones_edit_reserve(struct tombstones_edit *e, uint64_t row,
                            struct error *err);                      /* own copy of row's chunk */
void tombstones_edit_set(struct tombstones_edit *e, uint64_t row);   /* row was reserved */
void tombstones_edit_clear(struct tombstones_edit *e, uint64_t row); /* row was reserved */
struct tombstones *
tombstones_edit_finish(struct tombstones_edit *take_e); /* the new version; cannot fail */
void tombstones_edit_abort(struct tombstones_edit *e);  /* NULL allowed */

/* seg-<uuid>.del-<lsn> */
int tombstones_write(const struct tombstones *t, struct alloc *a, struct vfs_dir *dir,
                     const struct file_owner *owner, const struct uuid *segment, uint64_t row_count,
                     uint64_t lsn, struct rng *rng, struct manifest_part *out_part,
                     struct error *err);
int tombstones_read(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                    const struct uuid *segment, const struct manifest_part *expect,
                    uint64_t row_count, uint64_t lsn, struct tombstones **out, struct error *err);

#endif
