/* SPDX-License-Identifier: Apache-2.0 */
/* view_verify.h — is everything that a view shows as it must be?  Reads all of it, writes nothing.
 */
#ifndef SEGMENT_VIEW_VERIFY_H
#define SEGMENT_VIEW_VERIFY_H

#include "segment/view.h"

enum verify_level {
    VERIFY_QUICK = 1, /* what opening has read: order and sizes of the segments */
    VERIFY_FULL,      /* every checksum, every row, every id */
    VERIFY_DEEP,      /* and what indexes say of their rows */
};

/* What was found of an index that is sound. */
struct verified_index {
    const struct segment_index *index;
    uint32_t row_count, probe_count;
    double recall; /* of the 10 nearest rows of so many of its rows */
};

struct view_verify_desc {
    const struct view *view; /* borrowed */
    struct alloc *alloc;     /* DEEP: of what looking takes */
    enum verify_level level;
    /* One thing that is wrong; the rest is looked at all the same.  Not 0: NO_MEMORY. */
    int (*report)(void *ctx, const struct error *finding);
    /* DEEP: an index, borrowed during the call.  Not 0: NO_MEMORY.  NULL: nobody wants to know. */
    int (*report_index)(void *ctx, const struct verified_index *index);
    /* DEEP: does the newest version still show that index?  The file of another one may be gone by
     * now.  NULL: it does. */
    bool (*is_shown)(void *ctx, const struct segment_index *index);
    /* Asked once for some thousand rows: may it go on?  Not 0: why not.  NULL: it may. */
    int (*look)(void *ctx, struct error *err);
    void *ctx;
};

/* 0: all was looked at, whatever was found.  NO_MEMORY, or what look said.  On any thread, at the
 * speed of the disk. */
int view_verify(const struct view_verify_desc *desc, struct error *err);

#endif
