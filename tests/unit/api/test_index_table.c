/* SPDX-License-Identifier: Apache-2.0 */
/* Every index kind and quantizer under whole collections, against a model that holds all records
 * and looks at each: by types of storage, by what has happened to the records since the index was
 * built, with filters that many or few records pass, and with scores of the host.
 *
 * A case is a mode; a line of the table is a type of storage, a history and a score.  A kind or a
 * quantizer joins by its line in its registry, the rest by a line below.  Metrics, gates and ranges
 * are asked of the kinds themselves (unit/index/test_index_conformance.c). */
#include <math.h>

#include "base/rng.h"
#include "fixture.h"
#include "support/mode_cases.h"

/* More than are scanned in any case; fewer where a segment of a few rows has its index. */
enum { ROWS = IS_TINY ? 160 : 2500, DIM = 8, K = 10, QUERIES = 12, GROUPS = 12, NUMBERS = 1000 };
enum { CALL_ROWS = IS_TINY ? 8 : 500 };

/* The records as they must be found; an id is a place. */
static struct model {
    float vectors[ROWS][DIM];
    int numbers[ROWS], groups[ROWS]; /* fields n and g */
    bool is_live[ROWS];
    float centers[GROUPS][DIM], queries[QUERIES][DIM];
    struct rng rng;
} model;

static struct fixture *bed;
static const char *mode_word; /* of the case */

/* Near the center of a group; whole numbers of 8 bits can hold it. */
static void draw_near(int group, float *out)
{
    for (int i = 0; i < DIM; i++)
        out[i] = fminf(fmaxf(model.centers[group][i] + 6 * rng_normal(&model.rng), 0), 127);
}

static void model_init(void)
{
    memset(&model, 0, sizeof model);
    rng_init(&model.rng, 91);
    for (int g = 0; g < GROUPS; g++)
        for (int i = 0; i < DIM; i++) model.centers[g][i] = 110 * (float)rng_unit(&model.rng);
    for (int q = 0; q < QUERIES; q++) draw_near(q % GROUPS, model.queries[q]);
}

/* ---- writes, to both ---- */

/* Records [first, end): new vectors and fields. */
static void put(size_t first, size_t end)
{
    static uint8_t fields[CALL_ROWS][9];
    static struct lynse_bytes slices[CALL_ROWS];
    uint64_t ids[CALL_ROWS];

    for (size_t count; first < end; first += count) {
        count = end - first < CALL_ROWS ? end - first : CALL_ROWS;
        for (size_t i = 0; i < count; i++) {
            size_t id = first + i;
            int n = (int)rng_below(&model.rng, NUMBERS), g = (int)rng_below(&model.rng, GROUPS);
            const uint8_t map[] = {0x82,       0xa1, 'n', 0xcd,      (uint8_t)(n >> 8),
                                   (uint8_t)n, 0xa1, 'g', (uint8_t)g};
            memcpy(fields[i], map, sizeof map);
            slices[i] = (struct lynse_bytes){fields[i], sizeof map};
            ids[i] = id;
            draw_near(g, model.vectors[id]);
            model.numbers[id] = n;
            model.groups[id] = g;
            model.is_live[id] = true;
        }
        struct lynse_rows rows = {.dim = DIM,
                                  .count = count,
                                  .numbers = ids,
                                  .vectors = model.vectors[first],
                                  .fields = slices};
        assert_done(lynse_upsert(bed->docs, &rows, NULL, NULL, &bed->err), bed);
    }
}

/* Every so many records. */
static void set_live(size_t every, bool is_live)
{
    for (size_t id = 0; id < ROWS; id += every) {
        struct lynse_id one = number_id(id);
        int rc = is_live ? lynse_restore(bed->docs, &one, 1, NULL, NULL, &bed->err)
                         : lynse_delete(bed->docs, &one, 1, NULL, NULL, &bed->err);
        assert_done(rc, bed);
        model.is_live[id] = is_live;
    }
}

static void order_index(void)
{
    assert_done(lynse_build_index(bed->docs, mode_word, &bed->err), bed);
}

static void flush(void)
{
    assert_done(lynse_flush(bed->docs, &bed->err), bed);
}

/* ---- histories ---- */

static void built_at_the_end(void)
{
    put(0, ROWS);
    order_index();
}

static void deleted_and_restored(void)
{
    built_at_the_end();
    set_live(3, false);
    set_live(9, true);
}

static void replaced_three_times(void)
{
    built_at_the_end();
    for (int i = 0; i < 3; i++) {
        put(0, ROWS);
        flush();
    }
    order_index(); /* waits */
}

