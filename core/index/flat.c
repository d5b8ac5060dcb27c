/* SPDX-License-Identifier: Apache-2.0 */
/* flat.c — every row, by its exact distance.
 *
 * WHAT        Rows are taken in blocks: a block's distances go into a buffer that stays in the
 *             first cache, are compared with the worst that could still enter, many at a time, and
 *             only what is near enough is looked at by itself.  With several queries a block is
 *             read from memory once and stays in the cache while the queries, a few at a time,
 *             have their turn.  Where a gate comes first, a block without an open row is not
 *             read, and one with few is read row by row; where it is known that few are open of
 *             all, a block has so many of them, wherever they are.
 *             Where the oracle nominates, a block is sifted: bounds from below of its distances
 *             say which rows may enter, and only these are measured.  While the list is not full
 *             nothing is too far: then as many rows as it lacks, those with the least bounds, are
 *             measured first.  Data of which too many rows come through (all alike, or a list
 *             that is nearly as long as the block) are scanned, and so are the next blocks, twice
 *             as many each time that this happens again.  Built with a quantizer (flat_codes.c), it
 *             is the same search, by an oracle that nominates out of codes; or flat_ranked.c's,
 *             where the caller says how many rows are measured.
 * INVARIANTS  (1) The state is a block and the first query whose turn it is; how the block is read
 *                 is decided with its first query.
 *             (2) A row's distance is the same bits however it is read.
 *             (3) A row that is left out of a sifted block has a bound over the limit, and limits
 *                 only fall; so what is found is what a scan finds, and in the same order, which
 *                 topk.h makes independent of the order of pushes.  With slack the limit of
 *                 bounds is lower by it: a row that is left out is nearer than the last one of the
 *                 list by no more.
 * THREADS     One at a time.
 * FAILURE     What the oracle says; the search may not go on.
 */
#include <math.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "index/flat_codes.h"
#include "index/flat_ranked.h"

enum {
    BLOCK_ROWS_MAX = 1024,
    BLOCK_BYTES = 512 << 10,       /* of vectors: a fraction of a millisecond */
    BATCH_BLOCK_BYTES = 128 << 10, /* stays in the second cache while the queries take turns */
    BATCH_ROWS_MAX = 256,
    QUERY_GROUP = 4,   /* queries that have their turn together: what kernels read rows once for */
    GATHER_SHARE = 4,  /* rows are gathered when fewer than one in so many are open, */
    SPARSE_SHARE = 16, /* from as many rows as it takes, when these are so few of all */
    SPARSE_ROWS = 256, /* at once then */
    SIFT_BYTES = 1 << 20, /* of vectors of a sifted block, of which far less is read */
    SIFT_SHARE = 4,       /* it was worth it when fewer than one row in so many came through */
    SEEDS_MAX = 128,      /* rows that are measured first */
    CONFIRM_ROWS = 32,    /* measured before the limit is looked at again */
    SKIP_BLOCKS_MAX = 64,
    PACK_QUERIES = 32,      /* fewer do not earn what packing costs */
    PACK_GROUP = 6,         /* queries whose bounds are made together: what the kernels take */
    PACK_BYTES = 256 << 10, /* of a block: stays in the second cache */
};

/* Only of searches with PACK_QUERIES. */
struct packed_block {
    uint8_t rows[PACK_BYTES];
    float bounds[PACK_GROUP][BLOCK_ROWS_MAX + TOPK_LANES];
};

