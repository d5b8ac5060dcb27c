/* SPDX-License-Identifier: Apache-2.0 */
/* test_collection.c — random histories of groups, seals, options and reopenings against a model. */
#include "bed.h"

#include "base/rng.h"

enum { HISTORIES = 60, STEPS = 150 };

struct history {
    struct bed bed;
    struct rng rng;
    struct model model;
    struct model kept; /* level none: what a killed process leaves */
    bool is_sealing;
    struct model as_of; /* of the seal */
    struct segment_build_desc seal;
    bool is_merging;
    struct segment_build_desc merge;
    uint32_t merged; /* times */
    uint8_t level;
};

static void note_kept(struct history *h)
{
    h->kept = h->model;
}

/* ---- writes ---- */

static void choose_ids(struct history *h, struct model_write *w, bool may_repeat)
{
    bool used[MODEL_IDS] = {false};
    w->count = (uint8_t)(1 + rng_below(&h->rng, rng_chance(&h->rng, 0.1) ? 20 : 4));
    for (size_t i = 0; i < w->count; i++) {
        uint8_t id;
        do {
            id = (uint8_t)rng_below(&h->rng, 40);
            if (id >= 30) id = (uint8_t)(MODEL_INTS + id);
        } while (!may_repeat && used[id]);
        used[id] = true;
        w->ids[i] = id;
    }
}

static void choose_write(struct history *h, struct model_write *w, uint16_t version)
{
    *w = (struct model_write){.version = version};
    w->kind = (enum write_kind)rng_below(&h->rng, 4);
    choose_ids(h, w, w->kind == WRITE_DELETE || w->kind == WRITE_RESTORE);
    if (rng_chance(&h->rng, 0.6)) w->n = (uint8_t)(1 + rng_below(&h->rng, 100));
    if (w->kind == WRITE_ADD && rng_chance(&h->rng, 0.2) &&
        (!h->model.has_int_id || h->model.max_int_id + BED_WRITES_MAX * 20 + 20 < MODEL_INTS)) {
        w->gives_ids = true;
    }
}

static void check_answer(const struct history *h, const struct collection_write *w, int expected)
{
    if (expected < 0) {
        assert_string_equal(error_name(w->error.code), "ALREADY_EXISTS");
        assert_int_equal(w->lsn, 0);
        assert_int_equal(w->row_count, 0);
        return;
    }
    assert_ok(w->error.code, &w->error);
    assert_int_equal(w->row_count, expected);
    assert_int_equal(w->lsn, expected > 0 ? h->model.lsn : 0);
    if (h->level == SYNC_NONE) assert_int_equal(w->sync_reached, SYNC_NONE);
    else if (w->sync == SYNC_ALWAYS || (w->sync == 0 && h->level == SYNC_ALWAYS))
        assert_int_equal(w->sync_reached, SYNC_ALWAYS);
}

static void write_batch(struct history *h)
{
    static struct bed_write writes[BED_WRITES_MAX];
    struct model_write asked[BED_WRITES_MAX];
    struct collection_write *batch[BED_WRITES_MAX];
    struct error err = {0};
    size_t count = 1 + (size_t)rng_below(&h->rng, BED_WRITES_MAX);
    for (size_t i = 0; i < count; i++) {
        choose_write(h, &asked[i], (uint16_t)(h->model.lsn * 8 + i + 1));
        bed_fill(&writes[i], &asked[i], (uint8_t)rng_below(&h->rng, SYNC_NONE));
        batch[i] = &writes[i].base;
        assert_ok(collection_write_check(h->bed.alloc, batch[i], &err), &err);
    }
    h->bed.answered = 0;
    collection_write_batch(h->bed.c, batch, count);
    assert_int_equal(h->bed.answered, count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(h->bed.order[i], batch[i]);
        uint64_t first = h->model.has_int_id ? h->model.max_int_id + 1 : 0;
        int changed = model_apply(&h->model, &asked[i]);
        check_answer(h, batch[i], changed);
        if (asked[i].gives_ids) assert_int_equal(batch[i]->first_number, first);
    }
}

/* ---- what happens between ---- */

static void flush(struct history *h, bool retire_log)
{
    struct error err = {0};
    int rc = collection_flush(h->bed.c, retire_log, &err);
    if (h->is_sealing) {
        assert_fails(rc, &err, LYNSE_BUSY);
        return;
    }
    assert_ok(rc, &err);
    assert_int_equal(h->bed.c->manifest.flushed_lsn, h->model.lsn);
    note_kept(h);
}

static void begin_seal(struct history *h)
{
    struct error err = {0};
    if (h->is_sealing) return;
    if (rng_chance(&h->rng, 0.5)) assert_ok(collection_freeze(h->bed.c, &err), &err);
    h->as_of = h->model;
    assert_ok(collection_seal_begin(h->bed.c, true, &h->seal, &err), &err);
    h->is_sealing = true;
}

static void end_seal(struct history *h)
{
    struct error err = {0};
    struct segment_build build = {0};
    if (!h->is_sealing) return;
    h->is_sealing = false;
    if (rng_chance(&h->rng, 0.2)) {
        collection_seal_cancel(h->bed.c);
        return;
    }
    if (h->seal.part_count > 0) assert_ok(segment_build_run(&h->seal, &build, &err), &err);
    assert_ok(collection_seal_finish(h->bed.c, h->seal.part_count > 0 ? &build : NULL,
                                     rng_chance(&h->rng, 0.3), &err),
              &err);
    segment_build_deinit(&build);
    if (h->level == SYNC_NONE) h->kept = h->as_of;
}

static void begin_merge(struct history *h)
{
    struct error err = {0};
    if (h->is_merging || !collection_wants_merge(h->bed.c)) return;
    assert_ok(collection_merge_begin(h->bed.c, &h->merge, &err), &err);
    h->is_merging = true;
}

