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
#include "base/limits.h"
#include "index/index_auto.h"
#include "index/index_mode.h"
#include "segment/measurable_rows.h"

_Static_assert((int)INDEX_PARAMS_MAX == (int)LYNSE_INDEX_PARAMS_MAX, "lynse.h has room for all");
_Static_assert(sizeof((struct lynse_collection_info){0}.index_mode) >= INDEX_MODE_BYTES, "it fits");

/* ---- orders ---- */

static int send_order(struct lynse_collection *c, struct order_message *take_m,
                      struct lynse_error *err, struct error *failed)
{
    if (take_m && engine_order_host(c->host, take_m, failed) == 0) return LYNSE_OK;
    engine_explain_budget(c->db->engine, failed);
    return api_fail(failed, err);
}

static struct order_message *order(struct lynse_collection *c, enum message_kind kind,
                                   struct error *err)
{
    return engine_order(c->db->engine, kind, err);
}

/* Here rather than in the actor's turn, for it reads every vector: the actor looks at what came
 * later. */
static int check_measurable(struct lynse_collection *c, unsigned number, struct view **out,
                            struct error *err)
{
    const struct metric_info *metric = metric_find(number);

    if (!metric || metric->input == METRIC_INPUT_ANY) return 0;
    if (engine_view(c->host, out, err) != 0) return -1;
    return (*out)->metric == number ? 0 : view_check_measurable(*out, metric, err);
}

static int set_index(struct lynse_collection *c, const struct index_plan *plan, unsigned metric,
                     bool is_awaited, struct lynse_error *err)
{
    struct error failed = {0};
    struct order_message *m = order(c, KIND_SET_INDEX, &failed);

    if (m && check_measurable(c, metric, &m->measured, &failed) != 0) {
        order_message_free(m);
        m = NULL;
    }
    if (m) {
        m->plan = *plan;
        m->metric = (uint8_t)metric;
        m->is_awaited = is_awaited;
    }
    return send_order(c, m, err, &failed);
}

/* "AUTO": by what is in the collection at this moment. */
static int choose_plan(struct lynse_collection *c, enum metric metric, struct index_plan *out,
                       struct error *err)
{
    struct collection_status *s = NULL;

    if (engine_host_status(c->host, &s, err) != 0) return -1;
    struct index_auto_desc desc = {
        .metric = metric ? metric : (enum metric)s->metric,
        .row_count = s->live_count,
        .dim = s->dim,
        .memory_bytes = c->db->engine->desc.budget_bytes,
        .storage = (enum storage_type)s->storage,
    };
    collection_status_destroy(s);
    index_auto_choose(&desc, out);
    return 0;
}

static int read_params(const struct lynse_index_desc *d, enum index_kind kind,
                       struct index_params *out, struct error *err)
{
    struct index_param_value values[LIMIT_INDEX_PARAMS];

    if (d->param_count > LIMIT_INDEX_PARAMS)
        return error_set(err, LYNSE_LIMIT, "param_count: %zu, at most %d", d->param_count,
                         LIMIT_INDEX_PARAMS);
    if (d->param_count > 0 && !d->params) return error_set(err, LYNSE_INVALID, "params: missing");
    for (size_t i = 0; i < d->param_count; i++) {
        if (!d->params[i].name)
            return error_set(err, LYNSE_INVALID, "params: the name of %zu is missing", i);
        values[i].name = slice_of_text(d->params[i].name);
        values[i].value = d->params[i].value;
    }
    return index_params_read(index_find(kind), values, d->param_count, out, err);
}

static int read_plan(struct lynse_collection *c, const struct lynse_index_desc *d,
                     struct index_plan *plan, unsigned *metric, struct error *err)
{
    struct index_mode mode = {0};