struct flat_search {
    struct index_search_desc desc;   /* first, as in flat_ranked.c */
    uint32_t block_rows;             /* of a full block */
    uint32_t sift_rows;              /* of a full block that is sifted */
    uint32_t row;                    /* the first of the block in work */
    uint32_t row_count;              /* of the block in work */
    size_t query;                    /* whose turn it is */
    bool gathers;                    /* the block's open rows, one by one */
    bool sifts;                      /* the block */
    uint32_t skip_blocks, skip_next; /* to be scanned now, and when sifting is in vain again */
    uint64_t sifted_count;           /* rows of the block that came through, of all queries */
    uint32_t open_count;             /* of open_rows; when it gathers or sifts */
    uint32_t open_rows[BLOCK_ROWS_MAX];
    float *bounds;               /* of the block, for the query whose turn it is; when it sifts */
    struct packed_block *packed; /* NULL: there are too few queries */
    bool is_packed;              /* the block */
    float distances[QUERY_GROUP *
                    (BATCH_ROWS_MAX + TOPK_LANES)]; /* or one query's, of a full block */
    struct topk seeds;                              /* of the query whose turn it is */
    struct candidate seed_memory[SEEDS_MAX];
};
_Static_assert(QUERY_GROUP *(BATCH_ROWS_MAX + TOPK_LANES) >= BLOCK_ROWS_MAX + TOPK_LANES,
               "either fits");
_Static_assert((int)QUERY_GROUP <= (int)ORACLE_BLOCK_MAX, "an oracle takes a group");
_Static_assert((int)PACK_GROUP <= (int)ORACLE_BLOCK_MAX, "an oracle takes a group");

static size_t own_bytes(void)
{
    return align_up(sizeof(struct flat_search), ALIGN_VECTOR);
}

static size_t flat_search_bytes(const struct index *index, const struct index_options *options,
                                size_t k, size_t query_count)
{
    if (flat_is_ranked(index, options)) return flat_ranked_bytes(index, options, k, query_count);
    return own_bytes() + (query_count >= PACK_QUERIES ? sizeof(struct packed_block) : 0);
}

static void flat_begin(void *search, const struct index_search_desc *desc)
{
    struct flat_search *s = (struct flat_search *)search;
    bool is_batch = desc->query_count > 1;
    uint32_t bytes = is_batch ? BATCH_BLOCK_BYTES : BLOCK_BYTES;
    uint32_t rows = bytes / desc->queries[0].oracle->row_bytes;
    uint32_t most = is_batch ? BATCH_ROWS_MAX : BLOCK_ROWS_MAX;

    if (flat_is_ranked(desc->index, &desc->options)) {
        flat_ranked_begin(search, desc);
        return;
    }
    s->desc = *desc;
    s->packed = desc->query_count >= PACK_QUERIES
                    ? (struct packed_block *)(void *)((uint8_t *)search + own_bytes())
                    : NULL;
    s->block_rows = rows < 1 ? 1 : rows > most ? most : rows;
    s->row = desc->row_first;
    s->query = 0;
    s->skip_blocks = 0;
    s->skip_next = 1;
    rows = SIFT_BYTES / desc->queries[0].oracle->row_bytes;
    rows = rows < 1 ? 1 : rows > BLOCK_ROWS_MAX ? BLOCK_ROWS_MAX : rows;
    s->sift_rows = rows > BLOCK_CODES ? rows / BLOCK_CODES * BLOCK_CODES : rows;
}

static inline float limit_of(const struct index_query *q)
{
    return topk_limit(q->best, q->distance_max);
}

/* Of a bound from below: what is farther is not measured. */
static inline float bound_limit(const struct flat_search *s, const struct index_query *q)
{
    float threshold = topk_threshold(q->best) - s->desc.options.slack;
    return threshold < q->distance_max ? threshold : q->distance_max;
}

