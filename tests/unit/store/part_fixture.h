/* SPDX-License-Identifier: Apache-2.0 */
/* part_fixture.h — a collection directory in memory for tests of segment parts, and hands to damage
 * what is in it. */
#ifndef STORE_PART_FIXTURE_H
#define STORE_PART_FIXTURE_H

#include "base/limits.h"
#include "base/rng.h"
#include "os/vfs.h"
#include "store/part_file.h"
#include "support/oom_sweep.h"
#include "support/part_repair.h"
#include "support/test.h"
#include "support/vfs_faulty.h"

struct part_fixture {
    struct alloc *alloc; /* of what is tested */
    struct alloc *disk_alloc;
    struct vfs *disk;
    struct vfs *fs; /* a faulty one over disk, nothing armed */
    struct vfs_dir *dir;
    struct file_owner owner;
    struct uuid segment;
    struct rng rng;
};

static inline void part_fixture_init(struct part_fixture *f, uint64_t seed)
{
    struct error err = {0};
    memset(f, 0, sizeof *f);
    rng_init(&f->rng, seed);
    f->alloc = alloc_create(NULL, 0);
    f->disk_alloc = alloc_create(NULL, 0);
    assert_non_null(f->alloc);
    f->disk = vfs_memory_create(f->disk_alloc);
    f->fs = vfs_faulty_create(f->disk_alloc, f->disk);
    assert_non_null(f->fs);
    assert_ok(vfs_dir_open(f->fs, "/root", VFS_DIR_CREATE, &f->dir, &err), &err);
    f->owner.root = uuid_make(&f->rng);
    f->owner.collection = uuid_make(&f->rng);
    f->segment = uuid_make(&f->rng);
}

static inline void part_fixture_deinit(struct part_fixture *f)
{
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    vfs_dir_close(f->dir);
    vfs_faulty_destroy(f->fs);
    vfs_memory_destroy(f->disk);
    alloc_destroy(f->alloc);
    alloc_destroy(f->disk_alloc);
}

static inline bool part_fixture_count_name(void *ctx, const char *name)
{
    (void)name;
    ++*(size_t *)ctx;
    return true;
}

static inline size_t part_fixture_file_count(struct part_fixture *f)
{
    struct error err = {0};
    size_t count = 0;
    assert_ok(vfs_dir_list(f->dir, part_fixture_count_name, &count, &err), &err);
    return count;
}

static inline bool part_fixture_first_name(void *ctx, const char *name)
{
    char *first = (char *)ctx;
    snprintf(first, PART_NAME_BYTES, "%s", name);
    return false;
}

static inline void part_fixture_remove_files(struct part_fixture *f)
{
    while (part_fixture_file_count(f) > 0) {
        char name[PART_NAME_BYTES] = "";
        assert_int_equal(vfs_dir_list(f->dir, part_fixture_first_name, name, NULL), 0);
        assert_int_equal(vfs_unlink(f->dir, name, NULL), 0);
    }
}

/* The whole of a file; free it. */
static inline uint8_t *part_fixture_read(struct part_fixture *f, const char *name, size_t *out_size)
{
    struct error err = {0};
    struct vfs_file *file;
    uint64_t size;
    size_t got;
    assert_ok(vfs_open(f->dir, name, VFS_READ, &file, &err), &err);
    assert_ok(vfs_size(file, &size, &err), &err);
    uint8_t *bytes = (uint8_t *)malloc((size_t)size + 1);
    assert_non_null(bytes);
    assert_ok(vfs_read(file, 0, bytes, (size_t)size, &got, &err), &err);
    assert_int_equal(got, size);
    assert_ok(vfs_close(file, &err), &err);
    *out_size = (size_t)size;
    return bytes;
}

