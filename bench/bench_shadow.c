/* SPDX-License-Identifier: Apache-2.0 */
/* bench_shadow.c — exact searches through a shadow of codes, against the vectors themselves.
 *
 * WHAT        For each shape one view of tails, of normal vectors or of a thousand clusters of
 *             them, and queries of the same: the kernel over all vectors, a search that reads
 *             them, a search that reads their shadow, the first of these, which begins it, and
 *             how many rows in a thousand it could not rule out, so that they were measured.
 * METHOD      One thread, k = 10.  Every round runs every case once with a query of its own before
 *             it is timed; printed are medians over the rounds, in microseconds.  What is short is
 *             repeated until it took a millisecond.
 * USAGE       bench_shadow [rounds, 1 to 99; default 15 [first shape [end]]]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rng.h"
#include "query/search.h"
#include "segment/active_segment.h"
#include "segment/segment_shadow.h"
#include "simd/metrics.h"

enum { PART_ROWS = 100000, K = 10, ROUNDS_MAX = 99, CENTRES = 1000, BLOCK = 500 };

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "bench_shadow: %s\n", why);
    exit(1);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* ---- The data ---- */

struct shape {
    uint32_t row_count, dim;
    unsigned metric;
    float spread; /* of a cluster; 0: there are none */
};

struct bed {
    struct shape shape;
    struct rng rng;
    float *centres;
    struct view *view;
    struct shadow_room *room;
};

static void draw_vector(struct bed *b, float *out)
{
    const float *centre = b->centres + rng_below(&b->rng, CENTRES) * b->shape.dim;
    float spread = b->shape.spread;
    for (uint32_t i = 0; i < b->shape.dim; i++)
        out[i] = spread > 0 ? centre[i] + spread * rng_normal(&b->rng) : rng_normal(&b->rng);
}

static void add_part(struct bed *b, size_t part, uint32_t row_count)
{
    static struct record_id ids[BLOCK];
    float *vectors = malloc((size_t)BLOCK * b->shape.dim * sizeof *vectors);
    struct active_segment *t;
    struct error err = {0};
    uint32_t row;
    if (!vectors || active_segment_create(alloc_libc(), b->shape.dim, row_count, &t, &err) != 0 ||
        tombstones_create(alloc_libc(), row_count, &b->view->parts[part].dead, &err) != 0)
        give_up("no memory");
    for (uint32_t first = 0; first < row_count; first += BLOCK) {
        uint32_t count = row_count - first < BLOCK ? row_count - first : BLOCK;
        for (uint32_t i = 0; i < count; i++) draw_vector(b, vectors + (size_t)i * b->shape.dim);
        for (uint32_t i = 0; i < count; i++) ids[i] = id_of_number(part * PART_ROWS + first + i);
        struct tail_rows rows = {.ids = ids, .count = count, .lsn = 1, .vectors = vectors};
        if (active_segment_stage_many(t, &rows, &row, &err) != 0) give_up(err.text);
        active_segment_commit(t, first + count);
    }
    free(vectors);
    b->view->parts[part].segment = active_segment_base(t);
    b->view->parts[part].row_count = row_count;
    b->view->live_count += row_count;
}

static void make_bed(struct bed *b, const struct shape *shape)
{
    struct error err = {0};
    size_t part_count = (shape->row_count + PART_ROWS - 1) / PART_ROWS;
    *b = (struct bed){.shape = *shape};
    rng_init(&b->rng, 1);
    b->centres = malloc((size_t)CENTRES * shape->dim * sizeof(float));
    if (!b->centres || view_create(alloc_libc(), part_count, &b->view, &err) != 0 ||
        shadow_room_create(alloc_libc(), SIZE_MAX / 2, &b->room, &err) != 0)
        give_up("no memory");
    for (size_t i = 0; i < (size_t)CENTRES * shape->dim; i++) b->centres[i] = rng_normal(&b->rng);
    b->view->dim = shape->dim;
    b->view->metric = (uint8_t)shape->metric;
    for (size_t i = 0; i < part_count; i++) {
        uint32_t left = shape->row_count - (uint32_t)i * PART_ROWS;
        add_part(b, i, left < PART_ROWS ? left : PART_ROWS);
    }
}

static void free_bed(struct bed *b)
{
    view_release(b->view);
    shadow_room_destroy(b->room);
    free(b->centres);
}

/* ---- The cases ---- */

static volatile float sink;

/* The products of the query with all rows: what the fastest kernel makes of the memory. */
static void read_vectors(const struct bed *b, const float *query)
{
    static float out[4096];
    for (size_t i = 0; i < b->view->part_count; i++) {
        const struct vector_source *source = &b->view->parts[i].segment->vectors;
        for (uint32_t row = 0, end = b->view->parts[i].row_count; row < end;) {
            struct vector_run run;
            if (source->run(source, row, end - row < 4096 ? end - row : 4096, &run, NULL) != 0)
                give_up("no run");
            kernels_active()->dense_dot_many_f32(query, run.vectors, b->shape.dim * 4,
                                                 run.row_count, b->shape.dim, out);
            sink = out[0];
            row += run.row_count;
        }
    }
}

