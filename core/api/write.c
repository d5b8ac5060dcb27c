/* SPDX-License-Identifier: Apache-2.0 */
/* write.c — add, upsert, delete, restore: copy the request, check it, send it, wait or not.
 *
 * WHAT        One copy from the caller's memory into one block of the message, or two: many vectors
 *             get one of their own, which the tail keeps.  The check runs on the copy, so that
 *             nothing the caller does meanwhile can matter.
 * INVARIANTS  (1) The message holds no pointer into the caller's memory.
 *             (2) A wait that ends before the answer is OUTCOME_UNKNOWN, never success or failure
 *                 (P4).
 * THREADS     Any.
 * FAILURE     Everything up to the send leaves nothing behind.
 */
#include "api/handles.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"

enum { OPTIONS_V1_BYTES = offsetof(struct lynse_write_options, request_id) };

struct write_request {
    enum write_kind kind;
    const struct lynse_id *ids;
    const uint64_t *numbers;
    size_t count;
    const float *vectors;
    uint32_t dim;
    const struct lynse_bytes *fields;
    const uint64_t *lsns; /* DELETE: see collection_write.if_lsns; NULL: whatever their version */
    const uint8_t *id;    /* of the request; NULL, or all zero: none */
    const char *where;    /* DELETE: not NULL: this is the command, the ids are what it came to */
};

static int check_sizes(const struct write_request *r, struct error *err)
{
    if (r->count == 0 && !r->where) return error_set(err, LYNSE_INVALID, "count: no rows given");
    if (r->count > LIMIT_BATCH_ROWS)
        return error_set(err, LYNSE_LIMIT, "count: %zu rows, at most %d a call", r->count,
                         LIMIT_BATCH_ROWS);
    if (r->ids && r->numbers)
        return error_set(err, LYNSE_INVALID, "ids and numbers: give one of them");
    if (!r->ids && !r->numbers && r->kind != WRITE_ADD)
        return error_set(err, LYNSE_INVALID, "ids: missing");
    if (r->kind == WRITE_DELETE || r->kind == WRITE_RESTORE) return 0;
    if (!r->vectors) return error_set(err, LYNSE_INVALID, "vectors: missing");
    if (r->dim == 0)
        return error_set(err, LYNSE_DIMENSION, "dim: 0, allowed are 1 to %d", LIMIT_DIM);
    if (r->dim > LIMIT_DIM)
        return error_set(err, LYNSE_LIMIT, "dim: %u, at most %d", r->dim, LIMIT_DIM);
    return 0;
}

/* Bytes of the vectors that get a block of their own; 0: they lie with the rest. */
static size_t block_bytes(const struct write_request *r)
{
    size_t bytes = r->vectors ? r->count * r->dim * sizeof(float) : 0;
    return bytes >= LOG_BULK_BYTES ? bytes : 0;
}

/* Bytes of the copy, all of it; every addend is bounded before it is added. */
static int measure(const struct write_request *r, size_t *out, struct error *err)
{
    size_t row_bytes = sizeof(struct record_id) + sizeof(struct slice) + sizeof(uint64_t);
    size_t group = r->vectors ? r->count * r->dim * sizeof(float) : 0;

    for (size_t i = 0; r->ids && i < r->count; i++) {
        if (api_check_id(&r->ids[i], err) != 0) return error_wrap(err, "id at %zu", i);
        if (!r->ids[i].text) continue;
        if (r->ids[i].text_bytes == 0 || r->ids[i].text_bytes > LIMIT_ID_BYTES)
            return error_set(err, r->ids[i].text_bytes ? LYNSE_LIMIT : LYNSE_INVALID,
                             "id at %zu: %u bytes, allowed are 1 to %d", i, r->ids[i].text_bytes,
                             LIMIT_ID_BYTES);
        group += r->ids[i].text_bytes;
    }
    for (size_t i = 0; r->fields && i < r->count; i++) {
        if (r->fields[i].size > LIMIT_DOC_BYTES)
            return error_set(err, LYNSE_LIMIT, "fields of row %zu: %zu bytes, at most %d", i,
                             r->fields[i].size, LIMIT_DOC_BYTES);
        if (r->fields[i].size > 0 && !r->fields[i].data)
            return error_set(err, LYNSE_INVALID, "fields of row %zu: missing", i);
        group += r->fields[i].size;
    }
    if (group > LIMIT_GROUP_BYTES)
        return error_set(err, LYNSE_TOO_LARGE,
                         "ids, vectors and fields: %zu bytes, at most %llu a call", group,
                         (unsigned long long)LIMIT_GROUP_BYTES);
    *out = group + r->count * row_bytes + 64;
    return 0;
}

