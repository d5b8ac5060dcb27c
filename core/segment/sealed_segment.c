/* SPDX-License-Identifier: Apache-2.0 */
/* sealed_segment.c — an immutable segment over its mapped parts.
 *
 * WHAT        ids_file.c and doc_file.c behind segment_ops; vectors and norms out of the map.
 * INVARIANTS  (1) It has one part each of ids, vectors of field 0 and documents, all of row_count
 *                 rows.  A delete map may be named beside them; it is read by its own owner.
 *             (2) A vector that is handed out was verified; a run is as long as RUN_BYTES, so that
 *                 a scan verifies just ahead of what it reads, in cache.
 * THREADS     Any; it never changes.
 * FAILURE     CORRUPT where bytes are damaged; the rest of the segment can still be read.
 */
#include "segment/sealed_segment.h"

#include "base/check.h"
#include "base/limits.h"
#include "quant/narrow_rows.h"
#include "simd/kernels.h"

enum {
    RUN_BYTES = 16 * CHECKSUM_BLOCK_BYTES, /* a megabyte */
    NORM_PIECE = 1024,                     /* of whole words of bits */
};

struct sealed_segment {
    struct segment base; /* first */
    struct alloc *alloc;
    uint64_t last_lsn; /* as the manifest has it */
    uint32_t row_count;
    struct ids_file *ids;
    struct doc_file *documents;
    struct part_file *vectors;
    const struct part_section *rows;
    const struct part_section *norms;
};

static struct sealed_segment *sealed_of(struct segment *s)
{
    return (struct sealed_segment *)s;
}

/* ---- segment_ops ---- */

static int sealed_id(struct segment *s, uint32_t row, struct record_id *out, struct error *err)
{
    return ids_file_id(sealed_of(s)->ids, row, out, err);
}

static int sealed_lsn(struct segment *s, uint32_t row, uint64_t *out, struct error *err)
{
    return ids_file_lsn(sealed_of(s)->ids, row, out, err);
}

static int sealed_document(struct segment *s, uint32_t row, struct doc_ref *out, struct error *err)
{
    return doc_file_get(sealed_of(s)->documents, row, out, err);
}

static int sealed_find(struct segment *s, const struct record_id *id, uint32_t row_count,
                       uint32_t *out_row, struct error *err)
{
    uint32_t row;
    int found = ids_file_find(sealed_of(s)->ids, id, &row, err);
    if (found <= 0 || row >= row_count) return found < 0 ? -1 : 0;
    *out_row = row;
    return 1;
}

/* A sealed segment has one version of an id. */
static int sealed_find_older(struct segment *s, uint32_t row, uint32_t *out_row, struct error *err)
{
    (void)s, (void)row, (void)out_row, (void)err;
    return 0;
}

static int sealed_rows(const struct vector_source *source, uint32_t row, uint32_t row_max,
                       struct row_run *out, struct error *err)
{
    const struct sealed_segment *s =
        (const struct sealed_segment *)((const char *)source - offsetof(struct segment, vectors));
    uint64_t row_bytes = storage_row_bytes(source->storage, source->dim);
    uint64_t count = RUN_BYTES / row_bytes > 0 ? RUN_BYTES / row_bytes : 1;
    const void *vectors, *norms;

    CHECK(row < s->row_count && row_max > 0);
    if (count > row_max) count = row_max;
    if (count > s->row_count - row) count = s->row_count - row;
    if (part_file_borrow(s->vectors, s->rows, row * row_bytes, count * row_bytes, &vectors, err) ||
        part_file_borrow(s->vectors, s->norms, row * 4ull, count * 4, &norms, err))
        return -1;
    *out = (struct row_run){vectors, (const float *)norms, (uint32_t)count};
    return 0;
}

static int sealed_run(const struct vector_source *source, uint32_t row, uint32_t row_max,
                      struct vector_run *out, struct error *err)
{
    struct row_run run;

    if (vector_source_is_narrow(source))
        return error_set(err, LYNSE_INTERNAL, "rows of %s were asked for as floats",
                         storage_type_name(source->storage));
    if (sealed_rows(source, row, row_max, &run, err) != 0) return -1;
    *out = (struct vector_run){(const float *)run.rows, run.norms, run.row_count};
    return 0;
}

