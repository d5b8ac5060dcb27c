/* SPDX-License-Identifier: Apache-2.0 */
#include "store/manifest.h"

#include <errno.h>

#include "codec/tagged.h"
#include "unit/store/log_fixture.h"

static int set_up(void **state)
{
    struct log_fixture *f = malloc(sizeof *f);
    fixture_init(f);
    *state = f;
    return 0;
}
static int tear_down(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

/* A manifest with everything in it; every pointer is the caller's to leave alone. */
struct sample {
    struct manifest m;
    struct manifest_field fields[2];
    struct manifest_segment segments[2];
    struct applied_request requests[2];
    char description[20];
};

static struct manifest_part part(uint16_t kind, uint16_t field, uint64_t bytes)
{
    return (struct manifest_part){
        .kind = kind, .field = field, .bytes = bytes, .hash = {bytes * 3, bytes * 5}};
}

static void make_sample(struct sample *s, struct alloc *a)
{
    memset(s, 0, sizeof *s);
    s->fields[0] = (struct manifest_field){
        .kind = 1, .storage = 1, .metric = 3, .index_kind = 1, .dim = 768, .name = "default"};
    s->fields[1] = (struct manifest_field){
        .kind = 2,
        .storage = 2,
        .metric = 1,
        .index_kind = 3,
        .name = "title",
        .index = {2, 3, 70000, {16, 0.25, -1e300}, true},
    };
    s->segments[0] = (struct manifest_segment){
        .uuid = {{1}},
        .first_lsn = 1,
        .last_lsn = 10,
        .row_count = 100,
        .map_lsn = 17,
        .del_lsn = 15,
        .part_count = 5,
        .parts = {part(PART_IDS, 0, 10), part(PART_VECTORS, 1, 20), part(PART_DOCUMENTS, 0, 30),
                  part(PART_DELETES, 0, 40), part(PART_INDEX, 1, 60)}};
    s->segments[0].parts[4].index_kind = 3;
    s->segments[1] = (struct manifest_segment){.uuid = {{2}},
                                               .first_lsn = 11,
                                               .last_lsn = 12,
                                               .row_count = 1,
                                               .map_lsn = 14,
                                               .part_count = 1,
                                               .parts = {part(PART_IDS, 0, 50)}};
    memcpy(s->description, "books by title", 15);
    s->requests[0] = (struct applied_request){{{1, 2}, 3, 4, -5}, 13, 2};
    s->requests[1] = (struct applied_request){{{[15] = 9}, 3, 0, 6}, 14, LIMIT_BATCH_ROWS};
    s->m = (struct manifest){
        .alloc = a,
        .epoch = 2,
        .number = 9,
        .flushed_lsn = 14,
        .durable_lsn = 17,
        .wal_first = 3,
        .max_int_id = 500,
        .has_int_id = true,
        .created_us = -5,
        .sync_level = SYNC_INTERVAL,
        .sync_interval_ms = 50,
        .description = s->description,
        .field_count = 2,
        .fields = s->fields,
        .segment_count = 2,
        .segments = s->segments,
        .requests = {s->requests, 2},
    };
}

static void assert_same(const struct manifest *a, const struct manifest *b)
{
    assert_true(a->number == b->number && a->flushed_lsn == b->flushed_lsn);
    assert_true(a->durable_lsn == b->durable_lsn && a->wal_first == b->wal_first);
    assert_true(a->max_int_id == b->max_int_id && a->has_int_id == b->has_int_id);
    assert_true(a->created_us == b->created_us && a->sync_level == b->sync_level);
    assert_int_equal(a->sync_interval_ms, b->sync_interval_ms);
    assert_string_equal(a->description, b->description);
    assert_int_equal(a->field_count, b->field_count);
    assert_memory_equal(a->fields, b->fields, a->field_count * sizeof *a->fields);
    assert_int_equal(a->segment_count, b->segment_count);
    assert_memory_equal(a->segments, b->segments, a->segment_count * sizeof *a->segments);
}

static int encode_and_decode(void *ctx, struct error *err)
{
    struct log_fixture *f = ctx;
    struct sample s;
    struct manifest m, copy;
    struct buf body;
    make_sample(&s, f->alloc);
    manifest_init(&m, f->alloc);
    manifest_init(&copy, f->alloc);
    buf_init(&body, f->alloc, MEM_GENERAL);
    int rc = manifest_encode(&s.m, &body, err);
    if (rc == 0) rc = manifest_decode(&m, buf_slice(&body), err);
    if (rc == 0) rc = manifest_copy(&copy, &m, err);
    if (rc == 0) {
        assert_same(&s.m, &m);
        assert_same(&s.m, &copy);
        assert_int_equal(m.requests.count, 2);
        assert_memory_equal(m.requests.list, s.requests, sizeof s.requests);
        assert_int_equal(copy.requests.count, 0); /* the window has them */
    }
    manifest_deinit(&m);
    manifest_deinit(&copy);
    buf_deinit(&body);
    return rc;
}

static void what_is_encoded_is_decoded_and_copied(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};
    assert_ok(encode_and_decode(f, &err), &err);
    oom_sweep(f->alloc, encode_and_decode, f);
}

