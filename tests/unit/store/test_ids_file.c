/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of a sealed segment: every id that is there is found in its row, no other one ever. */
#include "store/ids_bloom.h"
#include "store/ids_file.h"
#include "unit/store/part_fixture.h"

enum { ID_BYTES = 300 };

/* The ids of a case, in row order. */
struct id_list {
    uint64_t row_count;
    struct record_id *ids;
    uint8_t *texts; /* ID_BYTES a row */
    uint64_t *lsns;
};

enum id_shape {
    SEQUENTIAL,      /* as automatic ids are */
    SEQUENTIAL_HIGH, /* up to the largest id */
    RANDOM,
    CLUSTERED, /* what interpolation is worst at */
    TEXT,
    LONG_TEXT,
    MIXED,
    SHAPE_COUNT
};

static void make_text(struct id_list *l, uint64_t row, uint64_t number, bool is_long)
{
    char *text = (char *)l->texts + row * ID_BYTES;
    int size = snprintf(text, ID_BYTES, "%llx", (unsigned long long)number);
    if (is_long) {
        memset(text + size, 'x', LIMIT_ID_BYTES - (size_t)size);
        size = LIMIT_ID_BYTES;
    }
    l->ids[row] = id_of_text(slice_of(text, (size_t)size));
}

static void make_ids(struct id_list *l, uint64_t row_count, enum id_shape shape, struct rng *rng)
{
    l->row_count = row_count;
    l->ids = (struct record_id *)calloc((size_t)row_count, sizeof *l->ids);
    l->texts = (uint8_t *)calloc((size_t)row_count, ID_BYTES);
    l->lsns = (uint64_t *)calloc((size_t)row_count, sizeof *l->lsns);
    uint64_t value = rng_below(rng, 1000);
    for (uint64_t row = 0; row < row_count; row++) {
        l->lsns[row] = (row ? l->lsns[row - 1] : 5) + rng_below(rng, 2);
        /* Unique in any case: a bijection of what grows. */
        uint64_t number = hash_u64(value + row);
        if (number > LIMIT_INT_ID) number = 1;
        switch (shape) {
        case SEQUENTIAL:
            l->ids[row] = id_of_number(value + row);
            break;
        case SEQUENTIAL_HIGH:
            l->ids[row] = id_of_number(LIMIT_INT_ID - row);
            break;
        case RANDOM:
            l->ids[row] = id_of_number(number);
            break;
        case CLUSTERED:
            l->ids[row] = id_of_number(row < 60 ? 1ull << row : (1ull << 40) + row * 3);
            break;
        case TEXT:
            make_text(l, row, number, false);
            break;
        case LONG_TEXT:
            make_text(l, row, number, true);
            break;
        case MIXED:
        default:
            if (row % 3) l->ids[row] = id_of_number(value + row);
            else make_text(l, row, value + row, row % 2);
            break;
        }
    }
}

static void free_ids(struct id_list *l)
{
    free(l->ids);
    free(l->texts);
    free(l->lsns);
}

static struct record_id list_id(void *ctx, uint64_t row)
{
    return ((struct id_list *)ctx)->ids[row];
}
static uint64_t list_lsn(void *ctx, uint64_t row)
{
    return ((struct id_list *)ctx)->lsns[row];
}

static int write_ids(struct part_fixture *f, struct id_list *l, struct manifest_part *out,
                     struct error *err)
{
    struct ids_source rows = {.ctx = l, .row_count = l->row_count, .id = list_id, .lsn = list_lsn};
    struct ids_writer *w;
    int rc = 0;

    if (ids_writer_create(f->alloc, f->dir, &f->owner, &f->segment, &rows, &f->rng, &w, err) != 0)
        return -1;
    while (rc == 0) rc = ids_writer_step(w, out, err);
    ids_writer_destroy(w);
    return rc > 0 ? 0 : -1;
}

static int open_ids(struct part_fixture *f, const struct manifest_part *part, uint64_t row_count,
                    struct ids_file **out, struct error *err)
{
    return ids_file_open(f->alloc, f->dir, &f->owner, &f->segment, part, row_count, out, err);
}

static void assert_all_found(struct ids_file *file, const struct id_list *l)
{
    struct error err = {0};
    for (uint64_t row = 0; row < l->row_count; row++) {
        struct record_id id;
        uint32_t at = 0;
        uint64_t lsn = 0;
        if (ids_file_find(file, &l->ids[row], &at, &err) != 1 || at != row)
            fail_msg("row %llu found in %u: %s", (unsigned long long)row, at, err.text);
        assert_ok(ids_file_id(file, (uint32_t)row, &id, &err), &err);
        assert_true(id_equal(&id, &l->ids[row]));
        assert_ok(ids_file_lsn(file, (uint32_t)row, &lsn, &err), &err);
        assert_int_equal(lsn, l->lsns[row]);
    }
}

static bool is_in(const struct id_list *l, const struct record_id *id)
{
    for (uint64_t row = 0; row < l->row_count; row++)
        if (id_equal(&l->ids[row], id)) return true;
    return false;
}

