/* SPDX-License-Identifier: Apache-2.0 */
/* segment_builder.c — frozen rows become the files of one sealed segment (R5).
 *
 * WHAT        Rows are chosen first; then ids, vectors and documents are written one after the
 *             other, each part synced and renamed.
 * INVARIANTS  (1) Kept rows stand in the order of the inputs, which is that of their LSNs.
 *             (2) A row is left out if and only if it is deleted and a newer version of its id is
 *                 among the inputs: what no read can reach, and no restore.
 *             (3) An id is kept once.  ids_file_write refuses a breach of (1) or (3) as CORRUPT:
 *                 inputs may be files.
 * THREADS     One job.  Inputs are immutable below their row counts; they are borrowed.
 * FAILURE     Every file that was made is removed; a crash leaves names that no manifest has, which
 *             file_gc removes.
 */
#include "segment/segment_builder.h"

#include "base/atomic.h"
#include "base/bitmap.h"
#include "base/check.h"
#include "base/faults.h"
#include "store/ids_file.h"

enum { CANCEL_ROWS = 1024, STORAGE_F32 = 1 };

struct kept_row {
    struct record_id id; /* borrowed from the input */
    uint64_t lsn;
};

struct build {
    const struct segment_build_desc *desc;
    struct segment_build *out;
    struct kept_row *rows;
    uint32_t row_count;
    uint64_t visited; /* rows, for cancel */
};

static int check_cancel(const struct build *b, struct error *err)
{
    /* Relaxed: a flag alone, it publishes nothing. */
    if (!b->desc->cancel || !atomic_load_relaxed(b->desc->cancel)) return 0;
    return error_set(err, LYNSE_CANCELLED, "the build of a segment was cancelled");
}

static int visit_row(struct build *b, struct error *err)
{
    return b->visited++ % CANCEL_ROWS == 0 ? check_cancel(b, err) : 0;
}

/* ---- Which rows ---- */

/* Is a newer version of the id among the inputs?  1, 0 or -1. */
static int is_superseded(const struct build *b, size_t part, uint32_t row,
                         const struct record_id *id, struct error *err)
{
    const struct view_part *parts = b->desc->parts;
    uint32_t newest;
    int found = segment_find(parts[part].segment, id, parts[part].row_count, &newest, err);
    if (found != 0 && (found < 0 || newest != row)) return found;
    for (size_t i = part + 1; i < b->desc->part_count; i++) {
        found = segment_find(parts[i].segment, id, parts[i].row_count, &newest, err);
        if (found != 0) return found;
    }
    return 0;
}

static int choose_row(struct build *b, size_t part, uint32_t row, struct bitmap *dead,
                      struct error *err)
{
    const struct view_part *p = &b->desc->parts[part];
    struct kept_row *kept = &b->rows[b->row_count];
    bool is_dead = tombstones_get(p->dead, row);

    if (visit_row(b, err) != 0 || segment_id(p->segment, row, &kept->id, err) != 0) return -1;
    if (is_dead) {
        int superseded =
            FAULT(SEGMENT_DROPS_DELETED) ? 1 : is_superseded(b, part, row, &kept->id, err);
        if (superseded < 0) return -1;
        if (superseded > 0) {
            REACHED(ROW_LEFT_OUT);
            b->out->row_map[part][row] = UINT32_MAX;
            return 0;
        }
        REACHED(ROW_KEPT_DEAD);
        bitmap_set(dead, b->row_count);
    }
    if (segment_lsn(p->segment, row, &kept->lsn, err) != 0) return -1;
    b->out->row_map[part][row] = b->row_count++;
    return 0;
}

static int make_row_maps(struct build *b, uint64_t *out_total, struct error *err)
{
    const struct segment_build_desc *d = b->desc;
    uint64_t total = 0;
    size_t bytes = (d->part_count + 1) * sizeof(uint32_t *);
    b->out->row_map = (uint32_t **)mem_zalloc(d->alloc, MEM_GENERAL, bytes);
    if (!b->out->row_map) return error_no_memory(err, bytes);
    b->out->part_count = d->part_count;
    for (size_t i = 0; i < d->part_count; i++) {
        bytes = d->parts[i].row_count * sizeof(uint32_t);
        b->out->row_map[i] = (uint32_t *)mem_alloc(d->alloc, MEM_GENERAL, bytes);
        if (!b->out->row_map[i]) return error_no_memory(err, bytes);
        total += d->parts[i].row_count;
    }
    if (total >= UINT32_MAX)
        return error_set(err, LYNSE_LIMIT, "%llu rows are too many for one segment",
                         (unsigned long long)total);
    *out_total = total;
    return 0;
}

