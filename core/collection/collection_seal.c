/* SPDX-License-Identifier: Apache-2.0 */
/* collection_seal.c — tail → frozen → sealed: the state's side of moving rows into files.
 *
 * WHAT        freeze makes the tail immutable at LSN F.  seal_begin lends the inputs, as of F, to a
 *             build that runs anywhere.  seal_finish brings what came late (deletions, restores,
 *             the entombing half of upserts) onto the result, writes delete maps, swaps the
 *             manifest, then the view, and only then lets files go.
 * INVARIANTS  (1) The manifest is written after the log is durable up to all that it names (R6).
 *             (2) A map that is named is complete to its LSN; a new segment's to F at least (R6).
 *             (3) In level `none` nothing above F is in anything that the manifest names.
 *             (4) All memory that publishing needs is there before the manifest is.
 *             (5) Files are removed after the manifest that no longer names them is durable
 *                 (R7, R8).
 *             (6) The log's current file is given up after that too: where the manifest finds no
 *                 room, its own is what deletions go on with (R4).
 * THREADS     The collection's actor; the build in between on any.
 * FAILURE     Before the manifest: files of the build are removed and the frozen tail stays, so
 *             that it can be tried again; while that fails, no more than FROZEN_MAX full ones wait.
 *             In the manifest: see collection_swap_manifest.
 */
#include <stdio.h>

#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "base/log.h"
#include "collection/collection.h"
#include "segment/sealed_segment.h"
#include "store/file_gc.h"

/* So many full tails may wait; then writes wait for the seal that is under way, or are refused
 * where none is: it failed, or must not begin (R4b). */
enum { FROZEN_MAX = 2 };

static size_t first_frozen(const struct collection *c)
{
    size_t i = 0;

    while (i < c->part_count && c->parts[i].state == PART_SEALED) i++;
    return i;
}

static size_t frozen_count(const struct collection *c)
{
    size_t count = 0;

    for (size_t i = 0; i < c->part_count; i++) count += c->parts[i].state == PART_FROZEN;
    return count;
}

int collection_freeze(struct collection *c, struct error *err)
{
    if (!c->tail || c->parts[c->part_count - 1].row_count == 0) return 0;
    size_t old = c->part_count - 1;
    if (collection_open_tail(c, c->tail_dim, err) != 0) return -1;
    c->parts[old].state = PART_FROZEN;
    c->parts[old].last_lsn = c->applied_lsn;
    return 0;
}

void collection_freeze_over_share(struct collection *c)
{
    if (!c->tail || !active_segment_is_over_share(c->tail) || frozen_count(c) >= FROZEN_MAX) return;
    (void)collection_freeze(c, NULL); /* without memory for it, the next write tries again */
}

/* Take the freeze of an earlier call back, if nothing was written since. */
static void thaw(struct collection *c)
{
    struct collection_part *last = &c->parts[c->part_count - 1];

    if (!c->tail || last->row_count > 0 || c->part_count < 2 || last[-1].state != PART_FROZEN)
        return;
    uint32_t dim = c->tail_dim;
    collection_close_tail(c);
    last = &c->parts[c->part_count - 1];
    last->state = PART_TAIL;
    last->last_lsn = 0;
    c->tail = active_segment_of(last->segment);
    c->tail_dim = dim;
}

/* ---- sealing that fails ---- */

static void note_failure(struct collection *c, const struct error *why)
{
    if (c->is_poisoned || frozen_count(c) == 0) return;
    c->seal_failures++;
    c->seal_failure = *why;
}

static void forget_failures(struct collection *c)
{
    c->seal_failures = 0;
    c->seal_failure = (struct error){0};
    c->seal_retry_us = 0;
}

static uint32_t retry_after_ms(const struct collection *c)
{
    if (c->seal_retry_us == 0) return 0;
    uint64_t now = clock_now_us(c->desc.clock);
    return c->seal_retry_us <= now ? 1 : (uint32_t)((c->seal_retry_us - now) / 1000 + 1);
}

int collection_check_room(const struct collection *c, struct error *err)
{
    bool is_failing = c->seal_failures > 0;
    /* In `none` a seal freezes the tail, full or not: each attempt may leave one more. */
    bool is_full = (c->tail && active_segment_is_full(c->tail)) ||
                   (is_failing && c->manifest.sync_level == SYNC_NONE);

    if (!is_full || frozen_count(c) < FROZEN_MAX) return 0;
    if (!is_failing && !c->desc.may_sync)
        return error_set(err, LYNSE_BUSY, "two full tails wait to be written; call lynse_sync");
    if (!is_failing) return 0;
    struct error why = c->seal_failure;
    uint32_t after = retry_after_ms(c);
    char when[40] = "call lynse_sync";
    if (after > 0) snprintf(when, sizeof when, "tried again in %u ms", after);
    error_set(err, why.code == LYNSE_DISK_FULL ? LYNSE_DISK_FULL : LYNSE_BUSY,
              "rows wait in memory until a segment can be written, %s: %s", when, why.text);
    if (err) err->os_errno = why.os_errno;
    if (err) err->retry_after_ms = after;
    return -1;
}

