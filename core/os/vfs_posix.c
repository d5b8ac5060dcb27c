/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_posix.c — the real file system.
 *
 * WHAT        vfs.h over openat, pread, pwrite, fdatasync, renameat, OFD locks and mmap.
 * INVARIANTS  (1) Every name is resolved below a held directory descriptor and is one component;
 *                 the last one is never followed when it is a link (R13).
 *             (2) Only plain files are opened as files: a pipe put in a file's place cannot make us
 *                 wait, nor a device take our writes.
 *             (3) A descriptor that may carry a lock is in the fork registry from before the lock
 *                 until its close, and opening and closing such a file excludes forks (L2).
 *             (4) A failed sync or close is reported once and never retried (R9).
 * THREADS     Handles hold a descriptor and constants only (but for files that are written behind,
 *             which one thread writes); the kernel orders the rest.
 * FAILURE     Errors carry the operation, the name and the errno.  file_close frees the handle
 *             whatever it answers.
 */
#include "os/vfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/check.h"
#include "os/descriptor.h"
#include "os/fork_registry.h"
#include "os/path.h"

enum { DIRECTORY_MODE = 0755 };

/* Magic numbers of statfs(2) for network file systems (L5). */
enum network_magic {
    MAGIC_NFS = 0x6969,
    MAGIC_SMB = 0x517B,
};
static const uint32_t MAGIC_CIFS = 0xFF534D42u;
static const uint32_t MAGIC_SMB2 = 0xFE534D42u;

struct posix_dir {
    struct vfs_dir base; /* first */
    int fd;
    char path[]; /* for error texts: as given, or the component */
};

struct posix_file {
    struct vfs_file base; /* first */
    int fd;
    bool is_registered; /* in the fork registry (3) */
    bool writes_behind; /* VFS_WRITE_BEHIND */
    uint64_t begun;     /* writes_behind: the disk was told of all before, as of the last pass */
    char name[];        /* for error texts */
};

static const struct vfs_ops POSIX_OPS;
static struct vfs posix_vfs = {&POSIX_OPS};

/* What a map of no bytes points to: mmap refuses the length 0. */
static const _Alignas(64) char EMPTY_MAP[64];

struct vfs *vfs_posix(void)
{
    return &posix_vfs;
}

int vfs_code_of_errno(int os_errno)
{
    switch (os_errno) {
    case EEXIST:
        return LYNSE_ALREADY_EXISTS;
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENOTEMPTY:
    case ENAMETOOLONG:
        return LYNSE_INVALID;
    default:
        return error_code_of_errno(os_errno);
    }
}

/* errno as the error of `verb` on `name`. */
static int fail_errno(struct error *err, const char *verb, const char *name)
{
    int os_errno = errno;
    return error_set_errno(err, vfs_code_of_errno(os_errno), os_errno, "cannot %s '%s'", verb,
                           name);
}

/* The kernel's offsets are signed. */
static int check_range(const char *name, uint64_t offset, uint64_t size, struct error *err)
{
    if (offset <= INT64_MAX && size <= INT64_MAX - offset) return 0;
    return error_set(err, LYNSE_INVALID, "'%s': %llu bytes at %llu are beyond what a file can hold",
                     name, (unsigned long long)size, (unsigned long long)offset);
}

/* ---- directories ---- */

static int dir_fd(const struct vfs_dir *dir)
{
    return ((const struct posix_dir *)dir)->fd;
}

static struct posix_dir *create_dir_handle(const char *path, struct error *err)
{
    size_t path_bytes = strlen(path) + 1;
    struct posix_dir *d = mem_alloc(alloc_libc(), MEM_GENERAL, sizeof *d + path_bytes);
    if (!d) {
        (void)error_no_memory(err, sizeof *d + path_bytes);
        return NULL;
    }
    d->base = (struct vfs_dir){.ops = &POSIX_OPS, .fs = &posix_vfs};
    d->fd = -1;
    memcpy(d->path, path, path_bytes);
    return d;
}

static void posix_dir_close(struct vfs_dir *dir)
{
    struct posix_dir *d = (struct posix_dir *)dir;
    if (d->fd >= 0) (void)close(d->fd); /* opened for reading: nothing can be lost */
    mem_free(alloc_libc(), d);
}

