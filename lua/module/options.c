/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/module/options.h"

#include <lauxlib.h>
#include <lynse.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "codec/quote.h"
#include "lua/module/documents.h"
#include "lua/module/scalars.h"

enum { WORDS_BYTES = 192 }; /* what an error says there is */

struct word {
    const char *text;
    const char *others; /* read too: separated by one space */
    uint32_t number;
};
static const struct word sync_words[] = {
#define SYNC_WORD(name, number, promise, of_writes) {#name, "", number},
    LYNSE_SYNC_LEVELS(SYNC_WORD)
#undef SYNC_WORD
};
static const struct word metric_words[] = {
#define METRIC_WORD(name, number, text, mode_words, other_names, ...) {text, other_names, number},
    LYNSE_METRICS(METRIC_WORD)
#undef METRIC_WORD
};
static const struct word storage_words[] = {
#define STORAGE_WORD(name, number, text) {text, "", number},
    LYNSE_STORAGES(STORAGE_WORD)
#undef STORAGE_WORD
};
enum {
    STORAGE_WORD_COUNT = sizeof storage_words / sizeof *storage_words,
    SYNC_WORD_COUNT = sizeof sync_words / sizeof *sync_words,
    METRIC_WORD_COUNT = sizeof metric_words / sizeof *metric_words,
};

struct options options_of(lua_State *L, int index)
{
    return (struct options){.L = L, .index = lua_istable(L, index) ? index : 0};
}

/* Push the member; false, and nothing pushed, where there is none. */
static bool push_member(struct options *o, const char *name)
{
    if (options_failed(o) || o->index == 0) return false;
    lua_pushstring(o->L, name);
    lua_rawget(o->L, o->index); /* raw: a text that is borrowed is the table's own */
    if (!lua_isnil(o->L, -1)) return true;
    lua_pop(o->L, 1);
    return false;
}

uint64_t option_u64(struct options *o, const char *name)
{
    uint64_t v = 0;

    if (!push_member(o, name)) return 0;
    if (scalar_read_integer(o->L, -1, &v) != SCALAR_IS_UINT) {
        v = 0;
        error_set(&o->err, LYNSE_INVALID, "%s: must be a whole number of 0 or more", name);
    }
    lua_pop(o->L, 1);
    return v;
}

uint32_t option_u32(struct options *o, const char *name)
{
    uint64_t v = option_u64(o, name);

    if (v <= UINT32_MAX) return (uint32_t)v;
    error_set(&o->err, LYNSE_LIMIT, "%s: %llu, at most %u", name, (unsigned long long)v,
              UINT32_MAX);
    return 0;
}

float option_f32(struct options *o, const char *name)
{
    if (!push_member(o, name)) return 0;
    lua_Number v = 0;
    if (lua_type(o->L, -1) == LUA_TNUMBER) v = lua_tonumber(o->L, -1);
    else error_set(&o->err, LYNSE_INVALID, "%s: must be a number", name);
    lua_pop(o->L, 1);
    return (float)v;
}

bool option_flag(struct options *o, const char *name)
{
    if (!push_member(o, name)) return false;
    bool v = lua_toboolean(o->L, -1);
    if (!lua_isboolean(o->L, -1))
        error_set(&o->err, LYNSE_INVALID, "%s: a %s, must be true or false", name,
                  luaL_typename(o->L, -1));
    lua_pop(o->L, 1);
    return v;
}

bool option_is_false(struct options *o, const char *name)
{
    if (!push_member(o, name)) return false;
    lua_pop(o->L, 1);
    return !option_flag(o, name) && !options_failed(o);
}

const char *argument_text(lua_State *L, int index, const char *what, struct error *err)
{
    size_t size;
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &size) : NULL;

    if (text && strlen(text) == size) return text;
    error_set(err, LYNSE_INVALID, "%s: must be a text%s", what, text ? " without a NUL" : "");
    return NULL;
}

const char *option_text(struct options *o, const char *name)
{
    if (!push_member(o, name)) return NULL;
    const char *text = argument_text(o->L, -1, name, &o->err);
    lua_pop(o->L, 1);
    return text;
}

void option_bytes(struct options *o, const char *name, uint8_t *out, size_t size)
{
    size_t given = 0;

    if (!push_member(o, name)) return;
    const char *text = lua_type(o->L, -1) == LUA_TSTRING ? lua_tolstring(o->L, -1, &given) : NULL;
    if (text && given == size) memcpy(out, text, size);
    else error_set(&o->err, LYNSE_INVALID, "%s: must be a text of %zu bytes", name, size);
    lua_pop(o->L, 1);
}

void option_map(struct options *o, const char *name, struct buf *out)
{
    if (!push_member(o, name)) return;
    if (!lua_istable(o->L, -1))
        error_set(&o->err, LYNSE_INVALID, "%s: a %s, must be a table", name,
                  luaL_typename(o->L, -1));
    else if (document_write(o->L, lua_gettop(o->L), out, &o->err) != 0)
        error_wrap(&o->err, "%s", name);
    else if (!buf_ok(out)) error_no_memory(&o->err, out->capacity);
    lua_pop(o->L, 1);
}

static uint32_t option_word(struct options *o, const char *name, const struct word *words,
                            size_t count)
{
    const char *text = option_text(o, name);
    char quoted[QUOTE_BYTES], all[WORDS_BYTES] = "";
    size_t used = 0;

    if (!text) return 0;
    for (size_t i = 0; i < count; i++)
        if (slice_equal_word(slice_of_text(text), slice_of_text(words[i].text)) ||
            slice_is_word_of(slice_of_text(text), words[i].others))
            return words[i].number;
    for (size_t i = 0; i < count && used < sizeof all; i++)
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "",
                                 words[i].text);
    error_set(&o->err, LYNSE_INVALID, "%s: there is no %s; there are %s", name,
              quote_text(slice_of_text(text), quoted, sizeof quoted), all);
    return 0;
}

uint32_t option_sync(struct options *o)
{
    return option_word(o, "sync", sync_words, SYNC_WORD_COUNT);
}

uint32_t option_metric(struct options *o)
{
    return option_word(o, "metric", metric_words, METRIC_WORD_COUNT);
}

uint32_t option_storage(struct options *o)
{
    return option_word(o, "storage", storage_words, STORAGE_WORD_COUNT);
}

uint32_t option_score_mode(struct options *o)
{
    static const struct word modes[] = {
        {"all", "", LYNSE_SCORE_ALL},
        {"collect", "", LYNSE_SCORE_COLLECT},
        {"beam", "", LYNSE_SCORE_BEAM},
    };
    return option_word(o, "score_mode", modes, sizeof modes / sizeof *modes);
}

static const char *text_of(const struct word *words, size_t count, uint32_t number)
{
    for (size_t i = 0; i < count; i++)
        if (words[i].number == number) return words[i].text;
    return "";
}

const char *metric_text(uint32_t metric)
{
    return text_of(metric_words, METRIC_WORD_COUNT, metric);
}

const char *storage_text(uint32_t storage)
{
    return text_of(storage_words, STORAGE_WORD_COUNT, storage);
}

void sync_push(lua_State *L, uint32_t sync)
{
    const char *text = text_of(sync_words, SYNC_WORD_COUNT, sync);
    char lower[16];
    size_t size = strlen(text);

    if (size > sizeof lower) size = sizeof lower;
    for (size_t i = 0; i < size; i++) lower[i] = (char)(text[i] | ('a' - 'A'));
    lua_pushlstring(L, lower, size);
}
