/* SPDX-License-Identifier: Apache-2.0 */
/* calls.c — who is inside a handle, so that it can be closed under calls of other threads.
 *
 * WHAT        Every call on a handle enters it and leaves it: an addition and an exchange of one
 *             word.  A handle that is ended refuses the next ones; the last call that leaves it
 *             frees it.  A root that is closed refuses calls on all of its handles, waits until
 *             they are left, and frees them itself.
 * LAYOUT      calls: ENDING | number of calls inside + 1 while the handle is open.
 * INVARIANTS  (1) A handle is freed when nobody is inside, once: by the last call that leaves it
 *                 after it was ended, or by lynse_close.
 *             (2) ENDING is set under the root's mutex and never taken back.  Once it is set, calls
 *                 leave under that mutex: who waits for them may free what they touched.
 *             (3) Whoever is counted may touch the handle and its root.
 * THREADS     Any.
 * FAILURE     SHUTTING_DOWN for what comes too late; INVALID for a wait that would be for itself.
 */
#include "api/handles.h"

#include "base/check.h"
#include "os/fork_registry.h"

#define ENDING 0x80000000u

static _Thread_local unsigned done_depth; /* done callbacks that this thread runs now */

/* ---- one call ---- */

struct api_child *api_enter(struct api_child *child, struct error *err)
{
    /* Relaxed: what was written before ENDING is not read because of it. */
    uint32_t before = atomic_add_relaxed(&child->calls, 1);

    if (!(before & ENDING)) return child;
    /* A forked child has its own copy of the count, and a mutex that may be held by nobody. */
    if (fork_check(child->db->opener_pid, err) != 0) return NULL;
    error_set(err, LYNSE_SHUTTING_DOWN, "the %s is being closed",
              atomic_load_relaxed(&child->db->is_closing) ? "database" : "handle");
    api_leave(&child);
    return NULL;
}

static void unlink_child(struct api_child *child)
{
    if (child->previous) child->previous->next = child->next;
    else child->db->children = child->next;
    if (child->next) child->next->previous = child->previous;
}

static void set_ending(struct api_child *child)
{
    if (!(atomic_load_relaxed(&child->calls) & ENDING)) atomic_add_relaxed(&child->calls, ENDING);
}

/* Under the mutex, when ENDING is set. */
static void drop_reference(struct api_child *child)
{
    struct lynse *db = child->db;

    if (atomic_sub_acq_rel(&child->calls, 1) == (ENDING | 1)) { /* (1) */
        unlink_child(child);
        child->end(child);
    }
    condition_broadcast(&db->left);
}

void api_leave(struct api_child **inside)
{
    struct api_child *child = *inside;

    if (!child) return;
    struct lynse *db = child->db;
    uint32_t calls = atomic_load_relaxed(&child->calls);
    while (!(calls & ENDING)) /* acq_rel pairs with is_left */
        if (atomic_cas_acq_rel(&child->calls, &calls, calls - 1)) return;
    mutex_lock(&db->mutex); /* (2) */
    drop_reference(child);
    mutex_unlock(&db->mutex);
}

/* ---- handles ---- */

void api_init_child(struct lynse *db, struct api_child *child, void (*end)(struct api_child *child))
{
    *child = (struct api_child){.db = db, .end = end};
    atomic_store_relaxed(&child->calls, 1);
}

void api_adopt(struct lynse *db, struct api_child *child, void (*end)(struct api_child *child))
{
    api_init_child(db, child, end);
    mutex_lock(&db->mutex);
    child->next = db->children;
    if (child->next) child->next->previous = child;
    db->children = child;
    mutex_unlock(&db->mutex);
}

void api_end(struct api_child *child)
{
    API_CALL struct api_child *inside = api_enter(child, NULL);

    if (!inside || engine_check(child->db->engine, NULL) != 0) return;
    mutex_lock(&child->db->mutex);
    if (!child->is_ended) {
        child->is_ended = true;
        set_ending(child);
        drop_reference(child); /* this call keeps it */
    }
    mutex_unlock(&child->db->mutex);
}

/* ---- the end of a root ---- */

bool api_refuse_calls(struct lynse *db)
{
    mutex_lock(&db->mutex);
    bool is_first = !atomic_load_relaxed(&db->is_closing);
    /* Relaxed: searches look at it now and then, nothing else is read because of it. */
    atomic_store_relaxed(&db->is_closing, true);
    set_ending(&db->self);
    for (struct api_child *i = db->children; i; i = i->next) set_ending(i);
    mutex_unlock(&db->mutex);
    return is_first;
}

/* Nobody is inside, and nobody but us is going to end it. */
static bool is_left(struct api_child *child)
{
    set_ending(child); /* a call that was inside may have made it meanwhile */
    return atomic_load_acquire(&child->calls) == (ENDING | 1) && !child->is_ended;
}

static void await_calls(struct lynse *db)
{
    bool all_left = false;

    while (!all_left) {
        all_left = is_left(&db->self);
        for (struct api_child *i = db->children; i && all_left; i = i->next) all_left = is_left(i);
        if (!all_left) condition_wait(&db->left, &db->mutex);
    }
}

void api_await_calls(struct lynse *db)
{
    mutex_lock(&db->mutex);
    await_calls(db);
    mutex_unlock(&db->mutex);
}

void api_end_children(struct lynse *db)
{
    mutex_lock(&db->mutex);
    await_calls(db); /* those that came too late, and are refused */
    while (db->children) {
        struct api_child *child = db->children;
        unlink_child(child);
        child->end(child);
    }
    mutex_unlock(&db->mutex);
}

void api_explain(struct lynse *db, struct error *err)
{
    /* Nobody else cancels.  Relaxed: the flag carries nothing with it. */
    if (err->code == LYNSE_CANCELLED && atomic_load_relaxed(&db->is_closing))
        error_set(err, LYNSE_SHUTTING_DOWN, "the database is being closed");
    engine_explain_budget(db->engine, err);
}

/* ---- callbacks ---- */

void api_enter_done(void)
{
    done_depth++;
}

void api_leave_done(void)
{
    CHECK(done_depth > 0);
    done_depth--;
}

int api_may_wait(const char *what, struct error *err)
{
    if (done_depth == 0) return 0;
    return error_set(err, LYNSE_INVALID,
                     "%s: it waits, so it cannot be called from a done callback", what);
}
