/* SPDX-License-Identifier: Apache-2.0 */
/* record.c — the payloads of log records, written and read.
 *
 * WHAT        One payload holds whole rows in columns: ids, then vectors, then documents, so that a
 *             bulk load is three copies and a replay is three walks.
 * LAYOUT      FORMAT.md section 6, "Tags of record payloads"; all tags but the request's id are
 *             required.
 * INVARIANTS  (1) What encode writes, decode accepts.
 *             (2) After decode returned 0, every row can be read without another check.
 * THREADS     No state.
 * FAILURE     Encoding fails only in the buf; decoding answers CORRUPT with the field's name.
 */
#include "codec/record.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/finite.h"
#include "base/limits.h"
#include "base/planted.h"
#include "codec/msgpack.h"
#include "codec/tagged.h"

enum { IDS_PREFIX_BYTES = 8, VECTORS_PREFIX_BYTES = 8 };

static void encode_ids(struct buf *out, const struct record_id *ids, size_t count)
{
    enum id_form form = id_column_form(ids, count);
    size_t begin = tagged_begin(out, RECORD_IDS, TAGGED_REQUIRED, (uint32_t)count);

    buf_append_u8(out, (uint8_t)form);
    buf_append_zeros(out, IDS_PREFIX_BYTES - 1);
    id_column_encode(ids, count, form, out);
    tagged_end(out, begin);
}

/* All but the first `left_out` bytes of the vectors.  Answers where those belong. */
static size_t encode_vectors(struct buf *out, const struct record_rows *rows, size_t left_out)
{
    size_t begin = tagged_begin(out, RECORD_VECTORS, TAGGED_REQUIRED, 0);
    size_t bytes = rows->count * rows->dim * sizeof(float);

    buf_append_u8(out, VECTOR_DENSE);
    buf_append_u8(out, STORAGE_F32);
    buf_append_u16(out, 0);
    buf_append_u32(out, rows->dim);
    size_t at = out->size;
    buf_append(out, (const uint8_t *)rows->vectors + left_out, bytes - left_out);
    tagged_end_around(out, begin, left_out);
    return at;
}

static void encode_documents(struct buf *out, const struct slice *documents, size_t count)
{
    size_t begin = tagged_begin(out, RECORD_DOCUMENTS, TAGGED_REQUIRED, (uint32_t)count);
    uint32_t end = 0;

    buf_append_u32(out, 0);
    for (size_t i = 0; i < count; i++) {
        end += (uint32_t)documents[i].size;
        buf_append_u32(out, end);
    }
    for (size_t i = 0; i < count; i++) buf_append(out, documents[i].data, documents[i].size);
    tagged_end(out, begin);
}

static size_t encode_upsert(struct buf *out, const struct record_rows *rows, size_t left_out)
{
    bool has_documents = false;

    for (size_t i = 0; rows->documents && i < rows->count && !has_documents; i++)
        has_documents = rows->documents[i].size > 0;
    encode_ids(out, rows->ids, rows->count);
    size_t at = encode_vectors(out, rows, left_out);
    if (has_documents) encode_documents(out, rows->documents, rows->count);
    return at;
}

void record_encode_upsert(struct buf *out, const struct record_rows *rows)
{
    (void)encode_upsert(out, rows, 0);
}

struct slice record_encode_upsert_around(struct buf *out, const struct record_rows *rows,
                                         size_t *out_at)
{
    size_t begin = out->size;
    /* Whole 8 bytes, so that what follows stays aligned in the buf as in the payload. */
    size_t left_out = rows->count * rows->dim * sizeof(float) & ~(size_t)7;

    *out_at = encode_upsert(out, rows, left_out) - begin;
    return slice_of(rows->vectors, left_out);
}

void record_encode_delete(struct buf *out, const struct record_id *ids, size_t count)
{
    encode_ids(out, ids, count);
}

void record_encode_restore(struct buf *out, const struct record_id *ids,
                           const uint64_t *version_lsns, size_t count)
{
    encode_ids(out, ids, count);
    size_t begin = tagged_begin(out, RECORD_VERSIONS, TAGGED_REQUIRED, (uint32_t)count);
    for (size_t i = 0; i < count; i++) buf_append_u64(out, version_lsns[i]);
    tagged_end(out, begin);
}

