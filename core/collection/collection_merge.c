/* SPDX-License-Identifier: Apache-2.0 */
/* collection_merge.c — sealed segments become one, so that there are few and none wastes much.
 *
 * WHAT        Which ones is compaction_policy.h's to say.  They are lent to the same build that
 *             seals tails, with the parts behind them to look for newer versions of their rows;
 *             what comes back takes their place (collection_rewrite.c). The result has no index
 *             until one is built for it.  So where there are indexes nothing is merged to more rows
 *             than a tail has: so many are scanned at any time.
 * INVARIANTS  (1) Only sealed parts are merged, and none that a seal under way takes in.
 *             (2) A row is left out only for a newer version in a sealed part: in no level is that
 *                 one lost by a crash that keeps the merge.
 *             (3) In level `none` the inputs are lent as of their maps on disk, and a merge does
 *                 not end while a seal is under way, whose F might be another.
 * THREADS     The collection's actor; the build in between on any.
 * FAILURE     The state before; the build's files are removed.
 */
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "collection/collection.h"
#include "segment/compaction_policy.h"

/* Parts that may be merged: sealed, and not being sealed again. */
static size_t mergeable_count(const struct collection *c)
{
    size_t count = 0;

    while (count < c->part_count && c->parts[count].state == PART_SEALED &&
           !collection_is_rewritten(&c->seal, count))
        count++;
    return count;
}

/* In level `none` a merge sees deletions as the map on disk has them (3). */
static struct segment_size size_of(const struct collection *c, const struct collection_part *p)
{
    const struct tombstones *seen = c->manifest.sync_level == SYNC_NONE ? p->saved : p->dead;
    uint64_t dead = seen ? tombstones_count(seen) : 0;
    uint64_t kept = p->kept_dead_count < dead ? p->kept_dead_count : dead;

    return (struct segment_size){p->row_count, (uint32_t)(dead - kept)};
}

/* Half of what a full tail has, so that a few deletions make no difference. */
static uint32_t small_rows(const struct collection *c)
{
    uint64_t rows = SEAL_BYTES / (sizeof(float) * (c->dim > 0 ? c->dim : 1));

    if (rows > SEAL_ROWS) rows = SEAL_ROWS;
    return rows > 1 ? (uint32_t)(rows / 2) : 1;
}

static bool choose(const struct collection *c, struct merge_choice *out)
{
    struct segment_size sizes[LIMIT_SEGMENTS];
    size_t count = mergeable_count(c);
    struct index_plan plan;
    bool is_indexed = collection_plan_of(&c->manifest.fields[0], &plan);

    if (count > LIMIT_SEGMENTS) count = LIMIT_SEGMENTS;
    for (size_t i = 0; i < count; i++) sizes[i] = size_of(c, &c->parts[i]);
    return compaction_choose(sizes, count, small_rows(c), is_indexed ? SEAL_ROWS : MERGE_ROWS_MAX,
                             out);
}

bool collection_wants_merge(const struct collection *c)
{
    struct merge_choice choice;

    return !c->merge.is_active && !c->is_poisoned && c->wal && choose(c, &choice);
}

/* (3): their deletions as maps on disk have them. */
static int lend_as_saved(struct collection *c, struct view *inputs, size_t first, struct error *err)
{
    for (size_t i = 0; i < inputs->part_count; i++) {
        const struct collection_part *p = &c->parts[first + i];
        struct tombstones *saved = NULL;
        if (p->saved) saved = tombstones_acquire(p->saved);
        else if (tombstones_create(c->desc.alloc, p->row_count, &saved, err) != 0) return -1;
        tombstones_release(inputs->parts[i].dead);
        inputs->parts[i].dead = saved;
    }
    return 0;
}

int collection_merge_begin(struct collection *c, struct segment_build_desc *out_desc,
                           struct error *err)
{
    struct collection_rewrite *m = &c->merge;
    struct merge_choice choice;

    CHECK(!m->is_active && choose(c, &choice));
    size_t end = choice.first + choice.count;
    m->is_merge = true;
    m->flushed_lsn = c->manifest.flushed_lsn;
    m->first_part = choice.first;
    m->part_count = choice.count;
    m->inputs = collection_view_of_parts(c, choice.first, choice.count, err);
    m->as_of = m->inputs ? collection_view_of_parts(c, 0, mergeable_count(c), err) : NULL;
    if (!m->as_of || (c->manifest.sync_level == SYNC_NONE &&
                      lend_as_saved(c, m->inputs, choice.first, err) != 0)) {
        collection_rewrite_reset(m);
        return -1;
    }
    m->is_active = true;
    *out_desc = collection_describe_build(c, m);
    out_desc->newer = m->as_of->parts + end;
    out_desc->newer_count = m->as_of->part_count - end;
    REACHED(MERGE_BEGUN);
    return 0;
}

void collection_merge_cancel(struct collection *c)
{
    collection_rewrite_reset(&c->merge);
}

int collection_merge_finish(struct collection *c, struct segment_build *build, struct error *err)
{
    bool must_wait = c->manifest.sync_level == SYNC_NONE && c->seal.is_active; /* (3) */
    int rc = -1;

    CHECK(c->merge.is_active);
    if (c->is_poisoned || !c->wal) {
        if (err) *err = c->poison;
    } else if (must_wait) {
        error_set(err, LYNSE_BUSY, "a segment is being written");
    } else {
        rc = collection_publish_rewrite(c, &c->merge, build, false, err);
    }
    if (rc != 0 && !c->is_poisoned) segment_build_remove_files(build, c->dir);
    collection_rewrite_reset(&c->merge);
    if (rc == 0) REACHED(MERGE_PUBLISHED);
    return rc;
}
