/* SPDX-License-Identifier: Apache-2.0 */
/* test_null.c — a NULL where there must be something is an answer that names it, never a crash; and
 * where NULL is allowed nothing happens. */
#include "fixture.h"

#define NAMES(parameter, call) assert_refused(call, f, LYNSE_INVALID, parameter ": missing")
/* Without an error to write to. */
#define REFUSES(call) assert_int_equal(call, LYNSE_INVALID)

static struct lynse_names *names;
static struct lynse_hits *hits;
static struct lynse_scan *scan;
static struct lynse_search *search;
static struct lynse_collection *c;
static uint64_t count;
static int there;

static void a_root_that_is_null(void **state)
{
    struct fixture *f = *state;
    struct lynse_open_desc open = fixture_desc(f);
    struct lynse_collection_desc desc = {.name = "docs"};
    struct lynse *db;
    NAMES("desc", lynse_open(NULL, &db, &f->err));
    NAMES("out", lynse_open(&open, NULL, &f->err));
    NAMES("db", lynse_refresh(NULL, &f->err));
    REFUSES(lynse_poll(NULL, 0));
    NAMES("db", lynse_sync(NULL, &f->err));
    assert_int_equal(lynse_memory_bytes(NULL), 0);
    NAMES("db", lynse_database_create(NULL, "x", &f->err));
    NAMES("db", lynse_database_drop(NULL, "x", &f->err));
    NAMES("db", lynse_database_exists(NULL, "x", &there, &f->err));
    NAMES("db", lynse_database_list(NULL, &names, &f->err));
    NAMES("db", lynse_collection_create(NULL, &desc, &c, &f->err));
    NAMES("db", lynse_collection_open(NULL, "docs", &c, &f->err));
    NAMES("db", lynse_collection_require(NULL, &desc, &c, &f->err));
    NAMES("db", lynse_collection_drop(NULL, "docs", &f->err));
    NAMES("db", lynse_collection_exists(NULL, "docs", &there, &f->err));
    NAMES("db", lynse_collection_list(NULL, "default", &names, &f->err));
}

static void a_name_or_an_output_that_is_null(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_desc desc = {.name = "never/made"};
    NAMES("database", lynse_database_create(f->db, NULL, &f->err));
    NAMES("database", lynse_database_drop(f->db, NULL, &f->err));
    NAMES("database", lynse_database_exists(f->db, NULL, &there, &f->err));
    NAMES("out", lynse_database_exists(f->db, "x", NULL, &f->err));
    NAMES("out", lynse_database_list(f->db, NULL, &f->err));
    NAMES("desc", lynse_collection_create(f->db, NULL, &c, &f->err));
    NAMES("out", lynse_collection_create(f->db, &desc, NULL, &f->err));
    NAMES("name", lynse_collection_open(f->db, NULL, &c, &f->err));
    NAMES("out", lynse_collection_open(f->db, "docs", NULL, &f->err));
    NAMES("desc", lynse_collection_require(f->db, NULL, &c, &f->err));
    NAMES("out", lynse_collection_require(f->db, &desc, NULL, &f->err));
    NAMES("name", lynse_collection_drop(f->db, NULL, &f->err));
    NAMES("name", lynse_collection_exists(f->db, NULL, &there, &f->err));
    NAMES("out", lynse_collection_exists(f->db, "docs", NULL, &f->err));
    NAMES("database", lynse_collection_list(f->db, NULL, &names, &f->err));
    NAMES("out", lynse_collection_list(f->db, "default", NULL, &f->err));
    assert_done(lynse_database_exists(f->db, "never", &there, &f->err), f);
    assert_false(there); /* nothing was made on the way */
}

