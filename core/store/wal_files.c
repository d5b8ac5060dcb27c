/* SPDX-License-Identifier: Apache-2.0 */
/* wal_files.c — make log files and recycle retired ones.
 *
 * WHAT        Files that can be written into without changing their size or their blocks, so that
 *             fdatasync is all that a commit needs.
 * LAYOUT      FORMAT.md 6.
 * INVARIANTS  (1) No crash leaves a wal- name whose file has no header, is shorter than it says, or
 *                 holds records of its own salt that were not written for it (R4, R8).
 *             (2) At most one spare; it has no header, so that it is nothing under any name.
 *             (3) What a batch opens a file for is in it before it has its name: written once, not
 *                 over zeros, and made durable by the sync that the header needs anyway.
 * THREADS     The collection's actor.
 * FAILURE     Before the rename the tmp file is garbage and is removed.  A failed sync is fatal: it
 *             is never repeated (R9).
 */
#include "store/wal_files.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "os/path.h"

enum { ZERO_WRITE_BYTES = 256 << 10 };

/* A file under way. */
struct making {
    struct vfs_file *file;
    char tmp[TWIN_NAME_BYTES];
    char name[TWIN_NAME_BYTES];
    uint64_t zeros_from; /* what lies before is zero, or of another salt */
};

uint64_t wal_run_bytes(const struct wal_run *r)
{
    return (uint64_t)r->pieces[0].size + r->pieces[1].size + r->pieces[2].size;
}

int wal_run_write(const struct wal_run *r, struct vfs_file *file, uint64_t at, struct error *err)
{
    for (size_t i = 0; i < sizeof r->pieces / sizeof r->pieces[0]; i++) {
        struct slice piece = r->pieces[i];
        if (piece.size > 0 && vfs_write(file, at, piece.data, piece.size, err) != 0) return -1;
        at += piece.size;
    }
    return 0;
}

static int write_zeros(struct wal_files *f, struct vfs_file *file, uint64_t from, uint64_t to,
                       struct error *err)
{
    if (from >= to) return 0;
    uint64_t most = to - from < ZERO_WRITE_BYTES ? to - from : ZERO_WRITE_BYTES;
    uint8_t *zeros = mem_zalloc(f->alloc, MEM_LOG, (size_t)most);
    int rc = 0;

    if (!zeros) return error_no_memory(err, most);
    for (uint64_t at = from; rc == 0 && at < to; at += most) {
        size_t bytes = (size_t)(to - at < most ? to - at : most);
        rc = vfs_write(file, at, zeros, bytes, err);
    }
    mem_free(f->alloc, zeros);
    return rc;
}

/* Both copies in one write: the rest of their blocks is zero. */
static int write_headers(struct wal_files *f, struct vfs_file *file, const struct wal_header *h,
                         struct error *err)
{
    uint8_t *blocks = mem_zalloc(f->alloc, MEM_LOG, WAL_RECORDS);

    if (!blocks) return error_no_memory(err, WAL_RECORDS);
    if (h) {
        wal_header_encode(h, blocks);
        memcpy(blocks + WAL_SECOND_HEADER, blocks, WAL_HEADER_BYTES);
    }
    int rc = vfs_write(file, 0, blocks, WAL_RECORDS, err);
    mem_free(f->alloc, blocks);
    return rc;
}

struct uuid wal_files_salt(struct wal_files *f)
{
    if (FAULT(WAL_NO_SALT) && f->spare[0] != '\0') return f->spare_salt;
    return uuid_make(f->rng);
}

/* The spare, opened; false when there is none or it is gone. */
static bool take_spare(struct wal_files *f, struct making *m, struct wal_header *header)
{
    if (f->spare[0] == '\0') return false;
    memcpy(m->tmp, f->spare, sizeof m->tmp);
    f->spare[0] = '\0';
    if (vfs_open(f->dir, m->tmp, VFS_WRITE | VFS_WRITE_BEHIND, &m->file, NULL) != 0) {
        (void)vfs_unlink(f->dir, m->tmp, NULL);
        m->file = NULL;
        return false;
    }
    m->zeros_from = f->spare_bytes;
    if (f->spare_bytes > header->file_bytes)
        header->file_bytes = align_up((size_t)f->spare_bytes, WAL_BLOCK_BYTES);
    REACHED(WAL_SPARE_REUSED);
    return true;
}

