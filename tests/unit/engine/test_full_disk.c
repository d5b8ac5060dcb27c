/* SPDX-License-Identifier: Apache-2.0 */
/* test_full_disk.c — a real file system that others fill to its last byte.  Mounted in a name space
 * of the test's own, where the system lets it; else skipped (test_space.c has the same without). */
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "lynse.h"
#include "support/temp_dir.h"
#include "support/test.h"

enum { DIM = 256, ROWS = 1000, CHUNK = 64 << 10, NO_MOUNT = 77 };

#define assert_done(call, err)                                                                     \
    do {                                                                                           \
        if ((call) != LYNSE_OK) fail_msg("%s", (err)->text);                                       \
    } while (0)

/* As much as fits, up to `bytes`; what was written. */
static uint64_t write_file(const char *folder, const char *name, uint64_t bytes)
{
    char path[2 * TEMP_PATH_BYTES];
    static char chunk[CHUNK];
    uint64_t done = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    while (done < bytes) {
        ssize_t n = write(fd, chunk, bytes - done < CHUNK ? (size_t)(bytes - done) : CHUNK);
        if (n <= 0) break;
        done += (uint64_t)n;
    }
    assert_int_equal(close(fd), 0);
    return done;
}

static bool is_there(const char *folder, const char *name)
{
    char path[2 * TEMP_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static struct lynse *open_root(const char *folder, struct lynse_collection **out)
{
    char path[2 * TEMP_PATH_BYTES];
    struct lynse_error err = {0};
    struct lynse_open_desc open = {.path = path, .low_water_bytes = 1};
    struct lynse_collection_desc desc = {.name = "notes/docs", .dim = DIM};
    struct lynse *db;
    snprintf(path, sizeof path, "%s/root", folder);
    assert_done(lynse_open(&open, &db, &err), &err);
    assert_done(lynse_collection_require(db, &desc, out, &err), &err);
    return db;
}

static int add_rows(struct lynse_collection *c, struct lynse_error *err)
{
    float *vectors = calloc((size_t)ROWS * DIM, sizeof *vectors);
    struct lynse_rows rows = {.dim = DIM, .count = ROWS, .vectors = vectors};
    assert_non_null(vectors);
    int code = lynse_add(c, &rows, NULL, NULL, err);
    free(vectors);
    return code;
}

static void live_on_full_disk(const char *folder)
{
    char root[TEMP_PATH_BYTES + 32], ballast[TEMP_PATH_BYTES + 32];
    struct lynse_error err = {0};
    struct lynse_collection *c;
    struct lynse_id id = {.number = 7};
    uint64_t count = 0;
    snprintf(root, sizeof root, "%s/root", folder);
    snprintf(ballast, sizeof ballast, "%s/ballast", folder);

    struct lynse *db = open_root(folder, &c);
    assert_done(add_rows(c, &err), &err);
    assert_done(lynse_close(db, &err), &err);
    assert_int_equal(write_file(root, "RESERVE", RESERVE_BYTES), RESERVE_BYTES);
    db = open_root(folder, &c);
    assert_done(add_rows(c, &err), &err);
    assert_true(write_file(folder, "ballast", UINT64_MAX) > 0);

    assert_int_equal(add_rows(c, &err), LYNSE_DISK_FULL);
    assert_non_null(strstr(err.text, "notes/docs"));
    assert_done(lynse_delete(c, &id, 1, NULL, NULL, &err), &err);
    assert_done(lynse_flush(c, &err), &err);
    assert_false(is_there(root, "RESERVE"));
    assert_int_equal(add_rows(c, &err), LYNSE_DISK_FULL);
    assert_done(lynse_close(db, &err), &err);

    db = open_root(folder, &c);
    assert_done(lynse_count(c, &count, &err), &err);
    assert_int_equal(count, 2 * ROWS - 1);
    assert_int_equal(unlink(ballast), 0);
    assert_done(add_rows(c, &err), &err);
    assert_done(lynse_close(db, &err), &err);
}

static bool put_line(const char *path, const char *line)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line);
    if (fd >= 0) close(fd);
    return done;
}

/* Who may not mount may do so where he is root. */
static bool become_root_of_name_space(void)
{
    char users[32], groups[32];
    snprintf(users, sizeof users, "0 %u 1", (unsigned)getuid());
    snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getgid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && put_line("/proc/self/setgroups", "deny") &&
           put_line("/proc/self/uid_map", users) && put_line("/proc/self/gid_map", groups);
}

/* The child's; what it asserts ends it. */
static int mount_and_live(const char *folder)
{
    if (unshare(CLONE_NEWNS) != 0 && !become_root_of_name_space()) return NO_MOUNT;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return NO_MOUNT;
    if (mount("tmpfs", folder, "tmpfs", 0, "size=40m,mode=0777") != 0) return NO_MOUNT;
    live_on_full_disk(folder);
    return 0;
}

static void a_disk_without_a_free_byte_is_lived_with(void **state)
{
    (void)state;
    char folder[TEMP_PATH_BYTES];
    int status = 0;
    temp_dir_make(folder);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(mount_and_live(folder));
    assert_int_equal(waitpid(child, &status, 0), child);
    temp_dir_remove(folder);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_MOUNT) skip_because("may not mount");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("the child ended: 0x%x", status);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_disk_without_a_free_byte_is_lived_with),
};
TEST_MAIN(tests)
