/* SPDX-License-Identifier: Apache-2.0 */
/* Reads in flight over every file system, with and without the kernel's queue. */
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
    _(nothing_is_made_without_memory)
VFS_BACKEND_TESTS(CASES)
TEST_MAIN(tests)
