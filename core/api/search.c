/* SPDX-License-Identifier: Apache-2.0 */
/* search.c — searches: take a view on the calling thread, plan, run here or on the pool too (D5).
 *
 * WHAT        A desc becomes a request, a request a search over the view of this moment; a search
 *             that costs more than a hand-over is cut into slices for the search pool.
 *             Where it brings no hook of its own it takes what the view has installed.
 * INVARIANTS  (1) No search passes through a collection's mailbox.
 *             (2) begin and step give what one call would: the same object runs both.
 * THREADS     Any; one search is stepped by one thread at a time.
 * FAILURE     The code, with its text in the desc's error; the search is gone.
 */
#include "api/handles.h"
#include "base/limits.h"

/* Below this a hand-over to another thread costs more than it saves. */
enum { SPLIT_COST_US = 200 };

struct lynse_search {
    struct api_child child; /* first; lynse_search does not use it */
    struct lynse *db;
    struct search *search;
    struct hook *score, *rerank;                      /* the desc's; NULL: none */
    struct api_installed installed[HOOK_POINT_COUNT]; /* what the view has instead */
    bool is_paged;
    uint64_t timeout_us;       /* of each page */
    struct lynse_error *error; /* of the desc; may be NULL */
};

/* Where the caller wants the error; NULL when the desc is too short to say. */
static struct lynse_error *error_of(const struct lynse_search_desc *d)
{
    size_t bytes;

    if (!d || api_desc_bytes("desc", d->struct_bytes, sizeof *d, &bytes, NULL) != 0) return NULL;
    return d->error;
}

static int check_desc(const struct lynse_search_desc *d, struct error *err)
{
    const uint32_t known = LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS | LYNSE_RANGE | LYNSE_NO_HOOKS |
                           LYNSE_EXACT | LYNSE_PAGES;

    if (d->flags & ~known)
        return error_set(err, LYNSE_INVALID, "flags: unknown bits 0x%x", d->flags & ~known);
    if (!d->vector) return error_set(err, LYNSE_INVALID, "vector: missing");
    if (d->k > LIMIT_K) return error_set(err, LYNSE_LIMIT, "k: %u, at most %d", d->k, LIMIT_K);
    if (d->max_results > LIMIT_K)
        return error_set(err, LYNSE_LIMIT, "max_results: %u, at most %d", d->max_results, LIMIT_K);
    if (d->score_mode > LYNSE_SCORE_BEAM)
        return error_set(err, LYNSE_INVALID, "score_mode: %u, allowed are 0 to %d", d->score_mode,
                         LYNSE_SCORE_BEAM);
    if (d->query_count > LIMIT_QUERIES)
        return error_set(err, LYNSE_LIMIT, "query_count: %zu, at most %d", d->query_count,
                         LIMIT_QUERIES);
    return 0;
}

static void destroy(struct lynse_search *s)
{
    search_destroy(s->search);
    hook_destroy(s->score);
    hook_destroy(s->rerank);
    s->search = NULL;
    s->score = s->rerank = NULL;
}

/* Of the points for which the desc has no hook. */
static int take_installed(struct lynse_search *s, const struct view *view, struct search_request *r,
                          struct error *err)
{
    struct hook **places[HOOK_POINT_COUNT] = {[HOOK_SCORE] = &r->score, [HOOK_RERANK] = &r->rerank};

    for (int point = 0; point < HOOK_POINT_COUNT; point++) {
        if (*places[point]) continue;
        if (api_take_installed(s->db, view, (enum hook_point)point, r->deadline_us,
                               &s->installed[point], err) != 0)
            return -1;
        *places[point] = s->installed[point].hook;
    }
    const struct api_installed *rerank = &s->installed[HOOK_RERANK];
    r->rerank_may_fail = rerank->hook && rerank->entry->is.on_failure == HOOK_POLICY_SKIP;
    return 0;
}

