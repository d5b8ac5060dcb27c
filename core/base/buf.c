/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c — growth by doubling, and one place where it can fail: buf_reserve. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"

enum { CAPACITY_MIN = 64 };

void buf_init(struct buf *b, struct alloc *a, enum mem_tag tag)
{
    *b = (struct buf){.alloc = a, .tag = tag};
}

void buf_deinit(struct buf *b)
{
    if (b->data) mem_free(b->alloc, b->data);
    *b = (struct buf){.alloc = b->alloc, .tag = b->tag};
}

void buf_reset(struct buf *b)
{
    b->size = 0;
    b->failed = false;
}

bool buf_reserve(struct buf *b, size_t more)
{
    if (b->failed) return false;
    if (more <= b->capacity - b->size) return true;

    size_t needed;
    bool fits = size_add(b->size, more, &needed);
    size_t capacity = b->capacity < CAPACITY_MIN / 2 ? CAPACITY_MIN : b->capacity * 2;
    if (fits && capacity < needed) capacity = needed;
    uint8_t *data = fits ? (uint8_t *)mem_resize(b->alloc, b->tag, b->data, capacity) : NULL;
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

uint8_t *buf_extend(struct buf *b, size_t n)
{
    /* A byte at least, so that extending by nothing gives a place too and not NULL. */
    if (!buf_reserve(b, n ? n : 1)) return NULL;
    uint8_t *place = b->data + b->size;
    b->size += n;
    return place;
}

void buf_append(struct buf *b, const void *data, size_t n)
{
    uint8_t *place = buf_extend(b, n);
    if (place && n) memcpy(place, data, n);
}

void buf_append_zeros(struct buf *b, size_t n)
{
    uint8_t *place = buf_extend(b, n);
    if (place && n) memset(place, 0, n);
}

void buf_append_u8(struct buf *b, uint8_t v)
{
    buf_append(b, &v, sizeof v);
}

void buf_append_u16(struct buf *b, uint16_t v)
{
    uint8_t *place = buf_extend(b, sizeof v);
    if (place) store_u16(place, v);
}

void buf_append_u32(struct buf *b, uint32_t v)
{
    uint8_t *place = buf_extend(b, sizeof v);
    if (place) store_u32(place, v);
}

void buf_append_u64(struct buf *b, uint64_t v)
{
    uint8_t *place = buf_extend(b, sizeof v);
    if (place) store_u64(place, v);
}

void buf_append_text(struct buf *b, const char *format, ...)
{
    if (b->failed) return;
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = b->capacity - b->size;
    int size = vsnprintf(room ? (char *)b->data + b->size : NULL, room, format, args);
    CHECK(size >= 0);
    /* vsnprintf wants room for a NUL, which is not part of the buffer. */
    if ((size_t)size >= room && buf_reserve(b, (size_t)size + 1))
        vsnprintf((char *)b->data + b->size, (size_t)size + 1, format, again);
    if (!b->failed) b->size += (size_t)size;
    va_end(again);
    va_end(args);
}

void buf_align(struct buf *b, size_t align)
{
    CHECK(align != 0 && (align & (align - 1)) == 0);
    buf_append_zeros(b, align_up(b->size, align) - b->size);
}

uint8_t *buf_take(struct buf *b, size_t *out_size)
{
    uint8_t *data = b->failed ? NULL : b->data;
    if (out_size) *out_size = b->failed ? 0 : b->size;
    if (b->failed) return NULL;
    *b = (struct buf){.alloc = b->alloc, .tag = b->tag};
    return data;
}
