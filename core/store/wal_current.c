/* SPDX-License-Identifier: Apache-2.0 */
/* wal_current.c — the current file of a log: sync it, follow it up, give it up.
 *
 * WHAT        Everything that may leave the disk in doubt, in one place.
 * LAYOUT      FORMAT.md 6.
 * INVARIANTS  Those of wal.c; (2), (3), (4) and (6) are kept here.
 * THREADS     The collection's actor.
 * FAILURE     wal_poison for whatever makes the disk's state unknown (a failed sync, a failed close
 *             of a written file, a rename that may have happened); wal_current_cut_back for a
 *             failed write; everything else changes nothing.
 */
#include "store/wal_current.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"

/* ---- failing ---- */

int wal_poison(struct wal *w, struct error *err)
{
    struct error cause = {0};

    if (err) cause = *err;
    w->is_poisoned = true;
    return error_set(err, LYNSE_OUTCOME_UNKNOWN,
                     "%s; nothing is logged any more until the collection is opened again",
                     cause.code ? cause.text : "the log failed");
}

int wal_fail_poisoned(struct error *err)
{
    return error_set(err, LYNSE_READ_ONLY,
                     "the log could not be synced; open the collection again to write");
}

int wal_fail_needs_sync(struct error *err)
{
    return error_set(err, LYNSE_BUSY,
                     "the log needs a sync, which is not allowed here: call lynse_sync");
}

/* ---- the current file ---- */

int wal_current_sync(struct wal *w, struct error *err)
{
    if (!w->file || w->unsynced_bytes == 0) return 0;
    CHECK(wal_may_sync(w)); /* (6) */
    uint64_t upto = w->files[w->file_count - 1].last_lsn;
    uint64_t marked = w->marked_lsn;
    if (vfs_sync(w->file, err) != 0 && !(FAULT(WAL_RETRY_SYNC) && vfs_sync(w->file, err) == 0))
        return wal_poison(w, err);
    w->unsynced_bytes = 0;
    if (upto > w->durable_lsn) w->durable_lsn = upto;
    if (marked > w->vouched_lsn) w->vouched_lsn = marked;
    return 0;
}

/* A failed close of a file that was written may hide a failed write (R9). */
static int close_current(struct wal *w, struct error *err)
{
    struct vfs_file *f = w->file;

    w->file = NULL;
    w->unsynced_bytes = 0;
    return vfs_close(f, err) == 0 ? 0 : wal_poison(w, err);
}

uint64_t wal_next_file_bytes(uint64_t before, bool was_full, uint64_t group_bytes)
{
    uint64_t need = align_up(WAL_RECORDS + (size_t)group_bytes + WAL_MARK_ROOM, WAL_BLOCK_BYTES);
    uint64_t bytes = was_full ? 2 * before : before;

    if (bytes < WAL_FIRST_BYTES) bytes = WAL_FIRST_BYTES;
    if (bytes > WAL_MAX_BYTES) bytes = WAL_MAX_BYTES;
    return bytes > need ? bytes : need;
}

int wal_reserve_files(struct wal *w, size_t more, struct error *err)
{
    size_t need = w->file_count + more;
    if (need <= w->file_capacity) return 0;
    size_t capacity = need + 8;
    void *files = mem_resize(w->alloc, MEM_LOG, w->files, capacity * sizeof *w->files);
    if (!files) return error_no_memory(err, capacity * sizeof *w->files);
    w->files = files;
    w->file_capacity = capacity;
    return 0;
}

/* Room that a log file takes ahead is room that sealing may need: an eighth of it at most. */
static uint64_t fit_to_disk(const struct wal *w, uint64_t bytes, uint64_t least)
{
    struct vfs_space space;

    if (bytes <= least || vfs_dir_space(w->maker.dir, &space, NULL) != 0) return bytes;
    uint64_t most = space.free_bytes / 8 / WAL_BLOCK_BYTES * WAL_BLOCK_BYTES;
    if (bytes <= most) return bytes;
    return most > least ? most : least;
}

