/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include "base/limits.h"
#include "server/http_parser.h"
#include "support/oom_sweep.h"
#include "unit/server/feed_cut.h"

/* Small, so that a text in this file can cross each. */
static const struct http_limits small = {
    .uri_bytes_max = 32,
    .header_bytes_max = 128,
    .header_count_max = 4,
    .body_bytes_max = 40,
};

static void run(const char *stream, size_t size, const struct http_limits *limits, size_t cut,
                size_t step, bool gathers, struct buf *trace)
{
    struct feed_cut f;
    feed_cut_init(&f, limits, gathers, trace);
    for (size_t at = 0; at < size;) {
        size_t piece = at == 0 && cut > 0 ? cut : step;
        if (piece > size - at) piece = size - at;
        feed_cut_feed(&f, slice_of(stream + at, piece));
        at += piece;
    }
    feed_cut_finish(&f);
    feed_cut_deinit(&f);
}

/* What comes of the stream in one piece; the caller frees it.  Every other way to cut it gives the
 * same: in two at every place, byte by byte, and byte by byte with the body gathered. */
static char *outcome_of(const char *stream, size_t size, const struct http_limits *limits)
{
    struct buf whole, other;
    buf_init(&whole, alloc_libc(), MEM_GENERAL);
    buf_init(&other, alloc_libc(), MEM_GENERAL);
    run(stream, size, limits, 0, size, false, &whole);
    size_t step = size > 2000 ? 97 : 1;
    for (size_t cut = 1; cut <= size + 1; cut += step) {
        bool is_bytewise = cut + step > size;
        buf_reset(&other);
        run(stream, size, limits, cut < size ? cut : 0, is_bytewise ? 1 : size, is_bytewise,
            &other);
        if (!slice_equal(buf_slice(&whole), buf_slice(&other)))
            print_error("cut at %zu of <<%.*s>>:\n%.*s--- in one piece:\n%.*s", cut, (int)size,
                        stream, (int)other.size, (char *)other.data, (int)whole.size,
                        (char *)whole.data);
        assert_true(slice_equal(buf_slice(&whole), buf_slice(&other)));
    }
    buf_append_u8(&whole, 0);
    buf_deinit(&other);
    return (char *)buf_take(&whole, NULL);
}

static void gives(const char *stream, const char *expected)
{
    char *outcome = outcome_of(stream, strlen(stream), &small);
    assert_string_equal(outcome, expected);
    mem_free(alloc_libc(), outcome);
}

static void requests_are_read_whole(void **state)
{
    (void)state;
    gives("GET / HTTP/1.1\r\nHost: a\r\n\r\n",
          "method GET\ntarget /\n1 1.1 keeps 0\n- Host\n  a\nbody \nend at 27\nidle\n");
    gives("POST /search?k=1 HTTP/1.1\r\nhOST:127.0.0.1:7637\r\ncontent-LENGTH: 5\t\r\n\r\nhello",
          "method POST\ntarget /search?k=1\n3 1.1 keeps 5\n- hOST\n  127.0.0.1:7637\n"
          "- content-LENGTH\n  5\nbody hello\nend at 75\nidle\n");
    gives("PURGE /x HTTP/1.0\r\n\r\n", "method PURGE\ntarget /x\n0 1.0 closes 0\nbody \nend at 21\n"
                                       "idle\n");
    gives("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
          "method OPTIONS\ntarget *\n7 1.1 keeps 0\n- Host\n  \nbody \nend at 29\nidle\n");
    gives("", "idle\n");
    gives("GET / HT", "cut\n");
}