static int create(struct lynse_collection *c, const struct lynse_search_desc *d,
                  struct lynse_search *s, struct error *err)
{
    struct engine *e = c->db->engine;
    struct view *view;
    struct search_request r = {
        .vectors = d->vector,
        .query_count = d->query_count ? d->query_count : 1,
        .dim = d->dim,
        .is_range = d->flags & LYNSE_RANGE,
        .k = d->k ? d->k : 10,
        .threshold = d->threshold,
        .max_results = d->max_results ? d->max_results : 1000,
        .columns = api_columns(d->flags),
        .where = slice_of(d->where, d->where ? strlen(d->where) : 0),
        .fields = e->fields,
        .shadows = e->shadows,
        .cancel = &c->db->is_closing,
        .host_cancel = d->cancel,
        .options = {.effort = d->effort, .oversample = d->oversample, .slack = d->eps},
        .is_exact = d->flags & LYNSE_EXACT,
        .is_paged = s->is_paged,
        .score_mode = (enum score_mode)d->score_mode,
    };

    if (check_desc(d, err) != 0 || api_deadline(e, d->timeout_us, &r.deadline_us, err) != 0)
        return -1;
    if (api_hooks(c->db, d, r.deadline_us, &s->score, &s->rerank, err) != 0) return -1;
    r.score = s->score;
    r.rerank = s->rerank;
    if (engine_view(c->host, &view, err) != 0) return -1;
    engine_want_indexes(c->host, view);
    if (view->hooks.count > 0 && !(d->flags & LYNSE_NO_HOOKS) &&
        take_installed(s, view, &r, err) != 0) {
        view_release(view);
        return -1;
    }
    engine_note_search(c->host, view, &r);
    return search_create(e->alloc, view, &r, e->clock, &s->search, err);
}

static int begin(struct lynse_collection *c, const struct lynse_search_desc *desc, bool may_stay,
                 struct lynse_search *out, struct error *err)
{
    struct lynse_search_desc d;
    struct engine *e = c->db->engine;
    unsigned threads = engine_search_threads(e);

    if (api_copy_desc("desc", &d, sizeof d, desc, desc ? desc->struct_bytes : 0, sizeof d, err) !=
        0)
        return -1;
    if (!may_stay && (d.flags & LYNSE_PAGES))
        return error_set(err, LYNSE_INVALID, "flags: LYNSE_PAGES is of lynse_search_begin");
    *out = (struct lynse_search){.db = c->db,
                                 .is_paged = d.flags & LYNSE_PAGES,
                                 .timeout_us = d.timeout_us,
                                 .error = d.error};
    if (create(c, &d, out, err) != 0) {
        destroy(out);
        return -1;
    }
    bool has_one_thread = d.score_callback && (d.score_callback->flags & LYNSE_ONE_THREAD);
    if (threads < 2 || has_one_thread || search_cost_us(out->search) < SPLIT_COST_US) return 0;
    if (search_split(out->search, threads, err) > 0) return 0;
    destroy(out);
    return -1;
}

/* The end of it: hits, and the search is gone, but for one with pages. */
static int finish(struct lynse_search *s, struct lynse_hits **out, struct error *err)
{
    static const uint32_t bits[HOOK_POINT_COUNT] = {
        [HOOK_SCORE] = LYNSE_SKIPPED_SCORE, [HOOK_RERANK] = LYNSE_SKIPPED_RERANK};
    struct result result = {0};
    uint32_t skipped = 0;
    int rc = search_finish(s->search, &result, err);
    const struct error *why = rc == 0 ? search_rerank_error(s->search) : NULL;

    if (why) (void)api_skip_installed(&s->installed[HOOK_RERANK], why);
    for (int i = 0; i < HOOK_POINT_COUNT; i++) skipped |= s->installed[i].is_skipped ? bits[i] : 0;
    if (rc != 0 || !s->is_paged) destroy(s);
    if (rc != 0 || api_hits(s->db, &result, out, err) != 0) return -1;
    (*out)->skipped_hooks = skipped;
    return 0;
}

/* A score hook failed that the search may go on without: it begins anew. */
static bool restarts(struct lynse_search *s, struct error *err)
{
    struct api_installed *score = &s->installed[HOOK_SCORE];

    if (!score->hook || score->is_skipped || !api_skip_installed(score, err)) return false;
    return search_drop_score(s->search, err) == 0;
}