/* Make the entry of an open directory in its parent durable (R10). */
static int sync_parent(int fd, const char *path, struct error *err)
{
    int parent = descriptor_open_at(fd, "..", O_RDONLY | O_DIRECTORY);
    /* A parent that we may enter but not read cannot be opened: sync the whole file system. */
    int rc = parent >= 0 ? fsync(parent) : errno == EACCES ? syncfs(fd) : -1;
    if (rc != 0) (void)fail_errno(err, "sync the parent directory of", path);
    if (parent >= 0) (void)close(parent);
    return rc != 0 ? -1 : 0;
}

static int posix_dir_open(struct vfs *fs, const char *path, unsigned flags, struct vfs_dir **out,
                          struct error *err)
{
    (void)fs;
    if (!path || path[0] == '\0') return error_set(err, LYNSE_INVALID, "directory path is empty");
    struct posix_dir *d = create_dir_handle(path, err);
    if (!d) return -1;

    if ((flags & VFS_DIR_CREATE) && mkdir(path, DIRECTORY_MODE) != 0 && errno != EEXIST) {
        (void)fail_errno(err, "make directory", path);
        goto out;
    }
    d->fd = descriptor_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (d->fd < 0) {
        (void)fail_errno(err, "open directory", path);
        goto out;
    }
    /* Even when it was there: whoever made it may have been killed before its sync. */
    if ((flags & VFS_DIR_CREATE) && sync_parent(d->fd, path, err) != 0) goto out;
    *out = &d->base;
    return 0;
out:
    posix_dir_close(&d->base);
    return -1;
}

static int posix_dir_open_in(struct vfs_dir *parent, const char *name, struct vfs_dir **out,
                             struct error *err)
{
    if (name_check_component(name, err) != 0) return -1;
    struct posix_dir *d = create_dir_handle(name, err);
    if (!d) return -1;
    d->fd = descriptor_open_at(dir_fd(parent), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (d->fd < 0) {
        (void)fail_errno(err, "open directory", name);
        posix_dir_close(&d->base);
        return -1;
    }
    *out = &d->base;
    return 0;
}

static int posix_dir_make(struct vfs_dir *parent, const char *name, struct error *err)
{
    if (name_check_component(name, err) != 0) return -1;
    if (mkdirat(dir_fd(parent), name, DIRECTORY_MODE) == 0) return 0;
    return fail_errno(err, "make directory", name);
}

static int posix_dir_remove(struct vfs_dir *parent, const char *name, struct error *err)
{
    if (name_check_component(name, err) != 0) return -1;
    if (unlinkat(dir_fd(parent), name, AT_REMOVEDIR) == 0) return 0;
    return fail_errno(err, "remove directory", name);
}

static int posix_dir_sync(struct vfs_dir *dir, struct error *err)
{
    struct posix_dir *d = (struct posix_dir *)dir;
    if (fsync(d->fd) == 0) return 0;
    return fail_errno(err, "sync directory", d->path);
}

static int posix_dir_list(struct vfs_dir *dir, vfs_list_fn *fn, void *ctx, struct error *err)
{
    struct posix_dir *d = (struct posix_dir *)dir;
    /* Opened anew, since a duplicate would share its position with another list of this handle. */
    int fd = descriptor_open_at(d->fd, ".", O_RDONLY | O_DIRECTORY);
    if (fd < 0) return fail_errno(err, "list directory", d->path);
    DIR *stream = fdopendir(fd);
    if (!stream) {
        (void)fail_errno(err, "list directory", d->path);
        (void)close(fd);
        return -1;
    }
    int rc = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry) {
            if (errno != 0) rc = fail_errno(err, "list directory", d->path);
            break;
        }
        if (!name_is_component(entry->d_name)) continue; /* "." and ".." */
        if (!fn(ctx, entry->d_name)) break;
    }
    (void)closedir(stream);
    return rc;
}

static int posix_dir_identity(struct vfs_dir *dir, uint64_t out[2], struct error *err)
{
    struct posix_dir *d = (struct posix_dir *)dir;
    struct stat st;
    if (fstat(d->fd, &st) != 0) return fail_errno(err, "stat directory", d->path);
    out[0] = st.st_dev;
    out[1] = st.st_ino;
    return 0;
}

static uint64_t bytes_of_blocks(uint64_t blocks, uint64_t block_bytes)
{
    uint64_t bytes;
    return __builtin_mul_overflow(blocks, block_bytes, &bytes) ? UINT64_MAX : bytes;
}