static void push_near(struct flat_search *s, const struct index_query *q, float *distances,
                      uint32_t row_count)
{
    const struct index_gate *gate = &s->desc.gate;
    uint32_t word_row = UINT32_MAX; /* no multiple of 64 */
    uint64_t shut = 0;
    float limit = limit_of(q);

    for (uint32_t i = row_count; i % TOPK_LANES != 0; i++) distances[i] = INFINITY;
    for (uint32_t i = 0; i < row_count; i += TOPK_LANES) {
        if (!topk_has_near(distances + i, limit)) continue;
        uint32_t end = i + TOPK_LANES < row_count ? i + TOPK_LANES : row_count;
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
    uint64_t open = index_gate_open(gate, word_row) & (~0ull << (row % 64));

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
        distances[i] = s->distances + i * (BATCH_ROWS_MAX + TOPK_LANES);
    }
    if (oracle_scan_block(oracles, query_count, s->row, row_count, distances, err) != 0) return -1;
    for (size_t i = 0; i < query_count; i++) push_near(s, &queries[i], distances[i], row_count);
    return 0;
}

/* ---- Sifting: distances are bounds from below, of one query ---- */

/* A walk over rows that are open and have a bound within a limit. */
struct sift {
    const struct flat_search *s;
    uint32_t word_row; /* no multiple of 64: none */
    uint64_t shut;     /* rows from word_row on */
};

static bool is_open(struct sift *w, uint32_t row)
{
    const struct index_gate *gate = &w->s->desc.gate;

    if (!gate->shut_word) return true;
    if (row / 64 * 64 != w->word_row) {
        w->word_row = row / 64 * 64;
        w->shut = gate->shut_word(gate->ctx, w->word_row);
    }
    return !(w->shut >> (row % 64) & 1);
}

/* Measure rows, at most CONFIRM_ROWS, and push what is near. */
static int measure(struct flat_search *s, const struct index_query *q, const uint32_t *rows,
                   size_t count, struct error *err)
{
    float distances[CONFIRM_ROWS];

    if (oracle_gather(q->oracle, rows, count, distances, err) != 0) return -1;
    for (size_t i = 0; i < count; i++)
        if (distances[i] <= limit_of(q)) topk_push(q->best, distances[i], s->desc.part, rows[i]);
    return 0;
}

/* Measure the rows that are most likely to stay; their bounds become NaN, which is near nothing.
 * Those of which nothing is known are as likely to be far. */
static int push_seeds(struct flat_search *s, const struct index_query *q, size_t wanted,
                      struct error *err)
{
    struct sift walk = {.s = s, .word_row = UINT32_MAX};
    struct topk *seeds = &s->seeds;

    topk_init_at(seeds, s->seed_memory, wanted, topk_lower_row, NULL);
    float limit = q->distance_max;
    for (uint32_t i = 0; i < s->row_count; i += TOPK_LANES) {
        if (!topk_has_near(s->bounds + i, limit)) continue;
        for (uint32_t j = i; j < i + TOPK_LANES; j++) {
            if (!(s->bounds[j] <= limit) || s->bounds[j] == -INFINITY) continue;
            if (!is_open(&walk, s->row + j)) continue;
            topk_push(seeds, s->bounds[j], 0, s->row + j);
            float threshold = topk_threshold(seeds);
            limit = threshold < q->distance_max ? threshold : q->distance_max;
        }
    }
    for (size_t i = 0; i < seeds->count; i += CONFIRM_ROWS) {
        uint32_t rows[CONFIRM_ROWS];
        size_t count = seeds->count - i < CONFIRM_ROWS ? seeds->count - i : CONFIRM_ROWS;
        for (size_t j = 0; j < count; j++) {
            rows[j] = seeds->heap[i + j].row;
            s->bounds[rows[j] - s->row] = NAN;
        }
        if (measure(s, q, rows, count, err) != 0) return -1;
    }
    return 0;
}

/* The open rows that may enter the list of q, into open_rows. */
static void list_near(struct flat_search *s, const struct index_query *q)
{
    struct sift walk = {.s = s, .word_row = UINT32_MAX};
    float limit = bound_limit(s, q);

    s->open_count = 0;
    for (uint32_t i = 0; i < s->row_count; i += TOPK_LANES) {
        if (!topk_has_near(s->bounds + i, limit)) continue;
        for (uint32_t j = i; j < i + TOPK_LANES; j++)
            if (s->bounds[j] <= limit && is_open(&walk, s->row + j))
                s->open_rows[s->open_count++] = s->row + j;
    }
}

