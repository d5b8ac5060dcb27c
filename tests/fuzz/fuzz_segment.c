/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_segment.c — bytes that may be anything, as the parts of a sealed segment.
 *
 * LAYOUT      byte 0      which part the bytes are: 0 ids, 1 vectors, 2 documents, 3 deletes
 *                         (mod 4); bit 2: they stand as they are, else their checksums are made
 *                         right, so that what stands behind them is reached
 *             byte 1      rows that the manifest gives the segment (mod ROWS_END)
 *             byte 2      dimension that the collection has (mod DIMS_END)
 *             then        the file; whose it is, is set right here.  With bit 3 of byte 0 edits of
 *                         a good file: u16 where, u8 what
 * The other parts are good ones of as many rows, made here.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/rng.h"
#include "fuzz/fuzz.h"
#include "os/vfs.h"
#include "segment/active_segment.h"
#include "segment/sealed_segment.h"
#include "segment/segment_builder.h"
#include "support/part_repair.h"

enum { AS_IT_IS = 4, IS_EDITED = 8, HEAD_BYTES = 3, FILE_BYTES_MAX = 1 << 20, LSN = 9 };
enum { ROWS_END = 96, DIMS_END = 24 }; /* more than a word of bits; small enough to be fast */
enum { CACHE_BYTES = 1 << 14 };        /* a table that is small to clear */

struct disk {
    struct alloc *alloc;
    struct vfs *fs;
    struct vfs_dir *dir;
    struct doc_cache *cache;
    struct file_owner owner; /* zero */
};

static void open_disk(struct disk *d)
{
    *d = (struct disk){.alloc = alloc_create(NULL, 0)};
    CHECK(d->alloc);
    d->fs = vfs_memory_create(d->alloc);
    CHECK(d->fs && vfs_dir_open(d->fs, "/", VFS_DIR_CREATE, &d->dir, NULL) == 0);
    CHECK(doc_cache_create(d->alloc, CACHE_BYTES, &d->cache, NULL) == 0);
}

static void close_disk(struct disk *d)
{
    doc_cache_destroy(d->cache);
    vfs_dir_close(d->dir);
    vfs_memory_destroy(d->fs);
    CHECK(alloc_used_bytes(d->alloc) == 0);
    alloc_destroy(d->alloc);
}

/* A segment of row_count rows, half of them with text ids, whose uuid is zero. */
static void make_segment(struct disk *d, uint32_t row_count, uint32_t dim,
                         struct manifest_segment *out)
{
    struct active_segment *t;
    struct tombstones *dead;
    struct segment_build b = {0};
    struct rng rng;
    float vector[256] = {1, 2, 3};
    CHECK(active_segment_create(d->alloc, dim, row_count, &t, NULL) == 0);
    CHECK(tombstones_create(d->alloc, row_count, &dead, NULL) == 0);
    for (uint32_t i = 0; i < row_count; i++) {
        const uint8_t text[2] = {(uint8_t)('a' + i % 26), (uint8_t)('a' + i / 26)};
        struct record_id id = i % 2 ? id_of_number(i) : id_of_text(slice_of(text, sizeof text));
        uint32_t row;
        CHECK(active_segment_stage(t, &id, i + 1, vector, slice_of("\x80", i % 3 != 0), &row,
                                   NULL) == 0);
    }
    active_segment_commit(t, row_count);
    struct view_part part = {
        .segment = active_segment_base(t), .dead = dead, .row_count = row_count};
    rng_init(&rng, 1);
    struct segment_build_desc desc = {
        .alloc = d->alloc,
        .dir = d->dir,
        .owner = d->owner,
        .rng = &rng,
        .dim = dim,
        .parts = &part,
        .part_count = 1,
        .flushed_lsn = LSN,
    };
    CHECK(segment_build_run(&desc, &b, NULL) == 0);
    *out = b.segment;
    segment_build_deinit(&b);
    tombstones_release(dead);
    segment_release(active_segment_base(t));
}

