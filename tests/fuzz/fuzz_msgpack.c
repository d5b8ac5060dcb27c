/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_msgpack.c — the msgpack check, the cursor and what is built on them. */
#include "base/buf.h"
#include "base/check.h"
#include "codec/json.h"
#include "codec/msgpack.h"
#include "fuzz/fuzz.h"

static const struct msgpack_limits limits = {
    .what = "message",
    .bytes_max = UINT32_MAX,
    .node_count_max = UINT64_MAX,
    .depth_max = MSGPACK_DEPTH_MAX,
    .key_count_max = UINT32_MAX,
};

/* Every token once more, in its shortest form. */
static void rewrite(struct slice message, struct buf *out)
{
    struct msgpack_cursor c = msgpack_cursor_of(message);
    struct value v;
    while (msgpack_next(&c, &v)) {
        if (v.type == VALUE_MAP) msgpack_write_map(out, v.count);
        else if (v.type == VALUE_ARRAY) msgpack_write_array(out, v.count);
        else msgpack_write_value(out, &v);
    }
    CHECK(c.at == c.end);
}

static void use_unchecked(struct slice bytes)
{
    struct value v, item;
    struct msgpack_cursor c = msgpack_cursor_of(bytes);
    while (msgpack_next(&c, &v)) {
    }
    c = msgpack_cursor_of(bytes);
    while (msgpack_skip(&c)) {
    }
    doc_get(bytes, slice_of_text("a.b.c"), &v);
    if (!value_read(bytes, &v)) return;
    struct value_walk w = value_walk_of(&v);
    while (value_walk_next(&w, NULL, &item)) {
    }
}

static void use_checked(struct slice message)
{
    struct buf once, twice;
    struct error err;
    size_t size;
    struct msgpack_cursor c = msgpack_cursor_of(message);
    CHECK(msgpack_skip(&c) && c.at == c.end);

    buf_init(&once, alloc_libc(), MEM_GENERAL);
    buf_init(&twice, alloc_libc(), MEM_GENERAL);
    rewrite(message, &once);
    /* Only a float of 32 bits grows, to 64; all else is in its shortest form already or shrinks. */
    CHECK(msgpack_check(buf_slice(&once), &limits, &size, &err) == 0 && size == once.size);
    rewrite(buf_slice(&once), &twice);
    CHECK(slice_equal(buf_slice(&once), buf_slice(&twice)));
    buf_reset(&twice);
    int rc = json_from_msgpack(message, &twice, &err);
    CHECK(rc == 0 || err.code == LYNSE_INVALID); /* a key that is no text */
    buf_deinit(&once);
    buf_deinit(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_of(data, size);
    struct error err;
    size_t used = 0;
    bool is_message = msgpack_check(bytes, &limits, &used, &err) == 0;
    use_unchecked(bytes);
    if (is_message) use_checked(slice_of(data, used));
    if (document_check(bytes, &err) == 0) CHECK(is_message && used == size);
    return 0;
}
