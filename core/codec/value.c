/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/value.h"

#include "codec/msgpack.h"

static const char *const type_names[] = {
#define VALUE_NAME(name, text) text,
    VALUE_TYPES(VALUE_NAME)
#undef VALUE_NAME
};

const char *value_type_name(enum value_type type)
{
    size_t i = (size_t)type;
    return i < sizeof type_names / sizeof type_names[0] ? type_names[i] : "unknown";
}

bool value_read(struct slice raw, struct value *out)
{
    struct msgpack_cursor c = msgpack_cursor_of(raw);
    return msgpack_read(&c, out);
}

struct value_walk value_walk_of(const struct value *container)
{
    bool is_map = container->type == VALUE_MAP;
    if (!is_map && container->type != VALUE_ARRAY) return (struct value_walk){{NULL, 0}, 0, false};
    return (struct value_walk){container->as.content, container->count, is_map};
}

bool value_walk_next(struct value_walk *w, struct value *out_key, struct value *out)
{
    if (w->left == 0) return false;
    struct msgpack_cursor c = msgpack_cursor_of(w->rest);
    struct value key;
    if ((w->is_map && !msgpack_read(&c, &key)) || !msgpack_read(&c, out)) {
        w->left = 0;
        return false;
    }
    if (w->is_map && out_key) *out_key = key;
    w->rest = msgpack_cursor_rest(&c);
    w->left--;
    return true;
}

/* Values on the way are stepped over, not decoded. */
static bool find_key(struct msgpack_cursor *c, uint32_t pair_count, struct slice key,
                     struct value *out)
{
    for (uint32_t i = 0; i < pair_count; i++) {
        struct value k;
        if (!msgpack_read(c, &k)) return false;
        if (k.type == VALUE_TEXT && slice_equal(k.as.text, key)) return msgpack_read(c, out);
        if (!msgpack_skip(c)) return false;
    }
    return false;
}

bool value_get(const struct value *map, struct slice key, struct value *out)
{
    if (map->type != VALUE_MAP) return false;
    struct msgpack_cursor c = msgpack_cursor_of(map->as.content);
    return find_key(&c, map->count, key, out);
}

/* The bytes of the name that path begins with. */
static size_t name_bytes(struct slice path)
{
    size_t size = 0;
    while (size < path.size && path.data[size] != '.' && path.data[size] != '[') size++;
    return size;
}

/* Takes "[n]" from the beginning of the path; false when it is none, or n has over nine digits. */
static bool take_index(struct slice *path, uint32_t *out)
{
    size_t i = 1;
    *out = 0;
    while (i < path->size && i <= 9 && path->data[i] >= '0' && path->data[i] <= '9')
        *out = *out * 10 + (uint32_t)(path->data[i++] - '0');
    if (i == 1 || i >= path->size || path->data[i] != ']') return false;
    *path = slice_of(path->data + i + 1, path->size - i - 1);
    return true;
}

/* Follows the path's [n] from *at, an array then; false: they lead nowhere. */
static bool follow_indexes(struct slice *path, struct value *at)
{
    while (path->size > 0 && path->data[0] == '[') {
        uint32_t index;
        if (!take_index(path, &index) || at->type != VALUE_ARRAY || index >= at->count)
            return false;
        struct msgpack_cursor c = msgpack_cursor_of(at->as.content);
        for (; index > 0; index--)
            if (!msgpack_skip(&c)) return false;
        if (!msgpack_read(&c, at)) return false;
    }
    return true;
}

bool doc_get(struct slice doc, struct slice path, struct value *out)
{
    struct msgpack_cursor start = msgpack_cursor_of(doc);
    for (;;) {
        /* Only the head of the map: its content is walked once, by find_key. */
        struct value map, inner;
        if (!msgpack_next(&start, &map) || map.type != VALUE_MAP) return false;
        struct msgpack_cursor c = start;
        if (find_key(&c, map.count, path, out)) return true;
        size_t first = name_bytes(path);
        if (first == path.size) return false;

        c = start;
        if (!find_key(&c, map.count, slice_of(path.data, first), &inner)) return false;
        path = slice_of(path.data + first, path.size - first);
        if (!follow_indexes(&path, &inner)) return false;
        if (path.size == 0) {
            *out = inner;
            return true;
        }
        if (path.data[0] != '.') return false;
        path = slice_of(path.data + 1, path.size - 1);
        start = msgpack_cursor_of(inner.raw);
    }
}
