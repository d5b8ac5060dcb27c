/* SPDX-License-Identifier: Apache-2.0 */
/* index_pace.h — while an index is asked for, writes go no faster than it is built: searches have
 * to look at what has none yet, one row after the other.
 *
 * From half of UNINDEXED_ROWS_MAX on a row takes its time, so that a writer becomes slower bit by
 * bit and is never stopped for long: at three quarters what a row takes to be indexed, and more
 * beyond.  What would go over the limit waits for a build to end.
 * OWNERSHIP  The host has one.
 * THREADS    The collection's turn.
 * FAILURE    None: where an index cannot be built nothing is slowed for its sake.
 */
#ifndef ENGINE_INDEX_PACE_H
#define ENGINE_INDEX_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host;

struct index_pace {
    uint64_t rows;          /* that have no index, as of the turn; what it has admitted included */
    uint64_t waiting_rows;  /* of them: that are not in the tail */
    uint64_t old_rows;      /* of them: that no write has brought since the index was asked for */
    double row_us;          /* that a build takes a row; 0: none has ended */
    uint64_t began_us;      /* of the build that is under way */
    uint64_t not_before_us; /* the next row's time; what is between now and then is owed */
    bool is_held;           /* rows wait until nothing is owed any more */
    struct actor_timer *timer;
};

/* A turn begins, or something has ended in it. */
void index_pace_look(struct host *h);
/* Must rows wait?  Then the timer of the host fires when they are to be tried again. */
bool index_pace_holds(struct host *h, size_t row_count);
void index_pace_admit(struct host *h, size_t row_count);
/* A build of an index has begun; its index is shown. */
void index_pace_begin_build(struct host *h);
void index_pace_end_build(struct host *h, uint32_t row_count);

#endif
