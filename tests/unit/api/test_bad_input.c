/* SPDX-License-Identifier: Apache-2.0 */
/* test_bad_input.c — whatever is wrong with a call: one clear error, nothing applied, the handle as
 * good as before.  Each case ends with the same look at what must not have changed. */
#include <math.h>

#include "base/limits.h"
#include "fixture.h"

enum { ROWS_BEFORE = 3 };

static struct lynse_collection_info before;

static void begin(struct fixture *f)
{
    fixture_make_docs(f);
    add_numbers(f, 0, ROWS_BEFORE);
    before = info_of(f);
}

/* Nothing was applied, and the handle still takes a write. */
static void assert_untouched(struct fixture *f)
{
    struct lynse_collection_info now = info_of(f);
    assert_int_equal(now.applied_lsn, before.applied_lsn);
    assert_int_equal(now.live_count, before.live_count);
    assert_int_equal(now.deleted_count, before.deleted_count);
    assert_int_equal(now.max_int_id, before.max_int_id);
    assert_int_equal(now.dim, 3);
    assert_int_equal(count_rows(f), ROWS_BEFORE);
    add_numbers(f, ROWS_BEFORE, 1);
    assert_int_equal(info_of(f).applied_lsn, before.applied_lsn + 1);
}

/* ---- rows ---- */

static void rows_that_are_wrong_are_refused_as_a_whole(void **state)
{
    struct fixture *f = *state;
    float vectors[] = {1, 2, 3, 4, 5, 6};
    uint64_t numbers[] = {100, 101};
    char long_text[LIMIT_ID_BYTES + 2];
    struct lynse_id ids[2] = {number_id(100), number_id(101)};
    struct lynse_bytes fields[2] = {{"\x80", 1}, {"\x80", 1}};
    struct lynse_rows r;
    const struct lynse_rows good = {
        .dim = 3, .count = 2, .numbers = numbers, .vectors = vectors, .fields = fields};
    begin(f);
    memset(long_text, 'x', sizeof long_text);
#define REFUSED(change, code, ...)                                                                 \
    r = good;                                                                                      \
    change;                                                                                        \
    assert_refused(lynse_add(f->docs, &r, NULL, NULL, &f->err), f, code, __VA_ARGS__);             \
    assert_refused(lynse_upsert(f->docs, &r, NULL, NULL, &f->err), f, code, __VA_ARGS__);          \
    assert_int_equal(lynse_add(f->docs, &r, NULL, NULL, NULL), code)
#define REFUSED_IDS(first, second, code, ...)                                                      \
    ids[0] = first;                                                                                \
    ids[1] = second;                                                                               \
    REFUSED((r.numbers = NULL, r.ids = ids), code, __VA_ARGS__)

    REFUSED(r.count = 0, LYNSE_INVALID, "count");
    REFUSED(r.count = LIMIT_BATCH_ROWS + 1, LYNSE_LIMIT, "count", "100001", "100000");
    REFUSED(r.count = SIZE_MAX, LYNSE_LIMIT, "count", "18446744073709551615", "100000");
    REFUSED(r.vectors = NULL, LYNSE_INVALID, "vectors");
    REFUSED(r.dim = 0, LYNSE_DIMENSION, "dim", "0");
    REFUSED(r.dim = 2, LYNSE_DIMENSION, "vectors", "2", "3");
    REFUSED(r.dim = LIMIT_DIM + 1, LYNSE_LIMIT, "dim", "32769", "32768");
    REFUSED(r.dim = UINT32_MAX, LYNSE_LIMIT, "dim", "4294967295", "32768");
    REFUSED(r.ids = ids, LYNSE_INVALID, "ids", "numbers");
    REFUSED((numbers[1] = UINT64_MAX), LYNSE_INVALID, "id at 1");
    REFUSED((numbers[1] = 100), LYNSE_DUPLICATE_ID, "ids", "100", "0", "1");
    numbers[1] = 101;

    REFUSED_IDS(number_id(7), text_id(""), LYNSE_INVALID, "id at 1");
    ids[1] = (struct lynse_id){.text = long_text, .text_bytes = LIMIT_ID_BYTES + 1};
    REFUSED((r.numbers = NULL, r.ids = ids), LYNSE_LIMIT, "id at 1", "256", "255");
    ids[1].text_bytes = UINT32_MAX; /* must not be believed */
    REFUSED((r.numbers = NULL, r.ids = ids), LYNSE_LIMIT, "id at 1", "4294967295", "255");
    REFUSED_IDS(number_id(7), text_id("a\xff"), LYNSE_INVALID, "id at 1", "UTF-8");
    ids[1] = (struct lynse_id){.number = 8, .reserved = 3};
    REFUSED((r.numbers = NULL, r.ids = ids), LYNSE_INVALID, "id at 1", "reserved: 3");
    REFUSED_IDS(text_id("twice"), text_id("twice"), LYNSE_DUPLICATE_ID, "twice");
    REFUSED_IDS(number_id(9), number_id(9), LYNSE_DUPLICATE_ID, "9");

    REFUSED((vectors[4] = NAN), LYNSE_INVALID, "component 1 of row 1", "nan");
    REFUSED((vectors[4] = INFINITY), LYNSE_INVALID, "component 1 of row 1", "inf");
    REFUSED((vectors[4] = -INFINITY), LYNSE_INVALID, "component 1 of row 1", "-inf");
    vectors[4] = 5;

    fields[1] = (struct lynse_bytes){"\xa1x", 2};
    REFUSED((void)0, LYNSE_INVALID, "fields of row 1");
    fields[1] = (struct lynse_bytes){"\x81\xa1x", 3};
    REFUSED((void)0, LYNSE_PARSE, "fields of row 1");
    fields[1] = (struct lynse_bytes){"\x81\x01\x01", 3};
    REFUSED((void)0, LYNSE_INVALID, "fields of row 1");
    fields[1] = (struct lynse_bytes){NULL, 4};
    REFUSED((void)0, LYNSE_INVALID, "fields of row 1");
    fields[1] = (struct lynse_bytes){"\x80", LIMIT_DOC_BYTES + 1};
    REFUSED((void)0, LYNSE_LIMIT, "fields of row 1", "1048577", "1048576");
    fields[1] = (struct lynse_bytes){"\x80", SIZE_MAX};
    REFUSED((void)0, LYNSE_LIMIT, "fields of row 1", "1048576");
#undef REFUSED_IDS
#undef REFUSED
    assert_int_equal(lynse_add(f->docs, NULL, NULL, NULL, NULL), LYNSE_INVALID);
    assert_untouched(f);
}

