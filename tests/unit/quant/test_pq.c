/* SPDX-License-Identifier: Apache-2.0 */
/* Codes of parts: as short as they are said to be, their tables as near, and their estimates as
 * rarely farther off than bounds; test_coded.c has what they share with other codes. */
#include <math.h>

#include "base/limits.h"
#include "base/rng.h"
#include "quant/coded.h"
#include "support/test.h"
#include "support/train_whole.h"

/* Fewer in builds with tiny limits: there a sanitizer looks at each step. */
enum { ROWS = SEAL_ROWS > 1000 ? 6000 : 1500, ASKED = 512, DIM_MAX = 257, STRIDE = 256 };

struct fixture {
    struct vector_source vectors; /* first */
    struct simd_kernels kernels;
    float values[ROWS * DIM_MAX], norms[ROWS], query[DIM_MAX];
    _Alignas(64) uint8_t codes[ASKED * STRIDE], memory[1 << 16], raw_memory[4096];
};

static struct fixture fixture;

static int vectors_of(const struct vector_source *s, uint32_t row, uint32_t row_max,
                      struct vector_run *out, struct error *err)
{
    const struct fixture *t = (const struct fixture *)s;
    (void)err;
    *out = (struct vector_run){t->values + (size_t)row * s->dim, t->norms + row, row_max};
    return 0;
}

/* Rows in clusters of a few dimensions, lifted into many, and a query like them. */
static void draw_rows(struct fixture *t, struct rng *r, uint32_t dim)
{
    enum { LATENT = 12, CLUSTERS = 20 };
    float lift[LATENT][DIM_MAX], middles[CLUSTERS][LATENT];
    t->kernels = *kernels_active();
    t->vectors = (struct vector_source){.run = vectors_of, .dim = dim};
    for (size_t i = 0; i < LATENT; i++)
        for (size_t j = 0; j < dim; j++) lift[i][j] = 0.3f * rng_normal(r);
    for (size_t i = 0; i < CLUSTERS; i++)
        for (size_t j = 0; j < LATENT; j++) middles[i][j] = 1 + rng_normal(r);
    for (uint32_t row = 0; row <= ROWS; row++) {
        float *x = row < ROWS ? t->values + (size_t)row * dim : t->query;
        float latent[LATENT];
        const float *middle = middles[rng_below(r, CLUSTERS)];
        for (size_t i = 0; i < LATENT; i++) latent[i] = middle[i] + 0.7f * rng_normal(r);
        for (size_t j = 0; j < dim; j++) {
            x[j] = 0.2f * rng_normal(r);
            for (size_t i = 0; i < LATENT; i++) x[j] += latent[i] * lift[i][j];
        }
        if (row < ROWS) t->norms[row] = dense_norm_f32(&t->kernels, x, dim);
    }
}

static struct quantizer *train(struct fixture *t, struct quantizer_spec spec, enum metric metric)
{
    struct quantizer_train_desc desc = {
        alloc_libc(), &t->kernels, &t->vectors, ROWS, metric, spec.number, 7};
    struct quantizer *q = NULL;
    struct error err = {0};
    assert_ok(train_whole(quantizer_find(spec.kind), &desc, &q, &err), &err);
    return q;
}

static void estimate(struct fixture *t, const struct quantizer *q, float *out, float *bound,
                     float *exact)
{
    uint32_t rows[ASKED], dim = t->vectors.dim;
    struct error err = {0};
    struct oracle_desc desc = {
        .kernels = &t->kernels,
        .query = {t->query, dense_norm_f32(&t->kernels, t->query, dim)},
        .vectors = &t->vectors,
        .metric = q->metric,
        .quantizer = q,
        .codes = {t->codes, STRIDE, ASKED},
    };
    for (uint32_t i = 0; i < ASKED; i++) rows[i] = i;
    assert_true(q->vtab->row_bytes(q) <= STRIDE);
    assert_true(q->vtab->oracle_bytes(dim) <= sizeof t->memory);
    q->vtab->encode(q, t->values, t->norms, ASKED, t->codes, STRIDE);
    struct oracle *o = q->vtab->oracle_init(t->memory, &desc);
    assert_ok(o->ops->estimate(o, rows, ASKED, out, bound, &err), &err);
    o = quantizer_raw.oracle_init(t->raw_memory, &desc);
    assert_ok(oracle_scan(o, 0, ASKED, exact, &err), &err);
}

