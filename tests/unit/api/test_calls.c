/* SPDX-License-Identifier: Apache-2.0 */
/* test_calls.c — calls of several threads and of callbacks, and a root that is closed under them.
 */
#include <pthread.h>
#include <sched.h>

#include "fixture.h"

enum { CALLERS = 16, ROUNDS = 12 };

/* Callers go on until they are refused; a callback holds lynse_close back until all of them were,
 * so that no call begins after it. */
struct crowd {
    struct fixture *f;
    struct lynse *db;
    struct lynse_collection *docs, *held;
    _Atomic(int) begun, refused, wrong;
};

struct caller {
    struct crowd *crowd;
    size_t number;
};

static int search_once(struct lynse_collection *c, struct lynse_error *err)
{
    float query[] = {1, 2, 3};
    struct lynse_hits *hits;
    struct lynse_search_desc desc = {
        .vector = query, .dim = 3, .k = 100, .flags = LYNSE_WITH_VECTORS, .error = err};
    int code = lynse_search(c, &desc, &hits);
    if (code == LYNSE_OK) lynse_hits_free(hits);
    return code;
}

static int search_in_steps(struct lynse_collection *c, struct lynse_error *err)
{
    float query[] = {1, 2, 3};
    struct lynse_hits *hits;
    struct lynse_search *search;
    struct lynse_search_desc desc = {.vector = query, .dim = 3, .error = err};
    int code = lynse_search_begin(c, &desc, &search);
    if (code != LYNSE_OK) return code;
    while (code == LYNSE_OK || code == LYNSE_MORE) {
        code = lynse_search_step(search, 1, &hits);
        if (code == LYNSE_OK) {
            lynse_hits_free(hits);
            return code;
        }
    }
    return code;
}

static int scan_a_little(struct lynse_collection *c, struct lynse_error *err)
{
    struct lynse_scan *scan;
    struct lynse_hits *hits;
    int code = lynse_scan_begin(c, 0, &scan, err);
    if (code != LYNSE_OK) return code;
    code = lynse_scan_next(scan, 10, &hits, err);
    if (code != LYNSE_OK) return code; /* lynse_close frees it */
    lynse_hits_free(hits);
    lynse_scan_free(scan);
    return LYNSE_OK;
}

static int open_another(struct lynse *db, struct lynse_error *err)
{
    struct lynse_collection *c;
    struct lynse_collection_desc desc = {.name = "docs", .dim = 3};
    int code = lynse_collection_require(db, &desc, &c, err);
    if (code == LYNSE_OK) lynse_collection_close(c);
    return code;
}

static int call_once(const struct caller *c, struct lynse_error *err)
{
    const struct crowd *all = c->crowd;
    float vector[] = {1, 0, (float)c->number};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    uint64_t count;
    switch (c->number % 8) {
    case 0:
        return search_in_steps(all->docs, err);
    case 1:
        return scan_a_little(all->docs, err);
    case 2:
        return open_another(all->db, err);
    case 3:
        return c->number < 8 ? lynse_flush(all->docs, err) : lynse_count(all->docs, &count, err);
    case 4:
    case 5:
        return lynse_add(all->docs, &rows, NULL, NULL, err);
    default:
        return search_once(all->docs, err);
    }
}

static void *call_until_refused(void *ctx)
{
    struct caller *c = ctx;
    struct lynse_error err = {0};
    int code = call_once(c, &err);
    atomic_fetch_add(&c->crowd->begun, 1);
    while (code == LYNSE_OK) code = call_once(c, &err);
    if (code != LYNSE_SHUTTING_DOWN || err.text[0] == 0) {
        print_error("caller %zu: %s: %s\n", c->number, lynse_error_name(code), err.text);
        atomic_fetch_add(&c->crowd->wrong, 1);
    }
    atomic_fetch_add(&c->crowd->refused, 1);
    return NULL;
}

/* Last, in the callback of a write: its root is being closed. */
static void hold_until_all_are_refused(void *ctx, const struct lynse_write_result *result,
                                       const struct lynse_error *error)
{
    struct crowd *crowd = ctx;
    struct lynse_error err = {0};
    (void)result;
    (void)error;
    while (atomic_load(&crowd->refused) < CALLERS) sched_yield();
    if (search_once(crowd->held, &err) != LYNSE_SHUTTING_DOWN) atomic_fetch_add(&crowd->wrong, 1);
}

static void open_crowd(struct crowd *crowd, bool holder_closes_first)
{
    struct fixture *f = crowd->f;
    struct lynse_open_desc desc = fixture_desc(f);
    desc.actor_threads = 4;
    assert_done(lynse_open(&desc, &f->db, &f->err), f);
    struct lynse_collection_desc held = {.name = "held", .dim = 3};
    struct lynse_collection_desc docs = {.name = "docs", .dim = 3};
    if (!holder_closes_first)
        assert_done(lynse_collection_require(f->db, &held, &crowd->held, &f->err), f);
    assert_done(lynse_collection_require(f->db, &docs, &f->docs, &f->err), f);
    if (holder_closes_first)
        assert_done(lynse_collection_require(f->db, &held, &crowd->held, &f->err), f);
    crowd->db = f->db;
    crowd->docs = f->docs;
}

