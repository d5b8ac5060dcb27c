/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>

#include "fixture.h"

static void assert_names(const struct lynse_names *names, const char *expected)
{
    char joined[256] = "";
    for (size_t i = 0; i < names->count; i++)
        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s ", names->names[i]);
    assert_string_equal(joined, expected);
}

static void assert_databases(struct fixture *f, const char *expected)
{
    struct lynse_names *names;
    assert_done(lynse_database_list(f->db, &names, &f->err), f);
    assert_names(names, expected);
    lynse_names_free(names);
}

static void assert_collections(struct fixture *f, const char *database, const char *expected)
{
    struct lynse_names *names;
    assert_done(lynse_collection_list(f->db, database, &names, &f->err), f);
    assert_names(names, expected);
    lynse_names_free(names);
}

static void make(struct fixture *f, const char *name)
{
    struct lynse_collection_desc desc = {.name = name, .dim = 2};
    struct lynse_collection *c;
    assert_done(lynse_collection_create(f->db, &desc, &c, &f->err), f);
    lynse_collection_close(c);
}

static void names_are_listed_in_order(void **state)
{
    struct fixture *f = *state;
    int there = -1;
    assert_databases(f, "");
    assert_done(lynse_database_create(f->db, "zoo", &f->err), f);
    make(f, "notes/b");
    make(f, "notes/a.b");
    make(f, "notes/A");
    make(f, "plain");
    make(f, "note/x");
    for (int round = 0; round < 2; round++) {
        assert_databases(f, "default note notes zoo ");
        assert_collections(f, "notes", "A a.b b ");
        assert_collections(f, "zoo", "");
        assert_collections(f, "default", "plain ");
        assert_done(lynse_collection_exists(f->db, "notes/A", &there, &f->err), f);
        assert_int_equal(there, 1);
        assert_done(lynse_collection_exists(f->db, "note/A", &there, &f->err), f);
        assert_int_equal(there, 0);
        assert_done(lynse_collection_exists(f->db, "default/plain", &there, &f->err), f);
        assert_int_equal(there, 1);
        assert_done(lynse_database_exists(f->db, "zoo", &there, &f->err), f);
        assert_int_equal(there, 1);
        assert_done(lynse_database_exists(f->db, "zo", &there, &f->err), f);
        assert_int_equal(there, 0);
        if (f->variant->in_memory) break;
        fixture_reopen(f);
    }
    assert_done(lynse_database_drop(f->db, "notes", &f->err), f);
    assert_done(lynse_database_drop(f->db, "zoo", &f->err), f);
    assert_databases(f, "default note ");
    if (f->variant->in_memory) return;
    fixture_reopen(f);
    assert_databases(f, "default note ");
    assert_collections(f, "note", "x ");
}

static void require_opens_or_makes(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_desc desc = {.name = "docs", .dim = 3, .metric = LYNSE_L2};
    struct lynse_collection *again;
    assert_done(lynse_collection_require(f->db, &desc, &f->docs, &f->err), f);
    add_numbers(f, 0, 3);
    desc.dim = 0; /* whatever it has */
    assert_done(lynse_collection_require(f->db, &desc, &again, &f->err), f);
    lynse_collection_close(f->docs);
    f->docs = again;
    assert_int_equal(count_rows(f), 3);
    desc = (struct lynse_collection_desc){.name = "later"};
    assert_done(lynse_collection_require(f->db, &desc, &again, &f->err), f);
    desc.dim = 7; /* it has none yet */
    lynse_collection_close(again);
    assert_done(lynse_collection_require(f->db, &desc, &again, &f->err), f);
    lynse_collection_close(again);
}

