/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.c — hooks that a collection keeps: set, dropped, listed. */
#include <lynse.h>
#include <string.h>

#include "lua/module/failure.h"
#include "lua/module/handles.h"
#include "lua/module/natives.h"
#include "lua/module/options.h"
#include "lua/module/records.h"

static const char *const policies[] = {[LYNSE_HOOK_FAIL] = "fail", [LYNSE_HOOK_SKIP] = "skip"};
enum { POLICY_COUNT = sizeof policies / sizeof *policies };

static uint32_t option_policy(struct options *o)
{
    const char *word = option_text(o, "on_failure");

    if (!word) return LYNSE_HOOK_FAIL;
    for (uint32_t i = 0; i < POLICY_COUNT; i++)
        if (strcmp(word, policies[i]) == 0) return i;
    if (!options_failed(o))
        error_set(&o->err, LYNSE_INVALID, "on_failure: '%.40s', must be '%s' or '%s'", word,
                  policies[LYNSE_HOOK_FAIL], policies[LYNSE_HOOK_SKIP]);
    return 0;
}

/* set_hook(collection, point, source, {options =, on_failure =}) → its version */
static int set_hook(lua_State *L)
{
    struct options o = options_of(L, 4);
    struct lynse_error err = {0};
    struct lynse_hook_desc desc = {.struct_bytes = sizeof desc};
    uint64_t version = 0;

    handle_check_collection(L, 1);
    desc.point = argument_text(L, 2, "point", &o.err);
    if (desc.point) desc.source = argument_text(L, 3, "source", &o.err);
    if (desc.source) desc.on_failure = option_policy(&o);
    struct module_scratch *s = handle_push_scratch(L);
    option_map(&o, "options", &s->bytes);
    if (options_failed(&o)) return failure_push_error(L, &o.err);
    desc.options = (struct lynse_bytes){s->bytes.data, s->bytes.size};
    struct module_collection *c = handle_check_collection(L, 1);
    int code = lynse_hook_set(c->collection, &desc, &version, &err);
    scratch_clear(s);
    if (code != LYNSE_OK) return failure_push(L, &err);
    lua_pushnumber(L, (lua_Number)version);
    return 1;
}

/* drop_hook(collection, point) */
static int drop_hook(lua_State *L)
{
    struct error wrong = {0};
    struct lynse_error err = {0};
    const char *point = argument_text(L, 2, "point", &wrong);
    struct module_collection *c = handle_check_collection(L, 1);

    if (!point) return failure_push_error(L, &wrong);
    if (lynse_hook_drop(c->collection, point, &err) != LYNSE_OK) return failure_push(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

static void push_hook(lua_State *L, const struct lynse_hook_info *h)
{
    lua_createtable(L, 0, 6);
    lua_pushnumber(L, (lua_Number)h->version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, h->source);
    lua_setfield(L, -2, "source");
    document_push(L, (struct slice){h->options.data, h->options.size}, DOCUMENT_EXACT);
    lua_setfield(L, -2, "options");
    lua_pushstring(L, policies[h->on_failure < POLICY_COUNT ? h->on_failure : LYNSE_HOOK_FAIL]);
    lua_setfield(L, -2, "on_failure");
    lua_pushboolean(L, h->is_trusted != 0);
    lua_setfield(L, -2, "is_trusted");
    lua_pushboolean(L, h->is_disabled != 0);
    lua_setfield(L, -2, "is_disabled");
}

/* hooks(collection) → {point = {version, source, options, on_failure, …}} */
static int list_hooks(lua_State *L)
{
    struct module_scratch *s = handle_push_scratch(L);
    struct module_collection *c = handle_check_collection(L, 1);
    struct lynse_error err = {0};

    if (lynse_hook_list(c->collection, &s->hooks, &err) != LYNSE_OK) return failure_push(L, &err);
    lua_createtable(L, 0, (int)s->hooks->count);
    for (size_t i = 0; i < s->hooks->count; i++) {
        push_hook(L, &s->hooks->hooks[i]);
        lua_setfield(L, -2, s->hooks->hooks[i].point);
    }
    scratch_clear(s);
    return 1;
}

const luaL_Reg native_hooks[] = {
    {"set_hook", set_hook}, {"drop_hook", drop_hook}, {"hooks", list_hooks}, {NULL, NULL}};
