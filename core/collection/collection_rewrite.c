/* SPDX-License-Identifier: Apache-2.0 */
/* collection_rewrite.c — a built segment takes the place of the parts that it was made of.
 *
 * WHAT        A seal puts frozen rows into files, a merge puts sealed segments into one.  Either
 *             lends its inputs to a build; here what came late (deletions, restores, the entombing
 *             half of upserts) is brought onto the result, delete maps are written, then the
 *             manifest is swapped, then the view, and only then files go.
 * INVARIANTS  Those of collection_seal.c, and:
 *             (7) A merge changes no other part, and neither F nor what is replayed.
 *             (8) In level `none` a merge begins with what maps on disk have, and its own map has
 *                 what they have when it ends: F is theirs.
 * THREADS     The collection's actor.
 * FAILURE     Before the manifest: nothing has changed, and the build's files are the caller's to
 *             remove.  In the manifest: see collection_swap_manifest.
 */
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "base/log.h"
#include "collection/collection.h"
#include "segment/sealed_segment.h"
#include "store/file_gc.h"

struct view *collection_view_of_parts(struct collection *c, size_t first, size_t count,
                                      struct error *err)
{
    struct view *v;

    if (view_create(c->desc.alloc, count, &v, err) != 0) return NULL;
    v->reaper = c->desc.slot->reaper;
    for (size_t i = 0; i < count; i++) {
        const struct collection_part *p = &c->parts[first + i];
        v->parts[i] = (struct view_part){.segment = segment_acquire(p->segment),
                                         .dead = tombstones_acquire(p->dead),
                                         .row_count = p->row_count};
    }
    return v;
}

/* Which deletions of the inputs are brought onto the result. */
enum late_marks {
    MARKS_APPLIED, /* all that are applied */
    MARKS_SAVED,   /* those that maps on disk have: level `none` keeps nothing later (3) */
};

static bool is_marked(const struct collection_part *p, enum late_marks marks, uint32_t row)
{
    const struct tombstones *t = marks == MARKS_SAVED ? p->saved : p->dead;
    return t && tombstones_get(t, row);
}

static uint64_t marked_word(const struct collection_part *p, enum late_marks marks, uint32_t row)
{
    const struct tombstones *t = marks == MARKS_SAVED ? p->saved : p->dead;
    return t ? tombstones_word(t, row) : 0;
}

/* What has changed of one input, onto the new rows. */
static int replay_input(const struct view_part *then, const struct collection_part *now,
                        enum late_marks marks, const uint32_t *row_map, struct tombstones_edit *e,
                        struct error *err)
{
    for (uint32_t row = 0; row < then->row_count; row += 64) {
        uint64_t changed = tombstones_word(then->dead, row) ^ marked_word(now, marks, row);
        for (; changed; changed &= changed - 1) {
            uint32_t old = row + (uint32_t)__builtin_ctzll(changed);
            uint32_t new_row = old < then->row_count ? row_map[old] : UINT32_MAX;
            if (new_row == UINT32_MAX) continue;
            REACHED(SEAL_LATE_CHANGE);
            if (tombstones_edit_reserve(e, new_row, err) != 0) return -1;
            if (is_marked(now, marks, old)) tombstones_edit_set(e, new_row);
            else tombstones_edit_clear(e, new_row);
        }
    }
    return 0;
}

/* The new segment's tombstones with everything that has happened since the inputs were lent. */
static int replay_late_marks(struct collection *c, const struct collection_rewrite *r,
                             const struct segment_build *build, enum late_marks marks,
                             struct tombstones **out, struct error *err)
{
    struct tombstones_edit *e;

    if (FAULT(SEAL_FORGETS_LATE_DELETES)) {
        *out = tombstones_acquire(build->dead);
        return 0;
    }
    if (tombstones_edit_begin(build->dead, &e, err) != 0) return -1;
    for (size_t i = 0; i < r->part_count; i++) {
        if (replay_input(&r->inputs->parts[i], &c->parts[r->first_part + i], marks,
                         build->row_map[i], e, err) == 0)
            continue;
        tombstones_edit_abort(e);
        return -1;
    }
    *out = tombstones_edit_finish(e);
    return 0;
}

