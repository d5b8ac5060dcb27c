/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c — large arguments into memory that the engine takes as it is.
 *
 * Vectors are copied once, because a bin in a stream has no alignment; documents are not copied at
 * all.  What a vector's numbers may be (finite) is the engine's to say.
 */
#include "server/blocks.h"

#include <lauxlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"

/* ---- Ids ---- */

static int read_id(const struct value *v, struct lynse_id *out, struct error *err)
{
    switch (v->type) {
    case VALUE_INT:
        if (v->as.integer < 0)
            return error_set(err, LYNSE_INVALID, "%lld, must not be below 0",
                             (long long)v->as.integer);
        *out = (struct lynse_id){.number = (uint64_t)v->as.integer};
        return 0;
    case VALUE_UINT:
        *out = (struct lynse_id){.number = v->as.uinteger};
        return 0;
    case VALUE_TEXT:
        if (v->as.text.size == 0 || v->as.text.size > LIMIT_ID_BYTES)
            return error_set(err, LYNSE_LIMIT, "a text of %zu bytes, must be 1 to %d",
                             v->as.text.size, LIMIT_ID_BYTES);
        *out = (struct lynse_id){.text = (const char *)v->as.text.data,
                                 .text_bytes = (uint32_t)v->as.text.size};
        return 0;
    default:
        return error_set(err, LYNSE_INVALID, "a %s, must be a whole number or a text",
                         value_type_name(v->type));
    }
}

static struct lynse_id *make_ids(struct block *block, size_t count, struct arena *arena,
                                 struct error *err)
{
    if (count > LIMIT_BATCH_ROWS) {
        error_set(err, LYNSE_LIMIT, "%zu ids, at most %d", count, LIMIT_BATCH_ROWS);
        return NULL;
    }
    struct lynse_id *ids = arena_alloc(arena, (count + 1) * sizeof *ids);
    if (!ids) error_no_memory(err, count * sizeof *ids);
    block->as.ids = ids;
    block->count = count;
    return ids;
}

static int read_raw_ids(struct block *block, struct slice raw, struct arena *arena,
                        struct error *err)
{
    if (raw.size % 8 != 0)
        return error_set(err, LYNSE_INVALID, "%zu bytes, must be a multiple of 8", raw.size);
    struct lynse_id *ids = make_ids(block, raw.size / 8, arena, err);
    if (!ids) return -1;
    for (size_t i = 0; i < block->count; i++)
        ids[i] = (struct lynse_id){.number = load_u64(raw.data + i * 8)};
    return 0;
}

int block_read_ids(struct block *block, const struct value *v, struct arena *arena,
                   struct error *err)
{
    struct value_walk walk = value_walk_of(v);
    struct value item;

    if (v->type == VALUE_BYTES) return read_raw_ids(block, v->as.bytes, arena, err);
    block->is_single = v->type != VALUE_ARRAY;
    if (block->kind == ARGUMENT_ID && !block->is_single)
        return error_set(err, LYNSE_INVALID, "a list, must be one id");
    struct lynse_id *ids = make_ids(block, block->is_single ? 1 : v->count, arena, err);
    if (!ids) return -1;
    if (block->is_single) return read_id(v, ids, err);
    for (size_t i = 0; value_walk_next(&walk, NULL, &item); i++)
        if (read_id(&item, &ids[i], err) != 0) return error_wrap(err, "entry %zu", i + 1);
    return 0;
}

/* ---- Vectors ---- */

static int read_number(const struct value *v, float *out, struct error *err)
{
    switch (v->type) {
    case VALUE_FLOAT:
        *out = (float)v->as.number;
        return 0;
    case VALUE_INT:
        *out = (float)v->as.integer;
        return 0;
    case VALUE_UINT:
        *out = (float)v->as.uinteger;
        return 0;
    default:
        return error_set(err, LYNSE_INVALID, "a %s, must be a number", value_type_name(v->type));
    }
}

/* What JSON gives: float 64 one after the other.  Returns how many there are, at most dim. */
static size_t read_doubles(struct slice content, float *out, size_t dim)
{
    const uint8_t *at = content.data;
    size_t count = 0;

    for (; count < dim && at + 9 <= content.data + content.size && *at == 0xcb; at += 9) {
        uint64_t bits = __builtin_bswap64(load_u64(at + 1));
        double number;
        memcpy(&number, &bits, sizeof number);
        out[count++] = (float)number;
    }
    return count;
}

static int read_row(const struct value *row, float *out, size_t dim, struct error *err)
{
    struct value_walk walk = value_walk_of(row);
    struct value item;

    if (row->type == VALUE_BYTES) {
        memcpy(out, row->as.bytes.data, dim * sizeof *out);
        return 0;
    }
    if (read_doubles(row->as.content, out, dim) == dim) return 0;
    for (size_t i = 0; value_walk_next(&walk, NULL, &item); i++)
        if (read_number(&item, &out[i], err) != 0) return error_wrap(err, "component %zu", i + 1);
    return 0;
}

