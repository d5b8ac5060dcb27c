/* SPDX-License-Identifier: Apache-2.0 */
/* What only the real file system has: descriptors, links, pipes and other processes. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "support/oom_sweep.h"
#include "support/vfs_backends.h"

static void full_path(const struct backend *b, const char *name, char out[TEMP_PATH_BYTES + 64])
{
    (void)snprintf(out, TEMP_PATH_BYTES + 64, "%s/%s", b->path, name);
}

static void links_are_not_followed(void **state)
{
    struct backend *b = *state;
    char link[TEMP_PATH_BYTES + 64];
    struct vfs_file *f = NULL;
    struct vfs_dir *d = NULL;
    struct error err = {0};
    make_file(b->root, "target", "outside");
    full_path(b, "file-link", link);
    assert_int_equal(symlink("target", link), 0);
    full_path(b, "dir-link", link);
    assert_int_equal(symlink("/tmp", link), 0);
    full_path(b, "dangling", link);
    assert_int_equal(symlink("made-through-it", link), 0);

    assert_fails(vfs_open(b->root, "file-link", VFS_READ, &f, &err), &err, LYNSE_INVALID);
    assert_fails(vfs_open(b->root, "file-link", VFS_WRITE, &f, &err), &err, LYNSE_INVALID);
    assert_fails(vfs_open(b->root, "dangling", VFS_WRITE | VFS_CREATE_ANY, &f, &err), &err,
                 LYNSE_INVALID);
    assert_fails(vfs_open(b->root, "dangling", VFS_WRITE | VFS_CREATE, &f, &err), &err,
                 LYNSE_ALREADY_EXISTS);
    assert_fails(vfs_dir_open_in(b->root, "dir-link", &d, &err), &err, LYNSE_INVALID);
    assert_true(file_is_there(b->root, "dangling"));
    assert_false(file_is_there(b->root, "made-through-it"));

    assert_ok(vfs_unlink(b->root, "file-link", &err), &err); /* the link, not its target */
    assert_file(b->root, "target", "outside");
}

static void the_users_own_path_may_be_a_link(void **state)
{
    struct backend *b = *state;
    char link[TEMP_PATH_BYTES + 64];
    struct vfs_dir *d = NULL;
    struct error err = {0};
    assert_ok(vfs_dir_make(b->root, "d", &err), &err);
    full_path(b, "link", link);
    assert_int_equal(symlink("d", link), 0);
    assert_ok(vfs_dir_open(b->fs, link, VFS_DIR_CREATE, &d, &err), &err);
    vfs_dir_close(d);
}

static void a_root_that_is_a_file_is_invalid(void **state)
{
    struct backend *b = *state;
    char path[TEMP_PATH_BYTES + 64];
    struct vfs_dir *d = NULL;
    struct error err = {0};
    make_file(b->root, "f", "x");
    full_path(b, "f", path);
    assert_fails(vfs_dir_open(b->fs, path, 0, &d, &err), &err, LYNSE_INVALID);
    assert_fails(vfs_dir_open(b->fs, path, VFS_DIR_CREATE, &d, &err), &err, LYNSE_INVALID);
    full_path(b, "no/such", path);
    assert_fails(vfs_dir_open(b->fs, path, VFS_DIR_CREATE, &d, &err), &err, LYNSE_NOT_FOUND);
}

static void a_pipe_in_a_files_place_does_not_make_us_wait(void **state)
{
    struct backend *b = *state;
    char path[TEMP_PATH_BYTES + 64];
    struct vfs_file *f = NULL;
    struct error err = {0};
    full_path(b, "wal-1", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_fails(vfs_open(b->root, "wal-1", VFS_READ, &f, &err), &err, LYNSE_INVALID);
    assert_fails(vfs_open(b->root, "wal-1", VFS_WRITE, &f, &err), &err, LYNSE_INVALID);
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void failed_opens_leave_no_descriptor(void **state)
{
    struct backend *b = *state;
    struct vfs_file *f = NULL;
    struct vfs_dir *d = NULL;
    struct error err = {0};
    assert_ok(vfs_dir_make(b->root, "d", &err), &err);
    make_file(b->root, "f", "x");
    unsigned before = count_descriptors();
    assert_int_equal(vfs_open(b->root, "d", VFS_READ, &f, &err), -1);
    assert_int_equal(vfs_open(b->root, "d", VFS_WRITE | VFS_CREATE_ANY, &f, &err), -1);
    assert_int_equal(vfs_open(b->root, "f", VFS_WRITE | VFS_CREATE, &f, &err), -1);
    assert_int_equal(vfs_open(b->root, "absent", VFS_READ, &f, &err), -1);
    assert_int_equal(vfs_dir_open_in(b->root, "f", &d, &err), -1);
    assert_int_equal(count_descriptors(), before);
}

/* Exit status of a child that runs fn: cmocka's own asserts must not be used in it. */
static int run_in_child(int (*fn)(struct backend *), struct backend *b)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(fn(b));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int open_with_standard_files_closed(struct backend *b)
{
    struct vfs_file *f = NULL;
    struct vfs_dir *d = NULL;
    for (int fd = 0; fd <= 2; fd++) (void)close(fd);
    if (vfs_dir_open(b->fs, b->path, 0, &d, NULL) != 0) return 1;
    if (vfs_open(d, "f", VFS_WRITE | VFS_CREATE, &f, NULL) != 0) return 2;
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) >= 0) return 3;
    for (int fd = 3; fd < 64; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0) continue;
        struct stat st;
        struct stat root;
        if (fstat(fd, &st) != 0 || stat(b->path, &root) != 0) return 4;
        if (st.st_dev == root.st_dev && st.st_ino == root.st_ino && !(flags & FD_CLOEXEC)) return 5;
    }
    if (write(STDERR_FILENO, "stray", 5) != -1) return 6;
    return vfs_close(f, NULL);
}

