/* SPDX-License-Identifier: Apache-2.0 */
/* quantizer_registry.c — quantizers by number and by name. */
#include <string.h>

#include "quant/quantizer.h"

static const struct quantizer_vtab *const kinds[QUANTIZER_COUNT] = {
#define QUANTIZER_ENTRY(KIND, name) [QUANTIZER_##KIND] = &quantizer_##name,
    QUANTIZER_KINDS(QUANTIZER_ENTRY)
#undef QUANTIZER_ENTRY
};

const struct quantizer_vtab *quantizer_find(unsigned kind)
{
    return kind < QUANTIZER_COUNT ? kinds[kind] : NULL;
}

const struct quantizer_vtab *quantizer_find_name(const char *name, enum quantizer_kind *out_kind)
{
    for (unsigned kind = 0; kind < QUANTIZER_COUNT; kind++) {
        if (strcmp(kinds[kind]->name, name) != 0) continue;
        *out_kind = (enum quantizer_kind)kind;
        return kinds[kind];
    }
    return NULL;
}
