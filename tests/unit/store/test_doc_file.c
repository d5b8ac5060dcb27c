/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of a sealed segment, and the cache that keeps decoded blocks. */
#include "base/thread.h"
#include "codec/msgpack.h"
#include "store/doc_file.h"
#include "store/doc_layout.h"
#include "unit/store/part_fixture.h"

/* The document of a row: a map of one text, of about `size` bytes; 0: empty. */
struct doc_list {
    uint32_t row_count;
    size_t *sizes;
    uint64_t seed;
};

static void build_document(const struct doc_list *l, uint32_t row, struct buf *out)
{
    buf_reset(out);
    if (l->sizes[row] == 0) return;
    uint8_t *text = (uint8_t *)malloc(l->sizes[row]);
    assert_non_null(text);
    for (size_t i = 0; i < l->sizes[row]; i++)
        text[i] = (uint8_t)('a' + hash_u64(l->seed + row + i / 16) % 26);
    msgpack_write_map(out, 1);
    msgpack_write_text(out, slice_of_text("t"));
    msgpack_write_text(out, slice_of(text, l->sizes[row]));
    free(text);
    assert_true(buf_ok(out));
}

static int write_documents(struct part_fixture *f, const struct doc_list *l,
                           struct manifest_part *out, struct error *err)
{
    struct doc_writer *w = NULL;
    struct buf document;
    int rc = -1;
    buf_init(&document, alloc_libc(), MEM_GENERAL);
    if (doc_writer_create(f->alloc, f->dir, &f->owner, &f->segment, l->row_count, &f->rng, &w,
                          err) != 0)
        goto out;
    for (uint32_t row = 0; row < l->row_count; row++) {
        build_document(l, row, &document);
        if (doc_writer_add(w, buf_slice(&document), err) != 0) goto out;
    }
    rc = doc_writer_finish(w, out, err);
out:
    doc_writer_destroy(w);
    buf_deinit(&document);
    return rc;
}

static int open_documents(struct part_fixture *f, const struct manifest_part *part,
                          uint32_t row_count, struct doc_cache *cache, struct doc_file **out,
                          struct error *err)
{
    return doc_file_open(f->alloc, f->dir, &f->owner, &f->segment, part, row_count, cache, out,
                         err);
}

static void assert_document(struct doc_file *file, const struct doc_list *l, uint32_t row)
{
    struct error err = {0};
    struct doc_ref ref = {0};
    struct buf expected;
    buf_init(&expected, alloc_libc(), MEM_GENERAL);
    build_document(l, row, &expected);
    assert_ok(doc_file_get(file, row, &ref, &err), &err);
    if (!slice_equal(ref.document, buf_slice(&expected))) fail_msg("document of row %u", row);
    doc_ref_release(&ref);
    doc_ref_release(&ref);
    buf_deinit(&expected);
}

static void make_sizes(struct doc_list *l, uint32_t row_count, int shape, struct rng *rng)
{
    l->row_count = row_count;
    l->seed = rng_u64(rng);
    l->sizes = (size_t *)calloc(row_count, sizeof *l->sizes);
    assert_non_null(l->sizes);
    for (uint32_t row = 0; row < row_count; row++) {
        switch (shape) {
        case 0:
            break; /* none has a document */
        case 1:
            l->sizes[row] = 1 + rng_below(rng, 100);
            break;
        case 2:
            l->sizes[row] = rng_chance(rng, 0.5) ? 0 : 1 + rng_below(rng, 300);
            break;
        case 3:
            l->sizes[row] = DOC_BLOCK_BYTES - 40 + rng_below(rng, 80);
            break;
        default:
            l->sizes[row] = row % 5 == 2 ? LIMIT_DOC_BYTES - 20 : 1 + rng_below(rng, 50);
            break;
        }
    }
}

/* ---- Cases ---- */

