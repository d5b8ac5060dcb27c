/* SPDX-License-Identifier: Apache-2.0 */
/* ivf_read.c — a block of a list, for the queries that read it.
 *
 * WHAT        Raw: distances are exact, for up to four queries at once, and rows that are near
 *             enough are pushed.  Codes: estimates of one query.  Where they come with bounds, rows
 *             that may be near enough are measured at once, first of all, while the results are
 *             few, those that look best; where they do not, or where it was said how many are to
 *             be measured, the best are kept in a pool and measured in the end.
 * THE GATE    Where it comes first, a block's open rows are known before any distance; with few of
 *             them only theirs are computed.  Otherwise it is asked about rows that are near.
 * INVARIANTS  (1) A row that is left out where codes have bounds has one over the limit of bounds,
 *                 and limits only fall.
 * THREADS     One at a time.
 * FAILURE     What the exact oracle says.
 */
#include <math.h>
#include <string.h>

#include "index/ivf_search.h"

enum {
    GATHER_SHARE = 4,  /* rows are gathered when fewer than one in so many are open */
    CONFIRM_ROWS = 32, /* measured before the limit is looked at again */
    LATER_ROWS = 8,    /* likewise, of those that were kept for later */
};

static bool is_shut(const struct index_gate *gate, uint32_t row)
{
    return gate->shut_word && gate->shut_word(gate->ctx, row / 64 * 64) >> (row % 64) & 1;
}

/* Is row i of the block open?  Where the gate comes first it was asked before. */
static bool is_open(const struct ivf_search *s, uint32_t i)
{
    if (s->desc.gate.comes_first) return s->open[i / 64] >> (i % 64) & 1;
    return !s->desc.gate.shut_word || !is_shut(&s->desc.gate, s->ivf->rows[s->place + i]);
}

/* How many rows of the block are open, as far as is known.  A gate that does not come first is
 * asked about some places, always the same. */
static uint32_t look_at_gate(struct ivf_search *s, uint32_t count)
{
    const uint32_t *rows = s->ivf->rows + s->place;
    uint32_t open = 0, asked = 0;

    if (!s->desc.gate.shut_word) return count;
    if (!s->desc.gate.comes_first) {
        for (uint32_t i = (0 - s->place) % IVF_SAMPLE_PLACES; i < count;
             i += IVF_SAMPLE_PLACES, asked++)
            open += !is_shut(&s->desc.gate, rows[i]);
        s->asked += asked;
        s->open_count += open;
        return count;
    }
    memset(s->open, 0, sizeof s->open);
    for (uint32_t i = 0; i < count; i++) {
        if (is_shut(&s->desc.gate, rows[i])) continue;
        s->open[i / 64] |= 1ull << (i % 64);
        s->places[open++] = s->place + i;
    }
    s->asked += count;
    s->open_count += open;
    return open;
}

/* ---- Raw ---- */

static void push_near(struct ivf_search *s, struct ivf_visit *v, struct topk *to, float *distances,
                      uint32_t count)
{
    const struct index_query *q = ivf_query(s, v->query);
    float limit = topk_limit(to, q->distance_max);

    for (uint32_t i = count; i % TOPK_LANES != 0; i++) distances[i] = NAN;
    for (uint32_t i = 0; i < count; i += TOPK_LANES) {
        if (!topk_has_near(distances + i, limit)) continue;
        for (uint32_t j = i; j < i + TOPK_LANES; j++) {
            if (!(distances[j] <= limit) || !is_open(s, j)) continue;
            s->walks[v->query].has_found = true;
            topk_push(to, distances[j], s->desc.part, s->ivf->rows[s->place + j]);
            limit = topk_limit(to, q->distance_max);
        }
    }
}

static int gather_raw(struct ivf_search *s, struct ivf_visit *v, uint32_t open, struct error *err)
{
    const struct index_query *q = ivf_query(s, v->query);
    float limit = ivf_limit(q);

    if (oracle_gather(ivf_oracle_of(q)->inner, s->places, open, s->distances, err) != 0) return -1;
    for (uint32_t i = 0; i < open; i++) {
        if (!(s->distances[i] <= limit)) continue;
        s->walks[v->query].has_found = true;
        topk_push(q->best, s->distances[i], s->desc.part, s->ivf->rows[s->places[i]]);
        limit = ivf_limit(q);
    }
    return 0;
}

static int read_raw(struct ivf_search *s, uint32_t count, uint32_t open, struct error *err)
{
    struct oracle *oracles[IVF_QUERIES];
    float *distances[IVF_QUERIES];

    if (open * GATHER_SHARE < count) {
        for (size_t i = 0; i < s->reader_count && open > 0; i++)
            if (gather_raw(s, &s->readers[i], open, err) != 0) return -1;
        return 0;
    }
    for (size_t i = 0; i < s->reader_count; i++) {
        oracles[i] = ivf_oracle_of(ivf_query(s, s->readers[i].query))->inner;
        distances[i] = s->distances + i * (IVF_BLOCK_ROWS / IVF_QUERIES + TOPK_LANES);
    }
    int rc = s->reader_count == 1
                 ? oracle_scan(oracles[0], s->place, count, s->distances, err)
                 : oracle_scan_block(oracles, s->reader_count, s->place, count, distances, err);
    if (rc != 0) return -1;
    for (size_t i = 0; i < s->reader_count; i++)
        push_near(s, &s->readers[i], ivf_query(s, s->readers[i].query)->best, distances[i], count);
    return 0;
}

