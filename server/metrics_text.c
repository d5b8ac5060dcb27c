/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_text.c — counters as Prometheus' text, version 0.0.4.
 *
 * Nothing here walks the disk or takes a lock: the size of the process comes from the kernel, what
 * collections have from those that are open anyway.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/log_lines.h"
#include "server/loop.h"
#include "server/metrics.h"
#include "server/metrics_bounds.h"
#include "server/opened_names.h"
#include "server/server.h"

static const struct {
    const char *name, *type, *help;
} rows[] = {
#define METRIC_ROW(index, name, type, labels, help) {name, type, help},
    METRICS(METRIC_ROW)
#undef METRIC_ROW
};
enum metric_index {
#define METRIC_INDEX(index, ...) METRIC_##index,
    METRICS(METRIC_INDEX)
#undef METRIC_INDEX
};

static const char *const protocol_words[METRICS_PROTOCOLS] = {"rpc", "http"};

static void write_head(struct buf *out, enum metric_index index)
{
    buf_append_text(out, "# HELP %s %s\n# TYPE %s %s\n", rows[index].name, rows[index].help,
                    rows[index].name, rows[index].type);
}

static void write_one(struct buf *out, enum metric_index index, uint64_t value)
{
    write_head(out, index);
    buf_append_text(out, "%s %llu\n", rows[index].name, (unsigned long long)value);
}

/* ---- Sums over the loops ---- */

static uint64_t sum_of(const struct server *s, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < s->loop_count; i++) {
        const void *place = (const char *)&s->loops[i]->metrics + offset;
        const metric_counter *counter = place;
        sum += atomic_load_relaxed(counter);
    }
    return sum;
}
#define SUM_OF(server, field) sum_of((server), offsetof(struct loop_metrics, field))

static uint64_t sum_of_outcome(const struct server *s, size_t at)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < s->loop_count; i++)
        if (s->loops[i]->metrics.outcomes)
            sum += atomic_load_relaxed(&s->loops[i]->metrics.outcomes[at]);
    return sum;
}

