/* SPDX-License-Identifier: Apache-2.0 */
/* tickets.c — writes that a program does not wait for.
 *
 * WHAT        No function of Lua's can be called from a thread of the library.  So the answer goes
 *             into a block, a ticket, where the program looks for it: ticket:poll(), ticket:wait().
 * INVARIANTS  (1) A ticket has one reference from its userdata and one from the write under way;
 *                 the last one frees it.  So either may be gone first: a ticket that is forgotten,
 *                 a state that is closed, a root that is.
 *             (2) The library answers each write once, lynse_close those that are left: with the
 *                 root closed the ticket has its answer.
 *             (3) An answer stays; it may be asked for again.
 * THREADS     on_done on any, the rest on the state's; the mutex has everything but has_first.
 * FAILURE     The write's own error; DEADLINE where wait's time is up, and the write goes on.
 */
#include "lua/module/tickets.h"

#include <lauxlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "lua/module/failure.h"
#include "lua/module/handles.h"
#include "lua/module/natives.h"
#include "lua/module/options.h"
#include "lua/module/scalars.h"

enum {
    WAIT_DEFAULT_S = 30,
    WAIT_MAX_S = 600,
    POLL_BUDGET_US = 1000, /* of a wait without threads */
    MICROSECONDS = 1000000,
};
const char ticket_metatable[] = "lynse.ticket";

struct ticket {
    struct mutex mutex;
    struct condition answered;
    unsigned reference_count; /* (1) */
    bool is_answered, has_failed;
    bool has_first;
    struct lynse_write_result result;
    struct lynse_error error;
};
struct module_ticket {
    struct ticket *ticket;
    struct module_root *root; /* kept alive by the environment */
};

int write_result_push(lua_State *L, const struct lynse_write_result *r, bool has_first)
{
    lua_createtable(L, 0, 4);
    lua_pushnumber(L, (lua_Number)r->lsn);
    lua_setfield(L, -2, "lsn");
    lua_pushnumber(L, (lua_Number)r->row_count);
    lua_setfield(L, -2, "count");
    sync_push(L, r->sync_reached);
    lua_setfield(L, -2, "sync");
    if (r->is_repeat) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "is_repeat");
    }
    if (has_first) {
        scalar_push_uint(L, r->first_number);
        lua_setfield(L, -2, "first_id");
    }
    return 1;
}

/* ---- The answer's block ---- */

static void release(struct ticket *t)
{
    mutex_lock(&t->mutex);
    bool is_last = --t->reference_count == 0;
    mutex_unlock(&t->mutex);
    if (!is_last) return;
    condition_deinit(&t->answered);
    mutex_deinit(&t->mutex);
    mem_free(alloc_libc(), t);
}

static void on_done(void *ctx, const struct lynse_write_result *result,
                    const struct lynse_error *error)
{
    struct ticket *t = ctx;

    mutex_lock(&t->mutex);
    if (error) t->error = *error;
    else t->result = *result;
    t->has_failed = error != NULL;
    t->is_answered = true;
    condition_broadcast(&t->answered);
    mutex_unlock(&t->mutex);
    release(t);
}

struct ticket *ticket_push(lua_State *L, int index, bool has_first,
                           struct lynse_write_options *options)
{
    struct module_ticket *m = lua_newuserdata(L, sizeof *m);

    *m = (struct module_ticket){0};
    luaL_getmetatable(L, ticket_metatable);
    lua_setmetatable(L, -2);
    m->root = handle_keep_root(L, index);
    struct ticket *t = mem_zalloc(alloc_libc(), MEM_SCRIPT, sizeof *t);
    if (!t) luaL_error(L, "not enough memory for a ticket");
    mutex_init(&t->mutex);
    condition_init(&t->answered);
    t->reference_count = 1;
    t->has_first = has_first;
    m->ticket = t;
    options->done = on_done;
    options->done_ctx = t;
    return t;
}

/* ---- Asked by the program ---- */

/* What there is to say now: the result; nil and an error; nil alone: nothing yet. */
static int push_answer(lua_State *L, struct ticket *t)
{
    mutex_lock(&t->mutex);
    bool is_answered = t->is_answered;
    mutex_unlock(&t->mutex);
    if (!is_answered) {
        lua_pushnil(L);
        return 1;
    }
    if (t->has_failed) return failure_push(L, &t->error); /* (3): it does not change any more */
    return write_result_push(L, &t->result, t->has_first);
}

static struct module_ticket *check_ticket(lua_State *L)
{
    struct module_ticket *m = luaL_checkudata(L, 1, ticket_metatable);
    if (!m->ticket) luaL_error(L, "the ticket is gone");
    return m;
}

/* ticket:poll() */
static int poll_ticket(lua_State *L)
{
    return push_answer(L, check_ticket(L)->ticket);
}

static bool is_answered(struct ticket *t, uint64_t deadline_us)
{
    mutex_lock(&t->mutex);
    while (!t->is_answered && condition_wait_until(&t->answered, &t->mutex, deadline_us)) {
    }
    bool answered = t->is_answered;
    mutex_unlock(&t->mutex);
    return answered;
}

/* Without threads the work is done here, and what polls may not do, a sync, by lynse_sync. */
static bool work_until(struct module_ticket *m, uint64_t deadline_us)
{
    while (!is_answered(m->ticket, 0)) {
        if (!m->root->db || clock_now_us(clock_system()) >= deadline_us) return false;
        if (lynse_poll(m->root->db, POLL_BUDGET_US) == LYNSE_MORE) continue;
        if (!is_answered(m->ticket, 0)) lynse_sync(m->root->db, NULL);
    }
    return true;
}

/* ticket:wait([seconds]) */
static int wait_for_ticket(lua_State *L)
{
    lua_Number seconds = luaL_optnumber(L, 2, WAIT_DEFAULT_S);
    luaL_argcheck(L, seconds >= 0 && seconds <= WAIT_MAX_S, 2, "0 to 600 seconds expected");
    struct module_ticket *m = check_ticket(L);
    uint64_t deadline_us = clock_now_us(clock_system()) + (uint64_t)(seconds * MICROSECONDS);
    bool answered =
        m->root->is_inline ? work_until(m, deadline_us) : is_answered(m->ticket, deadline_us);

    if (answered) return push_answer(L, m->ticket);
    struct error err = {0};
    error_set(&err, LYNSE_DEADLINE, "wait: %g s are over, and the write is under way", seconds);
    return failure_push_error(L, &err);
}

void ticket_begin(struct ticket *ticket)
{
    mutex_lock(&ticket->mutex);
    ticket->reference_count++;
    mutex_unlock(&ticket->mutex);
}

int ticket_answer(lua_State *L, struct ticket *ticket, int code, const struct lynse_error *err)
{
    if (code == LYNSE_OK) return 1;
    release(ticket); /* the write's, which is none */
    return failure_push(L, err);
}

static int finalize_ticket(lua_State *L)
{
    struct module_ticket *m = luaL_checkudata(L, 1, ticket_metatable);

    if (m->ticket) release(m->ticket);
    m->ticket = NULL;
    return 0;
}

void tickets_prepare(lua_State *L)
{
    luaL_newmetatable(L, ticket_metatable);
    lua_pushcfunction(L, finalize_ticket);
    lua_setfield(L, -2, "__gc");
    lua_pushstring(L, ticket_metatable);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

const luaL_Reg native_tickets[] = {
    {"ticket_wait", wait_for_ticket}, {"ticket_poll", poll_ticket}, {NULL, NULL}};
