/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h — a growable byte buffer that remembers its first failure.
 *
 * A run of appends needs one check at the end: after NO_MEMORY every further call does nothing
 * and buf_ok stays false.  One owner, no thread safety.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/slice.h"

struct buf {
    struct alloc *alloc;
    enum mem_tag tag;
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

void buf_init(struct buf *b, struct alloc *a, enum mem_tag tag);
void buf_deinit(struct buf *b); /* a zeroed buf is allowed */
void buf_reset(struct buf *b);  /* keeps the memory, clears size and failure */

static inline bool buf_ok(const struct buf *b)
{
    return !b->failed;
}
static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->data, b->size);
}

/* Room for `more` bytes beyond size; false (and failed) when there is none. */
bool buf_reserve(struct buf *b, size_t more);
/* Extend size by n and return the place, uninitialised; NULL on failure. */
uint8_t *buf_extend(struct buf *b, size_t n);
void buf_append(struct buf *b, const void *data, size_t n);
void buf_append_zeros(struct buf *b, size_t n);
void buf_append_u8(struct buf *b, uint8_t v);
void buf_append_u16(struct buf *b, uint16_t v);
void buf_append_u32(struct buf *b, uint32_t v);
void buf_append_u64(struct buf *b, uint64_t v);
void buf_append_text(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Zero bytes up to the next multiple of align (a power of two). */
void buf_align(struct buf *b, size_t align);
/* Give the bytes away (free with mem_free); the buf is empty afterwards.  *out_size may be NULL.
 * A failed buf gives NULL and 0, and stays failed. */
uint8_t *buf_take(struct buf *b, size_t *out_size);

#endif
