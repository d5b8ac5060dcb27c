/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.c — hooks of a search: source text for the root's host of scripts, or the caller's own
 * functions behind the same table.
 *
 * WHAT        A callback is a hook whose run is itself: begin and end do nothing.  It says which
 *             fields and parts it reads by asking for all of them when it is called without.
 * INVARIANTS  (1) A function is called only with everything that its callback names.
 *             (2) A place that it was not asked for is refused by rerank.c.
 * THREADS     Those that search; the caller's functions are called on several at once.
 * FAILURE     HOOK: the function did not return 0.  UNSUPPORTED: source text, and no host.
 */
#include "api/handles.h"
#include "base/limits.h"
#include "codec/msgpack.h"

struct callback_hook {
    struct hook base; /* first */
    struct hook_run run;
    struct alloc *alloc;
    const struct lynse_score_callback *score;
    const struct lynse_rerank_callback *rerank;
};

static struct callback_hook *of_run(struct hook_run *run)
{
    return (struct callback_hook *)(void *)((char *)run - offsetof(struct callback_hook, run));
}

static void destroy_callback(struct hook *hook)
{
    mem_free(((struct callback_hook *)hook)->alloc, hook);
}

static int begin_callback(struct hook *hook, uint64_t deadline_us, struct hook_run **out,
                          struct error *err)
{
    (void)deadline_us;
    (void)err;
    *out = &((struct callback_hook *)hook)->run;
    return 0;
}

static void end_callback(struct hook_run *run)
{
    (void)run;
}

static enum hook_result call_score(struct hook_run *run, const struct hook_batch *batch,
                                   struct hook_wants *wants, struct error *err)
{
    const struct lynse_score_callback *c = of_run(run)->score;

    if (batch->column_count < c->field_count) { /* (1) */
        for (size_t i = 0; i < c->field_count; i++) {
            size_t size = strlen(c->field_names[i]);
            wants->fields[i].size = (uint8_t)size;
            memcpy(wants->fields[i].name, c->field_names[i], size);
        }
        wants->field_count = c->field_count;
        return HOOK_WANTS_MORE;
    }
    int code = c->score(c->ctx, batch->row_count, batch->distances, batch->columns, batch->out);
    if (code == 0) return HOOK_DONE;
    error_set(err, LYNSE_HOOK, "score: the callback returned %d", code);
    return HOOK_FAILED;
}

/* ---- rerank: hits in the caller's types ---- */

struct hit_columns {
    struct lynse_hits hits;
    size_t query_end;
    struct lynse_id *ids;
    float *scores;
    struct lynse_bytes *fields;
    float *vectors;
};

static void free_columns(struct alloc *a, struct hit_columns *c)
{
    mem_free(a, c->ids);
    mem_free(a, c->scores);
    mem_free(a, c->fields);
    mem_free(a, c->vectors);
}

static int make_columns(struct alloc *a, const struct hook_hits *hits, struct hit_columns *c,
                        struct error *err)
{
    size_t count = hits->hit_count, vector_bytes = hits->dim * sizeof(float);
    bool has_fields = hits->parts & HOOK_DOCUMENTS, has_vectors = hits->parts & HOOK_VECTORS;

    c->ids = mem_alloc(a, MEM_SEARCH, (count + 1) * sizeof *c->ids);
    c->scores = mem_alloc(a, MEM_SEARCH, (count + 1) * sizeof *c->scores);
    if (has_fields) c->fields = mem_alloc(a, MEM_SEARCH, (count + 1) * sizeof *c->fields);
    if (has_vectors) c->vectors = mem_alloc(a, MEM_SEARCH, (count + 1) * vector_bytes);
    if (!c->ids || !c->scores || (has_fields && !c->fields) || (has_vectors && !c->vectors))
        return error_no_memory(err, count * (sizeof *c->ids + vector_bytes));
    for (size_t i = 0; i < count; i++) {
        const struct hook_hit *h = &hits->hits[i];
        c->ids[i] = (struct lynse_id){h->id.is_text ? 0 : h->id.number,
                                      h->id.is_text ? (const char *)h->id.text.data : NULL,
                                      h->id.is_text ? (uint32_t)h->id.text.size : 0, 0};
        c->scores[i] = h->score;
        if (has_fields) c->fields[i] = (struct lynse_bytes){h->document.data, h->document.size};
        if (has_vectors) memcpy(c->vectors + i * hits->dim, h->vector, vector_bytes);
    }
    c->query_end = count;
    c->hits = (struct lynse_hits){.index_kind = "",
                                  .count = count,
                                  .query_count = 1,
                                  .query_ends = &c->query_end,
                                  .ids = c->ids,
                                  .scores = c->scores,
                                  .fields = c->fields,
                                  .vectors = c->vectors,
                                  .dim = hits->dim};
    return 0;
}

