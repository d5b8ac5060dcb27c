/* SPDX-License-Identifier: Apache-2.0 */
/* segment_builder.c — frozen rows become the files of one sealed segment (R5), in steps.
 *
 * WHAT        Rows are chosen first; then ids, vectors and documents are written one after the
 *             other, each part synced and renamed.  Each pass is cut into steps of about
 *             BUILD_STEP_ROWS rows or BUILD_STEP_BYTES bytes, so that a frame's budget holds many.
 * INVARIANTS  (1) Kept rows stand in the order of the inputs, which is that of their LSNs.
 *             (2) A row is left out if and only if it is deleted and a newer version of its id is
 *                 among the inputs or in a segment after them: what no read can reach, and no
 *                 restore.
 *             (3) An id is kept once.  ids_writer refuses a breach of (1) or (3) as CORRUPT: inputs
 *                 may be files.
 *             (4) Where a pass stands is in the builder alone: any thread may take the next step,
 *                 and no step looks at what happened to the collection between two.
 * THREADS     One job.  Inputs are immutable below their row counts; they are borrowed.
 * FAILURE     Every file that was made is removed; a crash leaves names that no manifest has, which
 *             file_gc removes.
 */
#include "segment/segment_builder.h"

#include "base/atomic.h"
#include "base/bitmap.h"
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "quant/narrow_rows.h"
#include "store/ids_file.h"

struct kept_row {
    struct record_id id; /* borrowed from the input */
    uint64_t lsn;
};

enum build_phase {
    BUILD_RESERVE,
    BUILD_CHOOSE,
    BUILD_ENTOMB,
    BUILD_IDS,
    BUILD_VECTORS,
    BUILD_NORMS,
    BUILD_DOCUMENTS,
    BUILD_DONE,
};

struct segment_builder {
    struct segment_build_desc desc;
    struct segment_build out;
    struct kept_row *rows;
    uint32_t row_count;
    struct bitmap dead; /* of the new rows */
    /* Where it stands; one writer at a time. */
    enum build_phase phase;
    size_t part;                  /* CHOOSE, VECTORS, DOCUMENTS: the input, */
    uint32_t row;                 /* and its next row; ENTOMB: the next new row */
    struct tombstones_edit *edit; /* ENTOMB */
    struct ids_writer *ids;
    struct part_writer *vectors;
    void *packed; /* VECTORS, of narrow rows: as many as a step takes; else NULL */
    float *norms;
    size_t norms_written;
    struct doc_writer *documents;
};

/* Go on to the next phase, at the first row. */
static void begin_phase(struct segment_builder *b, enum build_phase phase)
{
    b->phase = phase;
    b->part = 0;
    b->row = 0;
}

/* The input that the pass stands in, past those that it has done; NULL: it is at its end. */
static const struct view_part *current_input(struct segment_builder *b)
{
    while (b->part < b->desc.part_count && b->row == b->desc.parts[b->part].row_count) {
        b->part++;
        b->row = 0;
    }
    return b->part < b->desc.part_count ? &b->desc.parts[b->part] : NULL;
}

/* ---- Which rows ---- */

static int make_row_maps(struct segment_builder *b, uint64_t *out_total, struct error *err)
{
    const struct segment_build_desc *d = &b->desc;
    uint64_t total = 0;
    size_t bytes = (d->part_count + 1) * sizeof(uint32_t *);
    b->out.row_map = (uint32_t **)mem_zalloc(d->alloc, MEM_GENERAL, bytes);
    if (!b->out.row_map) return error_no_memory(err, bytes);
    b->out.part_count = d->part_count;
    for (size_t i = 0; i < d->part_count; i++) {
        bytes = d->parts[i].row_count * sizeof(uint32_t);
        b->out.row_map[i] = (uint32_t *)mem_alloc(d->alloc, MEM_GENERAL, bytes);
        if (!b->out.row_map[i]) return error_no_memory(err, bytes);
        total += d->parts[i].row_count;
    }
    if (total >= UINT32_MAX)
        return error_set(err, LYNSE_LIMIT, "%llu rows are too many for one segment",
                         (unsigned long long)total);
    *out_total = total;
    return 0;
}

static int reserve(struct segment_builder *b, struct error *err)
{
    uint64_t total;

    if (make_row_maps(b, &total, err) != 0) return -1;
    /* One more, to look at a row that is left out. */
    size_t bytes = ((size_t)total + 1) * sizeof *b->rows;
    b->rows = (struct kept_row *)mem_alloc(b->desc.alloc, MEM_GENERAL, bytes);
    if (!b->rows || bitmap_init(&b->dead, b->desc.alloc, MEM_GENERAL, (size_t)total) != 0)
        return error_no_memory(err, bytes);
    begin_phase(b, BUILD_CHOOSE);
    return 0;
}

