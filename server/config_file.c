/* SPDX-License-Identifier: Apache-2.0 */
/* config_file.c — three notations, one list of keys and texts (config_file.h).
 *
 * WHAT        JSON becomes msgpack by our own codec and is walked.  INI is read line by line.  Lua
 *             runs in a state without libraries, whose one chunk has an empty environment: it can
 *             build a table and nothing else.
 * INVARIANTS  (1) A file in Lua ends: it is interpreted (without the library `jit` nothing is
 *                 compiled) and stopped after a number of steps; its memory is counted.
 *             (2) Bytecode is refused: it could do anything.
 * FAILURE     The text names the file, and the line where the notation has lines.
 */
#include "server/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "codec/json.h"
#include "codec/value.h"

struct config {
    const char *name;
    config_take_fn *take;
    void *ctx;
    struct error *err;
};

static int take_text(const struct config *c, struct slice key, const char *text)
{
    return c->take(c->ctx, key, slice_of_text(text), c->err);
}

static int refuse_type(const struct config *c, struct slice key)
{
    int size = key.size < 64 ? (int)key.size : 64;
    return error_set(c->err, LYNSE_PARSE, "%s: %.*s: must be a text, a number, true or false",
                     c->name, size, (const char *)key.data);
}

/* ---- JSON ---- */

static int take_value(const struct config *c, struct slice key, const struct value *v)
{
    char number[64];

    switch (v->type) {
    case VALUE_TEXT:
        return c->take(c->ctx, key, v->as.text, c->err);
    case VALUE_BOOL:
        return take_text(c, key, v->as.boolean ? "true" : "false");
    case VALUE_INT:
        snprintf(number, sizeof number, "%lld", (long long)v->as.integer);
        return take_text(c, key, number);
    case VALUE_UINT:
        snprintf(number, sizeof number, "%llu", (unsigned long long)v->as.uinteger);
        return take_text(c, key, number);
    case VALUE_FLOAT:
        snprintf(number, sizeof number, "%.15g", v->as.number);
        return take_text(c, key, number);
    default:
        return refuse_type(c, key);
    }
}

static int walk_json(const struct config *c, struct slice packed)
{
    struct value whole, inner, key, v;

    if (!value_read(packed, &whole) || whole.type != VALUE_MAP)
        return error_set(c->err, LYNSE_PARSE, "%s: must be an object", c->name);
    if (value_get(&whole, slice_of_text("server"), &inner)) {
        if (inner.type != VALUE_MAP)
            return error_set(c->err, LYNSE_PARSE, "%s: server: must be an object", c->name);
        whole = inner;
    }
    struct value_walk walk = value_walk_of(&whole);
    while (value_walk_next(&walk, &key, &v))
        if (take_value(c, key.as.text, &v) != 0) return -1;
    return 0;
}

static int read_json(const struct config *c, struct slice text)
{
    static const struct msgpack_limits limits = {.what = "config",
                                                 .bytes_max = CONFIG_FILE_BYTES_MAX,
                                                 .node_count_max = 10000,
                                                 .depth_max = 8,
                                                 .key_count_max = 1000,
                                                 .has_text_keys = true,
                                                 .has_unique_keys = true};
    struct buf packed;

    buf_init(&packed, alloc_libc(), MEM_GENERAL);
    int rc = json_to_msgpack(text, &limits, &packed, c->err);
    if (rc != 0) error_wrap(c->err, "%s", c->name);
    else rc = walk_json(c, buf_slice(&packed));
    buf_deinit(&packed);
    return rc;
}

/* ---- INI ---- */

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct slice trim(struct slice s)
{
    while (s.size && is_blank(s.data[0])) s = slice_of(s.data + 1, s.size - 1);
    while (s.size && is_blank(s.data[s.size - 1])) s.size--;
    return s;
}

