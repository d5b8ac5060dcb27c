/* SPDX-License-Identifier: Apache-2.0 */
/* part_file.c — reads a segment part through a map.
 *
 * WHAT        Open checks what describes the file; the bytes of a section are checked, a checksum
 *             block at a time, when somebody first asks for them.
 * LAYOUT      FORMAT.md 7; part_layout.h.
 * INVARIANTS  (1) Sections stand one after the other from offset 128 to `end`, with less than
 *                 PART_ALIGN bytes between, PART_PAGES_ALIGN before pages: no byte of the file
 *                 belongs to nothing.
 *             (2) A byte that is handed out lies in a section, in the map, and in a block whose
 *                 checksum was right when it was looked at.
 *             (3) A set bit of `verified` means (2) of its block.
 * THREADS     Any.  Bits are set and read relaxed: the map never changes, so a bit publishes no
 *             other memory, and a thread that misses one checks the block again and finds the same.
 * FAILURE     CORRUPT names the file and the block.  A block that fails is read once more from the
 *             file: memory may be what is bad.
 */
#include "store/part_file.h"

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "store/part_layout.h"

struct part_file {
    struct alloc *alloc;
    struct vfs_dir *dir; /* held: to read a block once more */
    struct mapping map;
    uint64_t end; /* of the sections: where the table stands */
    uint64_t block_count;
    uint32_t section_count;
    struct part_section sections[PART_SECTIONS_MAX];
    char name[PART_NAME_BYTES];
    _Atomic(uint64_t) verified[]; /* (3); a bit per block */
};

/* What is checked before anything is kept. */
struct part_frame {
    const char *name;
    const uint8_t *bytes;
    uint64_t size;
    uint64_t end;
    uint64_t block_count;
    uint32_t section_count;
};

const char *part_file_name(const struct part_file *f)
{
    return f->name;
}

/* ---- Opening ---- */

static int check_header(const struct part_frame *p, const struct file_owner *owner,
                        const struct uuid *segment, const struct manifest_part *expect,
                        uint64_t row_count, struct error *err)
{
    const uint8_t *b = p->bytes;
    struct file_header h;
    bool read_only_needed; /* of no interest: nothing writes into a part */

    if (file_header_decode(b, MAGIC_SEGMENT, PART_HEADER_BYTES, owner, p->name, &h,
                           &read_only_needed, err) != 0)
        return -1;
    if (load_u32(b + PART_AT_CRC) != crc32c(0, b, PART_AT_CRC))
        return error_set(err, LYNSE_CORRUPT, "'%s': the header's checksum is wrong", p->name);
    if (!bytes_are_zero(b + PART_AT_RESERVED, PART_AT_CRC - PART_AT_RESERVED))
        return error_set(err, LYNSE_CORRUPT, "'%s': reserved bytes of the header are not zero",
                         p->name);
    if (!uuid_equal(&h.file, segment))
        return error_set(err, LYNSE_CORRUPT, "'%s' holds another segment", p->name);
    if (load_u32(b + PART_AT_KIND) != expect->kind || load_u32(b + PART_AT_FIELD) != expect->field)
        return error_set(err, LYNSE_CORRUPT, "'%s' is part %u of field %u, not %u of %u", p->name,
                         load_u32(b + PART_AT_KIND), load_u32(b + PART_AT_FIELD), expect->kind,
                         expect->field);
    if (load_u64(b + PART_AT_ROWS) != row_count)
        return error_set(err, LYNSE_CORRUPT, "'%s' has %llu rows, not %llu", p->name,
                         (unsigned long long)load_u64(b + PART_AT_ROWS),
                         (unsigned long long)row_count);
    if (load_u32(b + PART_AT_BLOCK_BYTES) != CHECKSUM_BLOCK_BYTES)
        return error_set(err, LYNSE_CORRUPT, "'%s' has checksum blocks of %u bytes, not %d",
                         p->name, load_u32(b + PART_AT_BLOCK_BYTES), CHECKSUM_BLOCK_BYTES);
    return 0;
}

