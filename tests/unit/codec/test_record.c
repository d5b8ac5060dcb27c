/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/limits.h"
#include "base/rng.h"
#include "codec/record.h"
#include "codec/tagged.h"
#include "support/test.h"

enum { ROWS_MAX = 12, DIM_MAX = 5 };

/* Random rows, and room for what they point to. */
struct sample {
    struct record_id ids[ROWS_MAX];
    char texts[ROWS_MAX][LIMIT_ID_BYTES];
    float vectors[ROWS_MAX * DIM_MAX];
    uint8_t maps[ROWS_MAX][4];
    struct slice documents[ROWS_MAX];
    uint64_t versions[ROWS_MAX];
    struct record_rows rows;
};

static void make_sample(struct sample *s, struct rng *rng)
{
    bool has_texts = rng_chance(rng, 0.5), has_documents = rng_chance(rng, 0.7);
    size_t count = 1 + (size_t)rng_below(rng, ROWS_MAX);
    uint32_t dim = 1 + (uint32_t)rng_below(rng, DIM_MAX);
    for (size_t i = 0; i < count; i++) {
        s->ids[i] = id_of_number(rng_u64(rng) % UINT64_MAX);
        if (has_texts && rng_chance(rng, 0.5)) {
            size_t size = 1 + (size_t)rng_below(rng, LIMIT_ID_BYTES);
            memset(s->texts[i], 'a' + (int)(i % 26), size);
            s->ids[i] = id_of_text(slice_of(s->texts[i], size));
        }
        memcpy(s->maps[i], (uint8_t[]){0x81, 0xa1, 'n', (uint8_t)i}, 4);
        s->documents[i] = slice_of(s->maps[i], rng_chance(rng, 0.6) ? 4 : 0);
        s->versions[i] = rng_u64(rng);
    }
    for (size_t i = 0; i < count * dim; i++) s->vectors[i] = rng_normal(rng);
    s->rows =
        (struct record_rows){s->ids, count, s->vectors, dim, has_documents ? s->documents : NULL};
}

static void encode(struct buf *b, enum record_kind kind, const struct sample *s)
{
    buf_init(b, alloc_libc(), MEM_LOG);
    if (kind == RECORD_UPSERT) record_encode_upsert(b, &s->rows);
    else if (kind == RECORD_DELETE) record_encode_delete(b, s->ids, s->rows.count);
    else record_encode_restore(b, s->ids, s->versions, s->rows.count);
    assert_true(buf_ok(b));
}

/* Read everything that a decoded record offers; a byte past its end is the sanitizers' to see. */
static uint64_t read_all(struct record_view *v)
{
    struct record_id id;
    uint64_t sum = v->count + v->dim;
    for (size_t i = 0; id_column_next(&v->ids, &id); i++) {
        assert_true(i < v->count);
        sum = sum * 31 + id_hash(&id);
        if (v->kind == RECORD_RESTORE) sum = sum * 31 + load_u64(v->versions + i * 8);
        if (v->kind != RECORD_UPSERT) continue;
        for (uint32_t k = 0; k < v->dim; k++)
            sum = sum * 31 + load_u32(v->vectors + (i * v->dim + k) * 4);
        struct slice document = record_document(v, i);
        for (size_t k = 0; k < document.size; k++) sum = sum * 31 + document.data[k];
    }
    return sum;
}

static void assert_is_sample(struct record_view *v, const struct sample *s)
{
    struct record_id id;
    assert_int_equal(v->count, s->rows.count);
    for (size_t i = 0; i < v->count; i++) {
        assert_true(id_column_next(&v->ids, &id));
        assert_true(id_equal(&id, &s->ids[i]));
        if (v->kind == RECORD_RESTORE)
            assert_int_equal(load_u64(v->versions + i * 8), s->versions[i]);
        if (v->kind != RECORD_UPSERT) continue;
        assert_int_equal(v->dim, s->rows.dim);
        assert_memory_equal(v->vectors + i * v->dim * 4, s->vectors + i * v->dim, v->dim * 4);
        struct slice document = record_document(v, i);
        assert_true(slice_equal(document, s->rows.documents ? s->documents[i] : slice_of(NULL, 0)));
    }
    assert_false(id_column_next(&v->ids, &id));
}

static const enum record_kind kinds[] = {RECORD_UPSERT, RECORD_DELETE, RECORD_RESTORE};

