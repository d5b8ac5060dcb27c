/* SPDX-License-Identifier: Apache-2.0 */
#include "store/dir_lock.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/machine.h"
#include "store/file_gc.h"
#include "support/temp_dir.h"
#include "support/test.h"

struct place {
    char path[TEMP_PATH_BYTES];
    struct vfs_dir *root;
    struct manual_clock clock;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    struct error err = {0};
    temp_dir_make(p->path);
    manual_clock_init(&p->clock, 1700000000123456);
    assert_ok(vfs_dir_open(vfs_posix(), p->path, 0, &p->root, &err), &err);
    *state = p;
    return 0;
}
static int tear_down(void **state)
{
    struct place *p = *state;
    vfs_dir_close(p->root);
    temp_dir_remove(p->path);
    free(p);
    return 0;
}

static int acquire(struct place *p, struct dir_lock *l, struct error *err)
{
    return dir_lock_acquire_writer(l, p->root, &p->clock.base, err);
}

static void read_text(struct place *p, char out[1024])
{
    struct error err = {0};
    struct vfs_file *f = NULL;
    size_t got = 0;
    assert_ok(vfs_open(p->root, LOCK_NAME, VFS_READ, &f, &err), &err);
    assert_ok(vfs_read(f, 0, out, 1023, &got, &err), &err);
    out[got] = '\0';
    assert_ok(vfs_close(f, &err), &err);
}

/* Run fn in a child; its result is the child's exit status. */
static int in_child(int (*fn)(struct place *p), struct place *p)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(fn(p));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_text_tells_who_writes(void **state)
{
    struct place *p = *state;
    struct dir_lock l = {0};
    struct error err = {0};
    struct uuid root = {{0xab}};
    char text[1024], want[64];
    assert_ok(acquire(p, &l, &err), &err);
    read_text(p, text);
    assert_true(strncmp(text, "lynse 1\npid ", 12) == 0);
    snprintf(want, sizeof want, "\npid %d\n", (int)getpid());
    assert_non_null(strstr(text, want));
    assert_non_null(strstr(text, "\nsince 2023-11-14T22:13:20Z\n"));
    dir_lock_write_uuid(&l, &root);
    read_text(p, text);
    assert_non_null(strstr(text, "\nuuid ab000000000000000000000000000000\n"));
    dir_lock_release(&l);
    assert_null(l.file);
    dir_lock_release(&l);
    /* The next writer's text replaces all of it. */
    assert_ok(acquire(p, &l, &err), &err);
    read_text(p, text);
    assert_null(strstr(text, "uuid"));
    dir_lock_release(&l);
}

static void a_second_writer_in_this_process_is_refused(void **state)
{
    struct place *p = *state;
    struct dir_lock first = {0}, second = {0};
    struct vfs_dir *again = NULL;
    struct error err = {0};
    char path[TEMP_PATH_BYTES + 8];
    assert_ok(acquire(p, &first, &err), &err);
    snprintf(path, sizeof path, "%s/.", p->path);
    assert_ok(vfs_dir_open(vfs_posix(), path, 0, &again, &err), &err); /* another way there */
    assert_fails(dir_lock_acquire_writer(&second, again, &p->clock.base, &err), &err, LYNSE_LOCKED);
    assert_non_null(strstr(err.text, "this process"));
    assert_null(second.file);
    dir_lock_release(&first);
    assert_ok(dir_lock_acquire_writer(&second, again, &p->clock.base, &err), &err);
    dir_lock_release(&second);
    vfs_dir_close(again);
}

static int child_is_refused(struct place *p)
{
    struct dir_lock l = {0};
    struct error err = {0};
    char want[32];
    if (acquire(p, &l, &err) == 0) return 1;
    if (err.code != LYNSE_LOCKED) return 2;
    snprintf(want, sizeof want, "process %d ", (int)getppid());
    return strstr(err.text, want) && strstr(err.text, "since 2023-11-14T22:13:20Z") ? 0 : 3;
}

