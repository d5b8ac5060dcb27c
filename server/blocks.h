/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.h — ids, vectors and documents of a request, from msgpack or raw bytes to the structs of
 * lynse.h.
 *
 * What is read points into the arena, or into the params, which must live as long.  Errors do not
 * name the argument: the caller wraps them.  Any thread.
 */
#ifndef SERVER_BLOCKS_H
#define SERVER_BLOCKS_H

#include "base/arena.h"
#include "base/error.h"
#include "codec/value.h"
#include "server/arguments.h"
#include "server/vector_codec.h"

/* One id, a list of ids, or a bin of u64, little-endian.  err INVALID, LIMIT, NO_MEMORY. */
int block_read_ids(struct block *block, const struct value *v, struct arena *arena,
                   struct error *err);
/* VECTOR: a list of numbers, or a bin of f32, little-endian.  VECTORS: a list of those; or a bin,
 * whose dim is not known yet (dim 0, count the number of floats: vectors_split); or a map
 * { dtype = "float32" or "float16", shape = [rows, dim], data = bin }.
 * err INVALID, DIMENSION: a row that is unlike the first, LIMIT, NO_MEMORY. */
int block_read_vectors(struct block *block, const struct value *v, struct arena *arena,
                       struct error *err);
/* A list of maps and nulls.  err INVALID, LIMIT, NO_MEMORY. */
int block_read_documents(struct block *block, const struct value *v, struct arena *arena,
                         struct error *err);

/* One map: a block of one document.  err INVALID, NO_MEMORY. */
int block_read_document(struct block *block, const struct value *v, struct arena *arena,
                        struct error *err);
/* A bin, which is not copied.  err INVALID. */
int block_read_body(struct block *block, const struct value *v, struct error *err);

#endif