    if (d->flags & ~(uint32_t)LYNSE_INDEX_NO_WAIT)
        return error_set(err, LYNSE_INVALID, "flags: unknown bits 0x%x",
                         d->flags & ~(uint32_t)LYNSE_INDEX_NO_WAIT);
    if (!d->mode) return error_set(err, LYNSE_INVALID, "mode: missing");
    if (index_mode_parse(d->mode, &mode, err) != 0) return -1;
    if (mode.is_auto && d->param_count > 0)
        return error_set(err, LYNSE_INVALID,
                         "params: AUTO chooses them with the kind; name a kind, as in \"HNSW-L2\", "
                         "to give any");
    *metric = mode.metric;
    if (mode.is_auto) return choose_plan(c, mode.metric, plan, err);
    plan->kind = mode.kind;
    plan->quantizer = mode.quantizer;
    return read_params(d, mode.kind, &plan->params, err);
}

static int set_by_desc(struct lynse_collection *c, const struct lynse_index_desc *desc,
                       const char *name, struct lynse_error *err)
{
    struct error failed = {0};
    struct lynse_index_desc d;
    struct index_plan plan = {0};
    unsigned metric = 0;

    if (!c) return api_missing("c", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(name, &failed) != 0) return api_fail(&failed, err);
    if (api_copy_desc("desc", &d, sizeof d, desc, desc ? desc->struct_bytes : 0, sizeof d,
                      &failed) != 0 ||
        read_plan(c, &d, &plan, &metric, &failed) != 0)
        return api_fail(&failed, err);
    return set_index(c, &plan, metric, !(d.flags & LYNSE_INDEX_NO_WAIT), err);
}

int lynse_index_set(struct lynse_collection *c, const struct lynse_index_desc *desc,
                    struct lynse_error *err)
{
    return set_by_desc(c, desc, __func__, err);
}

int lynse_build_index(struct lynse_collection *c, const char *index_mode, struct lynse_error *err)
{
    if (!c) return api_missing("c", err);
    if (!index_mode) return api_missing("index_mode", err);
    return set_by_desc(c, &(struct lynse_index_desc){.mode = index_mode}, __func__, err);
}

int lynse_index_metric(const char *index_mode, uint32_t *out_metric, struct lynse_error *err)
{
    struct error failed = {0};
    struct index_mode mode = {0};

    if (!index_mode) return api_missing("index_mode", err);
    if (!out_metric) return api_missing("out_metric", err);
    if (index_mode_parse(index_mode, &mode, &failed) != 0) return api_fail(&failed, err);
    *out_metric = (uint32_t)mode.metric;
    return LYNSE_OK;
}

int lynse_remove_index(struct lynse_collection *c, struct lynse_error *err)
{
    struct error failed = {0};

    if (!c) return api_missing("c", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0) return api_fail(&failed, err);
    /* The metric stays: vectors are compared as before. */
    return set_index(c, &(struct index_plan){.kind = INDEX_NONE}, 0, false, err);
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

static void fill_index_info(const struct collection_status *s, struct lynse_collection_info *info)
{
    const struct index_vtab *kind = index_find(s->plan.kind);
    struct index_mode mode = {
        .kind = s->plan.kind, .metric = (enum metric)s->metric, .quantizer = s->plan.quantizer};

    if (!kind) return;
    index_mode_format(&mode, info->index_mode, sizeof info->index_mode);
    info->index_is_auto = s->plan.is_auto;
    info->index_is_building = s->is_building;
    info->unindexed_count = s->unindexed_count;
    info->index_build_count = s->index_build_count;
    info->index_failure_count = s->index_failure_count;
    info->indexed_segment_count = s->indexed_segment_count;
    info->index_progress = s->index_progress;
    info->recall_measured = s->recall;
    info->recall_query_count = s->recall_query_count;
    info->recall_measured_at_us = s->recall_measured_at_us;
    if (s->index_failure.code) api_fail(&s->index_failure, &info->index_failure);
    info->index_param_count = (uint32_t)kind->param_count;
    for (size_t i = 0; i < kind->param_count; i++)
        info->index_params[i] =
            (struct lynse_index_param){kind->params[i].name, s->plan.params.values[i]};
}

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
        .storage = s->storage,
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
    fill_index_info(s, &info);
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
