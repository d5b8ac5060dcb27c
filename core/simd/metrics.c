/* SPDX-License-Identifier: Apache-2.0 */
#include "simd/metrics.h"

#include "base/check.h"
#include "base/slice.h"

/* By number; the place of 0 is empty. */
static const struct metric_info metric_table[METRIC_MAX + 1] = {
#define METRIC_INFO(kind, number, name, mode_words, kernel, what)                                  \
    [number] = {METRIC_##kind,                                                                     \
                name,                                                                              \
                mode_words,                                                                        \
                METRIC_VALUE_##what,                                                               \
                METRIC_VALUE_##what == METRIC_VALUE_PRODUCT ? NEARER_IS_LARGER                     \
                                                            : NEARER_IS_SMALLER,                   \
                METRIC_VALUE_##what == METRIC_VALUE_ANGLE},
    LYNSE_METRICS(METRIC_INFO)
#undef METRIC_INFO
};

const struct metric_info *metric_find(unsigned number)
{
    return number >= 1 && number <= METRIC_MAX ? &metric_table[number] : NULL;
}

struct metric_kernels metric_kernels(enum metric metric, const struct simd_kernels *kernels)
{
    switch (metric) {
#define METRIC_KERNELS(kind, number, name, mode_words, kernel, value)                              \
    case METRIC_##kind:                                                                            \
        return (struct metric_kernels){kernels->dense_##kernel##_f32,                              \
                                       kernels->dense_##kernel##_many_f32,                         \
                                       kernels->dense_##kernel##_block_f32};
        LYNSE_METRICS(METRIC_KERNELS)
#undef METRIC_KERNELS
    }
    UNREACHABLE();
}

const struct metric_info *metric_find_mode(const char *word, size_t length)
{
    for (unsigned i = 1; i <= METRIC_MAX; i++)
        if (slice_is_word_of(slice_of(word, length), metric_table[i].mode_words))
            return &metric_table[i];
    return NULL;
}
