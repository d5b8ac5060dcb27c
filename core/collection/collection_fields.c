/* SPDX-License-Identifier: Apache-2.0 */
/* collection_fields.c — may a manifest say that of its vector fields?  The registries decide: what
 * is in none of them can neither be published nor opened. */
#include "collection/collection.h"
#include "index/index.h"
#include "simd/metrics.h"

/* Returns what is wrong, or NULL. */
static const char *check_field(const struct manifest_field *f)
{
    if (!metric_find(f->metric)) return "has an unknown metric";
    if (f->index_kind != INDEX_NONE && !index_find(f->index_kind))
        return "has an unknown index kind";
    return NULL;
}

int collection_check_fields(const struct manifest *m, int code, struct error *err)
{
    for (uint32_t i = 0; i < m->field_count; i++) {
        const char *wrong = check_field(&m->fields[i]);
        if (wrong) return error_set(err, code, "manifest: vector field %u %s", i, wrong);
    }
    return 0;
}