static void sealed_destroy(struct segment *base)
{
    struct sealed_segment *s = sealed_of(base);
    ids_file_close(s->ids);
    doc_file_close(s->documents);
    part_file_close(s->vectors);
    mem_free(s->alloc, s);
}

static const struct segment_ops sealed_ops = {
    .id = sealed_id,
    .lsn = sealed_lsn,
    .document = sealed_document,
    .find = sealed_find,
    .find_older = sealed_find_older,
    .verify = sealed_segment_verify,
    .destroy = sealed_destroy,
};

/* ---- Opening ---- */

static int find_vectors(struct sealed_segment *s, uint32_t dim, struct error *err)
{
    s->rows = part_file_section(s->vectors, SECTION_VECTORS);
    s->norms = part_file_section(s->vectors, SECTION_NORMS);
    unsigned storage = s->rows ? (unsigned)(s->rows->number & UINT8_MAX) : 0;
    if (!storage_type_is_known(storage)) storage = STORAGE_F32;
    uint64_t row_bytes = storage_row_bytes(storage, dim);
    s->base.vectors.storage = storage;
    if (!s->rows || s->rows->element_bytes != row_bytes ||
        s->rows->number != ((uint64_t)dim << 8 | storage) ||
        s->rows->bytes / row_bytes != s->row_count || !s->norms ||
        s->norms->element_bytes != sizeof(float) || s->norms->bytes / sizeof(float) != s->row_count)
        return error_set(err, LYNSE_CORRUPT, "'%s' does not hold %u %s vectors of dimension %u",
                         part_file_name(s->vectors), s->row_count, storage_type_name(storage), dim);
    return 0;
}

static int open_part(struct sealed_segment *s, struct vfs_dir *dir, const struct file_owner *owner,
                     const struct manifest_segment *m, const struct manifest_part *part,
                     struct doc_cache *cache, struct error *err)
{
    bool is_first = true;
    switch (part->kind) {
    case PART_IDS:
        is_first = !s->ids;
        if (is_first)
            return ids_file_open(s->alloc, dir, owner, &m->uuid, part, m->row_count, &s->ids, err);
        break;
    case PART_VECTORS:
        is_first = !s->vectors && part->field == 0;
        if (is_first)
            return part_file_open(s->alloc, dir, owner, &m->uuid, part, part->field, m->row_count,
                                  &s->vectors, err);
        break;
    case PART_DOCUMENTS:
        is_first = !s->documents;
        if (is_first)
            return doc_file_open(s->alloc, dir, owner, &m->uuid, part, m->row_count, cache,
                                 &s->documents, err);
        break;
    case PART_DELETES:
    case PART_INDEX: /* segment_index.h's */
        return 0;
    default:
        break;
    }
    char uuid[UUID_TEXT_BYTES];
    uuid_format(&m->uuid, uuid);
    return error_set(err, LYNSE_CORRUPT, "segment %s has %s part of kind %u, field %u", uuid,
                     is_first ? "an unknown" : "a second", part->kind, part->field);
}

static int open_parts(struct sealed_segment *s, struct vfs_dir *dir, const struct file_owner *owner,
                      const struct manifest_segment *m, uint32_t dim, struct doc_cache *cache,
                      struct error *err)
{
    char uuid[UUID_TEXT_BYTES];
    uuid_format(&m->uuid, uuid);
    if (m->part_count > SEGMENT_PARTS_MAX || m->row_count == 0 || m->row_count >= UINT32_MAX ||
        dim == 0)
        return error_set(err, LYNSE_CORRUPT, "segment %s cannot have %u parts, %llu rows, %u dims",
                         uuid, m->part_count, (unsigned long long)m->row_count, dim);
    for (uint32_t i = 0; i < m->part_count; i++)
        if (open_part(s, dir, owner, m, &m->parts[i], cache, err) != 0) return -1;
    if (!s->ids || !s->vectors || !s->documents)
        return error_set(err, LYNSE_CORRUPT, "segment %s lacks its ids, vectors or documents",
                         uuid);
    return find_vectors(s, dim, err);
}

