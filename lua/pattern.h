/* SPDX-License-Identifier: Apache-2.0 */
/* pattern.h — Lua's patterns, matched in counted steps and without recursion.
 *
 * Same language as string.find of Lua 5.1; what differs: classes are those of ASCII whatever the
 * locale says, and a pattern has bounded items.  Functions raise Lua errors: a malformed
 * pattern, or a budget that is used up.  The structs own nothing.
 */
#ifndef LUA_PATTERN_H
#define LUA_PATTERN_H

#include <lua.h>
#include <stdbool.h>

#include "base/slice.h"

enum {
    PATTERN_ITEMS_MAX = 192,
    PATTERN_SETS_MAX = 32, /* different classes and sets */
    PATTERN_CAPTURES_MAX = 32,
};

struct pattern_set {
    uint64_t bits[4]; /* one for each byte */
};
struct pattern_item {
    uint8_t kind;   /* of pattern.c */
    uint8_t repeat; /* '1', '*', '+', '-', '?' */
    uint8_t a, b;   /* a byte, two bytes, a set, a capture */
};
struct pattern {
    size_t item_count;
    size_t set_count;
    size_t capture_count;
    struct pattern_item items[PATTERN_ITEMS_MAX];
    struct pattern_set sets[PATTERN_SETS_MAX];
};

enum { PATTERN_POSITION = -1 }; /* the size of a capture that is a place */
struct pattern_capture {
    size_t begin;
    ptrdiff_t size;
};
struct pattern_match {
    size_t begin, end; /* in the subject */
    struct pattern_capture captures[PATTERN_CAPTURES_MAX];
};

/* An anchor '^' is the caller's: it is a byte like others here. */
void pattern_compile(lua_State *L, struct slice text, struct pattern *out);
/* A match that begins at `from` <= subject.size exactly. */
bool pattern_match_at(lua_State *L, const struct pattern *p, struct slice subject, size_t from,
                      struct pattern_match *out);
/* The first match that begins at `from` or behind. */
bool pattern_search(lua_State *L, const struct pattern *p, struct slice subject, size_t from,
                    struct pattern_match *out);

#endif
