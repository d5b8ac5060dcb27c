/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_json.c — JSON to msgpack and back, and arrays of floats. */
#include "base/buf.h"
#include "base/check.h"
#include "codec/json.h"
#include "codec/msgpack.h"
#include "fuzz/fuzz.h"

static const struct msgpack_limits limits = {
    .what = "body",
    .bytes_max = 1 << 20,
    .node_count_max = 1 << 20,
    .depth_max = 32,
    .key_count_max = MSGPACK_UNIQUE_KEYS_MAX,
    .has_text_keys = true,
    .has_unique_keys = true,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice json = slice_of(data, size);
    struct buf message, text, again;
    struct error err;
    size_t used;
    buf_init(&message, alloc_libc(), MEM_GENERAL);
    buf_init(&text, alloc_libc(), MEM_GENERAL);
    buf_init(&again, alloc_libc(), MEM_GENERAL);

    if (json_to_msgpack(json, &limits, &message, &err) == 0) {
        CHECK(msgpack_check(buf_slice(&message), &limits, &used, &err) == 0);
        CHECK(used == message.size);
        CHECK(json_from_msgpack(buf_slice(&message), &text, &err) == 0);
        CHECK(json_to_msgpack(buf_slice(&text), &limits, &again, &err) == 0);
        CHECK(slice_equal(buf_slice(&message), buf_slice(&again)));
    } else {
        CHECK(message.size == 0);
    }

    buf_deinit(&message);
    buf_deinit(&text);
    buf_deinit(&again);
    return 0;
}
