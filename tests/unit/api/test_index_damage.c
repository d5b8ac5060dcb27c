/* SPDX-License-Identifier: Apache-2.0 */
/* The file of an index is damaged under an open collection: searches that read it answer as if
 * there were none, it is told, and it is built again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "indexed.h"

static const char *const modes[] = {"DISKANN-L2"};

enum { TRIES = 20000, EVERY_BYTES = 512 };

static void flip_bytes(const char *path)
{
    uint8_t byte;
    int file = open(path, O_RDWR);

    if (file < 0 && errno == ENOENT) return; /* an old one, which is removed in the background */
    assert_true(file >= 0);
    for (off_t at = 0; pread(file, &byte, 1, at) == 1; at += EVERY_BYTES) {
        byte ^= 1;
        assert_int_equal(pwrite(file, &byte, 1, at), 1);
    }
    assert_int_equal(close(file), 0);
}

/* Something else has its name. */
static void put_a_folder_there(const char *path)
{
    if (unlink(path) == 0) assert_int_equal(mkdir(path, 0755), 0);
}

static void put_a_link_there(const char *path)
{
    if (unlink(path) == 0) assert_int_equal(symlink("/dev/zero", path), 0);
}

/* Every index, whatever of it is in memory. */
static void damage_indexes(struct fixture *f, void (*damage)(const char *path))
{
    struct lynse_collection_info info = {0};
    char folder[2 * TEMP_PATH_BYTES], path[4 * TEMP_PATH_BYTES];
    size_t count = 0;

    assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
    snprintf(folder, sizeof folder, "%s/%s", f->path, info.directory);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strncmp(e->d_name, "seg-", 4) != 0 || !strstr(e->d_name, ".idx-")) continue;
        int bytes = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        assert_in_range(bytes, 1, sizeof path - 1);
        damage(path);
        count++;
    }
    closedir(dir);
    assert_true(count > 0);
}

/* Every segment has its index; what is wrong with one was told before that, if it can be seen. */
static void await_indexes(struct fixture *f, bool *out_told)
{
    *out_told = false;
    for (int i = 0; i < TRIES; i++) {
        struct lynse_collection_info info = {0};
        assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
        if (info.index_failure.code) {
            *out_told = true;
            assert_int_equal(info.index_failure.code, LYNSE_CORRUPT);
            assert_non_null(strstr(info.index_failure.text, "index is damaged"));
        } else if (info.index_progress >= 1) return;
        if (f->variant->mode == LYNSE_INLINE) assert_done(lynse_sync(f->db, &f->err), f);
        else nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail_msg("the indexes are never all there");
}

static int as_it_is(void *ctx, size_t count, const float *distances, const double *const *fields,
                    float *out)
{
    (void)ctx;
    (void)fields;
    memcpy(out, distances, count * sizeof *out);
    return 0;
}

static struct lynse_score_callback distance_itself = {.score = as_it_is};

static const struct lynse_search_desc ways[] = {
    {.k = 10, .query_count = POINT_QUERIES},
    {.k = 10, .where = "n < 95"},
    {.flags = LYNSE_RANGE, .threshold = 6, .query_count = 3},
    {.flags = LYNSE_PAGES, .k = 7},
    {.k = 5, .score_callback = &distance_itself, .score_mode = LYNSE_SCORE_COLLECT},
};

/* In steps of as little as can be. */
static struct lynse_hits *search(struct fixture *f, struct lynse_search_desc d)
{
    struct lynse_hits *hits = NULL;
    struct lynse_search *s;
    int code = LYNSE_MORE;

    d.vector = point_queries;
    d.dim = POINT_DIM;
    d.error = &f->err;
    assert_done(lynse_search_begin(f->docs, &d, &s), f);
    while (code == LYNSE_MORE) code = lynse_search_step(s, 1, &hits);
    assert_done(code, f);
    if (!(d.flags & LYNSE_PAGES)) return hits;
    lynse_hits_free(hits);
    assert_done(lynse_search_next(s, d.k), f);
    for (code = LYNSE_MORE; code == LYNSE_MORE;) code = lynse_search_step(s, 1, &hits);
    assert_done(code, f);
    lynse_search_cancel(s);
    return hits;
}

static void assert_exact(struct fixture *f, const struct lynse_search_desc *way)
{
    struct lynse_search_desc exact = *way;

    exact.flags |= LYNSE_EXACT;
    struct lynse_hits *found = search(f, *way), *truth = search(f, exact);
    assert_int_equal(found->count, truth->count);
    for (size_t i = 0; i < found->query_count; i++)
        assert_int_equal(found->query_ends[i], truth->query_ends[i]);
    for (size_t i = 0; i < found->count; i++) {
        assert_true(found->numbers[i] == truth->numbers[i]);
        assert_true(found->scores[i] == truth->scores[i]);
    }
    lynse_hits_free(found);
    lynse_hits_free(truth);
}

static void what_is_damaged_is_told_and_mended_and_searches_are_exact(void **state)
{
    struct fixture *f = *state;
    bool is_told;

    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
        assert_true(make_points(f, modes[m]));
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            damage_indexes(f, flip_bytes); /* a bit in every page */
            assert_exact(f, &ways[i]);
            await_indexes(f, &is_told);
            assert_done(lynse_build_index(f->docs, modes[m], &f->err), f); /* it is loaded */
            /* Where threads build it may have been mended since. */
            if (f->variant->mode == LYNSE_INLINE && !IS_TINY) assert_true(is_told);
        }
        const struct lynse_verify_desc deep = {.level = LYNSE_VERIFY_DEEP};
        struct lynse_names *findings;
        assert_done(lynse_verify(f->docs, &deep, &findings, &f->err), f);
        /* With tiny limits a search measures all rows of such small segments, and reads no page. */
        if (!IS_TINY) assert_int_equal(findings->count, 0);
        lynse_names_free(findings);
        drop_points(f);
    }
}

static void reopen_points(struct fixture *f)
{
    f->docs = NULL; /* with the root */
    fixture_close(f);
    fixture_open(f);
    assert_done(lynse_collection_open(f->db, "points", &f->docs, &f->err), f);
}

static void what_is_no_file_any_more_is_told_and_built_again(void **state)
{
    static void (*const damages[])(const char *) = {put_a_folder_there, put_a_link_there};
    struct fixture *f = *state;
    struct lynse_collection_info info = {0};

    assert_true(make_points(f, "HNSW-L2"));
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        reopen_points(f);
        damage_indexes(f, damages[i]); /* none is loaded yet */
        assert_exact(f, &ways[0]);
        assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
        for (int t = 0; t < TRIES && info.index_build_count == 0; t++) {
            assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
            if (f->variant->mode == LYNSE_INLINE) assert_done(lynse_sync(f->db, &f->err), f);
            else nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        assert_int_not_equal(info.index_build_count, 0);
        info.index_build_count = 0;
    }
}

#define CASES(_)                                                                                   \
    _(what_is_damaged_is_told_and_mended_and_searches_are_exact)                                   \
    _(what_is_no_file_any_more_is_told_and_built_again)
static const struct CMUnitTest tests[] = {API_IN_FOLDERS(CASES)};
TEST_MAIN(tests)
