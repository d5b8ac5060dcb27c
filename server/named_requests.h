/* SPDX-License-Identifier: Apache-2.0 */
/* named_requests.h — the requests under way that came with a request_id, so that `cancel` finds
 * them from any connection and any loop.
 *
 * OWNER    A name is part of its request, and is taken out before that goes.  Several may have the
 *          same id: a write and its retry, say.
 * THREADS  Any; a lock inside, which only requests with an id take.
 */
#ifndef SERVER_NAMED_REQUESTS_H
#define SERVER_NAMED_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"

enum {
    REQUEST_ID_BYTES = 16,
    NAMED_REQUESTS_LISTS = 256,
};

struct request;

struct request_name {                   /* zeroed: it is not listed */
    struct request_name *next, **place; /* place: what points to it */
    struct request *request;            /* that it is part of */
    uint8_t id[REQUEST_ID_BYTES];
    bool is_listed; /* its loop's alone */
};

struct named_requests {
    struct mutex lock;
    struct request_name *lists[NAMED_REQUESTS_LISTS];
};

void named_requests_open(struct named_requests *n);
void named_requests_close(struct named_requests *n);
/* `name` is not listed. */
void named_requests_add(struct named_requests *n, struct request_name *name,
                        const uint8_t id[REQUEST_ID_BYTES], struct request *request);
void named_requests_remove(struct named_requests *n, struct request_name *name); /* if it is */
/* request_cancel for all with that id.  Whether there were any. */
bool named_requests_cancel(struct named_requests *n, const uint8_t id[REQUEST_ID_BYTES]);

#endif
