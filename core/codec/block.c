/* SPDX-License-Identifier: Apache-2.0 */
/* block.c — frames, and the only place that knows zstd.
 *
 * WHAT        block_encode, block_decode, and a pair of zstd contexts kept for their next use.
 *             Contexts allocate through zstd's custom-memory interface, so that their megabyte
 *             counts against the database's budget; it is in zstd's static section, unchanged
 *             since 1.0, and every distribution's shared library exports it.
 * LAYOUT      block.h.
 * INVARIANTS  (1) Every byte of a frame is verified: the checksum covers the stored bytes, and a
 *                 header that passes its own checks agrees with what they decompress to.
 *             (2) Nothing is allocated for sizes that a header claims before the checksum of the
 *                 stored bytes is good and raw_max allows them.
 *             (3) Method 0 has equal sizes, method 1 a smaller stored one: a frame of given bytes,
 *                 level and zstd version is unique.
 * THREADS     A codec has one owner.
 * FAILURE     `out` keeps its old size; the codec stays usable.
 */
#include "codec/block.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"

#ifdef LYNSE_ZSTD
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>
#endif

enum { METHOD_STORED = 0, METHOD_ZSTD = 1 };
#define BLOCK_MAGIC 0x316b424cu /* "LBk1" */

struct block_header {
    uint32_t raw_bytes;
    uint32_t stored_bytes;
    uint8_t method;
    uint64_t checksum;
};

struct block_codec {
    struct alloc *alloc;
#ifdef LYNSE_ZSTD
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *decompressor;
#endif
};

/* ---- zstd ---- */

#ifdef LYNSE_ZSTD

/* Measured with zstd 1.5.4 on 16 KiB blocks of JSON-like documents of 1 KiB, one 2.x GHz core:
 * level 1: ratio 2.68, 229 MB/s; level 3: 2.72, 163 MB/s; level 6: 2.82, 46 MB/s.  All of them
 * decompress at 600..900 MB/s.  A block is too small for the higher levels to find more. */
enum { COMPRESSION_LEVEL = 1 };

bool block_has_zstd(void)
{
    return true;
}

static void *zstd_alloc(void *ctx, size_t bytes)
{
    return mem_alloc(ctx, MEM_CACHE, bytes);
}
static void zstd_free(void *ctx, void *block)
{
    mem_free(ctx, block);
}

static ZSTD_customMem custom_memory(const struct block_codec *c)
{
    return (ZSTD_customMem){zstd_alloc, zstd_free, c->alloc};
}

static void free_contexts(struct block_codec *c)
{
    ZSTD_freeCCtx(c->compressor);
    ZSTD_freeDCtx(c->decompressor);
}

