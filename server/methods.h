/* SPDX-License-Identifier: Apache-2.0 */
/* methods.h — the methods and routes of a loop, as its scripts registered them.
 *
 * scripts/rpc has a file for each method; scripts/http says which routes are more than
 * POST /<method>.  Both are read once, when the loop is made.  Thread: the loop's.
 */
#ifndef SERVER_METHODS_H
#define SERVER_METHODS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/slice.h"
#include "server/arguments.h"

enum {
    METHOD_NAME_BYTES = 63,
    METHODS_MAX = 512,
};

struct method {
    char name[METHOD_NAME_BYTES + 1];
    bool is_public;  /* needs no key */
    bool is_lenient; /* takes whatever it is given */
    bool is_audited; /* it changes something */
    bool is_own;     /* the operator's: it runs with a guard, and its failures are the caller's */
    unsigned number; /* its place among all; set by metrics_open */
    bool is_urgent;  /* answered however much is under way: health, metrics, cancel */
    int run_ref;     /* of its function, in the registry */
    struct signature signature;
};

/* How the answer of a route is written. */
#define ROUTE_REPLIES(_)                                                                           \
    _(ENVELOPE, "envelope")         /* {"status":"success","params":…} */                        \
    _(PLAIN, "plain")               /* the value as JSON */                                        \
    _(TEXT, "text")                 /* the value is a text, with the route's content type */       \
    _(SEARCH_BLOCK, "search_block") /* the one value's hits, as a block */                         \
    _(BATCH_BLOCK, "batch_block")                                                                  \
    _(ROWS_BLOCK, "rows_block")
enum route_reply {
#define ROUTE_REPLY_ENUM(name, word) ROUTE_##name,
    ROUTE_REPLIES(ROUTE_REPLY_ENUM)
#undef ROUTE_REPLY_ENUM
};
/* Where a route's params come from. */
#define ROUTE_PARAMS(_)                                                                            \
    _(JSON, "json")   /* the body, JSON or msgpack */                                              \
    _(QUERY, "query") /* the query string; a body is raw */
enum route_params {
#define ROUTE_PARAMS_ENUM(name, word) ROUTE_PARAMS_##name,
    ROUTE_PARAMS(ROUTE_PARAMS_ENUM)
#undef ROUTE_PARAMS_ENUM
};

struct route {
    char path[METHOD_NAME_BYTES + 2];
    bool is_get; /* GET and HEAD; else POST */
    enum route_params params;
    enum route_reply reply;
    char content_type[64]; /* of TEXT */
    const struct method *method;
};

struct methods {
    struct alloc *alloc;
    struct method **methods; /* sorted by name */
    size_t method_count;
    struct route **routes; /* sorted by path */
    size_t route_count;
};

void methods_init(struct methods *m, struct alloc *a);
void methods_deinit(struct methods *m);

/* For scripts: register_method(name, spec), register_route(path, spec).  Raise. */
void methods_push_natives(lua_State *L);

const struct method *methods_find(const struct methods *m, struct slice name);
/* The name that is nearest to one that is not there; NULL. */
const char *methods_suggest(const struct methods *m, struct slice name);
const char *methods_suggest_path(const struct methods *m, struct slice path);
/* NULL: no such path.  *out_is_other: the path is there with another verb alone. */
const struct route *methods_route(const struct methods *m, bool is_get, struct slice path,
                                  bool *out_is_other);

#endif
