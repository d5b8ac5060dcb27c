/* SPDX-License-Identifier: Apache-2.0 */
/* collection_check.c — every invariant over every file and the state; never writes. */
#include "collection/collection.h"
#include "segment/view_verify.h"

static int check_order(const struct collection *c, struct error *err)
{
    uint64_t last = 0;

    for (size_t i = 0; i < c->part_count; i++) {
        const struct collection_part *p = &c->parts[i];
        if (p->state != PART_SEALED) continue;
        if (p->info.first_lsn <= last && i > 0)
            return error_set(err, LYNSE_CORRUPT,
                             "segment %zu begins at LSN %llu, the one before ends at %llu", i,
                             (unsigned long long)p->info.first_lsn, (unsigned long long)last);
        if (p->info.last_lsn > c->manifest.flushed_lsn)
            return error_set(err, LYNSE_CORRUPT, "segment %zu ends at LSN %llu, flushed is %llu", i,
                             (unsigned long long)p->info.last_lsn,
                             (unsigned long long)c->manifest.flushed_lsn);
        last = p->info.last_lsn;
    }
    if (c->manifest.flushed_lsn > c->applied_lsn)
        return error_set(err, LYNSE_CORRUPT, "flushed LSN %llu is above the applied %llu",
                         (unsigned long long)c->manifest.flushed_lsn,
                         (unsigned long long)c->applied_lsn);
    return 0;
}

static int keep_first(void *ctx, const struct error *finding)
{
    struct error *first = (struct error *)ctx;

    if (first->code == LYNSE_OK) *first = *finding;
    return 0;
}

int collection_check(struct collection *c, struct error *err)
{
    struct view *v = view_slot_acquire(c->desc.slot);
    int rc = -1;

    if (!v) return error_set(err, LYNSE_SHUTTING_DOWN, "the collection is closed");
    if (check_order(c, err) != 0) goto out;
    if (v->lsn != c->applied_lsn) {
        error_set(err, LYNSE_CORRUPT, "the view shows LSN %llu, applied is %llu",
                  (unsigned long long)v->lsn, (unsigned long long)c->applied_lsn);
        goto out;
    }
    struct error first = {0};
    struct view_verify_desc verify = {
        .view = v,
        .alloc = c->desc.alloc,
        .level = VERIFY_DEEP,
        .report = keep_first,
        .ctx = &first,
    };
    rc = view_verify(&verify, err);
    if (rc == 0 && first.code != LYNSE_OK) {
        if (err) *err = first;
        rc = -1;
    }
out:
    view_release(v);
    return rc;
}
