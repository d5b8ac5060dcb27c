/* SPDX-License-Identifier: Apache-2.0 */
#include "crashlab/batch.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "store/file_gc.h"

/* Ids that the collection will give. */
static bool give_ids(const struct lab_oracle *o, struct oracle_group *g)
{
    int first = o->states[o->lsn].max_number + 1;

    if (first + (int)g->count > ORACLE_NUMBERS) return false;
    for (size_t i = 0; i < g->count; i++) {
        g->ids[i] = first + (int)i;
        g->values[i] = (uint16_t)(50 + first + (int)i);
    }
    return true;
}

static void make_write(struct collection_write *w, const struct oracle_group *g,
                       const struct oracle_rows *rows)
{
    static const enum write_kind kinds[] = {
        [GROUP_ADD] = WRITE_ADD,       [GROUP_PUT] = WRITE_UPSERT,      [GROUP_KEEP] = WRITE_UPSERT,
        [GROUP_DELETE] = WRITE_DELETE, [GROUP_RESTORE] = WRITE_RESTORE,
    };
    bool has_rows = g->kind < GROUP_DELETE;

    *w = (struct collection_write){
        .kind = kinds[g->kind],
        .ids = g->is_auto ? NULL : rows->ids,
        .count = g->count,
        .vectors = has_rows ? rows->vectors : NULL,
        .dim = has_rows ? ORACLE_DIM : 0,
        .documents = has_rows && g->kind != GROUP_KEEP ? rows->documents : NULL,
        .sync = g->level,
    };
    if (g->is_request) {
        uint8_t id[REQUEST_ID_BYTES] = {'q'};
        store_u32(id + 12, g->request);
        collection_write_identify(w, id);
    }
}

static void submit(struct batch *b, struct lab_oracle *o, size_t i)
{
    b->befores[i] = o->lsn;
    if (b->groups[i].is_request && b->groups[i].request == 0)
        b->groups[i].request = ++o->last_request;
    oracle_submit(o, &b->groups[i], &b->codes[i], &b->row_counts[i]);
    b->lsns[i] = o->lsn > b->befores[i] ? o->lsn : 0;
}

int batch_make(struct batch *b, struct lab_oracle *o, const char *word)
{
    *b = (struct batch){0};
    size_t count = word_groups(word, b->groups);
    for (size_t i = 0; i < count; i++) {
        if (b->groups[i].is_auto && !give_ids(o, &b->groups[i])) break;
        submit(b, o, i);
        oracle_rows_make(&b->rows[i], o->alloc, &b->groups[i]);
        make_write(&b->writes[i], &b->groups[i], &b->rows[i]);
        b->in_engine[i] = &b->writes[i];
        b->count++;
    }
    return b->count > 0 ? 0 : -1;
}

void batch_deinit(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) oracle_rows_deinit(&b->rows[i]);
}

static void raise_to(uint16_t *promise, uint64_t lsn)
{
    if (lsn > *promise) *promise = (uint16_t)lsn;
}

/* The groups from i on, as if none of them had been submitted. */
static void submit_again(struct batch *b, struct lab_oracle *o, size_t i)
{
    oracle_take_back(o, b->befores[i]);
    for (size_t k = i; k < b->count; k++) {
        if (b->is_answered[k]) continue;
        b->befores[k] = o->lsn;
        if (!b->is_refused[k]) submit(b, o, k);
    }
}

static void note_code(struct batch *b, struct lab_oracle *o, size_t i, int code)
{
    bool is_refused = code && code != b->codes[i] && code != LYNSE_OUTCOME_UNKNOWN;

    if (is_refused == b->is_refused[i]) return;
    b->is_refused[i] = is_refused;
    submit_again(b, o, i);
}

void batch_look(struct batch *b, struct lab_oracle *o)
{
    for (size_t i = 0; i < b->count; i++)
        if (!b->is_answered[i]) note_code(b, o, i, b->in_engine[i]->error.code);
}

