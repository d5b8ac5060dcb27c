/* SPDX-License-Identifier: Apache-2.0 */
/* wal_upkeep.c — what is done to a log between batches: marks, files ahead of need, retirement.
 *
 * WHAT        Shrinks what a crash can hide (marks) and what a replay must read (retirement).
 * LAYOUT      FORMAT.md 6.
 * INVARIANTS  Those of wal.c.  A mark says only what is true already: that durable_lsn is durable.
 * THREADS     The collection's actor.
 * FAILURE     A mark that cannot be written costs no group: the file is given up, the next batch
 *             begins another one.  A file that cannot be removed is garbage for file_gc.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "base/faults.h"
#include "store/wal_current.h"

static const uint8_t ZEROS[WAL_BLOCK_BYTES + WAL_RECORD_HEADER_BYTES];

/* ---- marks ---- */

/* Padding to the next block that a record can begin in, then the mark.  Returns its CRC. */
static uint32_t encode_mark(struct wal *w, struct buf *out)
{
    uint64_t block = align_up((size_t)w->at, WAL_BLOCK_BYTES);
    uint64_t lsn = w->files[w->file_count - 1].last_lsn;
    uint32_t chain = w->chain;

    if (block - w->at > 0 && block - w->at < WAL_RECORD_HEADER_BYTES) block += WAL_BLOCK_BYTES;
    if (block > w->at && !FAULT(WAL_MARK_BESIDE)) {
        struct slice zeros = slice_of(ZEROS, (size_t)(block - w->at) - WAL_RECORD_HEADER_BYTES);
        chain = wal_record_encode(out, &w->salt, RECORD_PAD, WAL_IGNORABLE, lsn, w->durable_lsn,
                                  chain, zeros);
    }
    return wal_record_encode(out, &w->salt, RECORD_MARK, WAL_IGNORABLE, lsn, w->durable_lsn, chain,
                             slice_of(NULL, 0));
}

static int write_mark(struct wal *w, struct error *err)
{
    int rc = -1;
    struct buf out;

    buf_init(&out, w->alloc, MEM_LOG);
    uint32_t chain = encode_mark(w, &out);
    if (!buf_ok(&out)) {
        error_no_memory(err, 2 * WAL_BLOCK_BYTES);
        goto out;
    }
    if (wal_may_sync(w) && w->at + out.size > w->file_bytes) {
        rc = 0; /* no room: only a manifest can vouch now */
        goto out;
    }
    w->unsynced_bytes += out.size;
    if (vfs_write(w->file, w->at, out.data, out.size, err) != 0) {
        w->wants_new_file = true; /* (3); a mark that is whole after all says nothing wrong */
        goto out;
    }
    w->at += out.size;
    w->chain = chain;
    w->files[w->file_count - 1].bytes = w->at - WAL_RECORDS;
    w->marked_lsn = w->durable_lsn;
    REACHED(WAL_MARK_WRITTEN);
    rc = 0;
out:
    buf_deinit(&out);
    return rc;
}

int wal_mark(struct wal *w, uint64_t flushed_lsn, bool sync, struct error *err)
{
    CHECK(w->chunk_count == 0);
    if (w->is_poisoned) return wal_fail_poisoned(err);
    if (!w->file || w->wants_new_file) return 0;
    if (w->durable_lsn <= flushed_lsn || w->durable_lsn <= w->vouched_lsn) return 0;
    if (sync && !wal_may_sync(w)) return wal_fail_needs_sync(err);
    if (w->marked_lsn < w->durable_lsn && write_mark(w, err) != 0) return -1;
    if (!sync || w->marked_lsn < w->durable_lsn) return 0;
    if (wal_current_sync(w, err) == 0) return 0;
    if (err) err->code = LYNSE_READ_ONLY; /* no group's outcome hangs on it */
    return -1;
}

bool wal_is_vouched(const struct wal *w)
{
    return w->vouched_lsn >= w->durable_lsn;
}

void wal_vouched_by_manifest(struct wal *w, uint64_t durable_lsn)
{
    if (durable_lsn > w->vouched_lsn) w->vouched_lsn = durable_lsn;
    if (durable_lsn > w->durable_lsn) w->durable_lsn = durable_lsn;
    CHECK(w->durable_lsn <= w->last_lsn); /* (5) */
}

void wal_skip(struct wal *w, uint64_t lsn)
{
    CHECK(w->chunk_count == 0 && lsn > w->last_lsn);
    wal_close_current(w);
    w->last_lsn = lsn;
    w->appended_lsn = lsn;
    w->prev = (struct wal_end){.last_lsn = lsn}; /* what comes next continues no file */
}

int wal_prepare(struct wal *w, struct error *err)
{
    struct uuid salt = wal_files_salt(&w->maker);

    CHECK(w->chunk_count == 0);
    if (w->is_poisoned) return wal_fail_poisoned(err);
    bool is_full = w->at > w->data_end;
    if (w->file && !w->wants_new_file && !is_full) return 0;
    if (!wal_may_sync(w)) return wal_fail_needs_sync(err);
    if (wal_reserve_files(w, 1, err) != 0) return -1;
    bool was_full = w->file && !w->wants_new_file;
    return wal_current_open(w, &salt, wal_next_file_bytes(w->file_bytes, was_full, 0), NULL, err);
}

/* ---- retiring ---- */

void wal_close_current(struct wal *w)
{
    CHECK(w->chunk_count == 0);
    w->wants_new_file = true;
}

static bool is_current(const struct wal *w, size_t index)
{
    return w->file && !w->wants_new_file && index == w->file_count - 1;
}

static uint64_t first_needed(const struct wal *w, uint64_t lsn, bool needs_current)
{
    for (size_t i = 0; i < w->file_count; i++)
        if (w->files[i].last_lsn > lsn || (needs_current && is_current(w, i)))
            return w->files[i].sequence;
    return w->next_sequence;
}

uint64_t wal_first_needed(const struct wal *w, uint64_t lsn)
{
    return first_needed(w, lsn, true);
}

uint64_t wal_first_after_close(const struct wal *w, uint64_t lsn)
{
    return first_needed(w, lsn, false);
}

void wal_retire(struct wal *w, uint64_t wal_first)
{
    size_t gone = 0;

    while (gone < w->file_count && w->files[gone].sequence < wal_first && !is_current(w, gone))
        gone++;
    /* Its groups are in segments, so a failed close loses nothing. */
    if (gone == w->file_count && w->file) {
        (void)vfs_close(w->file, NULL);
        w->file = NULL;
        w->unsynced_bytes = 0;
    }
    for (size_t i = 0; i < gone; i++) wal_files_recycle(&w->maker, w->files[i].sequence);
    w->file_count -= gone;
    if (gone > 0) memmove(w->files, w->files + gone, w->file_count * sizeof *w->files);
}

const char *wal_spare_name(const struct wal *w)
{
    return w->maker.spare[0] != '\0' ? w->maker.spare : NULL;
}
