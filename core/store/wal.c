/* SPDX-License-Identifier: Apache-2.0 */
/* wal.c — the local commit log of one collection.
 *
 * WHAT        append frames groups into a buffer; complete writes the buffer, syncs once and tells
 *             how far the log is committed.
 * LAYOUT      FORMAT.md 6.  A batch is a run of chunks; one opens a file or continues the one that
 *             the chunk before it is in.  A chunk holds at most one bulk, which is written from
 *             where it is, between the two parts of the buffer that surround it.
 * INVARIANTS  (1) A group stands in one file (R4); files[file_count - 1] is the current file while
 *                 `file` is open.
 *             (2) Before a file gets a successor everything in it is durable (R4a), and the
 *                 successor's header, durable before its first record, says where it ended (R3a).
 *             (3) After a failed write nothing is appended behind the garbage: the file is given
 *                 up, and no LSN is handed out again before the garbage is proved dead.
 *             (4) After a failed sync nothing is written any more (R9).
 *             (5) durable_lsn <= last_lsn <= appended_lsn; the first two differ between syncs, the
 *                 last two while a batch is under way.
 *             (6) Without WAL_MAY_SYNC no sync, and nothing that needs one, is begun (R4b).
 *             (7) The groups that a batch opens a file for are durable as soon as it has its name.
 * THREADS     The collection's actor.
 * FAILURE     wal.h says what each outcome means; wal_current.c is where they arise.
 */
#include "store/wal.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "store/wal_current.h"

enum { BATCH_BYTES_KEPT = 2 * SYNC_BATCH_BYTES };

static struct wal *wal_of(struct commit_log *log)
{
    return (struct wal *)log;
}

/* ---- append ---- */

/* Of a group over the limit: of its records up to the one that is over it. */
static uint64_t group_bytes(const struct commit_record *records, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count && bytes <= LIMIT_GROUP_BYTES; i++) {
        if (records[i].payload.size > LIMIT_GROUP_BYTES) return records[i].payload.size;
        if (records[i].bulk.size > LIMIT_GROUP_BYTES) return records[i].bulk.size;
        bytes += wal_record_bytes(records[i].payload.size + records[i].bulk.size);
    }
    return bytes;
}