static void a_root_is_closed_under_calls(void **state)
{
    struct fixture *f = *state;
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    fixture_close(f);
    for (int round = 0; round < ROUNDS; round++) {
        struct crowd crowd = {.f = f};
        struct caller callers[CALLERS];
        pthread_t threads[CALLERS];
        struct lynse_write_options hold = {.done = hold_until_all_are_refused, .done_ctx = &crowd};
        open_crowd(&crowd, round % 2);
        add_numbers(f, 1000000 * (uint64_t)(round + 1), 5000);
        for (size_t i = 0; i < CALLERS; i++) {
            callers[i] = (struct caller){&crowd, i};
            assert_int_equal(pthread_create(&threads[i], NULL, call_until_refused, &callers[i]), 0);
        }
        while (atomic_load(&crowd.begun) < CALLERS) sched_yield();
        assert_done(lynse_add(crowd.held, &rows, &hold, NULL, &f->err), f);
        fixture_close(f);
        for (size_t i = 0; i < CALLERS; i++) pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&crowd.wrong), 0);
    }
}

static void *close_it(void *ctx)
{
    struct crowd *crowd = ctx;
    struct lynse_error err = {0};
    int code = lynse_close(crowd->db, &err);
    if (code == LYNSE_SHUTTING_DOWN) atomic_fetch_add(&crowd->refused, 1);
    else if (code == LYNSE_OK) atomic_fetch_add(&crowd->begun, 1);
    else atomic_fetch_add(&crowd->wrong, 1);
    return NULL;
}

static void hold_until_one_is_refused(void *ctx, const struct lynse_write_result *result,
                                      const struct lynse_error *error)
{
    struct crowd *crowd = ctx;
    (void)result;
    (void)error;
    while (atomic_load(&crowd->refused) < 1) sched_yield();
}

static void of_two_that_close_a_root_one_does(void **state)
{
    struct fixture *f = *state;
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    struct crowd crowd = {.f = f};
    struct lynse_write_options hold = {.done = hold_until_one_is_refused, .done_ctx = &crowd};
    pthread_t threads[2];
    fixture_make_docs(f);
    crowd.db = f->db;
    assert_done(lynse_add(f->docs, &rows, &hold, NULL, &f->err), f);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, close_it, &crowd), 0);
    for (size_t i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_int_equal(crowd.begun, 1);
    assert_int_equal(crowd.refused, 1);
    assert_int_equal(crowd.wrong, 0);
    f->db = NULL;
}

/* ---- callbacks ---- */

struct visit {
    struct fixture *f;
    struct lynse_collection *c;
    int code;
    _Atomic(int) done;
};

static void close_handle(void *ctx, const struct lynse_write_result *result,
                         const struct lynse_error *error)
{
    struct visit *v = ctx;
    (void)result;
    (void)error;
    lynse_collection_close(v->c);
    atomic_fetch_add(&v->done, 1);
}

/* Inline the callback runs inside the flush of the same handle. */
static void a_handle_is_closed_under_a_call(void **state)
{
    struct fixture *f = *state;
    struct visit v = {.f = f};
    struct lynse_write_options later = {.done = close_handle, .done_ctx = &v};
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    fixture_make_docs(f);
    assert_done(lynse_collection_open(f->db, "docs", &v.c, &f->err), f);
    assert_done(lynse_add(v.c, &rows, &later, NULL, &f->err), f);
    if (f->variant->mode == LYNSE_INLINE) assert_done(lynse_flush(v.c, &f->err), f);
    assert_done(lynse_flush(f->docs, &f->err), f);
    assert_int_equal(atomic_load(&v.done), 1);
    uint64_t count;
    assert_done(lynse_count(f->docs, &count, &f->err), f);
    assert_int_equal(count, 1);
}

static void call_on_a_closing_root(void *ctx, const struct lynse_write_result *result,
                                   const struct lynse_error *error)
{
    struct visit *v = ctx;
    struct lynse_error err = {0};
    (void)result;
    (void)error;
    v->code = search_once(v->c, &err);
    atomic_fetch_add(&v->done, 1);
}

/* The write is still queued when lynse_close begins. */
static void a_callback_under_close_is_refused(void **state)
{
    struct fixture *f = *state;
    struct visit v = {.f = f};
    struct lynse_write_options later = {.done = call_on_a_closing_root, .done_ctx = &v};
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    fixture_make_docs(f);
    v.c = f->docs;
    assert_done(lynse_add(f->docs, &rows, &later, NULL, &f->err), f);
    fixture_close(f);
    assert_int_equal(atomic_load(&v.done), 1);
    assert_int_equal(v.code, LYNSE_SHUTTING_DOWN);
}

