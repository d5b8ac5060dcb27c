/* SPDX-License-Identifier: Apache-2.0 */
/* collection_merge.c — sealed segments become one, so that there are few and none wastes much.
 *
 * WHAT        Which ones is compaction_policy.h's to say.  They are lent to the same build that
 *             seals tails, with the parts behind them to look for newer versions of their rows;
 *             what comes back takes their place (collection_rewrite.c).  Where one of them has an
 *             index, the result gets its own first, and the same manifest names both: rows that
 *             were found through an index are never scanned for the sake of a merge.
 *             Segments with an index and segments that wait for theirs are not merged with each
 *             other: the latter would wait for an index of all.  Those that wait come first, where
 *             they are many and small; they are merged without, and indexed afterwards at once.
 *             What waited when the index was asked for, or when the collection was opened, becomes
 *             one whatever it is, and gets one index: a merge is a copy, which takes a fiftieth of
 *             what a graph of it takes, and one graph is walked faster than two.  That ends: what
 *             is written meanwhile is not of it.
 *             In quiet, when nothing is to be sealed, built or merged, indexed ones are merged
 *             further, for the same reason.  Without an index that would be work for nothing: what
 *             is scanned is scanned as fast in several.  The tail is sealed then, though it is not
 *             full, where it would be merged if it were a segment, or is large enough for an index
 *             of its own: else every search would look at its rows for as long as the quiet is.
 * INVARIANTS  (1) Only sealed parts are merged, and none that a seal under way takes in.
 *             (2) A row is left out only for a newer version in a sealed part: in no level is that
 *                 one lost by a crash that keeps the merge.
 *             (3) In level `none` the inputs are lent as of their maps on disk, and a merge does
 *                 not end while a seal is under way, whose F might be another.
 *             (4) What is being indexed is not merged, and what is merged is not indexed meanwhile.
 *             (5) The plan may change while a merge is under way: its inputs then have no index any
 *                 more, and the result is shown without one.
 *             (6) While what waited from the start is merged no index is begun: what waits longest
 *                 gets it first, and what is merged now may be merged with more.
 * THREADS     The collection's actor; the build in between on any.
 * FAILURE     The state before; the build's files are removed.
 */
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "collection/collection.h"
#include "segment/compaction_policy.h"
#include "segment/sealed_segment.h"

/* What waits for an index is merged to so many tails: those behind it in line wait for it. */
enum { AWAITING_TAILS_MAX = MERGE_WIDTH };
/* Beside its vector, of what an index takes for a row while it is built: links, codes, bounds. */
enum { BUILD_ROW_BYTES = 512 };

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
static uint32_t small_rows(const struct collection *c, bool has_plan)
{
    uint64_t rows = SEAL_BYTES / (sizeof(float) * (c->dim > 0 ? c->dim : 1));

    if (rows > SEAL_ROWS) rows = SEAL_ROWS;
    if (has_plan && rows > INDEX_TAIL_ROWS) rows = INDEX_TAIL_ROWS;
    return rows > 1 ? (uint32_t)(rows / 2) : 1;
}

enum standing {
    STANDS_ANYWHERE, /* it needs no index */
    STANDS_INDEXED,
    STANDS_AWAITING, /* an index */
    STANDS_ALONE,    /* its index is being built (4) */
};

static enum standing standing_of(const struct collection *c, const struct collection_part *p)
{
    if (c->index_build && uuid_equal(index_builder_segment(c->index_build), &p->info.uuid))
        return STANDS_ALONE;
    if (manifest_find_index(&p->info, 0)) return STANDS_INDEXED;
    return collection_lacks_index(p) ? STANDS_AWAITING : STANDS_ANYWHERE;
}

/* The first of the parts before `end` that may be merged with one another. */
static size_t group_before(const struct collection *c, size_t end, enum standing *out)
{
    size_t first = end - 1;

    *out = standing_of(c, &c->parts[first]);
    for (; first > 0 && *out != STANDS_ALONE; first--) {
        enum standing next = standing_of(c, &c->parts[first - 1]);
        bool fits = next == *out || next == STANDS_ANYWHERE || *out == STANDS_ANYWHERE;
        if (next == STANDS_ALONE || !fits) break;
        if (next != STANDS_ANYWHERE) *out = next;
    }
    return first;
}

