/* SPDX-License-Identifier: Apache-2.0 */
/* doc_file.c — reads documents of a sealed segment.
 *
 * WHAT        The block of a row is found by bisection in BLOCK_INDEX, decoded once, checked once
 *             and kept in the cache.
 * LAYOUT      FORMAT.md 7; doc_layout.h.
 * INVARIANTS  (1) An index entry is used together with the next one: its block ends where that
 *                 begins, and its rows too.
 *             (2) A block in the cache has as many documents as the index says, with ends in order
 *                 and within it.
 * THREADS     Any.
 * FAILURE     CORRUPT for what is damaged; other documents can still be read.
 */
#include "base/bytes.h"
#include "base/planted.h"
#include "codec/msgpack.h"
#include "store/doc_cache.h"
#include "store/doc_layout.h"

struct doc_file {
    struct alloc *alloc;
    struct part_file *part;
    struct doc_cache *cache;
    uint64_t number; /* in the cache */
    uint32_t row_count;
    uint32_t block_count;
    const struct part_section *blocks;
    const struct part_section *index;
};

struct index_entry {
    uint64_t offset;
    uint32_t bytes;
    uint32_t first_row;
};

/* ---- Opening ---- */

static int find_sections(struct doc_file *f, struct error *err)
{
    f->blocks = part_file_section(f->part, SECTION_BLOCKS);
    f->index = part_file_section(f->part, SECTION_BLOCK_INDEX);
    uint64_t entries = f->index ? f->index->bytes / DOC_INDEX_ENTRY_BYTES : 0;
    if (!f->blocks || !f->index || f->index->element_bytes != DOC_INDEX_ENTRY_BYTES ||
        entries < 2 || entries - 1 > f->row_count)
        return error_set(err, LYNSE_CORRUPT, "'%s': an index of %llu entries for %u rows",
                         part_file_name(f->part), (unsigned long long)entries, f->row_count);
    f->block_count = (uint32_t)(entries - 1);
    return 0;
}

int doc_file_open(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                  const struct uuid *segment, const struct manifest_part *expect,
                  uint64_t row_count, struct doc_cache *cache, struct doc_file **out,
                  struct error *err)
{
    if (row_count == 0 || row_count >= UINT32_MAX)
        return error_set(err, LYNSE_CORRUPT, "a segment cannot have %llu rows",
                         (unsigned long long)row_count);
    struct doc_file *f = (struct doc_file *)mem_zalloc(a, MEM_SEGMENT, sizeof *f);
    if (!f) return error_no_memory(err, sizeof *f);
    f->alloc = a;
    f->cache = cache;
    f->row_count = (uint32_t)row_count;
    if (part_file_open(a, dir, owner, segment, expect, 0, row_count, &f->part, err) != 0 ||
        find_sections(f, err) != 0) {
        part_file_close(f->part);
        mem_free(a, f);
        return -1;
    }
    f->number = doc_cache_add_file(cache);
    *out = f;
    return 0;
}

void doc_file_close(struct doc_file *f)
{
    if (!f) return;
    doc_cache_drop_file(f->cache, f->number);
    part_file_close(f->part);
    mem_free(f->alloc, f);
}

/* ---- The index ---- */

static int load_entry(struct doc_file *f, uint32_t i, struct index_entry *out, struct error *err)
{
    const void *at;
    uint64_t offset = (uint64_t)i * DOC_INDEX_ENTRY_BYTES;
    if (part_file_borrow(f->part, f->index, offset, DOC_INDEX_ENTRY_BYTES, &at, err) != 0)
        return -1;
    const uint8_t *bytes = (const uint8_t *)at;
    out->offset = load_u64(bytes + DOC_INDEX_AT_OFFSET);
    out->bytes = load_u32(bytes + DOC_INDEX_AT_BYTES);
    out->first_row = load_u32(bytes + DOC_INDEX_AT_FIRST_ROW);
    return 0;
}

/* The entries of block i and of the one behind it, which agree: (1). */
static int load_block_entry(struct doc_file *f, uint32_t i, struct index_entry *out,
                            struct index_entry *out_next, struct error *err)
{
    if (load_entry(f, i, out, err) != 0 || load_entry(f, i + 1, out_next, err) != 0) return -1;
    bool is_last = i + 1 == f->block_count;
    if (out->bytes > f->blocks->bytes || out->offset > f->blocks->bytes - out->bytes ||
        out->offset + out->bytes != out_next->offset || out->first_row >= out_next->first_row ||
        (i == 0 && (out->offset != 0 || out->first_row != 0)) ||
        (is_last && (out_next->offset != f->blocks->bytes || out_next->bytes != 0 ||
                     out_next->first_row != f->row_count)))
        return error_set(err, LYNSE_CORRUPT, "'%s': the index entry of block %u is damaged",
                         part_file_name(f->part), i);
    return 0;
}

