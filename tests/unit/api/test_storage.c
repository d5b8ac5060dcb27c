/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of each type of storage through the door: rounded once when they are written, and from
 * then on the same vectors, the same scores, in memory, in files, under an index and after opening
 * again. */
#include "fixture.h"

#include <math.h>

enum { DIM = 37, ROWS = 120, K = 15 };

struct type_case {
    uint32_t storage;
    const char *name;
    float scale;     /* of what is written */
    float too_large; /* 0: nothing is */
    double (*rounded)(double x);
};

static double to_bits(double x, int bits) /* of a normal number */
{
    int exponent;
    double fraction = frexp(x, &exponent);
    return ldexp(nearbyint(ldexp(fraction, bits)), exponent - bits);
}

static double as_f32(double x)
{
    return x;
}

static double as_f16(double x)
{
    if (fabs(x) < 0x1p-14) return nearbyint(x * 0x1p24) * 0x1p-24;
    return to_bits(x, 11);
}

static double as_bf16(double x)
{
    return to_bits(x, 8);
}

static double as_whole(double x)
{
    return nearbyint(x);
}

static double as_bit(double x)
{
    return x > 0.5;
}

static const struct type_case types[] = {
    {LYNSE_STORAGE_F32, "f32", 1, 0, as_f32},
    {LYNSE_STORAGE_F16, "f16", 1, 65505, as_f16},
    {LYNSE_STORAGE_BF16, "bf16", 1, 3.4e38f, as_bf16},
    {LYNSE_STORAGE_I8, "i8", 90, 127.5f, as_whole},
    {LYNSE_STORAGE_U8, "u8", 90, -0.5f, as_whole},
    {LYNSE_STORAGE_BIT, "bit", 1, -1, as_bit},
};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

static float vectors[ROWS * DIM], query[DIM];

static void fill(const struct type_case *t)
{
    uint32_t seed = 12345;
    for (size_t i = 0; i < ROWS * DIM + DIM; i++) {
        seed = seed * 1664525 + 1013904223;
        float x = t->scale * ((float)(seed >> 8) * 0x1p-23f - 1);
        if (t->storage == LYNSE_STORAGE_U8 || t->storage == LYNSE_STORAGE_BIT) x = fabsf(x);
        if (i < ROWS * DIM) vectors[i] = x;
        else query[i - ROWS * DIM] = x;
    }
}

static struct lynse_collection *make(struct fixture *f, const struct type_case *t, uint32_t metric)
{
    struct lynse_collection *c;
    struct lynse_collection_info info = {.struct_bytes = sizeof info};
    struct lynse_collection_desc desc = {
        .name = t->name, .metric = metric, .storage = t->storage, .sync = fixture_level(f)};
    assert_done(lynse_collection_create(f->db, &desc, &c, &f->err), f);
    assert_done(lynse_collection_info(c, &info, &f->err), f);
    assert_int_equal(info.storage, t->storage);
    return c;
}

static void add_rows(struct fixture *f, struct lynse_collection *c, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i += 10) {
        struct lynse_rows rows = {.dim = DIM, .count = 10, .vectors = vectors + i * DIM};
        assert_done(lynse_add(c, &rows, NULL, NULL, &f->err), f);
        breathe(f);
    }
}

static struct lynse_hits *search(struct fixture *f, struct lynse_collection *c)
{
    struct lynse_hits *hits;
    struct lynse_search_desc desc = {.vector = query,
                                     .dim = DIM,
                                     .k = K,
                                     .flags = LYNSE_WITH_VECTORS,
                                     .effort = 1000,
                                     .error = &f->err};
    assert_done(lynse_search(c, &desc, &hits), f);
    assert_int_equal(hits->count, K);
    return hits;
}

/* Every hit's vector is what was written, rounded once. */
static void check_vectors(const struct lynse_hits *hits, const struct type_case *t)
{
    for (size_t i = 0; i < hits->count; i++)
        for (size_t k = 0; k < DIM; k++) {
            double written = (double)vectors[hits->numbers[i] * DIM + k];
            assert_true((double)hits->vectors[i * DIM + k] == t->rounded(written));
        }
}

static void check_same(struct fixture *f, struct lynse_collection *c,
                       const struct lynse_hits *first)
{
    struct lynse_hits *hits = search(f, c);
    assert_memory_equal(hits->numbers, first->numbers, K * sizeof *hits->numbers);
    assert_memory_equal(hits->scores, first->scores, K * sizeof *hits->scores);
    assert_memory_equal(hits->vectors, first->vectors, K * DIM * sizeof *hits->vectors);
    lynse_hits_free(hits);
}

static void rows_are_rounded_once_and_score_alike_wherever_they_lie(void **state)
{
    struct fixture *f = *state;
    static const uint32_t metrics[] = {LYNSE_IP,      LYNSE_L2,      LYNSE_COSINE, LYNSE_L1,
                                       LYNSE_HAMMING, LYNSE_JACCARD, LYNSE_DICE};

    for (size_t i = 0; i < TYPE_COUNT; i++) {
        const struct type_case *t = &types[i];
        fill(t);
        for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
            struct lynse_collection *c = make(f, t, metrics[m]);
            add_rows(f, c, 0, ROWS / 2);
            assert_done(lynse_flush(c, &f->err), f);
            add_rows(f, c, ROWS / 2, ROWS / 2);
            struct lynse_hits *first = search(f, c); /* half of it in memory */
            check_vectors(first, t);
            assert_done(lynse_checkpoint(c, &f->err), f);
            check_same(f, c, first);
            if (!f->variant->in_memory) {
                lynse_collection_close(c);
                fixture_reopen(f);
                assert_done(lynse_collection_open(f->db, t->name, &c, &f->err), f);
                check_same(f, c, first);
            }
            struct lynse_names *findings;
            assert_done(lynse_verify(c, NULL, &findings, &f->err), f);
            assert_int_equal(findings->count, 0);
            lynse_names_free(findings);
            lynse_hits_free(first);
            lynse_collection_close(c);
            assert_done(lynse_collection_drop(f->db, t->name, &f->err), f);
        }
    }
}

