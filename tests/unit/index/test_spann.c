/* SPDX-License-Identifier: Apache-2.0 */
/* Short lists on the disk: found by few reads, the same however they are built, read and cut,
 * within their bounds, refused when damaged, whenever that is seen. */
#include <math.h>

#include "base/hash.h"
#include "index/spann.h"
#include "support/index_on_disk.h"
#include "support/oom_sweep.h"
#include "support/test.h"

/* Fewer in builds with tiny limits: there a sanitizer looks at each step. */
enum { MANY = SEAL_ROWS > 1000 ? 6000 : 900, QUERIES = 40, K = 10 };

struct setting {
    uint32_t rows, dim, groups;
    unsigned metric;
    double clusters, nprobe, replicas; /* 0, 0, less than 0: as they come */
};

static struct index_build_desc desc_of(const struct setting *s, struct alloc *a,
                                       const struct test_vectors *v, struct index_params *params)
{
    index_params_init(&index_spann, params);
    params->values[SPANN_N_CLUSTERS] = s->clusters;
    if (s->nprobe > 0) params->values[SPANN_NPROBE] = s->nprobe;
    if (s->replicas >= 0) params->values[SPANN_REPLICA_COUNT] = s->replicas;
    return (struct index_build_desc){.alloc = a,
                                     .kernels = kernels_active(),
                                     .vectors = &v->source,
                                     .params = params,
                                     .metric = (enum metric)s->metric,
                                     .row_count = v->row_count,
                                     .seed = 5};
}

static void build(const struct setting *s, const struct test_vectors *v, enum piece_order order,
                  struct built_index *out)
{
    struct index_params params;
    struct error err = {0};
    struct index_build_desc desc = desc_of(s, alloc_libc(), v, &params);
    assert_ok(built_index_make(out, &index_spann, &desc, order, &err), &err);
}

static void set_up(const struct setting *s, uint64_t seed, struct test_vectors *v,
                   struct built_index *b)
{
    struct rng r;
    rng_init(&r, seed);
    test_vectors_make(v, &r, s->rows, s->dim, s->groups);
    build(s, v, PIECES_FORWARDS, b);
}

static void tear_down(struct test_vectors *v, struct built_index *b)
{
    built_index_drop(b);
    test_vectors_drop(v);
}

static const struct spann *spann_of(const struct built_index *b)
{
    return (const struct spann *)b->index;
}

static enum index_state search(const struct built_index *b, struct topk *found, struct error *err)
{
    float *queries = test_queries_make(b->vectors, QUERIES);
    struct built_search search = {
        .queries = queries, .query_count = QUERIES, .k = K, .distance_max = INFINITY};
    enum index_state state = built_index_search(b, &search, found, err);
    free(queries);
    return state;
}

static void most_of_the_nearest_are_found(void **state)
{
    (void)state;
    const struct setting settings[] = {
        {MANY, 64, 40, METRIC_L2, 0, 0, -1},     {MANY, 64, 40, METRIC_IP, 0, 0, -1},
        {MANY, 33, 40, METRIC_COSINE, 0, 0, -1}, {MANY, 3, 40, METRIC_L2, 0, 0, -1},
        {MANY, 64, 40, METRIC_COSINE, 20, 4, 7}, {200, 4200, 10, METRIC_L2, 0, 0, -1},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        set_up(&settings[i], test_seed(i + 1), &v, &b);
        double recall = built_index_recall(&b, 0);
        if (recall < 0.95) fail_msg("setting %zu: recall %.3f", i, recall);
        assert_ok(index_spann.check(b.index, &v.source, &err), &err);
        tear_down(&v, &b);
    }
}

/* What they are for: as many lists find more. */
static void replicas_find_what_borders_hide(void **state)
{
    (void)state;
    double recalls[2];
    for (int i = 0; i < 2; i++) {
        struct setting s = {MANY, 16, 0, METRIC_L2, MANY / 50, 3, 4 * i};
        struct test_vectors v;
        struct built_index b;
        set_up(&s, 3, &v, &b);
        recalls[i] = built_index_recall(&b, 0);
        tear_down(&v, &b);
    }
    if (recalls[1] < recalls[0] + 0.05)
        fail_msg("recall %.3f without replicas, %.3f with", recalls[0], recalls[1]);
}

