/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h — the handle of an open root: its lock, its catalog, its collections and their actors.
 *
 * THREADS  Every function may be called from any thread, but not from an actor's turn; in inline
 *          mode from one thread at a time.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "actor/actor.h"
#include "actor/scheduler.h"
#include "base/thread.h"
#include "engine/catalog.h"
#include "engine/index_pace.h"
#include "engine/messages.h"
#include "engine/reaper.h"
#include "engine/recall.h"
#include "engine/space.h"
#include "query/search.h"
#include "segment/column_cache.h"
#include "segment/segment_shadow.h"
#include "store/dir_lock.h"

struct engine_desc {
    const char *path;
    bool read_only;
    bool immutable; /* with read_only: no lock */
    bool no_create;
    bool allow_network_fs;
    bool poll_may_sync; /* inline: polling may sync */
    bool is_inline;
    uint8_t sync_level; /* default of new collections; 0: always, inline os */
    uint32_t sync_interval_ms;
    uint64_t low_water_bytes; /* 0: the default; see space.h */
    unsigned actor_threads;
    unsigned search_threads;
    unsigned job_threads;
    struct alloc_hooks hooks;
    size_t budget_bytes;
    uint64_t seed;        /* 0: from the system */
    bool measures_recall; /* when idle; see recall.h */
    /* Tests: */
    struct vfs *vfs;             /* NULL: by path */
    const struct clock *clock;   /* NULL: the system's */
    struct scheduler *scheduler; /* NULL: by is_inline; borrowed */
    struct alloc *alloc;         /* NULL: made from hooks; borrowed */
};

struct engine {
    struct engine_desc desc;
    struct alloc *alloc;
    struct vfs *vfs;
    struct vfs *own_vfs;
    struct vfs_dir *root;
    struct dir_lock lock;
    struct space space;
    struct uuid uuid; /* of the root; constant once it is open */
    const struct clock *clock;
    struct scheduler *scheduler;
    struct scheduler *own_scheduler;
    struct reaper *reaper;
    struct doc_cache *cache;
    struct column_cache *fields;
    struct shadow_room *shadows;
    struct actor *catalog_actor;
    int opener_pid;
    unsigned search_threads;        /* resolved */
    unsigned job_threads;           /* likewise */
    _Atomic(uint64_t) search_count; /* that were begun; where recall is measured */
    unsigned waiting_calls; /* inline: the host waits for an answer now, and so for a disk */
    struct mutex mutex;     /* of all below */
    struct catalog catalog;
    struct rng rng;
    struct host *hosts;
    struct host *dropped_hosts;
    struct host *closed_hosts; /* who closes: their actors have closed the collections */
    struct rng catalog_rng;    /* the catalog actor's */
    bool is_closing;
    struct error close_error; /* who closes: what engine_close is going to say */
    struct error poison;      /* code 0, or why the catalog cannot be written any more */
};

/* A collection that is open in this process.  Reference-counted by its handles and by the list. */
struct host {
    struct host *next;
    uint32_t handle_count; /* engine's mutex */
    struct engine *engine;
    struct catalog_collection entry;
    struct actor *actor;
    struct view_slot slot; /* what readers see */
    bool is_open;          /* engine's mutex */
    bool is_dropped;       /* engine's mutex */
    bool is_idle;          /* engine's mutex; dropped, and its actor has closed */
    /* In the actor's turn. */
    struct collection *collection; /* NULL before open and after close */
    bool is_closed;                /* it is never opened again */
    bool is_ending;                /* CLOSE has come: nothing is begun any more */
    struct rng rng;
    struct actor_timer *sync_timer;
    struct actor_timer *mark_timer;
    bool sync_is_armed;
    bool mark_is_armed;
    uint64_t last_write_us;         /* or of opening */
    uint64_t pinned_epoch;          /* read-only */
    struct segment_task *seal;      /* under way */
    struct segment_task *merge;     /* likewise; until it is published or given up */
    struct index_crew *merge_index; /* the index of what it has built, being built */
    struct load_task *merge_load;   /* or being loaded */
    bool merge_waits;               /* for a seal, to be published */
    struct actor_timer *merge_timer;
    bool merge_is_armed;
    uint64_t merge_not_before_us;   /* after one that failed */
    uint32_t merge_failures;        /* in a row */
    struct index_crew *index;       /* a build that is under way */
    bool index_is_back;             /* its crew is done; the file may have to be written (R4b) */
    struct load_task *load;         /* of an index, likewise */
    struct actor_timer *load_timer; /* those that found no memory may be wanted again */
    uint32_t load_failures;         /* in a row, for want of memory or of descriptors, */
    struct error load_failure;      /* and the last; code 0: none since one was loaded */
    struct recall_sampler recall;
    struct recall_task *recall_task; /* while samples wait */
    struct actor_timer *recall_timer;
    struct buf index_waiters; /* struct order_message *: for indexes to be there */
    struct actor_timer *index_timer;
    uint64_t index_not_before_us;
    uint64_t damage_not_before_us; /* likewise, of what was damaged again when it had been built */
    uint32_t index_failures;       /* in a row */
    uint64_t auto_epoch;           /* of the manifest for which AUTO was asked last */
    struct error index_failure;    /* the last of them */
    uint64_t index_build_count;    /* since it was opened, also in merges */
    uint64_t index_failure_count;
    struct index_pace pace;
    uint64_t held_bytes;            /* of space: what the collection has on the disk */
    uint64_t waiting_bytes;         /* of space: what it still has to write there */
    struct kept_deletes *kept;      /* a batch is being written that may need the reserve */
    struct actor_timer *seal_timer; /* one that failed is tried again */
    uint64_t seal_not_before_us;    /* after one that failed */
    uint32_t seal_failures;         /* of the collection, that have been heeded */
    struct buf deferred;            /* struct message *: wait for the seal */
    struct buf deferred_spare;      /* takes its place while it is worked off */
    size_t deferred_bytes;
    /* Closing and dropping need no memory: made with the host. */
    struct order_message *close_order;
    struct future *closed;
    struct order_message *drop_order;
    struct catalog_message *drop_idle; /* sent, or freed, when drop_order is answered */
};