static void a_collection_that_is_null(void **state)
{
    struct fixture *f = *state;
    struct lynse_id id = {.number = 1};
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    struct lynse_search_desc query = {.vector = vector, .dim = 3, .error = &f->err};
    struct lynse_collection_info info = {0};
    struct lynse_hook_desc hook = {.point = "score", .source = "x"};
    struct lynse_hooks *hooks;
    NAMES("c", lynse_collection_describe(NULL, "x", &f->err));
    NAMES("c", lynse_hook_set(NULL, &hook, &count, &f->err));
    NAMES("c", lynse_hook_drop(NULL, "score", &f->err));
    NAMES("c", lynse_hook_list(NULL, &hooks, &f->err));
    NAMES("c", lynse_collection_info(NULL, &info, &f->err));
    NAMES("c", lynse_collection_description(NULL, &names, &f->err));
    NAMES("c", lynse_add(NULL, &rows, NULL, NULL, &f->err));
    NAMES("c", lynse_upsert(NULL, &rows, NULL, NULL, &f->err));
    NAMES("c", lynse_delete(NULL, &id, 1, NULL, NULL, &f->err));
    NAMES("c", lynse_restore(NULL, &id, 1, NULL, NULL, &f->err));
    NAMES("c", lynse_build_index(NULL, "FLAT-IP", &f->err));
    NAMES("c", lynse_index_set(NULL, NULL, &f->err));
    NAMES("c", lynse_remove_index(NULL, &f->err));
    NAMES("c", lynse_set_sync(NULL, LYNSE_SYNC_OS, 0, &f->err));
    NAMES("c", lynse_collection_sync(NULL, &count, &f->err));
    NAMES("c", lynse_flush(NULL, &f->err));
    NAMES("c", lynse_checkpoint(NULL, &f->err));
    NAMES("c", lynse_search(NULL, &query, &hits));
    NAMES("c", lynse_search_begin(NULL, &query, &search));
    NAMES("c", lynse_get(NULL, &id, 1, 0, &hits, &f->err));
    NAMES("c", lynse_exists(NULL, &id, &there, &f->err));
    NAMES("c", lynse_count(NULL, &count, &f->err));
    NAMES("c", lynse_scan_begin(NULL, 0, &scan, &f->err));
    NAMES("db", lynse_attach_hook_host(NULL, NULL, &f->err));
    NAMES("c", lynse_count_where(NULL, "n", &count, &f->err));
    NAMES("c", lynse_query_begin(NULL, "n", 0, &scan, &f->err));
    NAMES("c", lynse_delete_where(NULL, "n", NULL, NULL, &f->err));
    NAMES("c", lynse_list_fields(NULL, &names, &f->err));
    REFUSES(lynse_search(NULL, NULL, NULL));
}

static void what_a_collection_is_asked_for_with_null(void **state)
{
    struct fixture *f = *state;
    struct lynse_id id = {.number = 1};
    float vector[] = {1, 2, 3};
    struct lynse_search_desc query = {.vector = vector, .dim = 3, .error = &f->err};
    uint32_t metric = 0;
    fixture_make_docs(f);
    add_numbers(f, 1, 1);
    NAMES("out", lynse_collection_info(f->docs, NULL, &f->err));
    NAMES("out", lynse_collection_description(f->docs, NULL, &f->err));
    NAMES("rows", lynse_add(f->docs, NULL, NULL, NULL, &f->err));
    NAMES("rows", lynse_upsert(f->docs, NULL, NULL, NULL, &f->err));
    NAMES("ids", lynse_delete(f->docs, NULL, 1, NULL, NULL, &f->err));
    NAMES("ids", lynse_restore(f->docs, NULL, 1, NULL, NULL, &f->err));
    NAMES("index_mode", lynse_build_index(f->docs, NULL, &f->err));
    NAMES("desc", lynse_index_set(f->docs, NULL, &f->err));
    NAMES("index_mode", lynse_index_metric(NULL, &metric, &f->err));
    NAMES("out_metric", lynse_index_metric("FLAT-IP", NULL, &f->err));
    REFUSES(lynse_search(f->docs, NULL, &hits));
    NAMES("out", lynse_search(f->docs, &query, NULL));
    REFUSES(lynse_search_begin(f->docs, NULL, &search));
    NAMES("out", lynse_search_begin(f->docs, &query, NULL));
    NAMES("ids", lynse_get(f->docs, NULL, 1, 0, &hits, &f->err));
    NAMES("out", lynse_get(f->docs, &id, 1, 0, NULL, &f->err));
    NAMES("id", lynse_exists(f->docs, NULL, &there, &f->err));
    NAMES("out", lynse_exists(f->docs, &id, NULL, &f->err));
    NAMES("out", lynse_count(f->docs, NULL, &f->err));
    NAMES("out", lynse_scan_begin(f->docs, 0, NULL, &f->err));
    NAMES("ops", lynse_attach_hook_host(f->db, NULL, &f->err));
    NAMES("where", lynse_count_where(f->docs, NULL, &count, &f->err));
    NAMES("out", lynse_count_where(f->docs, "n", NULL, &f->err));
    NAMES("where", lynse_query_begin(f->docs, NULL, 0, &scan, &f->err));
    NAMES("out", lynse_query_begin(f->docs, "n", 0, NULL, &f->err));
    NAMES("where", lynse_delete_where(f->docs, NULL, NULL, NULL, &f->err));
    NAMES("out", lynse_list_fields(f->docs, NULL, &f->err));
    query.vector = NULL;
    NAMES("vector", lynse_search(f->docs, &query, &hits));
    struct lynse_rows rows = {.dim = 3, .count = 1};
    NAMES("vectors", lynse_add(f->docs, &rows, NULL, NULL, &f->err));
    assert_int_equal(count_rows(f), 1);
}