static void refused_in_a_callback(int code, const struct lynse_error *err, const char *call)
{
    if (code == LYNSE_INVALID && strstr(err->text, "from a done callback") &&
        strstr(err->text, call))
        return;
    print_error("%s: %s: %s\n", call, lynse_error_name(code), err->text);
    atomic_fetch_add(&panic_count, 1);
}
#define TRY(name, ...)                                                                             \
    do {                                                                                           \
        struct lynse_error err = {0};                                                              \
        refused_in_a_callback(name(__VA_ARGS__, &err), &err, #name);                               \
    } while (0)

static void make_waiting_calls(const struct visit *v)
{
    struct lynse *db = v->f->db;
    struct lynse_collection_desc desc = {.name = "another", .dim = 3};
    struct lynse_collection_info info = {0};
    struct lynse_hook_desc hook = {.point = "score", .source = "x"};
    struct lynse_collection *c;
    struct lynse_names *names;
    TRY(lynse_flush, v->c);
    TRY(lynse_checkpoint, v->c);
    TRY(lynse_collection_sync, v->c, NULL);
    TRY(lynse_build_index, v->c, "FLAT-IP");
    TRY(lynse_index_set, v->c, &(struct lynse_index_desc){.mode = "FLAT-IP"});
    TRY(lynse_remove_index, v->c);
    TRY(lynse_set_sync, v->c, LYNSE_SYNC_OS, 0);
    TRY(lynse_collection_describe, v->c, NULL);
    TRY(lynse_hook_set, v->c, &hook, NULL);
    TRY(lynse_hook_drop, v->c, "score");
    TRY(lynse_collection_info, v->c, &info);
    TRY(lynse_collection_description, v->c, &names);
    TRY(lynse_collection_create, db, &desc, &c);
    TRY(lynse_collection_require, db, &desc, &c);
    TRY(lynse_collection_open, db, "docs", &c);
    TRY(lynse_collection_drop, db, "docs");
    TRY(lynse_database_create, db, "d");
    TRY(lynse_database_drop, db, "default");
    TRY(lynse_sync, db);
    TRY(lynse_refresh, db);
    TRY(lynse_close, db);
}

static void count_visit(void *ctx, const struct lynse_write_result *result,
                        const struct lynse_error *error)
{
    (void)error;
    if (result) atomic_fetch_add(&((struct visit *)ctx)->done, 1);
}

static void try_everything(void *ctx, const struct lynse_write_result *result,
                           const struct lynse_error *error)
{
    struct visit *v = ctx;
    struct lynse_id id = number_id(1);
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    struct lynse_write_options later = {.done = count_visit, .done_ctx = v};
    struct lynse_error err = {0};
    make_waiting_calls(v);
    refused_in_a_callback(lynse_add(v->c, &rows, NULL, NULL, &err), &err, "a write");
    refused_in_a_callback(lynse_delete(v->c, &id, 1, NULL, NULL, &err), &err, "a write");
    if (lynse_poll(v->f->db, 0) != LYNSE_INVALID || search_once(v->c, &err) != LYNSE_OK ||
        scan_a_little(v->c, &err) != LYNSE_OK ||
        lynse_add(v->c, &rows, &later, NULL, &err) != LYNSE_OK)
        atomic_fetch_add(&panic_count, 1);
    count_visit(ctx, result, error);
}

static void a_callback_waits_for_nothing(void **state)
{
    struct fixture *f = *state;
    struct visit v = {.f = f};
    struct lynse_write_options later = {.done = try_everything, .done_ctx = &v};
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    fixture_make_docs(f);
    v.c = f->docs;
    assert_done(lynse_add(f->docs, &rows, &later, NULL, &f->err), f);
    if (f->variant->mode == LYNSE_INLINE)
        while (lynse_poll(f->db, 1000) == LYNSE_MORE) continue;
    while (atomic_load(&v.done) < 2) sched_yield(); /* its own, and the one that it queued */
    assert_done(lynse_flush(f->docs, &f->err), f);  /* after it, everything goes */
}

#define IN_FOLDER(_) _(a_root_is_closed_under_calls)
#define WITH_THREADS(_) _(of_two_that_close_a_root_one_does)
#define INLINE(_) _(a_callback_under_close_is_refused)
#define EVERYWHERE(_) _(a_handle_is_closed_under_a_call) _(a_callback_waits_for_nothing)

static const struct CMUnitTest tests[] = {
    IN_FOLDER(API_THREADS_FOLDER) IN_FOLDER(API_THREADS_MEMORY) WITH_THREADS(API_THREADS_FOLDER)
        WITH_THREADS(API_THREADS_MEMORY) INLINE(API_INLINE_FOLDER) INLINE(API_INLINE_MEMORY)
            API_EVERYWHERE(EVERYWHERE)};
TEST_MAIN(tests)
