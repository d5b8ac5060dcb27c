/* SPDX-License-Identifier: Apache-2.0 */
#include "support/mode_cases.h"

#include "index/index.h"
#include "index/index_mode.h"

enum { MODES_MAX = 64 };

static size_t find_modes(char modes[MODES_MAX][INDEX_MODE_BYTES], bool built_only)
{
    size_t count = 0;

    for (unsigned kind = 1; kind <= INDEX_KIND_MAX; kind++)
        for (unsigned quantizer = 0; quantizer < QUANTIZER_COUNT; quantizer++) {
            struct quantizer_spec spec = {(enum quantizer_kind)quantizer, 0};
            struct index_mode mode = {(enum index_kind)kind, METRIC_L2, spec, false};
            if (!index_mode_makes_sense(&mode)) continue;
            if (built_only && !index_is_built(index_find(kind), spec.kind)) continue;
            assert_true(count < MODES_MAX);
            index_mode_format(&mode, modes[count++], INDEX_MODE_BYTES);
        }
    return count;
}

int run_mode_cases(const char *suite, CMUnitTestFunction run, bool built_only)
{
    static char modes[MODES_MAX][INDEX_MODE_BYTES];
    struct CMUnitTest tests[MODES_MAX];
    size_t count = find_modes(modes, built_only);

    for (size_t i = 0; i < count; i++)
        tests[i] =
            (struct CMUnitTest){.name = modes[i], .test_func = run, .initial_state = modes[i]};
    return _cmocka_run_group_tests(suite, tests, count, NULL, NULL);
}
