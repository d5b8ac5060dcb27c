/* SPDX-License-Identifier: Apache-2.0 */
/* bench_flat.c — exact searches through search.h, against what the memory and the kernel allow.
 *
 * WHAT        A view of 1,048,576 x 128 f32 in eight tails:
 *                 one query, k = 10, by each metric, on one thread and in two slices on two;
 *                 a batch of 64 queries on one thread.
 *             The limit is reading the same vectors and adding them up, on as many threads.
 *             Then a view of 1,000 rows: what a search costs beyond the kernel over the same rows.
 * METHOD      Every round runs every case once, the probes too, so that a neighbour's noise falls
 *             on all.  `best` is of the best round; `of limit` the best of the limit / the best of
 *             the case; `median` the median over the rounds of limit / case within one round.
 * USAGE       bench_flat [rounds, 1 to 99; default 15]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/thread.h"
#include "probes.h"
#include "query/search.h"
#include "segment/active_segment.h"
#include "simd/kernels.h"
#include "simd/metrics.h"

enum { PARTS = 8, PART_ROWS = 131072, DIM = 128, K = 10, BATCH = 64, ROUNDS_MAX = 99 };
enum { SMALL_ROWS = 1000, SMALL_RUNS = 2000 };

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "bench_flat: %s\n", why);
    exit(1);
}

/* ---- The data ---- */

static void add_part(struct alloc *a, struct view *v, size_t i, uint32_t row_count, struct rng *r)
{
    enum { BLOCK = 1000 };
    static float vectors[BLOCK * DIM];
    static struct record_id ids[BLOCK];
    struct active_segment *t;
    struct error err = {0};
    uint32_t row;
    if (active_segment_create(a, v->dim, row_count, &t, &err) != 0 ||
        tombstones_create(a, row_count, &v->parts[i].dead, &err) != 0)
        give_up(err.text);
    for (uint32_t first = 0; first < row_count; first += BLOCK) {
        uint32_t count = row_count - first < BLOCK ? row_count - first : BLOCK;
        for (size_t j = 0; j < count * (size_t)DIM; j++) vectors[j] = (float)rng_unit(r);
        for (uint32_t j = 0; j < count; j++) ids[j] = id_of_number(i * PART_ROWS + first + j);
        struct tail_rows rows = {.ids = ids, .count = count, .lsn = 1, .vectors = vectors};
        if (active_segment_stage_many(t, &rows, &row, &err) != 0) give_up(err.text);
        active_segment_commit(t, first + count);
    }
    v->parts[i].segment = active_segment_base(t);
    v->parts[i].row_count = row_count;
    v->live_count += row_count;
}

static struct view *make_view(struct alloc *a, size_t part_count, uint32_t part_rows)
{
    struct error err = {0};
    struct rng r;
    struct view *v;
    rng_init(&r, 1);
    if (view_create(a, part_count, &v, &err) != 0) give_up(err.text);
    v->dim = DIM;
    v->metric = METRIC_L2;
    for (size_t i = 0; i < part_count; i++) add_part(a, v, i, part_rows, &r);
    return v;
}

/* ---- The cases ---- */

struct bench {
    struct alloc *alloc;
    struct view *view;
    const float *queries;
    size_t query_count; /* of the case */
    bool is_probe;
    struct search *search;
    pthread_barrier_t start, end;
    bool is_over;
};

static void read_parts(const struct view *v, size_t part_first, size_t part_end)
{
    for (size_t i = part_first; i < part_end; i++) {
        const struct vector_source *source = &v->parts[i].segment->vectors;
        uint32_t row_count = v->parts[i].row_count;
        for (uint32_t row = 0; row < row_count;) {
            struct vector_run run;
            if (source->run(source, row, row_count - row, &run, NULL) != 0) give_up("no run");
            size_t count = (size_t)run.row_count * DIM;
            probe_read_prefetched(run.vectors, count - count % PROBE_FLOATS);
            row += run.row_count;
        }
    }
}

static void work(struct bench *b, size_t slice, size_t slice_count)
{
    if (b->is_probe)
        read_parts(b->view, slice * PARTS / slice_count, (slice + 1) * PARTS / slice_count);
    else if (search_advance(b->search, slice, 0) != SEARCH_DONE) give_up("a slice failed");
}

static void help(void *ctx)
{
    struct bench *b = (struct bench *)ctx;
    for (;;) {
        pthread_barrier_wait(&b->start);
        if (b->is_over) return;
        work(b, 1, 2);
        pthread_barrier_wait(&b->end);
    }
}

static void begin_search(struct bench *b)
{
    struct error err = {0};
    struct search_request request = {
        .vectors = b->queries, .query_count = b->query_count, .dim = DIM, .k = K};
    if (search_create(b->alloc, view_acquire(b->view), &request, clock_system(), &b->search,
                      &err) != 0)
        give_up(err.text);
}

static void end_search(struct bench *b)
{
    struct error err = {0};
    struct result result;
    if (search_finish(b->search, &result, &err) != 0) give_up(err.text);
    result_deinit(&result);
    search_destroy(b->search);
}

/* From the creation of the search to the release of its result. */
static uint64_t time_case(struct bench *b, size_t slice_count)
{
    uint64_t begin = clock_now_us(clock_system());
    if (!b->is_probe) begin_search(b);
    if (slice_count == 2) {
        if (!b->is_probe && search_split(b->search, 2, NULL) != 2) give_up("no split");
        pthread_barrier_wait(&b->start);
    }
    work(b, 0, slice_count);
    if (slice_count == 2) pthread_barrier_wait(&b->end);
    if (!b->is_probe) end_search(b);
    return clock_now_us(clock_system()) - begin;
}

