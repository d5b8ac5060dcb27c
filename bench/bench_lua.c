/* SPDX-License-Identifier: Apache-2.0 */
/* bench_lua.c — what a hook costs.
 *
 * WHAT        score      of 1,000 candidates in one batch: arithmetic on the distance and two
 *                        columns, trusted, untrusted, and the same loop in C twice
 *             begin      a run of a hook that a state has compiled, without and with a batch of one
 *             rerank     of 100 hits by their score
 *             absent     the tests for a hook that a search without one makes: ABSENT_JOINED loads
 *                        of pointers that are NULL with one branch for all, ABSENT_TESTS with one
 *                        each, less the same loop without them.  A model: the number was
 *                        counted in api/search.c, api/hooks.c and query/search.c for a search of
 *                        one slice, and a search itself varies by more than this.
 * METHOD      The median of the rounds, in which the kinds take turns; of a trusted hook the first
 *             round, in which it is compiled, counts like the others.
 * USAGE       bench_lua [rounds, 1 to 999; default 101]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "lua/hooks.h"

enum {
    ROUNDS_MAX = 999,
    ROWS = 1000,
    BATCHES = 50,
    HITS = 100,
    ABSENT_TESTS = 7,
    ABSENT_JOINED = 6
};

static const char score_source[] = "return function(n, distance, field, out)\n"
                                   "   local stars, age = field.stars, field.age\n"
                                   "   for i = 0, n - 1 do\n"
                                   "      out[i] = distance[i] - 0.3 * stars[i] + 0.1 * age[i]\n"
                                   "   end\n"
                                   "end";
static const char rerank_source[] = "return function(hits)\n"
                                    "   table.sort(hits, function(a, b)\n"
                                    "      return a.score < b.score\n"
                                    "   end)\n"
                                    "   return hits\n"
                                    "end";

static float distances[ROWS], out[ROWS];
static double stars[ROWS], age[ROWS];
static const double *const columns[] = {stars, age};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

static struct hook *prepare(struct hook_host *host, enum hook_point point, bool is_trusted,
                            const char *source)
{
    struct hook_desc desc = {
        .point = point, .source = slice_of_text(source), .is_trusted = is_trusted};
    struct hook *hook;
    struct error err;
    if (hook_prepare(host, &desc, &hook, &err) == 0) return hook;
    fprintf(stderr, "%s\n", err.text);
    exit(1);
}

typedef void score_fn(size_t n, const float *in, const double *a, const double *b, float *result);

static void score_in_c(size_t n, const float *in, const double *a, const double *b, float *result)
{
    for (size_t i = 0; i < n; i++) result[i] = (float)((double)in[i] - 0.3 * a[i] + 0.1 * b[i]);
}
/* As LuaJIT compiles it: one row after the other. */
__attribute__((optimize("no-tree-vectorize"))) static void
score_by_row(size_t n, const float *in, const double *a, const double *b, float *result)
{
    for (size_t i = 0; i < n; i++) result[i] = (float)((double)in[i] - 0.3 * a[i] + 0.1 * b[i]);
}
static score_fn *volatile in_c[] = {score_by_row, score_in_c};

/* Nanoseconds a candidate. */
static double run_c(bool is_vectorised)
{
    double begin = now_ns();
    for (int i = 0; i < BATCHES; i++) in_c[is_vectorised](ROWS, distances, stars, age, out);
    return (now_ns() - begin) / BATCHES / ROWS;
}

static double run_score(struct hook *hook, struct hook_wants *wants)
{
    struct hook_batch batch = {ROWS, distances, columns, 0, out};
    struct hook_run *run;
    struct error err;

    CHECK(hook_begin(hook, 0, &run, &err) == 0);
    enum hook_result result = HOOK_WANTS_MORE;
    while (result == HOOK_WANTS_MORE) {
        batch.column_count = wants->field_count;
        result = hook_score(run, &batch, wants, &err);
    }
    double begin = now_ns();
    for (int i = 0; i < BATCHES && result == HOOK_DONE; i++)
        result = hook_score(run, &batch, wants, &err);
    double ns = (now_ns() - begin) / BATCHES / ROWS;
    hook_end(run);
    CHECK(result == HOOK_DONE);
    return ns;
}

/* Nanoseconds a run. */
static double run_begin(struct hook *hook)
{
    struct hook_run *run;
    double begin = now_ns();
    for (int i = 0; i < BATCHES; i++) {
        CHECK(hook_begin(hook, 0, &run, NULL) == 0);
        hook_end(run);
    }
    return (now_ns() - begin) / BATCHES;
}

