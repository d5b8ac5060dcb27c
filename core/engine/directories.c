/* SPDX-License-Identifier: Apache-2.0 */
/* directories.c — directories of collections that no catalog names any more (R14).
 *
 * WHAT        A dropped collection's directory is removed once its actor has let go of it and no
 *             reader pins it.  One that was made for a collection that never came into being is
 *             removed at the next start.
 * INVARIANTS  (1) Gone means durably gone: the root is synced before anybody forgets.
 *             (2) What is removed was named by the list of the dropped, or holds nothing but what
 *                 the creation of a collection writes.
 * THREADS     The catalog actor's turn; also while a root is being opened, before there is one.
 * FAILURE     What cannot be removed stays listed, is logged, and is tried again at the next start.
 */
#include "base/faults.h"
#include "base/hash_map.h"
#include "base/log.h"
#include "engine/engine.h"
#include "os/name_list.h"
#include "os/path.h"

int engine_remove_directory(struct engine *e, const struct uuid *uuid, struct error *err)
{
    char name[UUID_TEXT_BYTES];
    struct name_list files;
    struct vfs_dir *dir;
    struct error missing = {0};
    int rc = -1;

    uuid_format(uuid, name);
    if (vfs_dir_open_in(e->root, name, &dir, &missing) != 0) {
        if (missing.code == LYNSE_NOT_FOUND) return 0;
        if (err) *err = missing;
        return -1;
    }
    name_list_init(&files, e->alloc);
    if (name_list_read(&files, dir, NULL, NULL, err) == 0) rc = name_list_unlink(&files, dir, err);
    name_list_deinit(&files);
    vfs_dir_close(dir);
    return rc == 0 ? vfs_dir_remove(e->root, name, err) : rc;
}

/* What resists (a folder that somebody put in it, say) must not keep the root from being opened. */
static bool try_remove(struct engine *e, const struct uuid *uuid)
{
    char name[UUID_TEXT_BYTES];
    struct error left = {0};

    if (engine_remove_directory(e, uuid, &left) == 0) return true;
    uuid_format(uuid, name);
    log_event(LOG_WARN, "directory_left name=%s reason=\"%s\"", name, left.text);
    return false;
}

/* ---- dropped ones ---- */

/* Is any epoch of the collection pinned by a reader (R14: the whole range of its number)? */
static int is_pinned(struct engine *e, uint32_t number, bool *out, struct error *err)
{
    *out = false;
    if (!e->lock.file) return 0;
    return vfs_lock_held(e->lock.file, (uint64_t)number << 32, 1ull << 32, out, err);
}

/* Has its actor still to close it? */
static bool is_in_use(struct engine *e, uint32_t number)
{
    bool found = false;

    engine_lock(e);
    for (const struct host *h = e->dropped_hosts; h && !found; h = h->next)
        found = h->entry.number == number && !h->is_idle;
    engine_unlock(e);
    return found;
}

int engine_remove_dropped(struct engine *e, struct catalog *c, size_t *out_removed,
                          struct error *err)
{
    *out_removed = 0;
    for (size_t i = 0; i < c->dropped_count;) {
        struct catalog_dropped d = c->dropped[i];
        bool pinned;
        if (is_pinned(e, d.number, &pinned, err) != 0) return -1;
        if (pinned || is_in_use(e, d.number) || !try_remove(e, &d.uuid)) {
            i++;
            continue;
        }
        catalog_forget_dropped(c, d.number);
        ++*out_removed;
    }
    if (*out_removed == 0 || FAULT(DROP_NO_ROOT_SYNC)) return 0;
    REACHED(DROP_FINISHED);
    return vfs_dir_sync(e->root, err); /* (1) */
}

/* ---- those of interrupted creations ---- */

static struct slice key_of(const struct uuid *uuid)
{
    return slice_of(uuid->bytes, sizeof uuid->bytes);
}

static int note_named(const struct catalog *c, struct text_map *named, struct error *err)
{
    size_t count = c->collection_count + c->dropped_count;

    if (text_map_reserve(named, count, count * sizeof(struct uuid)) != 0)
        return error_no_memory(err, count * sizeof(struct uuid));
    for (size_t i = 0; i < c->collection_count; i++)
        text_map_put(named, key_of(&c->collections[i].uuid), 0);
    for (size_t i = 0; i < c->dropped_count; i++)
        text_map_put(named, key_of(&c->dropped[i].uuid), 0);
    return 0;
}

/* (2): the first manifest, or a part of it, and nothing else. */
static int is_stillborn(struct engine *e, const char *name, bool *out, struct error *err)
{
    struct vfs_dir *dir;
    struct name_list files;
    const char *file;
    uint64_t epoch;

    *out = false;
    /* Whatever cannot be opened as a directory is not one of ours. */
    if (vfs_dir_open_in(e->root, name, &dir, NULL) != 0) return 0;
    name_list_init(&files, e->alloc);
    int rc = name_list_read(&files, dir, NULL, NULL, err);
    *out = rc == 0;
    for (size_t at = 0; *out && (file = name_list_next(&files, &at)) != NULL;)
        *out = name_is_temporary(file) ||
               (numbered_name_parse(file, MANIFEST_PREFIX, &epoch) && epoch == 1);
    name_list_deinit(&files);
    vfs_dir_close(dir);
    return rc;
}

int engine_remove_stillborn(struct engine *e, const struct catalog *c, struct error *err)
{
    struct name_list names;
    struct text_map named;
    const char *name;
    int rc = -1;

    name_list_init(&names, e->alloc);
    text_map_init(&named, e->alloc, MEM_GENERAL);
    if (name_list_read(&names, e->root, NULL, NULL, err) != 0 || note_named(c, &named, err) != 0)
        goto out;
    for (size_t at = 0; (name = name_list_next(&names, &at)) != NULL;) {
        struct uuid uuid;
        uint64_t any;
        bool is_ours =
            uuid_parse(name, strlen(name), &uuid) && !text_map_get(&named, key_of(&uuid), &any);
        if (is_ours && is_stillborn(e, name, &is_ours, err) != 0) goto out;
        if (is_ours) REACHED(STILLBORN_REMOVED);
        if (is_ours) (void)try_remove(e, &uuid);
    }
    rc = 0;
out:
    name_list_deinit(&names);
    text_map_deinit(&named);
    return rc;
}
