/* SPDX-License-Identifier: Apache-2.0 */
/* test_loader.c — scripts by name: ours, an operator's, and names that are none. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "lua/loader.h"
#include "lynse.h"
#include "lynse_lua.h"
#include "support/oom_sweep.h"
#include "support/temp_dir.h"
#include "unit/lua/fixture.h"

struct folder {
    char path[TEMP_PATH_BYTES];
    struct alloc *alloc;
    struct loader *loader;
    struct error err;
};
static struct folder f;

static int open_folder(void **state)
{
    char path[TEMP_PATH_BYTES + 16];

    (void)state;
    memset(&f, 0, sizeof f);
    f.alloc = alloc_create(NULL, 0);
    temp_dir_make(f.path);
    snprintf(path, sizeof path, "%s/rerank", f.path);
    assert_int_equal(mkdir(path, 0700), 0);
    return 0;
}
static int close_folder(void **state)
{
    (void)state;
    loader_close(f.loader);
    assert_int_equal(alloc_used_bytes(f.alloc), 0);
    alloc_destroy(f.alloc);
    temp_dir_remove(f.path);
    return 0;
}

static void write_bytes(const char *name, const char *text, size_t size)
{
    char path[TEMP_PATH_BYTES + 300];

    snprintf(path, sizeof path, "%s/%s", f.path, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fclose(file);
}

static void write_script(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void open_loader(const char *path)
{
    loader_close(f.loader);
    f.loader = NULL;
    assert_ok(loader_open(f.alloc, path, &f.loader, &f.err), &f.err);
}

static const struct loader_script *find(const char *name)
{
    const struct loader_script *s = NULL;
    assert_ok(loader_find(f.loader, HOOK_RERANK, slice_of_text(name), &s, &f.err), &f.err);
    assert_true(slice_equal(s->name, slice_of_text(name)));
    return s;
}

static void ours_have_versions(void **state)
{
    size_t count;

    (void)state;
    open_loader(NULL);
    const struct loader_script *all = loader_scripts(f.loader, &count);
    assert_true(count >= 3);
    for (size_t i = 0; i < count; i++) {
        if (all[i].version == 0) fail_msg("%s has no line '-- version: N'", all[i].path);
        assert_true(all[i].is_ours);
    }
    assert_string_equal(find("mmr")->path, "rerank/mmr");
}

static void a_folder_adds_and_overrides(void **state)
{
    static const char source[] = "-- mmr of our own\n-- version: 17\nreturn function() end\n";
    size_t ours, all;
    struct hash128 hash = hash_xxh3_128(source, sizeof source - 1);

    (void)state;
    open_loader(NULL);
    (void)loader_scripts(f.loader, &ours);
    write_script("rerank/mmr.lua", source);
    write_script("rerank/by_stars2.lua", "function(hits) return {} end");
    write_script("rerank/README", "words");
    write_script("rerank/.mmr.lua", "an editor's");
    write_script("top.lua", "no point's");
    open_loader(f.path);
    const struct loader_script *list = loader_scripts(f.loader, &all);
    assert_int_equal(all, ours + 1);
    for (size_t i = 1; i < all; i++) assert_true(strcmp(list[i - 1].path, list[i].path) < 0);
    assert_int_equal(find("mmr")->version, 17);
    assert_false(find("mmr")->is_ours);
    assert_true(find("mmr")->hash.low == hash.low && find("mmr")->hash.high == hash.high);
    assert_int_equal(find("by_stars2")->version, 0);
    assert_true(find("boost")->is_ours);
    /* What is changed later changes nothing. */
    write_script("rerank/mmr.lua", "other words");
    assert_int_equal(find("mmr")->version, 17);
}