static int find_block(struct doc_file *f, uint32_t row, uint32_t *out, struct error *err)
{
    uint32_t low = 0, high = f->block_count; /* the first row of `low` is at or before row */
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        struct index_entry e;
        if (load_entry(f, mid, &e, err) != 0) return -1;
        if (e.first_row <= row) low = mid;
        else high = mid;
    }
    *out = low;
    return 0;
}

/* ---- Blocks ---- */

static int check_block(struct doc_file *f, uint32_t i, struct slice raw, uint32_t count,
                       struct error *err)
{
    size_t table = DOC_BLOCK_TABLE + ((size_t)count + 1) * 4;
    bool is_good = raw.size >= table && load_u32(raw.data) == count &&
                   load_u32(raw.data + DOC_BLOCK_TABLE) == 0;
    for (uint32_t k = 1; is_good && k + PLANTED(SEGMENT_LAST_DOCUMENT) <= count; k++)
        is_good = load_u32(raw.data + DOC_BLOCK_TABLE + (size_t)k * 4) >=
                  load_u32(raw.data + DOC_BLOCK_TABLE + (size_t)k * 4 - 4);
    if (!is_good || load_u32(raw.data + table - 4) != raw.size - table)
        return error_set(err, LYNSE_CORRUPT, "'%s': the table of block %u is damaged",
                         part_file_name(f->part), i);
    return 0;
}

/* Decode block i into out, which is empty; (2). */
static int decode_block(struct doc_file *f, uint32_t i, const struct index_entry *e, uint32_t count,
                        struct buf *out, struct error *err)
{
    const void *framed;
    struct block_codec *codec;
    if (part_file_borrow(f->part, f->blocks, e->offset, e->bytes, &framed, err) != 0) return -1;
    if (doc_cache_take_codec(f->cache, &codec, err) != 0) return -1;
    int rc = block_decode(codec, slice_of(framed, e->bytes), DOC_BLOCK_RAW_MAX, out, err);
    doc_cache_return_codec(f->cache, codec);
    if (rc != 0) return error_wrap(err, "block %u of '%s'", i, part_file_name(f->part));
    return check_block(f, i, buf_slice(out), count, err);
}

static int load_block(struct doc_file *f, uint32_t i, const struct index_entry *e, uint32_t count,
                      struct doc_block **out, struct error *err)
{
    struct buf raw;
    size_t size = 0;

    buf_init(&raw, doc_cache_alloc(f->cache), MEM_CACHE);
    if (decode_block(f, i, e, count, &raw, err) != 0) {
        buf_deinit(&raw);
        return -1;
    }
    uint8_t *bytes = buf_take(&raw, &size);
    *out = doc_cache_insert(f->cache, f->number, i, bytes, size, err);
    return *out ? 0 : -1;
}

static struct slice document_at(struct slice raw, uint32_t count, uint32_t index)
{
    const uint8_t *ends = raw.data + DOC_BLOCK_TABLE;
    uint32_t from = load_u32(ends + (size_t)index * 4), to = load_u32(ends + (size_t)index * 4 + 4);
    return slice_of(ends + ((size_t)count + 1) * 4 + from, to - from);
}

int doc_file_get(struct doc_file *f, uint32_t row, struct doc_ref *out, struct error *err)
{
    uint32_t i;
    struct index_entry e, next;
    if (find_block(f, row, &i, err) != 0 || load_block_entry(f, i, &e, &next, err) != 0) return -1;
    if (row < e.first_row || row >= next.first_row)
        return error_set(err, LYNSE_CORRUPT, "'%s': no block has row %u", part_file_name(f->part),
                         row);
    uint32_t count = next.first_row - e.first_row;
    struct doc_block *block = doc_cache_find(f->cache, f->number, i);
    if (!block && load_block(f, i, &e, count, &block, err) != 0) return -1;
    *out = (struct doc_ref){
        .document = document_at(doc_block_bytes(block), count, row - e.first_row),
        .block = block,
        .cache = f->cache,
    };
    return 0;
}

static int verify_block(struct doc_file *f, uint32_t i, struct buf *raw, struct error *err)
{
    struct index_entry e, next;
    if (load_block_entry(f, i, &e, &next, err) != 0) return -1;
    uint32_t count = next.first_row - e.first_row;
    buf_reset(raw);
    if (decode_block(f, i, &e, count, raw, err) != 0) return -1;
    for (uint32_t k = 0; k < count; k++) {
        struct slice document = document_at(buf_slice(raw), count, k);
        struct error why = {0};
        if (document.size > 0 && document_check(document, &why) != 0)
            return error_set(err, LYNSE_CORRUPT, "'%s': the document of row %u: %s",
                             part_file_name(f->part), e.first_row + k, why.text);
    }
    return 0;
}

int doc_file_verify(struct doc_file *f, struct error *err)
{
    struct buf raw;
    if (part_file_verify(f->part, err) != 0) return -1;
    buf_init(&raw, f->alloc, MEM_GENERAL);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < f->block_count; i++) rc = verify_block(f, i, &raw, err);
    buf_deinit(&raw);
    return rc;
}