static int row_length(const struct value *row, size_t *out, struct error *err)
{
    if (row->type == VALUE_ARRAY) *out = row->count;
    else if (row->type != VALUE_BYTES)
        return error_set(err, LYNSE_INVALID, "a %s, must be a list of numbers or a bin of float32",
                         value_type_name(row->type));
    else if (row->as.bytes.size % sizeof(float) != 0)
        return error_set(err, LYNSE_INVALID, "%zu bytes, must be a multiple of 4",
                         row->as.bytes.size);
    else *out = row->as.bytes.size / sizeof(float);
    if (*out == 0 || *out > LIMIT_DIM)
        return error_set(err, LYNSE_INVALID, "%zu components, must be 1 to %d", *out, LIMIT_DIM);
    return 0;
}

static int make_floats(struct block *block, size_t rows, size_t dim, struct arena *arena,
                       float **out, struct error *err)
{
    *out = arena_alloc(arena, rows * dim * sizeof(float) + sizeof(float));
    if (!*out) return error_no_memory(err, rows * dim * sizeof(float));
    block->as.vectors = *out;
    block->count = rows;
    block->dim = (uint32_t)dim;
    return 0;
}

/* A list of rows.  Its floats fit the bytes that came, but for empty promises: the length of each
 * row is compared before it is read. */
static int read_rows(struct block *block, const struct value *list, struct arena *arena,
                     struct error *err)
{
    struct value_walk walk = value_walk_of(list);
    struct value row;
    float *floats = NULL;
    size_t dim = 0;

    if (list->count > LIMIT_BATCH_ROWS)
        return error_set(err, LYNSE_LIMIT, "%u vectors, at most %d", list->count, LIMIT_BATCH_ROWS);
    for (size_t i = 0; value_walk_next(&walk, NULL, &row); i++) {
        size_t length = 0;
        if (row_length(&row, &length, err) != 0) return error_wrap(err, "vector %zu", i + 1);
        if (i == 0) {
            dim = length;
            if (list->count * dim > list->as.content.size) /* a component has a byte at least */
                return error_set(err, LYNSE_DIMENSION,
                                 "all vectors in a batch must have the same dimension");
            if (make_floats(block, list->count, dim, arena, &floats, err) != 0) return -1;
        }
        if (length != dim)
            return error_set(err, LYNSE_DIMENSION,
                             "all vectors in a batch must have the same dimension: vector %zu has "
                             "%zu components, vector 1 has %zu",
                             i + 1, length, dim);
        if (read_row(&row, floats + i * dim, dim, err) != 0)
            return error_wrap(err, "vector %zu", i + 1);
    }
    return 0;
}

static bool read_shape(const struct value *map, uint64_t *rows, uint64_t *dim)
{
    struct value shape, item;

    if (!value_get(map, slice_of_text("shape"), &shape) || shape.type != VALUE_ARRAY ||
        shape.count != 2)
        return false;
    struct value_walk walk = value_walk_of(&shape);
    if (!value_walk_next(&walk, NULL, &item) || item.type != VALUE_INT || item.as.integer < 0)
        return false;
    *rows = (uint64_t)item.as.integer;
    if (!value_walk_next(&walk, NULL, &item) || item.type != VALUE_INT || item.as.integer < 1)
        return false;
    *dim = (uint64_t)item.as.integer;
    return true;
}

static int read_shaped(struct block *block, const struct value *map, struct arena *arena,
                       struct error *err)
{
    enum vector_encoding encoding = VECTOR_ENCODING_F32;
    uint64_t rows = 0, dim = 0;
    struct value v;

    if (!read_shape(map, &rows, &dim))
        return error_set(err, LYNSE_INVALID, "shape: must be [rows, dim]");
    if (rows > LIMIT_BATCH_ROWS || dim > LIMIT_DIM)
        return error_set(err, LYNSE_LIMIT, "shape: at most %d rows of %d components",
                         LIMIT_BATCH_ROWS, LIMIT_DIM);
    if (value_get(map, slice_of_text("dtype"), &v) &&
        (v.type != VALUE_TEXT || vector_encoding_parse(v.as.text, &encoding, err) != 0))
        return error_set(err, LYNSE_INVALID, "dtype: must be 'float32' or 'float16'");
    size_t bytes = rows * dim * (encoding == VECTOR_ENCODING_F32 ? 4 : 2);
    if (!value_get(map, slice_of_text("data"), &v) || v.type != VALUE_BYTES ||
        v.as.bytes.size != bytes)
        return error_set(err, LYNSE_INVALID, "data: must be a bin of %zu bytes", bytes);
    block->count = rows;
    block->dim = (uint32_t)dim;
    return vector_codec_copy(v.as.bytes, encoding, rows * dim, arena, &block->as.vectors, err);
}