static int make_tombstones(struct build *b, const struct bitmap *dead, struct error *err)
{
    struct tombstones *none;
    struct tombstones_edit *e;
    if (b->row_count == 0) return 0;
    if (tombstones_create(b->desc->alloc, b->row_count, &none, err) != 0) return -1;
    int rc = tombstones_edit_begin(none, &e, err);
    tombstones_release(none);
    if (rc != 0) return -1;
    for (size_t row = bitmap_next(dead, 0); row < b->row_count; row = bitmap_next(dead, row + 1)) {
        if (tombstones_edit_reserve(e, row, err) != 0) {
            tombstones_edit_abort(e);
            return -1;
        }
        tombstones_edit_set(e, row);
    }
    b->out->dead = tombstones_edit_finish(e);
    return 0;
}

static int choose_rows(struct build *b, struct error *err)
{
    const struct segment_build_desc *d = b->desc;
    struct bitmap dead = {0};
    uint64_t total;
    int rc = -1;

    if (make_row_maps(b, &total, err) != 0) goto out;
    size_t bytes =
        ((size_t)total + 1) * sizeof *b->rows; /* one to look at a row that is left out */
    b->rows = (struct kept_row *)mem_alloc(d->alloc, MEM_GENERAL, bytes);
    if (!b->rows || bitmap_init(&dead, d->alloc, MEM_GENERAL, (size_t)total) != 0) {
        error_no_memory(err, bytes);
        goto out;
    }
    for (size_t i = 0; i < d->part_count; i++)
        for (uint32_t row = 0; row < d->parts[i].row_count; row++)
            if (choose_row(b, i, row, &dead, err) != 0) goto out;
    rc = make_tombstones(b, &dead, err);
out:
    bitmap_deinit(&dead);
    return rc;
}

/* ---- The parts ---- */

static struct manifest_part *next_part(struct build *b)
{
    CHECK(b->out->segment.part_count < SEGMENT_PARTS_MAX);
    return &b->out->segment.parts[b->out->segment.part_count];
}

static struct record_id kept_id(void *ctx, uint64_t row)
{
    return ((struct build *)ctx)->rows[row].id;
}

static uint64_t kept_lsn(void *ctx, uint64_t row)
{
    return ((struct build *)ctx)->rows[row].lsn;
}

static int write_ids(struct build *b, struct error *err)
{
    const struct segment_build_desc *d = b->desc;
    struct ids_source source = {
        .ctx = b, .row_count = b->row_count, .id = kept_id, .lsn = kept_lsn};
    if (ids_file_write(d->alloc, d->dir, &d->owner, &b->out->segment.uuid, &source, d->rng,
                       next_part(b), err) != 0)
        return -1;
    b->out->segment.part_count++;
    return 0;
}

/* Rows of one input from `row` on that are kept one after the other. */
static uint32_t count_kept(const struct build *b, size_t part, uint32_t row, uint32_t row_max)
{
    const uint32_t *map = b->out->row_map[part];
    uint32_t count = 0;
    while (count < row_max && map[row + count] != UINT32_MAX) count++;
    return count;
}

/* Vectors of one input to the file, their norms to `norms`. */
static int write_vectors_of(struct build *b, size_t part, struct part_writer *w, float *norms,
                            struct error *err)
{
    const struct view_part *p = &b->desc->parts[part];
    const uint32_t *map = b->out->row_map[part];
    struct vector_run run;
    CHECK(p->segment->vectors.dim == b->desc->dim);
    for (uint32_t row = 0; row < p->row_count; row += run.row_count) {
        run.row_count = 1;
        if (map[row] == UINT32_MAX) continue;
        struct vector_source *source = &p->segment->vectors;
        if (source->run(source, row, p->row_count - row, &run, err) != 0) return -1;
        run.row_count = count_kept(b, part, row, run.row_count);
        size_t bytes = (size_t)run.row_count * b->desc->dim * sizeof(float);
        if (part_writer_write(w, run.vectors, bytes, err) != 0) return -1;
        memcpy(norms + map[row], run.norms, run.row_count * sizeof *norms);
        if (check_cancel(b, err) != 0) return -1;
    }
    return 0;
}

