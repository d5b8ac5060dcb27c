/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_build.h — a disk index while it is built, for the files that build it: diskann_build.c
 * says how. */
#ifndef INDEX_DISKANN_BUILD_H
#define INDEX_DISKANN_BUILD_H

#include "index/diskann.h"
#include "index/hnsw_build.h"

enum diskann_phase {
    DISKANN_TRAIN,  /* the quantizer, where its training has pieces */
    DISKANN_GRAPH,  /* the phases of the graph's own build */
    DISKANN_TYPES,  /* which numbers hold the vectors */
    DISKANN_PLACE,  /* which nodes share a page */
    DISKANN_ENCODE, /* vectors into codes */
    DISKANN_DONE
};

struct diskann_build {
    struct index_build_desc desc;
    struct index_params graph_params; /* of the kind hnsw */
    struct hnsw_build *graph;
    enum diskann_phase phase;
    uint8_t *types;               /* of each piece of TYPES */
    struct diskann_layout layout; /* known from PLACE on */
    /* Of each node of the graph the node that it becomes, and back. */
    uint32_t *numbers, *nodes;
    uint32_t placed;     /* nodes that have a place */
    uint32_t seed;       /* in the order of the walk in breadth: all before it have one */
    float *sum, *middle; /* of the vectors of a page at work */
    const struct quantizer_vtab *vtab;
    struct quantizer_spec spec; /* the quantizer that was trained */
    struct quantizer *quantizer;
    size_t stride;
    uint8_t *codes; /* of the finished nodes */
};

/* diskann_vectors.c: a bit for each type whose numbers hold the vectors of some nodes; of those
 * that hold all of them the one to use. */
uint8_t diskann_types_of(const struct diskann_build *b, uint32_t first, uint32_t end);
uint32_t diskann_type(uint8_t types);

/* diskann_place.c: some more nodes get a place. */
enum { DISKANN_WAITING_MAX = 256 }; /* nodes that a page is grown from */
void diskann_place_step(struct diskann_build *b);

/* diskann_file.c */
int diskann_save(struct diskann_build *b, struct index_writer *w, struct error *err);

#endif
