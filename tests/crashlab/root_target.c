/* SPDX-License-Identifier: Apache-2.0 */
/* A whole root: catalog, actors on the inline scheduler, up to three collections. */
#include "base/check.h"
#include "crashlab/batch.h"
#include "engine/engine.h"
#include "store/twin_file.h"

struct root {
    struct engine *engine;
    struct host *hosts[WORLD_SLOTS]; /* one handle each */
    struct manual_clock clock;
    size_t current;
    struct batch *batch; /* being written, to the current one */
    bool is_opening;
    bool has_failed;
    bool lacks_reserve; /* the disk is full, and a crash took what was set aside */
};

static const char *const names[WORLD_SLOTS] = {"c0", "c1", "c2"};

static struct root *state_of(struct target *t)
{
    if (!t->state) {
        struct root *s = mem_zalloc(t->alloc, MEM_GENERAL, sizeof *s);
        CHECK(s);
        manual_clock_init(&s->clock, 1000000);
        t->state = s;
    }
    return t->state;
}

static int open_engine(struct target *t, struct error *err)
{
    struct root *s = state_of(t);
    struct engine_desc desc = {
        .path = DISK_PATH,
        .is_inline = true,
        .poll_may_sync = true,
        .sync_level = SYNC_ALWAYS,
        .seed = hash_u64(t->seed) ^ ++t->open_count,
        .vfs = t->fs,
        .clock = &s->clock.base,
        .alloc = t->alloc,
        .search_threads = 1,
    };
    return engine_open(&desc, &s->engine, err);
}

static void begin(struct target *t)
{
    struct root *s = state_of(t);
    struct error err = {0};

    CHECK(open_engine(t, &err) == 0);
    CHECK(engine_close(s->engine, &err) == 0);
    s->engine = NULL;
}

/* ---- promises ---- */

static struct host *find_host(struct root *s, size_t slot)
{
    struct host *h = s->engine ? s->engine->hosts : NULL;

    while (h && strcmp(h->entry.name, names[slot]) != 0) h = h->next;
    return h;
}

static void look(struct target *t)
{
    struct root *s = t->state;

    for (size_t i = 0; s && i < WORLD_SLOTS; i++) {
        struct host *h = find_host(s, i);
        if (!h || t->world->slots[i].life != SLOT_LIVE) continue;
        struct lab_oracle *o = &t->world->slots[i].oracle;
        const struct view *v = h->slot.current;
        if (h->collection) {
            if (s->batch && i == s->current) batch_look(s->batch, o);
            promise_look(o, h->collection, v);
        } else if (s->is_opening && v && v->lsn <= o->lsn) {
            oracle_take_back(o, (size_t)v->lsn);
            o->promise.kill = o->promise.power = (uint16_t)v->lsn;
        }
    }
}

static int open_host(struct target *t, size_t slot, struct error *err)
{
    struct root *s = t->state;

    if (s->hosts[slot]) return 0;
    s->is_opening = true;
    int rc = engine_acquire_host(s->engine, "default", names[slot], &s->hosts[slot], err);
    s->is_opening = false;
    if (rc == 0)
        t->world->slots[slot].oracle.level = s->hosts[slot]->collection->manifest.sync_level;
    return rc;
}

static bool is_there(const struct root *s, size_t slot)
{
    return catalog_find(&s->engine->catalog, "default", names[slot]) != NULL;
}

static void close_hosts(struct root *s)
{
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        if (s->hosts[i]) engine_release_host(s->hosts[i]);
        s->hosts[i] = NULL;
    }
}

/* What is dropped with its database goes with it, or all of it stays. */
static int check_dropped_together(struct target *t, struct error *err)
{
    struct root *s = t->state;
    size_t going = 0, there = 0;

    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        if (t->world->slots[i].life != SLOT_GOING) continue;
        going++;
        there += is_there(s, i);
    }
    if (there > 0 && there < going)
        return error_set(err, LYNSE_INTERNAL, "%zu of %zu collections of a dropped database remain",
                         there, going);
    if (going > 0 && there == 0 && catalog_has_database(&s->engine->catalog, "default") &&
        s->engine->catalog.collection_count == 0)
        return error_set(err, LYNSE_INTERNAL, "a dropped database remains without its collections");
    return 0;
}

