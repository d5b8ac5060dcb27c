/* SPDX-License-Identifier: Apache-2.0 */
/* part_writer.c — writes a segment part once, front to back.
 *
 * WHAT        Bytes of sections are gathered into checksum blocks; a full block is hashed and
 *             written.  Table, directory and footer follow at the end.
 * LAYOUT      FORMAT.md 7; part_layout.h.
 * INVARIANTS  (1) Byte i of the checksummed area (i = 0 is offset 128) is in block i / k; blocks
 *                 below block_count are hashed and written, the next one is being gathered.
 *             (2) The final name appears only after a successful sync and close (R5).
 * THREADS     One owner.
 * FAILURE     Any error: the writer is destroyed, which removes the tmp- file; there is nothing to
 *             try again (R9).
 */
#include "base/bytes.h"
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "os/path.h"
#include "store/part_file.h"
#include "store/part_layout.h"

struct part_writer {
    struct alloc *alloc;
    struct vfs_dir *dir;
    struct vfs_file *file; /* NULL once closed */
    struct uuid segment;
    enum part_kind kind;
    uint16_t field;
    bool has_tmp; /* a file of tmp_name is there */
    bool in_section;
    char tmp_name[TEMPORARY_NAME_BYTES];
    uint32_t section_count;
    struct part_section sections[PART_SECTIONS_MAX];
    uint64_t block_count; /* written */
    size_t block_used;    /* bytes gathered of the next one */
    uint8_t *block;       /* CHECKSUM_BLOCK_BYTES */
    struct buf tail;      /* header, table; then directory and footer: what the hash covers */
};

/* Offset in the file of the next byte. */
static uint64_t end_offset(const struct part_writer *w)
{
    return PART_HEADER_BYTES + w->block_count * CHECKSUM_BLOCK_BYTES + w->block_used;
}

static int write_header(struct part_writer *w, const struct file_owner *owner, uint64_t row_count,
                        struct error *err)
{
    uint8_t bytes[PART_HEADER_BYTES] = {0};
    struct file_header h;

    file_header_init(&h, MAGIC_SEGMENT, PART_HEADER_BYTES, owner, &w->segment);
    file_header_encode(&h, bytes);
    store_u32(bytes + PART_AT_KIND, w->kind);
    store_u32(bytes + PART_AT_FIELD, w->field);
    store_u64(bytes + PART_AT_ROWS, row_count);
    store_u32(bytes + PART_AT_BLOCK_BYTES, CHECKSUM_BLOCK_BYTES);
    store_u32(bytes + PART_AT_CRC, crc32c(0, bytes, PART_AT_CRC));
    buf_append(&w->tail, bytes, sizeof bytes);
    return vfs_write(w->file, 0, bytes, sizeof bytes, err);
}

int part_writer_create(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                       const struct uuid *segment, enum part_kind kind, uint16_t field,
                       uint64_t row_count, struct rng *rng, struct part_writer **out,
                       struct error *err)
{
    struct part_writer *w = (struct part_writer *)mem_zalloc(a, MEM_GENERAL, sizeof *w);
    if (!w) return error_no_memory(err, sizeof *w);
    w->alloc = a;
    w->dir = dir;
    w->segment = *segment;
    w->kind = kind;
    w->field = field;
    buf_init(&w->tail, a, MEM_GENERAL);

    temporary_name(w->tmp_name, rng);
    w->block = (uint8_t *)mem_alloc(a, MEM_GENERAL, CHECKSUM_BLOCK_BYTES);
    if (!w->block) {
        error_no_memory(err, CHECKSUM_BLOCK_BYTES);
    } else if (vfs_open(dir, w->tmp_name, VFS_WRITE | VFS_CREATE | VFS_WRITE_BEHIND, &w->file,
                        err) != 0) {
        w->file = NULL;
    } else {
        w->has_tmp = true;
        if (write_header(w, owner, row_count, err) == 0) {
            *out = w;
            return 0;
        }
    }
    part_writer_destroy(w);
    return -1;
}

/* Hash and write whole blocks, or the last one. */
static int write_blocks(struct part_writer *w, const uint8_t *data, size_t size, struct error *err)
{
    uint64_t offset = PART_HEADER_BYTES + w->block_count * CHECKSUM_BLOCK_BYTES;
    for (size_t at = 0; at < size; at += CHECKSUM_BLOCK_BYTES) {
        size_t bytes = size - at < CHECKSUM_BLOCK_BYTES ? size - at : CHECKSUM_BLOCK_BYTES;
        buf_append_u64(&w->tail, hash_xxh3_64(data + at, bytes));
        w->block_count++;
    }
    return vfs_write(w->file, offset, data, size, err);
}

