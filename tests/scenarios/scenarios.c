/* SPDX-License-Identifier: Apache-2.0 */
/* scenarios.c — `scenarios HOOKS.JSON`: the table of score and rerank scenarios from C, by source
 * text in a sandbox, by trusted text, and by callbacks that do the same as the text.
 *
 * The table is read by our own JSON; what is expected in it comes from make_hooks.py.
 */
#include <lynse.h>
#include <lynse_lua.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"
#include "codec/value.h"

enum { ROWS_MAX = 64, DIM_MAX = 8, QUERIES_MAX = 4, TEXT_BYTES = 1024, NAME_BYTES = 32 };
enum form { SANDBOXED, TRUSTED, CALLBACKS, FORM_COUNT };

static const char *const form_names[] = {"sandboxed", "trusted", "callbacks"};

#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        if (condition) break;                                                                      \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        exit(1);                                                                                   \
    } while (0)

/* ---- The table ---- */

static bool get(const struct value *map, const char *name, struct value *out)
{
    return value_get(map, slice_of_text(name), out);
}

static struct value need(const struct value *map, const char *name)
{
    struct value v;
    REQUIRE(get(map, name, &v), "the table has no %s", name);
    return v;
}

static double number_of(const struct value *v)
{
    return v->type == VALUE_FLOAT ? v->as.number : (double)v->as.integer;
}

static size_t read_floats(const struct value *list, float *out)
{
    struct value_walk walk = value_walk_of(list);
    struct value v;
    size_t count = 0;

    while (count < DIM_MAX && value_walk_next(&walk, NULL, &v)) out[count++] = (float)number_of(&v);
    return count;
}

static struct lynse_bytes bytes_of(const struct value *v)
{
    return (struct lynse_bytes){v->raw.data, v->raw.size};
}

/* The text under a name; NULL where there is none. */
static const char *read_text(const struct value *map, const char *name, char *room, size_t size)
{
    struct value v;

    if (!get(map, name, &v)) return NULL;
    REQUIRE(v.as.text.size < size, "%s: too long", name);
    memcpy(room, v.as.text.data, v.as.text.size);
    room[v.as.text.size] = 0;
    return room;
}

/* ---- Callbacks, by the names of the table ---- */

static int score_age(void *ctx, size_t n, const float *d, const double *const *f, float *out)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) out[i] = (float)(d[i] + f[0][i] / 64);
    return 0;
}

static int score_negate(void *ctx, size_t n, const float *d, const double *const *f, float *out)
{
    (void)ctx, (void)f;
    for (size_t i = 0; i < n; i++) out[i] = -d[i];
    return 0;
}

static int score_stars(void *ctx, size_t n, const float *d, const double *const *f, float *out)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) out[i] = (float)(d[i] - f[0][i]);
    return 0;
}

static int score_guarded(void *ctx, size_t n, const float *d, const double *const *f, float *out)
{
    (void)ctx, (void)d;
    for (size_t i = 0; i < n; i++) out[i] = isnan(f[0][i]) ? 100 : (float)f[0][i];
    return 0;
}

static int score_drop_young(void *ctx, size_t n, const float *d, const double *const *f, float *out)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) out[i] = f[0][i] < 50 ? NAN : d[i];
    return 0;
}

static int score_constant(void *ctx, size_t n, const float *d, const double *const *f, float *out)
{
    (void)ctx, (void)d, (void)f;
    for (size_t i = 0; i < n; i++) out[i] = 1;
    return 0;
}

static int score_drop_all(void *ctx, size_t n, const float *d, const double *const *f, float *out)
{
    (void)ctx, (void)d, (void)f;
    for (size_t i = 0; i < n; i++) out[i] = NAN;
    return 0;
}

static int score_deep(void *ctx, size_t n, const float *d, const double *const *f, float *out)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) out[i] = (float)(f[0][i] * 8 + d[i]);
    return 0;
}

