/* SPDX-License-Identifier: Apache-2.0 */
/* ivf_build.h — lists that are being built. */
#ifndef INDEX_IVF_BUILD_H
#define INDEX_IVF_BUILD_H

#include "index/ivf.h"
#include "quant/kmeans.h"
#include "quant/lloyd.h"

enum ivf_stage { IVF_TRAIN, IVF_ASSIGN, IVF_QUANTIZE, IVF_PACK, IVF_BUILT };

/* The bits of rows, one row at a time. */
struct ivf_bits {
    struct vector_source source; /* first */
    const struct vector_source *rows;
    float *row;
};

struct ivf_build {
    struct index_build_desc desc;
    enum metric_value value;
    uint32_t dim, list_count, nprobe;
    enum ivf_stage stage;
    struct ivf_bits bits; /* metrics of bits */
    struct kmeans *kmeans;
    uint32_t *labels;         /* of rows, until they are sorted */
    struct lloyd_order lists; /* places: starts of lists, and rows */
    float *radii;
    const struct quantizer_vtab *vtab; /* NULL: raw */
    struct quantizer *quantizer;
    uint8_t *blocks;
    size_t block_bytes;
    uint32_t *block_starts;
};

int ivf_save(struct ivf_build *b, struct index_writer *w, struct error *err);
/* The vector of a row; *norm too where norm is not NULL.  Valid while the source is held. */
int ivf_row(const struct ivf_build *b, uint32_t row, const float **vector, float *norm,
            struct error *err);

#endif