/* ---- Codes ---- */

/* Measure rows, at most CONFIRM_ROWS, and push what is near. */
static int measure(struct ivf_search *s, size_t query, const uint32_t *rows, size_t count,
                   struct error *err)
{
    const struct index_query *q = ivf_query(s, query);
    float distances[CONFIRM_ROWS];

    if (oracle_gather(q->exact, rows, count, distances, err) != 0) return -1;
    for (size_t i = 0; i < count; i++) {
        if (!(distances[i] <= ivf_limit(q))) continue;
        s->walks[query].has_found = true;
        topk_push(q->best, distances[i], s->desc.part, rows[i]);
    }
    return 0;
}

static int measure_pool(struct ivf_search *s, size_t query, const struct topk *pool,
                        struct error *err)
{
    uint32_t rows[CONFIRM_ROWS];

    for (size_t i = 0; i < pool->count; i += CONFIRM_ROWS) {
        size_t count = pool->count - i < CONFIRM_ROWS ? pool->count - i : CONFIRM_ROWS;
        for (size_t j = 0; j < count; j++) rows[j] = pool->heap[i + j].row;
        if (measure(s, query, rows, count, err) != 0) return -1;
    }
    return 0;
}

/* Measure the rows that look best; their bounds become NaN, which is near nothing. */
static int measure_seeds(struct ivf_search *s, size_t query, uint32_t count, size_t wanted,
                         struct error *err)
{
    const float limit = ivf_query(s, query)->distance_max;
    struct topk *seeds = &s->seeds;

    topk_init_at(seeds, s->seed_memory, wanted, topk_lower_row, NULL);
    for (uint32_t i = 0; i < count; i++)
        if (s->bounds[i] <= limit && s->distances[i] <= topk_threshold(seeds) && is_open(s, i))
            topk_push(seeds, s->distances[i], 0, i);
    for (size_t i = 0; i < seeds->count; i++) {
        uint32_t at = seeds->heap[i].row;
        s->bounds[at] = NAN;
        seeds->heap[i].row = s->ivf->rows[s->place + at];
    }
    return measure_pool(s, query, seeds, err);
}

/* bounds: the least that each distance may be. */
static int measure_near(struct ivf_search *s, size_t query, uint32_t count, struct error *err)
{
    const struct index_query *q = ivf_query(s, query);
    uint32_t rows[CONFIRM_ROWS];
    size_t used = 0;

    for (uint32_t i = count; i % TOPK_LANES != 0; i++) s->bounds[i] = NAN;
    for (uint32_t i = 0; i < count; i += TOPK_LANES) {
        if (!topk_has_near(s->bounds + i, ivf_bound_limit(s, q))) continue;
        for (uint32_t j = i; j < i + TOPK_LANES; j++) {
            if (!(s->bounds[j] <= ivf_bound_limit(s, q)) || !is_open(s, j)) continue;
            rows[used++] = s->ivf->rows[s->place + j];
            if (used < CONFIRM_ROWS) continue;
            if (measure(s, query, rows, used, err) != 0) return -1;
            used = 0;
        }
    }
    return used > 0 ? measure(s, query, rows, used, err) : 0;
}

static bool block_is_open(const struct ivf_search *s, uint32_t first)
{
    return !s->desc.gate.comes_first || (uint32_t)(s->open[first / 64] >> (first % 64)) != 0;
}
_Static_assert(BLOCK_CODES == 32 && IVF_BLOCK_ROWS % BLOCK_CODES == 0, "halves of words");

/* Estimates, and the least that they may be; NaN where all of a block are shut. */
static void score_blocks(struct ivf_search *s, const uint8_t *block, uint32_t count)
{
    const struct ivf_visit *v = &s->readers[0];
    struct oracle *oracle = ivf_oracle_of(ivf_query(s, v->query))->inner;
    const bool has_bounds = s->pool_rows == 0;

    for (uint32_t i = 0; i < count; i += BLOCK_CODES, block += s->ivf->block_bytes) {
        if (block_is_open(s, i)) {
            oracle->ops->score_block(oracle, block, v->at.distance, s->distances + i,
                                     has_bounds ? s->bounds + i : NULL);
            continue;
        }
        for (uint32_t j = i; j < i + BLOCK_CODES; j++) s->distances[j] = s->bounds[j] = NAN;
    }
    for (uint32_t i = 0; has_bounds && i < count; i++)
        s->bounds[i] = s->distances[i] - s->bounds[i];
}

