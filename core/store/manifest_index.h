/* SPDX-License-Identifier: Apache-2.0 */
/* manifest_index.h — what a manifest says of indexes: its tags INDEX_PLAN, SEGMENT_INDEX and
 * INDEX_AUTO (FORMAT.md 5), and the files that they name; for manifest.c.
 *
 * An index can be made again out of its rows: its file alone may be missing or have another length,
 * and its manifest is a good one all the same, which does not name it any more.
 */
#ifndef STORE_MANIFEST_INDEX_H
#define STORE_MANIFEST_INDEX_H

#include "base/bytes.h"
#include "store/manifest.h"

enum manifest_tag {
    TAG_STATE = 1,
    TAG_VECTOR_FIELD = 2,
    TAG_OPTIONS = 3,
    TAG_SEGMENT = 4,
    TAG_HOOK = 5,
    TAG_REQUESTS = 6,
    TAG_INDEX_PLAN = 7,
    TAG_SEGMENT_INDEX = 8,
    TAG_INDEX_AUTO = 9
};

/* Is the field's index one that the first releases did not know? */
static inline bool manifest_index_has_plan(const struct manifest_field *f)
{
    return f->index_kind > MANIFEST_INDEX_FLAT ||
           (f->index_kind == MANIFEST_INDEX_FLAT && f->index.quantizer != 0);
}
bool manifest_index_is_valid(const struct manifest_field *f);
uint32_t manifest_index_count(const struct manifest_segment *s); /* of its parts */

/* All tags of the three kinds. */
void manifest_index_encode(const struct manifest *m, struct buf *out);
/* The data of one.  -1: malformed, as a read past the end is. */
int manifest_index_decode_plan(struct manifest_field *f, struct reader *r);
int manifest_index_decode_auto(struct manifest_field *f);
int manifest_index_decode_part(struct manifest_segment *s, struct reader *r);

/* R6: all files are there with the length that m says, or CORRUPT; what is not true of an index
 * makes m forget it, and is logged. */
int manifest_check_files(struct manifest *m, struct vfs_dir *dir, struct error *err);

#endif
