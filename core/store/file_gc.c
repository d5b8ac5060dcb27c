/* SPDX-License-Identifier: Apache-2.0 */
#include "store/file_gc.h"

#include "base/check.h"
#include "base/faults.h"
#include "base/hash_map.h"
#include "os/name_list.h"
#include "os/path.h"
#include "store/wal.h"

int file_gc_is_pinned(struct vfs_file *lock_file, uint64_t collection_number, uint64_t epoch,
                      bool *out, struct error *err)
{
    *out = false;
    if (!lock_file || epoch == 0 || FAULT(GC_IGNORE_PINS)) return 0;
    CHECK(collection_number > 0 && collection_number < 1ull << 31);
    uint64_t epochs = epoch < UINT32_MAX ? epoch : UINT32_MAX;
    return vfs_lock_held(lock_file, collection_number << 32, epochs, out, err);
}

struct pass {
    const struct manifest *manifest;
    const struct file_gc_keep *keep;
    bool is_pinned;
    struct text_map named; /* the parts of the manifest's segments */
};

static int note_named(struct pass *p, struct error *err)
{
    char name[PART_NAME_BYTES];
    const struct manifest *m = p->manifest;

    for (uint32_t i = 0; i < m->segment_count; i++) {
        const struct manifest_segment *s = &m->segments[i];
        for (uint32_t j = 0; j < s->part_count; j++) {
            uint64_t number = manifest_part_number(s, &s->parts[j]);
            part_name(name, &s->uuid, (enum part_kind)s->parts[j].kind, number);
            if (text_map_put(&p->named, slice_of_text(name), 1) != 0)
                return error_no_memory(err, sizeof name);
        }
    }
    return 0;
}

static bool is_same(const char *kept, const char *name)
{
    return kept && strcmp(kept, name) == 0;
}

/* seg-<uuid>.… */
static bool is_of_segment(const struct file_gc_keep *k, const char *name)
{
    char uuid[UUID_TEXT_BYTES];

    if (!k->segment || strncmp(name, "seg-", 4) != 0) return false;
    uuid_format(k->segment, uuid);
    return strncmp(name + 4, uuid, UUID_TEXT_BYTES - 1) == 0;
}

static bool is_kept(const struct file_gc_keep *k, const char *name)
{
    bool is_index = false;

    for (size_t i = 0; i < FILE_GC_INDEXES_MAX; i++)
        is_index |= is_same(k->index_temporaries[i], name) || is_same(k->index_names[i], name);
    return k->is_building || is_index || is_same(k->spare, name) || is_of_segment(k, name);
}

/* R14: only names of ours, and of those only what nothing can need. */
static bool is_garbage(void *ctx, const char *name)
{
    const struct pass *p = ctx;
    const struct manifest *m = p->manifest;
    uint64_t number = 0;

    if (name_is_temporary(name)) return !is_kept(p->keep, name);
    if (p->is_pinned) return false;
    if (numbered_name_parse(name, MANIFEST_PREFIX, &number))
        return number < m->epoch && number != m->epoch - 1;
    if (numbered_name_parse(name, WAL_PREFIX, &number)) return number < m->wal_first;
    return strncmp(name, "seg-", 4) == 0 && !is_kept(p->keep, name) &&
           !text_map_get(&p->named, slice_of_text(name), &number);
}

int file_gc_find(struct vfs_dir *dir, const struct manifest *m, struct vfs_file *lock_file,
                 const struct file_gc_keep *keep, struct name_list *out, struct error *err)
{
    int rc = -1;
    struct pass p = {.manifest = m, .keep = keep};

    text_map_init(&p.named, m->alloc, MEM_GENERAL);
    /* A pin on an older epoch can only go: new readers pin the newest (L4). */
    if (file_gc_is_pinned(lock_file, m->number, m->epoch, &p.is_pinned, err) != 0) goto out;
    if (note_named(&p, err) != 0) goto out;
    rc = name_list_read(out, dir, is_garbage, &p, err);
out:
    text_map_deinit(&p.named);
    return rc;
}

int file_gc_run(struct vfs_dir *dir, const struct manifest *m, struct vfs_file *lock_file,
                const struct file_gc_keep *keep, struct error *err)
{
    struct name_list garbage;

    name_list_init(&garbage, m->alloc);
    int rc = file_gc_find(dir, m, lock_file, keep, &garbage, err);
    if (rc == 0) rc = name_list_unlink(&garbage, dir, err);
    name_list_deinit(&garbage);
    return rc;
}
