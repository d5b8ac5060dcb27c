/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_backends.h — run cases over every file system, each in a fresh root.
 *
 * `#define CASES(_) _(one) _(two) …`, `VFS_BACKEND_TESTS(CASES)`, TEST_MAIN(tests).  A case's state
 * is its struct backend.  Whoever writes another file system adds it here.
 */
#ifndef SUPPORT_VFS_BACKENDS_H
#define SUPPORT_VFS_BACKENDS_H

#include "os/vfs.h"
#include "support/temp_dir.h"
#include "support/test.h"

struct backend {
    struct vfs *inner; /* what the tested one stands on, or NULL */
    struct vfs *fs;
    struct vfs_dir *root;
    char path[TEMP_PATH_BYTES]; /* of root */
};

#define BACKENDS(_) _(posix) _(memory) _(record) _(faulty)

#define BACKEND_DECLARE(name)                                                                      \
    extern struct backend name##_backend;                                                          \
    int set_up_##name(void **state);                                                               \
    int tear_down_##name(void **state);
BACKENDS(BACKEND_DECLARE)
#undef BACKEND_DECLARE

#define POSIX_CASE(f) {"posix: " #f, f, set_up_posix, tear_down_posix, &posix_backend},
#define MEMORY_CASE(f) {"memory: " #f, f, set_up_memory, tear_down_memory, &memory_backend},
#define RECORD_CASE(f) {"record: " #f, f, set_up_record, tear_down_record, &record_backend},
#define FAULTY_CASE(f) {"faulty: " #f, f, set_up_faulty, tear_down_faulty, &faulty_backend},
#define VFS_BACKEND_TESTS(CASES)                                                                   \
    static const struct CMUnitTest tests[] = {CASES(POSIX_CASE) CASES(MEMORY_CASE)                 \
                                                  CASES(RECORD_CASE) CASES(FAULTY_CASE)};

/* Steps that must succeed. */
struct vfs_file *open_file(struct vfs_dir *dir, const char *name, unsigned flags);
void close_file(struct vfs_file *f);
void write_at(struct vfs_file *f, uint64_t offset, const char *text);
void make_file(struct vfs_dir *dir, const char *name, const char *text);
void assert_content(struct vfs_file *f, const char *text); /* at most 255 bytes */
void assert_file(struct vfs_dir *dir, const char *name, const char *text);
bool file_is_there(struct vfs_dir *dir, const char *name);

#endif
