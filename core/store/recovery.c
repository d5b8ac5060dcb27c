/* SPDX-License-Identifier: Apache-2.0 */
/* recovery.c — from a directory to the state that was promised.
 *
 * WHAT        The rules by which a collection is opened: which files count, where the log ends, and
 *             whether that is a torn tail (normal after a crash) or damage.
 * INVARIANTS  (1) Nothing is removed, shown or built upon before it is durable (R3b).
 *             (2) The log's files run without a gap from the first one needed; each but the newest
 *                 ends where its successor says (R3a).
 *             (3) The newest ends at the first group that is not whole; that is a torn tail only if
 *                 nobody vouches for that group (R3).
 *             (4) What is read twice is checked twice: files may be hostile (P9).
 *             (5) What a read-only open shows is a state that was: at least everything that the
 *                 manifest names.
 * THREADS     One caller; no state beyond struct recovery.
 * FAILURE     Opening again repeats everything; each step leaves what the next attempt needs.
 */
#include "store/recovery.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/faults.h"
#include "store/file_gc.h"
#include "store/file_header.h"

/* One log file while the ends are found. */
struct log_file {
    uint64_t sequence;
    struct wal_header header;
    struct wal_scan scan;
};
struct log_set {
    struct alloc *alloc;
    struct log_file *files; /* by sequence */
    size_t count;
    size_t capacity;
    bool failed;         /* out of memory while listing */
    uint64_t wal_first;  /* lower ones are not read (R8) */
    uint64_t proved_lsn; /* highest end of a predecessor in any good header */
};

/* ---- reading files ---- */

/* The first `most` bytes of a log file into an empty buf. */
static int read_log(const struct recovery *r, uint64_t sequence, uint64_t most, struct buf *out,
                    struct error *err)
{
    int rc = -1;
    char name[TWIN_NAME_BYTES];
    struct vfs_file *f = NULL;
    uint64_t size = 0;
    size_t got = 0;

    numbered_name(name, WAL_PREFIX, sequence);
    if (vfs_open(r->desc.dir, name, VFS_READ, &f, err) != 0) return file_open_failed(err);
    if (vfs_size(f, &size, err) != 0) goto out;
    if (size > most) size = most;
    uint8_t *data = size <= SIZE_MAX ? buf_extend(out, (size_t)size) : NULL;
    if (!data) {
        error_no_memory(err, size);
        goto out;
    }
    if (vfs_read(f, 0, data, (size_t)size, &got, err) != 0) goto out;
    out->size = got;
    rc = 0;
out:
    (void)vfs_close(f, NULL);
    return rc;
}

/* Walk one log file as a whole. */
static int scan_log(const struct recovery *r, uint64_t sequence, uint64_t upto_lsn,
                    wal_record_fn *fn, void *ctx, struct wal_scan *out, struct error *err)
{
    char name[TWIN_NAME_BYTES];
    struct buf bytes;

    numbered_name(name, WAL_PREFIX, sequence);
    buf_init(&bytes, r->desc.alloc, MEM_LOG);
    int rc = read_log(r, sequence, UINT64_MAX, &bytes, err);
    if (rc == 0)
        rc = wal_scan(buf_slice(&bytes), &r->desc.owner, name, upto_lsn, fn, ctx, out, err);
    buf_deinit(&bytes);
    return rc;
}

/* ---- which files there are ---- */

static bool note_log(void *ctx, const char *name)
{
    struct log_set *logs = ctx;
    uint64_t sequence = 0;

    if (!numbered_name_parse(name, WAL_PREFIX, &sequence) || sequence < logs->wal_first)
        return true;
    if (logs->count == logs->capacity) {
        size_t capacity = 2 * logs->capacity + 16;
        void *files = mem_resize(logs->alloc, MEM_LOG, logs->files, capacity * sizeof *logs->files);
        logs->failed = !files;
        if (!files) return false;
        logs->files = files;
        logs->capacity = capacity;
    }
    logs->files[logs->count++] = (struct log_file){.sequence = sequence};
    return true;
}

