/* SPDX-License-Identifier: Apache-2.0 */
/* arguments.c — params of a request against the signature of its method.
 *
 * WHAT        One pass over the params: each name is looked up, each value read by the reader of
 *             its kind and set in the table; then what is missing is given its default, or is an
 *             error.
 * INVARIANTS  (1) Nothing is applied by halves: the table is handed over whole or not at all.
 *             (2) What is allocated is bounded by the bytes that came: a declared length was
 *                 checked against them (msgpack_check) before a reader sees it.
 *             (3) Blocks point into the arena or into the params, never into Lua.
 * THREADS     That of the loop.
 * FAILURE     An error that names the argument; the stack is as it was.
 */
#include "server/arguments.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/suggest.h"
#include "codec/decimal.h"
#include "codec/msgpack.h"
#include "codec/quote.h"
#include "lua/module/documents.h"
#include "lua/module/scalars.h"
#include "server/blocks.h"
#include "server/named_requests.h"

static const char *const kind_words[] = {
#define ARGUMENT_KIND_WORD(name, word) word,
    ARGUMENT_KINDS(ARGUMENT_KIND_WORD)
#undef ARGUMENT_KIND_WORD
};

/* ---- Signatures ---- */

static enum argument_kind read_kind(lua_State *L, int index)
{
    const char *word = luaL_checkstring(L, index);

    for (size_t i = 0; i < sizeof kind_words / sizeof *kind_words; i++)
        if (strcmp(word, kind_words[i]) == 0) return (enum argument_kind)i;
    return (enum argument_kind)luaL_error(L, "arguments: there is no kind '%s'", word);
}

static double read_bound(lua_State *L, int index, const char *name, double otherwise)
{
    lua_getfield(L, index, name);
    double bound = luaL_optnumber(L, -1, otherwise);
    lua_pop(L, 1);
    return bound;
}

/* The entry at the top of the stack. */
static void read_argument(lua_State *L, struct argument *a)
{
    int entry = lua_gettop(L);
    size_t size;

    lua_rawgeti(L, entry, 1);
    lua_rawgeti(L, entry, 2);
    const char *name = luaL_checklstring(L, entry + 1, &size);
    if (size == 0 || size > ARGUMENT_NAME_BYTES) luaL_error(L, "arguments: the name '%s'", name);
    memcpy(a->name, name, size + 1);
    a->name_bytes = (uint8_t)size;
    lua_pushvalue(L, entry + 1);
    a->name_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    a->kind = read_kind(L, entry + 2);
    a->low = read_bound(L, entry, "low", -HUGE_VAL);
    a->high = read_bound(L, entry, "high", HUGE_VAL);
    lua_getfield(L, entry, "required");
    a->is_required = lua_toboolean(L, -1);
    lua_getfield(L, entry, "default");
    a->default_ref = lua_isnil(L, -1) ? LUA_NOREF : luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, entry, "choices");
    a->choices_ref = lua_isnil(L, -1) ? LUA_NOREF : luaL_ref(L, LUA_REGISTRYINDEX);
    lua_settop(L, entry);
}

void signature_read(lua_State *L, int index, struct signature *out)
{
    luaL_checktype(L, index, LUA_TTABLE);
    size_t count = lua_objlen(L, index);
    if (count > ARGUMENT_COUNT_MAX) luaL_error(L, "arguments: more than %d", ARGUMENT_COUNT_MAX);
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (int)i + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        read_argument(L, &out->arguments[i]);
        if (out->arguments[i].kind == ARGUMENT_REQUEST_ID) out->has_request_id = true;
        lua_pop(L, 1);
        out->count++;
    }
}

void signature_deinit(lua_State *L, struct signature *s)
{
    for (size_t i = 0; i < s->count; i++) {
        luaL_unref(L, LUA_REGISTRYINDEX, s->arguments[i].name_ref);
        luaL_unref(L, LUA_REGISTRYINDEX, s->arguments[i].default_ref);
        luaL_unref(L, LUA_REGISTRYINDEX, s->arguments[i].choices_ref);
    }
    s->count = 0;
}

/* ---- Small values ---- */

struct reader {
    lua_State *L;
    const struct arguments_source *source;
    const struct argument *argument;
    struct error *err;
};

static int refuse_type(const struct reader *r, const struct value *v, const char *expected)
{
    return error_set(r->err, LYNSE_INVALID, "%s: a %s, must be %s", r->argument->name,
                     value_type_name(v->type), expected);
}