/* Measure what is listed and is still within the limit, which falls on the way. */
static int confirm(struct flat_search *s, const struct index_query *q, struct error *err)
{
    for (uint32_t i = 0; i < s->open_count;) {
        uint32_t rows[CONFIRM_ROWS];
        size_t count = 0;
        float limit = bound_limit(s, q);
        for (; i < s->open_count && count < CONFIRM_ROWS; i++)
            if (s->bounds[s->open_rows[i] - s->row] <= limit) rows[count++] = s->open_rows[i];
        if (count > 0 && measure(s, q, rows, count, err) != 0) return -1;
    }
    return 0;
}

/* All of the block, but for what was measured. */
static int scan_rest(struct flat_search *s, const struct index_query *q, struct error *err)
{
    if (oracle_scan(q->oracle, s->row, s->row_count, s->distances, err) != 0) return -1;
    for (size_t i = 0; i < s->seeds.count; i++) s->distances[s->seeds.heap[i].row - s->row] = NAN;
    push_near(s, q, s->distances, s->row_count);
    return 0;
}

/* One query's part of a block whose bounds are known. */
static int sift_bounds(struct flat_search *s, const struct index_query *q, struct error *err)
{
    size_t lacks = q->best->capacity - q->best->count;

    for (uint32_t i = s->row_count; i % TOPK_LANES != 0; i++) s->bounds[i] = NAN;
    s->seeds.count = 0;
    if (lacks > 0 && lacks <= SEEDS_MAX && lacks * SIFT_SHARE < s->row_count &&
        push_seeds(s, q, lacks, err) != 0)
        return -1;
    list_near(s, q);
    s->sifted_count += s->open_count;
    if (s->open_count * 2 > s->row_count) return scan_rest(s, q, err);
    return confirm(s, q, err);
}

/* The block, for the queries whose turn it is. */
static int sift_block(struct flat_search *s, size_t query_count, struct error *err)
{
    const struct index_query *queries = &s->desc.queries[s->query];
    struct oracle *oracles[PACK_GROUP];
    float *bounds[PACK_GROUP];

    if (!s->is_packed) {
        s->bounds = s->distances;
        oracle_nominate(queries->oracle, s->row, s->row_count, s->bounds);
        return sift_bounds(s, queries, err);
    }
    for (size_t i = 0; i < query_count; i++) {
        oracles[i] = queries[i].oracle;
        bounds[i] = s->packed->bounds[i];
    }
    oracle_nominate_packed(oracles, query_count, s->packed->rows, s->row, s->row_count, bounds);
    for (size_t i = 0; i < query_count; i++) {
        s->bounds = bounds[i];
        if (sift_bounds(s, &queries[i], err) != 0) return -1;
    }
    return 0;
}

/* Was it worth it?  If not, some blocks are scanned before it is tried again. */
static void judge_sifting(struct flat_search *s)
{
    if (s->sifted_count * SIFT_SHARE <= (uint64_t)s->row_count * s->desc.query_count) {
        s->skip_next = 1;
        return;
    }
    s->skip_blocks = s->skip_next;
    if (s->skip_next < SKIP_BLOCKS_MAX) s->skip_next *= 2;
}

/* ---- Blocks ---- */

static bool is_sparse(const struct flat_search *s)
{
    const struct index_gate *gate = &s->desc.gate;
    return gate->comes_first && gate->open_count > 0 &&
           (uint64_t)gate->open_count * SPARSE_SHARE < s->desc.row_end;
}

