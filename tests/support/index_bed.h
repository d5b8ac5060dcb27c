/* SPDX-License-Identifier: Apache-2.0 */
/* index_bed.h — an index over rows in memory, without segments and files: built, kept as sections,
 * opened and searched. */
#ifndef SUPPORT_INDEX_BED_H
#define SUPPORT_INDEX_BED_H

#include "index/index.h"
#include "index/index_build.h"
#include "index/index_image.h"

/* Rows at a fixed address, or handed out in runs of a few. */
struct bed_rows {
    struct vector_source source; /* first */
    const float *vectors;
    float *norms;
    uint32_t row_count, run_rows;
};
void bed_rows_init(struct bed_rows *r, const float *vectors, uint32_t row_count, uint32_t dim,
                   uint32_t run_rows);
void bed_rows_deinit(struct bed_rows *r);

/* Sections as a writer left them.  They may be changed before the image is opened. */
struct bed_image {
    struct index_writer writer; /* first */
    struct index_image image;   /* valid once all is written */
    struct index_section sections[INDEX_SECTIONS_MAX];
    uint8_t *data[INDEX_SECTIONS_MAX]; /* aligned to 64 */
    size_t capacity[INDEX_SECTIONS_MAX];
};
void bed_image_init(struct bed_image *b);
void bed_image_deinit(struct bed_image *b);
bool bed_image_equal(const struct bed_image *a, const struct bed_image *b);
size_t bed_image_bytes(const struct bed_image *b);

/* Build with so many threads and save. */
int bed_build(const struct index_vtab *kind, const struct index_build_desc *desc, int threads,
              struct bed_image *out, struct error *err);

/* One search of some queries, from memory to results.  found: k rows of each query, nearest first,
 * UINT32_MAX behind the last; distances may be NULL. */
struct bed_search {
    const struct index *index;
    const struct bed_rows *rows;
    enum metric metric;
    const float *queries;
    size_t query_count, k;
    struct index_gate gate;
    struct index_options options;
    float distance_max;
    uint64_t step; /* distances of one advance */
};
int bed_search(const struct bed_search *s, uint32_t *found, float *distances, struct error *err);
/* The same by looking at every row. */
void bed_search_all(const struct bed_search *s, uint32_t *found, float *distances);

#endif
