/* SPDX-License-Identifier: Apache-2.0 */
#include "simd/metrics.h"

#include <string.h>

static const struct metric_info metric_table[] = {
#define METRIC_INFO(KIND, number, name, order, needs_norm, aliases)                                \
    {METRIC_##KIND, name, order, needs_norm, aliases},
    METRICS(METRIC_INFO)
#undef METRIC_INFO
};

enum { METRIC_COUNT = sizeof metric_table / sizeof metric_table[0] };

const struct metric_info *metric_list(size_t *out_count)
{
    *out_count = METRIC_COUNT;
    return metric_table;
}

const struct metric_info *metric_find(unsigned number)
{
    for (size_t i = 0; i < METRIC_COUNT; i++)
        if ((unsigned)metric_table[i].metric == number) return &metric_table[i];
    return NULL;
}

/* tolower would ask the locale, in which I may not be the capital of i. */
static bool is_same_word(const char *word, const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if (c != word[i]) return false;
    }
    return true;
}

/* `words` are separated by one space. */
static bool has_word(const char *words, const char *name, size_t length)
{
    while (*words != '\0') {
        size_t word_length = strcspn(words, " ");
        if (word_length == length && is_same_word(words, name, length)) return true;
        words += word_length;
        if (*words == ' ') words++;
    }
    return false;
}

const struct metric_info *metric_find_name(const char *name, size_t length)
{
    if (length == 0) return NULL;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_info *info = &metric_table[i];
        if (has_word(info->name, name, length) || has_word(info->aliases, name, length))
            return info;
    }
    return NULL;
}
