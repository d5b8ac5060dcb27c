/* SPDX-License-Identifier: Apache-2.0 */
/* The container of segment parts: what goes in comes out, and nothing else ever does. */
#include "base/thread.h"
#include "unit/store/part_fixture.h"

enum { ROWS = 7, NUMBER = 3, SECTIONS = 3 };

static const struct {
    enum section_kind kind;
    uint32_t element_bytes;
    uint64_t number;
} section_kinds[SECTIONS] = {
    {SECTION_VECTORS, 4, 900}, {SECTION_TEXT, 0, 0}, {SECTION_PAGES, 8, UINT64_MAX}};

static uint8_t byte_at(int section, uint64_t i)
{
    return (uint8_t)hash_u64(i / 8 * 16 + i % 8 * 3 + (uint64_t)section);
}

/* Sections of these sizes, written in pieces of random size. */
static int write_part(struct part_fixture *f, const uint64_t sizes[SECTIONS],
                      struct manifest_part *out_part, struct error *err)
{
    struct part_writer *w = NULL;
    uint8_t piece[5000];
    int rc = -1;
    if (part_writer_create(f->alloc, f->dir, &f->owner, &f->segment, PART_VECTORS, NUMBER, ROWS,
                           &f->rng, &w, err) != 0)
        return -1;
    for (int s = 0; s < SECTIONS; s++) {
        if (part_writer_begin(w, section_kinds[s].kind, section_kinds[s].element_bytes,
                              section_kinds[s].number, err) != 0)
            goto out;
        for (uint64_t at = 0; at < sizes[s];) {
            size_t count = (size_t)rng_below(&f->rng, sizeof piece) + 1;
            if (count > sizes[s] - at) count = (size_t)(sizes[s] - at);
            for (size_t i = 0; i < count; i++) piece[i] = byte_at(s, at + i);
            if (part_writer_write(w, piece, count, err) != 0) goto out;
            at += count;
        }
        if (part_writer_end(w, err) != 0) goto out;
    }
    rc = part_writer_finish(w, NUMBER, out_part, err);
out:
    part_writer_destroy(w);
    return rc;
}

static int open_part(struct part_fixture *f, const struct manifest_part *part,
                     struct part_file **out, struct error *err)
{
    return part_file_open(f->alloc, f->dir, &f->owner, &f->segment, part, NUMBER, ROWS, out, err);
}

