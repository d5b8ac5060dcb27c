/* SPDX-License-Identifier: Apache-2.0 */
/* compaction_policy.h — which sealed segments of a collection to merge next: a pure function of
 * their sizes.
 *
 * Neighbours of about the same size are merged when there are MERGE_WIDTH of them, so that a row is
 * rewritten once for each doubling of its segment's size twice over, and there are at most
 * MERGE_WIDTH - 1 segments of a size between two larger ones.  A segment of which much could be
 * reclaimed is rewritten, with its neighbours where they are not larger.
 * When nothing is written more is worth it: each row is rewritten oftener, while nobody waits.
 */
#ifndef SEGMENT_COMPACTION_POLICY_H
#define SEGMENT_COMPACTION_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MERGE_WIDTH = 4, MERGE_PARTS_MAX = 64 };

struct segment_size {
    uint32_t row_count;   /* deleted ones among them */
    uint32_t waste_count; /* of them: that a rewrite could leave out */
};

struct merge_choice {
    size_t first, count; /* segments [first, first + count), 1 to MERGE_PARTS_MAX of them */
};

/* Segments are given oldest first; `small` is what a segment has at least when it is made, about.
 * false: nothing is worth its work now.  The result has at most row_max rows. */
bool compaction_choose(const struct segment_size *segments, size_t count, uint32_t small,
                       uint32_t row_max, struct merge_choice *out);

/* All of them, whatever their sizes, as few results as that makes: the oldest run of two and more.
 * For what is to be read as a whole afterwards. */
bool compaction_choose_all(const struct segment_size *segments, size_t count, uint32_t row_max,
                           struct merge_choice *out);

/* What is worth it in quiet: a run whose smaller ones together are a good share of its largest. */
bool compaction_choose_quiet(const struct segment_size *segments, size_t count, uint32_t row_max,
                             struct merge_choice *out);

#endif
