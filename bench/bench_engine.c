/* SPDX-License-Identifier: Apache-2.0 */
/* bench_engine.c — figures of the whole engine through lynse.h, one case a run; bench/engine.py
 * drives it and makes the table.
 *
 *   bench_engine bulk PATH ROWS DIM SYNC
 *                rows/s of add in calls of 10,000 rows, then a checkpoint
 *   bench_engine inserts PATH THREADS SECONDS
 *                rows/s of durable single-row adds, one in flight each
 *   bench_engine batches PATH SECONDS
 *                rows/s of durable 128-row adds, 128-d, one thread
 *   bench_engine open PATH
 *                us to open and first get; first and warm exact search
 *   bench_engine log PATH BYTES
 *                fill the log with that many bytes, then wait to be killed
 *   bench_engine search PATH SECONDS THREADS
 *                us of one exact search, median; bytes it reads
 *   bench_engine overhead
 *                ns of a search over 1,000 rows beside its kernel
 *
 * Each prints lines `name value`.  With LYNSE_LSN_FD set, `inserts` writes each acknowledged LSN
 * there (8 bytes), for the trace that shows what was synced when.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lynse.h"
#include "simd/kernels.h"

static struct lynse_error err;

static void must(int code, const char *what)
{
    if (code == LYNSE_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, lynse_error_name(code), err.text);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t random_state = 88172645463325252u;
static float random_float(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (float)(random_state >> 40) / 8388608.0f - 1.0f;
}

static float *random_vectors(size_t count)
{
    float *v = malloc(count * sizeof *v);
    for (size_t i = 0; v && i < count; i++) v[i] = random_float();
    return v;
}

static struct lynse *open_root(const char *path)
{
    struct lynse *db;
    must(lynse_open(&(struct lynse_open_desc){.path = path}, &db, &err), "open");
    return db;
}

static struct lynse_collection *require(struct lynse *db, const char *name, uint32_t dim,
                                        uint32_t sync)
{
    struct lynse_collection *c;
    struct lynse_collection_desc desc = {
        .name = name, .dim = dim, .metric = LYNSE_L2, .sync = sync};
    must(lynse_collection_require(db, &desc, &c, &err), "require");
    return c;
}

/* ---- bulk ---- */

static int run_bulk(const char *path, size_t rows, uint32_t dim, uint32_t sync)
{
    enum { CALL = 10000 };
    struct lynse *db = open_root(path);
    struct lynse_collection *c = require(db, "bulk", dim, sync);
    float *v = random_vectors((size_t)CALL * dim);
    uint64_t begin = now_ns();

    for (size_t done = 0; done < rows; done += CALL) {
        size_t count = rows - done < CALL ? rows - done : CALL;
        must(lynse_add(c, &(struct lynse_rows){.count = count, .dim = dim, .vectors = v}, NULL,
                       NULL, &err),
             "add");
    }
    double added = (double)(now_ns() - begin) * 1e-9;
    must(lynse_checkpoint(c, &err), "checkpoint");
    double flushed = (double)(now_ns() - begin) * 1e-9;
    must(lynse_close(db, &err), "close");
    printf("rows_per_second %.0f\nflushed_rows_per_second %.0f\n", (double)rows / added,
           (double)rows / flushed);
    free(v);
    return 0;
}

/* ---- durable single rows ---- */

struct client {
    pthread_t thread;
    struct lynse_collection *c;
    uint64_t deadline;
    uint64_t count;
    int lsn_fd;
};

static void *insert_rows(void *ctx)
{
    struct client *k = ctx;
    float v[128];

    for (int i = 0; i < 128; i++) v[i] = (float)i;
    while (now_ns() < k->deadline) {
        struct lynse_write_result result;
        struct lynse_error e;
        if (lynse_add(k->c, &(struct lynse_rows){.count = 1, .dim = 128, .vectors = v}, NULL,
                      &result, &e) != LYNSE_OK) {
            fprintf(stderr, "add: %s\n", e.text);
            exit(1);
        }
        if (k->lsn_fd >= 0 && write(k->lsn_fd, &result.lsn, sizeof result.lsn) != sizeof result.lsn)
            exit(1);
        k->count++;
    }
    return NULL;
}

