/* SPDX-License-Identifier: Apache-2.0 */
/* feed_cut.h — a stream given to http_parser.c in pieces, and what came of it as one text.
 *
 * Every piece is a heap copy of exactly its size, so that the sanitizers see a read past it.
 */
#ifndef UNIT_SERVER_FEED_CUT_H
#define UNIT_SERVER_FEED_CUT_H

#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "server/http_parser.h"

struct feed_cut {
    struct http_parser parser;
    struct buf *trace; /* a line for each event, and at its end what became of the stream */
    struct buf body;
    bool gathers;
    bool is_failed;
    uint64_t used; /* of the stream, so far */
};

static inline void feed_cut_init(struct feed_cut *f, const struct http_limits *limits, bool gathers,
                                 struct buf *trace)
{
    *f = (struct feed_cut){.trace = trace, .gathers = gathers};
    http_parser_init(&f->parser, alloc_libc(), limits);
    buf_init(&f->body, alloc_libc(), MEM_GENERAL);
}

static inline void feed_cut_deinit(struct feed_cut *f)
{
    http_parser_deinit(&f->parser);
    buf_deinit(&f->body);
}

static inline void feed_cut_append(struct buf *trace, const char *name, struct slice text)
{
    buf_append_text(trace, "%s", name);
    buf_append(trace, text.data, text.size);
    buf_append_u8(trace, '\n');
}

static inline void feed_cut_trace_head(struct feed_cut *f)
{
    const struct http_request *r = &f->parser.request;
    feed_cut_append(f->trace, "method ", r->method_text);
    feed_cut_append(f->trace, "target ", r->target);
    buf_append_text(f->trace, "%d 1.%d%s%s%s %llu\n", (int)r->method, r->version_minor,
                    r->keeps_alive ? " keeps" : " closes", r->wants_continue ? " waits" : "",
                    r->is_chunked ? " chunked" : "", (unsigned long long)r->content_length);
    for (uint32_t i = 0; i < http_parser_header_count(&f->parser); i++) {
        struct slice name, value;
        http_parser_header(&f->parser, i, &name, &value);
        feed_cut_append(f->trace, "- ", name);
        feed_cut_append(f->trace, "  ", value);
    }
}

/* The whole piece, however many requests end in it. */
static inline void feed_cut_feed(struct feed_cut *f, struct slice piece)
{
    uint8_t *copy = malloc(piece.size ? piece.size : 1);
    struct slice rest = slice_of(copy, piece.size);
    enum http_progress progress = HTTP_COMPLETE;
    CHECK(copy);
    if (piece.size) memcpy(copy, piece.data, piece.size);
    while (progress != HTTP_MORE && progress != HTTP_FAILED && !f->is_failed) {
        struct error err;
        size_t used;
        progress = http_parser_feed(&f->parser, rest, &used, &err);
        CHECK(used <= rest.size);
        rest = slice_of(rest.data + used, rest.size - used);
        f->used += used;
        if (progress == HTTP_MORE) CHECK(rest.size == 0);
        if (progress == HTTP_HEAD) feed_cut_trace_head(f);
        if (progress == HTTP_HEAD && f->gathers) http_parser_gather(&f->parser, &f->body);
        if (progress == HTTP_BODY) buf_append(&f->body, f->parser.piece.data, f->parser.piece.size);
        if (progress == HTTP_COMPLETE) {
            feed_cut_append(f->trace, "body ", buf_slice(&f->body));
            buf_append_text(f->trace, "end at %llu\n", (unsigned long long)f->used);
            buf_reset(&f->body);
            http_parser_reset(&f->parser);
        }
        if (progress == HTTP_FAILED) {
            f->is_failed = true;
            buf_append_text(f->trace, "status %d: %s (%s)\n", f->parser.status, err.text,
                            error_name(err.code));
        }
    }
    free(copy);
}

/* At the stream's end. */
static inline void feed_cut_finish(struct feed_cut *f)
{
    if (!f->is_failed)
        buf_append_text(f->trace, "%s\n", http_parser_is_idle(&f->parser) ? "idle" : "cut");
}

#endif
