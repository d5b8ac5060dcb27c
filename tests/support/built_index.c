/* SPDX-License-Identifier: Apache-2.0 */
#include "support/built_index.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "quant/quantizer.h"
#include "support/metric_distance.h"
#include "support/test.h"

/* ---- Vectors ---- */

static int run_at(const struct vector_source *s, uint32_t row, uint32_t row_max,
                  struct vector_run *out, struct error *err)
{
    const struct test_vectors *v = (const struct test_vectors *)(const void *)s;
    (void)err;
    assert_true(row < v->row_count && row_max <= v->row_count - row);
    *out = (struct vector_run){v->vectors + (size_t)row * s->dim, v->norms + row,
                               s->all || row_max < 7 ? row_max : 7};
    return 0;
}

void test_vectors_measure(struct test_vectors *v)
{
    for (uint32_t i = 0; i < v->row_count; i++)
        v->norms[i] =
            dense_norm_f32(kernels_active(), v->vectors + (size_t)i * v->source.dim, v->source.dim);
}

void test_vectors_make(struct test_vectors *v, struct rng *r, uint32_t row_count, uint32_t dim,
                       uint32_t group_count)
{
    size_t floats = (size_t)row_count * dim;
    float *centers = (float *)malloc((group_count + 1) * dim * sizeof(float));

    v->row_count = row_count;
    v->vectors = (float *)malloc(floats * sizeof(float));
    v->norms = (float *)malloc(row_count * sizeof(float));
    assert_true(centers && v->vectors && v->norms);
    for (size_t i = 0; i < (size_t)group_count * dim; i++) centers[i] = rng_normal(r);
    for (uint32_t row = 0; row < row_count; row++) {
        size_t group = group_count ? rng_below(r, group_count) : 0;
        for (uint32_t i = 0; i < dim; i++)
            v->vectors[(size_t)row * dim + i] = rng_normal(r) * (group_count ? 0.6f : 1) +
                                                (group_count ? centers[group * dim + i] : 0.3f);
    }
    free(centers);
    v->source =
        (struct vector_source){.run = run_at, .dim = dim, .all = v->vectors, .all_norms = v->norms};
    test_vectors_measure(v);
}

void test_vectors_scatter(struct test_vectors *v)
{
    v->source.all = v->source.all_norms = NULL;
}

void test_vectors_drop(struct test_vectors *v)
{
    free(v->vectors);
    free(v->norms);
}

float *test_queries_make(const struct test_vectors *v, size_t query_count)
{
    uint32_t dim = v->source.dim;
    float *queries = (float *)malloc(query_count * dim * sizeof(float));
    struct rng r;

    assert_non_null(queries);
    rng_init(&r, 31);
    for (size_t i = 0; i < query_count * dim; i++)
        queries[i] =
            v->vectors[i / dim * 41 % v->row_count * dim + i % dim] + 0.3f * rng_normal(&r);
    return queries;
}

/* ---- An image in memory ---- */

struct memory_writer {
    struct index_writer base; /* first */
    struct built_index *built;
    struct buf bytes;
};

static int section_begin(struct index_writer *base, uint32_t kind, uint32_t element_bytes,
                         uint64_t number, struct error *err)
{
    struct memory_writer *w = (struct memory_writer *)base;
    (void)err;
    assert_in_range(kind, INDEX_SECTION_FIRST, INDEX_SECTION_LAST);
    assert_true(w->built->image.section_count < INDEX_SECTIONS_MAX);
    w->built->sections[w->built->image.section_count] =
        (struct index_section){kind, element_bytes, number, 0, NULL};
    buf_init(&w->bytes, alloc_libc(), MEM_GENERAL);
    return 0;
}

static int section_write(struct index_writer *base, const void *data, size_t bytes,
                         struct error *err)
{
    struct memory_writer *w = (struct memory_writer *)base;
    (void)err;
    buf_append(&w->bytes, data, bytes);
    return 0;
}