int engine_open(const struct engine_desc *desc, struct engine **out, struct error *err);
/* Close, in three parts; each does the ones before it if they were not done. */
/* Nothing begins any more, what waits for an answer gets one, every collection is settled.  Calls
 * of other threads may be inside: what they hold is still there. */
void engine_stop(struct engine *e);
/* No call is inside any more: every actor has ended, and with them the callbacks of writes. */
void engine_end_actors(struct engine *e);
int engine_close(struct engine *e, struct error *err);
/* FORKED, INTERNAL (poisoned by a failed check), SHUTTING_DOWN. */
int engine_check(struct engine *e, struct error *err);
int engine_refresh(struct engine *e, struct error *err);
bool engine_poll(struct engine *e, uint64_t budget_us); /* inline; true: more is ready */
int engine_sync_all(struct engine *e, struct error *err);

/* Names are checked; a collection's missing database is made. */
int engine_create_database(struct engine *e, const char *database, struct error *err);
int engine_drop_database(struct engine *e, const char *database,
                         struct error *err); /* with its collections, all or none */
int engine_create_collection(struct engine *e, const char *database, const char *name,
                             const struct collection_options *options, struct error *err);
int engine_drop_collection(struct engine *e, const char *database, const char *name,
                           struct error *err);
/* Open it (recovering at the first time) and count a handle. */
int engine_acquire_host(struct engine *e, const char *database, const char *name, struct host **out,
                        struct error *err);
void engine_release_host(struct host *h);

/* Send and wait; *out_result is the answer's result (may be NULL when none is wanted). */
int engine_call(struct engine *e, struct actor *to, struct message *take_m, uint64_t deadline_us,
                void **out_result, struct error *err);
/* future_wait, noting that the host asked for what happens meanwhile. */
int engine_wait(struct engine *e, struct future *f, uint64_t deadline_us, struct answer *out_answer,
                struct error *err);
struct order_message *engine_order(struct engine *e, enum message_kind kind, struct error *err);
/* An order without a result to a collection: sent, waited for. */
int engine_order_host(struct host *h, struct order_message *take_m, struct error *err);
int engine_host_status(struct host *h, struct collection_status **out, struct error *err);

/* The view that readers take; SHUTTING_DOWN or NOT_FOUND when it is closed or dropped. */
int engine_view(struct host *h, struct view **out, struct error *err);
bool engine_is_dropped(struct host *h);
/* An actor that has closed answers SHUTTING_DOWN: say NOT_FOUND where it did so for a drop. */
void engine_explain_closed(struct host *h, struct error *err);

/* Advance a search for about budget_us (0: to its end), its slices on the search pool beside this
 * thread; see search_split. */
enum search_state engine_advance_search(struct engine *e, struct search *s, size_t slice_count,
                                        uint64_t budget_us, struct error *err);
unsigned engine_search_threads(const struct engine *e);

/* ---- inside this layer ---- */

/* What has to work on a full disk failed with `why`: true if that was for want of room, and the
 * reserve gives some.  Then it is tried once more. */
bool engine_frees_space(struct engine *e, const struct error *why);
/* Try it, and once more if that helps.  0, or the last try's failure. */
typedef int engine_try_fn(void *ctx, struct error *err);
int engine_try_surely(struct engine *e, engine_try_fn *try, void *ctx, struct error *err);

