/* SPDX-License-Identifier: Apache-2.0 */
/* bench_diskann.c — a collection with an index on the disk, through lynse.h: made, or opened again,
 * and searched as told on stdin.
 *
 * WHAT        bench/diskann.py drives this program and the peers' (support/disk_peer.py) alike, and
 *             drops what the page cache has of a root between two searches.
 * USAGE       bench_diskann make ROOT FOLDER MODE [NAME=VALUE]...
 *             bench_diskann search ROOT FOLDER MODE [NAME=VALUE]...
 *             FOLDER: a data set as bench_ann has them; MODE: of the index, as DISKANN-L2; the
 *             names are its parameters.
 * COMMANDS    Of search, a line each, after a line that says `opened` and the bytes that the
 *             library has taken:
 *                 search effort=50 first=0 end=1000 out=FILE
 *             answers `searched SECONDS`, of all of them one by one; out: ids as int64, K a query,
 *             -1 where there is none.
 * FAILURE     Says why on stderr, and ends.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lynse.h"

enum { CALL_ROWS = 4096, K = 10, PATH_BYTES = 512, PARAMS_MAX = 8 };

struct bench {
    uint32_t dim;
    size_t row_count, query_count;
    struct lynse *db;
    struct lynse_collection *docs;
    const char *mode;
    struct lynse_index_param params[PARAMS_MAX];
    size_t param_count;
};

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "bench_diskann: %s: %s\n", what, why);
    exit(1);
}

static void must(int code, const struct lynse_error *err, const char *what)
{
    if (code != LYNSE_OK) give_up(what, err->text);
}

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the data ---- */

static FILE *open_file(const char *folder, const char *name)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) give_up(path, "cannot be opened");
    return file;
}

static float *take_rows(const struct bench *b, size_t count)
{
    float *rows = malloc(count * b->dim * sizeof *rows);
    if (!rows) give_up("rows", "no memory");
    return rows;
}

static void read_rows(const struct bench *b, FILE *file, size_t count, float *out)
{
    if (fread(out, b->dim * sizeof *out, count, file) != count) give_up("rows", "too few");
}

static void read_shape(struct bench *b, const char *folder)
{
    FILE *file = open_file(folder, "shape");
    if (fscanf(file, "%" SCNu32 " %zu %zu", &b->dim, &b->row_count, &b->query_count) != 3)
        give_up(folder, "its shape cannot be read");
    fclose(file);
}

static void read_params(struct bench *b, int count, char **words)
{
    for (int i = 0; i < count; i++) {
        char *value = strchr(words[i], '=');
        if (!value || b->param_count == PARAMS_MAX) give_up(words[i], "no parameter");
        *value++ = '\0';
        b->params[b->param_count++] = (struct lynse_index_param){words[i], strtod(value, NULL)};
    }
}

/* ---- the collection ---- */

/* It is there, and in memory, when this returns. */
static void index_all(struct bench *b)
{
    struct lynse_error err = {0};
    const struct lynse_index_desc index = {
        .mode = b->mode, .params = b->params, .param_count = b->param_count};
    must(lynse_index_set(b->docs, &index, &err), &err, "index");
}

static void make(struct bench *b, const char *root, const char *folder)
{
    struct lynse_error err = {0};
    const struct lynse_open_desc open = {.path = root};
    const struct lynse_collection_desc desc = {
        .name = "docs", .dim = b->dim, .metric = LYNSE_L2, .sync = LYNSE_SYNC_OS};
    float *vectors = take_rows(b, CALL_ROWS);
    uint64_t numbers[CALL_ROWS];
    FILE *file = open_file(folder, "base.f32");

    must(lynse_open(&open, &b->db, &err), &err, "open");
    must(lynse_collection_create(b->db, &desc, &b->docs, &err), &err, "create");
    for (size_t row = 0; row < b->row_count; row += CALL_ROWS) {
        size_t left = b->row_count - row, count = left < CALL_ROWS ? left : CALL_ROWS;
        read_rows(b, file, count, vectors);
        for (size_t i = 0; i < count; i++) numbers[i] = row + i;
        struct lynse_rows rows = {
            .dim = b->dim, .count = count, .vectors = vectors, .numbers = numbers};
        must(lynse_add(b->docs, &rows, NULL, NULL, &err), &err, "add");
    }
    must(lynse_flush(b->docs, &err), &err, "flush");
    index_all(b);
    struct lynse_collection_info info = {.struct_bytes = sizeof info};
    must(lynse_collection_info(b->docs, &info, &err), &err, "info");
    printf("segments %u\n", info.segment_count);
    fclose(file);
    free(vectors);
}

static void open_again(struct bench *b, const char *root)
{
    struct lynse_error err = {0};
    const struct lynse_open_desc open = {.path = root, .search_threads = 1};

    must(lynse_open(&open, &b->db, &err), &err, "open");
    must(lynse_collection_open(b->db, "docs", &b->docs, &err), &err, "docs");
    index_all(b);
    printf("opened %" PRIu64 "\n", lynse_memory_bytes(b->db));
    fflush(stdout);
}

/* ---- searches ---- */

static void search(struct bench *b, const float *queries, const char *line)
{
    size_t first, end;
    uint32_t effort;
    char out[PATH_BYTES];
    double seconds = 0;

    if (sscanf(line, "search effort=%" SCNu32 " first=%zu end=%zu out=%511s", &effort, &first, &end,
               out) != 4 ||
        first > end || end > b->query_count)
        give_up(line, "not understood");
    FILE *file = fopen(out, "wb");
    if (!file) give_up(out, "cannot be written");
    for (size_t q = first; q < end; q++) {
        struct lynse_error err = {0};
        struct lynse_hits *hits;
        int64_t ids[K];
        const struct lynse_search_desc desc = {
            .vector = queries + q * b->dim, .dim = b->dim, .k = K, .effort = effort, .error = &err};
        double begin = now_seconds();
        must(lynse_search(b->docs, &desc, &hits), &err, "search");
        seconds += now_seconds() - begin;
        for (size_t i = 0; i < K; i++) ids[i] = i < hits->count ? (int64_t)hits->numbers[i] : -1;
        fwrite(ids, sizeof ids, 1, file);
        lynse_hits_free(hits);
    }
    fclose(file);
    printf("searched %.9f\n", seconds);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct lynse_error err = {0};
    char line[2 * PATH_BYTES];

    if (argc < 5) give_up("usage", "bench_diskann make|search ROOT FOLDER MODE [NAME=VALUE]...");
    read_shape(&b, argv[3]);
    b.mode = argv[4];
    read_params(&b, argc - 5, argv + 5);
    if (strcmp(argv[1], "make") == 0) {
        make(&b, argv[2], argv[3]);
    } else {
        float *queries = take_rows(&b, b.query_count);
        FILE *file = open_file(argv[3], "queries.f32");
        read_rows(&b, file, b.query_count, queries);
        fclose(file);
        open_again(&b, argv[2]);
        while (fgets(line, sizeof line, stdin)) search(&b, queries, line);
        free(queries);
    }
    must(lynse_close(b.db, &err), &err, "close");
    return 0;
}
