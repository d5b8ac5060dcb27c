/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c — a loop from its listeners to its last connection.
 *
 * WHAT        Opening makes the state of Lua and runs scripts/server.lua in it, which registers the
 *             methods and routes.  Running ends when the server drains and nothing is left.
 * INVARIANTS  (1) What is allocated in the state is the loop's: the allocator's context is the
 *                 loop, which is how functions of Lua find it (loop_of).
 *             (2) Nothing ticks where no connection is.
 * THREADS     Opened and closed on the main thread, run on its own.
 * FAILURE     An error of opening says which script, and where.
 */
#include "server/loop.h"

#include <lauxlib.h>
#include <lualib.h>
#include <sched.h>
#include <string.h>

#include "base/clock.h"
#include "lua/module/module.h"
#include "server/arrival.h"
#include "server/connection.h"
#include "server/dispatch.h"
#include "server/engine_natives.h"
#include "server/hits_value.h"
#include "server/request.h"
#include "server/scripts.h"
#include "server/server.h"

/* LuaJIT's own allocator, which is made for its small blocks; (1) is all that we want of it. */
static void *allocate(void *ctx, void *block, size_t old_bytes, size_t bytes)
{
    struct loop *l = ctx;
    return l->allocate(l->allocate_ctx, block, old_bytes, bytes);
}

/* ---- Lua ---- */

/* searcher(name) → the loader of an embedded script */
static int find_script(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const struct server_script *script = server_script_find(name);

    if (!script) {
        lua_pushfstring(L, "\n\tno script '%s' in the program", name);
        return 1;
    }
    if (luaL_loadbuffer(L, script->text, script->size, script->chunk_name) != 0)
        return lua_error(L);
    return 1;
}

/* script_names(prefix) → a list */
static int list_scripts(lua_State *L)
{
    size_t size;
    const char *prefix = luaL_checklstring(L, 1, &size);
    int count = 0;

    lua_newtable(L);
    for (const struct server_script *s = server_scripts; s->name; s++) {
        if (strncmp(s->name, prefix, size) != 0) continue;
        lua_pushstring(L, s->name);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

static void push_natives(lua_State *L)
{
    lua_newtable(L);
    methods_push_natives(L);
    dispatch_prepare(L);
    engine_natives_push(L);
    lua_pushcfunction(L, list_scripts);
    lua_setfield(L, -2, "script_names");
}

/* Everything that methods need; at the end the functions and tables of scripts/server.lua. */
static int prepare_state(lua_State *L)
{
    struct loop *l = loop_of(L);

    lua_settop(L, 0);
    luaL_openlibs(L);
    lua_pushcfunction(L, luaopen_lynse);
    lua_pushliteral(L, "lynse");
    lua_call(L, 1, 1);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaded");
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "lynse");
    blocks_prepare(L);
    hits_value_prepare(L);
    push_natives(L);
    lua_setfield(L, -2, "lynse.native");
    lua_pop(L, 1);
    lua_getfield(L, -1, "loaders"); /* embedded scripts before the folders of package.path */
    lua_pushcfunction(L, find_script);
    lua_rawseti(L, -2, 2);
    lua_settop(L, 0);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "server");
    lua_call(L, 1, 1);
    lua_getfield(L, 1, "enter");
    l->enter_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, 1, "context");
    l->context_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static int open_state(struct loop *l, struct error *err)
{
    l->L = luaL_newstate();
    if (!l->L) return error_no_memory(err, 64 << 10);
    l->allocate = lua_getallocf(l->L, &l->allocate_ctx);
    lua_setallocf(l->L, allocate, l);
    if (lua_cpcall(l->L, prepare_state, NULL) == 0) return 0;
    const char *text = lua_tostring(l->L, -1);
    error_set(err, LYNSE_INTERNAL, "scripts: %s", text ? text : "an error without a text");
    return error_on_one_line(err);
}

/* ---- Connections ---- */