static int posix_dir_space(struct vfs_dir *dir, struct vfs_space *out, struct error *err)
{
    struct posix_dir *d = (struct posix_dir *)dir;
    struct statvfs st;
    int rc;
    do rc = fstatvfs(d->fd, &st);
    while (rc != 0 && errno == EINTR);
    if (rc != 0) return fail_errno(err, "ask for free space in", d->path);
    /* A file system without blocks of its own (a FUSE one, say) counts none: unknown, not full. */
    *out = (struct vfs_space){UINT64_MAX, UINT64_MAX};
    if (st.f_blocks == 0) return 0;
    out->free_bytes = bytes_of_blocks(st.f_bavail, st.f_frsize);
    out->total_bytes = bytes_of_blocks(st.f_blocks, st.f_frsize);
    return 0;
}

static bool posix_dir_is_network(struct vfs_dir *dir)
{
    struct statfs st;
    if (fstatfs(dir_fd(dir), &st) != 0) return false;
    uint32_t magic = (uint32_t)st.f_type;
    return magic == MAGIC_NFS || magic == MAGIC_SMB || magic == MAGIC_CIFS || magic == MAGIC_SMB2;
}

/* ---- files: open and close ---- */

static int file_fd(const struct vfs_file *f)
{
    return ((const struct posix_file *)f)->fd;
}
static const char *file_name(const struct vfs_file *f)
{
    return ((const struct posix_file *)f)->name;
}

static int open_mode(unsigned flags)
{
    CHECK(((flags & VFS_READ) != 0) != ((flags & VFS_WRITE) != 0));
    CHECK((flags & VFS_WRITE) || !(flags & (VFS_CREATE | VFS_CREATE_ANY)));
    int mode = flags & VFS_WRITE ? O_RDWR : O_RDONLY;
    if (flags & VFS_CREATE) mode |= O_CREAT | O_EXCL;
    if (flags & VFS_CREATE_ANY) mode |= O_CREAT;
    return mode | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK; /* (2) */
}

static int fail_not_plain(const char *name, int os_errno, struct error *err)
{
    (void)error_set(err, LYNSE_INVALID, "'%s' is not a plain file; links are not followed", name);
    if (err) err->os_errno = os_errno;
    return -1;
}

static int open_descriptor(struct posix_file *f, int parent, unsigned flags, struct error *err)
{
    f->fd = -1;
    if (flags & VFS_DIRECT)
        f->fd = descriptor_open_at(parent, f->name, open_mode(flags) | O_DIRECT);
    /* Not every file system can. */
    if (f->fd < 0) f->fd = descriptor_open_at(parent, f->name, open_mode(flags));
    if (f->fd < 0 && (errno == ELOOP || errno == EISDIR))
        return fail_not_plain(f->name, errno, err);
    if (f->fd < 0) return fail_errno(err, "open", f->name);
    struct stat st;
    if (fstat(f->fd, &st) != 0) return fail_errno(err, "stat", f->name);
    if (!S_ISREG(st.st_mode)) return fail_not_plain(f->name, 0, err);
    return 0;
}

static int posix_file_open(struct vfs_dir *dir, const char *name, unsigned flags,
                           struct vfs_file **out, struct error *err)
{
    if (name_check_component(name, err) != 0) return -1;
    size_t name_bytes = strlen(name) + 1;
    struct posix_file *f = mem_alloc(alloc_libc(), MEM_GENERAL, sizeof *f + name_bytes);
    if (!f) return error_no_memory(err, sizeof *f + name_bytes);
    f->base = (struct vfs_file){&POSIX_OPS, &posix_vfs};
    f->fd = -1;
    f->is_registered = false;
    f->writes_behind = (flags & VFS_WRITE_BEHIND) != 0;
    f->begun = 0;
    memcpy(f->name, name, name_bytes);

    bool is_lock_file = (flags & VFS_CREATE_ANY) != 0;
    if (is_lock_file) fork_registry_hold(); /* (3) */
    int rc = open_descriptor(f, dir_fd(dir), flags, err);
    if (rc == 0 && is_lock_file) {
        rc = fork_registry_add(f->fd, f, err);
        f->is_registered = rc == 0;
    }
    if (is_lock_file) fork_registry_release();

    if (rc != 0) {
        if (f->fd >= 0) (void)close(f->fd); /* not written to */
        mem_free(alloc_libc(), f);
        return -1;
    }
    *out = &f->base;
    return 0;
}

