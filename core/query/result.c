/* SPDX-License-Identifier: Apache-2.0 */
#include "query/result.h"

#include "base/bytes.h"
#include "base/check.h"
#include "quant/narrow_rows.h"

enum { COLUMN_ALIGN = 8 };

/* count x bytes more, at a multiple of COLUMN_ALIGN; false on overflow. */
static bool reserve_column(size_t *total, size_t count, size_t bytes, size_t *out_offset)
{
    size_t size;
    *out_offset = *total;
    return size_mul(count, bytes, &size) && size_add(*total, size, total) &&
           size_add(*total, align_up(size, COLUMN_ALIGN) - size, total);
}

int result_init(struct result *r, struct alloc *a, const struct view *v, size_t capacity,
                size_t query_count, unsigned columns, struct error *err)
{
    size_t total = 0, ends, ids, scores, documents, vectors;
    size_t scored = columns & RESULT_SCORES ? capacity : 0;
    size_t documented = columns & RESULT_DOCUMENTS ? capacity : 0;
    size_t vectored = columns & RESULT_VECTORS ? capacity : 0;

    *r = (struct result){0};
    /* One block for all: a small result is one allocation. */
    if (!reserve_column(&total, query_count, sizeof *r->query_ends, &ends) ||
        !reserve_column(&total, capacity, sizeof *r->ids, &ids) ||
        !reserve_column(&total, documented, sizeof *r->documents, &documents) ||
        !reserve_column(&total, scored, sizeof *r->scores, &scores) ||
        !reserve_column(&total, vectored, v->dim * sizeof *r->vectors, &vectors))
        return error_set(err, LYNSE_TOO_LARGE, "a result of %zu rows with %u floats cannot be held",
                         capacity, v->dim);
    *r = (struct result){.capacity = capacity,
                         .query_count = query_count,
                         .dim = v->dim,
                         .metric = v->metric,
                         .index_kind = v->index_kind,
                         .as_of_lsn = v->lsn};
    arena_init(&r->arena, a, MEM_SEARCH);
    uint8_t *block = (uint8_t *)arena_alloc(&r->arena, total);
    if (!block) {
        *r = (struct result){0};
        return error_no_memory(err, total);
    }
    r->query_ends = (size_t *)(block + ends);
    r->ids = (struct record_id *)(block + ids);
    if (columns & RESULT_SCORES) r->scores = (float *)(block + scores);
    if (columns & RESULT_DOCUMENTS) r->documents = (struct slice *)(block + documents);
    if (columns & RESULT_VECTORS) r->vectors = (float *)(block + vectors);
    return 0;
}

void result_deinit(struct result *r)
{
    if (r->arena.alloc) arena_deinit(&r->arena);
    *r = (struct result){0};
}

static int copy_bytes(struct result *r, struct slice from, struct slice *out, struct error *err)
{
    *out = slice_of(NULL, 0);
    if (from.size == 0) return 0;
    uint8_t *copy = (uint8_t *)arena_alloc(&r->arena, from.size);
    if (!copy) return error_no_memory(err, from.size);
    memcpy(copy, from.data, from.size);
    *out = slice_of(copy, from.size);
    return 0;
}

static int add_document(struct result *r, struct segment *segment, uint32_t row, struct error *err)
{
    struct doc_ref ref = {0};
    if (segment_document(segment, row, &ref, err) != 0) return -1;
    int rc = copy_bytes(r, ref.document, &r->documents[r->count], err);
    doc_ref_release(&ref);
    return rc;
}

int result_add(struct result *r, const struct view *v, uint32_t part, uint32_t row, float score,
               struct error *err)
{
    struct segment *segment = v->parts[part].segment;
    struct record_id id;
    CHECK(r->count < r->capacity && r->dim == v->dim);

    if (segment_id(segment, row, &id, err) != 0) return -1;
    if (id.is_text && copy_bytes(r, id.text, &id.text, err) != 0) return -1;
    if (r->documents && add_document(r, segment, row, err) != 0) return -1;
    if (r->vectors) {
        float *vector = r->vectors + r->count * r->dim;
        if (vector_source_read(&segment->vectors, row, 1, vector, NULL, err) != 0) return -1;
    }
    r->ids[r->count] = id;
    if (r->scores) r->scores[r->count] = score;
    r->count++;
    return 0;
}

void result_end_query(struct result *r)
{
    CHECK(r->queries_ended < r->query_count);
    r->query_ends[r->queries_ended++] = r->count;
}
