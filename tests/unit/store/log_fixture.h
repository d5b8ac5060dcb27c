/* SPDX-License-Identifier: Apache-2.0 */
/* log_fixture.h — one collection directory in memory with manifest and log, hands to damage what is
 * in it, and a record of what was done to the disk and what the log answered.
 *
 * The group of LSN n always has the payload that `expected_payload` makes of n, so that a replay
 * can be checked against nothing but the LSN. */
#ifndef STORE_LOG_FIXTURE_H
#define STORE_LOG_FIXTURE_H

#include "base/bytes.h"
#include "base/limits.h"
#include "os/vfs_record.h"
#include "store/recovery.h"
#include "store/wal.h"
#include "support/oom_sweep.h"
#include "support/test.h"
#include "support/vfs_faulty.h"

enum { OPS_TEXT_BYTES = 1 << 16 };

struct log_fixture {
    struct alloc *alloc; /* of what is tested */
    struct alloc *disk_alloc;
    struct vfs *disk;
    struct vfs *faulty;
    struct vfs *fs; /* records */
    struct vfs_dir *dir;
    struct file_owner owner;
    struct rng rng;
    struct wal *wal;
    struct commit_log *log;
    char ops[OPS_TEXT_BYTES]; /* "create write:0+8192 sync rename dirsync …" */

    /* What on_complete told since open. */
    uint64_t committed_lsn;
    uint64_t unknown_lsn; /* 0: none */
    size_t payload_bytes; /* of each group; 0: by LSN */
    uint64_t replayed_lsn;
};

static inline void note_op(struct log_fixture *f, const char *format, ...)
{
    size_t used = strlen(f->ops);
    va_list args;
    va_start(args, format);
    vsnprintf(f->ops + used, sizeof f->ops - used, format, args);
    va_end(args);
}

static inline int observe_op(void *ctx, const struct vfs_op *op, struct error *err)
{
    struct log_fixture *f = ctx;
    (void)err;
    switch (op->kind) {
    case VFS_OP_DIR_SYNC:
        note_op(f, "dirsync ");
        break;
    case VFS_OP_FILE_CREATE:
        note_op(f, "create:%.4s ", op->name);
        break;
    case VFS_OP_FILE_WRITE:
        note_op(f, "write:%llu+%zu ", (unsigned long long)op->offset, op->data.size);
        break;
    case VFS_OP_FILE_SYNC:
        note_op(f, "sync ");
        break;
    case VFS_OP_FILE_TRUNCATE:
        note_op(f, "truncate ");
        break;
    case VFS_OP_FILE_UNLINK:
        note_op(f, "unlink:%.4s ", op->name);
        break;
    case VFS_OP_FILE_RENAME:
        note_op(f, "rename:%.4s>%s ", op->name,
                strncmp(op->name_to, "tmp-", 4) == 0 ? "tmp-" : op->name_to);
        break;
    default:
        break;
    }
    return 0;
}

static inline void forget_ops(struct log_fixture *f)
{
    f->ops[0] = '\0';
}

/* ---- payloads ---- */

static inline size_t expected_bytes(const struct log_fixture *f, uint64_t lsn)
{
    return f->payload_bytes ? f->payload_bytes : (size_t)(lsn * 37 % 200 + 1);
}

static inline void expected_payload(uint64_t lsn, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) out[i] = (uint8_t)(lsn * 131 + i * 7 + 1);
}

static inline int check_replayed(void *ctx, uint64_t lsn, enum record_kind kind,
                                 struct slice payload, bool is_group_end, struct error *err)
{
    struct log_fixture *f = ctx;
    (void)err;
    assert_int_equal(kind, RECORD_UPSERT);
    assert_true(is_group_end);
    assert_int_equal(lsn, f->replayed_lsn + 1);
    uint8_t *want = malloc(payload.size + 1);
    expected_payload(lsn, want, payload.size);
    assert_memory_equal(payload.data, want, payload.size);
    free(want);
    f->replayed_lsn = lsn;
    return 0;
}

/* ---- the collection ---- */