static void rows_come_back_as_they_were_written(void **state)
{
    (void)state;
    struct rng rng;
    static struct sample s;
    rng_init(&rng, test_seed(1));
    for (int i = 0; i < 500; i++) {
        struct buf b;
        struct record_view v;
        struct error err = {0};
        make_sample(&s, &rng);
        enum record_kind kind = kinds[i % 3];
        encode(&b, kind, &s);
        if (kind == RECORD_UPSERT) assert_true(b.size <= record_upsert_bytes(&s.rows));
        assert_ok(record_decode(kind, buf_slice(&b), &v, &err), &err);
        assert_is_sample(&v, &s);
        buf_deinit(&b);
    }
}

static void what_is_left_out_belongs_where_it_says(void **state)
{
    (void)state;
    struct rng rng;
    static struct sample s;
    rng_init(&rng, test_seed(3));
    for (int i = 0; i < 200; i++) {
        struct buf whole, around;
        size_t at = 0;
        make_sample(&s, &rng);
        encode(&whole, RECORD_UPSERT, &s);
        buf_init(&around, alloc_libc(), MEM_LOG);
        buf_append_zeros(&around, 16);
        struct slice bulk = record_encode_upsert_around(&around, &s.rows, &at);
        assert_int_equal(bulk.size % 8, 0);
        assert_true(bulk.size + 8 > s.rows.count * s.rows.dim * sizeof(float));
        assert_int_equal(around.size - 16 + bulk.size, whole.size);
        assert_memory_equal(whole.data, around.data + 16, at);
        assert_memory_equal(whole.data + at, bulk.data, bulk.size);
        assert_memory_equal(whole.data + at + bulk.size, around.data + 16 + at,
                            whole.size - at - bulk.size);
        buf_deinit(&whole);
        buf_deinit(&around);
    }
}

static void a_payload_that_is_cut_short_is_corrupt(void **state)
{
    (void)state;
    struct rng rng;
    static struct sample s;
    rng_init(&rng, test_seed(2));
    for (int i = 0; i < 30; i++) {
        struct buf b;
        struct record_view v;
        struct error err = {0};
        make_sample(&s, &rng);
        enum record_kind kind = kinds[i % 3];
        encode(&b, kind, &s);
        for (size_t size = 0; size < b.size; size++) {
            uint8_t *exact = malloc(size + 1);
            memcpy(exact, b.data, size);
            int rc = record_decode(kind, slice_of(exact, size), &v, &err);
            /* Without the documents an upsert is whole, too. */
            if (rc == 0) assert_int_equal(kind, RECORD_UPSERT);
            else assert_fails(rc, &err, LYNSE_CORRUPT);
            if (rc == 0) read_all(&v);
            free(exact);
        }
        buf_deinit(&b);
    }
}

