/* SPDX-License-Identifier: Apache-2.0 */
/* hits_value.c — arrays of lynse_hits into the shapes of the protocol.
 *
 * WHAT        One writer for each form.  Fields are msgpack already and are passed on as they are;
 *             in the binary blocks they become JSON.
 * INVARIANTS  (1) An id that a form has as a number fits a u64; texts are refused by blocks.
 *             (2) Scores are float 32 on every way, so that JSON writes as many digits as they
 *                 have.
 * THREADS     That of the loop.
 * FAILURE     The buf remembers.
 */
#include "server/hits_value.h"

#include <lauxlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "codec/json.h"
#include "codec/msgpack.h"
#include "lua/module/records.h"
#include "server/kind_words.h"

static const char hits_name[] = "lynse.hits";

/* ---- Parts ---- */

static void write_key(struct buf *out, const char *key)
{
    msgpack_write_text(out, slice_of_text(key));
}

static void write_f32(struct buf *out, float v)
{
    uint8_t *p = buf_extend(out, 5);
    uint32_t bits;

    if (!p) return;
    memcpy(&bits, &v, sizeof bits);
    bits = __builtin_bswap32(bits);
    p[0] = 0xca;
    memcpy(p + 1, &bits, sizeof bits);
}

static void write_id(struct buf *out, const struct lynse_id *id)
{
    if (id->text) msgpack_write_text(out, slice_of(id->text, id->text_bytes));
    else msgpack_write_uint(out, id->number);
}

static void write_ids(const struct hits_value *h, size_t from, size_t to, struct buf *out)
{
    const struct lynse_hits *hits = h->hits;

    if (h->is_raw && hits->numbers) {
        msgpack_write_bytes(out, slice_of(hits->numbers + from, (to - from) * sizeof(uint64_t)));
        return;
    }
    msgpack_write_array(out, (uint32_t)(to - from));
    for (size_t i = from; i < to; i++) write_id(out, &hits->ids[i]);
}

static void write_floats(const struct hits_value *h, const float *v, size_t count, struct buf *out)
{
    if (h->is_raw) {
        msgpack_write_bytes(out, slice_of(v, count * sizeof *v));
        return;
    }
    msgpack_write_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) write_f32(out, v[i]);
}

static void write_scores(const struct hits_value *h, size_t from, size_t to, struct buf *out)
{
    if (h->hits->scores) write_floats(h, h->hits->scores + from, to - from, out);
    else msgpack_write_array(out, 0);
}

static void write_vectors(const struct hits_value *h, struct buf *out)
{
    const struct lynse_hits *hits = h->hits;
    size_t rows = hits->vectors ? hits->count : 0;

    if (h->is_raw) {
        msgpack_write_bytes(out, slice_of(hits->vectors, rows * hits->dim * sizeof(float)));
        return;
    }
    msgpack_write_array(out, (uint32_t)rows);
    for (size_t i = 0; i < rows; i++)
        write_floats(h, hits->vectors + i * hits->dim, hits->dim, out);
}

static void write_document(const struct lynse_bytes *document, struct buf *out)
{
    if (document->size) buf_append(out, document->data, document->size);
    else msgpack_write_map(out, 0);
}

/* An empty list where fields were not read. */
static void write_fields(const struct hits_value *h, size_t from, size_t to, struct buf *out)
{
    const struct lynse_bytes *fields = h->hits->fields;

    msgpack_write_array(out, fields ? (uint32_t)(to - from) : 0);
    for (size_t i = from; fields && i < to; i++) write_document(&fields[i], out);
}

/* Which hooks failed and were left out: a form says it only when there are some. */
static void write_skipped(uint32_t bits, struct buf *out)
{
    static const char *const words[] = {"score", "rerank"}; /* enum lynse_hook_bits */
    uint32_t count = (bits & LYNSE_SKIPPED_SCORE ? 1 : 0) + (bits & LYNSE_SKIPPED_RERANK ? 1 : 0);

    write_key(out, "skipped_hooks");
    msgpack_write_array(out, count);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (bits & 1u << i) write_key(out, words[i]);
}

/* ---- Forms ---- */