static enum hook_result call_rerank(struct hook_run *run, const struct hook_hits *hits,
                                    struct hook_wants *wants, struct hook_order *out,
                                    struct error *err)
{
    struct callback_hook *hook = of_run(run);
    const struct lynse_rerank_callback *c = hook->rerank;
    struct hit_columns columns = {0};
    enum hook_result found = HOOK_FAILED;
    unsigned parts = (c->flags & LYNSE_WITH_FIELDS ? HOOK_DOCUMENTS : 0u) |
                     (c->flags & LYNSE_WITH_VECTORS ? HOOK_VECTORS : 0u);

    if (parts & ~hits->parts) { /* (1) */
        wants->parts |= parts;
        return HOOK_WANTS_MORE;
    }
    if (make_columns(hook->alloc, hits, &columns, err) == 0) {
        out->count = hits->hit_count;
        int code = c->rerank(c->ctx, &columns.hits, &out->count, out->places, out->scores);
        if (code == 0) found = HOOK_DONE;
        else error_set(err, LYNSE_HOOK, "rerank: the callback returned %d", code);
    }
    free_columns(hook->alloc, &columns);
    return found;
}

static const struct hook_ops callback_ops = {
    .destroy = destroy_callback,
    .begin = begin_callback,
    .score = call_score,
    .rerank = call_rerank,
    .end = end_callback,
};

/* ---- of a desc ---- */

static int check_score_callback(const struct lynse_score_callback *c, struct error *err)
{
    if (!c->score) return error_set(err, LYNSE_INVALID, "score_callback: no function");
    if (c->flags & ~(uint32_t)LYNSE_ONE_THREAD)
        return error_set(err, LYNSE_INVALID, "score_callback: unknown flags 0x%x", c->flags);
    if (c->field_count > HOOK_FIELDS_MAX)
        return error_set(err, LYNSE_LIMIT, "score_callback: %zu fields, at most %d", c->field_count,
                         HOOK_FIELDS_MAX);
    if (c->field_count > 0 && !c->field_names)
        return error_set(err, LYNSE_INVALID, "score_callback: field_names are missing");
    for (size_t i = 0; i < c->field_count; i++) {
        size_t size = c->field_names[i] ? strlen(c->field_names[i]) : 0;
        if (size < 1 || size > HOOK_FIELD_BYTES_MAX)
            return error_set(err, LYNSE_INVALID,
                             "score_callback: field %zu has %zu bytes, allowed are 1 to %d", i,
                             size, HOOK_FIELD_BYTES_MAX);
    }
    return 0;
}

static int check_callbacks(const struct lynse_search_desc *d, struct error *err)
{
    const struct lynse_rerank_callback *rerank = d->rerank_callback;

    if (d->score && d->score_callback)
        return error_set(err, LYNSE_INVALID, "score and score_callback: give one of them");
    if (d->rerank && rerank)
        return error_set(err, LYNSE_INVALID, "rerank and rerank_callback: give one of them");
    if (d->score_callback && check_score_callback(d->score_callback, err) != 0) return -1;
    if (!rerank) return 0;
    if (!rerank->rerank) return error_set(err, LYNSE_INVALID, "rerank_callback: no function");
    if (rerank->flags & ~(uint32_t)(LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS))
        return error_set(err, LYNSE_INVALID, "rerank_callback: unknown flags 0x%x", rerank->flags);
    return 0;
}

static int make_callback(struct lynse *db, enum hook_point point, const struct lynse_search_desc *d,
                         struct hook **out, struct error *err)
{
    struct alloc *a = db->memory->alloc;
    struct callback_hook *hook = mem_zalloc(a, MEM_SEARCH, sizeof *hook);

    if (!hook) return error_no_memory(err, sizeof *hook);
    *hook = (struct callback_hook){.base = {&callback_ops, point},
                                   .run = {&callback_ops},
                                   .alloc = a,
                                   .score = d->score_callback,
                                   .rerank = d->rerank_callback};
    *out = &hook->base;
    return 0;
}