static int open_target(struct target *t, struct error *err)
{
    struct root *s = state_of(t);

    if (open_engine(t, err) != 0) return -1;
    if (check_dropped_together(t, err) != 0) return -1;
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        struct slot *w = &t->world->slots[i];
        if (w->life == SLOT_NONE || (w->life == SLOT_LIVE && !is_there(s, i))) continue;
        /* Creating or dropping had not ended: now it has, one way or the other. */
        w->life = is_there(s, i) ? SLOT_LIVE : SLOT_NONE;
        if (w->life == SLOT_NONE) oracle_deinit(&w->oracle);
        else if (open_host(t, i, err) != 0) return -1;
    }
    return 0;
}

/* ---- writes ---- */

/* A group on its way; the answer comes through a callback, as a server's would. */
struct sent {
    struct target *t;
    struct batch *batch;
    size_t index;
    struct lab_oracle *oracle;
    bool is_answered;
};

static void deliver(void *ctx, struct answer *take_answer)
{
    struct sent *sent = ctx;
    struct root *s = sent->t->state;
    struct collection_write *w = &sent->batch->writes[sent->index];

    *w = (struct collection_write){.error = take_answer->error};
    if (take_answer->code == LYNSE_OK) {
        const struct write_outcome *o = take_answer->result;
        w->error.code = LYNSE_OK;
        w->lsn = o->lsn;
        w->row_count = o->row_count;
        w->sync_reached = o->sync_reached;
    }
    answer_deinit(take_answer);
    sent->is_answered = true;
    if (batch_answered(sent->batch, sent->t, sent->oracle, w) != 0) s->has_failed = true;
    look(sent->t);
}

/* One block: ids, vectors, documents, and what they point to. */
struct write_data {
    struct oracle_rows rows;
    uint8_t bytes[];
};

static struct message *make_message(struct root *s, struct target *t, struct batch *b, size_t i)
{
    struct write_message *m =
        message_create(s->engine->scheduler, sizeof *m, KIND_WRITE, MESSAGE_WRITE);
    const struct oracle_rows *from = &b->rows[i];
    struct write_data *data = mem_zalloc(t->alloc, MEM_MESSAGE, sizeof *data + from->bytes.size);

    CHECK(m && data);
    data->rows = *from;
    if (from->bytes.size) memcpy(data->bytes, from->bytes.data, from->bytes.size);
    for (size_t k = 0; k < b->writes[i].count; k++)
        if (from->documents[k].size)
            data->rows.documents[k].data =
                data->bytes + (from->documents[k].data - from->bytes.data);
    m->base.drop = write_message_drop;
    m->alloc = t->alloc;
    m->data = data;
    m->outcome = mem_zalloc(t->alloc, MEM_MESSAGE, sizeof *m->outcome);
    CHECK(m->outcome);
    m->outcome->alloc = t->alloc;
    m->write = b->writes[i];
    b->in_engine[i] = &m->write;
    if (m->write.ids) m->write.ids = data->rows.ids;
    if (m->write.vectors) m->write.vectors = data->rows.vectors;
    if (m->write.documents) m->write.documents = data->rows.documents;
    return &m->base;
}

static int write_word(struct target *t, const char *word)
{
    struct root *s = t->state;
    struct host *h = s->hosts[s->current];
    struct batch b;
    struct sent sent[WORD_GROUPS];
    struct lab_oracle *o = &t->world->slots[s->current].oracle;
    bool are_answered = false;

    if (!h || batch_make(&b, o, word) != 0) return 0;
    t->fault_code = 0;
    s->batch = &b;
    for (size_t i = 0; i < b.count; i++) {
        struct error err = {0};
        struct message *m = make_message(s, t, &b, i);
        sent[i] = (struct sent){t, &b, i, o, false};
        m->reply = reply_create_callback(s->engine->scheduler, deliver, &sent[i], &err);
        CHECK(m->reply);
        actor_send(h->actor, m);
    }
    /* Timers are due at the earliest after what the clock stands at: the end shows as idleness. */
    for (int idle = 0; !are_answered && idle < 3; idle += !engine_poll(s->engine, 0)) {
        are_answered = true;
        for (size_t i = 0; i < b.count; i++) are_answered = are_answered && sent[i].is_answered;
    }
    s->batch = NULL;
    int rc = s->has_failed ? -1 : batch_finish(&b, t);
    CHECK(are_answered || rc != 0);
    batch_deinit(&b);
    return rc;
}

/* ---- the other words ---- */

static void promise_all(struct lab_oracle *o, uint64_t lsn)
{
    if (lsn > o->promise.power) o->promise.power = (uint16_t)lsn;
    if (lsn > o->promise.kill) o->promise.kill = (uint16_t)lsn;
}