static int run_inserts(const char *path, size_t threads, double seconds)
{
    struct lynse *db = open_root(path);
    struct lynse_collection *c = require(db, "inserts", 128, LYNSE_SYNC_ALWAYS);
    struct client *clients = calloc(threads, sizeof *clients);
    const char *fd = getenv("LYNSE_LSN_FD");
    uint64_t begin = now_ns(), total = 0;

    for (size_t i = 0; i < threads; i++) {
        clients[i] = (struct client){
            .c = c, .deadline = begin + (uint64_t)(seconds * 1e9), .lsn_fd = fd ? atoi(fd) : -1};
        if (pthread_create(&clients[i].thread, NULL, insert_rows, &clients[i]) != 0) exit(1);
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(clients[i].thread, NULL);
        total += clients[i].count;
    }
    printf("rows_per_second %.0f\n", (double)total * 1e9 / (double)(now_ns() - begin));
    must(lynse_close(db, &err), "close");
    free(clients);
    return 0;
}

static int run_batches(const char *path, double seconds)
{
    struct lynse *db = open_root(path);
    struct lynse_collection *c = require(db, "batches", 128, LYNSE_SYNC_ALWAYS);
    float *v = random_vectors(128 * 128);
    uint64_t begin = now_ns(), rows = 0;

    while (now_ns() - begin < (uint64_t)(seconds * 1e9)) {
        must(lynse_add(c, &(struct lynse_rows){.count = 128, .dim = 128, .vectors = v}, NULL, NULL,
                       &err),
             "add");
        rows += 128;
    }
    printf("rows_per_second %.0f\n", (double)rows * 1e9 / (double)(now_ns() - begin));
    must(lynse_close(db, &err), "close");
    free(v);
    return 0;
}

/* ---- opening ---- */

static double search_us(struct lynse_collection *c, const float *query, uint32_t dim)
{
    struct lynse_hits *hits;
    uint64_t begin = now_ns();

    must(lynse_search(
             c, &(struct lynse_search_desc){.vector = query, .dim = dim, .k = 10, .error = &err},
             &hits),
         "search");
    double us = (double)(now_ns() - begin) * 1e-3;
    lynse_hits_free(hits);
    return us;
}

static int run_open(const char *path, const char *name)
{
    uint64_t begin = now_ns();
    struct lynse *db = open_root(path);
    struct lynse_collection *c;
    struct lynse_collection_info info = {0};
    struct lynse_hits *hits;
    struct lynse_id id = {.number = 7};

    must(lynse_collection_open(db, name, &c, &err), "open collection");
    must(lynse_get(c, &id, 1, 0, &hits, &err), "get");
    printf("open_to_get_us %.0f\n", (double)(now_ns() - begin) * 1e-3);
    printf("found %zu\n", hits->count);
    lynse_hits_free(hits);
    must(lynse_collection_info(c, &info, &err), "info");
    printf("rows %" PRIu64 "\n", info.live_count);
    float *query = random_vectors(info.dim);
    double first = search_us(c, query, info.dim), warm = 1e18;
    for (int i = 0; i < 2; i++) { /* that read the vectors too: later ones read their shadow */
        double us = search_us(c, query, info.dim);
        if (us < warm) warm = us;
    }
    printf("first_search_us %.0f\nwarm_search_us %.0f\n", first, warm);
    free(query);
    must(lynse_close(db, &err), "close");
    return 0;
}

static int run_log(const char *path, uint64_t bytes)
{
    struct lynse *db = open_root(path);
    struct lynse_collection *c = require(db, "log", 128, LYNSE_SYNC_OS);
    struct lynse_collection_info info = {0};
    float *v = random_vectors(1000 * 128);

    do {
        must(lynse_add(c, &(struct lynse_rows){.count = 1000, .dim = 128, .vectors = v}, NULL, NULL,
                       &err),
             "add");
        must(lynse_collection_info(c, &info, &err), "info");
    } while (info.log_bytes < bytes);
    printf("log_bytes %" PRIu64 "\nrows %" PRIu64 "\n", info.log_bytes, info.live_count);
    fflush(stdout);
    kill(getpid(), SIGKILL);
    return 1;
}