/* The footer's numbers, and that they add up to the file's size. */
static int check_footer(struct part_frame *p, struct error *err)
{
    const uint8_t *b = p->bytes + p->size - PART_FOOTER_BYTES;
    uint64_t end = load_u64(b + PART_END_AT_END);
    uint32_t section_count = load_u32(b + PART_END_AT_SECTION_COUNT);

    if (memcmp(b + PART_END_AT_MAGIC, MAGIC_END, FORMAT_MAGIC_BYTES) != 0)
        return error_set(err, LYNSE_CORRUPT, "'%s' does not end with '%s'", p->name, MAGIC_END);
    if (!bytes_are_zero(b + PART_END_AT_RESERVED, 4) ||
        !bytes_are_zero(b + PART_END_AT_RESERVED_2, PART_END_AT_HASH - PART_END_AT_RESERVED_2))
        return error_set(err, LYNSE_CORRUPT, "'%s': reserved bytes of the footer are not zero",
                         p->name);
    if (load_u64(b + PART_END_AT_FILE_BYTES) != p->size)
        return error_set(err, LYNSE_CORRUPT, "'%s': the footer says %llu bytes instead of %llu",
                         p->name, (unsigned long long)load_u64(b + PART_END_AT_FILE_BYTES),
                         (unsigned long long)p->size);
    if (section_count > PART_SECTIONS_MAX)
        return error_set(err, LYNSE_CORRUPT, "'%s' has %u sections, more than %d", p->name,
                         section_count, PART_SECTIONS_MAX);
    uint64_t directory_bytes = (uint64_t)section_count * PART_SECTION_BYTES;
    if (end < PART_HEADER_BYTES || end > p->size || end % PART_ALIGN != 0)
        return error_set(err, LYNSE_CORRUPT, "'%s': sections end at %llu of %llu bytes", p->name,
                         (unsigned long long)end, (unsigned long long)p->size);
    uint64_t block_count =
        (end - PART_HEADER_BYTES + CHECKSUM_BLOCK_BYTES - 1) / CHECKSUM_BLOCK_BYTES;
    /* No overflow: end <= size, and the table is smaller than what it covers. */
    if (end + block_count * 8 + directory_bytes + PART_FOOTER_BYTES != p->size)
        return error_set(err, LYNSE_CORRUPT,
                         "'%s': %llu bytes do not fit %u sections that end at %llu", p->name,
                         (unsigned long long)p->size, section_count, (unsigned long long)end);
    p->end = end;
    p->block_count = block_count;
    p->section_count = section_count;
    return 0;
}

/* The footer's hash is that of header, table, directory and footer, and the one in the manifest. */
static int check_hash(const struct part_frame *p, struct alloc *a, const struct hash128 *expect,
                      struct error *err)
{
    size_t tail_bytes = (size_t)(p->size - p->end) - (PART_FOOTER_BYTES - PART_END_AT_HASH);
    const uint8_t *stored = p->bytes + p->end + tail_bytes;
    struct buf bytes;

    buf_init(&bytes, a, MEM_GENERAL);
    buf_append(&bytes, p->bytes, PART_HEADER_BYTES);
    buf_append(&bytes, p->bytes + p->end, tail_bytes);
    if (!buf_ok(&bytes)) {
        buf_deinit(&bytes);
        return error_no_memory(err, PART_HEADER_BYTES + tail_bytes);
    }
    struct hash128 hash = hash_xxh3_128(bytes.data, bytes.size);
    buf_deinit(&bytes);
    if (load_u64(stored) != hash.low || load_u64(stored + 8) != hash.high)
        return error_set(err, LYNSE_CORRUPT, "'%s': the hash of table and directory is wrong",
                         p->name);
    if (expect->low != hash.low || expect->high != hash.high)
        return error_set(err, LYNSE_CORRUPT, "'%s' is not the file that the manifest names",
                         p->name);
    return 0;
}