int batch_answered(struct batch *b, struct target *t, struct lab_oracle *o,
                   const struct collection_write *w)
{
    size_t i = (size_t)(w - b->writes);

    CHECK(i < b->count);
    if (b->is_answered[i]) return target_fail(t, "group %zu was answered twice", i);
    batch_look(b, o);
    note_code(b, o, i, w->error.code); /* refused before the collection saw it, perhaps */
    b->is_answered[i] = true;
    if (w->error.code != b->codes[i]) {
        if (!t->expects_faults || w->error.code == LYNSE_OK)
            return target_fail(t, "group %zu answered %s (%s), want %s", i,
                               error_name(w->error.code), w->error.text, error_name(b->codes[i]));
        t->fault_code = w->error.code;
        return 0;
    }
    if (w->error.code) return 0;
    if (w->lsn != b->lsns[i] || w->row_count != b->row_counts[i])
        return target_fail(t, "group %zu got LSN %llu and %llu rows, want %llu and %zu", i,
                           (unsigned long long)w->lsn, (unsigned long long)w->row_count,
                           (unsigned long long)b->lsns[i], b->row_counts[i]);
    /* What found nothing to change is as safe as what it found. */
    uint64_t seen = w->lsn ? w->lsn : b->befores[i];
    if (w->sync_reached == SYNC_ALWAYS) raise_to(&o->promise.power, seen);
    if (w->sync_reached < SYNC_NONE) raise_to(&o->promise.kill, seen);
    return 0;
}

int batch_finish(struct batch *b, struct target *t)
{
    for (size_t i = 0; i < b->count; i++)
        if (!b->is_answered[i]) return target_fail(t, "group %zu was not answered", i);
    return 0;
}

/* ---- the hook ---- */

enum { HOOK_SOURCE_BYTES = 48 };
#define HOOK_POINT slice_of_text("score")

/* Each version has a source of its own. */
static struct slice hook_source(uint32_t version, char out[HOOK_SOURCE_BYTES])
{
    snprintf(out, HOOK_SOURCE_BYTES, "function() return %u end", version);
    return slice_of_text(out);
}

static uint32_t hook_step(const struct installed_hooks *hooks)
{
    const struct installed_hook *h = installed_hooks_find(hooks, HOOK_POINT);
    return h ? 2 * (uint32_t)h->version + (h->is.source.size == 0) : 0;
}

struct installed_hook *hook_ask(struct lab_oracle *o, struct alloc *a, bool is_drop)
{
    uint32_t step = o->hook.promised;
    char source[HOOK_SOURCE_BYTES];
    struct installed_hook_desc desc = {.point = HOOK_POINT};
    struct installed_hook *h = NULL;

    if (o->hook.asked != step || (is_drop && (step == 0 || step % 2 == 1))) return NULL;
    o->hook.asked = is_drop ? step + 1 : (step / 2 + 1) * 2;
    if (!is_drop) desc.source = hook_source(o->hook.asked / 2, source);
    CHECK(installed_hook_create(a, &desc, &h, NULL) == 0);
    return h;
}

void hook_answered(struct lab_oracle *o, int rc, const struct error *err)
{
    if (rc == 0) o->hook.promised = o->hook.asked;
    else if (err->code != LYNSE_OUTCOME_UNKNOWN) o->hook.asked = o->hook.promised;
}

static int check_hook(struct target *t, struct lab_oracle *o, const struct collection *c,
                      const struct view *v, bool is_fresh)
{
    const struct installed_hooks *hooks = &c->manifest.hooks;
    const struct installed_hook *h = installed_hooks_find(hooks, HOOK_POINT);
    uint32_t step = hook_step(hooks);
    char source[HOOK_SOURCE_BYTES];

    if (step != o->hook.promised && step != o->hook.asked)
        return target_fail(t, "the hook is at step %u, want %u or %u", step, o->hook.promised,
                           o->hook.asked);
    if (step != hook_step(&v->hooks))
        return target_fail(t, "the hook is at step %u, its searches at %u", step,
                           hook_step(&v->hooks));
    if (step > 0 && step % 2 == 0 && !slice_equal(h->is.source, hook_source(step / 2, source)))
        return target_fail(t, "version %u of the hook has another source", step / 2);
    if (is_fresh) o->hook.promised = o->hook.asked = step;
    return 0;
}

