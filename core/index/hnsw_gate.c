/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_gate.c — searching where many rows are shut: see hnsw_search.c. */
#include "base/limits.h"
#include "index/hnsw_search.h"

enum {
    SURVEY_NODES = 1024,
    HOPS_SHARE = 1, /* nodes that a step finds, of 2 * m, before it stops to look further */
};

/* The open ones of 64 rows. */
static uint64_t open_word(const struct hnsw_search *s, uint32_t row)
{
    uint32_t left = s->h->head->row_count - row;
    uint64_t open = s->desc.gate.shut_word ? index_gate_open(&s->desc.gate, row) : ~0ull;

    return left < 64 ? open & ((1ull << left) - 1) : open;
}

void hnsw_survey(struct hnsw_search *s)
{
    uint32_t node_count = s->h->head->row_count;
    uint32_t probes = node_count < SURVEY_NODES ? node_count : SURVEY_NODES, open_count = 0;

    if (s->is_surveyed) return;
    s->is_surveyed = true;
    for (uint32_t i = 0; i < probes; i++) {
        uint32_t node = (uint32_t)((uint64_t)i * node_count / probes);
        if (hnsw_is_shut(s, node)) continue;
        if (s->seed_count < HNSW_SEEDS &&
            (uint64_t)i * HNSW_SEEDS >= (uint64_t)s->seed_count * probes)
            s->seeds[s->seed_count++] = node;
        open_count++;
    }
    if (s->desc.gate.open_count == 0) s->open_estimate = (uint64_t)open_count * node_count / probes;
}

void hnsw_step_over(struct hnsw_search *s, struct hnsw_lane *lane)
{
    const struct hnsw *h = s->h;
    const uint32_t *links = hnsw_links(h, 0, lane->node);
    uint32_t count = 0, shut_count = 0, most = 2 * h->m * HOPS_SHARE;
    uint32_t shut[HNSW_LINKS_MAX];

    for (uint32_t i = 0; i < h->link_places && links[i] != HNSW_NONE; i++) {
        uint32_t node = links[i];
        if (hnsw_is_shut(s, node)) {
            __builtin_prefetch(h->links + (size_t)node * h->link_places);
            __builtin_prefetch(h->links + (size_t)node * h->link_places + 16);
            shut[shut_count++] = node;
        } else if (visited_add(&lane->visited, node)) {
            lane->fresh[count++] = node;
        }
    }
    for (uint32_t i = 0; i < shut_count && count < most; i++) {
        if (!visited_add(&lane->visited, shut[i])) continue;
        links = hnsw_links(h, 0, shut[i]);
        for (uint32_t j = 0; j < h->link_places && links[j] != HNSW_NONE && count < most; j++) {
            if (visited_has(&lane->visited, links[j]) || hnsw_is_shut(s, links[j])) continue;
            visited_add(&lane->visited, links[j]);
            lane->fresh[count++] = links[j];
        }
    }
    lane->fresh_count = count;
}

/* Rows [row, row + count), those that are open of so many. */
static int scan_rows(struct hnsw_search *s, const struct index_query *q, uint32_t row,
                     uint32_t row_count, uint32_t open_count, struct error *err)
{
    if (row_count <= HNSW_SCAN_ROWS && open_count * 2 > row_count) {
        if (oracle_scan(q->exact, row, row_count, s->distances, err) != 0) return -1;
        for (uint32_t i = 0; i < open_count; i++) s->distances[i] = s->distances[s->rows[i] - row];
    } else if (oracle_gather(q->exact, s->rows, open_count, s->distances, err) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < open_count; i++)
        if (s->distances[i] <= topk_limit(q->best, q->distance_max))
            topk_push(q->best, s->distances[i], s->desc.part, s->rows[i]);
    return 0;
}

int hnsw_scan(struct hnsw_search *s, struct hnsw_lane *lane, uint64_t *distances, bool *is_done,
              struct error *err)
{
    uint32_t row = lane->scan_row, left = s->h->head->row_count - row, open_count = 0;
    uint32_t row_count = 0;

    /* As many as make a step, or a stretch of which most are open. */
    for (; row_count < left && open_count + 64 <= HNSW_SCAN_ROWS; row_count += 64) {
        if (row_count >= HNSW_SCAN_ROWS && open_count * 2 > row_count) break;
        for (uint64_t open = open_word(s, row + row_count); open; open &= open - 1)
            s->rows[open_count++] = row + row_count + (uint32_t)__builtin_ctzll(open);
    }
    if (row_count > left) row_count = left;
    if (open_count > 0 && scan_rows(s, lane->query, row, row_count, open_count, err) != 0)
        return -1;
    lane->scan_row += row_count;
    *distances += open_count + 1;
    *is_done = lane->scan_row == s->h->head->row_count;
    return 0;
}
