/* SPDX-License-Identifier: Apache-2.0 */
/* collection.h — one collection as a single-threaded state machine (architecture D3).
 *
 * STATE       Parts, oldest first: sealed segments, frozen tails that wait to be sealed, and last
 *             the tail.  Each part has the current version of its tombstones.  A manifest names
 *             the sealed ones; the log holds what they lack.
 * A BATCH     stage (validate, resolve against the state and the batch's overlay, write rows
 *             behind the visible ones, reserve all that apply needs) → log → complete → apply
 *             (cannot fail) → publish one view → answer.
 * INVARIANTS  (1) applied_lsn is the LSN of the published view; flushed <= durable <= applied, but
 *                 in level `none` nothing is durable before it is flushed.
 *             (2) In level `always` a view is published only after its groups are durable (P3).
 *             (3) A row is live in at most one part: entombing the old version and showing the new
 *                 one is one view.
 *             (4) A refused group leaves nothing: no row, no tombstone, no LSN.
 *             (5) The newest version of an id is kept, deleted or not; sealing leaves out
 *                 superseded ones.
 *             (6) After a failed sync nothing is ever logged again (R9).
 *             (7) While sealing fails, a bounded number of frozen tails waits: then writes that add
 *                 rows are refused, and reads, deletions and restores go on.
 *             (8) A request's id stands in its group's record, and in the manifest once that has
 *                 flushed the group: recovered together or not at all (P4).
 * THREADS     One thread at a time calls in, the actor; readers go through the view slot alone.
 *             A seal's build runs elsewhere, on a view of its own.
 */
#ifndef COLLECTION_COLLECTION_H
#define COLLECTION_COLLECTION_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash_map.h"
#include "codec/record.h"
#include "collection/request_window.h"
#include "segment/active_segment.h"
#include "segment/index_builder.h"
#include "segment/segment_builder.h"
#include "segment/view.h"
#include "store/file_gc.h"
#include "store/file_sweep.h"
#include "store/manifest.h"
#include "store/recovery.h"
#include "store/wal.h"

enum write_kind { WRITE_ADD, WRITE_UPSERT, WRITE_DELETE, WRITE_RESTORE };

/* One group: the request, borrowed until it is answered, and its answer. */
struct collection_write {
    enum write_kind kind;
    const struct record_id *ids; /* NULL with WRITE_ADD: given by the collection */
    size_t count;
    /* ADD, UPSERT: count x dim; memory that is the write's own where the collection keeps another
     * type than f32: it is rounded in place. */
    const float *vectors;
    /* NULL, or the block of the collection's allocator that vectors is all of: the tail may take
     * it, which sets this to NULL, and ends it if the group is refused later.  The write's owner
     * frees what is left. */
    float *take_vectors;
    uint32_t dim;
    const struct slice *documents; /* NULL or size 0: add: empty; upsert: keep the old ones */
    /* DELETE: NULL, or the LSN of each id's version: only those that are still of it go. */
    const uint64_t *if_lsns;
    uint8_t sync;                 /* enum sync_level; 0: the collection's */
    struct request_stamp request; /* see collection_write_identify */

    const struct record_id *resolved_ids; /* DELETE, RESTORE: those that the group changes */
    const uint64_t *resolved_versions;    /* the LSN of each one's version */
    struct error error;                   /* code 0: done */
    uint64_t lsn;                         /* 0: nothing had to be written */
    uint64_t row_count;
    uint64_t first_number; /* first id given */
    uint8_t sync_reached;
    bool is_repeat; /* the request was applied before; this is its first answer, synced as now */
};
/* Called exactly once a write, in order, when its answer stands in it. */
typedef void collection_written_fn(void *ctx, struct collection_write *w);

struct collection_desc {
    struct alloc *alloc;
    struct vfs_dir *take_dir; /* the collection's directory */
    struct file_owner owner;
    uint64_t number;           /* in the catalog */
    uint64_t tail_share_bytes; /* a tail that holds more is sealed; 0: no bound of this kind */
    const struct clock *clock;
    struct rng *rng;
    struct doc_cache *cache;
    struct vfs_file *lock_file;   /* to ask for pins; NULL: nobody else can read */
    struct view_slot *slot;       /* where views are published; the owner's */
    struct file_sweeper *sweeper; /* NULL: garbage is unlinked where it is found */
    bool read_only;
    bool may_sync; /* false: inline mode without syncs (R4b) */
    collection_written_fn *on_written;
    void *on_written_ctx;
};
/* What a new collection starts with. */
struct collection_options {
    uint32_t dim; /* 0: from the first vectors */
    uint8_t metric;
    uint8_t storage; /* of its vectors, enum storage_type; 0: F32 */
    uint8_t sync_level;
    uint32_t sync_interval_ms;
    const char *description; /* NULL: none */
};

