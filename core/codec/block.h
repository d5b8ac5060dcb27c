/* SPDX-License-Identifier: Apache-2.0 */
/* block.h — a framed, checksummed block of bytes, compressed by zstd where that pays.
 *
 * LAYOUT  offset  size  field
 *              0     4  magic "LBk1"
 *              4     4  raw bytes
 *              8     4  stored bytes
 *             12     1  method: 0 stored as they are, 1 zstd
 *             13     3  zero
 *             16     8  XXH3-64 of the stored bytes
 *             24     …  stored bytes
 */
#ifndef CODEC_BLOCK_H
#define CODEC_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

enum { BLOCK_HEADER_BYTES = 24 };
#define BLOCK_RAW_BYTES_MAX (1u << 30) /* so that a frame's sizes fit 32 bits with room */

/* Compression contexts, kept between calls; made when first needed, from the given allocator
 * (MEM_CACHE).  One owner at a time; no thread safety. */
struct block_codec;
int block_codec_create(struct alloc *a, struct block_codec **out_codec, struct error *err);
void block_codec_destroy(struct block_codec *c); /* NULL is allowed */

/* This build can compress and read compressed blocks. */
bool block_has_zstd(void);

/* Append raw, framed; stored as it is when compression does not make it smaller.
 * err: LIMIT over BLOCK_RAW_BYTES_MAX, NO_MEMORY.  On error out has its old size. */
int block_encode(struct block_codec *c, struct slice raw, struct buf *out, struct error *err);

/* Append the raw bytes of the one block that `framed` is, exactly.  Reserves raw_max at most in
 * out, and only after the header and the checksum were found good.
 *
 * err  CORRUPT: names what is wrong; more raw bytes than raw_max too.  UNSUPPORTED: it is
 *      compressed and this build has no zstd.  NO_MEMORY.  On error out has its old size.
 */
int block_decode(struct block_codec *c, struct slice framed, size_t raw_max, struct buf *out,
                 struct error *err);

/* The size of the frame that `bytes` begins with, from its header alone.
 * err: CORRUPT when it is none or `bytes` end within it. */
int block_frame_bytes(struct slice bytes, size_t *out_bytes, struct error *err);

#endif
