/* SPDX-License-Identifier: Apache-2.0 */
/* indexed.h — a collection of groups of points that an index is built over, for tests of what a
 * search through it answers. */
#ifndef API_INDEXED_H
#define API_INDEXED_H

#include "base/rng.h"
#include "fixture.h"

enum {
    POINT_DIM = 8,
    POINT_COUNT = IS_TINY ? 220 : 3000,
    POINT_LATE = POINT_COUNT / 20, /* written after the index was built */
    POINT_QUERIES = 18,            /* more than a graph is asked for at once */
    POINT_GROUPS = 10,
};

/* Kinds and quantizers; one that this version does not have is passed over. */
static const char *const point_modes[] = {
    "HNSW-L2",        "HNSW-L2-SQ8",    "HNSW-L2-RABITQ4", "IVF-L2",      "IVF-L2-SQ8",
    "IVF-L2-RABITQ2", "FLAT-L2-SQ8",    "FLAT-L2-RABITQ",  "FLAT-L2-PQ4", "IVF-L2-PQ4",
    "HNSW-L2-PQ4",    "SPANN-L2",       "SPANN-L2-SQ8",    "DISKANN-L2",  "DISKANN-L2-SQ8",
    "FLAT-L2",        "DISKANN-L2-PQ4",
};
enum { POINT_MODES = sizeof point_modes / sizeof *point_modes };

static float point_queries[POINT_QUERIES * POINT_DIM];

static inline void put_points(struct fixture *f, struct rng *r, const float *centers, size_t from,
                              size_t count)
{
    for (size_t i = from; i < from + count; i += 10) {
        float vectors[10 * POINT_DIM];
        uint64_t numbers[10];
        struct small_fields maps[10];
        struct lynse_bytes fields[10];
        size_t some = from + count - i < 10 ? from + count - i : 10;
        for (size_t j = 0; j < some; j++) {
            const float *center = centers + rng_below(r, POINT_GROUPS) * POINT_DIM;
            for (size_t k = 0; k < POINT_DIM; k++)
                vectors[j * POINT_DIM + k] = center[k] + 0.5f * rng_normal(r);
            numbers[j] = i + j;
            maps[j] = fields_of((uint8_t)((i + j) % 100));
            fields[j] = (struct lynse_bytes){maps[j].bytes, sizeof maps[j].bytes};
        }
        struct lynse_rows rows = {.dim = POINT_DIM,
                                  .count = some,
                                  .numbers = numbers,
                                  .vectors = vectors,
                                  .fields = fields};
        assert_done(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f);
        breathe(f);
    }
}

/* The collection "points" as f->docs: {"n": id % 100}, one in seventeen deleted, an index over all
 * but the last.  false: there is no such index yet. */
static inline bool make_points(struct fixture *f, const char *mode)
{
    struct lynse_collection_desc desc = {
        .name = "points", .dim = POINT_DIM, .metric = LYNSE_L2, .sync = fixture_level(f)};
    float centers[POINT_GROUPS * POINT_DIM];
    struct rng r;

    rng_init(&r, 5);
    for (size_t i = 0; i < POINT_GROUPS * POINT_DIM; i++) centers[i] = 3 * rng_normal(&r);
    for (size_t i = 0; i < POINT_QUERIES * POINT_DIM; i++)
        point_queries[i] = centers[i % (POINT_GROUPS * POINT_DIM)] + 0.5f * rng_normal(&r);
    assert_done(lynse_collection_create(f->db, &desc, &f->docs, &f->err), f);
    put_points(f, &r, centers, 0, POINT_COUNT - POINT_LATE);
    assert_done(lynse_flush(f->docs, &f->err), f);
    int code = lynse_build_index(f->docs, mode, &f->err);
    if (code != LYNSE_UNSUPPORTED) assert_int_equal(code, LYNSE_OK);
    put_points(f, &r, centers, POINT_COUNT - POINT_LATE, POINT_LATE);
    for (uint64_t i = 3; i < POINT_COUNT; i += 17) {
        struct lynse_id id = number_id(i);
        assert_int_equal(delete_ids(f, &id, 1), 1);
    }
    breathe(f);
    return code == LYNSE_OK;
}

static inline void drop_points(struct fixture *f)
{
    lynse_collection_close(f->docs);
    f->docs = NULL;
    assert_done(lynse_collection_drop(f->db, "points", &f->err), f);
}

static inline struct lynse_hits *search_points(struct fixture *f,
                                               const struct lynse_search_desc *desc)
{
    struct lynse_hits *hits;
    struct lynse_search_desc d = *desc;

    d.dim = POINT_DIM;
    d.error = &f->err;
    assert_done(lynse_search(f->docs, &d, &hits), f);
    return hits;
}

/* How many of the first `most` of `truth` are among `found`, with the same scores. */
static inline size_t common_count(const struct lynse_hits *truth, const struct lynse_hits *found,
                                  size_t most)
{
    size_t count = 0;

    for (size_t i = 0; i < truth->count && i < most; i++)
        for (size_t j = 0; j < found->count; j++) {
            if (found->numbers[j] != truth->numbers[i]) continue;
            assert_true(found->scores[j] == truth->scores[i]);
            count++;
        }
    return count;
}

#endif
