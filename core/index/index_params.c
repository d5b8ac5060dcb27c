/* SPDX-License-Identifier: Apache-2.0 */
#include "index/index_params.h"

#include <math.h>
#include <stdio.h>

#include "codec/quote.h"
#include "index/index.h"

enum { NAMES_TEXT_BYTES = 120 };

void index_params_init(const struct index_vtab *kind, struct index_params *out)
{
    *out = (struct index_params){{0}};
    for (size_t i = 0; i < kind->param_count; i++) out->values[i] = kind->params[i].standard;
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

int index_params_set(const struct index_vtab *kind, struct index_params *params, struct slice name,
                     double value, struct error *err)
{
    char quoted[QUOTE_BYTES], names[NAMES_TEXT_BYTES];
    size_t i = 0;

    while (i < kind->param_count && !slice_equal_word(slice_of_text(kind->params[i].name), name) &&
           !slice_is_word_of(name, kind->params[i].aliases))
        i++;
    if (i == kind->param_count) {
        quote_text(name, quoted, sizeof quoted);
        list_names(kind, names);
        return error_set(err, LYNSE_INVALID, "unknown index build parameter %s; %s has %s", quoted,
                         kind->name, kind->param_count > 0 ? names : "none");
    }
    const struct index_param *p = &kind->params[i];
    if (!(value >= p->low && value <= p->high))
        return error_set(err, LYNSE_LIMIT, "%s: %g, %g to %g", p->name, value, p->low, p->high);
    if (p->is_whole && value != floor(value))
        return error_set(err, LYNSE_INVALID, "%s: %g is no whole number", p->name, value);
    params->values[i] = value;
    return 0;
}
