/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_index.h — the target of an index kind: an index whose bytes may be anything, searched if it
 * opens.  The kind's own file says in a few lines how one is built, and what of it is chosen by the
 * input.
 *
 * LAYOUT      byte 0      how it was built: bits 0-1 the metric, the rest the kind's affair
 *             byte 1      rows (mod ROWS_END, at least 1)
 *             then        edits of the good index that is built so: u8 section (mod those that
 *                         there are; bit 7: its length is cut, by the value), u16 where, u32
 *                         what; NEAR_ROWS and more: that much more than two less than the rows.
 *                         Section OTHER_ROWS: it is opened as if it had as many rows as the value
 *                         says, as byte 1 does
 * Its checksums are its container's business, and are right.  A build is the same each time, so the
 * last ones are kept: edits are of copies.
 */
#ifndef FUZZ_FUZZ_INDEX_H
#define FUZZ_FUZZ_INDEX_H

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/rng.h"
#include "fuzz/fuzz.h"
#include "index/index_build.h"
#include "index/index_image.h"
#include "quant/narrow_rows.h"
#include "quant/quantizer.h"

#define NEAR_ROWS 0xee000000u
enum { ROWS_END = 400, DIM = 8, EDITS_MAX = 64, SEARCHES = 20, K = 10 };
enum { OTHER_ROWS = 127, KEPT_IMAGES = 128 };

/* How the kind at hand is built where byte 0 is `how`. */
typedef void choose_build_fn(uint8_t how, struct index_params *params,
                             struct quantizer_spec *quantizer);

/* What numbers the rows are, where byte 0 is `how`. */
typedef enum storage_type choose_numbers_fn(uint8_t how);

/* Makes checksums of the kind's own right again, once the input has edited its sections. */
struct image;
typedef void repair_fn(struct image *i);

struct image {
    struct index_writer writer; /* first */
    struct alloc *alloc;
    struct index_image image;
    struct index_section sections[INDEX_SECTIONS_MAX];
    uint8_t *memory[INDEX_SECTIONS_MAX];
    struct buf bytes;
    uint32_t row_count; /* that it was built of, later that it is opened with */
    uint8_t how;
};

static int section_begin(struct index_writer *w, uint32_t kind, uint32_t element_bytes,
                         uint64_t number, struct error *err)
{
    struct image *i = (struct image *)w;
    (void)err;
    CHECK(i->image.section_count < INDEX_SECTIONS_MAX);
    i->sections[i->image.section_count] =
        (struct index_section){kind, element_bytes, number, 0, NULL};
    buf_init(&i->bytes, i->alloc, MEM_GENERAL);
    return 0;
}

static int section_write(struct index_writer *w, const void *data, size_t bytes, struct error *err)
{
    (void)err;
    buf_append(&((struct image *)w)->bytes, data, bytes);
    return 0;
}

static int section_end(struct index_writer *w, struct error *err)
{
    struct image *i = (struct image *)w;
    struct index_section *s = &i->sections[i->image.section_count];
    (void)err;
    CHECK(buf_ok(&i->bytes));
    s->bytes = i->bytes.size;
    s->data = i->memory[i->image.section_count++] =
        (uint8_t *)mem_alloc_aligned(i->alloc, MEM_GENERAL, s->bytes + 1, 64);
    CHECK(s->data);
    if (s->bytes > 0) memcpy((void *)(uintptr_t)s->data, i->bytes.data, s->bytes);
    buf_deinit(&i->bytes);
    return 0;
}

static enum metric metric_of(uint8_t how)
{
    return (enum metric)(how % 4 % 3 + 1);
}

struct rows {
    struct vector_source source; /* first */
    float vectors[ROWS_END * DIM], norms[ROWS_END];
};

static int run_at(const struct vector_source *s, uint32_t row, uint32_t row_max,
                  struct vector_run *out, struct error *err)
{
    const struct rows *r = (const struct rows *)(const void *)s;
    (void)err;
    CHECK(row < ROWS_END && row_max <= ROWS_END - row);
    *out = (struct vector_run){r->vectors + (size_t)row * DIM, r->norms + row, row_max};
    return 0;
}

