/* SPDX-License-Identifier: Apache-2.0 */
/* bench_upsert.c — a collection with an index takes upserts for a while, searched meanwhile.
 *
 * WHAT        One thread upserts the rows of a set of vectors, in calls of CALL_ROWS, at a rate or
 *             as fast as they are taken; another searches every SEARCH_PAUSE_MS, and counts what is
 *             not indexed.  Seals, builds and merges run beside them on the job threads.  In rounds
 *             after the first every row is replaced by one of the same id, with the vector of a row
 *             further on.
 * USAGE       bench_upsert PATH FOLDER MODE RATE [ROUNDS [ROWS]]
 *             PATH: a root, new; FOLDER: a data set as bench_ann has them; RATE: rows a second, 0:
 *             as fast as it goes; ROWS: of the set, at most.
 * OUTPUT      A line each, name and value:
 *                 upserts_per_s        while they went on
 *                 indexed_per_s        until all had an index, too
 *                 settled_per_s        until all was merged, too
 *                 upsert_ms, search_ms median, 99 of 100, the longest
 *                 unindexed_max        rows that a search had to scan, at most
 *                 segments_max, segments
 *                 recall EFFORT        of 10 among the 10 nearest, when all is settled
 *                 qps EFFORT           searches a second then, one after the other
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lynse.h"

enum { CALL_ROWS = 64, SEARCH_PAUSE_MS = 5, K = 10, RECALL_QUERIES = 200, TIMES_MAX = 1 << 20 };

struct times {
    double *ms;
    size_t count;
};

struct bench {
    float *base, *queries;
    size_t row_count, query_count;
    uint32_t dim;
    struct lynse *db;
    struct lynse_collection *docs;
    atomic_bool is_over;
    struct times upserts, searches;
    uint64_t unindexed_max;
    uint32_t segments_max;
};

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "bench_upsert: %s: %s\n", what, why);
    exit(1);
}

static void must(int code, const struct lynse_error *err, const char *what)
{
    if (code != LYNSE_OK) give_up(what, err->text);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void pause_ms(double ms)
{
    if (ms <= 0) return;
    struct timespec t = {(time_t)(ms / 1e3), (long)((ms - (double)(long)(ms / 1e3) * 1e3) * 1e6)};
    nanosleep(&t, NULL);
}

static void note(struct times *t, double ms)
{
    if (t->count < TIMES_MAX) t->ms[t->count++] = ms;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *name, struct times *t)
{
    if (t->count == 0) return;
    qsort(t->ms, t->count, sizeof *t->ms, by_size);
    printf("%s %.3f %.3f %.3f\n", name, t->ms[t->count / 2], t->ms[t->count * 99 / 100],
           t->ms[t->count - 1]);
}

/* ---- the data ---- */

static float *read_floats(const char *folder, const char *name, size_t count)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    float *floats = malloc(count * sizeof *floats);
    if (!file || !floats || fread(floats, sizeof *floats, count, file) != count)
        give_up(path, "cannot be read");
    fclose(file);
    return floats;
}

static void read_set(struct bench *b, const char *folder, size_t row_max)
{
    char path[512];
    size_t dim;
    snprintf(path, sizeof path, "%s/shape", folder);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%zu %zu %zu", &dim, &b->row_count, &b->query_count) != 3)
        give_up(path, "cannot be read");
    fclose(file);
    if (b->row_count > row_max) b->row_count = row_max;
    b->dim = (uint32_t)dim;
    b->base = read_floats(folder, "base.f32", b->row_count * dim);
    b->queries = read_floats(folder, "queries.f32", b->query_count * dim);
}

/* ---- searches ---- */

static struct lynse_hits *search(struct bench *b, size_t query, uint32_t effort, uint32_t flags)
{
    struct lynse_error err = {0};
    struct lynse_hits *hits;
    struct lynse_search_desc desc = {
        .vector = b->queries + query % b->query_count * b->dim,
        .dim = b->dim,
        .k = K,
        .effort = effort,
        .flags = flags,
        .error = &err,
    };
    must(lynse_search(b->docs, &desc, &hits), &err, "search");
    return hits;
}

static double recall(struct bench *b, uint32_t effort)
{
    size_t found = 0;
    for (size_t q = 0; q < RECALL_QUERIES; q++) {
        struct lynse_hits *near = search(b, q, effort, 0), *exact = search(b, q, 0, LYNSE_EXACT);
        for (size_t i = 0; i < near->count; i++)
            for (size_t j = 0; j < exact->count; j++)
                found += near->ids[i].number == exact->ids[j].number;
        lynse_hits_free(near);
        lynse_hits_free(exact);
    }
    return (double)found / (RECALL_QUERIES * K);
}

static double searches_per_s(struct bench *b, uint32_t effort)
{
    double began = now_ms();
    for (size_t q = 0; q < b->query_count; q++) lynse_hits_free(search(b, q, effort, 0));
    return (double)b->query_count * 1e3 / (now_ms() - began);
}

static struct lynse_collection_info info_of(struct bench *b)
{
    struct lynse_collection_info info = {.struct_bytes = sizeof info};
    struct lynse_error err = {0};
    must(lynse_collection_info(b->docs, &info, &err), &err, "info");
    return info;
}

static void look(struct bench *b)
{
    struct lynse_collection_info info = info_of(b);
    double sealed = (double)(info.live_count + info.deleted_count - info.tail_count);
    uint64_t left = (uint64_t)(sealed * (1 - (double)info.index_progress));

    if (info.tail_count + left > b->unindexed_max) b->unindexed_max = info.tail_count + left;
    if (info.segment_count > b->segments_max) b->segments_max = info.segment_count;
}

