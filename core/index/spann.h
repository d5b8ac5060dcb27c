/* SPDX-License-Identifier: Apache-2.0 */
/* spann.h — what the files of the kind "spann" share: rows in short lists on the disk, with the
 * centers of the lists in memory.
 *
 * LISTS       As of the kind ivf, but short, many, and on the disk (SPANN: Chen and others, NeurIPS
 *             2021): a search is a few reads, all of which it knows before the first.  A row lies
 *             in the list of the center that is nearest to it, and, where it is near the border of
 *             that, in some others too: its replicas.  None is kept where its center is nearer to
 *             one that the row has already than to the row, for who comes there comes here.
 *             No list is longer than list_rows: what k-means makes longer is divided.
 * ON THE DISK A list is one read: struct spann_list, its rows, their norms, and, from a multiple of
 *             ALIGN_VECTOR on, their vectors in full.
 * SEARCH      Reads the nprobe lists whose centers are nearest, but for those that are so much
 *             farther than the nearest (`prune`) that they hardly have anything: spann_search.c
 *             says when.
 * EXACTNESS   A distance is that of the vector of a list, by the kernel and to the bit that the
 *             segment's own would give.
 * MEMORY      The centers, 20 bytes a list (its place, start, radius and norm), the groups of
 *             lists, and what searches read into.
 * THREADS     An opened index is immutable, but for its queues, which are under their mutex.
 */
#ifndef INDEX_SPANN_H
#define INDEX_SPANN_H

#include "base/bytes.h"
#include "base/limits.h"
#include "index/disk_reads.h"
#include "index/index.h"
#include "index/index_build.h"
#include "index/list_centers.h"

enum { SPANN_N_CLUSTERS, SPANN_NPROBE, SPANN_REPLICA_COUNT, SPANN_PRUNE, SPANN_PARAM_COUNT };
enum {
    SPANN_CLUSTERS_MAX = 1 << 24,
    SPANN_REPLICAS_MAX = 7,
    SPANN_LIST_ROWS_MIN = 8,
    SPANN_GROUPS_MIN = 32,          /* of lists, that a search and a row look into */
    SPANN_LIST_BYTES_MAX = 1 << 20, /* of a list, or SPANN_LIST_ROWS_MIN rows */
};

/* Sections of an image (docs/FORMAT.md). */
enum {
    SPANN_SECTION_HEAD = 80,    /* struct spann_head */
    SPANN_SECTION_CENTERS = 81, /* f32, dim a list */
    SPANN_SECTION_STARTS = 82,  /* u32, the first place of each list, and the end of the last */
    SPANN_SECTION_RADII = 83,   /* f32, a list's */
    SPANN_SECTION_GROUPS = 84,  /* u32, the first list of each group, and the end of the last */
    SPANN_SECTION_LISTS = 85,   /* stays in the file */
};
enum { SPANN_VERSION = 1 };

struct spann_head {
    uint32_t version;
    uint32_t row_count, dim, metric;
    uint32_t list_count;
    uint32_t list_rows; /* no list has more */
    uint32_t nprobe;
    float prune;
    uint32_t reserved[8]; /* 0 */
};
_Static_assert(sizeof(struct spann_head) == 64, "it is in files");

struct spann_list {
    uint64_t hash; /* of what follows, up to the end of the list */
    uint32_t number, row_count;
};
_Static_assert(sizeof(struct spann_list) == 16, "it is in files");

struct spann {
    struct index base; /* first */
    struct alloc *alloc;
    uint32_t list_rows; /* of the longest */
    uint32_t nprobe;
    float prune;
    struct list_centers centers;
    const uint32_t *starts;
    uint64_t *offsets; /* of lists in their section, and its end */
    struct disk_reads *reads;
};

/* ---- A list's bytes ---- */

/* More rows no list may have. */
static inline uint32_t spann_list_rows_max(uint32_t dim)
{
    uint32_t rows = SPANN_LIST_BYTES_MAX / ((dim + 2) * (uint32_t)sizeof(float));
    return rows < SPANN_LIST_ROWS_MIN ? SPANN_LIST_ROWS_MIN : rows;
}

static inline size_t spann_vectors_at(uint32_t row_count)
{
    return align_up(sizeof(struct spann_list) + row_count * (sizeof(uint32_t) + sizeof(float)),
                    ALIGN_VECTOR);
}

static inline size_t spann_list_bytes(uint32_t row_count, uint32_t dim)
{
    size_t vectors = (size_t)row_count * dim * sizeof(float);
    return align_up(spann_vectors_at(row_count) + vectors, ALIGN_VECTOR);
}

static inline const uint32_t *spann_rows(const uint8_t *list)
{
    return (const uint32_t *)(const void *)(list + sizeof(struct spann_list));
}

static inline const float *spann_norms(const uint8_t *list, uint32_t row_count)
{
    return (const float *)(const void *)(spann_rows(list) + row_count);
}

static inline const float *spann_vectors(const uint8_t *list, uint32_t row_count)
{
    return (const float *)(const void *)(list + spann_vectors_at(row_count));
}

static inline uint32_t spann_row_count(const struct spann *s, uint32_t list)
{
    return s->starts[list + 1] - s->starts[list];
}

/* The list's bytes are those that were written, and its rows those of the segment?  CORRUPT. */
int spann_list_check(const struct spann *s, uint32_t list, const uint8_t *bytes, struct error *err);

/* What a query walks by: its vector, and an oracle over the list at hand. */
struct spann_oracle {
    struct oracle base;          /* first; nobody but the search of this kind may ask it */
    struct vector_source source; /* the vectors of the list */
    struct oracle_query query;   /* has its norm */
    struct oracle *places;
};

/* spann_build.c, spann_file.c, spann_search.c, spann_check.c, spann.c */
extern const struct index_build_ops spann_build_ops;
int spann_open(const struct index_open_desc *desc, struct index **out, struct error *err);
void spann_close(struct index *index);
size_t spann_search_bytes(const struct index *index, const struct index_options *options, size_t k,
                          size_t query_count);
void spann_begin(void *search, const struct index_search_desc *desc);
enum index_state spann_advance(void *search, uint64_t distance_max, struct error *err);
int spann_check(const struct index *index, const struct vector_source *vectors, struct error *err);
size_t spann_oracle_bytes(const struct index *index, uint32_t dim);
struct oracle *spann_oracle_init(const struct index *index, void *memory,
                                 const struct oracle_desc *desc);

#endif