static void search(const struct bed *b, const float *query, struct shadow_room *room)
{
    struct error err = {0};
    struct search *s;
    struct result result;
    struct search_request request = {
        .vectors = query, .query_count = 1, .dim = b->shape.dim, .k = K, .shadows = room};
    if (search_create(alloc_libc(), view_acquire(b->view), &request, clock_system(), &s, &err) != 0)
        give_up(err.text);
    if (search_advance(s, 0, 0) != SEARCH_DONE) give_up("the search failed");
    if (search_finish(s, &result, &err) != 0) give_up(err.text);
    result_deinit(&result);
    search_destroy(s);
}

/* Rows that were read one at a time, or in runs. */
static uint64_t rows_read;
static int (*uncounted_run)(const struct vector_source *s, uint32_t row, uint32_t row_max,
                            struct vector_run *out, struct error *err);

static int counted_run(const struct vector_source *s, uint32_t row, uint32_t row_max,
                       struct vector_run *out, struct error *err)
{
    int rc = uncounted_run(s, row, row_max, out, err);
    rows_read += out->row_count;
    return rc;
}

/* Rows whose distances are measured. */
static double count_measured(const struct bed *b, const float *query)
{
    uncounted_run = b->view->parts[0].segment->vectors.run;
    for (size_t i = 0; i < b->view->part_count; i++)
        b->view->parts[i].segment->vectors.run = counted_run;
    rows_read = 0;
    search(b, query, b->room);
    for (size_t i = 0; i < b->view->part_count; i++)
        b->view->parts[i].segment->vectors.run = uncounted_run;
    return (double)rows_read;
}

enum { READ, PLAIN, SHADOWED, CASES };

static void run_case(const struct bed *b, const float *query, int which)
{
    if (which == READ) read_vectors(b, query);
    else search(b, query, which == SHADOWED ? b->room : NULL);
}

static double time_case(const struct bed *b, const float *query, int which)
{
    run_case(b, query, which);
    double begin = now_us(), end = begin;
    int runs = 0;
    for (; runs == 0 || end - begin < 1000; runs++, end = now_us()) run_case(b, query, which);
    return (end - begin) / runs;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void run_shape(const struct shape *shape, size_t rounds)
{
    static double times[CASES][ROUNDS_MAX];
    struct bed b;
    float *query = malloc(shape->dim * sizeof *query);
    make_bed(&b, shape);
    if (!query) give_up("no memory");
    draw_vector(&b, query);
    double begin = now_us();
    search(&b, query, b.room);
    double first = now_us() - begin;
    for (int i = 0; i < 60; i++) search(&b, query, b.room); /* until all of it is there */
    double measured = 0;
    for (size_t round = 0; round < rounds; round++) {
        draw_vector(&b, query);
        for (int which = 0; which < CASES; which++)
            times[which][round] = time_case(&b, query, which);
        measured += count_measured(&b, query) / (double)rounds;
    }
    for (int which = 0; which < CASES; which++)
        qsort(times[which], rounds, sizeof(double), compare_doubles);
    const double *read = times[READ], *plain = times[PLAIN], *shadowed = times[SHADOWED];
    size_t middle = rounds / 2;
    printf("%8u x %-4u %-7s %-9s %10.1f %10.1f %10.1f %6.2f %10.1f %9.2f\n", shape->row_count,
           shape->dim, metric_find(shape->metric)->name, shape->spread > 0 ? "clusters" : "normal",
           read[middle], plain[middle], shadowed[middle], plain[middle] / shadowed[middle], first,
           1000 * measured / shape->row_count);
    free(query);
    free_bed(&b);
}

int main(int argc, char **argv)
{
    static const struct shape shapes[] = {
        {1000, 384, METRIC_L2, 0},          {1000, 384, METRIC_COSINE, 0},
        {1000, 384, METRIC_COSINE, 0.5f},   {1000, 128, METRIC_L2, 0},
        {100000, 64, METRIC_L2, 0},         {100000, 128, METRIC_L2, 0},
        {100000, 384, METRIC_COSINE, 0},    {100000, 384, METRIC_COSINE, 0.5f},
        {100000, 384, METRIC_IP, 0},        {100000, 384, METRIC_L2, 0.5f},
        {100000, 768, METRIC_COSINE, 0.5f}, {100000, 768, METRIC_L2, 0},
        {200000, 768, METRIC_COSINE, 0},    {1000000, 128, METRIC_L2, 0},
    };
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 15;
    size_t first = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    size_t end = argc > 3 ? strtoul(argv[3], NULL, 10) : sizeof shapes / sizeof shapes[0];
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "rounds is %s; it may be 1 to %d\n", argv[1], ROUNDS_MAX);
        return 2;
    }
    printf("%43s %10s %10s %6s %10s %9s\n", "kernel", "vectors", "shadow", "gain", "first",
           "measured");
    for (size_t i = first; i < end && i < sizeof shapes / sizeof shapes[0]; i++)
        run_shape(&shapes[i], rounds);
    return 0;
}
