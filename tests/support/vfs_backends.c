/* SPDX-License-Identifier: Apache-2.0 */
#include "support/vfs_backends.h"

#include "os/vfs_record.h"
#include "support/vfs_faulty.h"

#define BACKEND_DEFINE(name) struct backend name##_backend;
BACKENDS(BACKEND_DEFINE)

static void open_root(struct backend *b)
{
    struct error err = {0};
    assert_non_null(b->fs);
    assert_ok(vfs_dir_open(b->fs, b->path, VFS_DIR_CREATE, &b->root, &err), &err);
}

int set_up_posix(void **state)
{
    struct backend *b = *state;
    temp_dir_make(b->path);
    b->fs = vfs_posix();
    open_root(b);
    return 0;
}

int tear_down_posix(void **state)
{
    struct backend *b = *state;
    vfs_dir_close(b->root);
    temp_dir_remove(b->path);
    return 0;
}

static void path_in_memory(struct backend *b)
{
    (void)snprintf(b->path, sizeof b->path, "root");
}

int set_up_memory(void **state)
{
    struct backend *b = *state;
    path_in_memory(b);
    b->fs = vfs_memory_create(alloc_libc());
    open_root(b);
    return 0;
}

int tear_down_memory(void **state)
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

int set_up_record(void **state)
{
    struct backend *b = *state;
    path_in_memory(b);
    b->inner = vfs_memory_create(alloc_libc());
    b->fs = vfs_record_create(alloc_libc(), b->inner, observe_nothing, NULL);
    open_root(b);
    return 0;
}

int tear_down_record(void **state)
{
    struct backend *b = *state;
    vfs_dir_close(b->root);
    vfs_record_destroy(b->fs);
    vfs_memory_destroy(b->inner);
    return 0;
}

int set_up_faulty(void **state)
{
    struct backend *b = *state;
    path_in_memory(b);
    b->inner = vfs_memory_create(alloc_libc());
    b->fs = vfs_faulty_create(alloc_libc(), b->inner);
    open_root(b);
    return 0;
}

int tear_down_faulty(void **state)
{
    struct backend *b = *state;
    vfs_dir_close(b->root);
    vfs_faulty_destroy(b->fs);
    vfs_memory_destroy(b->inner);
    return 0;
}

struct vfs_file *open_file(struct vfs_dir *dir, const char *name, unsigned flags)
{
    struct error err = {0};
    struct vfs_file *f = NULL;
    assert_ok(vfs_open(dir, name, flags, &f, &err), &err);
    return f;
}

void close_file(struct vfs_file *f)
{
    struct error err = {0};
    assert_ok(vfs_close(f, &err), &err);
}

void write_at(struct vfs_file *f, uint64_t offset, const char *text)
{
    struct error err = {0};
    assert_ok(vfs_write(f, offset, text, strlen(text), &err), &err);
}

void make_file(struct vfs_dir *dir, const char *name, const char *text)
{
    struct vfs_file *f = open_file(dir, name, VFS_WRITE | VFS_CREATE);
    write_at(f, 0, text);
    close_file(f);
}

void assert_content(struct vfs_file *f, const char *text)
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

void assert_file(struct vfs_dir *dir, const char *name, const char *text)
{
    struct vfs_file *f = open_file(dir, name, VFS_READ);
    assert_content(f, text);
    close_file(f);
}

bool file_is_there(struct vfs_dir *dir, const char *name)
{
    bool there;
    struct error err = {0};
    assert_ok(vfs_exists(dir, name, &there, &err), &err);
    return there;
}
