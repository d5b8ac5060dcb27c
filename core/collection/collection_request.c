/* SPDX-License-Identifier: Apache-2.0 */
/* collection_request.c — a retried write is applied once (P4).
 *
 * WHAT        A write may carry the id of its request.  When its group is staged the id enters the
 *             window of the collection, and the group's record in the log; a write whose id the
 *             window has is answered from there.
 * INVARIANTS  (1) An entry above applied_lsn is of the batch under way; a write of the same id
 *                 closes that batch first, and meets its outcome.
 *             (2) What the log did not take is not remembered; what a crash takes is forgotten with
 *                 its id, for both are one record.
 *             (3) A manifest keeps the requests of groups up to its flushed_lsn, the log those
 *                 above: in level `none` what is above is lost with its id.
 *             (4) Only groups are remembered: what was refused, or changed nothing, is judged anew.
 * THREADS     The collection's actor; collection_write_identify from any.
 * FAILURE     NO_MEMORY before the group is logged; INVALID: the id is another command's.
 */
#include "base/check.h"
#include "base/faults.h"
#include "base/hash.h"
#include "base/limits.h"
#include "collection/collection.h"

/* ---- what a request is ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return hash_u64(hash * 3 + value);
}

static uint64_t mix_bytes(uint64_t hash, const void *data, size_t size)
{
    return mix(mix(hash, size), size ? hash_xxh3_64(data, size) : 0);
}

void collection_write_identify(struct collection_write *w, const uint8_t id[REQUEST_ID_BYTES])
{
    uint64_t h = mix(w->kind, w->count);

    memcpy(w->request.id, id, sizeof w->request.id);
    for (size_t i = 0; w->ids && i < w->count; i++)
        h = w->ids[i].is_text ? mix_bytes(h, w->ids[i].text.data, w->ids[i].text.size)
                              : mix(h + 1, w->ids[i].number);
    if (w->vectors) h = mix_bytes(mix(h, w->dim), w->vectors, w->count * w->dim * sizeof(float));
    for (size_t i = 0; w->documents && i < w->count; i++)
        h = mix_bytes(h, w->documents[i].data, w->documents[i].size);
    w->request.hash = h;
}

bool collection_knows_request(const struct collection *c, const struct collection_write *w)
{
    return !request_stamp_is_none(&w->request) &&
           request_window_find(&c->requests, w->request.id,
                               c->desc.clock->wall_us(c->desc.clock)) != NULL;
}

void collection_stamp_request(const struct collection *c, struct collection_write *w)
{
    if (!request_stamp_is_none(&w->request))
        w->request.at_us = c->desc.clock->wall_us(c->desc.clock);
}

static const struct applied_request *find(const struct collection *c,
                                          const struct collection_write *w)
{
    if (request_stamp_is_none(&w->request)) return NULL;
    return request_window_find(&c->requests, w->request.id, w->request.at_us);
}

bool collection_request_is_pending(const struct collection *c, const struct collection_write *w)
{
    const struct applied_request *q = c->batch.pending_count > 0 ? find(c, w) : NULL;
    return q && q->lsn > c->applied_lsn;
}

bool collection_answer_repeat(struct collection *c, struct collection_write *w)
{
    const struct applied_request *q = find(c, w);
    uint8_t level = w->sync ? w->sync : c->manifest.sync_level;

    if (!q) return false;
    CHECK(q->lsn <= c->applied_lsn); /* (1) */
    if (q->stamp.hash != w->request.hash) {
        error_set(&w->error, LYNSE_INVALID, "request_id: it was another write's, that of LSN %llu",
                  (unsigned long long)q->lsn);
        return true;
    }
    if (level == SYNC_ALWAYS && c->log->ops->durable_lsn(c->log) < q->lsn) {
        if (!c->desc.may_sync) {
            error_set(&w->error, LYNSE_BUSY,
                      "sync: always needs a sync, which is not allowed here: call lynse_sync");
            return true;
        }
        c->batch.wants_sync = true;
    }
    REACHED(REQUEST_REPEATED);
    w->is_repeat = true;
    w->lsn = q->lsn;
    w->row_count = q->row_count;
    w->first_number = q->stamp.first_number;
    return true;
}

/* ---- what is remembered ---- */

int collection_reserve_request(struct collection *c, struct collection_write *w, struct error *err)
{
    if (request_stamp_is_none(&w->request)) return 0;
    w->request.first_number = w->first_number;
    return request_window_reserve(&c->requests, err);
}

void collection_remember_request(struct collection *c, const struct collection_write *w,
                                 uint64_t lsn)
{
    struct applied_request q = {w->request, lsn, (uint32_t)w->row_count};
    if (!request_stamp_is_none(&w->request)) request_window_add(&c->requests, &q);
}

int collection_replay_request(struct collection *c, const struct record_view *r, uint64_t lsn,
                              struct error *err)
{
    struct applied_request q = {r->request, lsn, (uint32_t)r->count};

    if (request_stamp_is_none(&r->request) || c->desc.read_only) return 0;
    if (lsn <= c->manifest.flushed_lsn) return 0;                 /* (3) */
    if (request_window_newest_lsn(&c->requests) >= lsn) return 0; /* one a group */
    if (request_window_reserve(&c->requests, err) != 0) return -1;
    request_window_add(&c->requests, &q);
    request_window_trim(&c->requests);
    return 0;
}

int collection_load_requests(struct collection *c, const struct applied_requests *from,
                             struct error *err)
{
    for (size_t i = 0; i < from->count && !c->desc.read_only; i++) {
        if (request_window_reserve(&c->requests, err) != 0) return -1;
        request_window_add(&c->requests, &from->list[i]);
    }
    return 0;
}

int collection_keep_requests(struct collection *c, struct manifest *m, struct error *err)
{
    uint64_t upto = FAULT(REQUESTS_ABOVE_F) ? UINT64_MAX : m->flushed_lsn;

    if (c->requests.count == 0 || FAULT(SEAL_FORGETS_REQUESTS)) return 0;
    return request_window_copy(&c->requests, upto, c->desc.clock->wall_us(c->desc.clock),
                               &m->requests, err);
}
