/* SPDX-License-Identifier: Apache-2.0 */
/* Distances that are no products: known values, and every level against long double within the
 * bounds of measures.h; the numbers in brackets are its invariants.  That forms have the same bits
 * is test_kernels.c's. */
#include "support/test.h"

#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "simd/measures.h"
#include "simd/metrics.h"

enum { DIM_MAX = 1536 };

/* ---- Definitions, and how far off a kernel may be: measures.h ---- */

struct judged {
    long double value, bound;
};

static long double mass_of(const float *x, size_t dim)
{
    long double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += x[i] > 0 ? x[i] : 0;
    return sum;
}

static long double share(const float *x, size_t i, long double mass)
{
    return x[i] > 0 ? x[i] / mass : 0;
}

static struct judged judge_sums(enum metric metric, const float *a, const float *b, size_t dim)
{
    long double apart = 0, together = 0, most = 0, ratios = 0;
    long double k = dense_f32_error_factor(dim);
    for (size_t i = 0; i < dim; i++) {
        long double d = fabsl((long double)a[i] - b[i]);
        long double both = fabsl((long double)a[i]) + fabsl((long double)b[i]);
        apart += d;
        together += fabsl((long double)a[i] + b[i]);
        most = fmaxl(most, d);
        if (both > 0) ratios += d / both;
    }
    if (metric == METRIC_L1) return (struct judged){apart, k * apart};
    if (metric == METRIC_CHEBYSHEV) return (struct judged){most, 0x1p-24L * most};
    if (metric == METRIC_CANBERRA) return (struct judged){ratios, k * ratios};
    long double quotient = apart > 0 ? apart / together : 0;
    return (struct judged){quotient, 2 * k * quotient};
}

static struct judged judge_bits(enum metric metric, const float *a, const float *b, size_t dim)
{
    long double both = 0, only = 0;
    for (size_t i = 0; i < dim; i++) {
        bool x = a[i] > 0.5f, y = b[i] > 0.5f;
        both += x && y;
        only += x != y;
    }
    if (metric == METRIC_HAMMING) return (struct judged){only, 0};
    long double of = metric == METRIC_JACCARD ? both + only : 2 * both + only;
    long double quotient = of > 0 ? only / of : 0;
    return (struct judged){quotient, 0x1p-24L * quotient};
}

static struct judged judge_masses(enum metric metric, const float *a, const float *b, size_t dim)
{
    long double mass_a = mass_of(a, dim), mass_b = mass_of(b, dim);
    long double roots = 0, carried = 0, moved = 0, entropy = 0, k = dense_f32_error_factor(dim);
    for (size_t i = 0; i < dim; i++) {
        long double p = share(a, i, mass_a), q = share(b, i, mass_b), d = sqrtl(p) - sqrtl(q);
        roots += d * d;
        carried += p - q;
        moved += fabsl(carried);
        entropy += p > 0 ? p * logl(2 * p / (p + q)) : 0;
        entropy += q > 0 ? q * logl(2 * q / (p + q)) : 0;
    }
    if (metric == METRIC_HELLINGER) return (struct judged){sqrtl(roots / 2), 2 * k};
    if (metric == METRIC_WASSERSTEIN) return (struct judged){moved, 4 * k * (long double)dim};
    return (struct judged){sqrtl(fmaxl(entropy, 0) / 2), 3 * k};
}

/* Of dim 1 at least.  Its standard deviation, and the largest of its components. */
static long double deviation(const float *x, size_t dim, long double *out_mean, float *out_most)
{
    long double mean = 0, square = 0;
    *out_most = 0;
    for (size_t i = 0; i < dim; i++) {
        mean += x[i];
        *out_most = fmaxf(*out_most, fabsf(x[i]));
    }
    mean /= (long double)dim;
    for (size_t i = 0; i < dim; i++) square += (x[i] - mean) * (x[i] - mean);
    *out_mean = mean;
    return sqrtl(square / (long double)dim);
}

static struct judged judge_correlation(const float *a, const float *b, size_t dim)
{
    long double mean_a, mean_b, product = 0, k = dense_f32_error_factor(dim);
    float most_a, most_b;
    long double spread_a = deviation(a, dim, &mean_a, &most_a);
    long double spread_b = deviation(b, dim, &mean_b, &most_b);
    if (spread_a == 0 || spread_b == 0) return (struct judged){1, 0};
    for (size_t i = 0; i < dim; i++) product += (a[i] - mean_a) * (b[i] - mean_b);
    long double x = 3 * k * most_a / spread_a, y = 3 * k * most_b / spread_b;
    return (struct judged){1 - product / (spread_a * spread_b * (long double)dim),
                           4 * k + 2 * (x * x + y * y)};
}

static struct judged judge_haversine(const float *a, const float *b)
{
    const long double radian = acosl(-1) / 180;
    long double east = sinl(((long double)a[0] - b[0]) * radian / 2);
    long double north = sinl(((long double)a[1] - b[1]) * radian / 2);
    long double square = north * north + cosl(a[1] * radian) * cosl(b[1] * radian) * (east * east);
    long double metres = 2 * (long double)MEASURE_EARTH_RADIUS * asinl(sqrtl(fminl(square, 1)));
    return (struct judged){metres, 0x1p-21L * metres + 0x1p-16L};
}