/* Is a newer version of the id among the inputs, or after them?  1, 0 or -1. */
static int is_superseded(const struct segment_builder *b, size_t part, uint32_t row,
                         const struct record_id *id, struct error *err)
{
    const struct view_part *parts = b->desc.parts;
    uint32_t newest;
    int found = segment_find(parts[part].segment, id, parts[part].row_count, &newest, err);
    if (found != 0 && (found < 0 || newest != row)) return found;
    for (size_t i = part + 1; i < b->desc.part_count; i++) {
        found = segment_find(parts[i].segment, id, parts[i].row_count, &newest, err);
        if (found != 0) return found;
    }
    for (size_t i = 0; i < b->desc.newer_count; i++) {
        const struct view_part *p = &b->desc.newer[i];
        found = segment_find(p->segment, id, p->row_count, &newest, err);
        if (found != 0) return found;
    }
    return 0;
}

static int choose_row(struct segment_builder *b, size_t part, uint32_t row, struct error *err)
{
    const struct view_part *p = &b->desc.parts[part];
    struct kept_row *kept = &b->rows[b->row_count];

    if (segment_id(p->segment, row, &kept->id, err) != 0) return -1;
    if (tombstones_get(p->dead, row)) {
        int superseded =
            FAULT(SEGMENT_DROPS_DELETED) ? 1 : is_superseded(b, part, row, &kept->id, err);
        if (superseded < 0) return -1;
        if (superseded > 0) {
            REACHED(ROW_LEFT_OUT);
            b->out.row_map[part][row] = UINT32_MAX;
            return 0;
        }
        REACHED(ROW_KEPT_DEAD);
        bitmap_set(&b->dead, b->row_count);
    }
    if (segment_lsn(p->segment, row, &kept->lsn, err) != 0) return -1;
    b->out.row_map[part][row] = b->row_count++;
    return 0;
}

/* All are chosen: what the segment is, unless nothing was kept. */
static void describe(struct segment_builder *b)
{
    struct manifest_segment *s = &b->out.segment;

    begin_phase(b, b->row_count > 0 ? BUILD_ENTOMB : BUILD_DONE);
    if (b->row_count == 0) return;
    s->uuid = uuid_make(b->desc.rng);
    s->first_lsn = b->rows[0].lsn;
    s->last_lsn = b->rows[b->row_count - 1].lsn;
    s->map_lsn = b->desc.flushed_lsn;
    s->row_count = b->row_count;
}

static int choose_rows(struct segment_builder *b, struct error *err)
{
    for (int i = 0; i < BUILD_STEP_ROWS; i++) {
        if (!current_input(b)) {
            describe(b);
            return 0;
        }
        if (choose_row(b, b->part, b->row++, err) != 0) return -1;
    }
    return 0;
}

static int begin_edit(struct segment_builder *b, struct error *err)
{
    struct tombstones *none;

    if (tombstones_create(b->desc.alloc, b->row_count, &none, err) != 0) return -1;
    int rc = tombstones_edit_begin(none, &b->edit, err);
    if (rc != 0) b->edit = NULL;
    tombstones_release(none);
    return rc;
}

static int entomb_rows(struct segment_builder *b, struct error *err)
{
    if (!b->edit && begin_edit(b, err) != 0) return -1;
    for (int i = 0; i < BUILD_STEP_ROWS; i++) {
        size_t row = bitmap_next(&b->dead, b->row);
        if (row >= b->row_count) {
            b->out.dead = tombstones_edit_finish(b->edit);
            b->edit = NULL;
            begin_phase(b, BUILD_IDS);
            return 0;
        }
        if (tombstones_edit_reserve(b->edit, row, err) != 0) return -1;
        tombstones_edit_set(b->edit, row);
        b->row = (uint32_t)row + 1;
    }
    return 0;
}

/* ---- The parts ---- */

static struct manifest_part *next_part(struct segment_builder *b)
{
    CHECK(b->out.segment.part_count < SEGMENT_PARTS_MAX);
    return &b->out.segment.parts[b->out.segment.part_count];
}

/* The part stands under its name. */
static void end_part(struct segment_builder *b, enum build_phase next)
{
    b->out.segment.part_count++;
    begin_phase(b, next);
}

static struct record_id kept_id(void *ctx, uint64_t row)
{
    return ((struct segment_builder *)ctx)->rows[row].id;
}

static uint64_t kept_lsn(void *ctx, uint64_t row)
{
    return ((struct segment_builder *)ctx)->rows[row].lsn;
}

