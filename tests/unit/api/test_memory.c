/* SPDX-License-Identifier: Apache-2.0 */
/* test_memory.c — memory that runs out: an ordinary error, everywhere. */
#include "fixture.h"

/* ---- a budget ---- */

enum { BUDGET = 24 << 20, CALL_ROWS = 20000 };

static void open_with_budget(struct fixture *f)
{
    struct lynse_open_desc desc = fixture_desc(f);
    fixture_close(f);
    desc.memory_budget_bytes = BUDGET;
    assert_done(lynse_open(&desc, &f->db, &f->err), f);
    fixture_make_docs(f);
}

static void beyond_the_budget_calls_say_so_and_go_on(void **state)
{
    struct fixture *f = *state;
    float *vectors = calloc(CALL_ROWS * 512, sizeof *vectors);
    struct lynse_rows rows = {.dim = 3, .count = CALL_ROWS, .vectors = vectors};
    struct lynse_rows wide = {.dim = 512, .count = CALL_ROWS, .vectors = vectors};
    struct lynse_collection *c;
    uint64_t count = CALL_ROWS;
    int code = LYNSE_OK;
    open_with_budget(f);
    assert_done(lynse_collection_create(f->db,
                                        &(struct lynse_collection_desc){.name = "wide", .dim = 512},
                                        &c, &f->err),
                f);
    assert_refused(lynse_add(c, &wide, NULL, NULL, &f->err), f, LYNSE_NO_MEMORY,
                   "memory_budget_bytes 25165824", " in use", "cannot allocate 4");
    assert_done(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f);
    /* What is kept in memory alone fills it. */
    while (f->variant->in_memory && !IS_TINY && code == LYNSE_OK) {
        code = lynse_add(f->docs, &rows, NULL, NULL, &f->err);
        count += code == LYNSE_OK ? rows.count : 0;
        assert_true(count < 10000000);
        if (code == LYNSE_BUSY) code = lynse_flush(f->docs, &f->err);
    }
    assert_true(code == LYNSE_OK || code == LYNSE_NO_MEMORY);
    assert_true(lynse_memory_bytes(f->db) <= BUDGET);
    assert_int_equal(count_rows(f), count);
    assert_true(is_there(f, number_id(count - 1)));
    assert_false(is_there(f, number_id(count)));
    struct lynse_id id = number_id(7);
    assert_int_equal(delete_ids(f, &id, 1), 1); /* less still fits */
    /* Sealing may not fit, which costs nothing but a longer replay. */
    code = lynse_checkpoint(f->docs, &f->err);
    assert_true(code == LYNSE_OK || code == LYNSE_NO_MEMORY);
    assert_int_equal(count_rows(f), count - 1);
    free(vectors);
    fixture_close(f);
    fixture_open(f); /* without one */
    if (f->variant->in_memory) return;
    assert_done(lynse_collection_open(f->db, "docs", &f->docs, &f->err), f);
    assert_int_equal(count_rows(f), count - 1);
}

/* A call that is refused while rows are on their way to the disk, tried again. */
static int add_patiently(struct fixture *f, const struct lynse_rows *rows)
{
    int code = LYNSE_NO_MEMORY;
    for (int tries = 0; tries < 1000000; tries++) {
        code = lynse_add(f->docs, rows, NULL, NULL, &f->err);
        if (f->variant->mode == LYNSE_INLINE) {
            if (code != LYNSE_BUSY) return code;
            assert_non_null(strstr(f->err.text, "lynse_sync"));
            assert_done(lynse_sync(f->db, &f->err), f);
        } else if (code != LYNSE_NO_MEMORY) {
            return code;
        }
    }
    return code;
}

static void rows_leave_memory_before_they_take_the_budget(void **state)
{
    struct fixture *f = *state;
    uint8_t document[1024] = "\x81\xa1x\xc5\x03\xfa";
    float *vectors = calloc(CALL_ROWS * 3, sizeof *vectors);
    struct lynse_bytes *fields = calloc(CALL_ROWS, sizeof *fields);
    struct lynse_rows rows = {.dim = 3, .count = CALL_ROWS, .vectors = vectors};
    open_with_budget(f);
    /* Five times the budget of short rows, then as much and more of fields. */
    for (int i = 0; i < 80; i++) assert_done(add_patiently(f, &rows), f);
    for (size_t i = 0; i < CALL_ROWS; i++)
        fields[i] = (struct lynse_bytes){document, sizeof document};
    rows.fields = fields;
    rows.count = 1000;
    for (int i = 0; i < 100; i++) assert_done(add_patiently(f, &rows), f);
    assert_int_equal(count_rows(f), 80 * CALL_ROWS + 100 * 1000);
    free(vectors);
    free(fields);
}