/* One of the words, without case: as the list has it. */
static int read_choice(const struct reader *r, struct slice given)
{
    lua_State *L = r->L;
    char words[128] = "", quoted[QUOTE_BYTES];
    size_t used = 0;

    lua_rawgeti(L, LUA_REGISTRYINDEX, r->argument->choices_ref);
    for (int i = 1, count = (int)lua_objlen(L, -1); i <= count; i++) {
        size_t size;
        lua_rawgeti(L, -1, i);
        const char *word = lua_tolstring(L, -1, &size);
        if (slice_equal_word(given, slice_of(word, size))) {
            lua_remove(L, -2);
            return 0;
        }
        if (used < sizeof words)
            used += (size_t)snprintf(words + used, sizeof words - used, "%s'%s'",
                                     i == 1       ? ""
                                     : i == count ? " or "
                                                  : ", ",
                                     word);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    quote_text(given, quoted, sizeof quoted);
    return error_set(r->err, LYNSE_INVALID, "%s: %s, must be %s", r->argument->name, quoted, words);
}

static int read_text(const struct reader *r, const struct value *v)
{
    const struct argument *a = r->argument;
    bool is_name = a->kind == ARGUMENT_NAME;
    double low = is_name ? 1 : a->low, high = is_name ? LIMIT_NAME_BYTES : a->high;

    if (v->type != VALUE_TEXT) return refuse_type(r, v, "a text");
    double size = (double)v->as.text.size;
    if (size > high)
        return error_set(r->err, LYNSE_LIMIT, "%s: %.0f bytes, at most %.0f", a->name, size, high);
    if (size < low) return error_set(r->err, LYNSE_INVALID, "%s: must not be empty", a->name);
    if (v->as.text.size && memchr(v->as.text.data, 0, v->as.text.size))
        return error_set(r->err, LYNSE_INVALID, "%s: holds a NUL byte", a->name);
    if (a->choices_ref != LUA_NOREF) return read_choice(r, v->as.text);
    lua_pushlstring(r->L, (const char *)v->as.text.data, v->as.text.size);
    return 0;
}

static int read_flag(const struct reader *r, const struct value *v)
{
    bool is_text = r->source->has_texts && v->type == VALUE_TEXT;

    if (is_text && (slice_equal_word(v->as.text, slice_of_text("true")) ||
                    slice_equal(v->as.text, slice_of_text("1"))))
        lua_pushboolean(r->L, 1);
    else if (is_text && (slice_equal_word(v->as.text, slice_of_text("false")) ||
                         slice_equal(v->as.text, slice_of_text("0"))))
        lua_pushboolean(r->L, 0);
    else if (v->type == VALUE_BOOL) lua_pushboolean(r->L, v->as.boolean);
    else return refuse_type(r, v, "true or false");
    return 0;
}

static int refuse_range(const struct reader *r, const char *given)
{
    const struct argument *a = r->argument;
    bool is_integer = a->kind == ARGUMENT_INTEGER;

    if (a->low == -HUGE_VAL && a->high == HUGE_VAL)
        return error_set(r->err, LYNSE_INVALID, "%s: %s, must be %s", a->name, given,
                         is_integer ? "a whole number" : "a finite number");
    if (a->high == HUGE_VAL)
        return error_set(r->err, LYNSE_INVALID, "%s: %s, must be at least %.15g", a->name, given,
                         a->low);
    return error_set(r->err, LYNSE_INVALID, "%s: %s, must be %s%.15g to %.15g", a->name, given,
                     is_integer ? "a whole number, " : "", a->low, a->high);
}

/* A number from a query string: all of the text, as JSON has numbers. */
static bool parse_number(struct slice text, double *out)
{
    struct decimal d;

    if (text.size == 0 || decimal_scan(text, &d) != text.size) return false;
    *out = decimal_to_f64(&d);
    return true;
}

static int read_number(const struct reader *r, const struct value *v)
{
    const struct argument *a = r->argument;
    bool is_integer = a->kind == ARGUMENT_INTEGER;
    char given[40];
    double number;

    if (v->type == VALUE_INT) number = (double)v->as.integer;
    else if (v->type == VALUE_UINT) number = (double)v->as.uinteger;
    else if (v->type == VALUE_FLOAT) number = v->as.number;
    else if (!r->source->has_texts || v->type != VALUE_TEXT || !parse_number(v->as.text, &number))
        return refuse_type(r, v, is_integer ? "a whole number" : "a number");
    snprintf(given, sizeof given, "%.15g", number);
    if (!isfinite(number) || (is_integer && number != floor(number)) || number < a->low ||
        number > a->high)
        return refuse_range(r, given);
    lua_pushnumber(r->L, number);
    return 0;
}

static int read_texts(const struct reader *r, const struct value *v)
{
    struct value_walk walk = value_walk_of(v);
    struct value item;

    if (v->type != VALUE_ARRAY) return refuse_type(r, v, "a list of texts");
    if (v->count > r->argument->high)
        return error_set(r->err, LYNSE_LIMIT, "%s: %u texts, at most %.0f", r->argument->name,
                         v->count, r->argument->high);
    lua_createtable(r->L, (int)v->count, 0);
    for (int i = 1; value_walk_next(&walk, NULL, &item); i++) {
        if (item.type != VALUE_TEXT)
            return error_set(r->err, LYNSE_INVALID, "%s: entry %d is a %s, must be a text",
                             r->argument->name, i, value_type_name(item.type));
        lua_pushlstring(r->L, (const char *)item.as.text.data, item.as.text.size);
        lua_rawseti(r->L, -2, i);
    }
    return 0;
}

/* The value of a hex digit; -1: it is none. */
static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 'a' - 'A';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hex digits, two a byte; false where the text has others. */
static bool read_hex(struct slice text, uint8_t *out)
{
    for (size_t i = 0; i < text.size; i++) {
        int digit = digit_of(text.data[i]);
        if (digit < 0) return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | digit);
    }
    return true;
}

