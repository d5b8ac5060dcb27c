/* SPDX-License-Identifier: Apache-2.0 */
/* collection_index.c — which index the segments are to have, and which they have.
 *
 * WHAT        The plan stands in the manifest.  A sealed part that lacks its index is lent to a
 *             build that runs anywhere (segment/index_builder.h); what comes back is named by a
 *             manifest and shown in a view.  One that cannot be read is named no more, and built
 *             again: an index holds nothing that its rows do not tell.
 * INVARIANTS  (1) Whatever index the manifest names was built by the plan and the metric that it
 *                 has: when either changes, the same manifest names none.
 *             (2) No two manifests name different files alike: a file of an index is called after
 *                 the epoch in which its build began, and what a manifest names is never replaced
 *                 (R5), whoever still reads by an older one (R7).
 *             (3) A row is found whether its part has an index or not, and whether that is loaded
 *                 or not (P7): an index only saves looking.
 *             (4) The build's segment may be gone when it comes back, or the plan another one: then
 *                 its file is removed.
 *             (5) A plan of a kind that this version does not know is kept, and nothing is built.
 * THREADS     The collection's actor; the build in between on any.
 * FAILURE     The state before; what was built is removed, and may be built again.
 */
#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "collection/collection.h"
#include "segment/measurable_rows.h"
#include "simd/metrics.h"

/* ---- the plan ---- */

bool collection_plan_of(const struct manifest_field *f, struct index_plan *out)
{
    const struct index_vtab *kind = index_find(f->index_kind);

    if (!kind || !quantizer_find(f->index.quantizer)) return false; /* (5) */
    if (!index_is_built(kind, (enum quantizer_kind)f->index.quantizer)) return false;
    if (f->index.value_count > kind->param_count) return false;
    *out = (struct index_plan){
        .kind = (enum index_kind)f->index_kind,
        .quantizer = {(enum quantizer_kind)f->index.quantizer, f->index.quantizer_number},
        .is_auto = f->index.is_auto,
    };
    index_params_init(kind, &out->params);
    for (size_t i = 0; i < f->index.value_count; i++) out->params.values[i] = f->index.values[i];
    return index_params_check(kind, &out->params, NULL) == 0;
}

static void keep_plan(const struct index_plan *plan, struct manifest_field *f)
{
    const struct index_vtab *kind = index_find(plan->kind);

    f->index_kind = (uint8_t)plan->kind;
    f->index = (struct manifest_index){.is_auto = plan->is_auto && plan->kind != INDEX_NONE};
    if (!kind || !index_is_built(kind, plan->quantizer.kind)) return;
    f->index.quantizer = (uint8_t)plan->quantizer.kind;
    f->index.quantizer_number = plan->quantizer.number;
    f->index.value_count = (uint8_t)kind->param_count;
    for (size_t i = 0; i < kind->param_count; i++) f->index.values[i] = plan->params.values[i];
}
_Static_assert((int)INDEX_PARAMS_MAX <= (int)MANIFEST_INDEX_VALUES_MAX, "all values have room");

static bool is_same_plan(const struct manifest_field *a, const struct manifest_field *b)
{
    if (a->index_kind != b->index_kind || a->metric != b->metric) return false;
    if (a->index.quantizer != b->index.quantizer ||
        a->index.quantizer_number != b->index.quantizer_number ||
        a->index.value_count != b->index.value_count)
        return false;
    for (int i = 0; i < a->index.value_count; i++)
        if (a->index.values[i] < b->index.values[i] || a->index.values[i] > b->index.values[i])
            return false;
    return true;
}

bool collection_has_plan(const struct collection *c, const struct index_plan *plan, uint8_t metric)
{
    struct manifest_field f = c->manifest.fields[0];

    keep_plan(plan, &f);
    f.metric = metric;
    return is_same_plan(&f, &c->manifest.fields[0]);
}

/* What is built was asked for as it is asked for now (4). */
static bool is_wanted(const struct collection *c, const struct index_builder *b)
{
    return collection_has_plan(c, index_builder_plan(b), (uint8_t)index_builder_metric(b));
}

/* ---- parts ---- */

