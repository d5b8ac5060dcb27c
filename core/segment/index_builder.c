/* SPDX-License-Identifier: Apache-2.0 */
/* index_builder.c — one build, shared out piece by piece.
 *
 * WHAT        Stages: the vectors are verified, the kind's build is created, its phases are worked
 *             off (index_build.h), its file is written.  Pieces of a phase are handed to whoever
 *             comes; all else is done by one caller alone.
 * INVARIANTS  (1) Under the mutex: what is handed out, and to how many.  A stage goes on when
 *                 nobody is inside, by the caller who was last.
 *             (2) After a failure or a cancel nothing more is handed out; the build is over when
 *                 the last one has left.
 *             (3) The temporary file is there from the beginning: who collects garbage knows its
 *                 name.
 * THREADS     Any.  Nobody waits inside.
 * FAILURE     The first is kept for take.
 */
#include "segment/index_builder.h"

#include "base/check.h"
#include "base/thread.h"
#include "index/index_build.h"
#include "os/path.h"
#include "segment/whole_rows.h"
#include "store/part_file.h"

enum build_stage { STAGE_VECTORS, STAGE_CREATE, STAGE_PIECES, STAGE_SAVE, STAGE_DONE };

/* An index writes itself into a part of its segment. */
struct part_index_writer {
    struct index_writer base; /* first */
    struct part_writer *part;
};

struct index_builder {
    struct index_builder_desc desc;
    const struct index_build_ops *ops;
    struct part_index_writer writer;
    struct whole_rows rows;
    struct index_build *build; /* NULL before STAGE_PIECES */
    struct manifest_part part; /* in STAGE_DONE */
    char temporary[TEMPORARY_NAME_BYTES];
    char name[PART_NAME_BYTES];
    bool has_file; /* of that name, and nobody took it */
    struct mutex mutex;
    enum build_stage stage;
    uint32_t inside; /* callers */
    uint32_t next_piece, piece_count;
    float progress;
    int cancel_code; /* 0: it is not */
    struct error error;
};

/* ---- the writer ---- */

static struct part_writer *part_of(struct index_writer *w)
{
    return ((struct part_index_writer *)w)->part;
}

static int begin_section(struct index_writer *w, uint32_t kind, uint32_t element_bytes,
                         uint64_t number, struct error *err)
{
    CHECK(kind >= INDEX_SECTION_FIRST && kind <= INDEX_SECTION_LAST);
    return part_writer_begin(part_of(w), (enum section_kind)kind, element_bytes, number, err);
}

static int write_section(struct index_writer *w, const void *data, size_t bytes, struct error *err)
{
    return part_writer_write(part_of(w), data, bytes, err);
}

static int end_section(struct index_writer *w, struct error *err)
{
    return part_writer_end(part_of(w), err);
}

/* ---- its life ---- */

int index_builder_create(const struct index_builder_desc *desc, struct index_builder **out,
                         struct error *err)
{
    const struct index_vtab *kind = index_find(desc->plan.kind);
    struct index_builder *b =
        (struct index_builder *)mem_zalloc(desc->alloc, MEM_SEGMENT, sizeof *b);

    if (!b) return error_no_memory(err, sizeof *b);
    CHECK(kind && index_is_built(kind, desc->plan.quantizer.kind) && desc->row_count > 0);
    b->desc = *desc;
    b->ops = kind->build;
    b->writer.base = (struct index_writer){begin_section, write_section, end_section};
    b->part = (struct manifest_part){
        .kind = PART_INDEX, .index_kind = (uint8_t)desc->plan.kind, .build = desc->build};
    if (part_writer_create(desc->alloc, desc->dir, &desc->owner, &desc->segment->uuid, PART_INDEX,
                           0, desc->row_count, desc->rng, &b->writer.part, err) != 0) {
        mem_free(desc->alloc, b);
        return -1;
    }
    part_name(b->name, &desc->segment->uuid, PART_INDEX, index_part_number(&b->part));
    memcpy(b->temporary, part_writer_temporary(b->writer.part), sizeof b->temporary);
    segment_acquire(desc->segment);
    whole_rows_init(&b->rows, desc->alloc, desc->segment, desc->row_count, kind, desc->metric);
    mutex_init(&b->mutex);
    *out = b;
    return 0;
}

void index_builder_destroy(struct index_builder *b)
{
    if (!b) return;
    CHECK(b->inside == 0);
    b->ops->destroy(b->build);
    whole_rows_deinit(&b->rows);
    part_writer_destroy(b->writer.part);
    if (b->has_file) vfs_unlink(b->desc.dir, b->name, NULL); /* what stays is file_gc's */
    segment_release(b->desc.segment);
    mutex_deinit(&b->mutex);
    mem_free(b->desc.alloc, b);
}

/* ---- work that one does alone ---- */

static int create_build(struct index_builder *b, struct error *err)
{
    const struct index_builder_desc *d = &b->desc;
    /* Of the rows, not of the moment: the same rows give the same index. */
    const struct index_build_desc desc = {
        .alloc = d->alloc,
        .kernels = kernels_active(),
        .vectors = &b->rows.source,
        .params = &d->plan.params,
        .quantizer = d->plan.quantizer,
        .metric = d->metric,
        .row_count = d->row_count,
        .seed = d->row_count,
    };

    if (b->ops->create(&desc, &b->build, err) == 0) return 0;
    b->build = NULL;
    return -1;
}

