/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/check.h"
#include "model/driver.h"

static void driver_identify(struct driver_write *w, uint32_t number)
{
    uint8_t id[REQUEST_ID_BYTES] = {1};

    store_u32(id + 8, number);
    w->request = number;
    collection_write_identify(&w->w, id);
}

void driver_write_make(struct driver *d, struct driver_write *out, const struct ref_group *g)
{
    static const enum write_kind kinds[] = {WRITE_ADD, WRITE_UPSERT, WRITE_DELETE, WRITE_RESTORE};
    bool has_rows = g->kind == REF_ADD || g->kind == REF_UPSERT;
    size_t ends[REF_GROUP_ROWS + 1] = {0};

    *out = (struct driver_write){.group = *g};
    buf_init(&out->bytes, d->alloc, MEM_GENERAL);
    out->vectors = mem_zalloc(d->alloc, MEM_GENERAL, g->count * g->dim * sizeof(float) + 4);
    CHECK(out->vectors);
    for (size_t i = 0; i < g->count; i++) {
        out->ids[i] = reference_id(g->ids[i]);
        if (has_rows) reference_vector(g->vectors[i], g->dim, out->vectors + i * g->dim);
        reference_document(g->documents[i], &out->bytes);
        ends[i + 1] = out->bytes.size;
    }
    for (size_t i = 0; i < g->count; i++)
        out->documents[i] = slice_of(out->bytes.data + ends[i], ends[i + 1] - ends[i]);
    out->w = (struct collection_write){
        .kind = kinds[g->kind],
        .ids = g->is_auto ? NULL : out->ids,
        .count = g->count,
        .vectors = has_rows ? out->vectors : NULL,
        .dim = has_rows ? g->dim : 0,
        .documents = has_rows && g->has_documents ? out->documents : NULL,
        .sync = g->level,
    };
    if (d->has_requests) driver_identify(out, ++d->last_request);
}

void driver_write_deinit(struct driver *d, struct driver_write *w)
{
    buf_deinit(&w->bytes);
    mem_free(d->alloc, w->vectors);
}

/* May a write answer this while the disk or the memory fails? */
static bool is_excuse(int code)
{
    return code == LYNSE_IO || code == LYNSE_DISK_FULL || code == LYNSE_NO_MEMORY ||
           code == LYNSE_READ_ONLY || code == LYNSE_OUTCOME_UNKNOWN || code == LYNSE_BUSY;
}

/* Ids that an add in doubt was given, if it is there: those after all that were given before it. */
static void give_doubtful_ids(struct driver *d, struct ref_group *g)
{
    int max = d->ref.max_number;

    for (size_t i = 0; i < d->doubt_count; i++)
        for (size_t k = 0; k < d->doubts[i].count && d->doubts[i].kind < REF_DELETE; k++)
            if (d->doubts[i].ids[k] < REF_NUMBERS && d->doubts[i].ids[k] > max)
                max = d->doubts[i].ids[k];
    for (size_t k = 0; k < g->count && g->is_auto; k++) g->ids[k] = max + 1 + (int)k;
}

static void note_refusal(struct driver *d, struct driver_write *w)
{
    d->refusals++;
    if (w->w.error.code != LYNSE_OUTCOME_UNKNOWN) return;
    d->has_doubt = true;
    give_doubtful_ids(d, &w->group);
    d->doubts[d->doubt_count++] = w->group;
}

/* Sealing failed while something failed, and as many tails wait as may. */
static bool is_pushed_back(const struct driver *d, const struct collection_write *w)
{
    struct error why = {0};

    return w->kind <= WRITE_UPSERT && d->c->seal_failures > 0 &&
           collection_check_room(d->c, &why) != 0 && why.code == w->error.code;
}

/* What the collection's actor does by a timer.  Nothing fails now, so it must do. */
static int seal_again(struct driver *d)
{
    struct error err = {0};

    d->is_pushed_back = false;
    if (d->has_failed || d->c->seal.is_active) return 0;
    if (collection_flush(d->c, false, &err) != 0)
        return driver_fail(d, "flush after a push-back: %s: %s", error_name(err.code), err.text);
    if (collection_check_room(d->c, &err) != 0)
        return driver_fail(d, "no room after a flush: %s", err.text);
    d->kill_promise = d->power_promise = d->ref.lsn;
    return 0;
}

static void note_level(struct driver *d, const struct collection_write *w)
{
    if (w->sync_reached == SYNC_ALWAYS) d->power_promise = d->ref.lsn;
    if (w->sync_reached < SYNC_NONE) d->kill_promise = d->ref.lsn;
    if (d->kill_promise < d->power_promise) d->kill_promise = d->power_promise;
}