static void another_process_is_told_who_holds_it(void **state)
{
    struct place *p = *state;
    struct dir_lock l = {0};
    struct error err = {0};
    assert_ok(acquire(p, &l, &err), &err);
    assert_int_equal(in_child(child_is_refused, p), 0);
    dir_lock_release(&l);
    assert_int_equal(in_child(child_is_refused, p), 1); /* free again */
}

static void damaged_text_changes_nothing(void **state)
{
    struct place *p = *state;
    static const char *const texts[] = {"",
                                        "\n\n\n",
                                        "pid",
                                        "pid \n",
                                        "pid -1\nhost \xff\xfe\n",
                                        "pid 99999999999999999999999\nsince"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct dir_lock l = {0};
        struct error err = {0};
        assert_ok(acquire(p, &l, &err), &err);
        assert_ok(vfs_truncate(l.file, 0, &err), &err);
        assert_ok(vfs_write(l.file, 0, texts[i], strlen(texts[i]), &err), &err);
        int refusal = in_child(child_is_refused, p);
        assert_true(refusal == 0 || refusal == 3); /* refused, whatever is told */
        dir_lock_release(&l);
    }
}

/* A process that opens the root, leaves a child that keeps the description, and dies. */
static int leave_a_child(struct place *p)
{
    struct vfs_file *f = NULL;
    struct error err = {0};
    int ready[2];
    char byte = 0;
    if (pipe(ready) != 0) return 9;
    /* Without the fork registry, as a program that forks around pthread_atfork would. */
    pid_t parent = fork();
    if (parent == 0) {
        struct machine_identity me;
        char text[512];
        if (vfs_open(p->root, LOCK_NAME, VFS_WRITE | VFS_CREATE_ANY, &f, &err) != 0) _exit(9);
        if (vfs_lock(f, 0, 1, VFS_LOCK_EXCLUSIVE, &err) != 0) _exit(9);
        machine_identity(&me);
        int bytes = snprintf(text, sizeof text,
                             "lynse 1\npid %lld\nprocess-start %llu\nboot %s\nhost %s\nuid 0\n"
                             "since 2023-11-14T22:13:20Z\n",
                             (long long)me.pid + 400000, (unsigned long long)me.process_start,
                             me.boot_id, me.host);
        if (vfs_write(f, 0, text, (size_t)bytes, &err) != 0) _exit(9);
        if (write(ready[1], "x", 1) != 1) _exit(9);
        pause();
        _exit(0);
    }
    if (read(ready[0], &byte, 1) != 1) return 9;
    struct dir_lock l = {0};
    int rc = acquire(p, &l, &err);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    if (rc == 0) return 1;
    if (err.code == LYNSE_LOCKED && strstr(err.text, "inherited")) return 0;
    fprintf(stderr, "got: %s\n", err.text);
    return 2;
}

static void a_lock_that_outlived_its_opener_is_explained(void **state)
{
    struct place *p = *state;
    assert_int_equal(in_child(leave_a_child, p), 0);
}

static struct dir_lock *inherited;

static int child_uses_the_handle(struct place *p)
{
    struct error err = {0};
    struct dir_lock own = {0};
    if (dir_lock_pin(inherited, 1, 1, &err) == 0 || err.code != LYNSE_FORKED) return 1;
    dir_lock_unpin(inherited, 1, 1);
    dir_lock_release(inherited);
    /* The parent's table of open roots is not the child's: the kernel's lock answers. */
    if (acquire(p, &own, &err) == 0 || err.code != LYNSE_LOCKED) return 2;
    return strstr(err.text, "this process") ? 3 : 0;
}

static void a_forked_child_can_do_no_harm(void **state)
{
    struct place *p = *state;
    struct dir_lock l = {0};
    struct error err = {0};
    assert_ok(acquire(p, &l, &err), &err);
    inherited = &l;
    assert_int_equal(in_child(child_uses_the_handle, p), 0);
    assert_int_equal(in_child(child_is_refused, p), 0); /* still locked */
    dir_lock_release(&l);
}

