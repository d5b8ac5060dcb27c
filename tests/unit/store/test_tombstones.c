/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of a delete map: each keeps what it was, and shares what it can. */
#include "base/thread.h"
#include "store/tombstones.h"
#include "unit/store/part_fixture.h"

enum { CHUNK_ROWS = TOMBSTONE_CHUNK_BYTES * 8, LSN = 41 };

static struct tombstones *edit_rows(struct tombstones *from, const uint64_t *rows, size_t count,
                                    bool is_set)
{
    struct tombstones_edit *e;
    struct error err = {0};
    assert_ok(tombstones_edit_begin(from, &e, &err), &err);
    for (size_t i = 0; i < count; i++) {
        assert_ok(tombstones_edit_reserve(e, rows[i], &err), &err);
        if (is_set) tombstones_edit_set(e, rows[i]);
        else tombstones_edit_clear(e, rows[i]);
    }
    return tombstones_edit_finish(e);
}

static void assert_bits(const struct tombstones *t, const bool *bits, uint64_t row_count)
{
    uint64_t count = 0;
    for (uint64_t row = 0; row < row_count; row++) {
        if (tombstones_get(t, row) != bits[row]) fail_msg("row %llu", (unsigned long long)row);
        assert_int_equal(tombstones_word(t, row / 64 * 64) >> (row % 64) & 1, bits[row]);
        count += bits[row];
    }
    assert_int_equal(tombstones_count(t), count);
}