enum part_state { PART_SEALED, PART_FROZEN, PART_TAIL };
struct collection_part {
    enum part_state state;
    struct segment *segment;
    struct tombstones *dead;
    struct tombstones *saved; /* sealed: the version that its delete map on disk holds */
    uint32_t row_count;       /* committed */
    uint32_t kept_dead_count; /* sealed: deleted rows that its build had to keep; 0: not known */
    uint64_t last_lsn;        /* frozen: F of its freeze */
    struct manifest_segment info; /* sealed */
    struct segment_index *index;  /* sealed: that of its index's file; NULL: it has none */
    bool is_not_indexed;          /* its rows cannot be read: no index is built any more */
    uint32_t index_damages;       /* of it, that were dropped since they were asked for */
};

/* A change of one tombstone that the batch will make. */
struct staged_mark {
    uint32_t part;
    uint32_t row;
    bool dead;
};
/* What the batch has done to an id so far; found by hash, chained. */
struct overlay_entry {
    struct record_id id; /* borrowed from the write */
    uint64_t lsn;        /* of the version */
    uint32_t part;
    uint32_t row;
    uint32_t previous; /* older entry of the same hash, or UINT32_MAX */
    bool dead;
};
/* How much is staged: where a refused group is cut off. */
struct staged_group {
    uint32_t staged_rows; /* of the tail */
    size_t mark_count;
    size_t overlay_count;
    uint64_t max_int_id;
    bool has_int_id;
};
struct collection_batch {
    struct buf writes;    /* struct collection_write *, to be answered in order */
    size_t pending_count; /* of them: have an LSN and are not decided */
    size_t pending_bytes; /* logged */
    struct buf ends;      /* struct staged_group: what is staged with each pending one */
    struct buf marks;     /* struct staged_mark */
    struct buf overlay;   /* struct overlay_entry */
    struct int_map overlay_heads;
    struct buf payload;             /* scratch for one record */
    struct arena arena;             /* ids given, old documents; until the batch is answered */
    struct tombstones_edit **edits; /* one a part, NULL where untouched */
    struct view *view;              /* reserved; filled when the batch is applied */
    uint64_t max_int_id;            /* with the staged groups */
    bool has_int_id;
    bool wants_sync;
    bool needs_overlay; /* another group follows */
};

/* A seal or a merge under way: parts that were lent to a build, and what was deleted of them then.
 */
struct collection_rewrite {
    bool is_active, is_merge;
    uint64_t flushed_lsn; /* of a seal: F; of a merge: the manifest's when it began */
    size_t first_part;    /* inputs: parts [first_part, first_part + part_count) */
    size_t part_count;
    struct view *inputs; /* the input parts; of a seal as of F */
    struct view *as_of;  /* all parts as of then (a seal in `none`: maps may hold nothing later; a
                            merge: where newer versions of its rows may be) */
    /* Of a merge: what was built, while it gets its index, the build of that, and what came of it;
     * NULL before, and where it gets none. */
    struct segment *built;
    struct index_builder *index_build;
    struct segment_index *index;
};

struct collection {
    struct collection_desc desc;
    struct vfs_dir *dir;
    struct manifest manifest; /* the ruling one */
    struct wal *wal;          /* NULL when read-only */
    struct file_sweep *sweep; /* NULL: see collection_desc.sweeper */
    struct commit_log *log;
    struct collection_part *parts;
    size_t part_count;
    size_t part_capacity;
    struct active_segment *tail; /* of the last part; NULL while the dimension is unknown */
    uint32_t tail_dim;
    uint32_t dim; /* 0: not known before the first vectors are applied */
    uint64_t applied_lsn;
    uint64_t max_int_id;
    bool has_int_id;
    bool is_poisoned;
    struct error poison;            /* why */
    struct request_window requests; /* applied, and of the batch under way */
    struct collection_batch batch;
    struct collection_rewrite seal, merge;
    struct index_builder *index_build; /* of an index that is being built; NULL: none is */
    uint64_t index_asked_lsn;  /* applied when the plan was set, or since then when it was opened */
    uint32_t seal_failures;    /* in a row, of what still waits to be sealed */
    struct error seal_failure; /* the last one of them */
    uint64_t seal_retry_us; /* the owner's: when it tries again by itself (monotonic); 0: never */
};

