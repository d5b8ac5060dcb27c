/* SPDX-License-Identifier: Apache-2.0 */
/* scalars.h — values that Lua has no type for: integers beyond 2^53, datetimes, bytes.
 *
 * They are userdata with == and tostring, and < among those of a kind.  A number of Lua is an
 * integer here when it is whole and at most 2^53, which is as far as it is exact.
 * All functions that push raise when memory runs out.  Thread: that of the state.
 */
#ifndef LUA_MODULE_SCALARS_H
#define LUA_MODULE_SCALARS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

enum {
    SCALAR_TCDATA = 10, /* lua_type of what LuaJIT's FFI makes */
};
#define SCALAR_EXACT_MAX (1ll << 53)

enum scalar_kind {
    SCALAR_NEGATIVE, /* as.integer, below -2^53 */
    SCALAR_UINT,     /* as.uinteger, above 2^53 */
    SCALAR_DATETIME, /* as.integer: microseconds since 1970 */
    SCALAR_BYTES,    /* size of them, behind the struct */
};
struct scalar {
    enum scalar_kind kind;
    uint32_t size;
    union {
        int64_t integer;
        uint64_t uinteger;
    } as;
    char bytes[];
};

/* Once for a state: metatables. */
void scalars_prepare(lua_State *L);

/* NULL when the value there is none of ours; borrowed while it is on the stack. */
const struct scalar *scalar_borrow(lua_State *L, int index);
void scalar_push_uint(lua_State *L, uint64_t v); /* a number where it is exact */
void scalar_push_int(lua_State *L, int64_t v);
void scalar_push_datetime(lua_State *L, int64_t us);
void scalar_push_bytes(lua_State *L, struct slice bytes);

enum scalar_integer { SCALAR_IS_NO_INTEGER, SCALAR_IS_NEGATIVE, SCALAR_IS_UINT };
/* The integer there: a whole number up to 2^53, one of ours, or an int64_t or uint64_t of the FFI.
 * *out has the bits; with SCALAR_IS_NEGATIVE those of an int64_t below 0.  For the type of the last
 * two Lua runs, and with it perhaps a finalizer or debug hook of the program: check handles after
 * it. */
enum scalar_integer scalar_read_integer(lua_State *L, int index, uint64_t *out);

/* set_integer_kind(f): f(cdata) → 1 of a uint64_t, 2 of an int64_t, 0; for the Lua part. */
int scalar_set_integer_kind(lua_State *L);

/* Functions of the module.  integer(x): from a decimal text, a number, an int64_t or uint64_t;
 * datetime(x): from RFC 3339 or seconds since 1970; bytes(text).  nil and an error where x is
 * none. */
int scalar_integer_new(lua_State *L);
int scalar_datetime_new(lua_State *L);
int scalar_bytes_new(lua_State *L);

#endif
