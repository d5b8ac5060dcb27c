/* SPDX-License-Identifier: Apache-2.0 */
/* server.c — opening, running and ending, and what is common to all requests.
 *
 * WHAT        The engine is opened first: who has no data does not listen.  Each loop runs on a
 *             thread of its own, the first on the caller's.  Draining: listeners close, connections
 *             end as soon as they are owed nothing, loops end with their last connection; then the
 *             engine is closed, which syncs.
 * INVARIANTS  (1) The state only grows: runs, drains, stops.
 *             (2) The engine is closed after the last loop.
 * THREADS     As server.h says.
 * FAILURE     What was opened is closed again.
 */
#include "server/server.h"

#include <lynse_lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/connection.h"
#include "server/dispatch.h"
#include "server/loop.h"
#include "server/methods.h"
#include "server/request.h"

enum { HELD_BYTES_DEFAULT = 1 << 30, WORKERS_MAX = 64 };

/* ---- Common to all requests ---- */

/* All relaxed: a number for each, and hints that a loop acts on when it sees them. */
uint64_t server_next_number(struct server *s)
{
    return atomic_add_relaxed(&s->next_number, 1) + 1;
}

uint64_t server_catalog_version(const struct server *s)
{
    return atomic_load_relaxed(&s->catalog_version);
}

void server_catalog_moves(struct server *s)
{
    atomic_add_relaxed(&s->catalog_version, 1);
}

enum server_state server_state(const struct server *s)
{
    return (enum server_state)atomic_load_relaxed(&s->state);
}

bool server_is_draining(const struct server *s)
{
    return server_state(s) != SERVER_RUNS;
}

void server_count_connection(struct server *s, int change)
{
    atomic_add_relaxed(&s->connection_count, change);
}

enum server_room server_room(const struct server *s)
{
    int64_t over = atomic_load_relaxed(&s->connection_count) - (int64_t)s->options.connections_max;

    return over <= 0 ? ROOM_THERE : over <= SERVER_SURPLUS_MAX ? ROOM_TO_REFUSE : ROOM_NONE;
}

bool server_hold(struct server *s, size_t *held, size_t bytes)
{
    int64_t change = (int64_t)bytes - (int64_t)*held;

    *held = bytes;
    if (change) atomic_add_relaxed(&s->held_bytes, change);
    return atomic_load_relaxed(&s->held_bytes) <= (int64_t)s->options.held_bytes_max;
}

void server_refuse_held(const struct server *s, struct error *out)
{
    error_set(out, LYNSE_BUSY, "requests of %llu bytes are under way already, at most %llu",
              (unsigned long long)atomic_load_relaxed(&s->held_bytes),
              (unsigned long long)s->options.held_bytes_max);
    out->retry_after_ms = 1000;
}

bool server_needs_key(const struct server *s)
{
    return s->options.api_key != NULL;
}

/* Every byte of the right key is looked at, whatever was given. */
bool server_check_key(const struct server *s, struct slice key)
{
    struct slice right = slice_of_text(s->options.api_key);
    unsigned differs = key.size != right.size;

    for (size_t i = 0; i < right.size; i++)
        differs |= (unsigned)(right.data[i] ^ (key.size ? key.data[i % key.size] : 0));
    return !differs;
}

void server_begin(struct request *r, struct slice method)
{
    const struct method *found = methods_find(&r->loop->methods, method);
    struct error err;

    if (found) {
        server_begin_method(r, found);
        return;
    }
    if (server_needs_key(r->loop->server) && !r->is_authenticated) { /* no names for strangers */
        error_set(&err, LYNSE_UNAUTHORIZED, "Unauthorized");
        dispatch_refuse(r, &err);
        return;
    }
    const char *near = methods_suggest(&r->loop->methods, method);
    int size = (int)(method.size < 64 ? method.size : 64);
    if (near)
        error_set(&err, LYNSE_NOT_FOUND, "there is no method '%.*s'; did you mean '%s'?", size,
                  (const char *)method.data, near);
    else
        error_set(&err, LYNSE_NOT_FOUND, "there is no method '%.*s'", size,
                  (const char *)method.data);
    dispatch_refuse(r, &err);
}

