/* SPDX-License-Identifier: Apache-2.0 */
/* test_collection_write.c — batches and seals where histories seldom go. */
#include "bed.h"
#include "segment/measurable_rows.h"

struct fixture {
    struct alloc *alloc;
    struct vfs *fs;
    struct bed bed;
    struct error err;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.alloc = alloc_create(NULL, 0)};
    f.fs = vfs_memory_create(f.alloc);
    assert_ok(bed_create(&f.bed, f.alloc, f.fs, SYNC_ALWAYS, 1, &f.err), &f.err);
    assert_ok(bed_open(&f.bed, &f.err), &f.err);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    bed_destroy(&f->bed);
    vfs_memory_destroy(f->fs);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
    return 0;
}

/* A group of `count` new rows, ids from first on, dimension dim. */
struct group {
    struct collection_write base; /* first */
    struct record_id *ids;
    float *vectors;
};

static void make_group(struct group *g, uint64_t first, size_t count, uint32_t dim)
{
    g->ids = calloc(count, sizeof *g->ids);
    g->vectors = calloc(count * dim, sizeof *g->vectors);
    for (size_t i = 0; i < count; i++) g->ids[i] = id_of_number(first + i);
    g->base = (struct collection_write){
        .kind = WRITE_ADD, .ids = g->ids, .count = count, .vectors = g->vectors, .dim = dim};
}

static void free_group(struct group *g)
{
    free(g->ids);
    free(g->vectors);
}

static uint64_t live_count(struct fixture *f)
{
    struct view *v = view_slot_acquire(&f->bed.slot);
    uint64_t count = v->live_count;
    view_release(v);
    return count;
}

static int write_one(struct fixture *f, struct group *g)
{
    struct collection_write *w = &g->base;
    f->bed.answered = 0;
    collection_write_batch(f->bed.c, &w, 1);
    assert_int_equal(f->bed.answered, 1);
    f->err = w->error;
    return w->error.code ? -1 : 0;
}

/* Rows of one group, so that a few fill a tail. */
enum { MANY = SEAL_ROWS * 3 / 4 < LIMIT_BATCH_ROWS ? SEAL_ROWS * 3 / 4 : LIMIT_BATCH_ROWS };

static void a_batch_may_be_larger_than_a_tail(void **state)
{
    struct fixture *f = *state;
    struct group groups[5];
    struct collection_write *batch[5];
    for (size_t i = 0; i < 5; i++) {
        make_group(&groups[i], i * MANY, MANY, BED_DIM);
        batch[i] = &groups[i].base;
    }
    collection_write_batch(f->bed.c, batch, 5);
    assert_int_equal(f->bed.answered, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_ok(batch[i]->error.code, &batch[i]->error);
        assert_int_equal(batch[i]->lsn, i + 1);
        free_group(&groups[i]);
    }
    assert_int_equal(live_count(f), 5 * MANY);
    assert_true(f->bed.c->part_count >= 2); /* full ones were frozen on the way */
    assert_true(collection_wants_seal(f->bed.c));
    assert_ok(collection_check(f->bed.c, &f->err), &f->err);
    assert_ok(collection_flush(f->bed.c, true, &f->err), &f->err);
    assert_ok(collection_check(f->bed.c, &f->err), &f->err);
    assert_int_equal(live_count(f), 5 * MANY);
}

static void a_long_log_is_opened_where_no_sync_is_allowed(void **state)
{
    struct fixture *f = *state;
    struct group g;
    for (uint64_t i = 0; i < 8; i++) {
        make_group(&g, i * MANY, MANY, BED_DIM);
        assert_ok(write_one(f, &g), &f->err);
        free_group(&g);
    }
    bed_abandon(&f->bed);
    f->bed.may_sync = false;
    assert_ok(bed_open(&f->bed, &f->err), &f->err); /* more full tails than a writer may make */
    assert_int_equal(live_count(f), 8 * MANY);
    make_group(&g, 8 * MANY, MANY, BED_DIM);
    g.base.sync = SYNC_OS;
    assert_fails(write_one(f, &g), &f->err, LYNSE_BUSY);
    assert_non_null(strstr(f->err.text, "lynse_sync"));
    f->bed.c->desc.may_sync = true;
    wal_set_rules(f->bed.c->wal, WAL_MAY_SYNC);
    assert_ok(collection_flush(f->bed.c, false, &f->err), &f->err);
    assert_ok(write_one(f, &g), &f->err);
    free_group(&g);
    assert_int_equal(live_count(f), 9 * MANY);
}

