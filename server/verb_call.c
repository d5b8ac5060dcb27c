/* SPDX-License-Identifier: Apache-2.0 */
/* verb_call.c — `lynse call METHOD [name=value… | JSON | -]`: one request of msgpack-RPC to a
 * server, its answer as JSON on stdout; without a method, what methods there are.
 *
 * The status is 0; 1 where the server answered with an error or could not be reached; 2 where the
 * command line is none.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/json.h"
#include "codec/rpc.h"
#include "server/config_file.h"
#include "server/peer.h"
#include "server/verbs.h"

enum { ARGUMENTS_MAX = 64, STDIN_BYTES = 64 << 10, STDIN_BYTES_MAX = 256 << 20 };

struct request_line {
    const char *url, *key, *key_file;
    unsigned timeout_s;
    const char *method; /* NULL: a list is wanted */
    int argument_count;
    const char *arguments[ARGUMENTS_MAX];
    char key_of_file[LIMIT_KEY_BYTES + 1];
};

static const struct msgpack_limits argument_limits = {
    .what = "argument",
    .bytes_max = 256 << 20,
    .node_count_max = LIMIT_REQUEST_NODES,
    .depth_max = 32,
    .key_count_max = 1 << 20,
    .has_text_keys = true,
};

static int fail(const struct error *err, int status)
{
    fprintf(stderr, "lynse call: %s: %s\n", error_name(err->code), err->text);
    return status;
}

static int print_usage(FILE *to)
{
    fputs("usage: lynse call [--url URL] [--api-key KEY | --api-key-file FILE]\n"
          "                  [--timeout-secs N] [METHOD [name=value... | JSON | -]]\n"
          "What reads as JSON is that, all else a text; - reads JSON from stdin.\n"
          "URL is http://HOST:PORT, lynse://HOST:PORT or unix:PATH; without,\n"
          "LYNSE_URL, or this machine at LYNSE_PORT or 7637.  The key may be in LYNSE_API_KEY.\n",
          to);
    return to == stdout ? 0 : 2;
}

/* ---- The command line ---- */

/* The value of --name or --name=value at argv[*i]; false where it is another option. */
static bool read_option(const char *name, int argc, char **argv, int *i, const char **out)
{
    size_t size = strlen(name);

    if (strncmp(argv[*i], name, size) != 0) return false;
    if (argv[*i][size] == '=') {
        *out = argv[*i] + size + 1;
        return true;
    }
    if (argv[*i][size] != '\0' || *i + 1 >= argc) return false;
    *out = argv[++*i];
    return true;
}

static const char *variable(const char *name)
{
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

/* 0; 2 where it is wrong; -1 where help is wanted. */
static int read_line(int argc, char **argv, struct request_line *out)
{
    static char here[40];
    const char *timeout = "30", *port = variable("LYNSE_PORT");
    char *end;

    snprintf(here, sizeof here, "http://127.0.0.1:%.8s", port ? port : "7637");
    out->url = variable("LYNSE_URL");
    out->key = variable("LYNSE_API_KEY");
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) return -1;
        if (strncmp(argv[i], "--", 2) != 0) {
            if (out->argument_count == ARGUMENTS_MAX) return 2;
            if (!out->method) out->method = argv[i];
            else out->arguments[out->argument_count++] = argv[i];
        } else if (!read_option("--url", argc, argv, &i, &out->url) &&
                   !read_option("--api-key", argc, argv, &i, &out->key) &&
                   !read_option("--api-key-file", argc, argv, &i, &out->key_file) &&
                   !read_option("--timeout-secs", argc, argv, &i, &timeout)) {
            fprintf(stderr, "lynse call: there is no option '%s', or it has no value\n", argv[i]);
            return 2;
        }
    }
    out->timeout_s = (unsigned)strtoul(timeout, &end, 10);
    if (!out->url) out->url = here;
    if (*end == '\0' && out->timeout_s >= 1 && out->timeout_s <= 600) return 0;
    fprintf(stderr, "lynse call: --timeout-secs: '%s' must be 1 to 600\n", timeout);
    return 2;
}

/* ---- Arguments ---- */

/* What reads as JSON is that; all else is a text. */
static void append_value(struct buf *out, const char *text)
{
    struct error ignored;

    if (json_to_msgpack(slice_of_text(text), &argument_limits, out, &ignored) != 0)
        msgpack_write_text(out, slice_of_text(text));
}

static int append_pairs(const struct request_line *line, struct buf *out, struct error *err)
{
    msgpack_write_map(out, (uint32_t)line->argument_count);
    for (int i = 0; i < line->argument_count; i++) {
        const char *pair = line->arguments[i], *sign = strchr(pair, '=');
        if (!sign || sign == pair)
            return error_set(err, LYNSE_INVALID, "'%.64s' must be name=value", pair);
        msgpack_write_text(out, slice_of(pair, (size_t)(sign - pair)));
        append_value(out, sign + 1);
    }
    return 0;
}

