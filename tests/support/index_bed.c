/* SPDX-License-Identifier: Apache-2.0 */
#include "support/index_bed.h"

#include <pthread.h>

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "quant/raw.h"
#include "support/test.h"

/* ---- Rows ---- */

static int run_rows(const struct vector_source *source, uint32_t row, uint32_t row_max,
                    struct vector_run *out, struct error *err)
{
    const struct bed_rows *r = (const struct bed_rows *)source;
    (void)err;
    *out = (struct vector_run){r->vectors + (size_t)row * source->dim, r->norms + row,
                               row_max < r->run_rows ? row_max : r->run_rows};
    return 0;
}

void bed_rows_init(struct bed_rows *r, const float *vectors, uint32_t row_count, uint32_t dim,
                   uint32_t run_row_count)
{
    *r = (struct bed_rows){.source = {.run = run_rows, .dim = dim},
                           .vectors = vectors,
                           .norms = (float *)malloc((row_count + 1) * sizeof(float)),
                           .row_count = row_count,
                           .run_rows = run_row_count};
    for (uint32_t i = 0; i < row_count; i++)
        r->norms[i] = dense_norm_f32(kernels_active(), vectors + (size_t)i * dim, dim);
    if (run_row_count < row_count) return;
    r->source.all = vectors;
    r->source.all_norms = r->norms;
}

void bed_rows_deinit(struct bed_rows *r)
{
    free(r->norms);
}

/* ---- Sections ---- */

static struct bed_image *image_of(struct index_writer *w)
{
    return (struct bed_image *)w;
}

static int begin_section(struct index_writer *w, uint32_t kind, uint32_t element_bytes,
                         uint64_t number, struct error *err)
{
    struct bed_image *b = image_of(w);
    (void)err;
    assert_true(b->image.section_count < INDEX_SECTIONS_MAX);
    assert_null(index_image_find(&b->image, kind));
    assert_in_range(kind, INDEX_SECTION_FIRST, INDEX_SECTION_LAST);
    b->sections[b->image.section_count] =
        (struct index_section){kind, element_bytes, number, 0, NULL};
    return 0;
}

static int write_section(struct index_writer *w, const void *data, size_t bytes, struct error *err)
{
    struct bed_image *b = image_of(w);
    size_t at = b->image.section_count, need = b->sections[at].bytes + bytes;

    (void)err;
    if (need > b->capacity[at] || !b->data[at]) {
        size_t capacity = align_up(need * 2, ALIGN_VECTOR) + ALIGN_VECTOR;
        uint8_t *grown = (uint8_t *)aligned_alloc(ALIGN_VECTOR, capacity);
        if (b->data[at]) memcpy(grown, b->data[at], b->sections[at].bytes);
        free(b->data[at]);
        b->data[at] = grown;
        b->capacity[at] = capacity;
    }
    memcpy(b->data[at] + b->sections[at].bytes, data, bytes);
    b->sections[at].bytes = need;
    return 0;
}

/* What was read past a section is found by the address sanitizer: no byte behind it is left. */
static int end_section(struct index_writer *w, struct error *err)
{
    struct bed_image *b = image_of(w);
    size_t at = b->image.section_count++;
    struct index_section *s = &b->sections[at];
    void *exact = NULL;

    (void)err;
    assert_int_equal(posix_memalign(&exact, ALIGN_VECTOR, s->bytes > 0 ? s->bytes : 1), 0);
    if (s->bytes > 0) memcpy(exact, b->data[at], s->bytes);
    free(b->data[at]);
    b->data[at] = (uint8_t *)exact;
    s->data = exact;
    return 0;
}

static int read_section(const struct index_image *image, const struct index_section *s,
                        uint64_t offset, size_t bytes, void *out, struct error *err)
{
    (void)image, (void)err;
    assert_true(offset + bytes <= s->bytes);
    memcpy(out, (const uint8_t *)s->data + offset, bytes);
    return 0;
}

void bed_image_init(struct bed_image *b)
{
    *b = (struct bed_image){.writer = {begin_section, write_section, end_section},
                            .image = {.read_at = read_section}};
    b->image.sections = b->sections;
}

void bed_image_deinit(struct bed_image *b)
{
    for (size_t i = 0; i < INDEX_SECTIONS_MAX; i++) free(b->data[i]);
}

bool bed_image_equal(const struct bed_image *a, const struct bed_image *b)
{
    if (a->image.section_count != b->image.section_count) return false;
    for (size_t i = 0; i < a->image.section_count; i++) {
        const struct index_section *x = &a->sections[i], *y = &b->sections[i];
        if (x->kind != y->kind || x->bytes != y->bytes || x->number != y->number) return false;
        if (memcmp(x->data, y->data, x->bytes) != 0) return false;
    }
    return true;
}

size_t bed_image_bytes(const struct bed_image *b)
{
    size_t bytes = 0;
    for (size_t i = 0; i < b->image.section_count; i++) bytes += b->sections[i].bytes;
    return bytes;
}

/* ---- Building ---- */

struct crew {
    const struct index_build_ops *ops;
    struct index_build *build;
    uint32_t next, count;
    int failed;
    struct error err;
};

static void *work(void *ctx)
{
    struct crew *c = (struct crew *)ctx;
    uint32_t piece;

    while ((piece = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED)) < c->count) {
        struct error err = {0};
        if (c->ops->run(c->build, piece, &err) == 0) continue;
        if (!__atomic_exchange_n(&c->failed, 1, __ATOMIC_ACQ_REL)) c->err = err;
    }
    return NULL;
}

