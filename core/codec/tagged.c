/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tagged.h"

#include "base/check.h"

size_t tagged_bytes(size_t data_bytes)
{
    return TAGGED_HEADER_BYTES + align_up(data_bytes, 8);
}

size_t tagged_begin(struct buf *b, uint16_t tag, uint16_t flags, uint32_t number)
{
    size_t begin = b->size;

    CHECK(b->failed || begin % 8 == 0);
    buf_append_u16(b, tag);
    buf_append_u16(b, flags);
    buf_append_u32(b, number);
    buf_append_u64(b, 0);
    return begin;
}

void tagged_end(struct buf *b, size_t begin)
{
    tagged_end_around(b, begin, 0);
}

void tagged_end_around(struct buf *b, size_t begin, size_t left_out)
{
    if (!buf_ok(b)) return;
    CHECK(begin + TAGGED_HEADER_BYTES <= b->size && left_out % 8 == 0);
    store_u64(b->data + begin + 8, b->size - begin - TAGGED_HEADER_BYTES + left_out);
    buf_align(b, 8);
}

int tagged_next(struct reader *r, const char *what, struct tagged_field *out, struct error *err)
{
    uint64_t bytes = 0;

    if (reader_left(r) == 0) return 0;
    read_u16(r, &out->tag);
    read_u16(r, &out->flags);
    read_u32(r, &out->number);
    read_u64(r, &bytes);
    if (r->failed || bytes > reader_left(r))
        return error_set(err, LYNSE_CORRUPT, "%s: field %u is cut short", what, out->tag);
    out->data = reader_take(r, (size_t)bytes);
    size_t padding = align_up((size_t)bytes, 8) - (size_t)bytes;
    if (padding > reader_left(r))
        return error_set(err, LYNSE_CORRUPT, "%s: padding of field %u is cut short", what,
                         out->tag);
    struct slice zeros = reader_take(r, padding);
    if (padding > 0 && !bytes_are_zero(zeros.data, zeros.size))
        return error_set(err, LYNSE_CORRUPT, "%s: padding of field %u is not zero", what, out->tag);
    if ((out->flags & ~TAGGED_REQUIRED) != 0)
        return error_set(err, LYNSE_FORMAT_TOO_NEW, "%s: field %u has unknown flags 0x%x", what,
                         out->tag, out->flags);
    return 1;
}

int tagged_unknown(const struct tagged_field *f, const char *what, struct error *err)
{
    if (!(f->flags & TAGGED_REQUIRED)) return 0;
    return error_set(err, LYNSE_FORMAT_TOO_NEW,
                     "%s: field %u is required and unknown to this version", what, f->tag);
}