static void assert_sections(struct part_file *p, const uint64_t sizes[SECTIONS])
{
    for (int s = 0; s < SECTIONS; s++) {
        const struct part_section *section = part_file_section(p, section_kinds[s].kind);
        const void *bytes = NULL;
        struct error err = {0};
        assert_non_null(section);
        assert_int_equal(section->bytes, sizes[s]);
        assert_int_equal(section->element_bytes, section_kinds[s].element_bytes);
        assert_int_equal(section->number, section_kinds[s].number);
        assert_ok(part_file_borrow(p, section, 0, sizes[s], &bytes, &err), &err);
        assert_int_equal((uintptr_t)bytes % PART_ALIGN, 0);
        assert_int_equal(section->offset % part_section_align(section->kind), 0);
        for (uint64_t i = 0; i < sizes[s]; i++)
            if (((const uint8_t *)bytes)[i] != byte_at(s, i)) fail_msg("byte %d", (int)i);
    }
    assert_null(part_file_section(p, SECTION_DEAD));
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    enum { K = CHECKSUM_BLOCK_BYTES };
    static const uint64_t cases[][SECTIONS] = {
        {0, 0, 0},       {4, 1, 8},         {64, 64, 64},      {100, 63, 16}, {K, 1, 0},
        {K - 64, 64, K}, {4, 4 * K + 1, 8}, {K * 3, 0, K * 2}, {K - 4, K, 8}, {3 * K + 36, 5, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct part_fixture f;
        struct error err = {0};
        struct manifest_part part = {0};
        struct part_file *p = NULL;
        part_fixture_init(&f, i + 1);
        assert_ok(write_part(&f, cases[i], &part, &err), &err);
        assert_int_equal(part.kind, PART_VECTORS);
        assert_int_equal(part.field, NUMBER);
        assert_int_equal(part_fixture_file_count(&f), 1);
        assert_ok(open_part(&f, &part, &p, &err), &err);
        assert_sections(p, cases[i]);
        assert_ok(part_file_verify(p, &err), &err);
        assert_int_equal(strncmp(part_file_name(p), "seg-", 4), 0);
        assert_non_null(strstr(part_file_name(p), ".vec-3"));
        part_file_close(p);
        part_fixture_deinit(&f);
    }
}

static void ranges_outside_of_a_section_are_refused(void **state)
{
    (void)state;
    struct part_fixture f;
    struct error err = {0};
    struct manifest_part part;
    struct part_file *p;
    const void *bytes = NULL;
    const uint64_t sizes[SECTIONS] = {100, 10, 8};
    part_fixture_init(&f, 1);
    assert_ok(write_part(&f, sizes, &part, &err), &err);
    assert_ok(open_part(&f, &part, &p, &err), &err);
    const struct part_section *s = part_file_section(p, SECTION_VECTORS);
    assert_ok(part_file_borrow(p, s, 100, 0, &bytes, &err), &err);
    assert_ok(part_file_borrow(p, s, 99, 1, &bytes, &err), &err);
    assert_fails(part_file_borrow(p, s, 99, 2, &bytes, &err), &err, LYNSE_CORRUPT);
    assert_fails(part_file_borrow(p, s, 101, 0, &bytes, &err), &err, LYNSE_CORRUPT);
    assert_fails(part_file_borrow(p, s, 0, 101, &bytes, &err), &err, LYNSE_CORRUPT);
    assert_fails(part_file_borrow(p, s, UINT64_MAX, 2, &bytes, &err), &err, LYNSE_CORRUPT);
    assert_fails(part_file_borrow(p, s, 2, UINT64_MAX, &bytes, &err), &err, LYNSE_CORRUPT);
    part_file_close(p);
    part_fixture_deinit(&f);
}

/* ---- Damage ---- */

static bool is_found(struct part_fixture *f, void *ctx, const struct manifest_part *part,
                     bool is_repaired)
{
    struct part_file *p = NULL;
    struct error err = {0};
    (void)ctx, (void)is_repaired;
    int rc = open_part(f, part, &p, &err);
    if (rc == 0) {
        rc = part_file_verify(p, &err);
        for (int s = 0; s < SECTIONS; s++) {
            const struct part_section *section = part_file_section(p, section_kinds[s].kind);
            const void *bytes;
            if (section) part_file_borrow(p, section, 0, section->bytes, &bytes, NULL);
        }
    }
    part_file_close(p);
    if (rc != 0 &&
        err.code != LYNSE_CORRUPT) /* or another version of the format, if one flips that */
        assert_true(err.code == LYNSE_FORMAT_TOO_NEW || err.code == LYNSE_UNSUPPORTED);
    return rc != 0;
}

static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    struct part_fixture f;
    struct error err = {0};
    struct manifest_part part;
    const uint64_t sizes[SECTIONS] = {100, 3, 48};
    part_fixture_init(&f, 1);
    assert_ok(write_part(&f, sizes, &part, &err), &err);
    part_fixture_flip_every_bit(&f, &part, NUMBER, is_found, NULL);
    assert_false(is_found(&f, NULL, &part, false));
    part_fixture_deinit(&f);
}

static void every_truncation_is_found(void **state)
{
    (void)state;
    struct part_fixture f;
    struct error err = {0};
    struct manifest_part part;
    const uint64_t sizes[SECTIONS] = {100, 3, 48};
    part_fixture_init(&f, 1);
    assert_ok(write_part(&f, sizes, &part, &err), &err);
    part_fixture_truncate_everywhere(&f, &part, NUMBER, is_found, NULL);
    part_fixture_deinit(&f);
}

static void a_damaged_block_is_named_and_the_others_are_read(void **state)
{
    (void)state;
    struct part_fixture f;
    struct error err = {0};
    struct manifest_part part;
    struct part_file *p;
    const uint64_t sizes[SECTIONS] = {5 * CHECKSUM_BLOCK_BYTES, 3, 48};
    char name[PART_NAME_BYTES];
    const void *bytes = NULL;
    size_t size;
    part_fixture_init(&f, 1);
    assert_ok(write_part(&f, sizes, &part, &err), &err);
    part_name(name, &f.segment, PART_VECTORS, NUMBER);
    uint8_t *file = part_fixture_read(&f, name, &size);
    file[PART_HEADER_BYTES + 3 * CHECKSUM_BLOCK_BYTES + 17] ^= 4;
    part_fixture_write(&f, name, file, size);
    free(file);

    assert_ok(open_part(&f, &part, &p, &err), &err);
    const struct part_section *s = part_file_section(p, SECTION_VECTORS);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 5; i++) {
            int rc = part_file_borrow(p, s, i * CHECKSUM_BLOCK_BYTES + 5, 8, &bytes, &err);
            if (i != 3) {
                assert_ok(rc, &err);
                continue;
            }
            assert_fails(rc, &err, LYNSE_CORRUPT);
            assert_non_null(strstr(err.text, name));
            assert_non_null(strstr(err.text, "block 3,"));
        }
    }
    assert_fails(part_file_borrow(p, s, 0, s->bytes, &bytes, &err), &err, LYNSE_CORRUPT);
    assert_fails(part_file_verify(p, &err), &err, LYNSE_CORRUPT);
    part_file_close(p);
    part_fixture_deinit(&f);
}

