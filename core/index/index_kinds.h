/* SPDX-License-Identifier: Apache-2.0 */
/* index_kinds.h — the list of index kinds.  To add one: a file, and a line here.
 *
 * The numbers run from 1 without gaps, are in files (docs/FORMAT.md), and are never changed or used
 * again.
 */
#ifndef INDEX_INDEX_KINDS_H
#define INDEX_INDEX_KINDS_H

/*    kind    number  name */
#define INDEX_KINDS(_) _(FLAT, 1, flat) _(IVF, 2, ivf) _(HNSW, 3, hnsw)

enum index_kind {
    INDEX_NONE, /* none was asked for */
#define INDEX_NUMBER(KIND, number, name) INDEX_##KIND = number,
    INDEX_KINDS(INDEX_NUMBER)
#undef INDEX_NUMBER
};
#define INDEX_ONE(KIND, number, name) +1
enum { INDEX_KIND_MAX = 0 INDEX_KINDS(INDEX_ONE) }; /* the highest */
#undef INDEX_ONE

#endif
