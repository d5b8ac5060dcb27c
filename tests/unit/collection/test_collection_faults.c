/* SPDX-License-Identifier: Apache-2.0 */
/* test_collection_faults.c — one scripted life of a collection, run again for every allocation and
 * every operation of the disk that can fail in it.
 *
 * Whatever fails, a call has either happened or not, and says which; the view shows what was
 * answered; and what is opened afterwards is that state, or it with a prefix of the groups whose
 * outcome nobody knows.
 */
#include <errno.h>

#include "bed.h"

#include "support/vfs_faulty.h"

/* ---- the script ---- */

enum verb {
    VERB_WRITE,
    VERB_FLUSH,
    VERB_CHECKPOINT,
    VERB_LEVEL,
    VERB_SYNC,
    VERB_MARK,
    VERB_REOPEN
};

struct script_step {
    enum verb verb;
    bool same_batch; /* as the write before */
    uint8_t level;
    struct model_write write;
};

#define IDS(...) .ids = {__VA_ARGS__}, .count = sizeof((uint8_t[]){__VA_ARGS__})
#define ADD_(v, f, ...)                                                                            \
    {                                                                                              \
        VERB_WRITE, false, 0,                                                                      \
        {                                                                                          \
            .kind = WRITE_ADD, .version = v, .n = f, IDS(__VA_ARGS__)                              \
        }                                                                                          \
    }
#define PUT_(v, f, ...)                                                                            \
    {                                                                                              \
        VERB_WRITE, false, 0,                                                                      \
        {                                                                                          \
            .kind = WRITE_UPSERT, .version = v, .n = f, IDS(__VA_ARGS__)                           \
        }                                                                                          \
    }
#define AND_PUT(v, f, ...)                                                                         \
    {                                                                                              \
        VERB_WRITE, true, 0,                                                                       \
        {                                                                                          \
            .kind = WRITE_UPSERT, .version = v, .n = f, IDS(__VA_ARGS__)                           \
        }                                                                                          \
    }
#define AND_ADD(v, f, ...)                                                                         \
    {                                                                                              \
        VERB_WRITE, true, 0,                                                                       \
        {                                                                                          \
            .kind = WRITE_ADD, .version = v, .n = f, IDS(__VA_ARGS__)                              \
        }                                                                                          \
    }
#define AND_DELETE(...)                                                                            \
    {                                                                                              \
        VERB_WRITE, true, 0,                                                                       \
        {                                                                                          \
            .kind = WRITE_DELETE, IDS(__VA_ARGS__)                                                 \
        }                                                                                          \
    }
#define AND_RESTORE(...)                                                                           \
    {                                                                                              \
        VERB_WRITE, true, 0,                                                                       \
        {                                                                                          \
            .kind = WRITE_RESTORE, IDS(__VA_ARGS__)                                                \
        }                                                                                          \
    }
#define DELETE_(...)                                                                               \
    {                                                                                              \
        VERB_WRITE, false, 0,                                                                      \
        {                                                                                          \
            .kind = WRITE_DELETE, IDS(__VA_ARGS__)                                                 \
        }                                                                                          \
    }
#define RESTORE_(...)                                                                              \
    {                                                                                              \
        VERB_WRITE, false, 0,                                                                      \
        {                                                                                          \
            .kind = WRITE_RESTORE, IDS(__VA_ARGS__)                                                \
        }                                                                                          \
    }
#define LARGE(and_, v, ...)                                                                        \
    {                                                                                              \
        VERB_WRITE, and_, 0,                                                                       \
        {                                                                                          \
            .kind = WRITE_UPSERT, .version = v, .n = 77, .is_large = true, IDS(__VA_ARGS__)        \
        }                                                                                          \
    }
#define DO(verb_)                                                                                  \
    {                                                                                              \
        .verb = verb_                                                                              \
    }
#define LEVEL(l)                                                                                   \
    {                                                                                              \
        .verb = VERB_LEVEL, .level = l                                                             \
    }