/* A single word is the name of a shipped hook: no source that returns a function is. */
static bool is_word(struct slice text)
{
    size_t size = 0;

    while (size < text.size &&
           ((text.data[size] >= 'a' && text.data[size] <= 'z') || text.data[size] == '_'))
        size++;
    return size > 0 && size == text.size;
}

int api_check_options(const char *what, struct lynse_bytes options, struct error *err)
{
    if (options.size == 0) return 0;
    if (!options.data) return error_set(err, LYNSE_INVALID, "%s: missing", what);
    if (options.size > HOOK_OPTIONS_BYTES_MAX)
        return error_set(err, LYNSE_LIMIT, "%s: %zu bytes, at most %d", what, options.size,
                         HOOK_OPTIONS_BYTES_MAX);
    if (document_check(slice_of(options.data, options.size), err) != 0)
        return error_wrap(err, "%s", what);
    return 0;
}

int api_prepare_hook(struct lynse *db, const struct hook_desc *desc, struct hook **out,
                     struct error *err)
{
    struct hook_desc d = *desc;

    mutex_lock(&db->mutex);
    struct hook_host *host = db->hook_host;
    mutex_unlock(&db->mutex);
    if (d.point == HOOK_RERANK && is_word(d.source)) {
        d.builtin = d.source;
        d.source = slice_of(NULL, 0);
    }
    return hook_prepare(host, &d, out, err);
}

static int prepare(struct lynse *db, enum hook_point point, const char *text,
                   struct lynse_bytes options, uint64_t deadline_us, struct hook **out,
                   struct error *err)
{
    const struct hook_desc desc = {.point = point,
                                   .source = slice_of_text(text),
                                   .options = slice_of(options.data, options.size),
                                   .is_trusted = db->trusts_scripts,
                                   .deadline_us = deadline_us};

    return api_prepare_hook(db, &desc, out, err);
}

static int check_options(const struct lynse_search_desc *d, struct error *err)
{
    if (d->score_options.size > 0 && !d->score)
        return error_set(err, LYNSE_INVALID, "score_options: they need score as source text");
    if (d->rerank_options.size > 0 && !d->rerank)
        return error_set(err, LYNSE_INVALID, "rerank_options: they need rerank as source text");
    if (api_check_options("score_options", d->score_options, err) != 0) return -1;
    return api_check_options("rerank_options", d->rerank_options, err);
}

/* One branch for the search that most are: without any. */
static bool brings_hooks(const struct lynse_search_desc *d)
{
    return ((uintptr_t)d->score | (uintptr_t)d->rerank | (uintptr_t)d->score_callback |
            (uintptr_t)d->rerank_callback | d->score_options.size | d->rerank_options.size) != 0;
}

int api_hooks(struct lynse *db, const struct lynse_search_desc *d, uint64_t deadline_us,
              struct hook **out_score, struct hook **out_rerank, struct error *err)
{
    if (!brings_hooks(d)) return 0;
    if (check_callbacks(d, err) != 0 || check_options(d, err) != 0) return -1;
    if (d->score &&
        prepare(db, HOOK_SCORE, d->score, d->score_options, deadline_us, out_score, err) != 0)
        return -1;
    if (d->score_callback && make_callback(db, HOOK_SCORE, d, out_score, err) != 0) return -1;
    if (d->rerank &&
        prepare(db, HOOK_RERANK, d->rerank, d->rerank_options, deadline_us, out_rerank, err) != 0)
        return -1;
    if (d->rerank_callback && make_callback(db, HOOK_RERANK, d, out_rerank, err) != 0) return -1;
    return 0;
}

int lynse_attach_hook_host(struct lynse *db, const struct lynse_hook_host_ops *ops,
                           struct lynse_error *err)
{
    struct error failed = {0};
    int rc = 0;

    if (!db) return api_missing("db", err);
    if (!ops || !ops->create || !ops->destroy) return api_missing("ops", err);
    API_CALL struct api_child *inside = api_enter(&db->self, &failed);
    if (!inside || engine_check(db->engine, &failed) != 0) return api_fail(&failed, err);
    void *host = NULL;
    mutex_lock(&db->mutex);
    if (db->hook_host)
        rc = error_set(&failed, LYNSE_ALREADY_EXISTS, "the root has a host of scripts");
    else rc = ops->create(ops->ctx, db->memory->alloc, db->engine->clock, &host, &failed);
    if (rc == 0) {
        db->hook_host = host;
        db->destroy_hook_host = ops->destroy;
    }
    mutex_unlock(&db->mutex);
    return rc == 0 ? LYNSE_OK : api_fail(&failed, err);
}
