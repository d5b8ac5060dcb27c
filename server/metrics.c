/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c — counting, in some nanoseconds a request (metrics.h). */
#include "server/metrics.h"

#include "server/loop.h"
#include "server/methods.h"
#include "server/metrics_bounds.h"

int metrics_open(struct loop *l, struct error *err)
{
    struct methods *methods = &l->methods;
    size_t count = (methods->method_count + 1) * METRICS_PROTOCOLS * METRICS_CODES;

    for (size_t i = 0; i < methods->method_count; i++) methods->methods[i]->number = (unsigned)i;
    l->metrics.outcomes = mem_zalloc(l->alloc, MEM_GENERAL, count * sizeof(metric_counter));
    if (!l->metrics.outcomes) return error_no_memory(err, count * sizeof(metric_counter));
    l->metrics.method_count = methods->method_count;
    return 0;
}

void metrics_close(struct loop *l)
{
    mem_free(l->alloc, l->metrics.outcomes);
    l->metrics.outcomes = NULL;
}

void metrics_count(struct loop_metrics *m, size_t method_number, bool is_http, int code,
                   uint64_t spent_us)
{
    size_t bound = 0, row = method_number * METRICS_PROTOCOLS + is_http;

    while (bound < METRICS_BOUNDS && spent_us > metrics_bounds[bound].us) bound++;
    metric_add(&m->durations[is_http][bound], 1);
    metric_add(&m->duration_us[is_http], spent_us);
    if (code < 0 || code >= METRICS_CODES) code = LYNSE_INTERNAL;
    metric_add(&m->outcomes[row * METRICS_CODES + (size_t)code], 1);
}

void metrics_publish(struct loop *l)
{
    atomic_store_relaxed(&l->metrics.connections, l->connection_count);
    atomic_store_relaxed(&l->metrics.requests, l->request_count);
    atomic_store_relaxed(&l->metrics.calls, l->call_count);
}
