/* SPDX-License-Identifier: Apache-2.0 */
/* test_view.h — views of active segments, built a row at a time as a collection would. */
#ifndef SUPPORT_TEST_VIEW_H
#define SUPPORT_TEST_VIEW_H

#include "segment/active_segment.h"
#include "segment/view.h"

enum { TEST_VIEW_PARTS = 8 };

struct test_view {
    struct alloc *alloc;
    uint32_t dim;
    uint8_t metric;
    uint64_t lsn; /* of the last change */
    size_t part_count;
    struct active_segment *parts[TEST_VIEW_PARTS];
    struct tombstones *dead[TEST_VIEW_PARTS];
};

/* No part yet.  Whatever fails fails the test. */
void test_view_init(struct test_view *t, struct alloc *a, uint32_t dim, uint8_t metric);
void test_view_deinit(struct test_view *t);

/* Rows go into this part from now on. */
void test_view_open_part(struct test_view *t, uint32_t row_capacity);
/* Write a row; an older live version of the id is deleted. */
void test_view_put(struct test_view *t, struct record_id id, const float *vector,
                   struct slice document);
/* Write many rows of new ids, the numbers from first_id on. */
void test_view_put_many(struct test_view *t, uint64_t first_id, size_t count, const float *vectors);
void test_view_remove(struct test_view *t, struct record_id id); /* it is live */

/* What is written so far; the caller's reference. */
struct view *test_view_take(const struct test_view *t);

#endif