/* A file of these bytes in the place of whatever has the name. */
static inline void part_fixture_write(struct part_fixture *f, const char *name,
                                      const uint8_t *bytes, size_t size)
{
    struct error err = {0};
    struct vfs_file *file;
    vfs_unlink(f->dir, name, NULL);
    assert_ok(vfs_open(f->dir, name, VFS_WRITE | VFS_CREATE, &file, &err), &err);
    assert_ok(vfs_write(file, 0, bytes, size, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
}

/* Damage of every kind to a part, one at a time: `check` opens it with the part that is given and
 * reads everything, and tells whether it found an error; it must survive anything.  With
 * is_repaired all checksums are right, so that an error is not demanded. */
typedef bool part_fixture_check_fn(struct part_fixture *f, void *ctx,
                                   const struct manifest_part *part, bool is_repaired);

static inline void part_fixture_flip_every_bit(struct part_fixture *f,
                                               const struct manifest_part *part, uint64_t number,
                                               part_fixture_check_fn *check, void *ctx)
{
    char name[PART_NAME_BYTES];
    size_t size;
    part_name(name, &f->segment, (enum part_kind)part->kind, number);
    uint8_t *good = part_fixture_read(f, name, &size);
    uint8_t *bad = (uint8_t *)malloc(size);
    assert_non_null(bad);
    for (size_t bit = 0; bit < size * 8; bit++) {
        struct manifest_part repaired = *part;
        memcpy(bad, good, size);
        bad[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        part_fixture_write(f, name, bad, size);
        if (!check(f, ctx, part, false)) fail_msg("bit %zu of %zu bytes is not missed", bit, size);
        if (!part_repair(bad, size, &repaired.hash)) continue;
        part_fixture_write(f, name, bad, size);
        check(f, ctx, &repaired, true);
    }
    part_fixture_write(f, name, good, size);
    free(bad);
    free(good);
}

static inline void part_fixture_truncate_everywhere(struct part_fixture *f,
                                                    const struct manifest_part *part,
                                                    uint64_t number, part_fixture_check_fn *check,
                                                    void *ctx)
{
    char name[PART_NAME_BYTES];
    size_t size;
    part_name(name, &f->segment, (enum part_kind)part->kind, number);
    uint8_t *good = part_fixture_read(f, name, &size);
    for (size_t cut = 0; cut < size; cut++) {
        struct manifest_part agreed = *part;
        part_fixture_write(f, name, good, cut);
        if (!check(f, ctx, part, false)) fail_msg("a cut at %zu is not missed", cut);
        agreed.bytes = cut; /* a manifest that agrees with the cut */
        if (!check(f, ctx, &agreed, false)) fail_msg("an agreed cut at %zu is not missed", cut);
    }
    part_fixture_write(f, name, good, size);
    free(good);
}

/* Every operation of `make` fails once, alone and with all after it; it must return -1 then and
 * leave no file. */
static inline void part_fixture_fail_every_operation(struct part_fixture *f,
                                                     int (*make)(struct part_fixture *f,
                                                                 struct error *err))
{
    static const int errnos[] = {5 /* EIO */, 28 /* ENOSPC */};
    for (int e = 0; e < 2; e++) {
        for (uint64_t n = 1;; n++) {
            struct error err = {0};
            struct faulty_plan plan = {.kinds = (unsigned)FAULTY_ALL & ~(unsigned)FAULTY_UNLINK,
                                       .os_errno = errnos[e],
                                       .mode = e ? FAULTY_STICKY : FAULTY_ONCE,
                                       .nth = n,
                                       .is_short = e == 1};
            vfs_faulty_arm(f->fs, &plan);
            int rc = make(f, &err);
            uint64_t fired = vfs_faulty_fired(f->fs);
            vfs_faulty_disarm(f->fs);
            if (fired == 0) {
                assert_ok(rc, &err);
                part_fixture_remove_files(f);
                break;
            }
            if (rc == 0) fail_msg("operation %llu failed unseen", (unsigned long long)n);
            assert_int_not_equal(err.code, 0);
            if (part_fixture_file_count(f) != 0)
                fail_msg("a file is left when operation %llu fails", (unsigned long long)n);
        }
    }
}

#endif