/* ---- collection_open.c ---- */

/* Write the first manifest into the empty directory, synced (the caller syncs the parent and names
 * it in the catalog afterwards, R10). */
int collection_create(const struct collection_desc *desc, const struct collection_options *options,
                      struct error *err);
/* Recover and publish the first view.  take_dir is taken on success and on failure. */
int collection_open(const struct collection_desc *desc, struct collection **out, struct error *err);
/* The first half of closing: everything applied is durable, and vouched for by more than itself
 * (R3).  In `none` that is a flush; in other levels there is one when more than CLOSE_FLUSH_BYTES
 * would be replayed, unless no sync is allowed here (desc.may_sync): a frame never waits for more
 * than it must.  Nothing is freed, and after an error it may be done again. */
int collection_settle(struct collection *c, struct error *err);
/* After settling failed with *err: put what is durable before it.  OUTCOME_UNKNOWN: acknowledged
 * writes may be missing; any other code: none is. */
void collection_explain_unsettled(const struct collection *c, struct error *err);
/* Bytes of its files: segments, and log that would be replayed. */
uint64_t collection_disk_bytes(const struct collection *c);
/* Bytes that a flush would write, about: of rows that are in no segment yet. */
uint64_t collection_waiting_bytes(const struct collection *c);
/* The second half: free without writing.  No seal is under way.  What is not settled is as a crash
 * would leave it, and recovered at the next open. */
void collection_abandon(struct collection *c);

/* ---- collection_write.c ---- */

/* What can be said without the state: counts, ids, finite components, sizes, duplicates.  Any
 * thread; callers do it before they send. */
int collection_write_check(struct alloc *a, const struct collection_write *w, struct error *err);
/* What an add or upsert takes in the log, at most; ids that are still to be given are integers. */
size_t collection_group_bytes(const struct collection_write *w);
/* TOO_LARGE beyond LIMIT_GROUP_BYTES. */
int collection_check_group_bytes(size_t bytes, struct error *err);
/* Log and apply checked groups in order; one sync, one view; on_written for each, always. */
void collection_write_batch(struct collection *c, struct collection_write **writes, size_t count);
/* Everything applied so far is durable.  In level none nothing is in the log: *out_durable_lsn is
 * what was flushed, and 0 is returned all the same (see collection_flush). */
int collection_sync(struct collection *c, uint64_t *out_durable_lsn, struct error *err);
/* A durable mark, when nothing was written for 100 ms (R3). */
int collection_mark(struct collection *c, struct error *err);

/* ---- collection_request.c ---- */

/* The write answers the request of this id, not all zero: a retry of it is answered and applies
 * nothing.  The id is for this command alone, told by its hash.  Any thread, before the write is
 * handed over; nothing of the command changes afterwards. */
void collection_write_identify(struct collection_write *w, const uint8_t id[REQUEST_ID_BYTES]);
/* Would the write be answered as a repeat, or refused for its id, without being looked at? */
bool collection_knows_request(const struct collection *c, const struct collection_write *w);

/* ---- collection_seal.c ---- */

/* Freeze the tail if it has rows. NO_MEMORY leaves it as it is. */
int collection_freeze(struct collection *c, struct error *err);
/* Before the tail is full.  Under a memory budget, as soon as it is over its share: a write that
 * would do it, as it does with other full tails, may not fit any more.  Where an index is asked
 * for, as soon as it is worth one. */
void collection_freeze_early(struct collection *c);
/* May a write add rows?  Not while as many full tails wait as may, and nothing takes them away: the
 * last seal failed, or no sync is allowed here (R4b).  BUSY, or DISK_FULL when that is why sealing
 * fails; with the reason and when it is tried again. */
int collection_check_room(const struct collection *c, struct error *err);
bool collection_wants_seal(
    const struct collection *c); /* a frozen tail waits and no seal is under way */
/* Writes should wait: the tail is full and as many frozen ones as may wait do. */
bool collection_is_stalled(const struct collection *c);
/* Begin: *out_desc is what segment_build_run needs, on any thread, until finish or cancel.  force:
 * also with nothing frozen, to move deletions and flushed_lsn into the manifest. */
int collection_seal_begin(struct collection *c, bool force, struct segment_build_desc *out_desc,
                          struct error *err);
/* Publish a finished build (late deletions replayed, maps, manifest, view), or forget a failed one.
 * retire_log: the current log file is closed too (checkpoint). */
int collection_seal_finish(struct collection *c, struct segment_build *build, bool retire_log,
                           struct error *err);
