/* SPDX-License-Identifier: Apache-2.0 */
/* collection_check.c — every invariant over every file and the state; never writes. */
#include "base/check.h"
#include "collection/collection.h"
#include "segment/sealed_segment.h"

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

/* Rows of one part: LSNs never descend, vectors can be read, every live row is what its id finds.
 */
static int check_part(const struct view *v, size_t part, struct error *err)
{
    const struct view_part *p = &v->parts[part];
    struct vector_run run = {0};
    uint64_t lsn, last = 0;
    char text[ID_TEXT_BYTES];

    for (uint32_t row = 0, run_end = 0; row < p->row_count; row++) {
        struct record_id id;
        struct doc_ref doc = {0};
        size_t found_part;
        uint32_t found_row;
        bool dead;

        if (segment_id(p->segment, row, &id, err) != 0 ||
            segment_lsn(p->segment, row, &lsn, err) != 0)
            return -1;
        if (lsn < last || lsn == 0)
            return error_set(err, LYNSE_CORRUPT, "part %zu: LSN of row %u descends", part, row);
        last = lsn;
        if (segment_document(p->segment, row, &doc, err) != 0) return -1;
        doc_ref_release(&doc);
        if (row >= run_end) {
            if (p->segment->vectors.run(&p->segment->vectors, row, p->row_count - row, &run, err) !=
                0)
                return -1;
            run_end = row + run.row_count;
        }
        if (tombstones_get(p->dead, row)) continue;
        if (view_find(v, &id, &found_part, &found_row, &dead, err) < 0) return -1;
        if (found_part != part || found_row != row || dead)
            return error_set(err, LYNSE_CORRUPT, "id %s is live at %zu:%u and found at %zu:%u",
                             id_format(&id, text), part, row, found_part, found_row);
    }
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
    for (size_t i = 0; i < c->part_count; i++)
        if (c->parts[i].state == PART_SEALED &&
            sealed_segment_verify(c->parts[i].segment, err) != 0)
            goto out;
    for (size_t i = 0; i < v->part_count; i++)
        if (check_part(v, i, err) != 0) goto out;
    rc = 0;
out:
    view_release(v);
    return rc;
}
