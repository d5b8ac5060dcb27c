/* SPDX-License-Identifier: Apache-2.0 */
/* engine_reads.c — searches, look-ups and walks.
 *
 * What reads little is done on the loop: a search over few numbers, a record by its id, a count.
 * Everything else goes to a worker, where it may be split over the engine's own threads.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "codec/quote.h"
#include "lua/module/failure.h"
#include "lua/module/scalars.h"
#include "server/arguments.h"
#include "server/engine_natives.h"
#include "server/hits_value.h"
#include "server/loop.h"
#include "server/server.h"

enum {
    SMALL_SEARCH_NUMBERS = 1 << 20, /* components of all rows for all queries: 50 us or so */
    SMALL_GET_IDS = 64,
    WALK_ROWS_MAX = LIMIT_BATCH_ROWS, /* of one answer */
};

struct read_call {
    struct engine_call base;
    struct lynse_collection *collection;
    struct lynse_search_desc search;
    const struct lynse_id *ids;
    size_t id_count;
    const char *where;
    uint32_t flags;
    uint64_t skip;
    size_t row_max;
    bool is_whole;  /* a walk: more than row_max is an error */
    bool is_strict; /* get: so is an id that is not there */
    struct lynse_hits *hits;
    uint64_t count;
    int exists;
};

static struct read_call *read_call_new(lua_State *L, void (*work)(struct engine_call *),
                                       int (*push)(lua_State *, struct engine_call *))
{
    struct lynse_collection *c = engine_collection_check(L, 1);
    struct read_call *call = engine_call_new(L, sizeof *call, work, push);
    call->collection = c;
    return call;
}

/* What is found waits for a caller who may be slow to read it: it counts as what callers send. */
static int push_hits(lua_State *L, struct engine_call *base)
{
    struct read_call *call = (struct read_call *)base;
    struct request *r = base->request;
    struct hits_value *value = hits_value_push(L, &r->hits);
    struct error err;

    value->hits = call->hits;
    call->hits = NULL;
    r->hits_bytes += hits_value_bytes(value);
    if (request_hold(r)) return 1;
    uint64_t most = r->loop->server->options.held_bytes_max;
    if (r->hits_bytes > most)
        error_set(&err, LYNSE_TOO_LARGE, "the answer: %zu bytes, at most %llu; ask for it in parts",
                  r->hits_bytes, (unsigned long long)most);
    else server_refuse_held(r->loop->server, &err);
    return failure_push_error(L, &err);
}

static void drop_hits(struct engine_call *base)
{
    lynse_hits_free(((struct read_call *)base)->hits);
}

static int push_count(lua_State *L, struct engine_call *base)
{
    scalar_push_uint(L, ((struct read_call *)base)->count);
    return 1;
}

/* ---- Search ---- */

static void work_search(struct engine_call *base)
{
    struct read_call *call = (struct read_call *)base;
    call->search.error = &base->error;
    base->code = lynse_search(call->collection, &call->search, &call->hits);
}

static bool is_small_search(const struct read_call *call)
{
    const struct lynse_search_desc *s = &call->search;
    uint64_t rows = 0;

    if (s->where || s->score || s->rerank) return false;
    if (lynse_count(call->collection, &rows, NULL) != LYNSE_OK) return false;
    return (rows + 1) * s->dim * s->query_count <= SMALL_SEARCH_NUMBERS;
}

static const char *option_text(lua_State *L, const struct request *r, const char *name)
{
    lua_getfield(L, 3, name);
    const char *text = engine_keep_text(L, r, engine_text_or_null(L, -1));
    lua_pop(L, 1);
    return text;
}

static lua_Number option_number(lua_State *L, const char *name)
{
    lua_getfield(L, 3, name);
    lua_Number number = luaL_optnumber(L, -1, 0);
    lua_pop(L, 1);
    return number;
}

