/* SPDX-License-Identifier: Apache-2.0 */
/* flat_codes.c — a flat index with a quantizer: every row, told of by codes first.
 *
 * WHAT        The codes of all rows, in blocks of 32 that are centred on the middle of all.  The
 *             oracle of a search scores blocks, takes its bounds off, and so nominates rows: flat.c
 *             sifts by that, and measures what may enter the list with the full vectors.  So
 *             distances are exact, and a row is missed only where its bound was: but for the chance
 *             that the quantizer states.  Too many that come through are scanned, as ever.
 * IMAGE       The quantizer, and section BLOCKS: row i is code i % 32 of block i / 32.
 * INVARIANTS  (1) The same rows, seed and level give the same bytes, whoever ran which piece.
 *             (2) What is opened has a block for each row; whatever a block holds, nothing but it
 *                 is read.
 * THREADS     As index.h and index_build.h say.
 * FAILURE     As those say; searches fail as the source of the vectors does.
 */
#include "index/flat_codes.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/planted.h"
#include "index/quantizer_image.h"
#include "quant/raw.h"

enum { PIECE_BLOCKS = 128 };

static uint32_t block_count_of(uint32_t row_count)
{
    return row_count / BLOCK_CODES + (row_count % BLOCK_CODES != 0);
}

bool flat_codes_takes(const struct metric_info *metric, enum quantizer_kind quantizer)
{
    return quantizer == QUANTIZER_RAW || quantizer_suits_index(metric, quantizer, true);
}

/* ---- Building ---- */

enum phase { TRAINING, PACKING, BUILT };

struct index_build {
    struct index_build_desc desc;
    enum phase phase;
    struct quantizer *quantizer;
    size_t block_bytes;
    uint32_t block_count;
    uint8_t *blocks;
};

static void build_destroy(struct index_build *b)
{
    if (!b) return;
    if (b->quantizer) b->quantizer->vtab->destroy(b->quantizer);
    mem_free(b->desc.alloc, b->blocks);
    mem_free(b->desc.alloc, b);
}

/* Most quantizers are trained then, and there is nothing but rows to pack. */
static int begin_training(struct index_build *b, struct error *err)
{
    if (quantizer_train_for(&b->desc, &b->quantizer, err) != 0) return -1;
    b->phase = quantizer_train_pieces(b->quantizer) > 0 ? TRAINING : PACKING;
    b->block_bytes = b->quantizer->vtab->block_bytes(b->quantizer);
    size_t bytes = b->block_bytes * b->block_count;
    b->blocks = (uint8_t *)mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, bytes, ALIGN_VECTOR);
    return b->blocks ? 0 : error_no_memory(err, bytes);
}

static int build_create(const struct index_build_desc *desc, struct index_build **out,
                        struct error *err)
{
    struct index_build *b = (struct index_build *)mem_zalloc(desc->alloc, MEM_GENERAL, sizeof *b);

    if (!b) return error_no_memory(err, sizeof *b);
    b->desc = *desc;
    b->block_count = block_count_of(desc->row_count);
    if (begin_training(b, err) != 0) {
        build_destroy(b);
        return -1;
    }
    *out = b;
    return 0;
}

static uint32_t build_piece_count(const struct index_build *b)
{
    if (b->phase == TRAINING) return quantizer_train_pieces(b->quantizer);
    return b->phase == PACKING ? (b->block_count + PIECE_BLOCKS - 1) / PIECE_BLOCKS : 0;
}

static int pack(struct index_build *b, uint32_t block, struct error *err)
{
    const struct vector_source *source = b->desc.vectors;
    const struct quantizer_vtab *v = b->quantizer->vtab;
    uint32_t row = block * BLOCK_CODES, left = b->desc.row_count - row;
    uint32_t count = left < BLOCK_CODES ? left : BLOCK_CODES;
    const float *vectors[BLOCK_CODES];

    for (uint32_t i = 0; i < count; i++) {
        struct vector_run run;
        if (source->run(source, row + i, 1, &run, err) != 0) return -1;
        vectors[i] = run.vectors;
    }
    v->pack_block(b->quantizer, v->center(b->quantizer), vectors, count,
                  b->blocks + block * b->block_bytes);
    return 0;
}

static int build_run(struct index_build *b, uint32_t piece, struct error *err)
{
    if (b->phase == TRAINING) return b->quantizer->vtab->train_piece(b->quantizer, piece, err);
    uint32_t first = piece * PIECE_BLOCKS, end = first + PIECE_BLOCKS;
    if (end > b->block_count) end = b->block_count;
    for (uint32_t block = first; block < end; block++)
        if (pack(b, block, err) != 0) return -1;
    return 0;
}

static int build_turn(struct index_build *b, struct error *err)
{
    (void)err;
    if (b->phase == TRAINING) b->quantizer->vtab->train_end(b->quantizer);
    b->phase++;
    return 0;
}

static float build_progress(const struct index_build *b)
{
    static const float done[] = {0, 0.05f, 1};
    return done[b->phase];
}

static int build_save(struct index_build *b, struct index_writer *w, struct error *err)
{
    if (quantizer_write_section(w, b->desc.alloc, b->desc.quantizer.kind, b->quantizer, err) != 0)
        return -1;
    return index_write_section(w, INDEX_SECTION_BLOCKS, 1, b->block_bytes, b->blocks,
                               b->block_bytes * b->block_count, err);
}