static int save(struct index_builder *b, struct error *err)
{
    struct manifest_part part;

    if (b->ops->save(b->build, &b->writer.base, err) != 0 ||
        part_writer_finish(b->writer.part, index_part_number(&b->part), &part, err) != 0)
        return -1;
    b->part.bytes = part.bytes;
    b->part.hash = part.hash;
    b->has_file = true;
    part_writer_destroy(b->writer.part);
    b->writer.part = NULL;
    b->ops->destroy(b->build);
    b->build = NULL;
    return 0;
}

/* The stage at work, or its end.  *out_next: what comes after it. */
static int work_alone(struct index_builder *b, enum build_stage *out_next, struct error *err)
{
    int rc;

    *out_next = b->stage;
    switch (b->stage) {
    case STAGE_VECTORS:
        rc = whole_rows_step(&b->rows, err);
        if (rc == 1) *out_next = STAGE_CREATE;
        return rc < 0 ? -1 : 0;
    case STAGE_CREATE:
        *out_next = STAGE_PIECES;
        return create_build(b, err);
    case STAGE_PIECES:
        return b->ops->turn(b->build, err);
    case STAGE_SAVE:
        *out_next = STAGE_DONE;
        return save(b, err);
    case STAGE_DONE:
        break;
    }
    UNREACHABLE();
}

/* ---- handing out ---- */

enum share { SHARE_PIECE, SHARE_ALONE, SHARE_NONE, SHARE_SAVE, SHARE_OVER };

/* Under the mutex. */
static enum share hand_out(struct index_builder *b, bool may_save, uint32_t *out_piece)
{
    if (b->error.code || b->cancel_code || b->stage == STAGE_DONE)
        return b->inside == 0 ? SHARE_OVER : SHARE_NONE; /* (2) */
    if (b->stage == STAGE_PIECES && b->next_piece < b->piece_count) {
        *out_piece = b->next_piece++;
        return SHARE_PIECE;
    }
    if (b->inside > 0) return SHARE_NONE; /* (1) */
    if (b->stage == STAGE_SAVE && !may_save) return SHARE_SAVE;
    return SHARE_ALONE;
}

/* After what was done alone, by who did it: nobody else is inside.  Under the mutex. */
static void begin_stage(struct index_builder *b, enum build_stage next)
{
    b->stage = next;
    if (next > STAGE_PIECES) b->progress = 1;
    if (next != STAGE_PIECES) return;
    b->progress = b->ops->progress(b->build);
    b->next_piece = 0;
    b->piece_count = b->ops->piece_count(b->build);
    if (b->piece_count == 0) b->stage = STAGE_SAVE;
}

enum index_work index_builder_work(struct index_builder *b, bool may_save)
{
    struct error failed = {0};
    enum build_stage next = STAGE_DONE;
    uint32_t piece = 0;
    int rc = 0;

    mutex_lock(&b->mutex);
    enum share share = hand_out(b, may_save, &piece);
    bool works = share == SHARE_PIECE || share == SHARE_ALONE;
    b->inside += works;
    mutex_unlock(&b->mutex);
    if (share == SHARE_PIECE) rc = b->ops->run(b->build, piece, &failed);
    else if (share == SHARE_ALONE) rc = work_alone(b, &next, &failed);
    if (works) {
        mutex_lock(&b->mutex);
        b->inside--;
        if (rc != 0 && !b->error.code) b->error = failed;
        else if (rc == 0 && share == SHARE_ALONE) begin_stage(b, next);
        mutex_unlock(&b->mutex);
        return INDEX_WORKED;
    }
    if (share == SHARE_NONE) return INDEX_NO_WORK;
    return share == SHARE_SAVE ? INDEX_TO_SAVE : INDEX_BUILT;
}

uint32_t index_builder_room(struct index_builder *b)
{
    mutex_lock(&b->mutex);
    uint32_t room = b->stage == STAGE_PIECES ? b->piece_count - b->next_piece : 1;
    mutex_unlock(&b->mutex);
    return room > 0 ? room : 1;
}

void index_builder_cancel(struct index_builder *b, int code)
{
    mutex_lock(&b->mutex);
    b->cancel_code = code;
    mutex_unlock(&b->mutex);
}

float index_builder_progress(struct index_builder *b)
{
    mutex_lock(&b->mutex);
    float progress = b->progress;
    mutex_unlock(&b->mutex);
    return progress;
}

/* ---- what it is ---- */

const struct uuid *index_builder_segment(const struct index_builder *b)
{
    return &b->desc.segment->uuid;
}

const struct index_plan *index_builder_plan(const struct index_builder *b)
{
    return &b->desc.plan;
}

uint32_t index_builder_row_count(const struct index_builder *b)
{
    return b->desc.row_count;
}

enum metric index_builder_metric(const struct index_builder *b)
{
    return b->desc.metric;
}

const char *index_builder_temporary(const struct index_builder *b)
{
    return b->temporary;
}

const char *index_builder_name(const struct index_builder *b)
{
    return b->name;
}

int index_builder_take(struct index_builder *b, struct manifest_part *out, struct error *err)
{
    CHECK(b->inside == 0);
    if (b->stage != STAGE_DONE) {
        if (b->error.code && err) *err = b->error;
        return b->error.code
                   ? -1
                   : error_set(err, b->cancel_code, "the build of an index was cancelled");
    }
    b->has_file = false;
    *out = b->part;
    return 0;
}