int sealed_segment_open(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                        const struct manifest_segment *m, uint32_t dim, struct doc_cache *cache,
                        struct segment **out, struct error *err)
{
    struct sealed_segment *s = (struct sealed_segment *)mem_zalloc(a, MEM_SEGMENT, sizeof *s);
    if (!s) return error_no_memory(err, sizeof *s);
    s->alloc = a;
    s->last_lsn = m->last_lsn;
    s->row_count = (uint32_t)m->row_count;
    segment_init(&s->base, &sealed_ops);
    s->base.vectors =
        (struct vector_source){.run = sealed_run, .run_narrow = sealed_rows, .dim = dim};
    s->base.uuid = m->uuid;
    s->base.first_lsn = m->first_lsn;
    s->base.row_capacity = m->row_count;
    if (open_parts(s, dir, owner, m, dim, cache, err) != 0) {
        sealed_destroy(&s->base);
        return -1;
    }
    *out = &s->base;
    return 0;
}

/* ---- Everything ---- */

/* Another level may have computed the norm: equal within what two of them may differ by. */
static bool is_norm(float norm, float ours, uint32_t dim)
{
    double slack = 2 * dense_f32_error_factor(dim);
    if (norm != norm || ours != ours) return norm != norm && ours != ours;
    if (isinf(norm) || isinf(ours)) return norm > 1e19f && ours > 1e19f;
    return fabs((double)norm - (double)ours) <= slack * (double)ours + 1e-19;
}

static float norm_of(const struct vector_source *source, const struct row_run *run, uint32_t i)
{
    const struct simd_kernels *kernels = kernels_active();
    float piece[NORM_PIECE], sum = 0;

    if (!vector_source_is_narrow(source))
        return dense_norm_f32(kernels, (const float *)run->rows + (size_t)i * source->dim,
                              source->dim);
    const char *row = (const char *)run->rows + i * storage_row_bytes(source->storage, source->dim);
    for (uint32_t at = 0; at < source->dim; at += NORM_PIECE) {
        uint32_t left = source->dim - at, here = left < NORM_PIECE ? left : NORM_PIECE;
        storage_widen(kernels, source->storage, row + storage_row_bytes(source->storage, at), 1,
                      here, piece);
        sum += kernels->dense_dot_f32(piece, piece, here);
    }
    return sqrtf(sum);
}

static int verify_vectors(struct sealed_segment *s, struct error *err)
{
    const struct vector_source *source = &s->base.vectors;
    uint32_t dim = source->dim;
    struct row_run run;
    for (uint32_t row = 0; row < s->row_count; row += run.row_count) {
        if (sealed_rows(source, row, s->row_count - row, &run, err) != 0) return -1;
        for (uint32_t i = 0; i < run.row_count; i++) {
            float norm = norm_of(source, &run, i);
            if (!is_norm(run.norms[i], norm, dim))
                return error_set(err, LYNSE_CORRUPT, "'%s': row %u has norm %g, not %g",
                                 part_file_name(s->vectors), row + i, (double)norm,
                                 (double)run.norms[i]);
        }
    }
    return 0;
}

int sealed_segment_verify(struct segment *base, struct error *err)
{
    struct sealed_segment *s = sealed_of(base);
    uint64_t first, last;
    CHECK(base->ops == &sealed_ops);
    if (ids_file_verify(s->ids, err) != 0 || doc_file_verify(s->documents, err) != 0 ||
        part_file_verify(s->vectors, err) != 0 || verify_vectors(s, err) != 0)
        return -1;
    if (ids_file_lsn(s->ids, 0, &first, err) != 0 ||
        ids_file_lsn(s->ids, s->row_count - 1, &last, err) != 0)
        return -1;
    if (first == base->first_lsn && last == s->last_lsn) return 0;
    char uuid[UUID_TEXT_BYTES];
    uuid_format(&base->uuid, uuid);
    return error_set(err, LYNSE_CORRUPT, "segment %s has LSNs %llu to %llu, not %llu to %llu", uuid,
                     (unsigned long long)first, (unsigned long long)last,
                     (unsigned long long)base->first_lsn, (unsigned long long)s->last_lsn);
}
