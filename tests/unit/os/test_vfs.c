/* SPDX-License-Identifier: Apache-2.0 */
/* Files, names and directories: the same cases over every file system. */
#include "support/vfs_backends.h"

/* ---- files ---- */

static void what_is_written_is_read_back(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    assert_content(f, "");
    write_at(f, 0, "hello world");
    write_at(f, 6, "there");
    assert_content(f, "hello there");
    assert_ok(vfs_sync(f, &err), &err);
    assert_ok(vfs_dir_sync(b->root, &err), &err);
    close_file(f);
    assert_file(b->root, "f", "hello there");
}

static void a_read_is_short_only_at_the_end(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    char data[8];
    size_t n;
    make_file(b->root, "f", "0123456789");
    struct vfs_file *f = open_file(b->root, "f", VFS_READ);
    assert_ok(vfs_read(f, 2, data, 8, &n, &err), &err);
    assert_int_equal(n, 8);
    assert_memory_equal(data, "23456789", 8);
    assert_ok(vfs_read(f, 7, data, 8, &n, &err), &err);
    assert_int_equal(n, 3);
    assert_ok(vfs_read(f, 10, data, 8, &n, &err), &err);
    assert_int_equal(n, 0);
    assert_ok(vfs_read(f, 1u << 30, data, 8, &n, &err), &err);
    assert_int_equal(n, 0);
    close_file(f);
}

static void a_hole_is_read_as_zeros(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    uint8_t data[4100];
    size_t n;
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    write_at(f, 4096, "tail");
    assert_ok(vfs_read(f, 0, data, sizeof data, &n, &err), &err);
    assert_int_equal(n, 4100);
    for (size_t i = 0; i < 4096; i++) assert_int_equal(data[i], 0);
    close_file(f);
}

static void truncation_cuts_and_extends_with_zeros(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    char data[8];
    size_t n;
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    write_at(f, 0, "secret");
    assert_ok(vfs_truncate(f, 2, &err), &err);
    assert_content(f, "se");
    assert_ok(vfs_truncate(f, 6, &err), &err);
    assert_ok(vfs_read(f, 0, data, sizeof data, &n, &err), &err);
    assert_int_equal(n, 6);
    assert_memory_equal(data, "se\0\0\0\0", 6);
    assert_ok(vfs_truncate(f, 0, &err), &err);
    write_at(f, 4, "x");
    assert_ok(vfs_read(f, 0, data, sizeof data, &n, &err), &err);
    assert_int_equal(n, 5);
    assert_memory_equal(data, "\0\0\0\0x", 5);
    close_file(f);
}

static void many_small_appends_make_one_large_file(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    enum { STEPS = 5000 };
    uint32_t block[16];
    size_t n;
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    for (uint32_t i = 0; i < STEPS; i++) {
        for (uint32_t j = 0; j < 16; j++) block[j] = i * 16 + j;
        assert_ok(vfs_write(f, (uint64_t)i * sizeof block, block, sizeof block, &err), &err);
    }
    for (uint32_t i = 0; i < STEPS; i++) {
        assert_ok(vfs_read(f, (uint64_t)i * sizeof block, block, sizeof block, &n, &err), &err);
        assert_int_equal(n, sizeof block);
        for (uint32_t j = 0; j < 16; j++) assert_int_equal(block[j], i * 16 + j);
    }
    close_file(f);
}

static void create_refuses_what_is_there(void **state)
{
    struct backend *b = *state;
    struct vfs_file *f = NULL;
    struct error err = {0};
    make_file(b->root, "f", "old");
    assert_fails(vfs_open(b->root, "f", VFS_WRITE | VFS_CREATE, &f, &err), &err,
                 LYNSE_ALREADY_EXISTS);
    assert_non_null(strstr(err.text, "'f'"));
    assert_file(b->root, "f", "old");
}

static void create_any_opens_without_truncating(void **state)
{
    struct backend *b = *state;
    struct vfs_file *f = open_file(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY);
    write_at(f, 0, "who");
    close_file(f);
    f = open_file(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY);
    assert_content(f, "who");
    close_file(f);
}

