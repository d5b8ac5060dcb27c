/* SPDX-License-Identifier: Apache-2.0 */
/* invariants.c — what must hold after every step, and what a reader may see within one. */
#include "base/check.h"
#include "base/limits.h"
#include "sim/sim.h"

enum { SYSTEM_MESSAGES_MAX = 16 };

size_t live_rows(const struct lab_oracle *o, size_t lsn)
{
    size_t count = 0;

    for (int i = 0; i < ORACLE_IDS; i++) count += o->states[lsn].rows[i].is_live;
    return count;
}

static uint64_t durable_lsn(const struct collection *c)
{
    uint64_t durable = c->log->ops->durable_lsn(c->log);

    if (c->manifest.sync_level == SYNC_NONE) durable = c->manifest.durable_lsn;
    return durable > c->manifest.flushed_lsn ? durable : c->manifest.flushed_lsn;
}

static int broken(struct sim *s, const struct place *p, const char *what)
{
    const struct collection *c = p->host ? p->host->collection : NULL;
    return sim_fail(s, "%s: %s: settled %zu, applied %llu, durable %llu, flushed %llu",
                    sim_names[p->name], what, p->settled,
                    c ? (unsigned long long)c->applied_lsn : 0ull,
                    c ? (unsigned long long)durable_lsn(c) : 0ull,
                    c ? (unsigned long long)c->manifest.flushed_lsn : 0ull);
}

/* ---- what was recovered ---- */

static int judge_recovery(struct sim *s, struct place *p, const struct host *h)
{
    const struct collection *c = h->collection;
    struct lab_oracle *o = &p->oracle;
    size_t lsn = (size_t)c->applied_lsn;
    char why[WHY_BYTES];

    if (lsn < p->floor || lsn > o->lsn || (p->is_exact && lsn != p->floor))
        return sim_fail(s, "%s recovered LSN %zu, want %zu to %zu", sim_names[p->name], lsn,
                        p->floor, p->is_exact ? p->floor : o->lsn);
    int max = c->has_int_id ? (int)c->max_int_id : -1;
    if (max < o->states[lsn].max_number || max >= ORACLE_NUMBERS)
        return sim_fail(s, "%s recovered %d as largest id, want %d", sim_names[p->name], max,
                        o->states[lsn].max_number);
    if (!s->is_disk_failing && !s->is_memory_failing &&
        oracle_compare(o, h->slot.current, lsn, why) != 0)
        return sim_fail(s, "%s after recovery: %s", sim_names[p->name], why);
    o->states[lsn].max_number = max;
    oracle_take_back(o, lsn);
    o->promise.kill = o->promise.power = (uint16_t)lsn;
    o->level = c->manifest.sync_level;
    p->settled = lsn;
    p->is_judged = true;
    return 0;
}

/* ---- after a step ---- */

static int check_marks(struct sim *s, struct place *p, const struct host *h)
{
    const struct collection *c = h->collection;
    const struct view *v = h->slot.current;
    struct lab_oracle *o = &p->oracle;
    uint64_t durable = durable_lsn(c);

    if (c->applied_lsn != p->settled)
        return broken(s, p, "what is applied is not what is answered");
    if (c->manifest.flushed_lsn > durable || durable > c->applied_lsn)
        return broken(s, p, "the marks are out of order");
    if (!v || v->lsn != c->applied_lsn) return broken(s, p, "the view is not what is applied");
    if (v->lsn < p->glimpsed) return broken(s, p, "a view went back");
    p->glimpsed = v->lsn;
    if (v->live_count != live_rows(o, p->settled))
        return sim_fail(s, "%s shows %llu rows at LSN %zu, want %zu", sim_names[p->name],
                        (unsigned long long)v->live_count, p->settled, live_rows(o, p->settled));
    if (o->states[p->settled].level == SYNC_ALWAYS && c->manifest.sync_level != SYNC_NONE &&
        durable < p->settled)
        return broken(s, p, "shown and not durable in level always (P3)");
    if (durable > o->promise.power) o->promise.power = (uint16_t)durable;
    if (durable > o->promise.kill) o->promise.kill = (uint16_t)durable;
    return 0;
}

static int check_mailbox(struct sim *s, struct actor *a)
{
    size_t length = mailbox_length(&a->mailbox);

    if (length <= a->mailbox.messages_max + SYSTEM_MESSAGES_MAX &&
        mailbox_bytes(&a->mailbox) <= a->mailbox.bytes_max)
        return 0;
    return sim_fail(s, "a mailbox holds %zu messages of %zu bytes", length,
                    mailbox_bytes(&a->mailbox));
}

static int check_host(struct sim *s, struct host *h)
{
    size_t name = 0;

    if (check_mailbox(s, h->actor) != 0) return -1;
    if (!h->collection) return 0;
    while (name < SIM_NAMES && strcmp(h->entry.name, sim_names[name]) != 0) name++;
    CHECK(name < SIM_NAMES);
    struct place *p = place_of(s, h->entry.number, name);
    if (!p->is_judged && judge_recovery(s, p, h) != 0) return -1;
    return check_marks(s, p, h);
}

/* Every number that was given away was answered as a creation, and so on. */
static int check_catalog(struct sim *s)
{
    const struct catalog *c = &s->engine->catalog;
    uint64_t made = c->next_number - s->first_number;
    uint64_t gone = s->live_at_open + made - c->collection_count;

    for (size_t i = 0; i < SIM_NAMES; i++) s->numbers[i] = catalog_number(s, i);
    if (made != s->created)
        return sim_fail(s, "%llu collections were made, %llu answered", (unsigned long long)made,
                        (unsigned long long)s->created);
    if (gone < s->dropped || gone > s->dropped + s->drops_in_flight)
        return sim_fail(s, "%llu collections were dropped, %llu answered, %llu in flight",
                        (unsigned long long)gone, (unsigned long long)s->dropped,
                        (unsigned long long)s->drops_in_flight);
    return s->engine->catalog_actor ? check_mailbox(s, s->engine->catalog_actor) : 0;
}

int invariants_check(struct sim *s)
{
    if (!s->engine || s->is_dead) return 0;
    if (check_catalog(s) != 0) return -1;
    for (struct host *h = s->engine->hosts; h; h = h->next)
        if (check_host(s, h) != 0) return -1;
    return 0;
}

/* ---- within a step ---- */

/* What a reader on another thread would see now, in the middle of a batch. */
static void glimpse(struct sim *s, struct place *p)
{
    const struct host *h = p->host;
    const struct view *v = h->slot.current;
    const struct collection *c = h->collection;

    if (!v || !c || !p->is_judged || v->lsn <= p->glimpsed) return;
    p->glimpsed = v->lsn;
    /* Only when no write under way asks for less is all of the batch in level always. */
    if (c->manifest.sync_level != SYNC_ALWAYS || p->weak_in_flight > 0) return;
    if (v->lsn > p->settled && durable_lsn(c) < v->lsn)
        broken(s, p, "shown before it is durable in level always (P3)");
}

void invariants_glimpse(void *ctx, enum faulty_kind k)
{
    struct sim *s = ctx;

    (void)k;
    if (s->is_dead || s->has_failed) return;
    for (struct place *p = s->places; p; p = p->next)
        if (p->host && !p->is_released) glimpse(s, p);
}
