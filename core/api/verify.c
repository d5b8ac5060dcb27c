/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c — looks at everything of a collection and says what is wrong.
 *
 * WHAT        A view is verified on the calling thread; what is found is kept as texts.
 * INVARIANTS  (1) Nothing is written, and writers go on meanwhile: it is about one version.
 * THREADS     Any.
 * FAILURE     Without a list there is no answer: a list that is not whole says nothing.
 */
#include "api/handles.h"
#include "query/row_filter.h"
#include "segment/view_verify.h"

enum { FINDINGS_MAX = 10000 /* more say nothing more */ };

struct findings {
    struct lynse *db;
    const uint32_t *cancel;
    struct buf texts; /* one after another, each with its NUL */
    size_t count;
};

static int keep(void *ctx, const struct error *finding)
{
    struct findings *f = (struct findings *)ctx;

    if (f->count == FINDINGS_MAX) return 0;
    buf_append(&f->texts, finding->text, strlen(finding->text) + 1);
    if (f->texts.failed) return -1;
    f->count++;
    return 0;
}

static int look(void *ctx, struct error *err)
{
    const struct findings *f = (const struct findings *)ctx;

    if (!is_cancelled(&f->db->is_closing, f->cancel)) return 0;
    return error_set(err, LYNSE_CANCELLED, "the verification was cancelled");
}

static int give(struct findings *f, struct lynse_names **out, struct error *err)
{
    struct alloc *a = f->db->engine->alloc;
    size_t bytes = (f->count + 1) * sizeof(struct slice);
    struct slice *list = (struct slice *)mem_alloc(a, MEM_GENERAL, bytes);

    if (!list) return error_no_memory(err, bytes);
    const char *at = (const char *)f->texts.data;
    for (size_t i = 0; i < f->count; i++) {
        list[i] = slice_of_text(at);
        at += list[i].size + 1;
    }
    int rc = api_names(f->db, list, f->count, out, err);
    mem_free(a, list);
    return rc;
}

static int verify(struct lynse_collection *c, const struct lynse_verify_desc *desc,
                  struct lynse_names **out, struct error *err)
{
    struct findings f = {.db = c->db, .cancel = desc->cancel};
    struct view *view = NULL;
    int rc = -1;

    if (desc->level > LYNSE_VERIFY_DEEP)
        return error_set(err, LYNSE_INVALID, "level: %u, quick (1), full (2) or deep (3)",
                         desc->level);
    buf_init(&f.texts, c->db->engine->alloc, MEM_GENERAL);
    if (engine_view(c->host, &view, err) == 0) {
        struct view_verify_desc verify = {
            .view = view,
            .level = desc->level == 0 ? VERIFY_FULL : (enum verify_level)desc->level,
            .report = keep,
            .look = look,
            .ctx = &f,
        };
        rc = view_verify(&verify, err);
        view_release(view);
    }
    if (rc == 0) rc = give(&f, out, err);
    else api_explain_cancelled(c->db, err);
    buf_deinit(&f.texts);
    return rc;
}

int lynse_verify(struct lynse_collection *c, const struct lynse_verify_desc *desc,
                 struct lynse_names **out, struct lynse_error *err)
{
    struct lynse_verify_desc own = {0};
    struct error failed = {0};

    if (!c) return api_missing("c", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside) return api_fail(&failed, err);
    if (desc &&
        api_copy_desc("desc", &own, sizeof own, desc, desc->struct_bytes, sizeof own, &failed) != 0)
        return api_fail(&failed, err);
    return verify(c, &own, out, &failed) == 0 ? LYNSE_OK : api_fail(&failed, err);
}