static int posix_file_close(struct vfs_file *file, struct error *err)
{
    struct posix_file *f = (struct posix_file *)file;
    bool was_registered = f->is_registered;
    if (was_registered) fork_registry_hold();
    bool is_ours = !was_registered || fork_registry_remove(f); /* else closed by the fork (3) */
    int rc = is_ours ? close(f->fd) : 0;
    int close_errno = errno;
    if (was_registered) fork_registry_release();
    if (rc != 0) {
        /* Linux gives the descriptor up even when it reports EINTR or EIO: no second try (4). */
        errno = close_errno;
        (void)fail_errno(err, "close", f->name);
    }
    mem_free(alloc_libc(), f);
    return rc != 0 ? -1 : 0;
}

/* ---- files: content ---- */

static int posix_file_size(struct vfs_file *f, uint64_t *out, struct error *err)
{
    struct stat st;
    if (fstat(file_fd(f), &st) != 0) return fail_errno(err, "stat", file_name(f));
    *out = (uint64_t)st.st_size;
    return 0;
}

static int posix_file_read(struct vfs_file *f, uint64_t offset, void *data, size_t size,
                           size_t *out_read, struct error *err)
{
    if (check_range(file_name(f), offset, size, err) != 0) return -1;
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(file_fd(f), (uint8_t *)data + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(err, "read", file_name(f));
        if (n == 0) break;
        done += (size_t)n;
    }
    *out_read = done;
    return 0;
}

/* The disk begins with what is written while more is copied, and the sync that follows has less to
 * wait for.  Advice: what it answers does not matter, a failed write of the disk is the sync's to
 * report. */
enum { WRITE_PART_BYTES = 4 << 20, WRITE_BEHIND_BYTES = 1 << 20, PAGE_BYTES_MAX = 64 << 10 };

static void write_behind(struct posix_file *f, uint64_t offset, size_t size)
{
    if (offset < f->begun) f->begun = offset; /* it is written once more, as a log is over zeros */
    uint64_t from = f->writes_behind ? f->begun : offset;

    /* Whole pages, however large they are: the next write would wait for one that is on its way. */
    uint64_t end = (offset + size) / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
    if (end < from + WRITE_BEHIND_BYTES) return;
    (void)sync_file_range(f->fd, (off_t)from, (off_t)(end - from), SYNC_FILE_RANGE_WRITE);
    if (f->writes_behind) f->begun = end;
}

