/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_insert.c — a batch of nodes into a graph.
 *
 * WHAT        The neighbours of each are looked for in the graph as it was before the batch, by
 *             codes where there are some; what is found is measured in full, and some of it become
 *             neighbours (hnsw_neighbors.h).  Then the neighbours are linked back, and a list that
 *             is full is cut.
 * INVARIANTS  (1) Searching reads lists of nodes before the batch, and writes those of its own.
 *             (2) Linking writes lists of nodes before the batch: of each the piece alone whose
 *                 share it is in.  It reads those of the batch.
 *             So no order of pieces makes another graph.
 * THREADS     Pieces of a phase: any at once.
 * FAILURE     Searching: NO_MEMORY, before anything is written.
 */
#include <math.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "index/hnsw_build.h"
#include "index/visited.h"

enum {
    PIECE_NODES = 16, /* that a piece searches for */
    LINK_PIECES = 32,
    LIST_MAX = HNSW_LINKS_MAX + HNSW_LINKS_MAX / 2 + 16, /* a list while it is built */
    AHEAD = 6,                                           /* vectors prefetched before measured */
};

_Static_assert((int)HNSW_FILL_MAX >= HNSW_LINKS_MAX / 2, "half of the longest list");

/* What a piece works with. */
struct scratch {
    struct candidates found;
    struct visited visited;
    float *vector; /* of the query, centred, where there are codes */
    int8_t *digits;
    struct hnsw_code_query query;
    uint32_t node; /* whose neighbours are looked for */
    const float *row;
};