static void what_is_absent_is_not_found(void **state)
{
    struct backend *b = *state;
    struct vfs_file *f = NULL;
    struct vfs_dir *d = NULL;
    struct error err = {0};
    assert_fails(vfs_open(b->root, "f", VFS_READ, &f, &err), &err, LYNSE_NOT_FOUND);
    assert_non_null(strstr(err.text, "'f'"));
    assert_fails(vfs_open(b->root, "f", VFS_WRITE, &f, &err), &err, LYNSE_NOT_FOUND);
    assert_fails(vfs_unlink(b->root, "f", &err), &err, LYNSE_NOT_FOUND);
    assert_fails(vfs_rename(b->root, "f", "g", &err), &err, LYNSE_NOT_FOUND);
    assert_fails(vfs_dir_open_in(b->root, "d", &d, &err), &err, LYNSE_NOT_FOUND);
    assert_fails(vfs_dir_remove(b->root, "d", &err), &err, LYNSE_NOT_FOUND);
    assert_false(file_is_there(b->root, "f"));
}

static void a_file_for_reading_cannot_be_written(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    make_file(b->root, "f", "old");
    struct vfs_file *f = open_file(b->root, "f", VFS_READ);
    assert_int_equal(vfs_write(f, 0, "new", 3, &err), -1);
    assert_int_equal(vfs_truncate(f, 0, &err), -1);
    assert_content(f, "old");
    close_file(f);
}

static void offsets_beyond_the_kernels_are_refused(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    char data[4];
    size_t n;
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    assert_fails(vfs_read(f, UINT64_MAX, data, 4, &n, &err), &err, LYNSE_INVALID);
    assert_fails(vfs_read(f, INT64_MAX - 2, data, 4, &n, &err), &err, LYNSE_INVALID);
    assert_fails(vfs_write(f, 1ull << 63, data, 4, &err), &err, LYNSE_INVALID);
    assert_fails(vfs_truncate(f, UINT64_MAX, &err), &err, LYNSE_INVALID);
    assert_content(f, "");
    close_file(f);
}

/* ---- names ---- */

static void rename_moves_and_replaces(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    make_file(b->root, "tmp", "new");
    make_file(b->root, "f", "old");
    assert_ok(vfs_rename(b->root, "tmp", "f", &err), &err);
    assert_false(file_is_there(b->root, "tmp"));
    assert_file(b->root, "f", "new");
    assert_ok(vfs_rename(b->root, "f", "g", &err), &err);
    assert_file(b->root, "g", "new");
    assert_ok(vfs_rename(b->root, "g", "g", &err), &err);
    assert_file(b->root, "g", "new");
}

static void rename_does_not_mix_files_and_directories(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    make_file(b->root, "f", "x");
    assert_ok(vfs_dir_make(b->root, "d", &err), &err);
    assert_fails(vfs_rename(b->root, "f", "d", &err), &err, LYNSE_INVALID);
    assert_fails(vfs_rename(b->root, "d", "f", &err), &err, LYNSE_INVALID);
    assert_ok(vfs_rename(b->root, "d", "e", &err), &err);
    assert_true(file_is_there(b->root, "e"));
    assert_file(b->root, "f", "x");
}

static void an_open_file_outlives_its_name(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    make_file(b->root, "f", "content");
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE);
    assert_ok(vfs_unlink(b->root, "f", &err), &err);
    assert_false(file_is_there(b->root, "f"));
    assert_content(f, "content");
    write_at(f, 7, "s");
    assert_content(f, "contents");
    make_file(b->root, "f", "another");
    assert_content(f, "contents");
    close_file(f);
    assert_file(b->root, "f", "another");
}

static void an_open_file_outlives_being_replaced(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    make_file(b->root, "f", "old");
    make_file(b->root, "g", "new");
    struct vfs_file *f = open_file(b->root, "f", VFS_READ);
    assert_ok(vfs_rename(b->root, "g", "f", &err), &err);
    assert_content(f, "old");
    close_file(f);
}

static void two_handles_see_each_others_writes(void **state)
{
    struct backend *b = *state;
    make_file(b->root, "f", "aaaa");
    struct vfs_file *one = open_file(b->root, "f", VFS_WRITE);
    struct vfs_file *two = open_file(b->root, "f", VFS_READ);
    write_at(one, 2, "bbbb");
    assert_content(two, "aabbbb");
    close_file(one);
    close_file(two);
}

