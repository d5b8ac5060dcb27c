/* SPDX-License-Identifier: Apache-2.0 */
#include "support/oom_sweep.h"

#include "support/test.h"

/* One run with the n-th allocation failing; false when the scenario made fewer than n. */
static bool run_failing(struct alloc *a, uint64_t n, bool sticky,
                        int (*scenario)(void *ctx, struct error *err), void *ctx)
{
    struct error err = {0};
    size_t used_before = alloc_used_bytes(a);
    uint64_t count_before = alloc_count(a);
    alloc_fail_after(a, n, sticky);
    int rc = scenario(ctx, &err);
    alloc_fail_after(a, 0, false);

    if (alloc_count(a) - count_before < n) {
        assert_ok(rc, &err);
        return false;
    }
    size_t used_after = alloc_used_bytes(a);
    if (rc != -1 || err.code != LYNSE_NO_MEMORY || used_after != used_before) {
        fail_msg("allocation %llu failed%s: returned %d, error %s '%s' (%s:%d), used %zu -> %zu",
                 (unsigned long long)n, sticky ? " and all after it" : "", rc, error_name(err.code),
                 err.text, err.file ? err.file : "?", err.line, used_before, used_after);
    }
    return true;
}

void oom_sweep(struct alloc *a, int (*scenario)(void *ctx, struct error *err), void *ctx)
{
    for (uint64_t n = 1; run_failing(a, n, false, scenario, ctx);) n = test_sweep_next(n);
    for (uint64_t n = 1; run_failing(a, n, true, scenario, ctx);) n = test_sweep_next(n);
}
