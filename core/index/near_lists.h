/* SPDX-License-Identifier: Apache-2.0 */
/* near_lists.h — which lists a query reads, nearest first, and when it has read enough.
 *
 * Lies in memory of its user, who says which lists were read and what the gate let through.
 * ORDER       By distance and number, or nearly so, for a fraction of the distances: some lists at
 *             a time are the nearest by the codes of centers, and in their own order.  Where there
 *             are so many that centers lie in groups, lists come from the nearest groups, of which
 *             there are always some times as many as were asked for.  It depends on the query
 *             alone.
 * ENOUGH      See list_walk_wants_more.
 * THREADS     One at a time.
 */
#ifndef INDEX_NEAR_LISTS_H
#define INDEX_NEAR_LISTS_H

#include "base/topk.h"
#include "index/list_centers.h"

/* A list, or a group of lists, and how far its center is. */
struct near_list {
    float distance;
    uint32_t list;
};

struct near_lists {
    const struct list_centers *centers;
    struct center_query asked;
    uint32_t groups_min;      /* that are looked into */
    struct near_list *groups; /* a heap, the nearest first: those that are left */
    uint32_t group_count;
    /* Lists that were looked at: about their distances, NaN once they are or were in front. */
    float *distances;
    uint32_t *numbers;
    uint32_t added, fronted;
    float *minima;           /* of distances, some at a time */
    struct candidate *front; /* the next ones, nearest first; row: the list */
    uint32_t front_at, front_count;
    uint64_t measured; /* distances, of lists and of groups */
};

#define NEAR_LISTS_NONE UINT32_MAX

/* Bytes of memory, aligned to ALIGN_VECTOR, that a walk needs. */
size_t near_lists_bytes(const struct list_centers *c);
/* The query has its norm, and stays where it is.  Where there are groups, so many at least are
 * looked into: the shorter lists are, the more of the nearest lie in groups that are not. */
void near_lists_begin(struct near_lists *n, const struct list_centers *c,
                      const struct oracle_query *query, uint32_t groups_min, void *memory);
/* The next list; there is one: fewer than there are were taken. */
struct near_list near_lists_take(struct near_lists *n);
/* The one that comes then, if that is known; else NEAR_LISTS_NONE. */
static inline uint32_t near_lists_ahead(const struct near_lists *n)
{
    return n->front_at < n->front_count ? n->front[n->front_at].row : NEAR_LISTS_NONE;
}

/* What a query has seen. */
struct list_walk {
    uint32_t visited;    /* lists, those passed over too */
    uint32_t vain;       /* beyond nprobe, those since one that had a row within distance_max */
    uint64_t first_rows; /* of the first nprobe lists */
    /* Rows that the gate was asked about; of them those of lists where some were open; and
     * those. */
    uint64_t seen, useful, open;
    bool has_found; /* in the list that was visited last */
};

/* What enough depends on. */
struct list_due {
    uint32_t list_count, nprobe;
    bool has_gate, is_range;
    double open_share;     /* of all rows, list_open_share */
    uint32_t asked_one_in; /* the gate is asked about one row of so many */
};

/* A list of so many rows is visited. */
void list_walk_visit(struct list_walk *w, const struct list_due *due, uint32_t row_count);
/* So many rows of a list, the whole of it, were asked about, and so many of them were open. */
void list_walk_count(struct list_walk *w, uint32_t asked, uint32_t open);
/* A query goes on beyond nprobe lists while
 * (1) it has found fewer rows than it wants; so it never comes back with fewer than there are; or
 * (2) there is a gate, and it has not seen its due of open rows: as many as the first nprobe lists
 *     have rows, times the root of the share that is open, in lists with an open row.  Where fewer
 *     of the rows that it has seen are open than of all, the nearest are shut, and the nearest open
 *     ones lie in many lists: the due is the larger for it.  A gate that does not come first is
 *     known by a sample; or
 * (3) it looks for all rows within a distance, and one of the last lists had some.
 * It depends on the set of lists that were visited, not on their order. */
bool list_walk_wants_more(const struct list_walk *w, const struct list_due *due, size_t found,
                          size_t wanted);
/* Which share of all rows a gate lets through, by a sample. */
double list_open_share(const struct index_gate *gate, uint32_t row_count);

#endif
