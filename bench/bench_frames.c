/* SPDX-License-Identifier: Apache-2.0 */
/* bench_frames.c — how well a frame's budget is kept: a root without threads builds an index, and
 * searches through it, in calls of so many microseconds.
 *
 * WHAT        polls   lynse_poll(BUDGET) until all rows have their index: builds, files and the
 *                     swap are in them
 *             steps   lynse_search_step(BUDGET) of QUERIES searches, their last steps too
 *             For each: how many calls, what half of them took, 99 of 100, the longest.
 * METHOD      ROWS vectors of DIM around CENTERS points, queries likewise; processor time of this
 *             thread, so that a neighbour's noise stays out: what waits for the disk is not in it.
 *             LYNSE_POLL_MAY_SYNC, without which an index is written when the host says so.
 * USAGE       bench_frames PATH BUDGET_US ROWS MODE...    PATH: a folder for roots, new
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/rng.h"
#include "lynse.h"

enum { DIM = 128, CENTERS = 500, QUERIES = 300, K = 10, ADD_ROWS = 4096, CALLS_MAX = 1 << 22 };

struct calls {
    float *us;
    size_t count;
};

static float centers[CENTERS][DIM];

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "bench_frames: %s: %s\n", what, why);
    exit(1);
}

static void must(int code, const struct lynse_error *err, const char *what)
{
    if (code != LYNSE_OK) give_up(what, err->text);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void note(struct calls *c, double us)
{
    if (c->count < CALLS_MAX) c->us[c->count++] = (float)us;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_calls(const char *what, struct calls *c)
{
    if (c->count == 0) return;
    qsort(c->us, c->count, sizeof *c->us, by_size);
    printf("  %-6s %9zu %9.0f %9.0f %9.0f us\n", what, c->count, (double)c->us[c->count / 2],
           (double)c->us[c->count * 99 / 100], (double)c->us[c->count - 1]);
    c->count = 0;
}

static void draw(struct rng *rng, float *out)
{
    const float *center = centers[rng_below(rng, CENTERS)];
    for (size_t i = 0; i < DIM; i++) out[i] = center[i] + 0.5f * rng_normal(rng);
}

static void add_all(struct lynse_collection *docs, size_t row_count, struct rng *rng)
{
    static float vectors[ADD_ROWS][DIM];
    struct lynse_error err = {0};

    for (size_t row = 0; row < row_count; row += ADD_ROWS) {
        size_t left = row_count - row, count = left < ADD_ROWS ? left : ADD_ROWS;
        for (size_t i = 0; i < count; i++) draw(rng, vectors[i]);
        must(lynse_add(docs,
                       &(struct lynse_rows){.count = count, .dim = DIM, .vectors = vectors[0]},
                       NULL, NULL, &err),
             &err, "add");
    }
}

static float progress_of(struct lynse_collection *docs)
{
    struct lynse_collection_info info = {.struct_bytes = sizeof info};
    struct lynse_error err = {0};
    must(lynse_collection_info(docs, &info, &err), &err, "info");
    return info.index_progress;
}

static void index_all(struct lynse *db, struct lynse_collection *docs, const char *mode,
                      uint64_t budget_us, struct calls *polls)
{
    const struct lynse_index_desc index = {.mode = mode, .flags = LYNSE_INDEX_NO_WAIT};
    struct lynse_error err = {0};
    int code = LYNSE_MORE;

    must(lynse_index_set(docs, &index, &err), &err, mode);
    while (code == LYNSE_MORE || progress_of(docs) < 1) {
        double began = now_us();
        code = lynse_poll(db, budget_us);
        note(polls, now_us() - began);
        if (code != LYNSE_MORE && code != LYNSE_OK) give_up(mode, "a poll failed");
    }
}

/* A frame after the other, each with a poll, in which an index is loaded too. */
static void search(struct lynse *db, struct lynse_collection *docs, uint64_t budget_us,
                   struct rng *rng, struct calls *steps)
{
    float query[DIM];
    struct lynse_error err = {0};
    struct lynse_search_desc desc = {.vector = query, .dim = DIM, .k = K, .error = &err};
    struct lynse_search *s;
    struct lynse_hits *hits;
    int code;

    draw(rng, query);
    must(lynse_search_begin(docs, &desc, &s), &err, "begin");
    do {
        if (lynse_poll(db, budget_us) > LYNSE_OK) give_up("search", "a poll failed");
        double began = now_us();
        code = lynse_search_step(s, budget_us, &hits);
        note(steps, now_us() - began);
    } while (code == LYNSE_MORE);
    must(code, &err, "step");
    lynse_hits_free(hits);
}

static void run(const char *folder, const char *mode, uint64_t budget_us, size_t row_count,
                struct calls *calls)
{
    char path[512];
    struct lynse *db;
    struct lynse_collection *docs;
    struct lynse_error err = {0};
    struct rng rng;
    struct lynse_collection_desc desc = {.name = "docs", .dim = DIM, .metric = LYNSE_L2};

    snprintf(path, sizeof path, "%s/%s", folder, mode);
    const struct lynse_open_desc root = {
        .path = path, .mode = LYNSE_INLINE, .flags = LYNSE_POLL_MAY_SYNC};
    must(lynse_open(&root, &db, &err), &err, path);
    must(lynse_collection_create(db, &desc, &docs, &err), &err, "create");
    rng_init(&rng, 1);
    add_all(docs, row_count, &rng);
    printf("%s\n", mode);
    index_all(db, docs, mode, budget_us, calls);
    print_calls("polls", calls);
    for (int i = 0; i < QUERIES; i++) search(db, docs, budget_us, &rng, calls);
    print_calls("steps", calls);
    must(lynse_close(db, &err), &err, "close");
}

int main(int argc, char **argv)
{
    struct calls calls = {malloc(CALLS_MAX * sizeof(float)), 0};
    struct rng rng;

    if (argc < 5) give_up("usage", "bench_frames PATH BUDGET_US ROWS MODE...");
    if (!calls.us) give_up("calls", "no memory");
    if (mkdir(argv[1], 0777) != 0) give_up(argv[1], "cannot be made");
    rng_init(&rng, 2);
    for (size_t i = 0; i < CENTERS; i++)
        for (size_t j = 0; j < DIM; j++) centers[i][j] = rng_normal(&rng);
    printf("  %-6s %9s %9s %9s %9s\n", "", "calls", "half", "99 %", "longest");
    for (int i = 4; i < argc; i++)
        run(argv[1], argv[i], strtoull(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), &calls);
    free(calls.us);
    return 0;
}