/* Neighbours of what is there, ends of the range, and the same number in the other kind. */
static void assert_others_not_found(struct ids_file *file, const struct id_list *l)
{
    struct error err = {0};
    for (uint64_t row = 0; row < l->row_count; row += 1 + l->row_count / 100) {
        char text[ID_BYTES + 1];
        struct record_id others[4] = {id_of_number(0), id_of_number(LIMIT_INT_ID), l->ids[row],
                                      l->ids[row]};
        if (l->ids[row].is_text) {
            size_t size = l->ids[row].text.size;
            memcpy(text, l->ids[row].text.data, size);
            text[size - 1] ^= 1;
            others[2] = id_of_text(slice_of(text, size));
            others[3] = id_of_text(slice_of(text, size > 1 ? size - 1 : 1));
        } else {
            others[2].number++;
            snprintf(text, sizeof text, "%llu", (unsigned long long)l->ids[row].number);
            others[3] = id_of_text(slice_of_text(text));
        }
        for (int i = 0; i < 4; i++) {
            uint32_t at = 77;
            if (is_in(l, &others[i])) continue;
            assert_int_equal(ids_file_find(file, &others[i], &at, &err), 0);
        }
    }
}

static void every_id_is_found_and_no_other(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 2, 3, 63, 64, 65, 1000, 20000};
    uint64_t seed = test_seed(1);
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            struct part_fixture f;
            struct id_list l;
            struct error err = {0};
            struct manifest_part part = {0};
            struct ids_file *file = NULL;
            if (shape == LONG_TEXT && counts[i] > 1000) continue;
            part_fixture_init(&f, seed + i);
            make_ids(&l, counts[i], (enum id_shape)shape, &f.rng);
            assert_ok(write_ids(&f, &l, &part, &err), &err);
            assert_ok(open_ids(&f, &part, l.row_count, &file, &err), &err);
            assert_all_found(file, &l);
            assert_others_not_found(file, &l);
            assert_ok(ids_file_verify(file, &err), &err);
            ids_file_close(file);
            free_ids(&l);
            part_fixture_deinit(&f);
        }
    }
}

static void rows_that_break_a_rule_are_not_written(void **state)
{
    (void)state;
    struct part_fixture f;
    struct id_list l;
    struct error err = {0};
    struct manifest_part part;
    part_fixture_init(&f, 1);
    make_ids(&l, 10, MIXED, &f.rng);
    struct record_id kept = l.ids[7];

    l.ids[7] = l.ids[2];
    assert_fails(write_ids(&f, &l, &part, &err), &err, LYNSE_CORRUPT);
    l.ids[7] = l.ids[3]; /* text */
    assert_fails(write_ids(&f, &l, &part, &err), &err, LYNSE_CORRUPT);
    l.ids[7] = id_of_number(UINT64_MAX);
    assert_fails(write_ids(&f, &l, &part, &err), &err, LYNSE_CORRUPT);
    l.ids[7] = id_of_text(slice_of("\xff", 1));
    assert_fails(write_ids(&f, &l, &part, &err), &err, LYNSE_CORRUPT);
    l.ids[7] = kept;
    l.lsns[9] = l.lsns[8] - 1;
    assert_fails(write_ids(&f, &l, &part, &err), &err, LYNSE_CORRUPT);
    l.lsns[9] = l.lsns[8];
    l.row_count = 0;
    assert_fails(write_ids(&f, &l, &part, &err), &err, LYNSE_LIMIT);
    l.row_count = 10;
    assert_int_equal(part_fixture_file_count(&f), 0);
    assert_ok(write_ids(&f, &l, &part, &err), &err);
    free_ids(&l);
    part_fixture_deinit(&f);
}

static void the_filter_turns_most_strangers_away(void **state)
{
    (void)state;
    enum { IDS = 50000, STRANGERS = 100000 };
    uint64_t blocks = bloom_block_count(IDS), passed = 0;
    uint64_t *bloom = (uint64_t *)calloc((size_t)blocks, BLOOM_BLOCK_BYTES);
    assert_non_null(bloom);
    for (uint64_t i = 0; i < IDS + STRANGERS; i++) {
        struct record_id id = id_of_number(i);
        uint64_t hash = id_hash(&id);
        uint64_t *block = bloom + bloom_block_of(hash, blocks) * (BLOOM_BLOCK_BITS / 64);
        if (i < IDS) bloom_add(block, hash);
        else passed += bloom_may_have(block, hash);
    }
    print_message("%.2f of 100 absent ids pass\n", (double)passed * 100 / STRANGERS);
    assert_true(passed < STRANGERS / 50);
    free(bloom);
}

/* ---- Damage ---- */

static bool is_found(struct part_fixture *f, void *ctx, const struct manifest_part *part,
                     bool is_repaired)
{
    const struct id_list *l = (const struct id_list *)ctx;
    struct ids_file *file = NULL;
    struct error err = {0};
    (void)is_repaired;
    int rc = open_ids(f, part, l->row_count, &file, &err);
    for (uint64_t row = 0; rc == 0 && row < l->row_count; row++) {
        struct record_id id;
        uint32_t at = 0;
        uint64_t lsn;
        if (ids_file_find(file, &l->ids[row], &at, NULL) == 1) assert_true(at < l->row_count);
        ids_file_id(file, (uint32_t)row, &id, NULL);
        ids_file_lsn(file, (uint32_t)row, &lsn, NULL);
    }
    if (rc == 0) rc = ids_file_verify(file, &err);
    ids_file_close(file);
    if (rc != 0)
        assert_true(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW ||
                    err.code == LYNSE_UNSUPPORTED);
    return rc != 0;
}

