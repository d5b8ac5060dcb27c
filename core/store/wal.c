/* SPDX-License-Identifier: Apache-2.0 */
/* wal.c — the local commit log of one collection.
 *
 * WHAT        append frames groups into a buffer; complete writes the buffer, syncs once and tells
 *             how far the log is committed.
 * LAYOUT      FORMAT.md 6.  A batch is a run of chunks, one per file that it goes into; only the
 *             first may continue the current file.
 * INVARIANTS  (1) A group stands in one file (R4); files[file_count - 1] is the current file while
 *                 `file` is open.
 *             (2) Before a file gets a successor everything in it is durable (R4a), and the
 *                 successor's header, durable before its first record, says where it ended (R3a).
 *             (3) After a failed write nothing is appended behind the garbage: the file is given up,
 *                 and no LSN is handed out again before the garbage is proved dead.
 *             (4) After a failed sync nothing is written any more (R9).
 *             (5) durable_lsn <= last_lsn <= appended_lsn; the first two differ between syncs, the
 *                 last two while a batch is under way.
 *             (6) Without WAL_MAY_SYNC no sync, and nothing that needs one, is begun (R4b).
 * THREADS     The collection's actor.
 * FAILURE     wal.h says what each outcome means.  In this file: `poison` for whatever makes the
 *             disk's state unknown, cut_back for everything else.
 */
#include "store/wal.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "store/wal_files.h"
#include "store/wal_replay.h"

enum { BATCH_BYTES_KEPT = 2 * SYNC_BATCH_BYTES };

/* The part of a batch that goes into one file. */
struct wal_chunk {
    bool opens_file; /* else it continues the current one */
    struct uuid salt;
    uint64_t file_bytes; /* opens_file: what the file is made with, at least */
    uint64_t at;         /* in the file, after the chunk */
    uint64_t data_end;   /* in the file: groups end here at the latest */
    size_t begin;        /* in the batch buffer */
    size_t end;
    uint32_t chain; /* CRC of its last record, which ends a group */
    uint64_t last_lsn;
};

/* What the next header says of the file before it (R3a). */
struct wal_end {
    struct uuid uuid;
    uint64_t last_lsn;
    uint32_t last_crc;
};

struct wal {
    struct commit_log log; /* first */
    struct alloc *alloc;
    unsigned rules;
    bool is_poisoned;
    struct wal_files maker;

    struct wal_file *files; /* oldest first */
    size_t file_count;
    size_t file_capacity;
    uint64_t next_sequence;

    struct vfs_file *file; /* the current one; NULL: none */
    bool wants_new_file;   /* the current one is given up, or closed by a checkpoint */
    struct uuid salt;
    uint64_t file_bytes; /* it was made with; without one: what sizes the next */
    uint64_t at;         /* where the next record goes */
    uint64_t data_end;
    uint32_t chain;          /* CRC of the record before `at` */
    uint64_t unsynced_bytes; /* written since its last sync */

    struct wal_end prev;
    uint64_t last_lsn; /* written, or skipped in level `none` */
    uint64_t durable_lsn;
    uint64_t marked_lsn;  /* a mark for it is written */
    uint64_t vouched_lsn; /* a mark, successor or manifest for it is durable */

    struct buf batch;
    struct wal_chunk *chunks;
    size_t chunk_count;
    size_t chunk_capacity;
    uint64_t appended_lsn;
};

static const uint8_t ZEROS[WAL_BLOCK_BYTES + WAL_RECORD_HEADER_BYTES];

static struct wal *wal_of(struct commit_log *log)
{
    return (struct wal *)log;
}

static bool may_sync(const struct wal *w)
{
    return (w->rules & WAL_MAY_SYNC) != 0;
}

/* ---- failing ---- */

/* (4) */
static int poison(struct wal *w, struct error *err)
{
    struct error cause = {0};

    if (err) cause = *err;
    w->is_poisoned = true;
    return error_set(err, LYNSE_OUTCOME_UNKNOWN,
                     "%s; nothing is logged any more until the collection is opened again",
                     cause.code ? cause.text : "the log failed");
}

