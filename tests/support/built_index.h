/* SPDX-License-Identifier: Apache-2.0 */
/* built_index.h — an index of any kind over vectors in memory: built, kept as sections, opened and
 * searched, with nothing of a segment around it. */
#ifndef SUPPORT_BUILT_INDEX_H
#define SUPPORT_BUILT_INDEX_H

#include "base/rng.h"
#include "index/index_build.h"

/* Rows in groups of some that are alike, or each anywhere. */
struct test_vectors {
    struct vector_source source; /* first */
    float *vectors, *norms;
    uint32_t row_count;
};
void test_vectors_make(struct test_vectors *v, struct rng *r, uint32_t row_count, uint32_t dim,
                       uint32_t group_count);
/* Norms of vectors that were changed. */
void test_vectors_measure(struct test_vectors *v);
/* Lend them in runs only. */
void test_vectors_scatter(struct test_vectors *v);
void test_vectors_drop(struct test_vectors *v);
/* So many queries, each near a row: free. */
float *test_queries_make(const struct test_vectors *v, size_t query_count);

struct built_index {
    const struct index_vtab *kind;
    struct index *index;
    struct index_image image;
    struct index_section sections[INDEX_SECTIONS_MAX];
    void *memory[INDEX_SECTIONS_MAX]; /* of the sections */
    const struct test_vectors *vectors;
    enum metric metric;
};

enum piece_order {
    PIECES_FORWARDS,
    PIECES_BACKWARDS,
    PIECES_AT_RANDOM,
    PIECES_ON_THREADS, /* a few at once */
};

/* Build with allocations from desc->alloc, keep in memory of libc, open. */
int built_index_make(struct built_index *b, const struct index_vtab *kind,
                     const struct index_build_desc *desc, enum piece_order order,
                     struct error *err);
/* Open again what is in the sections. */
int built_index_open(struct built_index *b, struct alloc *a, struct error *err);
void built_index_drop(struct built_index *b);
/* There is one of this number. */
struct index_section *built_index_section(struct built_index *b, uint32_t kind);
void assert_same_index(const struct built_index *a, const struct built_index *b);
/* Built by pieces in any order, of vectors at one place or in runs, it is the same: they are
 * desc->vectors, and are in runs then. */
void assert_one_result(const struct index_vtab *kind, const struct index_build_desc *desc,
                       struct test_vectors *vectors);

/* A scenario for oom_sweep: what desc says is built, opened and checked. */
struct built_sweep {
    const struct index_vtab *kind;
    struct index_build_desc desc;
};
int build_and_check(void *sweep, struct error *err);

struct built_search {
    const float *queries;
    size_t query_count, k;
    struct index_gate gate;
    struct index_options options;
    float distance_max;
    uint64_t budget; /* of an advance; 0: all in one */
    bool is_exact;   /* look at every row instead */
};

/* lists: one for each query, of k; sorted when it returns. */
enum index_state built_index_search(const struct built_index *b, const struct built_search *search,
                                    struct topk *lists, struct error *err);
/* Lists in one block: free with mem_free(alloc_libc(), lists). */
struct topk *built_lists_make(size_t query_count, size_t k);
/* How much of what the true lists have is in the found ones, 0 to 1; rows of equal distance stand
 * for one another. */
double built_lists_recall(const struct topk *found, const struct topk *truth, size_t query_count);
/* The share of their ten nearest rows that fifty queries find. */
double built_index_recall(const struct built_index *b, uint32_t effort);

/* A gate of bits, by row: set is shut. */
uint64_t built_shut_word(void *bits, uint32_t row);

#endif