static int order(struct target *t, struct order_message *m, struct error *err)
{
    struct root *s = t->state;
    struct host *h = s->hosts[s->current];

    if (h) return engine_order_host(h, m, err);
    message_drop(&m->base, LYNSE_NOT_FOUND);
    return 0;
}

static int flush_word(struct target *t, bool retire_log, struct error *err)
{
    struct root *s = t->state;
    struct lab_oracle *o = &t->world->slots[s->current].oracle;
    struct order_message *m = engine_order(s->engine, KIND_FLUSH, err);

    m->retire_log = retire_log;
    if (order(t, m, err) != 0) return -1;
    if (!s->hosts[s->current]) return 0;
    promise_all(o, o->lsn);
    o->promise.vouched = (uint16_t)o->lsn;
    return 0;
}

static int sync_word(struct target *t, struct error *err)
{
    struct root *s = t->state;
    struct lab_oracle *o = &t->world->slots[s->current].oracle;

    if (order(t, engine_order(s->engine, KIND_SYNC, err), err) != 0) return -1;
    if (s->hosts[s->current] && o->level != SYNC_NONE) promise_all(o, o->lsn);
    return 0;
}

static int mode_word(struct target *t, const char *word, struct error *err)
{
    struct root *s = t->state;
    struct lab_oracle *o = &t->world->slots[s->current].oracle;
    struct order_message *m = engine_order(s->engine, KIND_SET_SYNC, err);
    uint8_t level = word_level(word);

    if (!m) return -1;
    m->level = level;
    m->interval_ms = 10;
    if (order(t, m, err) != 0) return -1;
    if (!s->hosts[s->current]) return 0;
    if (o->level == SYNC_NONE && level != SYNC_NONE) promise_all(o, o->lsn);
    o->level = level;
    return 0;
}

static int manifest_word(struct target *t, enum message_kind kind, struct error *err)
{
    struct root *s = t->state;
    struct order_message *m = engine_order(s->engine, kind, err);

    m->metric = 2;
    m->plan.kind = INDEX_FLAT;
    return order(t, m, err);
}

static int graph_word(struct target *t, struct error *err)
{
    struct root *s = t->state;
    struct order_message *m = engine_order(s->engine, KIND_SET_INDEX, err);

    m->metric = 2;
    m->plan.kind = INDEX_HNSW;
    m->is_awaited = true;
    index_params_init(index_find(m->plan.kind), &m->plan.params);
    return order(t, m, err);
}

static int hook_word(struct target *t, bool is_drop, struct error *err)
{
    struct root *s = t->state;
    struct lab_oracle *o = &t->world->slots[s->current].oracle;
    struct installed_hook *h = NULL;

    if (!s->hosts[s->current]) return 0;
    h = hook_ask(o, s->engine->alloc, is_drop);
    if (!h) return 0;
    struct order_message *m = engine_order(s->engine, KIND_SET_HOOK, err);
    CHECK(m);
    m->hook = h;
    int rc = order(t, m, err);
    hook_answered(o, rc, err);
    return rc;
}

static int create_word(struct target *t, size_t slot, struct error *err)
{
    struct root *s = t->state;
    struct slot *w = &t->world->slots[slot];
    struct collection_options options = {
        .metric = 2, .sync_level = SYNC_ALWAYS, .sync_interval_ms = 100};

    s->current = slot;
    if (w->life != SLOT_NONE) return 0;
    oracle_init(&w->oracle, t->alloc, SYNC_ALWAYS);
    w->life = SLOT_CREATING;
    if (engine_create_collection(s->engine, "default", names[slot], &options, err) != 0) return -1;
    w->life = SLOT_LIVE;
    return open_host(t, slot, err);
}

static int drop_word(struct target *t, size_t slot, struct error *err)
{
    struct root *s = t->state;
    struct slot *w = &t->world->slots[slot];

    if (w->life != SLOT_LIVE || !s->hosts[slot]) return 0;
    engine_release_host(s->hosts[slot]);
    s->hosts[slot] = NULL;
    w->life = SLOT_DROPPING;
    if (engine_drop_collection(s->engine, "default", names[slot], err) != 0) return -1;
    oracle_deinit(&w->oracle);
    w->life = SLOT_NONE;
    return 0;
}