static void names_cannot_leave_the_directory(void **state)
{
    struct backend *b = *state;
    static const char *const names[] = {"", ".", "..", "../x", "a/b", "/etc/passwd"};
    struct error err = {0};
    make_file(b->root, "f", "x");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct vfs_file *f = NULL;
        struct vfs_dir *d = NULL;
        bool there;
        const char *name = names[i];
        unsigned create = VFS_WRITE | VFS_CREATE;
        assert_fails(vfs_open(b->root, name, create, &f, &err), &err, LYNSE_INVALID);
        assert_fails(vfs_dir_open_in(b->root, name, &d, &err), &err, LYNSE_INVALID);
        assert_fails(vfs_dir_make(b->root, name, &err), &err, LYNSE_INVALID);
        assert_fails(vfs_dir_remove(b->root, name, &err), &err, LYNSE_INVALID);
        assert_fails(vfs_unlink(b->root, name, &err), &err, LYNSE_INVALID);
        assert_fails(vfs_rename(b->root, "f", name, &err), &err, LYNSE_INVALID);
        assert_fails(vfs_rename(b->root, name, "f", &err), &err, LYNSE_INVALID);
        assert_fails(vfs_exists(b->root, name, &there, &err), &err, LYNSE_INVALID);
    }
    assert_file(b->root, "f", "x");
}

/* ---- directories ---- */

static void directories_are_made_opened_and_removed(void **state)
{
    struct backend *b = *state;
    struct vfs_dir *d = NULL;
    struct error err = {0};
    assert_ok(vfs_dir_make(b->root, "d", &err), &err);
    assert_fails(vfs_dir_make(b->root, "d", &err), &err, LYNSE_ALREADY_EXISTS);
    assert_ok(vfs_dir_open_in(b->root, "d", &d, &err), &err);
    make_file(d, "f", "inside");
    assert_false(file_is_there(b->root, "f"));
    assert_fails(vfs_dir_remove(b->root, "d", &err), &err, LYNSE_INVALID);
    assert_ok(vfs_unlink(d, "f", &err), &err);
    assert_ok(vfs_dir_remove(b->root, "d", &err), &err);
    assert_false(file_is_there(b->root, "d"));

    struct vfs_file *f = NULL;
    assert_fails(vfs_open(d, "late", VFS_WRITE | VFS_CREATE, &f, &err), &err, LYNSE_NOT_FOUND);
    vfs_dir_close(d);
}

static void files_and_directories_are_not_taken_for_each_other(void **state)
{
    struct backend *b = *state;
    struct vfs_file *f = NULL;
    struct vfs_dir *d = NULL;
    struct error err = {0};
    make_file(b->root, "f", "x");
    assert_ok(vfs_dir_make(b->root, "d", &err), &err);
    assert_fails(vfs_open(b->root, "d", VFS_READ, &f, &err), &err, LYNSE_INVALID);
    assert_fails(vfs_open(b->root, "d", VFS_WRITE, &f, &err), &err, LYNSE_INVALID);
    assert_fails(vfs_dir_open_in(b->root, "f", &d, &err), &err, LYNSE_INVALID);
    assert_fails(vfs_unlink(b->root, "d", &err), &err, LYNSE_INVALID);
    assert_fails(vfs_dir_remove(b->root, "f", &err), &err, LYNSE_INVALID);
}

struct listing {
    unsigned seen; /* bit i: name "f<i>" */
    unsigned others;
    unsigned calls;
    unsigned stop_after;
    struct vfs_dir *unlink_in;
};

static bool on_entry(void *ctx, const char *name)
{
    struct listing *l = ctx;
    l->calls++;
    if (name[0] == 'f') l->seen |= 1u << atoi(name + 1);
    else l->others++;
    if (l->unlink_in) assert_int_equal(vfs_unlink(l->unlink_in, name, NULL), 0);
    return l->calls != l->stop_after;
}

static void a_list_has_every_name_once(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    enum { FILES = 30 };
    for (int i = 0; i < FILES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        make_file(b->root, name, "");
    }
    struct listing l = {0};
    assert_ok(vfs_dir_list(b->root, on_entry, &l, &err), &err);
    assert_int_equal(l.calls, FILES);
    assert_int_equal(l.seen, (1u << FILES) - 1);

    l = (struct listing){.stop_after = 3};
    assert_ok(vfs_dir_list(b->root, on_entry, &l, &err), &err);
    assert_int_equal(l.calls, 3);

    l = (struct listing){.unlink_in = b->root};
    assert_ok(vfs_dir_list(b->root, on_entry, &l, &err), &err);
    l = (struct listing){0};
    assert_ok(vfs_dir_list(b->root, on_entry, &l, &err), &err);
    assert_int_equal(l.calls, 0);
}