static void no_descriptor_is_a_standard_one(void **state)
{
    struct backend *b = *state;
    assert_int_equal(run_in_child(open_with_standard_files_closed, b), 0);
    assert_file(b->root, "f", "");
}

static void descriptors_close_on_exec(void **state)
{
    (void)state;
    int fd = descriptor_open_at(AT_FDCWD, "/dev/null", O_RDONLY);
    assert_true(fd > 2);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(close(fd), 0);
}

static int open_as_nobody(struct backend *b)
{
    enum { NOBODY = 65534 };
    struct vfs_file *f = NULL;
    struct error err = {0};
    if (geteuid() == 0 && setuid(NOBODY) != 0) return 1; /* root may write everything */
    if (vfs_open(b->root, "f", VFS_WRITE, &f, &err) == 0) return 2;
    if (err.code != LYNSE_READ_ONLY) return 3;
    if (vfs_open(b->root, "new", VFS_WRITE | VFS_CREATE, &f, &err) == 0) return 4;
    if (err.code != LYNSE_READ_ONLY) return 5;
    return vfs_open(b->root, "f", VFS_READ, &f, &err) == 0 ? 0 : 6;
}

static void what_may_not_be_written_is_read_only(void **state)
{
    struct backend *b = *state;
    char path[TEMP_PATH_BYTES + 64];
    make_file(b->root, "f", "x");
    full_path(b, "f", path);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(b->path, 0555), 0);
    assert_int_equal(run_in_child(open_as_nobody, b), 0);
    assert_int_equal(chmod(b->path, 0755), 0);
}

/* ---- out of memory ---- */

static int open_all(void *ctx, struct error *err)
{
    struct backend *b = ctx;
    struct vfs_dir *root = NULL;
    struct vfs_dir *d = NULL;
    struct vfs_file *f = NULL;
    int rc = vfs_dir_open(b->fs, b->path, VFS_DIR_CREATE, &root, err);
    if (rc == 0) rc = vfs_dir_open_in(root, "d", &d, err);
    if (rc == 0) rc = vfs_open(d, "f", VFS_WRITE | VFS_CREATE_ANY, &f, err);
    (void)vfs_close(f, NULL);
    vfs_dir_close(d);
    vfs_dir_close(root);
    return rc;
}

static void every_failed_allocation_is_an_error_and_nothing_leaks(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    assert_ok(vfs_dir_make(b->root, "d", &err), &err);
    unsigned before = count_descriptors();
    oom_sweep(alloc_libc(), open_all, b);
    assert_int_equal(count_descriptors(), before);
}

/* ---- other processes ---- */

static int try_lock_in_child(struct backend *b)
{
    struct vfs_file *f = NULL;
    struct error err = {0};
    if (vfs_open(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY, &f, &err) != 0) return 1;
    int rc = vfs_lock(f, 0, 1, VFS_LOCK_EXCLUSIVE, &err);
    int answer = rc == 0 ? 10 : err.code == LYNSE_LOCKED ? 11 : 2;
    return vfs_close(f, NULL) == 0 ? answer : 3;
}