/* A log that is read again gives the rounded rows, not those that were written. */
static void rows_of_the_log_are_rounded_too(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 1; i < TYPE_COUNT; i++) {
        fill(&types[i]);
        struct lynse_collection *c = make(f, &types[i], LYNSE_L2);
        add_rows(f, c, 0, ROWS);
        struct lynse_hits *first = search(f, c);
        lynse_collection_close(c);
        fixture_reopen(f);
        assert_done(lynse_collection_open(f->db, types[i].name, &c, &f->err), f);
        check_same(f, c, first);
        lynse_hits_free(first);
        lynse_collection_close(c);
    }
}

static void an_index_over_narrow_rows_finds_what_a_scan_finds(void **state)
{
    struct fixture *f = *state;
    static const char *const modes[] = {"IVF-L2", "HNSW-L2", "FLAT-L2-SQ8"};

    for (size_t i = 1; i < TYPE_COUNT; i++) {
        fill(&types[i]);
        struct lynse_collection *c = make(f, &types[i], LYNSE_L2);
        add_rows(f, c, 0, ROWS);
        assert_done(lynse_checkpoint(c, &f->err), f);
        struct lynse_hits *first = search(f, c);
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            assert_done(lynse_build_index(c, modes[m], &f->err), f);
            check_same(f, c, first); /* that wants it */
            check_same(f, c, first);
        }
        lynse_hits_free(first);
        lynse_collection_close(c);
    }
}

/* The graph is of bits too, and walked by what it counts. */
static void a_graph_over_bits_finds_what_a_scan_finds(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint32_t metric;
        const char *mode;
    } cases[] = {{LYNSE_HAMMING, "HNSW-HAMMING"},
                 {LYNSE_JACCARD, "HNSW-TANIMOTO"},
                 {LYNSE_DICE, "HNSW-DICE-BINARY"},
                 {LYNSE_HAMMING, "IVF-HAMMING"}};

    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const struct type_case *t = &types[i % 2 ? 0 : TYPE_COUNT - 1];
        fill(t);
        struct lynse_collection *c = make(f, t, cases[i / 2].metric);
        add_rows(f, c, 0, ROWS);
        assert_done(lynse_checkpoint(c, &f->err), f);
        struct lynse_hits *first = search(f, c);
        assert_done(lynse_build_index(c, cases[i / 2].mode, &f->err), f);
        check_same(f, c, first); /* that wants it */
        check_same(f, c, first);
        struct lynse_names *findings;
        assert_done(lynse_verify(c, NULL, &findings, &f->err), f);
        assert_int_equal(findings->count, 0);
        lynse_names_free(findings);
        lynse_hits_free(first);
        lynse_collection_close(c);
        assert_done(lynse_collection_drop(f->db, t->name, &f->err), f);
    }
}

static void what_a_type_cannot_hold_is_refused(void **state)
{
    struct fixture *f = *state;
    char component[64];

    for (size_t i = 1; i < TYPE_COUNT; i++) {
        const struct type_case *t = &types[i];
        struct lynse_collection *c = make(f, t, LYNSE_L2);
        float two[2 * DIM] = {0};
        two[DIM + 3] = t->too_large;
        snprintf(component, sizeof component, "component 3 of row 1 is %g", (double)t->too_large);
        struct lynse_rows rows = {.dim = DIM, .count = 2, .vectors = two};
        assert_refused(lynse_add(c, &rows, NULL, NULL, &f->err), f, LYNSE_INVALID, component,
                       t->name);
        uint64_t count;
        assert_done(lynse_count(c, &count, &f->err), f);
        assert_int_equal(count, 0);
        lynse_collection_close(c);
    }
}

static void a_type_is_for_good(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_desc desc = {.name = "f16", .storage = LYNSE_STORAGE_F32};
    struct lynse_collection *c = make(f, &types[1], LYNSE_L2), *again;

    assert_refused(lynse_collection_require(f->db, &desc, &again, &f->err), f, LYNSE_INVALID,
                   "storage", "f32", "f16");
    desc.storage = 0;
    assert_done(lynse_collection_require(f->db, &desc, &again, &f->err), f);
    lynse_collection_close(again);
    desc.storage = LYNSE_STORAGE_F16;
    assert_done(lynse_collection_require(f->db, &desc, &again, &f->err), f);
    lynse_collection_close(again);
    lynse_collection_close(c);
}

#define ANYWHERE(_)                                                                                \
    _(rows_are_rounded_once_and_score_alike_wherever_they_lie)                                     \
    _(an_index_over_narrow_rows_finds_what_a_scan_finds)                                           \
    _(a_graph_over_bits_finds_what_a_scan_finds)                                                   \
    _(what_a_type_cannot_hold_is_refused)                                                          \
    _(a_type_is_for_good)
#define FOLDERS(_) _(rows_of_the_log_are_rounded_too)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(ANYWHERE) API_IN_FOLDERS(FOLDERS)};

TEST_MAIN(tests)