static void a_release_does_not_wait_for_a_child_that_is_being_forked(void **state)
{
    struct place *p = *state;
    struct dir_lock l = {0};
    struct error err = {0};
    assert_ok(acquire(p, &l, &err), &err);
    /* As between the fork and its handler: the child still has the descriptor. */
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        for (;;) pause();
    assert_true(pid > 0);
    dir_lock_release(&l);
    int rc = acquire(p, &l, &err);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_ok(rc, &err);
    dir_lock_release(&l);
}

static void a_reader_needs_a_lock_file(void **state)
{
    struct place *p = *state;
    struct dir_lock l = {0};
    struct error err = {0};
    assert_fails(dir_lock_open_reader(&l, p->root, &err), &err, LYNSE_NOT_FOUND);
    assert_null(l.file);
}

static void a_pin_is_seen_by_the_writer_until_it_goes(void **state)
{
    struct place *p = *state;
    struct dir_lock writer = {0}, reader = {0}, other = {0};
    struct error err = {0};
    bool pinned = true;
    assert_ok(acquire(p, &writer, &err), &err);
    assert_ok(dir_lock_open_reader(&reader, p->root, &err), &err);
    assert_ok(dir_lock_open_reader(&other, p->root, &err), &err);
    assert_ok(dir_lock_pin(&reader, 2, 7, &err), &err);
    assert_ok(dir_lock_pin(&other, 2, 7, &err), &err); /* shared */
    assert_ok(file_gc_is_pinned(writer.file, 2, 8, &pinned, &err), &err);
    assert_true(pinned);
    assert_ok(file_gc_is_pinned(writer.file, 2, 7, &pinned, &err), &err);
    assert_false(pinned); /* the newest may be pinned: it is not removed */
    assert_ok(file_gc_is_pinned(writer.file, 1, 8, &pinned, &err), &err);
    assert_false(pinned);
    dir_lock_unpin(&reader, 2, 7);
    assert_ok(file_gc_is_pinned(writer.file, 2, 8, &pinned, &err), &err);
    assert_true(pinned);
    dir_lock_release(&other); /* as its death would */
    assert_ok(file_gc_is_pinned(writer.file, 2, 8, &pinned, &err), &err);
    assert_false(pinned);
    assert_fails(dir_lock_pin(&reader, 0, 7, &err), &err, LYNSE_LIMIT);
    assert_fails(dir_lock_pin(&reader, 1, 1ull << 32, &err), &err, LYNSE_LIMIT);
    dir_lock_release(&reader);
    dir_lock_release(&writer);
}

static void a_root_in_memory_is_locked_as_well(void **state)
{
    struct place *p = *state;
    struct vfs *fs = vfs_memory_create(alloc_libc());
    struct vfs_dir *root = NULL, *other = NULL;
    struct dir_lock l = {0}, second = {0};
    struct error err = {0};
    assert_ok(vfs_dir_open(fs, "a", VFS_DIR_CREATE, &root, &err), &err);
    assert_ok(vfs_dir_open(fs, "b", VFS_DIR_CREATE, &other, &err), &err);
    assert_ok(dir_lock_acquire_writer(&l, root, &p->clock.base, &err), &err);
    assert_fails(dir_lock_acquire_writer(&second, root, &p->clock.base, &err), &err, LYNSE_LOCKED);
    assert_ok(dir_lock_acquire_writer(&second, other, &p->clock.base, &err), &err);
    dir_lock_release(&second);
    dir_lock_release(&l);
    vfs_dir_close(root);
    vfs_dir_close(other);
    vfs_memory_destroy(fs);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(the_text_tells_who_writes),
    CASE(a_second_writer_in_this_process_is_refused),
    CASE(another_process_is_told_who_holds_it),
    CASE(damaged_text_changes_nothing),
    CASE(a_lock_that_outlived_its_opener_is_explained),
    CASE(a_forked_child_can_do_no_harm),
    CASE(a_release_does_not_wait_for_a_child_that_is_being_forked),
    CASE(a_reader_needs_a_lock_file),
    CASE(a_pin_is_seen_by_the_writer_until_it_goes),
    CASE(a_root_in_memory_is_locked_as_well),
};
TEST_MAIN(tests)
