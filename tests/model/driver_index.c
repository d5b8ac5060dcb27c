/* SPDX-License-Identifier: Apache-2.0 */
/* driver_index.c — indexes are asked for, built piece by piece between other operations, loaded and
 * lost, while the reference knows nothing of them. */
#include "base/check.h"
#include "index/index.h"
#include "model/driver.h"
#include "query/search.h"

/* Any kind, with any quantizer, that the metric can be searched by. */
static struct index_plan choose_plan(struct rng *rng, const struct metric_info *metric)
{
    struct index_plan plan = {0};
    const struct index_vtab *kind;

    do {
        plan.kind = (enum index_kind)(1 + rng_below(rng, INDEX_KIND_MAX));
        plan.quantizer = (struct quantizer_spec){.kind = QUANTIZER_RAW};
        if (rng_chance(rng, 0.3))
            plan.quantizer.kind = (enum quantizer_kind)rng_below(rng, QUANTIZER_COUNT);
        kind = index_find(plan.kind);
    } while (!kind || (kind->takes ? !kind->takes(metric, plan.quantizer.kind)
                                   : plan.quantizer.kind != QUANTIZER_RAW));
    index_params_init(kind, &plan.params);
    return plan;
}

int driver_set_index(struct driver *d, uint8_t metric)
{
    struct error err = {0};
    struct index_plan plan = choose_plan(&d->rng, metric_find(metric));

    int rc = collection_set_index(d->c, &plan, metric, NULL, &err);
    if (rc == 0) d->ref.metric = metric;
    return driver_result(d, "set index", rc, &err);
}

enum index_work driver_work_on_index(struct driver *d, struct index_builder *b, bool *may_fail)
{
    enum index_work state = INDEX_WORKED;
    uint64_t most = rng_chance(&d->rng, 0.3) ? rng_below(&d->rng, 20) : UINT64_MAX;

    *may_fail = *may_fail || d->expects_errors;
    for (uint64_t i = 0; i < most && state == INDEX_WORKED; i++)
        state = index_builder_work(b, true);
    return state;
}

int driver_index_result(struct driver *d, const char *what, int rc, const struct error *err,
                        bool *may_fail)
{
    bool is_expected = *may_fail;

    *may_fail = false;
    if (rc == 0 || !is_expected) return driver_result(d, what, rc, err);
    d->refusals++;
    return 0;
}

int driver_build_index(struct driver *d)
{
    struct error err = {0};

    if (!d->c->index_build) {
        if (!collection_wants_index(d->c)) return 0;
        if (collection_index_begin(d->c, &err) != 0)
            return driver_result(d, "index begin", -1, &err);
    }
    if (driver_work_on_index(d, d->c->index_build, &d->index_may_fail) == INDEX_WORKED) return 0;
    return driver_index_result(d, "index finish", collection_index_finish(d->c, &err), &err,
                               &d->index_may_fail);
}

int driver_build_indexes(struct driver *d)
{
    for (int i = 0; i < 20 && collection_wants_index(d->c); i++)
        if (driver_build_index(d) != 0) return -1;
    return 0;
}

static int load(struct driver *d, struct segment_index *index)
{
    struct error why = {0}, err = {0};

    segment_index_acquire(index);
    int rc = segment_index_load(index, &why);
    if (rc != 0 && why.code == LYNSE_CORRUPT) rc = collection_drop_index(d->c, index, &why, &err);
    else err = why;
    d->indexes += segment_index_get(index) != NULL;
    segment_index_release(index);
    return driver_result(d, "index load", rc, &err);
}

int driver_load_indexes(struct driver *d)
{
    for (size_t i = 0; i < d->c->part_count; i++) {
        struct segment_index *index = d->c->parts[i].index;
        if (!index || segment_index_state(index) > SEGMENT_INDEX_WANTED) continue;
        if (load(d, index) != 0) return -1;
    }
    return 0;
}

/* What an index finds is so, and as many as there are; it need not be the nearest. */
int driver_compare_found(struct driver *d, const struct result *r, const struct ref_hit *hits,
                         size_t open_count, size_t count)
{
    char text[ID_TEXT_BYTES];
    size_t nearest = 0;

    if (r->count != count) return driver_fail(d, "%zu found, want %zu", r->count, count);
    for (size_t i = 0; i < count; i++) {
        size_t place = 0;
        for (; place < open_count; place++) {
            struct record_id id = reference_id(hits[place].id);
            if (id_equal(&r->ids[i], &id)) break;
        }
        if (place == open_count)
            return driver_fail(d, "found %s, which is not live or too far",
                               id_format(&r->ids[i], text));
        float score = reference_score(&d->ref, hits[place].distance);
        if (memcmp(&r->scores[i], &score, sizeof score) != 0)
            return driver_fail(d, "found %s with %a, want %a", id_format(&r->ids[i], text),
                               (double)r->scores[i], (double)score);
        if (i > 0 && place <= nearest)
            return driver_fail(d, "found %s out of order", id_format(&r->ids[i], text));
        nearest = place;
    }
    return 0;
}