/* Of a segment that gets its index as a whole: as there is memory for.  What is merged is never
 * parted again. */
static uint32_t indexed_rows_max(const struct collection *c)
{
    size_t budget = alloc_budget_bytes(c->desc.alloc), used = alloc_used_bytes(c->desc.alloc);
    size_t row_bytes = BUILD_ROW_BYTES + c->dim * sizeof(float);

    if (budget == 0) return INDEXED_MERGE_ROWS_MAX;
    size_t rows = used < budget ? (budget - used) / row_bytes : 0;
    return rows < INDEXED_MERGE_ROWS_MAX ? (uint32_t)rows : INDEXED_MERGE_ROWS_MAX;
}

/* Has it waited for its first index since that was asked for, or is it too small for one? */
static bool is_waiting_long(const struct collection *c, size_t i)
{
    const struct collection_part *p = &c->parts[i];
    enum standing standing = standing_of(c, p);

    return p->info.first_lsn <= c->index_asked_lsn && p->index_damages == 0 && !p->is_not_indexed &&
           (standing == STANDS_AWAITING || standing == STANDS_ANYWHERE);
}

typedef bool part_fn(const struct collection *c, size_t part);

/* The next run of neighbours that pass, from *first on, which becomes its first; 0: there is none.
 */
static size_t next_run(const struct collection *c, part_fn *passes, size_t count, size_t *first)
{
    size_t end;

    while (*first < count && !passes(c, *first)) ++*first;
    for (end = *first; end < count && passes(c, end);) end++;
    return end - *first;
}

static bool has_awaiting(const struct collection *c, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        if (collection_lacks_index(&c->parts[i])) return true;
    return false;
}

/* What was there when the index was asked for.  Codes that are scanned are scanned as fast in
 * several. */
static bool choose_waiting(const struct collection *c, const struct index_plan *plan,
                           const struct segment_size *sizes, size_t count, struct merge_choice *out)
{
    if (index_find(plan->kind)->is_of_codes) return false;
    for (size_t first = 0, run; (run = next_run(c, is_waiting_long, count, &first)) > 0;
         first += run) {
        if (!has_awaiting(c, first, run) ||
            !compaction_choose_all(sizes + first, run, indexed_rows_max(c), out))
            continue;
        out->first += first;
        return true;
    }
    return false;
}

/* Where there is a plan.  Indexed ones are merged when none waits for its first index, or when they
 * are too many. */
static bool choose_group(const struct collection *c, const struct segment_size *sizes, size_t count,
                         struct merge_choice *out)
{
    bool is_awaited = false;
    enum standing standing;

    for (size_t end = count, first; end > 0; end = first) {
        first = group_before(c, end, &standing);
        is_awaited = is_awaited || standing == STANDS_AWAITING;
        if (standing == STANDS_ALONE) continue;
        if (standing == STANDS_INDEXED && is_awaited && count < MERGE_PARTS_MAX) continue;
        uint32_t row_max =
            standing == STANDS_INDEXED ? INDEXED_MERGE_ROWS_MAX : AWAITING_TAILS_MAX * SEAL_ROWS;
        if (!compaction_choose(sizes + first, end - first, small_rows(c, true), row_max, out))
            continue;
        out->first += first;
        return true;
    }
    return false;
}

/* Nothing but a tail is to become a segment, and none is to get an index. */
static bool is_settled(const struct collection *c)
{
    if (c->seal.is_active || c->index_build) return false;
    for (size_t i = 0; i < c->part_count; i++)
        if (c->parts[i].state == PART_FROZEN || collection_lacks_index(&c->parts[i])) return false;
    return true;
}

static bool may_be_indexed(const struct collection *c, size_t i)
{
    return !c->parts[i].is_not_indexed;
}