static struct judged judge(enum metric metric, const float *a, const float *b, size_t dim)
{
    switch (metric) {
    case METRIC_L1:
    case METRIC_CHEBYSHEV:
    case METRIC_CANBERRA:
    case METRIC_BRAY_CURTIS:
        return judge_sums(metric, a, b, dim);
    case METRIC_HAMMING:
    case METRIC_JACCARD:
    case METRIC_DICE:
        return judge_bits(metric, a, b, dim);
    case METRIC_HAVERSINE:
        return judge_haversine(a, b);
    case METRIC_CORRELATION:
        return judge_correlation(a, b, dim);
    case METRIC_HELLINGER:
    case METRIC_WASSERSTEIN:
    case METRIC_JENSEN_SHANNON:
        return judge_masses(metric, a, b, dim);
    default:
        fail_msg("metric %d: say here what it is, and its bound in measures.h", (int)metric);
        return (struct judged){0};
    }
}

/* ---- Values ---- */

enum values { WIDE, NEAR, SPARSE, SCALES, BITS, FAR_FROM_ZERO, VALUES_COUNT };

static void fill(struct rng *rng, enum values kind, const float *near, float *out, size_t dim)
{
    for (size_t i = 0; i < dim; i++) {
        float unit = (float)(rng_unit(rng) * 2 - 1);
        out[i] = kind == NEAR            ? near[i] + unit * 1e-4f
                 : kind == SPARSE        ? (rng_chance(rng, 0.1) ? unit : 0)
                 : kind == SCALES        ? ldexpf(unit, (int)rng_below(rng, 24) - 12)
                 : kind == BITS          ? (float)rng_chance(rng, 0.5)
                 : kind == FAR_FROM_ZERO ? 100 + unit
                                         : unit;
    }
}

/* Into vectors that the metric is for. */
static void fit(const struct metric_info *info, float *x, size_t dim)
{
    if (info->input == METRIC_INPUT_MASS) {
        for (size_t i = 0; i < dim; i++) x[i] = fabsf(x[i]);
        if (mass_of(x, dim) == 0) x[dim / 2] = 1;
    }
    if (info->input == METRIC_INPUT_LONLAT) {
        x[0] = fminf(fmaxf(x[0] * 180, -180), 180);
        x[1] = fminf(fmaxf(x[1] * 90, -90), 90);
    }
}

static void check_pair(const struct simd_kernels *kernels, const struct metric_info *info,
                       const float *a, const float *b, size_t dim)
{
    dense_pair_f32_fn *pair = metric_kernels(info->metric, kernels).pair;
    struct judged right = judge(info->metric, a, b, dim);
    float value = pair(a, b, dim), turned = pair(b, a, dim), self = pair(a, a, dim);
    bool is_constant =
        info->metric == METRIC_CORRELATION && judge(info->metric, a, a, dim).value == 1;

    if (!(fabsl(value - right.value) <= right.bound + FLT_MIN))
        fail_msg("%s %s, dim %zu: %.9g, it is %.12Lg, off by %Lg of %Lg",
                 cpu_level_name(kernels->level), info->name, dim, (double)value, right.value,
                 fabsl(value - right.value), right.bound);
    assert_memory_equal(&value, &turned, sizeof value); /* (2) */
    assert_true(self == (is_constant ? 1 : 0));
}

static void check_level(const struct simd_kernels *kernels, struct rng *rng)
{
    static const size_t dims[] = {1,  2,  3,  7,  8,   15,  16,  17,  31,     32,
                                  33, 63, 64, 65, 100, 128, 255, 768, DIM_MAX};
    static float a[DIM_MAX], b[DIM_MAX];
    for (unsigned metric = METRIC_L1; metric <= METRIC_MAX; metric++) {
        const struct metric_info *info = metric_find(metric);
        bool is_place = info->input == METRIC_INPUT_LONLAT;
        for (size_t i = 0; i < 400; i++) {
            size_t dim = is_place ? 2 : dims[i % (sizeof dims / sizeof dims[0])];
            enum values kind = (enum values)(i / 20 % VALUES_COUNT);
            fill(rng, kind == NEAR ? WIDE : kind, NULL, a, dim);
            fit(info, a, dim);
            fill(rng, kind, a, b, dim);
            fit(info, b, dim);
            check_pair(kernels, info, a, b, dim);
        }
    }
}

static void every_level_is_within_the_stated_bounds(void **state) /* (2), (5) */
{
    (void)state;
    struct rng rng;
    rng_init(&rng, test_seed(61));
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels kernels;
        if (kernels_of_level(level, &kernels)) check_level(&kernels, &rng);
    }
}

