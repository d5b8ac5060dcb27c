/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

uint64_t test_seed(uint64_t otherwise)
{
    const char *text = getenv("LYNSE_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : otherwise;
    print_message("seed %llu\n", (unsigned long long)seed);
    return seed;
}

#if defined(__SANITIZE_THREAD__)
#define HAS_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_THREAD_SANITIZER 1
#endif
#endif

size_t test_stride(void)
{
#ifdef HAS_THREAD_SANITIZER
    const char *text = getenv("LYNSE_TEST_LONG");
    return text && *text ? 1 : 13;
#else
    return 1;
#endif
}

int test_rounds(int rounds)
{
    int fewer = rounds / (int)test_stride();
    return fewer > 0 ? fewer : 1;
}

uint64_t test_sweep_next(uint64_t n)
{
    enum { FIRST_PLACES = 32 };
    return n < FIRST_PLACES ? n + 1 : n + test_stride();
}