static int fail_poisoned(struct error *err)
{
    return error_set(err, LYNSE_READ_ONLY,
                     "the log could not be synced; open the collection again to write");
}

static int fail_needs_sync(struct error *err)
{
    return error_set(err, LYNSE_BUSY,
                     "the log needs a sync, which is not allowed here: call lynse_sync");
}

/* ---- the current file ---- */

static int sync_current(struct wal *w, struct error *err)
{
    if (!w->file || w->unsynced_bytes == 0) return 0;
    CHECK(may_sync(w)); /* (6) */
    uint64_t upto = w->files[w->file_count - 1].last_lsn;
    uint64_t marked = w->marked_lsn;
    if (vfs_sync(w->file, err) != 0) return poison(w, err);
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
    return vfs_close(f, err) == 0 ? 0 : poison(w, err);
}

/* The size that the next file should have: twice the full one before it, or the same when that was
 * closed early; a group that is larger gets a file of its own size (R4). */
static uint64_t next_file_bytes(uint64_t before, bool was_full, uint64_t group_bytes)
{
    uint64_t need = align_up(WAL_RECORDS + (size_t)group_bytes + WAL_MARK_ROOM, WAL_BLOCK_BYTES);
    uint64_t bytes = was_full ? 2 * before : before;

    if (bytes < WAL_FIRST_BYTES) bytes = WAL_FIRST_BYTES;
    if (bytes > WAL_MAX_BYTES) bytes = WAL_MAX_BYTES;
    return bytes > need ? bytes : need;
}

static int reserve_files(struct wal *w, size_t more, struct error *err)
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

/* Begin a new current file: (2).  The caller has reserved its place in files. */
static int open_file(struct wal *w, const struct uuid *salt, uint64_t bytes, struct error *err)
{
    bool is_fatal = false;
    struct vfs_file *file = NULL;
    struct wal_header h = {
        .base.file = *salt,
        .sequence = w->next_sequence,
        .first_lsn = w->prev.last_lsn + 1,
        .file_bytes = bytes,
        .prev_uuid = w->prev.uuid,
        .prev_last_lsn = w->prev.last_lsn,
        .prev_last_crc = w->prev.last_crc,
    };

    if (!FAULT(WAL_SKIP_R4A) && sync_current(w, err) != 0) return -1;
    if (wal_files_make(&w->maker, &h, &file, &is_fatal, err) != 0)
        return is_fatal ? poison(w, err) : -1;
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
    return 0;
}

/* ---- append ---- */

static uint64_t group_bytes(const struct commit_record *records, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (records[i].payload.size > LIMIT_GROUP_BYTES) return UINT64_MAX;
        bytes += wal_record_bytes(records[i].payload.size);
        if (bytes > LIMIT_GROUP_BYTES) return UINT64_MAX;
    }
    return bytes;
}

/* Where the batch would go on in the file that it is in; false when there is none. */
static bool find_open_end(const struct wal *w, struct wal_chunk *out)
{
    if (w->chunk_count > 0) {
        *out = w->chunks[w->chunk_count - 1];
        return true;
    }
    *out = (struct wal_chunk){.salt = w->salt,
                              .file_bytes = w->file_bytes,
                              .at = w->at,
                              .data_end = w->data_end,
                              .chain = w->chain};
    return w->file && !w->wants_new_file;
}

/* The chunk for a group: one that continues, or the first of another file.  *out_is_new: it has to
 * be added to the batch. */
static int choose_chunk(struct wal *w, uint64_t bytes, struct wal_chunk *out, bool *out_is_new,
                        struct error *err)
{
    struct wal_chunk c;
    bool is_open = find_open_end(w, &c);

    *out_is_new = w->chunk_count == 0;
    if (!may_sync(w)) {
        if (!is_open || w->unsynced_bytes + w->batch.size >= UNSYNCED_BYTES_MAX)
            return fail_needs_sync(err); /* (6) */
    } else if (!is_open || c.at > c.data_end || bytes > c.data_end - c.at) {
        *out_is_new = true;
        c = (struct wal_chunk){
            .opens_file = true,
            .salt = wal_files_salt(&w->maker),
            .file_bytes = next_file_bytes(c.file_bytes, is_open, bytes),
            .at = WAL_RECORDS,
            .begin = w->batch.size,
        };
        c.data_end = c.file_bytes - WAL_MARK_ROOM;
    }
    *out = c;
    return 0;
}