static int write_ids(struct segment_builder *b, struct error *err)
{
    const struct segment_build_desc *d = &b->desc;
    struct ids_source source = {
        .ctx = b, .row_count = b->row_count, .id = kept_id, .lsn = kept_lsn};

    if (!b->ids)
        return ids_writer_create(d->alloc, d->dir, &d->owner, &b->out.segment.uuid, &source, d->rng,
                                 &b->ids, err);
    int rc = ids_writer_step(b->ids, next_part(b), err);
    if (rc <= 0) return rc;
    ids_writer_destroy(b->ids);
    b->ids = NULL;
    end_part(b, BUILD_VECTORS);
    return 0;
}

/* Of vectors. */
static uint32_t rows_of_step(const struct segment_build_desc *d)
{
    uint32_t fit = BUILD_STEP_BYTES / (d->dim * (uint32_t)sizeof(float));
    return fit < 1 ? 1 : fit < BUILD_STEP_ROWS ? fit : BUILD_STEP_ROWS;
}

static int begin_vectors(struct segment_builder *b, struct error *err)
{
    const struct segment_build_desc *d = &b->desc;
    size_t bytes = b->row_count * sizeof *b->norms;

    b->norms = (float *)mem_alloc(d->alloc, MEM_GENERAL, bytes);
    if (!b->norms) return error_no_memory(err, bytes);
    if (d->storage != 0 && d->storage != STORAGE_F32) {
        bytes = rows_of_step(d) * storage_row_bytes(d->storage, d->dim);
        b->packed = mem_alloc(d->alloc, MEM_GENERAL, bytes);
        if (!b->packed) return error_no_memory(err, bytes);
    }
    if (part_writer_create(d->alloc, d->dir, &d->owner, &b->out.segment.uuid, PART_VECTORS, 0,
                           b->row_count, d->rng, &b->vectors, err) != 0) {
        b->vectors = NULL;
        return -1;
    }
    unsigned storage = d->storage ? d->storage : STORAGE_F32;
    return part_writer_begin(b->vectors, SECTION_VECTORS,
                             (uint32_t)storage_row_bytes(storage, d->dim),
                             (uint64_t)d->dim << 8 | storage, err);
}

/* The first rows of a run as the new segment keeps them.  Floats were rounded when they were
 * written (collection_stage.c), so that nothing is lost. */
static const void *rows_to_write(struct segment_builder *b, const struct vector_source *source,
                                 const struct row_run *run, uint32_t count)
{
    if (!b->packed) { /* it keeps floats */
        CHECK(!vector_source_is_narrow(source));
        return run->rows;
    }
    if (source->storage == b->desc.storage) return run->rows;
    CHECK(!vector_source_is_narrow(source));
    storage_pack(kernels_active(), b->desc.storage, (const float *)run->rows, count, b->desc.dim,
                 b->packed);
    return b->packed;
}

/* Of up to row_max rows from the current one on that are kept one after the other and lie together:
 * vectors to the file, norms aside.  The rows that it went past; 0: failed. */
static uint32_t write_run(struct segment_builder *b, const struct view_part *p, uint32_t row_max,
                          struct error *err)
{
    const uint32_t *map = b->out.row_map[b->part] + b->row;
    struct vector_source *source = &p->segment->vectors;
    struct row_run run;
    uint32_t count = 1;

    CHECK(source->dim == b->desc.dim);
    if (map[0] == UINT32_MAX) return 1;
    if (vector_source_rows(source, b->row, row_max, &run, err) != 0) return 0;
    while (count < run.row_count && map[count] != UINT32_MAX) count++;
    const void *rows = rows_to_write(b, source, &run, count);
    size_t bytes = count * storage_row_bytes(b->desc.storage, b->desc.dim);
    if (part_writer_write(b->vectors, rows, bytes, err) != 0) return 0;
    memcpy(b->norms + map[0], run.norms, count * sizeof *b->norms);
    return count;
}

static int write_vectors(struct segment_builder *b, struct error *err)
{
    uint32_t left = rows_of_step(&b->desc);
    const struct view_part *p;

    if (!b->vectors) return begin_vectors(b, err);
    while (left > 0 && (p = current_input(b)) != NULL) {
        uint32_t here = p->row_count - b->row;
        uint32_t count = write_run(b, p, here < left ? here : left, err);
        if (count == 0) return -1;
        b->row += count;
        left -= count;
    }
    if (current_input(b)) return 0;
    begin_phase(b, BUILD_NORMS);
    if (part_writer_end(b->vectors, err) != 0) return -1;
    return part_writer_begin(b->vectors, SECTION_NORMS, sizeof(float), 0, err);
}

