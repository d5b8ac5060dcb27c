/* SPDX-License-Identifier: Apache-2.0 */
/* hook_args.c — what hooks get and give, between C and Lua.
 *
 * WHAT        score: f(n, distance, field, out, options), where each of distance, field.x and out
 *             is indexed from 0 to n - 1: memory of core where a state is trusted, tables where it
 *             is not.  A row that the function leaves alone keeps its distance.
 *             rerank: f(hits, dim, options), a list of {id, score, field, vector} to a list of the
 *             same tables, in the order wanted; without an answer the list that was given counts.
 *             hit.field and hit.vector are made when they are read.
 * INVARIANTS  (1) `field` and hits answer to what is missing by a function of C, which notes it in
 *                 the wants and stops the call; metatables are out of reach of scripts.
 *             (2) Answers are read with raw access: no metamethod of a script runs in between.
 *             (3) A hit of the answer is known by its table, and is taken once.
 *             (4) Views are made once a state and given other addresses for each batch: what a
 *                 script keeps of them is valid for the call, and nothing is kept from run to run.
 * THREADS     That of the state.
 * FAILURE     Raises; the out arrays are then undefined.
 */
#include "lua/hook_args.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "lua/convert.h"

enum { ROWS_PER_STEP = 4 };

/* ---- field ---- */

/* field[name], where there is none yet; upvalue: the state. */
static int want_field(lua_State *L)
{
    struct state *s = lua_touserdata(L, lua_upvalueindex(1));
    struct hook_wants *w = s->wants;
    size_t size;

    if (lua_type(L, 2) != LUA_TSTRING || !w) return 0;
    const char *name = lua_tolstring(L, 2, &size);
    if (size == 0 || size > HOOK_FIELD_BYTES_MAX || memchr(name, '\0', size))
        return luaL_error(L, "a field's name has 1 to %d bytes, and no NUL", HOOK_FIELD_BYTES_MAX);
    for (size_t i = 0; i < w->field_count; i++) {
        if (w->fields[i].size != size || memcmp(w->fields[i].name, name, size) != 0) continue;
        if (i < s->column_count) return 0; /* The script has set it to nil. */
        budget_stop(L, BUDGET_WANTS);
    }
    if (w->field_count >= HOOK_FIELDS_MAX)
        return luaL_error(L, "reads more than %d fields", HOOK_FIELDS_MAX);
    struct hook_field *f = &w->fields[w->field_count++];
    f->size = (uint8_t)size;
    memcpy(f->name, name, size);
    budget_stop(L, BUDGET_WANTS);
    return 0;
}

/* Push a new view; returns where its address is.  It is as long there as the view lives. */
static const void **push_view(lua_State *L, struct state *s, enum state_slot maker)
{
    state_push(L, s, maker);
    lua_call(L, 0, 1);
    return (const void **)lua_topointer(L, -1);
}

void hook_args_reset(lua_State *L, struct state *s)
{
    budget_forget_given(&s->budget);
    lua_newtable(L);
    state_push(L, s, STATE_FIELDS_META);
    lua_setmetatable(L, -2);
    state_set(L, s, STATE_FIELDS);
    s->shown_count = 0;
}

/* ---- score ---- */

static void push_f32(lua_State *L, const float *values, size_t count)
{
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushnumber(L, values[i]);
        lua_rawseti(L, -2, (int)i);
    }
}

static void push_f64(lua_State *L, const double *values, size_t count)
{
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushnumber(L, values[i]);
        lua_rawseti(L, -2, (int)i);
    }
}

/* The name of field i into the table at the top, with the value that is on it. */
static void set_field(lua_State *L, const struct state *s, size_t i)
{
    const struct hook_field *f = &s->wants->fields[i];
    lua_pushlstring(L, f->name, f->size);
    lua_insert(L, -2);
    lua_rawset(L, -3);
}

/* Push `field` with the columns of this batch. */
static void push_fields(lua_State *L, struct state *s, const struct hook_batch *batch)
{
    state_push(L, s, STATE_FIELDS);
    for (size_t i = 0; i < batch->column_count; i++) {
        push_f64(L, batch->columns[i], batch->row_count);
        set_field(L, s, i);
    }
}

