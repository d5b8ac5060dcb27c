/* SPDX-License-Identifier: Apache-2.0 */
/* dir_lock.c — one LOCK per root.
 *
 * WHAT        OFD locks on the bytes of one file: byte 0 for the writer, one byte per collection
 *             and epoch for readers.  The kernel drops them with the process, so that there is no
 *             stale lock and nothing to guess.
 * LAYOUT      FORMAT.md 8.
 * INVARIANTS  (1) The lock decides, the text only tells: no decision reads it (L1).
 *             (2) A root has one writer handle in a process, whatever its path: the table of
 *                 roots knows device and inode, and the process, so that a forked child starts
 *                 empty (L3).
 * THREADS     Any; a struct dir_lock has one user at a time.  The table is changed while forks wait
 *             (fork_registry_hold), which is all the mutual exclusion it needs.
 * FAILURE     What cannot be told is left out of the text.
 */
#include "store/dir_lock.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "codec/datetime.h"
#include "os/fork_registry.h"
#include "os/machine.h"

#define TEXT_BEGIN "lynse 1\n"
enum { TEXT_BYTES = 768, VALUE_BYTES = 80 };

/* ---- the roots that this process writes to: (2) ---- */

struct open_root {
    uint64_t identity[2];
    int64_t pid; /* 0: the slot is free */
};
static struct open_root roots[DIR_LOCK_ROOTS_MAX];

static bool is_root(const struct open_root *slot, const uint64_t identity[2], int64_t pid)
{
    return slot->pid == pid && slot->identity[0] == identity[0] && slot->identity[1] == identity[1];
}

static int add_root(const uint64_t identity[2], int64_t pid, struct error *err)
{
    struct open_root *free_slot = NULL;
    bool is_open = false;

    fork_registry_hold();
    for (size_t i = 0; i < DIR_LOCK_ROOTS_MAX; i++) {
        is_open = is_open || is_root(&roots[i], identity, pid);
        if (roots[i].pid != pid) free_slot = &roots[i]; /* free, or a parent's */
    }
    if (!is_open && free_slot)
        *free_slot = (struct open_root){.identity = {identity[0], identity[1]}, .pid = pid};
    fork_registry_release();
    if (is_open)
        return error_set(err, LYNSE_LOCKED, "the database is open in this process already");
    if (!free_slot)
        return error_set(err, LYNSE_LIMIT, "%d databases are open for writing in this process",
                         DIR_LOCK_ROOTS_MAX);
    return 0;
}

static void remove_root(const uint64_t identity[2], int64_t pid)
{
    fork_registry_hold();
    for (size_t i = 0; i < DIR_LOCK_ROOTS_MAX; i++)
        if (is_root(&roots[i], identity, pid)) roots[i].pid = 0;
    fork_registry_release();
}

/* ---- the text ---- */

static void write_text(struct vfs_file *f, const struct machine_identity *me,
                       const struct clock *clock)
{
    char text[TEXT_BYTES];
    char since[DATETIME_TEXT_BYTES] = "unknown";
    int64_t now_us = clock->wall_us(clock);

    if (datetime_is_valid(now_us)) datetime_format(now_us - now_us % 1000000, since);
    int bytes = snprintf(text, sizeof text,
                         TEXT_BEGIN "pid %lld\nprocess-start %llu\nboot %s\nhost %s\nuid %u\n"
                                    "since %s\n",
                         (long long)me->pid, (unsigned long long)me->process_start, me->boot_id,
                         me->host, me->uid, since);
    if (bytes <= 0 || bytes >= TEXT_BYTES) return;
    if (vfs_write(f, 0, text, (size_t)bytes, NULL) == 0)
        (void)vfs_truncate(f, (uint64_t)bytes, NULL);
}

bool dir_lock_is_ours(struct vfs_dir *root)
{
    char text[sizeof TEXT_BEGIN - 1];
    struct vfs_file *f = NULL;
    size_t got = 0;

    if (vfs_open(root, LOCK_NAME, VFS_READ, &f, NULL) != 0) return false;
    bool is_ours = vfs_read(f, 0, text, sizeof text, &got, NULL) == 0 && got == sizeof text &&
                   memcmp(text, TEXT_BEGIN, sizeof text) == 0;
    (void)vfs_close(f, NULL);
    return is_ours;
}

void dir_lock_write_uuid(struct dir_lock *l, const struct uuid *root)
{
    char text[UUID_TEXT_BYTES + 8] = "uuid ";
    uint64_t end = 0;

    CHECK(l->file && l->is_writer);
    uuid_format(root, text + 5);
    size_t bytes = strlen(text);
    text[bytes++] = '\n';
    if (vfs_size(l->file, &end, NULL) == 0) (void)vfs_write(l->file, end, text, bytes, NULL);
}

/* The value of a line `<key> <value>`, printable and cut to fit; empty when there is none. */
static void find_value(const char *text, const char *key, char out[VALUE_BYTES])
{
    size_t key_bytes = strlen(key);
    size_t n = 0;
    const char *line = text;

    while (line && (strncmp(line, key, key_bytes) != 0 || line[key_bytes] != ' ')) {
        line = strchr(line, '\n');
        if (line) line++;
    }
    const char *value = line ? line + key_bytes + 1 : "";
    for (; value[n] > ' ' && value[n] <= '~' && n + 1 < VALUE_BYTES; n++) out[n] = value[n];
    out[n] = '\0';
}