static int reserve_batch(struct wal *w, size_t bytes, struct error *err)
{
    if (w->chunk_count == w->chunk_capacity) {
        size_t capacity = 2 * w->chunk_capacity + 4;
        void *chunks = mem_resize(w->alloc, MEM_LOG, w->chunks, capacity * sizeof *w->chunks);
        if (!chunks) return error_no_memory(err, capacity * sizeof *w->chunks);
        w->chunks = chunks;
        w->chunk_capacity = capacity;
    }
    if (reserve_files(w, w->chunk_count + 1, err) != 0) return -1;
    if (buf_reserve(&w->batch, bytes)) return 0;
    w->batch.failed = false; /* what was appended before is whole */
    return error_no_memory(err, bytes);
}

static int log_append(struct commit_log *log, uint64_t lsn, const struct commit_record *records,
                      size_t count, struct error *err)
{
    struct wal *w = wal_of(log);
    struct wal_chunk c;
    bool is_new = false;

    CHECK(lsn == w->appended_lsn + 1 && count > 0);
    if (w->is_poisoned) return fail_poisoned(err);
    uint64_t bytes = group_bytes(records, count);
    if (bytes == UINT64_MAX)
        return error_set(err, LYNSE_TOO_LARGE, "a group has more than %llu bytes",
                         LIMIT_GROUP_BYTES);
    if (choose_chunk(w, bytes, &c, &is_new, err) != 0) return -1;
    if (reserve_batch(w, (size_t)bytes, err) != 0) return -1;

    for (size_t i = 0; i < count; i++) {
        uint8_t flags = i == count - 1 ? WAL_GROUP_END : 0;
        CHECK(records[i].kind != RECORD_MARK && records[i].kind != RECORD_PAD);
        c.chain = wal_record_encode(&w->batch, &c.salt, records[i].kind, flags, lsn, w->durable_lsn,
                                    c.chain, records[i].payload);
    }
    c.at += bytes;
    c.end = w->batch.size;
    c.last_lsn = lsn;
    if (is_new) w->chunk_count++;
    w->chunks[w->chunk_count - 1] = c;
    w->appended_lsn = lsn;
    return 0;
}

/* ---- complete ---- */

/* Where the file could not even grow, nothing of the batch is in it. */
static bool has_written_nothing(const struct wal *w)
{
    uint64_t size = 0;
    return w->at >= w->file_bytes && vfs_size(w->file, &size, NULL) == 0 && size <= w->at;
}

/* A write at w->at failed: an unknown part of it is in the file: (3).  0: nothing of it can ever be
 * replayed.  -1: OUTCOME_UNKNOWN in *err, whether poisoned or not. */
static int cut_back(struct wal *w, struct error *err)
{
    struct uuid salt = wal_files_salt(&w->maker);
    struct error inner = *err;

    if (FAULT(WAL_KEEP_FAILED)) return 0;
    if (has_written_nothing(w)) return 0;
    w->wants_new_file = true;
    w->unsynced_bytes += WAL_RECORD_HEADER_BYTES;
    bool is_cut = vfs_write(w->file, w->at, ZEROS, WAL_RECORD_HEADER_BYTES, NULL) == 0;
    if (!may_sync(w))
        return error_set(err, LYNSE_OUTCOME_UNKNOWN,
                         "%s; a part may have been written: call lynse_sync", inner.text);
    REACHED(WAL_CUT_BACK);
    if (is_cut) return sync_current(w, err);
    /* A successor that says where this file ended does as well. */
    uint64_t bytes = next_file_bytes(w->file_bytes, false, 0);
    if (open_file(w, &salt, bytes, &inner) == 0) return 0;
    return poison(w, err);
}