static void what_is_wrong_with_a_folder_is_told(void **state)
{
    static char large[HOOK_SOURCE_BYTES_MAX + 1];
    static const struct {
        const char *file, *text;
        int code;
        const char *error;
    } cases[] = {
        {"rerank/Upper.lua", "", LYNSE_INVALID, "'Upper.lua'"},
        {"rerank/a-b.lua", "", LYNSE_INVALID, "'a-b.lua'"},
        {"rerank/a..lua", "", LYNSE_INVALID, "'a..lua'"},
        {"rerank/a234567890123456789012345678901234.lua", "", LYNSE_INVALID, "1 to 32"},
        {"rerank/v.lua", "-- version: x\n", LYNSE_INVALID, "rerank/v: its line '-- version:'"},
        {"rerank/v.lua", "-- version: 0\n", LYNSE_INVALID, "rerank/v: its line '-- version:'"},
        {"rerank/v.lua", "-- version: ", LYNSE_INVALID, "rerank/v: its line '-- version:'"},
        {"rerank/v.lua", "-- version: 9999999999\n", LYNSE_INVALID, "rerank/v: its line"},
        {"rerank/large.lua", large, LYNSE_LIMIT, "rerank/large: 65537 bytes, the limit is 65536"},
        {"score", "a file", LYNSE_IO, "score"},
    };
    char path[TEMP_PATH_BYTES + 300];

    (void)state;
    memset(large, ' ', sizeof large);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_bytes(cases[i].file, cases[i].text,
                    cases[i].text == large ? sizeof large : strlen(cases[i].text));
        assert_fails(loader_open(f.alloc, f.path, &f.loader, &f.err), &f.err, cases[i].code);
        if (!strstr(f.err.text, cases[i].error)) fail_msg("%s", f.err.text);
        assert_int_equal(alloc_used_bytes(f.alloc), 0);
        snprintf(path, sizeof path, "%s/%s", f.path, cases[i].file);
        assert_int_equal(unlink(path), 0);
    }
    /* A pipe would be waited for, by who opens it to read. */
    snprintf(path, sizeof path, "%s/rerank/pipe.lua", f.path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_fails(loader_open(f.alloc, f.path, &f.loader, &f.err), &f.err, LYNSE_INVALID);
    assert_int_equal(unlink(path), 0);
    assert_fails(loader_open(f.alloc, "/nowhere/at/all", &f.loader, &f.err), &f.err,
                 LYNSE_NOT_FOUND);
}

static void a_folder_is_bounded(void **state)
{
    static char source[HOOK_SOURCE_BYTES_MAX];
    char name[32];

    (void)state;
    memset(source, ' ', sizeof source);
    for (int i = 0; i <= LOADER_FOLDER_BYTES_MAX / HOOK_SOURCE_BYTES_MAX; i++) {
        snprintf(name, sizeof name, "rerank/s%d.lua", i);
        write_bytes(name, source, sizeof source);
    }
    assert_fails(loader_open(f.alloc, f.path, &f.loader, &f.err), &f.err, LYNSE_LIMIT);
    assert_non_null(strstr(f.err.text, "more than 4194304 bytes together"));
    for (int i = 0; i < LOADER_SCRIPTS_MAX; i++) {
        snprintf(name, sizeof name, "rerank/s%d.lua", i);
        write_script(name, "");
    }
    assert_fails(loader_open(f.alloc, f.path, &f.loader, &f.err), &f.err, LYNSE_LIMIT);
    assert_non_null(strstr(f.err.text, "more than 1000 scripts"));
}

static void expect_not_found(const char *name, const char *text)
{
    const struct loader_script *s;
    assert_fails(loader_find(f.loader, HOOK_RERANK, slice_of_text(name), &s, &f.err), &f.err,
                 LYNSE_NOT_FOUND);
    if (!strstr(f.err.text, text)) fail_msg("%s", f.err.text);
}

static void a_mistyped_name_is_put_right(void **state)
{
    char name[300];

    (void)state;
    open_loader(NULL);
    expect_not_found("mrm", "'mrm': did you mean 'mmr'? There are: boost, mmr, recency");
    expect_not_found("MMR", "did you mean 'mmr'?");
    expect_not_found("recencyy", "did you mean 'recency'?");
    expect_not_found("zebra", "rerank: no script is called 'zebra'. There are: boost, mmr, rec");
    expect_not_found("x", "'x'. There");
    memset(name, 'm', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    expect_not_found(name, "There are: boost");
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "rerank/script_number_%d.lua", i);
        write_script(name, "");
    }
    open_loader(f.path);
    expect_not_found("zebra", " more");
}

/* The scripts are read, and tried. */
static int open_it(void *ctx, struct error *err)
{
    struct lua_host_desc desc = {.alloc = ctx, .pair_max = 1, .scripts_dir = f.path};
    struct hook_host *host;

    if (lua_host_create(&desc, &host, err) != 0) return -1;
    lua_host_destroy(host);
    return 0;
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    write_script("rerank/mmr.lua", "local t = {} return function() return t end");
    write_script("rerank/other.lua", "return function() return 'other' end");
    oom_sweep(f.alloc, open_it, f.alloc);
}

/* ---- Through a host, and through the library ---- */