static void an_upsert_needs_ids(void **state)
{
    struct fixture *f = *state;
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    begin(f);
    assert_refused(lynse_upsert(f->docs, &rows, NULL, NULL, &f->err), f, LYNSE_INVALID, "ids");
    assert_untouched(f);
}

static void an_add_of_what_is_there_names_the_first_of_them(void **state)
{
    struct fixture *f = *state;
    begin(f);
    assert_refused(put_numbers(f, 2, 5, false), f, LYNSE_ALREADY_EXISTS, "2");
    assert_refused(put_one(f, number_id(1), 5, 5, false), f, LYNSE_ALREADY_EXISTS, "1");
    assert_int_equal(field_of(f, number_id(1)), 1);
    assert_untouched(f);
}

static void a_group_over_the_limit_is_too_large(void **state)
{
    struct fixture *f = *state;
    enum { ROWS = 300 };
    struct lynse_bytes fields[ROWS];
    uint8_t *document = malloc(LIMIT_DOC_BYTES);
    float *vectors = calloc(ROWS * 3, sizeof *vectors);
    /* {"x": text}: a map of one key, a str 32 of all that is left */
    memcpy(document, "\x81\xa1x\xdb\x00\x0f\xff\xf8", 8);
    memset(document + 8, 'y', LIMIT_DOC_BYTES - 8);
    for (size_t i = 0; i < ROWS; i++) fields[i] = (struct lynse_bytes){document, LIMIT_DOC_BYTES};
    struct lynse_rows rows = {.dim = 3, .count = ROWS, .vectors = vectors, .fields = fields};
    begin(f);
    assert_refused(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f, LYNSE_TOO_LARGE,
                   "ids, vectors and fields", "314576", "268435456");
    assert_untouched(f);
    free(document);
    free(vectors);
}

