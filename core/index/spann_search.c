/* SPDX-License-Identifier: Apache-2.0 */
/* spann_search.c — which lists a query reads, several at once, and when it is enough.
 *
 * WHAT        One query after the other.  Its lists are asked for nearest first, some ahead of the
 *             one that is looked at; the first nprobe, or those that are not pruned.  Beyond those
 *             it goes on as near_lists.h says.
 * PRUNED      Of the first nprobe lists those whose centers are `prune` times as far as the
 *             nearest, or as the radius of its list where that is more (for a query may lie at a
 *             center), once the lists before them have ROWS_OF_K rows for each result.  An nprobe
 *             that is larger than the index was built for reaches as much farther; one of all
 *             lists, a gate, a range and a product, which is no distance, prune nothing.
 * PASSED OVER Without a gate, a list of which no row can be near enough, by its radius, is not
 *             read.  It counts as visited, and waits for its turn among those that are read: they
 *             say whether it is enough, nearest first.
 * INVARIANTS  (1) A query's steps depend on no other's, on no budget and on no disk's speed:
 *                 however a search is cut, it finds the same.
 *             (2) A list that was read ahead and is not wanted any more is not looked at.
 *             (3) No number is followed that open or spann_list_check has not seen to.
 * THREADS     One at a time.
 * FAILURE     IO and CORRUPT of a list: it is damaged.
 */
#include "index/spann_search.h"

#include <math.h>
#include <string.h>

enum {
    ROWS_OF_K = 8,
    RING_BYTES = 4 << 20, /* of reads at once, about, */
    FLIGHTS_MIN = 8,      /* and so many at least */
    PUSHED_OF_K = 8,      /* rows that are pushed, expected */
};

/* ---- Memory ---- */

struct places {
    size_t near, pushed, open, places, distances, ring_distances, ring, end;
    uint32_t nprobe, pushed_expected, flights;
};

/* Reads at once: all that a search wants are known, and a disk likes many. */
static uint32_t flights_of(size_t list_bytes)
{
    size_t count = RING_BYTES / list_bytes;
    return count < FLIGHTS_MIN          ? FLIGHTS_MIN
           : count > DISK_READS_FLIGHTS ? DISK_READS_FLIGHTS
                                        : (uint32_t)count;
}

static struct places places_of(const struct spann *s, const struct index_options *options, size_t k)
{
    struct places p = {.end = align_up(sizeof(struct spann_search), ALIGN_VECTOR)};
    uint32_t nprobe = options->effort > 0 ? options->effort : s->nprobe, rows = s->base.row_count;
    size_t list_rows = align_up((size_t)s->list_rows + 1, TOPK_LANES);
    size_t list_bytes = spann_list_bytes(s->list_rows, s->centers.dim);

    p.nprobe = nprobe < s->centers.count ? nprobe : s->centers.count;
    p.pushed_expected = k < rows / PUSHED_OF_K ? (uint32_t)k * PUSHED_OF_K : rows;
    p.near = take_aligned(&p.end, near_lists_bytes(&s->centers));
    p.pushed = take_aligned(&p.end, visited_bytes(rows, p.pushed_expected));
    p.open = take_aligned(&p.end, (list_rows / 64 + 1) * sizeof(uint64_t));
    p.places = take_aligned(&p.end, list_rows * sizeof(uint32_t));
    p.distances = take_aligned(&p.end, list_rows * sizeof(float));
    p.flights = flights_of(list_bytes);
    p.ring_distances = take_aligned(&p.end, p.flights * sizeof(float));
    p.ring = take_aligned(&p.end, disk_ring_bytes(list_bytes, p.flights));
    return p;
}

size_t spann_search_bytes(const struct index *index, const struct index_options *options, size_t k,
                          size_t query_count)
{
    (void)query_count;
    return places_of((const struct spann *)index, options, k).end;
}

/* Of distances, as the route has them: squares. */
static float reach_of(const struct spann *s, const struct index_search_desc *desc, uint32_t nprobe)
{
    double wider = desc->options.effort > s->nprobe ? (double)desc->options.effort / s->nprobe : 1;
    double reach = 1 + (s->prune - 1) * wider;

    if (s->prune < 1 || nprobe == s->centers.count || s->centers.value == METRIC_VALUE_PRODUCT ||
        desc->gate.shut_word || desc->queries[0].distance_max < INFINITY)
        return INFINITY;
    return (float)(reach * reach);
}

void spann_begin(void *search, const struct index_search_desc *desc)
{
    struct spann_search *s = (struct spann_search *)search;
    const struct spann *spann = (const struct spann *)desc->index;
    struct places p = places_of(spann, &desc->options, desc->queries[0].best->capacity);
    uint8_t *at = (uint8_t *)search;

    *s = (struct spann_search){.desc = *desc, .s = spann, .reach = reach_of(spann, desc, p.nprobe)};
    s->standard = (struct list_due){
        .list_count = spann->centers.count,
        .nprobe = p.nprobe,
        .has_gate = desc->gate.shut_word != NULL,
        .is_range = desc->queries[0].distance_max < INFINITY,
        .asked_one_in = desc->gate.comes_first ? 1 : SPANN_SAMPLE_PLACES,
    };
    if (s->standard.has_gate)
        s->standard.open_share = list_open_share(&desc->gate, spann->base.row_count);
    s->near_memory = at + p.near;
    s->open = (uint64_t *)(void *)(at + p.open);
    s->places = (uint32_t *)(void *)(at + p.places);
    s->distances = (float *)(void *)(at + p.distances);
    s->ring_distances = (float *)(void *)(at + p.ring_distances);
    visited_init(&s->pushed, at + p.pushed, spann->base.row_count, p.pushed_expected);
    disk_ring_init(&s->ring, spann->reads, spann_list_bytes(spann->list_rows, spann->centers.dim),
                   p.flights, at + p.ring);
}