/* Bring one segment's map up to date: a new file when its deletions changed since the last one. */
static int save_map(struct collection *c, struct collection_part *p, struct tombstones *want,
                    uint64_t lsn, struct error *err)
{
    bool is_saved = p->saved ? tombstones_equal(p->saved, want) : tombstones_count(want) == 0;
    struct manifest_part map;

    if (!is_saved && !FAULT(RETIRE_BEFORE_MAPS)) {
        if (tombstones_write(want, c->desc.alloc, c->dir, &c->desc.owner, &p->info.uuid,
                             p->row_count, lsn, c->desc.rng, &map, err) != 0)
            return -1;
        uint32_t i = 0;
        while (i < p->info.part_count && p->info.parts[i].kind != PART_DELETES) i++;
        CHECK(i < SEGMENT_PARTS_MAX);
        p->info.parts[i] = map;
        if (i == p->info.part_count) p->info.part_count++;
        p->info.del_lsn = lsn;
        tombstones_release(p->saved);
        p->saved = tombstones_acquire(want);
        REACHED(SEAL_MAP_WRITTEN);
    }
    if (p->info.map_lsn < lsn) p->info.map_lsn = lsn;
    return 0;
}

/* The sealed parts after the swap, in a list of their own, maps written. */
struct next_parts {
    struct collection_part *parts;
    size_t count;
};

static void next_parts_deinit(struct collection *c, struct next_parts *n)
{
    for (size_t i = 0; i < n->count; i++) collection_part_deinit(&n->parts[i]);
    mem_free(c->desc.alloc, n->parts);
}

static struct collection_part copy_part(const struct collection_part *p)
{
    struct collection_part copy = *p;

    copy.segment = segment_acquire(p->segment);
    copy.dead = tombstones_acquire(p->dead);
    copy.saved = p->saved ? tombstones_acquire(p->saved) : NULL;
    copy.index = p->index ? segment_index_acquire(p->index) : NULL;
    return copy;
}

static int open_built(struct collection *c, const struct collection_rewrite *r,
                      const struct segment_build *build, struct collection_part *out,
                      struct error *err)
{
    memset(out, 0, sizeof *out);
    out->state = PART_SEALED;
    out->info = build->segment;
    out->row_count = (uint32_t)build->segment.row_count;
    if (r->built) out->segment = segment_acquire(r->built);
    else if (sealed_segment_open(c->desc.alloc, c->dir, &c->desc.owner, &build->segment, c->dim,
                                 c->desc.cache, &out->segment, err) != 0)
        return -1;
    if (r->index) out->index = segment_index_acquire(r->index);
    out->kept_dead_count = (uint32_t)tombstones_count(build->dead);
    if (replay_late_marks(c, r, build, MARKS_APPLIED, &out->dead, err) == 0) return 0;
    collection_part_deinit(out);
    return -1;
}

/* Sealed parts, the built one in the place of its inputs, then whatever was not an input. */
static int make_next_parts(struct collection *c, const struct collection_rewrite *r,
                           const struct segment_build *build, struct next_parts *n,
                           struct error *err)
{

    n->parts = mem_zalloc(c->desc.alloc, MEM_SEGMENT, (c->part_count + 1) * sizeof *n->parts);
    if (!n->parts) return error_no_memory(err, (c->part_count + 1) * sizeof *n->parts);
    for (size_t i = 0; i < r->first_part; i++) n->parts[n->count++] = copy_part(&c->parts[i]);
    if (build && build->segment.row_count > 0) {
        if (open_built(c, r, build, &n->parts[n->count], err) != 0) return -1;
        n->count++;
    }
    for (size_t i = r->first_part + r->part_count; i < c->part_count; i++)
        n->parts[n->count++] = copy_part(&c->parts[i]);
    return 0;
}

/* A seal: delete maps of all sealed parts, complete to `lsn`. */
static int save_maps(struct collection *c, const struct collection_rewrite *r,
                     const struct segment_build *build, struct next_parts *n, uint64_t lsn,
                     struct error *err)
{
    bool is_none = c->manifest.sync_level == SYNC_NONE;

    for (size_t i = 0; i < n->count && n->parts[i].state == PART_SEALED; i++) {
        struct collection_part *p = &n->parts[i];
        bool is_built = build && build->segment.row_count > 0 && i == r->first_part;
        struct tombstones *want = !is_none || FAULT(NONE_LATE_DELETES) ? p->dead
                                  : is_built                           ? build->dead
                                                                       : r->as_of->parts[i].dead;
        if (FAULT(NONE_MAPS_LAG) && is_none && !is_built) continue;
        if (save_map(c, p, want, lsn, err) != 0) return -1;
    }
    return 0;
}

