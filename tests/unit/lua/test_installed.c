/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks that a collection keeps: versions, who runs them, and what happens when they fail. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "lynse.h"
#include "lynse_lua.h"
#include "support/temp_dir.h"
#include "support/test.h"

enum { DIM = 2, ROWS = 40 };

struct fixture {
    char path[TEMP_PATH_BYTES];
    struct lynse *db;
    struct lynse_collection *docs;
    struct lynse_error err;
};

#define DONE(call)                                                                                 \
    do {                                                                                           \
        if ((call) != LYNSE_OK) fail_msg("%s: %s", #call, f->err.text);                            \
    } while (0)

static const char far_first[] = "function(n, distance, field, out, options)\n"
                                "  for i = 0, n - 1 do out[i] = -distance[i] * options.by end\n"
                                "end";
static const char backwards[] = "function(hits)\n"
                                "  local back = {}\n"
                                "  for i = #hits, 1, -1 do back[#back + 1] = hits[i] end\n"
                                "  return back\n"
                                "end";
static const char two[] = {"\x81\xa2"
                           "by"
                           "\x02"};

static void open_at(struct fixture *f, const char *path, uint32_t flags, bool has_lua)
{
    struct lynse_open_desc open = {.path = path, .flags = flags, .search_threads = 2};
    struct lynse_collection_desc docs = {.name = "docs", .dim = DIM, .metric = LYNSE_L2};

    DONE(lynse_open(&open, &f->db, &f->err));
    if (has_lua) DONE(lynse_lua_attach(f->db, &f->err));
    if (flags & LYNSE_OPEN_READ_ONLY) DONE(lynse_collection_open(f->db, "docs", &f->docs, &f->err));
    else DONE(lynse_collection_require(f->db, &docs, &f->docs, &f->err));
}

static void open_again(struct fixture *f, uint32_t flags, bool has_lua)
{
    DONE(lynse_close(f->db, &f->err));
    open_at(f, f->path, flags, has_lua);
}

static void add_rows(struct fixture *f)
{
    float vectors[ROWS][DIM] = {0};
    uint64_t ids[ROWS];

    for (size_t i = 0; i < ROWS; i++) {
        ids[i] = i;
        vectors[i][0] = (float)i;
    }
    struct lynse_rows rows = {.dim = DIM, .count = ROWS, .numbers = ids, .vectors = vectors[0]};
    DONE(lynse_add(f->docs, &rows, NULL, NULL, &f->err));
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    temp_dir_make(f->path);
    open_at(f, f->path, 0, true);
    add_rows(f);
    *state = f;
    return 0;
}
static int tear_down(void **state)
{
    struct fixture *f = *state;

    DONE(lynse_close(f->db, &f->err));
    temp_dir_remove(f->path);
    free(f);
    return 0;
}

static uint64_t install(struct fixture *f, const char *point, const char *source, uint32_t policy)
{
    struct lynse_hook_desc d = {.point = point, .source = source, .on_failure = policy};
    uint64_t version = 0;

    if (strcmp(point, "score") == 0) d.options = (struct lynse_bytes){two, 5};
    DONE(lynse_hook_set(f->docs, &d, &version, &f->err));
    return version;
}

static const float origin[DIM];

static struct lynse_search_desc query(struct fixture *f, uint32_t flags)
{
    return (struct lynse_search_desc){.vector = origin,
                                      .dim = DIM,
                                      .k = 3,
                                      .flags = flags,
                                      .timeout_us = 20000000,
                                      .error = &f->err};
}

static void expect_search(struct fixture *f, const struct lynse_search_desc *d, uint64_t first,
                          float score, uint32_t skipped)
{
    struct lynse_hits *hits;

    DONE(lynse_search(f->docs, d, &hits));
    assert_int_equal(hits->count, 3 * hits->query_count);
    assert_int_equal(hits->numbers[0], first);
    assert_true(hits->scores[0] == score);
    assert_int_equal(hits->skipped_hooks, skipped);
    lynse_hits_free(hits);
}

static void expect(struct fixture *f, uint32_t flags, uint64_t first, float score, uint32_t skipped)
{
    struct lynse_search_desc d = query(f, flags);
    expect_search(f, &d, first, score, skipped);
}

static void searches_take_what_is_installed(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits;
    struct lynse_search *search;

    expect(f, 0, 0, 0, 0);
    assert_int_equal(install(f, "score", far_first, LYNSE_HOOK_FAIL), 1);
    expect(f, 0, 39, -2 * 39 * 39, 0);
    expect(f, LYNSE_NO_HOOKS, 0, 0, 0);
    assert_int_equal(install(f, "rerank", backwards, LYNSE_HOOK_FAIL), 1);
    expect(f, 0, 37, -2 * 37 * 37, 0);
    expect(f, LYNSE_NO_HOOKS, 0, 0, 0);

    struct lynse_search_desc d = query(f, 0);
    d.score = "function() end"; /* its own instead; the rerank stays the collection's */
    expect_search(f, &d, 2, 4, 0);
    d.rerank = "function() end";
    expect_search(f, &d, 0, 0, 0);

    const float both[] = {0, 0, 39, 0};
    d = query(f, 0);
    d.vector = both;
    d.query_count = 2;
    expect_search(f, &d, 37, -2 * 37 * 37, 0);
    d = query(f, LYNSE_RANGE);
    d.threshold = -2 * 38 * 38;
    DONE(lynse_search(f->docs, &d, &hits));
    assert_int_equal(hits->count, 2);
    assert_int_equal(hits->numbers[0], 38);
    lynse_hits_free(hits);

    /* A search that has begun keeps its version, whatever is installed meanwhile. */
    d = query(f, 0);
    DONE(lynse_search_begin(f->docs, &d, &search));
    DONE(lynse_hook_drop(f->docs, "score", &f->err));
    assert_int_equal(install(f, "rerank", "mmr", LYNSE_HOOK_FAIL), 2);
    int code;
    while ((code = lynse_search_step(search, 1, &hits)) == LYNSE_MORE) continue;
    assert_int_equal(code, LYNSE_OK);
    assert_int_equal(hits->numbers[0], 37);
    lynse_hits_free(hits);
    expect(f, 0, 0, 0, 0);
}

static void versions_and_sources_outlive_the_process(void **state)
{
    struct fixture *f = *state;
    struct lynse_hooks *list;

    install(f, "score", far_first, LYNSE_HOOK_FAIL);
    install(f, "score", far_first, LYNSE_HOOK_SKIP);
    install(f, "rerank", backwards, LYNSE_HOOK_FAIL);
    DONE(lynse_hook_drop(f->docs, "rerank", &f->err));
    assert_int_equal(lynse_hook_drop(f->docs, "rerank", &f->err), LYNSE_NOT_FOUND);
    DONE(lynse_checkpoint(f->docs, &f->err));
    open_again(f, 0, true);
    expect(f, 0, 39, -2 * 39 * 39, 0);
    DONE(lynse_hook_list(f->docs, &list, &f->err));
    assert_int_equal(list->count, 1);
    const struct lynse_hook_info *h = &list->hooks[0];
    assert_string_equal(h->point, "score");
    assert_string_equal(h->source, far_first);
    assert_true(h->version == 2 && h->on_failure == LYNSE_HOOK_SKIP && !h->is_trusted);
    assert_int_equal(h->options.size, 5);
    assert_memory_equal(h->options.data, two, 5);
    lynse_hooks_free(list);
    assert_int_equal(install(f, "rerank", backwards, LYNSE_HOOK_FAIL), 2);

    open_again(f, LYNSE_OPEN_READ_ONLY, true);
    expect(f, 0, 37, -2 * 37 * 37, 0);
    struct lynse_hook_desc d = {.point = "rerank", .source = "mmr"};
    assert_int_equal(lynse_hook_set(f->docs, &d, NULL, &f->err), LYNSE_READ_ONLY);
    assert_int_equal(lynse_hook_drop(f->docs, "rerank", &f->err), LYNSE_READ_ONLY);
    open_again(f, 0, true);
}

static void what_was_set_survives_a_kill(void **state)
{
    struct fixture *f = *state;
    int status;

    DONE(lynse_close(f->db, &f->err));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        open_at(f, f->path, 0, true);
        install(f, "score", far_first, LYNSE_HOOK_FAIL);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    open_at(f, f->path, 0, true);
    expect(f, 0, 39, -2 * 39 * 39, 0);
    assert_int_equal(install(f, "score", far_first, LYNSE_HOOK_FAIL), 2);
}

static void refuse(struct fixture *f, struct lynse_hook_desc d, int code, const char *text)
{
    struct lynse_hooks *list;

    assert_int_equal(lynse_hook_set(f->docs, &d, NULL, &f->err), code);
    if (!strstr(f->err.text, text)) fail_msg("%s", f->err.text);
    DONE(lynse_hook_list(f->docs, &list, &f->err));
    assert_int_equal(list->count, 0);
    lynse_hooks_free(list);
}

static void what_cannot_run_is_not_kept(void **state)
{
    struct fixture *f = *state;
    static char long_source[65 << 10];
    const struct lynse_hook_desc good = {.point = "score", .source = "function() end"};
    struct lynse_hook_desc d = good;

    memset(long_source, ' ', sizeof long_source - 1);
    d.source = "function( end";
    refuse(f, d, LYNSE_PARSE, "score:1");
    d.source = "return 5";
    refuse(f, d, LYNSE_HOOK, "a number instead of a function");
    d.source = "while true do end";
    refuse(f, d, LYNSE_HOOK, "score:1");
    d.source = NULL;
    refuse(f, d, LYNSE_INVALID, "source: missing");
    d.source = "";
    refuse(f, d, LYNSE_INVALID, "source: missing");
    d.source = long_source;
    refuse(f, d, LYNSE_LIMIT, "source: 66559 bytes, at most 65536");
    d = good;
    d.point = "upsert";
    refuse(f, d, LYNSE_INVALID, "point: 'upsert', there are 'score' and 'rerank'");
    d.point = NULL;
    refuse(f, d, LYNSE_INVALID, "point: missing");
    d = good;
    d.on_failure = 2;
    refuse(f, d, LYNSE_INVALID, "on_failure: 2, at most 1");
    d = good;
    d.options = (struct lynse_bytes){"\x93", 1};
    refuse(f, d, LYNSE_INVALID, "options");
    d = good;
    d.point = "rerank";
    d.source = "nothing";
    refuse(f, d, LYNSE_NOT_FOUND, "no script is called 'nothing'");
    assert_int_equal(lynse_hook_drop(f->docs, "upsert", &f->err), LYNSE_INVALID);
    assert_int_equal(lynse_hook_drop(f->docs, NULL, &f->err), LYNSE_INVALID);
}

static void without_a_host_the_policy_decides(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits;
    struct lynse_hook_desc d = {.point = "score", .source = "function() end"};

    install(f, "score", far_first, LYNSE_HOOK_FAIL);
    install(f, "rerank", backwards, LYNSE_HOOK_SKIP);
    open_again(f, 0, false);
    struct lynse_search_desc q = query(f, 0);
    assert_int_equal(lynse_search(f->docs, &q, &hits), LYNSE_UNSUPPORTED);
    assert_non_null(strstr(f->err.text, "installed score, version 1"));
    expect(f, LYNSE_NO_HOOKS, 0, 0, 0);
    assert_int_equal(lynse_hook_set(f->docs, &d, NULL, &f->err), LYNSE_UNSUPPORTED);
    DONE(lynse_hook_drop(f->docs, "score", &f->err));
    expect(f, 0, 0, 0, LYNSE_SKIPPED_RERANK);
}

/* A script of a folder, which the root that searches does not have. */
static void a_script_that_is_not_at_hand_is_skipped_too(void **state)
{
    struct fixture *f = *state;
    struct lynse_lua_desc lua = {.scripts_dir = f->path};
    struct lynse_hits *hits;
    char path[TEMP_PATH_BYTES + 32];

    snprintf(path, sizeof path, "%s/rerank", f->path);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/rerank/ours.lua", f->path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(backwards, file) >= 0);
    fclose(file);
    open_again(f, 0, false);
    DONE(lynse_lua_attach_with(f->db, &lua, &f->err));
    install(f, "rerank", "ours", LYNSE_HOOK_SKIP);
    expect(f, 0, 2, 4, 0);
    open_again(f, 0, true);
    expect(f, 0, 0, 0, LYNSE_SKIPPED_RERANK);
    open_again(f, 0, false);
    DONE(lynse_lua_attach_with(f->db, &lua, &f->err));
    install(f, "rerank", "ours", LYNSE_HOOK_FAIL);
    open_again(f, 0, true);
    struct lynse_search_desc q = query(f, 0);
    assert_int_equal(lynse_search(f->docs, &q, &hits), LYNSE_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "installed rerank, version 2"));
}

