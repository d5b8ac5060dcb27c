/* SPDX-License-Identifier: Apache-2.0 */
/* options.h — what the server can be told: one line an option, from which come the command line,
 * the environment, the config file, `lynse config` and docs/OPTIONS.md.
 *
 * PRECEDENCE  command line, environment, config file, default: the first that says something.
 * NAMES       "keep_alive_secs" is a key of the config file, --keep-alive-secs a flag, and
 *             LYNSE_KEEP_ALIVE_SECS in the environment.  `others` are further keys and flags,
 *             `environment` further variables: LynseDB's.
 * ERRORS      One line: the name, the value, what is allowed, and where the value came from.
 * THREADS     The main thread, before the server runs; read-only from then on.
 */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"

/* field, kind, name, default, low, high, unit, other names, other variables, help
 * A text has low..high bytes, a number is low..high; the field is the number times the unit. */
#define OPTIONS(_)                                                                                 \
    _(host, TEXT, "host", "127.0.0.1", 0, 255, 1, "", "",                                          \
      "The address to listen at. Empty: no port, the socket alone.")                               \
    _(port, NUMBER, "port", "7637", 0, 65535, 1, "", "PORT",                                       \
      "The port of both protocols. 0: any that is free; the log says which.")                      \
    _(socket, TEXT, "socket", NULL, 1, 107, 1, "", "",                                             \
      "The path of a Unix socket to listen at as well.")                                           \
    _(data_dir, TEXT, "data_dir", ".", 1, 4095, 1, "root", "LYNSE_ROOT",                           \
      "The folder of the data.")                                                                   \
    _(api_key, SECRET, "api_key", NULL, 1, 512, 1, "", "",                                         \
      "The key that callers have to know. On a command line other users of the machine see it.")   \
    _(api_key_file, TEXT, "api_key_file", NULL, 1, 4095, 1, "", "",                                \
      "The file whose first line is the key.")                                                     \
    _(is_insecure, FLAG, "insecure", "false", 0, 1, 1, "", "",                                     \
      "Listen beyond this machine without TLS.")                                                   \
    _(trusts_scripts, FLAG, "trust_scripts", "false", 0, 1, 1, "", "",                             \
      "Hooks that come over the wire run compiled, and without budgets.")                          \
    _(measures_recall, FLAG, "measure_recall", "true", 0, 1, 1, "", "",                            \
      "While nobody searches, make some searches again to see how much indexes find.")             \
    _(scripts_dir, TEXT, "scripts", NULL, 1, 4095, 1, "", "", "The folder of your own scripts.")   \
    _(workers, NUMBER, "workers", "0", 0, 256, 1, "", "LYNSE_SERVER_WORKERS",                      \
      "Threads that read requests and write answers. 0: one for each processor, at least two.")    \
    _(spin_us, NUMBER, "spin_us", "50", 0, 1000, 1, "", "",                                        \
      "Microseconds that a worker looks for more before it sleeps, where that has paid lately.")   \
    _(pool_threads, NUMBER, "pool_threads", "16", 1, 1024, 1, "", "",                              \
      "Threads for calls that wait for the disk.")                                                 \
    _(connections_max, NUMBER, "connections_max", "10000", 1, 1000000, 1, "", "",                  \
      "Connections at once; further ones are told that it is BUSY.")                               \
    _(connections_per_address, NUMBER, "connections_per_address", "1000", 0, 1000000, 1, "", "",   \
      "Connections at once of one address (IPv6: one /64); further ones are BUSY. 0: no limit.")   \
    _(in_flight_max, NUMBER, "in_flight_max", "128", 1, 65536, 1, "", "",                          \
      "Requests of one connection that are under way.")                                            \
    _(calls_max, NUMBER, "calls_max", "1024", 1, 1000000, 1, "", "",                               \
      "Calls of the engine that are under way for a worker; further ones are BUSY.")               \
    _(requests_max, NUMBER, "requests_max", "16384", 1, 1000000, 1, "", "",                        \
      "Requests that are under way for a worker; further ones are BUSY.")                          \
    _(held_bytes_max, SIZE, "held_limit_mb", "0", 0, 1048576, 1 << 20, "", "",                     \
      "Requests and answers under way; more is BUSY. 0: half the memory, at most 1 GiB.")          \
    _(memory_bytes_max, SIZE, "memory_limit_mb", "0", 0, 16777216, 1 << 20, "", "",                \
      "Memory of the engine, without mapped files; more is NO_MEMORY. 0: half of it all.")         \
    _(out_bytes_max, SIZE, "out_limit_mb", "8", 1, 1024, 1 << 20, "", "",                          \
      "What is owed to a connection before no more is read from it.")                              \
    _(body_bytes_max, SIZE, "payload_limit_mb", "256", 1, 1024, 1 << 20, "", "",                   \
      "The largest request.")                                                                      \
    _(json_bytes_max, SIZE, "json_limit_mb", "256", 1, 1024, 1 << 20, "", "",                      \
      "The largest body of JSON.")                                                                 \
    _(request_timeout_ms, NUMBER, "request_timeout_secs", "30", 1, 600, 1000, "",                  \
      "LYNSE_CLIENT_REQUEST_TIMEOUT_SECS", "The time of a request that names none.")               \
    _(header_timeout_ms, NUMBER, "header_timeout_secs", "10", 1, 600, 1000, "", "",                \
      "How long the head of a request may take to come.")                                          \
    _(keep_alive_ms, NUMBER, "keep_alive_secs", "75", 1, 86400, 1000, "", "",                      \
      "How long a connection may be idle.")                                                        \
    _(write_timeout_ms, NUMBER, "write_timeout_secs", "30", 1, 600, 1000, "", "",                  \
      "How long a caller may take no byte of its answer.")                                         \
    _(drain_ms, NUMBER, "drain_secs", "8", 1, 600, 1000, "", "",                                   \
      "After SIGTERM: how long what is under way may take. A container has ten seconds.")          \
    _(slow_query_ms, NUMBER, "slow_query_warn_ms", "1000", 0, 3600000, 1, "", "",                  \
      "A request that took longer is in the log. 0: none.")                                        \
    _(max_top_k, NUMBER, "max_top_k", "100000", 0, 100000, 1, "", "",                              \
      "The largest k, n and max_results of a request. 0: the engine's limit.")                     \
    _(max_batch_vectors, NUMBER, "max_batch_vectors", "100000", 0, 100000, 1, "", "",              \
      "The most vectors, queries or ids of a request. 0: the engine's limit.")                     \
    _(max_collection_vectors, SIZE, "max_collection_vectors", "0", 0, 1e15, 1, "", "",             \
      "The most records of a collection. 0: no limit.")                                            \
    _(max_collection_vector_bytes, SIZE, "max_collection_vector_bytes", "0", 0, 1e18, 1, "", "",   \
      "The most bytes of vectors of a collection, 4 a component. 0: no limit.")                    \
    _(log_level, LEVEL, "log_level", "info", 0, 0, 1, "", "",                                      \
      "What the log has: debug, info, warn or error, and what is worse.")                          \
    _(log_requests, FLAG, "log_requests", "false", 0, 1, 1, "", "", "Each request is in the log.") \
    _(audit_log, FLAG, "audit_log", "true", 0, 1, 1, "", "",                                       \
      "Each request that changes something is in the log, and each that is refused its entry.")    \
    _(audit_log_file, TEXT, "audit_log_file", NULL, 1, 4095, 1, "", "",                            \
      "The file for those lines. Without: where the log is.")