static int read_request_id(const struct reader *r, const struct value *v)
{
    uint8_t id[REQUEST_ID_BYTES] = {0}, any = 0;
    bool is_good = false;

    if (v->type != VALUE_TEXT && v->type != VALUE_BYTES)
        return refuse_type(r, v, "a text or a bin");
    if (v->type == VALUE_TEXT)
        is_good = v->as.text.size == 2 * sizeof id && read_hex(v->as.text, id);
    else if (v->as.bytes.size == sizeof id) {
        memcpy(id, v->as.bytes.data, sizeof id);
        is_good = true;
    }
    for (size_t i = 0; i < sizeof id; i++) any |= id[i];
    if (!is_good || !any)
        return error_set(r->err, LYNSE_INVALID,
                         "%s: must be %zu bytes, or twice as many hex digits, not all of them 0",
                         r->argument->name, sizeof id);
    lua_pushlstring(r->L, (const char *)id, sizeof id);
    return 0;
}

static int read_any(const struct reader *r, const struct value *v)
{
    if (v->type != VALUE_MAP) return refuse_type(r, v, "a map");
    document_push(r->L, v->raw, DOCUMENT_EXACT);
    return 0;
}

/* ---- Blocks ---- */

static int read_block(const struct reader *r, const struct value *v)
{
    struct block block = {.kind = r->argument->kind, .request = r->source->request};
    struct error *err = r->err;
    int rc;

    switch (r->argument->kind) {
    case ARGUMENT_ID:
    case ARGUMENT_IDS:
        rc = block_read_ids(&block, v, r->source->arena, err);
        break;
    case ARGUMENT_VECTOR:
    case ARGUMENT_VECTORS:
        rc = block_read_vectors(&block, v, r->source->arena, err);
        break;
    case ARGUMENT_DOCUMENT:
        rc = block_read_document(&block, v, r->source->arena, err);
        break;
    case ARGUMENT_BODY:
        rc = block_read_body(&block, v, err);
        break;
    default:
        rc = block_read_documents(&block, v, r->source->arena, err);
        break;
    }
    if (rc != 0) return error_wrap(err, "%s", r->argument->name);
    block_push(r->L, &block);
    return 0;
}

static int read_value(const struct reader *r, const struct value *v)
{
    switch (r->argument->kind) {
    case ARGUMENT_NAME:
    case ARGUMENT_TEXT:
        return read_text(r, v);
    case ARGUMENT_FLAG:
        return read_flag(r, v);
    case ARGUMENT_INTEGER:
    case ARGUMENT_NUMBER:
        return read_number(r, v);
    case ARGUMENT_TEXTS:
        return read_texts(r, v);
    case ARGUMENT_VALUE:
        return read_any(r, v);
    case ARGUMENT_REQUEST_ID:
        return read_request_id(r, v);
    default:
        return read_block(r, v);
    }
}

/* ---- The pass ---- */

struct pass {
    struct reader reader;
    const struct signature *signature;
    uint32_t seen; /* a bit for each argument */
    int table;
};
_Static_assert(ARGUMENT_COUNT_MAX <= 32, "pass.seen has a bit for each");

static const struct argument *find_argument(const struct signature *s, struct slice name)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct argument *a = &s->arguments[i];
        if (a->name_bytes == name.size && memcmp(a->name, name.data, name.size) == 0) return a;
    }
    return NULL;
}

static int refuse_unknown(const struct pass *p, struct slice name)
{
    struct suggestion s;
    char quoted[QUOTE_BYTES];

    suggestion_begin(&s, name);
    for (size_t i = 0; i < p->signature->count; i++)
        suggestion_offer(&s, p->signature->arguments[i].name);
    quote_text(name, quoted, sizeof quoted);
    if (s.best)
        return error_set(p->reader.err, LYNSE_INVALID,
                         "there is no argument %s; did you mean '%s'?", quoted, s.best);
    return error_set(p->reader.err, LYNSE_INVALID, "there is no argument %s", quoted);
}

