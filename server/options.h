/* SPDX-License-Identifier: Apache-2.0 */
/* options.h — what the server can be told: one line an option, from which come the command line,
 * the environment, the config file, `lynse config` and docs/OPTIONS.md. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct server_options {
    const char *host;   /* to listen at; NULL: no port */
    unsigned port;      /* 0: any that is free */
    const char *socket; /* path of a Unix socket; NULL: none */
    const char *data_dir;
    const char *api_key; /* NULL: none is asked for */
    bool is_insecure;    /* another address than the loopback without TLS */
    bool trusts_scripts; /* hooks from the wire run compiled, without budgets */
    unsigned workers;    /* loops */
    unsigned calls_max;  /* of the engine at once, of a loop */
    unsigned connections_max;
    unsigned in_flight_max; /* requests of one connection */
    uint64_t out_bytes_max; /* owed to one connection before it is read no further */
    uint64_t body_bytes_max;
    unsigned request_timeout_ms;
    unsigned header_timeout_ms, keep_alive_ms, write_timeout_ms, drain_ms;
    unsigned slow_query_ms; /* 0: none is told */
};

#endif
