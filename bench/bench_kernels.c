/* SPDX-License-Identifier: Apache-2.0 */
/* bench_kernels.c — how near the f32 kernels come to the memory's speed.
 *
 * WHAT        One query over tables that no cache holds, at every SIMD level of the machine, on one
 *             and two threads:
 *                 dot, l2      blocks of 1024 rows, distances into a buffer that stays in L1
 *                 l2 top-10    the same with blocks of 512 and the comparison with the k-th best,
 *                              as a flat search does it
 *             and the limit: reading the same memory and adding it up, once by plain loads and once
 *             by two streams with prefetch, whichever is faster.
 * METHOD      Pages are huge where the system gives them, and touched before.  Every round runs
 *             every case once, the probes too, so that a neighbour's noise falls on all.  GB/s and
 *             ns/row are of the best round; `of limit` is best time of the limit / best time of the
 *             case, `median` the median over the rounds of limit / case within one round.
 * USAGE       bench_kernels [rounds, 1 to 99; default 15]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "base/topk.h"
#include "probes.h"
#include "simd/kernels.h"

enum { THREADS_MAX = 2, CASES_MAX = 2 + 3 * SIMD_LEVEL_COUNT, ROUNDS_MAX = 99 };
enum { BLOCK_ROWS = 1024, FUSED_BLOCK_ROWS = 512, K = 10 };

struct shape {
    size_t row_count;
    size_t dim;
};

static const struct shape shapes[] = {{1000448, 128}, {262144, 384}, {131072, 768}};

/* What one thread reads. */
struct part {
    const float *query;
    const float *rows; /* its rows, contiguous */
    size_t row_count;  /* a multiple of BLOCK_ROWS / 2 */
    size_t dim;
    const struct simd_kernels *kernels;
    struct topk *topk;
    float out[BLOCK_ROWS];
};

typedef void case_fn(struct part *part);

struct bench_case {
    const char *name;
    const char *level;
    case_fn *run;
    const struct simd_kernels *kernels;
    uint64_t time_us[ROUNDS_MAX];
    uint64_t best_us;
};

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "bench_kernels: %s\n", why);
    exit(1);
}

static void read_plain(struct part *part)
{
    probe_read_plain(part->rows, part->row_count * part->dim);
}

static void read_prefetched(struct part *part)
{
    probe_read_prefetched(part->rows, part->row_count * part->dim);
}

static void run_dot(struct part *part)
{
    for (size_t i = 0; i < part->row_count; i += BLOCK_ROWS) {
        size_t left = part->row_count - i;
        part->kernels->dense_dot_many_f32(part->query, part->rows + i * part->dim, part->dim * 4,
                                          left < BLOCK_ROWS ? left : BLOCK_ROWS, part->dim,
                                          part->out);
    }
}

static void run_l2(struct part *part)
{
    for (size_t i = 0; i < part->row_count; i += BLOCK_ROWS) {
        size_t left = part->row_count - i;
        part->kernels->dense_l2_many_f32(part->query, part->rows + i * part->dim, part->dim * 4,
                                         left < BLOCK_ROWS ? left : BLOCK_ROWS, part->dim,
                                         part->out);
    }
}

static void run_l2_top(struct part *part)
{
    topk_clear(part->topk);
    for (size_t i = 0; i < part->row_count; i += FUSED_BLOCK_ROWS) {
        part->kernels->dense_l2_many_f32(part->query, part->rows + i * part->dim, part->dim * 4,
                                         FUSED_BLOCK_ROWS, part->dim, part->out);
        float threshold = topk_threshold(part->topk);
        for (size_t row = 0; row < FUSED_BLOCK_ROWS; row++) {
            if (part->out[row] > threshold) continue;
            topk_push(part->topk, part->out[row], 0, (uint32_t)(i + row));
            threshold = topk_threshold(part->topk);
        }
    }
}

static int compare_rows(void *ctx, const struct candidate *a, const struct candidate *b)
{
    (void)ctx;
    return a->row < b->row ? -1 : 1;
}

/* Helpers wait at `start`, run `run` on their part, and meet at `end`. */
struct team {
    pthread_barrier_t start, end;
    struct part parts[THREADS_MAX];
    struct topk topks[THREADS_MAX];
    case_fn *run; /* NULL ends a helper */
};

struct helper {
    struct team *team;
    unsigned number;
    struct thread thread;
};

static void help(void *ctx)
{
    struct helper *helper = ctx;
    for (;;) {
        pthread_barrier_wait(&helper->team->start);
        if (!helper->team->run) return;
        helper->team->run(&helper->team->parts[helper->number]);
        pthread_barrier_wait(&helper->team->end);
    }
}

static uint64_t time_case(struct team *team, const struct bench_case *c, unsigned thread_count)
{
    for (unsigned t = 0; t < thread_count; t++) team->parts[t].kernels = c->kernels;
    team->run = c->run;
    pthread_barrier_wait(&team->start);
    uint64_t begin = clock_now_us(clock_system());
    c->run(&team->parts[0]);
    pthread_barrier_wait(&team->end);
    return clock_now_us(clock_system()) - begin;
}