static void values_are_those_that_are_known(void **state)
{
    (void)state;
    static const struct {
        enum metric metric;
        float a[4], b[4];
        size_t dim;
        double value, bound;
    } known[] = {
        {METRIC_L2, {0, 0}, {3, 4}, 2, 25, 0},
        {METRIC_L1, {0, 0}, {3, -4}, 2, 7, 0},
        {METRIC_CHEBYSHEV, {0, 0}, {3, -4}, 2, 4, 0},
        {METRIC_CANBERRA, {1, 2}, {2, 4}, 2, 2.0 / 3, 1e-7},
        {METRIC_CANBERRA, {1, 0, 2}, {3, 0, 4}, 3, 5.0 / 6, 1e-7},
        {METRIC_BRAY_CURTIS, {1, 2}, {2, 4}, 2, 1.0 / 3, 1e-7},
        {METRIC_BRAY_CURTIS, {0, 0}, {0, 0}, 2, 0, 0},
        {METRIC_BRAY_CURTIS, {1, 2}, {-1, -2}, 2, INFINITY, 0},
        {METRIC_HAMMING, {1, 0, 0.5f, 0.51f}, {0, 0, 1, 9}, 4, 2, 0},
        {METRIC_JACCARD, {1, 1, 0}, {1, 0, 1}, 3, 2.0 / 3, 1e-7},
        {METRIC_JACCARD, {0, 0.5f, -1}, {0, 0, 0}, 3, 0, 0},
        {METRIC_DICE, {1, 1, 0}, {1, 0, 1}, 3, 0.5, 0},
        {METRIC_DICE, {0, 0}, {0, 0}, 2, 0, 0},
        {METRIC_HAVERSINE, {121.4737f, 31.2304f}, {116.4074f, 39.9042f}, 2, 1067000, 10000},
        {METRIC_HAVERSINE, {-180, 0}, {180, 0}, 2, 0, 0.001},
        {METRIC_HAVERSINE, {0, 90}, {77, -90}, 2, MEASURE_EARTH_RADIUS * 3.14159265358979, 2},
        {METRIC_CORRELATION, {1, 2, 3}, {2, 4, 6}, 3, 0, 1e-6},
        {METRIC_CORRELATION, {1, 2, 3}, {3, 2, 1}, 3, 2, 1e-6},
        {METRIC_CORRELATION, {1, 2, 3}, {0.1f, 0.1f, 0.1f}, 3, 1, 0},
        {METRIC_HELLINGER, {1, 0}, {0, 5}, 2, 1, 1e-6},
        {METRIC_HELLINGER, {1, 3}, {2, 6}, 2, 0, 1e-6},
        {METRIC_WASSERSTEIN, {1, 0, 0}, {0, 0, 1}, 3, 2, 0},
        {METRIC_WASSERSTEIN, {1, 1}, {0, 4}, 2, 0.5, 0},
        {METRIC_JENSEN_SHANNON, {1, 0}, {0, 1}, 2, 0.832554611157698, 1e-6},
    };
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels kernels;
        if (!kernels_of_level(level, &kernels)) continue;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            dense_pair_f32_fn *pair = metric_kernels(known[i].metric, &kernels).pair;
            double value = (double)pair(known[i].a, known[i].b, known[i].dim);
            if (value != known[i].value && !(fabs(value - known[i].value) <= known[i].bound))
                fail_msg("%s, line %zu: %s is %.9g, not %.9g", cpu_level_name(level), i,
                         metric_find(known[i].metric)->name, value, known[i].value);
        }
    }
}

static void no_value_is_nan_or_negative(void **state) /* (4) */
{
    (void)state;
    static const float odd[] = {0,         -0.0f,   1,      -1,    FLT_MAX, -FLT_MAX,
                                0x1p-149f, FLT_MIN, 1e-20f, 1e20f, -1e20f,  0.5f};
    enum { ODD = sizeof odd / sizeof odd[0], DIM = 37 };
    struct rng rng;
    rng_init(&rng, test_seed(62));
    for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
        struct simd_kernels kernels;
        if (!kernels_of_level(level, &kernels)) continue;
        for (unsigned metric = METRIC_L1; metric <= METRIC_MAX; metric++) {
            for (size_t round = 0; round < 2000; round++) {
                float a[DIM], b[DIM];
                size_t dim = rng_below(&rng, DIM + 1), kinds = 1 + rng_below(&rng, ODD);
                for (size_t i = 0; i < dim; i++) {
                    a[i] = odd[(round + rng_below(&rng, kinds)) % ODD];
                    b[i] = odd[(round + rng_below(&rng, kinds)) % ODD];
                }
                float value = metric_kernels((enum metric)metric, &kernels).pair(a, b, dim);
                if (!(value >= 0))
                    fail_msg("%s %s, dim %zu: %g", cpu_level_name(level), metric_find(metric)->name,
                             dim, (double)value);
            }
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_level_is_within_the_stated_bounds),
    cmocka_unit_test(values_are_those_that_are_known),
    cmocka_unit_test(no_value_is_nan_or_negative),
};
TEST_MAIN(tests)