/* Pieces in any order, vectors at one place or in runs. */
static void a_build_has_one_result(void **state)
{
    (void)state;
    const struct setting settings[] = {
        {MANY, 20, 10, METRIC_COSINE, 0, 0, -1},
        {MANY, 8, 3, METRIC_IP, MANY / 4, 0, -1}, /* in groups, where MANY is many */
    };
    for (size_t i = 0; i < 2; i++) {
        struct test_vectors v;
        struct index_params params;
        struct rng r;
        rng_init(&r, 4);
        test_vectors_make(&v, &r, settings[i].rows, settings[i].dim, settings[i].groups);
        struct index_build_desc desc = desc_of(&settings[i], alloc_libc(), &v, &params);
        assert_one_result(&index_spann, &desc, &v);
        test_vectors_drop(&v);
    }
}

/* From a row alone to rows that are all alike, or mostly: no list is longer than it may be, and all
 * rows are found. */
static void lists_of_any_rows_are_short(void **state)
{
    (void)state;
    const uint32_t sizes[] = {1, 2, 3, 9, 64, 65, 500};
    for (size_t i = 0; i < 3 * sizeof sizes / sizeof *sizes; i++) {
        uint32_t rows = sizes[i / 3];
        struct setting s = {rows, 4, 0, i % 2 ? METRIC_L2 : METRIC_COSINE, i % 2 ? rows / 8 : 0,
                            0,    -1};
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        struct rng r;
        rng_init(&r, i);
        test_vectors_make(&v, &r, rows, 4, 0);
        for (size_t j = 0; j < (size_t)rows * 4 * (i % 3) / 2; j++) v.vectors[j] = 0.25f;
        test_vectors_measure(&v);
        build(&s, &v, PIECES_FORWARDS, &b);
        assert_ok(index_spann.check(b.index, &v.source, &err), &err);
        const struct spann_head *head =
            (const struct spann_head *)built_index_section(&b, SPANN_SECTION_HEAD)->data;
        assert_in_range(spann_of(&b)->list_rows, 1, head->list_rows);
        assert_in_range(head->list_rows, SPANN_LIST_ROWS_MIN, 3 * 128);
        struct topk *all = built_lists_make(1, rows);
        struct built_search search = {
            .queries = v.vectors, .query_count = 1, .k = rows, .distance_max = INFINITY};
        assert_int_equal(built_index_search(&b, &search, all, &err), INDEX_DONE);
        assert_int_equal(all->count, rows);
        mem_free(alloc_libc(), all);
        tear_down(&v, &b);
    }
}

/* Lists without rows would use up what a search may read; and of a cluster that is divided a part
 * is enough to know how. */
static void many_equal_rows_have_few_lists(void **state)
{
    (void)state;
    const struct setting settings[] = {
        {20000, 2, 0, METRIC_L2, 0, 0, -1},
        {20000, 2, 0, METRIC_COSINE, 1, 0, -1},
        {6000, 2, 0, METRIC_L2, 3000, 0, -1}, /* in groups, of which most have no lists */
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct test_vectors v;
        struct built_index b;
        struct error err = {0};
        struct rng r;
        rng_init(&r, 7);
        test_vectors_make(&v, &r, settings[i].rows, 2, 0);
        for (size_t j = 400; j < (size_t)settings[i].rows * 2; j++) v.vectors[j] = 0.5f;
        test_vectors_measure(&v);
        build(&settings[i], &v, PIECES_FORWARDS, &b);
        assert_ok(index_spann.check(b.index, &v.source, &err), &err);
        for (uint32_t list = 0; list < spann_of(&b)->centers.count; list++)
            assert_in_range(spann_row_count(spann_of(&b), list), 1, settings[i].rows);
        tear_down(&v, &b);
    }
}

