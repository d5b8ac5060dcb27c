/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tail.h"

#include "support/test.h"

void test_tail_set_up(struct test_tail *f, uint32_t dim, uint32_t row_capacity)
{
    struct error err = {0};
    f->alloc = alloc_create(NULL, 0);
    assert_non_null(f->alloc);
    assert_ok(active_segment_create(f->alloc, dim, row_capacity, &f->tail, &err), &err);
    f->base = active_segment_base(f->tail);
}

void test_tail_tear_down(struct test_tail *f)
{
    segment_release(f->base);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
}
