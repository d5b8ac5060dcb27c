/* SPDX-License-Identifier: Apache-2.0 */
/* reads.c — records by id, counted, and walked over. */
#include <lynse.h>

#include "base/limits.h"
#include "lua/module/failure.h"
#include "lua/module/natives.h"
#include "lua/module/options.h"
#include "lua/module/records.h"
#include "lua/module/scalars.h"

static uint32_t read_flags(struct options *o)
{
    return (option_flag(o, "fields") ? LYNSE_WITH_FIELDS : 0u) |
           (option_flag(o, "vectors") ? LYNSE_WITH_VECTORS : 0u);
}

/* get(collection, ids, options) → hits */
static int get_records(lua_State *L)
{
    struct options o = options_of(L, 3);
    struct lynse_error err = {0};
    size_t count = 0;
    uint32_t flags = read_flags(&o);
    unsigned form = option_flag(&o, "numbers") ? HITS_NUMBERS : 0;

    handle_check_collection(L, 1);
    struct module_scratch *s = handle_push_scratch(L);
    struct lynse_id *ids = ids_push(L, 2, s, &count, &o.err);
    if (options_failed(&o)) return failure_push_error(L, &o.err);
    struct module_collection *c = handle_check_collection(L, 1);
    if (lynse_get(c->collection, ids, count, flags, &s->hits, &err) != LYNSE_OK)
        return failure_push(L, &err);
    hits_push(L, s->hits, 0, s->hits->count, form);
    scratch_clear(s);
    return 1;
}

/* exists(collection, id) → boolean */
static int record_exists(lua_State *L)
{
    struct error wrong = {0};
    struct lynse_error err = {0};
    struct lynse_id id;
    int is_there = 0, rc = id_read(L, 2, &id, &wrong);
    struct module_collection *c = handle_check_collection(L, 1);

    if (rc != 0) {
        error_wrap(&wrong, "id");
        return failure_push_error(L, &wrong);
    }
    if (lynse_exists(c->collection, &id, &is_there, &err) != LYNSE_OK) return failure_push(L, &err);
    lua_pushboolean(L, is_there);
    return 1;
}

/* count(collection, where or nil) → number */
static int count_records(lua_State *L)
{
    struct module_collection *c = handle_check_collection(L, 1);
    struct error wrong = {0};
    struct lynse_error err = {0};
    const char *where = NULL;
    uint64_t count = 0;
    int code;

    if (!lua_isnoneornil(L, 2) && !(where = argument_text(L, 2, "where", &wrong)))
        return failure_push_error(L, &wrong);
    if (where) code = lynse_count_where(c->collection, where, &count, &err);
    else code = lynse_count(c->collection, &count, &err);
    if (code != LYNSE_OK) return failure_push(L, &err);
    lua_pushnumber(L, (lua_Number)count);
    return 1;
}

/* ---- Walks ---- */

static uint32_t read_scan(struct options *o, const char **out_where)
{
    uint32_t flags = read_flags(o);

    *out_where = option_text(o, "where");
    if (option_flag(o, "deleted")) flags |= LYNSE_SCAN_DELETED;
    if (*out_where && (flags & LYNSE_SCAN_DELETED))
        error_set(&o->err, LYNSE_INVALID, "deleted: a walk over deleted records takes no where");
    return flags;
}

/* check_read(options) → true: what a get or scan without a server would not refuse */
static int check_read(lua_State *L)
{
    struct options o = options_of(L, 1);
    const char *where;

    read_scan(&o, &where);
    option_flag(&o, "numbers");
    if (options_failed(&o)) return failure_push_error(L, &o.err);
    lua_pushboolean(L, 1);
    return 1;
}

/* scan(collection, {where, fields, vectors, deleted}) → scan */
static int begin_scan(lua_State *L)
{
    struct options o = options_of(L, 2);
    struct lynse_error err = {0};
    const char *where;
    uint32_t flags = read_scan(&o, &where);
    int code;

    handle_check_collection(L, 1);
    if (options_failed(&o)) return failure_push_error(L, &o.err);
    struct module_scan *s = handle_push_scan(L, 1);
    struct module_collection *c = handle_check_collection(L, 1);
    if (where) code = lynse_query_begin(c->collection, where, flags, &s->scan, &err);
    else code = lynse_scan_begin(c->collection, flags, &s->scan, &err);
    if (code != LYNSE_OK) return failure_push(L, &err);
    return 1;
}

/* The scan that goes on; raises where there is none. */
static struct module_scan *check_going(lua_State *L)
{
    struct module_scan *scan = handle_check_scan(L, 1);
    if (!scan->scan) luaL_error(L, "the scan has ended");
    return scan;
}

/* scan_next(scan, row_max) → hits, of which there are none at the end */
static int next_of_scan(lua_State *L)
{
    lua_Integer row_max = luaL_checkinteger(L, 2);
    struct lynse_error err = {0};

    luaL_argcheck(L, row_max >= 1 && row_max <= LIMIT_BATCH_ROWS, 2, "1 to 100000 expected");
    check_going(L);
    struct module_scratch *s = handle_push_scratch(L);
    struct module_scan *scan = check_going(L);
    if (lynse_scan_next(scan->scan, (size_t)row_max, &s->hits, &err) != LYNSE_OK)
        return failure_push(L, &err);
    if (s->hits->count == 0) { /* Before the hits become a table: a finalizer may close the root. */
        lynse_scan_free(scan->scan);
        scan->scan = NULL;
    }
    hits_push(L, s->hits, 0, s->hits->count, 0);
    scratch_clear(s);
    return 1;
}

const luaL_Reg native_reads[] = {{"get", get_records},        {"exists", record_exists},
                                 {"count", count_records},    {"scan", begin_scan},
                                 {"scan_next", next_of_scan}, {"scan_end", handle_close_scan},
                                 {"check_read", check_read},  {NULL, NULL}};