int collection_open_index(struct collection *c, struct collection_part *p, struct error *err)
{
    const struct manifest_part *part = manifest_find_index(&p->info, 0);
    struct segment_index_desc desc = {
        .alloc = c->desc.alloc,
        .dir = c->dir,
        .owner = c->desc.owner,
        .segment = p->segment,
        .row_count = p->row_count,
        .metric = (enum metric)c->manifest.fields[0].metric,
    };

    if (!part || part->index_kind != c->manifest.fields[0].index_kind ||
        !collection_plan_of(&c->manifest.fields[0], &desc.plan))
        return 0;
    desc.part = *part;
    return segment_index_create(&desc, &p->index, err);
}

bool collection_lacks_index(const struct collection_part *p)
{
    return p->state == PART_SEALED && p->row_count >= INDEX_ROWS_MIN && !p->is_not_indexed &&
           !manifest_find_index(&p->info, 0);
}

static struct collection_part *find_part(struct collection *c, const struct uuid *segment)
{
    for (size_t i = 0; i < c->part_count; i++)
        if (c->parts[i].state == PART_SEALED && uuid_equal(&c->parts[i].info.uuid, segment))
            return &c->parts[i];
    return NULL;
}

/* The next one to be built; NULL: none.  The oldest, but what was damaged comes after what was
 * not.  A seal may take the last one in, a merge some: it waits for that. */
static struct collection_part *next_part(const struct collection *c)
{
    struct collection_part *next = NULL;

    for (size_t i = 0; i < c->part_count; i++) {
        struct collection_part *p = &c->parts[i];
        if (!collection_lacks_index(p) || collection_is_rewritten(&c->seal, i) ||
            collection_is_rewritten(&c->merge, i))
            continue;
        if (!next || p->index_damages < next->index_damages) next = p;
    }
    return next;
}

uint32_t collection_next_damages(const struct collection *c)
{
    const struct collection_part *p = next_part(c);

    return p ? p->index_damages : 0;
}

bool collection_wants_index(const struct collection *c)
{
    struct index_plan plan;

    return !c->index_build && !c->is_poisoned && c->wal && !collection_merge_comes_first(c) &&
           collection_plan_of(&c->manifest.fields[0], &plan) && next_part(c);
}

void collection_count_indexes(const struct collection *c, uint64_t lsn,
                              struct collection_index_count *out)
{
    struct index_plan plan;

    *out = (struct collection_index_count){0};
    if (!collection_plan_of(&c->manifest.fields[0], &plan)) return;
    for (size_t i = 0; i < c->part_count; i++) {
        const struct collection_part *p = &c->parts[i];
        if (p->state != PART_SEALED || p->info.first_lsn > lsn) continue;
        out->built += p->index != NULL;
        bool is_wanted = p->index || collection_lacks_index(p);
        out->wanted += is_wanted;
        out->wanted_rows += is_wanted ? p->row_count : 0;
        if (!p->index) continue;
        out->settled += segment_index_state(p->index) != SEGMENT_INDEX_WANTED;
        out->indexed_rows += p->row_count;
        out->memory_bytes += segment_index_memory_bytes(p->index);
    }
}

void collection_count_unindexed(const struct collection *c, uint64_t *out_rows,
                                uint64_t *out_waiting)
{
    uint64_t tail = 0, waiting = 0;
    struct index_plan plan;

    if (!c->is_poisoned && c->wal && collection_plan_of(&c->manifest.fields[0], &plan)) {
        for (size_t i = 0; i < c->part_count; i++) {
            const struct collection_part *p = &c->parts[i];
            if (p->state == PART_TAIL) tail += p->row_count;
            else if (p->state == PART_FROZEN || collection_lacks_index(p)) waiting += p->row_count;
        }
    }
    *out_rows = tail + waiting;
    *out_waiting = waiting;
}

/* ---- changes ---- */

/* The ruling manifest's successor, and a view to show it in. */
struct index_change {
    struct manifest next;
    struct view *view;
};

static int begin_change(struct collection *c, struct index_change *out, struct error *err)
{
    if (c->is_poisoned || !c->wal) {
        if (err) *err = c->poison;
        return -1;
    }
    manifest_init(&out->next, c->desc.alloc);
    if (manifest_copy(&out->next, &c->manifest, err) != 0) return -1;
    out->next.epoch++;
    if (view_create(c->desc.alloc, c->part_count, &out->view, err) == 0) return 0;
    manifest_deinit(&out->next);
    return -1;
}