static inline void fixture_manifest(struct log_fixture *f, uint64_t epoch, uint64_t flushed,
                                    uint64_t durable, uint64_t wal_first)
{
    struct error err = {0};
    struct manifest m;
    struct manifest_field field = {.kind = 1, .storage = 1, .metric = 1, .name = "default"};
    bool renamed = false;
    manifest_init(&m, f->disk_alloc);
    m.epoch = epoch;
    m.number = 1;
    m.flushed_lsn = flushed;
    m.durable_lsn = durable;
    m.wal_first = wal_first;
    m.sync_level = SYNC_ALWAYS;
    m.field_count = 1;
    m.fields = &field;
    assert_ok(manifest_publish(&m, f->dir, &f->owner, &f->rng, &renamed, &err), &err);
}

static inline void fixture_init(struct log_fixture *f)
{
    struct error err = {0};
    memset(f, 0, sizeof *f);
    rng_init(&f->rng, 7);
    f->alloc = alloc_create(NULL, 0);
    f->disk_alloc = alloc_create(NULL, 0);
    f->disk = vfs_memory_create(f->disk_alloc);
    f->faulty = vfs_faulty_create(f->disk_alloc, f->disk);
    f->fs = vfs_record_create(f->disk_alloc, f->faulty, observe_op, f);
    assert_non_null(f->fs);
    assert_ok(vfs_dir_open(f->fs, "/c", VFS_DIR_CREATE, &f->dir, &err), &err);
    f->owner.root = uuid_make(&f->rng);
    f->owner.collection = uuid_make(&f->rng);
    fixture_manifest(f, 1, 0, 0, 1);
    forget_ops(f);
}

static inline void on_complete(void *ctx, uint64_t lsn, const struct error *err)
{
    struct log_fixture *f = ctx;
    if (err) {
        assert_int_equal(err->code, LYNSE_OUTCOME_UNKNOWN);
        f->unknown_lsn = lsn;
    } else {
        assert_true(lsn > f->committed_lsn);
        f->committed_lsn = lsn;
    }
}

/* Recover and replay; -1 as recovery says. */
static inline int fixture_try_recover(struct log_fixture *f, bool read_only, struct recovery *r,
                                      struct error *err)
{
    struct recovery_desc desc = {
        .alloc = f->alloc, .dir = f->dir, .owner = f->owner, .read_only = read_only};
    if (recovery_begin(r, &desc, err) != 0) return -1;
    f->replayed_lsn = manifest_replay_from(&r->manifest);
    if (recovery_replay(r, check_replayed, f, err) != 0) {
        recovery_deinit(r);
        return -1;
    }
    return 0;
}

static inline int fixture_try_open(struct log_fixture *f, struct error *err)
{
    struct recovery r;
    if (fixture_try_recover(f, false, &r, err) != 0) return -1;
    int rc = wal_create(f->alloc, f->dir, &f->owner, &f->rng, &r.position, r.files, r.file_count,
                        &f->wal, err);
    r.files = NULL;
    if (rc == 0) {
        f->log = wal_log(f->wal);
        f->log->on_complete = on_complete;
        f->log->on_complete_ctx = f;
        f->committed_lsn = r.position.last_lsn;
        f->unknown_lsn = 0;
        rc = recovery_clean(&r, err);
        if (rc != 0) {
            wal_destroy(f->wal);
            f->wal = NULL;
        }
    }
    recovery_deinit(&r);
    return rc;
}

static inline void fixture_open(struct log_fixture *f)
{
    struct error err = {0};
    assert_ok(fixture_try_open(f, &err), &err);
}

static inline void fixture_close(struct log_fixture *f) /* as a kill would */
{
    wal_destroy(f->wal);
    f->wal = NULL;
}

