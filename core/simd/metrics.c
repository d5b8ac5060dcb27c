/* SPDX-License-Identifier: Apache-2.0 */
#include "simd/metrics.h"

#include "base/check.h"
#include "base/slice.h"

/* By number; the place of 0 is empty. */
static const struct metric_info metric_table[METRIC_MAX + 1] = {
#define METRIC_INFO(kind, number, name, mode_words, other_names, kernel, what, of, is_for_graphs)  \
    [number] = {METRIC_##kind,                                                                     \
                name,                                                                              \
                mode_words,                                                                        \
                other_names,                                                                       \
                METRIC_VALUE_##what,                                                               \
                METRIC_INPUT_##of,                                                                 \
                METRIC_VALUE_##what == METRIC_VALUE_PRODUCT ? NEARER_IS_LARGER                     \
                                                            : NEARER_IS_SMALLER,                   \
                METRIC_VALUE_##what == METRIC_VALUE_ANGLE,                                         \
                is_for_graphs},
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
#define METRIC_KERNELS(kind, number, name, mode_words, other_names, kernel, ...)                   \
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

const struct metric_info *metric_find_name(const char *name, size_t length)
{
    struct slice word = slice_of(name, length);
    for (unsigned i = 1; i <= METRIC_MAX; i++)
        if (slice_equal_word(word, slice_of_text(metric_table[i].name)) ||
            slice_is_word_of(word, metric_table[i].other_names))
            return &metric_table[i];
    return NULL;
}

/* ---- Which vectors ---- */

enum { LONLAT_DIM = 2 };
static const double longitude_max = 180, latitude_max = 90;
/* Sums and their reciprocals are floats within these, with room for both to be rounded. */
static const double mass_min = 1e-30, mass_max = 1e30;

int metric_check_dim(const struct metric_info *metric, uint32_t dim, struct error *err)
{
    if (metric->input != METRIC_INPUT_LONLAT || dim == LONLAT_DIM) return 0;
    return error_set(err, LYNSE_DIMENSION,
                     "dim: %u; metric '%s' requires dimension 2, a longitude and a latitude", dim,
                     metric->name);
}

static int check_lonlat(const struct metric_info *metric, const float *vectors, size_t count,
                        const char *item, struct error *err)
{
    for (size_t i = 0; i < count * LONLAT_DIM; i++) {
        bool is_longitude = i % LONLAT_DIM == 0;
        double most = is_longitude ? longitude_max : latitude_max, value = (double)vectors[i];
        if (value >= -most && value <= most) continue;
        return error_set(err, LYNSE_INVALID,
                         "vectors: component %zu of %s %zu is %g; %s takes a %s of -%g to %g there",
                         i % LONLAT_DIM, item, i / LONLAT_DIM, value, metric->name,
                         is_longitude ? "longitude" : "latitude", most, most);
    }
    return 0;
}

static int check_mass(const struct metric_info *metric, const float *vectors, size_t count,
                      uint32_t dim, const char *item, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const float *vector = vectors + i * dim;
        double sum = 0;
        for (size_t k = 0; k < dim; k++) {
            if (vector[k] < 0)
                return error_set(err, LYNSE_INVALID,
                                 "vectors: component %zu of %s %zu is %g; %s takes 0 or more", k,
                                 item, i, (double)vector[k], metric->name);
            sum += (double)vector[k];
        }
        if (sum < mass_min || sum > mass_max)
            return error_set(err, LYNSE_INVALID,
                             "vectors: %s %zu has a sum of %g; %s takes sums above 0, %g to %g",
                             item, i, sum, metric->name, mass_min, mass_max);
    }
    return 0;
}

int metric_check_vectors(const struct metric_info *metric, const float *vectors, size_t count,
                         uint32_t dim, const char *item, struct error *err)
{
    switch (metric->input) {
    case METRIC_INPUT_ANY:
        return 0;
    case METRIC_INPUT_LONLAT:
        return check_lonlat(metric, vectors, count, item, err);
    case METRIC_INPUT_MASS:
        return check_mass(metric, vectors, count, dim, item, err);
    }
    UNREACHABLE();
}
