/* SPDX-License-Identifier: Apache-2.0 */
/* lateness.c — how often each trusted source has held a thread past a deadline.
 *
 * WHAT        Compiled code cannot be stopped, so that a source that is late time and again is not
 *             begun any more.  A search prepares a hook of its own: what is known is known of the
 *             source, by its hash.
 * INVARIANTS  (1) A source that is forbidden stays so while the host lives, unless
 *                 LATENESS_SOURCES others are forbidden too: then the one that was late first is
 *                 forgotten.  Of others the least often late goes first.
 * THREADS     Any, one at a time.
 * FAILURE     None.
 */
#include "lua/lateness.h"

#include "query/hook.h"

void lateness_init(struct lateness *l)
{
    mutex_init(&l->mutex);
    l->now = 0;
    l->source_count = 0;
}

void lateness_deinit(struct lateness *l)
{
    mutex_deinit(&l->mutex);
}

static struct late_source *find(struct lateness *l, const struct hash128 *hash)
{
    for (size_t i = 0; i < l->source_count; i++) {
        struct late_source *s = &l->sources[i];
        if (s->hash.low == hash->low && s->hash.high == hash->high) return s;
    }
    return NULL;
}

/* (1) */
static struct late_source *make_room(struct lateness *l)
{
    if (l->source_count < LATENESS_SOURCES) return &l->sources[l->source_count++];
    struct late_source *least = &l->sources[0];
    for (size_t i = 1; i < LATENESS_SOURCES; i++) {
        struct late_source *s = &l->sources[i];
        if (s->count < least->count || (s->count == least->count && s->late_at < least->late_at))
            least = s;
    }
    return least;
}

void lateness_note(struct lateness *l, const struct hash128 *hash)
{
    mutex_lock(&l->mutex);
    struct late_source *s = find(l, hash);
    if (!s) {
        s = make_room(l);
        *s = (struct late_source){.hash = *hash};
    }
    if (s->count < HOOK_OVERRUNS_MAX) s->count++;
    s->late_at = ++l->now;
    mutex_unlock(&l->mutex);
}

bool lateness_forbids(struct lateness *l, const struct hash128 *hash)
{
    mutex_lock(&l->mutex);
    const struct late_source *s = find(l, hash);
    bool answer = s && s->count >= HOOK_OVERRUNS_MAX;
    mutex_unlock(&l->mutex);
    return answer;
}
