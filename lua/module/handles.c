/* SPDX-License-Identifier: Apache-2.0 */
/* handles.c — open roots, collections and scans as userdata.
 *
 * WHAT        A root's userdata has the only pointer to what is open; collections and scans have a
 *             pointer to it and look there first: lynse_close ends them with the root.
 * INVARIANTS  (1) root->db is not NULL while the root is open, and NULL before anything of it is
 *                 gone: nothing below a closed root is touched.
 *             (2) A root's userdata outlives those of its collections and scans: it is in their
 *                 environments, and finalizers of one cycle run before any of its memory goes.
 *             (3) A root is not closed while one of its searches runs a program's function: the
 *                 close would wait for the search.
 *             (4) A handle is checked last, when nothing more runs Lua before the call of the
 *                 library: metamethods, debug hooks and finalizers of a program may close it.
 * THREADS     That of the state; lynse.h's own for LYNSE_INLINE.
 * FAILURE     Closing twice is allowed.  Of __gc nobody hears an error: close by hand to hear it.
 */
#include "lua/module/handles.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "lua/module/failure.h"
#include "lua/module/tickets.h"

static const char root_name[] = "lynse.root", collection_name[] = "lynse.collection",
                  scan_name[] = "lynse.scan", scratch_name[] = "lynse.scratch";

/* ---- Made ---- */

static void *push_new(lua_State *L, size_t size, const char *name)
{
    void *block = lua_newuserdata(L, size);

    memset(block, 0, size);
    luaL_getmetatable(L, name);
    lua_setmetatable(L, -2);
    return block;
}

/* The root's userdata itself, of a root or of what is below one. */
static void push_root_of(lua_State *L, int index)
{
    if (lua_getmetatable(L, index)) {
        luaL_getmetatable(L, root_name);
        bool is_root = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
        if (is_root) {
            lua_pushvalue(L, index);
            return;
        }
    }
    lua_getfenv(L, index);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
}

struct module_root *handle_keep_root(lua_State *L, int index)
{
    lua_createtable(L, 1, 0);
    push_root_of(L, index);
    struct module_root *root = lua_touserdata(L, -1);
    lua_rawseti(L, -2, 1);
    lua_setfenv(L, -2);
    return root;
}

struct module_root *handle_push_root(lua_State *L)
{
    return push_new(L, sizeof(struct module_root), root_name);
}

struct module_collection *handle_push_collection(lua_State *L, int root_index)
{
    struct module_collection *c = push_new(L, sizeof *c, collection_name);
    c->root = handle_keep_root(L, root_index);
    return c;
}

struct module_scan *handle_push_scan(lua_State *L, int collection_index)
{
    struct module_scan *s = push_new(L, sizeof *s, scan_name);
    s->root = handle_keep_root(L, collection_index);
    return s;
}

struct module_scratch *handle_push_scratch(lua_State *L)
{
    struct module_scratch *s = push_new(L, sizeof *s, scratch_name);
    buf_init(&s->bytes, alloc_libc(), MEM_SCRIPT);
    buf_init(&s->ids, alloc_libc(), MEM_SCRIPT);
    return s;
}

void scratch_clear(struct module_scratch *s)
{
    lynse_hits_free(s->hits);
    s->hits = NULL;
    lynse_names_free(s->names);
    s->names = NULL;
    lynse_hooks_free(s->hooks);
    s->hooks = NULL;
    buf_deinit(&s->bytes);
    buf_deinit(&s->ids);
}

/* ---- Checked ---- */

struct module_root *handle_check_root(lua_State *L, int index)
{
    struct module_root *r = luaL_checkudata(L, index, root_name);
    if (!r->db) luaL_error(L, "the database is closed");
    return r;
}

struct module_collection *handle_check_collection(lua_State *L, int index)
{
    struct module_collection *c = luaL_checkudata(L, index, collection_name);
    if (!c->root || !c->root->db) luaL_error(L, "the collection's database is closed");
    if (!c->collection) luaL_error(L, "the collection is closed");
    return c;
}

struct module_scan *handle_check_scan(lua_State *L, int index)
{
    struct module_scan *s = luaL_checkudata(L, index, scan_name);
    if (!s->root || !s->root->db) luaL_error(L, "the scan's database is closed");
    return s;
}

/* ---- Closed ---- */

int handle_close_root(lua_State *L)
{
    struct module_root *r = luaL_checkudata(L, 1, root_name);
    struct lynse_error err = {0};
    struct lynse *db = r->db;

    if (!db) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (r->hook_depth > 0) /* (3) */
        return luaL_error(L, "a database cannot be closed in a function of one of its searches");
    r->db = NULL; /* (1) */
    if (lynse_close(db, &err) != LYNSE_OK) return failure_push(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

int handle_close_collection(lua_State *L)
{
    struct module_collection *c = luaL_checkudata(L, 1, collection_name);

    if (c->collection && c->root->db) lynse_collection_close(c->collection);
    c->collection = NULL;
    lua_pushboolean(L, 1);
    return 1;
}

int handle_close_scan(lua_State *L)
{
    struct module_scan *s = luaL_checkudata(L, 1, scan_name);

    if (s->scan && s->root->db) lynse_scan_free(s->scan);
    s->scan = NULL;
    return 0;
}

static int finalize_root(lua_State *L)
{
    struct module_root *r = luaL_checkudata(L, 1, root_name);
    struct lynse *db = r->db;

    if (r->hook_depth > 0) return 0; /* (3): os.exit in a search closes the state and the process */
    r->db = NULL;                    /* (1) */
    lynse_close(db, NULL);
    return 0;
}

static int finalize_scratch(lua_State *L)
{
    scratch_clear(luaL_checkudata(L, 1, scratch_name));
    return 0;
}

static void make_metatable(lua_State *L, const char *name, lua_CFunction finalize)
{
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, finalize);
    lua_setfield(L, -2, "__gc");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

void handles_prepare(lua_State *L)
{
    make_metatable(L, root_name, finalize_root);
    make_metatable(L, collection_name, handle_close_collection);
    make_metatable(L, scan_name, handle_close_scan);
    make_metatable(L, scratch_name, finalize_scratch);
}

int handle_metatable(lua_State *L)
{
    static const char *const names[] = {"root", "collection", "ticket", NULL};
    static const char *const metatables[] = {root_name, collection_name, ticket_metatable};

    luaL_getmetatable(L, metatables[luaL_checkoption(L, 1, NULL, names)]);
    return 1;
}