static void distances_to(const struct hnsw_build *b, const struct scratch *s, const uint32_t *nodes,
                         uint32_t count, float *out)
{
    if (b->has_codes) {
        hnsw_codes_measure(&b->codes, &s->query, nodes, count, out);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        out[i] = hnsw_space_distance(&b->space, s->node, s->row, nodes[i],
                                     hnsw_space_vector(&b->space, nodes[i]));
}

static void prefetch_node(const struct hnsw_build *b, uint32_t node)
{
    if (b->has_codes) {
        hnsw_codes_prefetch(&b->codes, node);
        return;
    }
    const float *vector = hnsw_space_vector(&b->space, node);
    for (uint32_t i = 0; i < b->space.dim && i < 128; i += 16) __builtin_prefetch(vector + i);
}

static void ask(struct hnsw_build *b, struct scratch *s, uint32_t node)
{
    s->node = node;
    s->row = hnsw_space_vector(&b->space, node);
    if (!b->has_codes) return;
    float factor = b->space.value == METRIC_VALUE_ANGLE ? b->inverse[node] : 1;
    for (uint32_t i = 0; i < b->dim; i++)
        s->vector[i] = s->row[i] * factor - (b->codes.is_product ? 0 : b->codes.mean[i]);
    hnsw_codes_ask(&b->codes, s->vector, s->digits, &s->query);
}

/* From the node at hand to the nearest that is reached by going nearer. */
static uint32_t descend(const struct hnsw_build *b, struct scratch *s, uint32_t level, uint32_t at)
{
    float nearest, distances[LIST_MAX];
    uint32_t before;

    distances_to(b, s, &at, 1, &nearest);
    do {
        const uint32_t *list = hnsw_list(b, level, at);
        before = at;
        for (uint32_t i = 1; i <= list[0]; i++) prefetch_node(b, list[i]);
        distances_to(b, s, list + 1, list[0], distances);
        for (uint32_t i = 0; i < list[0]; i++) {
            if (!(distances[i] < nearest)) continue;
            nearest = distances[i];
            at = list[i + 1];
        }
    } while (at != before);
    return at;
}

static void look_at(const struct hnsw_build *b, struct scratch *s, const uint32_t *list)
{
    struct candidates *found = &s->found;
    uint32_t fresh[LIST_MAX];
    float distances[LIST_MAX];

    uint32_t count = visited_add_all(&s->visited, list + 1, list[0], fresh);
    for (uint32_t i = 0; i < count; i++) prefetch_node(b, fresh[i]);
    if (count == 0) return;
    distances_to(b, s, fresh, count, distances);
    for (uint32_t i = 0; i < count; i++) {
        if (found->count == b->ef) {
            if (distances[i] >= found->items[found->count - 1].distance) continue;
            candidates_drop_last(found);
        }
        if (candidates_insert(found, distances[i], fresh[i]) <= found->next)
            __builtin_prefetch(b->levels.links[0] + (size_t)fresh[i] * b->levels.places[0]);
    }
}

static void search_level(const struct hnsw_build *b, struct scratch *s, uint32_t level, uint32_t at)
{
    float distance;

    distances_to(b, s, &at, 1, &distance);
    candidates_clear(&s->found);
    visited_clear(&s->visited);
    visited_add(&s->visited, at);
    candidates_insert(&s->found, distance, at);
    for (uint32_t node; (node = candidates_take(&s->found)) != UINT32_MAX;) {
        uint32_t behind = candidates_peek(&s->found);
        if (behind != UINT32_MAX) __builtin_prefetch(hnsw_list(b, level, behind));
        look_at(b, s, hnsw_list(b, level, node));
    }
}

/* Distances in full, and no marks. */
static void measure(const struct hnsw_build *b, struct scratch *s)
{
    struct found_node *items = s->found.items;
    uint32_t count = s->found.count;

    for (uint32_t i = 0; i < count; i++) {
        items[i].node &= CANDIDATE_NODE;
        if (b->has_codes && i + AHEAD < count) {
            const float *ahead =
                hnsw_space_vector(&b->space, items[i + AHEAD].node & CANDIDATE_NODE);
            for (uint32_t j = 0; j < b->dim && j < 64; j += 16) __builtin_prefetch(ahead + j);
        }
        if (b->has_codes)
            items[i].distance = hnsw_space_distance(&b->space, s->node, s->row, items[i].node,
                                                    hnsw_space_vector(&b->space, items[i].node));
    }
    hnsw_sort(items, count);
}

/* Where all that was found is as far as the nearest, they are copies of one vector, more than a
 * search holds, and with links to them alone nothing would lead away.  The first of them was there
 * before the others and has such links: their ends take the places of the last. */
static void look_past_copies(const struct hnsw_build *b, struct scratch *s, uint32_t level)
{
    struct found_node *items = s->found.items;
    uint32_t count = s->found.count, kept = count / 2;

    if (count < b->ef || items[0].distance < items[count - 1].distance) return;
    const uint32_t *list = hnsw_list(b, level, items[0].node);
    for (uint32_t i = list[0]; i > 0 && count > kept; i--) {
        float distance = hnsw_space_distance(&b->space, s->node, s->row, list[i],
                                             hnsw_space_vector(&b->space, list[i]));
        if (distance > items[0].distance) items[--count] = (struct found_node){distance, list[i]};
    }
    hnsw_sort(items, s->found.count);
}

static void insert(struct hnsw_build *b, struct scratch *s, uint32_t node)
{
    uint32_t top = hnsw_level_of(b, node), at = 0;

    ask(b, s, node);
    for (uint32_t level = b->levels.count; level > top; level--) at = descend(b, s, level, at);
    for (uint32_t level = top + 1; level-- > 0;) {
        uint32_t *list = hnsw_list(b, level, node);
        search_level(b, s, level, at);
        at = s->found.items[0].node & CANDIDATE_NODE;
        measure(b, s);
        look_past_copies(b, s, level);
        list[0] = hnsw_choose(&b->space, s->found.items, s->found.count, hnsw_degree_max(b, level));
        for (uint32_t i = 0; i < list[0]; i++) list[i + 1] = s->found.items[i].node;
    }
}

/* ---- Pieces ---- */

static uint32_t share_of(uint32_t batch, uint32_t piece_nodes)
{
    return (batch + piece_nodes - 1) / piece_nodes;
}

uint32_t hnsw_search_pieces(const struct hnsw_build *b)
{
    return share_of(b->batch, PIECE_NODES);
}

int hnsw_search_piece(struct hnsw_build *b, uint32_t piece, struct error *err)
{
    uint32_t expected = b->ef * 16;
    size_t found_bytes = align_up((b->ef + 1) * sizeof(struct found_node), ALIGN_VECTOR);
    size_t visited = align_up(visited_bytes(b->row_count, expected), ALIGN_VECTOR);
    size_t vector_bytes = align_up(b->dim * sizeof(float), ALIGN_VECTOR);
    size_t bytes = found_bytes + visited + vector_bytes + 2 * code_stride(b->dim);
    uint8_t *memory = (uint8_t *)mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, bytes, ALIGN_VECTOR);
    if (!memory) return error_no_memory(err, bytes);

    struct scratch s = {
        .vector = (float *)(void *)(memory + found_bytes + visited),
        .digits = (int8_t *)(memory + found_bytes + visited + vector_bytes),
    };
    candidates_init(&s.found, memory, b->ef + 1);
    visited_init(&s.visited, memory + found_bytes, b->row_count, expected);
    uint32_t first = b->done + piece * PIECE_NODES, end = first + PIECE_NODES;
    if (end > b->done + b->batch) end = b->done + b->batch;
    for (uint32_t node = first; node < end; node++) insert(b, &s, node);
    mem_free(b->desc.alloc, memory);
    return 0;
}