static void ids_to_delete_or_restore_are_checked(void **state)
{
    struct fixture *f = *state;
    struct lynse_id ids[2] = {number_id(0), number_id(UINT64_MAX)};
    begin(f);
    assert_refused(lynse_delete(f->docs, ids, 0, NULL, NULL, &f->err), f, LYNSE_INVALID, "count");
    assert_refused(lynse_delete(f->docs, NULL, 1, NULL, NULL, &f->err), f, LYNSE_INVALID, "ids");
    assert_refused(lynse_delete(f->docs, ids, 2, NULL, NULL, &f->err), f, LYNSE_INVALID, "id at 1");
    assert_refused(lynse_delete(f->docs, ids, LIMIT_BATCH_ROWS + 1, NULL, NULL, &f->err), f,
                   LYNSE_LIMIT, "100001", "100000");
    ids[1] = text_id("");
    assert_refused(lynse_restore(f->docs, ids, 2, NULL, NULL, &f->err), f, LYNSE_INVALID,
                   "id at 1");
    assert_refused(lynse_restore(f->docs, NULL, 1, NULL, NULL, &f->err), f, LYNSE_INVALID, "ids");
    assert_untouched(f);
}

static void write_options_are_checked(void **state)
{
    struct fixture *f = *state;
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    struct lynse_write_options o = {.sync = LYNSE_SYNC_NONE};
    begin(f);
    assert_refused(lynse_add(f->docs, &rows, &o, NULL, &f->err), f, LYNSE_INVALID, "sync", "4");
    o = (struct lynse_write_options){.sync = 77};
    assert_refused(lynse_add(f->docs, &rows, &o, NULL, &f->err), f, LYNSE_INVALID, "sync", "77");
    o = (struct lynse_write_options){.timeout_us = 600000001};
    assert_refused(lynse_add(f->docs, &rows, &o, NULL, &f->err), f, LYNSE_LIMIT, "timeout_us",
                   "600000001", "600000000");
    assert_untouched(f);
}

/* ---- reads ---- */

static void a_search_that_is_wrong_is_refused(void **state)
{
    struct fixture *f = *state;
    float vector[] = {1, 2, 3};
    struct lynse_hits *hits = NULL;
    struct lynse_search *search = NULL;
    const struct lynse_search_desc good = {.vector = vector, .dim = 3, .error = &f->err};
    struct lynse_search_desc d;
    begin(f);
#define REFUSED(change, code, ...)                                                                 \
    d = good;                                                                                      \
    change;                                                                                        \
    assert_refused(lynse_search(f->docs, &d, &hits), f, code, __VA_ARGS__);                        \
    assert_refused(lynse_search_begin(f->docs, &d, &search), f, code, __VA_ARGS__);                \
    d.error = NULL;                                                                                \
    assert_int_equal(lynse_search(f->docs, &d, &hits), code)
    REFUSED(d.vector = NULL, LYNSE_INVALID, "vector");
    REFUSED(d.dim = 0, LYNSE_INVALID, "dim", "0");
    REFUSED(d.dim = 4, LYNSE_DIMENSION, "4", "3");
    REFUSED(d.dim = LIMIT_DIM + 1, LYNSE_LIMIT, "dim", "32769", "32768");
    REFUSED(d.k = LIMIT_K + 1, LYNSE_LIMIT, "k", "100001", "100000");
    REFUSED(d.max_results = LIMIT_K + 1, LYNSE_LIMIT, "max_results", "100001", "100000");
    REFUSED(d.query_count = LIMIT_QUERIES + 1, LYNSE_LIMIT, "query_count", "10001", "10000");
    REFUSED(d.query_count = SIZE_MAX, LYNSE_LIMIT, "query_count", "10000");
    REFUSED(d.flags = LYNSE_SCAN_DELETED, LYNSE_INVALID, "flags", "0x20");
    REFUSED(d.where = "n >", LYNSE_PARSE, "where");
    REFUSED(d.timeout_us = 600000001, LYNSE_LIMIT, "timeout_us", "600000001");
    REFUSED((d.flags = LYNSE_RANGE, d.threshold = NAN), LYNSE_INVALID, "threshold");
    REFUSED((vector[2] = NAN), LYNSE_INVALID, "component 2", "nan");
    REFUSED((vector[2] = INFINITY), LYNSE_INVALID, "component 2", "inf");
#undef REFUSED
    assert_int_equal(lynse_search(f->docs, NULL, &hits), LYNSE_INVALID);
    assert_null(hits);
    assert_null(search);
    assert_untouched(f);
}