/* The last records are in memory, and in segments that are still without. */
static void grown_since(void)
{
    put(0, ROWS * 9 / 10);
    order_index();
    put(ROWS * 9 / 10, ROWS);
}

/* Many small segments, that are merged while more come. */
static void written_in_portions(void)
{
    put(0, 1);
    order_index();
    for (size_t i = 0; i < 8; i++) {
        put(ROWS * i / 8, ROWS * (i + 1) / 8);
        flush();
    }
    order_index();
}

static void opened_again(void)
{
    built_at_the_end();
    fixture_reopen(bed);
}

/* ---- scores ---- */

struct score {
    const char *name;
    void (*ask)(struct lynse_search_desc *d);
    float (*expected)(float distance, int n);
    float floor; /* 0: the mode's */
};

static float as_it_is(float distance, int n)
{
    (void)n;
    return distance;
}

static float with_number(float distance, int n)
{
    return distance + 2 * (float)n;
}

static int add_number(void *ctx, size_t count, const float *distances, const double *const *fields,
                      float *out)
{
    (void)ctx;
    for (size_t i = 0; i < count; i++) out[i] = with_number(distances[i], (int)fields[0][i]);
    return 0;
}

static void ask_nothing(struct lynse_search_desc *d)
{
    (void)d;
}

static void ask_score(struct lynse_search_desc *d)
{
    static const char *const names[] = {"n"};
    static const struct lynse_score_callback callback = {
        .score = add_number, .field_names = names, .field_count = 1};
    d->score_callback = &callback;
}

static const struct score plain = {"no score", ask_nothing, as_it_is, 0};
static const struct score of_every_record = {"a score of every record", ask_score, with_number, 1};

/* ---- the table ---- */

static const struct line {
    uint32_t storage;
    void (*apply)(void);
    const char *history;
    const struct score *score;
} lines[] = {
#define LINE(storage, history, score) {LYNSE_STORAGE_##storage, history, #history, &(score)},
    LINE(F32, built_at_the_end, plain) LINE(F32, deleted_and_restored, plain)
        LINE(F32, replaced_three_times, plain) LINE(F32, grown_since, plain)
            LINE(F32, written_in_portions, plain) LINE(F32, opened_again, plain)
                LINE(F32, deleted_and_restored, of_every_record)
                    LINE(F16, deleted_and_restored, plain) LINE(BF16, grown_since, plain)
                        LINE(I8, built_at_the_end, plain) LINE(U8, written_in_portions, plain)
#undef LINE
};
enum { LINE_COUNT = sizeof lines / sizeof *lines };

/* Mean recall that is asked for, without a filter and with; of the first line that fits. */
static const struct floors {
    const char *mode; /* how it begins */
    double plain, filtered;
} floors[] = {
    {"HNSW-L2-RABITQ", 0.8, 0.8},
    {"HNSW-L2-SIGN", 0.3, 0.3},
    {"HNSW-L2-PQ", 0.15, 0.15},
    {"", 0.95, 0.95},
};

static const struct filter {
    const char *where; /* NULL: none */
    int below;         /* of n */
    int group;         /* -1: any */
} filters[] = {
    {NULL, NUMBERS, -1}, {"n < 900", 900, -1}, {"n < 500", 500, -1},  {"n < 100", 100, -1},
    {"n < 10", 10, -1},  {"n < 0", 0, -1},     {"g = 3", NUMBERS, 3}, {"g = 7 AND n < 500", 500, 7},
};

static bool passes(const struct filter *filter, size_t id)
{
    return model.is_live[id] && model.numbers[id] < filter->below &&
           (filter->group < 0 || model.groups[id] == filter->group);
}

