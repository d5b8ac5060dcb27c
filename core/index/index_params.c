/* SPDX-License-Identifier: Apache-2.0 */
#include "index/index_params.h"

#include <math.h>
#include <stdio.h>

#include "base/suggest.h"
#include "codec/quote.h"
#include "index/index.h"

enum { NAMES_TEXT_BYTES = 120, NAME_BYTES_MAX = 24, WHY_BYTES = 160 };

/* Those of kinds that this version may not have yet; see is_of_another. */
static const char planned_names[] =
    "n_clusters n_centroids nprobe replica_count m ef_construction ef_search max_level r l alpha "
    "max_degree";

void index_params_init(const struct index_vtab *kind, struct index_params *out)
{
    *out = (struct index_params){{0}};
    for (size_t i = 0; i < kind->param_count; i++) out->values[i] = kind->params[i].standard;
}

/* Its place in the table; param_count: it is not in it. */
static size_t find_param(const struct index_vtab *kind, struct slice name)
{
    size_t i = 0;

    while (i < kind->param_count && !slice_equal_word(slice_of_text(kind->params[i].name), name) &&
           !slice_is_word_of(name, kind->params[i].aliases))
        i++;
    return i;
}

static void list_names(const struct index_vtab *kind, char out[NAMES_TEXT_BYTES])
{
    size_t used = 0;

    *out = '\0';
    for (size_t i = 0; i < kind->param_count; i++) {
        int bytes = snprintf(out + used, NAMES_TEXT_BYTES - used, "%s%s", i == 0 ? "" : ", ",
                             kind->params[i].name);
        if (bytes < 0 || (size_t)bytes >= NAMES_TEXT_BYTES - used) return; /* it is cut */
        used += (size_t)bytes;
    }
}

static int refuse_name(const struct index_vtab *kind, struct slice name, struct error *err)
{
    char quoted[QUOTE_BYTES], names[NAMES_TEXT_BYTES], lower[NAME_BYTES_MAX], meant[48] = "";
    struct suggestion near;

    quote_text(name, quoted, sizeof quoted);
    list_names(kind, names);
    if (name.size > 0 && name.size < sizeof lower) {
        memcpy(lower, name.data, name.size);
        for (size_t i = 0; i < name.size; i++)
            if (lower[i] >= 'A' && lower[i] <= 'Z') lower[i] = (char)(lower[i] - 'A' + 'a');
        suggestion_begin(&near, slice_of(lower, name.size));
        for (size_t i = 0; i < kind->param_count; i++)
            suggestion_offer(&near, kind->params[i].name);
        if (near.best) snprintf(meant, sizeof meant, "; did you mean '%s'?", near.best);
    }
    return error_set(err, LYNSE_INVALID,
                     "unknown index build parameter %s%s%s supported keys of %s: %s", quoted, meant,
                     *meant ? "" : ";", kind->name, kind->param_count > 0 ? names : "none");
}

static int check_value(const struct index_param *p, double value, struct error *err)
{
    if (!(value >= p->low && value <= p->high))
        return error_set(err, LYNSE_LIMIT, "%s: %.10g, allowed are %.10g to %.10g", p->name, value,
                         p->low, p->high);
    if (p->is_whole && value != floor(value))
        return error_set(err, LYNSE_INVALID, "%s: %.10g is no whole number", p->name, value);
    return 0;
}

int index_params_set(const struct index_vtab *kind, struct index_params *params, struct slice name,
                     double value, struct error *err)
{
    size_t i = find_param(kind, name);

    if (i == kind->param_count) return refuse_name(kind, name, err);
    if (check_value(&kind->params[i], value, err) != 0) return -1;
    params->values[i] = value;
    return 0;
}

static int check_together(const struct index_vtab *kind, const struct index_params *params,
                          struct error *err)
{
    char why[WHY_BYTES];

    if (!kind->contradicts || !kind->contradicts(params, why, sizeof why)) return 0;
    return error_set(err, LYNSE_INVALID, "index build parameters: %s", why);
}

/* A program may name all that its kinds of choice take, whichever kind it is that it builds. */
static bool is_of_another(const struct index_vtab *kind, struct slice name)
{
    if (kind->param_count > 0) return false;
    if (slice_is_word_of(name, planned_names)) return true;
    for (unsigned other = 1; other <= INDEX_KIND_MAX; other++) {
        const struct index_vtab *k = index_find(other);
        if (k && find_param(k, name) < k->param_count) return true;
    }
    return false;
}

int index_params_read(const struct index_vtab *kind, const struct index_param_value *values,
                      size_t count, struct index_params *out, struct error *err)
{
    struct index_params params;
    uint32_t given = 0; /* bit i: the kind's parameter i */

    index_params_init(kind, &params);
    for (size_t i = 0; i < count; i++) {
        size_t place = find_param(kind, values[i].name);
        if (place == kind->param_count && is_of_another(kind, values[i].name)) continue;
        double before = place < kind->param_count ? params.values[place] : 0;
        if (index_params_set(kind, &params, values[i].name, values[i].value, err) != 0) return -1;
        if (given >> place & 1 && before != params.values[place])
            return error_set(err, LYNSE_INVALID, "%s: given as %.10g and as %.10g",
                             kind->params[place].name, before, params.values[place]);
        given |= 1u << place;
    }
    if (check_together(kind, &params, err) != 0) return -1;
    *out = params;
    return 0;
}

int index_params_check(const struct index_vtab *kind, const struct index_params *params,
                       struct error *err)
{
    for (size_t i = 0; i < kind->param_count; i++)
        if (check_value(&kind->params[i], params->values[i], err) != 0) return -1;
    return check_together(kind, params, err);
}
