/* SPDX-License-Identifier: Apache-2.0 */
/* search_call.h — a search that a program asked for, and the functions of it that take part.
 *
 * One userdata a search: of one call (search.c), or of one that goes on from call to call
 * (steps.c).  Thread: that of the state, by any of its coroutines.
 */
#ifndef LUA_MODULE_SEARCH_CALL_H
#define LUA_MODULE_SEARCH_CALL_H

#include <lua.h>
#include <lynse.h>

#include "lua/module/handles.h"
#include "lua/module/options.h"
#include "lua/module/records.h"

enum { HOOK_FIELDS = 32 }; /* fields that a score may read: lynse_score_callback's limit */

/* lynse.lua has the same members in the same order. */
struct search_view {
    const float *distances;
    float *out;
    const double *columns[HOOK_FIELDS];
    const float *vectors; /* of a rerank's hits */
    uint32_t *places;
    float *scores;
    double count, dim; /* count: hits that come in, and that are kept */
};

struct search_call {
    lua_State *L; /* that runs it now */
    struct search_view *view;
    const struct lynse_hits *hits; /* while a rerank runs */
    size_t field_count;
    const char *field_names[HOOK_FIELDS];
    const char *failed_hook; /* whose error is at FAILURE_AT */
    unsigned form;           /* enum hits_flags */
    struct lynse_error err;
    struct lynse_score_callback score;
    struct lynse_rerank_callback rerank;
    struct lynse_search *search; /* in steps: under way; NULL: over, or of one call */
    struct module_root *root;    /* in steps: kept alive by the environment */
    bool is_running;
    bool is_paged; /* it stays after its hits */
};

/* The places of the stack while the library runs; the first four are search's arguments. */
enum { OPTIONS_AT = 2, VECTORS_AT, HOOKS_AT, SCRATCH_AT, CALL_AT };
enum { SCORE_AT = CALL_AT + 1, RERANK_AT, TRACEBACK_AT, FAILURE_AT, STACK_ROOM = 40 };

/* From the arguments search(collection, options, vectors, hooks or nil), which are at their places:
 * push the scratch and the call, place its hooks, and fill the desc, which points into the call.
 * NULL with o->err set. */
struct search_call *search_call_prepare(lua_State *L, struct options *o,
                                        struct lynse_search_desc *desc);
/* The call is at CALL_AT, which is the top: push what is above it, from the hooks at HOOKS_AT. */
void search_call_place_hooks(lua_State *L, struct search_call *call);
/* Around the library's: what it runs may search too, but not close the root.  enter raises where
 * searches are nested too deep. */
void search_call_enter(lua_State *L, struct search_call *call, struct module_root *root);
void search_call_leave(struct search_call *call, struct module_root *root);
/* Push a list of hits, one for each query, and the bits of the hooks that were skipped; or nil and
 * the error.  → how many were pushed. */
int search_call_push_hits(lua_State *L, const struct search_call *call,
                          const struct lynse_hits *hits);
int search_call_push_failure(lua_State *L, const struct search_call *call);
/* The one at `index`; raises where it is none. */
struct search_call *search_call_check(lua_State *L, int index);

/* steps.c */
int search_call_finalize(lua_State *L);

#endif