static int score_none(void *ctx, size_t n, const float *d, const double *const *f, float *out)
{
    (void)ctx, (void)d;
    for (size_t i = 0; i < n; i++) out[i] = (float)f[0][i];
    return 0;
}

/* ctx: the map of score_options */
static int score_weighed(void *ctx, size_t n, const float *d, const double *const *f, float *out)
{
    struct value sign = need(ctx, "sign"), of = need(ctx, "of"), unit = need(&of, "unit");

    for (size_t i = 0; i < n; i++)
        out[i] = (float)(number_of(&sign) * d[i] + f[0][i] / number_of(&unit));
    return 0;
}

static int score_fail(void *ctx, size_t n, const float *d, const double *const *f, float *out)
{
    (void)ctx, (void)n, (void)d, (void)f, (void)out;
    return 1;
}

static const struct {
    const char *name;
    lynse_score_fn *score;
    const char *field; /* NULL: none */
} scores[] = {
    {"age", score_age, "age"},
    {"negate", score_negate, NULL},
    {"stars", score_stars, "stars"},
    {"guarded", score_guarded, "stars"},
    {"drop_young", score_drop_young, "age"},
    {"constant", score_constant, NULL},
    {"drop_all", score_drop_all, NULL},
    {"deep", score_deep, "deep.x"},
    {"none", score_none, "nowhere"},
    {"weighed", score_weighed, "age"},
    {"fail", score_fail, NULL},
};

static int rerank_reverse(void *ctx, const struct lynse_hits *hits, size_t *inout_count,
                          uint32_t *places, float *new_scores)
{
    (void)ctx;
    for (size_t i = 0; i < hits->count; i++) {
        places[i] = (uint32_t)(hits->count - 1 - i);
        new_scores[i] = hits->scores[places[i]];
    }
    *inout_count = hits->count;
    return 0;
}

static int keep_range(const struct lynse_hits *hits, size_t from, size_t to, size_t *inout_count,
                      uint32_t *places, float *new_scores)
{
    for (size_t i = from; i < to; i++) {
        places[i - from] = (uint32_t)i;
        new_scores[i - from] = hits->scores[i];
    }
    *inout_count = to > from ? to - from : 0;
    return 0;
}

static int rerank_first_two(void *ctx, const struct lynse_hits *hits, size_t *inout_count,
                            uint32_t *places, float *new_scores)
{
    (void)ctx;
    return keep_range(hits, 0, hits->count < 2 ? hits->count : 2, inout_count, places, new_scores);
}

static int rerank_drop_first(void *ctx, const struct lynse_hits *hits, size_t *inout_count,
                             uint32_t *places, float *new_scores)
{
    (void)ctx;
    return keep_range(hits, 1, hits->count, inout_count, places, new_scores);
}

/* Score and age, by insertion. */
static int rerank_rescore(void *ctx, const struct lynse_hits *hits, size_t *inout_count,
                          uint32_t *places, float *new_scores)
{
    (void)ctx;
    for (size_t i = 0; i < hits->count; i++) {
        struct value fields, age;
        size_t at = i;
        if (!value_read(slice_of(hits->fields[i].data, hits->fields[i].size), &fields)) return 1;
        age = need(&fields, "age");
        float score = hits->scores[i] + (float)number_of(&age);
        for (; at > 0 && new_scores[at - 1] > score; at--) {
            places[at] = places[at - 1];
            new_scores[at] = new_scores[at - 1];
        }
        places[at] = (uint32_t)i;
        new_scores[at] = score;
    }
    *inout_count = hits->count;
    return 0;
}

static int rerank_fail(void *ctx, const struct lynse_hits *hits, size_t *inout_count,
                       uint32_t *places, float *new_scores)
{
    (void)ctx, (void)hits, (void)inout_count, (void)places, (void)new_scores;
    return 1;
}

static const struct {
    const char *name;
    lynse_rerank_fn *rerank;
} reranks[] = {{"reverse", rerank_reverse},
               {"first_two", rerank_first_two},
               {"drop_first", rerank_drop_first},
               {"rescore", rerank_rescore},
               {"fail", rerank_fail}};