/* Numbers that are of this type, which floats hold. */
static void make_rows(struct rows *r, enum storage_type numbers)
{
    struct rng rng;
    float wide = numbers == STORAGE_U8 || numbers == STORAGE_I8 ? 40 : 1;
    float packed[ROWS_END * DIM];
    rng_init(&rng, 1);
    r->source =
        (struct vector_source){.run = run_at, .dim = DIM, .all = r->vectors, .all_norms = r->norms};
    for (size_t i = 0; i < ROWS_END * DIM; i++) r->vectors[i] = wide * rng_normal(&rng);
    storage_pack(kernels_active(), numbers, r->vectors, ROWS_END, DIM, packed);
    storage_widen(kernels_active(), numbers, packed, ROWS_END, DIM, r->vectors);
    for (size_t i = 0; i < ROWS_END; i++)
        r->norms[i] = dense_norm_f32(kernels_active(), r->vectors + i * DIM, DIM);
}

static const struct rows *rows_of(enum storage_type numbers)
{
    static struct rows rows[STORAGE_TYPE_MAX + 1];

    if (!rows[numbers].source.run) make_rows(&rows[numbers], numbers);
    return &rows[numbers];
}

/* With an allocator that lives as long. */
static void build(struct image *i, const struct index_vtab *kind, choose_build_fn *choose,
                  const struct rows *rows)
{
    struct index_params params;
    struct index_build *b = NULL;
    struct index_build_desc desc = {.alloc = i->alloc,
                                    .kernels = kernels_active(),
                                    .vectors = &rows->source,
                                    .params = &params,
                                    .metric = metric_of(i->how),
                                    .row_count = i->row_count,
                                    .seed = i->how};
    index_params_init(kind, &params);
    choose(i->how, &params, &desc.quantizer);
    CHECK(kind->build->create(&desc, &b, NULL) == 0);
    CHECK(index_build_run_all(kind->build, b, NULL) == 0);
    CHECK(kind->build->save(b, &i->writer, NULL) == 0);
    kind->build->destroy(b);
}

static void free_sections(struct image *i)
{
    for (size_t s = 0; s < i->image.section_count; s++) mem_free(i->alloc, i->memory[s]);
}

/* A section in a block of its own, with not a byte more than it has. */
static void copy_section(struct image *to, size_t section, const struct index_section *from)
{
    uint8_t *copy =
        (uint8_t *)mem_alloc_aligned(to->alloc, MEM_GENERAL, from->bytes + !from->bytes, 64);

    CHECK(copy);
    if (from->bytes > 0) memcpy(copy, from->data, from->bytes);
    to->sections[section] = *from;
    to->sections[section].data = to->memory[section] = copy;
}

/* The good index that is built so, into *out, which has an allocator. */
static void copy_built(struct image *out, const struct index_vtab *kind, choose_build_fn *choose,
                       const struct rows *rows)
{
    static struct image kept[KEPT_IMAGES];
    struct image *good = &kept[(out->how * 31u + out->row_count) % KEPT_IMAGES];

    if (good->how != out->how || good->row_count != out->row_count) {
        free_sections(good);
        if (good->alloc) alloc_destroy(good->alloc);
        *good = (struct image){.writer = {section_begin, section_write, section_end},
                               .alloc = alloc_create(NULL, 0),
                               .row_count = out->row_count,
                               .how = out->how};
        CHECK(good->alloc);
        good->image.sections = good->sections;
        build(good, kind, choose, rows);
    }
    out->image =
        (struct index_image){.sections = out->sections, .section_count = good->image.section_count};
    for (size_t s = 0; s < good->image.section_count; s++) copy_section(out, s, &good->sections[s]);
}

static void cut_section(struct image *i, struct index_section *s, uint32_t bytes)
{
    uint8_t *whole = i->memory[s - i->sections];

    s->bytes -= bytes < s->bytes ? bytes : s->bytes;
    copy_section(i, (size_t)(s - i->sections), s);
    mem_free(i->alloc, whole);
}

static void edit(struct image *i, struct reader *r)
{
    const uint32_t row_count = i->row_count;
    uint8_t section;
    uint16_t where;
    uint32_t what;

    for (int edits = 0; edits < EDITS_MAX && reader_left(r) > 0; edits++) {
        if (!read_u8(r, &section) || !read_u16(r, &where) || !read_u32(r, &what)) return;
        if (what >= NEAR_ROWS && what < NEAR_ROWS + 4) what = row_count - 2 + what % 4;
        struct index_section *s = &i->sections[(section & 127) % i->image.section_count];
        if (section == OTHER_ROWS) i->row_count = 1 + what % (ROWS_END - 1);
        else if (section & 128) cut_section(i, s, what);
        else if (s->bytes >= 4)
            store_u32(i->memory[s - i->sections] + where % (s->bytes / 4) * 4, what);
    }
}

