/* SPDX-License-Identifier: Apache-2.0 */
#include "query/merge_topk.h"

static int read_id(struct merge_tie *tie, const struct candidate *c, struct record_id *out)
{
    return segment_id(tie->view->parts[c->part].segment, c->row, out, &tie->error);
}

int merge_tie(void *ctx, const struct candidate *a, const struct candidate *b)
{
    struct merge_tie *tie = (struct merge_tie *)ctx;
    struct record_id id_a, id_b;
    if (tie->error.code == LYNSE_OK && read_id(tie, a, &id_a) == 0 && read_id(tie, b, &id_b) == 0)
        return id_compare(&id_a, &id_b);
    if (a->part != b->part) return a->part < b->part ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

void merge_topk(struct topk *const *lists, size_t count)
{
    for (size_t i = 1; i < count; i++) topk_merge(lists[0], lists[i]);
    topk_sort(lists[0]);
}
