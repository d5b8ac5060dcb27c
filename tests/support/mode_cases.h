/* SPDX-License-Identifier: Apache-2.0 */
/* mode_cases.h — one case for every mode of an index, named by it. */
#ifndef SUPPORT_MODE_CASES_H
#define SUPPORT_MODE_CASES_H

#include <stdbool.h>

#include "support/test.h"

/* Run the case over each kind and quantizer that go together by L2, its state the mode as text:
 * those alone that are built, or those that are scans too.  As main returns. */
int run_mode_cases(const char *suite, CMUnitTestFunction run, bool built_only);

#endif