void record_encode_request(struct buf *out, const struct request_stamp *stamp)
{
    size_t begin = tagged_begin(out, RECORD_REQUEST_ID, 0, 0);
    request_stamp_write(stamp, out);
    tagged_end(out, begin);
}

size_t record_request_bytes(void)
{
    return tagged_bytes(REQUEST_STAMP_BYTES);
}

size_t record_upsert_bytes(const struct record_rows *rows)
{
    size_t ids = IDS_PREFIX_BYTES;
    size_t documents = (rows->count + 1) * sizeof(uint32_t);

    for (size_t i = 0; i < rows->count; i++) {
        bool is_text = rows->ids && rows->ids[i].is_text;
        ids += 1 + (is_text ? rows->ids[i].text.size : sizeof(uint64_t));
        if (rows->documents) documents += rows->documents[i].size;
    }
    return tagged_bytes(ids) + tagged_bytes(documents) +
           tagged_bytes(VECTORS_PREFIX_BYTES + rows->count * rows->dim * sizeof(float));
}

static int decode_ids(const struct tagged_field *f, struct record_view *out, struct error *err)
{
    struct reader r = reader_of(f->data);
    uint8_t form = 0;

    read_u8(&r, &form);
    struct slice reserved = reader_take(&r, IDS_PREFIX_BYTES - 1);
    if (r.failed || !bytes_are_zero(reserved.data, reserved.size))
        return error_set(err, LYNSE_CORRUPT, "record: reserved bytes of the ids are not zero");
    if (f->number == 0 || f->number > LIMIT_BATCH_ROWS)
        return error_set(err, LYNSE_CORRUPT, "record: %u rows, allowed are 1 to %d", f->number,
                         LIMIT_BATCH_ROWS);
    out->count = f->number;
    struct slice column = slice_of(r.at, reader_left(&r));
    if (id_column_open(column, form, out->count, &out->ids, NULL, err) == 0) return 0;
    return error_wrap(err, "record");
}

static int check_finite(const uint8_t *vectors, size_t component_count, struct error *err)
{
    size_t at = f32_find_not_finite(vectors, component_count);

    if (at == component_count) return 0;
    return error_set(err, LYNSE_CORRUPT, "record: component %zu is not finite", at);
}

static int decode_vectors(const struct tagged_field *f, struct record_view *out, struct error *err)
{
    struct reader r = reader_of(f->data);
    uint8_t kind = 0, storage = 0;
    uint16_t reserved = 0;
    size_t components = 0, bytes = 0;

    read_u8(&r, &kind);
    read_u8(&r, &storage);
    read_u16(&r, &reserved);
    read_u32(&r, &out->dim);
    if (r.failed || reserved != 0)
        return error_set(err, LYNSE_CORRUPT, "record: damaged vector field");
    if (f->number != 0 || kind != VECTOR_DENSE || storage != STORAGE_F32)
        return error_set(err, LYNSE_UNSUPPORTED,
                         "record: vector field %u of kind %u and storage type %u", f->number, kind,
                         storage);
    if (out->dim == 0 || out->dim > LIMIT_DIM)
        return error_set(err, LYNSE_CORRUPT, "record: dimension %u, allowed are 1 to %d", out->dim,
                         LIMIT_DIM);
    if (!size_mul(out->count, out->dim, &components) ||
        !size_mul(components, sizeof(float), &bytes) || bytes != reader_left(&r))
        return error_set(err, LYNSE_CORRUPT,
                         "record: %zu rows of dimension %u do not fill %zu bytes", out->count,
                         out->dim, reader_left(&r));
    out->vectors = r.at;
    return check_finite(out->vectors, components, err);
}

static int decode_documents(const struct tagged_field *f, struct record_view *out,
                            struct error *err)
{
    struct reader r = reader_of(f->data);
    uint32_t last = 0;