static void identity_tells_directories_apart(void **state)
{
    struct backend *b = *state;
    struct vfs_dir *again = NULL;
    struct vfs_dir *d = NULL;
    struct error err = {0};
    uint64_t root_id[2];
    uint64_t again_id[2];
    uint64_t other_id[2];
    assert_ok(vfs_dir_make(b->root, "d", &err), &err);
    assert_ok(vfs_dir_open_in(b->root, "d", &d, &err), &err);
    assert_ok(vfs_dir_open(b->fs, b->path, 0, &again, &err), &err);
    assert_ok(vfs_dir_identity(b->root, root_id, &err), &err);
    assert_ok(vfs_dir_identity(again, again_id, &err), &err);
    assert_ok(vfs_dir_identity(d, other_id, &err), &err);
    assert_memory_equal(root_id, again_id, sizeof root_id);
    assert_memory_not_equal(root_id, other_id, sizeof root_id);
    vfs_dir_close(d);
    vfs_dir_close(again);
}

static void a_root_is_made_only_when_asked(void **state)
{
    struct backend *b = *state;
    char path[TEMP_PATH_BYTES + 8];
    struct vfs_dir *d = NULL;
    struct error err = {0};
    (void)snprintf(path, sizeof path, "%s/sub", b->path);
    assert_fails(vfs_dir_open(b->fs, path, 0, &d, &err), &err, LYNSE_NOT_FOUND);
    assert_ok(vfs_dir_open(b->fs, path, VFS_DIR_CREATE, &d, &err), &err);
    make_file(d, "f", "x");
    vfs_dir_close(d);
    assert_ok(vfs_dir_open(b->fs, path, VFS_DIR_CREATE, &d, &err), &err);
    assert_file(d, "f", "x");
    vfs_dir_close(d);
    assert_fails(vfs_dir_open(b->fs, "", VFS_DIR_CREATE, &d, &err), &err, LYNSE_INVALID);
}

static void free_space_is_known(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct vfs_space space = {0};
    assert_ok(vfs_dir_space(b->root, &space, &err), &err);
    assert_true(space.free_bytes > 0 && space.free_bytes <= space.total_bytes);
    assert_false(vfs_dir_is_network(b->root));
}

static void a_file_needs_no_directory_handle(void **state)
{
    struct backend *b = *state;
    struct vfs_dir *d = NULL;
    struct error err = {0};
    assert_ok(vfs_dir_make(b->root, "d", &err), &err);
    assert_ok(vfs_dir_open_in(b->root, "d", &d, &err), &err);
    struct vfs_file *f = open_file(d, "f", VFS_WRITE | VFS_CREATE);
    vfs_dir_close(d);
    write_at(f, 0, "still");
    assert_content(f, "still");
    close_file(f);
}

#define CASES(_)                                                                                   \
    _(what_is_written_is_read_back)                                                                \
    _(a_read_is_short_only_at_the_end)                                                             \
    _(a_hole_is_read_as_zeros)                                                                     \
    _(truncation_cuts_and_extends_with_zeros)                                                      \
    _(many_small_appends_make_one_large_file)                                                      \
    _(create_refuses_what_is_there)                                                                \
    _(create_any_opens_without_truncating)                                                         \
    _(what_is_absent_is_not_found)                                                                 \
    _(a_file_for_reading_cannot_be_written)                                                        \
    _(offsets_beyond_the_kernels_are_refused)                                                      \
    _(rename_moves_and_replaces)                                                                   \
    _(rename_does_not_mix_files_and_directories)                                                   \
    _(an_open_file_outlives_its_name)                                                              \
    _(an_open_file_outlives_being_replaced)                                                        \
    _(two_handles_see_each_others_writes)                                                          \
    _(names_cannot_leave_the_directory)                                                            \
    _(directories_are_made_opened_and_removed)                                                     \
    _(files_and_directories_are_not_taken_for_each_other)                                          \
    _(a_list_has_every_name_once)                                                                  \
    _(identity_tells_directories_apart)                                                            \
    _(a_root_is_made_only_when_asked)                                                              \
    _(free_space_is_known)                                                                         \
    _(a_file_needs_no_directory_handle)

VFS_BACKEND_TESTS(CASES)

TEST_MAIN(tests)