static void *search_all_the_time(void *ctx)
{
    struct bench *b = ctx;
    for (size_t i = 0; !atomic_load(&b->is_over); i++) {
        double began = now_ms();
        lynse_hits_free(search(b, i, 0, 0));
        note(&b->searches, now_ms() - began);
        if (i % 16 == 0) look(b);
        pause_ms(SEARCH_PAUSE_MS);
    }
    return NULL;
}

/* ---- upserts ---- */

static void upsert(struct bench *b, size_t round, size_t first, size_t count)
{
    struct lynse_error err = {0};
    uint64_t numbers[CALL_ROWS];
    size_t at = (first + round * (b->row_count / 3 + 1)) % b->row_count;

    if (at + count > b->row_count) at = b->row_count - count;
    for (size_t i = 0; i < count; i++) numbers[i] = first + i;
    struct lynse_rows rows = {
        .dim = b->dim, .count = count, .numbers = numbers, .vectors = b->base + at * b->dim};
    int code;
    while ((code = lynse_upsert(b->docs, &rows, NULL, NULL, &err)) == LYNSE_BUSY) pause_ms(1);
    must(code, &err, "upsert");
}

static void upsert_all(struct bench *b, double rate, size_t rounds)
{
    double began = now_ms();
    size_t done = 0;

    for (size_t round = 0; round < rounds; round++) {
        for (size_t row = 0; row < b->row_count; row += CALL_ROWS) {
            size_t left = b->row_count - row, count = left < CALL_ROWS ? left : CALL_ROWS;
            double before = now_ms();
            upsert(b, round, row, count);
            note(&b->upserts, now_ms() - before);
            done += count;
            if (rate > 0) pause_ms(began + (double)done * 1e3 / rate - now_ms());
        }
    }
}

/* Sealed, indexed and merged, when nothing has been written for a while too: nothing has changed
 * for longer than a merge of all would take.  The time of the last change; *out_indexed: when all
 * had its index for the first time. */
static double settle(struct bench *b, double *out_indexed)
{
    double changed = now_ms(), quiet_ms = 10000 + (double)b->row_count / 5;
    uint32_t segments = 0;
    float progress = -1;

    while (now_ms() < changed + quiet_ms) {
        struct lynse_collection_info info = info_of(b);
        if (info.index_progress < 1 || info.index_progress > progress ||
            info.segment_count != segments)
            changed = now_ms();
        progress = info.index_progress;
        if (*out_indexed <= 0 && progress >= 1) *out_indexed = now_ms();
        segments = info.segment_count;
        lynse_hits_free(search(b, 0, 0, 0));
        pause_ms(10);
    }
    return changed;
}

static void make_collection(struct bench *b, const char *path, const char *mode)
{
    struct lynse_error err = {0};
    struct lynse_collection_desc desc = {
        .name = "upserts", .dim = b->dim, .sync = LYNSE_SYNC_OS, .metric = LYNSE_L2};
    struct lynse_index_desc index = {.mode = mode, .flags = LYNSE_INDEX_NO_WAIT};

    must(lynse_open(&(struct lynse_open_desc){.path = path}, &b->db, &err), &err, "open");
    must(lynse_collection_create(b->db, &desc, &b->docs, &err), &err, "create");
    must(lynse_index_set(b->docs, &index, &err), &err, mode);
}

int main(int argc, char **argv)
{
    static struct bench b;
    static const uint32_t efforts[] = {50, 100, 200};
    struct lynse_error err = {0};
    pthread_t searcher;

    if (argc < 5) give_up("usage", "bench_upsert PATH FOLDER MODE RATE [ROUNDS [ROWS]]");
    double rate = strtod(argv[4], NULL);
    size_t rounds = argc > 5 ? strtoul(argv[5], NULL, 10) : 1;
    read_set(&b, argv[2], argc > 6 ? strtoul(argv[6], NULL, 10) : SIZE_MAX);
    b.upserts.ms = malloc(TIMES_MAX * sizeof(double));
    b.searches.ms = malloc(TIMES_MAX * sizeof(double));
    if (!b.upserts.ms || !b.searches.ms) give_up("times", "no memory");
    make_collection(&b, argv[1], argv[3]);
    upsert(&b, 0, 0, 1);
    if (pthread_create(&searcher, NULL, search_all_the_time, &b) != 0) give_up("thread", "none");
    double began = now_ms(), rows = (double)(rounds * b.row_count);
    upsert_all(&b, rate, rounds);
    printf("upserts_per_s %.0f\n", rows * 1e3 / (now_ms() - began));
    double indexed = 0, settled = settle(&b, &indexed);
    printf("indexed_per_s %.0f\n", rows * 1e3 / (indexed - began));
    printf("settled_per_s %.0f\n", rows * 1e3 / (settled - began));
    atomic_store(&b.is_over, true);
    pthread_join(searcher, NULL);
    print_times("upsert_ms", &b.upserts);
    print_times("search_ms", &b.searches);
    printf("unindexed_max %" PRIu64 "\nsegments_max %u\nsegments %u\n", b.unindexed_max,
           b.segments_max, info_of(&b).segment_count);
    for (size_t i = 0; i < sizeof efforts / sizeof *efforts; i++) {
        printf("recall %u %.4f\n", efforts[i], recall(&b, efforts[i]));
        printf("qps %u %.0f\n", efforts[i], searches_per_s(&b, efforts[i]));
    }
    must(lynse_close(b.db, &err), &err, "close");
    return 0;
}
