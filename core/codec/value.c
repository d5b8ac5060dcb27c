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

bool doc_get(struct slice doc, struct slice path, struct value *out)
{
    struct msgpack_cursor start = msgpack_cursor_of(doc);
    for (;;) {
        /* Only the head of the map: its content is walked once, by find_key. */
        struct value map;
        if (!msgpack_next(&start, &map) || map.type != VALUE_MAP) return false;
        struct msgpack_cursor c = start;
        if (find_key(&c, map.count, path, out)) return true;
        const uint8_t *dot = path.size ? memchr(path.data, '.', path.size) : NULL;
        if (!dot) return false;

        struct slice first = slice_of(path.data, (size_t)(dot - path.data));
        struct value inner;
        c = start;
        if (!find_key(&c, map.count, first, &inner)) return false;
        start = msgpack_cursor_of(inner.raw);
        path = slice_of(dot + 1, path.size - first.size - 1);
    }
}