static int write_vector_sections(struct build *b, struct part_writer *w, float *norms,
                                 struct error *err)
{
    uint32_t dim = b->desc->dim;
    if (part_writer_begin(w, SECTION_VECTORS, dim * (uint32_t)sizeof(float),
                          (uint64_t)dim << 8 | STORAGE_F32, err) != 0)
        return -1;
    for (size_t i = 0; i < b->desc->part_count; i++)
        if (write_vectors_of(b, i, w, norms, err) != 0) return -1;
    if (part_writer_end(w, err) != 0 ||
        part_writer_begin(w, SECTION_NORMS, sizeof(float), 0, err) != 0 ||
        part_writer_write(w, norms, b->row_count * sizeof(float), err) != 0)
        return -1;
    return part_writer_end(w, err);
}

static int write_vectors(struct build *b, struct error *err)
{
    const struct segment_build_desc *d = b->desc;
    struct part_writer *w = NULL;
    int rc = -1;

    float *norms = (float *)mem_alloc(d->alloc, MEM_GENERAL, b->row_count * sizeof *norms);
    if (!norms) return error_no_memory(err, b->row_count * sizeof *norms);
    if (part_writer_create(d->alloc, d->dir, &d->owner, &b->out->segment.uuid, PART_VECTORS, 0,
                           b->row_count, d->rng, &w, err) != 0)
        goto out;
    if (write_vector_sections(b, w, norms, err) != 0) goto out;
    if (part_writer_finish(w, 0, next_part(b), err) != 0) goto out;
    b->out->segment.part_count++;
    rc = 0;
out:
    part_writer_destroy(w);
    mem_free(d->alloc, norms);
    return rc;
}

static int write_documents_of(struct build *b, size_t part, struct doc_writer *w, struct error *err)
{
    const struct view_part *p = &b->desc->parts[part];
    for (uint32_t row = 0; row < p->row_count; row++) {
        struct doc_ref ref = {0};
        if (b->out->row_map[part][row] == UINT32_MAX) continue;
        if (visit_row(b, err) != 0) return -1;
        if (segment_document(p->segment, row, &ref, err) != 0) return -1;
        int rc = doc_writer_add(w, ref.document, err);
        doc_ref_release(&ref);
        if (rc != 0) return -1;
    }
    return 0;
}

static int write_documents(struct build *b, struct error *err)
{
    const struct segment_build_desc *d = b->desc;
    struct doc_writer *w = NULL;
    int rc = -1;

    if (doc_writer_create(d->alloc, d->dir, &d->owner, &b->out->segment.uuid, b->row_count, d->rng,
                          &w, err) != 0)
        goto out;
    for (size_t i = 0; i < d->part_count; i++)
        if (write_documents_of(b, i, w, err) != 0) goto out;
    if (doc_writer_finish(w, next_part(b), err) != 0) goto out;
    b->out->segment.part_count++;
    rc = 0;
out:
    doc_writer_destroy(w);
    return rc;
}

/* ---- The whole ---- */

static int write_parts(struct build *b, struct error *err)
{
    struct manifest_segment *s = &b->out->segment;
    if (b->row_count == 0) return 0;
    s->uuid = uuid_make(b->desc->rng);
    s->first_lsn = b->rows[0].lsn;
    s->last_lsn = b->rows[b->row_count - 1].lsn;
    s->map_lsn = b->desc->flushed_lsn;
    s->row_count = b->row_count;
    if (write_ids(b, err) != 0 || write_vectors(b, err) != 0 || write_documents(b, err) != 0)
        return -1;
    REACHED(SEGMENT_BUILT);
    return 0;
}

int segment_build_run(const struct segment_build_desc *desc, struct segment_build *out,
                      struct error *err)
{
    struct segment_build made = {.alloc = desc->alloc};
    struct build b = {.desc = desc, .out = &made};
    int rc = choose_rows(&b, err);

    if (rc == 0) rc = write_parts(&b, err);
    mem_free(desc->alloc, b.rows);
    if (rc == 0) {
        *out = made;
        return 0;
    }
    segment_build_remove_files(&made, desc->dir);
    segment_build_deinit(&made);
    return -1;
}

void segment_build_deinit(struct segment_build *b)
{
    if (!b->alloc) return;
    for (size_t i = 0; i < b->part_count; i++) mem_free(b->alloc, b->row_map[i]);
    mem_free(b->alloc, b->row_map);
    tombstones_release(b->dead);
    *b = (struct segment_build){0};
}

void segment_build_remove_files(const struct segment_build *b, struct vfs_dir *dir)
{
    const struct manifest_segment *s = &b->segment;
    for (uint32_t i = 0; i < s->part_count; i++) {
        char name[PART_NAME_BYTES];
        part_name(name, &s->uuid, (enum part_kind)s->parts[i].kind,
                  manifest_part_number(s, &s->parts[i]));
        vfs_unlink(dir, name, NULL); /* what stays is nobody's: file_gc */
    }
}