static inline void fixture_reopen(struct log_fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

static inline void fixture_deinit(struct log_fixture *f)
{
    fixture_close(f);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    vfs_dir_close(f->dir);
    vfs_record_destroy(f->fs);
    vfs_faulty_destroy(f->faulty);
    vfs_memory_destroy(f->disk);
    alloc_destroy(f->alloc);
    alloc_destroy(f->disk_alloc);
}

static inline int try_append(struct log_fixture *f, uint64_t lsn, struct error *err)
{
    size_t bytes = expected_bytes(f, lsn);
    uint8_t *payload = malloc(bytes + 1);
    expected_payload(lsn, payload, bytes);
    struct commit_record record = {.kind = RECORD_UPSERT, .payload = slice_of(payload, bytes)};
    int rc = f->log->ops->append(f->log, lsn, &record, 1, err);
    free(payload);
    return rc;
}

/* A batch of `count` groups. */
static inline int try_write(struct log_fixture *f, size_t count, bool sync, struct error *err)
{
    uint64_t lsn = f->committed_lsn;
    for (size_t i = 0; i < count; i++)
        if (try_append(f, ++lsn, err) != 0) {
            (void)f->log->ops->complete(f->log, sync, NULL);
            return -1;
        }
    return f->log->ops->complete(f->log, sync, err);
}

static inline void write_groups(struct log_fixture *f, size_t count)
{
    struct error err = {0};
    uint64_t before = f->committed_lsn;
    assert_ok(try_write(f, count, true, &err), &err);
    assert_int_equal(f->committed_lsn, before + count);
}

/* A restart finds exactly what was committed. */
static inline void assert_survives(struct log_fixture *f)
{
    uint64_t committed = f->committed_lsn;
    fixture_reopen(f);
    assert_int_equal(f->replayed_lsn, committed);
    assert_int_equal(f->committed_lsn, committed);
}

/* ---- files ---- */

struct bytes {
    uint8_t *data;
    size_t size;
};

static inline struct bytes read_bytes(struct log_fixture *f, const char *name)
{
    struct error err = {0};
    struct vfs_file *file = NULL;
    uint64_t size = 0;
    size_t got = 0;
    assert_ok(vfs_open(f->dir, name, VFS_READ, &file, &err), &err);
    assert_ok(vfs_size(file, &size, &err), &err);
    struct bytes b = {malloc((size_t)size + 1), (size_t)size};
    assert_ok(vfs_read(file, 0, b.data, b.size, &got, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
    return b;
}

static inline void replace_bytes(struct log_fixture *f, const char *name, const void *data,
                                 size_t size)
{
    struct error err = {0};
    struct vfs_file *file = NULL;
    (void)vfs_unlink(f->dir, name, NULL);
    assert_ok(vfs_open(f->dir, name, VFS_WRITE | VFS_CREATE, &file, &err), &err);
    assert_ok(vfs_write(file, 0, data, size, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
}

static inline void overwrite(struct log_fixture *f, const char *name, uint64_t offset,
                             const void *data, size_t size)
{
    struct error err = {0};
    struct vfs_file *file = NULL;
    assert_ok(vfs_open(f->dir, name, VFS_WRITE, &file, &err), &err);
    assert_ok(vfs_write(file, offset, data, size, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
}

static inline void flip_bit(struct log_fixture *f, const char *name, uint64_t byte, unsigned bit)
{
    struct bytes b = read_bytes(f, name);
    uint8_t changed = (uint8_t)(b.data[byte] ^ 1u << bit);
    overwrite(f, name, byte, &changed, 1);
    free(b.data);
}

static inline bool is_there(struct log_fixture *f, const char *name)
{
    struct error err = {0};
    bool there = false;
    assert_ok(vfs_exists(f->dir, name, &there, &err), &err);
    return there;
}

static inline uint64_t size_of(struct log_fixture *f, const char *name)
{
    struct bytes b = read_bytes(f, name);
    free(b.data);
    return b.size;
}

struct name_count {
    const char *prefix;
    size_t count;
};
static inline bool count_name(void *ctx, const char *name)
{
    struct name_count *n = ctx;
    n->count += strncmp(name, n->prefix, strlen(n->prefix)) == 0;
    return true;
}
static inline size_t count_names(struct log_fixture *f, const char *prefix)
{
    struct name_count n = {prefix, 0};
    assert_int_equal(vfs_dir_list(f->dir, count_name, &n, NULL), 0);
    return n.count;
}

static inline void arm(struct log_fixture *f, unsigned kinds, int os_errno, enum faulty_mode mode,
                       uint64_t nth, bool is_short)
{
    struct faulty_plan plan = {
        .kinds = kinds, .os_errno = os_errno, .mode = mode, .nth = nth, .is_short = is_short};
    vfs_faulty_arm(f->faulty, &plan);
}

#endif