/* What a search finds, and of that what is true. */
static void assert_finds(const struct built_index *b, struct built_search *search, double share)
{
    struct topk *found = built_lists_make(search->query_count, search->k);
    struct topk *truth = built_lists_make(search->query_count, search->k);
    struct error err = {0};
    assert_int_equal(built_index_search(b, search, found, &err), INDEX_DONE);
    search->is_exact = true;
    assert_int_equal(built_index_search(b, search, truth, &err), INDEX_DONE);
    search->is_exact = false;
    double recall = built_lists_recall(found, truth, search->query_count);
    if (recall < share) fail_msg("nprobe %u: recall %.3f", search->options.effort, recall);
    mem_free(alloc_libc(), found);
    mem_free(alloc_libc(), truth);
}

/* Lists that have nothing within a range, and are not read, say nothing of nearer ones that are
 * being read. */
static void a_range_is_found_by_few_lists(void **state)
{
    (void)state;
    const struct setting s = {MANY, 3, 0, METRIC_L2, MANY / 16, 0, 0};
    struct test_vectors v;
    struct built_index b;
    set_up(&s, 6, &v, &b);
    float *queries = test_queries_make(&v, QUERIES);
    struct built_search search = {.queries = queries,
                                  .query_count = QUERIES,
                                  .k = MANY,
                                  .options = {.is_range = true},
                                  .distance_max = MANY > 1000 ? 0.1f : 0.4f};
    for (uint32_t nprobe = 1; nprobe <= 4; nprobe++) {
        search.options.effort = nprobe;
        assert_finds(&b, &search, 0.92);
    }
    free(queries);
    tear_down(&v, &b);
}

/* Whatever its distance from the nearest center: none, that is, or all lists are to be read. */
static void no_more_is_pruned_than_was_asked_for(void **state)
{
    (void)state;
    const struct setting s = {MANY, 16, 0, METRIC_L2, 40, 0, 0};
    struct test_vectors v;
    struct built_index b;
    set_up(&s, 7, &v, &b);
    const struct spann *index = spann_of(&b);
    struct built_search search = {.queries = index->centers.vectors,
                                  .query_count = QUERIES,
                                  .k = K,
                                  .distance_max = INFINITY};
    assert_finds(&b, &search, 0.9);
    float *queries = test_queries_make(&v, QUERIES);
    search.queries = queries;
    search.options.effort = index->centers.count;
    assert_finds(&b, &search, 1);
    free(queries);
    tear_down(&v, &b);
}

/* Lists are passed over that have nothing much nearer, so that fewer are read. */
static void slack_reads_fewer_lists(void **state)
{
    (void)state;
    const struct setting s = {MANY, 4, 0, METRIC_L2, MANY / 16, 0, 0};
    struct test_vectors v;
    struct built_index b;
    struct index_on_disk d;
    unsigned reads[2];
    set_up(&s, 8, &v, &b);
    float *queries = test_queries_make(&v, QUERIES);
    index_on_disk_put(&d, &b, SPANN_SECTION_LISTS);
    d.is_read_through = true;
    for (int i = 0; i < 2; i++) {
        struct built_search search = {.queries = queries,
                                      .query_count = QUERIES,
                                      .k = K,
                                      .options = {.slack = 0.5f * (float)i},
                                      .distance_max = INFINITY};
        index_on_disk_open(&d);
        unsigned before = d.reads;
        assert_finds(&b, &search, i ? 0.5 : 0.9);
        reads[i] = d.reads - before;
        index_spann.close(b.index);
    }
    b.index = NULL;
    assert_in_range(reads[1], 1, reads[0] - 1);
    free(queries);
    index_on_disk_drop(&d);
    tear_down(&v, &b);
}

/* ---- Memory ---- */

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    const struct setting setting = {300, 8, 0, METRIC_COSINE, 40, 0, -1};
    struct alloc *a = alloc_create(NULL, 0);
    struct test_vectors v;
    struct index_params params;
    struct rng r;
    rng_init(&r, 2);
    test_vectors_make(&v, &r, setting.rows, setting.dim, 0);
    for (size_t i = 0; i < 100 * 8; i++) v.vectors[i] = 1; /* a cluster that is divided */
    test_vectors_measure(&v);
    struct built_sweep s = {&index_spann, desc_of(&setting, a, &v, &params)};
    oom_sweep(a, build_and_check, &s);
    test_vectors_drop(&v);
    alloc_destroy(a);
}

