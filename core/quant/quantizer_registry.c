/* SPDX-License-Identifier: Apache-2.0 */
/* quantizer_registry.c — quantizers by number. */
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
