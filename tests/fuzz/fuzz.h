/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h — what every fuzz target defines.
 *
 * A target reads `size` bytes that may be anything, for one parser.  It must return 0, free what it
 * allocated, keep no state between calls, and end the process (CHECK, abort) where the parser broke
 * a promise.  libFuzzer calls it under clang; replay_main.c elsewhere, for each file of the corpus.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Called by libFuzzer before the first input; initialize.c. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

#endif
