/* SPDX-License-Identifier: Apache-2.0 */
/* report.c — what is told of a request when it is answered: counters, the log, the audit trail.
 *
 * The counters are all that most requests cost.  Of a request's params the names of its database
 * and collection are told, and of its key a hash: never vectors, documents or the key.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "codec/value.h"
#include "server/log_lines.h"
#include "server/loop.h"
#include "server/methods.h"
#include "server/request.h"
#include "server/server.h"

struct report {
    const struct request *request;
    const char *code;
    uint64_t spent_us;
};

/* That which was asked for, refused or not; NULL where there is none. */
static const struct method *method_of(const struct request *r)
{
    return r->method || !r->route ? r->method : r->route->method;
}

static void begin(struct log_line *line, enum log_level level, const char *event,
                  const struct report *report)
{
    const struct request *r = report->request;
    const struct method *method = method_of(r);

    log_line_begin(line, level, event);
    log_line_number(line, "request_id", r->number);
    log_line_text(line, "method", slice_of_text(method ? method->name : ""));
    if (r->route) log_line_text(line, "path", slice_of_text(r->route->path));
    log_line_text(line, "code", slice_of_text(report->code));
    log_line_number(line, "elapsed_us", report->spent_us);
}

/* The text that the params have under a name, or at its place; empty: none. */
static struct slice named_argument(const struct request *r, const char *name)
{
    struct value params, found;
    struct slice key = slice_of_text(name);
    uint32_t at = 0;

    if (!r->method || !value_read(r->params, &params)) return slice_of(NULL, 0);
    if (params.type == VALUE_MAP) {
        bool is_there = value_get(&params, key, &found) && found.type == VALUE_TEXT;
        return is_there ? found.as.text : slice_of(NULL, 0);
    }
    const struct signature *s = &r->method->signature;
    while (at < s->count && !slice_equal(slice_of_text(s->arguments[at].name), key)) at++;
    struct value_walk walk = value_walk_of(&params);
    for (uint32_t i = 0; at < s->count && value_walk_next(&walk, NULL, &found); i++) {
        if (i == at && found.type == VALUE_TEXT) return found.as.text;
        if (found.type == VALUE_MAP && walk.left == 0) { /* the named ones behind the others */
            struct value last = found;
            if (value_get(&last, key, &found) && found.type == VALUE_TEXT) return found.as.text;
        }
    }
    return slice_of(NULL, 0);
}

static void write_audit(const struct report *report)
{
    const struct request *r = report->request;
    const struct server *s = r->loop->server;
    struct slice database = named_argument(r, "database_name");
    struct slice collection = named_argument(r, "collection_name");
    struct log_line line;
    char who[20] = "-";

    if (server_needs_key(s) && r->is_authenticated)
        snprintf(who, sizeof who, "key-%08x",
                 (unsigned)hash_xxh3_64(s->options.api_key, strlen(s->options.api_key)));
    begin(&line, LOG_INFO, "audit", report);
    log_line_text(&line, "who", slice_of_text(who));
    log_line_text(&line, "database", database.size ? database : slice_of_text("default"));
    if (collection.size) log_line_text(&line, "collection", collection);
    log_line_end(&line, true);
}

static void write_line(enum log_level level, const char *event, const struct report *report,
                       bool is_audit)
{
    struct log_line line;

    begin(&line, level, event, report);
    if (level == LOG_WARN && !is_audit)
        log_line_number(&line, "threshold_ms",
                        report->request->loop->server->options.slow_query_ms);
    log_line_end(&line, is_audit);
}

void server_report(struct request *r, const struct error *err)
{
    const struct server_options *o = &r->loop->server->options;
    struct loop_metrics *m = &r->loop->metrics;
    uint64_t spent_us = clock_now_us(clock_system()) - r->begun_us;
    int code = err ? err->code : LYNSE_OK;
    bool is_http = r->is_lenient;

    const struct method *method = method_of(r);
    metrics_count(m, method ? method->number : m->method_count, is_http, code, spent_us);
    bool is_slow = o->slow_query_ms && spent_us >= o->slow_query_ms * 1000ull;
    bool is_stranger = code == LYNSE_UNAUTHORIZED;
    bool is_told = o->log_requests || o->log_level == LOG_DEBUG;
    bool is_audited = o->audit_log && method && method->is_audited;
    if (!is_slow && !is_stranger && !is_told && !is_audited) return;

    struct report report = {r, error_name(code), spent_us};
    if (is_slow) {
        metric_add(&m->slow, 1);
        if (o->log_level <= LOG_WARN) write_line(LOG_WARN, "slow_query", &report, false);
    }
    if (is_stranger) {
        metric_add(&m->unauthorized, 1);
        if (o->audit_log) write_line(LOG_WARN, "unauthorized_request", &report, true);
    } else if (is_audited) {
        write_audit(&report);
    }
    if (is_told)
        write_line(o->log_requests ? LOG_INFO : LOG_DEBUG, is_http ? "http_request" : "rpc_request",
                   &report, false);
}