/* ---- Which lists ---- */

/* No farther list is read among the first nprobe, s->next being the nearest. */
static float limit_of(const struct spann_search *s)
{
    const struct list_centers *c = &s->s->centers;
    float radius = c->radii[s->next.list], own = radius * radius;

    if (s->reach == INFINITY) return INFINITY;
    if (c->value == METRIC_VALUE_ANGLE) own /= 2;
    return s->reach * fmaxf(s->next.distance, own);
}

static void begin_query(struct spann_search *s)
{
    s->query = &s->desc.queries[s->next_query++];
    s->oracle = (struct spann_oracle *)s->query->oracle;
    s->due = s->standard;
    memset(&s->walk, 0, sizeof s->walk);
    visited_clear(&s->pushed);
    near_lists_begin(&s->near, &s->s->centers, &s->oracle->query, SPANN_GROUPS_MIN, s->near_memory);
    s->next = near_lists_take(&s->near);
    s->has_next = true;
    s->asked_count = 0;
    s->asked_rows = 0;
    s->limit = limit_of(s);
    s->is_busy = true;
}

static bool may_have_near(const struct spann_search *s, uint32_t list, float distance)
{
    if (s->desc.gate.shut_word) return true; /* it would go unseen */
    return !(list_bound(&s->s->centers, &s->oracle->query, list, distance) > spann_bound_limit(s));
}

static bool wants_more(const struct spann_search *s)
{
    const struct topk *best = s->query->best;
    return list_walk_wants_more(&s->walk, &s->due, best->count, best->capacity);
}

/* Is the next list one to ask for, as far as is known? */
static bool is_next_wanted(struct spann_search *s)
{
    if (!s->has_next) return false;
    if (s->asked_count < s->due.nprobe) {
        if (!(s->next.distance > s->limit) ||
            s->asked_rows < ROWS_OF_K * (uint64_t)s->query->best->capacity)
            return true;
        s->due.nprobe = s->asked_count;
    }
    return s->walk.visited >= s->due.nprobe && wants_more(s);
}

static void ask_for_next(struct spann_search *s)
{
    const struct spann *spann = s->s;
    struct near_list next = s->next;
    uint32_t rows = spann_row_count(spann, next.list);
    uint64_t offset = spann->offsets[next.list], end = spann->offsets[next.list + 1];
    struct disk_flight wanted = {.number = next.list, .offset = offset};

    if (rows > 0 && may_have_near(s, next.list, next.distance))
        wanted.bytes = (size_t)(end - offset);
    s->has_next = ++s->asked_count < spann->centers.count;
    s->asked_rows += rows;
    if (s->has_next) s->next = near_lists_take(&s->near);
    s->ring_distances[(s->ring.first + s->ring.count) % s->ring.most] = next.distance;
    disk_ring_ask(&s->ring, &wanted, NULL);
}

/* ---- Steps ---- */

static void end_query(struct spann_search *s)
{
    disk_ring_rest(&s->ring);
    while (s->ring.count > 0) disk_ring_drop(&s->ring); /* (2) */
    s->is_busy = false;
}

static int look_at_first(struct spann_search *s, uint64_t *done, struct error *err)
{
    float distance = s->ring_distances[s->ring.first];
    const struct disk_flight *f;

    if (disk_ring_first(&s->ring, "list", "spann", &f, err) != 0) return -1;
    uint32_t rows = spann_row_count(s->s, f->number);
    list_walk_visit(&s->walk, &s->due, rows);
    if (f->bytes > 0) {
        if (spann_list_check(s->s, f->number, f->data, err) != 0) return -1;
        *done += rows;
        if (may_have_near(s, f->number, distance) &&
            spann_read_list(s, f->number, f->data, err) != 0)
            return -1;
    }
    disk_ring_drop(&s->ring);
    return 0;
}

/* *done grows by the distances that it took. */
static int step(struct spann_search *s, uint64_t *done, struct error *err)
{
    uint64_t before = s->is_busy ? s->near.measured : 0;

    if (!s->is_busy) begin_query(s);
    while (disk_ring_has_room(&s->ring) && is_next_wanted(s)) ask_for_next(s);
    disk_ring_begin(&s->ring);
    *done += 1 + s->near.measured - before;
    if (s->ring.count > 0 && wants_more(s)) return look_at_first(s, done, err);
    end_query(s);
    return 0;
}

static enum index_state advance(struct spann_search *s, uint64_t distance_max, struct error *err)
{
    uint64_t done = 0;

    while (s->is_busy || s->next_query < s->desc.query_count) {
        if (step(s, &done, err) != 0) return INDEX_DAMAGED; /* nothing else can fail */
        if (done >= distance_max) return INDEX_MORE;
    }
    return INDEX_DONE;
}

enum index_state spann_advance(void *search, uint64_t distance_max, struct error *err)
{
    struct spann_search *s = (struct spann_search *)search;

    disk_ring_attach(&s->ring);
    enum index_state state = advance(s, distance_max, err);
    disk_ring_detach(&s->ring);
    return state;
}
