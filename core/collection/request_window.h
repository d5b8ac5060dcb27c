/* SPDX-License-Identifier: Apache-2.0 */
/* request_window.h — the last requests of a collection by their ids, so that a retry is known.
 *
 * A ring in LSN order and a table over it.  It holds LIMIT_REQUESTS at most, none older by
 * REQUEST_WINDOW_US than the newest, and besides those that are being logged.  One owner; nothing
 * is allocated before the first id.
 */
#ifndef COLLECTION_REQUEST_WINDOW_H
#define COLLECTION_REQUEST_WINDOW_H

#include "store/applied_request.h"

struct request_window {
    struct alloc *alloc;
    uint64_t seed; /* of the table: who chooses ids does not know where they go */
    struct applied_request *ring;
    size_t capacity;
    size_t first; /* the oldest, in the ring */
    size_t count;
    uint32_t *slots; /* a place in the ring + 1; 0: empty */
    size_t slot_count;
};

void request_window_init(struct request_window *w, struct alloc *a, uint64_t seed);
void request_window_deinit(struct request_window *w); /* and it is empty */
/* Room for one more.  NO_MEMORY. */
int request_window_reserve(struct request_window *w, struct error *err);
/* The newest; there is room.  An older one of the same id is not found any more. */
void request_window_add(struct request_window *w, const struct applied_request *q);
/* NULL: none of this id, or it is too old.  Borrowed until the window changes. */
const struct applied_request *request_window_find(const struct request_window *w,
                                                  const uint8_t id[REQUEST_ID_BYTES],
                                                  int64_t now_us);
uint64_t request_window_newest_lsn(const struct request_window *w); /* 0: it is empty */
void request_window_trim(struct request_window *w);                 /* to its bounds */
void request_window_cut(struct request_window *w, uint64_t lsn); /* those above never came to be */
/* Those up to lsn that are not too old, for a manifest.  *out is empty.  NO_MEMORY. */
int request_window_copy(const struct request_window *w, uint64_t lsn, int64_t now_us,
                        struct applied_requests *out, struct error *err);

#endif
