/* SPDX-License-Identifier: Apache-2.0 */
/* space.c — room on the disk of a root.
 *
 * WHAT        Writes stop while there still is room, so that what makes room (deleting, sealing,
 *             dropping) and what must not fail (closing) has some.  Where even that runs out, a
 *             file that holds nothing is removed, and its room is used.
 * LAYOUT      RESERVE in the root: RESERVE_BYTES that mean nothing (FORMAT.md 1).  No file names
 *             it, nobody reads it; any crash may leave it, a part of it, or none.
 * INVARIANTS  (1) Only a disk that was asked just now refuses; what is remembered may only admit.
 *             (2) Once the mark was reached, writes go on only when an eighth of it more is free:
 *                 what a delete gives back must not be gone with the next write.
 *             (3) Once the reserve was given up, writes go on only after it was made again, or
 *                 nothing is known of the disk any more.  That is also how a quota is noticed to
 *                 have room, which no file system tells.
 *             (4) One thread at a time makes the reserve, without the mutex: others go on.
 *             (5) What waits to be sealed is kept free above the mark: else a disk could be full of
 *                 log, with no room to seal it.
 * THREADS     Any, under the mutex.
 * FAILURE     None of its own: a disk that does not answer is one that nothing is known of, and a
 *             reserve that cannot be made is missing.
 */
#include "engine/space.h"

#include "base/faults.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rng.h"

enum {
    LOOK_US = 500000,
    RETRY_US = 1000000, /* a reserve that could not be made costs what was written of it */
};
#define RESERVE_CHUNK_BYTES ((size_t)(256 << 10))
#define LOOK_BYTES_MAX (16ull << 20)
#define LOOK_BYTES_MIN (64ull << 10)
#define DEFAULT_MARK_BYTES (64ull << 20)

/* ---- asking the disk ---- */

uint64_t space_default_mark(uint64_t total_bytes)
{
    uint64_t mark = total_bytes / 100;

    if (total_bytes == UINT64_MAX) return 0;
    if (mark < DEFAULT_MARK_BYTES) mark = DEFAULT_MARK_BYTES;
    return mark < total_bytes / 8 ? mark : total_bytes / 8;
}

static void look(struct space *s, uint64_t now_us)
{
    struct vfs_space seen;

    /* A disk that cannot be asked is not a full one: (1). */
    if (vfs_dir_space(s->desc.root, &seen, NULL) != 0)
        seen = (struct vfs_space){UINT64_MAX, UINT64_MAX};
    s->free_bytes = seen.free_bytes;
    s->mark_bytes =
        s->desc.low_water_bytes ? s->desc.low_water_bytes : space_default_mark(seen.total_bytes);
    s->admitted_bytes = 0;
    s->looked_us = now_us;
    s->must_look = false;
}

/* What was admitted takes more than its bytes, log files made ahead: the mark has to hold it. */
static uint64_t look_bytes(const struct space *s)
{
    uint64_t bytes = s->mark_bytes / 4;

    if (bytes > LOOK_BYTES_MAX) return LOOK_BYTES_MAX;
    return bytes > LOOK_BYTES_MIN ? bytes : LOOK_BYTES_MIN;
}

static bool is_stale(const struct space *s, uint64_t now_us)
{
    return s->must_look || s->admitted_bytes >= look_bytes(s) || now_us - s->looked_us >= LOOK_US;
}

/* A mark of one byte says: until the disk is full, whatever comes then. */
static bool goes_to_the_end(const struct space *s)
{
    return s->desc.low_water_bytes == 1;
}

/* Below this writes stop: the mark, and what waits to be sealed. */
static uint64_t floor_bytes(const struct space *s)
{
    return s->mark_bytes + (goes_to_the_end(s) ? 0 : s->waiting_bytes);
}

static bool leaves_mark(const struct space *s, uint64_t bytes)
{
    uint64_t taken = goes_to_the_end(s) ? bytes : 2 * bytes; /* in the log, later in a segment */

    return s->free_bytes == UINT64_MAX ||
           (taken <= s->free_bytes && s->free_bytes - taken >= floor_bytes(s));
}

/* What has to be free before writes go on: (2). */
static uint64_t resume_bytes(const struct space *s)
{
    uint64_t bytes = floor_bytes(s) + s->mark_bytes / 8;
    return s->was_released ? bytes + RESERVE_BYTES : bytes;
}

/* ---- the reserve ---- */