static _Atomic(int) warnings;
static void count_warnings(void *ctx, enum log_level level, const char *message)
{
    (void)ctx;
    if (level == LOG_WARN && strstr(message, "hook_skipped")) warnings++;
}

static const char fails_late[] = "function(n, distance, field, out)\n"
                                 "  for i = 0, n - 1 do out[i] = -distance[i] end\n"
                                 "  error('no')\n"
                                 "end";

static void a_hook_that_fails_is_skipped_where_that_is_allowed(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits;
    struct lynse_search *search;
    int code;

    install(f, "score", fails_late, LYNSE_HOOK_FAIL);
    struct lynse_search_desc d = query(f, 0);
    assert_int_equal(lynse_search(f->docs, &d, &hits), LYNSE_HOOK);
    install(f, "score", fails_late, LYNSE_HOOK_SKIP);
    warnings = 0;
    log_set_sink(count_warnings, NULL, LOG_WARN);
    for (int i = 0; i < 5; i++) expect(f, 0, 0, 0, LYNSE_SKIPPED_SCORE);
    log_set_sink(NULL, NULL, LOG_ERROR);
    assert_int_equal(warnings, 3); /* the 1st, 2nd, 4th */
    DONE(lynse_search_begin(f->docs, &d, &search));
    while ((code = lynse_search_step(search, 1, &hits)) == LYNSE_MORE) continue;
    assert_int_equal(code, LYNSE_OK);
    assert_int_equal(hits->numbers[0], 0);
    assert_int_equal(hits->skipped_hooks, LYNSE_SKIPPED_SCORE);
    lynse_hits_free(hits);

    /* Of a batch none is reranked if one fails; scores are in the user's terms again. */
    DONE(lynse_hook_drop(f->docs, "score", &f->err));
    install(f, "rerank",
            "function(hits) if hits[1].id == 39 then error('no') end\n"
            "for i = 1, #hits do hits[i].score = -1 end end",
            LYNSE_HOOK_SKIP);
    const float both[] = {0, 0, 39, 0};
    expect(f, 0, 0, -1, 0);
    d.vector = both;
    d.query_count = 2;
    expect_search(f, &d, 0, 0, LYNSE_SKIPPED_RERANK);

    /* The deadline of the search is not the hook's to be skipped for. */
    DONE(lynse_hook_drop(f->docs, "rerank", &f->err));
    install(f, "score", "function() while true do end end", LYNSE_HOOK_SKIP);
    d = query(f, 0);
    d.timeout_us = 2000;
    assert_int_equal(lynse_search(f->docs, &d, &hits), LYNSE_DEADLINE);
    expect(f, 0, 0, 0, LYNSE_SKIPPED_SCORE); /* its own second, and steps */
}