/* Of the one record of a group that may have one. */
static const struct slice *find_bulk(const struct commit_record *records, size_t count)
{
    const struct slice *found = NULL;

    for (size_t i = 0; i < count; i++) {
        if (records[i].bulk.size == 0) continue;
        CHECK(!found);
        found = &records[i].bulk;
    }
    return found;
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
static int choose_chunk(struct wal *w, uint64_t bytes, bool has_bulk, struct wal_chunk *out,
                        bool *out_is_new, struct error *err)
{
    struct wal_chunk c;
    bool is_open = find_open_end(w, &c);

    *out_is_new = w->chunk_count == 0;
    if (!wal_may_sync(w)) {
        if (!is_open ||
            w->unsynced_bytes + w->batch.size + w->batch_bulk_bytes >= UNSYNCED_BYTES_MAX)
            return wal_fail_needs_sync(err); /* (6) */
    } else if (!is_open || c.at > c.data_end || bytes > c.data_end - c.at) {
        *out_is_new = true;
        c = (struct wal_chunk){
            .opens_file = true,
            .salt = wal_files_salt(&w->maker),
            .file_bytes = wal_next_file_bytes(c.file_bytes, is_open, bytes),
            .at = WAL_RECORDS,
            .begin = w->batch.size,
        };
        c.data_end = c.file_bytes - WAL_MARK_ROOM;
    }
    if (has_bulk && c.bulk.size > 0) {
        *out_is_new = true;
        c.opens_file = false;
        c.begin = w->batch.size;
        c.bulk = slice_of(NULL, 0);
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
    if (wal_reserve_files(w, w->chunk_count + 1, err) != 0) return -1;
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

    if (w->is_poisoned) return wal_fail_poisoned(err);
    CHECK(lsn == w->appended_lsn + 1 && count > 0);
    uint64_t bytes = group_bytes(records, count);
    if (bytes > LIMIT_GROUP_BYTES)
        return error_set(err, LYNSE_TOO_LARGE, "a group of %llu bytes, at most %llu in the log",
                         (unsigned long long)bytes, (unsigned long long)LIMIT_GROUP_BYTES);
    const struct slice *bulk = find_bulk(records, count);
    uint64_t copied = bulk ? bytes - bulk->size : bytes;
    if (choose_chunk(w, bytes, bulk != NULL, &c, &is_new, err) != 0) return -1;
    if (reserve_batch(w, (size_t)copied, err) != 0) return -1;

    for (size_t i = 0; i < count; i++) {
        uint8_t flags = i == count - 1 ? WAL_GROUP_END : 0;
        struct wal_payload payload = {records[i].payload, records[i].bulk, records[i].bulk_at};
        CHECK(record_kind_has_rows(records[i].kind));
        if (payload.bulk.size > 0) {
            c.bulk = payload.bulk;
            c.bulk_at = w->batch.size + WAL_RECORD_HEADER_BYTES + payload.bulk_at;
            w->batch_bulk_bytes += payload.bulk.size;
        }
        c.chain = wal_record_encode_around(&w->batch, &c.salt, records[i].kind, flags, lsn,
                                           w->durable_lsn, c.chain, &payload);
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

static struct wal_run run_of(const struct wal *w, const struct wal_chunk *c)
{
    const uint8_t *data = w->batch.data;
    size_t split = c->bulk.size > 0 ? c->bulk_at : c->end;

    return (struct wal_run){{slice_of(data + c->begin, split - c->begin), c->bulk,
                             slice_of(data + split, c->end - split)}};
}

static int append_to_current(struct wal *w, const struct wal_run *records, struct error *err)
{
    if (wal_run_write(records, w->file, w->at, err) == 0) {
        w->unsynced_bytes += wal_run_bytes(records);
        return 0;
    }
    struct error unknown = *err;
    if (wal_current_cut_back(w, &unknown) != 0) *err = unknown;
    return -1;
}

static int write_chunk(struct wal *w, const struct wal_chunk *c, struct error *err)
{
    struct wal_run records = run_of(w, c);
    struct wal_file *f = NULL;

    if (c->opens_file) {
        if (wal_current_open(w, &c->salt, c->file_bytes, &records, err) != 0) return -1;
        w->durable_lsn = c->last_lsn; /* (7) */
    } else if (append_to_current(w, &records, err) != 0) {
        return -1;
    }
    f = &w->files[w->file_count - 1];
    w->at += wal_run_bytes(&records);
    w->chain = c->chain;
    w->last_lsn = c->last_lsn;
    w->prev = (struct wal_end){w->salt, c->last_lsn, c->chain};
    f->last_lsn = c->last_lsn;
    f->bytes = w->at - WAL_RECORDS;
    if (c->opens_file) REACHED(WAL_MADE_WITH_RECORDS);
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
    w->batch_bulk_bytes = 0;
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

    CHECK(!sync || wal_may_sync(w)); /* (6) */
    CHECK(w->log.on_complete);
    if (w->is_poisoned) return wal_fail_poisoned(err);
    for (size_t i = 0; rc == 0 && i < w->chunk_count; i++)
        rc = write_chunk(w, &w->chunks[i], &failure);
    if (rc == 0 && sync && !FAULT(WAL_SKIP_SYNC)) rc = wal_current_sync(w, &failure);
    if (FAULT(WAL_SKIP_SYNC) && sync) w->durable_lsn = w->last_lsn;
    finish_batch(w, before, rc == 0 ? NULL : &failure);
    if (rc != 0 && err) *err = failure;
    return rc;
}

static int log_sync(struct commit_log *log, uint64_t *out_durable_lsn, struct error *err)
{
    struct wal *w = wal_of(log);

    if (w->chunk_count > 0 && log_complete(log, true, err) != 0) return -1;
    if (w->is_poisoned) return wal_fail_poisoned(err);
    if (w->unsynced_bytes > 0 && !wal_may_sync(w)) return wal_fail_needs_sync(err);
    if (wal_current_sync(w, err) != 0) return -1;
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

/* ---- life ---- */

/* A planted mutant: go on where recovery stopped, behind whatever garbage is there. */
static int continue_file(struct wal *w, struct error *err)
{
    char name[TWIN_NAME_BYTES];
    const struct wal_file *f = &w->files[w->file_count - 1];

    numbered_name(name, WAL_PREFIX, f->sequence);
    if (vfs_open(w->maker.dir, name, VFS_WRITE | VFS_WRITE_BEHIND, &w->file, err) != 0) return -1;
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

bool wal_is_poisoned(const struct wal *w)
{
    return w->is_poisoned;
}

size_t wal_file_count(const struct wal *w)
{
    return w->file_count;
}
