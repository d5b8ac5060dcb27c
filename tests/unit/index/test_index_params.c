/* SPDX-License-Identifier: Apache-2.0 */
/* What a user says of an index, read by a kind's table. */
#include "index/index_params.h"

#include <math.h>

#include "index/index.h"
#include "support/test.h"

static const struct index_param graph_params[] = {
    {"m", "degree max_neighbours", 2, 128, 16, true},
    {"ef_construction", "", 4, 4096, 128, true},
    {"alpha", "", 1, 2, 1.25, false},
};

static bool contradicts(const struct index_params *p, char *why, size_t why_bytes)
{
    if (p->values[1] >= p->values[0]) return false;
    snprintf(why, why_bytes, "ef_construction is %g, it must be at least m, %g", p->values[1],
             p->values[0]);
    return true;
}

static const struct index_vtab graph = {
    .name = "graph", .params = graph_params, .param_count = 3, .contradicts = contradicts};

static int read_one(const char *name, double value, struct index_params *out, struct error *err)
{
    struct index_param_value values[] = {{slice_of_text(name), value}};
    return index_params_read(&graph, values, 1, out, err);
}

static void what_is_not_said_has_its_standard(void **state)
{
    (void)state;
    struct index_params p;
    struct error err = {0};
    assert_ok(index_params_read(&graph, NULL, 0, &p, &err), &err);
    assert_true(p.values[0] == 16 && p.values[1] == 128 && p.values[2] == 1.25);
    assert_ok(read_one("M", 32, &p, &err), &err);
    assert_true(p.values[0] == 32 && p.values[1] == 128);
    assert_ok(read_one("Max_Neighbours", 8, &p, &err), &err);
    assert_true(p.values[0] == 8);
    assert_ok(index_params_check(&graph, &p, &err), &err);
}

static void what_is_wrong_is_named_with_its_range(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double value;
        int code;
        const char *says;
    } cases[] = {
        {"m", 1, LYNSE_LIMIT, "m: 1, allowed are 2 to 128"},
        {"degree", 129, LYNSE_LIMIT, "m: 129, allowed are 2 to 128"},
        {"alpha", NAN, LYNSE_LIMIT, "alpha: "},
        {"alpha", INFINITY, LYNSE_LIMIT, "alpha: inf, allowed are 1 to 2"},
        {"m", 2.5, LYNSE_INVALID, "m: 2.5 is no whole number"},
        {"ef_constuction", 9, LYNSE_INVALID, "did you mean 'ef_construction'?"},
        {"EF_CONSTRUCTIO", 9, LYNSE_INVALID, "did you mean 'ef_construction'?"},
        {"speed", 9, LYNSE_INVALID,
         "unknown index build parameter 'speed'; supported keys of graph: m, ef_construction, "
         "alpha"},
        {"", 9, LYNSE_INVALID, "unknown index build parameter ''"},
        {"n_clusters", 9, LYNSE_INVALID, "unknown index build parameter 'n_clusters'"},
        {"m", 127, 0, ""},
        {"ef_construction", 15, LYNSE_INVALID, "ef_construction is 15, it must be at least m, 16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct index_params p = {{77}};
        struct error err = {0};
        int rc = read_one(cases[i].name, cases[i].value, &p, &err);
        if (cases[i].code == 0) {
            assert_ok(rc, &err);
            continue;
        }
        assert_fails(rc, &err, cases[i].code);
        if (!strstr(err.text, cases[i].says)) fail_msg("%s", err.text);
        assert_true(p.values[0] == 77); /* it is as it was */
    }
}

static void one_that_is_given_twice_is_the_same_twice(void **state)
{
    (void)state;
    struct index_param_value same[] = {{slice_of_text("m"), 24}, {slice_of_text("degree"), 24}};
    struct index_param_value other[] = {{slice_of_text("m"), 24}, {slice_of_text("degree"), 25}};
    struct index_params p;
    struct error err = {0};
    assert_ok(index_params_read(&graph, same, 2, &p, &err), &err);
    assert_true(p.values[0] == 24);
    assert_fails(index_params_read(&graph, other, 2, &p, &err), &err, LYNSE_INVALID);
    assert_string_equal(err.text, "m: given as 24 and as 25");
}

static void flat_passes_over_what_other_kinds_take(void **state)
{
    (void)state;
    struct index_param_value values[] = {
        {slice_of_text("n_clusters"), 256}, {slice_of_text("M"), 0}, {slice_of_text("speed"), 1}};
    struct index_params p;
    struct error err = {0};
    assert_ok(index_params_read(&index_flat, values, 2, &p, &err), &err);
    assert_fails(index_params_read(&index_flat, values, 3, &p, &err), &err, LYNSE_INVALID);
    assert_string_equal(err.text, "unknown index build parameter 'speed'; supported keys of flat: "
                                  "none");
}

static void values_of_a_file_are_looked_at(void **state)
{
    (void)state;
    const struct index_params bad[] = {
        {{1, 128, 1}}, {{16, 128, NAN}}, {{16, 128.5, 1}}, {{16, 8, 1}}};
    struct error err = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_not_equal(index_params_check(&graph, &bad[i], &err), 0);
}

/* Every kind that there is. */
static void standards_are_allowed_and_go_together(void **state)
{
    (void)state;
    for (unsigned kind = 1; kind <= INDEX_KIND_MAX; kind++) {
        const struct index_vtab *k = index_find(kind);
        struct index_params p;
        struct error err = {0};
        if (!k) continue;
        assert_true(k->param_count <= INDEX_PARAMS_MAX);
        assert_true(k->effort_param < (int)k->param_count);
        index_params_init(k, &p);
        assert_ok(index_params_check(k, &p, &err), &err);
        for (size_t i = 0; i < k->param_count; i++) {
            double value = k->params[i].standard;
            assert_ok(index_params_set(k, &p, slice_of_text(k->params[i].name), value, &err), &err);
            assert_true(p.values[i] == value);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_not_said_has_its_standard),
    cmocka_unit_test(what_is_wrong_is_named_with_its_range),
    cmocka_unit_test(one_that_is_given_twice_is_the_same_twice),
    cmocka_unit_test(flat_passes_over_what_other_kinds_take),
    cmocka_unit_test(values_of_a_file_are_looked_at),
    cmocka_unit_test(standards_are_allowed_and_go_together),
};
TEST_MAIN(tests)
