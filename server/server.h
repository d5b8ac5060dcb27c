/* SPDX-License-Identifier: Apache-2.0 */
/* server.h — one root behind a port and a socket: its options, its loops, its end.
 *
 * What loops share is here: the engine, counters, the key, whether it drains.  Any thread, unless
 * it says otherwise.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <lynse.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/thread.h"
#include "server/address_counts.h"
#include "server/named_requests.h"
#include "server/opened_names.h"
#include "server/options.h"
#include "server/own_methods.h"

struct loop;
struct method;
struct request;
struct server;

enum server_state { SERVER_RUNS, SERVER_DRAINS, SERVER_STOPS };
/* For one more connection. */
enum server_room { ROOM_THERE, ROOM_TO_REFUSE, ROOM_NONE };
enum {
    SERVER_SURPLUS_MAX = 128, /* connections over the limit that are told so */
    SERVER_CROWD_MAX = 8,     /* those of one address over its limit */
    SERVER_FILES_KEPT = 256,  /* descriptors that connections leave to the engine */
};

struct server {
    struct server_options options;
    struct lynse *db;
    struct loop **loops;
    unsigned loop_count;
    struct opened_names opened;
    struct own_methods own_methods;
    struct named_requests named;
    struct address_counts addresses; /* of connections, where there is a limit for one */
    unsigned port;                   /* that is listened on; 0: none */
    uint64_t started_us;
    _Atomic(uint64_t) next_number;
    _Atomic(uint64_t) catalog_version; /* grows when a collection or database is dropped */
    _Atomic(int) state;                /* enum server_state */
    _Atomic(int64_t) connection_count; /* of all loops */
    _Atomic(int64_t) opening_count;    /* collections that are being opened (file_room.h) */
    _Atomic(int64_t) held_bytes;       /* of requests that came and are not answered */
    struct mutex stop_lock;            /* who wakes a loop knows that it is there */
};

/* err: what lynse_open says; BUSY: the address is in use; INVALID: options that do not go together;
 * INTERNAL: a script is wrong, and which, and where; what script_folder_read says. */
int server_open(struct server *s, const struct server_options *options, struct error *err);
/* Whether a server would take the operator's scripts: loaded and checked, with no folder of data
 * and no address.  err: as server_open. */
int server_check_scripts(struct server *s, const struct server_options *options, struct error *err);
/* Serve until server_stop; the loops end, the engine is closed.  err: what the closing met. */
int server_run(struct server *s, struct error *err);
/* Any thread.  The first call drains: nothing new is accepted, what is under way is answered within
 * options.drain_ms; the second one ends at once. */
void server_stop(struct server *s);

/* A loop's thread: it can be woken no more. */
void server_forget_loop(struct server *s, struct loop *l);

/* Any thread, as all of the following. */
uint64_t server_next_number(struct server *s);
void server_count_connection(struct server *s, int change);
enum server_room server_room(const struct server *s); /* with the new one counted already */
/* What was counted as *held becomes `bytes`.  Whether all that is held is within its limit. */
bool server_hold(struct server *s, size_t *held, size_t bytes);
void server_refuse_held(const struct server *s, struct error *out); /* BUSY */
uint64_t server_catalog_version(const struct server *s);
void server_catalog_moves(struct server *s); /* something is being dropped */
enum server_state server_state(const struct server *s);
bool server_is_draining(const struct server *s);
bool server_needs_key(const struct server *s);
bool server_check_key(const struct server *s, struct slice key); /* in constant time */

/* Loop's thread: find the method and run it, or refuse. */
void server_begin(struct request *r, struct slice method);
void server_begin_method(struct request *r, const struct method *method);
/* Loop's thread, once for each request: counters and the log.  err NULL: it went well. */
void server_report(struct request *r, const struct error *err);

#endif
