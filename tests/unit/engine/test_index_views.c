/* SPDX-License-Identifier: Apache-2.0 */
/* test_index_views.c — an index that is built anew leaves alone who still reads the one before: a
 * reader in another process, and a verification that takes long. */
#include <time.h>

#include "api/handles.h"
#include "base/limits.h"
#include "lynse.h"
#include "segment/view_verify.h"
#include "support/temp_dir.h"
#include "support/test.h"

enum { TRIES = 20000 };
enum { DIM = 8, ROWS = INDEX_ROWS_MIN > 1000 ? 2 * INDEX_ROWS_MIN : 40 };

struct fixture {
    char root[TEMP_PATH_BYTES];
    struct lynse *db;
    struct lynse_collection *docs;
    struct lynse_error err;
};

#define assert_done(call, f)                                                                       \
    do {                                                                                           \
        if ((call) != LYNSE_OK) fail_msg("%s", (f)->err.text);                                     \
    } while (0)

static void open_root(struct fixture *f, uint32_t flags)
{
    struct lynse_open_desc desc = {.path = f->root, .flags = flags};
    struct lynse_collection_desc docs = {.name = "docs", .dim = DIM, .metric = LYNSE_L2};

    assert_done(lynse_open(&desc, &f->db, &f->err), f);
    if (flags & LYNSE_OPEN_READ_ONLY)
        assert_done(lynse_collection_open(f->db, "docs", &f->docs, &f->err), f);
    else assert_done(lynse_collection_require(f->db, &docs, &f->docs, &f->err), f);
}

static void close_root(struct fixture *f)
{
    assert_done(lynse_close(f->db, &f->err), f);
    f->db = NULL;
}

static void build(struct fixture *f, double m)
{
    const struct lynse_index_param params[] = {{"m", m}};
    struct lynse_index_desc desc = {.mode = "HNSW-L2", .params = params, .param_count = 1};

    assert_done(lynse_index_set(f->docs, &desc, &f->err), f);
}

static int set_up(void **state)
{
    static struct fixture f;
    float vectors[ROWS * DIM];
    struct lynse_rows rows = {.dim = DIM, .count = ROWS, .vectors = vectors};
    struct rng rng;

    *state = &f;
    rng_init(&rng, 5);
    for (size_t i = 0; i < ROWS * DIM; i++) vectors[i] = rng_normal(&rng);
    temp_dir_make(f.root);
    open_root(&f, 0);
    assert_done(lynse_add(f.docs, &rows, NULL, NULL, &f.err), &f);
    assert_done(lynse_flush(f.docs, &f.err), &f);
    build(&f, 4);
    close_root(&f); /* what is opened next has loaded no index */
    return 0;
}

static int tear_down(void **state)
{
    temp_dir_remove(((struct fixture *)*state)->root);
    return 0;
}

static size_t finding_count(struct fixture *f)
{
    struct lynse_verify_desc desc = {.level = LYNSE_VERIFY_DEEP};
    struct lynse_names *found = NULL;

    assert_done(lynse_verify(f->docs, &desc, &found, &f->err), f);
    size_t count = found->count;
    lynse_names_free(found);
    return count;
}

static void a_reader_keeps_the_index_that_it_has_pinned(void **state)
{
    struct fixture *writer = *state, reader = *writer;
    struct lynse_collection_info info = {0};

    open_root(&reader, LYNSE_OPEN_READ_ONLY);
    open_root(writer, 0);
    build(writer, 32);
    assert_int_equal(finding_count(writer), 0);
    assert_int_equal(finding_count(&reader), 0);
    assert_done(lynse_refresh(reader.db, &reader.err), &reader);
    assert_int_equal(finding_count(&reader), 0);
    assert_done(lynse_collection_info(reader.docs, &info, &reader.err), &reader);
    assert_int_equal(info.index_failure.code, LYNSE_OK);
    close_root(&reader);
    close_root(writer);
}

static int count_one(void *ctx, const struct error *finding)
{
    assert_int_equal(finding->code, LYNSE_CORRUPT);
    ++*(size_t *)ctx;
    return 0;
}

static bool is_gone(void *ctx, const struct segment_index *index)
{
    (void)ctx;
    (void)index;
    return false;
}

/* Its file is missing: of the newest version that is damage, of an older one it is not. */
static void an_index_that_went_meanwhile_is_no_finding(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct view *view = NULL;
    size_t count = 0;

    open_root(f, 0);
    assert_ok(engine_view(f->docs->host, &view, &err), &err);
    assert_done(lynse_remove_index(f->docs, &f->err), f);
    struct view_verify_desc desc = {
        .view = view,
        .alloc = f->db->engine->alloc,
        .level = VERIFY_DEEP,
        .report = count_one,
        .ctx = &count,
    };
    for (int tries = 0; tries < TRIES && count == 0; tries++) { /* a job removes the file */
        assert_ok(view_verify(&desc, &err), &err);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_int_equal(count, 1);
    desc.is_shown = is_gone;
    assert_ok(view_verify(&desc, &err), &err);
    assert_int_equal(count, 1);
    view_release(view);
    close_root(f);
}

struct refusal {
    uint32_t asked, refused; /* which question is answered no, from 1 on; 0: none */
};

static int look(void *ctx, struct error *err)
{
    struct refusal *r = (struct refusal *)ctx;
    return ++r->asked == r->refused ? error_set(err, LYNSE_CANCELLED, "enough") : 0;
}

static int report_nothing(void *ctx, const struct error *finding)
{
    (void)ctx;
    fail_msg("%s", finding->text);
    return 0;
}

static void a_deep_look_ends_when_it_is_told_to(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct view *view = NULL;
    struct refusal r = {0};

    open_root(f, 0);
    assert_ok(engine_view(f->docs->host, &view, &err), &err);
    struct view_verify_desc desc = {
        .view = view,
        .alloc = f->db->engine->alloc,
        .level = VERIFY_DEEP,
        .report = report_nothing,
        .look = look,
        .ctx = &r,
    };
    assert_ok(view_verify(&desc, &err), &err);
    for (uint32_t count = r.asked, i = 1; i <= count; i += 1 + count / 16) {
        r = (struct refusal){.refused = i};
        assert_fails(view_verify(&desc, &err), &err, LYNSE_CANCELLED);
        assert_int_equal(r.asked, i);
    }
    view_release(view);
    close_root(f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_reader_keeps_the_index_that_it_has_pinned, set_up, tear_down),
    cmocka_unit_test_setup_teardown(an_index_that_went_meanwhile_is_no_finding, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_deep_look_ends_when_it_is_told_to, set_up, tear_down),
};

TEST_MAIN(tests)