/* null is as good as absent, so that clients with fixed bodies can leave things out. */
static int set_argument(struct pass *p, const struct argument *a, const struct value *v)
{
    uint32_t bit = 1u << (a - p->signature->arguments);

    if (p->seen & bit) return error_set(p->reader.err, LYNSE_INVALID, "%s: given twice", a->name);
    if (v->type == VALUE_NULL) return 0;
    p->seen |= bit;
    p->reader.argument = a;
    lua_rawgeti(p->reader.L, LUA_REGISTRYINDEX, a->name_ref);
    if (read_value(&p->reader, v) != 0) return -1;
    lua_rawset(p->reader.L, p->table);
    return 0;
}

static int read_map(struct pass *p, const struct value *map)
{
    struct value_walk walk = value_walk_of(map);
    struct value key, v;

    while (value_walk_next(&walk, &key, &v)) {
        if (key.type != VALUE_TEXT)
            return error_set(p->reader.err, LYNSE_INVALID, "params: a key is a %s, must be a text",
                             value_type_name(key.type));
        const struct argument *a = find_argument(p->signature, key.as.text);
        if (a ? set_argument(p, a, &v) != 0
              : !p->reader.source->is_lenient && refuse_unknown(p, key.as.text) != 0)
            return -1;
    }
    return 0;
}

/* By position; a map at the end, where no map is expected, has further ones by name. */
static int read_array(struct pass *p, const struct value *array)
{
    struct value_walk walk = value_walk_of(array);
    struct value v;

    for (size_t i = 0; value_walk_next(&walk, NULL, &v); i++) {
        bool is_last = i + 1 == array->count;
        bool fits = i < p->signature->count;
        bool takes_map = fits && p->signature->arguments[i].kind == ARGUMENT_VALUE;
        if (is_last && v.type == VALUE_MAP && !takes_map) return read_map(p, &v);
        if (!fits && p->reader.source->is_lenient) return 0;
        if (!fits)
            return error_set(p->reader.err, LYNSE_INVALID, "params: %u of them, at most %zu",
                             array->count, p->signature->count);
        if (set_argument(p, &p->signature->arguments[i], &v) != 0) return -1;
    }
    return 0;
}

static void push_body(struct pass *p, const struct argument *a)
{
    struct slice body = p->reader.source->body;
    struct block block = {.kind = ARGUMENT_BODY,
                          .request = p->reader.source->request,
                          .count = body.size,
                          .as.body = {body.data, body.size}};

    lua_pushlstring(p->reader.L, a->name, a->name_bytes);
    block_push(p->reader.L, &block);
    lua_rawset(p->reader.L, p->table);
}

static int fill_missing(struct pass *p)
{
    lua_State *L = p->reader.L;

    for (size_t i = 0; i < p->signature->count; i++) {
        const struct argument *a = &p->signature->arguments[i];
        if (p->seen & 1u << i) continue;
        if (a->kind == ARGUMENT_BODY && p->reader.source->has_texts) {
            push_body(p, a);
            continue;
        }
        if (a->is_required) return error_set(p->reader.err, LYNSE_INVALID, "%s: missing", a->name);
        if (a->default_ref == LUA_NOREF) continue;
        lua_rawgeti(L, LUA_REGISTRYINDEX, a->name_ref);
        lua_rawgeti(L, LUA_REGISTRYINDEX, a->default_ref);
        lua_rawset(L, p->table);
    }
    return 0;
}

int arguments_push(lua_State *L, const struct signature *s, const struct arguments_source *source,
                   struct error *err)
{
    struct pass p = {.reader = {.L = L, .source = source, .err = err}, .signature = s};
    struct value params;
    int rc;

    luaL_checkstack(L, 8, "arguments");
    lua_createtable(L, 0, (int)s->count);
    p.table = lua_gettop(L);
    if (source->params.size == 0) rc = 0;
    else if (!value_read(source->params, &params))
        rc = error_set(err, LYNSE_PARSE, "params: damaged");
    else if (params.type == VALUE_MAP) rc = read_map(&p, &params);
    else if (params.type != VALUE_ARRAY)
        rc = error_set(err, LYNSE_INVALID, "params: a %s, must be a map or an array",
                       value_type_name(params.type));
    else rc = read_array(&p, &params);
    if (rc == 0) rc = fill_missing(&p);
    lua_settop(L, rc == 0 ? p.table : p.table - 1);
    return rc;
}