/* Is there an index that is walked, and is there time for more than it needs? */
static bool is_for_quiet(const struct collection *c)
{
    struct index_plan plan;

    return INDEX_HAS_BUILT && collection_plan_of(&c->manifest.fields[0], &plan) &&
           !index_find(plan.kind)->is_of_codes && is_settled(c);
}

/* Of the first `count` parts. */
static bool choose_quiet(const struct collection *c, size_t count, struct merge_choice *out)
{
    struct segment_size sizes[LIMIT_SEGMENTS];

    if (!is_for_quiet(c)) return false;
    if (count > LIMIT_SEGMENTS) count = LIMIT_SEGMENTS;
    for (size_t i = 0; i < count; i++) sizes[i] = size_of(c, &c->parts[i]);
    for (size_t first = 0, run; (run = next_run(c, may_be_indexed, count, &first)) > 0;
         first += run) {
        if (!compaction_choose_quiet(sizes + first, run, indexed_rows_max(c), out)) continue;
        out->first += first;
        return true;
    }
    return false;
}

static uint64_t kept_rows(const struct collection *c, size_t first, size_t count)
{
    uint64_t rows = 0;

    for (size_t i = first; i < first + count; i++) {
        struct segment_size size = size_of(c, &c->parts[i]);
        rows += size.row_count - size.waste_count;
    }
    return rows;
}

static bool choose(const struct collection *c, struct merge_choice *out)
{
    struct segment_size sizes[LIMIT_SEGMENTS];
    size_t count = mergeable_count(c);
    struct index_plan plan;

    if (count > LIMIT_SEGMENTS) count = LIMIT_SEGMENTS;
    for (size_t i = 0; i < count; i++) sizes[i] = size_of(c, &c->parts[i]);
    if (!INDEX_HAS_BUILT || !collection_plan_of(&c->manifest.fields[0], &plan))
        return compaction_choose(sizes, count, small_rows(c, false), MERGE_ROWS_MAX, out);
    return choose_waiting(c, &plan, sizes, count, out) || choose_group(c, sizes, count, out);
}

static bool may_merge(const struct collection *c)
{
    return !c->merge.is_active && !c->is_poisoned && c->wal;
}

bool collection_wants_merge(const struct collection *c)
{
    struct merge_choice choice;

    return may_merge(c) && choose(c, &choice);
}

bool collection_wants_quiet_merge(const struct collection *c)
{
    struct merge_choice choice;

    return may_merge(c) && choose_quiet(c, mergeable_count(c), &choice);
}

bool collection_wants_quiet_seal(const struct collection *c)
{
    size_t tail = c->part_count - 1;
    struct merge_choice choice;

    if (!may_merge(c) || !c->tail || c->seal_failures > 0 || !is_for_quiet(c)) return false;
    uint64_t rows = kept_rows(c, tail, 1);
    if (rows >= QUIET_TAIL_ROWS || rows == 0) return rows > 0;
    return choose_quiet(c, c->part_count, &choice) && choice.first + choice.count > tail &&
           kept_rows(c, choice.first, choice.count) >= INDEX_ROWS_MIN;
}

