/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/lloyd.h"

#include <math.h>
#include <string.h>

void lloyd_sample(struct rng *rng, uint64_t count, uint32_t wanted, uint32_t *out)
{
    for (uint64_t i = 0; i < wanted; i++) {
        uint64_t from = i * count / wanted, end = (i + 1) * count / wanted;
        out[i] = (uint32_t)(from + rng_below(rng, end - from));
    }
}

/* To length 1, where it has a length. */
static void finish(struct lloyd_set *set, uint32_t c, uint32_t dim,
                   const struct simd_kernels *kernels)
{
    float *v = set->vectors + (size_t)c * dim;

    float norm = set->is_spherical ? dense_norm_f32(kernels, v, dim) : 0;
    if (norm > 0 && norm < INFINITY)
        for (uint32_t i = 0; i < dim; i++) v[i] /= norm;
}

void lloyd_seed(const struct lloyd_points *p, const struct simd_kernels *kernels, struct rng *rng,
                uint32_t *room, struct lloyd_set *set)
{
    lloyd_sample(rng, p->count, set->count, room);
    for (uint32_t c = 0; c < set->count; c++) {
        memcpy(set->vectors + (size_t)c * p->dim, p->vectors[room[c]], p->dim * sizeof(float));
        finish(set, c, p->dim, kernels);
    }
}

void lloyd_sort(const uint32_t *labels, uint32_t count, uint32_t cluster_count,
                struct lloyd_order *out)
{
    uint32_t *at = out->starts + 1; /* where the next point of a cluster goes, in the end its end */

    memset(out->starts, 0, ((size_t)cluster_count + 1) * sizeof *out->starts);
    for (uint32_t i = 0; i < count; i++) at[labels[i]]++;
    uint32_t begin = 0;
    for (uint32_t c = 0; c < cluster_count; c++) {
        uint32_t size = at[c];
        at[c] = begin;
        begin += size;
    }
    for (uint32_t i = 0; i < count; i++) out->order[at[labels[i]]++] = i;
}

void lloyd_move(const struct lloyd_points *p, const struct lloyd_order *order, uint32_t first,
                uint32_t end, const struct simd_kernels *kernels, struct lloyd_set *set)
{
    for (uint32_t c = first; c < end; c++) {
        float *restrict to = set->vectors + (size_t)c * p->dim;
        uint32_t size = order->starts[c + 1] - order->starts[c];
        if (size == 0) continue;
        memset(to, 0, p->dim * sizeof *to);
        for (uint32_t i = order->starts[c]; i < order->starts[c + 1]; i++) {
            const float *restrict from = p->vectors[order->order[i]];
            float weight = p->weights ? p->weights[order->order[i]] : 1;
            for (uint32_t j = 0; j < p->dim; j++) to[j] += weight * from[j];
        }
        for (uint32_t j = 0; j < p->dim; j++) to[j] /= (float)size;
        finish(set, c, p->dim, kernels);
    }
}

void lloyd_repair(uint32_t first, uint32_t end, uint32_t *sizes, uint32_t dim,
                  const struct simd_kernels *kernels, struct lloyd_set *set)
{
    const float shift = 0x1p-10f; /* the two lie so far apart that points choose between them */

    for (uint32_t c = first; c < end; c++) {
        uint32_t most = first;
        if (sizes[c - first] > 0) continue;
        for (uint32_t i = first; i < end; i++)
            if (sizes[i - first] > sizes[most - first]) most = i;
        if (sizes[most - first] < 2) return;
        float *a = set->vectors + (size_t)most * dim, *b = set->vectors + (size_t)c * dim;
        for (uint32_t i = 0; i < dim; i++) {
            b[i] = a[i] * (i % 2 == 0 ? 1 + shift : 1 - shift);
            a[i] = a[i] * (i % 2 == 0 ? 1 - shift : 1 + shift);
        }
        finish(set, most, dim, kernels);
        finish(set, c, dim, kernels);
        sizes[c - first] = sizes[most - first] / 2;
        sizes[most - first] -= sizes[c - first];
    }
}

int lloyd_run(const struct lloyd_points *p, struct alloc *a, const struct simd_kernels *kernels,
              struct rng *rng, uint32_t rounds, struct lloyd_set *set, struct error *err)
{
    size_t panels = centroid_panel_count(set->count), floats;
    size_t numbers = 2 * (size_t)p->count + 2 * (size_t)set->count + 1;

    floats = centroid_panel_floats(panels, p->dim);
    float *memory = mem_alloc_aligned(a, MEM_GENERAL, floats * sizeof *memory + numbers * 4, 64);
    if (!memory)
        return error_set(err, LYNSE_NO_MEMORY, "no memory for %u clusters of %u vectors",
                         set->count, p->count);
    float *offsets = memory + panels * NEAREST_LANES * p->dim;
    uint32_t *labels = (uint32_t *)(void *)(memory + floats);
    uint32_t *sizes = labels + 2 * (size_t)p->count + set->count + 1;
    struct lloyd_order order = {labels + 2 * (size_t)p->count, labels + p->count};
    const struct centroids fixed = {.vectors = set->vectors,
                                    .count = set->count,
                                    .dim = p->dim,
                                    .panels = memory,
                                    .offsets = offsets};
    int rc = 0;

    lloyd_seed(p, kernels, rng, sizes, set);
    for (uint32_t round = 0; round < rounds && rc == 0; round++) {
        centroid_pack(kernels, set->vectors, set->count, p->dim, memory, offsets);
        rc = centroids_assign(&fixed, a, kernels, p->vectors, p->count, labels, err);
        if (rc != 0) break;
        lloyd_sort(labels, p->count, set->count, &order);
        lloyd_move(p, &order, 0, set->count, kernels, set);
        for (uint32_t c = 0; c < set->count; c++) sizes[c] = order.starts[c + 1] - order.starts[c];
        lloyd_repair(0, set->count, sizes, p->dim, kernels, set);
    }
    mem_free(a, memory);
    return rc;
}
