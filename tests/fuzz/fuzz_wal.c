/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_wal.c — the walk over a log file, and recovery with it.
 *
 * The first byte chooses: raw bytes; raw bytes with all checksums right; a file that is built by a
 * script of operations and then damaged; the same as the log of a collection that is opened.
 */
#include <stdlib.h>

#include "base/check.h"
#include "fuzz/fuzz.h"
#include "store/recovery.h"
#include "support/wal_repair.h"

enum mode { MODE_RAW, MODE_REPAIRED, MODE_SCRIPT, MODE_RECOVERY, MODE_COUNT };

static const struct file_owner OWNER = {{{1}}, {{2}}};
static const struct uuid SALT = {{0x5a, 3}};

/* ---- a file from a script ---- */

struct script {
    const uint8_t *at;
    const uint8_t *end;
};

static uint8_t next_byte(struct script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

static void add_header(struct buf *out, uint64_t first_lsn, const struct file_owner *owner)
{
    uint8_t bytes[WAL_HEADER_BYTES];
    struct wal_header h = {.sequence = 1, .first_lsn = first_lsn, .prev_last_lsn = first_lsn - 1};
    h.file_bytes = WAL_RECORDS;
    file_header_init(&h.base, MAGIC_WAL, WAL_HEADER_BYTES, owner, &SALT);
    wal_header_encode(&h, bytes);
    for (int copy = 0; copy < 2; copy++) {
        buf_append(out, bytes, sizeof bytes);
        buf_append_zeros(out, WAL_BLOCK_BYTES - sizeof bytes);
    }
}

/* Operations of 4 bytes: a record that is mostly in order, or damage to what stands there.  What is
 * lost at the end is any number of bytes: nothing makes a file end where a record could. */
static void build_file(struct script *s, struct buf *out)
{
    uint8_t payload[256] = {7};
    uint32_t chain = 0;
    uint64_t lsn = 1;

    add_header(out, 1, &OWNER);
    while (s->at < s->end && out->size < 1 << 16) {
        uint8_t what = next_byte(s), a = next_byte(s), b = next_byte(s), c = next_byte(s);
        if (what >= 0xe0) { /* flip a bit, or lose the end */
            size_t at = ((size_t)a << 8 | b) * 8 % out->size;
            if (what < 0xf8) out->data[at + c / 8 % 8 % (out->size - at)] ^= (uint8_t)(1u << c % 8);
            else if (at > WAL_RECORDS && at + c % 8 < out->size) out->size = at + c % 8;
            continue;
        }
        unsigned kind = what % 8;
        uint64_t of = lsn + (a >> 6) - (a >> 5 & 1);
        uint64_t durable = (a & 16) != 0 ? of : of - 1 - (a & 3);
        chain = wal_record_encode(out, &SALT, (enum record_kind)kind, (what >> 3) & 3, of, durable,
                                  (a & 8) != 0 ? b : chain, slice_of(payload, c));
        if ((what >> 3 & WAL_GROUP_END) != 0 && kind < RECORD_MARK) lsn++;
    }
}

/* ---- what must hold for any bytes ---- */

struct seen {
    uint64_t last_lsn;
    size_t record_count;
    bool is_inside;
};

static int note(void *ctx, uint64_t lsn, enum record_kind kind, struct slice payload, bool is_end,
                struct error *err)
{
    struct seen *s = ctx;
    (void)err;
    CHECK(kind >= RECORD_UPSERT && kind <= RECORD_RESTORE);
    /* A gap: the groups between had no record that this version knows. */
    CHECK(s->is_inside ? lsn == s->last_lsn : lsn > s->last_lsn);
    for (size_t i = 0; i < payload.size; i++) s->record_count += payload.data[i] == 255; /* read */
    s->last_lsn = lsn;
    s->is_inside = !is_end;
    s->record_count++;
    return 0;
}

static void check_walk(struct slice file)
{
    struct seen seen = {0}, again = {0};
    struct wal_scan scan, part;
    struct error err = {0};

    if (wal_scan(file, &OWNER, "wal-1", UINT64_MAX, note, &seen, &scan, &err) != 0) {
        CHECK(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW ||
              err.code == LYNSE_UNSUPPORTED);
        return;
    }
    CHECK(!seen.is_inside && scan.end_offset >= WAL_RECORDS && scan.end_offset <= file.size);
    CHECK(scan.last_lsn + 1 >= scan.header.first_lsn);
    CHECK(seen.record_count == 0 || seen.last_lsn <= scan.last_lsn);
    uint64_t middle = scan.header.first_lsn + (scan.last_lsn - scan.header.first_lsn + 1) / 2;
    CHECK(wal_scan(file, &OWNER, "wal-1", middle, note, &again, &part, &err) == 0);
    CHECK(part.last_lsn <= middle && again.record_count <= seen.record_count);
}

/* A block that ends where the file does lets the sanitizers see a read past it. */
static void check_walk_of_copy(struct slice file)
{
    uint8_t *copy = malloc(file.size ? file.size : 1);
    CHECK(copy);
    if (file.size > 0) memcpy(copy, file.data, file.size);
    check_walk(slice_of(copy, file.size));
    free(copy);
}

static void check_recovery(struct slice file, bool read_only)
{
    struct error err = {0};
    struct vfs *fs = vfs_memory_create(alloc_libc());
    struct vfs_dir *dir = NULL;
    struct vfs_file *f = NULL;
    struct rng rng;
    struct manifest_field field = {.kind = 1, .storage = 1, .metric = 1, .name = "default"};
    struct manifest m = {.alloc = alloc_libc(), .epoch = 1, .number = 1, .wal_first = 1};
    bool renamed;

    rng_init(&rng, 1);
    m.sync_level = SYNC_ALWAYS;
    m.field_count = 1;
    m.fields = &field;
    CHECK(fs && vfs_dir_open(fs, "c", VFS_DIR_CREATE, &dir, &err) == 0);
    CHECK(manifest_publish(&m, dir, &OWNER, &rng, &renamed, &err) == 0);
    CHECK(vfs_open(dir, "wal-1", VFS_WRITE | VFS_CREATE, &f, &err) == 0);
    CHECK(vfs_write(f, 0, file.data, file.size, &err) == 0 && vfs_close(f, &err) == 0);

    struct recovery r;
    struct recovery_desc desc = {
        .alloc = alloc_libc(), .dir = dir, .owner = OWNER, .read_only = read_only};
    if (recovery_begin(&r, &desc, &err) == 0) {
        struct seen seen = {0};
        CHECK(recovery_replay(&r, note, &seen, &err) == 0);
        CHECK(seen.last_lsn <= r.upto_lsn && r.upto_lsn <= r.position.last_lsn);
        CHECK(read_only || recovery_clean(&r, &err) == 0);
        recovery_deinit(&r);
    }
    vfs_dir_close(dir);
    vfs_memory_destroy(fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf file;
    unsigned mode = size > 0 ? data[0] % MODE_COUNT : MODE_RAW;
    struct script s = {data + (size > 0), data + size};

    buf_init(&file, alloc_libc(), MEM_LOG);
    if (mode == MODE_RAW || mode == MODE_REPAIRED) {
        if (mode == MODE_REPAIRED) add_header(&file, 1, &OWNER);
        buf_append(&file, s.at, (size_t)(s.end - s.at));
        if (mode == MODE_REPAIRED) wal_repair(file.data, file.size);
    } else {
        build_file(&s, &file);
    }
    if (mode == MODE_RECOVERY) check_recovery(buf_slice(&file), size % 2 == 0);
    else check_walk_of_copy(buf_slice(&file));
    buf_deinit(&file);
    return 0;
}
