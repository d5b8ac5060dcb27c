/* SPDX-License-Identifier: Apache-2.0 */
/* Reads in flight over every file system, with and without the kernel's queue. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "os/read_queue.h"
#include "support/oom_sweep.h"
#include "support/vfs_backends.h"

enum { FILE_BYTES = 300 * 1024 + 77, DEPTH = 8, READS = 500 };

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)((offset * 2654435761u) >> 13);
}

static struct vfs_file *make_data(struct backend *b, unsigned flags)
{
    uint8_t *data = malloc(FILE_BYTES);
    struct error err = {0};
    struct vfs_file *f = open_file(b->root, "data", VFS_WRITE | VFS_CREATE);

    for (uint64_t i = 0; i < FILE_BYTES; i++) data[i] = byte_at(i);
    assert_ok(vfs_write(f, 0, data, FILE_BYTES, &err), &err);
    assert_ok(vfs_sync(f, &err), &err);
    close_file(f);
    free(data);
    return open_file(b->root, "data", VFS_READ | flags);
}

struct pending {
    uint64_t offset;
    size_t size;
    uint8_t *data;
    bool is_flying;
};

static size_t expected_bytes(const struct pending *p)
{
    uint64_t left = p->offset < FILE_BYTES ? FILE_BYTES - p->offset : 0;
    return left < p->size ? (size_t)left : p->size;
}

static void check_done(struct pending *pending, const struct read_done *d)
{
    struct pending *p = &pending[d->tag];

    assert_true(d->tag < DEPTH && p->is_flying);
    assert_int_equal(d->code, LYNSE_OK);
    assert_int_equal(d->read_bytes, expected_bytes(p));
    for (size_t i = 0; i < d->read_bytes; i++) assert_int_equal(p->data[i], byte_at(p->offset + i));
    p->is_flying = false;
}

/* Random reads, some past the end, taken one or many at a time. */
static void every_read_comes_once_with_its_bytes(struct read_queue *q, struct vfs_file *f,
                                                 uint64_t align)
{
    struct pending pending[DEPTH] = {{0}};
    struct read_done done[DEPTH];
    struct rng r;
    size_t begun = 0, ended = 0;

    rng_init(&r, test_seed(align));
    for (int i = 0; i < DEPTH; i++) pending[i].data = aligned_alloc(4096, 64 * 1024);
    while (ended < READS) {
        for (uint64_t tag = 0; tag < DEPTH && begun < READS && rng_chance(&r, 0.8); tag++) {
            struct pending *p = &pending[tag];
            if (p->is_flying || read_queue_room(q) == 0) continue;
            p->offset = rng_below(&r, FILE_BYTES + 10000) / align * align;
            p->size = (size_t)((rng_below(&r, 63 * 1024) + align) / align * align);
            p->is_flying = true;
            memset(p->data, 0, p->size);
            read_queue_submit(q, f, p->offset, p->data, p->size, tag);
            begun++;
        }
        if (rng_chance(&r, 0.3)) read_queue_begin(q);
        size_t max = 1 + (size_t)rng_below(&r, DEPTH);
        size_t count = read_queue_take(q, done, max, rng_chance(&r, 0.7));
        assert_true(count <= max);
        for (size_t i = 0; i < count; i++) check_done(pending, &done[i]);
        ended += count;
    }
    assert_int_equal(read_queue_room(q), DEPTH);
    assert_int_equal(read_queue_take(q, done, DEPTH, true), 0); /* nothing to wait for */
    for (int i = 0; i < DEPTH; i++) free(pending[i].data);
}

static void reads_over_any_file(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct read_queue *q;
    struct vfs_file *f = make_data(b, 0);

    assert_ok(read_queue_create(alloc_libc(), DEPTH, &q, &err), &err);
    every_read_comes_once_with_its_bytes(q, f, 1);
    read_queue_destroy(q);
    close_file(f);
}