bool collection_merge_comes_first(const struct collection *c)
{
    const struct collection_rewrite *m = &c->merge;

    for (size_t i = 0; i < m->part_count; i++)
        if (collection_lacks_index(&c->parts[m->first_part + i]) &&
            is_waiting_long(c, m->first_part + i))
            return true;
    return false;
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

    CHECK(!m->is_active && (choose(c, &choice) || choose_quiet(c, mergeable_count(c), &choice)));
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

/* ---- the index of what was built ---- */

static bool has_indexed_input(const struct collection *c)
{
    const struct collection_rewrite *m = &c->merge;

    for (size_t i = 0; i < m->part_count; i++)
        if (manifest_find_index(&c->parts[m->first_part + i].info, 0)) return true;
    return false;
}

bool collection_merge_is_searched(const struct collection *c)
{
    const struct collection_rewrite *m = &c->merge;

    for (size_t i = 0; i < m->part_count; i++) {
        const struct segment_index *index = c->parts[m->first_part + i].index;
        if (index && (segment_index_state(index) == SEGMENT_INDEX_READY ||
                      segment_index_state(index) == SEGMENT_INDEX_WANTED))
            return true;
    }
    return false;
}

int collection_merge_index_begin(struct collection *c, const struct segment_build *build,
                                 struct error *err)
{
    struct collection_rewrite *m = &c->merge;
    struct index_builder_desc desc;

    CHECK(m->is_active && !m->built);
    uint32_t row_count = (uint32_t)build->segment.row_count;
    if (row_count < INDEX_ROWS_MIN || !has_indexed_input(c)) return 0;
    if (sealed_segment_open(c->desc.alloc, c->dir, &c->desc.owner, &build->segment, c->dim,
                            c->desc.cache, &m->built, err) != 0) {
        m->built = NULL;
        return -1;
    }
    if (!collection_describe_index(c, m->built, row_count, &desc)) return 0;
    if (index_builder_create(&desc, &m->index_build, err) == 0) return 1;
    m->index_build = NULL;
    return -1;
}

/* Was it built as it is asked for now (5)? */
static bool is_still_wanted(const struct collection *c, const struct index_plan *plan,
                            enum metric metric)
{
    return collection_has_plan(c, plan, (uint8_t)metric);
}

int collection_merge_index_end(struct collection *c, struct segment_build *build, struct error *err)
{
    struct collection_rewrite *m = &c->merge;
    struct index_builder *b = m->index_build;
    struct segment_index_desc desc = {
        .alloc = c->desc.alloc,
        .dir = c->dir,
        .owner = c->desc.owner,
        .segment = m->built,
        .row_count = (uint32_t)build->segment.row_count,
        .metric = index_builder_metric(b),
        .plan = *index_builder_plan(b),
    };
    int rc = 0;

    if (is_still_wanted(c, &desc.plan, desc.metric)) {
        rc = index_builder_take(b, &desc.part, err);
        if (rc == 0) {
            CHECK(build->segment.part_count < SEGMENT_PARTS_MAX);
            build->segment.parts[build->segment.part_count++] = desc.part;
            rc = segment_index_create(&desc, &m->index, err);
        }
    }
    index_builder_destroy(b);
    m->index_build = NULL;
    return rc;
}

/* What was built of an index by a plan that is not there any more is left behind. */
static void forget_unwanted(struct collection *c, struct segment_build *build)
{
    struct collection_rewrite *m = &c->merge;
    char name[PART_NAME_BYTES];

    if (!m->index ||
        is_still_wanted(c, segment_index_plan(m->index), segment_index_metric(m->index)))
        return;
    const struct manifest_part *part = manifest_find_index(&build->segment, 0);
    part_name(name, &build->segment.uuid, PART_INDEX, manifest_part_number(&build->segment, part));
    vfs_unlink(c->dir, name, NULL); /* what stays is file_gc's */
    manifest_drop_indexes(&build->segment);
    segment_index_release(m->index);
    m->index = NULL;
}

/* ---- its end ---- */

bool collection_merge_must_wait(const struct collection *c)
{
    return c->merge.is_active && c->manifest.sync_level == SYNC_NONE && c->seal.is_active; /* (3) */
}

int collection_merge_finish(struct collection *c, struct segment_build *build, struct error *err)
{
    bool has_index = false;
    int rc = -1;

    CHECK(c->merge.is_active && !c->merge.index_build);
    forget_unwanted(c, build);
    has_index = c->merge.index != NULL;
    if (c->is_poisoned || !c->wal) {
        if (err) *err = c->poison;
    } else if (collection_merge_must_wait(c)) {
        error_set(err, LYNSE_BUSY, "a segment is being written");
    } else {
        rc = collection_publish_rewrite(c, &c->merge, build, false, err);
    }
    if (rc != 0 && !c->is_poisoned) segment_build_remove_files(build, c->dir);
    collection_rewrite_reset(&c->merge);
    if (rc == 0) REACHED(MERGE_PUBLISHED);
    if (rc == 0 && has_index) REACHED(MERGE_INDEXED);
    return rc;
}
