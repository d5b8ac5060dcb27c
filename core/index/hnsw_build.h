/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_build.h — a graph while it is built, for the files that build it: hnsw_build.c says how.
 *
 * Nodes are numbered in the order in which they are inserted, a random one, in which those of
 * higher levels come first.  A list of links is a count and then so many numbers, the last ones in
 * any order; it has more room than the finished one, so that it is cut now and then only.
 */
#ifndef INDEX_HNSW_BUILD_H
#define INDEX_HNSW_BUILD_H

#include "index/hnsw.h"
#include "index/hnsw_codes.h"
#include "index/hnsw_neighbors.h"
#include "quant/quantizer.h"

enum hnsw_phase {
    HNSW_TRAIN,   /* the quantizer of the finished graph, where its training has pieces */
    HNSW_COPY,    /* vectors, where their source does not have them at one place */
    HNSW_ENCODE,  /* norms and codes */
    HNSW_SEARCH,  /* the neighbours of the nodes of a batch */
    HNSW_LINK,    /* and these nodes to them */
    HNSW_TRIM,    /* lists to their final length */
    HNSW_CONNECT, /* nodes that cannot be reached, and the final order */
    HNSW_PACK,    /* vectors into codes and blocks */
    HNSW_DONE
};

struct hnsw_levels {
    uint32_t *links[HNSW_LEVELS_MAX + 1];
    uint32_t nodes[HNSW_LEVELS_MAX + 1];
    uint32_t places[HNSW_LEVELS_MAX + 1]; /* of a list, with its count */
    uint32_t count;                       /* above level 0 */
};

/* A walk over level 0 in breadth. */
struct hnsw_tree {
    uint32_t *parents; /* of each node; HNSW_NONE: it was not reached */
    uint32_t *order;   /* nodes as they were reached */
    uint32_t *heirs;   /* the lost node that was linked to last for a node's sake; HNSW_NONE */
    uint32_t reached, looked_at;
    uint32_t lost;  /* all before it were reached */
    uint32_t donor; /* in `order`: all before it have no link to spare */
};

/* What is kept in the place of vectors. */
struct hnsw_pack {
    enum hnsw_layout layout;
    enum quantizer_kind kind;
    const struct quantizer_vtab *vtab;
    struct quantizer *quantizer;
    uint8_t *codes; /* of the finished graph's nodes, `stride` apart */
    size_t stride;
    uint8_t *blocks; /* block_count a node */
    size_t block_bytes;
    uint32_t block_count;
};

/* What a graph of another kind may want otherwise. */
struct hnsw_shape {
    float hiding;                /* of its space */
    bool from_middle;            /* node 0 is one of those nearest to the mean, not any */
    struct quantizer_spec codes; /* in the place of vectors, where none was asked for; RAW: none */
};

struct hnsw_build {
    struct index_build_desc desc; /* its params and vectors are borrowed */
    struct hnsw_shape shape;
    uint32_t m, ef, ef_search;
    uint32_t row_count, dim;
    enum hnsw_phase phase;
    uint32_t done;  /* nodes in the graph */
    uint32_t batch; /* nodes behind them that are at work */
    struct hnsw_levels levels;
    struct hnsw_space space;
    uint32_t *rows; /* of nodes */
    float *copy;    /* of the vectors, packed where the metric counts bits; NULL: the source has
                       them at one place */
    float *norms;   /* of rows, where they are needed and were copied */
    float *inverse; /* of the space */
    bool has_codes;
    struct hnsw_codes codes;
    struct hnsw_tree tree;
    /* Of the finished graph, once it is connected: its number for a node, and back. */
    uint32_t *numbers, *nodes;
    struct hnsw_pack pack;
};

/* The highest level of a node. */
static inline uint32_t hnsw_level_of(const struct hnsw_build *b, uint32_t node)
{
    uint32_t level = 0;
    while (level < b->levels.count && node < b->levels.nodes[level + 1]) level++;
    return level;
}

static inline uint32_t *hnsw_list(const struct hnsw_build *b, uint32_t level, uint32_t node)
{
    return b->levels.links[level] + (size_t)node * b->levels.places[level];
}

/* Links of a finished list. */
static inline uint32_t hnsw_degree_max(const struct hnsw_build *b, uint32_t level)
{
    return level == 0 ? 2 * b->m : b->m;
}

/* hnsw_build.c: to be worked off by hnsw_build_ops; what a finished one holds may be read. */
int hnsw_build_create(const struct index_build_desc *desc, const struct hnsw_shape *shape,
                      struct index_build **out, struct error *err);

/* hnsw_insert.c */
/* How many pieces the insertion of a batch has. */
uint32_t hnsw_search_pieces(const struct hnsw_build *b);
int hnsw_search_piece(struct hnsw_build *b, uint32_t piece, struct error *err);
uint32_t hnsw_link_pieces(const struct hnsw_build *b);
void hnsw_link_piece(struct hnsw_build *b, uint32_t piece);
void hnsw_trim_list(struct hnsw_build *b, uint32_t level, uint32_t node);

/* hnsw_connect.c: a part of the walk; true: there is nothing left to do. */
int hnsw_tree_create(struct hnsw_build *b, struct error *err);
bool hnsw_tree_step(struct hnsw_build *b);
/* The node of the finished graph that a node becomes, of each; nodes of a level come before those
 * that are not of it, and then as they were reached. */
void hnsw_tree_number(const struct hnsw_build *b, uint32_t *numbers);

/* hnsw_pack.c */
int hnsw_pack_create(struct hnsw_build *b, struct error *err); /* trains */
int hnsw_pack_begin(struct hnsw_build *b, struct error *err);  /* the final order is known */
uint32_t hnsw_pack_pieces(const struct hnsw_build *b);
void hnsw_pack_piece(struct hnsw_build *b, uint32_t piece);
void hnsw_pack_destroy(struct hnsw_build *b);
int hnsw_pack_save(const struct hnsw_build *b, struct index_writer *w, struct error *err);

/* hnsw_file.c */
int hnsw_save(struct hnsw_build *b, struct index_writer *w, struct error *err);

#endif