static void estimates_keep_their_bounds(void **state)
{
    static const struct quantizer_spec specs[] = {
        {QUANTIZER_PQ, 0}, {QUANTIZER_PQ, 7}, {QUANTIZER_PQFS, 0}, {QUANTIZER_PQFS, 41}};
    static const enum metric metrics[] = {METRIC_IP, METRIC_L2, METRIC_COSINE};
    static const uint32_t dims[] = {24, 130, 200};
    float out[ASKED], bound[ASKED], exact[ASKED];
    struct rng r;
    (void)state;
    rng_init(&r, test_seed(61));
    for (size_t i = 0; i < 4 * 3; i++) {
        uint32_t missed = 0, before = 0, best = 0;
        double sum = 0, squares = 0;
        draw_rows(&fixture, &r, dims[(i + i / 3) % 3]);
        struct quantizer *q = train(&fixture, specs[i / 3], metrics[i % 3]);
        estimate(&fixture, q, out, bound, exact);
        for (uint32_t row = 0; row < ASKED; row++) {
            double off = (double)out[row] - (double)exact[row];
            missed += out[row] - bound[row] > exact[row];
            best = exact[row] < exact[best] ? row : best;
            sum += off;
            squares += off * off;
        }
        for (uint32_t row = 0; row < ASKED; row++) before += out[row] < out[best];
        if (missed > 8 || before > ASKED / 10 || fabs(sum / ASKED) > sqrt(squares / ASKED))
            fail_msg("case %zu: %u of %d nearer than bounds say, %u before the nearest; off by %g, "
                     "deviation %g",
                     i, missed, ASKED, before, sum / ASKED, sqrt(squares / ASKED));
        q->vtab->destroy(q);
    }
}

/* Quantizers that were kept before vectors were shifted tell of rows as they did. */
static void quantizers_of_version_1_keep_their_bounds(void **state)
{
    static const struct quantizer_spec specs[] = {
        {QUANTIZER_PQFS, 0}, {QUANTIZER_RABITQ, 4}, {QUANTIZER_SQ8, 0}};
    const uint32_t version = 1;
    float out[ASKED], bound[ASKED], exact[ASKED];
    struct error err = {0};
    struct rng r;
    (void)state;
    rng_init(&r, test_seed(62));
    for (size_t i = 0; i < 3; i++) {
        struct quantizer *opened, *q;
        struct buf bytes;
        uint32_t missed = 0;
        draw_rows(&fixture, &r, 130);
        q = train(&fixture, specs[i], METRIC_L2);
        buf_init(&bytes, alloc_libc(), MEM_GENERAL);
        assert_ok(q->vtab->save(q, &bytes, &err), &err);
        memcpy(bytes.data, &version, sizeof version);
        assert_ok(q->vtab->open(alloc_libc(), &fixture.kernels, slice_of(bytes.data, bytes.size),
                                130, METRIC_L2, &opened, &err),
                  &err);
        estimate(&fixture, opened, out, bound, exact);
        for (uint32_t row = 0; row < ASKED; row++) missed += out[row] - bound[row] > exact[row];
        assert_in_range(missed, 0, 8);
        opened->vtab->destroy(opened);
        q->vtab->destroy(q);
        buf_deinit(&bytes);
    }
}

/* A row takes as many bytes as its number says, whatever the dimension, and what follows it. */
static void a_number_says_how_long_codes_are(void **state)
{
    static const struct {
        struct quantizer_spec spec;
        uint32_t dim, bytes;
    } cases[] = {{{QUANTIZER_PQ, 16}, 100, 16},     {{QUANTIZER_PQ, 8}, 130, 8},
                 {{QUANTIZER_PQ, 13}, 130, 16},     {{QUANTIZER_PQ, 0}, 128, 16},
                 {{QUANTIZER_PQ, 128}, 3, 64},      {{QUANTIZER_PQ, 1}, 200, 8},
                 {{QUANTIZER_PQFS, 32}, 70, 16},    {{QUANTIZER_PQFS, 0}, 64, 16},
                 {{QUANTIZER_PQFS, 512}, 9, 32},    {{QUANTIZER_PQFS, 3}, 200, 4},
                 {{QUANTIZER_PQFS, 64}, 200, 32},   {{QUANTIZER_PQFS, 0}, 257, 40},
                 {{QUANTIZER_SQ8, 0}, 100, 128},    {{QUANTIZER_SQ4, 0}, 100, 64},
                 {{QUANTIZER_RABITQ, 0}, 100, 16},  {{QUANTIZER_RABITQ, 3}, 64, 24},
                 {{QUANTIZER_POLARVEC, 0}, 65, 64}, {{QUANTIZER_SIGN, 0}, 70, 16}};
    struct rng r;
    (void)state;
    rng_init(&r, 62);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        draw_rows(&fixture, &r, cases[i].dim);
        struct quantizer *q = train(&fixture, cases[i].spec, METRIC_L2);
        assert_int_equal(q->vtab->row_bytes(q), cases[i].bytes + sizeof(struct code_tail));
        assert_int_equal(q->vtab->code_bytes(cases[i].spec.number, cases[i].dim),
                         q->vtab->row_bytes(q)); /* before it is trained, too */
        q->vtab->destroy(q);
    }
}

/* Sums of tables are off by half a step a part at most, the same of rows and of blocks, at every
 * level. */
