/* SPDX-License-Identifier: Apache-2.0 */
/* lynse_kinds.h — the lists that callers, files and every layer share: metrics, sync levels.
 *
 * Numbers run from 1 without gaps, are in files (docs/FORMAT.md), and are never changed or used
 * again: a new one is one new line at the end.  The columns are for the library; callers use the
 * enums that lynse.h makes of them.
 */
#ifndef LYNSE_KINDS_H
#define LYNSE_KINDS_H

/* What a write's answer means; lynse.h has the table.
 *
 *    name      number  promise  a write may ask for it
 *
 * promise: the larger, the more; no two are the same.  Only lines are compared by it: it is in no
 * file, and a new level may move the others.
 * a write may ask for it: false: it is a property of collections alone. */
#define LYNSE_SYNC_LEVELS(_)                                                                       \
    _(ALWAYS, 1, 4, true)                                                                          \
    _(INTERVAL, 2, 3, true)                                                                        \
    _(OS, 3, 2, true)                                                                              \
    _(NONE, 4, 1, false)

/* How near two vectors are.  The scores: IP the dot product, L2 the squared Euclidean distance,
 * COSINE 1 - cos of the angle.
 *
 *    name    number  in texts  in index modes  kernel  its value is
 *
 * in index modes: words separated by one space; the first is written, the others are read too, in
 * upper or lower case.
 * kernel: the family dense_<kernel>_<type> of simd/kernels.h.
 * its value is: a DISTANCE, which is the score; a PRODUCT, which is the score, and larger is
 * nearer; the product of an ANGLE, whose score is 1 - cos and needs the norms of both vectors. */
#define LYNSE_METRICS(_)                                                                           \
    _(IP, 1, "ip", "IP", dot, PRODUCT)                                                             \
    _(L2, 2, "l2", "L2", l2, DISTANCE)                                                             \
    _(COSINE, 3, "cosine", "COS COSINE", dot, ANGLE)

#endif
