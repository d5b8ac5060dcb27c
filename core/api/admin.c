/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c — orders to a collection, and what it says of itself.
 *
 * WHAT        Index mode, sync level, description, barrier, flush: each is checked here, sent as
 *             one message and waited for.
 * INVARIANTS  (1) A mode that is not there yet is told apart from one that nobody knows.
 *             (2) info is one consistent reading: the actor makes it in one turn.
 * THREADS     Any.
 * FAILURE     The actor's error, or the argument's; nothing was changed.
 */
#include <stdio.h>
#include <strings.h>

#include "api/handles.h"
#include "simd/metrics.h"

/* ---- index modes ---- */

static const struct {
    const char *name;
    enum metric metric;
} flat_modes[] = {
    {"FLAT-IP", METRIC_IP},         {"FLAT-L2", METRIC_L2}, {"FLAT-COS", METRIC_COSINE},
    {"FLAT-COSINE", METRIC_COSINE}, {"FLAT", METRIC_IP},
};

static int parse_mode(const char *mode, uint8_t *out_metric, struct error *err)
{
    static const char *const families[] = {"FLAT", "HNSW", "IVF", "SPANN", "DISKANN"};

    if (!mode) return error_set(err, LYNSE_INVALID, "index_mode: missing");
    for (size_t i = 0; i < sizeof flat_modes / sizeof *flat_modes; i++) {
        if (strcasecmp(mode, flat_modes[i].name) != 0) continue;
        *out_metric = (uint8_t)flat_modes[i].metric;
        return 0;
    }
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        size_t size = strlen(families[i]);
        if (strncasecmp(mode, families[i], size) == 0 && (mode[size] == '-' || mode[size] == 0))
            return error_set(err, LYNSE_UNSUPPORTED,
                             "index_mode: '%.40s' is not there yet; this version has FLAT-IP, "
                             "FLAT-L2 and FLAT-COS",
                             mode);
    }
    return error_set(
        err, LYNSE_INVALID,
        "index_mode: '%.40s' is unknown; this version has FLAT-IP, FLAT-L2 and FLAT-COS", mode);
}

static void format_mode(char *out, size_t size, uint8_t index_kind, uint8_t metric)
{
    const char *name = metric == METRIC_IP   ? "FLAT-IP"
                       : metric == METRIC_L2 ? "FLAT-L2"
                                             : "FLAT-COS";
    snprintf(out, size, "%s", index_kind ? name : "");
}

/* ---- orders ---- */

static int send_order(struct lynse_collection *c, struct order_message *take_m,
                      struct lynse_error *err, struct error *failed)
{
    if (!take_m || engine_order_host(c->host, take_m, failed) != 0) return api_fail(failed, err);
    return LYNSE_OK;
}

static struct order_message *order(struct lynse_collection *c, enum message_kind kind,
                                   struct error *err)
{
    return engine_order(c->db->engine, kind, err);
}

static int set_index(struct lynse_collection *c, uint8_t index_kind, uint8_t metric,
                     struct lynse_error *err)
{
    struct error failed = {0};
    struct order_message *m = order(c, KIND_SET_INDEX, &failed);

    if (m) {
        m->index_kind = index_kind;
        m->metric = metric;
    }
    return send_order(c, m, err, &failed);
}

int lynse_build_index(struct lynse_collection *c, const char *index_mode, struct lynse_error *err)
{
    struct error failed = {0};
    uint8_t metric = 0;

    if (parse_mode(index_mode, &metric, &failed) != 0) return api_fail(&failed, err);
    return set_index(c, 1, metric, err);
}

int lynse_remove_index(struct lynse_collection *c, struct lynse_error *err)
{
    return set_index(c, 0, 0, err); /* the metric stays: vectors are compared as before */
}

int lynse_set_sync(struct lynse_collection *c, uint32_t sync, uint32_t interval_ms,
                   struct lynse_error *err)
{
    struct error failed = {0};

