/* SPDX-License-Identifier: Apache-2.0 */
/* applied_request.h — requests that were applied, as a manifest keeps them (FORMAT.md 5, REQUESTS):
 * those of groups that it has flushed.  Those above are in the log. */
#ifndef STORE_APPLIED_REQUEST_H
#define STORE_APPLIED_REQUEST_H

#include "base/alloc.h"
#include "base/error.h"
#include "codec/request_stamp.h"

/* One: what a retry of it is answered. */
struct applied_request {
    struct request_stamp stamp;
    uint64_t lsn;
    uint32_t row_count;
};
struct applied_requests {
    struct applied_request *list; /* LSNs ascend; owned */
    size_t count;
};

void applied_requests_free(struct alloc *a, struct applied_requests *r); /* and there are none */
/* What no manifest that has flushed so far can say; NULL: nothing is wrong. */
const char *applied_requests_check(const struct applied_requests *r, uint64_t flushed_lsn);
/* The data of the manifest's field.  Decode: -1 with err set for NO_MEMORY, else malformed. */
void applied_requests_encode(const struct applied_requests *r, struct buf *out);
int applied_requests_decode(struct alloc *a, struct reader *r, struct applied_requests *out,
                            struct error *err);

#endif
