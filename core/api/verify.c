/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c — looks at everything of a collection and says what is wrong.
 *
 * WHAT        A view is verified on the calling thread; what is found is kept as texts.
 * INVARIANTS  (1) Nothing is written, and writers go on meanwhile: it is about one version.
 * THREADS     Any.
 * FAILURE     Without a list there is no answer: a list that is not whole says nothing.
 */
#include <stdio.h>

#include "api/handles.h"
#include "query/row_filter.h"
#include "segment/view_verify.h"

enum { FINDINGS_MAX = 10000 /* more say nothing more */ };

struct texts {
    struct buf bytes; /* one after another, each with its NUL */
    size_t count;
};

struct findings {
    struct lynse *db;
    struct host *host;
    const uint32_t *cancel;
    struct texts wrong, indexes;
};

static int keep_text(struct texts *t, const char *text)
{
    if (t->count == FINDINGS_MAX) return 0;
    buf_append(&t->bytes, text, strlen(text) + 1);
    if (t->bytes.failed) return -1;
    t->count++;
    return 0;
}

static int keep(void *ctx, const struct error *finding)
{
    return keep_text(&((struct findings *)ctx)->wrong, finding->text);
}

static int keep_index(void *ctx, const struct verified_index *found)
{
    const struct index_plan *plan = segment_index_plan(found->index);
    struct index_mode mode = {plan->kind, segment_index_metric(found->index), plan->quantizer,
                              false};
    char word[INDEX_MODE_BYTES], line[INDEX_MODE_BYTES + 96];

    index_mode_format(&mode, word, sizeof word);
    snprintf(line, sizeof line, "%s of %u records: finds %.1f %% of the 10 nearest of %u of them",
             word, found->row_count, 100 * found->recall, found->probe_count);
    return keep_text(&((struct findings *)ctx)->indexes, line);
}

static bool is_shown(void *ctx, const struct segment_index *index)
{
    const struct findings *f = (const struct findings *)ctx;
    struct error err = {0};
    struct view *newest = NULL;
    bool is = false;

    if (engine_view(f->host, &newest, &err) != 0) return false; /* it is being closed */
    for (size_t i = 0; i < newest->part_count; i++) is |= newest->parts[i].index == index;
    view_release(newest);
    return is;
}

static int look(void *ctx, struct error *err)
{
    const struct findings *f = (const struct findings *)ctx;

    if (!is_cancelled(&f->db->is_closing, f->cancel)) return 0;
    return error_set(err, LYNSE_CANCELLED, "the verification was cancelled");
}

static int give(struct lynse *db, const struct texts *t, struct lynse_names **out,
                struct error *err)
{
    struct alloc *a = db->engine->alloc;
    size_t bytes = (t->count + 1) * sizeof(struct slice);
    struct slice *list = (struct slice *)mem_alloc(a, MEM_GENERAL, bytes);

    if (!list) return error_no_memory(err, bytes);
    const char *at = (const char *)t->bytes.data;
    for (size_t i = 0; i < t->count; i++) {
        list[i] = slice_of_text(at);
        at += list[i].size + 1;
    }
    int rc = api_names(db, list, t->count, out, err);
    mem_free(a, list);
    return rc;
}

/* Both lists, or none. */
static int give_all(const struct findings *f, struct lynse_names **out_indexes,
                    struct lynse_names **out, struct error *err)
{
    struct lynse_names *indexes = NULL;

    if (out_indexes && give(f->db, &f->indexes, &indexes, err) != 0) return -1;
    if (give(f->db, &f->wrong, out, err) != 0) {
        lynse_names_free(indexes);
        return -1;
    }
    if (out_indexes) *out_indexes = indexes;
    return 0;
}

static int verify(struct lynse_collection *c, const struct lynse_verify_desc *desc,
                  struct lynse_names **out, struct error *err)
{
    struct findings f = {.db = c->db, .host = c->host, .cancel = desc->cancel};
    struct view *view = NULL;
    int rc = -1;

    if (desc->level > LYNSE_VERIFY_DEEP)
        return error_set(err, LYNSE_INVALID, "level: %u, quick (1), full (2) or deep (3)",
                         desc->level);
    buf_init(&f.wrong.bytes, c->db->engine->alloc, MEM_GENERAL);
    buf_init(&f.indexes.bytes, c->db->engine->alloc, MEM_GENERAL);
    if (engine_view(c->host, &view, err) == 0) {
        struct view_verify_desc verify = {
            .view = view,
            .alloc = c->db->engine->alloc,
            .level = desc->level == 0 ? VERIFY_FULL : (enum verify_level)desc->level,
            .report = keep,
            .report_index = keep_index,
            .is_shown = is_shown,
            .look = look,
            .ctx = &f,
        };
        rc = view_verify(&verify, err);
        view_release(view);
    }
    if (rc == 0) rc = give_all(&f, desc->out_indexes, out, err);
    else api_explain(c->db, err);
    buf_deinit(&f.wrong.bytes);
    buf_deinit(&f.indexes.bytes);
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