/* What is urgent says how the server is, or gives it less to do: that is answered however busy it
 * is. */
static bool refuse_load(struct request *r, struct error *out)
{
    const struct server *s = r->loop->server;

    if (!request_hold(r)) {
        server_refuse_held(s, out);
        return true;
    }
    if (r->connection && r->connection->is_crowded)
        error_set(out, LYNSE_BUSY,
                  "%u connections of this address are open, which is the limit "
                  "(connections_per_address)",
                  s->options.connections_per_address);
    else if (r->connection && r->connection->is_surplus)
        error_set(out, LYNSE_BUSY, "%u connections are open, which is the limit",
                  s->options.connections_max);
    else if (r->loop->request_count > s->options.requests_max)
        error_set(out, LYNSE_BUSY, "%zu requests are under way, at most %u", r->loop->request_count,
                  s->options.requests_max);
    else return false;
    out->retry_after_ms = 1000;
    return true;
}

void server_begin_method(struct request *r, const struct method *method)
{
    struct error err;

    r->method = method;
    if (server_needs_key(r->loop->server) && !r->is_authenticated && !method->is_public) {
        error_set(&err, LYNSE_UNAUTHORIZED, "Unauthorized");
        dispatch_refuse(r, &err);
        return;
    }
    if (!method->is_urgent && refuse_load(r, &err)) {
        dispatch_refuse(r, &err);
        return;
    }
    request_set_deadline(r, r->timeout_ms);
    dispatch_begin(r);
}

/* ---- Life ---- */

static int fail_with(struct error *err, const struct lynse_error *from)
{
    return error_set(err, from->code, "%s", from->text);
}

static int open_engine(struct server *s, struct error *err)
{
    uint32_t flags = (s->options.trusts_scripts ? LYNSE_OPEN_TRUSTED_SCRIPTS : 0u) |
                     (s->options.measures_recall ? 0u : LYNSE_OPEN_NO_RECALL);
    struct lynse_open_desc desc = {.struct_bytes = sizeof desc,
                                   .path = s->options.data_dir,
                                   .flags = flags,
                                   .memory_budget_bytes = s->options.memory_bytes_max};
    struct lynse_lua_desc lua = {.struct_bytes = sizeof lua, .scripts_dir = s->options.scripts_dir};
    struct lynse_error failed = {0};

    if (lynse_open(&desc, &s->db, &failed) != LYNSE_OK) return fail_with(err, &failed);
    if (lynse_lua_attach_with(s->db, &lua, &failed) != LYNSE_OK) return fail_with(err, &failed);
    return 0;
}

static void close_loops(struct server *s)
{
    for (unsigned i = 0; i < s->loop_count; i++) server_forget_loop(s, s->loops[i]);
    mutex_lock(&s->stop_lock);
    unsigned count = s->loop_count;
    s->loop_count = 0;
    mutex_unlock(&s->stop_lock);
    for (unsigned i = 0; i < count; i++) {
        loop_close(s->loops[i]);
        mem_free(alloc_libc(), s->loops[i]);
    }
    mem_free(alloc_libc(), s->loops);
    s->loops = NULL;
}

static int open_loops(struct server *s, struct error *err)
{
    struct alloc *a = alloc_libc();

    s->loops = mem_zalloc(a, MEM_GENERAL, s->options.workers * sizeof(struct loop *));
    if (!s->loops) return error_no_memory(err, s->options.workers * sizeof(struct loop *));
    for (unsigned i = 0; i < s->options.workers; i++) {
        struct loop *l = mem_zalloc(a, MEM_GENERAL, sizeof *l);
        if (!l) return error_no_memory(err, sizeof *l);
        s->loops[s->loop_count++] = l;
        if (loop_open(l, s, i, err) != 0) return -1;
    }
    return 0;
}

