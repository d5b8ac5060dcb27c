/* SPDX-License-Identifier: Apache-2.0 */
/* The same cases over every file system: whoever writes a fifth one adds its cases at the end. */
#include "os/vfs.h"

#include "base/limits.h"
#include "os/vfs_record.h"
#include "support/temp_dir.h"
#include "support/test.h"
#include "support/vfs_faulty.h"

struct backend {
    struct vfs *inner; /* what the tested one stands on, or NULL */
    struct vfs *fs;
    struct vfs_dir *root;
    char path[TEMP_PATH_BYTES];
};

static void open_root(struct backend *b)
{
    struct error err = {0};
    assert_non_null(b->fs);
    assert_ok(vfs_dir_open(b->fs, b->path, VFS_DIR_CREATE, &b->root, &err), &err);
}

static int set_up_posix(void **state)
{
    struct backend *b = *state;
    temp_dir_make(b->path);
    b->fs = vfs_posix();
    open_root(b);
    return 0;
}

static int tear_down_posix(void **state)
{
    struct backend *b = *state;
    vfs_dir_close(b->root);
    temp_dir_remove(b->path);
    return 0;
}

static void path_in_memory(struct backend *b) { (void)snprintf(b->path, sizeof b->path, "root"); }

static int set_up_memory(void **state)
{
    struct backend *b = *state;
    path_in_memory(b);
    b->fs = vfs_memory_create(alloc_libc());
    open_root(b);
    return 0;
}

static int tear_down_memory(void **state)
{
    struct backend *b = *state;
    vfs_dir_close(b->root);
    vfs_memory_destroy(b->fs);
    return 0;
}

static int observe_nothing(void *ctx, const struct vfs_op *op, struct error *err)
{
    (void)ctx;
    (void)op;
    (void)err;
    return 0;
}

static int set_up_record(void **state)
{
    struct backend *b = *state;
    path_in_memory(b);
    b->inner = vfs_memory_create(alloc_libc());
    b->fs = vfs_record_create(alloc_libc(), b->inner, observe_nothing, NULL);
    open_root(b);
    return 0;
}

static int tear_down_record(void **state)
{
    struct backend *b = *state;
    vfs_dir_close(b->root);
    vfs_record_destroy(b->fs);
    vfs_memory_destroy(b->inner);
    return 0;
}

static int set_up_faulty(void **state)
{
    struct backend *b = *state;
    path_in_memory(b);
    b->inner = vfs_memory_create(alloc_libc());
    b->fs = vfs_faulty_create(alloc_libc(), b->inner);
    open_root(b);
    return 0;
}

static int tear_down_faulty(void **state)
{
    struct backend *b = *state;
    vfs_dir_close(b->root);
    vfs_faulty_destroy(b->fs);
    vfs_memory_destroy(b->inner);
    return 0;
}

/* ---- small steps ---- */

static struct vfs_file *open_file(struct vfs_dir *dir, const char *name, unsigned flags)
{
    struct error err = {0};
    struct vfs_file *f = NULL;
    assert_ok(vfs_open(dir, name, flags, &f, &err), &err);
    return f;
}

static void close_file(struct vfs_file *f)
{
    struct error err = {0};
    assert_ok(vfs_close(f, &err), &err);
}

static void write_at(struct vfs_file *f, uint64_t offset, const char *text)
{
    struct error err = {0};
    assert_ok(vfs_write(f, offset, text, strlen(text), &err), &err);
}

static void make_file(struct vfs_dir *dir, const char *name, const char *text)
{
    struct vfs_file *f = open_file(dir, name, VFS_WRITE | VFS_CREATE);
    write_at(f, 0, text);
    close_file(f);
}

static void assert_content(struct vfs_file *f, const char *text)
{
    char data[256];
    size_t n;
    uint64_t size;
    struct error err = {0};
    assert_ok(vfs_read(f, 0, data, sizeof data, &n, &err), &err);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(data, text, n);
    assert_ok(vfs_size(f, &size, &err), &err);
    assert_int_equal(size, n);
}

static void assert_file(struct vfs_dir *dir, const char *name, const char *text)
{
    struct vfs_file *f = open_file(dir, name, VFS_READ);
    assert_content(f, text);
    close_file(f);
}

static bool exists(struct vfs_dir *dir, const char *name)
{
    bool there;
    struct error err = {0};
    assert_ok(vfs_exists(dir, name, &there, &err), &err);
    return there;
}

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
    assert_false(exists(b->root, "f"));
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
    assert_false(exists(b->root, "tmp"));
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
    assert_true(exists(b->root, "e"));
    assert_file(b->root, "f", "x");
}

