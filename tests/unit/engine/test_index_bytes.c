/* SPDX-License-Identifier: Apache-2.0 */
/* The same records and the same seed give the same file of an index, byte by byte, however many
 * threads have built it: what one machine measured another one can look at. */
#include "api/handles.h"
#include "base/limits.h"
#include "support/mode_cases.h"
#include "support/test.h"

/* One tail, so that when it was sealed does not matter; enough for several pieces where a segment
 * has many rows. */
enum { DIM = 24, ROWS = SEAL_ROWS > 1000 ? 3000 : SEAL_ROWS - 1 };
enum { FILE_BYTES_MAX = 4 << 20 };

struct bytes {
    uint8_t *data;
    size_t size;
};

static void put_rows(struct lynse_collection *docs)
{
    struct lynse_error err;
    float vectors[DIM];
    struct rng rng;
    rng_init(&rng, 5);
    for (uint64_t id = 0; id < ROWS; id++) {
        for (size_t i = 0; i < DIM; i++) vectors[i] = rng_normal(&rng);
        struct lynse_rows rows = {.dim = DIM, .count = 1, .numbers = &id, .vectors = vectors};
        if (lynse_add(docs, &rows, NULL, NULL, &err) != LYNSE_OK) fail_msg("%s", err.text);
    }
}

static struct bytes read_index(struct collection *c)
{
    char name[PART_NAME_BYTES];
    const struct manifest_segment *s = &c->manifest.segments[0];
    const struct manifest_part *p = manifest_find_index(s, 0);
    struct vfs_file *file;
    struct error err = {0};
    struct bytes bytes = {malloc(FILE_BYTES_MAX), 0};
    assert_non_null(bytes.data);
    assert_int_equal(c->manifest.segment_count, 1);
    assert_non_null(p);
    part_name(name, &s->uuid, PART_INDEX, manifest_part_number(s, p));
    assert_ok(vfs_open(c->dir, name, VFS_READ, &file, &err), &err);
    assert_ok(vfs_read(file, 0, bytes.data, FILE_BYTES_MAX, &bytes.size, &err), &err);
    assert_ok(vfs_close(file, &err), &err);
    assert_in_range(bytes.size, 100, FILE_BYTES_MAX - 1);
    return bytes;
}

static struct bytes build(const char *mode, unsigned job_threads)
{
    struct alloc *disk = alloc_create(NULL, 0);
    struct vfs *memory = vfs_memory_create(disk);
    struct lynse_collection_desc desc = {.name = "docs", .dim = DIM, .metric = LYNSE_L2};
    struct engine_desc root = {.path = "/root",
                               .vfs = memory,
                               .actor_threads = 1,
                               .job_threads = job_threads,
                               .sync_level = LYNSE_SYNC_OS,
                               .seed = 77};
    struct lynse *db;
    struct lynse_collection *docs;
    struct error err = {0};
    struct lynse_error failed;
    assert_ok(api_open(&root, alloc_create(NULL, 0), &db, &err), &err);
    assert_int_equal(lynse_collection_require(db, &desc, &docs, &failed), LYNSE_OK);
    put_rows(docs);
    if (lynse_build_index(docs, mode, &failed) != LYNSE_OK) fail_msg("%s: %s", mode, failed.text);
    struct bytes bytes = read_index(docs->host->collection);
    assert_int_equal(lynse_close(db, &failed), LYNSE_OK);
    vfs_memory_destroy(memory);
    alloc_destroy(disk);
    return bytes;
}

static void threads_leave_no_trace(void **state)
{
    const char *mode = (const char *)*state;
    struct bytes one = build(mode, 1);
    for (unsigned threads = 2; threads <= 4; threads += 2) {
        struct bytes some = build(mode, threads);
        assert_int_equal(some.size, one.size);
        for (size_t i = 0; i < one.size; i++)
            if (some.data[i] != one.data[i])
                fail_msg("%s: byte %zu of %zu is another one with %u threads", mode, i, one.size,
                         threads);
        free(some.data);
    }
    free(one.data);
}

int main(void)
{
    return run_mode_cases(__FILE__, threads_leave_no_trace, true);
}