static void reads_that_are_wrong_are_refused(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits = NULL;
    struct lynse_scan *scan = NULL;
    struct lynse_id id = number_id(UINT64_MAX);
    int there = -1;
    begin(f);
    assert_refused(lynse_get(f->docs, &id, 1, 0, &hits, &f->err), f, LYNSE_INVALID, "id at 0");
    assert_refused(lynse_get(f->docs, NULL, 1, 0, &hits, &f->err), f, LYNSE_INVALID, "ids");
    assert_refused(lynse_get(f->docs, &id, LIMIT_BATCH_ROWS + 1, 0, &hits, &f->err), f, LYNSE_LIMIT,
                   "ids", "100001", "100000");
    assert_refused(lynse_exists(f->docs, &id, &there, &f->err), f, LYNSE_INVALID,
                   "18446744073709551615");
    assert_refused(lynse_exists(f->docs, NULL, &there, &f->err), f, LYNSE_INVALID, "id");
    id = (struct lynse_id){.number = 1, .reserved = 3};
    assert_refused(lynse_get(f->docs, &id, 1, 0, &hits, &f->err), f, LYNSE_INVALID, "id at 0",
                   "reserved: 3");
    assert_refused(lynse_exists(f->docs, &id, &there, &f->err), f, LYNSE_INVALID, "reserved: 3");
    id = number_id(1);
    assert_refused(lynse_get(f->docs, &id, 1, 64, &hits, &f->err), f, LYNSE_INVALID, "flags",
                   "0x40");
    assert_refused(lynse_scan_begin(f->docs, 64, &scan, &f->err), f, LYNSE_INVALID, "flags",
                   "0x40");
    assert_done(lynse_scan_begin(f->docs, 0, &scan, &f->err), f);
    assert_refused(lynse_scan_next(scan, 0, &hits, &f->err), f, LYNSE_LIMIT, "row_max", "0");
    assert_refused(lynse_scan_next(scan, LIMIT_BATCH_ROWS + 1, &hits, &f->err), f, LYNSE_LIMIT,
                   "row_max", "100001", "100000");
    assert_done(lynse_scan_next(scan, 10, &hits, &f->err), f); /* and goes on */
    assert_int_equal(hits->count, ROWS_BEFORE);
    lynse_hits_free(hits);
    lynse_scan_free(scan);
    assert_int_equal(there, -1);
    assert_untouched(f);
}

/* ---- collections ---- */

static size_t count_names(struct fixture *f, const char *database)
{
    struct lynse_names *names;
    if (database) assert_done(lynse_collection_list(f->db, database, &names, &f->err), f);
    else assert_done(lynse_database_list(f->db, &names, &f->err), f);
    size_t count = names->count;
    lynse_names_free(names);
    return count;
}

static void a_collection_that_is_wrong_is_not_made(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *c = NULL;
    char long_name[LIMIT_NAME_BYTES + 2] = {0}, long_text[LIMIT_DESCRIPTION_BYTES + 2] = {0};
    struct lynse_collection_desc d;
    begin(f);
    memset(long_name, 'n', sizeof long_name - 1);
    memset(long_text, 't', sizeof long_text - 1);
#define REFUSED(change, code, ...)                                                                 \
    d = (struct lynse_collection_desc){.name = "fresh/one", .dim = 3};                             \
    change;                                                                                        \
    assert_refused(lynse_collection_create(f->db, &d, &c, &f->err), f, code, __VA_ARGS__);         \
    assert_refused(lynse_collection_require(f->db, &d, &c, &f->err), f, code, __VA_ARGS__)
    REFUSED(d.name = NULL, LYNSE_INVALID, "name");
    REFUSED(d.name = "", LYNSE_INVALID, "collection name");
    REFUSED(d.name = "fresh/", LYNSE_INVALID, "collection name");
    REFUSED(d.name = "/one", LYNSE_INVALID, "database name");
    REFUSED(d.name = "a/b/c", LYNSE_INVALID, "collection name", "0x2f");
    REFUSED(d.name = "fresh/..", LYNSE_INVALID, "collection name");
    REFUSED(d.name = "fresh/na\xc3\xafve", LYNSE_INVALID, "collection name", "0xc3");
    REFUSED(d.name = long_name, LYNSE_LIMIT, "collection name", "129", "128");
    REFUSED(d.dim = LIMIT_DIM + 1, LYNSE_LIMIT, "dim", "32769", "32768");
    REFUSED(d.metric = 200, LYNSE_INVALID, "metric", "200", "allowed");
    REFUSED(d.sync = 5, LYNSE_INVALID, "sync", "5", "4");
    REFUSED(d.sync_interval_ms = 1001, LYNSE_INVALID, "sync_interval_ms", "1001", "1000");
    REFUSED(d.storage = 7, LYNSE_INVALID, "storage", "7", "0 to 6");
    REFUSED(d.description = long_text, LYNSE_LIMIT, "description", "4097", "4096");
    REFUSED(d.description = "a\xff", LYNSE_INVALID, "description", "UTF-8");
#undef REFUSED
    d = (struct lynse_collection_desc){.name = "docs", .dim = 3};
    assert_refused(lynse_collection_create(f->db, &d, &c, &f->err), f, LYNSE_ALREADY_EXISTS,
                   "default/docs");
    d.dim = 4;
    assert_refused(lynse_collection_require(f->db, &d, &c, &f->err), f, LYNSE_DIMENSION, "dim", "4",
                   "default/docs", "3");
    assert_null(c);
    assert_int_equal(count_names(f, NULL), 1); /* not even a database */
    assert_int_equal(count_names(f, "default"), 1);
    assert_untouched(f);
}