/* ---- promises ---- */
/* Its answer is that of the first time. */
static int retry_applied(struct target *t, struct lab_oracle *o, struct collection *c, size_t lsn)
{
    const struct oracle_state *s = &o->states[lsn];
    struct oracle_rows rows;
    struct collection_write w, *one = &w;
    uint64_t first = s->group.is_auto ? (uint64_t)s->group.ids[0] : 0, before = c->applied_lsn;

    oracle_rows_make(&rows, o->alloc, &s->group);
    make_write(&w, &s->group, &rows);
    collection_write_batch(c, &one, 1);
    oracle_rows_deinit(&rows);
    if (w.error.code)
        return target_fail(t, "the retry of LSN %zu answered %s: %s", lsn, error_name(w.error.code),
                           w.error.text);
    if (c->applied_lsn != before || !w.is_repeat)
        return target_fail(t, "the retry of LSN %zu was applied", lsn);
    if (w.lsn != lsn || w.row_count != s->row_count || w.first_number != first)
        return target_fail(t, "the retry of LSN %zu got LSN %llu, %llu rows and id %llu", lsn,
                           (unsigned long long)w.lsn, (unsigned long long)w.row_count,
                           (unsigned long long)w.first_number);
    return 0;
}

/* A crash took it: it is a write like any other, and answered so. */
static int retry_lost(struct target *t, struct lab_oracle *o, struct collection *c)
{
    struct batch b = {.groups = {o->states[o->lsn + 1].group}, .count = 1};
    struct collection_write *one = &b.writes[0];
    int rc;

    b.in_engine[0] = one;
    submit(&b, o, 0);
    oracle_rows_make(&b.rows[0], o->alloc, &b.groups[0]);
    make_write(one, &b.groups[0], &b.rows[0]);
    collection_write_batch(c, &one, 1);
    rc = one->is_repeat ? target_fail(t, "the request of LSN %zu outlived its group", o->lsn)
                        : batch_answered(&b, t, o, one);
    batch_deinit(&b);
    return rc;
}

int batch_retry(struct target *t, struct lab_oracle *o, struct collection *c, bool is_fresh)
{
    bool has_lost = is_fresh && o->lsn < o->top;

    for (size_t lsn = o->remembered_from; lsn > 0 && lsn <= o->lsn; lsn++)
        if (o->states[lsn].group.is_request && retry_applied(t, o, c, lsn) != 0) return -1;
    if (has_lost && o->states[o->lsn + 1].group.is_request &&
        !o->states[o->lsn + 1].group.is_auto && retry_lost(t, o, c) != 0)
        return -1;
    if (is_fresh) o->top = o->lsn;
    return 0;
}

void promise_look(struct lab_oracle *o, const struct collection *c, const struct view *view)
{
    if (view && hook_step(&view->hooks) == o->hook.asked) o->hook.promised = o->hook.asked;
    if (view) {
        uint64_t lsn = view->lsn <= o->lsn ? view->lsn : o->lsn;
        while (lsn > o->promise.power && o->states[lsn].level != SYNC_ALWAYS) lsn--;
        raise_to(&o->promise.power, lsn);
    }
    if (c && c->log && c->manifest.sync_level != SYNC_NONE) {
        uint64_t durable = c->log->ops->durable_lsn(c->log);
        raise_to(&o->promise.power, durable <= o->lsn ? durable : o->lsn);
    }
    raise_to(&o->promise.kill, o->promise.power);
}

/* ---- judging ---- */

struct leak {
    const struct collection *c;
    char name[128]; /* of a file that nothing names */
};