static void accept_waiting(struct loop *l)
{
    for (size_t i = 0; i < sizeof l->listeners / sizeof *l->listeners; i++)
        if (l->listeners[i].is_open && l->listeners[i].has_waiting)
            connection_accept(l, &l->listeners[i]);
}

/* Closing is never at once: the list stays as it is meanwhile. */
static void cut_all(struct loop *l)
{
    for (struct connection *c = l->connections; c; c = c->next) connection_close(c);
}

static void on_tick(uv_timer_t *timer)
{
    struct loop *l = timer->data;

    metrics_publish(l);
    if (l->drain_end_us && loop_now_us(l) >= l->drain_end_us) cut_all(l);
    for (struct connection *c = l->connections; c; c = c->next) connection_check(c, loop_now_us(l));
    accept_waiting(l);
    bool has_waiting = l->listeners[0].has_waiting || l->listeners[1].has_waiting;
    if (!l->connections && !l->drain_end_us && !has_waiting) uv_timer_stop(&l->tick);
}

void loop_start_tick(struct loop *l)
{
    if (!uv_is_active((uv_handle_t *)&l->tick))
        uv_timer_start(&l->tick, on_tick, LOOP_TICK_MS, LOOP_TICK_MS);
}

/* ---- Ending ---- */

static void close_handles(struct loop *l)
{
    if (uv_is_closing((uv_handle_t *)&l->stop)) return;
    server_forget_loop(l->server, l);
    uv_close((uv_handle_t *)&l->stop, NULL);
    uv_close((uv_handle_t *)&l->tick, NULL);
    completion_queue_close(&l->completions);
    arrivals_close(l);
}

static void end_if_empty(struct loop *l)
{
    if (l->drain_end_us && !l->connections && !l->request_count) close_handles(l);
}

void loop_add_connection(struct loop *l, struct connection *c)
{
    c->next = l->connections;
    if (c->next) c->next->previous = c;
    l->connections = c;
    l->connection_count++;
    server_count_connection(l->server, 1);
    metric_add(&l->metrics.accepted, 1);
    metrics_publish(l);
}

void loop_remove_connection(struct loop *l, struct connection *c)
{
    if (c->previous) c->previous->next = c->next;
    else l->connections = c->next;
    if (c->next) c->next->previous = c->previous;
    l->connection_count--;
    atomic_sub_relaxed(&l->peer_count, 1);
    server_count_connection(l->server, -1);
    metrics_publish(l);
    end_if_empty(l);
}

void loop_request_gone(struct loop *l)
{
    end_if_empty(l);
}

static void on_stop(uv_async_t *stop)
{
    struct loop *l = stop->data;
    enum server_state state = server_state(l->server);

    if (state == SERVER_RUNS) return;
    listener_close(&l->listeners[0]);
    listener_close(&l->listeners[1]);
    if (!l->drain_end_us) {
        l->drain_end_us = loop_now_us(l) + l->server->options.drain_ms * 1000ull;
        for (struct connection *c = l->connections; c; c = c->next) connection_end(c);
        uv_timer_start(&l->tick, on_tick, DRAIN_TICK_MS, DRAIN_TICK_MS);
    }
    if (state == SERVER_STOPS) cut_all(l);
    end_if_empty(l);
}

/* ---- Life ---- */

static int open_listeners(struct loop *l, struct error *err)
{
    struct server *s = l->server;
    const struct server_options *o = &s->options;

    if (o->host && listener_open_port(&l->listeners[0], l, o->host, o->port, &s->port, err) != 0)
        return -1;
    return o->socket ? listener_open_socket(&l->listeners[1], l, o->socket, err) : 0;
}

static void take_completion(void *ctx, struct mpsc_node *node)
{
    struct loop *l = ctx;

    loop_stir(l);
    l->call_count--;
    dispatch_resume((struct engine_call *)node);
}

