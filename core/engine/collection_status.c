/* SPDX-License-Identifier: Apache-2.0 */
/* collection_status.c — what an actor knows of its collection, in one reading. */
#include "engine/engine.h"
#include "index/index.h"

void collection_status_destroy(void *status)
{
    struct collection_status *s = status;
    mem_free(s->alloc, s->description);
    mem_free(s->alloc, s);
}

/* Flat is searched by without being built, and keeps no parameters. */
static void fill_index(const struct collection *c, struct collection_status *s)
{
    const struct manifest_field *f = &c->manifest.fields[0];
    const struct index_vtab *kind = index_find(f->index_kind);
    struct collection_index_count count;
    uint64_t waiting;

    if (!kind) return;
    s->plan.kind = (enum index_kind)f->index_kind;
    s->plan.is_auto = f->index.is_auto;
    index_params_init(kind, &s->plan.params);
    s->indexed_segment_count = c->manifest.segment_count;
    s->index_progress = 1;
    if (!collection_plan_of(f, &s->plan)) return;
    collection_count_indexes(c, UINT64_MAX, &count);
    double rows = (double)count.indexed_rows;
    if (c->index_build)
        rows += (double)index_builder_progress(c->index_build) *
                index_builder_row_count(c->index_build);
    s->indexed_segment_count -= count.wanted - count.built;
    if (count.built < count.wanted) s->index_progress = (float)(rows / (double)count.wanted_rows);
    s->index_bytes = count.memory_bytes;
    collection_count_unindexed(c, &s->unindexed_count, &waiting);
}

/* Of the index that there is now. */
static void fill_recall(struct host *h, struct collection_status *s)
{
    struct recall_estimate e;

    recall_sampler_read(&h->recall, &e);
    if (e.query_count == 0 || !collection_has_plan(h->collection, &e.plan, e.metric)) return;
    s->recall = e.wanted > 0 ? (float)(e.found / e.wanted) : 1;
    s->recall_query_count = e.query_count;
    s->recall_measured_at_us = e.measured_at_us;
}

int engine_fill_status(struct host *h, struct collection_status *s, struct error *err)
{
    const struct collection *c = h->collection;
    const struct manifest *m = &c->manifest;

    s->dim = c->dim ? c->dim : m->fields[0].dim;
    s->metric = m->fields[0].metric;
    s->storage = m->fields[0].storage;
    fill_index(c, s);
    s->is_building = h->index || h->merge_index;
    s->index_build_count = h->index_build_count;
    s->index_failure_count = h->index_failure_count;
    fill_recall(h, s);
    s->index_failure = h->index_failure.code ? h->index_failure : h->load_failure;
    s->is_sealing = h->seal != NULL;
    s->is_merging = h->merge != NULL;
    s->is_loading = h->load != NULL;
    s->sync_level = m->sync_level;
    s->sync_interval_ms = m->sync_interval_ms;
    s->segment_count = m->segment_count;
    for (size_t i = 0; i < c->part_count; i++) {
        s->dead_count += tombstones_count(c->parts[i].dead);
        s->live_count += c->parts[i].row_count - tombstones_count(c->parts[i].dead);
        if (c->parts[i].state != PART_SEALED) s->tail_count += c->parts[i].row_count;
    }
    s->max_int_id = c->max_int_id;
    s->has_int_id = c->has_int_id;
    s->is_read_only = c->is_poisoned || !c->wal;
    s->applied_lsn = c->applied_lsn;
    s->flushed_lsn = m->flushed_lsn;
    if (!c->log) s->durable_lsn = c->applied_lsn; /* a reader shows nothing else (P3) */
    else s->durable_lsn = c->log->ops->durable_lsn(c->log);
    if (s->durable_lsn < m->flushed_lsn) s->durable_lsn = m->flushed_lsn;
    s->log_bytes = c->log ? c->log->ops->replay_bytes(c->log) : 0;
    s->uuid = h->entry.uuid;
    if (!m->description) return 0;
    s->description = mem_copy_text(s->alloc, MEM_GENERAL, m->description, strlen(m->description));
    return s->description ? 0 : error_no_memory(err, strlen(m->description));
}
