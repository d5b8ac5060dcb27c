/* SPDX-License-Identifier: Apache-2.0 */
/* diskann.h — what the files of the kind "diskann" share: a graph of near neighbours that is walked
 * on the disk.
 *
 * THE GRAPH   Vamana (Subramanya and others, NeurIPS 2019): every row is a node with up to `degree`
 *             links, chosen so that one is left out only where another is alpha times nearer to it:
 *             few steps lead from anywhere to anywhere, and a step is a read.  It is built as the
 *             lowest level of a graph of the kind hnsw; what is above it, a node in degree / 2, is
 *             small, stays in memory, and leads a search to where it begins to read.
 * PAGES       On the disk, and read one by one: struct diskann_page, then of page_nodes nodes each
 *             the vector, of numbers as narrow as holds all of them (diskann_vectors.c), its norm,
 *             f32, and the links, HNSW_NONE behind the last.  Nodes of a page
 *             are near to one another, and pages are in the order in which a walk in breadth from
 *             node 0 comes to them: the first ones are read most, and kept in memory.
 * MEMORY      Codes of all nodes, by which a walk chooses what it reads; what is above; the row of
 *             each node; the hot pages.  `memory` bytes for a row bound all of it, and two searches
 *             (MEMORY_MIN at least); codes are as long and hot pages as many as that allows.
 * EXACTNESS   A distance that is a result is that of the vector of a page, by the kernel and to the
 *             bit that the segment's own would give.
 * THREADS     An opened index is immutable, but for its queues, which are under their mutex.
 */
#ifndef INDEX_DISKANN_H
#define INDEX_DISKANN_H

#include "index/disk_reads.h"
#include "index/hnsw.h"
#include "index/index.h"
#include "index/index_build.h"
#include "index/index_image.h"

enum { DISKANN_R, DISKANN_L, DISKANN_ALPHA, DISKANN_MEMORY, DISKANN_PARAM_COUNT };
enum {
    DISKANN_R_MIN = 4,
    DISKANN_R_MAX = HNSW_LINKS_MAX,
    DISKANN_L_MAX = 4096,
    DISKANN_PAGE_ALIGN = READ_DIRECT_ALIGN,
    DISKANN_PAGE_NODES_MAX = 128,
    DISKANN_MEMORY_MIN = 2 << 20,
    DISKANN_BITS_MOST = 4,  /* of codes that nobody asked for */
    DISKANN_HOT_SHARE = 32, /* of the pages one in so many is hot where memory has no bound */
};

/* Sections of an image (docs/FORMAT.md). */
enum {
    DISKANN_SECTION_HEAD = 88,    /* struct diskann_head */
    DISKANN_SECTION_UPPER = 89,   /* levels 1, 2, …: hnsw_places(degree / 2) u32 a node of it */
    DISKANN_SECTION_ENTRIES = 90, /* u32, the node that a node of level 1 is */
    DISKANN_SECTION_ROWS = 91,    /* u32, a node's row */
    DISKANN_SECTION_PAGES =
        INDEX_SECTION_PAGES, /* stays in the file; its number is the bytes of a page */
};
enum { DISKANN_VERSION = 1 };

struct diskann_head {
    uint32_t version;
    uint32_t row_count, dim, metric;
    uint32_t degree, l;
    uint32_t page_bytes, page_nodes;
    uint32_t memory;                           /* bytes for a row; 0: no bound */
    uint32_t level_count;                      /* in memory, above the lowest */
    uint32_t level_nodes[HNSW_LEVELS_MAX + 1]; /* [0]: of the lowest */
    uint32_t storage;                          /* of vectors in pages: enum storage_type */
    uint32_t reserved[4];                      /* 0 */
};
_Static_assert(sizeof(struct diskann_head) == 128, "it is in files");

struct diskann_page {
    uint64_t hash; /* of what follows, up to the end of the page */
    uint32_t number, node_count;
};
_Static_assert(sizeof(struct diskann_page) == 16, "it is in files");

/* How nodes lie in pages. */
struct diskann_layout {
    uint32_t dim, degree, storage;
    uint32_t row_count;
    uint32_t vector_bytes, node_bytes, page_bytes, page_nodes, page_count;
};