static bool is_named(const struct manifest *m, const char *name)
{
    char part[PART_NAME_BYTES];

    for (uint32_t i = 0; i < m->segment_count; i++) {
        const struct manifest_segment *s = &m->segments[i];
        for (uint32_t j = 0; j < s->part_count; j++) {
            part_name(part, &s->uuid, (enum part_kind)s->parts[j].kind,
                      manifest_part_number(s, &s->parts[j]));
            if (strcmp(part, name) == 0) return true;
        }
    }
    return false;
}

static bool look_for_leak(void *ctx, const char *name)
{
    struct leak *l = ctx;
    const struct manifest *m = &l->c->manifest;
    const char *spare = l->c->wal ? wal_spare_name(l->c->wal) : NULL;
    uint64_t number;

    if (numbered_name_parse(name, MANIFEST_PREFIX, &number) &&
        (number == m->epoch || number == m->epoch - 1))
        return true;
    if (numbered_name_parse(name, WAL_PREFIX, &number) && number >= m->wal_first) return true;
    if ((spare && strcmp(name, spare) == 0) || is_named(m, name)) return true;
    /* An index may be under way: one that a crash took away is begun again by itself. */
    struct index_builder *b = l->c->index_build;
    if (b &&
        (strcmp(name, index_builder_temporary(b)) == 0 || strcmp(name, index_builder_name(b)) == 0))
        return true;
    size_t n = strlen(name);
    if (n >= sizeof l->name) n = sizeof l->name - 1;
    memcpy(l->name, name, n);
    l->name[n] = '\0';
    return false;
}

/* Every file is one that the manifest names, or a log, or the spare. */
static int check_leaks(struct target *t, struct collection *c)
{
    struct leak l = {.c = c};
    struct error err = {0};

    if (vfs_dir_list(c->dir, look_for_leak, &l, &err) != 0)
        return target_fail(t, "cannot list: %s", err.text);
    return l.name[0] ? target_fail(t, "file '%s' is left behind", l.name) : 0;
}

static int check_numbers(struct target *t, struct lab_oracle *o, struct collection *c,
                         bool is_fresh)
{
    int max = c->has_int_id ? (int)c->max_int_id : -1;

    if (max < o->states[c->applied_lsn].max_number)
        return target_fail(t, "the largest id is %d, want %d at least", max,
                           o->states[c->applied_lsn].max_number);
    /* Ids of groups that a crash took may be given again, or not. */
    if (is_fresh) o->states[c->applied_lsn].max_number = max;
    return 0;
}

int collection_judge(struct target *t, struct lab_oracle *o, struct collection *c, bool is_fresh,
                     bool is_sealing)
{
    uint64_t lsn = c->applied_lsn;
    uint64_t lowest = is_fresh || t->expects_faults ? o->promise.kill : o->lsn;
    struct error err = {0};
    char why[WHY_BYTES];

    if (lsn < lowest)
        return target_fail(t, "lost: LSN %llu was reached, %llu was promised",
                           (unsigned long long)lsn, (unsigned long long)lowest);
    if (lsn > o->lsn)
        return target_fail(t, "LSN %llu was never written, the last is %zu",
                           (unsigned long long)lsn, o->lsn);
    struct view *v = view_slot_acquire(c->desc.slot);
    int rc = v ? oracle_compare(o, v, (size_t)lsn, why) : target_fail(t, "no view");
    if (v && rc != 0) target_fail(t, "%s", why);
    if (rc == 0) rc = check_hook(t, o, c, v, is_fresh);
    view_release(v);
    t->is_corrupt = rc == ORACLE_CORRUPT;
    if (rc != 0) return -1;
    if (collection_check(c, &err) != 0) {
        t->is_corrupt = err.code == LYNSE_CORRUPT;
        return target_fail(t, "check: %s", err.text);
    }
    if (is_fresh && !is_sealing && !t->world->is_media && check_leaks(t, c) != 0) return -1;
    if (check_numbers(t, o, c, is_fresh) != 0) return -1;
    if (is_fresh) {
        oracle_take_back(o, (size_t)lsn);
        o->promise.kill = o->promise.power = (uint16_t)lsn;
    }
    return 0;
}