/* "-": what a command line has no room for. */
static int append_stdin(struct buf *out, struct error *err)
{
    struct buf text;
    size_t count;
    int rc = 0;

    buf_init(&text, alloc_libc(), MEM_GENERAL);
    do {
        if (!buf_reserve(&text, STDIN_BYTES)) break;
        count = fread(text.data + text.size, 1, STDIN_BYTES, stdin);
        text.size += count;
    } while (count && text.size <= STDIN_BYTES_MAX);
    if (!buf_ok(&text)) rc = error_no_memory(err, text.size + STDIN_BYTES);
    else if (ferror(stdin)) rc = error_set(err, LYNSE_IO, "stdin cannot be read");
    else if (text.size > STDIN_BYTES_MAX)
        rc = error_set(err, LYNSE_TOO_LARGE, "stdin: over %d bytes", STDIN_BYTES_MAX);
    else rc = json_to_msgpack(buf_slice(&text), &argument_limits, out, err);
    buf_deinit(&text);
    return rc;
}

static int append_params(const struct request_line *line, struct buf *out, struct error *err)
{
    const char *first = line->argument_count ? line->arguments[0] : "";

    if (line->argument_count == 1 && strcmp(first, "-") == 0) return append_stdin(out, err);
    if (line->argument_count == 1 && (*first == '{' || *first == '['))
        return json_to_msgpack(slice_of_text(first), &argument_limits, out, err);
    return append_pairs(line, out, err);
}

/* ---- Answers ---- */

/* The error of an answer: [code, text, {…}]. */
static int take_failure(const struct value *failure, struct error *err)
{
    struct value_walk walk = value_walk_of(failure);
    struct value code = {0}, text = {0};

    if (!value_walk_next(&walk, NULL, &code) || code.type != VALUE_INT ||
        !value_walk_next(&walk, NULL, &text) || text.type != VALUE_TEXT)
        return error_set(err, LYNSE_INTERNAL, "the server answered with an error of its own kind");
    int size = text.as.text.size < ERROR_TEXT_BYTES ? (int)text.as.text.size : ERROR_TEXT_BYTES - 1;
    return error_set(err, (int)code.as.integer, "%.*s", size, (const char *)text.as.text.data);
}

static int print_json(struct slice packed, struct error *err)
{
    struct buf text;

    buf_init(&text, alloc_libc(), MEM_GENERAL);
    int rc = json_from_msgpack(packed, &text, err);
    buf_append_u8(&text, '\n');
    if (rc == 0 && !buf_ok(&text)) rc = error_no_memory(err, text.size);
    if (rc == 0) fwrite(text.data, 1, text.size, stdout);
    buf_deinit(&text);
    return rc;
}

static struct slice text_under(const struct value *map, const char *key)
{
    struct value found;
    bool is_there = value_get(map, slice_of_text(key), &found) && found.type == VALUE_TEXT;
    return is_there ? found.as.text : slice_of(NULL, 0);
}

static int print_methods(const struct value *answer, struct error *err)
{
    struct value methods, method;

    if (!value_get(answer, slice_of_text("functions"), &methods) || methods.type != VALUE_ARRAY)
        return error_set(err, LYNSE_PARSE, "api_info lists no functions");
    struct value_walk walk = value_walk_of(&methods);
    while (value_walk_next(&walk, NULL, &method)) {
        struct slice name = text_under(&method, "name"), doc = text_under(&method, "doc");
        printf("%-32.*s %.*s\n", (int)name.size, (const char *)name.data, (int)doc.size,
               (const char *)doc.data);
    }
    return 0;
}

/* ---- The call ---- */

static int authenticate(struct peer *p, const char *key, struct error *err)
{
    struct value answer;

    peer_begin(p, slice_of_text("authenticate"));
    msgpack_write_array(&p->out, 1);
    msgpack_write_text(&p->out, slice_of_text(key));
    if (peer_ask(p, &answer, err) == 0) return 0;
    return p->has_failed ? take_failure(&answer, err) : -1;
}

static int run(const struct request_line *line, struct peer *p, struct error *err)
{
    struct value answer;

    if (line->key && authenticate(p, line->key, err) != 0) return -1;
    peer_begin(p, slice_of_text(line->method ? line->method : "api_info"));
    if (append_params(line, &p->out, err) != 0) return -1;
    if (peer_ask(p, &answer, err) != 0) return p->has_failed ? take_failure(&answer, err) : -1;
    if (!line->method) return print_methods(&answer, err);
    return print_json(answer.raw, err);
}

int verb_call(int argc, char **argv)
{
    struct request_line line = {0};
    struct error err = {0};
    struct peer peer = {0};
    int status = read_line(argc, argv, &line);

    if (status == -1) return print_usage(stdout);
    if (status != 0) return print_usage(stderr);
    if (line.key_file) {
        if (config_file_read_line(line.key_file, line.key_of_file, sizeof line.key_of_file, &err) <
            0)
            return fail(&err, 2);
        line.key = line.key_of_file;
    }
    signal(SIGPIPE, SIG_IGN);
    int rc = peer_open(&peer, line.url, line.timeout_s, &err);
    if (rc == 0) rc = run(&line, &peer, &err);
    peer_close(&peer);
    if (rc == 0 && fflush(stdout) != 0)
        rc = error_set_errno(&err, LYNSE_IO, errno, "cannot write the answer");
    if (err.code == LYNSE_UNAUTHORIZED && !line.key)
        error_set(&err, LYNSE_UNAUTHORIZED,
                  "this server asks for a key: set LYNSE_API_KEY or --api-key-file");
    else if (err.code == LYNSE_UNAUTHORIZED)
        error_set(&err, LYNSE_UNAUTHORIZED, "the key is not that of this server");
    return rc == 0 ? 0 : fail(&err, 1);
}
