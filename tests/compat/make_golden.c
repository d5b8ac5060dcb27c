/* SPDX-License-Identifier: Apache-2.0 */
/* make_golden.c — `make_golden DIRECTORY` writes the directory of this version (README.md). */
#include "compat/contents.h"
#include "support/test.h"

static const char *golden_path;

static void write_it(void **state)
{
    static const char neutral[] = "lynse 1\npid 4711\nprocess-start 123456\nboot 0\nhost golden\n"
                                  "uid 1000\nsince 2026-11-22T12:00:00Z\n";
    char path[4096];
    (void)state;
    golden_write_v001(golden_path);
    int n = snprintf(path, sizeof path, "%s/LOCK", golden_path);
    assert_true(n > 0 && n < (int)sizeof path);
    FILE *lock = fopen(path, "w");
    assert_non_null(lock);
    assert_true(fputs(neutral, lock) >= 0);
    assert_int_equal(fclose(lock), 0);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest steps[] = {cmocka_unit_test(write_it)};
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    golden_path = argv[1];
    return cmocka_run_group_tests(steps, NULL, NULL);
}