/* Pages of the process that are in memory; 0 where the kernel does not say. */
static uint64_t resident_bytes(void)
{
    unsigned long long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (!file) return 0;
    if (fscanf(file, "%llu %llu", &all, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- Series ---- */

static void write_refused(const struct server *s, struct buf *out)
{
    const char *name = rows[METRIC_REFUSED].name;

    write_head(out, METRIC_REFUSED);
    buf_append_text(out, "%s{reason=\"connections_max\"} %llu\n", name,
                    (unsigned long long)SUM_OF(s, refused));
    buf_append_text(out, "%s{reason=\"connections_per_address\"} %llu\n", name,
                    (unsigned long long)SUM_OF(s, refused_of_address));
}

static void write_requests(const struct loop *l, struct buf *out)
{
    const struct methods *methods = &l->methods;

    write_head(out, METRIC_REQUESTS);
    for (size_t i = 0; i <= methods->method_count; i++)
        for (size_t protocol = 0; protocol < METRICS_PROTOCOLS; protocol++)
            for (size_t code = 0; code < METRICS_CODES; code++) {
                size_t at = (i * METRICS_PROTOCOLS + protocol) * METRICS_CODES + code;
                uint64_t count = sum_of_outcome(l->server, at);
                if (!count) continue;
                buf_append_text(out, "%s{method=\"%s\",protocol=\"%s\",code=\"%s\"} %llu\n",
                                rows[METRIC_REQUESTS].name,
                                i < methods->method_count ? methods->methods[i]->name : "",
                                protocol_words[protocol], error_name((int)code),
                                (unsigned long long)count);
            }
}

static void write_durations(const struct server *s, struct buf *out)
{
    const char *name = rows[METRIC_DURATION].name;

    write_head(out, METRIC_DURATION);
    for (size_t p = 0; p < METRICS_PROTOCOLS; p++) {
        uint64_t count = 0;
        for (size_t i = 0; i <= METRICS_BOUNDS; i++) {
            count += sum_of(s, offsetof(struct loop_metrics, durations) +
                                   (p * (METRICS_BOUNDS + 1) + i) * sizeof(metric_counter));
            buf_append_text(
                out, "%s_bucket{protocol=\"%s\",le=\"%s\"} %llu\n", name, protocol_words[p],
                i < METRICS_BOUNDS ? metrics_bounds[i].seconds : "+Inf", (unsigned long long)count);
        }
        uint64_t us =
            sum_of(s, offsetof(struct loop_metrics, duration_us) + p * sizeof(metric_counter));
        buf_append_text(out, "%s_sum{protocol=\"%s\"} %llu.%06llu\n", name, protocol_words[p],
                        (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
        buf_append_text(out, "%s_count{protocol=\"%s\"} %llu\n", name, protocol_words[p],
                        (unsigned long long)count);
    }
}

void metrics_write_server(struct loop *l, struct buf *out)
{
    struct server *s = l->server;
    uint64_t up_us = clock_now_us(clock_system()) - s->started_us;
    int64_t wall_us = clock_system()->wall_us(clock_system());

    metrics_publish(l);
    write_one(out, METRIC_UP, 1);
    write_head(out, METRIC_BUILD);
    buf_append_text(out, "%s{version=\"%s\"} 1\n", rows[METRIC_BUILD].name, lynse_version());
    write_one(out, METRIC_STARTED, ((uint64_t)wall_us - up_us) / 1000000);
    write_one(out, METRIC_RESIDENT, resident_bytes());
    write_one(out, METRIC_MEMORY, lynse_memory_bytes(s->db));
    write_one(out, METRIC_LOOPS, s->loop_count);
    write_one(out, METRIC_CONNECTIONS, SUM_OF(s, connections));
    write_one(out, METRIC_ACCEPTED, SUM_OF(s, accepted));
    write_refused(s, out);
    write_one(out, METRIC_IN_FLIGHT, SUM_OF(s, requests));
    write_one(out, METRIC_CALLS, SUM_OF(s, calls));
    write_one(out, METRIC_BYTES_IN, SUM_OF(s, bytes_in));
    write_one(out, METRIC_BYTES_OUT, SUM_OF(s, bytes_out));
    write_requests(l, out);
    write_durations(s, out);
    write_one(out, METRIC_SLOW, SUM_OF(s, slow));
    write_one(out, METRIC_UNAUTHORIZED, SUM_OF(s, unauthorized));
    write_one(out, METRIC_DROPPED, log_lines_dropped());
    write_one(out, METRIC_OPENED, opened_names_count(&s->opened));
}

/* ---- Collections ---- */

static void write_label(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') buf_append_u8(out, '\\');
        if (*text == '\n') buf_append_text(out, "\\n");
        else buf_append_u8(out, (uint8_t)*text);
    }
}

/* One line of the entry at the top of the stack. */
static void write_entry(lua_State *L, enum metric_index index, const char *field, struct buf *out)
{
    lua_getfield(L, -1, "database");
    lua_getfield(L, -2, "collection");
    lua_getfield(L, -3, "info");
    lua_getfield(L, -1, field);
    if (lua_isnil(L, -1)) { /* nothing was measured */
        lua_pop(L, 4);
        return;
    }
    double value = lua_isboolean(L, -1) ? lua_toboolean(L, -1) : luaL_checknumber(L, -1);
    buf_append_text(out, "%s{database=\"", rows[index].name);
    write_label(out, luaL_checkstring(L, -4));
    buf_append_text(out, "\",collection=\"");
    write_label(out, luaL_checkstring(L, -3));
    buf_append_text(out, "\"} %.15g\n", value);
    lua_pop(L, 4);
}

void metrics_write_collections(lua_State *L, int index, struct buf *out)
{
    static const struct {
        enum metric_index index;
        const char *field;
    } series[] = {{METRIC_ROWS, "live_count"},
                  {METRIC_DELETED, "deleted_count"},
                  {METRIC_TAIL, "tail_count"},
                  {METRIC_SEGMENTS, "segment_count"},
                  {METRIC_INDEXED, "indexed_segment_count"},
                  {METRIC_UNINDEXED, "unindexed_count"},
                  {METRIC_BUILDING, "index_is_building"},
                  {METRIC_BUILDS, "index_build_count"},
                  {METRIC_BUILD_FAILURES, "index_failure_count"},
                  {METRIC_RECALL, "recall_measured"},
                  {METRIC_RECALL_QUERIES, "recall_query_count"},
                  {METRIC_APPLIED, "applied_lsn"},
                  {METRIC_DURABLE, "durable_lsn"}};
    int count = (int)lua_objlen(L, index);

    for (size_t i = 0; i < sizeof series / sizeof *series; i++) {
        write_head(out, series[i].index);
        for (int n = 1; n <= count; n++) {
            lua_rawgeti(L, index, n);
            write_entry(L, series[i].index, series[i].field, out);
            lua_pop(L, 1);
        }
    }
}
