/* SPDX-License-Identifier: Apache-2.0 */
#include "compat/contents.h"

#include <stdbool.h>

#include "support/test.h"

/* Every record is made from one number: its id is n or "n" spelt "t<n>", its vector
 * (n, version, 1, -n), its fields {"n": n, "words": 40 bytes that repeat}. */
enum { FIELD_BYTES = 1 + 2 + 3 + 6 + 2 + 40, ROWS_MAX = 200 };

struct golden_row {
    unsigned n;
    bool is_text;
    float version;
    bool has_fields;
};

static size_t write_fields(uint8_t out[FIELD_BYTES], unsigned n)
{
    static const uint8_t key[] = {0xa5, 'w', 'o', 'r', 'd', 's', 0xd9, 40};
    const uint8_t head[] = {0x82, 0xa1, 'n', 0xcd, (uint8_t)(n >> 8), (uint8_t)n};
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, key, sizeof key);
    for (size_t i = 0; i < 40; i++)
        out[sizeof head + sizeof key + i] = (uint8_t)('a' + (n + i % 4) % 26);
    return sizeof head + sizeof key + 40;
}

static void write_vector(float out[GOLDEN_DIM], const struct golden_row *r)
{
    out[0] = (float)r->n;
    out[1] = r->version;
    out[2] = 1;
    out[3] = -(float)r->n;
}

static struct lynse_id id_of(const struct golden_row *r, char text[8])
{
    if (!r->is_text) return (struct lynse_id){.number = r->n};
    snprintf(text, 8, "t%u", r->n);
    return (struct lynse_id){.text = text, .text_bytes = (uint32_t)strlen(text)};
}

/* ---- writing ---- */

#define DONE(call)                                                                                 \
    do {                                                                                           \
        struct lynse_error err = {0};                                                              \
        if ((call) != LYNSE_OK) fail_msg("%s", err.text);                                          \
    } while (0)

/* Rows first.. first + count - 1 as one group. */
static void put(struct lynse_collection *c, unsigned first, size_t count, bool is_text,
                float version, bool has_fields)
{
    struct lynse_id ids[ROWS_MAX];
    char texts[ROWS_MAX][8];
    float vectors[ROWS_MAX * GOLDEN_DIM];
    uint8_t maps[ROWS_MAX][FIELD_BYTES];
    struct lynse_bytes fields[ROWS_MAX];
    assert_true(count <= ROWS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct golden_row r = {first + (unsigned)i, is_text, version, has_fields};
        ids[i] = id_of(&r, texts[i]);
        write_vector(vectors + i * GOLDEN_DIM, &r);
        fields[i] = (struct lynse_bytes){maps[i], write_fields(maps[i], r.n)};
    }
    struct lynse_rows rows = {.dim = GOLDEN_DIM,
                              .count = count,
                              .ids = ids,
                              .vectors = vectors,
                              .fields = has_fields ? fields : NULL};
    DONE(lynse_upsert(c, &rows, NULL, NULL, &err));
}

static void mark(struct lynse_collection *c, unsigned n, bool is_delete)
{
    struct lynse_id id = {.number = n};
    if (is_delete) DONE(lynse_delete(c, &id, 1, NULL, NULL, &err));
    else DONE(lynse_restore(c, &id, 1, NULL, NULL, &err));
}

static struct lynse_collection *make(struct lynse *db, const char *name, uint32_t dim,
                                     uint32_t sync, const char *description)
{
    struct lynse_collection *c = NULL;
    struct lynse_collection_desc desc = {
        .name = name, .dim = dim, .sync = sync, .description = description, .metric = LYNSE_L2};
    DONE(lynse_collection_create(db, &desc, &c, &err));
    return c;
}

static void write_plain(struct lynse *db)
{
    struct lynse_collection *c = make(db, "plain", GOLDEN_DIM, 0, "erste Fassung");
    put(c, 0, 150, false, 1, true);
    DONE(lynse_flush(c, &err));
    for (unsigned n = 10; n <= 30; n += 10) mark(c, n, true);
    put(c, 40, 5, false, 2, true);
    DONE(lynse_build_index(c, "FLAT-COS", &err));
    DONE(lynse_checkpoint(c, &err));
    put(c, 0, 20, true, 1, true);
    put(c, 100, 3, false, 3, false); /* keeps the fields */
    mark(c, 50, true);
    mark(c, 20, false);
    put(c, 500, 2, false, 1, false); /* without any */
}

static void write_log(struct lynse *db)
{
    struct lynse_collection *c = make(db, "notes/log", GOLDEN_DIM, 0, NULL);
    for (unsigned i = 0; i < 12; i++) put(c, i * 40, 40, i % 3 == 1, 1, true);
    mark(c, 5, true);
    mark(c, 6, true);
    mark(c, 5, false);
}

static void write_spare(struct lynse *db)
{
    struct lynse_collection *c = make(db, "notes/spare", GOLDEN_DIM, 0, NULL);
    for (unsigned i = 0; i < 10; i++) put(c, i * 40, 40, false, 1, true);
    DONE(lynse_flush(c, &err)); /* the first file becomes the spare, the second one goes on */
    put(c, 400, 7, true, 1, true);
}