/* ---- The data ---- */

static void write_rows(struct lynse_collection *c, const struct value *rows, bool is_upsert)
{
    static float vectors[ROWS_MAX * DIM_MAX];
    uint64_t ids[ROWS_MAX];
    struct lynse_bytes fields[ROWS_MAX];
    struct value_walk walk = value_walk_of(rows);
    struct value row;
    struct lynse_rows all = {.ids = NULL, .numbers = ids, .vectors = vectors, .fields = fields};
    struct lynse_error err = {0};

    while (all.count < ROWS_MAX && value_walk_next(&walk, NULL, &row)) {
        struct value id = need(&row, "id"), vector = need(&row, "vector");
        struct value document = need(&row, "fields");
        ids[all.count] = (uint64_t)id.as.integer;
        all.dim = (uint32_t)read_floats(&vector, vectors + all.count * all.dim);
        fields[all.count++] = bytes_of(&document);
    }
    int code = (is_upsert ? lynse_upsert : lynse_add)(c, &all, NULL, NULL, &err);
    REQUIRE(code == LYNSE_OK, "rows: %s", err.text);
}

static struct lynse_collection *fill(struct lynse *db, const char *name, const struct value *table)
{
    struct lynse_collection *c;
    struct lynse_error err = {0};
    uint32_t metric = strcmp(name, "ip") == 0   ? LYNSE_IP
                      : strcmp(name, "l2") == 0 ? LYNSE_L2
                                                : LYNSE_COSINE;
    struct value dim = need(table, "dim"), rows = need(table, "sealed"), id;
    struct lynse_collection_desc desc = {
        .dim = (uint32_t)dim.as.integer, .name = name, .metric = metric};

    REQUIRE(lynse_collection_create(db, &desc, &c, &err) == LYNSE_OK, "%s", err.text);
    write_rows(c, &rows, false);
    REQUIRE(lynse_flush(c, &err) == LYNSE_OK, "flush: %s", err.text);
    rows = need(table, "tail");
    write_rows(c, &rows, false);
    rows = need(table, "upserted");
    write_rows(c, &rows, true);
    rows = need(table, "deleted");
    struct value_walk walk = value_walk_of(&rows);
    while (value_walk_next(&walk, NULL, &id)) {
        struct lynse_id gone = {.number = (uint64_t)id.as.integer};
        REQUIRE(lynse_delete(c, &gone, 1, NULL, NULL, &err) == LYNSE_OK, "delete: %s", err.text);
    }
    return c;
}

/* ---- A scenario ---- */

struct request {
    struct lynse_search_desc desc;
    float vectors[QUERIES_MAX * DIM_MAX];
    char where[TEXT_BYTES], score[TEXT_BYTES], rerank[TEXT_BYTES];
    const char *field;
    struct value score_options;
    struct lynse_score_callback score_callback;
    struct lynse_rerank_callback rerank_callback;
    struct lynse_error err;
};

/* Where the table names a callback, it takes the place of the text. */
static void use_callbacks(const struct value *one, struct request *r)
{
    char name[NAME_BYTES];

    if (read_text(one, "score_callback", name, sizeof name)) {
        for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
            if (strcmp(name, scores[i].name) != 0) continue;
            r->field = scores[i].field;
            r->score_callback = (struct lynse_score_callback){
                scores[i].score, &r->score_options, &r->field, scores[i].field != NULL, 0};
            r->desc.score_callback = &r->score_callback;
        }
        REQUIRE(r->desc.score_callback, "there is no callback %s", name);
        r->desc.score = NULL;
        r->desc.score_options = (struct lynse_bytes){NULL, 0};
    }
    if (read_text(one, "rerank_callback", name, sizeof name)) {
        for (size_t i = 0; i < sizeof reranks / sizeof *reranks; i++) {
            if (strcmp(name, reranks[i].name) != 0) continue;
            r->rerank_callback =
                (struct lynse_rerank_callback){reranks[i].rerank, NULL, LYNSE_WITH_FIELDS};
            r->desc.rerank_callback = &r->rerank_callback;
        }
        REQUIRE(r->desc.rerank_callback, "there is no callback %s", name);
        r->desc.rerank = NULL;
    }
}