/* ---- Damage ---- */

static void damaged_numbers_are_refused(void **state)
{
    (void)state;
    struct setting s = {500, 8, 0, METRIC_L2, 60, 0, -1};
    struct test_vectors v;
    struct built_index b;
    struct error err = {0};
    set_up(&s, 8, &v, &b);
    index_spann.close(b.index);
    b.index = NULL;
    for (size_t i = 0; i < b.image.section_count; i++) {
        uint32_t *words = (uint32_t *)b.memory[i], kind = b.sections[i].kind;
        for (size_t j = 0; j < b.sections[i].bytes / 4; j += 7) {
            uint32_t old = words[j];
            if (kind != SPANN_SECTION_STARTS && kind != SPANN_SECTION_HEAD) break;
            if (kind == SPANN_SECTION_HEAD && j > 0) break;
            words[j] = 0xfffffffe;
            assert_fails(built_index_open(&b, alloc_libc(), &err), &err, LYNSE_CORRUPT);
            words[j] = old;
        }
        if (kind == SPANN_SECTION_HEAD) { /* room for a list that is larger than one may be */
            struct spann_head *head = (struct spann_head *)(void *)words;
            uint32_t old = head->list_rows;
            head->list_rows = spann_list_rows_max(s.dim) + 1;
            assert_fails(built_index_open(&b, alloc_libc(), &err), &err, LYNSE_CORRUPT);
            head->list_rows = old;
        }
        b.sections[i].bytes -= 4;
        assert_fails(built_index_open(&b, alloc_libc(), &err), &err, LYNSE_CORRUPT);
        b.sections[i].bytes += 4;
    }
    assert_ok(built_index_open(&b, alloc_libc(), &err), &err);
    tear_down(&v, &b);
}

static uint8_t *list_of(struct built_index *b, uint32_t list)
{
    const struct index_section *s = built_index_section(b, SPANN_SECTION_LISTS);
    return (uint8_t *)(uintptr_t)s->data + spann_of(b)->offsets[list];
}

static void repair(struct built_index *b, uint32_t list)
{
    const uint64_t *offsets = spann_of(b)->offsets + list;
    struct spann_list *head = (struct spann_list *)(void *)list_of(b, list);
    size_t hashed = sizeof head->hash;
    head->hash = hash_xxh3_64((uint8_t *)head + hashed, (size_t)(offsets[1] - offsets[0]) - hashed);
}

