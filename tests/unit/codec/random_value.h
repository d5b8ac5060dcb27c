/* SPDX-License-Identifier: Apache-2.0 */
/* random_value.h — random msgpack trees for the tests of this folder. */
#ifndef UNIT_CODEC_RANDOM_VALUE_H
#define UNIT_CODEC_RANDOM_VALUE_H

#include <stdio.h>

#include "base/buf.h"
#include "base/rng.h"
#include "codec/datetime.h"
#include "codec/msgpack.h"

struct random_shape {
    uint32_t depth_max;
    uint32_t fanout_max;
    bool is_json; /* only what JSON can hold: no bytes, datetimes, NaN or infinities */
};

static inline double random_float(struct rng *r, bool is_finite)
{
    for (;;) {
        uint64_t bits = rng_u64(r);
        double v;
        memcpy(&v, &bits, sizeof v);
        if (rng_chance(r, 0.5)) v = (double)(int64_t)rng_below(r, 2000) / 8 - 100;
        if (!is_finite || (v - v == 0)) return v;
    }
}

static inline void random_text(struct rng *r, struct buf *b, size_t size_max)
{
    static const char *const pieces[] = {"a",  "Z",    "0", " ",      "\"",         "\\",  "/",
                                         "\n", "\x01", "é", "\u20ac", "\U0001f600", "\x7f"};
    uint8_t text[600];
    size_t size = 0;
    size_t want = rng_below(r, size_max + 1);
    while (size < want && size + 4 < sizeof text) {
        const char *p = pieces[rng_below(r, sizeof pieces / sizeof pieces[0])];
        memcpy(text + size, p, strlen(p));
        size += strlen(p);
    }
    msgpack_write_text(b, slice_of(text, size));
}

static inline int64_t random_int(struct rng *r)
{
    return (int64_t)(rng_u64(r) >> rng_below(r, 64)) * (rng_chance(r, 0.5) ? 1 : -1);
}

static inline void random_scalar(struct rng *r, struct buf *b, bool is_json)
{
    uint8_t bytes[300];
    switch (rng_below(r, is_json ? 6 : 8)) {
    case 0:
        msgpack_write_null(b);
        return;
    case 1:
        msgpack_write_bool(b, rng_chance(r, 0.5));
        return;
    case 2:
        msgpack_write_int(b, random_int(r));
        return;
    case 3:
        msgpack_write_uint(b, rng_u64(r) >> rng_below(r, 64));
        return;
    case 4:
        msgpack_write_float(b, random_float(r, is_json));
        return;
    case 5:
        random_text(r, b, rng_chance(r, 0.1) ? 500 : 20);
        return;
    case 6: {
        size_t size = (size_t)rng_below(r, sizeof bytes);
        rng_bytes(r, bytes, size);
        msgpack_write_bytes(b, slice_of(bytes, size));
        return;
    }
    default: {
        int64_t us = DATETIME_US_MIN +
                     (int64_t)rng_below(r, (uint64_t)(DATETIME_US_MAX - DATETIME_US_MIN) + 1);
        if (rng_chance(r, 0.5)) us -= us % 1000000;
        if (rng_chance(r, 0.3)) us = (int64_t)rng_below(r, 1ull << 32) * 1000000;
        msgpack_write_datetime(b, us);
        return;
    }
    }
}

/* A map at the top whose keys are numbered, so that none is there twice. */
static inline void random_document(struct rng *r, struct buf *b, struct random_shape shape)
{
    struct {
        uint32_t left;
        bool is_map;
    } stack[MSGPACK_DEPTH_MAX];
    uint32_t depth = 1;
    stack[0].left = (uint32_t)rng_below(r, shape.fanout_max + 1);
    stack[0].is_map = true;
    msgpack_write_map(b, stack[0].left);
    while (depth > 0) {
        if (stack[depth - 1].left == 0) {
            depth--;
            continue;
        }
        stack[depth - 1].left--;
        if (stack[depth - 1].is_map) {
            char key[32];
            snprintf(key, sizeof key, "%s%u", rng_chance(r, 0.2) ? "a key of some length " : "k",
                     stack[depth - 1].left);
            msgpack_write_text(b, slice_of_text(key));
        }
        if (depth < shape.depth_max && rng_chance(r, 0.3)) {
            uint32_t count = (uint32_t)rng_below(r, shape.fanout_max + 1);
            stack[depth].left = count;
            stack[depth].is_map = rng_chance(r, 0.5);
            if (stack[depth].is_map) msgpack_write_map(b, count);
            else msgpack_write_array(b, count);
            depth++;
        } else {
            random_scalar(r, b, shape.is_json);
        }
    }
}

#endif