static void unknown_and_malformed_names_are_told_apart(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *c = NULL;
    struct lynse_names *names = NULL;
    int there = -1;
    begin(f);
    assert_refused(lynse_collection_open(f->db, "nowhere", &c, &f->err), f, LYNSE_NOT_FOUND,
                   "default/nowhere");
    assert_refused(lynse_collection_open(f->db, "no/where", &c, &f->err), f, LYNSE_NOT_FOUND,
                   "no/where");
    assert_refused(lynse_collection_open(f->db, NULL, &c, &f->err), f, LYNSE_INVALID, "name");
    assert_refused(lynse_collection_open(f->db, "../etc", &c, &f->err), f, LYNSE_INVALID,
                   "database name");
    assert_refused(lynse_collection_drop(f->db, "nowhere", &f->err), f, LYNSE_NOT_FOUND, "nowhere");
    assert_refused(lynse_collection_drop(f->db, NULL, &f->err), f, LYNSE_INVALID, "name");
    assert_refused(lynse_collection_exists(f->db, "a b", &there, &f->err), f, LYNSE_INVALID,
                   "0x20");
    assert_refused(lynse_collection_list(f->db, "nowhere", &names, &f->err), f, LYNSE_NOT_FOUND,
                   "nowhere");
    assert_refused(lynse_collection_list(f->db, NULL, &names, &f->err), f, LYNSE_INVALID,
                   "database");
    assert_refused(lynse_database_drop(f->db, "nowhere", &f->err), f, LYNSE_NOT_FOUND, "nowhere");
    assert_refused(lynse_database_drop(f->db, NULL, &f->err), f, LYNSE_INVALID, "database");
    assert_refused(lynse_database_create(f->db, NULL, &f->err), f, LYNSE_INVALID, "database");
    assert_refused(lynse_database_create(f->db, "", &f->err), f, LYNSE_INVALID, "database");
    assert_refused(lynse_database_create(f->db, "default", &f->err), f, LYNSE_ALREADY_EXISTS,
                   "default");
    assert_refused(lynse_database_exists(f->db, "", &there, &f->err), f, LYNSE_INVALID, "database");
    assert_refused(lynse_database_exists(f->db, NULL, &there, &f->err), f, LYNSE_INVALID,
                   "database");
    assert_int_equal(there, -1);
    assert_null(c);
    assert_null(names);
    assert_int_equal(count_names(f, NULL), 1);
    assert_untouched(f);
}

static void orders_that_are_wrong_are_refused(void **state)
{
    struct fixture *f = *state;
    char long_text[LIMIT_DESCRIPTION_BYTES + 2] = {0};
    begin(f);
    memset(long_text, 't', sizeof long_text - 1);
    assert_refused(lynse_build_index(f->docs, NULL, &f->err), f, LYNSE_INVALID, "index_mode");
    assert_refused(lynse_build_index(f->docs, "", &f->err), f, LYNSE_INVALID, "index_mode");
    assert_refused(lynse_build_index(f->docs, "FLAT-XY", &f->err), f, LYNSE_INVALID, "FLAT-XY",
                   "IP, L2, COS");
    assert_refused(lynse_build_index(f->docs, "FLAT", &f->err), f, LYNSE_INVALID, "no metric");
    assert_refused(lynse_build_index(f->docs, "junk\n\xff'", &f->err), f, LYNSE_INVALID,
                   "'junk\\x0a\\xff\\x27'");
    assert_refused(lynse_build_index(f->docs, "QUICKLY", &f->err), f, LYNSE_INVALID, "QUICKLY");
    assert_refused(lynse_set_sync(f->docs, 0, 0, &f->err), f, LYNSE_INVALID, "sync", "0", "4");
    assert_refused(lynse_set_sync(f->docs, 5, 0, &f->err), f, LYNSE_INVALID, "sync", "5", "4");
    assert_refused(lynse_set_sync(f->docs, 256 + 1, 0, &f->err), f, LYNSE_INVALID, "sync", "257");
    assert_refused(lynse_set_sync(f->docs, LYNSE_SYNC_INTERVAL, 1001, &f->err), f, LYNSE_INVALID,
                   "interval_ms", "1001", "1000");
    assert_refused(lynse_set_sync(f->docs, LYNSE_SYNC_OS, 1001, &f->err), f, LYNSE_INVALID,
                   "interval_ms", "1001", "1000");
    assert_refused(lynse_collection_describe(f->docs, long_text, &f->err), f, LYNSE_LIMIT,
                   "description", "4097", "4096");
    assert_refused(lynse_collection_describe(f->docs, "a\xff", &f->err), f, LYNSE_INVALID,
                   "description", "UTF-8");
    struct lynse_collection_info now = info_of(f);
    assert_string_equal(now.index_mode, before.index_mode);
    assert_int_equal(now.sync, before.sync);
    assert_int_equal(now.metric, LYNSE_L2);
    assert_untouched(f);
}