/* Does a sealed segment have deletions that its map on disk lacks? */
static bool has_unsaved_marks(const struct collection *c)
{
    for (size_t i = 0; i < c->part_count && c->parts[i].state == PART_SEALED; i++) {
        const struct collection_part *p = &c->parts[i];
        if (p->saved ? !tombstones_equal(p->saved, p->dead) : tombstones_count(p->dead) > 0)
            return true;
    }
    return false;
}

bool collection_wants_seal(const struct collection *c)
{
    return !c->seal.is_active && !c->is_poisoned && c->wal && frozen_count(c) > 0;
}

bool collection_is_stalled(const struct collection *c)
{
    return c->desc.may_sync && c->tail && frozen_count(c) >= FROZEN_MAX &&
           active_segment_is_full(c->tail);
}

static struct view *view_of_parts(struct collection *c, size_t first, size_t count,
                                  struct error *err)
{
    struct view *v;

    if (view_create(c->desc.alloc, count, &v, err) != 0) return NULL;
    for (size_t i = 0; i < count; i++) {
        const struct collection_part *p = &c->parts[first + i];
        v->parts[i] = (struct view_part){.segment = segment_acquire(p->segment),
                                         .dead = tombstones_acquire(p->dead),
                                         .row_count = p->row_count};
    }
    return v;
}

static void seal_reset(struct collection *c)
{
    view_release(c->seal.inputs);
    view_release(c->seal.as_of);
    memset(&c->seal, 0, sizeof c->seal);
}

int collection_seal_begin(struct collection *c, bool force, struct segment_build_desc *out_desc,
                          struct error *err)
{
    struct collection_seal *s = &c->seal;

    CHECK(!s->is_active);
    if (c->is_poisoned || !c->wal) {
        if (err) *err = c->poison;
        return -1;
    }
    /* (3): in `none` every row up to F has to be among the inputs, and F is now. */
    if (c->manifest.sync_level == SYNC_NONE && collection_freeze(c, err) != 0) return -1;
    size_t first = first_frozen(c), count = frozen_count(c);
    bool tail_is_empty = !c->tail || c->parts[c->part_count - 1].row_count == 0;
    CHECK(count > 0 || force);
    s->flushed_lsn = tail_is_empty ? c->applied_lsn
                     : count > 0   ? c->parts[first + count - 1].last_lsn
                                   : c->manifest.flushed_lsn;
    if (count > 0 && first > 0 && c->parts[first - 1].row_count < SMALL_SEGMENT_ROWS) {
        first--;
        count++;
        REACHED(SEAL_SMALL_REWRITTEN);
    }
    s->first_part = first;
    s->part_count = count;
    s->inputs = view_of_parts(c, first, count, err);
    s->as_of = s->inputs ? view_of_parts(c, 0, c->part_count, err) : NULL;
    if (!s->as_of) {
        seal_reset(c);
        return -1;
    }
    s->is_active = true;
    *out_desc = (struct segment_build_desc){
        .alloc = c->desc.alloc,
        .dir = c->dir,
        .owner = c->desc.owner,
        .rng = c->desc.rng,
        .dim = c->dim,
        .parts = s->inputs->parts,
        .part_count = count,
        .flushed_lsn = s->flushed_lsn,
    };
    return 0;
}

void collection_seal_cancel(struct collection *c)
{
    seal_reset(c);
}

void collection_seal_fail(struct collection *c, const struct error *why)
{
    struct error copy = *why;

    seal_reset(c);
    note_failure(c, &copy);
}

/* The new segment's tombstones with everything that has happened since F. */
static int replay_late_marks(struct collection *c, const struct segment_build *build,
                             struct tombstones **out, struct error *err)
{
    const struct collection_seal *s = &c->seal;
    struct tombstones_edit *e;