static void every_document_is_read_in_any_order(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 63, 64, 500, 6000};
    for (int shape = 0; shape < 5; shape++) {
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            struct part_fixture f;
            struct doc_list l;
            struct error err = {0};
            struct manifest_part part = {0};
            struct doc_cache *cache;
            struct doc_file *file = NULL;
            if (counts[i] > (shape == 4 ? 10u : shape == 3 ? 100u : 6000u)) continue;
            part_fixture_init(&f, test_seed(i + 1));
            make_sizes(&l, counts[i], shape, &f.rng);
            assert_ok(doc_cache_create(f.alloc, DOC_CACHE_BYTES, &cache, &err), &err);
            assert_ok(write_documents(&f, &l, &part, &err), &err);
            assert_ok(open_documents(&f, &part, l.row_count, cache, &file, &err), &err);
            for (uint32_t row = 0; row < l.row_count; row++) assert_document(file, &l, row);
            for (int k = 0; k < 100; k++)
                assert_document(file, &l, (uint32_t)rng_below(&f.rng, l.row_count));
            assert_ok(doc_file_verify(file, &err), &err);
            assert_true(doc_cache_bytes(cache) > 0);
            doc_file_close(file);
            assert_int_equal(doc_cache_bytes(cache), 0);
            doc_cache_destroy(cache);
            free(l.sizes);
            part_fixture_deinit(&f);
        }
    }
}

static void a_scan_decodes_a_block_once(void **state)
{
    (void)state;
    struct part_fixture f;
    struct doc_list l;
    struct error err = {0};
    struct manifest_part part;
    struct doc_cache *cache;
    struct doc_file *file;
    uint64_t made = 0;
    part_fixture_init(&f, 1);
    make_sizes(&l, 1000, 1, &f.rng);
    assert_ok(doc_cache_create(f.alloc, DOC_CACHE_BYTES, &cache, &err), &err);
    assert_ok(write_documents(&f, &l, &part, &err), &err);
    assert_ok(open_documents(&f, &part, l.row_count, cache, &file, &err), &err);
    for (int round = 0; round < 2; round++) {
        uint64_t before = alloc_count(f.alloc);
        for (uint32_t row = 0; row < l.row_count; row++) assert_document(file, &l, row);
        if (round == 0) made = alloc_count(f.alloc) - before;
        else assert_int_equal(alloc_count(f.alloc), before); /* all from the cache */
    }
    assert_true(made > 0 && made < 1000);
    doc_file_close(file);
    doc_cache_destroy(cache);
    free(l.sizes);
    part_fixture_deinit(&f);
}

static void a_borrowed_document_outlives_its_eviction(void **state)
{
    (void)state;
    struct part_fixture f;
    struct doc_list l;
    struct error err = {0};
    struct manifest_part part;
    struct doc_cache *cache;
    struct doc_file *file;
    struct doc_ref refs[10] = {0};
    struct buf expected;
    size_t bytes_max = 5 * DOC_BLOCK_BYTES;
    part_fixture_init(&f, 1);
    make_sizes(&l, 100, 3, &f.rng); /* a block each */
    assert_ok(doc_cache_create(f.alloc, bytes_max, &cache, &err), &err);
    assert_ok(write_documents(&f, &l, &part, &err), &err);
    assert_ok(open_documents(&f, &part, l.row_count, cache, &file, &err), &err);
    for (uint32_t i = 0; i < 10; i++) assert_ok(doc_file_get(file, i * 10, &refs[i], &err), &err);
    for (uint32_t row = 0; row < 100; row++) {
        assert_document(file, &l, row);
        assert_true(doc_cache_bytes(cache) <= bytes_max);
    }
    buf_init(&expected, alloc_libc(), MEM_GENERAL);
    for (uint32_t i = 0; i < 10; i++) {
        build_document(&l, i * 10, &expected);
        assert_true(slice_equal(refs[i].document, buf_slice(&expected)));
        doc_ref_release(&refs[i]);
    }
    buf_deinit(&expected);
    doc_file_close(file);
    doc_cache_destroy(cache);
    free(l.sizes);
    part_fixture_deinit(&f);
}

static void a_cache_that_holds_nothing_still_serves(void **state)
{
    (void)state;
    struct part_fixture f;
    struct doc_list l;
    struct error err = {0};
    struct manifest_part part;
    struct doc_cache *cache;
    struct doc_file *file;
    part_fixture_init(&f, 1);
    make_sizes(&l, 50, 1, &f.rng);
    assert_ok(doc_cache_create(f.alloc, 0, &cache, &err), &err);
    assert_ok(write_documents(&f, &l, &part, &err), &err);
    assert_ok(open_documents(&f, &part, l.row_count, cache, &file, &err), &err);
    for (uint32_t row = 0; row < 50; row++) assert_document(file, &l, row);
    assert_int_equal(doc_cache_bytes(cache), 0);
    doc_file_close(file);
    doc_cache_destroy(cache);
    free(l.sizes);
    part_fixture_deinit(&f);
}

