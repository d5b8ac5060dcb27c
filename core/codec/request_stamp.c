/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/request_stamp.h"

#include "base/bytes.h"

void request_stamp_write(const struct request_stamp *s, struct buf *out)
{
    buf_append(out, s->id, sizeof s->id);
    buf_append_u64(out, s->hash);
    buf_append_u64(out, s->first_number);
    buf_append_u64(out, (uint64_t)s->at_us);
}

void request_stamp_read(struct request_stamp *s, struct reader *r)
{
    struct slice id = reader_take(r, sizeof s->id);

    if (id.size == sizeof s->id) memcpy(s->id, id.data, id.size);
    read_u64(r, &s->hash);
    read_u64(r, &s->first_number);
    read_i64(r, &s->at_us);
}