static void read_request(const struct value *one, enum form form, struct request *r)
{
    struct value queries = need(one, "queries"), query, v;
    struct value_walk walk = value_walk_of(&queries);

    *r = (struct request){.desc = {.vector = r->vectors, .error = &r->err}};
    while (r->desc.query_count < QUERIES_MAX && value_walk_next(&walk, NULL, &query))
        r->desc.dim =
            (uint32_t)read_floats(&query, r->vectors + r->desc.query_count++ * r->desc.dim);
    if (get(one, "k", &v)) r->desc.k = (uint32_t)v.as.integer;
    if (get(one, "range", &v)) {
        r->desc.flags |= LYNSE_RANGE;
        r->desc.threshold = (float)number_of(&v);
    }
    r->desc.where = read_text(one, "where", r->where, sizeof r->where);
    r->desc.score = read_text(one, "score", r->score, sizeof r->score);
    r->desc.rerank = read_text(one, "rerank", r->rerank, sizeof r->rerank);
    if (get(one, "score_options", &r->score_options))
        r->desc.score_options = bytes_of(&r->score_options);
    if (get(one, "rerank_options", &v)) r->desc.rerank_options = bytes_of(&v);
    if (get(one, "hooks", &v) && !v.as.boolean) r->desc.flags |= LYNSE_NO_HOOKS;
    if (form == CALLBACKS) use_callbacks(one, r);
}

/* Keep the hooks of the list with the collection. */
static void install(struct lynse_collection *c, const struct value *list)
{
    struct value_walk walk = value_walk_of(list);
    struct value hook, options;
    char point[NAME_BYTES], source[TEXT_BYTES], policy[NAME_BYTES];
    struct lynse_error err = {0};

    while (value_walk_next(&walk, NULL, &hook)) {
        options = need(&hook, "options");
        struct lynse_hook_desc desc = {.point = read_text(&hook, "point", point, sizeof point),
                                       .source = read_text(&hook, "source", source, sizeof source),
                                       .options = bytes_of(&options)};
        if (strcmp(read_text(&hook, "on_failure", policy, sizeof policy), "skip") == 0)
            desc.on_failure = LYNSE_HOOK_SKIP;
        REQUIRE(lynse_hook_set(c, &desc, NULL, &err) == LYNSE_OK, "set: %s", err.text);
    }
}

static void drop_hooks(struct lynse_collection *c)
{
    struct lynse_hooks *kept;
    struct lynse_error err = {0};

    REQUIRE(lynse_hook_list(c, &kept, &err) == LYNSE_OK, "hooks: %s", err.text);
    for (size_t i = 0; i < kept->count; i++)
        REQUIRE(lynse_hook_drop(c, kept->hooks[i].point, &err) == LYNSE_OK, "drop: %s", err.text);
    lynse_hooks_free(kept);
}

/* Bits of enum lynse_hook_bits. */
static uint32_t read_skipped(const struct value *one)
{
    struct value list, point;
    uint32_t bits = 0;

    if (!get(one, "skipped", &list)) return 0;
    struct value_walk walk = value_walk_of(&list);
    while (value_walk_next(&walk, NULL, &point))
        bits |= slice_equal(point.as.text, slice_of_text("score")) ? LYNSE_SKIPPED_SCORE
                                                                   : LYNSE_SKIPPED_RERANK;
    return bits;
}