void collection_seal_cancel(struct collection *c);
/* A seal could not be begun, or its build failed: forget it, and remember why (see
 * collection_check_room) until one succeeds. */
void collection_seal_fail(struct collection *c, const struct error *why);
/* Freeze and seal everything, on this thread.  On failure the tail is as it was. */
int collection_flush(struct collection *c, bool retire_log, struct error *err);

/* ---- collection_merge.c ---- */

/* Would a merge of sealed segments be worth its work, and may one begin? */
bool collection_wants_merge(const struct collection *c);
/* Would one, where nothing has been written for a while? */
bool collection_wants_quiet_merge(const struct collection *c);
/* Should the tail be frozen and sealed then, before that, full or not? */
bool collection_wants_quiet_seal(const struct collection *c);
/* Is one under way that no index may be begun beside? */
bool collection_merge_comes_first(const struct collection *c);
/* Begin what is wanted, of both the former: *out_desc is what a segment_builder needs, on any
 * thread, until finish or cancel.  Reads go on meanwhile, and so do writes, seals and builds of
 * indexes.  NO_MEMORY. */
int collection_merge_begin(struct collection *c, struct segment_build_desc *out_desc,
                           struct error *err);
/* What a merge of segments with indexes has built gets its own before it is shown.  1:
 * c->merge.index_build is to be worked on, on any threads, until merge_index_end; 0: it needs none.
 */
int collection_merge_index_begin(struct collection *c, const struct segment_build *build,
                                 struct error *err);
/* Nobody works on it any more: its file is one of the build's.  It may be loaded before finish
 * (c->merge.index; NULL: nobody wants it any more).  -1: why there is none; CANCELLED. */
int collection_merge_index_end(struct collection *c, struct segment_build *build,
                               struct error *err);
/* Has a search loaded an index of what is merged?  Then that of the result should be, too. */
bool collection_merge_is_searched(const struct collection *c);
/* In level `none`: not while a seal is under way. */
bool collection_merge_must_wait(const struct collection *c);
/* Publish a finished build: one segment, or none, in the place of those that were merged.  It may
 * have its index, and has it where they have theirs. */
int collection_merge_finish(struct collection *c, struct segment_build *build, struct error *err);
/* Files of what was built are the caller's to remove. */
void collection_merge_cancel(struct collection *c);

/* ---- collection_options.c ---- */

int collection_set_sync(struct collection *c, uint8_t level, uint32_t interval_ms,
                        struct error *err);
/* LIMIT, INVALID: not UTF-8.  NULL is allowed.  Any thread. */
int collection_description_check(const char *description, struct error *err);
int collection_set_description(struct collection *c, const char *description, struct error *err);
/* Install the hook at its point, with the next version of it, which is set here; without a source:
 * drop what is there (NOT_FOUND).  Searches that begin afterwards see it.  The reference stays the
 * caller's. */
int collection_set_hook(struct collection *c, struct installed_hook *hook, struct error *err);

/* ---- collection_index.c ---- */

/* What the field's segments are to be searched by; false: no index is built: by every row. */
bool collection_plan_of(const struct manifest_field *f, struct index_plan *out);
/* Compare by this metric from now on, and search by this plan, as soon as segments have an index;
 * indexes of another plan or metric are gone with the same manifest.  INTERNAL: there is no such
 * kind or metric; INVALID, DIMENSION: the metric cannot measure what there is; a row is named by
 * its id.  measured: a view of which it is known that the metric can, so that only what came later
 * is looked at; NULL: all rows are. */
int collection_set_index(struct collection *c, const struct index_plan *plan, uint8_t metric,
                         const struct view *measured, struct error *err);
/* Is it what the manifest has? */
bool collection_has_plan(const struct collection *c, const struct index_plan *plan, uint8_t metric);
/* A segment lacks its index, and none is being built. */
bool collection_wants_index(const struct collection *c);
/* So many indexes of it were damaged; 0 too where none is lacking. */
uint32_t collection_next_damages(const struct collection *c);
/* Begin to build it: c->index_build is to be worked on, on any threads, until finish. */
int collection_index_begin(struct collection *c, struct error *err);
/* Nobody works on it any more: name what was built in a manifest and show it, or give it up and say
 * why.  What nobody wants any more is given up too, which is no failure. */
int collection_index_finish(struct collection *c, struct error *err);
/* The file of this index is no use: name it no more. */
int collection_drop_index(struct collection *c, const struct segment_index *index,
                          const struct error *why, struct error *err);