static void replay_begins_after_the_least_complete_map(void **state)
{
    struct log_fixture *f = *state;
    struct sample s;
    make_sample(&s, f->alloc);
    assert_int_equal(manifest_replay_from(&s.m), 14);
    s.segments[1].map_lsn = 12;
    assert_int_equal(manifest_replay_from(&s.m), 12);
    s.m.segment_count = 0;
    assert_int_equal(manifest_replay_from(&s.m), 14);
}

static void names_of_parts_are_those_of_the_format(void **state)
{
    char name[PART_NAME_BYTES];
    struct uuid u = {{0xab, 1}};
    (void)state;
    part_name(name, &u, PART_IDS, 0);
    assert_string_equal(name, "seg-ab010000000000000000000000000000.ids");
    part_name(name, &u, PART_VECTORS, 3);
    assert_string_equal(name, "seg-ab010000000000000000000000000000.vec-3");
    part_name(name, &u, PART_DOCUMENTS, 0);
    assert_string_equal(name, "seg-ab010000000000000000000000000000.doc");
    part_name(name, &u, PART_DELETES, UINT64_MAX);
    assert_string_equal(name, "seg-ab010000000000000000000000000000.del-18446744073709551615");
}

/* Each breaks one rule. */
#define RULES(_)                                                                                   \
    _(no_number, s->m.number = 0)                                                                  \
    _(number_beyond_a_lock, s->m.number = 1ull << 31)                                              \
    _(flushed_above_durable, s->m.flushed_lsn = 18)                                                \
    _(impossible_lsn, s->m.durable_lsn = UINT64_MAX)                                               \
    _(impossible_log, s->m.wal_first = UINT64_MAX)                                                 \
    _(no_sync_level, s->m.sync_level = 0)                                                          \
    _(unknown_sync_level, s->m.sync_level = 5)                                                     \
    _(an_id_from_nowhere, s->m.has_int_id = false)                                                 \
    _(no_fields, s->m.field_count = 0)                                                             \
    _(unknown_kind, s->fields[1].kind = 3)                                                         \
    _(chosen_by_itself_and_none, s->fields[0].index_kind = !(s->fields[0].index.is_auto = true))   \
    _(unknown_storage, s->fields[1].storage = 7)                                                   \
    _(huge_dimension, s->fields[0].dim = LIMIT_DIM + 1)                                            \
    _(nameless_field, s->fields[1].name[0] = '\0')                                                 \
    _(two_fields_of_one_name, memcpy(s->fields[1].name, "default", 8))                             \
    _(no_rows, s->segments[0].row_count = 0)                                                       \
    _(too_many_rows, s->segments[0].row_count = 1ull << 32)                                        \
    _(lsn_zero, s->segments[0].first_lsn = 0)                                                      \
    _(lsns_backwards, s->segments[0].first_lsn = 11)                                               \
    _(segments_overlap, s->segments[1].first_lsn = 10)                                             \
    _(beyond_flushed, s->m.flushed_lsn = 11)                                                       \
    _(map_before_rows, s->segments[1].map_lsn = 11)                                                \
    _(map_beyond_durable, s->segments[0].map_lsn = 18)                                             \
    _(map_named_too_late, s->segments[0].del_lsn = 18)                                             \
    _(one_segment_twice, s->segments[1].uuid = s->segments[0].uuid)                                \
    _(segment_without_ids, s->segments[1].parts[0].kind = PART_DOCUMENTS)                          \
    _(part_of_unknown_kind, s->segments[0].parts[2].kind = 5)                                      \
    _(part_of_no_field, s->segments[0].parts[1].field = 2)                                         \
    _(ids_of_a_field, s->segments[0].parts[0].field = 1)                                           \
    _(two_parts_of_one_kind, s->segments[0].parts[2] = s->segments[0].parts[1])                    \
    _(map_without_file, s->segments[0].part_count = 3)                                             \
    _(file_without_map, s->segments[0].del_lsn = 0)                                                \
    _(request_without_id, s->requests[0].stamp.id[0] = s->requests[0].stamp.id[1] = 0)             \
    _(request_of_no_group, s->requests[0].lsn = 0)                                                 \
    _(two_requests_of_a_group, s->requests[0].lsn = 14)                                            \
    _(request_beyond_flushed, s->requests[1].lsn = 15)                                             \
    _(request_of_no_rows, s->requests[1].row_count = 0)                                            \
    _(request_of_too_many_rows, s->requests[1].row_count++)                                        \
    _(too_many_requests, s->m.requests.count = LIMIT_REQUESTS + 1)

