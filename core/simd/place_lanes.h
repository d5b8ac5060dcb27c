/* SPDX-License-Identifier: Apache-2.0 */
/* place_lanes.h — metres between places, for as many rows at once as a register has doubles: the
 * haversine of measure_<isa>.c, which says what such a register is.
 *
 * WHAT        The square of the sine of half a difference of degrees, by the series of the sine;
 *             cos x is 1 - 2 sin^2(x / 2); the arc sine by a fitted polynomial, of the half angle
 *             where its argument is over a half.  Doubles, so that places that are opposite to each
 *             other, where the root of a rounding shows, are right to the metre.
 * INVARIANTS  (1) A row's value is made in its own lane by the same steps wherever that is: forms
 *                 are bit-identical.
 *             The rest: see measures.h.
 */
#ifndef SIMD_PLACE_LANES_H
#define SIMD_PLACE_LANES_H

#include "simd/kernels.h"
#include "simd/measures.h"

#ifdef MEASURE_NAME

/* Of degrees, any number of turns. */
INLINE wides half_sine_square(wides degrees)
{
    wides turns = wides_round(degrees * wides_set(1.0 / 360));
    wides within = wides_fma(turns, wides_set(-360), degrees);
    within = wides_max(wides_min(within, wides_set(180)), wides_set(-180));
    wides half = within * wides_set(3.14159265358979323846 / 360), square = half * half;
    wides series = wides_set(1.0 / 355687428096000);
    series = wides_fma(series, square, wides_set(-1.0 / 1307674368000));
    series = wides_fma(series, square, wides_set(1.0 / 6227020800));
    series = wides_fma(series, square, wides_set(-1.0 / 39916800));
    series = wides_fma(series, square, wides_set(1.0 / 362880));
    series = wides_fma(series, square, wides_set(-1.0 / 5040));
    series = wides_fma(series, square, wides_set(1.0 / 120));
    series = wides_fma(series, square, wides_set(-1.0 / 6));
    wides sine = wides_fma(half * square, series, half);
    return sine * sine;
}

/* asin(sqrt(square)), for 0 to 1 */
INLINE wides arc(wides square)
{
    wides root = wides_sqrt(square), half = wides_set(0.5);
    wides z = wides_if_above(root, half, (wides_set(1) - root) * half, square);
    wides sine = wides_if_above(root, half, wides_sqrt(z), root);
    wides ratio = wides_set(0.032190641309049556);
    ratio = wides_fma(ratio, z, wides_set(-0.0031335699318147947));
    ratio = wides_fma(ratio, z, wides_set(0.018768326375853378));
    ratio = wides_fma(ratio, z, wides_set(0.016439958244893783));
    ratio = wides_fma(ratio, z, wides_set(0.02247745260338253));
    ratio = wides_fma(ratio, z, wides_set(0.030374630038988208));
    ratio = wides_fma(ratio, z, wides_set(0.044643147120072176));
    ratio = wides_fma(ratio, z, wides_set(0.074999994184184515));
    ratio = wides_fma(ratio, z, wides_set(0.16666666671181829));
    ratio = wides_fma(ratio, z, wides_set(0.99999999999994194));
    wides angle = sine * ratio;
    return wides_if_above(
        root, half, wides_fma(angle, wides_set(-2), wides_set(3.14159265358979323846 / 2)), angle);
}

struct place {
    wides longitude, latitude, cosine; /* the cosine of the latitude */
};

INLINE struct place place_of(wides longitude, wides latitude)
{
    wides cosine = wides_fma(half_sine_square(latitude), wides_set(-2), wides_set(1));
    return (struct place){longitude, latitude, cosine};
}

/* out[i]: from `from` to row i, i < count, which is WIDES at most. */
INLINE void metres(const struct place *from, const float *rows, size_t row_stride_bytes,
                   size_t count, float *out)
{
    float longitudes[WIDES] = {0}, latitudes[WIDES] = {0}, values[WIDES];

    for (size_t i = 0; i < count; i++) {
        const float *row = (const float *)(const void *)((const char *)rows + i * row_stride_bytes);
        longitudes[i] = row[0];
        latitudes[i] = row[1];
    }
    struct place to = place_of(wides_load(longitudes), wides_load(latitudes));
    wides east = half_sine_square(from->longitude - to.longitude);
    wides north = half_sine_square(from->latitude - to.latitude);
    wides square = wides_fma(from->cosine * to.cosine, east, north);
    square = wides_min(wides_max(square, wides_set(0)), wides_set(1));
    wides_store(arc(square) * wides_set(2 * MEASURE_EARTH_RADIUS), values);
    for (size_t i = 0; i < count; i++) out[i] = values[i];
}

INLINE void scan_places(const float *query, const float *rows, size_t row_stride_bytes,
                        size_t row_count, size_t dim, float *out)
{
    if (dim < 2) {
        for (size_t i = 0; i < row_count; i++) out[i] = 0;
        return;
    }
    struct place from = place_of(wides_set((double)query[0]), wides_set((double)query[1]));
    for (size_t i = 0; i < row_count; i += WIDES) {
        const char *first = (const char *)rows + i * row_stride_bytes;
        size_t left = row_count - i;
        metres(&from, (const float *)(const void *)first, row_stride_bytes,
               left < WIDES ? left : WIDES, out + i);
    }
}

float MEASURE_NAME(haversine, )(const float *a, const float *b, size_t dim)
{
    float value;
    scan_places(a, b, 0, 1, dim, &value);
    return value;
}

void MEASURE_NAME(haversine, _many)(const float *query, const float *rows, size_t row_stride_bytes,
                                    size_t row_count, size_t dim, float *out)
{
    scan_places(query, rows, row_stride_bytes, row_count, dim, out);
}

void MEASURE_NAME(haversine, _block)(const float *const *queries, size_t query_count,
                                     const float *rows, size_t row_stride_bytes, size_t row_count,
                                     size_t dim, float *const *out)
{
    for (size_t q = 0; q < query_count; q++)
        scan_places(queries[q], rows, row_stride_bytes, row_count, dim, out[q]);
}

#endif
#endif