const struct index_build_ops flat_codes_build_ops = {
    .create = build_create,
    .piece_count = build_piece_count,
    .run = build_run,
    .turn = build_turn,
    .progress = build_progress,
    .save = build_save,
    .destroy = build_destroy,
};

/* ---- Opened ---- */

struct flat_codes {
    struct index base; /* first */
    struct alloc *alloc;
    struct quantizer *quantizer;
    size_t block_bytes;
    const uint8_t *blocks; /* of the image */
};

static const struct flat_codes *flat_codes_of(const struct index *index)
{
    return (const struct flat_codes *)index;
}

int flat_codes_open(const struct index_open_desc *desc, struct index **out, struct error *err)
{
    struct flat_codes *f = (struct flat_codes *)mem_zalloc(desc->alloc, MEM_SEGMENT, sizeof *f);
    const void *blocks;

    if (!f) return error_no_memory(err, sizeof *f);
    f->base = (struct index){.kind = &index_flat, .row_count = desc->row_count};
    f->alloc = desc->alloc;
    if (quantizer_open_section(desc, true, &f->quantizer, err) != 0) {
        flat_codes_close(&f->base);
        return -1;
    }
    f->block_bytes = f->quantizer->vtab->block_bytes(f->quantizer);
    uint32_t block_count = block_count_of(desc->row_count) - PLANTED(FLAT_LAST_BLOCK);
    uint64_t bytes = (uint64_t)f->block_bytes * block_count;
    if (index_image_require(desc->image, INDEX_SECTION_BLOCKS, 1, bytes, &blocks, err) != 0) {
        flat_codes_close(&f->base);
        return -1;
    }
    f->blocks = (const uint8_t *)blocks;
    f->base.memory_bytes = sizeof *f + f->quantizer->vtab->memory_bytes(f->quantizer);
    *out = &f->base;
    return 0;
}

void flat_codes_close(struct index *index)
{
    if (!index) return;
    struct flat_codes *f = (struct flat_codes *)index;
    if (f->quantizer) f->quantizer->vtab->destroy(f->quantizer);
    mem_free(f->alloc, f);
}

/* ---- The oracle: distances are those of raw.c ---- */

struct nominating_oracle {
    struct raw_oracle raw; /* first */
    const struct flat_codes *codes;
    struct oracle *coded; /* behind this one */
    float center_distance;
};

static uint32_t codes_ready(struct oracle *base, uint32_t row, uint32_t row_count)
{
    (void)base, (void)row;
    return row_count;
}

static void codes_nominate(struct oracle *base, uint32_t row, uint32_t row_count, float *out)
{
    const struct nominating_oracle *o = (const struct nominating_oracle *)base;
    float distances[BLOCK_CODES], bounds[BLOCK_CODES];

    while (row_count > 0) {
        uint32_t first = row % BLOCK_CODES, room = BLOCK_CODES - first;
        uint32_t count = row_count < room ? row_count : room;
        o->coded->ops->score_block(o->coded,
                                   o->codes->blocks + row / BLOCK_CODES * o->codes->block_bytes,
                                   o->center_distance, distances, bounds);
        for (uint32_t i = 0; i < count; i++) {
            float least = distances[first + i] - bounds[first + i];
            out[i] = least == least ? least : -INFINITY;
        }
        row += count;
        row_count -= count;
        out += count;
    }
}

size_t flat_codes_oracle_bytes(const struct index *index, uint32_t dim)
{
    return align_up(sizeof(struct nominating_oracle) + raw_scratch_bytes(dim), ALIGN_VECTOR) +
           flat_codes_of(index)->quantizer->vtab->oracle_bytes(dim);
}

/* The exact distance of the point that blocks are centred on. */
static float measure_center(const struct nominating_oracle *o, const struct oracle_desc *desc,
                            const float *center)
{
    uint32_t dim = desc->vectors->dim;
    float value = o->raw.kernels.pair(desc->query.vector, center, dim);

    if (o->raw.value == METRIC_VALUE_DISTANCE) return value;
    if (o->raw.value == METRIC_VALUE_PRODUCT) return -value;
    return metric_cosine_distance(value, o->raw.query_norm,
                                  dense_norm_f32(desc->kernels, center, dim));
}

struct oracle *flat_codes_oracle_init(const struct index *index, void *memory,
                                      const struct oracle_desc *desc)
{
    static const struct oracle_ops ops = {.scan = raw_scan,
                                          .scan_block = raw_scan_block,
                                          .gather = raw_gather,
                                          .ready = codes_ready,
                                          .nominate = codes_nominate};
    const struct flat_codes *f = flat_codes_of(index);
    const struct quantizer_vtab *v = f->quantizer->vtab;
    struct nominating_oracle *o = (struct nominating_oracle *)memory;
    struct oracle_desc coded = *desc;

    o->codes = f;
    raw_oracle_begin(&o->raw, desc, o + 1);
    o->raw.base.ops = &ops;
    o->center_distance = measure_center(o, desc, v->center(f->quantizer));
    coded.quantizer = f->quantizer;
    size_t own_bytes = align_up(sizeof *o + raw_scratch_bytes(desc->vectors->dim), ALIGN_VECTOR);
    o->coded = v->oracle_init((uint8_t *)memory + own_bytes, &coded);
    return &o->raw.base;
}