/* A merge: that of the new segment alone. */
static int save_merged_map(struct collection *c, const struct collection_rewrite *r,
                           const struct segment_build *build, struct next_parts *n, uint64_t lsn,
                           struct error *err)
{
    struct collection_part *p = &n->parts[r->first_part];
    struct tombstones *saved;

    if (build->segment.row_count == 0) return 0;
    if (c->manifest.sync_level != SYNC_NONE || FAULT(NONE_LATE_DELETES))
        return save_map(c, p, p->dead, lsn, err);
    if (replay_late_marks(c, r, build, MARKS_SAVED, &saved, err) != 0) return -1;
    int rc = save_map(c, p, saved, lsn, err);
    tombstones_release(saved);
    return rc;
}

static bool does_without_log(const struct manifest *m)
{
    return m->sync_level == SYNC_NONE && !FAULT(NONE_KEEP_LOG);
}

/* Does the log's current file end with this manifest?  Never with that of a merge: in level `none`
 * too the log may hold what an earlier level promised, above an F that has not moved (7). */
static bool closes_log(const struct collection *c, const struct collection_rewrite *r,
                       const struct manifest *m, bool retire_log)
{
    if (r->is_merge) return false;
    return does_without_log(m) || (retire_log && manifest_replay_from(m) == c->applied_lsn);
}

static int make_manifest(struct collection *c, const struct collection_rewrite *r,
                         const struct next_parts *n, bool retire_log, struct manifest *out,
                         struct error *err)
{
    size_t count = 0;

    manifest_init(out, c->desc.alloc);
    if (manifest_copy(out, &c->manifest, err) != 0) return -1;
    while (count < n->count && n->parts[count].state == PART_SEALED) count++;
    if (count > LIMIT_SEGMENTS)
        return error_set(err, LYNSE_LIMIT, "segments: %zu, at most %d a collection", count,
                         LIMIT_SEGMENTS);
    struct manifest_segment *segments =
        mem_zalloc(c->desc.alloc, MEM_SEGMENT, (count + 1) * sizeof *segments);
    if (!segments) return error_no_memory(err, (count + 1) * sizeof *segments);
    for (size_t i = 0; i < count; i++) {
        segments[i] = n->parts[i].info;
        if (FAULT(MAP_STARTS_AT_ZERO) && segments[i].del_lsn == 0) segments[i].map_lsn = 0;
    }
    mem_free(c->desc.alloc, out->segments);
    out->segments = segments;
    out->segment_count = (uint32_t)count;
    out->epoch++;
    if (!r->is_merge) out->flushed_lsn = r->flushed_lsn;
    out->durable_lsn = out->flushed_lsn;
    for (size_t i = 0; i < count; i++)
        if (segments[i].map_lsn > out->durable_lsn) out->durable_lsn = segments[i].map_lsn;
    if (out->durable_lsn < c->manifest.durable_lsn) out->durable_lsn = c->manifest.durable_lsn;
    out->max_int_id = c->max_int_id;
    out->has_int_id = c->has_int_id;
    out->fields[0].dim = c->dim;
    if (r->is_merge) return 0;
    uint64_t upto = does_without_log(out) ? UINT64_MAX : manifest_replay_from(out);
    out->wal_first = closes_log(c, r, out, retire_log) ? wal_first_after_close(c->wal, upto)
                                                       : wal_first_needed(c->wal, upto);
    return 0;
}

/* Nothing can fail any more: the collection's parts become `n`. */
static void take_next_parts(struct collection *c, struct next_parts *n, struct view *take_view)
{
    for (size_t i = 0; i < c->part_count; i++) collection_part_deinit(&c->parts[i]);
    if (n->count > 0) memcpy(c->parts, n->parts, n->count * sizeof *n->parts);
    c->part_count = n->count;
    mem_free(c->desc.alloc, n->parts);
    *n = (struct next_parts){0};
    view_slot_publish(c->desc.slot, collection_fill_view(c, take_view));
}

