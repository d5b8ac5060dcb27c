/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with an index again and again: it is told, tried again ever more seldom, and mended
 * as soon as it can be; what a later version has chosen is left alone. */
#include <errno.h>

#include "base/limits.h"
#include "support/docs_fixture.h"

enum { DIM = 4, ROWS = 3 * SEAL_ROWS, TRIES = 20000, SECOND_US = 1000000 };

static const struct engine_desc frames = {.is_inline = true, .poll_may_sync = true, .seed = 1};

static void open_root(struct fixture *f)
{
    struct lynse_collection_desc docs = {.name = "notes/docs", .dim = DIM, .metric = LYNSE_L2};
    fixture_open(f, &frames);
    assert_done(lynse_collection_require(f->db, &docs, &f->docs, &f->err), f);
}

static void close_root(struct fixture *f)
{
    lynse_collection_close(f->docs);
    assert_done(fixture_close(f), f);
}

static int set_up(void **state)
{
    static struct fixture f;
    *state = NULL;
    if (SEAL_ROWS > 1000) return 0; /* with the limits as shipped a build is minutes of work */
    fixture_init(&f);
    open_root(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (!f) return 0;
    close_root(f);
    fixture_deinit(f);
    return 0;
}

static struct fixture *fixture_of(void **state)
{
    struct fixture *f = *state;
    if (!f) skip_because("of the limits as shipped: too many rows make a tail");
    return f;
}

static void add_rows(struct fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float vector[DIM] = {(float)f->next, (float)(f->next % 7)};
        struct lynse_rows row = {.dim = DIM, .count = 1, .vectors = vector, .numbers = &f->next};
        assert_done(lynse_add(f->docs, &row, NULL, NULL, &f->err), f);
        f->next++;
    }
    assert_done(lynse_flush(f->docs, &f->err), f);
}

/* All that is ready to be done is; no time passes. */
static void work(struct fixture *f)
{
    for (int i = 0; i < TRIES && lynse_poll(f->db, 0); i++) continue;
}

static size_t count_segments(struct fixture *f, bool loaded)
{
    const struct collection *c = state_of(f);
    size_t count = 0;
    for (size_t i = 0; i < c->part_count; i++) {
        const struct segment_index *index = c->parts[i].index;
        count += loaded ? index && segment_index_get(index) : c->parts[i].state == PART_SEALED;
    }
    return count;
}

static uint32_t most_damages(struct fixture *f)
{
    const struct collection *c = state_of(f);
    uint32_t most = 0;
    for (size_t i = 0; i < c->part_count; i++)
        if (c->parts[i].index_damages > most) most = c->parts[i].index_damages;
    return most;
}

/* Nothing of an index's file can be read. */
static const struct faulty_plan no_reads = {
    .kinds = FAULTY_READ | FAULTY_MAP,
    .os_errno = EIO,
    .mode = FAULTY_RUN,
    .nth = 1,
    .times = 1000,
};

static void what_is_damaged_whenever_it_is_built_is_told_and_put_off(void **state)
{
    struct fixture *f = fixture_of(state);
    add_rows(f, SEAL_ROWS);
    vfs_faulty_arm(f->fs, &no_reads);
    assert_int_equal(lynse_build_index(f->docs, "HNSW-L2", &f->err), LYNSE_IO);
    uint32_t told = most_damages(f);
    assert_int_equal(told, 2);
    work(f);
    assert_int_equal(most_damages(f), told); /* it is not time */
    uint64_t waited_us = 0;
    for (uint32_t more = 1; more <= 3; more++) {
        uint64_t began_us = waited_us;
        while (most_damages(f) == told) {
            manual_clock_advance(&f->clock, SECOND_US / 4);
            waited_us += SECOND_US / 4;
            assert_true(waited_us < 100 * (uint64_t)SECOND_US);
            work(f);
        }
        assert_true(waited_us - began_us >= (uint64_t)SECOND_US << (more - 1)); /* and longer */
        told = most_damages(f);
    }
    vfs_faulty_disarm(f->fs);
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f); /* at once */
    assert_int_equal(count_segments(f, true), count_segments(f, false));
    assert_int_equal(most_damages(f), 0);
}

