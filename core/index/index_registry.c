/* SPDX-License-Identifier: Apache-2.0 */
/* index_registry.c — index kinds by number and by name. */
#include <string.h>

#include "index/index.h"

static const struct index_vtab *const kinds[INDEX_KIND_COUNT] = {
#define INDEX_ENTRY(KIND, name) [INDEX_##KIND] = &index_##name,
    INDEX_KINDS(INDEX_ENTRY)
#undef INDEX_ENTRY
};

const struct index_vtab *index_find(unsigned kind)
{
    return kind < INDEX_KIND_COUNT ? kinds[kind] : NULL;
}

const struct index_vtab *index_find_name(const char *name, enum index_kind *out_kind)
{
    for (unsigned kind = 0; kind < INDEX_KIND_COUNT; kind++) {
        if (strcmp(kinds[kind]->name, name) != 0) continue;
        *out_kind = (enum index_kind)kind;
        return kinds[kind];
    }
    return NULL;
}