/* LynseDB's for a cluster: whoever says them is told that there is none yet. */
#define OPTIONS_PLANNED(_)                                                                         \
    _("cluster_config")                                                                            \
    _("cluster_state")                                                                             \
    _("state_path")                                                                                \
    _("shard_api_key")                                                                             \
    _("coordinator_id")                                                                            \
    _("coordinator_uri")                                                                           \
    _("coordinator_lease_secs")                                                                    \
    _("metadata_owners")                                                                           \
    _("health_interval_secs")                                                                      \
    _("health_failures")

#define OPTION_TYPE_TEXT const char * /* NULL: none */
#define OPTION_TYPE_SECRET const char *
#define OPTION_TYPE_FLAG bool
#define OPTION_TYPE_NUMBER unsigned
#define OPTION_TYPE_SIZE uint64_t
#define OPTION_TYPE_LEVEL unsigned /* enum log_level */

struct server_options {
#define OPTION_FIELD(field, kind, ...) OPTION_TYPE_##kind field;
    OPTIONS(OPTION_FIELD)
#undef OPTION_FIELD
};

enum option_index {
#define OPTION_INDEX(field, ...) OPTION_##field,
    OPTIONS(OPTION_INDEX)
#undef OPTION_INDEX
        OPTION_COUNT
};

enum option_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_COMMAND_LINE };

struct option_origin {
    enum option_source source;
    const char *name; /* "--port", "LYNSE_PORT", the file's path; NULL of a default */
    const char *text; /* the value as it was written; NULL: none */
};

struct options_reading {
    struct server_options values;
    struct option_origin origins[OPTION_COUNT];
    struct arena texts; /* what values and origins point to, besides argv and the environment */
    bool wants_help;
};

/* Read all sources; argv[first] is the first option.  Call options_deinit whatever it returns.
 *
 * err  INVALID: an unknown option, a wrong value, a file that cannot be read; LIMIT; IO; NO_MEMORY;
 *      UNSUPPORTED: an option of a cluster */
int options_read(struct options_reading *r, int argc, char **argv, int first, struct error *err);
void options_deinit(struct options_reading *r);

/* Whether the values go together.  err INVALID: an address beyond this machine without a key or
 * without is_insecure; nothing to listen at. */
int options_check(const struct server_options *o, struct error *err);

void options_print_help(FILE *to);
/* Each option's value and where it came from; a key is never printed. */
void options_print_values(const struct options_reading *r, FILE *to);

#endif