/* What open does not look at: a search says so, where it can go astray, and so does a check. */
static void a_damaged_list_is_told_of(void **state)
{
    (void)state;
    enum { HASH, ROW_BEYOND, NUMBER, COUNT, ROW_TWICE, ROW_LOST, VECTOR, NORM, WAYS };
    struct setting s = {600, 16, 0, METRIC_L2, 20, 20, 0};
    struct test_vectors v;
    struct built_index b;
    struct error err = {0};
    struct topk *found = built_lists_make(QUERIES, K);
    set_up(&s, 8, &v, &b);
    uint32_t count = spann_row_count(spann_of(&b), 7);
    struct spann_list *head = (struct spann_list *)(void *)list_of(&b, 7);
    uint32_t *rows = (uint32_t *)(void *)(head + 1), old = rows[1];
    float *norms = (float *)(void *)(rows + count);
    float *vector = (float *)(uintptr_t)spann_vectors((const uint8_t *)head, count);
    assert_in_range(count, 2, 600);
    for (int way = 0; way < WAYS; way++) {
        if (way == HASH) head->hash++;
        if (way == ROW_BEYOND) rows[1] = s.rows;
        if (way == NUMBER) head->number++;
        if (way == COUNT) head->row_count--;
        if (way == ROW_TWICE) rows[1] = rows[0];
        if (way == ROW_LOST) rows[1] = *spann_rows(list_of(&b, 8));
        if (way == VECTOR) vector[3] += 1;
        if (way == NORM) norms[0] += 1;
        if (way != HASH) repair(&b, 7);
        if (way <= COUNT) {
            assert_int_equal(search(&b, found, &err), INDEX_DAMAGED);
            assert_int_equal(err.code, LYNSE_CORRUPT);
            assert_non_null(strstr(err.text, "list 7 "));
        }
        assert_fails(index_spann.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
        rows[1] = old;
        head->number = 7;
        head->row_count = count;
        if (way == VECTOR) vector[3] = v.vectors[rows[0] * s.dim + 3];
        norms[0] = v.norms[rows[0]];
        repair(&b, 7);
    }
    assert_int_equal(search(&b, found, &err), INDEX_DONE);
    assert_ok(index_spann.check(b.index, &v.source, &err), &err);
    ((float *)b.memory[built_index_section(&b, SPANN_SECTION_RADII) - b.sections])[7] /= 2;
    assert_fails(index_spann.check(b.index, &v.source, &err), &err, LYNSE_CORRUPT);
    mem_free(alloc_libc(), found);
    tear_down(&v, &b);
}

/* Rows that are nearly the same, measured by kernels of another level than they were built by. */
static void a_check_knows_roundings(void **state)
{
    (void)state;
    const struct setting s = {300, 40, 0, METRIC_COSINE, 30, 0, -1};
    struct simd_kernels serial;
    struct test_vectors v;
    struct built_index b;
    struct index_params params;
    struct error err = {0};
    struct rng r;
    rng_init(&r, 9);
    test_vectors_make(&v, &r, s.rows, s.dim, 0);
    for (size_t i = 0; i < (size_t)s.rows * s.dim; i++) {
        float length = (float)(1 + i / s.dim % 7);
        v.vectors[i] = v.vectors[i % (30 * s.dim)] / v.vectors[i % (30 * s.dim) / s.dim * s.dim];
        if (i >= 30 * s.dim) v.vectors[i] *= length;
    }
    test_vectors_measure(&v);
    assert_true(kernels_of_level(SIMD_SERIAL, &serial));
    struct index_build_desc desc = desc_of(&s, alloc_libc(), &v, &params);
    desc.kernels = &serial;
    assert_ok(built_index_make(&b, &index_spann, &desc, PIECES_FORWARDS, &err), &err);
    assert_ok(index_spann.check(b.index, &v.source, &err), &err);
    tear_down(&v, &b);
}

/* ---- On a disk ---- */

/* Reads in flight and reads one by one find the same, however they are cut. */
static void what_is_found_does_not_depend_on_the_disk(void **state)
{
    (void)state;
    struct setting s = {MANY, 24, 30, METRIC_COSINE, 0, 0, -1};
    struct test_vectors v;
    struct built_index b;
    struct error err = {0};
    struct index_on_disk d;
    set_up(&s, 3, &v, &b);
    assert_same_from_disk(&d, &b, SPANN_SECTION_LISTS);
    struct topk *found = built_lists_make(QUERIES, K);
    index_on_disk_open(&d);
    index_on_disk_cut(&d, 3);
    assert_int_equal(search(&b, found, &err), INDEX_DAMAGED);
    assert_int_equal(err.code, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, " is cut"));
    index_spann.close(b.index);
    d.is_read_through = true; /* what is wrong then the image says */
    index_on_disk_open(&d);
    assert_int_equal(search(&b, found, &err), INDEX_DAMAGED);
    assert_string_equal(err.text, "the end of the file");
    mem_free(alloc_libc(), found);
    index_on_disk_drop(&d);
    tear_down(&v, &b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(most_of_the_nearest_are_found),
    cmocka_unit_test(replicas_find_what_borders_hide),
    cmocka_unit_test(a_build_has_one_result),
    cmocka_unit_test(lists_of_any_rows_are_short),
    cmocka_unit_test(many_equal_rows_have_few_lists),
    cmocka_unit_test(a_range_is_found_by_few_lists),
    cmocka_unit_test(no_more_is_pruned_than_was_asked_for),
    cmocka_unit_test(slack_reads_fewer_lists),
    cmocka_unit_test(a_check_knows_roundings),
    cmocka_unit_test(running_out_of_memory_leaves_nothing),
    cmocka_unit_test(damaged_numbers_are_refused),
    cmocka_unit_test(a_damaged_list_is_told_of),
    cmocka_unit_test(what_is_found_does_not_depend_on_the_disk),
};
TEST_MAIN(tests)
