/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <unistd.h>

#include "fixture.h"

/* ---- what is in a folder ---- */

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[2 * TEMP_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Entries but "." and "..". */
static size_t count_entries(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t count = 0;
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return count;
}

/* ---- life ---- */

static void a_root_keeps_what_was_written_across_reopening(void **state)
{
    struct fixture *f = *state;
    fixture_make_docs(f);
    for (uint64_t round = 0; round < 4; round++) {
        add_numbers(f, round * 10, 10);
        if (round == 1) assert_done(lynse_flush(f->docs, &f->err), f);
        fixture_reopen(f);
        assert_int_equal(count_rows(f), round * 10 + 10);
        assert_int_equal(field_of(f, number_id(round * 10 + 3)), round * 10 + 3);
    }
}

static void a_memory_root_vanishes_with_its_handle(void **state)
{
    struct fixture *f = *state;
    struct lynse_names *names;
    if (!f->variant->in_memory) return;
    fixture_make_docs(f);
    add_numbers(f, 0, 10);
    assert_done(lynse_flush(f->docs, &f->err), f);
    fixture_close(f);
    fixture_open(f);
    assert_done(lynse_database_list(f->db, &names, &f->err), f);
    assert_int_equal(names->count, 0);
    lynse_names_free(names);
}

static void two_memory_roots_are_apart(void **state)
{
    struct fixture *f = *state;
    struct fixture other = *f;
    int there = -1;
    snprintf(other.path, sizeof other.path, ":memory:");
    fixture_make_docs(f);
    fixture_open(&other);
    assert_done(lynse_collection_exists(other.db, "docs", &there, &other.err), &other);
    assert_false(there);
    fixture_close(&other);
}

static void close_takes_handles_scans_and_searches_with_it(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *again;
    struct lynse_scan *scan;
    struct lynse_search *search;
    float query[] = {1, 2, 3};
    struct lynse_search_desc desc = {.vector = query, .dim = 3};
    fixture_make_docs(f);
    add_numbers(f, 0, 50);
    assert_done(lynse_flush(f->docs, &f->err), f);
    add_numbers(f, 50, 5);
    assert_done(lynse_collection_open(f->db, "docs", &again, &f->err), f);
    assert_done(lynse_scan_begin(again, 0, &scan, &f->err), f);
    assert_done(lynse_search_begin(f->docs, &desc, &search), f);
    fixture_close(f);
}

static void closing_nothing_is_fine(void **state)
{
    (void)state;
    assert_int_equal(lynse_close(NULL, NULL), LYNSE_OK);
    lynse_collection_close(NULL);
    lynse_hits_free(NULL);
    lynse_names_free(NULL);
    lynse_scan_free(NULL);
    lynse_search_cancel(NULL);
}

/* ---- descs ---- */

static void a_desc_of_another_size_is_taken_when_it_can_be(void **state)
{
    struct fixture *f = *state;
    struct {
        struct lynse_collection_desc known;
        uint64_t newer;
    } d = {.known = {.name = "sized", .dim = 2}};
    struct lynse_collection *c;
    f->err.code = -7;
    d.known.struct_bytes = sizeof d;
    assert_done(lynse_collection_create(f->db, &d.known, &c, &f->err), f);
    assert_int_equal(f->err.code, -7); /* written only on failure */
    lynse_collection_close(c);
    d.known.name = "newer";
    d.newer = 1;
    assert_refused(lynse_collection_create(f->db, &d.known, &c, &f->err), f, LYNSE_UNSUPPORTED,
                   "desc", "does not know");
    d.known.struct_bytes = 8;
    assert_refused(lynse_collection_create(f->db, &d.known, &c, &f->err), f, LYNSE_INVALID,
                   "struct_bytes", "8");
    d.known.struct_bytes = UINT32_MAX; /* must not be believed */
    assert_refused(lynse_collection_create(f->db, &d.known, &c, &f->err), f, LYNSE_INVALID,
                   "struct_bytes", "4294967295");
    assert_refused(lynse_collection_create(f->db, NULL, &c, &f->err), f, LYNSE_INVALID, "missing");
}

static void every_desc_doubts_its_size(void **state)
{
    struct fixture *f = *state;
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.struct_bytes = UINT32_MAX, .dim = 3, .count = 1, .vectors = vector};
    struct lynse_write_options options = {.struct_bytes = 4};
    struct lynse_search_desc query = {
        .struct_bytes = UINT32_MAX, .vector = vector, .dim = 3, .error = &f->err};
    struct lynse_collection_info info = {.struct_bytes = UINT32_MAX};
    struct lynse_open_desc open = fixture_desc(f);
    struct lynse *db = NULL;
    struct lynse_hits *hits;
    struct lynse_search *search;
    fixture_make_docs(f);
    assert_refused(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f, LYNSE_INVALID,
                   "struct_bytes");
    rows.struct_bytes = 0;
    assert_refused(lynse_add(f->docs, &rows, &options, NULL, &f->err), f, LYNSE_INVALID,
                   "struct_bytes", "4");
    assert_refused(lynse_collection_info(f->docs, &info, &f->err), f, LYNSE_INVALID,
                   "struct_bytes");
    info.struct_bytes = 4;
    assert_refused(lynse_collection_info(f->docs, &info, &f->err), f, LYNSE_INVALID,
                   "struct_bytes");
    assert_int_equal(lynse_search(f->docs, &query, &hits), LYNSE_INVALID);
    /* The error's place is behind what a short desc has. */
    query.struct_bytes = 16;
    query.error = (struct lynse_error *)(uintptr_t)16;
    assert_int_equal(lynse_search(f->docs, &query, &hits), LYNSE_INVALID);
    assert_int_equal(lynse_search_begin(f->docs, &query, &search), LYNSE_INVALID);
    open.struct_bytes = UINT32_MAX;
    assert_refused(lynse_open(&open, &db, &f->err), f, LYNSE_INVALID, "struct_bytes");
    assert_null(db);
    assert_int_equal(count_rows(f), 0);
}

