/* SPDX-License-Identifier: Apache-2.0 */
#include "index/index_mode.h"

#include <stdio.h>

#include "base/slice.h"
#include "codec/quote.h"

enum { MODES_TEXT_BYTES = 160 }; /* what an error says there is */

/* Kinds that later versions will have: a mode of theirs is no slip of the pen. */
static const char *const planned_kinds[] = {"hnsw", "ivf", "spann", "diskann"};

void index_mode_format(unsigned kind, unsigned metric, char *out, size_t size)
{
    const struct index_vtab *index = index_find(kind);
    const struct metric_info *info = metric_find(metric);

    *out = '\0';
    if (!index || !info) return;
    int word_bytes = (int)strcspn(info->mode_words, " ");
    snprintf(out, size, "%s-%.*s", index->name, word_bytes, info->mode_words);
    for (char *c = out; *c != '-' && *c != '\0'; c++)
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
}

/* "FLAT-IP, FLAT-L2 and FLAT-COS" */
static void list_modes(char out[MODES_TEXT_BYTES])
{
    const unsigned count = INDEX_KIND_MAX * METRIC_MAX;
    size_t used = 0;

    for (unsigned i = 0; i < count; i++) {
        const char *before = i == 0 ? "" : i == count - 1 ? " and " : ", ";
        char mode[32];
        index_mode_format(i / METRIC_MAX + 1, i % METRIC_MAX + 1, mode, sizeof mode);
        int bytes = snprintf(out + used, MODES_TEXT_BYTES - used, "%s%s", before, mode);
        if (bytes < 0 || (size_t)bytes >= MODES_TEXT_BYTES - used) return; /* it is cut */
        used += (size_t)bytes;
    }
}

static bool is_planned(struct slice kind)
{
    for (size_t i = 0; i < sizeof planned_kinds / sizeof *planned_kinds; i++)
        if (slice_equal_word(slice_of_text(planned_kinds[i]), kind)) return true;
    return false;
}

int index_mode_parse(const char *text, struct index_mode *out, struct error *err)
{
    char modes[MODES_TEXT_BYTES], quoted[QUOTE_BYTES];
    size_t kind_bytes = strcspn(text, "-");
    const char *word = text + kind_bytes;
    enum index_kind kind = index_find_name(text, kind_bytes);
    const struct metric_info *metric =
        *word == '-' ? metric_find_mode(word + 1, strlen(word + 1)) : metric_find(METRIC_DEFAULT);

    if (kind != INDEX_NONE && metric) {
        *out = (struct index_mode){.kind = kind, .metric = metric->metric};
        return 0;
    }
    list_modes(modes);
    quote_text(slice_of_text(text), quoted, sizeof quoted);
    if (kind != INDEX_NONE || is_planned(slice_of(text, kind_bytes)))
        return error_set(err, LYNSE_UNSUPPORTED,
                         "index_mode: %s is not there yet; this version has %s", quoted, modes);
    return error_set(err, LYNSE_INVALID, "index_mode: %s is unknown; this version has %s", quoted,
                     modes);
}