int block_read_vectors(struct block *block, const struct value *v, struct arena *arena,
                       struct error *err)
{
    size_t length = 0;
    float *floats;

    if (block->kind == ARGUMENT_VECTOR) {
        block->is_single = true;
        if (row_length(v, &length, err) != 0) return -1;
        if (make_floats(block, 1, length, arena, &floats, err) != 0) return -1;
        return read_row(v, floats, length, err);
    }
    if (v->type == VALUE_ARRAY) return read_rows(block, v, arena, err);
    if (v->type == VALUE_MAP) return read_shaped(block, v, arena, err);
    if (v->type != VALUE_BYTES)
        return error_set(err, LYNSE_INVALID, "a %s, must be a list of vectors or a bin of float32",
                         value_type_name(v->type));
    if (v->as.bytes.size % sizeof(float) != 0)
        return error_set(err, LYNSE_INVALID, "%zu bytes, must be a multiple of 4",
                         v->as.bytes.size);
    block->count = v->as.bytes.size / sizeof(float);
    block->dim = 0;
    return vector_codec_copy(v->as.bytes, VECTOR_ENCODING_F32, block->count, arena,
                             &block->as.vectors, err);
}

/* ---- Documents ---- */

int block_read_documents(struct block *block, const struct value *v, struct arena *arena,
                         struct error *err)
{
    struct value_walk walk = value_walk_of(v);
    struct value item;

    if (v->type != VALUE_ARRAY)
        return error_set(err, LYNSE_INVALID, "a %s, must be a list of maps",
                         value_type_name(v->type));
    if (v->count > LIMIT_BATCH_ROWS)
        return error_set(err, LYNSE_LIMIT, "%u maps, at most %d", v->count, LIMIT_BATCH_ROWS);
    struct lynse_bytes *documents = arena_alloc(arena, (v->count + 1) * sizeof *documents);
    if (!documents) return error_no_memory(err, v->count * sizeof *documents);
    for (size_t i = 0; value_walk_next(&walk, NULL, &item); i++) {
        if (item.type != VALUE_MAP && item.type != VALUE_NULL)
            return error_set(err, LYNSE_INVALID, "entry %zu is a %s, must be a map", i + 1,
                             value_type_name(item.type));
        documents[i] = item.type == VALUE_MAP ? (struct lynse_bytes){item.raw.data, item.raw.size}
                                              : (struct lynse_bytes){NULL, 0};
    }
    block->as.documents = documents;
    block->count = v->count;
    return 0;
}

int block_read_document(struct block *block, const struct value *v, struct arena *arena,
                        struct error *err)
{
    if (v->type != VALUE_MAP)
        return error_set(err, LYNSE_INVALID, "a %s, must be a map", value_type_name(v->type));
    struct lynse_bytes *document = arena_alloc(arena, sizeof *document);
    if (!document) return error_no_memory(err, sizeof *document);
    *document = (struct lynse_bytes){v->raw.data, v->raw.size};
    block->is_single = true;
    block->count = 1;
    block->as.documents = document;
    return 0;
}

int block_read_body(struct block *block, const struct value *v, struct error *err)
{
    if (v->type != VALUE_BYTES)
        return error_set(err, LYNSE_INVALID, "a %s, must be a bin", value_type_name(v->type));
    block->count = v->as.bytes.size;
    block->as.body = (struct lynse_bytes){v->as.bytes.data, v->as.bytes.size};
    return 0;
}

/* ---- In Lua ---- */

static const char block_name[] = "lynse.block";

static int block_length(lua_State *L)
{
    const struct block *block = luaL_checkudata(L, 1, block_name);
    lua_pushnumber(L, (lua_Number)block->count);
    return 1;
}

/* vectors:dim() → 0 where a bin came without a shape */
static int block_dim(lua_State *L)
{
    const struct block *block = luaL_checkudata(L, 1, block_name);
    lua_pushnumber(L, (lua_Number)block->dim);
    return 1;
}

void blocks_prepare(lua_State *L)
{
    luaL_newmetatable(L, block_name);
    lua_pushcfunction(L, block_length);
    lua_setfield(L, -2, "__len");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, block_dim);
    lua_setfield(L, -2, "dim");
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void block_push(lua_State *L, const struct block *block)
{
    struct block *copy = lua_newuserdata(L, sizeof *copy);
    *copy = *block;
    luaL_getmetatable(L, block_name);
    lua_setmetatable(L, -2);
}

const struct block *block_borrow(lua_State *L, int index, enum argument_kind kind, uint64_t request)
{
    struct block *block = lua_touserdata(L, index);
    bool is_block = false;

    if (!block || !lua_getmetatable(L, index)) return NULL;
    luaL_getmetatable(L, block_name);
    is_block = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is_block && block->kind == kind && block->request == request ? block : NULL;
}