static int drop_all_word(struct target *t, struct error *err)
{
    struct root *s = t->state;

    close_hosts(s);
    for (size_t i = 0; i < WORLD_SLOTS; i++)
        if (t->world->slots[i].life == SLOT_LIVE) t->world->slots[i].life = SLOT_GOING;
    if (!catalog_has_database(&s->engine->catalog, "default")) return 0;
    if (engine_drop_database(s->engine, "default", err) != 0) return -1;
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        struct slot *w = &t->world->slots[i];
        if (w->life != SLOT_NONE) oracle_deinit(&w->oracle);
        w->life = SLOT_NONE;
    }
    return 0;
}

static int judge(struct target *t, bool is_fresh);

static int close_and_open(struct target *t, struct error *err)
{
    struct root *s = t->state;

    close_hosts(s);
    struct engine *e = s->engine;
    /* Its collections may still be looked at while they close. */
    int rc = engine_close(e, err);
    s->engine = NULL;
    for (size_t i = 0; i < WORLD_SLOTS && rc == 0; i++) {
        struct slot *w = &t->world->slots[i];
        if (w->life != SLOT_LIVE) continue;
        promise_all(&w->oracle, w->oracle.lsn);
        w->oracle.promise.vouched = (uint16_t)w->oracle.lsn;
    }
    struct error again = {0};
    if (open_target(t, &again) == 0) {
        /* A close that failed is a kill: whatever was not promised may be gone. */
        if (rc != 0 && judge(t, true) != 0) s->has_failed = true;
        return rc;
    }
    if (rc == 0) *err = again;
    return -1;
}

static int run_idle(struct target *t)
{
    struct root *s = t->state;

    while (engine_poll(s->engine, 0)) look(t);
    return s->has_failed ? -1 : 0;
}

/* As much free as this.  A look at the disk is half a second old at the most. */
static void set_free(struct target *t, uint64_t bytes)
{
    struct root *s = t->state;
    struct vfs_space space;

    if (!t->memory) return;
    vfs_memory_set_total(t->memory, DISK_BYTES);
    CHECK(vfs_dir_space(s->engine->root, &space, NULL) == 0);
    vfs_memory_set_total(t->memory, DISK_BYTES - space.free_bytes + bytes);
    manual_clock_advance(&s->clock, 500000);
}

/* Deletes, seals and closes must not notice, unless there is no reserve. */
static void fill_disk(struct target *t)
{
    struct root *s = t->state;

    set_free(t, 0);
    if (t->expects_faults || s->engine->space.has_reserve) return;
    t->expects_faults = s->lacks_reserve = true;
}

static void empty_disk(struct target *t)
{
    struct root *s = t->state;

    set_free(t, DISK_BYTES / 2);
    if (s->lacks_reserve) t->expects_faults = s->lacks_reserve = false;
}

static int perform_word(struct target *t, const char *word, struct error *err)
{
    struct root *s = t->state;
    size_t slot = strlen(word) > 2 ? (size_t)(word[strlen(word) - 1] - '0') : 0;

    if (strncmp(word, "create:", 7) == 0 && slot < WORLD_SLOTS) return create_word(t, slot, err);
    if (strcmp(word, "drop:all") == 0) return drop_all_word(t, err);
    if (strncmp(word, "drop:", 5) == 0 && slot < WORLD_SLOTS) return drop_word(t, slot, err);
    if (strncmp(word, "use:", 4) == 0 && slot < WORLD_SLOTS) s->current = slot;
    if (strcmp(word, "seal") == 0 || strcmp(word, "seal0") == 0) return flush_word(t, false, err);
    if (strcmp(word, "ckpt") == 0) return flush_word(t, true, err);
    if (strncmp(word, "sync", 4) == 0) return sync_word(t, err);
    if (strncmp(word, "mode:", 5) == 0) return mode_word(t, word, err);
    if (strcmp(word, "index") == 0) return manifest_word(t, KIND_SET_INDEX, err);
    if (strcmp(word, "graph") == 0) return graph_word(t, err);
    if (strcmp(word, "describe") == 0) return manifest_word(t, KIND_DESCRIBE, err);
    if (strcmp(word, "hook") == 0) return hook_word(t, false, err);
    if (strcmp(word, "unhook") == 0) return hook_word(t, true, err);
    if (strcmp(word, "close") == 0) return close_and_open(t, err);
    if (strcmp(word, "full") == 0) fill_disk(t);
    if (strcmp(word, "room") == 0) empty_disk(t);
    if (strcmp(word, "poll") == 0) (void)engine_poll(s->engine, 0);
    bool is_tick = strcmp(word, "tick") == 0 || strcmp(word, "mark") == 0;
    bool is_quiet = strcmp(word, "quiet") == 0;
    if (is_tick || is_quiet) manual_clock_advance(&s->clock, is_quiet ? 5000000 : 100000);
    if (is_tick || is_quiet || strcmp(word, "idle") == 0) return run_idle(t);
    return 0;
}