static void scores_of_an_inner_product_are_the_users_after_a_skip(void **state)
{
    struct fixture *f = *state;
    struct lynse_hits *hits;
    const float vector[] = {1, 0};

    DONE(lynse_build_index(f->docs, "FLAT-IP", &f->err));
    install(f, "score", fails_late, LYNSE_HOOK_SKIP);
    install(f, "rerank", "function() error('no') end", LYNSE_HOOK_SKIP);
    struct lynse_search_desc d = query(f, LYNSE_RANGE);
    d.vector = vector;
    d.threshold = 37;
    DONE(lynse_search(f->docs, &d, &hits));
    assert_int_equal(hits->count, 3);
    assert_int_equal(hits->numbers[0], 39);
    assert_true(hits->scores[0] == 39 && hits->scores[2] == 37);
    assert_int_equal(hits->skipped_hooks, LYNSE_SKIPPED_SCORE | LYNSE_SKIPPED_RERANK);
    lynse_hits_free(hits);
}

static void trust_needs_both(void **state)
{
    struct fixture *f = *state;
    struct lynse_hooks *list;
    struct lynse_hits *hits;
    static const char steps[] = "function(n, d, _, out) for i = 1, 3e8 do out[0] = i end end";

    install(f, "score", steps, LYNSE_HOOK_FAIL);
    struct lynse_search_desc d = query(f, 0);
    assert_int_equal(lynse_search(f->docs, &d, &hits), LYNSE_HOOK);
    open_again(f, LYNSE_OPEN_TRUSTED_SCRIPTS, true);
    d = query(f, 0);
    assert_int_equal(lynse_search(f->docs, &d, &hits), LYNSE_HOOK); /* set by who did not trust */
    install(f, "score", steps, LYNSE_HOOK_FAIL);
    expect(f, 0, 1, 1, 0);
    DONE(lynse_hook_list(f->docs, &list, &f->err));
    assert_true(list->hooks[0].is_trusted && !list->hooks[0].is_disabled);
    lynse_hooks_free(list);

    d.timeout_us = 1;
    for (int i = 0; i < 3; i++) assert_int_not_equal(lynse_search(f->docs, &d, &hits), LYNSE_OK);
    d.timeout_us = 2000;
    for (int i = 0; i < 3; i++) assert_int_equal(lynse_search(f->docs, &d, &hits), LYNSE_HOOK);
    d.timeout_us = 0;
    assert_int_equal(lynse_search(f->docs, &d, &hits), LYNSE_HOOK);
    assert_non_null(strstr(f->err.text, "score: disabled until the root is opened again"));
    DONE(lynse_hook_list(f->docs, &list, &f->err));
    assert_true(list->hooks[0].is_disabled);
    lynse_hooks_free(list);
    struct lynse_hook_desc again = {.point = "score", .source = steps};
    assert_int_equal(lynse_hook_set(f->docs, &again, NULL, &f->err), LYNSE_HOOK); /* by its text */
    install(f, "score", far_first, LYNSE_HOOK_FAIL);
    expect(f, 0, 39, -2 * 39 * 39, 0);

    open_again(f, LYNSE_OPEN_TRUSTED_SCRIPTS, true);
    install(f, "score", steps, LYNSE_HOOK_FAIL);
    expect(f, 0, 1, 1, 0);
    open_again(f, 0, true);
    d = query(f, 0);
    assert_int_equal(lynse_search(f->docs, &d, &hits), LYNSE_HOOK); /* who runs it does not */
}

