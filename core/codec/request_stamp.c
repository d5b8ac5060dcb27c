/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/request_stamp.h"

#include "base/bytes.h"

void request_stamp_write(const struct request_stamp *s, struct buf *out)
{
    uint8_t *to = buf_extend(out, REQUEST_STAMP_BYTES);

    if (!to) return;
    memcpy(to, s->id, sizeof s->id);
    store_u64(to + REQUEST_ID_BYTES, s->hash);
    store_u64(to + REQUEST_ID_BYTES + 8, s->first_number);
    store_u64(to + REQUEST_ID_BYTES + 16, (uint64_t)s->at_us);
}

void request_stamp_read(struct request_stamp *s, struct reader *r)
{
    struct slice id = reader_take(r, sizeof s->id);

    if (id.size == sizeof s->id) memcpy(s->id, id.data, id.size);
    read_u64(r, &s->hash);
    read_u64(r, &s->first_number);
    read_i64(r, &s->at_us);
}
