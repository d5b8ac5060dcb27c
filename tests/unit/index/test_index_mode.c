/* SPDX-License-Identifier: Apache-2.0 */
/* Index modes as they are read, written and refused.  What is in a registry is found through it, so
 * that these cases hold for kinds, metrics and quantizers that are not there yet. */
#include "index/index_mode.h"
#include "support/test.h"

/* The upper-case letters of a mode in lower case, and the other way round. */
static void swap_case(char *text)
{
    for (; *text; text++)
        if ((*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z')) *text ^= 0x20;
}

static void assert_same(const struct index_mode *a, const struct index_mode *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->metric, b->metric);
    assert_int_equal(a->quantizer.kind, b->quantizer.kind);
    assert_int_equal(a->quantizer.number, b->quantizer.number);
}

static void assert_round_trip(const struct index_mode *mode)
{
    struct index_mode read = {0};
    struct error err = {0};
    char text[INDEX_MODE_BYTES];
    index_mode_format(mode, text, sizeof text);
    assert_in_range(strlen(text), 4, sizeof text - 2); /* it was not cut */
    for (int round = 0; round < 2; round++) {
        assert_ok(index_mode_parse(text, &read, &err), &err);
        assert_same(&read, mode);
        assert_true(index_mode_makes_sense(&read));
        swap_case(text);
    }
}

/* All of the registries' kinds with all metrics and all quantizers: how many make sense. */
static unsigned walk_modes(void (*check)(const struct index_mode *mode))
{
    const unsigned count = INDEX_KIND_MAX * METRIC_MAX * QUANTIZER_COUNT;
    unsigned sensible = 0;
    for (unsigned i = 0; i < count; i++) {
        struct index_mode mode = {
            .kind = (enum index_kind)(i / QUANTIZER_COUNT / METRIC_MAX + 1),
            .metric = (enum metric)(i / QUANTIZER_COUNT % METRIC_MAX + 1),
            .quantizer.kind = (enum quantizer_kind)(i % QUANTIZER_COUNT),
        };
        const struct quantizer_vtab *q = quantizer_find(mode.quantizer.kind);
        if (!index_mode_makes_sense(&mode)) continue;
        sensible++;
        check(&mode);
        if (q->number_high == 0) continue;
        mode.quantizer.number = q->number_low;
        check(&mode);
        mode.quantizer.number = q->number_high;
        check(&mode);
        mode.quantizer.number++;
        assert_false(index_mode_makes_sense(&mode));
    }
    return sensible;
}

static void every_mode_of_the_registries_is_read_as_it_is_written(void **state)
{
    (void)state;
    assert_true(walk_modes(assert_round_trip) >= METRIC_MAX); /* flat compares by each */
}

static void other_words_for_a_metric_are_read_too(void **state)
{
    (void)state;
    struct index_mode mode = {0};
    struct error err = {0};
    assert_ok(index_mode_parse("FLAT-COSINE", &mode, &err), &err);
    assert_int_equal(mode.metric, METRIC_COSINE);
    assert_ok(index_mode_parse("flat-sorensen-dice-binary", &mode, &err), &err);
    assert_int_equal(mode.metric, METRIC_DICE);
    assert_ok(index_mode_parse("FLAT-WASSERSTEIN-1D", &mode, &err), &err);
    assert_int_equal(mode.metric, METRIC_WASSERSTEIN);
    assert_ok(index_mode_parse("FLAT-JS", &mode, &err), &err);
    assert_int_equal(mode.metric, METRIC_JENSEN_SHANNON);
    assert_ok(index_mode_parse("Default", &mode, &err), &err);
    assert_int_equal(mode.kind, INDEX_FLAT);
    assert_int_equal(mode.metric, METRIC_IP);
}

static void auto_may_name_a_metric(void **state)
{
    (void)state;
    struct index_mode mode = {0};
    struct error err = {0};
    assert_ok(index_mode_parse("auto", &mode, &err), &err);
    assert_true(mode.is_auto);
    assert_int_equal(mode.metric, 0);
    assert_ok(index_mode_parse("AUTO-L2", &mode, &err), &err);
    assert_true(mode.is_auto);
    assert_int_equal(mode.metric, METRIC_L2);
    assert_false(index_mode_makes_sense(&mode)); /* it is not chosen yet */
    assert_fails(index_mode_parse("AUTO-XY", &mode, &err), &err, LYNSE_INVALID);
    assert_fails(index_mode_parse("AUTO-L2-SQ8", &mode, &err), &err, LYNSE_INVALID);
}

/* All of them are promised: a word is read, or answered with "not there yet". */
static void what_is_planned_is_told_from_what_nobody_knows(void **state)
{
    (void)state;
    static const char *const planned[] = {
        "HNSW-L2",
        "hnsw-cosine-sq8",
        "IVF-IP",
        "IVF-COS-SQ8",
        "SPANN-L2",
        "SPANN-COS-SQ8",
        "DISKANN-IP",
        "DISKANN-COSINE-PQ",
        "DISKANN-L2-PQ8",
        "FLAT-IP-PQ",
        "FLAT-COS-PQ16",
        "FLAT-L2-RABITQ",
        "FLAT-IP-POLARVEC",
        "FLAT-IP-POLARVEC4",
        "FLAT-IP-SQ8",
        "FLAT-HAMMING",
        "FLAT-HAMMING-BINARY",
        "IVF-JACCARD-BINARY",
        "FLAT-SORENSEN-DICE-BINARY",
        "FLAT-TANIMOTO",
        "HNSW-HAVERSINE-M",
        "FLAT-GEO",
        "HNSW-PEARSON",
        "FLAT-HELLINGER",
        "FLAT-WASSERSTEIN-1D",
        "HNSW-JENSEN-SHANNON",
        "FLAT-js",
        "FLAT-LINF",
        "FLAT-MANHATTAN",
        "FLAT-BRAY-CURTIS",
        "FLAT-CANBERRA",
    };
    for (size_t i = 0; i < sizeof planned / sizeof *planned; i++) {
        struct index_mode mode = {0};
        struct error err = {0};
        if (index_mode_parse(planned[i], &mode, &err) == 0) {
            assert_true(index_mode_makes_sense(&mode));
            continue;
        }
        assert_fails(-1, &err, LYNSE_UNSUPPORTED);
        assert_non_null(strstr(err.text, planned[i]));
        assert_non_null(strstr(err.text, "not there yet"));
    }
}

static void what_is_no_mode_says_what_there_is(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says, *says_too;
    } words[] = {
        {"", "unknown index type ''", "there are FLAT"},
        {"-IP", "unknown index type '-IP'", "FLAT"},
        {"IP", "unknown index type 'IP'", "FLAT"},
        {"FLTA-L2", "unknown index type 'FLTA-L2'", "did you mean 'FLAT-L2'?"},
        {"flatl2", "unknown index type 'flatl2'", "did you mean 'FLAT-L2'?"},
        {" FLAT-IP", "unknown index type ' FLAT-IP'", "did you mean 'FLAT-IP'?"},
        {"auto-", "unknown index type 'auto-'", "SPANN, AUTO"},
        {"FLAT", "unsupported index/metric combination 'FLAT'", "names no metric"},
        {"FLAT-", "unsupported index/metric combination 'FLAT-'", "IP, L2, COS"},
        {"FLAT-XY", "unsupported index/metric combination 'FLAT-XY'", "IP, L2, COS"},
        {"HNSW-rabitq4-COS", "unsupported", "did you mean 'HNSW-COS-RABITQ4'?"},
        {"DISKANN-HAMMING", "FLAT-HAMMING, IVF-HAMMING, HNSW-HAMMING", "diskann has IP, L2, COS"},
        {"HNSW-BRAY-CURTIS", "there are FLAT-BRAY-CURTIS;", "hnsw has IP, L2, COS"},
        {"HNSW-HAMMING-SQ8", "there are FLAT-HAMMING, IVF-HAM", "with SQ8 has IP, L2, COS"},
        {"FLAT-COSIN", "unsupported index/metric combination", "did you mean 'FLAT-COS'?"},
        {"FLAT-IP-", "unsupported index/metric combination 'FLAT-IP-'", "flat has "},
        {"FLAT-IP-XY8", "unsupported index/metric combination 'FLAT-IP-XY8'", "flat has "},
        {"FLAT-IP-BINARY", "unsupported index/metric combination 'FLAT-IP-BINARY'", "flat has "},
        {"FLAT-IP-L2", "unsupported index/metric combination 'FLAT-IP-L2'", "flat has "},
        {"FLAT-IP-L2-COS-IP-L2", "unsupported index/metric combination", "flat has "},
        {"FLAT-IP\n", "unsupported index/metric combination 'FLAT-IP\\x0a'", "'FLAT-IP'?"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct index_mode mode = {0};
        struct error err = {0};
        assert_fails(index_mode_parse(words[i].text, &mode, &err), &err, LYNSE_INVALID);
        if (!strstr(err.text, words[i].says) || !strstr(err.text, words[i].says_too))
            fail_msg("%s", err.text);
        assert_int_equal(mode.kind, INDEX_NONE);
    }
}

static void long_words_are_refused_like_short_ones(void **state)
{
    (void)state;
    static char text[100000];
    struct index_mode mode = {0};
    struct error err = {0};
    memset(text, 'F', sizeof text - 1);
    assert_fails(index_mode_parse(text, &mode, &err), &err, LYNSE_INVALID);
    memcpy(text, "FLAT-", 5);
    assert_fails(index_mode_parse(text, &mode, &err), &err, LYNSE_INVALID);
    memset(text + 5, '-', sizeof text - 6);
    assert_fails(index_mode_parse(text, &mode, &err), &err, LYNSE_INVALID);
}

static void a_quantizers_number_has_a_range(void **state)
{
    (void)state;
    for (unsigned i = 0; i < QUANTIZER_COUNT; i++) {
        const struct quantizer_vtab *q = quantizer_find(i);
        struct quantizer_spec spec = {0};
        struct index_mode mode = {0};
        struct error err = {0};
        char word[24], text[INDEX_MODE_BYTES];
        if (!q->mode_word || q->number_high == 0) continue;
        snprintf(word, sizeof word, "%s%u", q->mode_word, q->number_high + 1);
        assert_true(quantizer_find_word(slice_of_text(word), &spec));
        assert_int_equal(spec.number, q->number_high + 1);
        snprintf(text, sizeof text, "FLAT-L2-%s", word);
        assert_fails(index_mode_parse(text, &mode, &err), &err, LYNSE_LIMIT);
        assert_non_null(strstr(err.text, q->mode_word));
        snprintf(word, sizeof word, "%s0", q->mode_word);
        assert_false(quantizer_find_word(slice_of_text(word), &spec));
        static const char *const none[] = {"0", "08", "99999999"}; /* a number that no code has */
        for (size_t j = 0; j < sizeof none / sizeof *none; j++) {
            snprintf(text, sizeof text, "FLAT-L2-%s%s", q->mode_word, none[j]);
            assert_fails(index_mode_parse(text, &mode, &err), &err, LYNSE_LIMIT);
            assert_non_null(strstr(err.text, none[j]));
        }
        snprintf(word, sizeof word, "%sx", q->mode_word);
        assert_false(quantizer_find_word(slice_of_text(word), &spec));
    }
}

static void numbers_that_are_none_have_no_word(void **state)
{
    (void)state;
    const unsigned triples[][3] = {{INDEX_NONE, METRIC_IP, QUANTIZER_RAW},
                                   {INDEX_KIND_MAX + 1, METRIC_IP, QUANTIZER_RAW},
                                   {INDEX_FLAT, 0, QUANTIZER_RAW},
                                   {INDEX_FLAT, METRIC_MAX + 1, QUANTIZER_RAW},
                                   {INDEX_FLAT, METRIC_IP, QUANTIZER_COUNT}};
    for (size_t i = 0; i < sizeof triples / sizeof *triples; i++) {
        struct index_mode mode = {.kind = (enum index_kind)triples[i][0],
                                  .metric = (enum metric)triples[i][1],
                                  .quantizer.kind = (enum quantizer_kind)triples[i][2]};
        char text[INDEX_MODE_BYTES] = "?";
        index_mode_format(&mode, text, sizeof text);
        assert_string_equal(text, "");
        assert_false(index_mode_makes_sense(&mode));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_mode_of_the_registries_is_read_as_it_is_written),
    cmocka_unit_test(other_words_for_a_metric_are_read_too),
    cmocka_unit_test(auto_may_name_a_metric),
    cmocka_unit_test(what_is_planned_is_told_from_what_nobody_knows),
    cmocka_unit_test(what_is_no_mode_says_what_there_is),
    cmocka_unit_test(long_words_are_refused_like_short_ones),
    cmocka_unit_test(a_quantizers_number_has_a_range),
    cmocka_unit_test(numbers_that_are_none_have_no_word),
};
TEST_MAIN(tests)
