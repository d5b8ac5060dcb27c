/* SPDX-License-Identifier: Apache-2.0 */
#include "index/quantizer_image.h"

bool quantizer_suits_index(const struct metric_info *metric, enum quantizer_kind kind, bool blocks)
{
    const struct quantizer_vtab *v = quantizer_find(kind);
    return v && v->train && (!v->takes || v->takes(metric)) && (!blocks || v->pack_block);
}

int quantizer_train_for(const struct index_build_desc *d, struct quantizer **out, struct error *err)
{
    const struct quantizer_train_desc train = {
        .alloc = d->alloc,
        .kernels = d->kernels,
        .vectors = d->vectors,
        .row_count = d->row_count,
        .metric = d->metric,
        .number = d->quantizer.number,
        .seed = d->seed,
    };
    return quantizer_find(d->quantizer.kind)->train(&train, out, err);
}

int quantizer_write_section(struct index_writer *w, struct alloc *a, enum quantizer_kind kind,
                            const struct quantizer *q, struct error *err)
{
    struct buf bytes;

    buf_init(&bytes, a, MEM_GENERAL);
    int rc = q->vtab->save(q, &bytes, err);
    if (rc == 0)
        rc = index_write_section(w, INDEX_SECTION_QUANTIZER, 1, kind, bytes.data, bytes.size, err);
    buf_deinit(&bytes);
    return rc;
}

int quantizer_open_section(const struct index_open_desc *desc, bool blocks, struct quantizer **out,
                           struct error *err)
{
    const struct index_section *s = index_image_find(desc->image, INDEX_SECTION_QUANTIZER);

    if (!s || !s->data)
        return error_set(err, LYNSE_CORRUPT, "the index has no section %d",
                         INDEX_SECTION_QUANTIZER);
    if (s->number >= QUANTIZER_COUNT ||
        !quantizer_suits_index(metric_find(desc->metric), (enum quantizer_kind)s->number, blocks))
        return error_set(err, LYNSE_CORRUPT, "section %d of the index is of quantizer %llu",
                         INDEX_SECTION_QUANTIZER, (unsigned long long)s->number);
    return quantizer_find((unsigned)s->number)
        ->open(desc->alloc, desc->kernels, slice_of(s->data, (size_t)s->bytes), desc->dim,
               desc->metric, out, err);
}
