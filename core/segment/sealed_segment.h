/* SPDX-License-Identifier: Apache-2.0 */
/* sealed_segment.h — an immutable segment: its mapped ids, vectors and documents. */
#ifndef SEGMENT_SEALED_SEGMENT_H
#define SEGMENT_SEALED_SEGMENT_H

#include "segment/segment.h"
#include "store/ids_file.h"
#include "store/manifest.h"

/* Opens the parts that the manifest names (delete maps are tombstones_read's).  Costs nothing that
 * grows with the rows.  dim is checked against the file's. */
int sealed_segment_open(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                        const struct manifest_segment *m, uint32_t dim, struct doc_cache *cache,
                        struct segment **out, struct error *err);
/* Every checksum and every cross-field invariant of all parts. */
int sealed_segment_verify(struct segment *s, struct error *err);

#endif
