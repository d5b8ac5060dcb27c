/* SPDX-License-Identifier: Apache-2.0 */
/* collection_fields.c — may a manifest say that of its vector fields?  The registries decide: what
 * is in none of them can neither be published nor opened.  Nor can what the format has words for
 * and this version no code. */
#include "codec/vector_types.h"
#include "collection/collection.h"
#include "simd/metrics.h"

/* Returns what no code is there for, or NULL. */
static const char *check_support(const struct manifest_field *f)
{
    if (f->kind != VECTOR_DENSE) return "is not of dense vectors";
    return NULL;
}

/* Returns what is wrong, or NULL. */
static const char *check_field(const struct manifest_field *f)
{
    if (!metric_find(f->metric)) return "has an unknown metric";
    return NULL; /* whatever its index: it can be searched without (collection_index.c) */
}

int collection_check_fields(const struct manifest *m, int code, struct error *err)
{
    if (m->field_count != 1)
        return error_set(err, LYNSE_UNSUPPORTED,
                         "manifest: %u vector fields; this version reads collections with one",
                         m->field_count);
    const struct manifest_field *f = &m->fields[0];
    const char *missing = check_support(f);
    if (missing)
        return error_set(err, LYNSE_UNSUPPORTED,
                         "manifest: vector field '%s' %s; this version reads nothing else", f->name,
                         missing);
    const char *wrong = check_field(f);
    return wrong ? error_set(err, code, "manifest: vector field '%s' %s", f->name, wrong) : 0;
}