/* What the machine sets: workers, descriptors and memory. */
static void fit_machine(struct server_options *o)
{
    struct rlimit files;

    if (!o->workers) {
        unsigned processors = uv_available_parallelism();
        o->workers = processors < 2 ? 2 : processors > WORKERS_MAX ? WORKERS_MAX : processors;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
        rlim_t kept =
            files.rlim_max < 2 * SERVER_FILES_KEPT ? files.rlim_max / 2 : (rlim_t)SERVER_FILES_KEPT;
        if (files.rlim_max != RLIM_INFINITY && o->connections_max > files.rlim_max - kept)
            o->connections_max = (unsigned)(files.rlim_max - kept);
    }
    uint64_t memory = uv_get_total_memory(), constrained = uv_get_constrained_memory();
    if (constrained && constrained < memory) memory = constrained;
    if (!o->memory_bytes_max) o->memory_bytes_max = memory / 2;
    if (!o->held_bytes_max)
        o->held_bytes_max = memory / 2 < HELD_BYTES_DEFAULT ? memory / 2 : HELD_BYTES_DEFAULT;
}

/* (2) */
static int close_all(struct server *s, struct lynse_error *failed)
{
    close_loops(s);
    opened_names_close(&s->opened);
    named_requests_close(&s->named);
    address_counts_close(&s->addresses);
    own_methods_free(&s->own_methods);
    int code = lynse_close(s->db, failed);
    s->db = NULL;
    return code;
}

int server_open(struct server *s, const struct server_options *options, struct error *err)
{
    *s = (struct server){.options = *options, .started_us = clock_now_us(clock_system())};
    if (opened_names_open(&s->opened) != 0) return error_set(err, LYNSE_BUSY, "no lock to be had");
    mutex_init(&s->stop_lock);
    named_requests_open(&s->named);
    address_counts_open(&s->addresses);
    fit_machine(&s->options);
    if (open_engine(s, err) == 0 &&
        own_methods_read(&s->own_methods, s->options.scripts_dir, err) == 0 &&
        open_loops(s, err) == 0)
        return 0;
    close_all(s, NULL);
    return -1;
}

int server_check_scripts(struct server *s, const struct server_options *options, struct error *err)
{
    struct server_options alone = *options;

    alone.data_dir = ":memory:";
    alone.host = alone.socket = NULL;
    alone.workers = 1;
    if (server_open(s, &alone, err) != 0) return -1;
    close_all(s, NULL);
    return 0;
}

static void run_loop(void *ctx)
{
    loop_run(ctx);
}

int server_run(struct server *s, struct error *err)
{
    struct lynse_error failed = {0};
    int rc = 0;

    for (unsigned i = 1; i < s->loop_count; i++) {
        rc = uv_thread_create(&s->loops[i]->thread, run_loop, s->loops[i]);
        if (rc == 0) continue;
        error_set(err, LYNSE_BUSY, "no thread for loop %u: %s", i, uv_strerror(rc));
        server_stop(s);
        break;
    }
    loop_run(s->loops[0]);
    for (unsigned i = 1; i < s->loop_count; i++)
        if (s->loops[i]->thread) uv_thread_join(&s->loops[i]->thread);
    if (close_all(s, &failed) != LYNSE_OK) return fail_with(err, &failed);
    return rc == 0 ? 0 : -1;
}

void server_stop(struct server *s)
{
    int state = atomic_load_relaxed(&s->state);

    if (state < SERVER_STOPS) atomic_cas_acq_rel(&s->state, &state, state + 1); /* (1) */
    mutex_lock(&s->stop_lock);
    for (unsigned i = 0; i < s->loop_count; i++)
        if (s->loops[i]->can_be_woken) uv_async_send(&s->loops[i]->stop);
    mutex_unlock(&s->stop_lock);
}

void server_forget_loop(struct server *s, struct loop *l)
{
    mutex_lock(&s->stop_lock);
    l->can_be_woken = false;
    mutex_unlock(&s->stop_lock);
}