static int put(struct part_writer *w, const uint8_t *data, size_t size, struct error *err)
{
    while (size > 0) {
        size_t bytes;
        if (w->block_used == 0 && size >= CHECKSUM_BLOCK_BYTES) {
            bytes = size - size % CHECKSUM_BLOCK_BYTES;
            if (write_blocks(w, data, bytes, err) != 0) return -1;
        } else {
            size_t room = CHECKSUM_BLOCK_BYTES - w->block_used;
            bytes = size < room ? size : room;
            memcpy(w->block + w->block_used, data, bytes);
            w->block_used += bytes;
            if (w->block_used == CHECKSUM_BLOCK_BYTES) {
                w->block_used = 0;
                if (write_blocks(w, w->block, CHECKSUM_BLOCK_BYTES, err) != 0) return -1;
            }
        }
        data += bytes;
        size -= bytes;
    }
    return 0;
}

int part_writer_begin(struct part_writer *w, enum section_kind kind, uint32_t element_bytes,
                      uint64_t number, struct error *err)
{
    static const uint8_t zeros[PART_PAGES_ALIGN];
    CHECK(!w->in_section && w->section_count < PART_SECTIONS_MAX);
    size_t gap = (size_t)(-end_offset(w) % part_section_align(kind));
    if (put(w, zeros, gap, err) != 0) return -1;
    w->sections[w->section_count++] = (struct part_section){
        .kind = kind,
        .element_bytes = element_bytes,
        .number = number,
        .offset = end_offset(w),
    };
    w->in_section = true;
    return 0;
}

int part_writer_write(struct part_writer *w, const void *data, size_t size, struct error *err)
{
    CHECK(w->in_section);
    return put(w, (const uint8_t *)data, size, err);
}

int part_writer_end(struct part_writer *w, struct error *err)
{
    (void)err;
    CHECK(w->in_section);
    struct part_section *s = &w->sections[w->section_count - 1];
    s->bytes = end_offset(w) - s->offset;
    CHECK(s->element_bytes == 0 || s->bytes % s->element_bytes == 0);
    w->in_section = false;
    return 0;
}

/* Directory and footer behind the table; *out_hash as in the footer. */
static int write_tail(struct part_writer *w, uint64_t end, uint64_t *out_bytes,
                      struct hash128 *out_hash, struct error *err)
{
    uint8_t footer[PART_END_AT_HASH] = {0};
    for (uint32_t i = 0; i < w->section_count; i++) {
        const struct part_section *s = &w->sections[i];
        buf_append_u32(&w->tail, s->kind);
        buf_append_u32(&w->tail, s->element_bytes);
        buf_append_u64(&w->tail, s->offset);
        buf_append_u64(&w->tail, s->bytes);
        buf_append_u64(&w->tail, s->number);
    }
    *out_bytes = end + (w->tail.size - PART_HEADER_BYTES) + PART_FOOTER_BYTES;
    memcpy(footer + PART_END_AT_MAGIC, MAGIC_END, FORMAT_MAGIC_BYTES);
    store_u32(footer + PART_END_AT_SECTION_COUNT, w->section_count);
    store_u64(footer + PART_END_AT_END, end);
    store_u64(footer + PART_END_AT_FILE_BYTES, *out_bytes);
    buf_append(&w->tail, footer, sizeof footer);
    if (!buf_ok(&w->tail)) return error_no_memory(err, w->tail.size);
    *out_hash = hash_xxh3_128(w->tail.data, w->tail.size);
    buf_append_u64(&w->tail, out_hash->low);
    buf_append_u64(&w->tail, out_hash->high);
    if (!buf_ok(&w->tail)) return error_no_memory(err, w->tail.size);
    return vfs_write(w->file, end, w->tail.data + PART_HEADER_BYTES,
                     w->tail.size - PART_HEADER_BYTES, err);
}

int part_writer_finish(struct part_writer *w, uint64_t name_number, struct manifest_part *out_part,
                       struct error *err)
{
    static const uint8_t zeros[PART_ALIGN];
    char name[PART_NAME_BYTES];
    struct manifest_part part = {.kind = (uint16_t)w->kind, .field = w->field};

    CHECK(!w->in_section && w->file);
    if (put(w, zeros, (size_t)(-end_offset(w) % PART_ALIGN), err) != 0) return -1;
    uint64_t end = end_offset(w);
    if (w->block_used > 0 && write_blocks(w, w->block, w->block_used, err) != 0) return -1;
    w->block_used = 0;
    if (write_tail(w, end, &part.bytes, &part.hash, err) != 0) return -1;
    if (!FAULT(SEGMENT_SKIP_SYNC) && vfs_sync(w->file, err) != 0) return -1;
    struct vfs_file *file = w->file;
    w->file = NULL;
    if (vfs_close(file, err) != 0) return -1;
    part_name(name, &w->segment, w->kind, name_number);
    if (vfs_rename(w->dir, w->tmp_name, name, err) != 0) return -1; /* (2) */
    w->has_tmp = false;
    *out_part = part;
    return 0;
}

const char *part_writer_temporary(const struct part_writer *w)
{
    return w->tmp_name;
}

void part_writer_destroy(struct part_writer *w)
{
    if (!w) return;
    if (w->file) vfs_close(w->file, NULL);
    if (w->has_tmp) vfs_unlink(w->dir, w->tmp_name, NULL);
    buf_deinit(&w->tail);
    mem_free(w->alloc, w->block);
    mem_free(w->alloc, w);
}