static void a_root_needs_more_than_nothing(void **state)
{
    struct fixture *f = *state;
    struct lynse *db = NULL;
    struct lynse_open_desc desc = fixture_desc(f);
    fixture_close(f);
    for (uint64_t budget = 1; budget < 1 << 16; budget = budget * 3 / 2 + 1) {
        desc.memory_budget_bytes = budget;
        int code = lynse_open(&desc, &db, &f->err);
        assert_true(code == LYNSE_OK || code == LYNSE_NO_MEMORY);
        if (code == LYNSE_OK) assert_done(lynse_close(db, &f->err), f);
    }
    fixture_open(f);
}

/* ---- every allocation ---- */

static int64_t fail_at, alloc_number;
static bool is_sticky;

static void *failing_alloc(void *ctx, size_t bytes, size_t align)
{
    alloc_number++;
    if (fail_at && (is_sticky ? alloc_number >= fail_at : alloc_number == fail_at)) return NULL;
    return hook_alloc(ctx, bytes, align);
}

/* What a run has done for sure, and what it cannot know. */
struct outcome {
    uint64_t live_min, live_max;
    bool has_collection, may_have_collection;
    bool was_refused;
};

static bool note(struct outcome *o, struct fixture *f, int code)
{
    if (code == LYNSE_OK) return true;
    if (code != LYNSE_NO_MEMORY)
        fail_msg("allocation %lld: %s: %s", (long long)fail_at, lynse_error_name(code),
                 f->err.text);
    o->was_refused = true;
    return false;
}

static void use(struct fixture *f, struct outcome *o)
{
    struct lynse_collection_desc desc = {
        .name = "oom/docs", .dim = 3, .description = "d", .sync = fixture_level(f)};
    struct lynse_hits *hits = NULL;
    struct lynse_scan *scan = NULL;
    struct lynse_search *search = NULL;
    struct lynse_names *names = NULL;
    struct lynse_collection_info info = {0};
    float query[] = {1, 1, 0};
    struct lynse_search_desc q = {
        .vector = query, .dim = 3, .error = &f->err, .flags = LYNSE_WITH_FIELDS};
    struct lynse_id ids[] = {number_id(1), number_id(2), text_id("absent")};
    o->may_have_collection = true;
    if (!note(o, f, lynse_collection_require(f->db, &desc, &f->docs, &f->err))) return;
    o->has_collection = true;
    if (note(o, f, put_numbers(f, 0, 10, false))) o->live_min = o->live_max = 10;
    note(o, f, lynse_collection_describe(f->docs, "other", &f->err));
    if (note(o, f, lynse_search(f->docs, &q, &hits))) lynse_hits_free(hits);
    if (note(o, f, lynse_get(f->docs, ids, 3, LYNSE_WITH_VECTORS, &hits, &f->err)))
        lynse_hits_free(hits);
    if (note(o, f, lynse_search_begin(f->docs, &q, &search))) {
        int code;
        while ((code = lynse_search_step(search, 1, &hits)) == LYNSE_MORE) continue;
        if (note(o, f, code)) lynse_hits_free(hits);
    }
    note(o, f, lynse_flush(f->docs, &f->err));
    if (note(o, f, lynse_delete(f->docs, ids, 1, NULL, NULL, &f->err)) && o->live_min)
        o->live_min--, o->live_max--;
    if (note(o, f, put_numbers(f, 100, 5, true))) o->live_min += 5, o->live_max += 5;
    if (note(o, f, lynse_scan_begin(f->docs, LYNSE_WITH_FIELDS, &scan, &f->err))) {
        if (note(o, f, lynse_scan_next(scan, 100, &hits, &f->err))) lynse_hits_free(hits);
        lynse_scan_free(scan);
    }
    if (note(o, f, lynse_list_fields(f->docs, &names, &f->err))) lynse_names_free(names);
    if (note(o, f, lynse_collection_list(f->db, "oom", &names, &f->err))) lynse_names_free(names);
    note(o, f, lynse_collection_info(f->docs, &info, &f->err));
    note(o, f, lynse_build_index(f->docs, "FLAT-COS", &f->err));
    note(o, f, lynse_set_sync(f->docs, LYNSE_SYNC_OS, 0, &f->err));
    note(o, f, lynse_checkpoint(f->docs, &f->err));
    note(o, f, lynse_sync(f->db, &f->err));
    uint64_t count;
    assert_int_equal(lynse_count(f->docs, &count, NULL), LYNSE_OK); /* asks for nothing */
    assert_true(count >= o->live_min && count <= o->live_max);
}