static void indexes_that_are_wrong_are_refused(void **state)
{
    struct fixture *f = *state;
    struct lynse_index_param params[65] = {{"speed", 1}};
    struct lynse_index_desc desc = {.mode = "FLAT-IP", .params = params, .param_count = 1};
    uint32_t metric = 77;
    begin(f);
    assert_refused(lynse_index_set(f->docs, NULL, &f->err), f, LYNSE_INVALID, "desc");
    assert_refused(lynse_index_set(f->docs, &desc, &f->err), f, LYNSE_INVALID,
                   "unknown index build parameter 'speed'", "flat");
    desc.param_count = 2; /* the second has no name */
    params[0].name = "m";
    assert_refused(lynse_index_set(f->docs, &desc, &f->err), f, LYNSE_INVALID, "params", "1");
    desc.param_count = 65;
    assert_refused(lynse_index_set(f->docs, &desc, &f->err), f, LYNSE_LIMIT, "param_count", "65",
                   "64");
    desc.param_count = 1;
    desc.params = NULL;
    assert_refused(lynse_index_set(f->docs, &desc, &f->err), f, LYNSE_INVALID, "params");
    desc.param_count = 0;
    desc.flags = 6;
    assert_refused(lynse_index_set(f->docs, &desc, &f->err), f, LYNSE_INVALID, "flags", "0x6");
    desc = (struct lynse_index_desc){.mode = NULL};
    assert_refused(lynse_index_set(f->docs, &desc, &f->err), f, LYNSE_INVALID, "mode");
    assert_refused(lynse_index_metric("FLAT-XY", &metric, &f->err), f, LYNSE_INVALID, "FLAT-XY");
    assert_int_equal(metric, 77);
    assert_string_equal(info_of(f).index_mode, before.index_mode);
    assert_int_equal(info_of(f).metric, LYNSE_L2);
    assert_untouched(f);
}

static void an_error_is_not_needed(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *c = NULL;
    struct lynse_id id = number_id(UINT64_MAX);
    begin(f);
    assert_int_equal(lynse_collection_open(f->db, "nowhere", &c, NULL), LYNSE_NOT_FOUND);
    assert_int_equal(lynse_delete(f->docs, &id, 1, NULL, NULL, NULL), LYNSE_INVALID);
    assert_int_equal(lynse_build_index(f->docs, "X", NULL), LYNSE_INVALID);
    assert_untouched(f);
}

#define CASES(_)                                                                                   \
    _(rows_that_are_wrong_are_refused_as_a_whole)                                                  \
    _(an_upsert_needs_ids)                                                                         \
    _(an_add_of_what_is_there_names_the_first_of_them)                                             \
    _(a_group_over_the_limit_is_too_large)                                                         \
    _(ids_to_delete_or_restore_are_checked)                                                        \
    _(write_options_are_checked)                                                                   \
    _(a_search_that_is_wrong_is_refused)                                                           \
    _(reads_that_are_wrong_are_refused)                                                            \
    _(a_collection_that_is_wrong_is_not_made)                                                      \
    _(unknown_and_malformed_names_are_told_apart)                                                  \
    _(orders_that_are_wrong_are_refused)                                                           \
    _(indexes_that_are_wrong_are_refused)                                                          \
    _(an_error_is_not_needed)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(CASES)};
TEST_MAIN(tests)