static int section_end(struct index_writer *base, struct error *err)
{
    struct memory_writer *w = (struct memory_writer *)base;
    struct built_index *b = w->built;
    struct index_section *s = &b->sections[b->image.section_count];
    (void)err;
    assert_true(buf_ok(&w->bytes));
    /* Not a byte more than there are, so that the address sanitizer sees who reads on. */
    void *memory = mem_alloc_aligned(alloc_libc(), MEM_GENERAL, w->bytes.size + !w->bytes.size, 64);
    assert_non_null(memory);
    if (w->bytes.size > 0) memcpy(memory, w->bytes.data, w->bytes.size);
    s->bytes = w->bytes.size;
    s->data = b->memory[b->image.section_count++] = memory;
    buf_deinit(&w->bytes);
    return 0;
}

/* ---- Building ---- */

static int run_phase(const struct index_build_ops *ops, struct index_build *b, uint32_t count,
                     enum piece_order order, struct rng *r, struct error *err)
{
    uint32_t *pieces = (uint32_t *)malloc(count * sizeof *pieces);
    int rc = 0;

    assert_non_null(pieces);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = order == PIECES_AT_RANDOM ? (uint32_t)rng_below(r, (uint64_t)i + 1) : i;
        pieces[i] = pieces[j];
        pieces[j] = order == PIECES_BACKWARDS ? count - 1 - i : i;
    }
    for (uint32_t i = 0; i < count && rc == 0; i++) rc = ops->run(b, pieces[i], err);
    free(pieces);
    return rc;
}

enum { THREADS = 3 };

struct crew {
    const struct index_build_ops *ops;
    struct index_build *build;
    uint32_t count;
    _Atomic(uint32_t) next;
};

static void *run_pieces(void *ctx)
{
    struct crew *c = (struct crew *)ctx;
    struct error err = {0};

    for (uint32_t piece; (piece = atomic_fetch_add(&c->next, 1)) < c->count;)
        if (c->ops->run(c->build, piece, &err) != 0) return c;
    return NULL;
}

static void run_phase_on_threads(const struct index_build_ops *ops, struct index_build *b,
                                 uint32_t count)
{
    struct crew crew = {.ops = ops, .build = b, .count = count};
    pthread_t threads[THREADS];
    void *failed;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_pieces, &crew), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

int built_index_make(struct built_index *b, const struct index_vtab *kind,
                     const struct index_build_desc *desc, enum piece_order order, struct error *err)
{
    struct memory_writer w = {{section_begin, section_write, section_end}, b, {0}};
    const struct index_build_ops *ops = kind->build;
    struct index_build *build = NULL;
    struct rng r;
    float progress = 0;
    int rc = -1;

    rng_init(&r, 5);
    *b = (struct built_index){.kind = kind,
                              .vectors = (const struct test_vectors *)(const void *)desc->vectors,
                              .metric = desc->metric};
    b->image.sections = b->sections;
    if (ops->create(desc, &build, err) != 0) goto out;
    for (uint32_t count; (count = ops->piece_count(build)) > 0;) {
        if (order == PIECES_ON_THREADS) run_phase_on_threads(ops, build, count);
        else if (run_phase(ops, build, count, order, &r, err) != 0) goto out;
        if (ops->turn(build, err) != 0) goto out;
        assert_true(ops->progress(build) >= progress && ops->progress(build) <= 1);
        progress = ops->progress(build);
    }
    if (ops->save(build, &w.base, err) != 0) goto out;
    ops->destroy(build);
    build = NULL;
    rc = built_index_open(b, desc->alloc, err);
out:
    ops->destroy(build);
    if (rc != 0) {
        buf_deinit(&w.bytes);
        built_index_drop(b);
    }
    return rc;
}