static int perform(struct target *t, const char *word)
{
    struct root *s = t->state;
    struct error err = {0};

    if (!s->engine) return 0; /* the disk failed while it was being opened again */
    int rc = *word == 'w' || *word == 'W' ? write_word(t, word) : perform_word(t, word, &err);
    look(t);
    if (s->has_failed) return -1;
    if (rc == 0 || (t->expects_faults && err.code)) return 0;
    return err.code ? target_fail(t, "'%s' answered %s: %s", word, error_name(err.code), err.text)
                    : -1;
}

/* ---- judging ---- */

struct root_leak {
    const struct catalog *catalog;
    bool has_reserve; /* a whole one: a part of one is left behind */
    char name[64];
};

static bool look_for_leak(void *ctx, const char *name)
{
    struct root_leak *l = ctx;
    char uuid[UUID_TEXT_BYTES];
    uint64_t epoch;

    if (strcmp(name, "LOCK") == 0) return true;
    if (strcmp(name, RESERVE_NAME) == 0 && l->has_reserve) return true;
    if (numbered_name_parse(name, "catalog-", &epoch) && epoch == l->catalog->epoch) return true;
    for (size_t i = 0; i < l->catalog->collection_count; i++) {
        uuid_format(&l->catalog->collections[i].uuid, uuid);
        if (strcmp(uuid, name) == 0) return true;
    }
    size_t n = strlen(name) < sizeof l->name ? strlen(name) : sizeof l->name - 1;
    memcpy(l->name, name, n);
    return false;
}

static int judge_slot(struct target *t, size_t i, bool is_fresh)
{
    struct root *s = t->state;
    struct slot *w = &t->world->slots[i];
    bool there = is_there(s, i);

    if (w->life == SLOT_NONE) return there ? target_fail(t, "collection %zu is back", i) : 0;
    if (!there && w->life == SLOT_LIVE) return target_fail(t, "collection %zu is gone", i);
    if (!s->hosts[i]) return 0; /* nobody knows whether it is there, until it is opened again */
    if (!s->hosts[i]->collection) return target_fail(t, "collection %zu is not open", i);
    return collection_judge(t, &w->oracle, s->hosts[i]->collection, is_fresh,
                            s->hosts[i]->seal != NULL);
}

static int judge(struct target *t, bool is_fresh)
{
    struct root *s = t->state;
    struct root_leak l = {0};
    struct error err = {0};

    if (!s->engine) return 0;
    for (size_t i = 0; i < WORLD_SLOTS; i++)
        if (judge_slot(t, i, is_fresh) != 0) return -1;
    if (t->expects_faults || t->world->is_media) return 0;
    l.catalog = &s->engine->catalog;
    l.has_reserve = s->engine->space.has_reserve;
    if (vfs_dir_list(s->engine->root, look_for_leak, &l, &err) != 0)
        return target_fail(t, "cannot list the root: %s", err.text);
    return l.name[0] ? target_fail(t, "'%s' is left behind in the root", l.name) : 0;
}

static void abandon(struct target *t)
{
    struct root *s = t->state;

    if (!s) return;
    if (s->engine) {
        close_hosts(s);
        (void)engine_close(s->engine, NULL);
    }
    mem_free(t->alloc, s);
    t->state = NULL;
}

static int touch(struct target *t)
{
    struct root *s = t->state;
    struct error err = {0};

    s->current = 0;
    while (s->current + 1 < WORLD_SLOTS && !s->hosts[s->current]) s->current++;
    if (!s->hosts[s->current] && create_word(t, 0, &err) != 0)
        return target_fail(t, "create: %s", err.text);
    if (perform(t, "w:z77") != 0 || perform(t, "w:-z|+z") != 0) return -1;
    close_hosts(s);
    int rc = engine_close(s->engine, &err);
    s->engine = NULL;
    abandon(t);
    return rc == 0 ? 0 : target_fail(t, "close: %s", err.text);
}

const struct target_ops root_target = {
    .name = "root",
    .slot_count = WORLD_SLOTS,
    .begin = begin,
    .open = open_target,
    .perform = perform,
    .look = look,
    .judge = judge,
    .touch = touch,
    .abandon = abandon,
};