static void write_bulk(struct lynse *db)
{
    struct lynse_collection *c = make(db, "notes/bulk", GOLDEN_DIM, LYNSE_SYNC_NONE, NULL);
    put(c, 0, 60, false, 1, true);
    mark(c, 59, true);
    DONE(lynse_flush(c, &err));
}

void golden_write_v001(const char *path)
{
    struct lynse_open_desc open = {.path = path};
    struct lynse *db = NULL;
    DONE(lynse_open(&open, &db, &err));
    write_plain(db);
    write_log(db);
    write_spare(db);
    write_bulk(db);
    make(db, "notes/empty", 0, 0, NULL);
    make(db, "notes/gone", GOLDEN_DIM, 0, NULL);
    DONE(lynse_collection_drop(db, "notes/gone", &err));
    DONE(lynse_close(db, &err));
}

/* ---- checking ---- */

static struct lynse_collection *open_one(struct lynse *db, const char *name)
{
    struct lynse_collection *c = NULL;
    DONE(lynse_collection_open(db, name, &c, &err));
    return c;
}

static void check_row(struct lynse_collection *c, const struct golden_row *r)
{
    struct lynse_hits *hits = NULL;
    char text[8];
    struct lynse_id id = id_of(r, text);
    float vector[GOLDEN_DIM];
    uint8_t fields[FIELD_BYTES];
    size_t size = r->has_fields ? write_fields(fields, r->n) : 0;
    write_vector(vector, r);
    DONE(lynse_get(c, &id, 1, LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS, &hits, &err));
    if (hits->count != 1) fail_msg("id %s%u is not there", r->is_text ? "t" : "", r->n);
    assert_memory_equal(hits->vectors, vector, sizeof vector);
    assert_int_equal(hits->fields[0].size, size);
    if (size) assert_memory_equal(hits->fields[0].data, fields, size);
    lynse_hits_free(hits);
}

static void check_rows(struct lynse_collection *c, unsigned first, unsigned count, bool is_text,
                       float version, bool has_fields)
{
    for (unsigned n = first; n < first + count; n++)
        check_row(c, &(struct golden_row){n, is_text, version, has_fields});
}

static void check_absent(struct lynse_collection *c, unsigned n)
{
    struct lynse_id id = {.number = n};
    int there = 1;
    DONE(lynse_exists(c, &id, &there, &err));
    if (there) fail_msg("id %u is there", n);
}

static struct lynse_collection_info info_of(struct lynse_collection *c)
{
    struct lynse_collection_info info = {0};
    DONE(lynse_collection_info(c, &info, &err));
    return info;
}

static void check_plain(struct lynse *db)
{
    struct lynse_collection *c = open_one(db, "plain");
    struct lynse_names *names;
    check_rows(c, 0, 10, false, 1, true);
    check_absent(c, 10);
    check_rows(c, 20, 1, false, 1, true); /* restored */
    check_absent(c, 30);
    check_rows(c, 40, 5, false, 2, true);
    check_absent(c, 50);
    check_rows(c, 51, 49, false, 1, true);
    check_rows(c, 100, 3, false, 3, true);
    check_rows(c, 103, 47, false, 1, true);
    check_rows(c, 0, 20, true, 1, true);
    check_rows(c, 500, 2, false, 1, false);
    struct lynse_collection_info info = info_of(c);
    assert_int_equal(info.live_count, 150 - 3 + 20 + 2);
    assert_int_equal(info.metric, LYNSE_COSINE);
    assert_string_equal(info.index_mode, "FLAT-COS");
    assert_int_equal(info.max_int_id, 501);
    assert_int_equal(info.segment_count, 1);
    assert_int_equal(info.applied_lsn, 10);
    assert_true(info.flushed_lsn < info.applied_lsn);
    DONE(lynse_collection_description(c, &names, &err));
    assert_string_equal(names->names[0], "erste Fassung");
    lynse_names_free(names);
}

static void check_others(struct lynse *db)
{
    struct lynse_collection *c = open_one(db, "notes/log");
    for (unsigned i = 0; i < 12; i++)
        if (i > 0) check_rows(c, i * 40, 40, i % 3 == 1, 1, true);
    check_rows(c, 5, 1, false, 1, true);
    check_absent(c, 6);
    assert_int_equal(info_of(c).live_count, 479);
    assert_int_equal(info_of(c).segment_count, 0);

    c = open_one(db, "notes/spare");
    check_rows(c, 0, 400, false, 1, true);
    check_rows(c, 400, 7, true, 1, true);
    assert_int_equal(info_of(c).segment_count, 1);

    c = open_one(db, "notes/bulk");
    check_rows(c, 0, 59, false, 1, true);
    check_absent(c, 59);
    assert_int_equal(info_of(c).sync, LYNSE_SYNC_NONE);

    c = open_one(db, "notes/empty");
    assert_int_equal(info_of(c).dim, 0);
    assert_int_equal(info_of(c).live_count, 0);
}

void golden_check_v001(struct lynse *db)
{
    struct lynse_names *names;
    static const char *const expected[] = {"bulk", "empty", "log", "spare"};
    DONE(lynse_collection_list(db, "notes", &names, &err));
    assert_int_equal(names->count, 4);
    for (size_t i = 0; i < 4; i++) assert_string_equal(names->names[i], expected[i]);
    lynse_names_free(names);
    check_plain(db);
    check_others(db);
}
