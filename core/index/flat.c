/* SPDX-License-Identifier: Apache-2.0 */
/* flat.c — every row, by its exact distance.
 *
 * WHAT        Rows are taken in blocks: a block's distances go into a buffer that stays in the
 *             first cache, are compared with the worst that could still enter, many at a time, and
 *             only what is near enough is looked at by itself.  With several queries a block is
 *             read from memory once and stays in the cache while the queries, a few at a time,
 *             have their turn.  Where a gate comes first, a block without an open row is not
 *             read, and one with few is read row by row.
 * INVARIANTS  (1) The state is a block and the first query whose turn it is; how the block is read
 *                 is decided with its first query.
 *             (2) A row's distance is the same bits however it is read.
 * THREADS     One at a time.
 * FAILURE     What the oracle says; the search may not go on.
 */
#include <math.h>

#include "index/index.h"

enum {
    BLOCK_ROWS_MAX = 1024,
    BLOCK_BYTES = 512 << 10,       /* of vectors: a fraction of a millisecond */
    BATCH_BLOCK_BYTES = 128 << 10, /* stays in the second cache while the queries take turns */
    BATCH_ROWS_MAX = 256,
    LANES = 32,       /* distances compared at a time */
    QUERY_GROUP = 4,  /* queries that have their turn together: what kernels read rows once for */
    GATHER_SHARE = 4, /* rows are gathered when fewer than one in so many are open */
};

struct flat_search {
    struct index_search_desc desc;
    uint32_t block_rows; /* of a full block */
    uint32_t row;        /* the first of the block in work */
    size_t query;        /* whose turn it is */
    bool gathers;        /* the block's open rows, one by one */
    uint32_t open_count; /* of open_rows; when it gathers */
    uint32_t open_rows[BLOCK_ROWS_MAX];
    float distances[QUERY_GROUP * (BATCH_ROWS_MAX + LANES)]; /* or one query's, of a full block */
};
_Static_assert(QUERY_GROUP *(BATCH_ROWS_MAX + LANES) >= BLOCK_ROWS_MAX + LANES, "either fits");
_Static_assert((int)QUERY_GROUP <= (int)ORACLE_BLOCK_MAX, "an oracle takes a group");

