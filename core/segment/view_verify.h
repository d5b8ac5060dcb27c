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

struct view_verify_desc {
    const struct view *view; /* borrowed */
    enum verify_level level;
    /* One thing that is wrong; the rest is looked at all the same.  Not 0: NO_MEMORY. */
    int (*report)(void *ctx, const struct error *finding);
    /* Asked once for some thousand rows: may it go on?  Not 0: why not.  NULL: it may. */
    int (*look)(void *ctx, struct error *err);
    void *ctx;
};

/* 0: all was looked at, whatever was found.  NO_MEMORY, or what look said.  On any thread, at the
 * speed of the disk. */
int view_verify(const struct view_verify_desc *desc, struct error *err);

#endif