static void a_part_that_is_not_the_one_is_refused(void **state)
{
    (void)state;
    struct part_fixture f;
    struct error err = {0};
    struct manifest_part part, other;
    struct part_file *p = NULL;
    const uint64_t sizes[SECTIONS] = {4, 1, 8};
    part_fixture_init(&f, 1);
    assert_ok(write_part(&f, sizes, &part, &err), &err);
    char name[PART_NAME_BYTES], wrong[PART_NAME_BYTES];
    part_name(name, &f.segment, PART_VECTORS, NUMBER);

    assert_fails(
        part_file_open(f.alloc, f.dir, &f.owner, &f.segment, &part, NUMBER, ROWS + 1, &p, &err),
        &err, LYNSE_CORRUPT);
    assert_fails(
        part_file_open(f.alloc, f.dir, &f.owner, &f.segment, &part, NUMBER + 1, ROWS, &p, &err),
        &err, LYNSE_NOT_FOUND);
    other = part;
    other.hash.high ^= 1;
    assert_fails(open_part(&f, &other, &p, &err), &err, LYNSE_CORRUPT);
    other = part;
    other.field = NUMBER + 1;
    assert_fails(open_part(&f, &other, &p, &err), &err, LYNSE_CORRUPT);
    other = part;
    other.bytes++;
    assert_fails(open_part(&f, &other, &p, &err), &err, LYNSE_CORRUPT);
    struct file_owner owner = f.owner;
    owner.collection.bytes[3] ^= 1;
    assert_fails(part_file_open(f.alloc, f.dir, &owner, &f.segment, &part, NUMBER, ROWS, &p, &err),
                 &err, LYNSE_CORRUPT);

    struct uuid segment = uuid_make(&f.rng);
    part_name(wrong, &segment, PART_VECTORS, NUMBER);
    assert_ok(vfs_rename(f.dir, name, wrong, &err), &err);
    assert_fails(part_file_open(f.alloc, f.dir, &f.owner, &segment, &part, NUMBER, ROWS, &p, &err),
                 &err, LYNSE_CORRUPT);
    other = part;
    other.kind = PART_DOCUMENTS;
    part_name(name, &f.segment, PART_DOCUMENTS, 0);
    assert_ok(vfs_rename(f.dir, wrong, name, &err), &err);
    assert_fails(open_part(&f, &other, &p, &err), &err, LYNSE_CORRUPT);
    part_fixture_deinit(&f);
}

/* A directory that lies, under checksums that are right. */
static void lies_under_right_checksums_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t from_end; /* of the field, counted from the footer's begin if below 0x1000 */
        uint64_t value;
        size_t bytes;
        bool is_footer;
    } lies[] = {
        {PART_SECTION_AT_OFFSET, 64, 8, false},
        {PART_SECTION_AT_OFFSET, 192, 8, false},
        {PART_SECTION_AT_OFFSET, UINT64_MAX - 63, 8, false},
        {PART_SECTION_AT_BYTES, UINT64_MAX, 8, false},
        {PART_SECTION_AT_BYTES, UINT64_MAX - 127, 8, false},
        {PART_SECTION_AT_BYTES, 101, 8, false},
        {PART_SECTION_AT_BYTES, 0, 8, false},
        {PART_SECTION_AT_KIND, SECTION_TEXT, 4, false},
        {PART_SECTION_AT_ELEMENT_BYTES, 7, 4, false},
        {PART_END_AT_SECTION_COUNT, 0, 4, true},
        {PART_END_AT_SECTION_COUNT, 2, 4, true},
        {PART_END_AT_SECTION_COUNT, 4, 4, true},
        {PART_END_AT_SECTION_COUNT, UINT32_MAX, 4, true},
        {PART_END_AT_RESERVED, 1, 4, true},
        {PART_END_AT_RESERVED_2, 1, 8, true},
        {PART_END_AT_RESERVED_2 + 8, 1, 8, true},
        {PART_END_AT_END, 128, 8, true},
        {PART_END_AT_END, 127, 8, true},
        {PART_END_AT_END, 0, 8, true},
        {PART_END_AT_END, UINT64_MAX, 8, true},
        {PART_END_AT_END, UINT64_MAX - 63, 8, true},
        {PART_END_AT_FILE_BYTES, 1, 8, true},
    };
    struct part_fixture f;
    struct error err = {0};
    struct manifest_part part;
    char name[PART_NAME_BYTES];
    const uint64_t sizes[SECTIONS] = {100, 3, 48};
    size_t size;
    part_fixture_init(&f, 1);
    assert_ok(write_part(&f, sizes, &part, &err), &err);
    part_name(name, &f.segment, PART_VECTORS, NUMBER);
    uint8_t *good = part_fixture_read(&f, name, &size);
    uint8_t *bad = (uint8_t *)malloc(size);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct manifest_part lied = part;
        struct part_file *p = NULL;
        size_t footer = size - PART_FOOTER_BYTES;
        size_t at = (lies[i].is_footer ? footer : footer - SECTIONS * PART_SECTION_BYTES) +
                    lies[i].from_end;
        memcpy(bad, good, size);
        memcpy(bad + at, &lies[i].value, lies[i].bytes);
        part_repair(bad, size, &lied.hash);
        part_fixture_write(&f, name, bad, size);
        if (open_part(&f, &lied, &p, &err) == 0) fail_msg("lie %zu is believed", i);
        assert_int_equal(err.code, LYNSE_CORRUPT);
    }
    free(bad);
    free(good);
    part_fixture_deinit(&f);
}

