/* SPDX-License-Identifier: Apache-2.0 */
/* segment_shadow.h — the shadow of a segment's vectors: a quarter of their memory, made by the
 * searches that read them and kept as long as the segment.
 *
 * Writers pay nothing for it, and a collection that is never searched has none.  All shadows of a
 * database share a room; what it cannot take is not made, and searches read the vectors then.
 * THREADS  Any.
 */
#ifndef SEGMENT_SEGMENT_SHADOW_H
#define SEGMENT_SEGMENT_SHADOW_H

#include "quant/shadow.h"
#include "segment/segment.h"

/* One for a database; any thread. */
struct shadow_room;
int shadow_room_create(struct alloc *a, size_t bytes_max, struct shadow_room **out,
                       struct error *err);
void shadow_room_destroy(struct shadow_room *r);       /* its segments are gone; NULL allowed */
size_t shadow_room_bytes(const struct shadow_room *r); /* that shadows take now */

/* The shadow of a segment of which row_count rows can be seen; made when it has none.  NULL: there
 * is no room (NULL is no room), no memory, or the rows are too few or too short to gain by it.
 * Borrowed as long as the segment is held. */
struct shadow_source *segment_shadow(struct segment *s, struct shadow_room *room,
                                     uint32_t row_count);

/* Rows that its shadow has by now. */
uint32_t segment_shadow_ready(const struct segment *s);

/* By segment_release; NULL allowed. */
void segment_shadow_destroy(struct segment_shadow *shadow);

#endif
