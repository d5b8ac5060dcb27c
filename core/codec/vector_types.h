/* SPDX-License-Identifier: Apache-2.0 */
/* vector_types.h — what a vector field may hold, by the numbers of files (FORMAT.md section 5).
 *
 * The numbers run from 1 without gaps and are never changed or used again.  All that the format
 * knows is here; what this version cannot read is UNSUPPORTED where it is met: so far SPARSE.
 */
#ifndef CODEC_VECTOR_TYPES_H
#define CODEC_VECTOR_TYPES_H

#include <stdbool.h>

#include "lynse_kinds.h"

#define VECTOR_KINDS(_)                                                                            \
    _(DENSE, 1)                                                                                    \
    _(SPARSE, 2)

enum vector_kind {
#define VECTOR_KIND_NUMBER(name, number) VECTOR_##name = number,
    VECTOR_KINDS(VECTOR_KIND_NUMBER)
#undef VECTOR_KIND_NUMBER
};
#define VECTOR_KIND_ONE(name, number) +1
enum { VECTOR_KIND_MAX = 0 VECTOR_KINDS(VECTOR_KIND_ONE) };
#undef VECTOR_KIND_ONE

enum storage_type {
/* Of one component. */
#define STORAGE_TYPE_NUMBER(name, number, text) STORAGE_##name = number,
    LYNSE_STORAGES(STORAGE_TYPE_NUMBER)
#undef STORAGE_TYPE_NUMBER
};
#define STORAGE_TYPE_ONE(name, number, text) +1
enum { STORAGE_TYPE_MAX = 0 LYNSE_STORAGES(STORAGE_TYPE_ONE) };
#undef STORAGE_TYPE_ONE

static inline bool vector_kind_is_known(unsigned kind)
{
    return kind >= 1 && kind <= VECTOR_KIND_MAX;
}

static inline bool storage_type_is_known(unsigned type)
{
    return type >= 1 && type <= STORAGE_TYPE_MAX;
}

/* "f16"; static. */
static inline const char *storage_type_name(unsigned type)
{
    switch (type) {
#define STORAGE_TYPE_NAME(name, number, text)                                                      \
    case number:                                                                                   \
        return text;
        LYNSE_STORAGES(STORAGE_TYPE_NAME)
#undef STORAGE_TYPE_NAME
    default:
        return "unknown";
    }
}

#endif