/* Every third row of the segment is dead. */
static void make_deletes(struct disk *d, struct manifest_segment *m)
{
    struct tombstones *none, *dead;
    struct tombstones_edit *edit;
    struct rng rng;

    rng_init(&rng, 2);
    CHECK(tombstones_create(d->alloc, m->row_count, &none, NULL) == 0);
    CHECK(tombstones_edit_begin(none, &edit, NULL) == 0);
    for (uint64_t row = 0; row < m->row_count; row += 3) {
        CHECK(tombstones_edit_reserve(edit, row, NULL) == 0);
        tombstones_edit_set(edit, row);
    }
    dead = tombstones_edit_finish(edit);
    CHECK(tombstones_write(dead, d->alloc, d->dir, &d->owner, &m->uuid, m->row_count, LSN, &rng,
                           &m->parts[m->part_count++], NULL) == 0);
    tombstones_release(dead);
    tombstones_release(none);
}

/* A good part with edits. */
static void edit_part(struct disk *d, const struct manifest_segment *m, enum part_kind kind,
                      struct slice edits, struct buf *out)
{
    char name[PART_NAME_BYTES];
    struct vfs_file *file;
    uint64_t size;
    size_t got;

    part_name(name, &m->uuid, kind, kind == PART_DELETES ? LSN : 0);
    CHECK(vfs_open(d->dir, name, VFS_READ, &file, NULL) == 0);
    CHECK(vfs_size(file, &size, NULL) == 0);
    uint8_t *bytes = buf_extend(out, (size_t)size);
    CHECK(bytes && vfs_read(file, 0, bytes, (size_t)size, &got, NULL) == 0 && got == size);
    CHECK(vfs_close(file, NULL) == 0);
    for (struct reader r = reader_of(edits); reader_left(&r) >= 3;) {
        uint16_t where;
        uint8_t what;
        read_u16(&r, &where);
        read_u8(&r, &what);
        bytes[where % size] = what;
    }
}

/* Put the bytes in the place of a part; the manifest agrees with them. */
static void put_part(struct disk *d, struct manifest_segment *m, enum part_kind kind,
                     const uint8_t *data, size_t size, bool as_it_is)
{
    char name[PART_NAME_BYTES];
    struct vfs_file *file;
    uint32_t i = 0;
    uint8_t *bytes = (uint8_t *)malloc(size + 1);
    CHECK(bytes);
    if (size > 0) memcpy(bytes, data, size);
    while (i < m->part_count && m->parts[i].kind != kind) i++;
    if (i == m->part_count) m->part_count++;
    struct manifest_part *part = &m->parts[i];
    *part = (struct manifest_part){.kind = (uint16_t)kind, .bytes = size};
    if (kind == PART_DELETES) m->del_lsn = LSN;
    if (size >= PART_HEADER_BYTES + PART_FOOTER_BYTES) {
        /* Whose file it is stays in the way of everything else: always right. */
        memset(bytes + 32, 0, 32);
        memcpy(bytes + 64, m->uuid.bytes, sizeof m->uuid.bytes);
        if (as_it_is) {
            part->hash.low = load_u64(bytes + size - 16);
            part->hash.high = load_u64(bytes + size - 8);
        } else {
            if (kind == PART_DOCUMENTS) part_repair_documents(bytes, size);
            part_repair(bytes, size, &part->hash);
        }
    }
    part_name(name, &m->uuid, kind, kind == PART_DELETES ? LSN : 0);
    vfs_unlink(d->dir, name, NULL);
    CHECK(vfs_open(d->dir, name, VFS_WRITE | VFS_CREATE, &file, NULL) == 0);
    CHECK(size == 0 || vfs_write(file, 0, bytes, size, NULL) == 0);
    CHECK(vfs_close(file, NULL) == 0);
    free(bytes);
}

