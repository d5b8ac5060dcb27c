/* SPDX-License-Identifier: Apache-2.0 */
/* compaction_policy.c — sizes in, a run of neighbours out.
 *
 * WHAT        The tier of a segment is how often its live rows can be divided by MERGE_WIDTH before
 *             they are `small`.  For each tier, lowest first, runs of neighbours that are of this
 *             tier or below it are looked at, newest first; what is chosen becomes a segment of
 *             the next tier, or of twice its largest: none is rewritten for the sake of a few small
 *             ones, again and again.
 *             Only when there is none of any tier is a segment rewritten for the sake of what it
 *             wastes: a merge reclaims too.
 *             In quiet the run of most rows is taken whose others are a QUIET_SHARE of its largest.
 *             What is left then falls: of two neighbours one has less than a fourth of the other,
 *             and the largest of all has more than four fifths of all rows.
 * INVARIANTS  (1) A choice makes progress: there are fewer segments afterwards, or fewer rows by
 *                 WASTE_SHARE of a segment.  Repeated choices end.
 *             (2) A row that a choice in quiet rewrites is in a segment of 5/4 times the rows
 *                 afterwards: while a segment of n rows grows to N none of them is rewritten more
 *                 often than log(N / n) / log(5/4) times, 10.3 times for each tenfold; where rows
 *                 come evenly it is half of that.  The largest segment is written again when a
 *                 fourth of it has come: five rows for each.
 */
#include "segment/compaction_policy.h"

enum {
    WASTE_SHARE = 4, /* one row in so many */
    LONG_RUN = 3 * MERGE_WIDTH,
    QUIET_SHARE = 4, /* one part in so many: half as much work would leave a half more segments */
};

static uint32_t kept_rows(const struct segment_size *s)
{
    return s->row_count > s->waste_count ? s->row_count - s->waste_count : 0;
}

static unsigned tier_of(const struct segment_size *s, uint32_t small)
{
    unsigned tier = 0;

    for (uint32_t rows = kept_rows(s) / MERGE_WIDTH; rows >= small; rows /= MERGE_WIDTH) tier++;
    return tier;
}

/* The run that ends before `end`, of segments up to `tier` and not too many rows together. */
static size_t run_before(const struct segment_size *segments, size_t end, unsigned tier,
                         uint32_t small, uint32_t row_max)
{
    uint64_t rows = 0;
    size_t first = end;

    while (first > 0 && end - first < MERGE_PARTS_MAX) {
        const struct segment_size *s = &segments[first - 1];
        if (tier_of(s, small) > tier || rows + s->row_count > row_max) break;
        rows += s->row_count;
        first--;
    }
    return first;
}

/* Is a run worth its work?  With MERGE_WIDTH of its highest tier it becomes one of the next.  A
 * long one of few such and many small ones is when its result is twice its largest; those below
 * `small` count as that. */
static bool is_worth_it(const struct segment_size *run, size_t count, unsigned tier, uint32_t small)
{
    uint64_t sum = 0, largest = 0;
    size_t peers = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t rows = kept_rows(&run[i]);
        uint64_t weight = rows > small ? rows : small;
        sum += weight;
        if (weight > largest) largest = weight;
        peers += tier_of(&run[i], small) == tier;
    }
    return peers >= MERGE_WIDTH || (count >= LONG_RUN && sum >= 2 * largest);
}

static bool choose_run(const struct segment_size *segments, size_t count, unsigned tier,
                       uint32_t small, uint32_t row_max, struct merge_choice *out)
{
    size_t end = count;

    while (end > 0) {
        size_t first = run_before(segments, end, tier, small, row_max);
        if (is_worth_it(&segments[first], end - first, tier, small)) {
            *out = (struct merge_choice){first, end - first};
            return true;
        }
        end = first < end ? first : end - 1;
    }
    return false;
}

bool compaction_choose(const struct segment_size *segments, size_t count, uint32_t small,
                       uint32_t row_max, struct merge_choice *out)
{
    unsigned highest = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned tier = tier_of(&segments[i], small);
        if (tier > highest) highest = tier;
    }
    for (unsigned tier = 0; tier <= highest; tier++)
        if (choose_run(segments, count, tier, small, row_max, out)) return true;
    for (size_t i = 0; i < count; i++) {
        const struct segment_size *s = &segments[i];
        if (s->waste_count == 0 || s->waste_count < s->row_count / WASTE_SHARE) continue;
        *out = (struct merge_choice){i, 1};
        return true;
    }
    return false;
}

bool compaction_choose_all(const struct segment_size *segments, size_t count, uint32_t row_max,
                           struct merge_choice *out)
{
    for (size_t first = 0, end = 0; first < count; first++) {
        uint64_t rows = 0;
        for (end = first; end < count && end - first < MERGE_PARTS_MAX; end++) {
            rows += segments[end].row_count;
            if (rows > row_max) break;
        }
        if (end - first < 2) continue;
        *out = (struct merge_choice){first, end - first};
        return true;
    }
    return false;
}

bool compaction_choose_quiet(const struct segment_size *segments, size_t count, uint32_t row_max,
                             struct merge_choice *out)
{
    uint64_t most = 0;

    for (size_t first = 0; first < count; first++) {
        uint64_t rows = 0, sum = 0, largest = 0;
        for (size_t end = first; end < count && end - first < MERGE_PARTS_MAX; end++) {
            uint64_t kept = kept_rows(&segments[end]);
            rows += segments[end].row_count;
            if (rows > row_max) break;
            sum += kept;
            if (kept > largest) largest = kept;
            if (end == first || sum <= most || (sum - largest) * QUIET_SHARE < largest) continue;
            *out = (struct merge_choice){first, end + 1 - first};
            most = sum;
        }
    }
    return most > 0;
}
