/* SPDX-License-Identifier: Apache-2.0 */
#include "index/diskann.h"

#include <math.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "index/quantizer_image.h"
#include "quant/coded.h"
#include "quant/narrow_rows.h"

static const struct index_param params[DISKANN_PARAM_COUNT] = {
    [DISKANN_R] = {"r", "max_degree", DISKANN_R_MIN, DISKANN_R_MAX, 32, true},
    [DISKANN_L] = {"l", "search_list l_build", 1, DISKANN_L_MAX, 96, true},
    [DISKANN_ALPHA] = {"alpha", "", 1, 2, 1.2, false},
    [DISKANN_MEMORY] = {"memory", "memory_bytes", 0, 1 << 20, 0, true},
};

/* Without a quantizer the codes are RaBitQ's (diskann_build.c). */
static bool takes(const struct metric_info *metric, enum quantizer_kind quantizer)
{
    if (quantizer == QUANTIZER_RAW) quantizer = QUANTIZER_RABITQ;
    return metric->is_for_graphs && quantizer_suits_index(metric, quantizer, false);
}

/* Fewer candidates than neighbours that are wanted of them. */
static bool contradicts(const struct index_params *p, char *why, size_t why_bytes)
{
    if (p->values[DISKANN_L] >= p->values[DISKANN_R] / 2) return false;
    snprintf(why, why_bytes, "l is %g, it must be at least half of r, %g", p->values[DISKANN_L],
             p->values[DISKANN_R]);
    return true;
}

void diskann_layout_init(struct diskann_layout *l, uint32_t row_count, uint32_t dim,
                         uint32_t degree, uint32_t storage)
{
    size_t vector = align_up(storage_row_bytes(storage, dim), sizeof(float));
    size_t node = vector + ((size_t)1 + degree) * sizeof(float);
    size_t least = align_up(sizeof(struct diskann_page) + node, DISKANN_PAGE_ALIGN);
    size_t page = least > DISK_PAGE_BYTES ? least : DISK_PAGE_BYTES;
    size_t nodes = (page - sizeof(struct diskann_page)) / node;

    if (nodes > DISKANN_PAGE_NODES_MAX) nodes = DISKANN_PAGE_NODES_MAX;
    *l = (struct diskann_layout){
        .dim = dim,
        .degree = degree,
        .storage = storage,
        .row_count = row_count,
        .vector_bytes = (uint32_t)vector,
        .node_bytes = (uint32_t)node,
        .page_bytes = (uint32_t)page,
        .page_nodes = (uint32_t)nodes,
        .page_count = (row_count - 1) / (uint32_t)nodes + 1,
    };
}

/* As many as `memory` says, which hot pages fill up; the codes at least. */
static double row_bytes(const struct index_params *p, enum metric metric,
                        struct quantizer_spec quantizer, uint32_t dim)
{
    uint32_t m = ((uint32_t)p->values[DISKANN_R] + 1) / 2;
    double memory = p->values[DISKANN_MEMORY];
    double others = hnsw_upper_bytes(m) + 2 * sizeof(uint32_t);
    struct diskann_layout l;

    (void)metric;
    diskann_layout_init(&l, 1, dim, 2 * m, STORAGE_F32);
    double hot = (double)l.page_bytes / l.page_nodes / DISKANN_HOT_SHARE;
    if (quantizer.kind == QUANTIZER_RAW)
        quantizer = (struct quantizer_spec){QUANTIZER_RABITQ, memory > 0 ? 1 : DISKANN_BITS_MOST};
    double codes =
        (double)quantizer_find(quantizer.kind)->code_bytes(quantizer.number, dim) + others;
    return memory > 0 ? fmax(memory, codes) : codes + hot;
}

size_t diskann_oracle_bytes(const struct index *index, uint32_t dim)
{
    const struct diskann *d = (const struct diskann *)index;
    return align_up(sizeof(struct diskann_oracle), ALIGN_VECTOR) +
           align_up(d->quantizer->vtab->oracle_bytes(dim), ALIGN_VECTOR);
}

struct oracle *diskann_oracle_init(const struct index *index, void *memory,
                                   const struct oracle_desc *desc)
{
    static const struct oracle_ops none = {0};
    const struct diskann *d = (const struct diskann *)index;
    struct diskann_oracle *o = (struct diskann_oracle *)memory;
    struct oracle_desc codes = *desc;

    codes.quantizer = d->quantizer;
    codes.codes = d->codes;
    codes.shadow = NULL;
    *o = (struct diskann_oracle){
        .many = metric_kernels(d->metric, desc->kernels).many,
        .narrow_many = diskann_narrow_many(desc->kernels, d->metric, d->layout.storage),
        .value = metric_find(d->metric)->value,
        .query = desc->query.vector,
        .query_norm = desc->query.norm,
    };
    o->codes = d->quantizer->vtab->oracle_init(
        (uint8_t *)memory + align_up(sizeof *o, ALIGN_VECTOR), &codes);
    o->base = (struct oracle){&none, o->codes->row_bytes};
    return &o->base;
}

void diskann_measure(const struct diskann_oracle *o, const struct diskann_layout *l,
                     const uint8_t *page, uint32_t count, float *out)
{
    const void *vectors = diskann_vector(l, page, 0);

    if (o->narrow_many) o->narrow_many(o->query, vectors, l->node_bytes, count, l->dim, out);
    else o->many(o->query, (const float *)vectors, l->node_bytes, count, l->dim, out);
    for (uint32_t i = 0; i < count; i++) {
        float distance = out[i];
        if (o->value == METRIC_VALUE_PRODUCT) distance = -distance;
        if (o->value == METRIC_VALUE_ANGLE)
            distance = metric_cosine_distance(distance, o->query_norm, diskann_norm(l, page, i));
        out[i] = distance == distance ? distance : INFINITY;
    }
}

const struct index_vtab index_diskann = {
    .name = "diskann",
    .params = params,
    .param_count = DISKANN_PARAM_COUNT,
    .effort_param = DISKANN_L,
    .takes = takes,
    .build = &diskann_build_ops,
    .file_sections = 1ull << (DISKANN_SECTION_PAGES - INDEX_SECTION_FIRST),
    .dim_max = CODED_DIM_MAX, /* whatever codes they are, it keeps some */
    .open = diskann_open,
    .close = diskann_close,
    .oracle_bytes = diskann_oracle_bytes,
    .oracle_init = diskann_oracle_init,
    .search_bytes = diskann_search_bytes,
    .begin = diskann_begin,
    .advance = diskann_advance,
    .check = diskann_check,
    .contradicts = contradicts,
    .row_bytes = row_bytes,
};
