/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/module/index_table.h"

#include "base/slice.h"
#include "codec/quote.h"
#include "lua/module/scalars.h"

/* Also of an integer that no number of Lua is: what it is too large for says so itself. */
static bool read_value(lua_State *L, double *out)
{
    const struct scalar *boxed = scalar_borrow(L, -1);

    if (boxed && boxed->kind == SCALAR_UINT) *out = (double)boxed->as.uinteger;
    else if (boxed && boxed->kind == SCALAR_NEGATIVE) *out = (double)boxed->as.integer;
    else if (lua_type(L, -1) == LUA_TNUMBER) *out = lua_tonumber(L, -1);
    else return false;
    return true;
}

static int read_param(lua_State *L, struct lynse_index_param *out, struct error *err)
{
    char quoted[QUOTE_BYTES];
    size_t size;

    /* lua_tolstring of what is no text would change the key that lua_next goes on from. */
    if (lua_type(L, -2) != LUA_TSTRING)
        return error_set(err, LYNSE_INVALID, "params: a name that is no text");
    const char *name = lua_tolstring(L, -2, &size);
    quote_text(slice_of(name, size), quoted, sizeof quoted);
    if (strlen(name) != size)
        return error_set(err, LYNSE_INVALID, "params: %s holds a NUL byte", quoted);
    out->name = name;
    if (!read_value(L, &out->value))
        return error_set(err, LYNSE_INVALID, "params: %s must be a number, not %s", quoted,
                         lua_typename(L, lua_type(L, -1)));
    return 0;
}

int index_table_read_params(lua_State *L, int index,
                            struct lynse_index_param out[LIMIT_INDEX_PARAMS], size_t *count,
                            struct error *err)
{
    *count = 0;
    if (lua_isnoneornil(L, index)) return 0;
    if (!lua_istable(L, index))
        return error_set(err, LYNSE_INVALID, "params: must be a table, not %s",
                         lua_typename(L, lua_type(L, index)));
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (*count == LIMIT_INDEX_PARAMS)
            error_set(err, LYNSE_LIMIT, "params: more than %d", LIMIT_INDEX_PARAMS);
        else if (read_param(L, &out[*count], err) == 0) {
            ++*count;
            continue;
        }
        lua_pop(L, 2);
        return -1;
    }
    return 0;
}

void index_table_push_info(lua_State *L, const struct lynse_collection_info *info)
{
    lua_createtable(L, 0, (int)info->index_param_count);
    for (uint32_t i = 0; i < info->index_param_count; i++) {
        lua_pushnumber(L, info->index_params[i].value);
        lua_setfield(L, -2, info->index_params[i].name);
    }
    lua_setfield(L, -2, "index_params");
    lua_pushnumber(L, (lua_Number)info->index_progress);
    lua_setfield(L, -2, "index_progress");
    lua_pushinteger(L, (lua_Integer)info->indexed_segment_count);
    lua_setfield(L, -2, "indexed_segment_count");
    lua_pushboolean(L, info->index_is_auto != 0);
    lua_setfield(L, -2, "index_is_auto");
    lua_pushboolean(L, info->index_is_building != 0);
    lua_setfield(L, -2, "index_is_building");
    lua_pushnumber(L, (lua_Number)info->unindexed_count);
    lua_setfield(L, -2, "unindexed_count");
    lua_pushnumber(L, (lua_Number)info->index_build_count);
    lua_setfield(L, -2, "index_build_count");
    lua_pushnumber(L, (lua_Number)info->index_failure_count);
    lua_setfield(L, -2, "index_failure_count");
    if (info->index_failure.code) {
        lua_pushstring(L, error_name(info->index_failure.code));
        lua_setfield(L, -2, "index_failure_code");
    }
    lua_pushstring(L, info->index_failure.text);
    lua_setfield(L, -2, "index_failure");
    lua_pushinteger(L, (lua_Integer)info->recall_query_count);
    lua_setfield(L, -2, "recall_query_count");
    if (info->recall_query_count == 0) return;
    lua_pushnumber(L, (lua_Number)info->recall_measured);
    lua_setfield(L, -2, "recall_measured");
    lua_pushnumber(L, (lua_Number)info->recall_measured_at_us / 1e6);
    lua_setfield(L, -2, "recall_measured_at");
}