static void steps_with_null_leave_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    float vector[] = {1, 2, 3};
    struct lynse_search_desc query = {.vector = vector, .dim = 3, .error = &f->err};
    int code;
    fixture_make_docs(f);
    add_numbers(f, 1, 3);
    assert_done(lynse_search_begin(f->docs, &query, &search), f);
    REFUSES(lynse_search_step(NULL, 0, &hits));
    NAMES("out", lynse_search_step(search, 0, NULL));
    while ((code = lynse_search_step(search, 100, &hits)) == LYNSE_MORE) continue;
    assert_done(code, f);
    assert_int_equal(hits->count, 3);
    lynse_hits_free(hits);
    assert_done(lynse_scan_begin(f->docs, 0, &scan, &f->err), f);
    NAMES("s", lynse_scan_next(NULL, 1, &hits, &f->err));
    NAMES("out", lynse_scan_next(scan, 1, NULL, &f->err));
    assert_done(lynse_scan_next(scan, 9, &hits, &f->err), f);
    assert_int_equal(hits->count, 3);
    lynse_hits_free(hits);
    lynse_scan_free(scan);
}

static void where_null_is_allowed_nothing_happens(void **state)
{
    struct fixture *f = *state;
    fixture_make_docs(f);
    assert_done(lynse_close(NULL, NULL), f);
    lynse_names_free(NULL);
    lynse_collection_close(NULL);
    lynse_hits_free(NULL);
    lynse_search_cancel(NULL);
    assert_int_equal(lynse_scan_skip(NULL, 1), 0);
    lynse_scan_limit(NULL, 1, NULL);
    lynse_scan_free(NULL);
    lynse_set_log(NULL, NULL, LYNSE_LOG_ERROR);
    assert_done(lynse_collection_describe(f->docs, NULL, NULL), f);
    assert_done(lynse_collection_sync(f->docs, NULL, NULL), f);
    assert_done(lynse_get(f->docs, NULL, 0, 0, &hits, NULL), f); /* no ids, no records */
    assert_int_equal(hits->count, 0);
    lynse_hits_free(hits);
}

#define CASES(_)                                                                                   \
    _(a_root_that_is_null)                                                                         \
    _(a_name_or_an_output_that_is_null)                                                            \
    _(a_collection_that_is_null)                                                                   \
    _(what_a_collection_is_asked_for_with_null)                                                    \
    _(steps_with_null_leave_what_is_under_way)                                                     \
    _(where_null_is_allowed_nothing_happens)

static const struct CMUnitTest tests[] = {CASES(API_THREADS_MEMORY) CASES(API_INLINE_MEMORY)};
TEST_MAIN(tests)
