/* SPDX-License-Identifier: Apache-2.0 */
/* reads.c — views taken, held for a while beside all that happens, and then looked at closely:
 * each must still be the state at its LSN (P6), and no older than what was answered when it was
 * taken (P5). */
#include <math.h>

#include "base/check.h"
#include "query/fetch.h"
#include "sim/sim.h"
#include "simd/metrics.h"

enum { K_MAX = 12, FETCHED = 4 };

/* While something fails, an answer may be an error; a view cannot be judged by it. */
static bool may_fail(const struct sim *s)
{
    return s->is_disk_failing || s->is_memory_failing;
}

static void end(struct reading *r)
{
    search_destroy(r->search);
    view_release(r->view);
    *r = (struct reading){0};
}

static void begin_search(struct sim *s, struct reading *r)
{
    struct error err = {0};
    struct search_request request = {.query_count = 1, .dim = ORACLE_DIM};

    r->k = 1 + rng_below(&s->rng, K_MAX);
    oracle_vector((int)rng_below(&s->rng, ORACLE_IDS), 1, r->query);
    request.vectors = r->query;
    request.k = r->k;
    engine_note_search(r->place->host, r->view, &request); /* it may be made again */
    if (search_create(s->engine_alloc, view_acquire(r->view), &request, &s->clock.base, &r->search,
                      &err) == 0)
        return;
    r->search = NULL;
    if (err.code != LYNSE_NO_MEMORY || !s->memory_has_failed)
        sim_fail(s, "search of %s: %s", sim_names[r->place->name], err.text);
}

void read_begin(struct sim *s, struct place *p)
{
    struct error err = {0};
    size_t i = 0;

    while (i < SIM_READS && s->reads[i].place) i++;
    if (i == SIM_READS) return;
    struct reading *r = &s->reads[i];
    if (engine_view(p->host, &r->view, &err) != 0) {
        bool is_gone = catalog_number(s, p->name) != p->number;
        if (err.code != LYNSE_NOT_FOUND || !is_gone)
            sim_fail(s, "view of %s: %s", sim_names[p->name], err.text);
        return;
    }
    s->counts.reads++;
    r->place = p;
    sim_say(s, "read %zu: %s at LSN %llu", i, sim_names[p->name], (unsigned long long)r->view->lsn);
    if (r->view->lsn < p->settled)
        sim_fail(s, "a read of %s sees LSN %llu, %zu is answered (P5)", sim_names[p->name],
                 (unsigned long long)r->view->lsn, p->settled);
    if (rng_below(&s->rng, 2) == 0) begin_search(s, r);
}

/* ---- searches ---- */

static double score_of(unsigned metric, const float *a, const float *b)
{
    double dot = 0, na = 0, nb = 0, l2 = 0;

    for (int i = 0; i < ORACLE_DIM; i++) {
        double x = (double)a[i], y = (double)b[i];
        dot += x * y;
        na += x * x;
        nb += y * y;
        l2 += (x - y) * (x - y);
    }
    if (metric == METRIC_IP) return -dot; /* smaller is nearer */
    if (metric == METRIC_L2) return l2;
    return na == 0 || nb == 0 ? 1 : 1 - dot / (sqrt(na) * sqrt(nb));
}

static int index_of(const struct record_id *id)
{
    for (int i = 0; i < ORACLE_IDS; i++) {
        struct record_id known = oracle_id(i);
        if (id_equal(&known, id)) return i;
    }
    return -1;
}