static void a_text_of_one_word_is_a_name(void **state)
{
    struct fixture host;
    struct hook *hook = NULL;

    (void)state;
    fixture_open(&host, NULL, 1);
    for (int trusted = 0; trusted < 2; trusted++) {
        assert_fails(fixture_prepare(&host, HOOK_RERANK, trusted, "mmr2", &hook), &host.err,
                     LYNSE_NOT_FOUND);
        assert_non_null(strstr(host.err.text, "did you mean 'mmr'?"));
        assert_fails(fixture_prepare(&host, HOOK_SCORE, trusted, "mmr", &hook), &host.err,
                     LYNSE_NOT_FOUND);
        assert_non_null(strstr(host.err.text, "score: no script is called 'mmr'. There are: none"));
        hook = fixture_hook(&host, HOOK_RERANK, trusted, "mmr");
        hook_destroy(hook);
    }
    fixture_close(&host);
}

static void a_root_finds_the_scripts_of_a_folder(void **state)
{
    struct lynse_open_desc open = {.path = ":memory:"};
    struct lynse_collection_desc docs = {.name = "docs", .dim = 1, .metric = LYNSE_L2};
    struct lynse_lua_desc desc = {.scripts_dir = "/nowhere/at/all"};
    struct lynse_error err = {0};
    struct lynse_collection *c;
    struct lynse_hits *hits;
    struct lynse *db;
    const float zero = 0;
    const uint64_t id = 7;
    struct lynse_rows rows = {.dim = 1, .count = 1, .numbers = &id, .vectors = &zero};

    (void)state;
    write_script("rerank/mmr.lua", "return function(hits)\n  hits[1].score = 42\nend");
    assert_int_equal(lynse_open(&open, &db, &err), LYNSE_OK);
    assert_int_equal(lynse_lua_attach_with(db, &desc, &err), LYNSE_NOT_FOUND);
    desc.struct_bytes = 3;
    assert_int_equal(lynse_lua_attach_with(db, &desc, &err), LYNSE_INVALID);
    desc = (struct lynse_lua_desc){sizeof desc, f.path};
    assert_int_equal(lynse_lua_attach_with(db, &desc, &err), LYNSE_OK);
    assert_int_equal(lynse_lua_attach_with(db, NULL, &err), LYNSE_ALREADY_EXISTS);
    assert_int_equal(lynse_collection_create(db, &docs, &c, &err), LYNSE_OK);
    assert_int_equal(lynse_add(c, &rows, NULL, NULL, &err), LYNSE_OK);
    struct lynse_search_desc d = {
        .vector = &zero, .dim = 1, .k = 1, .rerank = "mmr", .error = &err};
    if (lynse_search(c, &d, &hits) != LYNSE_OK) fail_msg("%s", err.text);
    assert_true(hits->scores[0] == 42);
    lynse_hits_free(hits);
    assert_int_equal(lynse_close(db, &err), LYNSE_OK);
}

/* What a root says of a folder with one such file. */
static void expect_refused(const char *path, const char *source, int code, const char *text)
{
    struct lynse_open_desc open = {.path = ":memory:"};
    struct lynse_lua_desc desc = {sizeof desc, f.path};
    struct lynse_error err = {0};
    struct lynse *db;

    write_script(path, source);
    assert_int_equal(lynse_open(&open, &db, &err), LYNSE_OK);
    assert_int_equal(lynse_lua_attach_with(db, &desc, &err), code);
    if (!strstr(err.text, text)) fail_msg("%s", err.text);
    write_script(path, "return function() end");
    assert_int_equal(lynse_lua_attach_with(db, &desc, &err), LYNSE_OK);
    assert_int_equal(lynse_close(db, &err), LYNSE_OK);
}

static void a_broken_script_is_told_when_it_is_read(void **state)
{
    char path[TEMP_PATH_BYTES + 16];

    (void)state;
    snprintf(path, sizeof path, "%s/score", f.path);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_refused("rerank/mine.lua", "\nreturn function(", LYNSE_PARSE, ": rerank/mine:2: ");
    expect_refused("score/mine.lua", "local x\nx.y = 1", LYNSE_HOOK, ": score/mine:2: attempt");
    expect_refused("score/other.lua", "return 5", LYNSE_HOOK, "returns a number instead of a");
    expect_refused("rerank/other.lua", "while true do end", LYNSE_HOOK,
                   ": rerank/other:1: stopped");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_folder, close_folder)
static const struct CMUnitTest tests[] = {
    CASE(ours_have_versions),
    CASE(a_folder_adds_and_overrides),
    CASE(what_is_wrong_with_a_folder_is_told),
    CASE(a_folder_is_bounded),
    CASE(a_mistyped_name_is_put_right),
    CASE(without_memory_it_says_so),
    CASE(a_text_of_one_word_is_a_name),
    CASE(a_root_finds_the_scripts_of_a_folder),
    CASE(a_broken_script_is_told_when_it_is_read),
};
TEST_MAIN(tests)
