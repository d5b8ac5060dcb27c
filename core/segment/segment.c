/* SPDX-License-Identifier: Apache-2.0 */
#include "segment/segment.h"

#include "base/atomic.h"
#include "segment/column_cache.h"
#include "segment/segment_shadow.h"

void segment_init(struct segment *s, const struct segment_ops *ops)
{
    s->ops = ops;
    atomic_init(&s->reference_count, 1u);
    atomic_init(&s->shadow, NULL);
}

struct segment *segment_acquire(struct segment *s)
{
    /* Relaxed: whoever acquires holds a reference already, or a lock under which one is held. */
    atomic_add_relaxed(&s->reference_count, 1u);
    return s;
}

bool segment_is_last(const struct segment *s)
{
    /* Relaxed: whoever releases it last acquires. */
    return s && atomic_load_relaxed(&s->reference_count) == 1;
}

void segment_release(struct segment *s)
{
    /* The last release sees what all others did before theirs. */
    if (!s || atomic_sub_acq_rel(&s->reference_count, 1u) != 1) return;
    if (s->columns) segment_columns_destroy(s->columns);
    segment_shadow_destroy(atomic_load_relaxed(&s->shadow)); /* nobody else is left */
    s->ops->destroy(s);
}