/* ---- searching ---- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int run_search(const char *path, double seconds, uint32_t threads)
{
    enum { SAMPLES = 10000 };
    struct lynse *db;
    struct lynse_collection *c;
    struct lynse_collection_info info = {0};
    static double samples[SAMPLES];
    size_t count = 0;

    must(lynse_open(&(struct lynse_open_desc){.path = path, .search_threads = threads}, &db, &err),
         "open");
    must(lynse_collection_open(db, "bulk", &c, &err), "open collection");
    must(lynse_collection_info(c, &info, &err), "info");
    float *query = random_vectors(info.dim);
    search_us(c, query, info.dim);
    for (uint64_t begin = now_ns();
         now_ns() - begin < (uint64_t)(seconds * 1e9) && count < SAMPLES;)
        samples[count++] = search_us(c, query, info.dim);
    qsort(samples, count, sizeof *samples, compare_doubles);
    double bytes = (double)info.live_count * info.dim * sizeof(float);
    printf("search_us %.1f\nbytes %.0f\ngb_per_second %.2f\n", samples[count / 2], bytes,
           bytes / samples[count / 2] * 1e-3);
    free(query);
    must(lynse_close(db, &err), "close");
    return 0;
}

static int run_overhead(void)
{
    enum { ROWS = 1000, DIM = 128, ROUNDS = 20000 };
    struct lynse *db = open_root(":memory:");
    struct lynse_collection *c = require(db, "small", DIM, LYNSE_SYNC_OS);
    float *v = random_vectors((size_t)ROWS * DIM), *query = random_vectors(DIM),
          *out = malloc(ROWS * sizeof *out);
    double search = 1e18, kernel = 1e18;

    must(lynse_add(c, &(struct lynse_rows){.count = ROWS, .dim = DIM, .vectors = v}, NULL, NULL,
                   &err),
         "add");
    for (int i = 0; i < ROUNDS; i++) {
        double us = search_us(c, query, DIM);
        if (us < search) search = us;
        uint64_t begin = now_ns();
        kernels_active()->dense_l2_many_f32(query, v, DIM * sizeof(float), ROWS, DIM, out);
        us = (double)(now_ns() - begin) * 1e-3;
        if (us < kernel) kernel = us;
    }
    printf("search_ns %.0f\nkernel_ns %.0f\noverhead_ns %.0f\n", search * 1e3, kernel * 1e3,
           (search - kernel) * 1e3);
    must(lynse_close(db, &err), "close");
    free(v);
    free(query);
    free(out);
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    const char *path = argc > 2 ? argv[2] : "";

    if (strcmp(verb, "bulk") == 0 && argc == 6)
        return run_bulk(path, strtoull(argv[3], NULL, 10), (uint32_t)atoi(argv[4]),
                        (uint32_t)atoi(argv[5]));
    if (strcmp(verb, "inserts") == 0 && argc == 5)
        return run_inserts(path, strtoull(argv[3], NULL, 10), atof(argv[4]));
    if (strcmp(verb, "batches") == 0 && argc == 4) return run_batches(path, atof(argv[3]));
    if (strcmp(verb, "open") == 0 && argc == 4) return run_open(path, argv[3]);
    if (strcmp(verb, "log") == 0 && argc == 4) return run_log(path, strtoull(argv[3], NULL, 10));
    if (strcmp(verb, "search") == 0 && argc == 5)
        return run_search(path, atof(argv[3]), (uint32_t)atoi(argv[4]));
    if (strcmp(verb, "overhead") == 0) return run_overhead();
    fprintf(stderr, "usage: bench_engine bulk|inserts|batches|open|log|search|overhead …\n");
    return 2;
}