static void reads_past_the_page_cache(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct read_queue *q;
    struct vfs_file *f = make_data(b, VFS_DIRECT);

    assert_ok(read_queue_create(alloc_libc(), DEPTH, &q, &err), &err);
    every_read_comes_once_with_its_bytes(q, f, READ_DIRECT_ALIGN);
    read_queue_destroy(q);
    close_file(f);
}

/* The memory of a read is the caller's again when destroy returns. */
static void a_queue_may_go_with_reads_in_flight(void **state)
{
    struct backend *b = *state;
    struct error err = {0};
    struct vfs_file *f = make_data(b, 0);

    for (int round = 0; round < 50; round++) {
        struct read_queue *q;
        uint8_t *data = malloc(DEPTH * 32768);
        assert_ok(read_queue_create(alloc_libc(), DEPTH, &q, &err), &err);
        for (uint64_t i = 0; i < DEPTH; i++)
            read_queue_submit(q, f, i * 32768, data + i * 32768, 32768, i);
        if (round % 2) read_queue_begin(q);
        read_queue_destroy(q);
        free(data);
    }
    close_file(f);
}

/* From now on the kernel refuses what it has let us begin with. */
static bool refuse_enter(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Submit reads of all slots, and take them; false: one is wrong. */
static bool read_all(struct read_queue *q, struct vfs_file *f, uint8_t *data)
{
    struct read_done done[DEPTH];
    uint64_t count = read_queue_room(q), taken = 0;

    for (uint64_t i = 0; i < count; i++)
        read_queue_submit(q, f, i * 4096, data + i * 4096, 4096, i);
    while (read_queue_room(q) < DEPTH) taken += read_queue_take(q, done, DEPTH, true);
    for (uint64_t i = 0; i < count * 4096; i++)
        if (data[i] != byte_at(i)) return false;
    return taken >= count;
}

/* One is in flight then; it comes, and all others are read without the kernel's queue. */
static int read_without_queue(struct vfs_file *f)
{
    static uint8_t data[DEPTH * 4096], first[4096];
    struct read_queue *q;

    if (read_queue_create(alloc_libc(), DEPTH, &q, NULL) != 0) return 1;
    read_queue_submit(q, f, 0, first, sizeof first, DEPTH);
    read_queue_begin(q);
    if (!read_queue_is_async(q) || !refuse_enter()) return 0;
    for (int round = 0; round < 3; round++)
        if (!read_all(q, f, data)) return 2;
    if (memcmp(first, data, sizeof first) != 0) return 3;
    bool is_asked = f->ops->file_descriptor && f->ops->file_descriptor(f) >= 0;
    if (is_asked && read_queue_is_async(q)) return 4;
    read_queue_destroy(q);
    return 0;
}

static void a_queue_that_the_kernel_ends_reads_by_itself(void **state)
{
    struct backend *b = *state;
    struct vfs_file *f = make_data(b, 0);
    int status = 0;
    pid_t child = fork();
    if (child == 0) _exit(read_without_queue(f));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close_file(f);
}

static void nothing_is_made_without_memory(void **state)
{
    struct error err = {0};
    struct read_queue *q = NULL;

    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    alloc_fail_after(a, 1, true);
    assert_fails(read_queue_create(a, DEPTH, &q, &err), &err, LYNSE_NO_MEMORY);
    assert_null(q);
    alloc_fail_after(a, 0, false);
    alloc_destroy(a);
    read_queue_destroy(NULL);
}

#define CASES(_)                                                                                   \
    _(reads_over_any_file)                                                                         \
    _(reads_past_the_page_cache)                                                                   \
    _(a_queue_may_go_with_reads_in_flight)                                                         \
    _(a_queue_that_the_kernel_ends_reads_by_itself)                                                \
    _(nothing_is_made_without_memory)
VFS_BACKEND_TESTS(CASES)
TEST_MAIN(tests)