/* catalog_actor.c: catalog_publish; frees_space: with the room of the reserve if it must.  After
 * OUTCOME_UNKNOWN nobody knows which catalog rules: it was renamed, and the sync failed. */
int engine_publish_catalog(struct engine *e, struct catalog *c, bool frees_space,
                           struct error *err);

extern const struct actor_ops collection_actor_ops;
extern const struct actor_ops catalog_actor_ops;
void engine_lock(struct engine *e);
void engine_unlock(struct engine *e);
void engine_free_host(struct host *h);
/* Have its actor close the collection, once, and wait; is_drop: without writing. */
int engine_close_host(struct host *h, bool is_drop, struct error *err);
/* Move one that the catalog does not name any more from the open ones to the dropped ones, where
 * engine_reap finds it; NULL: there is none. */
struct host *engine_detach_unnamed(struct engine *e);
/* catalog_actor.c: make what a drop will send to it. */
int engine_prepare_drop(struct host *h, struct error *err);
/* The actor of a dropped collection has closed it. */
void engine_mark_idle(struct engine *e, uint32_t number);
int engine_start_actor(struct host *h, struct error *err); /* collection_actor.c */
/* collection_status.c, in the collection's turn.  NO_MEMORY. */
int engine_fill_status(struct host *h, struct collection_status *s, struct error *err);
/* merge_task.c, in the collection's turn: begin a merge that is worth it; take in what came back;
 * let one under way end soon, or do without the index that it builds. */
void engine_merge_if_due(struct host *h);
/* Something has been written: look whether one is due when it has been quiet. */
void engine_await_quiet(struct host *h);
timer_fn engine_on_merge_timer;
void engine_on_merge_ready(struct host *h, struct segment_ready_message *m);
void engine_on_merge_indexed(struct host *h, struct index_ready_message *m);
void engine_on_merge_loaded(struct host *h, struct index_loaded_message *m);
void engine_on_seal_over(struct host *h);
void engine_cancel_merge(struct host *h);
void engine_cancel_merge_index(struct host *h);
/* Must a merge be over for it?  Is such a one the next that waits, so that none is begun? */
bool engine_ends_merge(const struct message *m);
bool engine_awaits_merge(const struct host *h);

/* task_message.c, in the collection's turn: what one of its tasks sent. */
void engine_handle_task(struct host *h, struct message *m);

/* seal_task.c, in the collection's turn: hand what is frozen to a job thread; take in what came
 * back, or say why it did not. */
int engine_start_seal(struct host *h, struct error *err);
void engine_on_segment_ready(struct host *h, struct segment_ready_message *m);
/* Start one, when something waits and it is time. */
void engine_seal_if_due(struct host *h);
/* After whatever may have sealed: one that failed is tried again later, ever later. */
void engine_heed_seal(struct host *h);
timer_fn engine_on_seal_timer;
/* Its result is not wanted any more; it comes back soon, CANCELLED. */
void engine_cancel_seal(struct host *h);
/* index_task.c, in the collection's turn: build what is missing of indexes, and answer who waits
 * for them.  Start a build, when one is wanted and it is time. */
void engine_index_if_due(struct host *h);
/* What came back from the threads. */
void engine_end_index(struct host *h, struct index_ready_message *m);
/* SET_INDEX; where it is awaited, it is answered when all segments that there are have their index,
 * loaded. */
void engine_set_index(struct host *h, struct order_message *take_m);
/* An index that is built is of segments: what is in memory becomes one first. */
bool engine_index_needs_seal(const struct order_message *m);
void engine_drop_index_waiters(struct host *h, int code);
/* Where polls may not sync, a finished index waits for a call that may (R4b): this one. */
void engine_save_index(struct host *h);
/* Its result is not wanted any more; it comes back soon. */
void engine_cancel_index(struct host *h);
bool engine_index_is_out(const struct host *h); /* threads work on one */
/* A damaged one was dropped, of a segment that has had so many, this one included; it is the
 * host's index_failure. */
void engine_note_damage(struct host *h, uint32_t damages);
/* None is under way, and none begins for a while, for what has failed. */
bool engine_index_is_put_off(const struct host *h);
timer_fn engine_on_index_timer;
/* index_load.c.  Any thread: have the view's indexes loaded that are not.  Else in the turn. */
void engine_want_indexes(struct host *h, const struct view *v);
void engine_load_if_wanted(struct host *h);
/* Those of damaged files are named no more, where that may sync, and built again. */
void engine_drop_damaged(struct host *h);
void engine_want_all_indexes(struct host *h);
void engine_cancel_load(struct load_task *t); /* NULL allowed */
/* Load it, and say so with a message of this kind.  NULL: why not. */
struct load_task *engine_load_index(struct host *h, struct segment_index *index,
                                    uint16_t loaded_kind, struct error *err);