static void what_wants_the_disk_is_busy_where_that_is_not_allowed(void **state)
{
    struct fixture *f = *state;
    struct group g;
    wal_set_rules(f->bed.c->wal, WAL_MAY_SYNC);
    assert_ok(wal_prepare(f->bed.c->wal, &f->err), &f->err);
    f->bed.c->desc.may_sync = false;
    wal_set_rules(f->bed.c->wal, 0);
    make_group(&g, 0, 3, BED_DIM);
    g.base.sync = SYNC_ALWAYS;
    assert_fails(write_one(f, &g), &f->err, LYNSE_BUSY);
    assert_int_equal(live_count(f), 0);
    g.base.sync = SYNC_INTERVAL;
    assert_ok(write_one(f, &g), &f->err);
    assert_int_equal(g.base.sync_reached, SYNC_OS); /* nobody will sync in time */
    free_group(&g);
}

/* ---- the dimension ---- */

static void forget_dimension(struct fixture *f)
{
    struct collection_desc desc;
    struct collection_options options = {
        .metric = 1, .sync_level = SYNC_ALWAYS, .sync_interval_ms = 100};
    bed_abandon(&f->bed);
    desc = bed_desc(&f->bed);
    assert_ok(vfs_unlink(f->bed.root, "manifest-1", &f->err), &f->err);
    desc.take_dir = f->bed.root;
    assert_ok(collection_create(&desc, &options, &f->err), &f->err);
    assert_ok(bed_open(&f->bed, &f->err), &f->err);
}

/* ---- how large ---- */

/* Of the longest vectors: they alone leave room for eight more. */
enum { LONG_ROWS = 2040, LONG_ROOM = 8 * LIMIT_DIM * 4 };

/* {"x": text}; the caller frees it. */
static struct slice make_document(size_t bytes)
{
    uint8_t *document = malloc(bytes);
    uint32_t text_bytes = (uint32_t)bytes - 8;
    const uint8_t head[] = {0x81,
                            0xa1,
                            'x',
                            0xdb,
                            (uint8_t)(text_bytes >> 24),
                            (uint8_t)(text_bytes >> 16),
                            (uint8_t)(text_bytes >> 8),
                            (uint8_t)text_bytes};
    memcpy(document, head, sizeof head);
    memset(document + sizeof head, 'y', text_bytes);
    return slice_of(document, bytes);
}

static void assert_group_is_too_large(struct fixture *f, int rc)
{
    assert_fails(rc, &f->err, LYNSE_TOO_LARGE);
    assert_non_null(strstr(f->err.text, "ids, vectors and fields: 2684"));
    assert_non_null(strstr(f->err.text, "at most 268435456"));
}

static void ids_count_towards_the_limit_of_a_group(void **state)
{
    struct fixture *f = *state;
    struct group g;
    struct slice documents[LONG_ROWS] = {make_document(LONG_ROOM - LONG_ROWS * 4)};
    make_group(&g, 0, LONG_ROWS, LIMIT_DIM);
    g.base.documents = documents;
    assert_group_is_too_large(f, collection_write_check(f->alloc, &g.base, &f->err));
    g.base.ids = NULL; /* those that are given count as well */
    assert_group_is_too_large(f, collection_write_check(f->alloc, &g.base, &f->err));
    documents[0].size = 0;
    assert_ok(collection_write_check(f->alloc, &g.base, &f->err), &f->err);
    free((void *)(uintptr_t)documents[0].data);
    free_group(&g);
}