/* RFC 9112, 3.2.2: how proxies ask. */
static void a_target_may_name_the_server(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *expected;
    } cases[] = {
        {"GET", "http://a/x?y=1", "/x?y=1"},
        {"GET", "HtTp://a:80/", "/"},
        {"GET", "http://[::1]:7637/x", "/x"},
        {"GET", "http://a", "/"},
        {"GET", "http://a?y", "/?y"},
        {"GET", "http://a//b/", "//b/"},
        {"POST", "http://a/http://b/", "/http://b/"},
        {"GET", "/http://b/", "/http://b/"},
        {"OPTIONS", "http://a:1", "*"},
        {"OPTIONS", "http://a/", "/"},
        {"OPTIONS", "http://a?", "/?"},
        {"GET", "http://%61/", "/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char head[128], expected[64];
        /* The Host is another one, and the target wins. */
        snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: b:9\r\n\r\n", cases[i].method,
                 cases[i].target);
        snprintf(expected, sizeof expected, "method %s\ntarget %s\n", cases[i].method,
                 cases[i].expected);
        char *outcome = outcome_of(head, strlen(head), &small);
        if (strncmp(outcome, expected, strlen(expected)) != 0 || !strstr(outcome, "idle\n"))
            fail_msg("%s gives:\n%s", head, outcome);
        mem_free(alloc_libc(), outcome);
    }
    gives("GET http://a HTTP/1.0\r\n\r\nGET http://a?b HTTP/1.0\r\n\r\n",
          "method GET\ntarget /\n1 1.0 closes 0\nbody \nend at 25\n"
          "method GET\ntarget /?b\n1 1.0 closes 0\nbody \nend at 52\nidle\n");
}

static void a_chunked_body_is_put_together(void **state)
{
    (void)state;
    gives("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tChunked \r\n\r\n"
          "5\r\nhello\r\n000A;name=\"v;v\"\r\n, you all.\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n",
          "method POST\ntarget /\n3 1.1 keeps chunked 0\n- Host\n  a\n"
          "- Transfer-Encoding\n  Chunked\nbody hello, you all.\nend at 115\nidle\n");
    gives("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          "method POST\ntarget /\n3 1.1 keeps chunked 0\n- Host\n  a\n"
          "- Transfer-Encoding\n  chunked\nbody \nend at 61\nidle\n");
}

static void requests_follow_one_another_in_a_stream(void **state)
{
    (void)state;
    gives("GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nGET"
          "\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
          "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n!\r\n0\r\n\r\n"
          "GET /4 HTTP/1.1\r\n\r\n",
          "method GET\ntarget /1\n1 1.1 keeps 3\n- Host\n  a\n- Content-Length\n  3\nbody GET\n"
          "end at 50\n"
          "method GET\ntarget /2\n1 1.1 keeps 0\n- Host\n  a\nbody \nend at 80\n"
          "method POST\ntarget /3\n3 1.1 keeps chunked 0\n- Host\n  a\n- Transfer-Encoding\n"
          "  chunked\nbody !\nend at 148\n"
          "status 400: Host: missing, which HTTP/1.1 asks for (PARSE)\n");
}

static void the_connection_is_kept_as_both_versions_ask(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        bool keeps;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: , Upgrade , CLOSE,\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *outcome = outcome_of(cases[i].head, strlen(cases[i].head), &small);
        if (!strstr(outcome, cases[i].keeps ? " keeps " : " closes "))
            fail_msg("%s", cases[i].head);
        mem_free(alloc_libc(), outcome);
    }
}

static void whoever_waits_for_100_is_announced(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        bool waits;
    } cases[] = {
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", true},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
         true},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", false},
        {"POST / HTTP/1.0\r\nExpect: whatever\r\nContent-Length: 1\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *outcome = outcome_of(cases[i].head, strlen(cases[i].head), &small);
        if (!strstr(outcome, "target /\n") || !strstr(outcome, " waits ") == cases[i].waits)
            fail_msg("%s", cases[i].head);
        mem_free(alloc_libc(), outcome);
    }
}

#define HEAD "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"

