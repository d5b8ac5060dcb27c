/* SPDX-License-Identifier: Apache-2.0 */
/* spann_place.c — lists within their bounds, out of which lists rows are to be in.
 *
 * WHAT        A list has its own rows, those whose nearest center is its, in their order, and then
 *             the replicas for which there is room, nearest first.  Where it has too many of its
 *             own, as where many rows are the same, it is cut into lists with one center.  A center
 *             that is nearest to no row has no list: a search would spend its nprobe on it.
 * INVARIANTS  (1) Every row is in one list as its own; no list has more than list_rows.
 *             (2) The order depends on homes alone.
 * THREADS     One.
 * FAILURE     NO_MEMORY.
 */
#include <stdlib.h>

#include "index/spann_build.h"

struct replica {
    float distance;
    uint32_t row;
};

/* While lists are made; one number for each center. */
struct placing {
    uint32_t *own, *wanted, *kept; /* rows of it, replicas that are, and that may be */
    uint32_t *first;               /* its first list; one more at the end */
    uint32_t *ends;                /* of its replicas */
    struct replica *replicas;      /* by center */
    uint32_t replica_count;
};

void spann_lists_drop(struct spann_lists *l, struct alloc *a)
{
    mem_free(a, l->centers);
    mem_free(a, l->starts);
    mem_free(a, l->rows);
    mem_free(a, l->radii);
}

static void count_rows(const struct spann_build *b, struct placing *p)
{
    for (uint32_t row = 0; row < b->desc.row_count; row++) {
        const struct spann_home *homes = b->homes + (size_t)row * b->home_count;
        p->own[homes[0].list]++;
        for (uint32_t i = 1; i < b->home_count && homes[i].list != SPANN_NONE; i++)
            p->wanted[homes[i].list]++;
    }
    for (uint32_t c = 0; c < b->centers.count; c++) {
        uint32_t lists = p->own[c] > 0 ? (p->own[c] - 1) / b->own_rows + 1 : 0;
        uint32_t room = lists > 0 ? b->list_rows - (p->own[c] - (lists - 1) * b->own_rows) : 0;
        p->kept[c] = p->wanted[c] < room ? p->wanted[c] : room;
        p->first[c + 1] = p->first[c] + lists;
        p->ends[c] = p->replica_count;
        p->replica_count += p->wanted[c];
    }
}

static int make_lists(struct spann_build *b, const struct placing *p, struct error *err)
{
    struct spann_lists *l = &b->lists;
    struct alloc *a = b->desc.alloc;
    uint32_t place = 0;

    l->count = p->first[b->centers.count];
    l->centers = mem_alloc(a, MEM_SEGMENT, l->count * sizeof *l->centers);
    l->starts = mem_alloc(a, MEM_SEGMENT, ((size_t)l->count + 1) * sizeof *l->starts);
    l->radii = mem_zalloc(a, MEM_SEGMENT, l->count * sizeof *l->radii);
    if (!l->centers || !l->starts || !l->radii)
        return error_no_memory(err, l->count * sizeof *l->centers);
    for (uint32_t c = 0; c < b->centers.count; c++) {
        uint32_t left = p->own[c];
        for (uint32_t list = p->first[c]; list < p->first[c + 1]; list++) {
            l->centers[list] = c;
            l->starts[list] = place;
            place += left < b->own_rows ? left : b->own_rows;
            left -= left < b->own_rows ? left : b->own_rows;
        }
        place += p->kept[c];
    }
    l->starts[l->count] = place;
    l->rows = mem_alloc(a, MEM_SEGMENT, place * sizeof *l->rows);
    return l->rows ? 0 : error_no_memory(err, place * sizeof *l->rows);
}

static void put_row(struct spann_build *b, uint32_t list, uint32_t place, uint32_t row,
                    float distance)
{
    float radius = list_radius(b->value, distance);

    b->lists.rows[place] = row;
    if (!(radius <= b->lists.radii[list])) b->lists.radii[list] = radius;
}

/* Own rows to their places; replicas by center. */
static void put_own(struct spann_build *b, struct placing *p)
{
    for (uint32_t row = 0; row < b->desc.row_count; row++) {
        const struct spann_home *homes = b->homes + (size_t)row * b->home_count;
        uint32_t c = homes[0].list, seen = p->own[c]++, list = p->first[c] + seen / b->own_rows;
        put_row(b, list, b->lists.starts[list] + seen % b->own_rows, row, homes[0].distance);
        for (uint32_t i = 1; i < b->home_count && homes[i].list != SPANN_NONE; i++)
            p->replicas[p->ends[homes[i].list]++] = (struct replica){homes[i].distance, row};
    }
}

static int nearer_first(const void *left, const void *right)
{
    const struct replica *a = (const struct replica *)left, *b = (const struct replica *)right;
    if (a->distance != b->distance) return a->distance < b->distance ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static void put_replicas(struct spann_build *b, const struct placing *p)
{
    for (uint32_t c = 0; c < b->centers.count; c++) {
        struct replica *replicas = p->replicas + (p->ends[c] - p->wanted[c]);
        if (p->kept[c] == 0) continue;
        uint32_t last = p->first[c + 1] - 1, place = b->lists.starts[last + 1] - p->kept[c];
        qsort(replicas, p->wanted[c], sizeof *replicas, nearer_first);
        for (uint32_t i = 0; i < p->kept[c]; i++)
            put_row(b, last, place + i, replicas[i].row, replicas[i].distance);
    }
}

/* Groups of lists, which were of centers; one without lists is none. */
static void close_groups(struct spann_build *b, const struct placing *p)
{
    uint32_t *starts = b->group_starts, count = 0;

    for (uint32_t g = 0; g < b->centers.group_count; g++) {
        uint32_t first = p->first[starts[g]], end = p->first[starts[g + 1]];
        if (end > first) starts[count++] = first;
    }
    b->centers.group_count = count;
    starts[count] = b->lists.count;
}

static int place(struct spann_build *b, struct placing *p, struct error *err)
{
    size_t count = b->centers.count;

    count_rows(b, p);
    size_t bytes = ((size_t)p->replica_count + 1) * sizeof *p->replicas;
    p->replicas = mem_alloc(b->desc.alloc, MEM_SEGMENT, bytes);
    if (!p->replicas) return error_no_memory(err, bytes);
    if (make_lists(b, p, err) != 0) return -1;
    for (size_t c = 0; c < count; c++) p->own[c] = 0; /* again, one by one */
    put_own(b, p);
    put_replicas(b, p);
    close_groups(b, p);
    mem_free(b->desc.alloc, b->homes);
    b->homes = NULL;
    return 0;
}

int spann_place(struct spann_build *b, struct error *err)
{
    size_t count = b->centers.count, bytes = (5 * count + 1) * sizeof(uint32_t);
    uint32_t *memory = mem_zalloc(b->desc.alloc, MEM_SEGMENT, bytes);

    if (!memory) return error_no_memory(err, bytes);
    struct placing p = {.own = memory,
                        .wanted = memory + count,
                        .kept = memory + 2 * count,
                        .ends = memory + 3 * count,
                        .first = memory + 4 * count};
    int rc = place(b, &p, err);
    mem_free(b->desc.alloc, p.replicas);
    mem_free(b->desc.alloc, memory);
    return rc;
}