static void a_document_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct part_fixture f;
    struct error err = {0};
    struct doc_writer *w;
    uint8_t *bytes = (uint8_t *)calloc(1, LIMIT_DOC_BYTES + 1);
    part_fixture_init(&f, 1);
    assert_ok(doc_writer_create(f.alloc, f.dir, &f.owner, &f.segment, 2, &f.rng, &w, &err), &err);
    assert_ok(doc_writer_add(w, slice_of(bytes, LIMIT_DOC_BYTES), &err), &err);
    assert_fails(doc_writer_add(w, slice_of(bytes, LIMIT_DOC_BYTES + 1), &err), &err,
                 LYNSE_TOO_LARGE);
    doc_writer_destroy(w);
    assert_int_equal(part_fixture_file_count(&f), 0);
    free(bytes);
    part_fixture_deinit(&f);
}

/* ---- Damage ---- */

struct damage_context {
    struct doc_list *list;
    struct doc_cache *cache;
};

static bool is_found(struct part_fixture *f, void *ctx, const struct manifest_part *part,
                     bool is_repaired)
{
    struct damage_context *d = (struct damage_context *)ctx;
    struct doc_file *file = NULL;
    struct error err = {0};
    (void)is_repaired;
    int rc = open_documents(f, part, d->list->row_count, d->cache, &file, &err);
    for (uint32_t row = 0; rc == 0 && row < d->list->row_count; row++) {
        struct doc_ref ref = {0};
        struct error ignored = {0};
        if (doc_file_get(file, row, &ref, &ignored) != 0) continue;
        assert_true(hash_xxh3_64(ref.document.data, ref.document.size) != 1); /* reads it all */
        doc_ref_release(&ref);
    }
    if (rc == 0) rc = doc_file_verify(file, &err);
    doc_file_close(file);
    if (rc != 0)
        assert_true(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW ||
                    err.code == LYNSE_UNSUPPORTED);
    return rc != 0;
}

static void no_damage_is_missed_or_fatal(void **state)
{
    (void)state;
    struct part_fixture f;
    struct doc_list l;
    struct error err = {0};
    struct manifest_part part;
    struct doc_cache *cache;
    size_t sizes[4] = {3, 0, 40, 17};
    part_fixture_init(&f, 1);
    l = (struct doc_list){.row_count = 4, .sizes = sizes, .seed = 3};
    assert_ok(doc_cache_create(f.alloc, DOC_CACHE_BYTES, &cache, &err), &err);
    assert_ok(write_documents(&f, &l, &part, &err), &err);
    struct damage_context d = {&l, cache};
    part_fixture_flip_every_bit(&f, &part, 0, is_found, &d);
    part_fixture_truncate_everywhere(&f, &part, 0, is_found, &d);
    assert_false(is_found(&f, &d, &part, false));
    doc_cache_destroy(cache);
    part_fixture_deinit(&f);
}

static void a_damaged_block_spares_the_others(void **state)
{
    (void)state;
    struct part_fixture f;
    struct doc_list l;
    struct error err = {0};
    struct manifest_part part;
    struct doc_cache *cache;
    struct doc_file *file;
    struct doc_ref ref = {0};
    char name[PART_NAME_BYTES];
    size_t size;
    part_fixture_init(&f, 1);
    make_sizes(&l, 100, 3, &f.rng);
    assert_ok(doc_cache_create(f.alloc, DOC_CACHE_BYTES, &cache, &err), &err);
    assert_ok(write_documents(&f, &l, &part, &err), &err);
    part_name(name, &f.segment, PART_DOCUMENTS, 0);
    uint8_t *bytes = part_fixture_read(&f, name, &size);
    bytes[PART_HEADER_BYTES + 100] ^= 1; /* in the first block */
    part_fixture_write(&f, name, bytes, size);
    free(bytes);
    assert_ok(open_documents(&f, &part, l.row_count, cache, &file, &err), &err);
    assert_fails(doc_file_get(file, 0, &ref, &err), &err, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, name));
    assert_document(file, &l, 99);
    assert_fails(doc_file_get(file, 0, &ref, &err), &err, LYNSE_CORRUPT);
    doc_file_close(file);
    doc_cache_destroy(cache);
    free(l.sizes);
    part_fixture_deinit(&f);
}