/* What a crash left of one takes room and gives none.  What cannot be looked at, or removed now,
 * may be removed when its room is needed. */
static bool find_reserve(struct vfs_dir *root)
{
    struct error err = {0};
    struct vfs_file *f;
    uint64_t size = 0;

    if (vfs_open(root, RESERVE_NAME, VFS_READ, &f, &err) != 0) return err.code != LYNSE_NOT_FOUND;
    bool is_part = vfs_size(f, &size, NULL) == 0 && size != RESERVE_BYTES;
    (void)vfs_close(f, NULL); /* only read */
    return !is_part || vfs_unlink(root, RESERVE_NAME, NULL) != 0;
}

/* Bytes that no file system can store in less than their number, nor share with others. */
static int fill_reserve(struct space *s, struct vfs_file *f, struct error *err)
{
    const size_t most =
        RESERVE_CHUNK_BYTES < (size_t)RESERVE_BYTES ? RESERVE_CHUNK_BYTES : (size_t)RESERVE_BYTES;
    uint8_t *chunk = mem_alloc(s->desc.alloc, MEM_GENERAL, most);
    int rc = 0;

    if (!chunk) return error_no_memory(err, most);
    for (uint64_t at = 0; rc == 0 && at < RESERVE_BYTES; at += most) {
        rng_bytes(&s->rng, chunk, most);
        rc = vfs_write(f, at, chunk, most, err);
    }
    mem_free(s->desc.alloc, chunk);
    /* Room that was only promised may turn out not to be there when the bytes go to the disk. */
    return rc == 0 ? vfs_sync(f, err) : rc;
}

static int make_reserve(struct space *s, struct error *err)
{
    struct vfs_dir *root = s->desc.root;
    struct vfs_file *f;

    (void)vfs_unlink(root, RESERVE_NAME, NULL); /* a part of one */
    if (vfs_open(root, RESERVE_NAME, VFS_WRITE | VFS_CREATE, &f, err) != 0) return -1;
    int rc = fill_reserve(s, f, err);
    if (vfs_close(f, rc == 0 ? err : NULL) != 0) rc = -1;
    if (rc != 0) (void)vfs_unlink(root, RESERVE_NAME, NULL);
    return rc;
}

/* Under the mutex, which is given up meanwhile: (4). */
static void make_and_note(struct space *s, uint64_t now_us)
{
    struct error err = {0};

    s->is_making = true;
    mutex_unlock(&s->mutex);
    int rc = make_reserve(s, &err);
    mutex_lock(&s->mutex);
    s->is_making = false;
    s->must_look = true;
    s->has_reserve = rc == 0;
    if (rc == 0) {
        REACHED(RESERVE_MADE);
        s->was_released = false;
        return;
    }
    s->retry_us = now_us + RETRY_US;
    log_event(LOG_WARN, "reserve_not_made root=\"%s\" reason=\"%s\"", s->desc.path, err.text);
}

static bool can_make(const struct space *s, uint64_t now_us)
{
    return !s->has_reserve && !s->is_making && now_us >= s->retry_us &&
           s->free_bytes != UINT64_MAX && s->free_bytes >= s->mark_bytes &&
           s->free_bytes - s->mark_bytes >= s->mark_bytes / 8 + RESERVE_BYTES;
}

void space_keep_reserve(struct space *s, uint64_t now_us)
{
    if (!s->desc.root) return;
    mutex_lock(&s->mutex);
    if (!s->has_reserve && (s->was_released || s->held_bytes >= RESERVE_FROM_BYTES)) {
        look(s, now_us);
        if (can_make(s, now_us)) make_and_note(s, now_us);
    }
    mutex_unlock(&s->mutex);
}

/* Under the mutex: its room is free, or it is as it was. */
static void give_up(struct space *s)
{
    struct error err = {0};

    if (vfs_unlink(s->desc.root, RESERVE_NAME, &err) != 0 && err.code != LYNSE_NOT_FOUND) {
        log_event(LOG_ERROR, "reserve_not_released root=\"%s\" reason=\"%s\"", s->desc.path,
                  err.text);
        return;
    }
    s->has_reserve = false;
    s->was_released = s->is_full = true;
    REACHED(RESERVE_RELEASED);
    log_event(LOG_WARN, "reserve_released root=\"%s\"", s->desc.path);
}

