/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "model/driver.h"
#include "query/fetch.h"
#include "query/search.h"

/* A read that failed: right while something fails, wrong otherwise. */
static int excuse(struct driver *d, const char *what, const struct error *err)
{
    if (d->expects_errors && (err->code == LYNSE_NO_MEMORY || err->code == LYNSE_IO)) {
        d->refusals++;
        return 0;
    }
    return driver_fail(d, "%s: %s: %s", what, error_name(err->code), err->text);
}

static int compare_document(struct driver *d, uint32_t seed, struct slice got)
{
    struct buf want;

    buf_init(&want, d->alloc, MEM_GENERAL);
    reference_document(seed, &want);
    bool is_equal = slice_equal(buf_slice(&want), got);
    buf_deinit(&want);
    return is_equal ? 0 : driver_fail(d, "wrong document, want that of %u", seed);
}

/* Row i of a result is the row of its id, as asked for. */
static int compare_row(struct driver *d, const struct result *r, size_t i, int index)
{
    const struct ref_row *want = &d->ref.rows[index];
    float vector[REF_DIM_MAX];

    if (r->documents && compare_document(d, want->document, r->documents[i]) != 0) return -1;
    if (!r->vectors) return 0;
    reference_vector(want->vector, d->ref.dim, vector);
    if (memcmp(vector, r->vectors + i * r->dim, r->dim * sizeof(float)) != 0)
        return driver_fail(d, "wrong vector of index %d", index);
    return 0;
}

/* ---- all of it ---- */

static int compare_id(struct driver *d, struct view *v, int index)
{
    const struct ref_row *want = &d->ref.rows[index];
    struct record_id id = reference_id(index);
    char text[ID_TEXT_BYTES];
    struct error err = {0};
    size_t part;
    uint32_t row;
    bool is_dead = true;
    uint64_t lsn = 0;
    int found = view_find(v, &id, &part, &row, &is_dead, &err);

    if (found > 0 && segment_lsn(v->parts[part].segment, row, &lsn, &err) != 0) found = -1;
    if (found < 0) return excuse(d, "look up", &err);
    if ((found > 0) != (want->newest > 0) || lsn != want->newest ||
        (found > 0 && is_dead == want->is_live))
        return driver_fail(d, "id %s: version %llu, %s; want %llu, %s", id_format(&id, text),
                           (unsigned long long)lsn, is_dead ? "dead" : "live",
                           (unsigned long long)want->newest, want->is_live ? "live" : "dead");
    return 0;
}

int driver_compare(struct driver *d)
{
    struct view *v = view_slot_acquire(&d->slot);
    struct error err = {0};
    int rc = v ? 0 : driver_fail(d, "no view");

    for (int i = 0; i < REF_IDS && rc == 0; i++) rc = compare_id(d, v, i);
    if (rc == 0 && (v->lsn != d->ref.lsn || v->live_count != d->ref.live_count))
        rc = driver_fail(d, "view of LSN %llu with %llu rows; want %llu, %llu",
                         (unsigned long long)v->lsn, (unsigned long long)v->live_count,
                         (unsigned long long)d->ref.lsn, (unsigned long long)d->ref.live_count);
    view_release(v);
    if (rc == 0) rc = driver_walk(d, false);
    if (rc == 0 && !d->expects_errors && collection_check(d->c, &err) != 0)
        rc = driver_fail(d, "check: %s", err.text);
    return rc;
}

/* ---- search ---- */

static int compare_hits(struct driver *d, const struct result *r, const struct ref_hit *hits,
                        size_t count)
{
    char text[ID_TEXT_BYTES];

    if (r->count != count) return driver_fail(d, "%zu hits, want %zu", r->count, count);
    if (r->as_of_lsn != d->ref.lsn) return driver_fail(d, "hits of another LSN");
    for (size_t i = 0; i < count; i++) {
        float score = reference_score(&d->ref, hits[i].distance);
        struct record_id id = reference_id(hits[i].id);
        if (!id_equal(&r->ids[i], &id) || memcmp(&r->scores[i], &score, sizeof score) != 0)
            return driver_fail(d, "hit %zu is %s with %a, want index %d with %a", i,
                               id_format(&r->ids[i], text), (double)r->scores[i], hits[i].id,
                               (double)score);
        if (compare_row(d, r, i, hits[i].id) != 0) return -1;
    }
    return 0;
}

/* In slices, advanced by turns as threads might. */
static int run_search(struct driver *d, const struct search_request *request, struct result *out,
                      struct error *err)
{
    struct search *s;
    enum search_state states[4] = {SEARCH_MORE, SEARCH_MORE, SEARCH_MORE, SEARCH_MORE};
    struct view *v = view_slot_acquire(&d->slot);
    size_t open = 0, count;
    int rc = -1;

    if (search_create(d->engine, v, request, &d->clock.base, &s, err) != 0) return -1;
    count = open = search_split(s, 1 + (size_t)rng_below(&d->rng, 4), err);
    while (open > 0) {
        size_t i = (size_t)rng_below(&d->rng, count);
        if (states[i] != SEARCH_MORE) continue;
        states[i] = search_advance(s, i, 0);
        if (states[i] == SEARCH_FAILED) {
            *err = *search_error(s);
            goto out;
        }
        open -= states[i] == SEARCH_DONE;
    }
    rc = count > 0 ? search_finish(s, out, err) : -1;
out:
    search_destroy(s);
    return rc;
}

