/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_records.c — the body of /add_records_binary.
 *
 * The first two bytes of an input say the shape; the rest is the body.  What is accepted must be as
 * many ids, numbers and documents as were promised, each document a map that our own checker takes,
 * and what it took from memory a small multiple of the body.
 */
#include "base/check.h"
#include "base/limits.h"
#include "codec/msgpack.h"
#include "fuzz/fuzz.h"
#include "server/records_binary.h"

static const struct msgpack_limits document_limits = {
    .what = "document",
    .bytes_max = UINT32_MAX - 1,
    .node_count_max = 64u << 20,
    .depth_max = LIMIT_DOC_DEPTH,
    .key_count_max = UINT32_MAX,
};

static void check_records(const struct records_shape *shape, const struct records *records,
                          struct slice body)
{
    struct error err;
    size_t used, fields_bytes = 0;

    for (size_t i = 0; i < shape->row_count; i++) {
        CHECK(!records->ids[i].text);
        if (shape->is_range) CHECK(records->ids[i].number == shape->ids_start + i);
        if (!records->fields || records->fields[i].size == 0) continue;
        struct slice document = slice_of(records->fields[i].data, records->fields[i].size);
        fields_bytes += document.size;
        /* What is no UTF-8 or has a key twice is the engine's to refuse. */
        if (msgpack_check(document, &document_limits, &used, &err) == 0)
            CHECK(used == document.size);
    }
    CHECK(fields_bytes <= body.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct records_shape shape = {.dim = 1, .row_count = 1};
    struct records records;
    struct arena arena;
    struct error err;

    if (size < 2) return 0;
    shape.dim = 1 + (data[0] & 3);
    shape.row_count = 1 + (data[0] >> 2 & 7);
    shape.encoding = data[0] & 0x20 ? VECTOR_ENCODING_F16 : VECTOR_ENCODING_F32;
    shape.is_range = data[0] & 0x40;
    shape.ids_start = data[1] == 0xff ? UINT64_MAX - 4 : data[1];
    struct slice body = slice_of(data + 2, size - 2);
    arena_init(&arena, alloc_libc(), MEM_MESSAGE);
    if (records_read(&shape, body, &arena, &records, &err) == 0)
        check_records(&shape, &records, body);
    else CHECK(err.code != LYNSE_OK && err.text[0]);
    arena_deinit(&arena);
    return 0;
}