static void search_often(void *ctx)
{
    struct fixture *f = ctx;

    for (int i = 0; i < 200; i++) {
        struct lynse_error err = {0};
        struct lynse_search_desc d = query(f, 0);
        struct lynse_hits *hits;
        d.error = &err;
        if (lynse_search(f->docs, &d, &hits) != LYNSE_OK) fail_msg("%s", err.text);
        assert_true(hits->numbers[0] == 0 || hits->numbers[0] == 39);
        lynse_hits_free(hits);
    }
}

static void threads_search_while_it_is_set_and_dropped(void **state)
{
    struct fixture *f = *state;
    struct thread threads[3] = {0};
    struct error err = {0};

    for (int i = 0; i < 3; i++)
        assert_ok(thread_start(&threads[i], "search", search_often, f, &err), &err);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(install(f, "score", far_first, LYNSE_HOOK_FAIL), i + 1);
        DONE(lynse_hook_drop(f->docs, "score", &f->err));
    }
    for (int i = 0; i < 3; i++) thread_join(&threads[i]);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(searches_take_what_is_installed),
    CASE(versions_and_sources_outlive_the_process),
    CASE(what_was_set_survives_a_kill),
    CASE(what_cannot_run_is_not_kept),
    CASE(without_a_host_the_policy_decides),
    CASE(a_script_that_is_not_at_hand_is_skipped_too),
    CASE(a_hook_that_fails_is_skipped_where_that_is_allowed),
    CASE(scores_of_an_inner_product_are_the_users_after_a_skip),
    CASE(trust_needs_both),
    CASE(threads_search_while_it_is_set_and_dropped),
};
TEST_MAIN(tests)