static void an_open_file_outlives_its_name(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    make_file(b->root, "f", "content");
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE);
    assert_ok(vfs_unlink(b->root, "f", &err), &err);
    assert_false(exists(b->root, "f"));
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
    assert_false(exists(b->root, "f"));
    assert_fails(vfs_dir_remove(b->root, "d", &err), &err, LYNSE_INVALID);
    assert_ok(vfs_unlink(d, "f", &err), &err);
    assert_ok(vfs_dir_remove(b->root, "d", &err), &err);
    assert_false(exists(b->root, "d"));

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
    if (name[0] == 'f')
        l->seen |= 1u << atoi(name + 1);
    else
        l->others++;
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
    uint64_t bytes = 0;
    assert_ok(vfs_dir_free_bytes(b->root, &bytes, &err), &err);
    assert_true(bytes > 0);
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

/* ---- locks ---- */

struct lock_pair {
    struct vfs_file *one;
    struct vfs_file *two;
};

static struct lock_pair open_pair(struct backend *b)
{
    struct lock_pair p;
    p.one = open_file(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY);
    p.two = open_file(b->root, "LOCK", VFS_WRITE | VFS_CREATE_ANY);
    return p;
}

static void close_pair(struct lock_pair p)
{
    close_file(p.one);
    close_file(p.two);
}

static bool held(struct vfs_file *f, uint64_t start, uint64_t size)
{
    bool is_held;
    struct error err = {0};
    assert_ok(vfs_lock_held(f, start, size, &is_held, &err), &err);
    return is_held;
}