static int read_directory(const struct part_frame *p, struct part_section *sections,
                          struct error *err)
{
    const uint8_t *b = p->bytes + p->end + p->block_count * 8;
    uint64_t at = PART_HEADER_BYTES;
    for (uint32_t i = 0; i < p->section_count; i++, b += PART_SECTION_BYTES) {
        struct part_section s = {
            .kind = load_u32(b + PART_SECTION_AT_KIND),
            .element_bytes = load_u32(b + PART_SECTION_AT_ELEMENT_BYTES),
            .offset = load_u64(b + PART_SECTION_AT_OFFSET),
            .bytes = load_u64(b + PART_SECTION_AT_BYTES),
            .number = load_u64(b + PART_SECTION_AT_NUMBER),
        };
        at = align_up((size_t)at, part_section_align(s.kind));
        if (s.offset != at || at > p->end || s.bytes > p->end - at) /* (1) */
            return error_set(err, LYNSE_CORRUPT, "'%s': section %u at %llu has %llu bytes", p->name,
                             s.kind, (unsigned long long)s.offset, (unsigned long long)s.bytes);
        if (s.element_bytes != 0 && s.bytes % s.element_bytes != 0)
            return error_set(err, LYNSE_CORRUPT,
                             "'%s': section %u of %llu bytes has elements of %u", p->name, s.kind,
                             (unsigned long long)s.bytes, s.element_bytes);
        for (uint32_t k = 0; k < i; k++)
            if (sections[k].kind == s.kind)
                return error_set(err, LYNSE_CORRUPT, "'%s': section %u stands twice", p->name,
                                 s.kind);
        at = align_up((size_t)(at + s.bytes), PART_ALIGN); /* at most end, which is aligned */
        sections[i] = s;
    }
    if (at != p->end)
        return error_set(err, LYNSE_CORRUPT, "'%s': %llu bytes behind the last section", p->name,
                         (unsigned long long)(p->end - at));
    return 0;
}

/* Everything that describes the file, in *out with the map of it. */
static int check_frame(struct part_frame *p, struct alloc *a, const struct file_owner *owner,
                       const struct uuid *segment, const struct manifest_part *expect,
                       uint64_t row_count, struct part_section *sections, struct error *err)
{
    if (p->size < PART_HEADER_BYTES + PART_FOOTER_BYTES)
        return error_set(err, LYNSE_CORRUPT, "'%s' has only %llu bytes", p->name,
                         (unsigned long long)p->size);
    if (check_header(p, owner, segment, expect, row_count, err) != 0) return -1;
    if (check_footer(p, err) != 0) return -1;
    if (check_hash(p, a, &expect->hash, err) != 0) return -1;
    return read_directory(p, sections, err);
}

int part_file_open(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                   const struct uuid *segment, const struct manifest_part *expect,
                   uint64_t name_number, uint64_t row_count, struct part_file **out,
                   struct error *err)
{
    struct mapping map = {0};
    char name[PART_NAME_BYTES];
    struct part_section sections[PART_SECTIONS_MAX] = {0};
    int rc = -1;

    part_name(name, segment, (enum part_kind)expect->kind, name_number);
    if (mapping_open(&map, dir, name, expect->bytes, err) != 0) goto out;
    struct part_frame p = {.name = name, .bytes = (const uint8_t *)map.data, .size = map.size};
    if (check_frame(&p, a, owner, segment, expect, row_count, sections, err) != 0) goto out;

    size_t words = (size_t)(p.block_count + 63) / 64;
    size_t bytes = sizeof(struct part_file) + words * sizeof(uint64_t);
    struct part_file *f = (struct part_file *)mem_zalloc(a, MEM_SEGMENT, bytes);
    if (!f) {
        error_no_memory(err, bytes);
        goto out;
    }
    f->alloc = a;
    f->dir = vfs_dir_acquire(dir);
    f->map = map;
    f->end = p.end;
    f->block_count = p.block_count;
    f->section_count = p.section_count;
    memcpy(f->sections, sections, sizeof sections);
    memcpy(f->name, name, sizeof name);
    map = (struct mapping){0};
    *out = f;
    rc = 0;
out:
    mapping_close(&map);
    return rc;
}

void part_file_close(struct part_file *f)
{
    if (!f) return;
    mapping_close(&f->map);
    vfs_dir_close(f->dir);
    mem_free(f->alloc, f);
}

/* ---- Reading ---- */

const struct part_section *part_file_section(const struct part_file *f, enum section_kind kind)
{
    for (uint32_t i = 0; i < f->section_count; i++)
        if (f->sections[i].kind == (uint32_t)kind) return &f->sections[i];
    return NULL;
}

/* The same block through the file, in memory of our own: 1 it is as it should be, 0 it is not. */
static int read_again(struct part_file *f, uint64_t offset, size_t size, uint64_t expected,
                      struct error *err)
{
    struct vfs_file *file = NULL;
    struct error inner = {0};
    size_t got = 0;
    int rc = -1;

