/* SPDX-License-Identifier: Apache-2.0 */
/* test.h — what every C test includes: cmocka in the order it wants, and TEST_MAIN. */
#ifndef SUPPORT_TEST_H
#define SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

/* The seed of a randomised test: LYNSE_TEST_SEED, or `otherwise`; printed, so that a failure can
 * be run again. */
uint64_t test_seed(uint64_t otherwise);

/* The step of a sweep that only repeats itself, over bits, places or chance: 1, but 13 under
 * ThreadSanitizer, which makes it slow and cannot find anything on one thread; odd, so that every
 * bit of a byte has its turn.  LYNSE_TEST_LONG (`./dev test --all`) makes it 1 again. */
size_t test_stride(void);
/* How often to try again by chance: `rounds`, divided by test_stride() and at least 1. */
int test_rounds(int rounds);
/* After place n, from 1 on, of a sweep of unknown length: the first places are never left out. */
uint64_t test_sweep_next(uint64_t n);

/* rc == 0, or print the error's text and fail. */
#define assert_ok(rc, err)                                                                         \
    do {                                                                                           \
        if ((rc) != 0) {                                                                           \
            print_error("error %s: %s (%s:%d)\n", error_name((err)->code), (err)->text,            \
                        (err)->file ? (err)->file : "?", (err)->line);                             \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* rc != 0 and the code is as expected. */
#define assert_fails(rc, err, expected_code)                                                       \
    do {                                                                                           \
        assert_int_not_equal((rc), 0);                                                             \
        if ((err)->code != (expected_code)) print_error("got: %s\n", (err)->text);                 \
        assert_string_equal(error_name((err)->code), error_name(expected_code));                   \
    } while (0)

/* Leave this case out here and now.  Without a reason, `./dev test` takes it for failed. */
#define skip_because(reason)                                                                       \
    do {                                                                                           \
        print_message("skip: %s\n", (reason));                                                     \
        skip();                                                                                    \
    } while (0)

#define TEST_MAIN(tests)                                                                           \
    int main(void)                                                                                 \
    {                                                                                              \
        return cmocka_run_group_tests_name(__FILE__, (tests), NULL, NULL);                         \
    }

#endif