static void a_lock_keeps_another_process_out(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct vfs_file *f = open_file(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY);
    assert_ok(vfs_lock(f, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_int_equal(run_in_child(try_lock_in_child, b), 11);
    close_file(f);
    assert_int_equal(run_in_child(try_lock_in_child, b), 10);
}

struct child {
    pid_t pid;
    int go;    /* write end: closing it ends the child */
    int ready; /* read end: a byte when the child is there */
};

/* A child that runs `first`, says so, and lives until it is let go. */
static struct child start_child(int (*first)(struct backend *), struct backend *b)
{
    int go[2];
    int ready[2];
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char byte = 'r';
        (void)close(go[1]);
        int status = first(b);
        if (write(ready[1], &byte, 1) != 1) _exit(99);
        while (read(go[0], &byte, 1) > 0) continue;
        _exit(status);
    }
    (void)close(go[0]);
    (void)close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    return (struct child){pid, go[1], ready[0]};
}

static int end_child(struct child c)
{
    int status = 0;
    (void)close(c.go);
    (void)close(c.ready);
    assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int do_nothing(struct backend *b)
{
    (void)b;
    return 0;
}

static void a_living_child_does_not_keep_its_parents_lock(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct vfs_file *f = open_file(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY);
    struct vfs_file *reader = open_file(b->root, "LOCK", VFS_READ);
    assert_ok(vfs_lock(f, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_ok(vfs_lock(reader, 7, 1, VFS_LOCK_SHARED, &err), &err);
    struct child c = start_child(do_nothing, b);
    assert_int_equal(run_in_child(try_lock_in_child, b), 11); /* a fork does not unlock it */
    close_file(f);
    close_file(reader);
    f = open_file(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY);
    assert_ok(vfs_lock(f, 0, 100, VFS_LOCK_EXCLUSIVE, &err), &err);
    close_file(f);
    assert_int_equal(end_child(c), 0);
}

/* A fork between the opening of LOCK and its first lock shares the description all the same. */
static void a_child_forked_before_the_lock_does_not_keep_it(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct vfs_file *f = open_file(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY);
    struct child c = start_child(do_nothing, b);
    assert_ok(vfs_lock(f, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    close_file(f);
    assert_int_equal(run_in_child(try_lock_in_child, b), 10);
    assert_int_equal(end_child(c), 0);
}

static struct vfs_file *inherited;

static int close_inherited(struct backend *b)
{
    /* The number of the closed descriptor is free: the child's next file gets it. */
    struct vfs_file *own = NULL;
    size_t n;
    char byte;
    if (vfs_open(b->root, "own", VFS_WRITE | VFS_CREATE, &own, NULL) != 0) return 1;
    if (vfs_close(inherited, NULL) != 0) return 2;
    if (vfs_write(own, 0, "x", 1, NULL) != 0) return 3;
    if (vfs_read(own, 0, &byte, 1, &n, NULL) != 0 || n != 1) return 4;
    return vfs_close(own, NULL) == 0 ? 0 : 5;
}

static void closing_an_inherited_handle_closes_nothing_else(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    inherited = open_file(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY);
    assert_ok(vfs_lock(inherited, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_int_equal(run_in_child(close_inherited, b), 0);
    assert_int_equal(run_in_child(try_lock_in_child, b), 11);
    assert_file(b->root, "own", "x");
    close_file(inherited);
}

static int hold_lock(struct backend *b)
{
    struct vfs_file *f = NULL;
    if (vfs_open(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY, &f, NULL) != 0) return 1;
    return vfs_lock(f, 0, 1, VFS_LOCK_EXCLUSIVE, NULL) == 0 ? 0 : 2; /* left to the kernel */
}

static void a_dead_process_leaves_no_lock(void **state)
{
    struct backend *b = *state;
    struct child c = start_child(hold_lock, b);
    assert_int_equal(run_in_child(try_lock_in_child, b), 11);
    assert_int_equal(end_child(c), 0);
    assert_int_equal(run_in_child(try_lock_in_child, b), 10);
}

#define CASES(_)                                                                                   \
    _(links_are_not_followed)                                                                      \
    _(the_users_own_path_may_be_a_link)                                                            \
    _(a_root_that_is_a_file_is_invalid)                                                            \
    _(a_pipe_in_a_files_place_does_not_make_us_wait)                                               \
    _(failed_opens_leave_no_descriptor)                                                            \
    _(no_descriptor_is_a_standard_one)                                                             \
    _(descriptors_close_on_exec)                                                                   \
    _(what_may_not_be_written_is_read_only)                                                        \
    _(every_failed_allocation_is_an_error_and_nothing_leaks)                                       \
    _(a_lock_keeps_another_process_out)                                                            \
    _(a_living_child_does_not_keep_its_parents_lock)                                               \
    _(a_child_forked_before_the_lock_does_not_keep_it)                                             \
    _(closing_an_inherited_handle_closes_nothing_else)                                             \
    _(a_dead_process_leaves_no_lock)

static const struct CMUnitTest tests[] = {CASES(POSIX_CASE)};

TEST_MAIN(tests)