static void an_exclusive_lock_keeps_another_handle_out(void **state)
{
    struct lock_pair p = open_pair(*state);
    struct error err = {0};
    assert_ok(vfs_lock(p.one, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_fails(vfs_lock(p.two, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err, LYNSE_LOCKED);
    assert_fails(vfs_lock(p.two, 0, 1, VFS_LOCK_SHARED, &err), &err, LYNSE_LOCKED);
    assert_ok(vfs_lock(p.one, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_ok(vfs_lock(p.two, 1, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_ok(vfs_unlock(p.one, 0, 1, &err), &err);
    assert_ok(vfs_lock(p.two, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    close_pair(p);
}

static void shared_locks_stand_together(void **state)
{
    struct backend *b = *state;
    struct lock_pair p = open_pair(b);
    struct vfs_file *reader = open_file(b->root, "LOCK", VFS_READ);
    struct error err = {0};
    uint64_t pin = (7ull << 32) + 5;
    assert_ok(vfs_lock(p.one, pin, 1, VFS_LOCK_SHARED, &err), &err);
    assert_ok(vfs_lock(reader, pin, 1, VFS_LOCK_SHARED, &err), &err);
    assert_fails(vfs_lock(p.two, pin, 1, VFS_LOCK_EXCLUSIVE, &err), &err, LYNSE_LOCKED);
    assert_true(held(p.two, 7ull << 32, 6));
    assert_false(held(p.two, 7ull << 32, 5));
    assert_false(held(p.two, pin + 1, 100));
    assert_ok(vfs_unlock(p.one, pin, 1, &err), &err);
    assert_true(held(p.two, pin, 1));
    close_file(reader);
    assert_false(held(p.two, pin, 1));
    close_pair(p);
}

static void own_locks_are_not_seen_as_held(void **state)
{
    struct lock_pair p = open_pair(*state);
    struct error err = {0};
    assert_ok(vfs_lock(p.one, 10, 5, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_false(held(p.one, 0, 100));
    assert_true(held(p.two, 0, 100));
    assert_true(held(p.two, 14, 1));
    assert_false(held(p.two, 15, 1));
    assert_false(held(p.two, 0, 10));
    close_pair(p);
}

static void close_releases_locks(void **state)
{
    struct lock_pair p = open_pair(*state);
    struct error err = {0};
    assert_ok(vfs_lock(p.one, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    close_file(p.one);
    assert_ok(vfs_lock(p.two, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    close_file(p.two);
}

static void closing_one_handle_keeps_the_others_lock(void **state)
{
    struct backend *b = *state;
    struct lock_pair p = open_pair(b);
    struct error err = {0};
    assert_ok(vfs_lock(p.one, 0, 1, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_file(b->root, "LOCK", ""); /* POSIX locks would be lost at its close */
    assert_true(held(p.two, 0, 1));
    close_pair(p);
}

static void unlocking_the_middle_keeps_both_ends(void **state)
{
    struct lock_pair p = open_pair(*state);
    struct error err = {0};
    assert_ok(vfs_lock(p.one, 0, 10, VFS_LOCK_EXCLUSIVE, &err), &err);
    assert_ok(vfs_unlock(p.one, 4, 2, &err), &err);
    assert_true(held(p.two, 0, 4));
    assert_false(held(p.two, 4, 2));
    assert_true(held(p.two, 6, 4));
    assert_ok(vfs_lock(p.one, 2, 6, VFS_LOCK_SHARED, &err), &err); /* over both cuts */
    assert_ok(vfs_lock(p.two, 3, 4, VFS_LOCK_SHARED, &err), &err);
    assert_fails(vfs_lock(p.two, 1, 1, VFS_LOCK_SHARED, &err), &err, LYNSE_LOCKED);
    assert_fails(vfs_lock(p.two, 8, 1, VFS_LOCK_SHARED, &err), &err, LYNSE_LOCKED);
    assert_ok(vfs_unlock(p.one, 0, 100, &err), &err);
    assert_false(held(p.two, 0, 100));
    close_pair(p);
}

/* ---- maps ---- */

static void a_map_shows_the_file_and_outlives_handle_and_name(void **state)
{
    struct backend *b = *state;
    const void *map = NULL;
    struct error err = {0};
    make_file(b->root, "f", "mapped bytes");
    struct vfs_file *f = open_file(b->root, "f", VFS_READ);
    assert_ok(vfs_map(f, 12, &map, &err), &err);
    assert_int_equal((uintptr_t)map % ALIGN_VECTOR, 0);
    assert_memory_equal(map, "mapped bytes", 12);
    close_file(f);
    assert_memory_equal(map, "mapped bytes", 12);
    assert_ok(vfs_unlink(b->root, "f", &err), &err);
    assert_memory_equal(map, "mapped bytes", 12);
    vfs_unmap(b->fs, map, 12);
}

static void a_map_survives_growth_of_the_file(void **state)
{
    struct backend *b = *state;
    const void *map = NULL;
    struct error err = {0};
    char block[4096];
    memset(block, 'x', sizeof block);
    struct vfs_file *f = open_file(b->root, "f", VFS_WRITE | VFS_CREATE);
    write_at(f, 0, "stable");
    assert_ok(vfs_map(f, 6, &map, &err), &err);
    for (uint64_t i = 0; i < 64; i++)
        assert_ok(vfs_write(f, 6 + i * sizeof block, block, sizeof block, &err), &err);
    assert_memory_equal(map, "stable", 6);
    close_file(f);
    vfs_unmap(b->fs, map, 6);
}

static void two_maps_of_a_file_end_apart(void **state)
{
    struct backend *b = *state;
    const void *one = NULL;
    const void *two = NULL;
    struct error err = {0};
    make_file(b->root, "f", "twice");
    struct vfs_file *f = open_file(b->root, "f", VFS_READ);
    assert_ok(vfs_map(f, 5, &one, &err), &err);
    assert_ok(vfs_map(f, 5, &two, &err), &err);
    close_file(f);
    vfs_unmap(b->fs, one, 5);
    assert_memory_equal(two, "twice", 5);
    vfs_unmap(b->fs, two, 5);
}

static void an_empty_file_can_be_mapped(void **state)
{
    struct backend *b = *state;
    const void *map = NULL;
    struct error err = {0};
    make_file(b->root, "f", "");
    struct vfs_file *f = open_file(b->root, "f", VFS_READ);
    assert_ok(vfs_map(f, 0, &map, &err), &err);
    assert_non_null(map);
    vfs_unmap(b->fs, map, 0);
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
    _(a_file_needs_no_directory_handle)                                                            \
    _(an_exclusive_lock_keeps_another_handle_out)                                                  \
    _(shared_locks_stand_together)                                                                 \
    _(own_locks_are_not_seen_as_held)                                                              \
    _(close_releases_locks)                                                                        \
    _(closing_one_handle_keeps_the_others_lock)                                                    \
    _(unlocking_the_middle_keeps_both_ends)                                                        \
    _(a_map_shows_the_file_and_outlives_handle_and_name)                                           \
    _(a_map_survives_growth_of_the_file)                                                           \
    _(two_maps_of_a_file_end_apart)                                                                \
    _(an_empty_file_can_be_mapped)

static struct backend posix_backend;
static struct backend memory_backend;
static struct backend record_backend;
static struct backend faulty_backend;

#define POSIX_CASE(f) {"posix: " #f, f, set_up_posix, tear_down_posix, &posix_backend},
#define MEMORY_CASE(f) {"memory: " #f, f, set_up_memory, tear_down_memory, &memory_backend},
#define RECORD_CASE(f) {"record: " #f, f, set_up_record, tear_down_record, &record_backend},
#define FAULTY_CASE(f) {"faulty: " #f, f, set_up_faulty, tear_down_faulty, &faulty_backend},

/* clang-format off */
static const struct CMUnitTest tests[] = {
    CASES(POSIX_CASE)
    CASES(MEMORY_CASE)
    CASES(RECORD_CASE)
    CASES(FAULTY_CASE)
};
/* clang-format on */

TEST_MAIN(tests)
