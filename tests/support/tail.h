/* SPDX-License-Identifier: Apache-2.0 */
/* tail.h — a tail with an allocator of its own, which is empty again at the end. */
#ifndef SUPPORT_TAIL_H
#define SUPPORT_TAIL_H

#include "segment/active_segment.h"

struct test_tail {
    struct alloc *alloc;
    struct active_segment *tail;
    struct segment *base;
};

void test_tail_set_up(struct test_tail *f, uint32_t dim, uint32_t row_capacity);
void test_tail_tear_down(struct test_tail *f);

#endif