static void release_files(struct collection *c, const struct collection_rewrite *r)
{
    struct error err = {0};
    bool is_pinned = false;

    /* Recycling counts as deletion (R8): not while a reader may still replay it. */
    if (file_gc_is_pinned(c->desc.lock_file, c->manifest.number, c->manifest.epoch, &is_pinned,
                          &err) == 0 &&
        !is_pinned)
        wal_retire(c->wal, c->manifest.wal_first);
    /* What r built is named by now. */
    struct file_gc_keep keep = collection_files_kept(c);
    if (!r->is_merge) keep.is_building = c->merge.is_active && !c->merge.built;
    else keep.is_building = c->seal.is_active;
    collection_remove_garbage(c, &keep);
}

/* Planted mutants of (1). */
static bool skips_log_sync(const struct collection *c, const struct collection_rewrite *r)
{
    if (c->manifest.sync_level == SYNC_NONE) return false;
    return FAULT(SEAL_NO_WAL_SYNC) ||
           (FAULT(SEAL_WAL_SYNC_TO_F) && c->log->ops->durable_lsn(c->log) >= r->flushed_lsn);
}

/* The files of what comes next: the built segment is opened, maps are written, names are durable.
 */
static int make_files(struct collection *c, const struct collection_rewrite *r,
                      const struct segment_build *build, struct next_parts *next, struct error *err)
{
    bool is_none = c->manifest.sync_level == SYNC_NONE;
    uint64_t flushed_lsn = r->is_merge ? c->manifest.flushed_lsn : r->flushed_lsn;
    uint64_t complete_lsn = is_none ? flushed_lsn : c->applied_lsn, durable;

    file_sweep_stop(c->sweep); /* R7: a map may have the name of one that was never named */
    if (!skips_log_sync(c, r) && collection_sync(c, &durable, err) != 0) return -1; /* (1) */
    if (make_next_parts(c, r, build, next, err) != 0) return -1;
    int rc = r->is_merge ? save_merged_map(c, r, build, next, complete_lsn, err)
                         : save_maps(c, r, build, next, complete_lsn, err);
    if (rc != 0 || collection_reserve_parts(c, next->count, err) != 0) return -1;
    if (FAULT(SEGMENT_SKIP_DIRSYNC)) return 0;
    return vfs_dir_sync(c->dir, err); /* R5, R10 */
}

/* A seal under way has its inputs behind those of a merge: they have moved. */
static void move_seal(struct collection *c, const struct collection_rewrite *r, size_t part_count)
{
    if (r->is_merge && c->seal.is_active) c->seal.first_part -= c->part_count - part_count;
}

int collection_publish_rewrite(struct collection *c, const struct collection_rewrite *r,
                               const struct segment_build *build, bool retire_log,
                               struct error *err)
{
    struct next_parts next = {0};
    struct manifest manifest = {0};
    struct view *view = NULL;
    int rc = -1;

    if (make_files(c, r, build, &next, err) != 0) goto out;
    if (view_create(c->desc.alloc, next.count, &view, err) != 0) goto out;
    if (make_manifest(c, r, &next, retire_log, &manifest, err) != 0) goto out;
    bool is_closed = closes_log(c, r, &manifest, retire_log);
    if (FAULT(EARLY_UNLINK)) {
        if (is_closed) wal_close_current(c->wal);
        wal_retire(c->wal, manifest.wal_first);
    }
    if (collection_swap_manifest(c, &manifest, err) != 0) goto out;
    if (is_closed) wal_close_current(c->wal); /* (6) */
    move_seal(c, r, next.count);
    take_next_parts(c, &next, view);
    view = NULL;
    release_files(c, r);
    rc = 0;
out:
    next_parts_deinit(c, &next);
    manifest_deinit(&manifest);
    view_release(view);
    return rc;
}

void collection_rewrite_reset(struct collection_rewrite *r)
{
    index_builder_destroy(r->index_build);
    segment_index_release(r->index);
    segment_release(r->built);
    view_release(r->inputs);
    view_release(r->as_of);
    memset(r, 0, sizeof *r);
}

struct segment_build_desc collection_describe_build(const struct collection *c,
                                                    const struct collection_rewrite *r)
{
    return (struct segment_build_desc){
        .alloc = c->desc.alloc,
        .dir = c->dir,
        .owner = c->desc.owner,
        .rng = c->desc.rng,
        .dim = c->dim,
        .storage = c->manifest.fields[0].storage,
        .parts = r->inputs->parts,
        .part_count = r->part_count,
        .flushed_lsn = r->flushed_lsn,
    };
}
