/* SPDX-License-Identifier: Apache-2.0 */
/* value.h — one field value, as a view of its msgpack bytes.
 *
 * A value owns nothing: text, bytes and containers point into the message that it was read from
 * and live as long as that.  All functions are safe on bytes that were never checked; they answer
 * "not there" where the bytes are damaged.
 */
#ifndef CODEC_VALUE_H
#define CODEC_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* INT is every integer that fits an i64, however it was encoded; UINT is one above INT64_MAX. */
#define VALUE_TYPES(_)                                                                             \
    _(NULL, "null")                                                                                \
    _(BOOL, "bool")                                                                                \
    _(INT, "whole number")                                                                         \
    _(UINT, "whole number")                                                                        \
    _(FLOAT, "float")                                                                              \
    _(TEXT, "text")                                                                                \
    _(BYTES, "bin")                                                                                \
    _(ARRAY, "list")                                                                               \
    _(MAP, "map")                                                                                  \
    _(DATETIME, "datetime")

enum value_type {
#define VALUE_ENUM(name, text) VALUE_##name,
    VALUE_TYPES(VALUE_ENUM)
#undef VALUE_ENUM
};

struct value {
    enum value_type type;
    uint32_t count; /* ARRAY: items; MAP: pairs; else 0 */
    union {
        bool boolean;         /* BOOL */
        int64_t integer;      /* INT */
        uint64_t uinteger;    /* UINT */
        double number;        /* FLOAT; may be NaN or infinite */
        int64_t datetime_us;  /* DATETIME: microseconds since 1970-01-01 UTC, years 0001..9999 */
        struct slice text;    /* TEXT: UTF-8 in checked messages */
        struct slice bytes;   /* BYTES */
        struct slice content; /* ARRAY, MAP: the encoded items, keys and values alternating */
    } as;
    struct slice raw; /* the whole encoded value */
};

/* "null", "bool", …: static text. */
const char *value_type_name(enum value_type type);

/* The one value that raw begins with; false when it is damaged. */
bool value_read(struct slice raw, struct value *out);

/* The items of an array or map, in order. */
struct value_walk {
    struct slice rest;
    uint32_t left; /* items or pairs to come */
    bool is_map;
};
struct value_walk value_walk_of(const struct value *container); /* any other type: no items */
/* false at the end, or where the bytes are damaged.  out_key may be NULL, and is untouched for an
 * array. */
bool value_walk_next(struct value_walk *w, struct value *out_key, struct value *out);

/* The value under a text key of a map; false when it is absent or `map` is no map.  The first one
 * where a message that was never checked has several. */
bool value_get(const struct value *map, struct slice key, struct value *out);

/* The value at a path in a document (an encoded map).  "a.b" is the key "a.b" where there is one,
 * else the key "b" of the map under "a"; "a[0]" is the key "a[0]" where there is one, else the
 * first item of the array under "a"; and so on behind it.  false: absent, or the way leads through
 * a value that is no map, or no array. */
bool doc_get(struct slice doc, struct slice path, struct value *out);

#endif