static void no_damage_is_missed_or_fatal(void **state)
{
    (void)state;
    static const enum id_shape shapes[] = {SEQUENTIAL, MIXED};
    for (int i = 0; i < 2; i++) {
        struct part_fixture f;
        struct id_list l;
        struct error err = {0};
        struct manifest_part part;
        part_fixture_init(&f, 1);
        make_ids(&l, 5, shapes[i], &f.rng);
        assert_ok(write_ids(&f, &l, &part, &err), &err);
        part_fixture_flip_every_bit(&f, &part, 0, is_found, &l);
        part_fixture_truncate_everywhere(&f, &part, 0, is_found, &l);
        assert_false(is_found(&f, &l, &part, false));
        free_ids(&l);
        part_fixture_deinit(&f);
    }
}

/* Verify knows what the writer promises: but for LSNs, which have no second witness, no bit of the
 * sections can change unseen, right checksums or not. */
static void verify_needs_no_checksum_to_find_damage(void **state)
{
    (void)state;
    static const enum id_shape shapes[] = {SEQUENTIAL, RANDOM, TEXT, MIXED};
    for (int i = 0; i < 4; i++) {
        struct part_fixture f;
        struct id_list l;
        struct error err = {0};
        struct manifest_part part;
        struct part_file *p;
        char name[PART_NAME_BYTES];
        size_t size;
        part_fixture_init(&f, 1);
        make_ids(&l, 7, shapes[i], &f.rng);
        assert_ok(write_ids(&f, &l, &part, &err), &err);
        assert_ok(part_file_open(f.alloc, f.dir, &f.owner, &f.segment, &part, 0, 7, &p, &err),
                  &err);
        struct part_section lsns = *part_file_section(p, SECTION_ROW_LSNS);
        struct part_section last = *part_file_section(p, SECTION_BLOOM);
        part_file_close(p);
        part_name(name, &f.segment, PART_IDS, 0);
        uint8_t *bytes = part_fixture_read(&f, name, &size);
        uint64_t end = last.offset + last.bytes;
        for (uint64_t at = PART_HEADER_BYTES; at < end; at += test_stride()) {
            if (at >= lsns.offset && at < lsns.offset + lsns.bytes) continue;
            for (int bit = 0; bit < 8; bit++) {
                struct manifest_part repaired = part;
                bytes[at] ^= (uint8_t)(1 << bit);
                assert_true(part_repair(bytes, size, &repaired.hash));
                part_fixture_write(&f, name, bytes, size);
                if (!is_found(&f, &l, &repaired, true))
                    fail_msg("bit %d of byte %llu is missed", bit, (unsigned long long)at);
                bytes[at] ^= (uint8_t)(1 << bit);
            }
        }
        free(bytes);
        free_ids(&l);
        part_fixture_deinit(&f);
    }
}

/* ---- Failure of the world ---- */

static int write_mixed(struct part_fixture *f, struct error *err)
{
    struct id_list l;
    struct manifest_part part;
    make_ids(&l, 500, MIXED, &f->rng);
    int rc = write_ids(f, &l, &part, err);
    free_ids(&l);
    return rc;
}

static void a_failed_write_leaves_no_file(void **state)
{
    (void)state;
    struct part_fixture f;
    part_fixture_init(&f, 1);
    part_fixture_fail_every_operation(&f, write_mixed);
    part_fixture_deinit(&f);
}

static int write_and_verify(void *ctx, struct error *err)
{
    struct part_fixture *f = (struct part_fixture *)ctx;
    struct id_list l;
    struct manifest_part part;
    struct ids_file *file = NULL;
    int rc = -1;
    make_ids(&l, 100, MIXED, &f->rng);
    if (write_ids(f, &l, &part, err) == 0 && open_ids(f, &part, 100, &file, err) == 0)
        rc = ids_file_verify(file, err);
    ids_file_close(file);
    free_ids(&l);
    return rc;
}

static void running_out_of_memory_is_an_error_like_any_other(void **state)
{
    (void)state;
    struct part_fixture f;
    part_fixture_init(&f, 1);
    oom_sweep(f.alloc, write_and_verify, &f);
    part_fixture_deinit(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_id_is_found_and_no_other),
    cmocka_unit_test(rows_that_break_a_rule_are_not_written),
    cmocka_unit_test(the_filter_turns_most_strangers_away),
    cmocka_unit_test(no_damage_is_missed_or_fatal),
    cmocka_unit_test(verify_needs_no_checksum_to_find_damage),
    cmocka_unit_test(a_failed_write_leaves_no_file),
    cmocka_unit_test(running_out_of_memory_is_an_error_like_any_other),
};
TEST_MAIN(tests)