/* All of them, or none. */
static int open_handles(struct loop *l, struct error *err)
{
    int rc = uv_loop_init(&l->uv);

    if (rc != 0) return error_set(err, LYNSE_IO, "no loop: %s", uv_strerror(rc));
    l->uv.data = l;
    l->stop.data = l->tick.data = l;
    l->unsettled_end = &l->unsettled;
    rc = uv_async_init(&l->uv, &l->stop, on_stop);
    bool has_stop = rc == 0;
    if (rc == 0) rc = completion_queue_open(&l->completions, &l->uv, take_completion, l);
    bool has_completions = has_stop && rc == 0;
    if (rc == 0) rc = arrivals_open(l);
    if (rc == 0) {
        uv_timer_init(&l->uv, &l->tick); /* these cannot fail */
        l->is_open = l->can_be_woken = true;
        return 0;
    }
    if (has_stop) uv_close((uv_handle_t *)&l->stop, NULL);
    if (has_completions) completion_queue_close(&l->completions);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    uv_loop_close(&l->uv);
    return error_set(err, LYNSE_IO, "no loop: %s", uv_strerror(rc));
}

int loop_open(struct loop *l, struct server *server, unsigned number, struct error *err)
{
    l->server = server;
    l->number = number;
    l->alloc = alloc_libc();
    methods_init(&l->methods, l->alloc);
    if (open_handles(l, err) != 0) return -1;
    if (open_state(l, err) != 0 || metrics_open(l, err) != 0) return -1;
    return number == 0 ? open_listeners(l, err) : 0;
}

/* ---- Turns ---- */

/* Turns that do not sleep, until one has something to do or the time is over. */
static void spin(struct loop *l, uint64_t end_us)
{
    do {
        sched_yield();
        uv_run(&l->uv, UV_RUN_NOWAIT);
    } while (!l->woke_us && clock_now_us(clock_system()) < end_us);
}

/* What came while requests ran is read, and runs, before any of them is answered: an answer wakes
 * its caller, who takes the processor for each that comes alone. */
static void gather(struct loop *l)
{
    uint64_t woke_us = l->woke_us;

    for (int turns = 0; turns < GATHER_TURNS && l->unsettled && l->connection_count > 1; turns++) {
        l->woke_us = 0;
        uv_run(&l->uv, UV_RUN_NOWAIT);
        if (!l->woke_us) break;
    }
    l->woke_us = woke_us;
    connection_settle_all(l);
}

/* Waking a thread costs more than a small request, and a caller that waits for its answer asks
 * again soon.  A loop to which more often than not something comes within spin_us looks so long
 * before it sleeps; one without such callers sleeps at once. */
void loop_run(struct loop *l)
{
    do {
        uint64_t end_us = clock_now_us(clock_system()) + l->server->options.spin_us;
        l->woke_us = 0;
        if (l->spin_credit) spin(l, end_us);
        if (!l->woke_us) uv_run(&l->uv, UV_RUN_ONCE);
        gather(l);
        if (!l->woke_us) continue;
        if (l->woke_us > end_us) l->spin_credit -= l->spin_credit > 0;
        else l->spin_credit += l->spin_credit < SPIN_CREDIT_MAX;
    } while (uv_loop_alive(&l->uv));
}

void loop_refuse_call(const struct loop *l, struct error *out)
{
    error_set(out, LYNSE_BUSY, "%zu calls are under way, at most %u", l->call_count,
              l->server->options.calls_max);
    out->retry_after_ms = 50;
}

void loop_stir(struct loop *l)
{
    if (!l->woke_us) l->woke_us = clock_now_us(clock_system());
}

void loop_close(struct loop *l)
{
    if (l->is_open) {
        listener_close(&l->listeners[0]);
        listener_close(&l->listeners[1]);
        close_handles(l);
        uv_run(&l->uv, UV_RUN_DEFAULT);
        uv_loop_close(&l->uv);
        arrivals_refuse(l);
    }
    if (l->L) {
        lua_setallocf(l->L, l->allocate, l->allocate_ctx); /* it frees all of its memory at once */
        lua_close(l->L);
    }
    metrics_close(l);
    request_free_spares(l);
    methods_deinit(&l->methods);
}
