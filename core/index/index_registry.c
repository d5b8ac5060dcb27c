/* SPDX-License-Identifier: Apache-2.0 */
/* index_registry.c — index kinds by number and by name. */
#include "base/limits.h"
#include "base/slice.h"
#include "index/index.h"
#include "quant/bit_rows.h"

static const struct index_vtab *const kinds[INDEX_KIND_MAX + 1] = {
#define INDEX_ENTRY(KIND, number, name) [number] = &index_##name,
    INDEX_KINDS(INDEX_ENTRY)
#undef INDEX_ENTRY
};

const struct index_vtab *index_find(unsigned kind)
{
    return kind <= INDEX_KIND_MAX ? kinds[kind] : NULL;
}

enum index_kind index_find_name(const char *name, size_t length)
{
    for (unsigned kind = 1; kind <= INDEX_KIND_MAX; kind++)
        if (kinds[kind] &&
            slice_equal_word(slice_of_text(kinds[kind]->name), slice_of(name, length)))
            return (enum index_kind)kind;
    return INDEX_NONE;
}

uint32_t index_dim_max(const struct index_vtab *kind, enum quantizer_kind quantizer)
{
    const struct quantizer_vtab *q = quantizer_find(quantizer);
    uint32_t most = kind->dim_max ? kind->dim_max : LIMIT_DIM;

    return q && q->dim_max && q->dim_max < most ? q->dim_max : most;
}

bool index_reads_as_kept(const struct index_vtab *kind, enum metric metric, uint32_t storage)
{
    if (storage == 0 || storage == STORAGE_F32) return true;
    return storage == STORAGE_BIT && kind->takes_bits && metric_counts_bits(metric);
}
