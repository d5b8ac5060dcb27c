/* SPDX-License-Identifier: Apache-2.0 */
/* verb_serve.c — `lynse serve`: options, signals, and the server's life.
 *
 * SIGTERM and SIGINT drain; a second one ends at once.  SIGPIPE is not for us.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "server/server.h"
#include "server/verbs.h"

static struct server server;

/* A thread of its own waits for signals, so that nothing runs in a handler. */
static void wait_for_signals(void *ctx)
{
    const sigset_t *signals = ctx;
    int number;

    while (sigwait(signals, &number) == 0) server_stop(&server);
}

static const struct server_options default_options = {
    .host = "127.0.0.1",
    .port = 7637,
    .data_dir = ".",
    .workers = 1,
    .calls_max = 1024,
    .connections_max = 10000,
    .in_flight_max = 128,
    .out_bytes_max = 8 << 20,
    .body_bytes_max = 256 << 20,
    .request_timeout_ms = 30000,
    .header_timeout_ms = 10000,
    .keep_alive_ms = 75000,
    .write_timeout_ms = 30000,
    .drain_ms = 10000,
    .slow_query_ms = 1000,
};

static int read_options(int argc, char **argv, struct server_options *o)
{
    for (int i = 2; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(name, "--insecure") == 0) {
            o->is_insecure = true;
            continue;
        }
        i++;
        if (strcmp(name, "--host") == 0) o->host = value;
        else if (strcmp(name, "--port") == 0) o->port = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(name, "--data-dir") == 0) o->data_dir = value;
        else if (strcmp(name, "--socket") == 0) o->socket = value;
        else if (strcmp(name, "--api-key") == 0) o->api_key = value;
        else if (strcmp(name, "--workers") == 0) o->workers = (unsigned)strtoul(value, NULL, 10);
        else {
            fprintf(stderr, "lynse serve: there is no option '%s'\n", name);
            return -1;
        }
    }
    return 0;
}

static void write_line(void *ctx, enum log_level level, const char *message)
{
    (void)ctx;
    (void)level;
    fprintf(stderr, "%s\n", message);
}

int verb_serve(int argc, char **argv)
{
    struct server_options options = default_options;
    struct error err = {0};
    sigset_t signals;
    uv_thread_t waiter;

    if (read_options(argc, argv, &options) != 0) return 2;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    log_set_sink(write_line, NULL, LOG_INFO);
    if (server_open(&server, &options, &err) != 0) {
        fprintf(stderr, "lynse serve: %s\n", err.text);
        return 1;
    }
    uv_thread_create(&waiter, wait_for_signals, &signals);
    log_event(LOG_INFO, "listening host=%s port=%u", options.host, server.port);
    if (server_run(&server, &err) == 0) return 0;
    fprintf(stderr, "lynse serve: %s\n", err.text);
    return 1;
}