static void require_opens_no_other_than_what_was_asked_for(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_desc made = {.name = "docs",
                                         .dim = 3,
                                         .metric = LYNSE_L2,
                                         .sync = LYNSE_SYNC_INTERVAL,
                                         .sync_interval_ms = 50};
    struct lynse_collection_desc asked = {.name = "docs"};
    struct lynse_collection *c = NULL;
    assert_done(lynse_collection_create(f->db, &made, &f->docs, &f->err), f);
#define AGREES(change)                                                                             \
    asked = made;                                                                                  \
    change;                                                                                        \
    assert_done(lynse_collection_require(f->db, &asked, &c, &f->err), f);                          \
    lynse_collection_close(c)
#define REFUSED(change, code, ...)                                                                 \
    asked = (struct lynse_collection_desc){.name = "docs"};                                        \
    change;                                                                                        \
    c = NULL;                                                                                      \
    assert_refused(lynse_collection_require(f->db, &asked, &c, &f->err), f, code, __VA_ARGS__);    \
    assert_null(c)
    AGREES((void)0);
    AGREES(asked = (struct lynse_collection_desc){.name = "docs"}); /* all is left to it */
    AGREES(asked.sync = LYNSE_SYNC_OS);                             /* it promises more */
    AGREES(asked.sync_interval_ms = 60);
    AGREES(asked.description = "of a new one");
    REFUSED(asked.dim = 4, LYNSE_DIMENSION, "dim", "4", "default/docs", "3");
    REFUSED(asked.metric = LYNSE_IP, LYNSE_INVALID, "metric", "ip,", "default/docs", "l2;");
    REFUSED(asked.metric = LYNSE_COSINE, LYNSE_INVALID, "metric", "cosine", "build_index");
    REFUSED(asked.sync = LYNSE_SYNC_ALWAYS, LYNSE_INVALID, "sync", "1", "2", "set_sync");
    REFUSED((asked.sync = LYNSE_SYNC_INTERVAL, asked.sync_interval_ms = 49), LYNSE_INVALID,
            "sync_interval_ms", "49", "50");
    assert_done(lynse_build_index(f->docs, "FLAT-COS", &f->err), f);
    assert_done(lynse_set_sync(f->docs, LYNSE_SYNC_ALWAYS, 0, &f->err), f);
    AGREES((asked.metric = LYNSE_COSINE, asked.sync = LYNSE_SYNC_ALWAYS));
    REFUSED(asked.metric = LYNSE_L2, LYNSE_INVALID, "metric", "l2,", "cosine;"); /* as it is now */
#undef AGREES
#undef REFUSED
}

/* Every call on a handle whose collection is gone says so. */
static void assert_gone(struct fixture *f)
{
    struct lynse_id id = number_id(1);
    struct lynse_hits *hits;
    struct lynse_names *names;
    struct lynse_scan *scan;
    struct lynse_collection_info info = {0};
    uint64_t count;
    int there;
    float vector[] = {1, 2, 3};
    struct lynse_search_desc query = {.vector = vector, .dim = 3, .error = &f->err};
#define GONE(call) assert_refused(call, f, LYNSE_NOT_FOUND, "default/docs", "dropped")
    GONE(put_numbers(f, 900, 1, false));
    GONE(lynse_delete(f->docs, &id, 1, NULL, NULL, &f->err));
    GONE(lynse_restore(f->docs, &id, 1, NULL, NULL, &f->err));
    GONE(lynse_count(f->docs, &count, &f->err));
    GONE(lynse_exists(f->docs, &id, &there, &f->err));
    GONE(lynse_get(f->docs, &id, 1, 0, &hits, &f->err));
    GONE(lynse_search(f->docs, &query, &hits));
    GONE(lynse_scan_begin(f->docs, 0, &scan, &f->err));
    GONE(lynse_list_fields(f->docs, &names, &f->err));
    GONE(lynse_collection_info(f->docs, &info, &f->err));
    GONE(lynse_collection_description(f->docs, &names, &f->err));
    GONE(lynse_collection_describe(f->docs, "x", &f->err));
    GONE(lynse_build_index(f->docs, "FLAT-L2", &f->err));
    GONE(lynse_set_sync(f->docs, LYNSE_SYNC_OS, 0, &f->err));
    GONE(lynse_collection_sync(f->docs, &count, &f->err));
    GONE(lynse_flush(f->docs, &f->err));
    GONE(lynse_checkpoint(f->docs, &f->err));
#undef GONE
}

static void a_dropped_collection_is_gone_for_its_handles(void **state)
{
    struct fixture *f = *state;
    struct lynse_scan *scan;
    struct lynse_hits *hits;
    struct lynse_collection *old;
    fixture_make_docs(f);
    add_numbers(f, 0, 30);
    assert_done(lynse_flush(f->docs, &f->err), f);
    add_numbers(f, 30, 30);
    assert_done(lynse_scan_begin(f->docs, LYNSE_WITH_FIELDS, &scan, &f->err), f);
    assert_done(lynse_collection_drop(f->db, "docs", &f->err), f);
    assert_gone(f);
    assert_done(lynse_scan_next(scan, 1000, &hits, &f->err), f); /* what was begun goes on */
    assert_int_equal(hits->count, 60);
    lynse_hits_free(hits);
    old = f->docs;
    fixture_make_docs(f); /* another one of the same name */
    assert_int_equal(count_rows(f), 0);
    add_numbers(f, 5, 1);
    struct lynse_collection *fresh = f->docs;
    f->docs = old;
    assert_gone(f);
    lynse_collection_close(f->docs);
    f->docs = fresh;
    lynse_scan_free(scan);
    assert_int_equal(count_rows(f), 1);
    if (f->variant->in_memory) return;
    fixture_reopen(f);
    assert_int_equal(count_rows(f), 1);
}

