/* SPDX-License-Identifier: Apache-2.0 */
/* flat.c — every row, by its exact distance.
 *
 * Rows are taken in blocks: a block's distances go into a buffer that stays in the first cache, are
 * compared with the worst that could still enter, many at a time, and only what is near enough is
 * looked at by itself.  With several queries a block is read from memory once and then stays in
 * the cache while each query has its turn.  The state is a block and the query whose turn it is.
 */
#include <math.h>

#include "index/index.h"

enum {
    BLOCK_ROWS_MAX = 1024,
    BLOCK_BYTES = 512 << 10,       /* of vectors: a fraction of a millisecond */
    BATCH_BLOCK_BYTES = 128 << 10, /* stays in the second cache while the queries take turns */
    LANES = 32,                    /* distances compared at a time */
};

struct flat_search {
    struct index_search_desc desc;
    uint32_t block_rows; /* of a full block */
    uint32_t row;        /* the first of the block in work */
    size_t query;        /* whose turn it is */
    float distances[BLOCK_ROWS_MAX + LANES];
};

static void flat_begin(void *search, const struct index_search_desc *desc)
{
    struct flat_search *s = (struct flat_search *)search;
    uint32_t bytes = desc->query_count > 1 ? BATCH_BLOCK_BYTES : BLOCK_BYTES;
    uint32_t rows = bytes / desc->queries[0].oracle->row_bytes;
    s->desc = *desc;
    s->block_rows = rows < 1 ? 1 : rows > BLOCK_ROWS_MAX ? BLOCK_ROWS_MAX : rows;
    s->row = desc->row_first;
    s->query = 0;
}

/* Any of LANES distances within the limit; branchless, so that it is done in vectors. */
static inline bool has_near(const float *distances, float limit)
{
    int near = 0;
    for (int i = 0; i < LANES; i++) near |= distances[i] <= limit;
    return near != 0;
}

static inline float limit_of(const struct index_query *q)
{
    float threshold = topk_threshold(q->best);
    return threshold < q->distance_max ? threshold : q->distance_max;
}

static void push_near(struct flat_search *s, const struct index_query *q, uint32_t row_count)
{
    const struct index_gate *gate = &s->desc.gate;
    uint32_t word_row = UINT32_MAX; /* no multiple of 64 */
    uint64_t shut = 0;
    float limit = limit_of(q);

    for (uint32_t i = row_count; i % LANES != 0; i++) s->distances[i] = INFINITY;
    for (uint32_t i = 0; i < row_count; i += LANES) {
        if (!has_near(s->distances + i, limit)) continue;
        uint32_t end = i + LANES < row_count ? i + LANES : row_count;
        for (uint32_t j = i; j < end; j++) {
            if (!(s->distances[j] <= limit)) continue;
            uint32_t row = s->row + j;
            if (gate->shut_word && row / 64 * 64 != word_row) {
                word_row = row / 64 * 64;
                shut = gate->shut_word(gate->ctx, word_row);
            }
            if (shut >> (row % 64) & 1) continue;
            topk_push(q->best, s->distances[j], s->desc.part, row);
            limit = limit_of(q);
        }
    }
}

static enum index_state flat_advance(void *search, uint64_t distance_max, struct error *err)
{
    struct flat_search *s = (struct flat_search *)search;
    uint64_t done = 0;
    while (s->row < s->desc.row_end) {
        if (done > 0 && done >= distance_max) return INDEX_MORE;
        uint32_t left = s->desc.row_end - s->row;
        uint32_t row_count = left < s->block_rows ? left : s->block_rows;
        const struct index_query *q = &s->desc.queries[s->query];
        if (oracle_scan(q->oracle, s->row, row_count, s->distances, err) != 0) return INDEX_FAILED;
        push_near(s, q, row_count);
        done += row_count;
        if (++s->query == s->desc.query_count) {
            s->query = 0;
            s->row += row_count;
        }
    }
    return INDEX_DONE;
}

const struct index_vtab index_flat = {
    .name = "flat",
    .search_bytes = sizeof(struct flat_search),
    .begin = flat_begin,
    .advance = flat_advance,
};