static const struct script_step script[] = {
    ADD_(1, 1, 0, 1, 2, 3, 4, 130, 131),
    PUT_(2, 0, 1, 130, 9),
    AND_DELETE(2, 2, 131, 50),
    AND_PUT(3, 3, 2, 60),
    AND_ADD(4, 0, 3, 61), /* refused: 3 is there */
    AND_RESTORE(131, 3),
    AND_DELETE(60),
    DO(VERB_MARK),
    DO(VERB_FLUSH),
    PUT_(5, 0, 1, 2, 60, 130),
    AND_DELETE(1, 0),
    AND_PUT(6, 6, 1),
    DELETE_(4, 131),
    DO(VERB_CHECKPOINT),
    RESTORE_(4, 0),
    LEVEL(SYNC_OS),
    PUT_(7, 7, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 140, 141),
    DO(VERB_SYNC),
    PUT_(8, 0, 20, 140),
    /* A batch that begins in one log file and ends in another. */
    LARGE(false, 20, 40, 41),
    LARGE(true, 21, 42),
    LARGE(true, 22, 41, 43),
    AND_DELETE(42, 1),
    LARGE(true, 23, 44, 45),
    AND_PUT(24, 0, 41, 1),
    LARGE(true, 25, 42, 46),
    DO(VERB_REOPEN),
    LEVEL(SYNC_NONE),
    PUT_(9, 9, 30, 31, 130),
    DELETE_(20, 3),
    DO(VERB_FLUSH),
    LEVEL(SYNC_ALWAYS),
    ADD_(10, 0, 100, 101),
    AND_DELETE(100),
    AND_ADD(11, 11, 100),
    DO(VERB_FLUSH),
    DELETE_(101, 30),
};
enum { STEPS = sizeof script / sizeof *script };

/* ---- a run ---- */

struct run {
    struct bed bed;
    struct model sure;                          /* what was answered */
    struct model_write unknown[BED_WRITES_MAX]; /* in order: may have happened */
    size_t unknown_count;
    uint8_t level, level_unknown; /* 0: known */
    bool is_stopped;              /* poisoned: only reading goes on */
    int expected[4];              /* codes that a failure may have; 0 ends */
};

static void check_code(const struct run *r, const struct error *err)
{
    for (size_t i = 0; i < 4 && r->expected[i]; i++)
        if (r->expected[i] == err->code) return;
    if (r->is_stopped && err->code == LYNSE_READ_ONLY) return;
    fail_msg("%s: %s (%s:%d)", error_name(err->code), err->text, err->file ? err->file : "?",
             err->line);
}

static void note_failure(struct run *r, const struct error *err)
{
    check_code(r, err);
    if (r->bed.c && r->bed.c->is_poisoned) r->is_stopped = true;
}

static void run_writes(struct run *r, const struct script_step *s, size_t count)
{
    static struct bed_write writes[BED_WRITES_MAX];
    struct collection_write *batch[BED_WRITES_MAX];
    for (size_t i = 0; i < count; i++) {
        bed_fill(&writes[i], &s[i].write, 0);
        batch[i] = &writes[i].base;
    }
    r->bed.answered = 0;
    collection_write_batch(r->bed.c, batch, count);
    assert_int_equal(r->bed.answered, count);
    for (size_t i = 0; i < count; i++) {
        const struct collection_write *w = batch[i];
        assert_ptr_equal(r->bed.order[i], w);
        if (w->error.code == LYNSE_OUTCOME_UNKNOWN) {
            r->unknown[r->unknown_count++] = s[i].write;
            note_failure(r, &w->error);
        } else if (w->error.code && w->error.code != LYNSE_ALREADY_EXISTS) {
            note_failure(r, &w->error);
        } else {
            struct model before = r->sure;
            int changed = model_apply(&r->sure, &s[i].write);
            if (changed < 0) {
                assert_int_equal(w->error.code, LYNSE_ALREADY_EXISTS);
                r->sure = before;
            } else {
                assert_ok(w->error.code, &w->error);
                assert_int_equal(w->row_count, changed);
            }
        }
    }
}