static void end_merge(struct history *h)
{
    struct error err = {0};
    struct segment_build build = {0};
    if (!h->is_merging) return;
    h->is_merging = false;
    if (rng_chance(&h->rng, 0.2)) {
        collection_merge_cancel(h->bed.c);
        return;
    }
    assert_ok(segment_build_run(&h->merge, &build, &err), &err);
    bool must_fail = h->level == SYNC_NONE && h->is_sealing;
    size_t before = h->bed.c->part_count;
    int rc = collection_merge_finish(h->bed.c, &build, &err);
    if (must_fail) assert_fails(rc, &err, LYNSE_BUSY);
    else assert_ok(rc, &err);
    if (!must_fail) assert_true(h->bed.c->part_count <= before - h->merge.part_count + 1);
    h->merged += !must_fail;
    segment_build_deinit(&build);
}

static void reopen(struct history *h)
{
    struct error err = {0};
    if (h->is_merging) {
        h->is_merging = false;
        collection_merge_cancel(h->bed.c);
    }
    if (h->is_sealing) {
        h->is_sealing = false;
        collection_seal_cancel(h->bed.c);
    }
    if (rng_chance(&h->rng, 0.5)) {
        assert_ok(bed_close(&h->bed, &err), &err);
    } else {
        bed_abandon(&h->bed);
        if (h->level == SYNC_NONE) h->model = h->kept;
    }
    h->bed.read_only = rng_chance(&h->rng, 0.2);
    if (h->bed.read_only) { /* a reader first; it changes nothing, and shows a prefix */
        assert_ok(bed_open(&h->bed, &err), &err);
        assert_true(h->bed.c->applied_lsn <= h->model.lsn);
        assert_ok(collection_check(h->bed.c, &err), &err);
        h->bed.read_only = false;
        assert_ok(bed_close(&h->bed, &err), &err);
    }
    assert_ok(bed_open(&h->bed, &err), &err);
    /* The manifest may know ids that were lost with the rows: they are not given again. */
    if (h->level == SYNC_NONE && h->bed.c->has_int_id) {
        assert_true(!h->model.has_int_id || h->bed.c->max_int_id >= h->model.max_int_id);
        h->model.has_int_id = true;
        h->model.max_int_id = h->bed.c->max_int_id;
    }
    note_kept(h);
}

static void set_level(struct history *h)
{
    struct error err = {0};
    uint8_t level = (uint8_t)(SYNC_ALWAYS + rng_below(&h->rng, SYNC_NONE));
    if (h->is_sealing || h->is_merging) return; /* the actor lets it wait */
    assert_ok(collection_set_sync(h->bed.c, level, 100, &err), &err);
    if (h->level != SYNC_NONE || level != SYNC_NONE) note_kept(h);
    h->level = level;
}

static void other_order(struct history *h)
{
    struct error err = {0};
    uint64_t durable;
    switch (rng_below(&h->rng, 5)) {
    case 0:
        assert_ok(collection_sync(h->bed.c, &durable, &err), &err);
        if (h->level != SYNC_NONE) assert_int_equal(durable, h->model.lsn);
        break;
    case 1:
        assert_ok(collection_mark(h->bed.c, &err), &err);
        break;
    case 2:
        assert_ok(collection_set_index(h->bed.c, &(struct index_plan){.kind = INDEX_FLAT},
                                       (uint8_t)(1 + rng_below(&h->rng, 3)), NULL, &err),
                  &err);
        break;
    case 3:
        assert_ok(collection_set_description(h->bed.c, "what it is", &err), &err);
        break;
    default:
        assert_ok(collection_freeze(h->bed.c, &err), &err);
        break;
    }
}

static void step(struct history *h)
{
    switch (rng_below(&h->rng, 24)) {
    case 0:
        flush(h, false);
        break;
    case 1:
        flush(h, true);
        break;
    case 2:
    case 3:
        begin_seal(h);
        break;
    case 4:
    case 5:
        end_seal(h);
        break;
    case 6:
        reopen(h);
        break;
    case 7:
        set_level(h);
        break;
    case 8:
    case 9:
        other_order(h);
        break;
    case 20:
    case 21:
        begin_merge(h);
        break;
    case 22:
    case 23:
        end_merge(h);
        break;
    default:
        write_batch(h);
        break;
    }
}

/* How many merges were published. */
static uint32_t run_history(uint64_t seed)
{
    struct history h = {.level = SYNC_ALWAYS};
    struct error err = {0};
    struct alloc *a = alloc_create(NULL, 0);
    struct vfs *fs = vfs_memory_create(a);
    rng_init(&h.rng, seed);
    assert_ok(bed_create(&h.bed, a, fs, h.level, seed, &err), &err);
    assert_ok(bed_open(&h.bed, &err), &err);
    for (int i = 0; i < STEPS; i++) {
        step(&h);
        assert_bed_is(&h.bed, &h.model);
    }
    if (h.is_sealing) collection_seal_cancel(h.bed.c);
    if (h.is_merging) collection_merge_cancel(h.bed.c);
    assert_ok(bed_close(&h.bed, &err), &err);
    bed_destroy(&h.bed);
    vfs_memory_destroy(fs);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
    return h.merged;
}

static void every_history_gives_what_the_model_gives(void **state)
{
    (void)state;
    uint64_t seed = test_seed(1);
    const uint64_t count = (uint64_t)test_rounds(HISTORIES);
    uint32_t merged = 0;
    for (uint64_t i = 0; i < count; i++) merged += run_history(seed + i);
    assert_true(merged > count / 20);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_history_gives_what_the_model_gives),
};
TEST_MAIN(tests)
