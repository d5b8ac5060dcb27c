/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_http.c — a stream of requests: in one piece and cut anywhere it must say the same.
 *
 * The first byte of an input says how the second reading cuts: 0 byte by byte, anything else is the
 * seed of piece sizes.  The rest is the stream.
 */
#include "base/rng.h"
#include "fuzz/fuzz.h"
#include "server/http_codec.h"
#include "unit/server/feed_cut.h"

/* Small, so that inputs of a few hundred bytes cross each. */
static const struct http_limits limits = {
    .uri_bytes_max = 64,
    .header_bytes_max = 256,
    .header_count_max = 6,
    .body_bytes_max = 300,
};

/* What the codec makes of whole values must hold for any. */
static void decode_value(struct slice text)
{
    struct http_query query;
    struct http_key key;
    struct slice path, rest;
    struct error err;
    struct buf out;
    buf_init(&out, alloc_libc(), MEM_GENERAL);
    http_split_target(text, &path, &rest);
    if (http_decode_path(path, &out, &err) == 0) CHECK(out.size <= path.size);
    else CHECK(out.size == 0);
    size_t before = out.size;
    if (http_read_query(rest, &out, &query, &err) == 0) {
        CHECK(query.count <= LIMIT_QUERY_PAIRS && out.size - before <= rest.size);
        for (size_t i = 0; i < query.count; i++) CHECK(query.pairs[i].key.size > 0);
    } else {
        CHECK(out.size == before);
    }
    if (http_read_key(text, &key, &err) == 0) CHECK(key.size > 0 && key.size <= LIMIT_KEY_BYTES);
    CHECK(http_accept_quality(text, "application/json") <= 1000);
    http_is_type(text, "application/json");
    buf_reset(&out);
    const struct http_field field = {"x", text};
    struct http_response response = {.status = 200, .fields = &field, .field_count = 1};
    if (http_write_head(&out, &response, &err) != 0) CHECK(out.size == 0);
    buf_deinit(&out);
}

static void decode_headers(struct slice stream)
{
    struct http_parser p;
    struct error err;
    size_t used;
    http_parser_init(&p, alloc_libc(), &limits);
    if (http_parser_feed(&p, stream, &used, &err) == HTTP_HEAD) {
        decode_value(p.request.target);
        for (uint32_t i = 0; i < http_parser_header_count(&p); i++) {
            struct slice name, value;
            http_parser_header(&p, i, &name, &value);
            decode_value(value);
        }
    }
    http_parser_deinit(&p);
}

static void feed_in_pieces(struct feed_cut *f, struct slice stream, uint8_t seed)
{
    struct rng rng;
    rng_init(&rng, seed);
    while (stream.size > 0) {
        size_t size = seed == 0 ? 1 : (size_t)rng_below(&rng, 24);
        if (size > stream.size) size = stream.size;
        feed_cut_feed(f, slice_of(stream.data, size));
        stream = slice_of(stream.data + size, stream.size - size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice stream = slice_of(data, 0);
    struct feed_cut whole, pieces;
    struct buf whole_trace, pieces_trace;
    if (size > 1) stream = slice_of(data + 1, size - 1);

    buf_init(&whole_trace, alloc_libc(), MEM_GENERAL);
    buf_init(&pieces_trace, alloc_libc(), MEM_GENERAL);
    feed_cut_init(&whole, &limits, false, &whole_trace);
    feed_cut_init(&pieces, &limits, true, &pieces_trace);
    feed_cut_feed(&whole, stream);
    feed_cut_finish(&whole);
    feed_in_pieces(&pieces, stream, size ? data[0] : 0);
    feed_cut_finish(&pieces);
    CHECK(slice_equal(buf_slice(&whole_trace), buf_slice(&pieces_trace)));
    CHECK(whole.used <= stream.size);
    decode_headers(stream);

    feed_cut_deinit(&whole);
    feed_cut_deinit(&pieces);
    buf_deinit(&whole_trace);
    buf_deinit(&pieces_trace);
    return 0;
}
