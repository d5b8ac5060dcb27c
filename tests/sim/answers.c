/* SPDX-License-Identifier: Apache-2.0 */
/* answers.c — is this what may be answered, now, to this request?
 *
 * A write's answer is the moment at which it takes its place in the reference: its code, LSN and
 * row count must be those of the group after all that were answered before it.
 */
#include "base/check.h"
#include "sim/sim.h"

/* Whatever is asked, this may come instead. */
static bool is_excused(const struct sim *s, const struct request *r, int code)
{
    switch (code) {
    case LYNSE_CANCELLED:
        /* One that waits for its index, when another one is asked for. */
        return r->is_cancelled || r->kind == KIND_SET_INDEX;
    case LYNSE_DEADLINE:
        return r->deadline_us != 0 && s->clock.now_us >= r->deadline_us;
    case LYNSE_SHUTTING_DOWN:
        return s->is_closing || (r->place && catalog_number(s, r->name) != r->place->number);
    case LYNSE_BUSY:
        return r->may_be_busy || s->memory_has_failed || world_disk_has_failed(s); /* EMFILE */
    case LYNSE_NO_MEMORY:
        return s->memory_has_failed;
    case LYNSE_INTERNAL:
        return false;
    default:
        return world_disk_has_failed(s);
    }
}

static int wrong(struct sim *s, const struct request *r, const struct answer *a, const char *want)
{
    return sim_fail(s, "request %llu (kind %d) of %s answered %s (%s), want %s",
                    (unsigned long long)r->id, (int)r->kind, sim_names[r->name],
                    a->code ? error_name(a->code) : "OK", a->error.text, want);
}

static void raise_to(uint16_t *promise, uint64_t lsn)
{
    if (lsn > *promise) *promise = (uint16_t)lsn;
}

/* All that was answered is durable. */
static void promise_all(struct place *p)
{
    raise_to(&p->oracle.promise.power, p->settled);
    raise_to(&p->oracle.promise.kill, p->settled);
}

/* ---- writes ---- */

static void give_ids(struct place *p, struct oracle_group *g)
{
    int first = p->oracle.states[p->oracle.lsn].max_number + 1;

    for (size_t i = 0; i < g->count; i++) g->ids[i] = first + (int)i;
}

/* (P1), (P5): what an OK promises, looked at on the spot. */
static int judge_promise(struct sim *s, struct request *r, const struct write_outcome *o)
{
    struct place *p = r->place;
    const struct collection *c = p->host->collection;
    const struct view *v = p->host->slot.current;

    p->settled = p->oracle.lsn;
    if (!v || v->lsn < p->settled)
        return sim_fail(s, "%s: LSN %zu is answered and not visible (P5)", sim_names[r->name],
                        p->settled);
    if (o->sync_reached == SYNC_ALWAYS && c->log->ops->durable_lsn(c->log) < p->settled &&
        c->manifest.flushed_lsn < p->settled)
        return sim_fail(s, "%s: LSN %zu is answered as durable and is not (P1)", sim_names[r->name],
                        p->settled);
    uint8_t asked = r->group.level ? r->group.level : c->manifest.sync_level;
    if (o->sync_reached > asked && c->manifest.sync_level != SYNC_NONE)
        return sim_fail(s, "%s: level %u was asked for, %u reached", sim_names[r->name], asked,
                        o->sync_reached);
    if (o->sync_reached == SYNC_ALWAYS) promise_all(p);
    if (o->sync_reached < SYNC_NONE) raise_to(&p->oracle.promise.kill, p->settled);
    return 0;
}

static int judge_done(struct sim *s, struct request *r, const struct write_outcome *o,
                      size_t lsn_before, size_t rows)
{
    const struct lab_oracle *ref = &r->place->oracle;
    uint64_t lsn = ref->lsn > lsn_before ? ref->lsn : 0;

    if (!o) return sim_fail(s, "request %llu: OK without a result", (unsigned long long)r->id);
    if (o->lsn != lsn || o->row_count != rows)
        return sim_fail(s, "request %llu of %s got LSN %llu and %llu rows, want %llu and %zu",
                        (unsigned long long)r->id, sim_names[r->name], (unsigned long long)o->lsn,
                        (unsigned long long)o->row_count, (unsigned long long)lsn, rows);
    if (r->group.is_auto && o->first_number != (uint64_t)r->group.ids[0])
        return sim_fail(s, "request %llu of %s got ids from %llu, want %d",
                        (unsigned long long)r->id, sim_names[r->name],
                        (unsigned long long)o->first_number, r->group.ids[0]);
    return judge_promise(s, r, o);
}

static int judge_write(struct sim *s, struct request *r, const struct answer *a)
{
    struct place *p = r->place;
    struct lab_oracle *o = &p->oracle;
    size_t before = o->lsn, rows;
    int want;

    if (p->host->collection) o->level = p->host->collection->manifest.sync_level;
    if (r->group.is_auto) give_ids(p, &r->group);
    oracle_submit(o, &r->group, &want, &rows);
    if (a->code == LYNSE_OK && want == LYNSE_OK) return judge_done(s, r, a->result, before, rows);
    /* In doubt: it stands above `settled` until the next recovery. */
    if (a->code == LYNSE_OUTCOME_UNKNOWN && world_disk_has_failed(s)) return 0;
    oracle_take_back(o, before);
    if (a->code == want || (a->code && is_excused(s, r, a->code))) return 0;
    return wrong(s, r, a, want ? error_name(want) : "OK");
}

