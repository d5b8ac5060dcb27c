/* SPDX-License-Identifier: Apache-2.0 */
#include "segment/view.h"

#include "base/atomic.h"
#include "base/check.h"

int view_create(struct alloc *a, size_t part_count, struct view **out, struct error *err)
{
    size_t bytes = sizeof(struct view) + part_count * sizeof(struct view_part);
    struct view *v = (struct view *)mem_zalloc(a, MEM_SEGMENT, bytes);
    if (!v) return error_no_memory(err, bytes);
    atomic_init(&v->reference_count, 1u);
    v->alloc = a;
    v->part_count = part_count;
    *out = v;
    return 0;
}

struct view *view_acquire(struct view *v)
{
    /* Relaxed: whoever acquires holds a reference already, or a lock under which one is held. */
    atomic_add_relaxed(&v->reference_count, 1u);
    return v;
}

static void release_part(struct view_part *p)
{
    segment_index_release(p->index);
    segment_release(p->segment);
    tombstones_release(p->dead);
}

/* Nobody else holds one of them now.  Where two find out at once that they are not alone, the last
 * of them ends it himself. */
static bool is_last(const struct view_part *p)
{
    return segment_is_last(p->segment) || (p->index && segment_index_is_last(p->index));
}

void view_release(struct view *v)
{
    size_t left = 0;

    /* The last release sees what all others did before theirs. */
    if (!v || atomic_sub_acq_rel(&v->reference_count, 1u) != 1) return;
    for (size_t i = 0; i < v->part_count; i++) {
        if (v->reaper && is_last(&v->parts[i])) v->parts[left++] = v->parts[i];
        else release_part(&v->parts[i]);
    }
    v->part_count = left;
    installed_hooks_release(&v->hooks);
    if (left > 0) v->reaper->take(v->reaper, v);
    else mem_free(v->alloc, v);
}

bool view_reap_step(struct view *take_v)
{
    struct view *v = take_v;

    if (v->part_count > 0) release_part(&v->parts[--v->part_count]);
    if (v->part_count > 0) return true;
    mem_free(v->alloc, v);
    return false;
}

int view_find(const struct view *v, const struct record_id *id, size_t *out_part, uint32_t *out_row,
              bool *out_dead, struct error *err)
{
    for (size_t i = v->part_count; i-- > 0;) {
        const struct view_part *p = &v->parts[i];
        uint32_t row;
        int found = segment_find(p->segment, id, p->row_count, &row, err);
        if (found < 0) return -1;
        if (found == 0) continue;
        *out_part = i;
        *out_row = row;
        *out_dead = tombstones_get(p->dead, row);
        return 1;
    }
    return 0;
}

void view_slot_init(struct view_slot *s)
{
    mutex_init(&s->mutex);
    s->current = NULL;
    s->reaper = NULL;
}

void view_slot_deinit(struct view_slot *s)
{
    view_release(s->current);
    s->current = NULL;
    mutex_deinit(&s->mutex);
}

void view_slot_publish(struct view_slot *s, struct view *take_v)
{
    if (take_v) take_v->reaper = s->reaper;
    mutex_lock(&s->mutex);
    struct view *old = s->current;
    s->current = take_v;
    mutex_unlock(&s->mutex);
    /* Outside of the lock: the last reference to a segment unmaps its files. */
    view_release(old);
}

struct view *view_slot_acquire(struct view_slot *s)
{
    mutex_lock(&s->mutex);
    struct view *v = s->current ? view_acquire(s->current) : NULL;
    mutex_unlock(&s->mutex);
    return v;
}
