/* SPDX-License-Identifier: Apache-2.0 */
/* records_binary.c — vectors and ids are copied; fields become msgpack in one pass.
 *
 * WHAT        Both encodings of fields say the count before the entries, so that each entry is
 *             written as soon as it is read: what is kept of an open array or object is how many
 *             values it still lacks.
 * INVARIANTS  (1) A value of msgpack takes at most the bytes that it took here, but for the head of
 *                 a container, which is never longer either: the arena gives as much as came.
 *             (2) A count is believed only as far as bytes follow: each entry reads some.
 * THREADS     Any.
 * FAILURE     An error with the offset within the fields.
 */
#include "server/records_binary.h"

#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "codec/msgpack.h"

enum {
    MAGIC_BYTES = 5,
    TAG_NULL = 0,
    TAG_FALSE,
    TAG_TRUE,
    TAG_I64,
    TAG_U64,
    TAG_F64,
    TAG_TEXT,
    TAG_ARRAY,
    TAG_OBJECT,
};

struct fields_level {
    uint32_t left; /* entries that are still to come */
    bool is_object;
};

struct fields_reader {
    const uint8_t *begin, *at, *end;
    struct buf out;
    struct fields_level levels[LIMIT_DOC_DEPTH];
    unsigned depth;
    struct error *err;
};

/* ---- Vectors and ids ---- */

int records_read_vectors(const struct records_shape *shape, struct slice *bytes,
                         struct arena *arena, const float **out, struct error *err)
{
    size_t count = shape->row_count * shape->dim;
    size_t size = count * (shape->encoding == VECTOR_ENCODING_F32 ? 4 : 2);

    if (size > bytes->size)
        return error_set(err, LYNSE_INVALID,
                         "Expected %zu encoded vector bytes (%zu vectors × %u dim), got %zu", size,
                         shape->row_count, shape->dim, bytes->size);
    if (vector_codec_copy(slice_of(bytes->data, size), shape->encoding, count, arena, out, err) !=
        0)
        return -1;
    *bytes = slice_of(bytes->data + size, bytes->size - size);
    return 0;
}