/* LOCKED, with what the text tells of the holder (L1, L2). */
static int fail_held(struct vfs_file *f, const struct machine_identity *me, struct error *err)
{
    char text[TEXT_BYTES];
    char pid[VALUE_BYTES], start[VALUE_BYTES], boot[VALUE_BYTES], host[VALUE_BYTES];
    char since[VALUE_BYTES];
    size_t got = 0;

    if (vfs_read(f, 0, text, sizeof text - 1, &got, NULL) != 0) got = 0;
    text[got] = '\0';
    find_value(text, "pid", pid);
    find_value(text, "process-start", start);
    find_value(text, "boot", boot);
    find_value(text, "host", host);
    find_value(text, "since", since);
    long long number = strtoll(pid, NULL, 10);
    if (number <= 0 || host[0] == '\0' || since[0] == '\0')
        return error_set(err, LYNSE_LOCKED, "the database is open for writing in another process");
    bool is_here = strcmp(boot, me->boot_id) == 0 && strcmp(host, me->host) == 0;
    if (is_here && !machine_process_is_alive(number, strtoull(start, NULL, 10)))
        return error_set(err, LYNSE_LOCKED,
                         "process %lld on host '%s' opened the database at %s and is gone, but the "
                         "lock was inherited by a child process that it forked",
                         number, host, since);
    return error_set(err, LYNSE_LOCKED,
                     "process %lld on host '%s' has the database open for writing since %s", number,
                     host, since);
}

/* ---- the writer ---- */

static int lock_byte_0(struct vfs_file *f, const struct machine_identity *me, struct error *err)
{
    struct error inner = {0};

    if (vfs_lock(f, 0, 1, VFS_LOCK_EXCLUSIVE, &inner) == 0) return 0;
    if (inner.code == LYNSE_LOCKED) return fail_held(f, me, err);
    if (err) *err = inner;
    return -1;
}

int dir_lock_acquire_writer(struct dir_lock *l, struct vfs_dir *root, const struct clock *clock,
                            struct error *err)
{
    int rc = -1;
    struct machine_identity me;
    struct dir_lock lock = {.is_writer = true};

    machine_identity(&me);
    lock.opener_pid = (int)me.pid;
    if (vfs_dir_identity(root, lock.identity, err) != 0) return -1;
    if (add_root(lock.identity, me.pid, err) != 0) return -1;
    if (vfs_open(root, LOCK_NAME, VFS_WRITE | VFS_CREATE_ANY, &lock.file, err) != 0) goto out;
    if (lock_byte_0(lock.file, &me, err) != 0) goto out;
    write_text(lock.file, &me, clock);
    *l = lock;
    rc = 0;
out:
    if (rc != 0) {
        (void)vfs_close(lock.file, NULL);
        remove_root(lock.identity, me.pid);
    }
    return rc;
}

/* ---- readers ---- */

int dir_lock_open_reader(struct dir_lock *l, struct vfs_dir *root, struct error *err)
{
    struct machine_identity me;
    struct dir_lock lock = {0};

    machine_identity(&me);
    lock.opener_pid = (int)me.pid;
    if (vfs_dir_identity(root, lock.identity, err) != 0) return -1;
    if (vfs_open(root, LOCK_NAME, VFS_READ, &lock.file, err) != 0) return -1;
    *l = lock;
    return 0;
}

static int find_pin(uint64_t number, uint64_t epoch, uint64_t *out_byte, struct error *err)
{
    if (number == 0 || number > INT32_MAX || epoch > UINT32_MAX)
        return error_set(err, LYNSE_LIMIT, "epoch %llu of collection %llu cannot be pinned",
                         (unsigned long long)epoch, (unsigned long long)number);
    *out_byte = (number << 32) + epoch;
    return 0;
}

int dir_lock_pin(struct dir_lock *l, uint64_t collection_number, uint64_t epoch, struct error *err)
{
    uint64_t byte = 0;

    if (fork_check(l->opener_pid, err) != 0) return -1;
    if (find_pin(collection_number, epoch, &byte, err) != 0) return -1;
    return vfs_lock(l->file, byte, 1, VFS_LOCK_SHARED, err);
}

void dir_lock_unpin(struct dir_lock *l, uint64_t collection_number, uint64_t epoch)
{
    uint64_t byte = 0;

    if (fork_check(l->opener_pid, NULL) != 0) return;
    if (find_pin(collection_number, epoch, &byte, NULL) != 0) return;
    (void)vfs_unlock(l->file, byte, 1, NULL);
}

void dir_lock_release(struct dir_lock *l)
{
    if (!l->file) return;
    /* A child that is being forked has a copy of the descriptor until its handler has run: a close
     * of ours alone would leave the root locked as long. */
    if (l->is_writer && fork_check(l->opener_pid, NULL) == 0) (void)vfs_unlock(l->file, 0, 1, NULL);
    (void)vfs_close(l->file, NULL);
    if (l->is_writer) remove_root(l->identity, l->opener_pid);
    *l = (struct dir_lock){0};
}
