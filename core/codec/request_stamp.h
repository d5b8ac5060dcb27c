/* SPDX-License-Identifier: Apache-2.0 */
/* request_stamp.h — what a group says of the request that it answers, so that a retry is applied
 * once (FORMAT.md 6, REQUEST_ID; DURABILITY.md, Retries).  No state; any thread. */
#ifndef CODEC_REQUEST_STAMP_H
#define CODEC_REQUEST_STAMP_H

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

enum { REQUEST_ID_BYTES = 16, REQUEST_STAMP_BYTES = REQUEST_ID_BYTES + 3 * 8 };

struct request_stamp {
    uint8_t id[REQUEST_ID_BYTES]; /* all zero: the request has none */
    uint64_t hash;                /* of the command: an id is for one command alone */
    uint64_t first_number;        /* the first id that the collection gave */
    int64_t at_us;                /* when it was applied, since 1970 */
};

static inline bool request_stamp_is_none(const struct request_stamp *s)
{
    uint64_t halves[2];
    memcpy(halves, s->id, sizeof halves);
    return (halves[0] | halves[1]) == 0;
}

struct reader;
/* REQUEST_STAMP_BYTES of them; failures are the buf's and the reader's. */
void request_stamp_write(const struct request_stamp *s, struct buf *out);
void request_stamp_read(struct request_stamp *s, struct reader *r);

#endif
