/* SPDX-License-Identifier: Apache-2.0 */
#include "support/index_on_disk.h"

#include "support/test.h"

static int open_file(const struct index_image *image, const struct index_section *section,
                     struct vfs_file **out, uint64_t *out_offset, struct error *err)
{
    const struct index_on_disk *d = (const struct index_on_disk *)(const void *)image;
    assert_int_equal(section->kind, d->section);
    *out_offset = d->offset;
    return vfs_open(d->folder, "section", VFS_READ | VFS_DIRECT, out, err);
}

static int read_at(const struct index_image *image, const struct index_section *section,
                   uint64_t offset, size_t bytes, void *out, struct error *err)
{
    struct index_on_disk *d = (struct index_on_disk *)(uintptr_t)(const void *)image;
    struct vfs_file *f;
    size_t got = 0;
    (void)section;
    d->reads++;
    assert_ok(vfs_open(d->folder, "section", VFS_READ, &f, err), err);
    assert_ok(vfs_read(f, d->offset + offset, out, bytes, &got, err), err);
    vfs_close(f, NULL);
    return got == bytes ? 0 : error_set(err, LYNSE_CORRUPT, "the end of the file");
}

static void write_section(struct index_on_disk *d, size_t bytes)
{
    struct vfs_file *f;
    struct error err = {0};
    assert_ok(vfs_open(d->folder, "section", VFS_WRITE | VFS_CREATE_ANY, &f, &err), &err);
    assert_ok(vfs_truncate(f, 0, &err), &err);
    size_t at = (size_t)(built_index_section(d->built, d->section) - d->built->sections);
    const void *memory = d->built->memory[at];
    assert_ok(vfs_write(f, d->offset, memory, bytes, &err), &err);
    assert_ok(vfs_close(f, &err), &err);
}

void index_on_disk_put(struct index_on_disk *d, struct built_index *b, uint32_t section)
{
    struct index_section *at = built_index_section(b, section);
    struct error err = {0};
    memset(d, 0, sizeof *d);
    temp_dir_make(d->path);
    assert_ok(vfs_dir_open(vfs_posix(), d->path, 0, &d->folder, &err), &err);
    d->built = b;
    d->offset = 5 * 64;
    d->section = section;
    write_section(d, at->bytes);
    at->data = NULL;
    b->kind->close(b->index);
    b->index = NULL;
    d->image = b->image;
    d->image.read_at = read_at;
}

void index_on_disk_open(struct index_on_disk *d)
{
    struct built_index *b = d->built;
    struct index_params params;
    struct error err = {0};
    struct index_open_desc desc = {.alloc = alloc_libc(),
                                   .kernels = kernels_active(),
                                   .image = &d->image,
                                   .params = &params,
                                   .metric = b->metric,
                                   .dim = b->vectors->source.dim,
                                   .row_count = b->vectors->row_count};
    d->image.open_file = d->is_read_through ? NULL : open_file;
    index_params_init(b->kind, &params);
    assert_ok(b->kind->open(&desc, &b->index, &err), &err);
}

void index_on_disk_cut(struct index_on_disk *d, uint32_t share)
{
    write_section(d, built_index_section(d->built, d->section)->bytes / share);
}

void assert_same_from_disk(struct index_on_disk *d, struct built_index *b, uint32_t section)
{
    enum { QUERIES = 50, K = 10, ALL = 0 };
    static const uint64_t budgets[] = {ALL, 1, 97, ALL};
    struct error err = {0};
    float *queries = test_queries_make(b->vectors, QUERIES);
    struct topk *first = built_lists_make(QUERIES, K), *other = built_lists_make(QUERIES, K);
    struct built_search search = {
        .queries = queries, .query_count = QUERIES, .k = K, .distance_max = INFINITY};

    assert_int_equal(built_index_search(b, &search, first, &err), INDEX_DONE);
    index_on_disk_put(d, b, section);
    for (int way = 0; way < 4; way++) {
        d->is_read_through = way == 3;
        index_on_disk_open(d);
        unsigned before = d->reads;
        search.budget = budgets[way];
        assert_int_equal(built_index_search(b, &search, other, &err), INDEX_DONE);
        assert_int_equal(d->reads == before, way < 3);
        for (size_t q = 0; q < QUERIES; q++)
            assert_memory_equal(first[q].heap, other[q].heap, K * sizeof(struct candidate));
        assert_ok(b->kind->check(b->index, &b->vectors->source, &err), &err);
        b->kind->close(b->index);
    }
    b->index = NULL;
    d->is_read_through = false;
    free(queries);
    mem_free(alloc_libc(), first);
    mem_free(alloc_libc(), other);
}

void index_on_disk_drop(struct index_on_disk *d)
{
    vfs_dir_close(d->folder);
    temp_dir_remove(d->path);
}