/* ---- Failure of the world ---- */

static void an_unfinished_part_leaves_no_file(void **state)
{
    (void)state;
    struct part_fixture f;
    struct error err = {0};
    struct part_writer *w;
    part_fixture_init(&f, 1);
    assert_ok(part_writer_create(f.alloc, f.dir, &f.owner, &f.segment, PART_IDS, 0, ROWS, &f.rng,
                                 &w, &err),
              &err);
    assert_ok(part_writer_begin(w, SECTION_TEXT, 0, 0, &err), &err);
    assert_ok(part_writer_write(w, "abc", 3, &err), &err);
    assert_int_equal(part_fixture_file_count(&f), 1);
    part_writer_destroy(w);
    part_writer_destroy(NULL);
    assert_int_equal(part_fixture_file_count(&f), 0);
    part_fixture_deinit(&f);
}

static int write_some(struct part_fixture *f, struct error *err)
{
    const uint64_t sizes[SECTIONS] = {3 * CHECKSUM_BLOCK_BYTES + 100, 7, 48};
    struct manifest_part part;
    return write_part(f, sizes, &part, err);
}

static void a_failed_write_leaves_no_file(void **state)
{
    (void)state;
    struct part_fixture f;
    part_fixture_init(&f, 1);
    part_fixture_fail_every_operation(&f, write_some);
    part_fixture_deinit(&f);
}

static int write_and_read(void *ctx, struct error *err)
{
    struct part_fixture *f = (struct part_fixture *)ctx;
    const uint64_t sizes[SECTIONS] = {3 * CHECKSUM_BLOCK_BYTES, 7, 48};
    struct manifest_part part;
    struct part_file *p = NULL;
    if (write_part(f, sizes, &part, err) != 0) return -1;
    if (open_part(f, &part, &p, err) != 0) return -1;
    assert_sections(p, sizes);
    part_file_close(p);
    return 0;
}

static void running_out_of_memory_is_an_error_like_any_other(void **state)
{
    (void)state;
    struct part_fixture f;
    part_fixture_init(&f, 1);
    oom_sweep(f.alloc, write_and_read, &f);
    part_fixture_deinit(&f);
}

struct reader_thread {
    struct thread thread;
    struct part_file *part;
    const uint64_t *sizes;
};

static void read_all(void *ctx)
{
    struct reader_thread *r = (struct reader_thread *)ctx;
    assert_sections(r->part, r->sizes);
}

static void threads_may_read_at_once(void **state)
{
    (void)state;
    struct part_fixture f;
    struct error err = {0};
    struct manifest_part part;
    struct part_file *p;
    const uint64_t sizes[SECTIONS] = {20 * CHECKSUM_BLOCK_BYTES, 7, 48};
    struct reader_thread readers[4] = {0};
    part_fixture_init(&f, 1);
    assert_ok(write_part(&f, sizes, &part, &err), &err);
    assert_ok(open_part(&f, &part, &p, &err), &err);
    for (int i = 0; i < 4; i++) {
        readers[i].part = p;
        readers[i].sizes = sizes;
        assert_ok(thread_start(&readers[i].thread, "reader", read_all, &readers[i], &err), &err);
    }
    for (int i = 0; i < 4; i++) thread_join(&readers[i].thread);
    part_file_close(p);
    part_fixture_deinit(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_was_written_is_read),
    cmocka_unit_test(ranges_outside_of_a_section_are_refused),
    cmocka_unit_test(every_flipped_bit_is_found),
    cmocka_unit_test(every_truncation_is_found),
    cmocka_unit_test(a_damaged_block_is_named_and_the_others_are_read),
    cmocka_unit_test(a_part_that_is_not_the_one_is_refused),
    cmocka_unit_test(lies_under_right_checksums_are_refused),
    cmocka_unit_test(an_unfinished_part_leaves_no_file),
    cmocka_unit_test(a_failed_write_leaves_no_file),
    cmocka_unit_test(running_out_of_memory_is_an_error_like_any_other),
    cmocka_unit_test(threads_may_read_at_once),
};
TEST_MAIN(tests)