static void tables_are_as_near_as_they_say(void **state)
{
    static _Alignas(64) uint8_t tables[1 << 17], block[QUANT_BLOCK * 512], rows[QUANT_BLOCK * 512];
    static float query[1024], grid[1024], x[1024];
    static uint8_t codes[1024];
    struct error err = {0};
    struct rng r;
    (void)state;
    rng_init(&r, test_seed(63));
    for (int i = 0; i < test_rounds(40); i++) {
        struct pq_parts *p = NULL;
        uint32_t width = 64 * (1 + (uint32_t)rng_below(&r, 16)), bits = i % 2 ? 4 : 8;
        uint32_t most = bits == PQ_BITS_FEW ? PQ_PARTS_FEW : PQ_PARTS_MANY;
        uint32_t count = 1 + (uint32_t)rng_below(&r, most < width ? most : width);
        assert_ok(pq_create(alloc_libc(), bits, count, width, &p, &err), &err);
        for (uint32_t j = 0; j < width << bits; j++) p->points[j] = rng_normal(&r);
        pq_complete(p);
        for (uint32_t j = 0; j < width; j++) query[j] = rng_normal(&r);
        assert_true((size_t)p->place_count << bits <= sizeof tables);
        struct pq_tables made = pq_make_tables(p, query, tables);
        double products[QUANT_BLOCK] = {0};
        memset(block, 0, sizeof block);
        for (size_t row = 0; row < QUANT_BLOCK; row++) {
            for (uint32_t j = 0; j < width; j++) x[j] = rng_normal(&r);
            pq_find(p, x, 1, grid, codes);
            pq_put_row(p, codes, rows + row * 512);
            pq_put_block(p, codes, row, block);
            for (uint32_t j = 0; j < width; j++)
                products[row] += (double)grid[j] * (double)query[j];
        }
        int32_t sums[QUANT_BLOCK], found[QUANT_BLOCK];
        pq_sum_rows(p, tables, rows, 512, QUANT_BLOCK, sums);
        for (enum simd_level level = 0; level < SIMD_LEVEL_COUNT; level++) {
            struct simd_kernels kernels;
            if (!kernels_of_level(level, &kernels)) continue;
            pq_sum_block(p, &kernels, tables, block, found);
            assert_memory_equal(found, sums, sizeof sums);
        }
        for (size_t row = 0; row < QUANT_BLOCK; row++) {
            double off = (double)sums[row] * (double)made.step + (double)made.shift - products[row];
            assert_true(fabs(off) <= 0.501 * count * (double)made.step + 1e-3);
        }
        pq_destroy(p);
    }
}

/* Each part's code is that of its nearest point. */
static void codes_are_those_of_the_nearest_points(void **state)
{
    float grid[128], x[128];
    uint8_t codes[128];
    struct pq_parts *p = NULL;
    struct error err = {0};
    struct rng r;
    (void)state;
    rng_init(&r, test_seed(64));
    assert_ok(pq_create(alloc_libc(), PQ_BITS_MANY, 11, 128, &p, &err), &err);
    for (uint32_t j = 0; j < 128 * 256; j++) p->points[j] = rng_normal(&r);
    pq_complete(p);
    for (uint32_t j = 0; j < 128; j++) x[j] = rng_normal(&r);
    pq_find(p, x, 0.5f, grid, codes);
    for (uint32_t part = 0; part < 11; part++) {
        double best = INFINITY, own = 0;
        for (uint32_t j = 0; j < 256; j++) {
            double square = 0;
            for (uint32_t c = pq_part_begin(p, part); c < pq_part_begin(p, part + 1); c++) {
                double off = 0.5 * (double)x[c] - (double)p->points[c * 256 + j];
                square += off * off;
            }
            best = square < best ? square : best;
            if (j == codes[part]) own = square;
        }
        assert_true(own <= best * 1.0001);
        for (uint32_t c = pq_part_begin(p, part); c < pq_part_begin(p, part + 1); c++)
            assert_true(grid[c] == p->points[c * 256 + codes[part]]);
    }
    pq_destroy(p);
}

/* Tables have room for the codes of their kind alone. */
static void bytes_of_other_bits_are_refused(void **state)
{
    struct quantizer *opened = NULL;
    struct error err = {0};
    struct buf bytes;
    struct rng r;
    (void)state;
    rng_init(&r, 65);
    draw_rows(&fixture, &r, 40);
    struct quantizer *q = train(&fixture, (struct quantizer_spec){QUANTIZER_PQ, 9}, METRIC_L2);
    buf_init(&bytes, alloc_libc(), MEM_GENERAL);
    assert_ok(q->vtab->save(q, &bytes, &err), &err);
    assert_fails(quantizer_pqfs.open(alloc_libc(), &fixture.kernels, buf_slice(&bytes), 40,
                                     METRIC_L2, &opened, &err),
                 &err, LYNSE_CORRUPT);
    buf_deinit(&bytes);
    q->vtab->destroy(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_keep_their_bounds),
        cmocka_unit_test(quantizers_of_version_1_keep_their_bounds),
        cmocka_unit_test(a_number_says_how_long_codes_are),
        cmocka_unit_test(tables_are_as_near_as_they_say),
        cmocka_unit_test(codes_are_those_of_the_nearest_points),
        cmocka_unit_test(bytes_of_other_bits_are_refused),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
