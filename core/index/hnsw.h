/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw.h — what the files of the kind "hnsw" share: a graph of near neighbours with a few coarser
 * ones above it.
 *
 * THE GRAPH   Malkov and Yashunin, arXiv 1603.09320.  Every row is a node of level 0; every m-th of
 *             a random order is one of level 1 too, every m-th of these of level 2, and so on.
 *             Nodes are numbered so that those of higher levels come first: level l has the nodes
 *             0 to level_nodes[l] - 1, and node 0, which is on all, is where a search begins.
 *             Within that, nodes that are near in the graph are near in number.
 * LINKS       A list of links has a fixed number of places, the nearest first, HNSW_NONE behind the
 *             last one; 2 * m of them on level 0, m above.
 * LAYOUTS     What a search walks by:
 *                 vectors  of the nodes, as below
 *                 codes    of a quantizer, a row for each node, and nothing else: what is found is
 *                          measured by the segment's vectors.  Where no quantizer was asked for,
 *                          codes of 8 bits serve if the metric and the dimension suit them: a
 *                          walk finds the same and reads a quarter (docs/decisions/014)
 *                 blocks   besides codes, the codes of its neighbours in each node, centred on it:
 *                          a step reads one block, and the vector of the node, from which the
 *                          block's estimates begin (after SymphonyQG, arXiv 2411.12229)
 * VECTORS     By vectors each node's lie in the index once more, in the order of its nodes and on
 *             lines of their own: a search reads these alone, and the segment's may stay on the
 *             disk.  Where the metric is an angle they are normalised, and what is found is
 *             measured again.
 * THREADS     An opened index is immutable.
 */
#ifndef INDEX_HNSW_H
#define INDEX_HNSW_H

#include "index/graph_bits.h"
#include "index/index.h"
#include "index/index_build.h"
#include "index/index_image.h"
#include "index/quantizer_image.h"

enum { HNSW_M, HNSW_EF_CONSTRUCTION, HNSW_EF_SEARCH, HNSW_MAX_LEVEL, HNSW_FAST, HNSW_PARAM_COUNT };
enum {
    HNSW_M_MIN = 2,
    HNSW_M_MAX = 128,
    HNSW_LEVELS_MAX = 16, /* above level 0; m >= 2 and 2^30 nodes would have 30: cut */
    HNSW_LINKS_MAX = 2 * HNSW_M_MAX,
    HNSW_ROWS_MAX = 1 << 30, /* two bits of a number are marks */
    HNSW_CODES_DIM_MIN = 64, /* fewer components are as fast in full */
};
#define HNSW_NONE UINT32_MAX

/* Sections of an image (docs/FORMAT.md). */
enum {
    HNSW_SECTION_HEAD = 72,    /* struct hnsw_head */
    HNSW_SECTION_LINKS = 73,   /* level 0: hnsw_places(2 * m) u32 a node */
    HNSW_SECTION_UPPER = 74,   /* levels 1, 2, …: hnsw_places(m) u32 a node of the level */
    HNSW_SECTION_ROWS = 75,    /* u32, a node's row */
    HNSW_SECTION_VECTORS = 76, /* f32, hnsw_vector_floats(dim) a node, or packed bits in
                                  their room (graph_bits.h); not of codes and blocks */
};
enum { HNSW_VERSION = 1 };

enum hnsw_layout { HNSW_BY_VECTORS, HNSW_BY_CODES, HNSW_BY_BLOCKS };

struct hnsw_head {
    uint32_t version;
    uint32_t row_count, dim, metric;
    uint32_t m, ef_search;
    uint32_t level_count; /* above level 0 */
    uint32_t level_nodes[HNSW_LEVELS_MAX + 1];
    uint32_t layout;      /* enum hnsw_layout */
    uint32_t reserved[7]; /* 0 */
};
_Static_assert(sizeof(struct hnsw_head) == 128, "it is in files");

struct hnsw {
    struct index base; /* first */
    enum hnsw_layout layout;
    struct quantizer *quantizer; /* of codes and blocks */
    struct code_rows codes;      /* of nodes */
    const uint8_t *blocks;       /* block_count a node */
    size_t block_bytes;
    uint32_t block_count;
    struct alloc *alloc;
    const struct simd_kernels *kernels;
    const struct hnsw_head *head;
    const uint32_t *links;                      /* of level 0 */
    const uint32_t *upper[HNSW_LEVELS_MAX + 1]; /* of level l; [0] is empty */
    const uint32_t *rows;
    const float *vectors;
    uint32_t link_places, upper_places; /* of a list */
    uint32_t vector_floats;             /* from a node's vector to the next one's */
    uint32_t pair_floats;               /* that the kernel reads of a node's vector */
    uint32_t dim, m, ef_search;
    enum metric metric;
};

/* A list of at most `links` begins on a line and ends on one. */
static inline uint32_t hnsw_places(uint32_t links)
{
    return (links + 15) / 16 * 16;
}

static inline uint32_t hnsw_vector_floats(uint32_t dim)
{
    return (dim + 15) / 16 * 16;
}

/* Of a vector, as a graph by the metric keeps it. */
static inline uint32_t hnsw_pair_floats(enum metric metric, uint32_t dim)
{
    return metric_counts_bits(metric) ? graph_bits_floats(dim) : dim;
}

/* Does a graph without a quantizer walk by codes of 8 bits? */
static inline bool hnsw_suits_codes(enum metric metric, uint32_t dim)
{
    return dim >= HNSW_CODES_DIM_MIN && dim <= index_dim_max(&index_hnsw, QUANTIZER_SQ8) &&
           quantizer_suits_index(metric_find(metric), QUANTIZER_SQ8, false);
}

static inline const uint32_t *hnsw_links(const struct hnsw *h, uint32_t level, uint32_t node)
{
    return level == 0 ? h->links + (size_t)node * h->link_places
                      : h->upper[level] + (size_t)node * h->upper_places;
}

/* Blocks of a node that may have so many links. */
static inline uint32_t hnsw_block_count(uint32_t m)
{
    return (2 * m + BLOCK_CODES - 1) / BLOCK_CODES;
}

static inline const float *hnsw_vector(const struct hnsw *h, uint32_t node)
{
    return h->vectors + (size_t)node * h->vector_floats;
}

/* The value of the metric's kernel v, of vectors as the index has them, as a distance: base +
 * factor * v.  For an angle: of vectors that are normalised. */
struct hnsw_turn {
    float base, factor;
};

static inline float hnsw_distance(struct hnsw_turn t, float value)
{
    float distance = t.base + t.factor * value;
    return distance == distance ? distance : INFINITY;
}

/* Memory of a row, about: its share of the levels above the lowest (hnsw.c). */
double hnsw_upper_bytes(uint32_t m);

/* hnsw_build.c and what it is made of, hnsw_file.c, hnsw_search.c, hnsw_check.c */
extern const struct index_build_ops hnsw_build_ops;
int hnsw_open(const struct index_open_desc *desc, struct index **out, struct error *err);
void hnsw_close(struct index *index);
size_t hnsw_oracle_bytes(const struct index *index, uint32_t dim);
struct oracle *hnsw_oracle_init(const struct index *index, void *memory,
                                const struct oracle_desc *desc);
size_t hnsw_search_bytes(const struct index *index, const struct index_options *options, size_t k,
                         size_t query_count);
void hnsw_begin(void *search, const struct index_search_desc *desc);
enum index_state hnsw_advance(void *search, uint64_t distance_max, struct error *err);
int hnsw_check(const struct index *index, const struct vector_source *vectors, struct error *err);

#endif