static void run_order(struct run *r, const struct script_step *s)
{
    struct error err = {0};
    uint64_t durable;
    int rc = 0;
    switch (s->verb) {
    case VERB_FLUSH:
    case VERB_CHECKPOINT:
        rc = collection_flush(r->bed.c, s->verb == VERB_CHECKPOINT, &err);
        break;
    case VERB_LEVEL:
        rc = collection_set_sync(r->bed.c, s->level, 100, &err);
        if (rc == 0) r->level = s->level;
        else if (err.code == LYNSE_OUTCOME_UNKNOWN) r->level_unknown = s->level;
        break;
    case VERB_SYNC:
        rc = collection_sync(r->bed.c, &durable, &err);
        break;
    case VERB_MARK:
        rc = collection_mark(r->bed.c, &err);
        break;
    default:
        fail();
    }
    if (rc != 0) note_failure(r, &err);
}

/* What is opened is the sure state with a prefix of the unknown groups.  false: that could not be
 * seen, because reading failed. */
static bool adopt(struct run *r)
{
    struct error err = {0};
    struct model m = r->sure;
    for (size_t i = 0; !bed_is(&r->bed, &m, &err); i++) {
        if (err.code) {
            check_code(r, &err);
            return r->unknown_count == 0;
        }
        if (i == r->unknown_count) fail_msg("another state was opened");
        model_apply(&m, &r->unknown[i]); /* which may have been refused, too */
    }
    /* Ids that were lost in level none are not given again. */
    assert_true(!m.has_int_id || (r->bed.c->has_int_id && r->bed.c->max_int_id >= m.max_int_id));
    m.has_int_id = r->bed.c->has_int_id;
    m.max_int_id = r->bed.c->max_int_id;
    r->sure = m;
    r->unknown_count = 0;
    r->is_stopped = false;
    if (r->bed.c->manifest.sync_level == r->level_unknown) r->level = r->level_unknown;
    r->level_unknown = 0;
    assert_int_equal(r->bed.c->manifest.sync_level, r->level);
    if (collection_check(r->bed.c, &err) != 0) check_code(r, &err);
    return true;
}

/* false: it cannot be opened now. */
static bool run_reopen(struct run *r)
{
    struct error err = {0};
    if (r->bed.c && bed_close(&r->bed, &err) != 0) check_code(r, &err);
    if (bed_open(&r->bed, &err) != 0) {
        check_code(r, &err);
        return false;
    }
    return adopt(r);
}

/* A killed process in level none has only what was flushed; the script flushes before it leaves. */
static void run_script(struct run *r)
{
    struct error err = {0};
    if (bed_open(&r->bed, &err) != 0) {
        check_code(r, &err);
        return;
    }
    for (size_t i = 0; i < STEPS;) {
        size_t count = 1;
        if (script[i].verb == VERB_REOPEN) {
            if (!run_reopen(r)) return;
        } else if (script[i].verb == VERB_WRITE) {
            while (i + count < STEPS && script[i + count].same_batch) count++;
            run_writes(r, &script[i], count);
        } else {
            run_order(r, &script[i]);
        }
        i += count;
        if (!bed_is(&r->bed, &r->sure, &err) && err.code == 0)
            fail_msg("after step %zu the view is another one", i);
    }
}

static bool count_segment_files(void *ctx, const char *name)
{
    *(size_t *)ctx += strncmp(name, "seg-", 4) == 0;
    return true;
}

/* Nothing is left of what failed (R14). */
static void assert_no_garbage(struct run *r)
{
    struct error err = {0};
    const struct manifest *m = &r->bed.c->manifest;
    size_t there = 0, named = 0;
    assert_ok(vfs_dir_list(r->bed.root, count_segment_files, &there, &err), &err);
    for (uint32_t i = 0; i < m->segment_count; i++) named += m->segments[i].part_count;
    assert_int_equal(there, named);
}

