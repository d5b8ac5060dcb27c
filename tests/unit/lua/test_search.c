/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks from source text through lynse.h: one root, many threads, searches that are split. */
#include "base/limits.h"
#include "base/thread.h"
#include "lynse.h"
#include "lynse_lua.h"
#include "support/test.h"

/* Enough for two slices; n = id % 100 and text = "t<id>" as msgpack. */
#ifdef LYNSE_TINY
enum { ROWS = 24 };
#else
enum { ROWS = 2 * SEARCH_SPLIT_ROWS + 1000 };
#endif
enum { DIM = 3, THREADS = 4, ROUNDS = 5 };

struct fixture {
    struct lynse *db;
    struct lynse_collection *docs;
};

#define DONE(call)                                                                                 \
    do {                                                                                           \
        struct lynse_error err_ = {0};                                                             \
        if ((call) != LYNSE_OK) fail_msg("%s: %s", #call, err_.text);                              \
    } while (0)

static void add_rows(struct fixture *f)
{
    static const size_t step = ROWS / 8;
    float *vectors = calloc(step * DIM, sizeof *vectors);
    uint8_t(*maps)[4] = calloc(step, sizeof *maps);
    struct lynse_bytes *fields = calloc(step, sizeof *fields);
    uint64_t *ids = calloc(step, sizeof *ids);

    for (size_t first = 0; first + step <= ROWS; first += step) {
        for (size_t i = 0; i < step; i++) {
            uint8_t map[4] = {0x81, 0xa1, 'n', (uint8_t)((first + i) % 100)};
            ids[i] = first + i;
            vectors[i * DIM] = (float)(first + i);
            memcpy(maps[i], map, sizeof map);
            fields[i] = (struct lynse_bytes){maps[i], 4};
        }
        struct lynse_rows rows = {
            .dim = DIM, .count = step, .numbers = ids, .vectors = vectors, .fields = fields};
        DONE(lynse_add(f->docs, &rows, NULL, NULL, &err_));
    }
    free(vectors);
    free(maps);
    free(fields);
    free(ids);
}

static void open_root(struct fixture *f, uint32_t flags)
{
    struct lynse_open_desc open = {.path = ":memory:", .flags = flags, .search_threads = 2};
    struct lynse_collection_desc docs = {.name = "docs", .dim = DIM, .metric = LYNSE_L2};

    DONE(lynse_open(&open, &f->db, &err_));
    DONE(lynse_lua_attach(f->db, &err_));
    DONE(lynse_collection_create(f->db, &docs, &f->docs, &err_));
    add_rows(f);
}

static const float origin[DIM];

static struct lynse_search_desc query(struct lynse_error *err, const char *score,
                                      const char *rerank)
{
    return (struct lynse_search_desc){.vector = origin,
                                      .dim = DIM,
                                      .k = 4,
                                      .score = score,
                                      .rerank = rerank,
                                      .timeout_us = 60000000,
                                      .error = err};
}

static void search(struct fixture *f, const struct lynse_search_desc *d, uint64_t expected_id,
                   float expected_score)
{
    struct lynse_hits *hits;

    if (lynse_search(f->docs, d, &hits) != LYNSE_OK) fail_msg("%s", d->error->text);
    assert_int_equal(hits->count, 4);
    assert_int_equal(hits->numbers[0], expected_id);
    assert_true(hits->scores[0] == expected_score);
    lynse_hits_free(hits);
}

/* The largest ids with n = 7 first. */
static const char by_number[] = "function(n, distance, field, out)\n"
                                "  for i = 0, n - 1 do\n"
                                "    out[i] = (field.n[i] == 7 and 0 or 1e15) - distance[i]\n"
                                "  end\n"
                                "end";
static const char backwards[] = "function(hits)\n"
                                "  table.sort(hits, function(a, b) return a.score > b.score end)\n"
                                "  for i = 1, #hits do hits[i].score = -i end\n"
                                "  return hits\n"
                                "end";

static void search_often(void *ctx)
{
    struct fixture *f = ctx;
    struct lynse_error err = {0};
    uint64_t last = ROWS / 8 * 8 - 1, seven = last - (last % 100 + 93) % 100;

    for (int i = 0; i < ROUNDS; i++) {
        struct lynse_search_desc d = query(&err, by_number, NULL);
        search(f, &d, seven, -(float)seven * (float)seven);
        d = query(&err, NULL, backwards);
        search(f, &d, 3, -1);
        d = query(&err, "function() while true do end end", NULL);
        d.timeout_us = 20000;
        struct lynse_hits *hits;
        int code = lynse_search(f->docs, &d, &hits);
        assert_true(code == LYNSE_HOOK || code == LYNSE_DEADLINE || code == LYNSE_BUSY);
        d = query(&err, by_number, NULL);
        d.where = "n < 50 AND n > 7";
        d.score = "function(n, distance, field, out) end"; /* distances stay */
        search(f, &d, 8, 64);
    }
}

static void threads_search_with_sandboxed_hooks(void **state)
{
    (void)state;
    struct fixture f;
    struct thread threads[THREADS] = {0};
    struct error err = {0};

    open_root(&f, 0);
    for (int i = 0; i < THREADS; i++)
        assert_ok(thread_start(&threads[i], "search", search_often, &f, &err), &err);
    for (int i = 0; i < THREADS; i++) thread_join(&threads[i]);
    DONE(lynse_close(f.db, &err_));
}

static void a_second_host_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct lynse_error err = {0};

    open_root(&f, LYNSE_OPEN_TRUSTED_SCRIPTS);
    assert_int_equal(lynse_lua_attach(f.db, &err), LYNSE_ALREADY_EXISTS);
    struct lynse_search_desc d = query(&err, by_number, backwards);
    d.flags = LYNSE_WITH_FIELDS;
    struct lynse_hits *hits;
    if (lynse_search(f.docs, &d, &hits) != LYNSE_OK) fail_msg("%s", err.text);
    assert_int_equal(((const uint8_t *)hits->fields[3].data)[3], 7);
    lynse_hits_free(hits);
    assert_int_equal(lynse_lua_attach(NULL, &err), LYNSE_INVALID);
    DONE(lynse_close(f.db, &err_));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(threads_search_with_sandboxed_hooks),
    cmocka_unit_test(a_second_host_is_refused),
};
TEST_MAIN(tests)