/* ---- the rest ---- */

static int judge_status(struct sim *s, const struct request *r, const struct collection_status *st)
{
    const struct place *p = r->place;

    if (!st) return sim_fail(s, "info: OK without a result");
    if (st->flushed_lsn > st->durable_lsn || st->durable_lsn > st->applied_lsn)
        return sim_fail(s, "info of %s: flushed %llu, durable %llu, applied %llu",
                        sim_names[r->name], (unsigned long long)st->flushed_lsn,
                        (unsigned long long)st->durable_lsn, (unsigned long long)st->applied_lsn);
    if (st->applied_lsn != p->settled || st->live_count != live_rows(&p->oracle, p->settled))
        return sim_fail(s, "info of %s: applied %llu with %llu rows, want %zu with %zu",
                        sim_names[r->name], (unsigned long long)st->applied_lsn,
                        (unsigned long long)st->live_count, p->settled,
                        live_rows(&p->oracle, p->settled));
    return 0;
}

static int judge_order(struct sim *s, struct request *r, const struct answer *a)
{
    struct place *p = r->place;
    const struct collection *c = p->host->collection;
    uint64_t durable;

    if (a->code) return is_excused(s, r, a->code) ? 0 : wrong(s, r, a, "OK");
    CHECK(c);
    durable = c->log->ops->durable_lsn(c->log);
    switch (r->kind) {
    case KIND_SYNC:
        if (c->manifest.sync_level == SYNC_NONE) return 0;
        if (durable < r->settled_before && c->manifest.flushed_lsn < r->settled_before)
            return sim_fail(s, "sync of %s: durable %llu, %zu was answered before",
                            sim_names[r->name], (unsigned long long)durable, r->settled_before);
        promise_all(p);
        return 0;
    case KIND_FLUSH:
        if (c->manifest.flushed_lsn < r->settled_before)
            return sim_fail(s, "flush of %s: flushed %llu, %zu was answered before",
                            sim_names[r->name], (unsigned long long)c->manifest.flushed_lsn,
                            r->settled_before);
        promise_all(p);
        return 0;
    case KIND_SET_SYNC:
        if (c->manifest.sync_level != r->level)
            return sim_fail(s, "set_sync of %s: level %u, want %u", sim_names[r->name],
                            c->manifest.sync_level, r->level);
        if (p->oracle.level != r->level && (p->oracle.level == SYNC_NONE || r->level == SYNC_NONE))
            promise_all(p);
        p->oracle.level = r->level;
        return 0;
    case KIND_INFO:
        return judge_status(s, r, a->result);
    default:
        return 0;
    }
}

static int judge_create(struct sim *s, const struct request *r, const struct answer *a)
{
    uint32_t number = catalog_number(s, r->name);

    if (a->code == LYNSE_OK) {
        s->created++;
        return number ? 0 : sim_fail(s, "%s was created and is not there", sim_names[r->name]);
    }
    if (a->code == LYNSE_OUTCOME_UNKNOWN) s->is_catalog_unsure = true;
    if (a->code == LYNSE_ALREADY_EXISTS && number) return 0;
    return is_excused(s, r, a->code) ? 0 : wrong(s, r, a, "OK");
}

static int judge_drop(struct sim *s, const struct request *r, const struct answer *a)
{
    if (a->code == LYNSE_OK) {
        s->dropped++;
        return 0;
    }
    if (a->code == LYNSE_OUTCOME_UNKNOWN) s->is_catalog_unsure = true;
    if (a->code == LYNSE_NOT_FOUND && !catalog_number(s, r->name)) return 0;
    return is_excused(s, r, a->code) ? 0 : wrong(s, r, a, "OK");
}

static void judge(struct sim *s, struct request *r, const struct answer *a)
{
    if (s->is_dead || s->has_failed) return;
    switch (r->kind) {
    case KIND_WRITE:
        (void)judge_write(s, r, a);
        break;
    case KIND_CREATE_COLLECTION:
        (void)judge_create(s, r, a);
        break;
    case KIND_DROP_COLLECTION:
        (void)judge_drop(s, r, a);
        break;
    default:
        (void)judge_order(s, r, a);
        break;
    }
}

static void land(struct sim *s, struct request *r)
{
    struct place *p = r->place;

    s->in_flight--;
    if (r->kind == KIND_DROP_COLLECTION) s->drops_in_flight--;
    if (!p) return;
    p->in_flight--;
    if (r->kind != KIND_WRITE) return;
    p->weak_in_flight -= r->group.level > SYNC_ALWAYS;
    p->auto_in_flight -= r->group.is_auto ? r->group.count : 0;
}

void answer_judge(void *ctx, struct answer *take_answer)
{
    struct request *r = ctx;
    struct sim *s = r->sim;

    if (++r->answers > 1) {
        sim_fail(s, "request %llu (kind %d) is answered twice", (unsigned long long)r->id,
                 (int)r->kind);
        answer_deinit(take_answer);
        return;
    }
    r->code = take_answer->code;
    r->reply = NULL;
    s->answers_hash = hash_u64(s->answers_hash ^ hash_u64(r->id << 8 | (uint64_t)r->code));
    if (r->code >= 0 && r->code < 64) s->counts.codes[r->code]++;
    sim_say(s, "  answer %llu: %s %s", (unsigned long long)r->id,
            r->code ? error_name(r->code) : "OK", r->code ? take_answer->error.text : "");
    judge(s, r, take_answer);
    land(s, r);
    answer_deinit(take_answer);
}
