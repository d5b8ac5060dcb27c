/* SPDX-License-Identifier: Apache-2.0 */
/* index_kinds.h — the list of index kinds.  To add one: a file, and a line here.
 *
 * The numbers ascend from 1, are in files (docs/FORMAT.md), and are never changed or used again.
 */
#ifndef INDEX_INDEX_KINDS_H
#define INDEX_INDEX_KINDS_H

/*    kind    number  name */
#if defined(LYNSE_FLAT_ONLY) /* for hosts that count bytes: cmake -DLYNSE_INDEXES=OFF */
#define INDEX_KINDS(_) _(FLAT, 1, flat)
#define INDEX_KINDS_LACK "left out of this build"
enum { INDEX_HAS_BUILT = 0 }; /* is there any that is built? */
#else
enum { INDEX_HAS_BUILT = 1 };
#define INDEX_KINDS(_)                                                                             \
    _(FLAT, 1, flat) _(IVF, 2, ivf) _(HNSW, 3, hnsw) _(DISKANN, 5, diskann) _(SPANN, 6, spann)
#define INDEX_KINDS_LACK "not there yet" /* what else there is to be */
#endif

enum index_kind {
    INDEX_NONE, /* none was asked for */
#define INDEX_NUMBER(KIND, number, name) INDEX_##KIND = number,
    INDEX_KINDS(INDEX_NUMBER)
#undef INDEX_NUMBER
        INDEX_KIND_END
};
enum { INDEX_KIND_MAX = INDEX_KIND_END - 1 }; /* the highest; there may be none of a lower number */

#endif