int built_index_open(struct built_index *b, struct alloc *a, struct error *err)
{
    struct index_params params;
    struct index_open_desc desc = {.alloc = a,
                                   .kernels = kernels_active(),
                                   .image = &b->image,
                                   .params = &params,
                                   .metric = b->metric,
                                   .dim = b->vectors->source.dim,
                                   .row_count = b->vectors->row_count};

    index_params_init(b->kind, &params);
    return b->kind->open(&desc, &b->index, err);
}

void built_index_drop(struct built_index *b)
{
    if (b->index) b->kind->close(b->index);
    for (size_t i = 0; i < b->image.section_count; i++) mem_free(alloc_libc(), b->memory[i]);
    b->index = NULL;
    b->image.section_count = 0;
}

struct index_section *built_index_section(struct built_index *b, uint32_t kind)
{
    size_t i = 0;

    while (b->sections[i].kind != kind) i++;
    return &b->sections[i];
}

void assert_same_index(const struct built_index *a, const struct built_index *b)
{
    assert_int_equal(a->image.section_count, b->image.section_count);
    for (size_t i = 0; i < a->image.section_count; i++) {
        assert_int_equal(a->sections[i].kind, b->sections[i].kind);
        assert_int_equal(a->sections[i].number, b->sections[i].number);
        assert_int_equal(a->sections[i].bytes, b->sections[i].bytes);
        assert_memory_equal(a->sections[i].data, b->sections[i].data, a->sections[i].bytes);
    }
}

void assert_one_result(const struct index_vtab *kind, const struct index_build_desc *desc,
                       struct test_vectors *vectors)
{
    struct built_index first, other;
    struct error err = {0};

    assert_ok(built_index_make(&first, kind, desc, PIECES_FORWARDS, &err), &err);
    assert_ok(built_index_make(&other, kind, desc, PIECES_BACKWARDS, &err), &err);
    assert_same_index(&first, &other);
    built_index_drop(&other);
    test_vectors_scatter(vectors);
    assert_ok(built_index_make(&other, kind, desc, PIECES_AT_RANDOM, &err), &err);
    assert_same_index(&first, &other);
    built_index_drop(&other);
    built_index_drop(&first);
}

int build_and_check(void *sweep, struct error *err)
{
    const struct built_sweep *s = (const struct built_sweep *)sweep;
    struct built_index b;

    if (built_index_make(&b, s->kind, &s->desc, PIECES_FORWARDS, err) != 0) return -1;
    int rc = s->kind->check(b.index, s->desc.vectors, err);
    built_index_drop(&b);
    return rc;
}

/* ---- Searching ---- */

struct topk *built_lists_make(size_t query_count, size_t k)
{
    size_t head = query_count * sizeof(struct topk);
    struct topk *lists = (struct topk *)mem_alloc(
        alloc_libc(), MEM_GENERAL, head + query_count * k * sizeof(struct candidate));

    assert_non_null(lists);
    struct candidate *places = (struct candidate *)(lists + query_count);
    for (size_t i = 0; i < query_count; i++)
        topk_init_at(&lists[i], places + i * k, k, topk_lower_row, NULL);
    return lists;
}

static void look_at_all(const struct built_index *b, const struct built_search *search,
                        struct topk *lists)
{
    uint32_t dim = b->vectors->source.dim;

    for (size_t q = 0; q < search->query_count; q++) {
        topk_clear(&lists[q]);
        for (uint32_t row = 0; row < b->vectors->row_count; row++) {
            const struct index_gate *gate = &search->gate;
            if (gate->shut_word && gate->shut_word(gate->ctx, row / 64 * 64) >> (row % 64) & 1)
                continue;
            float distance = metric_distance(b->metric, search->queries + q * dim,
                                             b->vectors->vectors + (size_t)row * dim, dim);
            if (distance <= search->distance_max) topk_push(&lists[q], distance, 0, row);
        }
        topk_sort(&lists[q]);
    }
}