static void flat_begin(void *search, const struct index_search_desc *desc)
{
    struct flat_search *s = (struct flat_search *)search;
    bool is_batch = desc->query_count > 1;
    uint32_t bytes = is_batch ? BATCH_BLOCK_BYTES : BLOCK_BYTES;
    uint32_t rows = bytes / desc->queries[0].oracle->row_bytes;
    uint32_t most = is_batch ? BATCH_ROWS_MAX : BLOCK_ROWS_MAX;
    s->desc = *desc;
    s->block_rows = rows < 1 ? 1 : rows > most ? most : rows;
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

static void push_near(struct flat_search *s, const struct index_query *q, float *distances,
                      uint32_t row_count)
{
    const struct index_gate *gate = &s->desc.gate;
    uint32_t word_row = UINT32_MAX; /* no multiple of 64 */
    uint64_t shut = 0;
    float limit = limit_of(q);

    for (uint32_t i = row_count; i % LANES != 0; i++) distances[i] = INFINITY;
    for (uint32_t i = 0; i < row_count; i += LANES) {
        if (!has_near(distances + i, limit)) continue;
        uint32_t end = i + LANES < row_count ? i + LANES : row_count;
        for (uint32_t j = i; j < end; j++) {
            if (!(distances[j] <= limit)) continue;
            uint32_t row = s->row + j;
            if (gate->shut_word && row / 64 * 64 != word_row) {
                word_row = row / 64 * 64;
                shut = gate->shut_word(gate->ctx, word_row);
            }
            if (shut >> (row % 64) & 1) continue;
            topk_push(q->best, distances[j], s->desc.part, row);
            limit = limit_of(q);
        }
    }
}

static void push_open(struct flat_search *s, const struct index_query *q)
{
    float limit = limit_of(q);

    for (uint32_t i = 0; i < s->open_count; i++) {
        if (!(s->distances[i] <= limit)) continue;
        topk_push(q->best, s->distances[i], s->desc.part, s->open_rows[i]);
        limit = limit_of(q);
    }
}

/* The open ones of the rows [row, end) in the word of `row`. */
static uint64_t open_word(const struct index_gate *gate, uint32_t row, uint32_t end)
{
    uint32_t word_row = row / 64 * 64;
    uint64_t open = ~gate->shut_word(gate->ctx, word_row) & (~0ull << (row % 64));

    return end - word_row < 64 ? open & ((1ull << (end - word_row)) - 1) : open;
}

/* Where the gate comes first: are so few rows of the block open that they are read one by one? */
static void look_at_gate(struct flat_search *s, uint32_t row_count)
{
    const struct index_gate *gate = &s->desc.gate;
    uint32_t end = s->row + row_count, count = 0;

    s->gathers = false;
    if (!gate->comes_first) return;
    for (uint32_t row = s->row; row < end; row = row / 64 * 64 + 64)
        count += (uint32_t)__builtin_popcountll(open_word(gate, row, end));
    s->gathers = count * GATHER_SHARE < row_count;
    s->open_count = 0;
    if (!s->gathers || count == 0) return;
    for (uint32_t row = s->row; row < end; row = row / 64 * 64 + 64)
        for (uint64_t open = open_word(gate, row, end); open; open &= open - 1)
            s->open_rows[s->open_count++] = row / 64 * 64 + (uint32_t)__builtin_ctzll(open);
}

/* The block's open rows, for the query whose turn it is. */
static int gather_block(struct flat_search *s, struct error *err)
{
    const struct index_query *q = &s->desc.queries[s->query];

    if (s->open_count == 0) return 0;
    if (oracle_gather(q->oracle, s->open_rows, s->open_count, s->distances, err) != 0) return -1;
    push_open(s, q);
    return 0;
}

/* The block, for the queries whose turn it is. */
static int scan_block(struct flat_search *s, size_t query_count, uint32_t row_count,
                      struct error *err)
{
    const struct index_query *queries = &s->desc.queries[s->query];
    struct oracle *oracles[QUERY_GROUP];
    float *distances[QUERY_GROUP];

    if (query_count == 1) {
        if (oracle_scan(queries->oracle, s->row, row_count, s->distances, err) != 0) return -1;
        push_near(s, queries, s->distances, row_count);
        return 0;
    }
    for (size_t i = 0; i < query_count; i++) {
        oracles[i] = queries[i].oracle;
        distances[i] = s->distances + i * (BATCH_ROWS_MAX + LANES);
    }
    if (oracle_scan_block(oracles, query_count, s->row, row_count, distances, err) != 0) return -1;
    for (size_t i = 0; i < query_count; i++) push_near(s, &queries[i], distances[i], row_count);
    return 0;
}

/* The block, for one query or a few.  How many; 0: it failed. */
static size_t search_block(struct flat_search *s, uint32_t row_count, struct error *err)
{
    size_t left = s->desc.query_count - s->query;
    size_t group = left < QUERY_GROUP ? left : QUERY_GROUP;

    if (s->gathers) return gather_block(s, err) == 0 ? 1 : 0;
    return scan_block(s, group, row_count, err) == 0 ? group : 0;
}

static enum index_state flat_advance(void *search, uint64_t distance_max, struct error *err)
{
    struct flat_search *s = (struct flat_search *)search;
    uint64_t done = 0;
    while (s->row < s->desc.row_end) {
        if (done > 0 && done >= distance_max) return INDEX_MORE;
        uint32_t left = s->desc.row_end - s->row;
        uint32_t row_count = left < s->block_rows ? left : s->block_rows;
        /* Who answers for a gate has BLOCK_ROWS_MAX rows at hand: none are asked for twice. */
        uint32_t room = BLOCK_ROWS_MAX - s->row % BLOCK_ROWS_MAX;
        if (s->desc.gate.comes_first && row_count > room) row_count = room;
        if (s->query == 0) look_at_gate(s, row_count);
        size_t query_count = search_block(s, row_count, err);
        if (query_count == 0) return INDEX_FAILED;
        done += query_count * row_count;
        s->query += query_count;
        if (s->query == s->desc.query_count) {
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
