/* SPDX-License-Identifier: Apache-2.0 */
/* connection.h — one peer: its bytes, the protocol it speaks, what is owed to it.
 *
 * Owned by its loop, from accept to the stream's end.  Thread: the loop's.
 */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "server/stream.h"

struct connection;
struct listener;
struct loop;
struct request;

/* What is coming from a peer. */
enum connection_phase { PHASE_NOTHING, PHASE_HEAD, PHASE_BODY };

/* A protocol takes whole requests out of the bytes. */
struct protocol {
    /* Its state; NULL when out of memory. */
    void *(*open)(struct connection *c);
    void (*close)(void *state);
    /* Take what can be taken: requests begin, until connection_is_full.  Returns the bytes used;
     * the rest comes again with more behind it.  May call connection_end. */
    size_t (*feed)(struct connection *c, struct slice bytes);
    enum connection_phase (*phase)(const struct connection *c);
    /* Whether no further request may begin before one of those under way is answered. */
    bool (*is_busy)(const struct connection *c);
    /* The request that is coming will not be whole: it is refused, where that can be said. */
    void (*give_up)(struct connection *c, const struct error *why);
};
extern const struct protocol protocol_rpc;
extern const struct protocol protocol_http;

struct connection {
    struct loop *loop;
    struct connection *next, *previous;
    struct stream stream;
    const struct protocol *protocol; /* NULL: no byte has come */
    void *state;                     /* the protocol's */
    struct buf in;                   /* came and was not taken */
    struct buf out;                  /* to be written */
    struct buf sending;              /* being written by the stream */
    size_t held_bytes;               /* of the three, as the server has counted them */
    struct request *requests;
    size_t request_count;
    /* Monotonic: closed when they pass; 0: nothing is waited for. */
    uint64_t read_deadline_us, write_deadline_us;
    uint64_t cancel_at_us;   /* the peer has ended: until then it is answered; 0: it has not */
    uint64_t phase_since_us; /* what is coming began then; 0: nothing is */
    uint64_t phase_bytes;    /* that came of it */
    size_t unsent_bytes;     /* of `sending`, when last looked at */
    bool is_reading, is_feeding, is_sending;
    uint64_t address;      /* where is_counted: what it is counted by */
    bool is_counted;       /* among those of its address */
    bool is_surplus;       /* one too many: it is told so */
    bool is_crowded;       /* of its address */
    bool ends_after_write; /* what is owed is written, then it is closed; no more requests */
    bool must_linger;      /* the peer may still be writing: what it was told must reach it first */
    bool lingers;          /* all is said; what comes is not looked at */
    bool is_closed;        /* handed to the stream to close */
    bool is_authenticated;
    bool is_unsettled; /* among the loop's unsettled ones */
    struct connection *next_unsettled;
};

/* Take the peer that waits at the listener, or send it to a loop with fewer (arrival.h).  Without
 * memory it goes on waiting there. */
void connection_accept(struct loop *l, struct listener *listener);
/* Serve a peer that another loop took, and was counted in peer_count; fd is the connection's. */
void connection_adopt(struct loop *l, int fd, bool is_pipe);
/* No further request may begin now: too many are under way, or too much is owed. */
bool connection_is_full(const struct connection *c);
/* Something was appended to c->out. */
void connection_flush(struct connection *c);
/* At the end of a turn: write what the requests of the turn were answered, and read on. */
void connection_settle_all(struct loop *l);
/* Go on with what was held back. */
void connection_resume(struct connection *c);
/* What comes from now on belongs to another request, or another part of one: its time begins. */
void connection_progress(struct connection *c);
void connection_end(struct connection *c);   /* once all that is owed is written */
void connection_close(struct connection *c); /* now; its requests are cancelled */
/* Once a tick: close what is late. */
void connection_check(struct connection *c, uint64_t now_us);

#endif