struct diskann {
    struct index base; /* first */
    struct alloc *alloc;
    const struct simd_kernels *kernels;
    const struct index_image *image;
    const struct index_section *pages;
    const struct diskann_head *head;
    struct diskann_layout layout;
    const uint32_t *upper[HNSW_LEVELS_MAX + 1]; /* of level l; [0] is empty */
    uint32_t upper_places;
    const uint32_t *entries, *rows;
    struct quantizer *quantizer;
    struct code_rows codes; /* of nodes */
    enum metric metric;
    /* diskann_cache.c */
    uint8_t *hot; /* the first hot_count pages, verified */
    uint32_t hot_count;
    struct disk_reads *reads; /* of pages */
};

void diskann_layout_init(struct diskann_layout *l, uint32_t row_count, uint32_t dim,
                         uint32_t degree, uint32_t storage);

/* What `memory` bytes a row are for so many. */
static inline size_t diskann_memory_max(uint32_t memory, uint32_t row_count)
{
    size_t bytes = (size_t)memory * row_count;
    return bytes > DISKANN_MEMORY_MIN ? bytes : DISKANN_MEMORY_MIN;
}

/* Numbers of the layout's storage. */
static inline const void *diskann_vector(const struct diskann_layout *l, const uint8_t *page,
                                         uint32_t place)
{
    return page + sizeof(struct diskann_page) + (size_t)place * l->node_bytes;
}

static inline float diskann_norm(const struct diskann_layout *l, const uint8_t *page,
                                 uint32_t place)
{
    const uint8_t *vector = (const uint8_t *)diskann_vector(l, page, place);
    return *(const float *)(const void *)(vector + l->vector_bytes);
}

static inline const uint32_t *diskann_links(const struct diskann_layout *l, const uint8_t *page,
                                            uint32_t place)
{
    const uint8_t *vector = (const uint8_t *)diskann_vector(l, page, place);
    return (const uint32_t *)(const void *)(vector + l->vector_bytes + sizeof(float));
}

/* Nodes of a page. */
static inline uint32_t diskann_page_count(const struct diskann_layout *l, uint32_t page)
{
    uint32_t left = l->row_count - page * l->page_nodes;
    return left < l->page_nodes ? left : l->page_nodes;
}

/* diskann_build.c, diskann_file.c, diskann_search.c, diskann_check.c */
extern const struct index_build_ops diskann_build_ops;
int diskann_open(const struct index_open_desc *desc, struct index **out, struct error *err);
void diskann_close(struct index *index);
size_t diskann_search_bytes(const struct index *index, const struct index_options *options,
                            size_t k, size_t query_count);
void diskann_begin(void *search, const struct index_search_desc *desc);
enum index_state diskann_advance(void *search, uint64_t distance_max, struct error *err);
int diskann_check(const struct index *index, const struct vector_source *vectors,
                  struct error *err);

/* diskann.c: what a search walks by, nodes by their codes and vectors in full. */
struct diskann_oracle {
    struct oracle base; /* first; nobody but the search of this kind may ask it */
    struct oracle *codes;
    dense_many_f32_fn *many;
    narrow_many_fn *narrow_many; /* NULL: pages hold floats */
    enum metric_value value;
    const float *query;
    float query_norm;
};
size_t diskann_oracle_bytes(const struct index *index, uint32_t dim);
struct oracle *diskann_oracle_init(const struct index *index, void *memory,
                                   const struct oracle_desc *desc);
/* Exact distances of all nodes of a page. */
void diskann_measure(const struct diskann_oracle *o, const struct diskann_layout *l,
                     const uint8_t *page, uint32_t count, float *out);

/* diskann_vectors.c */
/* The kernel over such rows; NULL: they are floats, or there is none, and pages hold no such. */
narrow_many_fn *diskann_narrow_many(const struct simd_kernels *kernels, enum metric metric,
                                    uint32_t storage);
/* Does a row mean this vector? */
bool diskann_is_same(const struct simd_kernels *kernels, uint32_t storage, const void *row,
                     const float *vector, uint32_t dim);

/* diskann_cache.c: pages in memory and on the way there. */
int diskann_cache_open(struct diskann *d, struct error *err);
void diskann_cache_close(struct diskann *d);
/* Is it the page of this number, as it was written, with no link that leads out?  CORRUPT. */
int diskann_page_check(const struct diskann *d, uint32_t page, const uint8_t *bytes,
                       struct error *err);
/* The page's bytes, not checked, into page_bytes of memory; waits. */
int diskann_page_read(const struct diskann *d, uint32_t page, uint8_t *out, struct error *err);

#endif