/* Each is refused as that status, at once and for a reason that its text has. */
static const struct bad_request {
    const char *stream;
    int status;
    const char *reason;
} bad_requests[] = {
    /* The request line. */
    {"GET /\r\n\r\n", 400, "expected a method"},
    {"GET\r\n", 400, "expected a method"},
    {"\r\n\r\n", 400, "no method"},
    {" GET / HTTP/1.1\r\n", 400, "no method"},
    {"G(T / HTTP/1.1\r\n", 400, "'G(T' is no method"},
    {"GET\t/ HTTP/1.1\r\n", 400, "no method"},
    {"GET  / HTTP/1.1\r\n", 400, "no version"},
    {"GET / HTTP/1.1 \r\n", 400, "no version"},
    {"GET / http/1.1\r\n", 400, "no version"},
    {"GET / HTTP/1\r\n", 400, "no version"},
    {"GET / HTTP/11\r\n", 400, "no version"},
    {"GET / HTTP/+1.1\r\n", 400, "no version"},
    {"GET / HTTP/0.9\r\n", 505, "HTTP/1.1"},
    {"GET / HTTP/1.2\r\n", 505, "HTTP/1.1"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/2.0"},
    {"GET http:/a/ HTTP/1.1\r\n", 400, "no path"},
    {"GET https://a/ HTTP/1.1\r\n", 400, "no path"},
    {"GET a:80 HTTP/1.1\r\n", 400, "no path"},
    {"GET http:// HTTP/1.1\r\n", 400, "neither a name nor"},
    {"GET http:///x HTTP/1.1\r\n", 400, "neither a name nor"},
    {"GET http://:80/x HTTP/1.1\r\n", 400, "neither a name nor"},
    {"GET http://u@a/ HTTP/1.1\r\n", 400, "neither a name nor"},
    {"GET http://a\\b/ HTTP/1.1\r\n", 400, "neither a name nor"},
    {"GET http://a#b HTTP/1.1\r\n", 400, "neither a name nor"},
    {"GET http://a/b#c HTTP/1.1\r\n", 400, "byte 10, '#'"},
    {"GET http://a/123456789012345678901234 HTTP/1.1\r\n", 414, "33 bytes"},
    {"GET http://a/ HTTP/1.1\r\n\r\n", 400, "Host: missing"},
    {"GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Host: is neither"},
    {"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "Host: given twice"},
    {"OPTIONS http://a* HTTP/1.1\r\n\r\n", 400, "Host: missing"},
    {"CONNECT a:443 HTTP/1.1\r\n", 400, "no path"},
    {"GET * HTTP/1.1\r\n", 400, "no path"},
    {"OPTIONS ** HTTP/1.1\r\n", 400, "no path"},
    {"GET ?a HTTP/1.1\r\n", 400, "no path"},
    {"GET /a#b HTTP/1.1\r\n", 400, "byte 2, '#'"},
    {"GET /\x01 HTTP/1.1\r\n", 400, "byte 1"},
    {"GET /\xc3\xa9 HTTP/1.1\r\n", 400, "byte 1"},
    {"GET /\"<>\\^`{|} HTTP/1.1\r\n", 400, "byte 1"},
    {"GET /23456789012345678901234567890123 HTTP/1.1\r\n", 414, "33 bytes"},
    {"GET /2345678901234567890123456789012345678901234567890123456789012345678901234567890", 414,
     "URI"},
    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 400,
     "no method"},
    /* Ends of lines. */
    {"GET / HTTP/1.1\nHost: a\n\n", 400, "LF alone"},
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "LF alone"},
    {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "LF alone"},
    {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400, "control character"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n", 400, "control character"},
    {"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400, "control character"},
    {"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400, "no version"},
    /* Header lines. */
    {HEAD " X: folded\r\n\r\n", 400, "begins with a space"},
    {HEAD "X: a\r\n\tb\r\n\r\n", 400, "begins with a space"},
    {HEAD "X : a\r\n\r\n", 400, "before the colon"},
    {HEAD "X\t: a\r\n\r\n", 400, "before the colon"},
    {HEAD ": a\r\n\r\n", 400, "':'"},
    {HEAD "X\r\n\r\n", 400, "without a colon"},
    {HEAD "X@Y: a\r\n\r\n", 400, "'@'"},
    {HEAD "\xc3\xa9: a\r\n\r\n", 400, "within a name"},
    {HEAD "X: a\x0b\r\n\r\n", 400, "control character"},
    {HEAD "X: \x7f\r\n\r\n", 400, "control character"},
    {HEAD "A:\r\nB:\r\nC:\r\nD:\r\n\r\n", 431, "limit of 4"},
    {HEAD "X: 456789012345678901234567890123456789012345678901234567890123456789012345678901234"
          "5678901234567890123456789012345678901234567890\r\n\r\n",
     431, "128 bytes"},
    /* Host. */
    {"GET / HTTP/1.1\r\n\r\n", 400, "Host: missing"},
    {HEAD "host: a\r\n\r\n", 400, "Host: given twice"},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "Host"},
    {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "Host"},
    {"GET / HTTP/1.1\r\nHost: me@a\r\n\r\n", 400, "Host"},
    /* How long the body is: the ways in which two parsers were made to differ. */
    {HEAD "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET", 400, "beside"},
    {HEAD "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET", 400, "beside"},
    {HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "twice"},
    {HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", 400, "twice"},
    {HEAD "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n", 501, "'x'"},
    {HEAD "Transfer-Encoding: xchunked\r\n\r\n", 501, "'xchunked'"},
    {HEAD "Transfer-Encoding: chunked, chunked\r\n\r\n", 501, "chunked"},
    {HEAD "Transfer-Encoding: chunked, identity\r\n\r\n", 501, "chunked"},
    {HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "gzip"},
    {HEAD "Transfer-Encoding: \"chunked\"\r\n\r\n", 501, "chunked"},
    {HEAD "Transfer-Encoding: chunked;a=b\r\n\r\n", 501, "chunked"},
    {HEAD "Transfer-Encoding:\r\n\r\n", 501, "''"},
    {HEAD "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n",
     400, "control character"},
    {HEAD "Transfer-Encoding : chunked\r\n\r\n", 400, "before the colon"},
    {HEAD "Transfer-Encoding\t: chunked\r\n\r\n", 400, "before the colon"},
    {HEAD " Transfer-Encoding: chunked\r\n\r\n", 400, "begins with a space"},
    {HEAD "Transfer-Encoding\r\n : chunked\r\n\r\n", 400, "without a colon"},
    {HEAD "X: a\nTransfer-Encoding: chunked\r\n\r\n", 400, "LF alone"},
    {HEAD "X: a\rTransfer-Encoding: chunked\r\n\r\n", 400, "control character"},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "HTTP/1.0"},
    {HEAD "Content-Length: +5\r\n\r\n", 400, "digits"},
    {HEAD "Content-Length: -5\r\n\r\n", 400, "digits"},
    {HEAD "Content-Length: 5, 5\r\n\r\n", 400, "digits"},
    {HEAD "Content-Length: 5 5\r\n\r\n", 400, "digits"},
    {HEAD "Content-Length: 0x5\r\n\r\n", 400, "digits"},
    {HEAD "Content-Length: 5.0\r\n\r\n", 400, "digits"},
    {HEAD "Content-Length:\r\n\r\n", 400, "empty"},
    {HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400, "twice"},
    {HEAD "Content-Length: 5\r\ncontent-length: 6\r\n\r\n", 400, "twice"},
    {HEAD "Content-Length : 5\r\n\r\n", 400, "before the colon"},
    {HEAD "Content-Length: 41\r\n\r\n", 413, "41 bytes are over the limit of 40"},
    {HEAD "Content-Length: 18446744073709551615\r\n\r\n", 413, "over the limit"},
    {HEAD "Content-Length: 18446744073709551616\r\n\r\n", 413, "over the limit"},
    {HEAD "Content-Length: 99999999999999999999999999999999\r\n\r\n", 413, "over the limit"},
    {HEAD "Expect: 200-ok\r\n\r\n", 417, "'200-ok'"},
    {HEAD "Connection: a b\r\n\r\n", 400, "Connection"},
    /* Chunks. */
    {CHUNKED "\r\n", 400, "a size"},
    {CHUNKED ";a\r\n", 400, "a size"},
    {CHUNKED " 5\r\n", 400, "a size"},
    {CHUNKED "-5\r\n", 400, "a size"},
    {CHUNKED "0x5\r\n", 400, "end of a size"},
    {CHUNKED "5 \r\n", 400, "end of a size"},
    {CHUNKED "5\n", 400, "end of a size"},
    {CHUNKED "5\r\r\n", 400, "LF"},
    {CHUNKED "5;a\n", 400, "text"},
    {CHUNKED "5;a\r\r\n", 400, "LF"},
    {CHUNKED "5;a\x01\r\n", 400, "text"},
    {CHUNKED "5\r\nhello5\r\n", 400, "CR"},
    {CHUNKED "5\r\nhello\n0\r\n\r\n", 400, "CR"},
    {CHUNKED "5\r\nhello\r0\r\n\r\n", 400, "LF"},
    {CHUNKED "29\r\n", 413, "a chunk of 41 bytes behind 0"},
    {CHUNKED "28\r\n0123456789012345678901234567890123456789\r\n1\r\n", 413, "behind 40"},
    {CHUNKED "ffffffffffffffff\r\n", 413, "over the limit"},
    {CHUNKED "ffffffffffffffff1\r\n", 400, "16 digits"},
    {CHUNKED "10000000000000001\r\n", 400, "16 digits"},
    {CHUNKED "00000000000000005\r\n", 400, "16 digits"},
    {CHUNKED "1;456789012345678901234567890123456789012345678901234567890123456789\r\n!\r\n"
             "1;456789012345678901234567890123456789012345678901234567890123456789\r\n!\r\n",
     431, "128 bytes"},
    {CHUNKED "0\r\n X: a\r\n\r\n", 400, "trailer's name"},
    {CHUNKED "0\r\nX : a\r\n\r\n", 400, "colon"},
    {CHUNKED "0\r\nX\r\n\r\n", 400, "colon"},
    {CHUNKED "0\r\nX: a\n\r\n", 400, "text"},
    {CHUNKED "0\r\nX: a\r\r\n", 400, "LF"},
    {CHUNKED "0\r\n\rX", 400, "LF"},
    {CHUNKED "0\r\n\n", 400, "trailer's name"},
    {CHUNKED "0\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\n\r\n", 431, "limit of 4"},
    {CHUNKED "0\r\nA: 789012345678901234567890123456789012345678901234567890123456789\r\n"
             "B: 789012345678901234567890123456789012345678901234567890123456789\r\n\r\n",
     431, "128 bytes"},
};

/* As the last thing in the trace; nothing behind it is read. */
static void assert_refused(const char *stream, size_t size, int status, const char *reason)
{
    char expected[32];
    char *outcome = outcome_of(stream, size, &small);
    snprintf(expected, sizeof expected, "status %d: ", status);
    const char *at = strstr(outcome, expected);
    if (!at || !strstr(at, reason) || strchr(at, '\n')[1] != 0)
        fail_msg("<<%.*s>> gives:\n%s", (int)size, stream, outcome);
    mem_free(alloc_libc(), outcome);
}

static void bad_requests_are_refused_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_requests / sizeof bad_requests[0]; i++) {
        const struct bad_request *bad = &bad_requests[i];
        assert_refused(bad->stream, strlen(bad->stream), bad->status, bad->reason);
    }
}

