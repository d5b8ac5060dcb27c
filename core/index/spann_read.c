/* SPDX-License-Identifier: Apache-2.0 */
/* spann_read.c — the rows of a list that has been read.
 *
 * THE GATE    Where it comes first, open rows are known before any distance; with few of them only
 *             theirs are computed.  Otherwise it is asked about rows that are near, and about some
 *             places, always the same, to know what share is open.
 * INVARIANTS  (1) A row is pushed once: what did not enter the results, or left them, is not
 *                 nearer when it comes again.
 * THREADS     One at a time.
 * FAILURE     None but what the oracle says, which reads memory.
 */
#include <math.h>
#include <string.h>

#include "index/spann_search.h"

enum { GATHER_SHARE = 4 }; /* rows are gathered when fewer than one in so many are open */

static bool is_shut(const struct spann_search *s, uint32_t row)
{
    const struct index_gate *gate = &s->desc.gate;
    return gate->shut_word && gate->shut_word(gate->ctx, row / 64 * 64) >> (row % 64) & 1;
}

/* Is the row of this place open?  Where the gate comes first it was asked before. */
static bool is_open(const struct spann_search *s, const uint32_t *rows, uint32_t place)
{
    if (s->desc.gate.comes_first) return s->open[place / 64] >> (place % 64) & 1;
    return !is_shut(s, rows[place]);
}

/* How many rows are open, as far as is known. */
static uint32_t look_at_gate(struct spann_search *s, const uint32_t *rows, uint32_t count)
{
    uint32_t open = 0, asked = 0;

    if (!s->desc.gate.shut_word) return count;
    if (!s->desc.gate.comes_first) {
        for (uint32_t i = rows[0] % SPANN_SAMPLE_PLACES; i < count;
             i += SPANN_SAMPLE_PLACES, asked++)
            open += !is_shut(s, rows[i]);
        list_walk_count(&s->walk, asked, open);
        return count;
    }
    memset(s->open, 0, (count / 64 + 1) * sizeof *s->open);
    for (uint32_t i = 0; i < count; i++) {
        if (is_shut(s, rows[i])) continue;
        s->open[i / 64] |= 1ull << (i % 64);
        s->places[open++] = i;
    }
    list_walk_count(&s->walk, count, open);
    return open;
}

static void push(struct spann_search *s, float distance, uint32_t row)
{
    s->walk.has_found = true;
    if (visited_add(&s->pushed, row)) topk_push(s->query->best, distance, s->desc.part, row);
}

static int gather(struct spann_search *s, const uint32_t *rows, uint32_t open, struct error *err)
{
    if (open == 0) return 0;
    if (oracle_gather(s->oracle->places, s->places, open, s->distances, err) != 0) return -1;
    for (uint32_t i = 0; i < open; i++)
        if (s->distances[i] <= spann_limit(s)) push(s, s->distances[i], rows[s->places[i]]);
    return 0;
}

static int scan(struct spann_search *s, const uint32_t *rows, uint32_t count, struct error *err)
{
    if (oracle_scan(s->oracle->places, 0, count, s->distances, err) != 0) return -1;
    for (uint32_t i = count; i % TOPK_LANES != 0; i++) s->distances[i] = NAN;
    for (uint32_t i = 0; i < count; i += TOPK_LANES) {
        if (!topk_has_near(s->distances + i, spann_limit(s))) continue;
        for (uint32_t j = i; j < i + TOPK_LANES; j++)
            if (s->distances[j] <= spann_limit(s) && is_open(s, rows, j))
                push(s, s->distances[j], rows[j]);
    }
    return 0;
}

int spann_read_list(struct spann_search *s, uint32_t list, const uint8_t *bytes, struct error *err)
{
    uint32_t count = spann_row_count(s->s, list);
    const uint32_t *rows = spann_rows(bytes);

    if (count == 0) return 0;
    s->oracle->source.all = spann_vectors(bytes, count);
    s->oracle->source.all_norms = spann_norms(bytes, count);
    uint32_t open = look_at_gate(s, rows, count);
    return open * GATHER_SHARE < count ? gather(s, rows, open, err) : scan(s, rows, count, err);
}