/* A value may stand in quotes, and a comment behind a blank and its mark. */
static struct slice ini_value(struct slice s)
{
    s = trim(s);
    if (s.size >= 2 && (s.data[0] == '"' || s.data[0] == '\'')) {
        const uint8_t *end = memchr(s.data + 1, s.data[0], s.size - 1);
        if (end) return slice_of(s.data + 1, (size_t)(end - s.data) - 1);
    }
    for (size_t i = 1; i < s.size; i++)
        if ((s.data[i] == '#' || s.data[i] == ';') && is_blank(s.data[i - 1])) s.size = i;
    return trim(s);
}

static int read_ini(const struct config *c, struct slice text)
{
    bool is_ours = false;
    unsigned line_number = 0;

    while (text.size) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end ? (size_t)(end - text.data) : text.size;
        struct slice line = trim(slice_of(text.data, size));
        size_t used = end ? size + 1 : size;
        text = slice_of(text.data + used, text.size - used);
        line_number++;
        if (line.size == 0 || line.data[0] == '#' || line.data[0] == ';') continue;
        if (line.data[0] == '[' && line.data[line.size - 1] == ']') {
            is_ours = slice_equal(line, slice_of_text("[server]"));
            continue;
        }
        const uint8_t *sign = memchr(line.data, '=', line.size);
        if (!sign || sign == line.data)
            return error_set(c->err, LYNSE_PARSE, "%s:%u: must be key = value", c->name,
                             line_number);
        if (!is_ours) continue;
        struct slice key = trim(slice_of(line.data, (size_t)(sign - line.data)));
        size_t behind = line.size - (size_t)(sign + 1 - line.data);
        if (c->take(c->ctx, key, ini_value(slice_of(sign + 1, behind)), c->err) != 0) return -1;
    }
    return 0;
}

/* ---- Lua ---- */

static void *allocate(void *ctx, void *block, size_t old_bytes, size_t bytes)
{
    size_t *held = ctx;

    if (!block) old_bytes = 0;
    if (bytes > old_bytes && *held + (bytes - old_bytes) > CONFIG_LUA_BYTES_MAX) return NULL;
    if (bytes == 0) {
        mem_free(alloc_libc(), block);
        *held -= old_bytes;
        return NULL;
    }
    void *grown = mem_resize(alloc_libc(), MEM_SCRIPT, block, bytes);
    if (grown) *held = *held - old_bytes + bytes;
    return grown;
}

static void stop_script(lua_State *L, lua_Debug *where)
{
    (void)where;
    luaL_error(L, "takes too long: a config file is data");
}

/* (text, name) → the table; in a protected call */
static int run_data(lua_State *L)
{
    const struct slice *text = lua_touserdata(L, 1);
    const char *name = lua_touserdata(L, 2);

    lua_settop(L, 0);
    if (text->size && memchr(text->data, '\x1b', text->size))
        return luaL_error(L, "%s: is no text", name);
    lua_pushfstring(L, "@%s", name);
    if (luaL_loadbuffer(L, (const char *)text->data, text->size, lua_tostring(L, 1)) != 0)
        return lua_error(L);
    lua_newtable(L);
    lua_setfenv(L, -2);
    lua_sethook(L, stop_script, LUA_MASKCOUNT, CONFIG_LUA_STEPS_MAX);
    lua_call(L, 0, 1);
    lua_sethook(L, NULL, 0, 0);
    if (!lua_istable(L, -1)) return luaL_error(L, "%s: must return a table", name);
    return 1;
}

/* The pair at -2, -1 of the stack, as texts. */
static int take_pair(const struct config *c, lua_State *L)
{
    size_t size;

    if (lua_type(L, -2) != LUA_TSTRING)
        return error_set(c->err, LYNSE_PARSE, "%s: a key is a %s, must be a text", c->name,
                         luaL_typename(L, -2));
    const char *key_text = lua_tolstring(L, -2, &size);
    struct slice key = slice_of(key_text, size);
    if (lua_type(L, -1) == LUA_TBOOLEAN)
        return take_text(c, key, lua_toboolean(L, -1) ? "true" : "false");
    if (lua_type(L, -1) == LUA_TNUMBER) {
        char number[64];
        snprintf(number, sizeof number, "%.15g", lua_tonumber(L, -1));
        return take_text(c, key, number);
    }
    if (lua_type(L, -1) != LUA_TSTRING) return refuse_type(c, key);
    const char *text = lua_tolstring(L, -1, &size);
    return c->take(c->ctx, key, slice_of(text, size), c->err);
}