/* Answers come in order, so the reference does each group when its answer is there. */
void driver_written(void *ctx, struct collection_write *cw)
{
    struct driver *d = ctx;
    struct driver_write *w = (struct driver_write *)cw;
    size_t index = (size_t)(w - d->writing), rows;

    if (!d->writing) return;
    if (w->is_answered || (index > 0 && !d->writing[index - 1].is_answered)) {
        driver_fail(d, "group %zu was answered out of turn", index);
        return;
    }
    w->is_answered = true;
    /* In doubt it stays until it is opened again; so does what came behind it. */
    if (cw->error.code && d->expects_errors && is_excuse(cw->error.code)) {
        note_refusal(d, w);
        return;
    }
    if (cw->error.code && is_pushed_back(d, cw)) {
        d->is_pushed_back = true;
        d->refusals++;
        return;
    }
    int code = reference_judge(&d->ref, &w->group, &rows);
    if (cw->error.code != code) {
        driver_fail(d, "group %zu answered %s (%s), want %s", index, error_name(cw->error.code),
                    cw->error.text, error_name(code));
        return;
    }
    if (code) return;
    if (w->group.is_auto && (int)cw->first_number != d->ref.max_number + 1)
        driver_fail(d, "first id given %llu, want %d", (unsigned long long)cw->first_number,
                    d->ref.max_number + 1);
    for (size_t i = 0; w->group.is_auto && i < w->group.count; i++)
        w->group.ids[i] = (int)cw->first_number + (int)i;
    if (rows > 0) reference_apply(&d->ref, &w->group);
    if (cw->row_count != rows || cw->lsn != (rows > 0 ? d->ref.lsn : 0))
        driver_fail(d, "group %zu: LSN %llu, %llu rows; want %llu, %zu", index,
                    (unsigned long long)cw->lsn, (unsigned long long)cw->row_count,
                    (unsigned long long)d->ref.lsn, rows);
    note_level(d, cw);
    if (w->request == 0 || rows == 0) return;
    if (cw->is_repeat) driver_fail(d, "group %zu was answered as a repeat", index);
    d->requests[d->ref.lsn % DRIVER_REQUESTS] =
        (struct driver_request){w->group, w->request, d->ref.lsn, rows};
}

/* As a client does that got no answer. */
static int retry(struct driver *d, const struct driver_request *q)
{
    struct driver_write w;
    struct collection_write *one = &w.w;
    bool has_requests = d->has_requests;

    d->has_requests = false;
    driver_write_make(d, &w, &q->group);
    d->has_requests = has_requests;
    driver_identify(&w, q->number);
    d->writing = NULL;
    collection_write_batch(d->c, &one, 1);
    driver_write_deinit(d, &w);
    if (one->error.code)
        return driver_fail(d, "the retry of LSN %llu answered %s: %s", (unsigned long long)q->lsn,
                           error_name(one->error.code), one->error.text);
    if (!one->is_repeat || one->lsn != q->lsn || one->row_count != q->row_count ||
        d->c->applied_lsn != d->ref.lsn)
        return driver_fail(d, "the retry of LSN %llu got LSN %llu, %llu rows",
                           (unsigned long long)q->lsn, (unsigned long long)one->lsn,
                           (unsigned long long)one->row_count);
    return 0;
}

int driver_retry(struct driver *d)
{
    for (size_t i = 0; i < DRIVER_REQUESTS; i++) {
        struct driver_request *q = &d->requests[i];
        if (q->lsn > d->ref.lsn) q->lsn = 0;
        if (q->lsn > 0 && retry(d, q) != 0) return -1;
    }
    return 0;
}

int driver_write(struct driver *d, struct driver_write *writes, size_t count)
{
    struct collection_write *list[DRIVER_WRITES];
    struct error err = {0};

    for (size_t i = 0; i < count; i++) {
        list[i] = &writes[i].w;
        if (collection_write_check(d->alloc, list[i], &err) != 0)
            return driver_fail(d, "check: %s: %s", error_name(err.code), err.text);
    }
    d->writing = writes;
    d->writing_count = count;
    collection_write_batch(d->c, list, count);
    for (size_t i = 0; i < count; i++)
        if (!writes[i].is_answered) return driver_fail(d, "group %zu was not answered", i);
    if (d->is_pushed_back && seal_again(d) != 0) return -1;
    reference_forget(&d->ref, d->power_promise);
    return d->has_failed ? -1 : 0;
}
