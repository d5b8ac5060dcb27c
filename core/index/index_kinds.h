/* SPDX-License-Identifier: Apache-2.0 */
/* index_kinds.h — the list of index kinds.  To add one: a file, and a line here. */
#ifndef INDEX_INDEX_KINDS_H
#define INDEX_INDEX_KINDS_H

#define INDEX_KINDS(_) _(FLAT, flat)

enum index_kind {
#define INDEX_NUMBER(KIND, name) INDEX_##KIND,
    INDEX_KINDS(INDEX_NUMBER)
#undef INDEX_NUMBER
        INDEX_KIND_COUNT
};

#endif