struct bench_case {
    const char *name;
    unsigned metric; /* 0: the probe */
    size_t query_count;
    size_t slice_count;
    size_t limit; /* its probe */
    uint64_t time_us[ROUNDS_MAX];
    uint64_t best_us;
};

static struct bench_case cases[] = {
    {"read, 1 thread", 0, 1, 1, 0, {0}, 0},
    {"read, 2 threads", 0, 1, 2, 1, {0}, 0},
    {"l2, 1 thread", METRIC_L2, 1, 1, 0, {0}, 0},
    {"ip, 1 thread", METRIC_IP, 1, 1, 0, {0}, 0},
    {"cosine, 1 thread", METRIC_COSINE, 1, 1, 0, {0}, 0},
    {"l2, 2 slices", METRIC_L2, 1, 2, 1, {0}, 0},
    {"l2, batch of 64", METRIC_L2, BATCH, 1, 0, {0}, 0},
    {"cosine, batch of 64", METRIC_COSINE, BATCH, 1, 0, {0}, 0},
};
enum { CASE_COUNT = sizeof cases / sizeof cases[0] };

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_cases(size_t rounds)
{
    double bytes = (double)PARTS * PART_ROWS * DIM * 4;
    printf("%d x %d f32, k = %d\n%-20s %9s %9s %9s %9s\n", PARTS * PART_ROWS, DIM, K, "case", "ms",
           "GB/s", "of limit", "median");
    for (size_t i = 0; i < CASE_COUNT; i++) {
        const struct bench_case *c = &cases[i], *limit = &cases[c->limit];
        double ratios[ROUNDS_MAX], query_count = (double)c->query_count;
        for (size_t r = 0; r < rounds; r++)
            ratios[r] = query_count * (double)limit->time_us[r] / (double)c->time_us[r];
        qsort(ratios, rounds, sizeof ratios[0], compare_doubles);
        printf("%-20s %9.2f %9.1f %9.2f %9.2f\n", c->name, (double)c->best_us * 1e-3,
               bytes * query_count / (double)c->best_us * 1e-3,
               query_count * (double)limit->best_us / (double)c->best_us, ratios[rounds / 2]);
    }
}

static void run_cases(struct bench *b, size_t rounds)
{
    struct error err = {0};
    struct thread helper = {0};
    if (pthread_barrier_init(&b->start, NULL, 2) != 0 ||
        pthread_barrier_init(&b->end, NULL, 2) != 0)
        give_up("no barrier");
    if (thread_start(&helper, "bench", help, b, &err) != 0) give_up(err.text);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < CASE_COUNT; i++) {
            struct bench_case *c = &cases[i];
            b->is_probe = c->metric == 0;
            b->query_count = c->query_count;
            if (c->metric != 0) b->view->metric = (uint8_t)c->metric;
            uint64_t us = time_case(b, c->slice_count);
            c->time_us[round] = us;
            if (round == 0 || us < c->best_us) c->best_us = us;
        }
    }
    b->is_over = true;
    pthread_barrier_wait(&b->start);
    thread_join(&helper);
    pthread_barrier_destroy(&b->start);
    pthread_barrier_destroy(&b->end);
    print_cases(rounds);
}

/* ---- Small searches ---- */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t time_kernel(const struct bench *b, uint64_t times[SMALL_RUNS])
{
    static float out[SMALL_ROWS];
    const struct vector_source *source = &b->view->parts[0].segment->vectors;
    for (size_t i = 0; i < SMALL_RUNS; i++) {
        uint64_t begin = now_ns();
        for (uint32_t row = 0; row < SMALL_ROWS;) {
            struct vector_run run;
            if (source->run(source, row, SMALL_ROWS - row, &run, NULL) != 0) give_up("no run");
            kernels_active()->dense_l2_many_f32(b->queries, run.vectors, DIM * 4, run.row_count,
                                                DIM, out + row);
            row += run.row_count;
        }
        times[i] = now_ns() - begin;
    }
    qsort(times, SMALL_RUNS, sizeof times[0], compare_times);
    return times[SMALL_RUNS / 2];
}

static uint64_t time_search(struct bench *b, uint64_t times[SMALL_RUNS])
{
    for (size_t i = 0; i < SMALL_RUNS; i++) {
        uint64_t begin = now_ns();
        begin_search(b);
        work(b, 0, 1);
        end_search(b);
        times[i] = now_ns() - begin;
    }
    qsort(times, SMALL_RUNS, sizeof times[0], compare_times);
    return times[SMALL_RUNS / 2];
}

static void run_small(struct bench *b)
{
    static uint64_t times[SMALL_RUNS];
    b->is_probe = false;
    b->query_count = 1;
    uint64_t kernel = time_kernel(b, times), search = time_search(b, times);
    printf("\n%d x %d f32, l2, medians of %d\nkernel %llu ns, search %llu ns, difference %lld ns\n",
           SMALL_ROWS, DIM, SMALL_RUNS, (unsigned long long)kernel, (unsigned long long)search,
           (long long)(search - kernel));
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 15;
    static float queries[BATCH * DIM];
    struct bench b = {.alloc = alloc_libc(), .queries = queries};
    struct rng r;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "rounds is %s; it may be 1 to %d\n", argv[1], ROUNDS_MAX);
        return 2;
    }
    rng_init(&r, 2);
    for (size_t i = 0; i < BATCH * DIM; i++) queries[i] = (float)rng_unit(&r);

    b.view = make_view(b.alloc, PARTS, PART_ROWS);
    run_cases(&b, rounds);
    view_release(b.view);
    b.view = make_view(b.alloc, 1, SMALL_ROWS);
    run_small(&b);
    view_release(b.view);
    return 0;
}
