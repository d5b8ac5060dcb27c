/* SPDX-License-Identifier: Apache-2.0 */
/* ivf.h — what the files of the kind "ivf" share: rows in lists, each around a centroid.
 *
 * LISTS       Every row is in the list of the centroid that is nearest to it (nearly always: see
 *             quant/centroids.h), and within it in the order of rows.  Lists follow one another; a
 *             place is a number in this order.  A search reads the lists whose centroids are
 *             nearest to the query, nearest first.
 * VECTORS     Raw: those of all places once more, so that a list is read at the speed of the
 *             memory, and the segment's may stay on the disk.  Codes: blocks of BLOCK_CODES, around
 *             the centroid; each list begins a block.  What they nominate is measured exactly.
 * CENTERS     See list_centers.h.
 * THREADS     An opened index is immutable.
 */
#ifndef INDEX_IVF_H
#define INDEX_IVF_H

#include "index/index.h"
#include "index/index_build.h"
#include "index/index_image.h"
#include "index/list_centers.h"

enum { IVF_N_CLUSTERS, IVF_NPROBE, IVF_PARAM_COUNT };
enum { IVF_CLUSTERS_MAX = 1 << 20, IVF_VERSION = 1 };

/* Sections of an image (docs/FORMAT.md). */
enum {
    IVF_SECTION_HEAD = 64,      /* struct ivf_head */
    IVF_SECTION_CENTROIDS = 65, /* f32, dim a list */
    IVF_SECTION_STARTS = 66,    /* u32, the first place of each list, and the end of the last */
    IVF_SECTION_RADII = 67,     /* f32, a list's */
    IVF_SECTION_ROWS = 68,      /* u32, a place's row */
    IVF_SECTION_VECTORS = 69,   /* raw: f32, dim a place */
    IVF_SECTION_NORMS = 70,     /* raw: f32, a place's norm */
    IVF_SECTION_GROUPS = 71,    /* u32, the first list of each group, and the end of the last */
};

struct ivf_head {
    uint32_t version;
    uint32_t row_count, dim, metric;
    uint32_t list_count, nprobe;
    uint32_t quantizer;
    uint32_t reserved[9]; /* 0 */
};
_Static_assert(sizeof(struct ivf_head) == 64, "it is in files");

struct ivf {
    struct index base; /* first */
    struct alloc *alloc;
    uint32_t nprobe;
    struct list_centers centers;
    const uint32_t *starts, *rows;
    struct vector_source places; /* raw: vectors by place */
    const struct quantizer_vtab *vtab;
    struct quantizer *quantizer; /* codes: its own */
    const uint8_t *blocks;
    size_t block_bytes;
    uint32_t *block_starts; /* the first block of each list; its own */
};

static inline uint32_t ivf_block_count(uint32_t row_count)
{
    return row_count / BLOCK_CODES + (row_count % BLOCK_CODES != 0);
}

/* The bits of a vector as floats. */
static inline void ivf_take_bits(const float *vector, uint32_t dim, float *out)
{
    for (uint32_t i = 0; i < dim; i++) out[i] = vector[i] > 0.5f ? 1 : 0;
}

/* What a query walks by: its own vector, and an oracle over places or blocks. */
struct ivf_oracle {
    struct oracle base; /* first; nobody but the search of this kind may ask it */
    const struct ivf *ivf;
    struct oracle_query query; /* as the route wants it */
    struct oracle *inner;
};

extern const struct index_build_ops ivf_build_ops;

int ivf_open(const struct index_open_desc *desc, struct index **out, struct error *err);
void ivf_close(struct index *index);
int ivf_check(const struct index *index, const struct vector_source *vectors, struct error *err);

size_t ivf_oracle_bytes(const struct index *index, uint32_t dim);
struct oracle *ivf_oracle_init(const struct index *index, void *memory,
                               const struct oracle_desc *desc);
size_t ivf_search_bytes(const struct index *index, const struct index_options *options, size_t k,
                        size_t query_count);
void ivf_begin(void *search, const struct index_search_desc *desc);
enum index_state ivf_advance(void *search, uint64_t distance_max, struct error *err);

#endif