static void write_items(const struct hits_value *h, struct buf *out)
{
    bool is_skipped = h->hits->skipped_hooks != 0;

    msgpack_write_map(out, is_skipped ? 6 : 5);
    write_key(out, "k");
    msgpack_write_uint(out, (uint64_t)h->k);
    write_key(out, "ids");
    write_ids(h, 0, h->hits->count, out);
    write_key(out, "scores");
    write_scores(h, 0, h->hits->count, out);
    write_key(out, "vector_field");
    write_key(out, "default");
    write_key(out, "fields");
    write_fields(h, 0, h->hits->count, out);
    if (is_skipped) write_skipped(h->hits->skipped_hooks, out);
}

static void write_results(const struct hits_value *h, struct buf *out)
{
    const struct lynse_hits *hits = h->hits;
    size_t from = 0;

    msgpack_write_array(out, (uint32_t)hits->query_count);
    for (size_t q = 0; q < hits->query_count; q++) {
        size_t to = hits->query_ends[q];
        msgpack_write_map(out, 3);
        write_key(out, "ids");
        write_ids(h, from, to, out);
        write_key(out, "scores");
        write_scores(h, from, to, out);
        write_key(out, "fields");
        write_fields(h, from, to, out);
        from = to;
    }
}

static void write_range(const struct hits_value *h, struct buf *out)
{
    msgpack_write_map(out, 2);
    write_key(out, "ids");
    write_ids(h, 0, h->hits->count, out);
    write_key(out, "distances");
    write_scores(h, 0, h->hits->count, out);
}

static void write_data(const struct hits_value *h, struct buf *out)
{
    msgpack_write_array(out, 3);
    write_vectors(h, out);
    write_ids(h, 0, h->hits->count, out);
    write_fields(h, 0, h->hits->count, out);
}

static void write_columns(const struct hits_value *h, struct buf *out)
{
    msgpack_write_map(out, h->hits->vectors ? 4 : 2);
    write_key(out, "ids");
    write_ids(h, 0, h->hits->count, out);
    write_key(out, "fields");
    write_fields(h, 0, h->hits->count, out);
    if (!h->hits->vectors) return;
    write_key(out, "vectors");
    write_vectors(h, out);
    write_key(out, "dim");
    msgpack_write_uint(out, h->hits->dim);
}

/* The fields, and id, which takes the place of a field of that name. */
static void write_record(const struct lynse_id *id, const struct lynse_bytes *document,
                         struct buf *out)
{
    struct value map, key, v;
    uint32_t count = 0;

    bool has_fields =
        document && document->size && value_read(slice_of(document->data, document->size), &map);
    if (has_fields) count = map.count - (value_get(&map, slice_of_text("id"), &v) ? 1 : 0);
    msgpack_write_map(out, count + 1);
    write_key(out, "id");
    write_id(out, id);
    if (!has_fields) return;
    struct value_walk walk = value_walk_of(&map);
    while (value_walk_next(&walk, &key, &v)) {
        if (key.type == VALUE_TEXT && slice_equal(key.as.text, slice_of_text("id"))) continue;
        msgpack_write_value(out, &key);
        msgpack_write_value(out, &v);
    }
}

static void write_records(const struct hits_value *h, struct buf *out)
{
    const struct lynse_hits *hits = h->hits;

    msgpack_write_array(out, (uint32_t)hits->count);
    for (size_t i = 0; i < hits->count; i++)
        write_record(&hits->ids[i], hits->fields ? &hits->fields[i] : NULL, out);
}

static void write_ends(const struct lynse_hits *hits, struct buf *out)
{
    msgpack_write_array(out, (uint32_t)hits->query_count);
    for (size_t q = 0; q < hits->query_count; q++) msgpack_write_uint(out, hits->query_ends[q]);
}

static void write_documents(const struct lynse_hits *hits, struct buf *out)
{
    msgpack_write_array(out, (uint32_t)hits->count);
    for (size_t i = 0; i < hits->count; i++)
        msgpack_write_bytes(out, slice_of(hits->fields[i].data, hits->fields[i].size));
}