    uint8_t *bytes = (uint8_t *)mem_alloc(f->alloc, MEM_GENERAL, size);
    if (!bytes) {
        error_no_memory(err, size);
        goto out;
    }
    if (vfs_open(f->dir, f->name, VFS_READ, &file, &inner) != 0) {
        if (inner.code == LYNSE_NOT_FOUND) rc = 0; /* its name went with its segment */
        else if (err) *err = inner;
        goto out;
    }
    if (vfs_read(file, offset, bytes, size, &got, err) != 0) goto out;
    rc = got == size && hash_xxh3_64(bytes, size) == expected;
out:
    vfs_close(file, NULL);
    mem_free(f->alloc, bytes);
    return rc;
}

static int verify_block(struct part_file *f, uint64_t block, struct error *err)
{
    const uint8_t *bytes = (const uint8_t *)f->map.data;
    uint64_t offset = PART_HEADER_BYTES + block * CHECKSUM_BLOCK_BYTES;
    uint64_t left = f->end - offset;
    size_t size = left < CHECKSUM_BLOCK_BYTES ? (size_t)left : CHECKSUM_BLOCK_BYTES;
    uint64_t expected = load_u64(bytes + f->end + block * 8);

    if (hash_xxh3_64(bytes + offset, size) != expected) {
        int again = read_again(f, offset, size, expected, err);
        if (again < 0)
            return error_wrap(err, "block %llu of '%s' is damaged; reading it again",
                              (unsigned long long)block, f->name);
        if (again == 0 || hash_xxh3_64(bytes + offset, size) != expected)
            return error_set(err, LYNSE_CORRUPT,
                             "'%s': block %llu, %zu bytes at offset %llu, is damaged%s", f->name,
                             (unsigned long long)block, size, (unsigned long long)offset,
                             again ? " in memory alone" : "");
    }
    /* (3); relaxed, see THREADS. */
    atomic_fetch_or_explicit(&f->verified[block / 64], 1ull << (block % 64), memory_order_relaxed);
    return 0;
}

/* Bytes [from, to) of the file, which lie in the checksummed area. */
static int verify_range(struct part_file *f, uint64_t from, uint64_t to, struct error *err)
{
    uint64_t last = (to - 1 - PART_HEADER_BYTES) / CHECKSUM_BLOCK_BYTES;
    for (uint64_t i = (from - PART_HEADER_BYTES) / CHECKSUM_BLOCK_BYTES; i <= last; i++) {
        uint64_t word = atomic_load_relaxed(&f->verified[i / 64]); /* see THREADS */
        if (word >> (i % 64) & 1) continue;
        if (verify_block(f, i, err) != 0) return -1;
    }
    return 0;
}

int part_file_borrow(struct part_file *f, const struct part_section *s, uint64_t offset,
                     uint64_t size, const void **out, struct error *err)
{
    if (offset > s->bytes || size > s->bytes - offset)
        return error_set(err, LYNSE_CORRUPT, "'%s': section %u of %llu bytes has no %llu at %llu",
                         f->name, s->kind, (unsigned long long)s->bytes, (unsigned long long)size,
                         (unsigned long long)offset);
    uint64_t from = s->offset + offset;
    if (size > 0 && verify_range(f, from, from + size, err) != 0) return -1;
    *out = (const uint8_t *)f->map.data + from;
    return 0;
}

int part_file_verify(struct part_file *f, struct error *err)
{
    const uint8_t *bytes = (const uint8_t *)f->map.data;
    /* Not verify_range: what was right when it was first read may have rotted since. */
    for (uint64_t i = 0; i < f->block_count; i++)
        if (verify_block(f, i, err) != 0) return -1;
    for (uint32_t i = 0; i < f->section_count; i++) {
        uint64_t end = f->sections[i].offset + f->sections[i].bytes;
        uint64_t next = i + 1 < f->section_count ? f->sections[i + 1].offset : f->end;
        if (!bytes_are_zero(bytes + end, (size_t)(next - end)))
            return error_set(err, LYNSE_CORRUPT, "'%s': bytes behind section %u are not zero",
                             f->name, f->sections[i].kind);
    }
    return 0;
}
