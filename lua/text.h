/* SPDX-License-Identifier: Apache-2.0 */
/* text.h — text that a function of C puts together for a script, of bounded size.
 *
 * Its memory is a userdata on the Lua stack, so that an error leaves nothing behind.  All functions
 * raise Lua errors.
 */
#ifndef LUA_TEXT_H
#define LUA_TEXT_H

#include <lua.h>

#include "base/slice.h"

enum { TEXT_BYTES_MAX = 64 << 10 }; /* of what functions of strings take and make */

struct text {
    lua_State *L;
    const char *what; /* for errors: "string.rep" */
    int index;        /* of the stack: where the memory is held */
    char *data;
    size_t size, capacity;
};

/* Takes one place of the stack, the next one. */
void text_begin(struct text *t, lua_State *L, const char *what);
void text_add(struct text *t, const void *bytes, size_t size);
/* The value at the top of the stack: text or a number, which is popped. */
void text_add_value(struct text *t);
/* Push the text. */
void text_end(struct text *t);

/* Argument `index` as text of at most TEXT_BYTES_MAX bytes. */
struct slice text_argument(lua_State *L, int index, const char *what);

#endif