/* Without faults: open what there is, compare, write, and open once more. */
static void check_aftermath(struct run *r)
{
    struct error err = {0};
    const struct script_step one[] = {PUT_(900, 90, 5, 6), AND_DELETE(5)};
    bool was_none = r->bed.c && r->level == SYNC_NONE && r->is_stopped;
    if (was_none) { /* nothing promises what was in memory only */
        bed_abandon(&r->bed);
        assert_ok(bed_open(&r->bed, &err), &err);
        assert_ok(collection_check(r->bed.c, &err), &err);
        return;
    }
    r->expected[0] = LYNSE_READ_ONLY; /* what a poisoned one says when it is closed */
    r->expected[1] = 0;
    assert_true(run_reopen(r));
    assert_no_garbage(r);
    r->expected[0] = 0;
    run_writes(r, one, 2);
    assert_true(run_reopen(r));
    assert_int_equal(r->unknown_count, 0);
}

/* ---- every allocation ---- */

static bool run_without_memory(uint64_t n, bool is_sticky)
{
    struct run r = {.level = SYNC_ALWAYS, .expected = {LYNSE_NO_MEMORY}};
    struct error err = {0};
    struct alloc *a = alloc_create(NULL, 0), *disk = alloc_create(NULL, 0);
    struct vfs *fs = vfs_memory_create(disk);
    assert_ok(bed_create(&r.bed, a, fs, r.level, 1, &err), &err);
    uint64_t before = alloc_count(a);
    alloc_fail_after(a, n, is_sticky);
    run_script(&r);
    alloc_fail_after(a, 0, false);
    bool has_failed = alloc_count(a) - before >= n;
    assert_false(r.is_stopped);
    assert_int_equal(r.unknown_count, 0);
    check_aftermath(&r);
    bed_destroy(&r.bed);
    assert_int_equal(alloc_used_bytes(a), 0);
    vfs_memory_destroy(fs);
    alloc_destroy(a);
    alloc_destroy(disk);
    return has_failed;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (uint64_t n = 1; run_without_memory(n, false);) n = test_sweep_next(n);
    for (uint64_t n = 1; run_without_memory(n, true);) n = test_sweep_next(n);
}

/* ---- every operation of the disk ---- */

static bool run_without_disk(const struct faulty_plan *plan)
{
    struct run r = {.level = SYNC_ALWAYS,
                    .expected = {plan->os_errno == ENOSPC ? LYNSE_DISK_FULL : LYNSE_IO,
                                 LYNSE_OUTCOME_UNKNOWN, LYNSE_READ_ONLY}};
    struct error err = {0};
    struct alloc *a = alloc_create(NULL, 0);
    struct vfs *memory = vfs_memory_create(a);
    struct vfs *fs = vfs_faulty_create(a, memory);
    assert_ok(bed_create(&r.bed, a, fs, r.level, 1, &err), &err);
    vfs_faulty_arm(fs, plan);
    run_script(&r);
    bool has_failed = vfs_faulty_fired(fs) > 0;
    vfs_faulty_disarm(fs);
    check_aftermath(&r);
    bed_destroy(&r.bed);
    vfs_faulty_destroy(fs);
    vfs_memory_destroy(memory);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
    return has_failed;
}

static void sweep(unsigned kinds, int os_errno, enum faulty_mode mode, bool is_short)
{
    struct faulty_plan plan = {
        .kinds = kinds, .os_errno = os_errno, .mode = mode, .nth = 1, .is_short = is_short};
    while (run_without_disk(&plan)) plan.nth = test_sweep_next(plan.nth);
}

static void every_operation_of_the_disk_may_fail(void **state)
{
    (void)state;
    sweep(FAULTY_ALL, EIO, FAULTY_ONCE, false);
}

static void the_disk_may_fail_and_never_come_back(void **state)
{
    (void)state;
    sweep(FAULTY_ALL, EIO, FAULTY_STICKY, false);
}