/* Push the view of column i. */
static void push_column(lua_State *L, struct state *s, size_t i)
{
    state_push(L, s, STATE_COLUMNS);
    if (i < s->view_count) {
        lua_rawgeti(L, -1, (int)i + 1);
    } else {
        s->columns_at[i] = push_view(L, s, STATE_MAKE_F64);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, (int)i + 1);
        s->view_count++;
    }
    lua_remove(L, -2);
}

/* Columns that the run has not seen yet, into `field`; addresses into all views. */
static void point_views(lua_State *L, struct state *s, const struct hook_batch *batch)
{
    for (; s->shown_count < batch->column_count; s->shown_count++) {
        state_push(L, s, STATE_FIELDS);
        push_column(L, s, s->shown_count);
        set_field(L, s, s->shown_count);
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < batch->column_count; i++) *s->columns_at[i] = batch->columns[i];
    *s->distances_at = batch->distances;
    *s->out_at = batch->out;
}

/* Into batch->out, from the table at the top (2). */
static void read_out(lua_State *L, const struct hook_batch *batch)
{
    for (size_t i = 0; i < batch->row_count; i++) {
        lua_rawgeti(L, -1, (int)i);
        if (lua_type(L, -1) == LUA_TNUMBER) batch->out[i] = (float)lua_tonumber(L, -1);
        else if (lua_isnil(L, -1)) batch->out[i] = batch->distances[i];
        else luaL_error(L, "out[%d] is a %s", (int)i, luaL_typename(L, -1));
        lua_pop(L, 1);
    }
}

static void score_views(lua_State *L, struct state *s, const struct hook_batch *batch)
{
    memcpy(batch->out, batch->distances, batch->row_count * sizeof *batch->out);
    point_views(L, s, batch);
    state_push(L, s, STATE_FUNCTION);
    lua_pushinteger(L, (lua_Integer)batch->row_count);
    state_push(L, s, STATE_DISTANCES);
    state_push(L, s, STATE_FIELDS);
    state_push(L, s, STATE_OUT);
    state_push(L, s, STATE_OPTIONS);
    lua_call(L, 5, 0);
}

void hook_args_score(lua_State *L, struct state *s, const struct hook_batch *batch)
{
    size_t n = batch->row_count;

    if (s->is_trusted) {
        score_views(L, s, batch);
        return;
    }
    budget_charge(L, n * (2 + batch->column_count) / ROWS_PER_STEP);
    lua_createtable(L, (int)n, 0); /* out */
    state_push(L, s, STATE_FUNCTION);
    lua_pushinteger(L, (lua_Integer)n);
    push_f32(L, batch->distances, n);
    push_fields(L, s, batch);
    lua_pushvalue(L, -5);
    state_push(L, s, STATE_OPTIONS);
    lua_call(L, 5, 0);
    read_out(L, batch);
}

/* ---- rerank ---- */

