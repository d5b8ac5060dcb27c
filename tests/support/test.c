/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

uint64_t test_seed(uint64_t otherwise)
{
    const char *text = getenv("LYNSE_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : otherwise;
    print_message("seed %llu\n", (unsigned long long)seed);
    return seed;
}