/* Of the places kept for later those that still may be near enough: of a full list half at most. */
static int thin_later(struct ivf_search *s, size_t query, size_t most, struct error *err)
{
    const struct index_query *q = ivf_query(s, query);
    struct topk *later = &s->pools[query];
    uint32_t rows[LATER_ROWS];
    size_t count = 0, done = 0, used;

    for (size_t i = 0; i < later->count; i++)
        if (later->heap[i].distance <= ivf_limit(q)) later->heap[count++] = later->heap[i];
    for (; done + most < count; done += LATER_ROWS) {
        used = 0;
        for (size_t i = done; i < count && i < done + LATER_ROWS; i++)
            if (later->heap[i].distance <= ivf_limit(q))
                rows[used++] = s->ivf->rows[later->heap[i].row];
        if (used > 0 && measure(s, query, rows, used, err) != 0) return -1;
    }
    later->count = done < count ? count - done : 0;
    memmove(later->heap, later->heap + done, later->count * sizeof *later->heap);
    return 0;
}

static int keep_for_later(struct ivf_search *s, size_t query, float least, uint32_t place,
                          struct error *err)
{
    struct topk *later = &s->pools[query];

    if (later->count == s->later_rows && thin_later(s, query, s->later_rows / 2, err) != 0)
        return -1;
    later->heap[later->count++] = (struct candidate){.distance = least, .row = place};
    return 0;
}

/* Measure the rows at these places, as many as measure takes. */
static int measure_places(struct ivf_search *s, size_t query, const uint32_t *places, size_t count,
                          struct error *err)
{
    uint32_t rows[CONFIRM_ROWS];

    for (size_t i = 0; i < count; i++) rows[i] = s->ivf->rows[places[i]];
    return measure(s, query, rows, count, err);
}

/* Measure the rows that are near enough by their estimates, block by block: most blocks have none.
 * Most that only may be are not, and the limit has fallen when it is their turn.  Which row is at a
 * place is asked for early, and known when it is wanted. */
static int find_near(struct ivf_search *s, const uint8_t *block, uint32_t count, struct error *err)
{
    const struct ivf_visit *v = &s->readers[0];
    const struct index_query *q = ivf_query(s, v->query);
    struct oracle *oracle = ivf_oracle_of(q)->inner;
    uint32_t places[CONFIRM_ROWS];
    size_t used = 0;

    for (uint32_t i = 0; i < count; i += BLOCK_CODES, block += s->ivf->block_bytes) {
        if (!block_is_open(s, i)) continue;
        float limit = ivf_limit(q), *out = s->distances + i, *least = s->bounds + i;
        uint32_t near = oracle->ops->find_near(oracle, block, v->at.distance, limit, out, least);
        if (count - i < BLOCK_CODES) near &= (1u << (count - i)) - 1;
        for (; near != 0; near &= near - 1) {
            uint32_t at = (uint32_t)__builtin_ctz(near), place = s->place + i + at;
            __builtin_prefetch(s->ivf->rows + place);
            if (!is_open(s, i + at)) continue;
            if (s->later_rows > 0 && out[at] > limit) {
                if (keep_for_later(s, v->query, least[at], place, err) != 0) return -1;
                continue;
            }
            places[used++] = place;
            if (used < CONFIRM_ROWS) continue;
            if (measure_places(s, v->query, places, used, err) != 0) return -1;
            used = 0;
        }
    }
    return used > 0 ? measure_places(s, v->query, places, used, err) : 0;
}

static int read_codes(struct ivf_search *s, uint32_t count, struct error *err)
{
    struct ivf_visit *v = &s->readers[0];
    const struct ivf *ivf = s->ivf;
    const struct index_query *q = ivf_query(s, v->query);
    uint32_t in_list = s->place - ivf->starts[v->at.list];
    const uint8_t *block =
        ivf->blocks + (ivf->block_starts[v->at.list] + in_list / BLOCK_CODES) * ivf->block_bytes;
    size_t lacks = q->best->capacity - q->best->count;

    if (s->pool_rows > 0) {
        score_blocks(s, block, count);
        push_near(s, v, &s->pools[v->query], s->distances, count);
        return 0;
    }
    if (lacks == 0 || lacks > IVF_SEEDS) return find_near(s, block, count, err);
    score_blocks(s, block, count);
    if (measure_seeds(s, v->query, count, lacks, err) != 0) return -1;
    return measure_near(s, v->query, count, err);
}

int ivf_confirm(struct ivf_search *s, size_t query, struct error *err)
{
    struct topk *pool = &s->pools[query];

    if (s->later_rows > 0) return thin_later(s, query, 0, err);
    if (s->pool_rows == 0) return 0;
    if (measure_pool(s, query, pool, err) != 0) return -1;
    topk_clear(pool);
    return 0;
}

int ivf_read_block(struct ivf_search *s, struct error *err)
{
    uint32_t left = s->end - s->place, count = left < s->block_rows ? left : s->block_rows;
    uint32_t open = look_at_gate(s, count);
    int rc = 0;

    if (!s->ivf->quantizer) rc = read_raw(s, count, open, err);
    else if (open > 0) rc = read_codes(s, count, err);
    s->place += count;
    if (s->place == s->end)
        for (size_t i = 0; i < s->reader_count; i++)
            list_walk_count(&s->walks[s->readers[i].query], s->asked, s->open_count);
    return rc;
}