static void *take(uint8_t **at, size_t bytes)
{
    void *place = *at;
    *at += bytes;
    return place;
}

static void *take_copy(uint8_t **at, const void *from, size_t bytes)
{
    void *place = take(at, bytes);
    if (bytes) memcpy(place, from, bytes);
    return place;
}

/* (1): vectors first, for their alignment; then what has pointers; then bytes. */
static void copy_request(const struct write_request *r, struct write_message *m)
{
    struct collection_write *w = &m->write;
    uint8_t *at = m->data;

    w->kind = r->kind;
    w->count = r->count;
    w->dim = r->dim;
    if (w->take_vectors) w->vectors = memcpy(w->take_vectors, r->vectors, block_bytes(r));
    else if (r->vectors) w->vectors = take_copy(&at, r->vectors, r->count * r->dim * sizeof(float));
    at = (uint8_t *)m->data + align_up((size_t)(at - (uint8_t *)m->data), 16);
    struct record_id *ids = take(&at, r->count * sizeof *ids);
    struct slice *documents = take(&at, r->count * sizeof *documents);
    if (r->lsns) w->if_lsns = take_copy(&at, r->lsns, r->count * sizeof *r->lsns);
    for (size_t i = 0; i < r->count; i++) {
        if (r->numbers) ids[i] = id_of_number(r->numbers[i]);
        else if (!r->ids || !r->ids[i].text) ids[i] = id_of_number(r->ids ? r->ids[i].number : 0);
        else
            ids[i] = id_of_text(slice_of(take_copy(&at, r->ids[i].text, r->ids[i].text_bytes),
                                         r->ids[i].text_bytes));
        if (r->fields)
            documents[i] =
                slice_of(take_copy(&at, r->fields[i].data, r->fields[i].size), r->fields[i].size);
    }
    w->ids = r->ids || r->numbers ? ids : NULL;
    w->documents = r->fields ? documents : NULL;
}

/* The message with room for the copy, the copy not yet made. */
static struct write_message *allocate_message(struct engine *e, const struct write_request *r,
                                              size_t bytes, struct error *err)
{
    struct write_message *m = message_create(e->scheduler, sizeof *m, KIND_WRITE, MESSAGE_WRITE);

    if (!m) {
        error_no_memory(err, sizeof *m);
        return NULL;
    }
    m->base.drop = write_message_drop;
    m->base.bytes += bytes;
    m->alloc = e->alloc;
    size_t own = block_bytes(r);
    m->data = mem_alloc(e->alloc, MEM_MESSAGE, bytes - own);
    if (own > 0) m->write.take_vectors = mem_alloc_aligned(e->alloc, MEM_TAIL, own, ALIGN_VECTOR);
    m->outcome = mem_zalloc(e->alloc, MEM_MESSAGE, sizeof *m->outcome);
    if (m->outcome) m->outcome->alloc = e->alloc;
    if (m->data && m->outcome && (own == 0 || m->write.take_vectors)) return m;
    error_no_memory(err, bytes);
    message_drop(&m->base, LYNSE_NO_MEMORY);
    return NULL;
}

static bool has_id(const uint8_t id[REQUEST_ID_BYTES])
{
    return !bytes_are_zero(id, REQUEST_ID_BYTES);
}

/* Of a filter the rows change with the version, the text does not. */
static void identify(const struct write_request *r, struct collection_write *w)
{
    if (!r->id || !has_id(r->id)) return;
    collection_write_identify(w, r->id);
    if (r->where) w->request.hash = hash_xxh3_64(r->where, strlen(r->where));
}