static int write_chunk(struct wal *w, const struct wal_chunk *c, struct error *err)
{
    size_t bytes = c->end - c->begin;
    struct wal_file *f = NULL;

    if (c->opens_file && open_file(w, &c->salt, c->file_bytes, err) != 0) return -1;
    if (vfs_write(w->file, w->at, w->batch.data + c->begin, bytes, err) != 0) {
        struct error unknown = *err;
        if (cut_back(w, &unknown) != 0) *err = unknown;
        return -1;
    }
    f = &w->files[w->file_count - 1];
    w->at += bytes;
    w->unsynced_bytes += bytes;
    w->chain = c->chain;
    w->last_lsn = c->last_lsn;
    w->prev = (struct wal_end){w->salt, c->last_lsn, c->chain};
    f->last_lsn = c->last_lsn;
    f->bytes = w->at - WAL_RECORDS;
    return 0;
}

static void clear_batch(struct wal *w)
{
    w->chunk_count = 0;
    w->appended_lsn = w->last_lsn;
    if (w->batch.capacity > BATCH_BYTES_KEPT) {
        buf_deinit(&w->batch);
        buf_init(&w->batch, w->alloc, MEM_LOG);
    }
    buf_reset(&w->batch);
}

/* Tell the collection how far it got; the batch is over. */
static void finish_batch(struct wal *w, uint64_t before, const struct error *failure)
{
    bool is_unknown = failure && failure->code == LYNSE_OUTCOME_UNKNOWN;
    uint64_t appended = w->appended_lsn;
    uint64_t committed = w->is_poisoned ? w->durable_lsn : w->last_lsn;

    clear_batch(w);
    if (committed > before) w->log.on_complete(w->log.on_complete_ctx, committed, NULL);
    if (committed < before) committed = before;
    if (is_unknown && appended > committed)
        w->log.on_complete(w->log.on_complete_ctx, appended, failure);
}

static int log_complete(struct commit_log *log, bool sync, struct error *err)
{
    struct wal *w = wal_of(log);
    struct error failure = {0};
    uint64_t before = w->last_lsn;
    int rc = 0;

    CHECK(!sync || may_sync(w)); /* (6) */
    CHECK(w->log.on_complete);
    if (w->is_poisoned) return fail_poisoned(err);
    for (size_t i = 0; rc == 0 && i < w->chunk_count; i++)
        rc = write_chunk(w, &w->chunks[i], &failure);
    if (rc == 0 && sync && !FAULT(WAL_SKIP_SYNC)) rc = sync_current(w, &failure);
    if (FAULT(WAL_SKIP_SYNC) && sync) w->durable_lsn = w->last_lsn;
    finish_batch(w, before, rc == 0 ? NULL : &failure);
    if (rc != 0 && err) *err = failure;
    return rc;
}

static int log_sync(struct commit_log *log, uint64_t *out_durable_lsn, struct error *err)
{
    struct wal *w = wal_of(log);

    if (w->chunk_count > 0 && log_complete(log, true, err) != 0) return -1;
    if (w->is_poisoned) return fail_poisoned(err);
    if (w->unsynced_bytes > 0 && !may_sync(w)) return fail_needs_sync(err);
    if (sync_current(w, err) != 0) return -1;
    *out_durable_lsn = w->durable_lsn;
    return 0;
}

static uint64_t log_durable_lsn(const struct commit_log *log)
{
    return ((const struct wal *)log)->durable_lsn;
}

static uint64_t log_replay_bytes(const struct commit_log *log)
{
    const struct wal *w = (const struct wal *)log;
    uint64_t bytes = 0;
    for (size_t i = 0; i < w->file_count; i++) bytes += w->files[i].bytes;
    return bytes;
}