/* Everything that there is, whatever the form: what clients of ours read without a loop. */
static void write_raw(const struct hits_value *h, struct buf *out)
{
    const struct lynse_hits *hits = h->hits;
    uint32_t count = 7;

    if (hits->scores) count++;
    if (hits->fields) count++;
    if (hits->vectors) count++;
    msgpack_write_map(out, count);
    write_key(out, "ids");
    write_ids(h, 0, hits->count, out);
    write_key(out, "ends");
    write_ends(hits, out);
    write_key(out, "dim");
    msgpack_write_uint(out, hits->dim);
    write_key(out, "as_of_lsn");
    msgpack_write_uint(out, hits->as_of_lsn);
    write_key(out, "metric");
    write_key(out, metric_word(hits->metric));
    write_key(out, "index_kind");
    write_key(out, hits->index_kind);
    write_skipped(hits->skipped_hooks, out);
    if (hits->scores) {
        write_key(out, "scores");
        write_floats(h, hits->scores, hits->count, out);
    }
    if (hits->fields) {
        write_key(out, "fields");
        write_documents(hits, out);
    }
    if (hits->vectors) {
        write_key(out, "vectors");
        write_vectors(h, out);
    }
}

void hits_value_write(const struct hits_value *h, struct buf *out)
{
    if (!h->hits) {
        msgpack_write_null(out);
        return;
    }
    if (h->is_raw) {
        write_raw(h, out);
        return;
    }
    switch (h->form) {
    case HITS_ITEMS:
        write_items(h, out);
        return;
    case HITS_RESULTS:
        write_results(h, out);
        return;
    case HITS_RANGE:
        write_range(h, out);
        return;
    case HITS_DATA:
        write_data(h, out);
        return;
    case HITS_RECORDS:
        write_records(h, out);
        return;
    case HITS_IDS:
        write_ids(h, 0, h->hits->count, out);
        return;
    case HITS_COLUMNS:
        write_columns(h, out);
        return;
    }
}

/* ---- LynseDB's blocks ---- */

static int check_numbers(const struct lynse_hits *hits, struct error *err)
{
    if (hits->numbers || hits->count == 0) return 0;
    return error_set(err, LYNSE_INVALID,
                     "an id is a text, and binary answers have room for whole numbers alone");
}

/* u32 length and the fields as a JSON array; length 0 where they were not read. */
static int write_json_fields(const struct lynse_hits *hits, size_t from, size_t to, struct buf *out,
                             struct error *err)
{
    size_t at = out->size;

    buf_append_u32(out, 0);
    if (!hits->fields) return 0;
    buf_append_u8(out, '[');
    for (size_t i = from; i < to; i++) {
        const struct lynse_bytes *f = &hits->fields[i];
        if (i > from) buf_append_u8(out, ',');
        if (f->size == 0) buf_append(out, "{}", 2);
        else if (json_from_msgpack(slice_of(f->data, f->size), out, err) != 0) return -1;
    }
    buf_append_u8(out, ']');
    if (buf_ok(out)) store_u32(out->data + at, (uint32_t)(out->size - at - 4));
    return 0;
}

static int write_search_block(const struct lynse_hits *hits, size_t from, size_t to,
                              struct buf *out, struct error *err)
{
    size_t count = to - from;

    buf_append_u32(out, (uint32_t)count);
    if (count) {
        buf_append(out, hits->numbers + from, count * sizeof(uint64_t));
        buf_append(out, hits->scores + from, count * sizeof(float));
    }
    return write_json_fields(hits, from, to, out, err);
}

int hits_value_write_block(const struct hits_value *h, bool is_batch, struct buf *out,
                           struct error *err)
{
    const struct lynse_hits *hits = h->hits;
    size_t from = 0;

    if (check_numbers(hits, err) != 0) return -1;
    if (!is_batch) return write_search_block(hits, 0, hits->count, out, err);
    buf_append_u32(out, (uint32_t)hits->query_count);
    for (size_t q = 0; q < hits->query_count; q++) {
        size_t to = hits->query_ends[q];
        if (write_search_block(hits, from, to, out, err) != 0) return -1;
        from = to;
    }
    return 0;
}

int hits_value_write_rows(const struct hits_value *h, struct buf *out, struct error *err)
{
    const struct lynse_hits *hits = h->hits;

    if (check_numbers(hits, err) != 0) return -1;
    buf_append_u32(out, (uint32_t)hits->count);
    buf_append_u32(out, hits->dim);
    if (hits->count) {
        buf_append(out, hits->vectors, hits->count * hits->dim * sizeof(float));
        buf_append(out, hits->numbers, hits->count * sizeof(uint64_t));
    }
    return write_json_fields(hits, 0, hits->count, out, err);
}