int driver_search(struct driver *d, bool is_range)
{
    float query[REF_DIM_MAX];
    struct ref_hit hits[REF_IDS];
    struct result result = {0};
    struct error err = {0};
    uint32_t dim = d->ref.dim ? d->ref.dim : d->swarm.dim;

    reference_vector((uint32_t)rng_below(&d->rng, d->swarm.vector_max * 2), dim, query);
    size_t count = d->ref.dim ? reference_scan(&d->ref, query, hits) : 0;
    struct search_request request = {
        .vectors = query,
        .query_count = 1,
        .dim = dim,
        .k = 1 + (size_t)rng_below(&d->rng, rng_chance(&d->rng, 0.2) ? REF_IDS : 12),
        .columns = rng_chance(&d->rng, 0.3) ? RESULT_DOCUMENTS | RESULT_VECTORS : 0,
    };
    size_t most = request.k, open_count = count;
    bool is_looked_up = rng_chance(&d->rng, 0.5); /* in what is loaded */
    request.is_exact = !is_looked_up;
    if (is_range) {
        request.is_range = true;
        request.max_results = request.k;
        float distance = count ? hits[rng_below(&d->rng, count)].distance : 0;
        request.threshold = reference_score(&d->ref, distance);
        size_t within = 0;
        while (within < count && hits[within].distance <= distance) within++;
        count = open_count = within;
    }
    if (count > most) count = most;
    if (run_search(d, &request, &result, &err) != 0) return excuse(d, "search", &err);
    if (is_looked_up && is_range && result.count < count) count = result.count; /* it may miss */
    int rc = is_looked_up ? driver_compare_found(d, &result, hits, open_count, count)
                          : compare_hits(d, &result, hits, count);
    result_deinit(&result);
    return rc;
}

/* ---- the other reads ---- */

int driver_fetch(struct driver *d)
{
    struct record_id ids[16];
    int indexes[16];
    size_t count = 1 + (size_t)rng_below(&d->rng, 16), want = 0;
    struct result r = {0};
    struct error err = {0};
    struct view *v = view_slot_acquire(&d->slot);

    for (size_t i = 0; i < count; i++) {
        int index = (int)rng_below(&d->rng, REF_IDS);
        ids[i] = reference_id(index);
        int live = fetch_exists(v, &ids[i], &err);
        if (live >= 0 && live != d->ref.rows[index].is_live) driver_fail(d, "exists: %d", live);
        if (d->ref.rows[index].is_live) indexes[want++] = index;
    }
    int rc = fetch_ids(d->engine, v, ids, count, RESULT_DOCUMENTS | RESULT_VECTORS, &r, &err);
    view_release(v);
    if (rc != 0) return excuse(d, "fetch", &err);
    if (r.count != want) rc = driver_fail(d, "fetched %zu, want %zu", r.count, want);
    for (size_t i = 0; i < want && rc == 0; i++) {
        struct record_id id = reference_id(indexes[i]);
        if (!id_equal(&id, &r.ids[i])) rc = driver_fail(d, "fetched another id");
        else rc = compare_row(d, &r, i, indexes[i]);
    }
    result_deinit(&r);
    return d->has_failed ? -1 : rc;
}

int driver_walk(struct driver *d, bool deleted)
{
    struct fetch_cursor cursor;
    bool is_seen[REF_IDS] = {false};
    struct error err = {0};
    size_t want = 0, got = 0;
    int rc = 0;

    for (int i = 0; i < REF_IDS; i++)
        want += d->ref.rows[i].newest && d->ref.rows[i].is_live != deleted;
    fetch_cursor_init(&cursor, view_slot_acquire(&d->slot), deleted);
    for (;;) {
        struct result r = {0};
        size_t most = 1 + (size_t)rng_below(&d->rng, 50);
        rc = fetch_next(&cursor, d->engine, most, RESULT_DOCUMENTS | RESULT_VECTORS, &r, &err);
        if (rc != 0) break;
        bool is_end = r.count == 0;
        for (size_t i = 0; i < r.count && rc == 0; i++, got++) {
            int index = reference_index(&r.ids[i]);
            if (index < 0 || is_seen[index] || d->ref.rows[index].is_live == deleted)
                rc = driver_fail(d, "walk: index %d does not belong here", index);
            else rc = compare_row(d, &r, i, index);
            if (index >= 0) is_seen[index] = true;
        }
        result_deinit(&r);
        if (is_end || rc != 0) break;
    }
    fetch_cursor_deinit(&cursor);
    if (d->has_failed) return -1;
    if (rc != 0) return excuse(d, "walk", &err);
    return got == want ? 0 : driver_fail(d, "walked over %zu rows, want %zu", got, want);
}

int driver_count(struct driver *d)
{
    struct view *v = view_slot_acquire(&d->slot);
    uint64_t live = v->live_count;

    view_release(v);
    return live == d->ref.live_count ? 0 : driver_fail(d, "count");
}
