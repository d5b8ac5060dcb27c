/* SPDX-License-Identifier: Apache-2.0 */
/* tagged.h — runs of tagged fields (FORMAT.md section 3): catalog, manifest, record payloads.
 *
 *   u16 tag, u16 flags, u32 number, u64 bytes, data, zeros to a multiple of 8
 */
#ifndef CODEC_TAGGED_H
#define CODEC_TAGGED_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

enum { TAGGED_HEADER_BYTES = 16, TAGGED_REQUIRED = 1 };

struct tagged_field {
    uint16_t tag;
    uint16_t flags;
    uint32_t number;
    struct slice data; /* borrowed from the run */
};

/* Begin a field, append its data to the buf, end it: the length and the padding follow by
 * themselves.  The run must start at a multiple of 8 of the buf.  Failure is the buf's. */
size_t tagged_begin(struct buf *b, uint16_t tag, uint16_t flags, uint32_t number);
void tagged_end(struct buf *b, size_t begin);
/* The same where `left_out` bytes of the data, a multiple of 8, are not in the buf. */
void tagged_end_around(struct buf *b, size_t begin, size_t left_out);
/* The bytes that a field with this much data takes. */
size_t tagged_bytes(size_t data_bytes);

/* Walk a run.  1: *out is the next field; 0: the end; -1: CORRUPT (what and where). Padding that
 * is not zero is CORRUPT.  A tag that the caller does not know is passed to tagged_unknown. */
int tagged_next(struct reader *r, const char *what, struct tagged_field *out, struct error *err);
/* 0 when the field may be skipped; -1 FORMAT_TOO_NEW when it is required. */
int tagged_unknown(const struct tagged_field *f, const char *what, struct error *err);

#endif
