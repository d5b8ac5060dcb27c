/* SPDX-License-Identifier: Apache-2.0 */
#include "store/applied_request.h"

#include "base/bytes.h"
#include "base/faults.h"
#include "base/limits.h"

enum { ENTRY_BYTES = REQUEST_STAMP_BYTES + 16 };

void applied_requests_free(struct alloc *a, struct applied_requests *r)
{
    mem_free(a, r->list);
    *r = (struct applied_requests){0};
}

const char *applied_requests_check(const struct applied_requests *r, uint64_t flushed_lsn)
{
    if (r->count > LIMIT_REQUESTS) return "are too many";
    for (size_t i = 0; i < r->count; i++) {
        const struct applied_request *q = &r->list[i];
        if (request_stamp_is_none(&q->stamp)) return "have one without an id";
        if (q->lsn == 0 || (i > 0 && q->lsn <= q[-1].lsn)) return "are not in LSN order";
        if (q->lsn > flushed_lsn && !FAULT(REQUESTS_ABOVE_F)) return "reach beyond what is flushed";
        if (q->row_count == 0 || q->row_count > LIMIT_BATCH_ROWS)
            return "have one of an impossible number of rows";
    }
    return NULL;
}

void applied_requests_encode(const struct applied_requests *r, struct buf *out)
{
    for (size_t i = 0; i < r->count; i++) {
        request_stamp_write(&r->list[i].stamp, out);
        buf_append_u64(out, r->list[i].lsn);
        buf_append_u32(out, r->list[i].row_count);
        buf_append_u32(out, 0);
    }
}

int applied_requests_decode(struct alloc *a, struct reader *r, struct applied_requests *out,
                            struct error *err)
{
    size_t count = reader_left(r) / ENTRY_BYTES;
    uint32_t reserved = 0;

    if (reader_left(r) != count * ENTRY_BYTES || count == 0 || count > LIMIT_REQUESTS) return -1;
    out->list = mem_zalloc(a, MEM_GENERAL, count * sizeof *out->list);
    if (!out->list) return error_no_memory(err, count * sizeof *out->list);
    for (out->count = 0; out->count < count && reserved == 0; out->count++) {
        struct applied_request *q = &out->list[out->count];
        request_stamp_read(&q->stamp, r);
        read_u64(r, &q->lsn);
        read_u32(r, &q->row_count);
        read_u32(r, &reserved);
    }
    return reserved == 0 ? 0 : -1;
}