/* Compressed bytes of raw into `to`; 0 when they would not be fewer than raw. */
static int compress(struct block_codec *c, struct slice raw, uint8_t *to, size_t *out_size,
                    struct error *err)
{
    *out_size = 0;
    if (raw.size < 2) return 0;
    if (!c->compressor) c->compressor = ZSTD_createCCtx_advanced(custom_memory(c));
    if (!c->compressor) return error_no_memory(err, sizeof *c);
    size_t n =
        ZSTD_compressCCtx(c->compressor, to, raw.size - 1, raw.data, raw.size, COMPRESSION_LEVEL);
    if (!ZSTD_isError(n)) {
        *out_size = n;
        return 0;
    }
    switch (ZSTD_getErrorCode(n)) {
    case ZSTD_error_dstSize_tooSmall:
        return 0;
    case ZSTD_error_memory_allocation:
        return error_no_memory(err, raw.size);
    default:
        return error_set(err, LYNSE_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
    }
}

static int decompress(struct block_codec *c, struct slice stored, uint8_t *to, size_t raw_bytes,
                      struct error *err)
{
    if (!c->decompressor) c->decompressor = ZSTD_createDCtx_advanced(custom_memory(c));
    if (!c->decompressor) return error_no_memory(err, sizeof *c);
    size_t n = ZSTD_decompressDCtx(c->decompressor, to, raw_bytes, stored.data, stored.size);
    if (ZSTD_isError(n)) {
        if (ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
            return error_no_memory(err, raw_bytes);
        return error_set(err, LYNSE_CORRUPT, "block: zstd cannot decompress it: %s",
                         ZSTD_getErrorName(n));
    }
    if (n != raw_bytes)
        return error_set(err, LYNSE_CORRUPT, "block: %zu bytes decompressed, its header says %zu",
                         n, raw_bytes);
    return 0;
}

#else

bool block_has_zstd(void)
{
    return false;
}

static void free_contexts(struct block_codec *c)
{
    (void)c;
}

static int compress(struct block_codec *c, struct slice raw, uint8_t *to, size_t *out_size,
                    struct error *err)
{
    (void)c;
    (void)raw;
    (void)to;
    (void)err;
    *out_size = 0;
    return 0;
}

static int decompress(struct block_codec *c, struct slice stored, uint8_t *to, size_t raw_bytes,
                      struct error *err)
{
    (void)c;
    (void)stored;
    (void)to;
    (void)raw_bytes;
    return error_set(err, LYNSE_UNSUPPORTED,
                     "block: compressed with zstd, and this build has no zstd");
}

#endif

/* ---- Codec ---- */

int block_codec_create(struct alloc *a, struct block_codec **out_codec, struct error *err)
{
    struct block_codec *c = mem_zalloc(a, MEM_CACHE, sizeof *c);
    if (!c) return error_no_memory(err, sizeof *c);
    c->alloc = a;
    *out_codec = c;
    return 0;
}

void block_codec_destroy(struct block_codec *c)
{
    if (!c) return;
    free_contexts(c);
    mem_free(c->alloc, c);
}

/* ---- Frames ---- */

static void write_header(uint8_t to[BLOCK_HEADER_BYTES], const struct block_header *h)
{
    memset(to, 0, BLOCK_HEADER_BYTES);
    store_u32(to, BLOCK_MAGIC);
    store_u32(to + 4, h->raw_bytes);
    store_u32(to + 8, h->stored_bytes);
    to[12] = h->method;
    store_u64(to + 16, h->checksum);
}

/* The header that bytes begin with, every field within its bounds. */
static int read_header(struct slice bytes, struct block_header *out, struct error *err)
{
    if (bytes.size < BLOCK_HEADER_BYTES)
        return error_set(err, LYNSE_CORRUPT, "block: %zu bytes are less than its header",
                         bytes.size);
    const uint8_t *p = bytes.data;
    struct block_header h = {
        .raw_bytes = load_u32(p + 4),
        .stored_bytes = load_u32(p + 8),
        .method = p[12],
        .checksum = load_u64(p + 16),
    };
    if (load_u32(p) != BLOCK_MAGIC)
        return error_set(err, LYNSE_CORRUPT, "block: magic 0x%08x, expected 0x%08x", load_u32(p),
                         BLOCK_MAGIC);
    if (h.method > METHOD_ZSTD)
        return error_set(err, LYNSE_CORRUPT, "block: unknown method %u", h.method);
    if (!bytes_are_zero(p + 13, 3))
        return error_set(err, LYNSE_CORRUPT, "block: reserved bytes of its header are not zero");
    if (h.raw_bytes > BLOCK_RAW_BYTES_MAX)
        return error_set(err, LYNSE_CORRUPT, "block: %u raw bytes are over %u", h.raw_bytes,
                         BLOCK_RAW_BYTES_MAX);
    bool fits = h.method == METHOD_STORED ? h.stored_bytes == h.raw_bytes
                                          : h.stored_bytes < h.raw_bytes; /* (3) */
    if (!fits)
        return error_set(err, LYNSE_CORRUPT,
                         "block: %u stored bytes and %u raw ones contradict method %u",
                         h.stored_bytes, h.raw_bytes, h.method);
    *out = h;
    return 0;
}

int block_frame_bytes(struct slice bytes, size_t *out_bytes, struct error *err)
{
    struct block_header h;
    if (read_header(bytes, &h, err) != 0) return -1;
    if (h.stored_bytes > bytes.size - BLOCK_HEADER_BYTES)
        return error_set(err, LYNSE_CORRUPT, "block: %u stored bytes, %zu are there",
                         h.stored_bytes, bytes.size - BLOCK_HEADER_BYTES);
    *out_bytes = BLOCK_HEADER_BYTES + (size_t)h.stored_bytes;
    return 0;
}

int block_encode(struct block_codec *c, struct slice raw, struct buf *out, struct error *err)
{
    size_t before = out->size;
    size_t stored_bytes;

    if (raw.size > BLOCK_RAW_BYTES_MAX)
        return error_set(err, LYNSE_LIMIT, "block: %zu bytes are over the limit of %u", raw.size,
                         BLOCK_RAW_BYTES_MAX);
    uint8_t *frame = buf_extend(out, BLOCK_HEADER_BYTES + raw.size);
    if (!frame) return error_no_memory(err, BLOCK_HEADER_BYTES + raw.size);
    if (compress(c, raw, frame + BLOCK_HEADER_BYTES, &stored_bytes, err) != 0) {
        out->size = before;
        return -1;
    }
    struct block_header h = {.raw_bytes = (uint32_t)raw.size, .method = METHOD_ZSTD};
    if (stored_bytes == 0) {
        h.method = METHOD_STORED;
        stored_bytes = raw.size;
        if (raw.size) memcpy(frame + BLOCK_HEADER_BYTES, raw.data, raw.size);
    }
    h.stored_bytes = (uint32_t)stored_bytes;
    h.checksum = hash_xxh3_64(frame + BLOCK_HEADER_BYTES, stored_bytes);
    write_header(frame, &h);
    out->size = before + BLOCK_HEADER_BYTES + stored_bytes;
    return 0;
}

int block_decode(struct block_codec *c, struct slice framed, size_t raw_max, struct buf *out,
                 struct error *err)
{
    size_t before = out->size;
    struct block_header h;
    size_t frame_bytes;

    if (read_header(framed, &h, err) != 0) return -1;
    if (block_frame_bytes(framed, &frame_bytes, err) != 0) return -1;
    if (frame_bytes != framed.size)
        return error_set(err, LYNSE_CORRUPT, "block: %zu bytes behind its end",
                         framed.size - frame_bytes);
    struct slice stored = slice_of(framed.data + BLOCK_HEADER_BYTES, h.stored_bytes);
    if (hash_xxh3_64(stored.data, stored.size) != h.checksum)
        return error_set(err, LYNSE_CORRUPT, "block: the checksum of %u stored bytes is wrong",
                         h.stored_bytes);
    if (h.raw_bytes > raw_max)
        return error_set(err, LYNSE_CORRUPT, "block: %u raw bytes, %zu at most can be right here",
                         h.raw_bytes, raw_max);
    uint8_t *to = buf_extend(out, h.raw_bytes);
    if (!to) return error_no_memory(err, h.raw_bytes);
    if (h.method == METHOD_STORED) {
        memcpy(to, stored.data, stored.size);
        return 0;
    }
    if (decompress(c, stored, to, h.raw_bytes, err) == 0) return 0;
    out->size = before;
    return -1;
}