static struct write_message *make_message(struct lynse_collection *c, const struct write_request *r,
                                          uint8_t sync, struct error *err)
{
    struct engine *e = c->db->engine;
    size_t bytes = 0;

    if (engine_check(e, err) != 0 || check_sizes(r, err) != 0 || measure(r, &bytes, err) != 0)
        return NULL;
    struct write_message *m = allocate_message(e, r, bytes, err);
    if (!m) return NULL;
    copy_request(r, m);
    m->write.sync = sync;
    identify(r, &m->write);
    if (collection_write_check(e->alloc, &m->write, err) == 0) return m;
    message_drop(&m->base, LYNSE_CANCELLED);
    return NULL;
}

/* ---- answers ---- */

static struct lynse_write_result result_of(const struct write_outcome *o)
{
    return (struct lynse_write_result){o->lsn, o->row_count, o->first_number, o->sync_reached,
                                       o->is_repeat};
}

struct pending {
    struct alloc *alloc;
    struct host *host; /* there as long as its actor has the message */
    lynse_write_done *done;
    void *ctx;
};

static void deliver(void *ctx, struct answer *take_answer)
{
    struct pending p = *(struct pending *)ctx;

    mem_free(p.alloc, ctx);
    api_enter_done();
    if (take_answer->code == LYNSE_OK) {
        struct lynse_write_result result = result_of(take_answer->result);
        p.done(p.ctx, &result, NULL);
    } else {
        struct lynse_error error;
        engine_explain_closed(p.host, &take_answer->error);
        engine_explain_budget(p.host->engine, &take_answer->error);
        api_fail(&take_answer->error, &error);
        p.done(p.ctx, NULL, &error);
    }
    api_leave_done();
    answer_deinit(take_answer);
}

static int send_async(struct lynse_collection *c, struct write_message *take_m,
                      const struct lynse_write_options *o, struct error *err)
{
    struct engine *e = c->db->engine;
    struct pending *p = mem_zalloc(e->alloc, MEM_MESSAGE, sizeof *p);

    if (!p) {
        message_drop(&take_m->base, LYNSE_NO_MEMORY);
        return error_no_memory(err, sizeof *p);
    }
    *p = (struct pending){e->alloc, c->host, o->done, o->done_ctx};
    struct reply *reply = reply_create_callback(e->scheduler, deliver, p, err);
    if (!reply) {
        mem_free(e->alloc, p);
        message_drop(&take_m->base, LYNSE_NO_MEMORY);
        return -1;
    }
    take_m->base.reply = reply;
    actor_send(c->host->actor, &take_m->base);
    return 0;
}

static int send_and_wait(struct lynse_collection *c, struct write_message *take_m,
                         uint64_t deadline_us, struct lynse_write_result *result, struct error *err)
{
    struct answer answer;
    struct error waiting = {0};
    struct future *f = future_create(c->db->engine->scheduler, err);
    int rc = -1;

    if (!f) {
        message_drop(&take_m->base, LYNSE_NO_MEMORY);
        return -1;
    }
    take_m->base.reply = &f->reply;
    actor_send(c->host->actor, &take_m->base);
    if (engine_wait(c->db->engine, f, deadline_us, &answer, &waiting) != 0) {
        future_cancel(f); /* (2) */
        error_set(err, LYNSE_OUTCOME_UNKNOWN,
                  "timeout_us passed before the answer came; the write may or may not be applied");
        goto out;
    }
    if (answer.code != LYNSE_OK) {
        if (err) *err = answer.error;
        engine_explain_closed(c->host, err);
    } else {
        if (result) *result = result_of(answer.result);
        rc = 0;
    }
    answer_deinit(&answer);
out:
    future_release(f);
    return rc;
}

/* A copy of the caller's options, checked, and when they run out. */
static int read_options(struct lynse_collection *c, const struct lynse_write_options *options,
                        struct lynse_write_options *o, uint64_t *out_deadline_us, struct error *err)
{
    static const struct lynse_write_options defaults;

    if (!options) options = &defaults;
    if (api_copy_desc("options", o, sizeof *o, options, options->struct_bytes, OPTIONS_V1_BYTES,
                      err) != 0)
        return -1;
    if (o->sync && !sync_level_is_for_writes(o->sync))
        return error_set(err, LYNSE_INVALID, "sync: %u is no level that a write may ask for",
                         o->sync);
    if (!o->done && api_may_wait("a write without done", err) != 0) return -1;
    return api_deadline(c->db->engine, o->timeout_us, out_deadline_us, err);
}