/* The next open rows, one by one, however far apart they are. */
static void begin_sparse_block(struct flat_search *s)
{
    uint32_t row = s->row, end = s->desc.row_end;

    s->gathers = true;
    s->sifts = false;
    s->open_count = 0;
    for (; row < end && s->open_count + 64 <= SPARSE_ROWS; row = row / 64 * 64 + 64)
        for (uint64_t open = open_word(&s->desc.gate, row, end); open; open &= open - 1)
            s->open_rows[s->open_count++] = row / 64 * 64 + (uint32_t)__builtin_ctzll(open);
    s->row_count = (row < end ? row : end) - s->row;
}

/* How many rows the next block has, and how it is read. */
static void begin_block(struct flat_search *s)
{
    struct oracle *oracle = s->desc.queries[0].oracle;
    uint32_t left = s->desc.row_end - s->row, ready = 0;
    bool tries = oracle->ops->ready && s->skip_blocks == 0;
    uint32_t most = tries ? s->sift_rows : s->block_rows;
    /* Who answers for a gate has BLOCK_ROWS_MAX rows at hand: none are asked for twice. */
    uint32_t room = BLOCK_ROWS_MAX - s->row % BLOCK_ROWS_MAX;

    if (s->skip_blocks > 0) s->skip_blocks--;
    s->row_count = left < most ? left : most;
    if (s->desc.gate.comes_first && s->row_count > room) s->row_count = room;
    look_at_gate(s, s->row_count);
    s->sifts = false;
    if (s->gathers) return;
    if (tries) ready = oracle_ready(oracle, s->row, s->row_count);
    if (ready > 0) {
        uint32_t packed =
            s->packed ? oracle_pack(oracle, s->row, ready, s->packed->rows, sizeof s->packed->rows)
                      : 0;
        s->sifts = true;
        s->is_packed = packed > 0;
        s->row_count = packed > 0 ? packed : ready;
        s->sifted_count = 0;
    } else if (s->row_count > s->block_rows) {
        s->row_count = s->block_rows;
    }
}

/* The block, for one query or a few.  How many; 0: it failed. */
static size_t search_block(struct flat_search *s, struct error *err)
{
    size_t left = s->desc.query_count - s->query;
    size_t most = !s->sifts ? QUERY_GROUP : s->is_packed ? PACK_GROUP : 1;
    size_t group = left < most ? left : most;

    if (s->gathers) return gather_block(s, err) == 0 ? 1 : 0;
    if (s->sifts) return sift_block(s, group, err) == 0 ? group : 0;
    return scan_block(s, group, s->row_count, err) == 0 ? group : 0;
}

static enum index_state flat_advance(void *search, uint64_t distance_max, struct error *err)
{
    struct flat_search *s = (struct flat_search *)search;
    uint64_t done = 0;

    if (flat_is_ranked(s->desc.index, &s->desc.options))
        return flat_ranked_advance(search, distance_max, err);
    while (s->row < s->desc.row_end) {
        if (done > 0 && done >= distance_max) return INDEX_MORE;
        if (s->query == 0 && is_sparse(s)) begin_sparse_block(s);
        else if (s->query == 0) begin_block(s);
        size_t query_count = search_block(s, err);
        if (query_count == 0) return INDEX_FAILED;
        uint32_t words = s->row_count / 64 + 1;
        done += query_count * (is_sparse(s) ? s->open_count + words : s->row_count);
        s->query += query_count;
        if (s->query == s->desc.query_count) {
            if (s->sifts) judge_sifting(s);
            s->query = 0;
            s->row += s->row_count;
        }
    }
    return INDEX_DONE;
}

const struct index_vtab index_flat = {
    .name = "flat",
    .effort_param = -1,
    .takes = flat_codes_takes,
    .is_of_codes = true,
#if !defined(LYNSE_FLAT_ONLY) /* which has no quantizers */
    .build = &flat_codes_build_ops,
    .open = flat_codes_open,
    .close = flat_codes_close,
    .oracle_bytes = flat_codes_oracle_bytes,
    .oracle_init = flat_codes_oracle_init,
#endif
    .search_bytes = flat_search_bytes,
    .begin = flat_begin,
    .advance = flat_advance,
};
