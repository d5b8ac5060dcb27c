/* SPDX-License-Identifier: Apache-2.0 */
/* verb_serve.c — `lynse serve`: options, signals, and the server's life; `lynse config`: what those
 * options would be, and whether the scripts that they name are right.
 *
 * SIGTERM and SIGINT drain; a second one ends at once.  SIGPIPE is not for us.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/log.h"
#include "server/log_lines.h"
#include "server/options.h"
#include "server/server.h"
#include "server/verbs.h"

static struct server server;

/* A thread of its own waits for signals, so that nothing runs in a handler. */
static void wait_for_signals(void *ctx)
{
    const sigset_t *signals = ctx;
    int number;

    while (sigwait(signals, &number) == 0) {
        log_event(LOG_INFO, "stopping signal=%d at_once=%s", number,
                  server_is_draining(&server) ? "true" : "false");
        server_stop(&server);
    }
}

static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int refuse(const char *verb, const struct error *err, int status)
{
    fprintf(stderr, "lynse %s: %s\n", verb, err->text);
    return status;
}

static void tell_listening(const struct server_options *o)
{
    struct log_line line;

    log_line_begin(&line, LOG_INFO, "listening");
    if (o->host) {
        log_line_text(&line, "host", slice_of_text(o->host));
        log_line_number(&line, "port", server.port);
    }
    if (o->socket) log_line_text(&line, "socket", slice_of_text(o->socket));
    log_line_text(&line, "data_dir", slice_of_text(o->data_dir));
    log_line_text(&line, "version", slice_of_text(lynse_version()));
    log_line_end(&line, false);
}

/* `lynse --port 1` serves as well, and so does `lynsedb`. */
static int first_option(int argc, char **argv)
{
    if (argc < 2 || strncmp(argv[1], "--", 2) == 0) return 1;
    return 2;
}

/* A folder that is new is for nobody else, and so is all in it.  Where that fails, the engine says
 * what is in the way; and it syncs the folder's entry, whoever has made it. */
static void make_folder(const char *path)
{
    if (strcmp(path, ":memory:") != 0) (void)mkdir(path, 0700);
}

static int serve(const struct options_reading *reading)
{
    const struct server_options *o = &reading->values;
    static sigset_t signals; /* the waiting thread is never joined */
    struct error err = {0};
    uv_thread_t waiter;
    char threads[16];

    snprintf(threads, sizeof threads, "%u", o->pool_threads);
    setenv("UV_THREADPOOL_SIZE", threads, 1);
    block_signals(&signals);
    if (log_lines_open((enum log_level)o->log_level, o->audit_log_file, &err) != 0)
        return refuse("serve", &err, 1);
    if (reading->origins[OPTION_api_key].source == SOURCE_COMMAND_LINE && !o->api_key_file)
        log_event(LOG_WARN, "key_in_sight text=\"other users of this machine see --api-key: use "
                            "LYNSE_API_KEY or --api-key-file\"");
    make_folder(o->data_dir);
    if (server_open(&server, o, &err) != 0) return refuse("serve", &err, 1);
    uv_thread_create(&waiter, wait_for_signals, &signals);
    tell_listening(o);
    int rc = server_run(&server, &err);
    if (rc == 0) log_event(LOG_INFO, "stopped");
    return rc == 0 ? 0 : refuse("serve", &err, 1);
}

int verb_serve(int argc, char **argv)
{
    struct options_reading reading;
    struct error err = {0};
    int status;

    if (options_read(&reading, argc, argv, first_option(argc, argv), &err) != 0)
        status = refuse("serve", &err, 2);
    else if (reading.wants_help) options_print_help(stdout), status = 0;
    else if (options_check(&reading.values, &err) != 0) status = refuse("serve", &err, 2);
    else status = serve(&reading);
    options_deinit(&reading);
    return status;
}

int verb_config(int argc, char **argv)
{
    struct options_reading reading;
    struct error err = {0};
    int status = 0;

    if (options_read(&reading, argc, argv, 2, &err) != 0) status = refuse("config", &err, 2);
    else if (reading.wants_help) options_print_help(stdout);
    else {
        options_print_values(&reading, stdout);
        if (options_check(&reading.values, &err) != 0 ||
            (reading.values.scripts_dir && server_check_scripts(&server, &reading.values, &err)))
            status = refuse("config", &err, 2);
    }
    options_deinit(&reading);
    return status;
}
