/* SPDX-License-Identifier: Apache-2.0 */
#include "os/name_list.h"

void name_list_init(struct name_list *l, struct alloc *a)
{
    buf_init(&l->names, a, MEM_GENERAL);
}

void name_list_deinit(struct name_list *l)
{
    buf_deinit(&l->names);
}

struct reading {
    struct name_list *list;
    name_wanted_fn *is_wanted;
    void *ctx;
};

static bool note(void *ctx, const char *name)
{
    struct reading *r = ctx;
    struct buf *names = &r->list->names;

    if (!r->is_wanted || r->is_wanted(r->ctx, name)) buf_append(names, name, strlen(name) + 1);
    return buf_ok(names);
}

int name_list_read(struct name_list *l, struct vfs_dir *dir, name_wanted_fn *is_wanted, void *ctx,
                   struct error *err)
{
    struct reading r = {l, is_wanted, ctx};

    if (vfs_dir_list(dir, note, &r, err) != 0) return -1;
    return buf_ok(&l->names) ? 0 : error_no_memory(err, l->names.size);
}

const char *name_list_next(const struct name_list *l, size_t *at)
{
    const char *name = (const char *)l->names.data + *at;

    if (*at >= l->names.size) return NULL;
    *at += strlen(name) + 1;
    return name;
}

int name_list_unlink(const struct name_list *l, struct vfs_dir *dir, struct error *err)
{
    struct error first = {0};
    const char *name;

    for (size_t at = 0; (name = name_list_next(l, &at)) != NULL;) {
        struct error failed = {0};
        if (vfs_unlink(dir, name, &failed) == 0 || failed.code == LYNSE_NOT_FOUND) continue;
        if (!first.code) first = failed;
    }
    if (first.code && err) *err = first;
    return first.code ? -1 : 0;
}