static int run_threads(const struct index_build_ops *ops, struct index_build *build, int threads,
                       struct error *err)
{
    struct crew c = {.ops = ops, .build = build};

    while ((c.count = ops->piece_count(build)) > 0) {
        pthread_t ids[16];
        assert_in_range(threads, 2, 16);
        c.next = 0;
        for (int i = 0; i < threads; i++)
            assert_int_equal(pthread_create(&ids[i], NULL, work, &c), 0);
        for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
        if (c.failed) {
            *err = c.err;
            return -1;
        }
        if (ops->turn(build, err) != 0) return -1;
    }
    return 0;
}

int bed_build(const struct index_vtab *kind, const struct index_build_desc *desc, int threads,
              struct bed_image *out, struct error *err)
{
    struct index_build *build;
    int rc;

    if (kind->build->create(desc, &build, err) != 0) return -1;
    rc = threads > 1 ? run_threads(kind->build, build, threads, err)
                     : index_build_run_all(kind->build, build, err);
    if (rc == 0) rc = kind->build->save(build, &out->writer, err);
    kind->build->destroy(build);
    return rc;
}

/* ---- Searching ---- */

static int by_row(void *ctx, const struct candidate *a, const struct candidate *b)
{
    (void)ctx;
    return a->row < b->row ? -1 : a->row > b->row;
}

static struct oracle_query oracle_query(const struct bed_search *s, size_t i)
{
    const float *vector = s->queries + i * s->rows->source.dim;
    return (struct oracle_query){vector,
                                 dense_norm_f32(kernels_active(), vector, s->rows->source.dim)};
}

static void take_results(const struct bed_search *s, struct topk *best, size_t i, uint32_t *found,
                         float *distances)
{
    topk_sort(best);
    for (size_t j = 0; j < s->k; j++) {
        found[i * s->k + j] = j < best->count ? best->heap[j].row : UINT32_MAX;
        if (distances)
            distances[i * s->k + j] = j < best->count ? best->heap[j].distance : __builtin_inff();
    }
}

static void *aligned(size_t bytes)
{
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, ALIGN_VECTOR, bytes > 0 ? bytes : 1), 0);
    return memory;
}

int bed_search(const struct bed_search *s, uint32_t *found, float *distances, struct error *err)
{
    const struct index_vtab *kind = s->index->kind;
    uint32_t dim = s->rows->source.dim;
    size_t walked = align_up(kind->oracle_bytes(s->index, dim), ALIGN_VECTOR);
    size_t exact = align_up(quantizer_raw.oracle_bytes(dim), ALIGN_VECTOR);
    uint8_t *oracles = (uint8_t *)aligned(s->query_count * (walked + exact));
    void *search = aligned(kind->search_bytes(s->index, &s->options, s->k, s->query_count));
    struct index_query *queries = (struct index_query *)calloc(s->query_count, sizeof *queries);
    struct topk *best = (struct topk *)calloc(s->query_count, sizeof *best);
    struct oracle_desc desc = {
        .kernels = kernels_active(), .vectors = &s->rows->source, .metric = s->metric};
    enum index_state state;

    for (size_t i = 0; i < s->query_count; i++) {
        uint8_t *at = oracles + i * (walked + exact);
        desc.query = oracle_query(s, i);
        assert_int_equal(topk_init(&best[i], alloc_libc(), s->k, by_row, NULL), 0);
        queries[i] = (struct index_query){kind->oracle_init(s->index, at, &desc),
                                          quantizer_raw.oracle_init(at + walked, &desc), &best[i],
                                          s->distance_max};
    }
    kind->begin(search, &(struct index_search_desc){.index = s->index,
                                                    .queries = queries,
                                                    .query_count = s->query_count,
                                                    .gate = s->gate,
                                                    .options = s->options,
                                                    .row_end = s->rows->row_count});
    do state = kind->advance(search, s->step, err);
    while (state == INDEX_MORE);
    for (size_t i = 0; i < s->query_count; i++) {
        take_results(s, &best[i], i, found, distances);
        topk_deinit(&best[i]);
    }
    free(best);
    free(queries);
    free(search);
    free(oracles);
    return state == INDEX_DONE ? 0 : -1;
}

void bed_search_all(const struct bed_search *s, uint32_t *found, float *distances)
{
    struct raw_oracle oracle;
    struct oracle_desc desc = {
        .kernels = kernels_active(), .vectors = &s->rows->source, .metric = s->metric};

    for (size_t i = 0; i < s->query_count; i++) {
        struct topk best;
        desc.query = oracle_query(s, i);
        raw_oracle_begin(&oracle, &desc, NULL);
        assert_int_equal(topk_init(&best, alloc_libc(), s->k, by_row, NULL), 0);
        for (uint32_t row = 0; row < s->rows->row_count; row++) {
            float distance;
            if (s->gate.shut_word &&
                s->gate.shut_word(s->gate.ctx, row / 64 * 64) >> (row % 64) & 1)
                continue;
            assert_int_equal(raw_gather(&oracle.base, &row, 1, &distance, NULL), 0);
            if (distance <= s->distance_max) topk_push(&best, distance, 0, row);
        }
        take_results(s, &best, i, found, distances);
        topk_deinit(&best);
    }
}