/* ---- In Lua ---- */

static struct hits_value *check_hits(lua_State *L)
{
    return luaL_checkudata(L, 1, hits_name);
}

static void unlink_hits(struct hits_value *h)
{
    if (!h->link) return;
    *h->link = h->next;
    if (h->next) h->next->link = h->link;
    h->link = NULL;
}

static int free_hits(lua_State *L)
{
    struct hits_value *h = check_hits(L);

    unlink_hits(h);
    lynse_hits_free(h->hits);
    h->hits = NULL;
    return 0;
}

static int count_hits(lua_State *L)
{
    struct hits_value *h = check_hits(L);
    lua_pushnumber(L, h->hits ? (lua_Number)h->hits->count : 0);
    return 1;
}

/* hits:items(k), hits:records() …: the form is the upvalue. */
static int set_form(lua_State *L)
{
    struct hits_value *h = check_hits(L);
    h->form = (enum hits_form)lua_tointeger(L, lua_upvalueindex(1));
    h->k = luaL_optnumber(L, 2, 0);
    lua_settop(L, 1);
    return 1;
}

/* hits:raw(flag) */
static int set_raw(lua_State *L)
{
    struct hits_value *h = check_hits(L);
    h->is_raw = lua_toboolean(L, 2);
    lua_settop(L, 1);
    return 1;
}

/* hits:lists([query]) → {count, ids, scores, fields, vectors, dim}, of all queries or of one: for a
 * method that looks at what was found, which an answer that is written from the hits does not. */
static int push_lists(lua_State *L)
{
    struct hits_value *h = check_hits(L);
    size_t query = (size_t)luaL_optinteger(L, 2, 0), from = 0, to;

    if (!h->hits) return luaL_argerror(L, 1, "they are freed");
    if (query > h->hits->query_count) return luaL_argerror(L, 2, "there is no such query");
    if (query > 1) from = h->hits->query_ends[query - 2];
    to = query ? h->hits->query_ends[query - 1] : h->hits->count;
    hits_push(L, h->hits, from, to, 0);
    return 1;
}

void hits_value_prepare(lua_State *L)
{
    static const char *const words[] = {
#define HITS_FORM_WORD(name, word) word,
        HITS_FORMS(HITS_FORM_WORD)
#undef HITS_FORM_WORD
    };

    luaL_newmetatable(L, hits_name);
    lua_createtable(L, 0, 8);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, set_form, 1);
        lua_setfield(L, -2, words[i]);
    }
    lua_pushcfunction(L, set_raw);
    lua_setfield(L, -2, "raw");
    lua_pushcfunction(L, count_hits);
    lua_setfield(L, -2, "count");
    lua_pushcfunction(L, push_lists);
    lua_setfield(L, -2, "lists");
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, free_hits);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

struct hits_value *hits_value_push(lua_State *L, struct hits_value **list)
{
    struct hits_value *h = lua_newuserdata(L, sizeof *h);

    *h = (struct hits_value){.form = HITS_COLUMNS};
    luaL_getmetatable(L, hits_name);
    lua_setmetatable(L, -2);
    h->next = *list;
    if (h->next) h->next->link = &h->next;
    h->link = list;
    *list = h;
    return h;
}

void hits_value_free_all(struct hits_value **list)
{
    while (*list) {
        struct hits_value *h = *list;
        unlink_hits(h);
        lynse_hits_free(h->hits);
        h->hits = NULL;
    }
}

size_t hits_value_bytes(const struct hits_value *h)
{
    const struct lynse_hits *hits = h->hits;
    size_t row_bytes = sizeof *hits->ids + sizeof *hits->numbers + sizeof *hits->scores;
    size_t bytes = hits->count * row_bytes + hits->query_count * sizeof *hits->query_ends;

    if (hits->vectors) bytes += hits->count * hits->dim * sizeof *hits->vectors;
    for (size_t i = 0; hits->fields && i < hits->count; i++)
        bytes += sizeof *hits->fields + hits->fields[i].size;
    return bytes;
}

struct hits_value *hits_value_borrow(lua_State *L, int index)
{
    struct hits_value *h = lua_touserdata(L, index);

    if (!h || !lua_getmetatable(L, index)) return NULL;
    luaL_getmetatable(L, hits_name);
    bool is_hits = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is_hits ? h : NULL;
}