struct collection_index_count {
    uint32_t wanted, built; /* segments that are to have an index, and that have it */
    uint32_t settled;       /* of these: loaded, or not going to be */
    uint64_t indexed_rows, wanted_rows;
    size_t memory_bytes; /* of what is loaded */
};
/* Of segments that begin at this LSN at the latest. */
void collection_count_indexes(const struct collection *c, uint64_t lsn,
                              struct collection_index_count *out);

/* Rows that are to have an index and have none; 0: none is asked for, or can be made.
 * *out_waiting: those of them that are not in the tail. */
void collection_count_unindexed(const struct collection *c, uint64_t *out_rows,
                                uint64_t *out_waiting);

/* ---- collection_check.c ---- */

/* Every invariant over every file and the state. Slow; for tests and
 * tools. */
int collection_check(struct collection *c, struct error *err);

/* ---- inside this layer ---- */

/* collection_apply.c */
int collection_reserve_parts(struct collection *c, size_t count, struct error *err);
void collection_close_tail(struct collection *c); /* without rows; the dimension is unknown again */
struct view *collection_fill_view(struct collection *c, struct view *take_v); /* cannot fail */
int collection_publish(struct collection *c, struct error *err);
wal_record_fn collection_replay_record;
int collection_open_tail(struct collection *c, uint32_t dim, struct error *err);
void collection_part_deinit(struct collection_part *p);

/* collection_write.c: what the log calls. */
commit_complete_fn collection_on_complete;

/* collection_request.c */
void collection_stamp_request(const struct collection *c, struct collection_write *w); /* first */
bool collection_request_is_pending(const struct collection *c, const struct collection_write *w);
/* true: w is answered, but for its level. */
bool collection_answer_repeat(struct collection *c, struct collection_write *w);
int collection_reserve_request(struct collection *c, struct collection_write *w, struct error *err);
void collection_remember_request(struct collection *c, const struct collection_write *w,
                                 uint64_t lsn); /* reserved */
int collection_replay_request(struct collection *c, const struct record_view *r, uint64_t lsn,
                              struct error *err);
int collection_load_requests(struct collection *c, const struct applied_requests *from,
                             struct error *err);
/* What the manifest must keep. */
int collection_keep_requests(struct collection *c, struct manifest *m, struct error *err);

/* collection_stage.c */
int collection_stage(struct collection *c, struct collection_write *w, uint64_t lsn,
                     struct error *err);
struct staged_group collection_stage_mark(const struct collection *c);
void collection_unstage(struct collection *c, const struct staged_group *before);
int collection_find(struct collection *c, const struct record_id *id, struct overlay_entry *out,
                    struct error *err);

/* collection_index.c.  Is the segment one that is to have an index, and has none? */
bool collection_lacks_index(const struct collection_part *p);
/* What builds the index of these rows by the plan there is; false: there is none. */
bool collection_describe_index(const struct collection *c, struct segment *segment,
                               uint32_t row_count, struct index_builder_desc *out);
/* The index that the manifest names for a sealed part, if any. */
int collection_open_index(struct collection *c, struct collection_part *p, struct error *err);
struct file_gc_keep collection_files_kept(const struct collection *c);

/* collection_fields.c: the metric of m is among those that there are; or `code`.
 * UNSUPPORTED: another number of vector fields than one, or one that is not of dense f32 vectors.
 */
int collection_check_fields(const struct manifest *m, int code, struct error *err);

/* collection_rewrite.c */
int collection_publish_rewrite(struct collection *c, const struct collection_rewrite *r,
                               const struct segment_build *build, bool retire_log,
                               struct error *err);
void collection_rewrite_reset(struct collection_rewrite *r);
/* What its build needs, of inputs that were lent; a merge adds where newer versions may be. */
struct segment_build_desc collection_describe_build(const struct collection *c,
                                                    const struct collection_rewrite *r);
struct view *collection_view_of_parts(struct collection *c, size_t first, size_t count,
                                      struct error *err);
static inline bool collection_is_rewritten(const struct collection_rewrite *r, size_t part)
{
    return r->is_active && part >= r->first_part && part < r->first_part + r->part_count;
}

/* collection_options.c: publish manifest `next` as the ruling one; takes it. */
int collection_swap_manifest(struct collection *c, struct manifest *take_next, struct error *err);
/* Remove files that nothing needs; what resists is logged. */
void collection_clean(struct collection *c);
/* With what else is to be kept. */
void collection_remove_garbage(struct collection *c, const struct file_gc_keep *keep);
void collection_poison(struct collection *c, const struct error *why);

#endif