static void fields_that_an_upsert_keeps_count_towards_the_limit_of_a_group(void **state)
{
    struct fixture *f = *state;
    struct group one, all;
    struct slice document = make_document(LONG_ROOM - LONG_ROWS * 4);
    forget_dimension(f);
    make_group(&one, 7, 1, LIMIT_DIM);
    make_group(&all, 0, LONG_ROWS, LIMIT_DIM);
    one.base.documents = &document;
    assert_ok(write_one(f, &one), &f->err);
    all.base.kind = WRITE_UPSERT;
    assert_ok(collection_write_check(f->alloc, &all.base, &f->err), &f->err);
    assert_group_is_too_large(f, write_one(f, &all));
    assert_int_equal(live_count(f), 1);
    free((void *)(uintptr_t)document.data);
    free_group(&one);
    free_group(&all);
}

static void a_dimension_holds_from_the_first_group_that_is_applied(void **state)
{
    struct fixture *f = *state;
    struct group refused, first, other;
    forget_dimension(f);
    make_group(&refused, UINT64_MAX - 1, 1, 5);
    refused.base.ids = NULL; /* to be given, but there is no room above */
    make_group(&first, UINT64_MAX - 1, 1, 3);
    make_group(&other, 7, 1, 5);
    struct collection_write *batch[] = {&other.base};
    assert_int_equal(f->bed.c->dim, 0);
    assert_ok(write_one(f, &first), &f->err);
    assert_int_equal(f->bed.c->dim, 3);
    refused.base.dim = 3;
    assert_fails(write_one(f, &refused), &f->err, LYNSE_LIMIT);
    collection_write_batch(f->bed.c, batch, 1);
    assert_string_equal(error_name(other.base.error.code), "DIMENSION");
    free_group(&refused);
    free_group(&first);
    free_group(&other);
}

static void a_refused_group_says_nothing_about_the_dimension(void **state)
{
    struct fixture *f = *state;
    struct group refused, first, late;
    forget_dimension(f);
    make_group(&refused, 0, 3, 5);
    make_group(&first, 0, 3, 3);
    make_group(&late, 10, 3, 5);
    /* The row chunk of the first group cannot be made: 32,768 components over the budget. */
    struct collection_write *batch[] = {&refused.base, &first.base, &late.base};
    for (uint64_t n = 1; n < 60; n++) {
        f->bed.answered = 0;
        alloc_fail_after(f->alloc, n, false);
        collection_write_batch(f->bed.c, batch, 3);
        alloc_fail_after(f->alloc, 0, false);
        assert_int_equal(f->bed.answered, 3);
        if (refused.base.error.code == LYNSE_NO_MEMORY && first.base.error.code == 0) {
            assert_int_equal(f->bed.c->dim, 3);
            assert_string_equal(error_name(late.base.error.code), "DIMENSION");
            break;
        }
        if (f->bed.c->applied_lsn > 0) forget_dimension(f);
        assert_int_equal(f->bed.c->dim, 0);
        assert_true(n < 59);
    }
    free_group(&refused);
    free_group(&first);
    free_group(&late);
}

static void a_batch_agrees_on_one_dimension(void **state)
{
    struct fixture *f = *state;
    struct group a, b;
    forget_dimension(f);
    make_group(&a, 0, 3, 3);
    make_group(&b, 10, 3, 4);
    struct collection_write *batch[] = {&a.base, &b.base};
    collection_write_batch(f->bed.c, batch, 2);
    assert_ok(a.base.error.code, &a.base.error);
    assert_string_equal(error_name(b.base.error.code), "DIMENSION");
    assert_int_equal(live_count(f), 3);
    free_group(&a);
    free_group(&b);
}

/* ---- sealing ---- */

static void a_small_last_segment_is_rewritten_with_the_tail(void **state)
{
    struct fixture *f = *state;
    struct group g;
    for (uint64_t i = 0; i < 6; i++) {
        make_group(&g, i * (SMALL_SEGMENT_ROWS - 1), SMALL_SEGMENT_ROWS - 1, BED_DIM);
        assert_ok(write_one(f, &g), &f->err);
        free_group(&g);
        assert_ok(collection_flush(f->bed.c, false, &f->err), &f->err);
        /* Each second one joins the first, which is then large enough. */
        assert_int_equal(f->bed.c->manifest.segment_count, i / 2 + 1);
    }
    assert_ok(collection_check(f->bed.c, &f->err), &f->err);
}

