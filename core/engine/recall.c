/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/recall.h"

#include "base/limits.h"

void recall_sampler_init(struct recall_sampler *s, struct alloc *a)
{
    *s = (struct recall_sampler){.alloc = a};
    mutex_init(&s->mutex);
}

void recall_sampler_deinit(struct recall_sampler *s)
{
    for (size_t i = 0; i < s->sample_count; i++) mem_free(s->alloc, s->samples[i]);
    mutex_deinit(&s->mutex);
}

bool recall_sampler_counts(struct recall_sampler *s)
{
    /* Relaxed: which of them are kept does not matter. */
    return atomic_add_relaxed(&s->search_count, 1u) % RECALL_EVERY == 0;
}

static struct recall_sample *copy_query(struct alloc *a, const struct search_request *r,
                                        size_t query)
{
    size_t vector_bytes = r->dim * sizeof(float);
    struct recall_sample *sample = (struct recall_sample *)mem_alloc(
        a, MEM_SEARCH, sizeof *sample + vector_bytes + r->where.size);

    if (!sample) return NULL;
    sample->k = r->k;
    sample->options = r->options;
    sample->dim = r->dim;
    sample->where_bytes = r->where.size;
    memcpy(sample->vector, r->vectors + query * r->dim, vector_bytes);
    if (r->where.size > 0) memcpy(sample->vector + r->dim, r->where.data, r->where.size);
    return sample;
}

bool recall_sampler_keep(struct recall_sampler *s, const struct search_request *r)
{
    uint64_t count = atomic_load_relaxed(&s->search_count);
    bool is_first = false;

    if (r->k > RECALL_SAMPLE_K || r->where.size > RECALL_SAMPLE_BYTES) return false;
    mutex_lock(&s->mutex);
    if (s->sample_count < RECALL_SAMPLES_MAX) {
        size_t query = (size_t)(count / RECALL_EVERY % r->query_count);
        struct recall_sample *sample = copy_query(s->alloc, r, query);
        if (sample) {
            s->samples[s->sample_count++] = sample;
            is_first = s->sample_count == 1;
        }
    }
    mutex_unlock(&s->mutex);
    return is_first;
}

struct recall_sample *recall_sampler_take(struct recall_sampler *s)
{
    struct recall_sample *sample = NULL;

    mutex_lock(&s->mutex);
    if (s->sample_count > 0) {
        sample = s->samples[0];
        memmove(s->samples, s->samples + 1, --s->sample_count * sizeof *s->samples);
    }
    mutex_unlock(&s->mutex);
    return sample;
}

bool recall_sampler_has(struct recall_sampler *s)
{
    mutex_lock(&s->mutex);
    bool has = s->sample_count > 0;
    mutex_unlock(&s->mutex);
    return has;
}

static bool is_same_plan(const struct index_plan *a, const struct index_plan *b)
{
    if (a->kind != b->kind || a->quantizer.kind != b->quantizer.kind ||
        a->quantizer.number != b->quantizer.number)
        return false;
    return memcmp(a->params.values, b->params.values, sizeof a->params.values) == 0;
}

void recall_sampler_note(struct recall_sampler *s, const struct index_plan *plan, uint8_t metric,
                         size_t found, size_t wanted, int64_t wall_us)
{
    struct recall_estimate *e = &s->estimate;

    mutex_lock(&s->mutex);
    if (e->metric != metric || !is_same_plan(&e->plan, plan))
        *e = (struct recall_estimate){.plan = *plan, .metric = metric};
    if (e->window_count >= RECALL_WINDOW) {
        e->found /= 2;
        e->wanted /= 2;
        e->window_count /= 2;
    }
    e->found += (double)found;
    e->wanted += (double)wanted;
    e->window_count++;
    if (e->query_count < UINT32_MAX) e->query_count++;
    e->measured_at_us = wall_us;
    mutex_unlock(&s->mutex);
}

void recall_sampler_read(struct recall_sampler *s, struct recall_estimate *out)
{
    mutex_lock(&s->mutex);
    *out = s->estimate;
    mutex_unlock(&s->mutex);
}