static void a_bad_open_desc_names_its_field(void **state)
{
    struct fixture *f = *state;
    const struct lynse_open_desc good = fixture_desc(f);
    struct lynse *db = NULL;
    struct lynse_open_desc d;
#define REFUSED(change, ...)                                                                       \
    d = good;                                                                                      \
    d.path = ":memory:";                                                                           \
    change;                                                                                        \
    assert_refused(lynse_open(&d, &db, &f->err), f, LYNSE_INVALID, __VA_ARGS__);
    REFUSED(d.path = NULL, "path: missing")
    REFUSED(d.path = "", "path: empty")
    REFUSED(d.flags = 1u << 30, "flags", "0x40000000")
    REFUSED(d.flags = LYNSE_OPEN_IMMUTABLE, "LYNSE_OPEN_IMMUTABLE")
    REFUSED(d.mode = 2, "mode", "2", "1")
    REFUSED(d.sync = 5, "sync", "5", "4")
    REFUSED(d.sync_interval_ms = 1001, "sync_interval_ms", "1001", "1000")
    REFUSED(d.actor_threads = 257, "actor_threads", "257", "256")
    REFUSED(d.search_threads = 257, "search_threads", "257", "256")
    REFUSED(d.job_threads = 257, "job_threads", "257", "256")
    REFUSED(d.allocator.free = NULL, "allocator")
#undef REFUSED
    d = good;
    d.path = ":memory:";
    d.low_water_bytes = (1ull << 50) + 1;
    assert_refused(lynse_open(&d, &db, &f->err), f, LYNSE_LIMIT, "low_water_bytes",
                   "1125899906842625", "1125899906842624");
    assert_int_equal(lynse_open(NULL, &db, NULL), LYNSE_INVALID);
    assert_null(db);
}

/* ---- folders that are not ours ---- */

static void a_foreign_folder_is_named_and_left_alone(void **state)
{
    static const struct {
        const char *file, *whose;
    } known[] = {
        {"collections.json", "LynseDB"}, {"fields.stable_ids", "LynseDB"},
        {"chroma.sqlite3", "Chroma"},    {"table.lance", "LanceDB"},
        {"raft_state.json", "Qdrant"},   {"holiday.jpg", "not empty"},
        {"catalog-x", "not empty"},      {"catalog-01", "not empty"},
    };
    struct fixture *f = *state;
    char folder[TEMP_PATH_BYTES];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct lynse_open_desc desc = fixture_desc(f);
        struct lynse *db = NULL;
        temp_dir_make(folder);
        write_file(folder, known[i].file, "hello");
        desc.path = folder;
        for (unsigned read_only = 0; read_only < 2; read_only++) {
            desc.flags = read_only ? LYNSE_OPEN_READ_ONLY : 0;
            if (read_only) assert_int_not_equal(lynse_open(&desc, &db, &f->err), LYNSE_OK);
            else
                assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_INVALID, known[i].whose,
                               folder);
            assert_null(db);
            assert_int_equal(count_entries(folder), 1);
        }
        temp_dir_remove(folder);
    }
}

static void a_catalog_that_is_not_ours_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    char folder[TEMP_PATH_BYTES];
    struct lynse_open_desc desc = fixture_desc(f);
    struct lynse *db = NULL;
    temp_dir_make(folder);
    write_file(folder, "catalog-1", "of a library");
    desc.path = folder;
    assert_int_not_equal(lynse_open(&desc, &db, &f->err), LYNSE_OK);
    assert_null(db);
    assert_int_equal(count_entries(folder), 1);
    temp_dir_remove(folder);
}