static int run(struct lynse_collection *c, struct write_request *r,
               const struct lynse_write_options *options, struct lynse_write_result *result,
               struct lynse_error *err)
{
    struct lynse_write_options o;
    struct error failed = {0};
    struct write_message *m = NULL;
    uint64_t deadline;

    if (!c) return api_missing("c", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside) return api_fail(&failed, err);
    r->id = o.request_id;
    if (read_options(c, options, &o, &deadline, &failed) == 0)
        m = make_message(c, r, (uint8_t)o.sync, &failed);
    int rc = -1;
    if (m) {
        m->base.deadline_us = deadline;
        rc =
            o.done ? send_async(c, m, &o, &failed) : send_and_wait(c, m, deadline, result, &failed);
    }
    if (rc == 0) return LYNSE_OK;
    engine_explain_budget(c->db->engine, &failed);
    return api_fail(&failed, err);
}

static int run_rows(struct lynse_collection *c, enum write_kind kind, const struct lynse_rows *rows,
                    const struct lynse_write_options *options, struct lynse_write_result *result,
                    struct lynse_error *err)
{
    struct lynse_rows r;
    struct error failed = {0};

    if (api_copy_desc("rows", &r, sizeof r, rows, rows ? rows->struct_bytes : 0, sizeof r,
                      &failed) != 0)
        return api_fail(&failed, err);
    struct write_request request = {.kind = kind,
                                    .ids = r.ids,
                                    .numbers = r.numbers,
                                    .count = r.count,
                                    .vectors = r.vectors,
                                    .dim = r.dim,
                                    .fields = r.fields};
    return run(c, &request, options, result, err);
}

int lynse_add(struct lynse_collection *c, const struct lynse_rows *rows,
              const struct lynse_write_options *options, struct lynse_write_result *result,
              struct lynse_error *err)
{
    return run_rows(c, WRITE_ADD, rows, options, result, err);
}

int lynse_upsert(struct lynse_collection *c, const struct lynse_rows *rows,
                 const struct lynse_write_options *options, struct lynse_write_result *result,
                 struct lynse_error *err)
{
    return run_rows(c, WRITE_UPSERT, rows, options, result, err);
}

int lynse_delete(struct lynse_collection *c, const struct lynse_id *ids, size_t count,
                 const struct lynse_write_options *options, struct lynse_write_result *result,
                 struct lynse_error *err)
{
    struct write_request request = {.kind = WRITE_DELETE, .ids = ids, .count = count};
    return run(c, &request, options, result, err);
}

int lynse_restore(struct lynse_collection *c, const struct lynse_id *ids, size_t count,
                  const struct lynse_write_options *options, struct lynse_write_result *result,
                  struct lynse_error *err)
{
    struct write_request request = {.kind = WRITE_RESTORE, .ids = ids, .count = count};
    return run(c, &request, options, result, err);
}

/* ---- delete by filter ---- */

/* Rows that match, a group at a time. */
struct matched_rows {
    struct fetch_cursor cursor;
    struct record_id *records;
    struct lynse_id *ids;
    uint64_t *lsns;
};

static void matched_rows_free(struct alloc *a, struct matched_rows *m)
{
    fetch_cursor_deinit(&m->cursor);
    mem_free(a, m->records);
    mem_free(a, m->ids);
    mem_free(a, m->lsns);
}

static int matched_rows_init(struct lynse_collection *c, const struct fetch_filter *filter,
                             struct matched_rows *m, struct error *err)
{
    struct engine *e = c->db->engine;
    struct view *view;

    if (engine_view(c->host, &view, err) != 0) return -1;
    fetch_cursor_init(&m->cursor, view, false);
    if (fetch_cursor_filter(&m->cursor, e->alloc, filter, err) != 0) return -1;
    size_t most = view->live_count < LIMIT_BATCH_ROWS ? (size_t)view->live_count : LIMIT_BATCH_ROWS;
    m->records = mem_alloc(e->alloc, MEM_MESSAGE, (most + 1) * sizeof *m->records);
    m->ids = mem_alloc(e->alloc, MEM_MESSAGE, (most + 1) * sizeof *m->ids);
    m->lsns = mem_alloc(e->alloc, MEM_MESSAGE, (most + 1) * sizeof *m->lsns);
    return m->records && m->ids && m->lsns ? 0 : error_no_memory(err, most * sizeof *m->records);
}