/* The log's checksum finds a flipped bit; here nothing may trust a byte all the same (P9). */
static void a_bit_that_is_flipped_is_refused_or_gives_readable_rows(void **state)
{
    (void)state;
    struct rng rng;
    static struct sample s;
    rng_init(&rng, test_seed(3));
    for (int i = 0; i < 12; i++) {
        struct buf b;
        struct record_view v;
        struct error err = {0};
        make_sample(&s, &rng);
        enum record_kind kind = kinds[i % 3];
        encode(&b, kind, &s);
        for (size_t bit = 0; bit < b.size * 8; bit++) {
            b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (record_decode(kind, buf_slice(&b), &v, &err) == 0) {
                read_all(&v);
            } else {
                assert_true(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW ||
                            err.code == LYNSE_UNSUPPORTED);
                assert_non_null(strstr(err.text, "record"));
            }
            b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        buf_deinit(&b);
    }
}

/* ---- what is refused by name ---- */

static void append_field(struct buf *b, uint16_t tag, uint16_t flags, uint32_t number,
                         const void *data, size_t size)
{
    size_t begin = tagged_begin(b, tag, flags, number);
    buf_append(b, data, size);
    tagged_end(b, begin);
}

/* Decode what is in b, then empty it. */
static int decode(struct buf *b, enum record_kind kind, struct error *err)
{
    struct record_view v;
    int rc = record_decode(kind, buf_slice(b), &v, err);
    if (rc == 0) read_all(&v);
    buf_reset(b);
    return rc;
}

static const uint8_t one_id[16] = {[8] = 7};
static const uint8_t one_vector[16] = {VECTOR_DENSE, STORAGE_F32, 0, 0, 2};

static void append_ids(struct buf *b)
{
    append_field(b, RECORD_IDS, TAGGED_REQUIRED, 1, one_id, sizeof one_id);
}
static void append_vectors(struct buf *b)
{
    append_field(b, RECORD_VECTORS, TAGGED_REQUIRED, 0, one_vector, sizeof one_vector);
}

static void fields_that_are_missing_or_doubled_are_corrupt(void **state)
{
    (void)state;
    struct buf b;
    struct error err = {0};
    buf_init(&b, alloc_libc(), MEM_LOG);
    assert_fails(decode(&b, RECORD_DELETE, &err), &err, LYNSE_CORRUPT);
    append_ids(&b);
    assert_ok(decode(&b, RECORD_DELETE, &err), &err);
    append_ids(&b);
    append_ids(&b);
    assert_fails(decode(&b, RECORD_DELETE, &err), &err, LYNSE_CORRUPT);
    append_ids(&b);
    assert_fails(decode(&b, RECORD_UPSERT, &err), &err, LYNSE_CORRUPT); /* no vectors */
    append_ids(&b);
    assert_fails(decode(&b, RECORD_RESTORE, &err), &err, LYNSE_CORRUPT); /* no versions */
    append_vectors(&b);
    append_ids(&b);
    assert_fails(decode(&b, RECORD_UPSERT, &err), &err, LYNSE_CORRUPT); /* ids come first */
    append_ids(&b);
    append_vectors(&b);
    assert_ok(decode(&b, RECORD_UPSERT, &err), &err);
    append_ids(&b);
    append_vectors(&b);
    append_vectors(&b);
    assert_fails(decode(&b, RECORD_UPSERT, &err), &err, LYNSE_CORRUPT);
    buf_deinit(&b);
}

static void counts_are_checked_against_what_is_there(void **state)
{
    (void)state;
    struct buf b;
    struct error err = {0};
    buf_init(&b, alloc_libc(), MEM_LOG);
    const uint32_t counts[] = {0, 2, LIMIT_BATCH_ROWS, LIMIT_BATCH_ROWS + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        append_field(&b, RECORD_IDS, TAGGED_REQUIRED, counts[i], one_id, sizeof one_id);
        assert_fails(decode(&b, RECORD_DELETE, &err), &err, LYNSE_CORRUPT);
    }
    const uint32_t dims[] = {0, 1, 3, LIMIT_DIM, LIMIT_DIM + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        uint8_t vector[16];
        memcpy(vector, one_vector, sizeof vector);
        store_u32(vector + 4, dims[i]);
        append_ids(&b);
        append_field(&b, RECORD_VECTORS, TAGGED_REQUIRED, 0, vector, sizeof vector);
        assert_fails(decode(&b, RECORD_UPSERT, &err), &err, LYNSE_CORRUPT);
    }
    buf_deinit(&b);
}

static void components_and_documents_are_those_of_a_request(void **state)
{
    (void)state;
    struct buf b;
    struct error err = {0};
    const float wrong[] = {NAN, INFINITY, -INFINITY};
    buf_init(&b, alloc_libc(), MEM_LOG);
    for (size_t i = 0; i < 3; i++) {
        uint8_t vector[16];
        memcpy(vector, one_vector, sizeof vector);
        memcpy(vector + 12, &wrong[i], sizeof *wrong);
        append_ids(&b);
        append_field(&b, RECORD_VECTORS, TAGGED_REQUIRED, 0, vector, sizeof vector);
        assert_fails(decode(&b, RECORD_UPSERT, &err), &err, LYNSE_CORRUPT);
    }
    static const struct {
        uint8_t bytes[12];
        size_t size;
        bool is_good;
    } documents[] = {
        {{0, 0, 0, 0, 1, 0, 0, 0, 0x80}, 9, true},
        {{0, 0, 0, 0, 0, 0, 0, 0}, 8, true},               /* none */
        {{0, 0, 0, 0, 1, 0, 0, 0, 0x05}, 9, false},        /* no map */
        {{0, 0, 0, 0, 1, 0, 0, 0, 0x81}, 9, false},        /* cut short */
        {{0, 0, 0, 0, 2, 0, 0, 0, 0x80}, 9, false},        /* ends outside */
        {{0, 0, 0, 0, 1, 0, 0, 0, 0x80, 0x80}, 10, false}, /* bytes behind */
        {{1, 0, 0, 0, 1, 0, 0, 0, 0x80}, 9, false},        /* does not begin at 0 */
        {{0, 0, 0, 0, 255, 255, 255, 255, 0x80}, 9, false},
        {{0, 0, 0, 0, 1, 0, 0}, 7, false},
    };
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        append_ids(&b);
        append_vectors(&b);
        append_field(&b, RECORD_DOCUMENTS, TAGGED_REQUIRED, 1, documents[i].bytes,
                     documents[i].size);
        int rc = decode(&b, RECORD_UPSERT, &err);
        if (documents[i].is_good) assert_ok(rc, &err);
        else assert_fails(rc, &err, LYNSE_CORRUPT);
    }
    buf_deinit(&b);
}