    if (f->number != out->count)
        return error_set(err, LYNSE_CORRUPT, "record: %u documents for %zu rows", f->number,
                         out->count);
    struct slice ends = reader_take(&r, (out->count + 1) * sizeof(uint32_t));
    if (r.failed || load_u32(ends.data) != 0)
        return error_set(err, LYNSE_CORRUPT, "record: damaged offsets of documents");
    out->documents = slice_of(r.at, reader_left(&r));
    for (size_t i = 1; i <= out->count; i++) {
        uint32_t end = load_u32(ends.data + i * sizeof(uint32_t));
        if (end < last || end > out->documents.size + PLANTED(RECORD_DOCUMENT_END))
            return error_set(err, LYNSE_CORRUPT, "record: document %zu ends outside its field",
                             i - 1);
        if (end > last &&
            document_check(slice_of(out->documents.data + last, end - last), err) != 0) {
            if (err && err->code != LYNSE_NO_MEMORY) err->code = LYNSE_CORRUPT;
            return error_wrap(err, "record: document %zu", i - 1);
        }
        last = end;
    }
    if (last != out->documents.size)
        return error_set(err, LYNSE_CORRUPT, "record: bytes behind the last document");
    out->document_ends = ends.data;
    return 0;
}

static int decode_versions(const struct tagged_field *f, struct record_view *out, struct error *err)
{
    if (f->number != out->count || f->data.size != out->count * sizeof(uint64_t))
        return error_set(err, LYNSE_CORRUPT, "record: %zu bytes of versions for %zu rows",
                         f->data.size, out->count);
    out->versions = f->data.data;
    return 0;
}

static int decode_request_id(const struct tagged_field *f, struct record_view *out,
                             struct error *err)
{
    struct reader r = reader_of(f->data);

    request_stamp_read(&out->request, &r);
    if (f->number == 0 && f->data.size == REQUEST_STAMP_BYTES &&
        !request_stamp_is_none(&out->request))
        return 0;
    return error_set(err, LYNSE_CORRUPT, "record: damaged request id of %zu bytes", f->data.size);
}

struct record_field {
    const char *name;
    int (*decode)(const struct tagged_field *f, struct record_view *out, struct error *err);
};
static const struct record_field fields[] = {
#define RECORD_FIELD_ENTRY(tag, number, field) [number] = {#field, decode_##field},
    RECORD_FIELDS(RECORD_FIELD_ENTRY)
#undef RECORD_FIELD_ENTRY
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

/* By number; gaps are no row kinds. */
static const struct {
    const char *name;
    enum record_tag must_have;
} kinds[] = {
#define RECORD_KIND_ENTRY(name, number, kind, must_have) [number] = {#kind, RECORD_##must_have},
    RECORD_ROW_KINDS(RECORD_KIND_ENTRY)
#undef RECORD_KIND_ENTRY
};

/* *seen: a bit for each tag that stood before. */
static int decode_field(const struct tagged_field *f, uint32_t *seen, struct record_view *out,
                        struct error *err)
{
    if (f->tag != RECORD_IDS && out->count == 0)
        return error_set(err, LYNSE_CORRUPT, "record: ids do not come first");
    if (f->tag >= FIELD_COUNT || !fields[f->tag].decode) return tagged_unknown(f, "record", err);
    if (*seen & 1u << f->tag)
        return error_set(err, LYNSE_CORRUPT, "record: %s stand twice", fields[f->tag].name);
    *seen |= 1u << f->tag;
    return fields[f->tag].decode(f, out, err);
}

int record_decode(enum record_kind kind, struct slice payload, struct record_view *out,
                  struct error *err)
{
    struct reader r = reader_of(payload);
    struct tagged_field field;
    uint32_t seen = 0;
    int more;

    CHECK(record_kind_has_rows(kind));
    memset(out, 0, sizeof *out);
    out->kind = kind;
    while ((more = tagged_next(&r, "record", &field, err)) == 1)
        if (decode_field(&field, &seen, out, err) != 0) return -1;
    if (more < 0) return -1;
    if (out->count == 0) return error_set(err, LYNSE_CORRUPT, "record: has no ids");
    if (!(seen & 1u << kinds[kind].must_have))
        return error_set(err, LYNSE_CORRUPT, "record: %s without %s", kinds[kind].name,
                         fields[kinds[kind].must_have].name);
    return 0;
}

struct slice record_document(const struct record_view *r, size_t i)
{
    if (!r->document_ends) return slice_of(NULL, 0);
    uint32_t begin = load_u32(r->document_ends + i * sizeof(uint32_t));
    uint32_t end = load_u32(r->document_ends + (i + 1) * sizeof(uint32_t));
    return slice_of(r->documents.data + begin, end - begin);
}
