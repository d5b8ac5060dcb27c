/* SPDX-License-Identifier: Apache-2.0 */
/* records_binary.h — the body of /add_records_binary: vectors, ids and fields, all little-endian.
 *
 *   vectors   row_count x dim, float32 or float16
 *   ids       row_count u64; or nothing: ids_start, ids_start + 1, …
 *   fields    the rest, or nothing: "LDBF1", u32 row_count; of each row u8 whether it has fields,
 *             1: an object; an object is u32 count, then each u32 length, key, value; a value is a
 *             tag and 0 null, 1 false, 2 true, 3 i64, 4 u64, 5 f64, 6 u32 length and text, 7 u32
 *             count and values, 8 an object
 *
 * Bytes from outside: whatever they are, what is allocated is a small multiple of them.  What is
 * read lives in the arena.  Any thread.
 */
#ifndef SERVER_RECORDS_BINARY_H
#define SERVER_RECORDS_BINARY_H

#include <lynse.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "server/vector_codec.h"

struct records_shape {
    uint32_t dim;     /* 1..LIMIT_DIM */
    size_t row_count; /* 1..LIMIT_BATCH_ROWS */
    enum vector_encoding encoding;
    bool is_range; /* ids are ids_start, … */
    uint64_t ids_start;
};

struct records {
    const struct lynse_id *ids;
    const float *vectors;
    const struct lynse_bytes *fields; /* msgpack maps, size 0: none for that row; NULL: no block */
};

/* The vectors at the beginning of *bytes, which moves behind them.
 * err INVALID: too few bytes; NO_MEMORY. */
int records_read_vectors(const struct records_shape *shape, struct slice *bytes,
                         struct arena *arena, const float **out, struct error *err);
/* All of it.  err INVALID: too few bytes, or too many, or no such tag; LIMIT: nesting over
 * LIMIT_DOC_DEPTH; NO_MEMORY. */
int records_read(const struct records_shape *shape, struct slice bytes, struct arena *arena,
                 struct records *out, struct error *err);

#endif