/* Every third row. */
static uint64_t shut_word(void *ctx, uint32_t row)
{
    (void)ctx;
    CHECK(row % 64 == 0);
    return 0x9249249249249249u << (row / 64 % 3);
}

static void search(struct alloc *a, const struct index *index, const struct rows *rows,
                   uint32_t row_count, enum metric metric, uint32_t number)
{
    struct candidate places[K];
    struct topk best;
    struct oracle_desc oracle = {.kernels = kernels_active(),
                                 .query = {rows->vectors + number * DIM, rows->norms[number]},
                                 .vectors = &rows->source,
                                 .metric = metric};
    struct index_options options = {.effort = 1 + number % 16};
    size_t own = index->kind->oracle_bytes(index, DIM), exact = quantizer_raw.oracle_bytes(DIM);
    size_t bytes = own + exact + index->kind->search_bytes(index, &options, K, 1);
    uint8_t *memory = (uint8_t *)mem_alloc_aligned(a, MEM_SEARCH, bytes, ALIGN_VECTOR);
    struct index_query query = {.best = &best, .distance_max = number % 4 == 3 ? 4 : INFINITY};

    CHECK(memory);
    topk_init_at(&best, places, K, topk_lower_row, NULL);
    query.oracle = index->kind->oracle_init(index, memory, &oracle);
    query.exact = quantizer_raw.oracle_init(memory + own, &oracle);
    struct index_search_desc desc = {.index = index,
                                     .queries = &query,
                                     .query_count = 1,
                                     .options = options,
                                     .row_end = row_count};
    if (number % 2)
        desc.gate = (struct index_gate){.shut_word = shut_word, .comes_first = number % 4 == 1};
    index->kind->begin(memory + own + exact, &desc);
    enum index_state state = index->kind->advance(memory + own + exact, UINT64_MAX, NULL);
    /* Of what stays in the file a search is the first to see that it is damaged. */
    CHECK(state == INDEX_DONE || (state == INDEX_DAMAGED && index->kind->file_sections));
    topk_sort(&best);
    for (size_t i = 0; i < best.count && state == INDEX_DONE; i++) {
        CHECK(places[i].row < row_count);
        for (size_t j = 0; j < i; j++) CHECK(places[j].row != places[i].row);
    }
    mem_free(a, memory);
}

/* repair: NULL: there is nothing to repair; numbers: NULL: floats. */
static void fuzz_repaired(const struct index_vtab *kind, choose_build_fn *choose,
                          choose_numbers_fn *numbers, repair_fn *repair, const uint8_t *data,
                          size_t size)
{
    struct reader r = reader_of(slice_of(data, size));
    struct image i = {.alloc = NULL};
    struct index *index = NULL;
    uint8_t rows_byte;

    if (!read_u8(&r, &i.how) || !read_u8(&r, &rows_byte)) return;
    i.row_count = 1 + rows_byte * 3u % (ROWS_END - 1);
    const struct rows *rows = rows_of(numbers ? numbers(i.how) : STORAGE_F32);
    i.alloc = alloc_create(NULL, 0);
    CHECK(i.alloc);
    copy_built(&i, kind, choose, rows);
    edit(&i, &r);
    if (repair) repair(&i);
    struct index_params params;
    struct index_open_desc open = {.alloc = i.alloc,
                                   .kernels = kernels_active(),
                                   .image = &i.image,
                                   .params = &params,
                                   .metric = metric_of(i.how),
                                   .dim = DIM,
                                   .row_count = i.row_count};
    index_params_init(kind, &params);
    if (kind->open(&open, &index, NULL) == 0) {
        for (uint32_t n = 0; n < SEARCHES; n++)
            search(i.alloc, index, rows, i.row_count, open.metric, n);
        if (kind->check) (void)kind->check(index, &rows->source, NULL);
        kind->close(index);
    }
    free_sections(&i);
    CHECK(alloc_used_bytes(i.alloc) == 0);
    alloc_destroy(i.alloc);
}

static inline void fuzz_index(const struct index_vtab *kind, choose_build_fn *choose,
                              const uint8_t *data, size_t size)
{
    fuzz_repaired(kind, choose, NULL, NULL, data, size);
}

#endif
