/* SPDX-License-Identifier: Apache-2.0 */
/* methods.c — two sorted lists, filled by scripts when a loop begins and read ever after. */
#include "server/methods.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "server/loop.h"

void methods_init(struct methods *m, struct alloc *a)
{
    *m = (struct methods){.alloc = a};
}

void methods_deinit(struct methods *m)
{
    for (size_t i = 0; i < m->method_count; i++) mem_free(m->alloc, m->methods[i]);
    for (size_t i = 0; i < m->route_count; i++) mem_free(m->alloc, m->routes[i]);
    mem_free(m->alloc, m->methods);
    mem_free(m->alloc, m->routes);
    *m = (struct methods){0};
}

static int compare_text(const char *name, struct slice text)
{
    return slice_compare(slice_of_text(name), text);
}

/* Where the name is, or would be. */
static size_t place_of_method(const struct methods *m, struct slice name)
{
    size_t low = 0, high = m->method_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_text(m->methods[middle]->name, name) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

static size_t place_of_route(const struct methods *m, struct slice path)
{
    size_t low = 0, high = m->route_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_text(m->routes[middle]->path, path) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

const struct method *methods_find(const struct methods *m, struct slice name)
{
    size_t at = place_of_method(m, name);
    if (at == m->method_count || compare_text(m->methods[at]->name, name) != 0) return NULL;
    return m->methods[at];
}

const char *methods_suggest(const struct methods *m, struct slice name)
{
    struct suggestion s;

    suggestion_begin(&s, name);
    for (size_t i = 0; i < m->method_count; i++) suggestion_offer(&s, m->methods[i]->name);
    return s.best;
}

const char *methods_suggest_path(const struct methods *m, struct slice path)
{
    struct suggestion s;

    suggestion_begin(&s, path);
    for (size_t i = 0; i < m->route_count; i++) suggestion_offer(&s, m->routes[i]->path);
    return s.best;
}

const struct route *methods_route(const struct methods *m, bool is_get, struct slice path,
                                  bool *out_is_other)
{
    *out_is_other = false;
    for (size_t at = place_of_route(m, path);
         at < m->route_count && compare_text(m->routes[at]->path, path) == 0; at++) {
        if (m->routes[at]->is_get == is_get) return m->routes[at];
        *out_is_other = true;
    }
    return NULL;
}

/* ---- Registering ---- */

/* Room for one more in a list of pointers that is full at powers of two. */
static void *make_entry(lua_State *L, struct alloc *a, void *list, size_t count, size_t bytes)
{
    void **entries = *(void ***)list;

    if (count >= METHODS_MAX) luaL_error(L, "more than %d methods or routes", METHODS_MAX);
    if ((count & (count - 1)) == 0) {
        entries = mem_resize(a, MEM_GENERAL, entries, (count ? count * 2 : 1) * sizeof *entries);
        if (!entries) luaL_error(L, "no memory for methods");
        *(void ***)list = entries;
    }
    void *entry = mem_zalloc(a, MEM_GENERAL, bytes);
    if (!entry) luaL_error(L, "no memory for methods");
    return entry;
}

static void insert_at(void **entries, size_t *count, size_t at, void *entry)
{
    memmove(entries + at + 1, entries + at, (*count - at) * sizeof *entries);
    entries[at] = entry;
    (*count)++;
}

static void copy_name(lua_State *L, int index, char *out, size_t bytes_max)
{
    size_t size;
    const char *name = luaL_checklstring(L, index, &size);

    if (size == 0 || size > bytes_max || strlen(name) != size)
        luaL_error(L, "the name '%s' must have 1 to %d bytes", name, (int)bytes_max);
    memcpy(out, name, size + 1);
}

static bool field_flag(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    bool flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

/* register_method(name, { arguments = {…}, public =, run = function }) */
static int register_method(lua_State *L)
{
    struct methods *m = &loop_of(L)->methods;

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    struct method *method = make_entry(L, m->alloc, &m->methods, m->method_count, sizeof *method);
    insert_at((void **)m->methods, &m->method_count, m->method_count, method); /* owned from here */
    copy_name(L, 1, method->name, METHOD_NAME_BYTES);
    m->method_count--;
    struct slice name = slice_of_text(method->name);
    if (methods_find(m, name)) {
        m->method_count++;
        return luaL_error(L, "the method '%s' is there twice", method->name);
    }
    insert_at((void **)m->methods, &m->method_count, place_of_method(m, name), method);
    method->is_public = field_flag(L, 2, "public");
    method->is_lenient = field_flag(L, 2, "lenient");
    method->is_audited = field_flag(L, 2, "mutates");
    method->is_own = field_flag(L, 2, "is_own");
    method->is_urgent = method->is_public || field_flag(L, 2, "urgent");
    lua_getfield(L, 2, "arguments");
    signature_read(L, 3, &method->signature);
    lua_getfield(L, 2, "run");
    luaL_checktype(L, 4, LUA_TFUNCTION);
    method->run_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static int read_word(lua_State *L, int index, const char *field, const char *const *words,
                     const char *otherwise)
{
    lua_getfield(L, index, field);
    const char *word = luaL_optstring(L, -1, otherwise);
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], word) != 0) continue;
        lua_pop(L, 1);
        return i;
    }
    return luaL_error(L, "%s: there is no '%s'", field, word);
}

/* register_route(path, { method =, verb = "GET" or "POST", params =, reply =, content_type = }) */
static int register_route(lua_State *L)
{
    static const char *const verbs[] = {"POST", "GET", NULL};
    static const char *const params[] = {
#define ROUTE_PARAMS_WORD(name, word) word,
        ROUTE_PARAMS(ROUTE_PARAMS_WORD)
#undef ROUTE_PARAMS_WORD
            NULL};
    static const char *const replies[] = {
#define ROUTE_REPLY_WORD(name, word) word,
        ROUTE_REPLIES(ROUTE_REPLY_WORD)
#undef ROUTE_REPLY_WORD
            NULL};
    struct methods *m = &loop_of(L)->methods;
    struct route made = {0};
    size_t size;
    bool is_other;

    luaL_checktype(L, 2, LUA_TTABLE);
    copy_name(L, 1, made.path, sizeof made.path - 1);
    made.is_get = read_word(L, 2, "verb", verbs, "POST") == 1;
    made.params = (enum route_params)read_word(L, 2, "params", params, "json");
    made.reply = (enum route_reply)read_word(L, 2, "reply", replies, "envelope");
    lua_getfield(L, 2, "content_type");
    const char *type = luaL_optstring(L, -1, "text/plain; charset=utf-8");
    if (strlen(type) >= sizeof made.content_type) return luaL_error(L, "content_type: too long");
    memcpy(made.content_type, type, strlen(type) + 1);
    lua_getfield(L, 2, "method");
    const char *name = luaL_checklstring(L, -1, &size);
    made.method = methods_find(m, slice_of(name, size));
    if (!made.method) return luaL_error(L, "%s: there is no method '%s'", made.path, name);
    if (methods_route(m, made.is_get, slice_of_text(made.path), &is_other))
        return luaL_error(L, "the route %s is there twice", made.path);
    struct route *route = make_entry(L, m->alloc, &m->routes, m->route_count, sizeof *route);
    *route = made;
    insert_at((void **)m->routes, &m->route_count, place_of_route(m, slice_of_text(route->path)),
              route);
    return 0;
}

void methods_push_natives(lua_State *L)
{
    lua_pushcfunction(L, register_method);
    lua_setfield(L, -2, "register_method");
    lua_pushcfunction(L, register_route);
    lua_setfield(L, -2, "register_route");
}
