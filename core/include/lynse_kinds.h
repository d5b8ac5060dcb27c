/* SPDX-License-Identifier: Apache-2.0 */
/* lynse_kinds.h — the lists that callers, files and every layer share: metrics, types of storage,
 * sync levels.
 *
 * Numbers run from 1 without gaps, are in files (docs/FORMAT.md), and are never changed or used
 * again: a new one is one new line at the end.  The columns are for the library; callers use the
 * enums that lynse.h makes of them.
 */
#ifndef LYNSE_KINDS_H
#define LYNSE_KINDS_H

/* What a write's answer means; lynse.h has the table.
 *
 *    name      number  promise  a write may ask for it
 *
 * promise: the larger, the more; no two are the same.  Only lines are compared by it: it is in no
 * file, and a new level may move the others.
 * a write may ask for it: false: it is a property of collections alone. */
#define LYNSE_SYNC_LEVELS(_)                                                                       \
    _(ALWAYS, 1, 4, true)                                                                          \
    _(INTERVAL, 2, 3, true)                                                                        \
    _(OS, 3, 2, true)                                                                              \
    _(NONE, 4, 1, false)

/* What a collection keeps a component of a vector as.
 *
 *    name  number  in texts
 *
 * Callers give and get floats; those of a narrower type are rounded when they are written. */
#define LYNSE_STORAGES(_)                                                                          \
    _(F32, 1, "f32")                                                                               \
    _(F16, 2, "f16")                                                                               \
    _(BF16, 3, "bf16")                                                                             \
    _(I8, 4, "i8")                                                                                 \
    _(U8, 5, "u8")                                                                                 \
    _(BIT, 6, "bit") /* above one half or not */

/* How near two vectors are.  The scores: IP the dot product, L2 the squared Euclidean distance,
 * COSINE 1 - cos of the angle; docs/DISTANCES.md has all of them.
 *
 *    name    number  in texts  in index modes  other names  kernel  its value is  of  in graphs
 *
 * in index modes: words separated by one space; the first is written, the others are read too, in
 * upper or lower case.
 * other names: what is read besides the one in texts; likewise.
 * kernel: the family dense_<kernel>_<type> of simd/kernels.h.
 * its value is: a PRODUCT, which is the score, and larger is nearer; the product of an ANGLE, whose
 * score is 1 - cos and needs the norms of both vectors; a DISTANCE, the squared Euclidean one,
 * which is the score; a MEASURE, which is the score too, and nothing follows from it for products.
 * All but an ANGLE have a kernel of their own.
 * of: ANY vectors; LONLAT, a longitude and a latitude in degrees; MASS, components that are not
 * negative, with a sum above 0.
 * in graphs: neighbours of neighbours are near, so that a graph can be walked by it. */
#define LYNSE_METRICS(_)                                                                           \
    _(IP, 1, "ip", "IP", "inner_product inner dot", dot, PRODUCT, ANY, true)                       \
    _(L2, 2, "l2", "L2", "l2sq l2_squared euclidean", l2, DISTANCE, ANY, true)                     \
    _(COSINE, 3, "cosine", "COS COSINE", "cos cosine_distance", dot, ANGLE, ANY, true)             \
    _(L1, 4, "l1", "L1 MANHATTAN CITYBLOCK", "manhattan cityblock", l1, MEASURE, ANY, true)        \
    _(CHEBYSHEV, 5, "chebyshev", "CHEBYSHEV CHEBYCHEV LINF", "chebychev linf", chebyshev, MEASURE, \
      ANY, true)                                                                                   \
    _(CANBERRA, 6, "canberra", "CANBERRA", "", canberra, MEASURE, ANY, false)                      \
    _(BRAY_CURTIS, 7, "bray_curtis", "BRAY-CURTIS BRAYCURTIS", "bray-curtis braycurtis",           \
      bray_curtis, MEASURE, ANY, false)                                                            \
    _(HAMMING, 8, "hamming", "HAMMING HAMMING-BINARY", "", hamming, MEASURE, ANY, true)            \
    _(JACCARD, 9, "jaccard", "JACCARD JACCARD-BINARY TANIMOTO TANIMOTO-BINARY", "tanimoto",        \
      jaccard, MEASURE, ANY, true)                                                                 \
    _(DICE, 10, "dice",                                                                            \
      "DICE DICE-BINARY SORENSEN SORENSEN-BINARY SORENSEN-DICE SORENSEN-DICE-BINARY",              \
      "sorensen sorensen_dice sorensen-dice", dice, MEASURE, ANY, true)                            \
    _(HAVERSINE, 11, "haversine", "HAVERSINE HAVERSINE-M GEO", "haversine_m haversine-m geo",      \
      haversine, MEASURE, LONLAT, true)                                                            \
    _(CORRELATION, 12, "correlation", "CORRELATION PEARSON", "pearson", correlation, MEASURE, ANY, \
      true)                                                                                        \
    _(HELLINGER, 13, "hellinger", "HELLINGER", "", hellinger, MEASURE, MASS, true)                 \
    _(WASSERSTEIN, 14, "wasserstein", "WASSERSTEIN WASSERSTEIN-1D WASSERSTEIN1D EMD",              \
      "wasserstein_1d wasserstein-1d wasserstein1d emd", wasserstein, MEASURE, MASS, true)         \
    _(JENSEN_SHANNON, 15, "jensen_shannon", "JENSEN-SHANNON JENSENSHANNON JS",                     \
      "jensen-shannon jensenshannon js", jensen_shannon, MEASURE, MASS, true)

#endif