#define RULE_FUNCTION(name, change)                                                                \
    static void name(struct sample *s)                                                             \
    {                                                                                              \
        change;                                                                                    \
    }
RULES(RULE_FUNCTION)
static const struct {
    const char *name;
    void (*change)(struct sample *s);
} rules[] = {
#define RULE_ENTRY(name, change) {#name, name},
    RULES(RULE_ENTRY)};

static void what_breaks_a_rule_is_not_written(void **state)
{
    struct log_fixture *f = *state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct sample s;
        struct error err = {0};
        bool renamed = true;
        make_sample(&s, f->alloc);
        rules[i].change(&s);
        print_message("%s\n", rules[i].name);
        assert_fails(manifest_publish(&s.m, f->dir, &f->owner, &f->rng, &renamed, &err), &err,
                     LYNSE_INTERNAL);
        assert_false(renamed);
        assert_string_equal(f->ops, "");
    }
}

/* Every bit of the body, with no checksum before it: refused, or it keeps the rules. */
static void hostile_bodies_are_refused_or_keep_the_rules(void **state)
{
    struct log_fixture *f = *state;
    struct sample s;
    struct buf body, again;
    size_t refused = 0, bits;
    make_sample(&s, f->alloc);
    buf_init(&body, f->alloc, MEM_GENERAL);
    buf_init(&again, f->alloc, MEM_GENERAL);
    assert_int_equal(manifest_encode(&s.m, &body, NULL), 0);
    bits = body.size * 8;
    for (size_t bit = 0; bit < bits; bit++) {
        struct manifest m;
        struct error err = {0};
        body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        manifest_init(&m, f->alloc);
        if (manifest_decode(&m, buf_slice(&body), &err) == 0) {
            buf_reset(&again);
            assert_ok(manifest_encode(&m, &again, &err), &err);
        } else {
            assert_true(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW);
            refused++;
        }
        manifest_deinit(&m);
        body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(refused > bits / 3);
    for (size_t size = 0; size < body.size; size++) {
        struct manifest m;
        manifest_init(&m, f->alloc);
        if (manifest_decode(&m, slice_of(body.data, size), NULL) == 0) {
            assert_true(m.segment_count < 2 || m.requests.count == 0); /* cut between fields */
            manifest_deinit(&m);
        }
    }
    buf_deinit(&body);
    buf_deinit(&again);
}

static void unknown_fields_are_skipped_unless_required(void **state)
{
    struct log_fixture *f = *state;
    struct sample s;
    struct buf body;
    struct error err = {0};
    make_sample(&s, f->alloc);
    for (unsigned required = 0; required < 2; required++) {
        struct manifest m;
        manifest_init(&m, f->alloc);
        buf_init(&body, f->alloc, MEM_GENERAL);
        size_t begin = tagged_begin(&body, 77, (uint16_t)required, 1);
        buf_append(&body, "new", 3);
        tagged_end(&body, begin);
        assert_int_equal(manifest_encode(&s.m, &body, NULL), 0);
        int rc = manifest_decode(&m, buf_slice(&body), &err);
        if (required) assert_fails(rc, &err, LYNSE_FORMAT_TOO_NEW);
        else assert_ok(rc, &err);
        manifest_deinit(&m);
        buf_deinit(&body);
    }
}

static void state_and_options_stand_once(void **state)
{
    struct log_fixture *f = *state;
    struct sample s;
    struct buf body;
    struct manifest m;
    struct error err = {0};
    make_sample(&s, f->alloc);
    manifest_init(&m, f->alloc);
    buf_init(&body, f->alloc, MEM_GENERAL);
    assert_fails(manifest_decode(&m, buf_slice(&body), &err), &err, LYNSE_CORRUPT);
    assert_int_equal(manifest_encode(&s.m, &body, NULL), 0);
    size_t state_bytes = tagged_bytes(56);
    assert_fails(
        manifest_decode(&m, slice_of(body.data + state_bytes, body.size - state_bytes), &err), &err,
        LYNSE_CORRUPT);
    buf_reserve(&body, state_bytes);
    buf_append(&body, body.data, state_bytes);
    assert_fails(manifest_decode(&m, buf_slice(&body), &err), &err, LYNSE_CORRUPT);
    buf_deinit(&body);
}

/* ---- files ---- */

static void make_parts(struct log_fixture *f, const struct manifest *m)
{
    static const uint8_t zeros[64];
    char name[PART_NAME_BYTES];
    for (uint32_t i = 0; i < m->segment_count; i++) {
        const struct manifest_segment *s = &m->segments[i];
        for (uint32_t j = 0; j < s->part_count; j++) {
            part_name(name, &s->uuid, (enum part_kind)s->parts[j].kind,
                      manifest_part_number(s, &s->parts[j]));
            replace_bytes(f, name, zeros, (size_t)s->parts[j].bytes);
        }
    }
}

static int try_load(struct log_fixture *f, struct manifest *m, struct error *err)
{
    struct twin_info info;
    manifest_init(m, f->alloc);
    return manifest_load(m, f->dir, &f->owner, &info, err);
}

static void the_highest_epoch_rules(void **state)
{
    struct log_fixture *f = *state;
    struct sample s;
    struct manifest m;
    struct error err = {0};
    bool renamed;
    make_sample(&s, f->alloc);
    make_parts(f, &s.m);
    assert_ok(manifest_publish(&s.m, f->dir, &f->owner, &f->rng, &renamed, &err), &err);
    assert_ok(try_load(f, &m, &err), &err);
    assert_int_equal(m.epoch, 2);
    assert_same(&m, &s.m);
    manifest_deinit(&m);
}

static void a_manifest_is_synced_before_its_name_and_the_name_before_success(void **state)
{
    struct log_fixture *f = *state;
    fixture_manifest(f, 2, 0, 0, 1);
    assert_string_equal(f->ops, "create:tmp- write:0+8192 sync rename:tmp->manifest-2 dirsync ");
}

/* Flat, of which nothing is built, has an index of codes where there is a quantizer. */
static void a_flat_index_with_a_quantizer_is_kept(void **state)
{
    struct log_fixture *f = *state;
    struct sample s;
    struct manifest m;
    struct error err = {0};
    bool renamed;
    make_sample(&s, f->alloc);
    s.fields[1].index_kind = 1;
    s.segments[0].parts[4].index_kind = 1;
    make_parts(f, &s.m);
    assert_ok(manifest_publish(&s.m, f->dir, &f->owner, &f->rng, &renamed, &err), &err);
    assert_ok(try_load(f, &m, &err), &err);
    assert_same(&m, &s.m);
    manifest_deinit(&m);
}

static void there_is_no_falling_back_to_an_older_epoch(void **state)
{
    struct log_fixture *f = *state;
    struct manifest m;
    struct error err = {0};
    fixture_manifest(f, 2, 0, 0, 1);
    flip_bit(f, "manifest-2", 130, 0);
    flip_bit(f, "manifest-2", TWIN_ALIGN + 130, 0);
    assert_fails(try_load(f, &m, &err), &err, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, "manifest-2"));
    replace_bytes(f, "manifest-3", "", 0);
    assert_fails(try_load(f, &m, &err), &err, LYNSE_CORRUPT);
    assert_int_equal(vfs_unlink(f->dir, "manifest-1", NULL), 0);
    assert_int_equal(vfs_unlink(f->dir, "manifest-2", NULL), 0);
    assert_int_equal(vfs_unlink(f->dir, "manifest-3", NULL), 0);
    assert_fails(try_load(f, &m, &err), &err, LYNSE_NOT_FOUND);
}

