/* SPDX-License-Identifier: Apache-2.0 */
/* read.c — reads that score nothing: by id, counts, walks.
 *
 * WHAT        Each read takes the collection's view on the calling thread and lets it go; a walk
 *             holds its view until it is freed.
 * INVARIANTS  (1) No read waits for the collection's actor.
 *             (2) What a walk gives is of one version, whatever is written meanwhile.
 * THREADS     Any; one walk has one user at a time.
 * FAILURE     Nothing is given out; a walk stays where it was.
 */
#include "api/handles.h"
#include "base/limits.h"

struct lynse_scan {
    struct api_child child; /* first */
    struct lynse *db;
    struct fetch_cursor cursor;
    unsigned columns;
    uint64_t timeout_us; /* of a step */
    const uint32_t *cancel;
};

int api_filter(struct lynse *db, const char *where, uint64_t timeout_us, struct fetch_filter *out,
               struct error *err)
{
    *out = (struct fetch_filter){
        .where = slice_of_text(where),
        .fields = db->engine->fields,
        .limits = {.clock = db->engine->clock, .cancel = &db->is_closing},
    };
    return api_deadline(db->engine, timeout_us, &out->limits.deadline_us, err);
}

static int check_flags(uint32_t flags, uint32_t known, struct error *err)
{
    if (!(flags & ~known)) return 0;
    return error_set(err, LYNSE_INVALID, "flags: unknown bits 0x%x", flags & ~known);
}

static int get(struct lynse_collection *c, const struct lynse_id *ids, size_t count, uint32_t flags,
               struct lynse_hits **out, struct error *err)
{
    struct alloc *a = c->db->engine->alloc;
    struct record_id *list = NULL;
    struct view *view = NULL;
    struct result result = {0};
    int rc = -1;

    if (check_flags(flags, LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS, err) != 0) return -1;
    if (api_ids(a, ids, count, &list, err) != 0) return -1;
    if (engine_view(c->host, &view, err) == 0)
        rc = fetch_ids(a, view, list, count, api_columns(flags), &result, err);
    if (view) view_release(view);
    mem_free(a, list);
    return rc == 0 ? api_hits(c->db, &result, out, err) : -1;
}

int lynse_get(struct lynse_collection *c, const struct lynse_id *ids, size_t count, uint32_t flags,
              struct lynse_hits **out, struct lynse_error *err)
{
    struct error failed = {0};

    if (!c) return api_missing("c", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside) return api_fail(&failed, err);
    if (get(c, ids, count, flags, out, &failed) == 0) return LYNSE_OK;
    api_explain(c->db, &failed);
    return api_fail(&failed, err);
}

int lynse_exists(struct lynse_collection *c, const struct lynse_id *id, int *out,
                 struct lynse_error *err)
{
    struct error failed = {0};
    struct record_id r;
    struct view *view;

    if (!c) return api_missing("c", err);
    if (!id) return api_missing("id", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside) return api_fail(&failed, err);
    if (api_id(id, &r, &failed) != 0 || engine_view(c->host, &view, &failed) != 0)
        return api_fail(&failed, err);
    int found = fetch_exists(view, &r, &failed);
    view_release(view);
    if (found < 0) return api_fail(&failed, err);
    *out = found;
    return LYNSE_OK;
}

int lynse_count(struct lynse_collection *c, uint64_t *out, struct lynse_error *err)
{
    struct error failed = {0};
    struct view *view;

    if (!c) return api_missing("c", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside) return api_fail(&failed, err);
    if (engine_view(c->host, &view, &failed) != 0) return api_fail(&failed, err);
    *out = view->live_count;
    view_release(view);
    return LYNSE_OK;
}

int lynse_count_where(struct lynse_collection *c, const char *where, uint64_t *out,
                      struct lynse_error *err)
{
    struct error failed = {0};
    struct view *view;

    if (!c) return api_missing("c", err);
    if (!where) return api_missing("where", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || engine_view(c->host, &view, &failed) != 0) return api_fail(&failed, err);
    struct fetch_filter filter;
    int rc = api_filter(c->db, where, 0, &filter, &failed);
    if (rc == 0) rc = fetch_count(c->db->memory->alloc, view, &filter, out, &failed);
    view_release(view);
    api_explain(c->db, &failed);
    return rc == 0 ? LYNSE_OK : api_fail(&failed, err);
}

/* ---- walks ---- */

static void end_scan(struct api_child *child)
{
    struct lynse_scan *s = (struct lynse_scan *)child;

    fetch_cursor_deinit(&s->cursor);
    mem_free(s->db->memory->alloc, s);
}

static int begin_scan(struct lynse_collection *c, const char *where, uint32_t flags,
                      struct lynse_scan **out, struct error *err)
{
    struct alloc *a = c->db->memory->alloc;
    struct view *view;