/* What cannot be built does not keep the others from being. */
static void others_are_built_meanwhile(void **state)
{
    struct fixture *f = fixture_of(state);
    add_rows(f, SEAL_ROWS);
    vfs_faulty_arm(f->fs, &no_reads);
    assert_int_equal(lynse_build_index(f->docs, "HNSW-L2", &f->err), LYNSE_IO);
    vfs_faulty_disarm(f->fs);
    add_rows(f, SEAL_ROWS);
    work(f);
    assert_int_equal(count_segments(f, true), count_segments(f, false) - 1);
}

/* A bit of the first index, in the middle; the root is opened anew. */
static void damage_first_index(struct fixture *f)
{
    char name[PART_NAME_BYTES];
    const struct manifest_segment *s = &state_of(f)->manifest.segments[0];
    part_name(name, &s->uuid, PART_INDEX, manifest_part_number(s, manifest_find_index(s, 0)));
    struct vfs_file *file;
    struct error err = {0};
    uint8_t byte;
    size_t got;
    assert_ok(vfs_open(state_of(f)->dir, name, VFS_WRITE, &file, &err), &err);
    assert_ok(vfs_read(file, 150, &byte, 1, &got, &err), &err);
    byte ^= 4;
    assert_ok(vfs_write(file, 150, &byte, 1, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
    close_root(f);
    open_root(f);
}

static void what_could_not_be_dropped_is_dropped_later(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct faulty_plan full = {
        .kinds = FAULTY_WRITE, .os_errno = ENOSPC, .mode = FAULTY_RUN, .nth = 1, .times = 1000};
    add_rows(f, ROWS);
    assert_done(lynse_build_index(f->docs, "HNSW-L2", &f->err), f);
    damage_first_index(f);
    vfs_faulty_arm(f->fs, &full);
    engine_want_all_indexes(f->docs->host);
    work(f);
    assert_true(vfs_faulty_fired(f->fs) > 0);
    vfs_faulty_disarm(f->fs);
    work(f);
    assert_true(count_segments(f, true) < count_segments(f, false));
    manual_clock_advance(&f->clock, 10 * SECOND_US);
    work(f);
    assert_int_equal(count_segments(f, true), count_segments(f, false));
}

static void auto_leaves_alone_what_it_does_not_know(void **state)
{
    struct fixture *f = fixture_of(state);
    assert_done(lynse_build_index(f->docs, "AUTO", &f->err), f);
    struct manifest_field *field = &state_of(f)->manifest.fields[0];
    const struct manifest_field before = *field;
    field->index_kind = 99; /* of a later version */
    add_rows(f, ROWS);
    add_rows(f, ROWS);
    work(f);
    field = &state_of(f)->manifest.fields[0];
    assert_int_equal(field->index_kind, 99);
    field->index_kind = before.index_kind;
    field->index.quantizer = 99;
    add_rows(f, ROWS);
    work(f);
    field = &state_of(f)->manifest.fields[0];
    assert_int_equal(field->index_kind, before.index_kind);
    assert_int_equal(field->index.quantizer, 99);
    field->index.quantizer = before.index.quantizer; /* what this version can read */
    assert_done(lynse_build_index(f->docs, "AUTO", &f->err), f);
    assert_int_not_equal(state_of(f)->manifest.fields[0].index_kind, before.index_kind);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(what_is_damaged_whenever_it_is_built_is_told_and_put_off),
    CASE(others_are_built_meanwhile),
    CASE(what_could_not_be_dropped_is_dropped_later),
    CASE(auto_leaves_alone_what_it_does_not_know),
};
TEST_MAIN(tests)