static void each_file_that_is_named_must_be_there_in_full(void **state)
{
    struct log_fixture *f = *state;
    struct sample s;
    struct manifest m;
    struct error err = {0};
    bool renamed;
    char name[PART_NAME_BYTES];
    make_sample(&s, f->alloc);
    assert_ok(manifest_publish(&s.m, f->dir, &f->owner, &f->rng, &renamed, &err), &err);
    for (uint32_t j = 0; j < 4; j++) {
        const struct manifest_segment *seg = &s.segments[0];
        make_parts(f, &s.m);
        part_name(name, &seg->uuid, (enum part_kind)seg->parts[j].kind,
                  manifest_part_number(seg, &seg->parts[j]));
        assert_int_equal(vfs_unlink(f->dir, name, NULL), 0);
        assert_fails(try_load(f, &m, &err), &err, LYNSE_CORRUPT);
        assert_non_null(strstr(err.text, "missing"));
        replace_bytes(f, name, "", 0);
        assert_fails(try_load(f, &m, &err), &err, LYNSE_CORRUPT);
        assert_non_null(strstr(err.text, "0 bytes"));
    }
}

static void an_index_without_its_file_is_forgotten(void **state)
{
    struct log_fixture *f = *state;
    struct sample s;
    struct manifest m;
    struct error err = {0};
    bool renamed;
    char name[PART_NAME_BYTES];
    make_sample(&s, f->alloc);
    assert_ok(manifest_publish(&s.m, f->dir, &f->owner, &f->rng, &renamed, &err), &err);
    const struct manifest_segment *seg = &s.segments[0];
    part_name(name, &seg->uuid, PART_INDEX, manifest_part_number(seg, &seg->parts[4]));
    for (int is_short = 0; is_short < 2; is_short++) {
        make_parts(f, &s.m);
        if (is_short) replace_bytes(f, name, "", 0);
        else assert_int_equal(vfs_unlink(f->dir, name, NULL), 0);
        assert_ok(try_load(f, &m, &err), &err);
        assert_int_equal(m.segments[0].part_count, 4);
        assert_null(manifest_find_index(&m.segments[0], 1));
        assert_int_equal(m.fields[1].index_kind, 3); /* it is still asked for */
        manifest_deinit(&m);
    }
}