static volatile uintptr_t absent[ABSENT_TESTS + ABSENT_JOINED];
static volatile int present_count;

/* Nanoseconds of test_count tests, and of one turn of the loop around them. */
static inline double run_tests(int test_count, int joined_count)
{
    double begin = now_ns();
    for (int i = 0; i < BATCHES * ROWS; i++) {
        uintptr_t joined = 0;
        __asm__ volatile("");
#pragma GCC unroll 7
        for (int k = 0; k < test_count; k++)
            if (absent[k]) present_count++;
#pragma GCC unroll 6
        for (int k = 0; k < joined_count; k++) joined |= absent[ABSENT_TESTS + k];
        if (joined_count && joined) present_count++;
    }
    return (now_ns() - begin) / BATCHES / ROWS;
}

static double run_absent(void)
{
    double with = run_tests(ABSENT_TESTS, ABSENT_JOINED);
    return with - run_tests(0, 0);
}

/* Nanoseconds a hit. */
static double run_rerank(struct hook *hook)
{
    static struct hook_hit list[HITS];
    uint32_t places[HITS];
    float scores[HITS];
    struct hook_hits hits = {.hit_count = HITS, .hits = list};
    struct hook_order order = {.places = places, .scores = scores};
    struct hook_wants wants = {0};
    struct hook_run *run;

    for (size_t i = 0; i < HITS; i++)
        list[i] = (struct hook_hit){.id = id_of_number(i), .score = (float)(i * 37 % HITS)};
    CHECK(hook_begin(hook, 0, &run, NULL) == 0);
    double begin = now_ns();
    for (int i = 0; i < BATCHES; i++)
        CHECK(hook_rerank(run, &hits, &wants, &order, NULL) == HOOK_DONE);
    double ns = (now_ns() - begin) / BATCHES / HITS;
    hook_end(run);
    return ns;
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 101;
    enum {
        C,
        C_VECTORISED,
        TRUSTED,
        UNTRUSTED,
        BEGIN,
        BEGIN_UNTRUSTED,
        RERANK,
        RERANK_UNTRUSTED,
        ABSENT,
        KINDS
    };
    static const char *const names[] = {
        "score in C, row by row, ns a candidate",
        "score in C, vectorised, ns a candidate",
        "score trusted, ns a candidate",
        "score untrusted, ns a candidate",
        "begin and end trusted, ns",
        "begin and end untrusted, ns",
        "rerank trusted, ns a hit",
        "rerank untrusted, ns a hit",
        "tests for absent hooks, ns a search",
    };
    static double ns[KINDS][ROUNDS_MAX];
    static struct hook_wants wants[2];
    struct lua_host_desc desc = {.alloc = alloc_libc()};
    struct hook_host *host;
    struct hook *score[2], *rerank[2];

    if (rounds < 1 || rounds > ROUNDS_MAX) return 2;
    CHECK(lua_host_create(&desc, &host, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        score[i] = prepare(host, HOOK_SCORE, i, score_source);
        rerank[i] = prepare(host, HOOK_RERANK, i, rerank_source);
    }
    for (size_t i = 0; i < ROWS; i++) {
        distances[i] = (float)(i * 7919 % ROWS) / ROWS;
        stars[i] = (double)(i % 6);
        age[i] = (double)(i * 31 % 365) / 365;
    }
    for (size_t r = 0; r < rounds; r++) {
        ns[C][r] = run_c(false);
        ns[C_VECTORISED][r] = run_c(true);
        ns[TRUSTED][r] = run_score(score[1], &wants[1]);
        ns[UNTRUSTED][r] = run_score(score[0], &wants[0]);
        ns[BEGIN][r] = run_begin(score[1]);
        ns[BEGIN_UNTRUSTED][r] = run_begin(score[0]);
        ns[RERANK][r] = run_rerank(rerank[1]);
        ns[RERANK_UNTRUSTED][r] = run_rerank(rerank[0]);
        ns[ABSENT][r] = run_absent();
    }
    for (int k = 0; k < KINDS; k++) printf("%-40s %9.2f\n", names[k], median(ns[k], rounds));
    for (int i = 0; i < 2; i++) {
        hook_destroy(score[i]);
        hook_destroy(rerank[i]);
    }
    lua_host_destroy(host);
    return 0;
}