/* The first `count` of the matched go in one group.  where: NULL, or the command of the request. */
static int delete_matched(struct lynse_collection *c, struct matched_rows *matched, size_t count,
                          const struct lynse_write_options *o, const char *where,
                          const struct row_limits *limits, struct lynse_write_result *total,
                          struct error *err)
{
    struct lynse_write_result one = {0};

    /* Sent now, it could not be answered in time, and nobody would know what became of it. */
    if (row_limits_check(limits, "delete", err) != 0) return -1;
    for (size_t i = 0; i < count; i++) {
        const struct record_id *id = &matched->records[i];
        matched->ids[i] =
            (struct lynse_id){id->number, id->is_text ? (const char *)id->text.data : NULL,
                              (uint32_t)id->text.size, 0};
    }
    struct write_request r = {.kind = WRITE_DELETE,
                              .ids = matched->ids,
                              .count = count,
                              .lsns = matched->lsns,
                              .id = where ? o->request_id : NULL,
                              .where = where};
    struct write_message *m = make_message(c, &r, (uint8_t)o->sync, err);
    if (!m) return -1;
    m->base.deadline_us = limits->deadline_us;
    if (send_and_wait(c, m, limits->deadline_us, &one, err) != 0) return -1;
    total->row_count += one.row_count;
    if (one.lsn) total->lsn = one.lsn;
    total->sync_reached = one.sync_reached;
    total->is_repeat = one.is_repeat;
    return 0;
}

/* A group at a time. */
static int delete_all(struct lynse_collection *c, struct matched_rows *matched,
                      const struct lynse_write_options *o, const struct row_limits *limits,
                      struct lynse_write_result *total, struct error *err)
{
    for (size_t count;;) {
        if (fetch_next_ids(&matched->cursor, LIMIT_BATCH_ROWS, matched->records, matched->lsns,
                           &count, err) != 0)
            return -1;
        if (count == 0) return 0;
        if (delete_matched(c, matched, count, o, NULL, limits, total, err) != 0) return -1;
    }
}

/* With the id of a request: it is asked for even where nothing matches, or too much does, for the
 * first time may have been before what matches now. */
static int delete_once(struct lynse_collection *c, struct matched_rows *matched,
                       const struct lynse_write_options *o, const char *where,
                       const struct row_limits *limits, struct lynse_write_result *total,
                       struct error *err)
{
    size_t count;

    if (fetch_next_ids(&matched->cursor, LIMIT_BATCH_ROWS + 1, matched->records, matched->lsns,
                       &count, err) != 0)
        return -1;
    bool is_one_group = count <= LIMIT_BATCH_ROWS;
    if (delete_matched(c, matched, is_one_group ? count : 0, o, where, limits, total, err) != 0)
        return -1;
    if (is_one_group || total->is_repeat) return 0;
    return error_set(err, LYNSE_LIMIT, "request_id: more than %d rows match, which is one group's",
                     LIMIT_BATCH_ROWS);
}

int lynse_delete_where(struct lynse_collection *c, const char *where,
                       const struct lynse_write_options *options, struct lynse_write_result *result,
                       struct lynse_error *err)
{
    struct lynse_write_options o;
    struct lynse_write_result total = {0};
    struct matched_rows matched = {0};
    struct fetch_filter filter;
    struct error failed = {0};
    uint64_t deadline;

    if (!c) return api_missing("c", err);
    if (!where) return api_missing("where", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || read_options(c, options, &o, &deadline, &failed) != 0)
        return api_fail(&failed, err);
    int rc = o.done ? error_set(&failed, LYNSE_INVALID, "done: not with a filter")
                    : api_filter(c->db, where, o.timeout_us, &filter, &failed);
    if (rc == 0) rc = matched_rows_init(c, &filter, &matched, &failed);
    if (rc == 0 && has_id(o.request_id))
        rc = delete_once(c, &matched, &o, where, &filter.limits, &total, &failed);
    else if (rc == 0) rc = delete_all(c, &matched, &o, &filter.limits, &total, &failed);
    matched_rows_free(c->db->engine->alloc, &matched);
    if (result) *result = total;
    if (rc == 0) return LYNSE_OK;
    api_explain(c->db, &failed);
    return api_fail(&failed, err);
}