static void a_nul_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    static const char good[] = CHUNKED "1;a\r\n!\r\n0\r\nX: a\r\n\r\n";
    char bad[sizeof good];
    for (size_t i = 0; i < sizeof good - 1; i++) {
        memcpy(bad, good, sizeof good);
        if (good[i] == '!') continue;
        bad[i] = 0;
        assert_refused(bad, sizeof good - 1, 400, "");
    }
}

static void what_is_as_long_as_a_limit_passes(void **state)
{
    (void)state;
    gives("GET /2345678901234567890123456789012 HTTP/1.0\r\n\r\n",
          "method GET\ntarget /2345678901234567890123456789012\n1 1.0 closes 0\nbody \nend at 49\n"
          "idle\n");
    char *outcome;
    char head[512];
    snprintf(head, sizeof head, "GET / HTTP/1.0\r\nX:%0*d\r\n\r\n", 128 - 2 - 2 - 2, 7);
    outcome = outcome_of(head, strlen(head), &small);
    assert_non_null(strstr(outcome, "idle\n"));
    mem_free(alloc_libc(), outcome);
    snprintf(head, sizeof head, "GET / HTTP/1.0\r\nX:%0*d\r\n\r\n", 128 - 2 - 2 - 2 + 1, 7);
    assert_refused(head, strlen(head), 431, "128 bytes");
    snprintf(head, sizeof head, "%sContent-Length: 40\r\n\r\n%040d", HEAD, 7);
    outcome = outcome_of(head, strlen(head), &small);
    assert_non_null(strstr(outcome, "idle\n"));
    mem_free(alloc_libc(), outcome);
    snprintf(head, sizeof head, "%s28\r\n%040d\r\n0\r\n\r\n", CHUNKED, 7);
    outcome = outcome_of(head, strlen(head), &small);
    assert_non_null(strstr(outcome, "idle\n"));
    mem_free(alloc_libc(), outcome);
}