static void failing_reads_are_no_damage(void **state)
{
    struct log_fixture *f = *state;
    struct sample s;
    bool renamed;
    make_sample(&s, f->alloc);
    make_parts(f, &s.m);
    assert_int_equal(manifest_publish(&s.m, f->dir, &f->owner, &f->rng, &renamed, NULL), 0);
    for (uint64_t n = 1;; n++) {
        struct manifest m;
        struct error err = {0};
        arm(f, FAULTY_ALL & ~(unsigned)FAULTY_CLOSE, EIO, FAULTY_ONCE, n, false);
        int rc = try_load(f, &m, &err);
        bool fired = vfs_faulty_fired(f->faulty) > 0;
        vfs_faulty_disarm(f->faulty);
        manifest_deinit(&m);
        if (!fired) break;
        assert_fails(rc, &err, LYNSE_IO);
    }
}

static int load_once(void *ctx, struct error *err)
{
    struct manifest m;
    int rc = try_load(ctx, &m, err);
    manifest_deinit(&m);
    return rc;
}

static void memory_may_run_out_while_loading(void **state)
{
    struct log_fixture *f = *state;
    struct sample s;
    bool renamed;
    make_sample(&s, f->alloc);
    make_parts(f, &s.m);
    assert_int_equal(manifest_publish(&s.m, f->dir, &f->owner, &f->rng, &renamed, NULL), 0);
    oom_sweep(f->alloc, load_once, f);
}

/* As the table of lynse.h has them. */
static void levels_are_told_apart_by_what_they_promise(void **state)
{
    (void)state;
    const unsigned levels[] = {SYNC_ALWAYS, SYNC_INTERVAL, SYNC_OS, SYNC_NONE}; /* ever less */
    size_t count = sizeof levels / sizeof *levels;
    assert_int_equal(count, SYNC_LEVEL_MAX);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++)
            assert_int_equal(sync_level_is_weaker(levels[i], levels[j]), i > j);
        assert_int_equal(sync_level_is_for_writes(levels[i]), levels[i] != SYNC_NONE);
    }
    assert_false(sync_level_is_for_writes(0));
    assert_false(sync_level_is_for_writes(SYNC_LEVEL_MAX + 1));
    assert_false(sync_level_is_for_writes(256 + SYNC_ALWAYS));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(what_is_encoded_is_decoded_and_copied),
    CASE(levels_are_told_apart_by_what_they_promise),
    CASE(replay_begins_after_the_least_complete_map),
    CASE(names_of_parts_are_those_of_the_format),
    CASE(what_breaks_a_rule_is_not_written),
    CASE(hostile_bodies_are_refused_or_keep_the_rules),
    CASE(unknown_fields_are_skipped_unless_required),
    CASE(state_and_options_stand_once),
    CASE(the_highest_epoch_rules),
    CASE(a_flat_index_with_a_quantizer_is_kept),
    CASE(a_manifest_is_synced_before_its_name_and_the_name_before_success),
    CASE(there_is_no_falling_back_to_an_older_epoch),
    CASE(each_file_that_is_named_must_be_there_in_full),
    CASE(an_index_without_its_file_is_forgotten),
    CASE(failing_reads_are_no_damage),
    CASE(memory_may_run_out_while_loading),
};
TEST_MAIN(tests)