static bool is_expected(const struct value *one, const struct lynse_hits *hits)
{
    struct value expected = need(one, "expected"), list, pair, v;
    struct value_walk walk = value_walk_of(&expected);
    size_t at = 0;

    for (size_t q = 0; value_walk_next(&walk, NULL, &list); q++) {
        struct value_walk pairs = value_walk_of(&list);
        for (; value_walk_next(&pairs, NULL, &pair); at++) {
            struct value_walk both = value_walk_of(&pair);
            if (at >= hits->count || !value_walk_next(&both, NULL, &v)) return false;
            if (hits->ids[at].number != (uint64_t)v.as.integer) return false;
            if (!value_walk_next(&both, NULL, &v)) return false;
            double score = number_of(&v);
            if (!(fabs(hits->scores[at] - score) <= 1e-6 * fmax(1, fabs(score)))) return false;
        }
        if (q >= hits->query_count || hits->query_ends[q] != at) return false;
    }
    return at == hits->count && hits->skipped_hooks == read_skipped(one);
}

static bool run(struct lynse_collection *c, const struct value *one, enum form form)
{
    struct request r;
    struct lynse_hits *hits = NULL;
    char wanted[NAME_BYTES];
    struct value installed;
    bool has_installed = get(one, "installed", &installed);

    read_request(one, form, &r);
    if (has_installed) install(c, &installed);
    int code = lynse_search(c, &r.desc, &hits);
    if (has_installed) drop_hooks(c);
    if (read_text(one, "error", wanted, sizeof wanted))
        return code != LYNSE_OK && strcmp(lynse_error_name(code), wanted) == 0;
    if (code != LYNSE_OK) printf("%s\n", r.err.text);
    bool is_right = code == LYNSE_OK && is_expected(one, hits);
    lynse_hits_free(hits);
    return is_right;
}

static int run_all(const struct value *table, enum form form, int *failed)
{
    static const char *const names[] = {"ip", "l2", "cosine"};
    struct lynse_collection *by_metric[3];
    struct lynse *db;
    struct lynse_error err = {0};
    struct lynse_open_desc desc = {.path = ":memory:",
                                   .flags = form == TRUSTED ? LYNSE_OPEN_TRUSTED_SCRIPTS : 0};
    struct value scenarios = need(table, "scenarios"), one;
    struct value_walk walk = value_walk_of(&scenarios);
    int passed = 0;

    REQUIRE(lynse_open(&desc, &db, &err) == LYNSE_OK, "%s", err.text);
    REQUIRE(lynse_lua_attach(db, &err) == LYNSE_OK, "%s", err.text);
    for (size_t i = 0; i < 3; i++) by_metric[i] = fill(db, names[i], table);
    for (int number = 1; value_walk_next(&walk, NULL, &one); number++) {
        struct value metric = need(&one, "metric");
        size_t m = 0;
        while (m < 2 && !slice_equal(metric.as.text, slice_of_text(names[m]))) m++;
        bool is_right = run(by_metric[m], &one, form);
        if (!is_right) printf("scenario %d, %s: not as expected\n", number, form_names[form]);
        passed += is_right;
        *failed += !is_right;
    }
    REQUIRE(lynse_close(db, &err) == LYNSE_OK, "%s", err.text);
    return passed;
}

int main(int argc, char **argv)
{
    const struct msgpack_limits limits = {.what = "table",
                                          .bytes_max = 1 << 20,
                                          .node_count_max = 1 << 16,
                                          .depth_max = 8,
                                          .key_count_max = 64};
    struct buf json, table;
    struct error err = {0};
    struct value root;
    char piece[4096];
    int passed = 0, failed = 0;

    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    REQUIRE(f, "scenarios HOOKS.JSON");
    buf_init(&json, alloc_libc(), MEM_GENERAL);
    buf_init(&table, alloc_libc(), MEM_GENERAL);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) buf_append(&json, piece, n);
    fclose(f);
    REQUIRE(json_to_msgpack(buf_slice(&json), &limits, &table, &err) == 0, "%s", err.text);
    REQUIRE(value_read(buf_slice(&table), &root), "no table");
    for (enum form form = SANDBOXED; form < FORM_COUNT; form++)
        passed += run_all(&root, form, &failed);
    buf_deinit(&json);
    buf_deinit(&table);
    printf("cases: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