static void the_largest_limits_hold(void **state)
{
    (void)state;
    static const struct http_limits largest = {
        .uri_bytes_max = LIMIT_URI_BYTES,
        .header_bytes_max = LIMIT_HEADER_BYTES,
        .header_count_max = LIMIT_HEADERS,
        .body_bytes_max = LIMIT_BODY_BYTES,
    };
    struct buf stream;
    buf_init(&stream, alloc_libc(), MEM_GENERAL);
    buf_append_text(&stream, "GET /%0*d HTTP/1.0\r\n", LIMIT_URI_BYTES - 1, 7);
    for (int i = 0; i < LIMIT_HEADERS; i++) buf_append_text(&stream, "X%d: %0200d\r\n", i, i);
    buf_append_text(&stream, "\r\n");
    char *outcome = outcome_of((char *)stream.data, stream.size, &largest);
    assert_non_null(strstr(outcome, "- X255\n"));
    assert_non_null(strstr(outcome, "idle\n"));
    mem_free(alloc_libc(), outcome);
    buf_deinit(&stream);
}

static void headers_are_found_by_name(void **state)
{
    (void)state;
    static const char head[] = "GET / HTTP/1.0\r\nX-A: 1\r\nx-a: 2\r\nB:  \t \r\n\r\n";
    struct http_parser p;
    struct slice value;
    struct error err;
    size_t used;
    http_parser_init(&p, alloc_libc(), &http_limits_default);
    assert_true(http_parser_is_idle(&p));
    assert_int_equal(http_parser_feed(&p, slice_of(head, 1), &used, &err), HTTP_MORE);
    assert_false(http_parser_is_idle(&p));
    struct slice rest = slice_of(head + 1, sizeof head - 2);
    assert_int_equal(http_parser_feed(&p, rest, &used, &err), HTTP_HEAD);
    assert_int_equal(http_parser_find(&p, "X-a", &value), 2);
    assert_true(slice_equal(value, slice_of_text("1")));
    assert_int_equal(http_parser_find(&p, "b", &value), 1);
    assert_int_equal(value.size, 0);
    assert_int_equal(http_parser_find(&p, "c", &value), 0);
    assert_int_equal(http_parser_feed(&p, slice_of(NULL, 0), &used, &err), HTTP_COMPLETE);
    http_parser_deinit(&p);
    http_parser_deinit(&(struct http_parser){0});
}