static void a_request_stands_behind_the_rows(void **state)
{
    (void)state;
    struct request_stamp stamp = {{1, 2, [15] = 3}, 1ull << 60, 7, -1};
    struct record_view v;
    struct buf b;
    struct error err = {0};
    uint8_t bytes[REQUEST_STAMP_BYTES + 1] = {1};

    buf_init(&b, alloc_libc(), MEM_LOG);
    append_ids(&b);
    size_t before = b.size;
    record_encode_request(&b, &stamp);
    assert_int_equal(b.size - before, record_request_bytes());
    assert_int_equal(load_u16(b.data + before + 2), 0); /* older readers skip it */
    assert_ok(record_decode(RECORD_DELETE, buf_slice(&b), &v, &err), &err);
    assert_memory_equal(&v.request, &stamp, sizeof stamp);
    record_encode_request(&b, &stamp);
    assert_fails(decode(&b, RECORD_DELETE, &err), &err, LYNSE_CORRUPT); /* twice */
    for (size_t size = 0; size <= sizeof bytes; size++) {
        append_ids(&b);
        append_field(&b, RECORD_REQUEST_ID, 0, 0, bytes, size);
        int rc = decode(&b, RECORD_DELETE, &err);
        if (size == REQUEST_STAMP_BYTES) assert_ok(rc, &err);
        else assert_fails(rc, &err, LYNSE_CORRUPT);
    }
    memset(bytes, 0, sizeof bytes);
    append_ids(&b);
    append_field(&b, RECORD_REQUEST_ID, 0, 0, bytes, REQUEST_STAMP_BYTES);
    assert_fails(decode(&b, RECORD_DELETE, &err), &err, LYNSE_CORRUPT); /* no id */
    buf_deinit(&b);
}

static void what_a_later_version_writes_is_named(void **state)
{
    (void)state;
    struct buf b;
    struct error err = {0};
    uint8_t vector[16];
    buf_init(&b, alloc_libc(), MEM_LOG);
    append_ids(&b);
    append_field(&b, 50, TAGGED_REQUIRED, 0, "x", 1);
    assert_fails(decode(&b, RECORD_DELETE, &err), &err, LYNSE_FORMAT_TOO_NEW);
    assert_non_null(strstr(err.text, "50"));
    append_ids(&b);
    append_field(&b, 50, 0, 0, "x", 1);
    assert_ok(decode(&b, RECORD_DELETE, &err), &err);
    memcpy(vector, one_vector, sizeof vector);
    vector[1] = 2; /* another storage type */
    append_ids(&b);
    append_field(&b, RECORD_VECTORS, TAGGED_REQUIRED, 0, vector, sizeof vector);
    assert_fails(decode(&b, RECORD_UPSERT, &err), &err, LYNSE_UNSUPPORTED);
    buf_deinit(&b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(rows_come_back_as_they_were_written),
    cmocka_unit_test(a_request_stands_behind_the_rows),
    cmocka_unit_test(what_is_left_out_belongs_where_it_says),
    cmocka_unit_test(a_payload_that_is_cut_short_is_corrupt),
    cmocka_unit_test(a_bit_that_is_flipped_is_refused_or_gives_readable_rows),
    cmocka_unit_test(fields_that_are_missing_or_doubled_are_corrupt),
    cmocka_unit_test(counts_are_checked_against_what_is_there),
    cmocka_unit_test(components_and_documents_are_those_of_a_request),
    cmocka_unit_test(what_a_later_version_writes_is_named),
};
TEST_MAIN(tests)
