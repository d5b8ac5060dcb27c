/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_rpc.c — a stream of frames: in one piece and cut anywhere it must say the same.
 *
 * The first byte of an input says how the second reading cuts, as in fuzz_http.c; the rest is the
 * stream.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/rng.h"
#include "codec/rpc.h"
#include "fuzz/fuzz.h"

static const struct rpc_limits limits = {.bytes_max = 512, .node_count_max = 128, .depth_max = 8};

static void append_value(struct buf *trace, const char *name, const struct value *v)
{
    buf_append_text(trace, " %s %d:", name, (int)v->type);
    buf_append(trace, v->raw.data, v->raw.size);
}

/* A frame's bytes, and what they say. */
static void read_frame(struct slice frame, struct buf *trace)
{
    struct rpc_message m;
    struct error err;
    uint32_t msgid;
    struct msgpack_cursor c = msgpack_cursor_of(frame);
    if (msgpack_skip(&c)) CHECK(c.at == c.end); /* which ends where it knows all types */
    bool is_found = rpc_peek_msgid(frame, &msgid);
    if (rpc_read(frame, &limits, &m, &err) != 0) {
        buf_append_text(trace, "refused: %s\n", err.text);
        return;
    }
    CHECK(is_found == (m.kind == RPC_REQUEST) && (!is_found || msgid == m.msgid));
    buf_append_text(trace, "%d %u ", (int)m.kind, m.msgid);
    if (m.kind == RPC_RESPONSE) {
        append_value(trace, "error", &m.error);
        append_value(trace, "result", &m.result);
    } else {
        buf_append(trace, m.method.data, m.method.size);
        append_value(trace, "params", &m.params);
    }
    buf_append_u8(trace, '\n');
}

struct session {
    struct rpc_finder finder;
    struct buf *trace;
    struct slice stream;
    size_t begun; /* where the present frame begins */
    bool is_broken;
};

/* `come` bytes of the stream have come: a copy of the frame's part of them is looked at. */
static void take(struct session *s, size_t come)
{
    while (!s->is_broken) {
        struct error err;
        size_t size = 0;
        size_t have = come - s->begun;
        uint8_t *copy = malloc(have ? have : 1);
        CHECK(copy);
        if (have) memcpy(copy, s->stream.data + s->begun, have);
        enum rpc_found found =
            rpc_finder_feed(&s->finder, &limits, slice_of(copy, have), &size, &err);
        if (found == RPC_FRAME) {
            CHECK(size > 0 && size <= have && size <= limits.bytes_max);
            read_frame(slice_of(copy, size), s->trace);
            rpc_finder_reset(&s->finder);
            s->begun += size;
        } else if (found == RPC_BROKEN) {
            buf_append_text(s->trace, "broken at %zu: %s\n", s->begun, err.text);
            s->is_broken = true;
        }
        free(copy);
        if (found == RPC_MORE) return;
    }
}

static void begin(struct session *s, struct slice stream, struct buf *trace)
{
    buf_init(trace, alloc_libc(), MEM_GENERAL);
    *s = (struct session){.trace = trace, .stream = stream};
    rpc_finder_reset(&s->finder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice stream = slice_of(data, 0);
    uint8_t seed = size ? data[0] : 0;
    struct session whole, pieces;
    struct buf whole_trace, pieces_trace;
    struct rng rng;
    if (size > 1) stream = slice_of(data + 1, size - 1);

    rng_init(&rng, seed);
    begin(&whole, stream, &whole_trace);
    begin(&pieces, stream, &pieces_trace);
    take(&whole, stream.size);
    for (size_t come = 0; come < stream.size;) {
        come += seed == 0 ? 1 : (size_t)rng_below(&rng, 24);
        if (come > stream.size) come = stream.size;
        take(&pieces, come);
    }
    CHECK(slice_equal(buf_slice(&whole_trace), buf_slice(&pieces_trace)));
    buf_deinit(&whole_trace);
    buf_deinit(&pieces_trace);
    return 0;
}