static void abort_change(struct index_change *change)
{
    manifest_deinit(&change->next);
    view_release(change->view);
}

static int end_change(struct collection *c, struct index_change *change, struct error *err)
{
    if (collection_swap_manifest(c, &change->next, err) == 0) return 0;
    view_release(change->view);
    return -1;
}

static void show(struct collection *c, struct index_change *change)
{
    view_slot_publish(c->desc.slot, collection_fill_view(c, change->view));
    collection_clean(c);
}

static void forget_indexes(struct collection *c)
{
    for (size_t i = 0; i < c->part_count; i++) {
        struct collection_part *p = &c->parts[i];
        manifest_drop_indexes(&p->info);
        segment_index_release(p->index);
        p->index = NULL;
        p->is_not_indexed = false;
    }
}

static int check_plan(const struct collection *c, const struct index_plan *plan, struct error *err)
{
    unsigned storage = c->manifest.fields[0].storage;
    const struct index_vtab *kind = index_find(plan->kind);

    if (kind && kind->file_sections && storage != STORAGE_F32)
        return error_set(err, LYNSE_UNSUPPORTED,
                         "index: a kind that reads vectors from its file is not there yet for "
                         "vectors of %s",
                         storage_type_name(storage));
    if (plan->kind == INDEX_NONE) return 0;
    if (!kind)
        return error_set(err, LYNSE_INTERNAL, "index: there is no kind %u", (unsigned)plan->kind);
    uint32_t dim_max = index_dim_max(kind, plan->quantizer.kind);
    if (c->dim <= dim_max) return 0;
    return error_set(err, LYNSE_LIMIT, "dim: %u, at most %u where vectors are quantized", c->dim,
                     dim_max);
}

/* Can the metric measure what there is?  Of `measured` everything is known to be. */
static int check_rows(const struct collection *c, unsigned number, const struct view *measured,
                      struct error *err)
{
    const struct metric_info *metric = metric_find(number);

    if (!metric || metric->input == METRIC_INPUT_ANY || number == c->manifest.fields[0].metric)
        return 0; /* of one that is none the manifest says so */
    if (c->dim != 0 && metric_check_dim(metric, c->dim, err) != 0) return -1;
    for (size_t i = 0; i < c->part_count; i++) {
        const struct collection_part *p = &c->parts[i];
        if (segment_check_measurable(p->segment, p->dead, p->row_count,
                                     view_rows_measured(measured, p->segment), metric,
                                     c->desc.alloc, err) != 0)
            return -1;
    }
    return 0;
}

int collection_set_index(struct collection *c, const struct index_plan *plan, uint8_t metric,
                         const struct view *measured, struct error *err)
{
    struct index_change change;

    if (check_plan(c, plan, err) != 0 || check_rows(c, metric, measured, err) != 0 ||
        begin_change(c, &change, err) != 0)
        return -1;
    struct manifest_field *f = &change.next.fields[0];
    keep_plan(plan, f);
    f->metric = metric;
    bool is_same = is_same_plan(f, &c->manifest.fields[0]);
    for (uint32_t i = 0; i < change.next.segment_count && !is_same; i++)
        manifest_drop_indexes(&change.next.segments[i]); /* (1) */
    if (end_change(c, &change, err) != 0) return -1;
    if (!is_same) forget_indexes(c);
    for (size_t i = 0; i < c->part_count; i++) c->parts[i].index_damages = 0;
    c->index_asked_lsn = c->applied_lsn;
    show(c, &change);
    return 0;
}

/* ---- builds ---- */

bool collection_describe_index(const struct collection *c, struct segment *segment,
                               uint32_t row_count, struct index_builder_desc *out)
{
    *out = (struct index_builder_desc){
        .alloc = c->desc.alloc,
        .dir = c->dir,
        .owner = c->desc.owner,
        .rng = c->desc.rng,
        .segment = segment,
        .row_count = row_count,
        .metric = (enum metric)c->manifest.fields[0].metric,
        .build = (uint32_t)c->manifest.epoch, /* a manifest that names it has a later one */
    };
    return collection_plan_of(&c->manifest.fields[0], &out->plan);
}