/* Reads a byte of everything that is handed out, for the sanitizers. */
static uint64_t touch(uint64_t sum, const void *data, size_t size)
{
    return sum ^ hash_xxh3_64(data, size);
}

static uint64_t read_rows(struct segment *s, uint32_t row_count, uint32_t dim)
{
    uint64_t sum = 0;
    for (uint32_t row = 0; row < row_count; row++) {
        struct record_id id;
        uint64_t lsn;
        uint32_t at;
        struct doc_ref doc = {0};
        struct vector_run run;
        if (segment_id(s, row, &id, NULL) == 0) {
            if (id.is_text) sum = touch(sum, id.text.data, id.text.size);
            if (segment_find(s, &id, row_count, &at, NULL) == 1) CHECK(at < row_count);
        }
        if (segment_lsn(s, row, &lsn, NULL) == 0) sum ^= lsn;
        if (segment_document(s, row, &doc, NULL) == 0)
            sum = touch(sum, doc.document.data, doc.document.size);
        doc_ref_release(&doc);
        if (s->vectors.run(&s->vectors, row, row_count - row, &run, NULL) == 0) {
            CHECK(run.row_count >= 1 && run.row_count <= row_count - row);
            sum = touch(sum, run.vectors, (size_t)run.row_count * dim * sizeof(float));
            sum = touch(sum, run.norms, run.row_count * sizeof(float));
        }
    }
    return sum;
}

static void find_strangers(struct segment *s, uint32_t row_count)
{
    for (uint32_t i = 0; i < 64; i++) {
        const uint8_t text[2] = {(uint8_t)('a' + i % 26), (uint8_t)('a' + i / 26)};
        struct record_id ids[3] = {id_of_number(i), id_of_number(1ull << i),
                                   id_of_text(slice_of(text, sizeof text))};
        for (int k = 0; k < 3; k++) {
            uint32_t at;
            if (segment_find(s, &ids[k], row_count, &at, NULL) == 1) CHECK(at < row_count);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct disk d;
    struct manifest_segment m;
    struct segment *s = NULL;
    struct tombstones *t = NULL;
    struct buf edited;

    if (size < HEAD_BYTES || size > FILE_BYTES_MAX) return 0;
    enum part_kind kind = (enum part_kind)(PART_IDS + data[0] % 4);
    uint32_t row_count = data[1] % ROWS_END, dim = data[2] % DIMS_END;
    if (row_count == 0) row_count = 1;
    if (dim == 0) dim = 1;
    open_disk(&d);
    make_segment(&d, row_count, dim, &m);
    if (kind == PART_DELETES) make_deletes(&d, &m);
    struct slice file = slice_of(data + HEAD_BYTES, size - HEAD_BYTES);
    buf_init(&edited, d.alloc, MEM_GENERAL);
    if ((data[0] & IS_EDITED) != 0) {
        edit_part(&d, &m, kind, file, &edited);
        file = buf_slice(&edited);
    }
    put_part(&d, &m, kind, file.data, file.size, (data[0] & AS_IT_IS) != 0);
    buf_deinit(&edited);
    if (sealed_segment_open(d.alloc, d.dir, &d.owner, &m, dim, d.cache, &s, NULL) == 0) {
        uint64_t sum = read_rows(s, row_count, dim);
        find_strangers(s, row_count);
        struct error err = {0};
        if (sealed_segment_verify(s, &err) != 0) CHECK(err.code != 0);
        CHECK(read_rows(s, row_count, dim) == sum); /* nothing changed by looking */
        segment_release(s);
    }
    if (kind == PART_DELETES &&
        tombstones_read(d.alloc, d.dir, &d.owner, &m.uuid, &m.parts[m.part_count - 1], row_count,
                        LSN, &t, NULL) == 0) {
        uint64_t count = 0;
        for (uint32_t row = 0; row < row_count; row++) count += tombstones_get(t, row);
        CHECK(count == tombstones_count(t));
        tombstones_release(t);
    }
    close_disk(&d);
    return 0;
}