static int explain(const struct lynse_search *s, struct error *err)
{
    api_explain(s->db, err);
    return api_fail(err, NULL);
}

static int step(struct lynse_search *s, uint64_t budget_us, struct lynse_hits **out,
                struct error *err)
{
    for (;;) {
        enum search_state state = engine_advance_search(
            s->db->engine, s->search, search_slice_count(s->search), budget_us, err);
        if (state == SEARCH_DONE) {
            int more = search_continue(s->search, err);
            if (more < 0) break;
            if (more == 0) return finish(s, out, err) == 0 ? LYNSE_OK : explain(s, err);
        }
        if (state == SEARCH_FAILED && !restarts(s, err)) break;
        if (budget_us) return LYNSE_MORE;
    }
    destroy(s);
    return explain(s, err);
}

int lynse_search(struct lynse_collection *c, const struct lynse_search_desc *desc,
                 struct lynse_hits **out)
{
    struct error failed = {0};
    struct lynse_search s = {0};
    struct lynse_error *error = error_of(desc);

    if (!c) return api_missing("c", error);
    if (!out) return api_missing("out", error);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside) return api_fail(&failed, error);
    if (begin(c, desc, false, &s, &failed) != 0) {
        api_explain(c->db, &failed);
        return api_fail(&failed, error);
    }
    int code = step(&s, 0, out, &failed);
    return code > 0 ? api_fail(&failed, s.error) : code;
}

static void end_search(struct api_child *child)
{
    struct lynse_search *s = (struct lynse_search *)child;

    destroy(s);
    mem_free(s->db->memory->alloc, s);
}

int lynse_search_begin(struct lynse_collection *c, const struct lynse_search_desc *desc,
                       struct lynse_search **out)
{
    struct error failed = {0};

    if (!c) return api_missing("c", error_of(desc));
    if (!out) return api_missing("out", error_of(desc));
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside) return api_fail(&failed, error_of(desc));
    struct lynse_search *s = mem_zalloc(c->db->memory->alloc, MEM_SEARCH, sizeof *s);
    if (!s) {
        error_no_memory(&failed, sizeof *s);
        return api_fail(&failed, error_of(desc));
    }
    if (begin(c, desc, true, s, &failed) != 0) {
        mem_free(c->db->memory->alloc, s);
        api_explain(c->db, &failed);
        return api_fail(&failed, error_of(desc));
    }
    api_adopt(c->db, &s->child, end_search);
    *out = s;
    return LYNSE_OK;
}

int lynse_search_step(struct lynse_search *s, uint64_t budget_us, struct lynse_hits **out)
{
    struct error failed = {0};

    if (!s) return api_missing("s", NULL);
    struct lynse_error *error = s->error; /* it is gone after the last step, and when refused */
    API_CALL struct api_child *inside = api_enter(&s->child, &failed);
    if (!inside) return api_fail(&failed, error);
    if (!out) return api_missing("out", error);
    /* A forked child must not so much as free it: its locks may be held by nobody. */
    if (engine_check(s->db->engine, &failed) != 0) return api_fail(&failed, error);
    int code = step(s, budget_us ? budget_us : 1, out, &failed);
    if (code == LYNSE_MORE) return LYNSE_MORE;
    if (code > 0) api_fail(&failed, error);
    if (code != LYNSE_OK || !s->is_paged) api_end(&s->child);
    return code;
}

int lynse_search_next(struct lynse_search *s, uint32_t k)
{
    struct error failed = {0};
    uint64_t deadline_us;

    if (!s) return api_missing("s", NULL);
    API_CALL struct api_child *inside = api_enter(&s->child, &failed);
    struct engine *e = s->db->engine;
    if (!inside || engine_check(e, &failed) != 0 ||
        api_deadline(e, s->timeout_us, &deadline_us, &failed) != 0 ||
        search_next(s->search, k ? k : 10, deadline_us, &failed) != 0)
        return api_fail(&failed, s->error);
    return LYNSE_OK;
}

void lynse_search_cancel(struct lynse_search *s)
{
    if (s) api_end(&s->child);
}