static const struct commit_log_ops WAL_OPS = {
    .append = log_append,
    .complete = log_complete,
    .sync = log_sync,
    .durable_lsn = log_durable_lsn,
    .replay_bytes = log_replay_bytes,
};

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
    if (may_sync(w) && w->at + out.size > w->file_bytes) {
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
    if (w->is_poisoned) return fail_poisoned(err);
    if (!w->file || w->wants_new_file) return 0;
    if (w->durable_lsn <= flushed_lsn || w->durable_lsn <= w->vouched_lsn) return 0;
    if (sync && !may_sync(w)) return fail_needs_sync(err);
    if (w->marked_lsn < w->durable_lsn && write_mark(w, err) != 0) return -1;
    if (!sync || w->marked_lsn < w->durable_lsn) return 0;
    if (sync_current(w, err) == 0) return 0;
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

/* ---- life ---- */

/* A planted mutant: go on where recovery stopped, behind whatever garbage is there. */
static int continue_file(struct wal *w, struct error *err)
{
    char name[TWIN_NAME_BYTES];
    const struct wal_file *f = &w->files[w->file_count - 1];

    numbered_name(name, WAL_PREFIX, f->sequence);
    if (vfs_open(w->maker.dir, name, VFS_WRITE, &w->file, err) != 0) return -1;
    if (vfs_size(w->file, &w->file_bytes, err) != 0) return -1;
    w->salt = w->prev.uuid;
    w->at = WAL_RECORDS + f->bytes;
    w->data_end = w->file_bytes - WAL_MARK_ROOM;
    w->chain = w->prev.last_crc;
    return 0;
}

int wal_create(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
               struct rng *rng, const struct wal_position *position, struct wal_file *take_files,
               size_t file_count, struct wal **out, struct error *err)
{
    struct wal *w = mem_zalloc(a, MEM_LOG, sizeof *w);

    CHECK(position->next_sequence > 0 && position->prev_last_lsn == position->last_lsn);
    if (!w) {
        mem_free(a, take_files);
        return error_no_memory(err, sizeof *w);
    }
    w->log.ops = &WAL_OPS;
    w->alloc = a;
    w->rules = WAL_MAY_SYNC;
    w->maker = (struct wal_files){.alloc = a, .dir = dir, .owner = *owner, .rng = rng};
    w->files = take_files;
    w->file_count = file_count;
    w->file_capacity = file_count;
    w->next_sequence = position->next_sequence;
    w->prev =
        (struct wal_end){position->prev_uuid, position->prev_last_lsn, position->prev_last_crc};
    w->last_lsn = position->last_lsn;
    w->appended_lsn = position->last_lsn;
    w->durable_lsn = position->durable_lsn;
    w->vouched_lsn = position->vouched_lsn;
    buf_init(&w->batch, a, MEM_LOG);
    /* What the last file held tells what the next one will. */
    uint64_t used = file_count > 0 ? take_files[file_count - 1].bytes : 0;
    w->file_bytes = WAL_FIRST_BYTES;
    while (w->file_bytes < used && w->file_bytes < WAL_MAX_BYTES) w->file_bytes *= 2;
    if (FAULT(WAL_CONTINUE_FILE) && file_count > 0 && continue_file(w, err) != 0) {
        wal_destroy(w);
        return -1;
    }
    *out = w;
    return 0;
}

void wal_destroy(struct wal *w)
{
    if (!w) return;
    (void)vfs_close(w->file, NULL);
    buf_deinit(&w->batch);
    mem_free(w->alloc, w->chunks);
    mem_free(w->alloc, w->files);
    mem_free(w->alloc, w);
}

struct commit_log *wal_log(struct wal *w)
{
    return &w->log;
}

void wal_set_rules(struct wal *w, unsigned rules)
{
    CHECK(w->chunk_count == 0);
    w->rules = rules;
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
    if (w->is_poisoned) return fail_poisoned(err);
    bool is_full = w->at > w->data_end;
    if (w->file && !w->wants_new_file && !is_full) return 0;
    if (!may_sync(w)) return fail_needs_sync(err);
    if (reserve_files(w, 1, err) != 0) return -1;
    bool was_full = w->file && !w->wants_new_file;
    return open_file(w, &salt, next_file_bytes(w->file_bytes, was_full, 0), err);
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

uint64_t wal_first_needed(const struct wal *w, uint64_t lsn)
{
    for (size_t i = 0; i < w->file_count; i++)
        if (w->files[i].last_lsn > lsn || is_current(w, i)) return w->files[i].sequence;
    return w->next_sequence;
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

bool wal_is_poisoned(const struct wal *w)
{
    return w->is_poisoned;
}

uint64_t wal_unsynced_bytes(const struct wal *w)
{
    return w->unsynced_bytes;
}

size_t wal_file_count(const struct wal *w)
{
    return w->file_count;
}