static int read_row_ids(const struct records_shape *shape, struct slice *bytes, struct arena *arena,
                        const struct lynse_id **out, struct error *err)
{
    size_t count = shape->row_count, size = shape->is_range ? 0 : count * sizeof(uint64_t);

    if (size > bytes->size)
        return error_set(err, LYNSE_INVALID, "Expected %zu bytes of ids (%zu ids), got %zu", size,
                         count, bytes->size);
    if (shape->is_range && shape->ids_start > LIMIT_INT_ID - count)
        return error_set(err, LYNSE_LIMIT, "ids_start: %zu ids from there pass the largest", count);
    struct lynse_id *ids = arena_alloc(arena, count * sizeof *ids);
    if (!ids) return error_no_memory(err, count * sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = (struct lynse_id){.number = shape->is_range ? shape->ids_start + i
                                                             : load_u64(bytes->data + i * 8)};
    *out = ids;
    *bytes = slice_of(bytes->data + size, bytes->size - size);
    return 0;
}

/* ---- Fields ---- */

static int refuse_fields(struct fields_reader *r, const char *what)
{
    return error_set(r->err, LYNSE_INVALID, "fields: %s, at byte %zu", what,
                     (size_t)(r->at - r->begin));
}

static bool has_bytes(const struct fields_reader *r, size_t bytes)
{
    return (size_t)(r->end - r->at) >= bytes;
}

static int read_count(struct fields_reader *r, uint32_t *out)
{
    if (!has_bytes(r, 4)) return refuse_fields(r, "cut short");
    *out = load_u32(r->at);
    r->at += 4;
    return 0;
}

static int copy_text(struct fields_reader *r)
{
    uint32_t size;

    if (read_count(r, &size) != 0) return -1;
    if (!has_bytes(r, size)) return refuse_fields(r, "a text is cut short");
    msgpack_write_text(&r->out, slice_of(r->at, size));
    r->at += size;
    return 0;
}

static int open_container(struct fields_reader *r, bool is_object)
{
    uint32_t count;

    if (read_count(r, &count) != 0) return -1;
    if (!has_bytes(r, count))
        return refuse_fields(r, "more entries are promised than bytes follow");
    if (r->depth == LIMIT_DOC_DEPTH)
        return error_set(r->err, LYNSE_LIMIT, "fields: nested deeper than %d", LIMIT_DOC_DEPTH);
    if (is_object) msgpack_write_map(&r->out, count);
    else msgpack_write_array(&r->out, count);
    r->levels[r->depth++] = (struct fields_level){count, is_object};
    return 0;
}

static int read_eight(struct fields_reader *r, uint8_t tag)
{
    double number;

    if (!has_bytes(r, 8)) return refuse_fields(r, "a number is cut short");
    uint64_t bits = load_u64(r->at);
    r->at += 8;
    memcpy(&number, &bits, sizeof number);
    if (tag == TAG_I64) msgpack_write_int(&r->out, (int64_t)bits);
    else if (tag == TAG_U64) msgpack_write_uint(&r->out, bits);
    else msgpack_write_float(&r->out, number);
    return 0;
}

static int read_tagged(struct fields_reader *r)
{
    if (!has_bytes(r, 1)) return refuse_fields(r, "cut short");
    uint8_t tag = *r->at++;
    switch (tag) {
    case TAG_NULL:
        msgpack_write_null(&r->out);
        return 0;
    case TAG_FALSE:
    case TAG_TRUE:
        msgpack_write_bool(&r->out, tag == TAG_TRUE);
        return 0;
    case TAG_I64:
    case TAG_U64:
    case TAG_F64:
        return read_eight(r, tag);
    case TAG_TEXT:
        return copy_text(r);
    case TAG_ARRAY:
    case TAG_OBJECT:
        return open_container(r, tag == TAG_OBJECT);
    default:
        r->at--;
        return refuse_fields(r, "there is no such tag of a value");
    }
}

/* One object with all that is in it. */
static int read_row_object(struct fields_reader *r)
{
    if (open_container(r, true) != 0) return -1;
    while (r->depth > 0) {
        struct fields_level *level = &r->levels[r->depth - 1];
        if (level->left == 0) {
            r->depth--;
            continue;
        }
        level->left--;
        if (level->is_object && copy_text(r) != 0) return -1;
        if (read_tagged(r) != 0) return -1;
    }
    return 0;
}

/* The rows' objects into r->out, and where each ends. */
static int read_flagged_rows(struct fields_reader *r, size_t row_count, size_t *ends)
{
    for (size_t i = 0; i < row_count; i++) {
        if (!has_bytes(r, 1)) return refuse_fields(r, "cut short");
        uint8_t flag = *r->at++;
        if (flag > 1) return refuse_fields(r, "whether a row has fields must be 0 or 1");
        if (flag == 1 && read_row_object(r) != 0) return error_wrap(r->err, "row %zu", i + 1);
        ends[i] = r->out.size;
    }
    if (r->at != r->end) return refuse_fields(r, "bytes are left behind the last row");
    return 0;
}

static int keep_rows(const struct buf *packed, const size_t *ends, size_t row_count,
                     struct arena *arena, const struct lynse_bytes **out, struct error *err)
{
    struct lynse_bytes *fields = arena_alloc(arena, row_count * sizeof *fields);
    uint8_t *data = arena_alloc(arena, packed->size + 1);
    size_t from = 0;

    if (!fields || !data || !buf_ok(packed)) return error_no_memory(err, packed->size);
    if (packed->size) memcpy(data, packed->data, packed->size);
    for (size_t i = 0; i < row_count; i++) {
        fields[i] = (struct lynse_bytes){data + from, ends[i] - from};
        from = ends[i];
    }
    *out = fields;
    return 0;
}

static int read_fields_block(size_t row_count, struct slice bytes, struct arena *arena,
                             const struct lynse_bytes **out, struct error *err)
{
    struct fields_reader r = {
        .begin = bytes.data, .at = bytes.data, .end = bytes.data + bytes.size, .err = err};
    uint32_t count = 0;

    if (!has_bytes(&r, MAGIC_BYTES) || memcmp(r.at, "LDBF1", MAGIC_BYTES) != 0)
        return refuse_fields(&r, "no LDBF1 where the block of fields begins");
    r.at += MAGIC_BYTES;
    if (read_count(&r, &count) != 0) return -1;
    if (count != row_count)
        return error_set(err, LYNSE_INVALID, "fields length must match vectors length: %u and %zu",
                         count, row_count);
    size_t *ends = arena_alloc(arena, row_count * sizeof *ends);
    if (!ends) return error_no_memory(err, row_count * sizeof *ends);
    buf_init(&r.out, arena->alloc, MEM_MESSAGE);
    int rc = read_flagged_rows(&r, row_count, ends);
    if (rc == 0) rc = keep_rows(&r.out, ends, row_count, arena, out, err);
    buf_deinit(&r.out);
    return rc;
}

int records_read(const struct records_shape *shape, struct slice bytes, struct arena *arena,
                 struct records *out, struct error *err)
{
    *out = (struct records){0};
    if (records_read_vectors(shape, &bytes, arena, &out->vectors, err) != 0) return -1;
    if (read_row_ids(shape, &bytes, arena, &out->ids, err) != 0) return -1;
    if (bytes.size == 0) return 0;
    return read_fields_block(shape->row_count, bytes, arena, &out->fields, err);
}