static void random_edits_agree_with_a_list_and_spare_old_versions(void **state)
{
    (void)state;
    enum { VERSIONS = 200 };
    const uint64_t rows = 3 * CHUNK_ROWS + 77;
    struct alloc *a = alloc_create(NULL, 0);
    struct tombstones *versions[VERSIONS];
    bool *bits[VERSIONS];
    struct error err = {0};
    struct rng rng;
    rng_init(&rng, test_seed(1));
    assert_ok(tombstones_create(a, rows, &versions[0], &err), &err);
    bits[0] = (bool *)calloc(rows, sizeof(bool));
    for (int v = 1; v < VERSIONS; v++) {
        int from = v - 1 - (int)rng_below(&rng, v < 5 ? (uint64_t)v : 5);
        struct tombstones_edit *e;
        bits[v] = (bool *)malloc(rows * sizeof(bool));
        memcpy(bits[v], bits[from], rows * sizeof(bool));
        assert_ok(tombstones_edit_begin(versions[from], &e, &err), &err);
        for (int i = (int)rng_below(&rng, 20); i > 0; i--) {
            uint64_t row = rng_below(&rng, rows);
            bool dead = rng_chance(&rng, 0.6);
            assert_ok(tombstones_edit_reserve(e, row, &err), &err);
            if (dead) tombstones_edit_set(e, row);
            else tombstones_edit_clear(e, row);
            bits[v][row] = dead;
        }
        versions[v] = tombstones_edit_finish(e);
    }
    for (int v = 0; v < VERSIONS; v += 13) assert_bits(versions[v], bits[v], rows);
    for (int v = 1; v < VERSIONS; v++) {
        bool same = memcmp(bits[v], bits[v - 1], rows * sizeof(bool)) == 0;
        assert_int_equal(tombstones_equal(versions[v], versions[v - 1]), same);
    }
    for (int v = 0; v < VERSIONS; v++) {
        tombstones_release(versions[v]);
        free(bits[v]);
    }
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void a_delete_copies_one_chunk_whatever_the_size(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    struct tombstones *all, *next;
    struct tombstones_edit *e;
    struct error err = {0};
    uint64_t rows[50];
    assert_ok(tombstones_create(a, 50 * CHUNK_ROWS, &all, &err), &err);
    for (uint64_t i = 0; i < 50; i++) rows[i] = i * CHUNK_ROWS;
    next = edit_rows(all, rows, 50, true);
    tombstones_release(all);
    all = next;

    size_t used = alloc_used_bytes(a);
    uint64_t count = alloc_count(a);
    assert_ok(tombstones_edit_begin(all, &e, &err), &err);
    assert_ok(tombstones_edit_reserve(e, 20 * CHUNK_ROWS + 5, &err), &err);
    assert_ok(tombstones_edit_reserve(e, 20 * CHUNK_ROWS + 6, &err), &err);
    tombstones_edit_set(e, 20 * CHUNK_ROWS + 5);
    next = tombstones_edit_finish(e);
    assert_int_equal(alloc_count(a) - count, 3); /* the edit, the version, a chunk */
    assert_true(alloc_used_bytes(a) - used < 2 * TOMBSTONE_CHUNK_BYTES + 50 * 8 + 200);

    /* Reserved, not changed: still equal in what was not touched. */
    assert_false(tombstones_equal(all, next));
    assert_int_equal(tombstones_count(next), 51);
    assert_int_equal(tombstones_count(all), 50);
    tombstones_release(all);
    assert_true(tombstones_get(next, 20 * CHUNK_ROWS + 5));
    assert_true(tombstones_get(next, 49 * CHUNK_ROWS));
    tombstones_release(next);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void an_aborted_edit_changes_nothing(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    struct tombstones *t;
    struct tombstones_edit *e;
    struct error err = {0};
    assert_ok(tombstones_create(a, 100, &t, &err), &err);
    assert_ok(tombstones_edit_begin(t, &e, &err), &err);
    assert_ok(tombstones_edit_reserve(e, 7, &err), &err);
    tombstones_edit_set(e, 7);
    tombstones_edit_abort(e);
    tombstones_edit_abort(NULL);
    assert_false(tombstones_get(t, 7));
    assert_int_equal(tombstones_count(t), 0);
    tombstones_release(t);
    tombstones_release(NULL);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void setting_twice_counts_once(void **state)
{
    (void)state;
    struct tombstones *none, *one, *two;
    struct error err = {0};
    const uint64_t rows[3] = {9, 9, 8};
    assert_ok(tombstones_create(alloc_libc(), 10, &none, &err), &err);
    one = edit_rows(none, rows, 3, true);
    assert_int_equal(tombstones_count(one), 2);
    two = edit_rows(one, rows, 3, false);
    assert_int_equal(tombstones_count(two), 0);
    assert_true(tombstones_equal(two, none)); /* a chunk of zeros is no chunk */
    tombstones_release(none);
    tombstones_release(one);
    tombstones_release(two);
}

/* ---- Files ---- */

static int write_map(struct part_fixture *f, const struct tombstones *t, uint64_t row_count,
                     struct manifest_part *out, struct error *err)
{
    return tombstones_write(t, f->alloc, f->dir, &f->owner, &f->segment, row_count, LSN, &f->rng,
                            out, err);
}

static int read_map(struct part_fixture *f, const struct manifest_part *part, uint64_t row_count,
                    struct tombstones **out, struct error *err)
{
    return tombstones_read(f->alloc, f->dir, &f->owner, &f->segment, part, row_count, LSN, out,
                           err);
}

static void a_map_that_was_written_is_read(void **state)
{
    (void)state;
    static const uint64_t counts[] = {
        1, 63, 64, 65, CHUNK_ROWS, CHUNK_ROWS + 1, 5 * CHUNK_ROWS + 9};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct part_fixture f;
        struct tombstones *none, *some, *read = NULL;
        struct error err = {0};
        struct manifest_part part;
        const uint64_t rows[2] = {counts[i] - 1, counts[i] / 2};
        part_fixture_init(&f, i + 1);
        assert_ok(tombstones_create(f.alloc, counts[i], &none, &err), &err);
        some = edit_rows(none, rows, 2, true);
        assert_ok(write_map(&f, some, counts[i], &part, &err), &err);
        assert_int_equal(part.kind, PART_DELETES);
        assert_int_equal(part_fixture_file_count(&f), 1);
        assert_ok(read_map(&f, &part, counts[i], &read, &err), &err);
        assert_true(tombstones_equal(read, some));
        assert_int_equal(tombstones_count(read), tombstones_count(some));
        tombstones_release(none);
        tombstones_release(some);
        tombstones_release(read);
        part_fixture_deinit(&f);
    }
}

struct damage_context {
    uint64_t row_count;
};

static bool is_found(struct part_fixture *f, void *ctx, const struct manifest_part *part,
                     bool is_repaired)
{
    uint64_t row_count = ((struct damage_context *)ctx)->row_count;
    struct tombstones *t = NULL;
    struct error err = {0};
    int rc = read_map(f, part, row_count, &t, &err);
    if (rc == 0) {
        uint64_t count = 0;
        for (uint64_t row = 0; row < row_count; row++) count += tombstones_get(t, row);
        assert_int_equal(count, tombstones_count(t));
        assert_true(is_repaired || count == 2);
    } else {
        assert_true(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW ||
                    err.code == LYNSE_UNSUPPORTED);
    }
    tombstones_release(t);
    return rc != 0;
}

static void no_damage_is_missed_or_fatal(void **state)
{
    (void)state;
    struct part_fixture f;
    struct tombstones *none, *some;
    struct error err = {0};
    struct manifest_part part;
    const uint64_t rows[2] = {3, 70};
    struct damage_context d = {77};
    part_fixture_init(&f, 1);
    assert_ok(tombstones_create(f.alloc, d.row_count, &none, &err), &err);
    some = edit_rows(none, rows, 2, true);
    assert_ok(write_map(&f, some, d.row_count, &part, &err), &err);
    part_fixture_truncate_everywhere(&f, &part, LSN, is_found, &d);
    part_fixture_flip_every_bit(&f, &part, LSN, is_found, &d);
    tombstones_release(none);
    tombstones_release(some);
    part_fixture_deinit(&f);
}

static int write_some(struct part_fixture *f, struct error *err)
{
    struct tombstones *none, *some;
    struct manifest_part part;
    const uint64_t rows[2] = {3, 3 * CHUNK_ROWS};
    assert_int_equal(tombstones_create(f->alloc, 4 * CHUNK_ROWS, &none, NULL), 0);
    some = edit_rows(none, rows, 2, true);
    int rc = write_map(f, some, 4 * CHUNK_ROWS, &part, err);
    tombstones_release(none);
    tombstones_release(some);
    return rc;
}

static void a_failed_write_leaves_no_file(void **state)
{
    (void)state;
    struct part_fixture f;
    part_fixture_init(&f, 1);
    part_fixture_fail_every_operation(&f, write_some);
    part_fixture_deinit(&f);
}

static int edit_write_read(void *ctx, struct error *err)
{
    struct part_fixture *f = (struct part_fixture *)ctx;
    struct tombstones *none = NULL, *some = NULL, *read = NULL;
    struct tombstones_edit *e = NULL;
    struct manifest_part part;
    int rc = -1;
    if (tombstones_create(f->alloc, 4 * CHUNK_ROWS, &none, err) != 0) goto out;
    if (tombstones_edit_begin(none, &e, err) != 0) goto out;
    if (tombstones_edit_reserve(e, 3, err) != 0) goto out;
    if (tombstones_edit_reserve(e, 2 * CHUNK_ROWS, err) != 0) goto out;
    tombstones_edit_set(e, 2 * CHUNK_ROWS);
    some = tombstones_edit_finish(e);
    e = NULL;
    if (write_map(f, some, 4 * CHUNK_ROWS, &part, err) != 0) goto out;
    rc = read_map(f, &part, 4 * CHUNK_ROWS, &read, err);
out:
    tombstones_edit_abort(e);
    tombstones_release(none);
    tombstones_release(some);
    tombstones_release(read);
    return rc;
}

static void running_out_of_memory_is_an_error_like_any_other(void **state)
{
    (void)state;
    struct part_fixture f;
    part_fixture_init(&f, 1);
    oom_sweep(f.alloc, edit_write_read, &f);
    part_fixture_deinit(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(random_edits_agree_with_a_list_and_spare_old_versions),
    cmocka_unit_test(a_delete_copies_one_chunk_whatever_the_size),
    cmocka_unit_test(an_aborted_edit_changes_nothing),
    cmocka_unit_test(setting_twice_counts_once),
    cmocka_unit_test(a_map_that_was_written_is_read),
    cmocka_unit_test(no_damage_is_missed_or_fatal),
    cmocka_unit_test(a_failed_write_leaves_no_file),
    cmocka_unit_test(running_out_of_memory_is_an_error_like_any_other),
};
TEST_MAIN(tests)
