/* SPDX-License-Identifier: Apache-2.0 */
#include "server/kind_words.h"

#include <lynse.h>
#include <stddef.h>

const char *const sync_words[] = {"default", "always", "interval", "os", "none", NULL};

const char *sync_word(uint32_t level)
{
    return level < sizeof sync_words / sizeof *sync_words - 1 ? sync_words[level] : "";
}

const char *metric_word(uint32_t metric)
{
    switch (metric) {
#define METRIC_CASE(name, number, text, ...)                                                       \
    case number:                                                                                   \
        return text;
        LYNSE_METRICS(METRIC_CASE)
#undef METRIC_CASE
    default:
        return "";
    }
}

const char *storage_word(uint32_t storage)
{
    switch (storage) {
#define STORAGE_CASE(name, number, text)                                                           \
    case number:                                                                                   \
        return text;
        LYNSE_STORAGES(STORAGE_CASE)
#undef STORAGE_CASE
    default:
        return "";
    }
}