struct told {
    _Atomic(int) count;
    struct lynse_error error;
};

static void keep_error(void *ctx, const struct lynse_write_result *result,
                       const struct lynse_error *error)
{
    struct told *t = ctx;
    (void)result;
    if (error) t->error = *error;
    atomic_fetch_add(&t->count, 1);
}

/* Nobody waits for it: the answer alone can say why the collection takes no writes. */
static void a_write_that_comes_after_a_drop_is_told_so(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    struct lynse_write_options later = {.done = keep_error, .done_ctx = &told};
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    fixture_make_docs(f);
    assert_done(lynse_collection_drop(f->db, "docs", &f->err), f);
    assert_done(lynse_add(f->docs, &rows, &later, NULL, &f->err), f);
    while (f->variant->mode == LYNSE_INLINE && lynse_poll(f->db, 1000) == LYNSE_MORE) continue;
    while (atomic_load(&told.count) == 0) sched_yield();
    assert_int_equal(told.error.code, LYNSE_NOT_FOUND);
    assert_non_null(strstr(told.error.text, "collection 'default/docs' was dropped"));
}

static void handles_to_one_collection_see_the_same(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *other;
    fixture_make_docs(f);
    assert_done(lynse_collection_open(f->db, "default/docs", &other, &f->err), f);
    add_numbers(f, 0, 3);
    struct fixture g = *f;
    g.docs = other;
    assert_int_equal(count_rows(&g), 3);
    lynse_collection_close(f->docs);
    f->docs = other;
    add_numbers(f, 3, 3);
    assert_int_equal(count_rows(f), 6);
}

static void a_collection_takes_the_level_of_its_root(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_desc desc = {.name = "docs", .dim = 3};
    assert_done(lynse_collection_create(f->db, &desc, &f->docs, &f->err), f);
    assert_int_equal(info_of(f).sync, f->variant->in_memory ? LYNSE_SYNC_NONE : fixture_level(f));
    add_numbers(f, 0, 10);
    assert_int_equal(count_rows(f), 10);
    assert_done(lynse_sync(f->db, &f->err), f);
    fixture_close(f);
    struct lynse_open_desc open = fixture_desc(f);
    open.sync = LYNSE_SYNC_INTERVAL;
    open.sync_interval_ms = 17;
    assert_done(lynse_open(&open, &f->db, &f->err), f);
    desc.name = "timed";
    assert_done(lynse_collection_create(f->db, &desc, &f->docs, &f->err), f);
    assert_int_equal(info_of(f).sync, LYNSE_SYNC_INTERVAL);
    assert_int_equal(info_of(f).sync_interval_ms, 17);
}

static void a_description_is_kept(void **state)
{
    struct fixture *f = *state;
    struct lynse_names *names;
    struct lynse_collection_desc desc = {.name = "docs", .dim = 3, .description = "erste Fassung"};
    assert_done(lynse_collection_create(f->db, &desc, &f->docs, &f->err), f);
    assert_done(lynse_collection_description(f->docs, &names, &f->err), f);
    assert_names(names, "erste Fassung ");
    lynse_names_free(names);
    assert_done(lynse_collection_describe(f->docs, "naïve", &f->err), f);
    add_numbers(f, 0, 3);
    assert_done(lynse_flush(f->docs, &f->err), f);
    if (!f->variant->in_memory) fixture_reopen(f);
    assert_done(lynse_collection_description(f->docs, &names, &f->err), f);
    assert_names(names, "naïve ");
    lynse_names_free(names);
    assert_done(lynse_collection_describe(f->docs, NULL, &f->err), f);
    assert_done(lynse_collection_description(f->docs, &names, &f->err), f);
    assert_int_equal(names->count, 0);
    lynse_names_free(names);
}

