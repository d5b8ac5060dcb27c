/* SPDX-License-Identifier: Apache-2.0 */
/* initialize.c — what libFuzzer calls before a target: LYNSE_PLANTED=NAME switches a planted defect
 * on (base/planted.h). */
#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name = getenv("LYNSE_PLANTED");

    (void)argc, (void)argv;
    if (planted_set(name)) return 0;
    fprintf(stderr, "LYNSE_PLANTED: this build has no defect '%s'\n", name);
    exit(2);
}