static float distance_of(const float *query, size_t id)
{
    float sum = 0;
    for (int i = 0; i < DIM; i++) {
        float d = query[i] - model.vectors[id][i];
        sum += d * d;
    }
    return sum;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* How many are to be found, and the score of the last of them. */
static size_t truth_of(const struct score *score, const struct filter *filter, const float *query,
                       float *out_worst)
{
    static float scores[ROWS];
    size_t count = 0;

    for (size_t id = 0; id < ROWS; id++)
        if (passes(filter, id))
            scores[count++] = score->expected(distance_of(query, id), model.numbers[id]);
    qsort(scores, count, sizeof *scores, by_value);
    if (count > K) count = K;
    *out_worst = count > 0 ? scores[count - 1] : 0;
    return count;
}

/* Each hit passes, is there once and has its score; the mean recall. */
static double recall_of(const struct score *score, const struct filter *filter)
{
    size_t wanted = 0, found = 0;

    for (int q = 0; q < QUERIES; q++) {
        struct lynse_hits *hits;
        float worst;
        struct lynse_search_desc d = {.vector = model.queries[q],
                                      .dim = DIM,
                                      .k = K,
                                      .where = filter->where,
                                      .error = &bed->err};
        size_t count = truth_of(score, filter, model.queries[q], &worst);
        score->ask(&d);
        assert_done(lynse_search(bed->docs, &d, &hits), bed);
        assert_int_equal(hits->count, count);
        for (size_t i = 0; i < hits->count; i++) {
            size_t id = hits->numbers[i];
            assert_true(id < ROWS && passes(filter, id));
            float expected = score->expected(distance_of(model.queries[q], id), model.numbers[id]);
            assert_true(fabsf(hits->scores[i] - expected) <= 1e-3f * (1 + fabsf(expected)));
            assert_true(i == 0 || hits->scores[i] >= hits->scores[i - 1]);
            for (size_t j = 0; j < i; j++) assert_true(hits->numbers[j] != id);
            found += expected <= worst * (1 + 1e-5f);
        }
        wanted += count;
        lynse_hits_free(hits);
    }
    return wanted > 0 ? (double)found / (double)wanted : 1;
}

/* What was written is kept rounded (test_storage.c has how). */
static void take_vectors_as_kept(void)
{
    for (size_t id = 0; id < ROWS; id++) {
        struct lynse_hits *hits;
        struct lynse_id one = number_id(id);
        assert_done(lynse_get(bed->docs, &one, 1, LYNSE_WITH_VECTORS, &hits, &bed->err), bed);
        assert_int_equal(hits->count, model.is_live[id]);
        if (hits->count > 0) memcpy(model.vectors[id], hits->vectors, sizeof model.vectors[id]);
        lynse_hits_free(hits);
    }
}

static void check_line(const struct line *line)
{
    const struct floors *floor = floors;

    while (strncmp(floor->mode, mode_word, strlen(floor->mode)) != 0) floor++;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        double least = filters[i].where ? floor->filtered : floor->plain;
        double recall = recall_of(line->score, &filters[i]);
        if (line->score->floor > 0) least = (double)line->score->floor;
        if (recall < least)
            fail_msg("%s, %s, %s, where %s: recall %.3f, %.3f wanted", mode_word, line->history,
                     line->score->name, filters[i].where ? filters[i].where : "all", recall, least);
    }
}

/* Of the mode; false: it is not for this type of storage. */
static bool make_docs(const struct line *line)
{
    struct lynse_collection_desc desc = {
        .name = "docs", .dim = DIM, .metric = LYNSE_L2, .storage = line->storage};
    assert_done(lynse_collection_create(bed->db, &desc, &bed->docs, &bed->err), bed);
    int rc = lynse_build_index(bed->docs, mode_word, &bed->err);
    if (rc != LYNSE_UNSUPPORTED) assert_done(rc, bed);
    if (rc == LYNSE_OK) assert_done(lynse_remove_index(bed->docs, &bed->err), bed);
    return rc == LYNSE_OK;
}

static void check_sound(void)
{
    struct lynse_names *findings;
    struct lynse_verify_desc deep = {.level = LYNSE_VERIFY_DEEP};
    assert_done(lynse_verify(bed->docs, &deep, &findings, &bed->err), bed);
    if (findings->count > 0) fail_msg("%s: %s", mode_word, findings->names[0]);
    lynse_names_free(findings);
}

/* All lines; where each takes long, every fifth, and of another mode others. */
static void finds_what_there_is(void **state)
{
    size_t step = test_stride() > 1 ? 5 : 1;

    for (size_t i = strlen((const char *)*state) % step; i < LINE_COUNT; i += step) {
        void *set_up = lines[i].apply == opened_again ? &threads_folder : &threads_memory;
        fixture_set_up(&set_up);
        bed = (struct fixture *)set_up;
        mode_word = (const char *)*state;
        model_init();
        if (make_docs(&lines[i])) {
            lines[i].apply();
            if (lines[i].storage != LYNSE_STORAGE_F32) take_vectors_as_kept();
            check_line(&lines[i]);
            check_sound();
        }
        fixture_tear_down(&set_up);
    }
}

int main(void)
{
    return run_mode_cases(__FILE__, finds_what_there_is, false);
}