static void a_body_over_the_limit_costs_no_memory(void **state)
{
    (void)state;
    static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 268435457\r\n\r\nx";
    struct alloc *a = alloc_create(NULL, 0);
    struct http_parser p;
    struct error err;
    size_t used;
    http_parser_init(&p, a, &http_limits_default);
    struct slice data = slice_of(head, sizeof head - 1);
    assert_int_equal(http_parser_feed(&p, data, &used, &err), HTTP_FAILED);
    assert_int_equal(p.status, 413);
    assert_int_equal(err.code, LYNSE_TOO_LARGE);
    assert_true(alloc_used_bytes(a) < 4096);
    assert_int_equal(http_parser_feed(&p, data, &used, &err), HTTP_FAILED);
    assert_int_equal(used, 0);
    http_parser_deinit(&p);
    alloc_destroy(a);
}

static void an_idle_connection_gives_a_large_head_back(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    struct http_parser p;
    struct buf stream;
    struct error err;
    size_t used;
    buf_init(&stream, alloc_libc(), MEM_GENERAL);
    buf_append_text(&stream, "GET / HTTP/1.0\r\nX: %08000d\r\n\r\n", 7);
    http_parser_init(&p, a, &http_limits_default);
    assert_int_equal(http_parser_feed(&p, buf_slice(&stream), &used, &err), HTTP_HEAD);
    assert_true(alloc_used_bytes(a) > 8000);
    http_parser_reset(&p);
    assert_true(alloc_used_bytes(a) < 4096);
    buf_deinit(&stream);
    http_parser_deinit(&p);
    alloc_destroy(a);
}

