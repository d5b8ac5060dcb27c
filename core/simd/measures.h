/* SPDX-License-Identifier: Apache-2.0 */
/* measures.h — data sheet of the distances that are no products, and the last step of some.
 *
 * WHAT        Kernels of family dense, type f32 (kernels.h has their forms).  With a and b of dim
 *             components, sums and maxima over all of them:
 *                 l1              sum |a - b|
 *                 chebyshev       max |a - b|
 *                 canberra        sum |a - b| / (|a| + |b|), 0 where both are 0
 *                 bray_curtis     sum |a - b| / sum |a + b|; 0 of two zeros
 *                 hamming         components that are above 0.5 in one of both
 *                 jaccard         those, of the components that are above 0.5 in one or both
 *                 dice            those, of the number above 0.5 in a plus that in b
 *                 haversine       metres between [longitude, latitude] in degrees on a sphere of
 *                                 MEASURE_EARTH_RADIUS; what is behind two components is not read
 *                 correlation     1 - Pearson's r; 1 where a or b is constant
 *             and, with p = a / sum a and q = b / sum b, negative components as if they were 0:
 *                 hellinger       sqrt(sum (sqrt p - sqrt q)^2 / 2)
 *                 wasserstein     sum |P - Q| of the sums P and Q of p and q up to a component
 *                 jensen_shannon  sqrt(sum (p ln(p / m) + q ln(q / m)) / 2), m = (p + q) / 2
 *             A sum of less than FLT_MIN is no mass: p is 0 then.
 * INVARIANTS  (1) to (3) of kernels.h: forms have the same bits; value(a, b) and value(b, a) have
 *                 them too; value(a, a) = 0, but for the correlation of a constant a.
 *             (4) For finite vectors a value is never NaN and never negative.
 *             (5) With K = dense_f32_error_factor(dim), when nothing overflows or underflows, a
 *                 value is off by no more than
 *                     hamming                     0
 *                     chebyshev, jaccard, dice    2^-24 * value
 *                     l1, canberra                K * value
 *                     bray_curtis                 2 * K * value
 *                     haversine                   2^-21 * value + 2^-16
 *                     hellinger                   2 * K
 *                     jensen_shannon              3 * K
 *                     wasserstein                 4 * K * dim
 *                     correlation                 4 * K + 2 * (x^2 + y^2), where x is
 *                                                 3 * K * max |a| / the standard deviation of a,
 *                                                 and y that of b
 *             Levels differ from each other within these.
 * THREADS     Kernels are pure.
 */
#ifndef SIMD_MEASURES_H
#define SIMD_MEASURES_H

#include <math.h>

/* Of a sphere with the earth's mean radius (IUGG), in metres. */
#define MEASURE_EARTH_RADIUS 6371008.8

/* Components that differ, of a number of them; both are exact. */
static inline float measure_apart(float differing, float of)
{
    return of > 0 ? differing / of : 0;
}

/* Infinite where b = -a, by the definition; 1 where both sums overflow. */
static inline float measure_bray_curtis(float apart, float together)
{
    if (!(apart > 0)) return 0;
    float quotient = apart / together;
    return quotient >= 0 ? quotient : 1;
}

/* Sums of products of differences from the means, in double: neither their product nor a root of it
 * overflows or is rounded visibly. */
static inline float measure_correlation(double product, double square_a, double square_b)
{
    if (!(square_a > 0 && square_b > 0)) return 1;
    double distance = 1 - product / sqrt(square_a * square_b);
    if (distance < 0) return 0;
    return distance <= 2 ? (float)distance : distance > 2 ? 2.0f : 1.0f;
}

#endif