int collection_index_begin(struct collection *c, struct error *err)
{
    struct collection_part *p = next_part(c);
    struct index_builder_desc desc;

    CHECK(p && !c->index_build && collection_describe_index(c, p->segment, p->row_count, &desc));
    file_sweep_stop(c->sweep); /* it may get the name of one of this epoch that was never named */
    if (index_builder_create(&desc, &c->index_build, err) == 0) return 0;
    c->index_build = NULL;
    return -1;
}

static struct manifest_segment *find_segment(struct manifest *m, const struct uuid *uuid)
{
    for (uint32_t i = 0; i < m->segment_count; i++)
        if (uuid_equal(&m->segments[i].uuid, uuid)) return &m->segments[i];
    UNREACHABLE();
}

static int publish_index(struct collection *c, struct collection_part *p,
                         const struct manifest_part *part, struct error *err)
{
    struct collection_part with = {
        .info = p->info, .segment = p->segment, .row_count = p->row_count};
    struct index_change change;
    int rc = -1;

    CHECK(p->info.part_count < SEGMENT_PARTS_MAX);
    with.info.parts[with.info.part_count++] = *part;
    if (collection_open_index(c, &with, err) != 0) return -1;
    if (begin_change(c, &change, err) != 0) goto out;
    struct manifest_segment *s = find_segment(&change.next, &p->info.uuid);
    s->parts[s->part_count++] = *part;
    if (vfs_dir_sync(c->dir, err) != 0) { /* R5, R10 */
        abort_change(&change);
        goto out;
    }
    if (end_change(c, &change, err) != 0) goto out;
    p->info = with.info;
    p->index = with.index;
    (void)segment_index_want(p->index); /* its owner loads it while it is warm */
    with.index = NULL;
    show(c, &change);
    rc = 0;
out:
    segment_index_release(with.index);
    return rc;
}

int collection_index_finish(struct collection *c, struct error *err)
{
    struct index_builder *b = c->index_build;
    struct collection_part *p = find_part(c, index_builder_segment(b));
    struct manifest_part part;
    struct error failed = {0};
    int rc = 0;

    if (p && is_wanted(c, b)) {
        rc = index_builder_take(b, &part, &failed);
        if (rc == 0) {
            rc = publish_index(c, p, &part, &failed);
            /* Which manifest rules is unknown after a failure behind the rename: then it stays. */
            if (rc != 0 && !c->is_poisoned) vfs_unlink(c->dir, index_builder_name(b), NULL);
        }
        /* Rows that cannot be read are no less readable next time. */
        if (rc != 0 && failed.code == LYNSE_CORRUPT) p->is_not_indexed = true;
    }
    c->index_build = NULL; /* its names are garbage now, if they are there */
    index_builder_destroy(b);
    if (rc != 0 && err) *err = failed;
    return rc;
}

int collection_drop_index(struct collection *c, const struct segment_index *index,
                          const struct error *why, struct error *err)
{
    struct collection_part *p = NULL;
    struct index_change change;

    for (size_t i = 0; i < c->part_count && !p; i++)
        if (c->parts[i].index == index) p = &c->parts[i];
    if (!p || !c->wal) return 0; /* a reader goes on without it */
    log_event(LOG_WARN, "index_dropped number=%llu reason=\"%s\"",
              (unsigned long long)c->desc.number, why->text);
    if (begin_change(c, &change, err) != 0) return -1;
    manifest_drop_indexes(find_segment(&change.next, &p->info.uuid));
    if (end_change(c, &change, err) != 0) return -1;
    manifest_drop_indexes(&p->info);
    segment_index_release(p->index);
    p->index = NULL;
    p->index_damages++;
    show(c, &change);
    return 0;
}

/* ---- files ---- */

struct file_gc_keep collection_files_kept(const struct collection *c)
{
    const struct collection_rewrite *m = &c->merge;
    const struct index_builder *builds[FILE_GC_INDEXES_MAX] = {c->index_build, m->index_build};
    struct file_gc_keep keep = {
        .spare = wal_spare_name(c->wal),
        .segment = m->built ? &m->built->uuid : NULL,
        .is_building = c->seal.is_active || (m->is_active && !m->built),
    };

    for (size_t i = 0; i < FILE_GC_INDEXES_MAX; i++) {
        if (!builds[i]) continue;
        keep.index_temporaries[i] = index_builder_temporary(builds[i]);
        keep.index_names[i] = index_builder_name(builds[i]);
    }
    return keep;
}