static int compare_ratios(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_ratio(const struct bench_case *limit, const struct bench_case *c,
                           size_t rounds)
{
    double ratios[ROUNDS_MAX];
    for (size_t i = 0; i < rounds; i++)
        ratios[i] = (double)limit->time_us[i] / (double)c->time_us[i];
    qsort(ratios, rounds, sizeof ratios[0], compare_ratios);
    return ratios[rounds / 2];
}

static size_t list_cases(struct bench_case *cases, const struct simd_kernels *kernels,
                         size_t level_count)
{
    static const struct {
        const char *name;
        case_fn *run;
    } runs[] = {{"dot", run_dot}, {"l2", run_l2}, {"l2 top-10", run_l2_top}};
    size_t count = 0;

    cases[count++] = (struct bench_case){.name = "read", .level = "-", .run = read_plain};
    cases[count++] =
        (struct bench_case){.name = "read, prefetch", .level = "-", .run = read_prefetched};
    for (size_t level = 0; level < level_count; level++)
        for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
            cases[count++] = (struct bench_case){.name = runs[i].name,
                                                 .level = cpu_level_name(kernels[level].level),
                                                 .run = runs[i].run,
                                                 .kernels = &kernels[level]};
    return count;
}

static void print_cases(const struct bench_case *cases, size_t case_count, size_t rounds,
                        const struct shape *shape, unsigned thread_count)
{
    const struct bench_case *limit = cases[0].best_us < cases[1].best_us ? &cases[0] : &cases[1];
    double bytes = (double)shape->row_count * (double)shape->dim * 4;

    printf("\n%zu x %zu f32, %u thread%s\n%-16s %-8s %8s %8s %9s %8s\n", shape->row_count,
           shape->dim, thread_count, thread_count == 1 ? "" : "s", "case", "level", "GB/s",
           "ns/row", "of limit", "median");
    for (size_t i = 0; i < case_count; i++) {
        double us = (double)cases[i].best_us;
        printf("%-16s %-8s %8.1f %8.1f %9.2f %8.2f\n", cases[i].name, cases[i].level,
               bytes / us * 1e-3, us * 1e3 / (double)shape->row_count, (double)limit->best_us / us,
               median_ratio(limit, &cases[i], rounds));
    }
    fflush(stdout);
}

static void run_shape(const struct shape *shape, struct team *team, unsigned thread_count,
                      size_t rounds, const float *query, const float *rows)
{
    struct simd_kernels kernels[SIMD_LEVEL_COUNT];
    static struct bench_case cases[CASES_MAX];
    struct helper helpers[THREADS_MAX] = {0};
    size_t level_count = 0, part_rows = shape->row_count / thread_count;

    while (level_count < SIMD_LEVEL_COUNT &&
           kernels_of_level((enum simd_level)level_count, &kernels[level_count]))
        level_count++;
    size_t case_count = list_cases(cases, kernels, level_count);

    if (pthread_barrier_init(&team->start, NULL, thread_count) != 0 ||
        pthread_barrier_init(&team->end, NULL, thread_count) != 0)
        give_up("no barrier");
    for (unsigned t = 0; t < thread_count; t++) {
        struct part *part = &team->parts[t];
        part->query = query;
        part->rows = rows + t * part_rows * shape->dim;
        part->row_count = part_rows;
        part->dim = shape->dim;
        part->topk = &team->topks[t];
        helpers[t] = (struct helper){.team = team, .number = t};
        struct error err;
        if (t > 0 && thread_start(&helpers[t].thread, "bench", help, &helpers[t], &err) != 0)
            give_up(err.text);
    }
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < case_count; i++) {
            uint64_t us = time_case(team, &cases[i], thread_count);
            cases[i].time_us[round] = us;
            if (round == 0 || us < cases[i].best_us) cases[i].best_us = us;
        }
    }
    team->run = NULL;
    pthread_barrier_wait(&team->start);
    for (unsigned t = 1; t < thread_count; t++) thread_join(&helpers[t].thread);
    pthread_barrier_destroy(&team->start);
    pthread_barrier_destroy(&team->end);
    print_cases(cases, case_count, rounds, shape, thread_count);
}

static uint32_t random_below(uint32_t bound)
{
    static uint64_t state = 1; /* Knuth's MMIX generator */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 32) * bound >> 32);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 15;
    size_t float_count = 0;
    struct alloc *alloc = alloc_libc();
    static struct team team;

    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "rounds is %s; it may be 1 to %d\n", argv[1], ROUNDS_MAX);
        return 2;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        size_t floats = shapes[i].row_count * shapes[i].dim;
        if (floats > float_count) float_count = floats;
    }
    float *rows = mem_alloc_aligned(alloc, MEM_GENERAL, float_count * 4, 64);
    float *query = mem_alloc_aligned(alloc, MEM_GENERAL, 1024 * 4, 64);
    if (!rows || !query) give_up("out of memory");
    for (size_t i = 0; i < float_count; i++) rows[i] = (float)random_below(1000) / 1000;
    for (size_t i = 0; i < 1024; i++) query[i] = (float)random_below(1000) / 1000;
    for (unsigned t = 0; t < THREADS_MAX; t++)
        if (topk_init(&team.topks[t], alloc, K, compare_rows, NULL) != 0) give_up("out of memory");

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (unsigned threads = 1; threads <= THREADS_MAX; threads++)
            run_shape(&shapes[i], &team, threads, rounds, query, rows);
    }
    for (unsigned t = 0; t < THREADS_MAX; t++) topk_deinit(&team.topks[t]);
    mem_free(alloc, query);
    mem_free(alloc, rows);
    return 0;
}
