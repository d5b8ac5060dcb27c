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
#include "api/handles.h"
#include "index/index_mode.h"

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
    struct index_mode mode = {0};

    if (!c) return api_missing("c", err);
    if (!index_mode) return api_missing("index_mode", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    if (index_mode_parse(index_mode, &mode, &failed) != 0) return api_fail(&failed, err);
    return set_index(c, (uint8_t)mode.kind, (uint8_t)mode.metric, err);
}

int lynse_remove_index(struct lynse_collection *c, struct lynse_error *err)
{
    struct error failed = {0};

    if (!c) return api_missing("c", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    return set_index(c, INDEX_NONE, 0, err); /* the metric stays: vectors are compared as before */
}

int lynse_set_sync(struct lynse_collection *c, uint32_t sync, uint32_t interval_ms,
                   struct lynse_error *err)
{
    struct error failed = {0};

    if (!c) return api_missing("c", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
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

    if (!c) return api_missing("c", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
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

    if (!c) return api_missing("c", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    int code = send_order(c, order(c, KIND_SYNC, &failed), err, &failed);
    if (code != LYNSE_OK || !out_durable_lsn) return code;
    if (engine_host_status(c->host, &status, &failed) != 0) return api_fail(&failed, err);
    *out_durable_lsn = status->durable_lsn;
    collection_status_destroy(status);
    return LYNSE_OK;
}

static int flush(struct lynse_collection *c, const char *name, bool retire_log,
                 struct lynse_error *err)
{
    struct error failed = {0};

    if (!c) return api_missing("c", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(name, &failed) != 0) return api_fail(&failed, err);
    struct order_message *m = order(c, KIND_FLUSH, &failed);
    if (m) m->retire_log = retire_log;
    return send_order(c, m, err, &failed);
}

int lynse_flush(struct lynse_collection *c, struct lynse_error *err)
{
    return flush(c, __func__, false, err);
}
int lynse_checkpoint(struct lynse_collection *c, struct lynse_error *err)
{
    return flush(c, __func__, true, err);
}

/* ---- what it says of itself ---- */

int lynse_collection_info(struct lynse_collection *c, struct lynse_collection_info *out,
                          struct lynse_error *err)
{
    struct error failed = {0};
    struct collection_status *s = NULL;
    struct lynse_collection_info info = {0};
    size_t bytes;

    if (!c) return api_missing("c", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    if (api_desc_bytes("info", out->struct_bytes, sizeof info, &bytes, &failed) != 0 ||
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
    index_mode_format(s->index_kind, s->metric, info.index_mode, sizeof info.index_mode);
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

    if (!c) return api_missing("c", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    if (engine_host_status(c->host, &s, &failed) != 0) return api_fail(&failed, err);
    struct slice text = slice_of_text(s->description);
    int rc = api_names(c->db, &text, s->description ? 1 : 0, out, &failed);
    collection_status_destroy(s);
    return rc == 0 ? LYNSE_OK : api_fail(&failed, err);
}
