/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h — little-endian fields, and the one bounds-checked reader for bytes from outside.
 *
 * load and store take unaligned pointers.  `struct reader` walks untrusted bytes: a read past the
 * end returns false, sets `failed` and leaves the output zero, so a parser may read a whole record
 * and test once (P9).
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"
#include "base/slice.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Files and wire are little-endian; a big-endian port has to swap here."
#endif

#define BYTES_LOAD_STORE(name, type)                                                               \
    static inline type load_##name(const void *from)                                               \
    {                                                                                              \
        type v;                                                                                    \
        memcpy(&v, from, sizeof v);                                                                \
        return v;                                                                                  \
    }                                                                                              \
    static inline void store_##name(void *to, type v)                                              \
    {                                                                                              \
        memcpy(to, &v, sizeof v);                                                                  \
    }
BYTES_LOAD_STORE(u16, uint16_t)
BYTES_LOAD_STORE(u32, uint32_t)
BYTES_LOAD_STORE(u64, uint64_t)
BYTES_LOAD_STORE(i64, int64_t)
BYTES_LOAD_STORE(f32, float)
BYTES_LOAD_STORE(f64, double)
#undef BYTES_LOAD_STORE

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct reader reader_of(struct slice bytes)
{
    return (struct reader){bytes.data, bytes.size ? bytes.data + bytes.size : bytes.data, false};
}

static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

/* Take n bytes; {NULL, 0} and failed when fewer are left. */
static inline struct slice reader_take(struct reader *r, size_t n)
{
    if (r->failed || n > reader_left(r)) {
        r->failed = true;
        return (struct slice){NULL, 0};
    }
    struct slice s = {r->at, n};
    r->at += n;
    return s;
}

#define BYTES_READ(name, type)                                                                     \
    static inline bool read_##name(struct reader *r, type *out)                                    \
    {                                                                                              \
        struct slice s = reader_take(r, sizeof(type));                                             \
        *out = 0;                                                                                  \
        if (r->failed) return false;                                                               \
        memcpy(out, s.data, sizeof(type));                                                         \
        return true;                                                                               \
    }
BYTES_READ(u8, uint8_t)
BYTES_READ(u16, uint16_t)
BYTES_READ(u32, uint32_t)
BYTES_READ(u64, uint64_t)
BYTES_READ(i64, int64_t)
#undef BYTES_READ

/* a * b and a + b for sizes from outside; false on overflow. */
static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Up to the next multiple of a power of two. */
static inline size_t align_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

/* Where so many bytes begin that are put at *end, which is for vectors, and is so behind them. */
static inline size_t take_aligned(size_t *end, size_t bytes)
{
    size_t at = *end;
    *end = align_up(at + bytes, ALIGN_VECTOR);
    return at;
}

static inline bool bytes_are_zero(const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    for (size_t i = 0; i < size; i++)
        if (p[i] != 0) return false;
    return true;
}

#endif
