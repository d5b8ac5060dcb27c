/* SPDX-License-Identifier: Apache-2.0 */
/* text.c — text that a function of C puts together for a script, of bounded size. */
#include "lua/text.h"

#include <lauxlib.h>

#include "lua/budget.h"

enum { FIRST_BYTES = 256, BYTES_PER_STEP = 64 };

void text_begin(struct text *t, lua_State *L, const char *what)
{
    *t = (struct text){.L = L, .what = what, .capacity = FIRST_BYTES};
    t->data = lua_newuserdata(L, FIRST_BYTES);
    t->index = lua_gettop(L);
}

static void grow(struct text *t, size_t size)
{
    size_t capacity = t->capacity;
    if (size > TEXT_BYTES_MAX)
        luaL_error(t->L, "%s: text of more than %d bytes", t->what, TEXT_BYTES_MAX);
    while (capacity < size) capacity *= 2;
    char *data = lua_newuserdata(t->L, capacity);
    memcpy(data, t->data, t->size);
    lua_replace(t->L, t->index);
    t->data = data;
    t->capacity = capacity;
}

void text_add(struct text *t, const void *bytes, size_t size)
{
    budget_charge(t->L, 1 + size / BYTES_PER_STEP);
    if (size > t->capacity - t->size) grow(t, size > TEXT_BYTES_MAX ? size : t->size + size);
    if (size) memcpy(t->data + t->size, bytes, size);
    t->size += size;
}

void text_add_value(struct text *t)
{
    size_t size;
    const char *bytes = lua_tolstring(t->L, -1, &size);
    text_add(t, bytes, size);
    lua_pop(t->L, 1);
}

void text_end(struct text *t)
{
    lua_pushlstring(t->L, t->data, t->size);
}

struct slice text_argument(lua_State *L, int index, const char *what)
{
    size_t size;
    const char *bytes = luaL_checklstring(L, index, &size);
    if (size > TEXT_BYTES_MAX)
        luaL_error(L, "%s: text of %d bytes, the limit is %d", what, (int)size, TEXT_BYTES_MAX);
    budget_charge(L, 1 + size / BYTES_PER_STEP);
    return slice_of(bytes, size);
}
