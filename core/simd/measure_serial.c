/* SPDX-License-Identifier: Apache-2.0 */
/* measure_serial.c — the distances that are no products, in plain C: the reference.
 *
 * WHAT        Each is written as its definition reads (measures.h), with sums of doubles,
 *             so that it is the faster kernels whose bounds count.
 * INVARIANTS  (1) Whatever the floats, a value is a number, and not negative: a quotient without a
 *                 denominator, a mass that is none and a float that is negative where a mass should
 *                 be have a value of their own each.
 *             (2) Equal vectors are at 0 exactly, but for a correlation that is not defined.
 * THREADS     Any: nothing is kept.
 * FAILURE     None: a vector that is none of the metric is at a distance that means nothing.
 */
#include <float.h>
#include <math.h>

#include "simd/kernels.h"
#include "simd/measures.h"

/* ---- Sums and maxima of differences ---- */

float dense_l1_f32_serial(const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += fabs((double)a[i] - (double)b[i]);
    return (float)sum;
}

float dense_chebyshev_f32_serial(const float *a, const float *b, size_t dim)
{
    double most = 0;
    for (size_t i = 0; i < dim; i++) most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return (float)most;
}

float dense_canberra_f32_serial(const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        double x = (double)a[i], y = (double)b[i], both = fabs(x) + fabs(y);
        if (both > 0) sum += fabs(x - y) / both;
    }
    return (float)sum;
}

float dense_bray_curtis_f32_serial(const float *a, const float *b, size_t dim)
{
    double apart = 0, together = 0;
    for (size_t i = 0; i < dim; i++) {
        apart += fabs((double)a[i] - (double)b[i]);
        together += fabs((double)a[i] + (double)b[i]);
    }
    return measure_bray_curtis((float)apart, (float)together);
}

/* ---- Bits: a component above one half is one that is set ---- */

struct bit_counts {
    size_t both, either, differing;
};

static struct bit_counts count_bits(const float *a, const float *b, size_t dim)
{
    struct bit_counts counts = {0};
    for (size_t i = 0; i < dim; i++) {
        int x = a[i] > 0.5f, y = b[i] > 0.5f;
        counts.both += (size_t)(x & y);
        counts.either += (size_t)(x | y);
        counts.differing += (size_t)(x ^ y);
    }
    return counts;
}

float dense_hamming_f32_serial(const float *a, const float *b, size_t dim)
{
    return (float)count_bits(a, b, dim).differing;
}

float dense_jaccard_f32_serial(const float *a, const float *b, size_t dim)
{
    struct bit_counts counts = count_bits(a, b, dim);
    return measure_apart((float)counts.differing, (float)counts.either);
}

float dense_dice_f32_serial(const float *a, const float *b, size_t dim)
{
    struct bit_counts counts = count_bits(a, b, dim);
    return measure_apart((float)counts.differing, (float)(counts.both + counts.either));
}

/* ---- Places on the earth ---- */

float dense_haversine_f32_serial(const float *a, const float *b, size_t dim)
{
    const double radian = 3.14159265358979323846 / 180;
    if (dim < 2) return 0;
    double latitude_a = (double)a[1] * radian, latitude_b = (double)b[1] * radian;
    double east = sin(((double)a[0] - (double)b[0]) * (radian / 2));
    double north = sin(((double)a[1] - (double)b[1]) * (radian / 2));
    double square = north * north + cos(latitude_a) * cos(latitude_b) * (east * east);
    return (float)(2 * MEASURE_EARTH_RADIUS * asin(sqrt(fmin(fmax(square, 0), 1))));
}

/* ---- Correlation ---- */

static double mean_of(const float *x, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)x[i] - (double)x[0];
    return dim ? (double)x[0] + sum / (double)dim : 0;
}

float dense_correlation_f32_serial(const float *a, const float *b, size_t dim)
{
    double mean_a = mean_of(a, dim), mean_b = mean_of(b, dim);
    double product = 0, square_a = 0, square_b = 0;
    for (size_t i = 0; i < dim; i++) {
        double x = (double)a[i] - mean_a, y = (double)b[i] - mean_b;
        product += x * y;
        square_a += x * x;
        square_b += y * y;
    }
    return measure_correlation(product, square_a, square_b);
}

/* ---- Masses: of each vector a share of 1 in each component ---- */

static double mass_of(float component)
{
    return component > 0 ? (double)component : 0;
}

/* What a mass is multiplied by. */
static double share_of(const float *x, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += mass_of(x[i]);
    return sum >= (double)FLT_MIN ? 1 / sum : 0;
}

float dense_hellinger_f32_serial(const float *a, const float *b, size_t dim)
{
    double share_a = share_of(a, dim), share_b = share_of(b, dim), sum = 0;
    for (size_t i = 0; i < dim; i++) {
        double d = sqrt(mass_of(a[i]) * share_a) - sqrt(mass_of(b[i]) * share_b);
        sum += d * d;
    }
    return (float)sqrt(sum / 2);
}

float dense_wasserstein_f32_serial(const float *a, const float *b, size_t dim)
{
    double share_a = share_of(a, dim), share_b = share_of(b, dim), carried = 0, sum = 0;
    for (size_t i = 0; i + 1 < dim; i++) { /* behind the last nothing is left to carry */
        carried += mass_of(a[i]) * share_a - mass_of(b[i]) * share_b;
        sum += fabs(carried);
    }
    return (float)sum;
}

/* x * log(2 * x / both) */
static double surprise(double x, double both)
{
    return x > 0 ? x * log(2 * x / both) : 0;
}

float dense_jensen_shannon_f32_serial(const float *a, const float *b, size_t dim)
{
    double share_a = share_of(a, dim), share_b = share_of(b, dim), sum = 0;
    for (size_t i = 0; i < dim; i++) {
        double p = mass_of(a[i]) * share_a, q = mass_of(b[i]) * share_b;
        sum += surprise(p, p + q) + surprise(q, p + q);
    }
    return (float)sqrt(fmax(sum, 0) / 2);
}