static void a_full_disk_may_stay_full(void **state)
{
    (void)state;
    const unsigned kinds = FAULTY_WRITE | FAULTY_TRUNCATE | FAULTY_MAKE;
    sweep(kinds, ENOSPC, FAULTY_ONCE, true);
    sweep(kinds, ENOSPC, FAULTY_STICKY, true);
    sweep(kinds, ENOSPC, FAULTY_STICKY, false);
}

static void syncs_may_fail_one_by_one(void **state)
{
    (void)state;
    sweep(FAULTY_SYNC, EIO, FAULTY_ONCE, false);
    sweep(FAULTY_DIR_SYNC, EIO, FAULTY_ONCE, false);
    sweep(FAULTY_SYNC | FAULTY_DIR_SYNC, EIO, FAULTY_STICKY, false);
}

/* A life whose checkpoint finds the disk full at one operation, for good; then rows are deleted.
 * Returns whether the checkpoint failed. */
static bool checkpoint_on_full_disk(uint64_t nth)
{
    static const struct script_step life[] = {ADD_(1, 1, 0, 1, 2, 130), DO(VERB_CHECKPOINT),
                                              PUT_(2, 2, 1, 2, 3), DO(VERB_CHECKPOINT),
                                              DELETE_(1, 130)};
    const struct faulty_plan full = {
        .kinds = FAULTY_OPEN | FAULTY_WRITE | FAULTY_TRUNCATE | FAULTY_RENAME,
        .os_errno = ENOSPC,
        .mode = FAULTY_STICKY,
        .nth = nth,
    };
    const struct faulty_plan nothing_new = {
        .kinds = FAULTY_OPEN, .os_errno = ENOSPC, .mode = FAULTY_STICKY, .nth = 1};
    struct vfs *memory = vfs_memory_create(alloc_libc()),
               *faulty = vfs_faulty_create(alloc_libc(), memory);
    struct run r = {.level = SYNC_ALWAYS, .expected = {LYNSE_DISK_FULL}};
    struct error err = {0};
    assert_ok(bed_create(&r.bed, alloc_libc(), faulty, SYNC_ALWAYS, 1, &err), &err);
    assert_ok(bed_open(&r.bed, &err), &err);
    run_writes(&r, &life[0], 1);
    run_order(&r, &life[1]);
    run_writes(&r, &life[2], 1);
    vfs_faulty_arm(faulty, &full);
    uint64_t epoch = r.bed.c->manifest.epoch;
    run_order(&r, &life[3]);
    bool has_failed = r.bed.c->manifest.epoch == epoch;
    vfs_faulty_disarm(faulty);
    if (has_failed) {
        uint64_t lsn = r.sure.lsn;
        vfs_faulty_arm(faulty, &nothing_new);
        run_writes(&r, &life[4], 1);
        vfs_faulty_disarm(faulty);
        assert_int_equal(r.sure.lsn, lsn + 1); /* it was not refused */
    }
    assert_bed_is(&r.bed, &r.sure);
    bed_abandon(&r.bed);
    assert_ok(bed_open(&r.bed, &err), &err);
    assert_bed_is(&r.bed, &r.sure);
    bed_destroy(&r.bed);
    vfs_faulty_destroy(faulty);
    vfs_memory_destroy(memory);
    return has_failed;
}

static void a_failed_checkpoint_leaves_deletes_the_room_of_the_log(void **state)
{
    (void)state;
    uint64_t nth = 1;
    while (checkpoint_on_full_disk(nth)) nth++;
    assert_true(nth > 5); /* the last of them are the manifest's */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_failed_checkpoint_leaves_deletes_the_room_of_the_log),
    cmocka_unit_test(every_allocation_may_fail),
    cmocka_unit_test(every_operation_of_the_disk_may_fail),
    cmocka_unit_test(the_disk_may_fail_and_never_come_back),
    cmocka_unit_test(a_full_disk_may_stay_full),
    cmocka_unit_test(syncs_may_fail_one_by_one),
};
TEST_MAIN(tests)
