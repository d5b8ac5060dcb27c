/* SPDX-License-Identifier: Apache-2.0 */
/* doc_writer.c — the documents part of a new segment (FORMAT.md 7).
 *
 * WHAT        Documents are gathered into blocks of up to DOC_BLOCK_BYTES, their table included; a
 *             larger document has a block of its own.
 * THREADS     One job.
 * FAILURE     After an error the writer is destroyed, which leaves no file.
 */
#include "base/check.h"
#include "codec/block.h"
#include "store/doc_file.h"
#include "store/doc_layout.h"

struct doc_writer {
    struct alloc *alloc;
    struct part_writer *part;
    struct block_codec *codec;
    uint64_t row_count; /* promised */
    uint64_t added;     /* rows so far */
    uint32_t count;     /* documents gathered */
    uint64_t offset;    /* in BLOCKS, of the block that is gathered */
    struct buf ends;    /* u32 each, of the documents gathered */
    struct buf documents;
    struct buf raw;    /* a block before, */
    struct buf framed; /* and after compression */
    struct buf index;
};

int doc_writer_create(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                      const struct uuid *segment, uint64_t row_count, struct rng *rng,
                      struct doc_writer **out, struct error *err)
{
    CHECK(row_count >= 1 && row_count < UINT32_MAX);
    struct doc_writer *w = (struct doc_writer *)mem_zalloc(a, MEM_GENERAL, sizeof *w);
    if (!w) return error_no_memory(err, sizeof *w);
    w->alloc = a;
    w->row_count = row_count;
    buf_init(&w->ends, a, MEM_GENERAL);
    buf_init(&w->documents, a, MEM_GENERAL);
    buf_init(&w->raw, a, MEM_GENERAL);
    buf_init(&w->framed, a, MEM_GENERAL);
    buf_init(&w->index, a, MEM_GENERAL);
    if (block_codec_create(a, &w->codec, err) != 0 ||
        part_writer_create(a, dir, owner, segment, PART_DOCUMENTS, 0, row_count, rng, &w->part,
                           err) != 0 ||
        part_writer_begin(w->part, SECTION_BLOCKS, 0, 0, err) != 0) {
        doc_writer_destroy(w);
        return -1;
    }
    *out = w;
    return 0;
}

static void add_index_entry(struct doc_writer *w, uint32_t bytes, uint64_t first_row)
{
    buf_append_u64(&w->index, w->offset);
    buf_append_u32(&w->index, bytes);
    buf_append_u32(&w->index, (uint32_t)first_row);
}

/* Compress and write the documents gathered, if any. */
static int flush_block(struct doc_writer *w, struct error *err)
{
    if (w->count == 0) return 0;
    buf_reset(&w->raw);
    buf_reset(&w->framed);
    buf_append_u32(&w->raw, w->count);
    buf_append_u32(&w->raw, 0);
    buf_append(&w->raw, w->ends.data, w->ends.size);
    buf_append(&w->raw, w->documents.data, w->documents.size);
    if (!buf_ok(&w->ends) || !buf_ok(&w->documents) || !buf_ok(&w->raw))
        return error_no_memory(err, w->raw.size);
    if (block_encode(w->codec, buf_slice(&w->raw), &w->framed, err) != 0) return -1;
    if (part_writer_write(w->part, w->framed.data, w->framed.size, err) != 0) return -1;
    add_index_entry(w, (uint32_t)w->framed.size, w->added - w->count);
    w->offset += w->framed.size;
    w->count = 0;
    buf_reset(&w->ends);
    buf_reset(&w->documents);
    return 0;
}

/* Raw bytes of a block of so many documents. */
static size_t raw_bytes(size_t count, size_t document_bytes)
{
    return DOC_BLOCK_TABLE + (count + 1) * 4 + document_bytes;
}

int doc_writer_add(struct doc_writer *w, struct slice document, struct error *err)
{
    CHECK(w->added < w->row_count);
    if (document.size > LIMIT_DOC_BYTES)
        return error_set(err, LYNSE_TOO_LARGE, "document of %zu bytes is over the limit of %d",
                         document.size, LIMIT_DOC_BYTES);
    size_t bytes = raw_bytes((size_t)w->count + 1, w->documents.size + document.size);
    if (bytes > DOC_BLOCK_BYTES && flush_block(w, err) != 0) return -1;
    buf_append(&w->documents, document.data, document.size);
    buf_append_u32(&w->ends, (uint32_t)w->documents.size);
    if (!buf_ok(&w->documents) || !buf_ok(&w->ends)) return error_no_memory(err, document.size);
    w->count++;
    w->added++;
    return 0;
}

int doc_writer_finish(struct doc_writer *w, struct manifest_part *out_part, struct error *err)
{
    CHECK(w->added == w->row_count);
    if (flush_block(w, err) != 0 || part_writer_end(w->part, err) != 0) return -1;
    add_index_entry(w, 0, w->row_count);
    if (!buf_ok(&w->index)) return error_no_memory(err, w->index.size);
    if (part_writer_begin(w->part, SECTION_BLOCK_INDEX, DOC_INDEX_ENTRY_BYTES, 0, err) != 0 ||
        part_writer_write(w->part, w->index.data, w->index.size, err) != 0 ||
        part_writer_end(w->part, err) != 0)
        return -1;
    return part_writer_finish(w->part, 0, out_part, err);
}

void doc_writer_destroy(struct doc_writer *w)
{
    if (!w) return;
    part_writer_destroy(w->part);
    block_codec_destroy(w->codec);
    buf_deinit(&w->ends);
    buf_deinit(&w->documents);
    buf_deinit(&w->raw);
    buf_deinit(&w->framed);
    buf_deinit(&w->index);
    mem_free(w->alloc, w);
}