static void options_may_change_while_a_segment_is_built(void **state)
{
    struct fixture *f = *state;
    struct group g;
    struct segment_build_desc desc;
    struct segment_build build = {0};
    make_group(&g, 0, 10, BED_DIM);
    assert_ok(write_one(f, &g), &f->err);
    free_group(&g);
    assert_ok(collection_freeze(f->bed.c, &f->err), &f->err);
    assert_ok(collection_seal_begin(f->bed.c, false, &desc, &f->err), &f->err);
    assert_ok(segment_build_run(&desc, &build, &f->err), &f->err);
    /* Its files are named by no manifest yet, and must not be taken for garbage. */
    assert_ok(
        collection_set_index(f->bed.c, &(struct index_plan){.kind = INDEX_FLAT}, 3, NULL, &f->err),
        &f->err);
    assert_ok(collection_set_description(f->bed.c, "meanwhile", &f->err), &f->err);
    assert_ok(collection_seal_finish(f->bed.c, &build, false, &f->err), &f->err);
    segment_build_deinit(&build);
    assert_int_equal(f->bed.c->manifest.segment_count, 1);
    assert_string_equal(f->bed.c->manifest.description, "meanwhile");
    assert_int_equal(f->bed.c->manifest.fields[0].metric, 3);
    assert_ok(bed_close(&f->bed, &f->err), &f->err);
    assert_ok(bed_open(&f->bed, &f->err), &f->err);
    assert_int_equal(live_count(f), 10);
}

static void a_segment_of_superseded_rows_alone_is_not_made(void **state)
{
    struct fixture *f = *state;
    struct group g;
    struct segment_build_desc desc;
    struct segment_build build = {0};
    make_group(&g, 0, 3, BED_DIM);
    g.base.kind = WRITE_UPSERT;
    for (int i = 0; i < 2; i++) {
        assert_ok(write_one(f, &g), &f->err);
        assert_ok(collection_freeze(f->bed.c, &f->err), &f->err);
    }
    free_group(&g);
    assert_ok(collection_seal_begin(f->bed.c, false, &desc, &f->err), &f->err);
    assert_int_equal(desc.part_count, 2);
    assert_ok(segment_build_run(&desc, &build, &f->err), &f->err);
    assert_int_equal(build.segment.row_count, 3);
    assert_ok(collection_seal_finish(f->bed.c, &build, false, &f->err), &f->err);
    segment_build_deinit(&build);
    assert_int_equal(live_count(f), 3);
    assert_ok(collection_check(f->bed.c, &f->err), &f->err);
}

static void a_reader_is_told_that_it_cannot_write(void **state)
{
    struct fixture *f = *state;
    struct group g;
    make_group(&g, 0, 3, BED_DIM);
    assert_ok(write_one(f, &g), &f->err);
    assert_ok(bed_close(&f->bed, &f->err), &f->err);
    f->bed.read_only = true;
    assert_ok(bed_open(&f->bed, &f->err), &f->err);
    assert_int_equal(live_count(f), 3);
    assert_fails(write_one(f, &g), &f->err, LYNSE_READ_ONLY);
    size_t parts = f->bed.c->part_count;
    assert_fails(collection_flush(f->bed.c, false, &f->err), &f->err, LYNSE_READ_ONLY);
    assert_int_equal(f->bed.c->part_count, parts);
    assert_fails(
        collection_set_index(f->bed.c, &(struct index_plan){.kind = INDEX_FLAT}, 1, NULL, &f->err),
        &f->err, LYNSE_READ_ONLY);
    assert_ok(bed_close(&f->bed, &f->err), &f->err);
    free_group(&g);
}

static void pass_over(void *ctx, uint64_t lsn, const struct error *err)
{
    (void)ctx, (void)lsn, (void)err;
}