static int posix_file_write(struct vfs_file *f, uint64_t offset, const void *data, size_t size,
                            struct error *err)
{
    if (check_range(file_name(f), offset, size, err) != 0) return -1;
    size_t done = 0;
    while (done < size) {
        size_t part = size - done < WRITE_PART_BYTES ? size - done : WRITE_PART_BYTES;
        ssize_t n = pwrite(file_fd(f), (const uint8_t *)data + done, part, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO; /* no progress and no reason: do not spin */
        if (n <= 0) return fail_errno(err, "write", file_name(f));
        write_behind((struct posix_file *)f, offset + done, (size_t)n);
        done += (size_t)n;
    }
    return 0;
}

static int posix_file_sync(struct vfs_file *f, struct error *err)
{
    if (fdatasync(file_fd(f)) == 0) return 0;
    return fail_errno(err, "sync", file_name(f)); /* (4) */
}

static int posix_file_truncate(struct vfs_file *f, uint64_t size, struct error *err)
{
    if (check_range(file_name(f), 0, size, err) != 0) return -1;
    int rc;
    do rc = ftruncate(file_fd(f), (off_t)size);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : fail_errno(err, "truncate", file_name(f));
}

/* ---- files: names ---- */

static int posix_file_unlink(struct vfs_dir *dir, const char *name, struct error *err)
{
    if (name_check_component(name, err) != 0) return -1;
    if (unlinkat(dir_fd(dir), name, 0) == 0) return 0;
    return fail_errno(err, "unlink", name);
}

static int posix_file_rename(struct vfs_dir *dir, const char *from, const char *to,
                             struct error *err)
{
    if (name_check_component(from, err) != 0 || name_check_component(to, err) != 0) return -1;
    if (renameat(dir_fd(dir), from, dir_fd(dir), to) == 0) return 0;
    (void)fail_errno(err, "rename", from);
    return error_wrap(err, "new name '%s'", to);
}

static int posix_file_exists(struct vfs_dir *dir, const char *name, bool *out, struct error *err)
{
    if (name_check_component(name, err) != 0) return -1;
    struct stat st;
    if (fstatat(dir_fd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        *out = true;
        return 0;
    }
    if (errno != ENOENT) return fail_errno(err, "stat", name);
    *out = false;
    return 0;
}

/* ---- locks ---- */

static struct flock lock_of_range(short type, uint64_t start, uint64_t size)
{
    CHECK(size >= 1 && start <= INT64_MAX && size <= INT64_MAX - start);
    struct flock lock = {0}; /* l_pid must be 0 for OFD locks */
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = (off_t)start;
    lock.l_len = (off_t)size;
    return lock;
}

static int register_for_fork(struct posix_file *f, struct error *err)
{
    if (f->is_registered) return 0;
    fork_registry_hold();
    int rc = fork_registry_add(f->fd, f, err);
    fork_registry_release();
    f->is_registered = rc == 0;
    return rc;
}

static int posix_file_lock(struct vfs_file *f, uint64_t start, uint64_t size,
                           enum vfs_lock_kind kind, struct error *err)
{
    short type = kind == VFS_LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK;
    struct flock lock = lock_of_range(type, start, size);
    if (register_for_fork((struct posix_file *)f, err) != 0) return -1; /* (3) */
    int rc;
    do rc = fcntl(file_fd(f), F_OFD_SETLK, &lock);
    while (rc != 0 && errno == EINTR);
    if (rc == 0) return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set_errno(err, LYNSE_LOCKED, errno, "'%s' is locked by somebody else",
                               file_name(f));
    return fail_errno(err, "lock", file_name(f));
}

static int posix_file_unlock(struct vfs_file *f, uint64_t start, uint64_t size, struct error *err)
{
    struct flock lock = lock_of_range(F_UNLCK, start, size);
    if (fcntl(file_fd(f), F_OFD_SETLK, &lock) == 0) return 0;
    return fail_errno(err, "unlock", file_name(f));
}

static int posix_file_lock_held(struct vfs_file *f, uint64_t start, uint64_t size, bool *out_held,
                                struct error *err)
{
    struct flock lock = lock_of_range(F_WRLCK, start, size);
    if (fcntl(file_fd(f), F_OFD_GETLK, &lock) != 0)
        return fail_errno(err, "ask for locks of", file_name(f));
    *out_held = lock.l_type != F_UNLCK;
    return 0;
}

/* ---- maps ---- */

static int posix_file_descriptor(const struct vfs_file *f)
{
    return file_fd(f);
}

static int posix_file_map(struct vfs_file *f, size_t size, const void **out, struct error *err)
{
    if (size == 0) {
        *out = EMPTY_MAP;
        return 0;
    }
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, file_fd(f), 0);
    if (map == MAP_FAILED) return fail_errno(err, "map", file_name(f));
    *out = map;
    return 0;
}

static void posix_unmap(struct vfs *fs, const void *map, size_t size)
{
    (void)fs;
    if (size == 0) return;
    int rc = munmap((void *)(uintptr_t)map, size);
    CHECK(rc == 0); /* the range is one that posix_file_map gave */
}

static const struct vfs_ops POSIX_OPS = {
    .dir_open = posix_dir_open,
    .dir_open_in = posix_dir_open_in,
    .dir_close = posix_dir_close,
    .dir_make = posix_dir_make,
    .dir_remove = posix_dir_remove,
    .dir_sync = posix_dir_sync,
    .dir_list = posix_dir_list,
    .dir_identity = posix_dir_identity,
    .dir_space = posix_dir_space,
    .dir_is_network = posix_dir_is_network,
    .file_open = posix_file_open,
    .file_close = posix_file_close,
    .file_size = posix_file_size,
    .file_read = posix_file_read,
    .file_write = posix_file_write,
    .file_sync = posix_file_sync,
    .file_truncate = posix_file_truncate,
    .file_unlink = posix_file_unlink,
    .file_rename = posix_file_rename,
    .file_exists = posix_file_exists,
    .file_lock = posix_file_lock,
    .file_unlock = posix_file_unlock,
    .file_lock_held = posix_file_lock_held,
    .file_map = posix_file_map,
    .file_descriptor = posix_file_descriptor,
    .unmap = posix_unmap,
};