    if (FAULT(SEAL_FORGETS_LATE_DELETES)) {
        *out = tombstones_acquire(build->dead);
        return 0;
    }
    if (tombstones_edit_begin(build->dead, &e, err) != 0) return -1;
    for (size_t i = 0; i < s->part_count; i++) {
        const struct tombstones *then = s->inputs->parts[i].dead,
                                *now = c->parts[s->first_part + i].dead;
        uint32_t row_count = s->inputs->parts[i].row_count;
        for (uint32_t row = 0; row < row_count; row += 64) {
            uint64_t changed = tombstones_word(then, row) ^ tombstones_word(now, row);
            for (; changed; changed &= changed - 1) {
                uint32_t old = row + (uint32_t)__builtin_ctzll(changed);
                uint32_t new_row = old < row_count ? build->row_map[i][old] : UINT32_MAX;
                if (new_row == UINT32_MAX) continue;
                REACHED(SEAL_LATE_CHANGE);
                if (tombstones_edit_reserve(e, new_row, err) != 0) {
                    tombstones_edit_abort(e);
                    return -1;
                }
                if (tombstones_get(now, old)) tombstones_edit_set(e, new_row);
                else tombstones_edit_clear(e, new_row);
            }
        }
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

static int open_built(struct collection *c, const struct segment_build *build,
                      struct collection_part *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    out->state = PART_SEALED;
    out->info = build->segment;
    out->row_count = (uint32_t)build->segment.row_count;
    if (sealed_segment_open(c->desc.alloc, c->dir, &c->desc.owner, &build->segment, c->dim,
                            c->desc.cache, &out->segment, err) != 0)
        return -1;
    if (replay_late_marks(c, build, &out->dead, err) == 0) return 0;
    collection_part_deinit(out);
    return -1;
}

/* Sealed parts, the built one in the place of its inputs, then whatever was not an input. */
static int make_next_parts(struct collection *c, const struct segment_build *build,
                           struct next_parts *n, struct error *err)
{
    const struct collection_seal *s = &c->seal;

    n->parts = mem_zalloc(c->desc.alloc, MEM_SEGMENT, (c->part_count + 1) * sizeof *n->parts);
    if (!n->parts) return error_no_memory(err, (c->part_count + 1) * sizeof *n->parts);
    for (size_t i = 0; i < s->first_part; i++) n->parts[n->count++] = copy_part(&c->parts[i]);
    if (build && build->segment.row_count > 0) {
        if (open_built(c, build, &n->parts[n->count], err) != 0) return -1;
        n->count++;
    }
    for (size_t i = s->first_part + s->part_count; i < c->part_count; i++)
        n->parts[n->count++] = copy_part(&c->parts[i]);
    return 0;
}

/* Delete maps of all sealed parts, complete to `lsn`. */
static int save_maps(struct collection *c, const struct segment_build *build, struct next_parts *n,
                     uint64_t lsn, struct error *err)
{
    bool is_none = c->manifest.sync_level == SYNC_NONE;
    size_t built = c->seal.first_part;

    for (size_t i = 0; i < n->count && n->parts[i].state == PART_SEALED; i++) {
        struct collection_part *p = &n->parts[i];
        bool is_built = build && build->segment.row_count > 0 && i == built;
        struct tombstones *want = !is_none || FAULT(NONE_LATE_DELETES) ? p->dead
                                  : is_built                           ? build->dead
                                             : c->seal.as_of->parts[i].dead;
        if (FAULT(NONE_MAPS_LAG) && is_none && !is_built) continue;
        if (save_map(c, p, want, lsn, err) != 0) return -1;
    }
    return 0;
}

static bool does_without_log(const struct manifest *m)
{
    return m->sync_level == SYNC_NONE && !FAULT(NONE_KEEP_LOG);
}

/* Does the log's current file end with this manifest? */
static bool closes_log(const struct collection *c, const struct manifest *m, bool retire_log)
{
    return does_without_log(m) || (retire_log && manifest_replay_from(m) == c->applied_lsn);
}

static int make_manifest(struct collection *c, const struct next_parts *n, bool retire_log,
                         struct manifest *out, struct error *err)
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
    out->flushed_lsn = c->seal.flushed_lsn;
    out->durable_lsn = out->flushed_lsn;
    for (size_t i = 0; i < count; i++)
        if (segments[i].map_lsn > out->durable_lsn) out->durable_lsn = segments[i].map_lsn;
    if (out->durable_lsn < c->manifest.durable_lsn) out->durable_lsn = c->manifest.durable_lsn;
    out->max_int_id = c->max_int_id;
    out->has_int_id = c->has_int_id;
    out->fields[0].dim = c->dim;
    uint64_t upto = does_without_log(out) ? UINT64_MAX : manifest_replay_from(out);
    out->wal_first = closes_log(c, out, retire_log) ? wal_first_after_close(c->wal, upto)
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

static void release_files(struct collection *c)
{
    struct error err = {0};
    bool is_pinned = false;

    /* Recycling counts as deletion (R8): not while a reader may still replay it. */
    if (file_gc_is_pinned(c->desc.lock_file, c->manifest.number, c->manifest.epoch, &is_pinned,
                          &err) == 0 &&
        !is_pinned)
        wal_retire(c->wal, c->manifest.wal_first);
    /* What was being built is named by now. */
    struct file_gc_keep keep = collection_files_kept(c);
    keep.is_building = false;
    if (file_gc_run(c->dir, &c->manifest, c->desc.lock_file, &keep, &err) != 0)
        log_event(LOG_WARN, "file_gc_failed reason=\"%s\"", err.text);
}

/* Planted mutants of (1). */
static bool skips_log_sync(const struct collection *c)
{
    if (c->manifest.sync_level == SYNC_NONE) return false;
    return FAULT(SEAL_NO_WAL_SYNC) ||
           (FAULT(SEAL_WAL_SYNC_TO_F) && c->log->ops->durable_lsn(c->log) >= c->seal.flushed_lsn);
}

static int publish_seal(struct collection *c, struct segment_build *build, bool retire_log,
                        struct error *err)
{
    bool is_none = c->manifest.sync_level == SYNC_NONE;
    uint64_t complete_lsn = is_none ? c->seal.flushed_lsn : c->applied_lsn, durable;
    struct next_parts next = {0};
    struct manifest manifest = {0};
    struct view *view = NULL;
    int rc = -1;

    if (!skips_log_sync(c) && collection_sync(c, &durable, err) != 0) goto out; /* (1) */
    if (make_next_parts(c, build, &next, err) != 0 ||
        save_maps(c, build, &next, complete_lsn, err) != 0)
        goto out;
    if (collection_reserve_parts(c, next.count, err) != 0) goto out;
    if (view_create(c->desc.alloc, next.count, &view, err) != 0) goto out;
    if (!FAULT(SEGMENT_SKIP_DIRSYNC) && vfs_dir_sync(c->dir, err) != 0) goto out; /* R5, R10 */
    if (make_manifest(c, &next, retire_log, &manifest, err) != 0) goto out;
    bool is_closed = closes_log(c, &manifest, retire_log);
    if (FAULT(EARLY_UNLINK)) {
        if (is_closed) wal_close_current(c->wal);
        wal_retire(c->wal, manifest.wal_first);
    }
    if (collection_swap_manifest(c, &manifest, err) != 0) goto out;
    if (is_closed) wal_close_current(c->wal); /* (6) */
    take_next_parts(c, &next, view);
    view = NULL;
    release_files(c);
    rc = 0;
out:
    next_parts_deinit(c, &next);
    manifest_deinit(&manifest);
    view_release(view);
    return rc;
}

int collection_seal_finish(struct collection *c, struct segment_build *build, bool retire_log,
                           struct error *err)
{
    struct error failed = {0};

    CHECK(c->seal.is_active);
    int rc = publish_seal(c, build, retire_log, &failed);
    if (rc != 0 && build && !c->is_poisoned) segment_build_remove_files(build, c->dir);
    seal_reset(c);
    if (rc == 0) forget_failures(c);
    else note_failure(c, &failed);
    if (rc != 0 && err) *err = failed;
    return rc;
}

static int seal_all(struct collection *c, bool retire_log, struct error *err)
{
    struct segment_build_desc desc;
    struct segment_build build = {0};
    struct error failed = {0};

    if (collection_seal_begin(c, true, &desc, err) != 0) return -1;
    if (desc.part_count > 0 && segment_build_run(&desc, &build, &failed) != 0) {
        collection_seal_fail(c, &failed);
        if (err) *err = failed;
        return -1;
    }
    int rc = collection_seal_finish(c, desc.part_count > 0 ? &build : NULL, retire_log, err);
    segment_build_deinit(&build);
    return rc;
}

int collection_flush(struct collection *c, bool retire_log, struct error *err)
{
    size_t tails = c->part_count;

    if (c->seal.is_active) return error_set(err, LYNSE_BUSY, "a segment is being written");
    if (c->is_poisoned || !c->wal) {
        if (err) *err = c->poison;
        return -1;
    }
    if (collection_freeze(c, err) != 0) return -1;
    bool is_flushed =
        frozen_count(c) == 0 && !has_unsaved_marks(c) && c->manifest.flushed_lsn == c->applied_lsn;
    if (is_flushed && (!retire_log || wal_file_count(c->wal) == 0)) return 0;
    if (seal_all(c, retire_log, err) == 0) return 0;
    if (c->part_count > tails) thaw(c);
    if (frozen_count(c) == 0) forget_failures(c);
    return -1;
}