/* hit.field, hit.vector; upvalue: the state. */
static int want_part(lua_State *L)
{
    struct state *s = lua_touserdata(L, lua_upvalueindex(1));
    const struct hook_hits *hits = s->hits;

    if (lua_type(L, 2) != LUA_TSTRING || !hits) return 0;
    const char *name = lua_tostring(L, 2);
    bool is_field = strcmp(name, "field") == 0;
    if (!is_field && strcmp(name, "vector") != 0) return 0;
    lua_settop(L, 2);
    state_push(L, s, STATE_PLACES);
    lua_pushvalue(L, 1);
    lua_rawget(L, 3);
    if (lua_type(L, -1) != LUA_TNUMBER) return 0; /* a table that borrowed nothing of a hit's */
    const struct hook_hit *hit = &hits->hits[(size_t)lua_tonumber(L, -1)];
    enum hook_part part = is_field ? HOOK_DOCUMENTS : HOOK_VECTORS;
    if (!(hits->parts & part)) {
        s->wants->parts |= part;
        budget_stop(L, BUDGET_WANTS);
    }
    budget_begin_giving(L);
    if (is_field) {
        convert_push_document(L, hit->document);
    } else if (s->is_trusted) {
        *push_view(L, s, STATE_MAKE_F32) = hit->vector;
    } else {
        budget_charge(L, hits->dim / ROWS_PER_STEP);
        push_f32(L, hit->vector, hits->dim);
    }
    budget_end_giving(L);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

/* Push the list of hits, and keep in the state which table is which hit. */
static void push_hits(lua_State *L, struct state *s)
{
    const struct hook_hits *hits = s->hits;
    int count = (int)hits->hit_count;

    budget_begin_giving(L);
    lua_createtable(L, count, 0);
    lua_createtable(L, 0, count);
    for (int i = 0; i < count; i++) {
        budget_charge(L, 4);
        lua_createtable(L, 0, 4);
        convert_push_id(L, &hits->hits[i].id);
        lua_setfield(L, -2, "id");
        lua_pushnumber(L, hits->hits[i].score);
        lua_setfield(L, -2, "score");
        state_push(L, s, STATE_HIT_META);
        lua_setmetatable(L, -2);
        lua_pushvalue(L, -1);
        lua_pushinteger(L, i);
        lua_rawset(L, -4);
        lua_rawseti(L, -3, i + 1);
    }
    state_set(L, s, STATE_PLACES);
    budget_end_giving(L);
}

/* Entry i of the answer, at the top of the stack; below it the places, and the answer. */
static void read_hit(lua_State *L, int i, const struct hook_hits *hits, struct hook_order *out)
{
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "entry %d of the answer is none of the hits, or is there twice (a %s)", i,
                   luaL_typename(L, -2));
    uint32_t place = (uint32_t)lua_tonumber(L, -1);
    lua_pop(L, 1);
    lua_pushliteral(L, "score");
    lua_rawget(L, -2);
    if (lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "entry %d of the answer has a %s for its score", i, luaL_typename(L, -1));
    float score = (float)lua_tonumber(L, -1);
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_rawset(L, -3); /* (3) pops the hit */
    if (isnan(score)) return;
    CHECK(out->count < hits->hit_count); /* (3) */
    out->places[out->count] = place;
    out->scores[out->count++] = score;
}

void hook_args_rerank(lua_State *L, struct state *s, struct hook_order *out)
{
    const struct hook_hits *hits = s->hits;

    push_hits(L, s);
    state_push(L, s, STATE_FUNCTION);
    lua_pushvalue(L, -2);
    lua_pushinteger(L, (lua_Integer)hits->dim);
    state_push(L, s, STATE_OPTIONS);
    lua_call(L, 3, 1);
    if (lua_isnil(L, -1)) lua_pop(L, 1);
    if (!lua_istable(L, -1))
        luaL_error(L, "answers with a %s instead of a list of hits", luaL_typename(L, -1));
    size_t count = lua_objlen(L, -1);
    out->count = 0;
    state_push(L, s, STATE_PLACES);
    for (size_t i = 1; i <= count; i++) {
        budget_charge(L, 2);
        lua_rawgeti(L, -2, (int)i);
        read_hit(L, (int)i, hits, out);
    }
}

/* ---- Once for a state ---- */

static void make_meta(lua_State *L, struct state *s, lua_CFunction index, enum state_slot slot)
{
    lua_newtable(L);
    lua_pushlightuserdata(L, s);
    lua_pushcclosure(L, index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0); /* (1) */
    lua_setfield(L, -2, "__metatable");
    state_set(L, s, slot);
}

void hook_args_prepare(lua_State *L, struct state *s)
{
    convert_prepare(L);
    make_meta(L, s, want_field, STATE_FIELDS_META);
    make_meta(L, s, want_part, STATE_HIT_META);
    if (!s->is_trusted) return;
    s->distances_at = push_view(L, s, STATE_MAKE_F32);
    state_set(L, s, STATE_DISTANCES);
    s->out_at = push_view(L, s, STATE_MAKE_OUT);
    state_set(L, s, STATE_OUT);
    lua_createtable(L, HOOK_FIELDS_MAX, 0);
    state_set(L, s, STATE_COLUMNS);
}