/* The file under its tmp name as (1) wants it. */
static int prepare_tmp(struct wal_files *f, struct making *m, struct wal_header *header,
                       const struct wal_run *records, bool *out_is_fatal, struct error *err)
{
    uint64_t records_end = WAL_RECORDS + (records ? wal_run_bytes(records) : 0);

    if (!take_spare(f, m, header)) {
        temporary_name(m->tmp, f->rng);
        if (FAULT(WAL_NO_TMP_NAME)) memcpy(m->tmp, m->name, sizeof m->tmp);
        if (vfs_open(f->dir, m->tmp, VFS_WRITE | VFS_CREATE | VFS_WRITE_BEHIND, &m->file, err) != 0)
            return -1;
    }
    if (m->zeros_from < records_end) m->zeros_from = records_end;
    if (records && wal_run_write(records, m->file, WAL_RECORDS, err) != 0) return -1; /* (3) */
    if (write_zeros(f, m->file, m->zeros_from, header->file_bytes, err) != 0) return -1;
    if (FAULT(WAL_SKIP_HEADER_SYNC) && vfs_sync(m->file, err) != 0) return -1;
    if (write_headers(f, m->file, header, err) != 0) return -1;
    if (FAULT(WAL_SKIP_HEADER_SYNC)) return 0;
    *out_is_fatal = vfs_sync(m->file, err) != 0;
    return *out_is_fatal ? -1 : 0;
}

/* A rename that failed has happened or not; where the names cannot tell, it may have. */
static int rename_to_name(struct wal_files *f, struct making *m, bool *out_is_fatal,
                          struct error *err)
{
    bool is_there = true;

    if (strcmp(m->tmp, m->name) == 0) return 0;
    if (vfs_rename(f->dir, m->tmp, m->name, err) == 0) {
        memcpy(m->tmp, m->name, sizeof m->tmp);
        return 0;
    }
    *out_is_fatal = vfs_exists(f->dir, m->name, &is_there, NULL) != 0 || is_there;
    return -1;
}

int wal_files_make(struct wal_files *f, struct wal_header *header, const struct wal_run *records,
                   struct vfs_file **out_file, bool *out_is_fatal, struct error *err)
{
    int rc = -1;
    struct making m = {0};
    struct uuid salt = header->base.file;

    *out_is_fatal = false;
    CHECK(header->file_bytes % WAL_BLOCK_BYTES == 0);
    CHECK(!records || wal_run_bytes(records) <= header->file_bytes - WAL_RECORDS - WAL_MARK_ROOM);
    file_header_init(&header->base, MAGIC_WAL, WAL_HEADER_BYTES, &f->owner, &salt);
    numbered_name(m.name, WAL_PREFIX, header->sequence);
    if (prepare_tmp(f, &m, header, records, out_is_fatal, err) != 0) goto out;
    if (rename_to_name(f, &m, out_is_fatal, err) != 0) goto out;
    if (!FAULT(WAL_SKIP_DIRSYNC) && vfs_dir_sync(f->dir, err) != 0) {
        *out_is_fatal = true;
        goto out;
    }
    *out_file = m.file;
    rc = 0;
out:
    if (rc != 0) {
        error_wrap(err, "make '%s'", m.name);
        if (m.file) (void)vfs_close(m.file, NULL);
        if (m.file && !*out_is_fatal) (void)vfs_unlink(f->dir, m.tmp, NULL);
    }
    return rc;
}

/* Its header goes first, so that nothing takes its records for a log's any more: (2). */
static int make_spare(struct wal_files *f, const char *tmp, struct error *err)
{
    struct vfs_file *file = NULL;
    uint64_t bytes = 0;
    int rc = -1;

    if (vfs_open(f->dir, tmp, VFS_WRITE, &file, err) != 0) return -1;
    if (vfs_size(file, &bytes, err) != 0) goto out;
    if (bytes < WAL_RECORDS || bytes > WAL_MAX_BYTES) goto out; /* a large group's, or damaged */
    if (FAULT(WAL_NO_SALT)) {
        size_t got = 0;
        (void)vfs_read(file, 64, f->spare_salt.bytes, sizeof f->spare_salt.bytes, &got, NULL);
    }
    if (write_headers(f, file, NULL, err) != 0) goto out;
    f->spare_bytes = bytes;
    rc = 0;
out:
    if (vfs_close(file, err) != 0) rc = -1;
    return rc;
}

void wal_files_recycle(struct wal_files *f, uint64_t sequence)
{
    char name[TWIN_NAME_BYTES];
    char tmp[TWIN_NAME_BYTES];

    numbered_name(name, WAL_PREFIX, sequence);
    if (f->spare[0] != '\0') return; /* it is file_gc's */
    temporary_name(tmp, f->rng);
    if (vfs_rename(f->dir, name, tmp, NULL) != 0) return;
    if (make_spare(f, tmp, NULL) != 0) {
        (void)vfs_unlink(f->dir, tmp, NULL);
        return;
    }
    memcpy(f->spare, tmp, sizeof f->spare);
}