static void a_logged_group_with_an_id_twice_is_damage(void **state)
{
    struct fixture *f = *state;
    struct record_id ids[] = {id_of_number(4), id_of_number(9), id_of_number(4)};
    float vectors[3 * BED_DIM] = {0};
    struct record_rows rows = {ids, 3, vectors, BED_DIM, NULL};
    struct buf payload;
    buf_init(&payload, f->alloc, MEM_LOG);
    record_encode_upsert(&payload, &rows);
    struct commit_record record = {.kind = RECORD_UPSERT, .payload = buf_slice(&payload)};
    struct commit_log *log = f->bed.c->log;
    log->on_complete = pass_over; /* as a writer without our checks would */
    assert_ok(log->ops->append(log, 1, &record, 1, &f->err), &f->err);
    assert_ok(log->ops->complete(log, true, &f->err), &f->err);
    buf_deinit(&payload);
    bed_abandon(&f->bed);
    assert_fails(bed_open(&f->bed, &f->err), &f->err, LYNSE_CORRUPT);
    assert_non_null(strstr(f->err.text, "LSN 1"));
}

static int measure_by_haversine(struct fixture *f, const struct view *measured)
{
    return collection_set_index(f->bed.c, &(struct index_plan){.kind = INDEX_FLAT},
                                METRIC_HAVERSINE, measured, &f->err);
}

/* Who changes the metric has looked at a view; rows are written, and restored, until his turn. */
static void rows_that_came_after_a_view_are_looked_at(void **state)
{
    struct fixture *f = *state;
    struct group far, near;
    make_group(&far, 100, 1, BED_DIM);
    far.vectors[1] = 91; /* no latitude */
    make_group(&near, 0, 3, BED_DIM);
    assert_ok(write_one(f, &near), &f->err);
    assert_ok(write_one(f, &far), &f->err);
    far.base.kind = WRITE_DELETE;
    assert_ok(write_one(f, &far), &f->err);

    struct view *seen = view_slot_acquire(&f->bed.slot);
    assert_ok(view_check_measurable(seen, metric_find(METRIC_HAVERSINE), &f->err), &f->err);
    far.base.kind = WRITE_RESTORE;
    assert_ok(write_one(f, &far), &f->err);
    assert_fails(measure_by_haversine(f, seen), &f->err, LYNSE_INVALID);
    assert_non_null(strstr(f->err.text, "id 100"));

    far.base.kind = WRITE_DELETE;
    assert_ok(write_one(f, &far), &f->err);
    far.base.kind = WRITE_ADD;
    far.ids[0] = id_of_number(101);
    assert_ok(write_one(f, &far), &f->err);
    assert_fails(measure_by_haversine(f, seen), &f->err, LYNSE_INVALID);
    assert_non_null(strstr(f->err.text, "id 101"));

    assert_ok(collection_flush(f->bed.c, false, &f->err), &f->err);
    assert_fails(measure_by_haversine(f, seen), &f->err, LYNSE_INVALID);
    far.base.kind = WRITE_DELETE;
    assert_ok(write_one(f, &far), &f->err);
    assert_ok(measure_by_haversine(f, seen), &f->err);
    view_release(seen);
    free_group(&near);
    free_group(&far);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(a_batch_may_be_larger_than_a_tail),
    CASE(a_long_log_is_opened_where_no_sync_is_allowed),
    CASE(what_wants_the_disk_is_busy_where_that_is_not_allowed),
    CASE(ids_count_towards_the_limit_of_a_group),
    CASE(fields_that_an_upsert_keeps_count_towards_the_limit_of_a_group),
    CASE(a_dimension_holds_from_the_first_group_that_is_applied),
    CASE(a_refused_group_says_nothing_about_the_dimension),
    CASE(a_batch_agrees_on_one_dimension),
    CASE(a_small_last_segment_is_rewritten_with_the_tail),
    CASE(options_may_change_while_a_segment_is_built),
    CASE(a_segment_of_superseded_rows_alone_is_not_made),
    CASE(a_reader_is_told_that_it_cannot_write),
    CASE(a_logged_group_with_an_id_twice_is_damage),
    CASE(rows_that_came_after_a_view_are_looked_at),
};
TEST_MAIN(tests)