static int write_norms(struct segment_builder *b, struct error *err)
{
    size_t left = b->row_count - b->norms_written, most = BUILD_STEP_BYTES / sizeof *b->norms;
    size_t count = left < most ? left : most;

    if (part_writer_write(b->vectors, b->norms + b->norms_written, count * sizeof *b->norms, err) !=
        0)
        return -1;
    b->norms_written += count;
    if (b->norms_written < b->row_count) return 0;
    if (part_writer_end(b->vectors, err) != 0 ||
        part_writer_finish(b->vectors, 0, next_part(b), err) != 0)
        return -1;
    part_writer_destroy(b->vectors);
    b->vectors = NULL;
    mem_free(b->desc.alloc, b->packed);
    mem_free(b->desc.alloc, b->norms);
    b->packed = NULL;
    b->norms = NULL;
    end_part(b, BUILD_DOCUMENTS);
    return 0;
}

/* One row's; *out_bytes: what that was. */
static int write_document(struct segment_builder *b, const struct view_part *p, size_t *out_bytes,
                          struct error *err)
{
    struct doc_ref ref = {0};

    *out_bytes = 0;
    if (b->out.row_map[b->part][b->row] == UINT32_MAX) return 0;
    if (segment_document(p->segment, b->row, &ref, err) != 0) return -1;
    int rc = doc_writer_add(b->documents, ref.document, err);
    *out_bytes = ref.document.size;
    doc_ref_release(&ref);
    return rc;
}

static int write_documents(struct segment_builder *b, struct error *err)
{
    const struct segment_build_desc *d = &b->desc;
    const struct view_part *p;
    size_t written = 0, bytes;

    if (!b->documents)
        return doc_writer_create(d->alloc, d->dir, &d->owner, &b->out.segment.uuid, b->row_count,
                                 d->rng, &b->documents, err);
    for (int i = 0; i < BUILD_STEP_ROWS && written < BUILD_STEP_BYTES / 4; i++) {
        if ((p = current_input(b)) == NULL) break;
        if (write_document(b, p, &bytes, err) != 0) return -1;
        written += bytes; /* compressing costs several times what copying does */
        b->row++;
    }
    if (current_input(b)) return 0;
    if (doc_writer_finish(b->documents, next_part(b), err) != 0) return -1;
    doc_writer_destroy(b->documents);
    b->documents = NULL;
    end_part(b, BUILD_DONE);
    REACHED(SEGMENT_BUILT);
    return 0;
}

/* ---- The whole ---- */

int segment_builder_create(const struct segment_build_desc *desc, struct segment_builder **out,
                           struct error *err)
{
    struct segment_builder *b =
        (struct segment_builder *)mem_zalloc(desc->alloc, MEM_GENERAL, sizeof *b);

    if (!b) return error_no_memory(err, sizeof *b);
    b->desc = *desc;
    b->out.alloc = desc->alloc;
    *out = b;
    return 0;
}

static int take_step(struct segment_builder *b, struct error *err)
{
    switch (b->phase) {
    case BUILD_RESERVE:
        return reserve(b, err);
    case BUILD_CHOOSE:
        return choose_rows(b, err);
    case BUILD_ENTOMB:
        return entomb_rows(b, err);
    case BUILD_IDS:
        return write_ids(b, err);
    case BUILD_VECTORS:
        return write_vectors(b, err);
    case BUILD_NORMS:
        return write_norms(b, err);
    case BUILD_DOCUMENTS:
        return write_documents(b, err);
    case BUILD_DONE:
        break;
    }
    UNREACHABLE();
}

int segment_builder_step(struct segment_builder *b, struct error *err)
{
    /* Relaxed: a flag alone, it publishes nothing. */
    if (b->desc.cancel && atomic_load_relaxed(b->desc.cancel))
        return error_set(err, LYNSE_CANCELLED, "the build of a segment was cancelled");
    if (take_step(b, err) != 0) return -1;
    return b->phase == BUILD_DONE ? 1 : 0;
}

struct segment_build segment_builder_take(struct segment_builder *b)
{
    struct segment_build out = b->out;

    CHECK(b->phase == BUILD_DONE);
    b->out = (struct segment_build){0};
    return out;
}

void segment_builder_destroy(struct segment_builder *b)
{
    if (!b) return;
    ids_writer_destroy(b->ids);
    part_writer_destroy(b->vectors);
    doc_writer_destroy(b->documents);
    tombstones_edit_abort(b->edit);
    bitmap_deinit(&b->dead);
    mem_free(b->desc.alloc, b->packed);
    mem_free(b->desc.alloc, b->norms);
    mem_free(b->desc.alloc, b->rows);
    segment_build_remove_files(&b->out, b->desc.dir);
    segment_build_deinit(&b->out);
    mem_free(b->desc.alloc, b);
}

int segment_build_run(const struct segment_build_desc *desc, struct segment_build *out,
                      struct error *err)
{
    struct segment_builder *b;
    int rc = 0;

    if (segment_builder_create(desc, &b, err) != 0) return -1;
    while (rc == 0) rc = segment_builder_step(b, err);
    if (rc > 0) *out = segment_builder_take(b);
    segment_builder_destroy(b);
    return rc > 0 ? 0 : -1;
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