enum index_state built_index_search(const struct built_index *b, const struct built_search *search,
                                    struct topk *lists, struct error *err)
{
    const struct index_vtab *kind = b->kind;
    uint32_t dim = b->vectors->source.dim;
    enum index_state state;

    if (search->is_exact) {
        look_at_all(b, search, lists);
        return INDEX_DONE;
    }
    size_t walk_bytes = align_up(kind->oracle_bytes(b->index, dim), ALIGN_VECTOR);
    size_t oracles = walk_bytes + quantizer_raw.oracle_bytes(dim);
    size_t bytes = search->query_count * oracles +
                   kind->search_bytes(b->index, &search->options, search->k, search->query_count);
    uint8_t *memory = (uint8_t *)mem_alloc_aligned(alloc_libc(), MEM_SEARCH, bytes, ALIGN_VECTOR);
    struct index_query *queries =
        (struct index_query *)malloc(search->query_count * sizeof *queries);
    assert_true(memory && queries);
    memset(memory, 0xa5, bytes);
    for (size_t i = 0; i < search->query_count; i++) {
        const float *vector = search->queries + i * dim;
        struct oracle_desc oracle = {
            .kernels = kernels_active(),
            .query = {vector, dense_norm_f32(kernels_active(), vector, dim)},
            .vectors = &b->vectors->source,
            .metric = b->metric};
        topk_clear(&lists[i]);
        queries[i] = (struct index_query){
            .oracle = kind->oracle_init(b->index, memory + i * oracles, &oracle),
            .exact = quantizer_raw.oracle_init(memory + i * oracles + walk_bytes, &oracle),
            .best = &lists[i],
            .distance_max = search->distance_max,
        };
    }
    struct index_search_desc desc = {.index = b->index,
                                     .queries = queries,
                                     .query_count = search->query_count,
                                     .gate = search->gate,
                                     .options = search->options,
                                     .row_end = b->vectors->row_count};
    void *object = memory + search->query_count * oracles;
    kind->begin(object, &desc);
    do state = kind->advance(object, search->budget ? search->budget : UINT64_MAX, err);
    while (state == INDEX_MORE);
    for (size_t i = 0; i < search->query_count; i++) topk_sort(&lists[i]);
    free(queries);
    mem_free(alloc_libc(), memory);
    return state;
}

double built_lists_recall(const struct topk *found, const struct topk *truth, size_t query_count)
{
    size_t hits = 0, wanted = 0;

    for (size_t q = 0; q < query_count; q++) {
        wanted += truth[q].count;
        if (truth[q].count == 0) continue;
        float worst = truth[q].heap[truth[q].count - 1].distance;
        for (size_t i = 0; i < found[q].count; i++) hits += found[q].heap[i].distance <= worst;
    }
    return wanted > 0 ? (double)hits / (double)wanted : 1;
}

double built_index_recall(const struct built_index *b, uint32_t effort)
{
    enum { QUERIES = 50, K = 10 };
    struct topk *found = built_lists_make(QUERIES, K), *truth = built_lists_make(QUERIES, K);
    struct error err = {0};
    float *queries = test_queries_make(b->vectors, QUERIES);
    struct built_search search = {.queries = queries,
                                  .query_count = QUERIES,
                                  .k = K,
                                  .options = {.effort = effort},
                                  .distance_max = INFINITY};
    assert_int_equal(built_index_search(b, &search, found, &err), INDEX_DONE);
    search.is_exact = true;
    assert_int_equal(built_index_search(b, &search, truth, &err), INDEX_DONE);
    double recall = built_lists_recall(found, truth, QUERIES);
    mem_free(alloc_libc(), found);
    mem_free(alloc_libc(), truth);
    free(queries);
    return recall;
}

uint64_t built_shut_word(void *bits, uint32_t row)
{
    assert_int_equal(row % 64, 0);
    return ((const uint64_t *)bits)[row / 64];
}
