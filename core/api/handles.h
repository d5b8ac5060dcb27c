/* SPDX-License-Identifier: Apache-2.0 */
/* handles.h — what the opaque types of lynse.h are, and the small change of every call. */
#ifndef API_HANDLES_H
#define API_HANDLES_H

#include "base/atomic.h"
#include "engine/engine.h"
#include "lynse.h"
#include "query/fetch.h"
#include "query/hook.h"

/* The allocator of a root.  Results may outlive the root: the last one to let go destroys it. */
struct api_memory {
    struct mutex mutex;
    size_t reference_count;
    struct alloc *alloc;
};

/* A handle that was opened from a root: ended by its own function, or by lynse_close. */
struct api_child {
    struct api_child *previous, *next; /* of the root's list */
    struct lynse *db;
    /* Let go of everything and free it; it is in no list, and the root's mutex is held. */
    void (*end)(struct api_child *child);
    _Atomic(uint32_t) calls; /* see calls.c */
    bool is_ended;           /* root's mutex; by its own function */
};

struct lynse {
    struct api_child self; /* for calls on the root; in no list */
    struct engine *engine;
    struct api_memory *memory;
    int opener_pid;
    _Atomic(bool) is_closing; /* the cancel flag of its searches */
    struct mutex mutex;       /* of the list */
    struct condition left;    /* a handle that is ending was left */
    struct api_child *children;
    bool trusts_scripts;
    struct hook_host *hook_host; /* NULL: hooks are callbacks only; set once, under the mutex */
    void (*destroy_hook_host)(void *host);
};

struct lynse_collection {
    struct api_child child; /* first */
    struct lynse *db;
    struct host *host;
};

/* ---- calls.c ---- */

/* A call begins.  NULL: SHUTTING_DOWN, or FORKED when the parent was closing.  Until it is left the
 * handle and its root are there. */
struct api_child *api_enter(struct api_child *child, struct error *err);
/* *inside is what api_enter gave, NULL too. */
void api_leave(struct api_child **inside);
/* Before the variable that keeps it: the call is left at the end of the block, on every way out. */
#define API_CALL __attribute__((cleanup(api_leave)))

void api_init_child(struct lynse *db, struct api_child *child,
                    void (*end)(struct api_child *child));
void api_adopt(struct lynse *db, struct api_child *child, void (*end)(struct api_child *child));
/* The caller's own end of it, which calls that are inside survive: nothing in a forked child, whose
 * locks may be held by nobody, nor while lynse_close runs, which does it. */
void api_end(struct api_child *child);

/* open.c.  A root as desc says, but in take_alloc (NULL: NO_MEMORY), which ends with the root and
 * its results, or on failure. */
int api_open(const struct engine_desc *desc, struct alloc *take_alloc, struct lynse **out,
             struct error *err);

/* lynse_close.  From now on calls are refused and searches cancelled; false: they were already. */
bool api_refuse_calls(struct lynse *db);
void api_await_calls(struct lynse *db); /* until nobody is inside */
void api_end_children(struct lynse *db);
/* CANCELLED because the root closes is SHUTTING_DOWN, NO_MEMORY says what the budget is. */
void api_explain(struct lynse *db, struct error *err);

/* Around a done callback. */
void api_enter_done(void);
void api_leave_done(void);
/* INVALID in a done callback: the thread that would have to answer may be this one. */
int api_may_wait(const char *what, struct error *err);

/* ---- hooks.c ---- */

/* The hooks of a desc, NULL where it has none; the caller destroys them (hook_destroy). */
int api_hooks(struct lynse *db, const struct lynse_search_desc *d, uint64_t deadline_us,
              struct hook **out_score, struct hook **out_rerank, struct error *err);

/* A hook from source text, or of the shipped one of that name, by the root's host. */
int api_prepare_hook(struct lynse *db, const struct hook_desc *desc, struct hook **out,
                     struct error *err);
/* INVALID, LIMIT: not a document of a hook's options. */
int api_check_options(const char *what, struct lynse_bytes options, struct error *err);

/* ---- installed_hooks.c ---- */

/* What a search takes from its view for a point; hook NULL: nothing.  Borrowed from the view. */
struct api_installed {
    struct installed_hook *entry;
    struct hook *hook;
    bool is_skipped; /* it failed, and may be left out */
};
/* The hook of the point, ready to run.  The error of preparing it, unless it may be skipped. */
int api_take_installed(struct lynse *db, const struct view *view, enum hook_point point,
                       uint64_t deadline_us, struct api_installed *out, struct error *err);
/* It failed so in a search: may that go on without?  Then it is noted and told. */
bool api_skip_installed(struct api_installed *installed, const struct error *why);

/* ---- read.c ---- */

/* A filter of this root, which ends with it; timeout_us as api_deadline has it. */
int api_filter(struct lynse *db, const char *where, uint64_t timeout_us, struct fetch_filter *out,
               struct error *err);

/* ---- handles.c ---- */

struct api_memory *api_memory_acquire(struct api_memory *m);
void api_memory_release(struct api_memory *m);

/* Copy an internal error out and return its code, which is never 0. */
int api_fail(const struct error *from, struct lynse_error *to);

/* INVALID: this argument is NULL. */
int api_missing(const char *argument, struct lynse_error *err);

/* Bytes that a desc really has when its struct_bytes says `bytes` (0: version 1, v1_bytes).
 * INVALID: fewer than version 1, or more than a desc will ever have. */
int api_desc_bytes(const char *what, uint32_t bytes, size_t v1_bytes, size_t *out,
                   struct error *err);
/* Copy a desc of `bytes` = its struct_bytes into the `size` bytes at out, zero beyond.  INVALID as
 * above; UNSUPPORTED: longer than this library knows, with something set there. */
int api_copy_desc(const char *what, void *out, size_t size, const void *desc, uint32_t bytes,
                  size_t v1_bytes, struct error *err);

/* Monotonic deadline of a call; timeout_us 0: 30 s.  LIMIT beyond 600 s. */
int api_deadline(const struct engine *e, uint64_t timeout_us, uint64_t *out, struct error *err);

/* "database/collection" or "collection", checked, into two NUL-terminated names. */
int api_name(const char *text, char database[NAME_ROOM], char name[NAME_ROOM], struct error *err);

/* INVALID: what must be 0 of an id is not. */
int api_check_id(const struct lynse_id *id, struct error *err);
int api_id(const struct lynse_id *from, struct record_id *to, struct error *err);
/* Ids of a request, checked; allocated from a. */
int api_ids(struct alloc *a, const struct lynse_id *from, size_t count, struct record_id **out,
            struct error *err);
unsigned api_columns(uint32_t flags); /* enum lynse_read_flags → enum result_columns */

/* A result as the caller sees it; takes the result on success and on failure. */
int api_hits(struct lynse *db, struct result *take_result, struct lynse_hits **out,
             struct error *err);
/* A sorted list of names as the caller sees it; copies them. */
int api_names(struct lynse *db, const struct slice *names, size_t count, struct lynse_names **out,
              struct error *err);

#endif