int wal_current_open(struct wal *w, const struct uuid *salt, uint64_t bytes,
                     const struct wal_run *records, struct error *err)
{
    bool is_fatal = false;
    struct error failure = {0};
    struct vfs_file *file = NULL;
    uint64_t least = wal_next_file_bytes(0, false, records ? wal_run_bytes(records) : 0);
    struct wal_header h = {
        .base.file = *salt,
        .sequence = w->next_sequence,
        .first_lsn = w->prev.last_lsn + 1,
        .file_bytes = fit_to_disk(w, bytes, least),
        .prev_uuid = w->prev.uuid,
        .prev_last_lsn = w->prev.last_lsn,
        .prev_last_crc = w->prev.last_crc,
    };

    if (!FAULT(WAL_SKIP_R4A) && wal_current_sync(w, err) != 0) return -1;
    int rc = wal_files_make(&w->maker, &h, records, &file, &is_fatal, &failure);
    if (rc != 0 && !is_fatal && failure.code == LYNSE_DISK_FULL && least < h.file_bytes) {
        /* There may be room for what has to be logged now: a delete, say. */
        REACHED(WAL_MADE_SMALL);
        h.file_bytes = least;
        rc = wal_files_make(&w->maker, &h, records, &file, &is_fatal, &failure);
    }
    if (rc != 0) {
        if (err) *err = failure;
        return is_fatal ? wal_poison(w, err) : -1;
    }
    if (w->file) REACHED(WAL_ROTATED);
    if (w->file && close_current(w, err) != 0) {
        (void)vfs_close(file, NULL);
        return -1;
    }
    w->file = file;
    w->wants_new_file = false;
    w->salt = h.base.file;
    w->file_bytes = h.file_bytes;
    w->at = WAL_RECORDS;
    w->data_end = h.file_bytes - WAL_MARK_ROOM;
    w->chain = 0;
    w->unsynced_bytes = 0;
    w->next_sequence++;
    w->files[w->file_count++] = (struct wal_file){
        .sequence = h.sequence, .first_lsn = h.first_lsn, .last_lsn = h.first_lsn - 1};
    /* Its header has proved the end of the file before it, durably. */
    if (w->prev.last_lsn > w->vouched_lsn) w->vouched_lsn = w->prev.last_lsn;
    /* It may get a successor before its first group. */
    w->prev = (struct wal_end){.uuid = w->salt, .last_lsn = w->prev.last_lsn};
    return 0;
}

/* Where the file could not even grow, nothing of the batch is in it. */
static bool has_written_nothing(const struct wal *w)
{
    uint64_t size = 0;
    return w->at >= w->file_bytes && vfs_size(w->file, &size, NULL) == 0 && size <= w->at;
}

int wal_current_cut_back(struct wal *w, struct error *err)
{
    struct uuid salt = wal_files_salt(&w->maker);
    static const uint8_t zeros[WAL_RECORD_HEADER_BYTES];
    struct error inner = *err;

    if (FAULT(WAL_KEEP_FAILED)) return 0;
    if (has_written_nothing(w)) return 0;
    w->wants_new_file = true;
    w->unsynced_bytes += WAL_RECORD_HEADER_BYTES;
    bool is_cut = vfs_write(w->file, w->at, zeros, sizeof zeros, NULL) == 0;
    if (!wal_may_sync(w))
        return error_set(err, LYNSE_OUTCOME_UNKNOWN,
                         "%s; a part may have been written: call lynse_sync", inner.text);
    REACHED(WAL_CUT_BACK);
    if (is_cut) return wal_current_sync(w, err);
    /* A successor that says where this file ended does as well. */
    uint64_t bytes = wal_next_file_bytes(w->file_bytes, false, 0);
    if (wal_current_open(w, &salt, bytes, NULL, &inner) == 0) return 0;
    return wal_poison(w, err);
}