    if (!sync_level_is_known(sync)) {
        error_set(&failed, LYNSE_INVALID, "sync: %u, allowed are 1 to %d", sync, SYNC_LEVEL_MAX);
        return api_fail(&failed, err);
    }
    struct order_message *m = order(c, KIND_SET_SYNC, &failed);
    if (m) {
        m->level = (uint8_t)sync;
        m->interval_ms = interval_ms ? interval_ms : c->db->engine->desc.sync_interval_ms;
    }
    return send_order(c, m, err, &failed);
}

int lynse_collection_describe(struct lynse_collection *c, const char *description,
                              struct lynse_error *err)
{
    struct error failed = {0};
    struct order_message *m = order(c, KIND_DESCRIBE, &failed);

    if (m && description) {
        m->text = mem_copy_text(m->alloc, MEM_GENERAL, description, strlen(description));
        if (!m->text) {
            error_no_memory(&failed, strlen(description));
            message_drop(&m->base, LYNSE_NO_MEMORY);
            m = NULL;
        }
    }
    return send_order(c, m, err, &failed);
}

int lynse_collection_sync(struct lynse_collection *c, uint64_t *out_durable_lsn,
                          struct lynse_error *err)
{
    struct error failed = {0};
    struct collection_status *status = NULL;
    int code = send_order(c, order(c, KIND_SYNC, &failed), err, &failed);

    if (code != LYNSE_OK || !out_durable_lsn) return code;
    if (engine_host_status(c->host, &status, &failed) != 0) return api_fail(&failed, err);
    *out_durable_lsn = status->durable_lsn;
    collection_status_destroy(status);
    return LYNSE_OK;
}

static int flush(struct lynse_collection *c, bool retire_log, struct lynse_error *err)
{
    struct error failed = {0};
    struct order_message *m = order(c, KIND_FLUSH, &failed);

    if (m) m->retire_log = retire_log;
    return send_order(c, m, err, &failed);
}

int lynse_flush(struct lynse_collection *c, struct lynse_error *err)
{
    return flush(c, false, err);
}
int lynse_checkpoint(struct lynse_collection *c, struct lynse_error *err)
{
    return flush(c, true, err);
}

/* ---- what it says of itself ---- */

int lynse_collection_info(struct lynse_collection *c, struct lynse_collection_info *out,
                          struct lynse_error *err)
{
    struct error failed = {0};
    struct collection_status *s = NULL;
    struct lynse_collection_info info = {0};
    size_t bytes;

    if (!out) error_set(&failed, LYNSE_INVALID, "info: missing");
    if (failed.code ||
        api_desc_bytes("info", out->struct_bytes, sizeof info, &bytes, &failed) != 0 ||
        engine_host_status(c->host, &s, &failed) != 0)
        return api_fail(&failed, err);
    info = (struct lynse_collection_info){
        .struct_bytes = (uint32_t)bytes,
        .dim = s->dim,
        .metric = s->metric,
        .sync = s->sync_level,
        .sync_interval_ms = s->sync_interval_ms,
        .segment_count = s->segment_count,
        .live_count = s->live_count,
        .deleted_count = s->dead_count,
        .tail_count = s->tail_count,
        .max_int_id = s->max_int_id,
        .has_int_id = s->has_int_id,
        .is_read_only = s->is_read_only,
        .applied_lsn = s->applied_lsn,
        .durable_lsn = s->durable_lsn,
        .flushed_lsn = s->flushed_lsn,
        .log_bytes = s->log_bytes,
    };
    format_mode(info.index_mode, sizeof info.index_mode, s->index_kind, s->metric);
    uuid_format(&s->uuid, info.directory);
    collection_status_destroy(s);
    memset(out, 0, bytes);
    memcpy(out, &info, sizeof info);
    return LYNSE_OK;
}

int lynse_collection_description(struct lynse_collection *c, struct lynse_names **out,
                                 struct lynse_error *err)
{
    struct error failed = {0};
    struct collection_status *s = NULL;

    if (engine_host_status(c->host, &s, &failed) != 0) return api_fail(&failed, err);
    struct slice text = slice_of_text(s->description);
    int rc = api_names(c->db, &text, s->description ? 1 : 0, out, &failed);
    collection_status_destroy(s);
    return rc == 0 ? LYNSE_OK : api_fail(&failed, err);
}
