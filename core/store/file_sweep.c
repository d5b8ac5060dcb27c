/* SPDX-License-Identifier: Apache-2.0 */
#include "store/file_sweep.h"

#include "base/log.h"

int file_sweep_create(struct alloc *a, struct vfs_dir *dir, struct file_sweeper *to,
                      struct file_sweep **out, struct error *err)
{
    struct file_sweep *s = (struct file_sweep *)mem_zalloc(a, MEM_GENERAL, sizeof *s);

    if (!s) return error_no_memory(err, sizeof *s);
    s->reference_count = 1;
    s->alloc = a;
    s->dir = vfs_dir_acquire(dir);
    s->to = to;
    mutex_init(&s->mutex);
    name_list_init(&s->names, a);
    *out = s;
    return 0;
}

void file_sweep_release(struct file_sweep *s)
{
    if (!s) return;
    mutex_lock(&s->mutex);
    bool is_last = --s->reference_count == 0;
    mutex_unlock(&s->mutex);
    if (!is_last) return;
    name_list_deinit(&s->names);
    mutex_deinit(&s->mutex);
    vfs_dir_close(s->dir);
    mem_free(s->alloc, s);
}

void file_sweep_begin(struct file_sweep *s, struct name_list *take_names)
{
    struct name_list old;

    mutex_lock(&s->mutex);
    old = s->names;
    s->names = *take_names;
    s->at = 0;
    bool is_given = !s->is_taken && s->names.names.size > 0;
    s->is_taken = s->is_taken || is_given;
    s->reference_count += is_given;
    mutex_unlock(&s->mutex);
    name_list_deinit(&old);
    name_list_init(take_names, s->alloc);
    if (is_given) s->to->take(s->to, s);
}

bool file_sweep_step(struct file_sweep *s)
{
    struct error failed = {0};

    mutex_lock(&s->mutex);
    const char *name = name_list_next(&s->names, &s->at);
    if (!name) s->is_taken = false;
    else if (vfs_unlink(s->dir, name, &failed) != 0 && failed.code != LYNSE_NOT_FOUND)
        log_event(LOG_WARN, "file_gc_failed reason=\"%s\"", failed.text);
    mutex_unlock(&s->mutex);
    return name != NULL;
}

void file_sweep_stop(struct file_sweep *s)
{
    if (!s) return;
    mutex_lock(&s->mutex);
    s->at = s->names.names.size;
    mutex_unlock(&s->mutex);
}

void file_sweep_finish(struct file_sweep *s)
{
    while (s && file_sweep_step(s)) continue;
}