    if (engine_view(c->host, &view, err) != 0) return -1;
    struct lynse_scan *s = mem_zalloc(a, MEM_SEARCH, sizeof *s);
    if (!s) {
        view_release(view);
        return error_no_memory(err, sizeof *s);
    }
    s->db = c->db;
    s->columns = api_columns(flags);
    fetch_cursor_init(&s->cursor, view, flags & LYNSE_SCAN_DELETED);
    struct fetch_filter filter;
    if (where && (api_filter(c->db, where, 0, &filter, err) != 0 ||
                  fetch_cursor_filter(&s->cursor, a, &filter, err) != 0)) {
        fetch_cursor_deinit(&s->cursor);
        mem_free(a, s);
        return -1;
    }
    api_adopt(c->db, &s->child, end_scan);
    *out = s;
    return 0;
}

int lynse_scan_begin(struct lynse_collection *c, uint32_t flags, struct lynse_scan **out,
                     struct lynse_error *err)
{
    const uint32_t known = LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS | LYNSE_SCAN_DELETED;
    struct error failed = {0};

    if (!c) return api_missing("c", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || check_flags(flags, known, &failed) != 0 ||
        begin_scan(c, NULL, flags, out, &failed) != 0)
        return api_fail(&failed, err);
    return LYNSE_OK;
}

int lynse_query_begin(struct lynse_collection *c, const char *where, uint32_t flags,
                      struct lynse_scan **out, struct lynse_error *err)
{
    struct error failed = {0};

    if (!c) return api_missing("c", err);
    if (!where) return api_missing("where", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || check_flags(flags, LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS, &failed) != 0 ||
        begin_scan(c, where, flags, out, &failed) != 0)
        return api_fail(&failed, err);
    return LYNSE_OK;
}

void lynse_scan_limit(struct lynse_scan *s, uint64_t timeout_us, const uint32_t *cancel)
{
    if (!s) return;
    s->timeout_us = timeout_us;
    s->cancel = cancel;
}

/* The time of a step begins. */
static int begin_step(struct lynse_scan *s, struct error *err)
{
    struct row_limits limits = {
        .clock = s->db->engine->clock, .cancel = &s->db->is_closing, .host_cancel = s->cancel};

    if (engine_check(s->db->engine, err) != 0 ||
        api_deadline(s->db->engine, s->timeout_us, &limits.deadline_us, err) != 0)
        return -1;
    fetch_cursor_limit(&s->cursor, &limits);
    return 0;
}

int lynse_scan_next(struct lynse_scan *s, size_t row_max, struct lynse_hits **out,
                    struct lynse_error *err)
{
    struct error failed = {0};
    struct result result = {0};

    if (!s) return api_missing("s", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&s->child, &failed);
    if (!inside) return api_fail(&failed, err);
    if (row_max == 0 || row_max > LIMIT_BATCH_ROWS) {
        error_set(&failed, LYNSE_LIMIT, "row_max: %zu, allowed are 1 to %d", row_max,
                  LIMIT_BATCH_ROWS);
        return api_fail(&failed, err);
    }
    if (begin_step(s, &failed) != 0 ||
        fetch_next(&s->cursor, s->db->memory->alloc, row_max, s->columns, &result, &failed) != 0 ||
        api_hits(s->db, &result, out, &failed) != 0) {
        api_explain(s->db, &failed);
        return api_fail(&failed, err);
    }
    return LYNSE_OK;
}

uint64_t lynse_scan_skip(struct lynse_scan *s, uint64_t row_count)
{
    API_CALL struct api_child *inside = s ? api_enter(&s->child, NULL) : NULL;
    return inside && begin_step(s, NULL) == 0 ? fetch_skip(&s->cursor, row_count) : 0;
}

void lynse_scan_free(struct lynse_scan *s)
{
    if (s) api_end(&s->child);
}

int lynse_list_fields(struct lynse_collection *c, struct lynse_names **out, struct lynse_error *err)
{
    struct error failed = {0};
    struct arena arena;
    struct view *view;
    const struct slice *names = NULL;
    size_t count = 0;

    if (!c) return api_missing("c", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside) return api_fail(&failed, err);
    if (engine_view(c->host, &view, &failed) != 0) return api_fail(&failed, err);
    arena_init(&arena, c->db->memory->alloc, MEM_SEARCH);
    int rc = fetch_field_names(c->db->memory->alloc, view, &arena, &names, &count, &failed);
    if (rc == 0) rc = api_names(c->db, names, count, out, &failed);
    arena_deinit(&arena);
    view_release(view);
    return rc == 0 ? LYNSE_OK : api_fail(&failed, err);
}
