/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h — what a loop counts, and all of it as Prometheus' text (docs/METRICS.md).
 *
 * THREADS  A loop counts on its own thread, without locks and without locked instructions; whoever
 *          asks reads the counters of all loops and adds them up, a moment old.
 */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include <lua.h>
#include <lynse.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/buf.h"
#include "base/error.h"

/* index, name, type, labels, what it is */
#define METRICS(_)                                                                                 \
    _(UP, "lynse_up", "gauge", "", "1.")                                                           \
    _(BUILD, "lynse_build_info", "gauge", "version", "1, with the version as a label.")            \
    _(STARTED, "lynse_server_start_time_seconds", "gauge", "",                                     \
      "When the server began, Unix time.")                                                         \
    _(RESIDENT, "lynse_process_resident_memory_bytes", "gauge", "", "Memory of the process.")      \
    _(MEMORY, "lynse_engine_memory_bytes", "gauge", "", "Memory that the engine has allocated.")   \
    _(LOOPS, "lynse_workers", "gauge", "", "Threads that read requests.")                          \
    _(CONNECTIONS, "lynse_connections", "gauge", "", "Open connections.")                          \
    _(ACCEPTED, "lynse_connections_total", "counter", "", "Connections that were accepted.")       \
    _(REFUSED, "lynse_refused_connections_total", "counter", "reason",                             \
      "Connections over connections_max or connections_per_address, which the reason says.")       \
    _(IN_FLIGHT, "lynse_requests_in_flight", "gauge", "", "Requests that are under way.")          \
    _(CALLS, "lynse_engine_calls_in_flight", "gauge", "", "Calls of the engine under way.")        \
    _(BYTES_IN, "lynse_received_bytes_total", "counter", "", "Bytes that came from callers.")      \
    _(BYTES_OUT, "lynse_sent_bytes_total", "counter", "", "Bytes that went to callers.")           \
    _(REQUESTS, "lynse_requests_total", "counter", "method protocol code",                         \
      "Requests that were answered; code is OK or an error's name, BUSY among them.")              \
    _(DURATION, "lynse_request_duration_seconds", "histogram", "protocol",                         \
      "From a request's head to its answer.")                                                      \
    _(SLOW, "lynse_slow_requests_total", "counter", "", "Requests over slow_query_warn_ms.")       \
    _(UNAUTHORIZED, "lynse_unauthorized_requests_total", "counter", "",                            \
      "Requests without the right key.")                                                           \
    _(DROPPED, "lynse_log_lines_dropped_total", "counter", "",                                     \
      "Lines of the log or the audit trail that nobody took in time.")                             \
    _(OPENED, "lynse_open_collections", "gauge", "", "Collections that callers have used.")        \
    _(ROWS, "lynse_collection_records", "gauge", "database collection", "Live records.")           \
    _(DELETED, "lynse_collection_deleted_rows", "gauge", "database collection",                    \
      "Deleted rows that are not reclaimed yet.")                                                  \
    _(TAIL, "lynse_collection_tail_rows", "gauge", "database collection",                          \
      "Rows in memory that are in no segment yet.")                                                \
    _(SEGMENTS, "lynse_collection_segments", "gauge", "database collection", "Sealed segments.")   \
    _(INDEXED, "lynse_collection_indexed_segments", "gauge", "database collection",                \
      "Sealed segments that have their index, or need none.")                                      \
    _(UNINDEXED, "lynse_collection_unindexed_rows", "gauge", "database collection",                \
      "Rows that an index was asked for and is not there yet: they are scanned.")                  \
    _(BUILDING, "lynse_collection_index_building", "gauge", "database collection",                 \
      "1 while an index is being built, also by a merge.")                                         \
    _(BUILDS, "lynse_collection_index_builds_total", "counter", "database collection",             \
      "Indexes of segments that were built since the collection was opened.")                      \
    _(BUILD_FAILURES, "lynse_collection_index_build_failures_total", "counter",                    \
      "database collection", "Builds that failed; index_status says why the last one did.")        \
    _(RECALL, "lynse_collection_recall_ratio", "gauge", "database collection",                     \
      "How much an index finds of what looking at every record finds, of searches that were "      \
      "made; absent until some were measured.")                                                    \
    _(RECALL_QUERIES, "lynse_collection_recall_queries", "gauge", "database collection",           \
      "Searches that this was measured on.")                                                       \
    _(APPLIED, "lynse_collection_applied_lsn", "gauge", "database collection",                     \
      "The last write that is visible.")                                                           \
    _(DURABLE, "lynse_collection_durable_lsn", "gauge", "database collection",                     \
      "The last write that is synced.")

#define METRICS_CODE_ONE(...) +1
enum {
    METRICS_BOUNDS = 16,                              /* of the histogram; one more is +Inf */
    METRICS_CODES = 1 LYNSE_ERRORS(METRICS_CODE_ONE), /* OK and every error */
    METRICS_PROTOCOLS = 2,                            /* msgpack-RPC, HTTP */
};

typedef _Atomic(uint64_t) metric_counter; /* written by one thread */

struct loop_metrics {
    metric_counter bytes_in, bytes_out, accepted, refused, refused_of_address, slow, unauthorized;
    metric_counter connections, requests, calls; /* as of metrics_publish */
    metric_counter durations[METRICS_PROTOCOLS][METRICS_BOUNDS + 1];
    metric_counter duration_us[METRICS_PROTOCOLS];
    size_t method_count;
    metric_counter *outcomes; /* of each method and of none, protocol, code */
};

struct loop;
struct server;

static inline void metric_add(metric_counter *counter, uint64_t more)
{
    atomic_store_relaxed(counter, atomic_load_relaxed(counter) + more);
}

/* Once all methods are registered: numbers them.  err NO_MEMORY. */
int metrics_open(struct loop *l, struct error *err);
void metrics_close(struct loop *l);
/* method_number: method_count where there is no such method. */
void metrics_count(struct loop_metrics *m, size_t method_number, bool is_http, int code,
                   uint64_t spent_us);
/* Show others how many connections, requests and calls there are now. */
void metrics_publish(struct loop *l);

/* Append all series but those of collections.  Loop's thread. */
void metrics_write_server(struct loop *l, struct buf *out);
/* Append those of the list at `index`: { { database =, collection =, info = { … } }, … }.  In a
 * protected call: may raise. */
void metrics_write_collections(lua_State *L, int index, struct buf *out);

#endif