static void info_tells_what_is(void **state)
{
    struct fixture *f = *state;
    struct lynse_id gone = number_id(1);
    fixture_make_docs(f);
    struct lynse_collection_info info = info_of(f);
    assert_int_equal(info.struct_bytes, sizeof info);
    assert_int_equal(info.dim, 3);
    assert_int_equal(info.metric, LYNSE_L2);
    assert_int_equal(info.sync, fixture_level(f));
    assert_int_equal(info.sync_interval_ms, 100);
    assert_int_equal(info.has_int_id, 0);
    assert_int_equal(info.is_read_only, 0);
    assert_int_equal(info.applied_lsn, 0);
    assert_string_equal(info.index_mode, "");
    assert_int_equal(strlen(info.directory), 32);
    add_numbers(f, 0, 10);
    assert_int_equal(delete_ids(f, &gone, 1), 1);
    info = info_of(f);
    assert_int_equal(info.live_count, 9);
    assert_int_equal(info.deleted_count, 1);
    assert_int_equal(info.tail_count, 10);
    assert_int_equal(info.segment_count, 0);
    assert_int_equal(info.has_int_id, 1);
    assert_int_equal(info.max_int_id, 9);
    assert_int_equal(info.applied_lsn, 2);
    assert_true(info.log_bytes > 0);
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    info = info_of(f);
    assert_int_equal(info.segment_count, 1);
    assert_int_equal(info.tail_count, 0);
    assert_int_equal(info.live_count, 9);
    assert_int_equal(info.flushed_lsn, 2);
    assert_int_equal(info.log_bytes, 0);
    struct {
        struct lynse_collection_info info;
        uint64_t newer;
    } larger = {.info.struct_bytes = sizeof larger, .newer = 7};
    assert_done(lynse_collection_info(f->docs, &larger.info, &f->err), f);
    assert_int_equal(larger.newer, 0);
    assert_int_equal(larger.info.live_count, 9);
    assert_true(lynse_memory_bytes(f->db) > 0);
}

/* The two nearest ids to (1, 0, 0) among (1, 0.5, 0), (3, 0, 0) and (0.1, 0, 0). */
static void assert_order(struct fixture *f, uint64_t first, uint64_t second)
{
    struct lynse_hits *hits;
    float query[] = {1, 0, 0};
    struct lynse_search_desc desc = {.vector = query, .dim = 3, .k = 2, .error = &f->err};
    assert_done(lynse_search(f->docs, &desc, &hits), f);
    assert_int_equal(hits->numbers[0], first);
    assert_int_equal(hits->numbers[1], second);
    lynse_hits_free(hits);
}

static void an_index_mode_sets_the_metric(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *mode, *name;
        uint32_t metric;
        uint64_t first, second;
    } modes[] = {
        {"FLAT-L2", "FLAT-L2", LYNSE_L2, 0, 2},
        {"flat-ip", "FLAT-IP", LYNSE_IP, 1, 0},
        {"FLAT-COS", "FLAT-COS", LYNSE_COSINE, 1, 2},
        {"FLAT-COSINE", "FLAT-COS", LYNSE_COSINE, 1, 2},
        {"default", "FLAT-IP", LYNSE_IP, 1, 0},
        {"AUTO-L2", "FLAT-L2", LYNSE_L2, 0, 2},
        {"auto", "FLAT-L2", LYNSE_L2, 0, 2},
    };
    float vectors[] = {1, 0.5f, 0, 3, 0, 0, 0.1f, 0, 0};
    struct lynse_rows rows = {.dim = 3, .count = 3, .vectors = vectors};
    fixture_make_docs(f);
    assert_done(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_done(lynse_build_index(f->docs, modes[i].mode, &f->err), f);
        struct lynse_collection_info info = info_of(f);
        assert_string_equal(info.index_mode, modes[i].name);
        assert_int_equal(info.metric, modes[i].metric);
        assert_int_equal(info.index_is_auto, modes[i].mode[0] == 'A' || modes[i].mode[0] == 'a');
        assert_order(f, modes[i].first, modes[i].second);
        if (f->variant->in_memory) continue;
        fixture_reopen(f);
        assert_string_equal(info_of(f).index_mode, modes[i].name);
        assert_order(f, modes[i].first, modes[i].second);
        if (i == 2) assert_done(lynse_flush(f->docs, &f->err), f);
    }
    assert_done(lynse_remove_index(f->docs, &f->err), f);
    assert_string_equal(info_of(f).index_mode, "");
    assert_int_equal(info_of(f).metric, LYNSE_L2);
    assert_order(f, 0, 2);
}

/* Before the index that there is goes. */
static void codes_of_too_many_components_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const modes[] = {"HNSW-L2-SQ8", "IVF-L2-RABITQ", "FLAT-L2-SQ4",
                                        "DISKANN-L2"};
    struct lynse_collection_desc desc = {.name = "wide", .dim = 8193, .metric = LYNSE_IP};
    assert_done(lynse_collection_create(f->db, &desc, &f->docs, &f->err), f);
    assert_done(lynse_build_index(f->docs, "HNSW-IP", &f->err), f);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(lynse_build_index(f->docs, modes[i], &f->err), LYNSE_LIMIT);
        assert_non_null(strstr(f->err.text, "8193"));
        assert_string_equal(info_of(f).index_mode, "HNSW-IP");
    }
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
}