/* ---- Failure of the world, and company ---- */

static int write_some(struct part_fixture *f, struct error *err)
{
    size_t sizes[5] = {30, 0, 3 * CHECKSUM_BLOCK_BYTES, DOC_BLOCK_BYTES, 9};
    struct doc_list l = {.row_count = 5, .sizes = sizes, .seed = 3};
    struct manifest_part part;
    return write_documents(f, &l, &part, err);
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
    size_t sizes[5] = {30, 0, 3 * CHECKSUM_BLOCK_BYTES, DOC_BLOCK_BYTES, 9};
    struct doc_list l = {.row_count = 5, .sizes = sizes, .seed = 3};
    struct manifest_part part;
    struct doc_cache *cache = NULL;
    struct doc_file *file = NULL;
    struct doc_ref ref = {0};
    int rc = -1;
    if (write_documents(f, &l, &part, err) != 0) goto out;
    if (doc_cache_create(f->alloc, DOC_CACHE_BYTES, &cache, err) != 0) goto out;
    if (open_documents(f, &part, 5, cache, &file, err) != 0) goto out;
    for (uint32_t row = 0; row < 5; row++) {
        if (doc_file_get(file, row, &ref, err) != 0) goto out;
        doc_ref_release(&ref);
    }
    rc = doc_file_verify(file, err);
out:
    doc_file_close(file);
    doc_cache_destroy(cache);
    return rc;
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
    struct doc_file *file;
    const struct doc_list *list;
    uint64_t seed;
};

static void read_at_random(void *ctx)
{
    struct reader_thread *r = (struct reader_thread *)ctx;
    struct rng rng;
    rng_init(&rng, r->seed);
    for (int i = 0; i < 500; i++)
        assert_document(r->file, r->list, (uint32_t)rng_below(&rng, r->list->row_count));
}

static void threads_share_a_cache_that_is_too_small(void **state)
{
    (void)state;
    struct part_fixture f;
    struct doc_list l;
    struct error err = {0};
    struct manifest_part part;
    struct doc_cache *cache;
    struct doc_file *file;
    struct reader_thread readers[4] = {0};
    part_fixture_init(&f, 1);
    make_sizes(&l, 500, 2, &f.rng);
    assert_ok(doc_cache_create(f.alloc, 3 * DOC_BLOCK_BYTES, &cache, &err), &err);
    assert_ok(write_documents(&f, &l, &part, &err), &err);
    assert_ok(open_documents(&f, &part, l.row_count, cache, &file, &err), &err);
    for (int i = 0; i < 4; i++) {
        readers[i].file = file;
        readers[i].list = &l;
        readers[i].seed = (uint64_t)i;
        assert_ok(thread_start(&readers[i].thread, "reader", read_at_random, &readers[i], &err),
                  &err);
    }
    for (int i = 0; i < 4; i++) thread_join(&readers[i].thread);
    doc_file_close(file);
    doc_cache_destroy(cache);
    free(l.sizes);
    part_fixture_deinit(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_document_is_read_in_any_order),
    cmocka_unit_test(a_scan_decodes_a_block_once),
    cmocka_unit_test(a_borrowed_document_outlives_its_eviction),
    cmocka_unit_test(a_cache_that_holds_nothing_still_serves),
    cmocka_unit_test(a_document_over_the_limit_is_refused),
    cmocka_unit_test(no_damage_is_missed_or_fatal),
    cmocka_unit_test(a_damaged_block_spares_the_others),
    cmocka_unit_test(a_failed_write_leaves_no_file),
    cmocka_unit_test(running_out_of_memory_is_an_error_like_any_other),
    cmocka_unit_test(threads_share_a_cache_that_is_too_small),
};
TEST_MAIN(tests)