static int compare_sequences(const void *a, const void *b)
{
    const struct log_file *x = a, *y = b;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static int list_logs(struct recovery *r, struct log_set *logs, struct error *err)
{
    if (vfs_dir_list(r->desc.dir, note_log, logs, err) != 0) return -1;
    if (logs->failed) return error_no_memory(err, logs->capacity * sizeof *logs->files);
    if (logs->count > 0) qsort(logs->files, logs->count, sizeof *logs->files, compare_sequences);
    return 0;
}

/* A reader goes on with the first `keep` files where a writer refuses.  0: it does. */
static int keep_before_damage(struct recovery *r, struct log_set *logs, size_t keep,
                              struct error *err)
{
    struct error cause = *err;

    if (!r->desc.read_only || cause.code != LYNSE_CORRUPT) return -1;
    r->damage = cause;
    logs->count = keep;
    return 0;
}

/* (2), as far as headers tell. */
static int check_header(const struct recovery *r, const struct log_set *logs, size_t i,
                        struct error *err)
{
    const struct log_file *f = &logs->files[i];
    uint64_t low = manifest_replay_from(&r->manifest);

    if (f->header.sequence != f->sequence)
        return error_set(err, LYNSE_CORRUPT, "'wal-%llu' says it has number %llu",
                         (unsigned long long)f->sequence, (unsigned long long)f->header.sequence);
    if (i == 0 ? f->header.first_lsn > low + 1 : f->sequence != f[-1].sequence + 1)
        return error_set(err, LYNSE_CORRUPT,
                         "the log has a gap before 'wal-%llu', which begins at LSN %llu",
                         (unsigned long long)f->sequence, (unsigned long long)f->header.first_lsn);
    return 0;
}

static int read_header(struct recovery *r, struct log_file *f, struct error *err)
{
    char name[TWIN_NAME_BYTES];
    struct buf bytes;
    int damaged = 0;
    bool read_only_needed = false;

    numbered_name(name, WAL_PREFIX, f->sequence);
    buf_init(&bytes, r->desc.alloc, MEM_LOG);
    int rc = read_log(r, f->sequence, WAL_RECORDS, &bytes, err);
    if (rc == 0)
        rc = wal_header_read(buf_slice(&bytes), &r->desc.owner, name, &f->header, &damaged,
                             &read_only_needed, err);
    buf_deinit(&bytes);
    r->damaged_copies += damaged;
    r->must_read_only = r->must_read_only || read_only_needed;
    return rc;
}

static int read_headers(struct recovery *r, struct log_set *logs, struct error *err)
{
    for (size_t i = 0; i < logs->count; i++) {
        struct error cause = {0};
        struct log_file *f = &logs->files[i];
        if (read_header(r, f, &cause) == 0 && check_header(r, logs, i, &cause) == 0) {
            if (f->header.prev_last_lsn > logs->proved_lsn)
                logs->proved_lsn = f->header.prev_last_lsn;
            continue;
        }
        if (keep_before_damage(r, logs, i, &cause) == 0) return 0;
        if (err) *err = cause;
        return -1;
    }
    return 0;
}

/* ---- where the log ends ---- */

/* R3a: does the successor prove the end that was found? */
static int check_end(const struct log_file *f, const struct log_file *next, struct error *err)
{
    const struct wal_header *h = &next->header;

    if (uuid_equal(&h->prev_uuid, &f->header.base.file) && h->prev_last_lsn == f->scan.last_lsn &&
        h->prev_last_crc == f->scan.last_crc)
        return 0;
    return error_set(
        err, LYNSE_CORRUPT,
        "'wal-%llu' ends at LSN %llu; 'wal-%llu' says that what came before it ended at "
        "LSN %llu, or was another file",
        (unsigned long long)f->sequence, (unsigned long long)f->scan.last_lsn,
        (unsigned long long)next->sequence, (unsigned long long)h->prev_last_lsn);
}

/* R3: has somebody seen that the first missing group was durable? */
static int check_newest(const struct recovery *r, const struct log_file *f, struct error *err)
{
    uint64_t vouched = FAULT(WAL_NO_VOUCH) ? 0 : f->scan.vouched_lsn;

    if (vouched < r->manifest.durable_lsn) vouched = r->manifest.durable_lsn;
    if (vouched <= f->scan.last_lsn) return 0;
    return error_set(err, LYNSE_CORRUPT,
                     "'wal-%llu' is damaged: it ends at LSN %llu, and LSN %llu was durable",
                     (unsigned long long)f->sequence, (unsigned long long)f->scan.last_lsn,
                     (unsigned long long)vouched);
}

/* A reader's copy may be older in front than behind, where a writer goes on beside it: what vouches
 * was written after what it vouches for, so looking again settles it. */
static int scan_newest(struct recovery *r, struct log_file *f, struct error *err)
{
    int looks = r->desc.read_only ? 2 : 1;

    for (int i = 0; i < looks; i++) {
        if (scan_log(r, f->sequence, UINT64_MAX, NULL, NULL, &f->scan, err) != 0) return -1;
        if (check_newest(r, f, i == looks - 1 ? err : NULL) == 0) return 0;
    }
    return -1;
}

/* The end of file i, and the proof of it.  *out_keep: how many files stand if that fails. */
static int find_end(struct recovery *r, struct log_set *logs, size_t i, size_t *out_keep,
                    struct error *err)
{
    struct log_file *f = &logs->files[i];
    const struct log_file *next = i + 1 < logs->count ? f + 1 : NULL;
    uint64_t upto = next ? next->header.prev_last_lsn : UINT64_MAX;

    *out_keep = i;
    if (FAULT(RECOVERY_NO_R3A) && next) {
        if (scan_log(r, f->sequence, UINT64_MAX, NULL, NULL, &f->scan, err) != 0) return -1;
        if (f->scan.last_lsn != next->header.first_lsn - 1) logs->count = i + 1;
        return 0;
    }
    f->scan.end_offset = 0; /* not scanned yet */
    if (!next) {
        int rc = scan_newest(r, f, err);
        if (rc == 0 && f->scan.is_torn) REACHED(WAL_TORN_TAIL);
        *out_keep = f->scan.end_offset > 0 ? i + 1 : i;
        return rc;
    }
    if (scan_log(r, f->sequence, upto, NULL, NULL, &f->scan, err) != 0) return -1;
    if (f->scan.is_torn) REACHED(RECOVERY_R3A_PROVED);
    *out_keep = i + 1;
    return check_end(f, next, err);
}

static int find_ends(struct recovery *r, struct log_set *logs, struct error *err)
{
    uint64_t last = r->manifest.flushed_lsn;

    for (size_t i = 0; i < logs->count; i++) {
        struct error cause = {0};
        size_t keep = 0;
        if (find_end(r, logs, i, &keep, &cause) == 0) continue;
        if (keep_before_damage(r, logs, keep, &cause) == 0) break;
        if (err) *err = cause;
        return -1;
    }
    if (logs->count > 0) last = logs->files[logs->count - 1].scan.last_lsn;
    if (last >= r->manifest.durable_lsn) return 0;
    /* (5): the manifest names what only the missing part of the log explains. */
    if (r->damage.code) {
        if (err) *err = r->damage;
        return -1;
    }
    return error_set(err, LYNSE_CORRUPT, "the log ends at LSN %llu, and LSN %llu was durable",
                     (unsigned long long)last, (unsigned long long)r->manifest.durable_lsn);
}

/* ---- making it last ---- */

/* What a failed sync left in the cache looks written and is not: the pages are clean, and another
 * sync would not write them (R9).  Writing the same bytes again makes them dirty. */
static int rewrite_records(const struct recovery *r, const struct log_file *f,
                           struct vfs_file *file, struct error *err)
{
    struct buf bytes;
    uint64_t end = f->scan.end_offset;

    if (end <= WAL_RECORDS) return 0;
    buf_init(&bytes, r->desc.alloc, MEM_LOG);
    int rc = read_log(r, f->sequence, end, &bytes, err);
    if (rc == 0 && bytes.size < end)
        rc = error_set(err, LYNSE_IO, "'wal-%llu' became shorter", (unsigned long long)f->sequence);
    if (rc == 0)
        rc = vfs_write(file, WAL_RECORDS, bytes.data + WAL_RECORDS, (size_t)end - WAL_RECORDS, err);
    buf_deinit(&bytes);
    return rc;
}

static int sync_log(const struct recovery *r, const struct log_file *f, bool is_newest,
                    struct error *err)
{
    char name[TWIN_NAME_BYTES];
    struct vfs_file *file = NULL;

    numbered_name(name, WAL_PREFIX, f->sequence);
    if (vfs_open(r->desc.dir, name, VFS_WRITE, &file, err) != 0) return -1;
    int rc = is_newest ? rewrite_records(r, f, file, err) : 0;
    if (rc == 0) rc = vfs_sync(file, err);
    if (vfs_close(file, rc == 0 ? err : NULL) != 0) rc = -1;
    return rc;
}

/* R3b: (1). */
static int make_durable(const struct recovery *r, const struct log_set *logs, struct error *err)
{
    if (FAULT(RECOVERY_SKIP_R3B)) return 0;
    for (size_t i = 0; i < logs->count; i++)
        if (sync_log(r, &logs->files[i], i == logs->count - 1, err) != 0) return -1;
    return vfs_dir_sync(r->desc.dir, err);
}

/* ---- what was found ---- */

/* L4: what a reader may show. */
static uint64_t find_reader_bound(const struct recovery *r, const struct log_set *logs)
{
    uint64_t bound = FAULT(RECOVERY_BOUND_RECORDS_ONLY) ? 0 : r->manifest.durable_lsn;

    if (FAULT(RECOVERY_NO_READER_BOUND)) return UINT64_MAX;
    for (size_t i = 0; i < logs->count; i++) {
        const struct log_file *f = &logs->files[i];
        if (f->scan.vouched_lsn > bound) bound = f->scan.vouched_lsn;
    }
    if (logs->proved_lsn > bound && !FAULT(RECOVERY_BOUND_RECORDS_ONLY)) bound = logs->proved_lsn;
    return bound;
}

static void set_position(struct recovery *r, const struct log_set *logs)
{
    const struct log_file *newest = logs->count > 0 ? &logs->files[logs->count - 1] : NULL;
    struct wal_position *p = &r->position;
    uint64_t first = r->manifest.wal_first > 0 ? r->manifest.wal_first : 1;

    *p = (struct wal_position){.next_sequence = first, .last_lsn = r->manifest.flushed_lsn};
    p->vouched_lsn = r->manifest.durable_lsn;
    if (newest) {
        p->next_sequence = newest->sequence + 1;
        p->last_lsn = newest->scan.last_lsn;
        p->prev_uuid = newest->header.base.file;
        p->prev_last_crc = newest->scan.last_crc;
        /* Not what a record behind the torn end says: it may share a block with what it vouches
         * for. */
        if (newest->scan.marked_lsn > p->vouched_lsn) p->vouched_lsn = newest->scan.marked_lsn;
        if (newest->header.prev_last_lsn > p->vouched_lsn)
            p->vouched_lsn = newest->header.prev_last_lsn;
    }
    p->prev_last_lsn = p->last_lsn;
    p->durable_lsn = p->last_lsn;
    r->upto_lsn = p->last_lsn;
    if (!r->desc.read_only) return;
    uint64_t bound = find_reader_bound(r, logs);
    if (bound < r->upto_lsn) r->upto_lsn = bound;
}

static int set_files(struct recovery *r, const struct log_set *logs, struct error *err)
{
    size_t bytes = logs->count * sizeof *r->files;

    if (logs->count == 0) return 0;
    r->files = mem_alloc(r->desc.alloc, MEM_LOG, bytes);
    if (!r->files) return error_no_memory(err, bytes);
    for (size_t i = 0; i < logs->count; i++) {
        const struct log_file *f = &logs->files[i];
        r->files[i] = (struct wal_file){
            .sequence = f->sequence,
            .first_lsn = f->header.first_lsn,
            .last_lsn = f->scan.last_lsn,
            .bytes = f->scan.end_offset - WAL_RECORDS,
        };
    }
    r->file_count = logs->count;
    return 0;
}

int recovery_begin(struct recovery *r, const struct recovery_desc *desc, struct error *err)
{
    int rc = -1;
    struct twin_info info = {0};
    struct log_set logs = {.alloc = desc->alloc};

    *r = (struct recovery){.desc = *desc};
    manifest_init(&r->manifest, desc->alloc);
    if (manifest_load(&r->manifest, desc->dir, &desc->owner, &info, err) != 0) goto out;
    r->damaged_copies = info.damaged_copies;
    r->must_read_only = info.read_only_needed;
    logs.wal_first = r->manifest.wal_first;
    if (list_logs(r, &logs, err) != 0) goto out;
    if (read_headers(r, &logs, err) != 0) goto out;
    if (r->must_read_only) r->desc.read_only = true;
    if (find_ends(r, &logs, err) != 0) goto out;
    if (set_files(r, &logs, err) != 0) goto out;
    set_position(r, &logs);
    if (!r->desc.read_only) {
        if (FAULT(RECOVERY_CLEAN_EARLY) && recovery_clean(r, err) != 0) goto out;
        if (make_durable(r, &logs, err) != 0) goto out;
    }
    rc = 0;
out:
    mem_free(desc->alloc, logs.files);
    if (rc != 0) recovery_deinit(r);
    return rc;
}

/* ---- replay and the end ---- */

struct replay {
    uint64_t from_lsn;
    wal_record_fn *fn;
    void *ctx;
};

static int replay_record(void *ctx, uint64_t lsn, enum record_kind kind, struct slice payload,
                         bool is_group_end, struct error *err)
{
    const struct replay *p = ctx;
    return lsn > p->from_lsn ? p->fn(p->ctx, lsn, kind, payload, is_group_end, err) : 0;
}

int recovery_replay(struct recovery *r, wal_record_fn *fn, void *ctx, struct error *err)
{
    struct replay p = {manifest_replay_from(&r->manifest), fn, ctx};

    for (size_t i = 0; i < r->file_count; i++) {
        const struct wal_file *f = &r->files[i];
        uint64_t upto = f->last_lsn < r->upto_lsn ? f->last_lsn : r->upto_lsn;
        struct wal_scan scan;
        if (upto <= p.from_lsn || upto < f->first_lsn) continue;
        if (scan_log(r, f->sequence, upto, replay_record, &p, &scan, err) != 0) return -1;
        if (scan.last_lsn != upto) /* (4) */
            return error_set(err, LYNSE_CORRUPT, "'wal-%llu' changed while it was read",
                             (unsigned long long)f->sequence);
    }
    return 0;
}

int recovery_clean(struct recovery *r, struct error *err)
{
    CHECK(!r->desc.read_only);
    return file_gc_run(r->desc.dir, &r->manifest, r->desc.lock_file, &(struct file_gc_keep){0},
                       err);
}

void recovery_deinit(struct recovery *r)
{
    if (!r->desc.alloc) return;
    manifest_deinit(&r->manifest);
    mem_free(r->desc.alloc, r->files);
    *r = (struct recovery){0};
}