/* Scores of exact vectors in double; the engine's are floats of about that. */
static int judge_hits(struct sim *s, const struct reading *r, const struct result *got)
{
    const struct oracle_state *state = &r->place->oracle.states[r->view->lsn];
    double worst = -HUGE_VAL;
    bool is_hit[ORACLE_IDS] = {false};
    size_t live = live_rows(&r->place->oracle, (size_t)r->view->lsn), nearer = 0;

    if (got->as_of_lsn != r->view->lsn || got->count != (live < r->k ? live : r->k))
        return sim_fail(s, "search of %s at LSN %llu: %zu hits of %zu rows, k %zu",
                        sim_names[r->place->name], (unsigned long long)got->as_of_lsn, got->count,
                        live, r->k);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < ORACLE_IDS; i++) {
            float vector[ORACLE_DIM];
            if (pass == 0 && (size_t)i < got->count) {
                int at = index_of(&got->ids[i]);
                if (at < 0 || is_hit[at] || !state->rows[at].is_live)
                    return sim_fail(s, "search of %s: hit %d is not a live row once (P7)",
                                    sim_names[r->place->name], i);
                is_hit[at] = true;
                oracle_vector(at, state->rows[at].value, vector);
                double score = score_of(r->view->metric, r->query, vector);
                if (score < worst - 1e-3 * (1 + fabs(worst)))
                    return sim_fail(s, "search of %s: hit %d is out of order",
                                    sim_names[r->place->name], i);
                worst = score > worst ? score : worst;
            } else if (pass == 1 && state->rows[i].is_live && !is_hit[i]) {
                oracle_vector(i, state->rows[i].value, vector);
                nearer +=
                    score_of(r->view->metric, r->query, vector) < worst - 1e-3 * (1 + fabs(worst));
            }
        }
    }
    return nearer == 0 ? 0
                       : sim_fail(s, "search of %s: %zu nearer rows are left out (P7)",
                                  sim_names[r->place->name], nearer);
}

static void finish_search(struct sim *s, struct reading *r)
{
    struct result got = {0};
    struct error err = {0};

    if (search_finish(r->search, &got, &err) == 0) {
        (void)judge_hits(s, r, &got);
        result_deinit(&got);
    } else if (!may_fail(s)) {
        sim_fail(s, "search of %s: %s", sim_names[r->place->name], err.text);
    }
    search_destroy(r->search);
    r->search = NULL;
}

/* ---- looking closely ---- */

static void judge_fetch(struct sim *s, const struct reading *r)
{
    const struct oracle_state *state = &r->place->oracle.states[r->view->lsn];
    struct record_id ids[FETCHED];
    struct result got = {0};
    struct error err = {0};
    size_t live = 0;

    for (size_t i = 0; i < FETCHED; i++) {
        int index = (int)rng_below(&s->rng, ORACLE_IDS);
        ids[i] = oracle_id(index);
        live += state->rows[index].is_live;
    }
    if (fetch_ids(s->engine_alloc, r->view, ids, FETCHED, RESULT_DOCUMENTS, &got, &err) != 0) {
        sim_fail(s, "fetch of %s: %s", sim_names[r->place->name], err.text);
        return;
    }
    if (got.count != live)
        sim_fail(s, "fetch of %s: %zu rows, want %zu", sim_names[r->place->name], got.count, live);
    result_deinit(&got);
}

static void judge_view(struct sim *s, struct reading *r)
{
    char why[WHY_BYTES];

    if (may_fail(s)) return;
    if (oracle_compare(&r->place->oracle, r->view, (size_t)r->view->lsn, why) != 0)
        sim_fail(s, "a held view of %s: %s", sim_names[r->place->name], why);
    else judge_fetch(s, r);
}

void read_go_on(struct sim *s)
{
    struct reading *r = &s->reads[rng_below(&s->rng, SIM_READS)];

    if (!r->place) return;
    if (!r->search) {
        judge_view(s, r);
        end(r);
        return;
    }
    switch (search_advance(r->search, 0, 1)) {
    case SEARCH_MORE:
        break;
    case SEARCH_DONE:
        finish_search(s, r);
        break;
    default:
        if (!may_fail(s)) sim_fail(s, "search: %s", search_error(r->search)->text);
        end(r);
        break;
    }
}

void read_end_all(struct sim *s)
{
    for (size_t i = 0; i < SIM_READS; i++) {
        struct reading *r = &s->reads[i];
        if (!r->place) continue;
        if (!s->is_dead && !s->has_failed) judge_view(s, r);
        end(r);
    }
}