static int read_lua(const struct config *c, struct slice text)
{
    size_t held = 0;
    lua_State *L = lua_newstate(allocate, &held);
    int rc = 0;

    if (!L) return error_no_memory(c->err, CONFIG_LUA_BYTES_MAX);
    lua_pushcfunction(L, run_data);
    lua_pushlightuserdata(L, &text);
    lua_pushlightuserdata(L, (void *)c->name);
    if (lua_pcall(L, 2, 1, 0) != 0) {
        const char *why = lua_tostring(L, -1);
        bool is_named = why && strncmp(why, c->name, strlen(c->name)) == 0;
        rc = error_set(c->err, LYNSE_PARSE, "%s%s%s", is_named ? "" : c->name, is_named ? "" : ": ",
                       why ? why : "no memory for it");
    }
    if (rc == 0) lua_pushnil(L);
    while (rc == 0 && lua_next(L, -2)) {
        rc = take_pair(c, L);
        lua_pop(L, 1);
    }
    lua_close(L);
    return rc;
}

/* ---- Files ---- */

int config_file_parse(const char *name, struct slice text, config_take_fn *take, void *ctx,
                      struct error *err)
{
    struct config c = {name, take, ctx, err};
    size_t size = strlen(name), at = 0;

    if (size > 4 && strcmp(name + size - 4, ".lua") == 0) return read_lua(&c, text);
    while (at < text.size && (is_blank(text.data[at]) || text.data[at] == '\n')) at++;
    if (at < text.size && text.data[at] == '{') return read_json(&c, text);
    return read_ini(&c, text);
}

static int read_whole(const char *path, size_t bytes_max, struct buf *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = 0;

    if (fd < 0) return error_set_errno(err, error_code_of_errno(errno), errno, "%s", path);
    while (out->size <= bytes_max && buf_reserve(out, 4096) &&
           ((count = read(fd, out->data + out->size, 4096)) > 0 || (count < 0 && errno == EINTR)))
        if (count > 0) out->size += (size_t)count;
    int failed = errno;
    close(fd);
    if (!buf_ok(out)) return error_no_memory(err, out->size);
    if (count < 0) return error_set_errno(err, LYNSE_IO, failed, "%s", path);
    if (out->size <= bytes_max) return 0;
    return error_set(err, LYNSE_TOO_LARGE, "%s: over %zu bytes", path, bytes_max);
}

int config_file_read(const char *path, config_take_fn *take, void *ctx, struct error *err)
{
    struct buf text;

    buf_init(&text, alloc_libc(), MEM_GENERAL);
    int rc = read_whole(path, CONFIG_FILE_BYTES_MAX, &text, err);
    if (rc == 0) rc = config_file_parse(path, buf_slice(&text), take, ctx, err);
    buf_deinit(&text);
    return rc;
}

long config_file_read_line(const char *path, char *out, size_t out_bytes, struct error *err)
{
    struct buf text;

    buf_init(&text, alloc_libc(), MEM_GENERAL);
    if (read_whole(path, 4096, &text, err) != 0) {
        buf_deinit(&text);
        return -1;
    }
    size_t size = 0;
    while (size < text.size && text.data[size] != '\n' && text.data[size] != '\r') size++;
    long count = (long)size;
    if (size >= out_bytes)
        count = error_set(err, LYNSE_LIMIT, "%s: a line of %zu bytes, at most %zu", path, size,
                          out_bytes - 1);
    else if (size) memcpy(out, text.data, size);
    if (count >= 0) out[size] = '\0';
    buf_deinit(&text);
    return count;
}
