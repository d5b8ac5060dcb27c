/* SPDX-License-Identifier: Apache-2.0 */
/* rerank.c — hits as a hook sees them: id and distance, and what else it asks for.
 *
 * WHAT        Ids and distances are there at once; documents and vectors are fetched when the hook
 *             says that it wants them, and it is called again.
 * INVARIANTS  (1) A run of the hook is open within one call alone.
 *             (2) What comes back names each hit at most once: checked, whatever the host promises.
 * THREADS     One.
 * FAILURE     The hook's error, or that of a row that cannot be read; nothing is left behind but
 *             memory of the arena.
 */
#include "query/rerank.h"

#include <math.h>

#include "base/check.h"
#include "base/limits.h"
#include "quant/narrow_rows.h"

static int fetch_ids_of(const struct view *v, const struct topk *best, struct hook_hit *hits,
                        struct error *err)
{
    for (size_t i = 0; i < best->count; i++) {
        const struct candidate *c = &best->heap[i];
        hits[i] = (struct hook_hit){.score = c->distance};
        if (segment_id(v->parts[c->part].segment, c->row, &hits[i].id, err) != 0) return -1;
    }
    return 0;
}

static int fetch_document(const struct view *v, const struct candidate *c, struct arena *arena,
                          struct slice *out, struct error *err)
{
    struct doc_ref doc = {0};
    int rc = -1;

    if (segment_document(v->parts[c->part].segment, c->row, &doc, err) != 0) return -1;
    void *copy = arena_alloc(arena, doc.document.size + 1);
    if (copy) {
        if (doc.document.size > 0) memcpy(copy, doc.document.data, doc.document.size);
        *out = slice_of(copy, doc.document.size);
        rc = 0;
    } else {
        error_no_memory(err, doc.document.size);
    }
    doc_ref_release(&doc);
    return rc;
}

/* Borrowed of the segment, or in the arena where rows are not kept as floats. */
static int fetch_vector(const struct vector_source *vectors, uint32_t row, struct arena *arena,
                        const float **out, struct error *err)
{
    struct vector_run run;

    if (!vector_source_is_narrow(vectors)) {
        if (vectors->run(vectors, row, 1, &run, err) != 0) return -1;
        *out = run.vectors;
        return 0;
    }
    float *wide = (float *)arena_alloc(arena, vectors->dim * sizeof *wide);
    if (!wide) return error_no_memory(err, vectors->dim * sizeof *wide);
    *out = wide;
    return vector_source_read(vectors, row, 1, wide, NULL, err);
}

static int fetch_parts(const struct view *v, const struct topk *best, unsigned parts,
                       const struct row_limits *limits, struct arena *arena, struct hook_hit *hits,
                       struct error *err)
{
    size_t bytes = 0;

    for (size_t i = 0; i < best->count; i++) {
        const struct candidate *c = &best->heap[i];
        const struct vector_source *vectors = &v->parts[c->part].segment->vectors;
        if (row_limits_check(limits, "rerank", err) != 0) return -1;
        if ((parts & HOOK_DOCUMENTS) && fetch_document(v, c, arena, &hits[i].document, err) != 0)
            return -1;
        bytes += hits[i].document.size;
        if (bytes > LIMIT_RERANK_BYTES)
            return error_set(err, LYNSE_LIMIT,
                             "rerank: fields of %zu hits of %zu are %zu bytes, at most %llu: a "
                             "smaller k has fewer",
                             i + 1, best->count, bytes, (unsigned long long)LIMIT_RERANK_BYTES);
        if (!(parts & HOOK_VECTORS)) continue;
        if (fetch_vector(vectors, c->row, arena, &hits[i].vector, err) != 0) return -1;
    }
    return 0;
}

static int check_order(const struct hook_order *order, size_t hit_count, struct arena *arena,
                       struct error *err)
{
    uint8_t *seen = (uint8_t *)arena_zalloc(arena, hit_count + 1);

    if (!seen) return error_no_memory(err, hit_count);
    if (order->count > hit_count)
        return error_set(err, LYNSE_HOOK, "rerank: %zu hits came back of %zu", order->count,
                         hit_count);
    for (size_t i = 0; i < order->count; i++) {
        uint32_t place = order->places[i];
        if (place >= hit_count || seen[place])
            return error_set(err, LYNSE_HOOK, "rerank: place %u at %zu is %s", place, i,
                             place < hit_count ? "there twice" : "none of the hits'");
        if (isnan(order->scores[i]))
            return error_set(err, LYNSE_HOOK, "rerank: the score at %zu is NaN", i);
        seen[place] = 1;
    }
    return 0;
}

static int call_hook(struct hook_run *run, const struct row_limits *limits, const struct view *view,
                     const struct topk *best, struct hook_wants *wants, struct arena *arena,
                     struct hook_hit *list, struct hook_order *out, struct error *err)
{
    struct hook_hits hits = {.hit_count = best->count, .hits = list, .dim = view->dim};
    enum hook_result found = HOOK_WANTS_MORE;

    while (found == HOOK_WANTS_MORE) {
        unsigned missing = wants->parts & ~hits.parts;
        if (fetch_parts(view, best, missing, limits, arena, list, err) != 0) return -1;
        hits.parts |= missing;
        out->count = 0;
        found = hook_rerank(run, &hits, wants, out, err);
    }
    return found == HOOK_DONE ? 0 : -1;
}

int rerank_hits(struct hook *hook, const struct row_limits *limits, const struct view *view,
                const struct topk *best, struct hook_wants *wants, struct arena *arena,
                struct hook_order *out, struct error *err)
{
    struct hook_run *run;
    size_t count = best->count;

    if (count > HOOK_HITS_MAX)
        return error_set(err, LYNSE_LIMIT, "k: %zu hits to rerank, at most %d", count,
                         HOOK_HITS_MAX);
    struct hook_hit *list = (struct hook_hit *)arena_alloc(arena, (count + 1) * sizeof *list);
    out->places = (uint32_t *)arena_alloc(arena, (count + 1) * sizeof *out->places);
    out->scores = (float *)arena_alloc(arena, (count + 1) * sizeof *out->scores);
    if (!list || !out->places || !out->scores) return error_no_memory(err, count * sizeof *list);
    if (fetch_ids_of(view, best, list, err) != 0) return -1;
    if (hook_begin(hook, limits->deadline_us, &run, err) != 0) return -1;
    int rc = call_hook(run, limits, view, best, wants, arena, list, out, err);
    hook_end(run);
    return rc == 0 ? check_order(out, count, arena, err) : -1;
}