/* It came back; its error is the message's. */
void engine_free_load(struct load_task *t);
/* recall_task.c.  Any thread: a search that is about to be made over the view. */
void engine_note_search(struct host *h, const struct view *v, const struct search_request *r);
/* Else in the turn: some searches wait to be made again; a piece of that is done; the collection is
 * going to be closed, which waits while a job is out. */
void engine_measure_recall(struct host *h, struct message *take_m);
void engine_end_recall(struct host *h, struct recall_ready_message *m);
bool engine_recall_is_out(const struct host *h);
void engine_cancel_recall(struct host *h);
void engine_stop_recall(struct host *h); /* the actor ends */
void engine_end_load(struct host *h, struct index_loaded_message *m);
/* Of what a load said.  true: it found no memory or no descriptor, which the status tells, and
 * later all such may be wanted again. */
bool engine_postpones_load(struct host *h, const struct error *why);
timer_fn engine_on_load_timer;
/* collection_actor.c: a call of the host, which may wait for the disk, and its end. */
void engine_set_may_sync(struct host *h, bool may_sync);
int engine_end_host_call(struct host *h, int rc, struct error *err);
/* And free it. */
void engine_answer_order(struct order_message *m, int rc, const struct error *err);
/* collection_room.c.  Of NO_MEMORY: what the budget is, where there is one. */
void engine_explain_budget(const struct engine *e, struct error *err);
/* In the collection's turn.  Put its name before an error of a disk or of a queue, and the budget
 * before one of memory. */
void engine_name_collection(const struct host *h, struct error *err);
/* What it has on the disk has changed; NULL: it is closed. */
void engine_note_held(struct host *h, const struct collection *c);
/* Have one again, if there can be: at the end of a call of the host that waits for the disk anyway.
 * Never in a poll or, inline, in a write: it is 16 MiB and a sync. */
void engine_keep_reserve(struct host *h);
/* collection_flush, with the room of the reserve if it must. */
int engine_flush_surely(struct host *h, bool retire_log, struct error *err);
/* collection_set_sync, likewise. */
int engine_set_sync_surely(struct host *h, uint8_t level, uint32_t interval_ms, struct error *err);
/* collection_write_batch; a delete that finds the disk full is tried again with the reserve. */
void engine_write_batch(struct host *h, struct collection_write **writes, size_t count);
/* A write of such a batch is decided.  true: it is not to be answered yet. */
bool engine_keeps_delete(struct host *h, struct collection_write *w);
/* Answer the writes that the disk has no room for; the others' number, which are moved up. */
size_t engine_refuse_without_room(struct host *h, struct message **run, size_t count);
collection_written_fn engine_on_written;
void write_message_free(struct write_message *m);
void write_message_drop(struct message *m, int code);
void order_message_free(struct order_message *m);
void order_message_drop(struct message *m, int code);
/* In the collection's turn: recover it, and read it anew. */
int engine_open_collection(struct host *h, struct error *err);
int engine_refresh_collection(struct host *h, struct error *err);
/* The same seed must not give a root the same names twice: stir in how far the root has come. */
void engine_stir(struct rng *r, uint64_t epoch, uint64_t number);

/* directories.c, R14.  Remove, durably, what c's list of the dropped names and nobody uses; *c
 * forgets it, and is to be published when *out_removed is not 0. */
int engine_remove_dropped(struct engine *e, struct catalog *c, size_t *out_removed,
                          struct error *err);
/* What creations that were interrupted have left.  While the root is being opened. */
int engine_remove_stillborn(struct engine *e, const struct catalog *c, struct error *err);
/* With all that is in it; nothing is there: 0. */
int engine_remove_directory(struct engine *e, const struct uuid *uuid, struct error *err);

/* What a catalog message asks for. */
struct catalog_message {
    struct message base; /* first */
    struct engine *engine;
    struct alloc *alloc;
    char database[NAME_ROOM];
    char name[NAME_ROOM];
    struct collection_options options; /* description: an owned copy */
    uint32_t closing_count;            /* drops: what is still open of it; engine's mutex */
    uint32_t number;                   /* DIRECTORY_IDLE */
    struct catalog_message *waiting;   /* DIRECTORY_IDLE: the drop to be answered */
};
struct catalog_message *engine_catalog_message(struct engine *e, enum message_kind kind,
                                               struct error *err);
void catalog_message_drop(struct message *m, int code);
/* Free dropped collections that are closed and have no handle.  Not in an actor's turn. */
void engine_reap(struct engine *e);

#endif