static void what_an_interrupted_creation_leaves_does_not_stop_the_next(void **state)
{
    struct fixture *f = *state;
    char folder[TEMP_PATH_BYTES];
    struct fixture other = *f;
    temp_dir_make(folder);
    write_file(folder, "LOCK", "");
    write_file(folder, "tmp-photos", "of somebody else");
    char path[2 * TEMP_PATH_BYTES];
    struct lynse_open_desc desc = fixture_desc(&other);
    struct lynse *db = NULL;
    desc.path = folder;
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_INVALID, folder, "left alone");
    snprintf(path, sizeof path, "%s/tmp-photos", folder);
    assert_int_equal(unlink(path), 0);
    write_file(folder, "tmp-0123456789abcdef0123456789abcdef", "half a catalog");
    snprintf(other.path, sizeof other.path, "%s", folder);
    fixture_open(&other);
    fixture_close(&other);
    assert_int_equal(count_entries(folder), 2); /* LOCK and the catalog */
    temp_dir_remove(folder);
}

static void a_path_that_cannot_be_a_root_is_refused(void **state)
{
    struct fixture *f = *state;
    char folder[TEMP_PATH_BYTES], path[2 * TEMP_PATH_BYTES];
    struct lynse_open_desc desc = fixture_desc(f);
    struct lynse *db = NULL;
    temp_dir_make(folder);
    write_file(folder, "a_file", "x");
    desc.path = path;
    snprintf(path, sizeof path, "%s/a_file", folder);
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_INVALID, "a_file");
    snprintf(path, sizeof path, "%s/a_file/below", folder);
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_INVALID, "a_file");
    snprintf(path, sizeof path, "%s/no/parent", folder);
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_NOT_FOUND, "no/parent");
    snprintf(path, sizeof path, "%s/absent", folder);
    desc.flags = LYNSE_OPEN_NO_CREATE;
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_NOT_FOUND, "absent");
    desc.flags = LYNSE_OPEN_READ_ONLY;
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_NOT_FOUND, "absent");
    desc.path = ":memory:";
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_INVALID, "read-only");
    desc.path = path;
    assert_int_equal(count_entries(folder), 1);
    desc.flags = LYNSE_OPEN_NO_CREATE;
    snprintf(path, sizeof path, "%s/a_file", folder);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s", folder);
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_NOT_FOUND, folder);
    assert_int_equal(count_entries(folder), 0);
    temp_dir_remove(folder);
}

static void the_library_says_what_it_is(void **state)
{
    (void)state;
    assert_string_equal(lynse_version(), "0.1.0");
    assert_true(lynse_abi_version() >= 1);
    assert_string_equal(lynse_error_name(LYNSE_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(lynse_error_name(-5), "unknown");
    assert_string_equal(lynse_error_name(9999), "unknown");
    assert_non_null(strstr("dotprod neon vpopcnt vnni avx512 avx2 serial", lynse_simd_level()));
}

static _Atomic(int) log_lines;
static void count_lines(void *ctx, int level, const char *line)
{
    assert_ptr_equal(ctx, &log_lines);
    assert_in_range(level, LYNSE_LOG_DEBUG, LYNSE_LOG_ERROR);
    assert_true(strlen(line) > 0);
    atomic_fetch_add(&log_lines, 1);
}

static void a_log_sink_can_be_set_and_taken_away(void **state)
{
    struct fixture *f = *state;
    lynse_set_log(count_lines, &log_lines, LYNSE_LOG_DEBUG);
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    assert_done(lynse_flush(f->docs, &f->err), f);
    lynse_set_log(NULL, NULL, LYNSE_LOG_ERROR);
}

#define EVERYWHERE(_)                                                                              \
    _(a_memory_root_vanishes_with_its_handle)                                                      \
    _(two_memory_roots_are_apart)                                                                  \
    _(close_takes_handles_scans_and_searches_with_it)                                              \
    _(closing_nothing_is_fine)                                                                     \
    _(a_desc_of_another_size_is_taken_when_it_can_be)                                              \
    _(every_desc_doubts_its_size)                                                                  \
    _(a_bad_open_desc_names_its_field)                                                             \
    _(the_library_says_what_it_is)                                                                 \
    _(a_log_sink_can_be_set_and_taken_away)
#define IN_FOLDERS(_)                                                                              \
    _(a_root_keeps_what_was_written_across_reopening)                                              \
    _(a_foreign_folder_is_named_and_left_alone)                                                    \
    _(a_catalog_that_is_not_ours_stays_as_it_is)                                                   \
    _(what_an_interrupted_creation_leaves_does_not_stop_the_next)                                  \
    _(a_path_that_cannot_be_a_root_is_refused)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(EVERYWHERE) API_IN_FOLDERS(IN_FOLDERS)};
TEST_MAIN(tests)