/* One run with the n-th allocation failing; false when it made fewer. */
static bool run_failing(struct fixture *f, int64_t n, bool sticky)
{
    struct outcome o = {0};
    struct lynse_open_desc desc = fixture_desc(f);
    struct lynse *db = NULL;
    desc.allocator.alloc = failing_alloc;
    fail_at = n;
    is_sticky = sticky;
    alloc_number = 0;
    if (note(&o, f, lynse_open(&desc, &db, &f->err))) {
        f->db = db;
        use(f, &o);
        f->docs = NULL;
        note(&o, f, lynse_close(db, &f->err)); /* closed all the same */
        f->db = NULL;
    }
    bool has_failed = alloc_number >= n;
    fail_at = 0;
    if (!has_failed) assert_false(o.was_refused);
    assert_int_equal(hook_blocks, 0);
    assert_int_equal(panic_count, 0);
    if (f->variant->in_memory) return has_failed;
    fixture_open(f);
    int there = 0;
    assert_done(lynse_collection_exists(f->db, "oom/docs", &there, &f->err), f);
    if (o.has_collection) assert_true(there);
    if (!o.may_have_collection) assert_false(there);
    if (there) {
        assert_done(lynse_collection_open(f->db, "oom/docs", &f->docs, &f->err), f);
        uint64_t count = count_rows(f);
        assert_true(count >= o.live_min && count <= o.live_max);
        assert_done(lynse_collection_drop(f->db, "oom/docs", &f->err), f);
        assert_done(lynse_database_drop(f->db, "oom", &f->err), f);
    }
    fixture_close(f);
    return has_failed;
}

static void every_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    int64_t step = f->variant->in_memory ? 1 : 7; /* a disk that is synced takes its time */
    step *= (int64_t)test_stride();
    for (int64_t n = 1; run_failing(f, n, false); n += step) continue;
    for (int64_t n = 1; run_failing(f, n, true); n += 3 * step) continue;
    fixture_open(f);
}

/* ---- an index without memory ---- */

enum { INDEX_ROWS = 1100, NAMED_BUDGET = 1 << 30 };

/* The first hit of a search for row 7 is row 7, with or without an index. */
static void assert_finds(struct fixture *f)
{
    float query[] = {7, 1, 0};
    struct lynse_search_desc q = {.vector = query, .dim = 3, .k = 1, .error = &f->err};
    struct lynse_hits *hits;

    assert_done(lynse_search(f->docs, &q, &hits), f);
    assert_int_equal(hits->count, 1);
    assert_int_equal(hits->numbers[0], 7);
    lynse_hits_free(hits);
}

/* true: it was refused for want of memory, and said what the budget is. */
static bool was_refused(struct fixture *f, int code)
{
    fail_at = 0;
    if (code == LYNSE_OK) return false;
    assert_int_equal(code, LYNSE_NO_MEMORY);
    if (!strstr(f->err.text, "memory_budget_bytes 1073741824, ") ||
        strstr(strstr(f->err.text, "budget_bytes") + 1, "budget_bytes"))
        fail_msg("allocation %lld: %s", (long long)fail_at, f->err.text);
    return true;
}

static void fail_next(int64_t n)
{
    alloc_number = 0;
    is_sticky = false;
    fail_at = n;
}

static void an_index_or_a_flush_without_memory_names_the_budget(void **state)
{
    static const char *const modes[] = {"HNSW-L2", "IVF-L2", "FLAT-L2-SQ8"};
    struct fixture *f = *state;
    struct lynse_open_desc desc = fixture_desc(f);
    int refusals = 0, flush_refusals = 0;

    fixture_close(f);
    desc.allocator.alloc = failing_alloc;
    desc.memory_budget_bytes = NAMED_BUDGET;
    assert_done(lynse_open(&desc, &f->db, &f->err), f);
    fixture_make_docs(f);
    for (int64_t n = 1; n < 12; n++) {
        int code = put_numbers(f, (uint64_t)(n - 1) * 100, 100, false);
        if (code ==
            LYNSE_BUSY) { /* what a refused flush left fills all tails, where they are small */
            assert_done(lynse_flush(f->docs, &f->err), f);
            code = put_numbers(f, (uint64_t)(n - 1) * 100, 100, false);
        }
        assert_int_equal(code, LYNSE_OK);
        fail_next(n);
        flush_refusals += was_refused(f, lynse_flush(f->docs, &f->err));
        assert_int_equal(count_rows(f), (uint64_t)n * 100);
    }
    for (int64_t n = 1; n < 200; n = n * 3 / 2 + 1) {
        fail_next(n);
        refusals += was_refused(f, lynse_build_index(f->docs, modes[n % 3], &f->err));
        assert_finds(f);
    }
    assert_true(refusals > 3);
    assert_true(flush_refusals > 1);
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
    assert_finds(f);
}

#define EVERYWHERE(_) _(beyond_the_budget_calls_say_so_and_go_on) _(a_root_needs_more_than_nothing)
#define IN_FOLDERS(_) _(rows_leave_memory_before_they_take_the_budget)
#define INLINE(_)                                                                                  \
    _(every_allocation_may_fail) _(an_index_or_a_flush_without_memory_names_the_budget)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(EVERYWHERE) API_IN_FOLDERS(IN_FOLDERS)
                                              INLINE(API_INLINE_FOLDER) INLINE(API_INLINE_MEMORY)};
TEST_MAIN(tests)