static bool option_flag(lua_State *L, const char *name)
{
    lua_getfield(L, 3, name);
    bool flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

/* A block of one map, which lives as long as the request. */
static struct lynse_bytes option_document(lua_State *L, const struct request *r, const char *name)
{
    lua_getfield(L, 3, name);
    const struct block *block = block_borrow(L, -1, ARGUMENT_DOCUMENT, r->number);
    lua_pop(L, 1);
    return block ? block->as.documents[0] : (struct lynse_bytes){NULL, 0};
}

/* search(collection, queries, { k, where, fields, vectors, score, rerank, score_options,
 * rerank_options, no_hooks, effort, oversample, exact, score_mode, eps, threshold, max_results }) →
 * hits; a range search where there is a threshold. */
static int search(lua_State *L)
{
    struct read_call *call = read_call_new(L, work_search, push_hits);
    const struct request *r = call->base.request;
    const struct block *queries = block_borrow(L, 2, ARGUMENT_VECTORS, r->number);

    if (!queries) queries = block_borrow(L, 2, ARGUMENT_VECTOR, r->number);
    if (!queries) return luaL_argerror(L, 2, "no vectors of this request's");
    luaL_checktype(L, 3, LUA_TTABLE);
    call->base.drop = drop_hits;
    call->search =
        (struct lynse_search_desc){.struct_bytes = sizeof call->search,
                                   .dim = queries->dim,
                                   .vector = queries->as.vectors,
                                   .query_count = queries->count,
                                   .k = (uint32_t)option_number(L, "k"),
                                   .where = option_text(L, r, "where"),
                                   .score = option_text(L, r, "score"),
                                   .rerank = option_text(L, r, "rerank"),
                                   .score_options = option_document(L, r, "score_options"),
                                   .rerank_options = option_document(L, r, "rerank_options"),
                                   .effort = (uint32_t)option_number(L, "effort"),
                                   .oversample = (float)option_number(L, "oversample"),
                                   .score_mode = (uint32_t)option_number(L, "score_mode"),
                                   .eps = (float)option_number(L, "eps"),
                                   .timeout_us = engine_call_timeout_us(r),
                                   .cancel = &r->is_cancelled};
    if (option_flag(L, "fields")) call->search.flags |= LYNSE_WITH_FIELDS;
    if (option_flag(L, "vectors")) call->search.flags |= LYNSE_WITH_VECTORS;
    if (option_flag(L, "no_hooks")) call->search.flags |= LYNSE_NO_HOOKS;
    if (option_flag(L, "exact")) call->search.flags |= LYNSE_EXACT;
    lua_getfield(L, 3, "threshold");
    if (!lua_isnil(L, -1)) {
        call->search.flags |= LYNSE_RANGE;
        call->search.threshold = (float)luaL_checknumber(L, -1);
        call->search.max_results = (uint32_t)option_number(L, "max_results");
    }
    lua_pop(L, 1);
    return engine_call_run(L, &call->base, is_small_search(call));
}

/* ---- By id ---- */

static uint32_t flags_at(lua_State *L, int index)
{
    return (lua_toboolean(L, index) ? LYNSE_WITH_FIELDS : 0u) |
           (lua_toboolean(L, index + 1) ? LYNSE_WITH_VECTORS : 0u);
}

static void fail_call(struct engine_call *base, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail_call(struct engine_call *base, int code, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(base->error.text, sizeof base->error.text, format, list);
    va_end(list);
    base->error.code = base->code = code;
}

static bool is_same_id(const struct lynse_id *a, const struct lynse_id *b)
{
    if (!a->text || !b->text) return !a->text && !b->text && a->number == b->number;
    return a->text_bytes == b->text_bytes && memcmp(a->text, b->text, a->text_bytes) == 0;
}

/* The hits are in the order of the ids: the first that differs was left out. */
static void refuse_missing(struct read_call *call)
{
    size_t at = 0;
    while (at < call->hits->count && is_same_id(&call->hits->ids[at], &call->ids[at])) at++;
    const struct lynse_id *id = &call->ids[at];
    char quoted[QUOTE_BYTES];

    if (id->text) quote_text(slice_of(id->text, id->text_bytes), quoted, sizeof quoted);
    else snprintf(quoted, sizeof quoted, "%llu", (unsigned long long)id->number);
    fail_call(&call->base, LYNSE_INVALID, "external id %s does not exist", quoted);
}

static void work_get(struct engine_call *base)
{
    struct read_call *call = (struct read_call *)base;

    base->code = lynse_get(call->collection, call->ids, call->id_count, call->flags, &call->hits,
                           &base->error);
    if (base->code == LYNSE_OK && call->is_strict && call->hits->count < call->id_count)
        refuse_missing(call);
}

/* get(collection, ids, with_fields, with_vectors, strict) → hits; strict: all ids must be there */
static int get(lua_State *L)
{
    struct read_call *call = read_call_new(L, work_get, push_hits);
    const struct block *ids = engine_ids_check(L, 2, call->base.request);

    call->base.drop = drop_hits;
    call->ids = ids->as.ids;
    call->id_count = ids->count;
    call->flags = flags_at(L, 3);
    call->is_strict = lua_toboolean(L, 5);
    return engine_call_run(L, &call->base, ids->count <= SMALL_GET_IDS);
}

static void work_has(struct engine_call *base)
{
    struct read_call *call = (struct read_call *)base;
    base->code = lynse_exists(call->collection, call->ids, &call->exists, &base->error);
}

static int push_exists(lua_State *L, struct engine_call *base)
{
    lua_pushboolean(L, ((struct read_call *)base)->exists);
    return 1;
}

/* has(collection, id) → flag */
static int has(lua_State *L)
{
    struct read_call *call = read_call_new(L, work_has, push_exists);

    call->ids = engine_ids_check(L, 2, call->base.request)->as.ids;
    return engine_call_run(L, &call->base, true);
}

/* ---- Counting and walking ---- */

/* A walk with the time and the cancel flag of the request. */
static int begin_walk(struct read_call *call, struct lynse_scan **out)
{
    const struct request *r = call->base.request;
    int code =
        call->where
            ? lynse_query_begin(call->collection, call->where, call->flags, out, &call->base.error)
            : lynse_scan_begin(call->collection, call->flags, out, &call->base.error);

    if (code == LYNSE_OK) lynse_scan_limit(*out, engine_call_timeout_us(r), &r->is_cancelled);
    return code;
}

/* The rows that a filter passes are counted, and the end is looked at for why it is one. */
static int count_where(struct read_call *call)
{
    struct lynse_scan *scan = NULL;
    struct lynse_hits *none = NULL;
    int code = begin_walk(call, &scan);

    if (code != LYNSE_OK) return code;
    call->count = lynse_scan_skip(scan, UINT64_MAX);
    code = lynse_scan_next(scan, 1, &none, &call->base.error);
    lynse_hits_free(none);
    lynse_scan_free(scan);
    return code;
}

static void work_count(struct engine_call *base)
{
    struct read_call *call = (struct read_call *)base;
    base->code =
        call->where ? count_where(call) : lynse_count(call->collection, &call->count, &base->error);
}

/* count(collection, where or nil) → number */
static int count(lua_State *L)
{
    struct read_call *call = read_call_new(L, work_count, push_count);

    call->where = engine_keep_text(L, call->base.request, engine_text_or_null(L, 2));
    return engine_call_run(L, &call->base, !call->where);
}

/* Rows skip … skip + limit of the walk, at once. */
static void work_walk(struct engine_call *base)
{
    struct read_call *call = (struct read_call *)base;
    struct lynse_scan *scan = NULL;
    struct lynse_hits *more = NULL;

    base->code = begin_walk(call, &scan);
    if (base->code != LYNSE_OK) return;
    lynse_scan_skip(scan, call->row_max ? call->skip : UINT64_MAX); /* none: behind the last */
    base->code =
        lynse_scan_next(scan, call->row_max ? call->row_max : 1, &call->hits, &base->error);
    if (base->code == LYNSE_OK && call->is_whole && call->hits->count == call->row_max) {
        base->code = lynse_scan_next(scan, 1, &more, &base->error);
        if (base->code == LYNSE_OK && more->count)
            fail_call(base, LYNSE_LIMIT,
                      "more than %d records; ask for them in parts, with a limit", WALK_ROWS_MAX);
    }
    lynse_hits_free(more);
    lynse_scan_free(scan);
}

/* walk(collection, where or nil, skip, limit or nil: all, with_fields, with_vectors, deleted)
 * → hits */
static int walk(lua_State *L)
{
    struct read_call *call = read_call_new(L, work_walk, push_hits);

    call->base.drop = drop_hits;
    call->where = engine_keep_text(L, call->base.request, engine_text_or_null(L, 2));
    call->skip = (uint64_t)luaL_optnumber(L, 3, 0);
    call->is_whole = lua_isnoneornil(L, 4);
    call->row_max = call->is_whole ? WALK_ROWS_MAX : (size_t)luaL_checknumber(L, 4);
    call->flags = flags_at(L, 5) | (lua_toboolean(L, 7) ? LYNSE_SCAN_DELETED : 0u);
    return engine_call_run(L, &call->base, false);
}

const luaL_Reg engine_natives_reads[] = {{"search", search}, {"get", get},   {"has", has},
                                         {"count", count},   {"walk", walk}, {NULL, NULL}};
