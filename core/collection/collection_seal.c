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

/* Rows that are to have an index should not wait long for it. */
static bool is_enough_to_index(const struct collection *c)
{
    struct index_plan plan;

    return c->parts[c->part_count - 1].row_count >= INDEX_TAIL_ROWS &&
           collection_plan_of(&c->manifest.fields[0], &plan);
}

void collection_freeze_early(struct collection *c)
{
    if (!c->tail || frozen_count(c) >= FROZEN_MAX ||
        !(active_segment_is_over_share(c->tail) || is_enough_to_index(c)))
        return;
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

static void seal_reset(struct collection *c)
{
    collection_rewrite_reset(&c->seal);
}

int collection_seal_begin(struct collection *c, bool force, struct segment_build_desc *out_desc,
                          struct error *err)
{
    struct collection_rewrite *s = &c->seal;

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
    /* One with an index is a merge's, whose result has its own. */
    if (count > 0 && first > 0 && c->parts[first - 1].row_count < SMALL_SEGMENT_ROWS &&
        !collection_is_rewritten(&c->merge, first - 1) &&
        !manifest_find_index(&c->parts[first - 1].info, 0)) {
        first--;
        count++;
        REACHED(SEAL_SMALL_REWRITTEN);
    }
    s->first_part = first;
    s->part_count = count;
    s->inputs = collection_view_of_parts(c, first, count, err);
    s->as_of = s->inputs ? collection_view_of_parts(c, 0, c->part_count, err) : NULL;
    if (!s->as_of) {
        seal_reset(c);
        return -1;
    }
    s->is_active = true;
    *out_desc = collection_describe_build(c, s);
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

int collection_seal_finish(struct collection *c, struct segment_build *build, bool retire_log,
                           struct error *err)
{
    struct error failed = {0};

    CHECK(c->seal.is_active);
    int rc = collection_publish_rewrite(c, &c->seal, build, retire_log, &failed);
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