static void an_index_says_what_it_was_asked_for_and_how_far_it_is(void **state)
{
    struct fixture *f = *state;
    struct lynse_index_param params[] = {{"n_clusters", 5}}; /* which flat has no use for */
    struct lynse_index_desc desc = {.struct_bytes = sizeof desc,
                                    .flags = LYNSE_INDEX_NO_WAIT,
                                    .mode = "FLAT-COS",
                                    .params = params,
                                    .param_count = 1};
    struct lynse_index_desc chosen = desc;
    uint32_t metric = 0;
    fixture_make_docs(f);
    assert_int_equal(info_of(f).index_param_count, 0);
    chosen.mode = "AUTO"; /* which chooses parameters with the kind */
    assert_int_equal(lynse_index_set(f->docs, &chosen, &f->err), LYNSE_INVALID);
    assert_non_null(strstr(f->err.text, "AUTO"));
    assert_done(lynse_index_set(f->docs, &desc, &f->err), f);
    struct lynse_collection_info info = info_of(f);
    assert_string_equal(info.index_mode, "FLAT-COS");
    assert_int_equal(info.metric, LYNSE_COSINE);
    assert_int_equal(info.indexed_segment_count, info.segment_count);
    assert_true(info.index_progress == 1);
    float query[] = {1, 0, 0};
    struct lynse_hits *hits;
    struct lynse_search_desc search = {.vector = query, .dim = 3, .error = &f->err};
    assert_done(lynse_search(f->docs, &search, &hits), f);
    assert_string_equal(hits->index_kind, "flat");
    lynse_hits_free(hits);
    assert_int_equal(info.index_param_count, 0);
    assert_done(lynse_index_metric("auto", &metric, &f->err), f);
    assert_int_equal(metric, LYNSE_METRIC_DEFAULT);
    assert_done(lynse_index_metric("flat-cosine", &metric, &f->err), f);
    assert_int_equal(metric, LYNSE_COSINE);
}

static void many_collections_live_side_by_side(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 40 };
    struct lynse_collection *all[COUNT];
    char name[32];
    for (size_t i = 0; i < COUNT; i++) {
        struct lynse_collection_desc desc = {.name = name, .dim = 3, .sync = fixture_level(f)};
        snprintf(name, sizeof name, "d%zu/c%zu", i % 4, i);
        assert_done(lynse_collection_create(f->db, &desc, &all[i], &f->err), f);
    }
    for (size_t i = 0; i < COUNT; i++) {
        f->docs = all[i];
        add_numbers(f, i, i + 1);
    }
    assert_done(lynse_sync(f->db, &f->err), f);
    for (size_t i = 0; i < COUNT; i++) {
        f->docs = all[i];
        assert_int_equal(count_rows(f), i + 1);
        struct lynse_collection_info info = info_of(f);
        assert_int_equal(info.durable_lsn, info.applied_lsn);
    }
    f->docs = NULL;
    assert_databases(f, "d0 d1 d2 d3 ");
    assert_done(lynse_database_drop(f->db, "d1", &f->err), f);
    assert_databases(f, "d0 d2 d3 ");
    if (f->variant->in_memory) return;
    fixture_reopen(f);
    assert_databases(f, "d0 d2 d3 ");
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 4 == 1) continue;
        snprintf(name, sizeof name, "d%zu/c%zu", i % 4, i);
        assert_done(lynse_collection_open(f->db, name, &f->docs, &f->err), f);
        assert_int_equal(count_rows(f), i + 1);
    }
}

#define CASES(_)                                                                                   \
    _(names_are_listed_in_order)                                                                   \
    _(require_opens_or_makes)                                                                      \
    _(require_opens_no_other_than_what_was_asked_for)                                              \
    _(a_dropped_collection_is_gone_for_its_handles)                                                \
    _(a_write_that_comes_after_a_drop_is_told_so)                                                  \
    _(handles_to_one_collection_see_the_same)                                                      \
    _(a_collection_takes_the_level_of_its_root)                                                    \
    _(a_description_is_kept)                                                                       \
    _(info_tells_what_is)                                                                          \
    _(an_index_mode_sets_the_metric)                                                               \
    _(codes_of_too_many_components_are_refused)                                                    \
    _(an_index_says_what_it_was_asked_for_and_how_far_it_is)                                       \
    _(many_collections_live_side_by_side)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(CASES)};
TEST_MAIN(tests)