uint32_t hnsw_link_pieces(const struct hnsw_build *b)
{
    return b->batch < LINK_PIECES ? 1 : LINK_PIECES;
}

/* The links of a list with their distances, sorted. */
static uint32_t measure_list(const struct hnsw_build *b, const uint32_t *list, uint32_t node,
                             struct found_node out[LIST_MAX])
{
    const float *vector = hnsw_space_vector(&b->space, node);

    for (uint32_t i = 1; i <= list[0]; i++) {
        const float *other = hnsw_space_vector(&b->space, list[i]);
        for (uint32_t j = 0; j < b->space.dim && j < 64; j += 16) __builtin_prefetch(other + j);
    }
    for (uint32_t i = 0; i < list[0]; i++)
        out[i] = (struct found_node){hnsw_space_distance(&b->space, node, vector, list[i + 1],
                                                         hnsw_space_vector(&b->space, list[i + 1])),
                                     list[i + 1]};
    hnsw_sort(out, list[0]);
    return list[0];
}

void hnsw_trim_list(struct hnsw_build *b, uint32_t level, uint32_t node)
{
    struct found_node links[LIST_MAX];
    uint32_t *list = hnsw_list(b, level, node), most = hnsw_degree_max(b, level);
    uint32_t count = measure_list(b, list, node, links);

    if (count > most) count = hnsw_choose(&b->space, links, count, most);
    list[0] = count;
    for (uint32_t i = 0; i < count; i++) list[i + 1] = links[i].node;
}

void hnsw_link_piece(struct hnsw_build *b, uint32_t piece)
{
    uint32_t pieces = hnsw_link_pieces(b);

    for (uint32_t node = b->done; node < b->done + b->batch; node++) {
        uint32_t top = hnsw_level_of(b, node);
        for (uint32_t level = 0; level <= top; level++) {
            const uint32_t *list = hnsw_list(b, level, node);
            for (uint32_t i = 1; i <= list[0]; i++) {
                if (list[i] % pieces != piece) continue; /* (2) */
                uint32_t *to = hnsw_list(b, level, list[i]);
                if (to[0] + 1 == b->levels.places[level]) hnsw_trim_list(b, level, list[i]);
                to[++to[0]] = node;
            }
        }
    }
}
