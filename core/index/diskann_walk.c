/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_walk.c — a walk through pages: some are on their way while one is looked at.
 *
 * WHAT        The nearest nodes that nobody has looked at yet have their pages read, a few at once.
 *             Pages are looked at in the order in which they were asked for, each as soon as it and
 *             those before it are there: nothing waits for the slowest of a group, and yet what is
 *             asked for next depends on nothing but what was found.  All nodes of a page are
 *             measured; the links of the one it was read for, and of those that are as near as what
 *             is kept, are followed.
 * INVARIANTS  (1) A query looks at a page once, so a node is measured once.
 *             (2) Whatever the disk does, pages are looked at in the same order.
 *             (3) When an advance ends nothing is in flight.
 * THREADS     One at a time.
 * FAILURE     IO, CORRUPT with the page.
 */
#include <math.h>

#include "base/check.h"
#include "index/diskann_search.h"

/* ---- Reading ---- */

static void ask_for(struct diskann_search *s, uint32_t page, uint32_t node)
{
    const struct diskann *d = s->d;
    uint32_t place = (s->flight_first + s->flight_count++) % DISKANN_FLIGHTS;
    struct diskann_flight *f = &s->flights[place];
    struct error err = {0};

    f->page = page;
    f->node = node;
    f->code = f->os_errno = 0;
    f->is_there = page < d->hot_count || !s->queue;
    if (page < d->hot_count) {
        f->bytes = d->hot + (size_t)page * d->layout.page_bytes;
    } else if (s->queue) {
        f->bytes = f->memory + diskann_page_submit(d, s->queue, page, f->memory, place);
    } else {
        f->bytes = f->memory;
        (void)diskann_page_read(d, page, f->memory, &err);
        f->code = err.code;
        f->os_errno = err.os_errno;
    }
}

static void ask_for_nearest(struct diskann_search *s)
{
    while (s->flight_count < DISKANN_FLIGHTS) {
        uint32_t node = candidates_take(&s->found);
        if (node == UINT32_MAX) break;
        uint32_t page = node / s->d->layout.page_nodes;
        if (visited_add(&s->pages, page)) ask_for(s, page, node); /* (1) */
    }
    if (s->queue) read_queue_begin(s->queue);
}

/* Some that were on their way are there. */
static void take_some(struct diskann_search *s)
{
    struct read_done done[DISKANN_FLIGHTS];
    size_t count = read_queue_take(s->queue, done, DISKANN_FLIGHTS, true);

    CHECK(count > 0);
    for (size_t i = 0; i < count; i++) {
        struct diskann_flight *f = &s->flights[done[i].tag];
        size_t end = (size_t)(f->bytes - f->memory) + s->d->layout.page_bytes;
        f->is_there = true;
        f->code = done[i].code;
        f->os_errno = done[i].os_errno;
        if (f->code == 0 && done[i].read_bytes < end) f->code = LYNSE_CORRUPT;
    }
}

void diskann_walk_rest(struct diskann_search *s)
{
    for (uint32_t i = 0; i < s->flight_count; i++)
        while (!s->flights[(s->flight_first + i) % DISKANN_FLIGHTS].is_there) take_some(s);
}

/* ---- Looking ---- */

static void keep_measured(struct diskann_search *s, float distance, uint32_t node)
{
    struct candidates *c = &s->measured;

    if (c->count == c->capacity) {
        if (!(distance < c->items[c->count - 1].distance)) return;
        candidates_drop_last(c);
    }
    candidates_insert(c, distance, node);
}

static int follow(struct diskann_search *s, const uint32_t *links, uint64_t *done,
                  struct error *err)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < s->d->layout.degree && links[i] != HNSW_NONE; i++)
        if (visited_add(&s->visited, links[i])) s->fresh[count++] = links[i];
    *done += count;
    if (diskann_estimate(s, count, err) != 0) return -1;
    for (uint32_t i = 0; i < count; i++) {
        if (!diskann_is_wanted(s, s->distances[i], s->bounds[i])) continue;
        uint32_t mark = diskann_is_shut(s, s->fresh[i]) ? CANDIDATE_SHUT : 0;
        diskann_keep(s, s->distances[i], s->fresh[i] | mark);
    }
    return 0;
}

static int look_at(struct diskann_search *s, const struct diskann_flight *f, uint64_t *done,
                   struct error *err)
{
    const struct diskann_layout *l = &s->d->layout;
    uint32_t first = f->page * l->page_nodes, count = diskann_page_count(l, f->page);
    float distances[DISKANN_PAGE_NODES_MAX];

    diskann_measure(s->oracle, l, f->bytes, count, distances);
    *done += count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = first + i, mark = diskann_is_shut(s, node) ? CANDIDATE_SHUT : 0;
        if (!mark) keep_measured(s, distances[i], node);
        if (s->follows_links && visited_add(&s->visited, node) &&
            diskann_is_wanted(s, distances[i], 0))
            diskann_keep(s, distances[i], node | mark | CANDIDATE_DONE);
    }
    if (!s->follows_links) return 0;
    for (uint32_t i = 0; i < count; i++) {
        if (first + i != f->node && !diskann_is_wanted(s, distances[i], 0)) continue;
        if (follow(s, diskann_links(l, f->bytes, i), done, err) != 0) return -1;
    }
    return 0;
}

int diskann_walk_step(struct diskann_search *s, uint64_t *distances, bool *is_done,
                      struct error *err)
{
    struct diskann_flight *f = &s->flights[s->flight_first];

    ask_for_nearest(s);
    *is_done = s->flight_count == 0;
    if (*is_done) return 0;
    while (!f->is_there) take_some(s);
    if (f->code == LYNSE_CORRUPT)
        return error_set(err, LYNSE_CORRUPT, "page %u of the diskann index is cut", f->page);
    if (f->code != 0)
        return error_set_errno(err, f->code, f->os_errno,
                               "cannot read page %u of the diskann index", f->page);
    bool is_hot = f->page < s->d->hot_count;
    if (!is_hot && diskann_page_check(s->d, f->page, f->bytes, err) != 0) return -1;
    if (look_at(s, f, distances, err) != 0) return -1;
    s->flight_first = (s->flight_first + 1) % DISKANN_FLIGHTS;
    s->flight_count--;
    return 0;
}