bool space_release_reserve(struct space *s)
{
    if (!s->desc.root) return false;
    mutex_lock(&s->mutex);
    s->must_look = true;
    if (s->has_reserve) give_up(s);
    bool is_there = s->was_released && !s->has_reserve;
    mutex_unlock(&s->mutex);
    return is_there;
}

/* ---- admitting ---- */

/* Writes were stopped: may they go on? */
static bool can_resume(struct space *s, uint64_t now_us, bool may_wait)
{
    /* Nothing is known of this disk (any more): the write itself finds out. */
    if (s->free_bytes == UINT64_MAX) s->was_released = false;
    else if (s->free_bytes < resume_bytes(s)) return false;
    if (!s->was_released) return true;
    if (!may_wait || !can_make(s, now_us)) return false;
    make_and_note(s, now_us); /* (3) */
    look(s, now_us);
    return !s->was_released && leaves_mark(s, 0);
}

static void follow_disk(struct space *s, uint64_t now_us, bool may_wait)
{
    bool was_full = s->is_full;

    look(s, now_us);
    if (!was_full) s->is_full = !leaves_mark(s, 0);
    else s->is_full = !can_resume(s, now_us, may_wait);
    if (s->is_full == was_full) return;
    log_event(LOG_WARN, "%s root=\"%s\" free_bytes=%llu low_water_bytes=%llu",
              was_full ? "writes_resumed" : "writes_stopped", s->desc.path,
              (unsigned long long)s->free_bytes, (unsigned long long)s->mark_bytes);
}

static int refuse(const struct space *s, uint64_t bytes, struct error *err)
{
    unsigned long long free = s->free_bytes, mark = s->mark_bytes, waiting = s->waiting_bytes;

    if (!s->is_full)
        return error_set(err, LYNSE_DISK_FULL,
                         "low_water_bytes: %llu bytes more, in log and segment, and %llu that wait "
                         "to be sealed would leave less than %llu free of %llu",
                         (unsigned long long)bytes, waiting, mark, free);
    if (s->free_bytes >= resume_bytes(s))
        return error_set(err, LYNSE_DISK_FULL,
                         "low_water_bytes: the disk or the quota was full, and the reserve of %d "
                         "bytes is not back; deleting, flushing and closing work",
                         RESERVE_BYTES);
    return error_set(err, LYNSE_DISK_FULL,
                     "low_water_bytes %llu: %llu bytes are free, with %llu that wait to be sealed "
                     "writes go on at %llu; deleting, flushing and closing work",
                     mark, free, waiting, (unsigned long long)resume_bytes(s));
}

int space_admit(struct space *s, uint64_t bytes, uint64_t now_us, bool may_wait, struct error *err)
{
    int rc = 0;

    if (!s->desc.root) return 0;
    mutex_lock(&s->mutex);
    if (s->is_full || is_stale(s, now_us) || !leaves_mark(s, bytes))
        follow_disk(s, now_us, may_wait); /* (1) */
    if (s->is_full || !leaves_mark(s, bytes)) {
        rc = refuse(s, bytes, err);
    } else {
        if (s->free_bytes != UINT64_MAX) s->free_bytes -= bytes;
        s->admitted_bytes += bytes;
    }
    mutex_unlock(&s->mutex);
    return rc;
}

void space_doubt(struct space *s)
{
    if (!s->desc.root) return;
    mutex_lock(&s->mutex);
    s->must_look = true;
    mutex_unlock(&s->mutex);
}

static void set_share(struct space *s, uint64_t *sum, uint64_t *share, uint64_t now_bytes)
{
    mutex_lock(&s->mutex);
    *sum += now_bytes - *share; /* both ways, modulo 2^64 */
    mutex_unlock(&s->mutex);
    *share = now_bytes;
}

void space_set_held(struct space *s, uint64_t *held_bytes, uint64_t now_bytes)
{
    set_share(s, &s->held_bytes, held_bytes, now_bytes);
}

void space_set_waiting(struct space *s, uint64_t *waiting_bytes, uint64_t now_bytes)
{
    set_share(s, &s->waiting_bytes, waiting_bytes, now_bytes);
}

/* ---- life ---- */

void space_init(struct space *s)
{
    *s = (struct space){.must_look = true};
    mutex_init(&s->mutex);
}

void space_watch(struct space *s, const struct space_desc *desc)
{
    s->desc = *desc;
    rng_init(&s->rng, desc->seed);
    s->has_reserve = find_reserve(desc->root);
}

void space_deinit(struct space *s)
{
    mutex_deinit(&s->mutex);
}