/* A request in small pieces, its body gathered. */
static int read_a_request(void *ctx, struct error *err)
{
    static const char stream[] =
        "POST /a HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        "50\r\n01234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "\r\n0\r\n\r\n";
    struct http_parser p;
    struct buf body;
    enum http_progress progress = HTTP_MORE;
    size_t at = 0;
    http_parser_init(&p, ctx, &http_limits_default);
    buf_init(&body, ctx, MEM_GENERAL);
    while (progress != HTTP_FAILED && progress != HTTP_COMPLETE) {
        size_t used;
        size_t left = sizeof stream - 1 - at;
        progress = http_parser_feed(&p, slice_of(stream + at, left < 7 ? left : 7), &used, err);
        at += used;
        if (progress == HTTP_HEAD) http_parser_gather(&p, &body);
    }
    if (progress == HTTP_FAILED) assert_int_equal(p.status, 503);
    else assert_int_equal(body.size, 80);
    http_parser_deinit(&p);
    buf_deinit(&body);
    return progress == HTTP_FAILED ? -1 : 0;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    oom_sweep(a, read_a_request, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(requests_are_read_whole),
    cmocka_unit_test(a_target_may_name_the_server),
    cmocka_unit_test(a_chunked_body_is_put_together),
    cmocka_unit_test(requests_follow_one_another_in_a_stream),
    cmocka_unit_test(the_connection_is_kept_as_both_versions_ask),
    cmocka_unit_test(whoever_waits_for_100_is_announced),
    cmocka_unit_test(bad_requests_are_refused_with_a_reason),
    cmocka_unit_test(a_nul_is_refused_wherever_it_stands),
    cmocka_unit_test(what_is_as_long_as_a_limit_passes),
    cmocka_unit_test(the_largest_limits_hold),
    cmocka_unit_test(headers_are_found_by_name),
    cmocka_unit_test(a_body_over_the_limit_costs_no_memory),
    cmocka_unit_test(an_idle_connection_gives_a_large_head_back),
    cmocka_unit_test(every_allocation_may_fail),
};

TEST_MAIN(tests)
