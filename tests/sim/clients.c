/* SPDX-License-Identifier: Apache-2.0 */
/* clients.c — what clients ask for, by chance.  They send and go on; answers come to answers.c. */
#include "base/check.h"
#include "sim/sim.h"
#include "simd/metrics.h"

enum {
    LETTERS = 26,      /* integer ids that clients name; above are those that are given */
    BURST = 1100,      /* more than a mailbox holds */
    BUSY_LENGTH = 900, /* near its end: BUSY is an answer */
    DEADLINE_US_MAX = 5000,
    PAUSE_US_MAX = 300000,
};

static bool one_in(struct sim *s, uint64_t n)
{
    return rng_below(&s->rng, n) == 0;
}

/* ---- sending ---- */

static struct request *make_request(struct sim *s, enum message_kind kind, struct place *p)
{
    struct request *r = mem_zalloc(s->alloc, MEM_GENERAL, sizeof *r);

    CHECK(r);
    r->sim = s;
    r->id = ++s->counts.requests;
    r->kind = kind;
    r->place = p;
    if (p) r->name = p->name;
    if (p) r->settled_before = p->settled;
    r->next = s->requests;
    s->requests = r;
    return r;
}

/* The message could not be made: as far as the client knows, it was never sent. */
static struct request *give_up(struct sim *s, struct request *r, struct message *m)
{
    if (m) message_drop(m, LYNSE_NO_MEMORY);
    r->answers = 1;
    r->code = LYNSE_NO_MEMORY;
    if (!s->memory_has_failed) sim_fail(s, "no memory for a message");
    return r;
}

static struct request *send(struct sim *s, struct request *r, struct actor *to, struct message *m)
{
    struct error err = {0};

    r->reply = reply_create_callback(s->scheduler, answer_judge, r, &err);
    if (!r->reply) return give_up(s, r, m);
    m->reply = r->reply;
    m->deadline_us = r->deadline_us;
    r->may_be_busy = mailbox_length(&to->mailbox) > BUSY_LENGTH;
    s->in_flight++;
    if (r->kind == KIND_DROP_COLLECTION) s->drops_in_flight++;
    if (r->place) r->place->in_flight++;
    if (r->place && r->kind == KIND_WRITE) {
        r->place->weak_in_flight += r->group.level > SYNC_ALWAYS;
        r->place->auto_in_flight += r->group.is_auto ? r->group.count : 0;
    }
    sim_say(s, "send %llu: kind %d to %s", (unsigned long long)r->id, (int)r->kind,
            sim_names[r->name]);
    actor_send(to, m);
    return r;
}

/* ---- orders ---- */

static bool fill_order(struct sim *s, struct request *r, struct order_message *m)
{
    static const char text[] = "of the simulator";
    struct alloc *a = s->engine_alloc;

    switch (r->kind) {
    case KIND_FLUSH:
        m->retire_log = one_in(s, 2);
        return true;
    case KIND_SET_SYNC:
        m->level = r->level;
        m->interval_ms = 1 + (uint32_t)rng_below(&s->rng, 50);
        return true;
    case KIND_SET_INDEX:
        m->metric = METRIC_IP + (uint8_t)rng_below(&s->rng, 3);
        m->plan.kind = one_in(s, 2) ? INDEX_HNSW : INDEX_FLAT;
        m->is_awaited = one_in(s, 2);
        index_params_init(index_find(m->plan.kind), &m->plan.params);
        return true;
    case KIND_DESCRIBE:
        m->text = mem_copy_text(a, MEM_GENERAL, text, rng_below(&s->rng, sizeof text));
        return m->text != NULL;
    case KIND_INFO:
        m->status = mem_zalloc(a, MEM_GENERAL, sizeof *m->status);
        if (m->status) m->status->alloc = a;
        return m->status != NULL;
    default:
        return true;
    }
}

struct request *client_send(struct sim *s, enum message_kind kind, struct place *p)
{
    struct error err = {0};
    struct request *r = make_request(s, kind, p);
    struct order_message *m = engine_order(s->engine, kind, &err);

    if (kind == KIND_SET_SYNC) r->level = 1 + (uint8_t)rng_below(&s->rng, SYNC_NONE);
    if (!m || !fill_order(s, r, m)) return give_up(s, r, m ? &m->base : NULL);
    return send(s, r, p->host->actor, &m->base);
}

/* ---- the catalog ---- */

static void create_or_drop(struct sim *s, enum message_kind kind, size_t name)
{
    struct error err = {0};
    struct request *r = make_request(s, kind, NULL);
    struct catalog_message *m = engine_catalog_message(s->engine, kind, &err);

    r->name = name;
    if (!m) {
        (void)give_up(s, r, NULL);
        return;
    }
    memcpy(m->database, "default", sizeof "default");
    memcpy(m->name, sim_names[name], strlen(sim_names[name]) + 1);
    m->options = (struct collection_options){
        .metric = METRIC_L2,
        .sync_level =
            s->habits.level ? s->habits.level : 1 + (uint8_t)rng_below(&s->rng, SYNC_NONE),
        .sync_interval_ms = 1 + (uint32_t)rng_below(&s->rng, 20),
    };
    (void)send(s, r, s->engine->catalog_actor, &m->base);
}

/* ---- writes ---- */

/* One block: ids, vectors, documents, and what they point to. */
struct write_data {
    struct oracle_rows rows;
    uint8_t bytes[];
};

static struct write_data *copy_rows(struct sim *s, const struct oracle_group *g)
{
    struct oracle_rows rows;
    struct write_data *data;

    oracle_rows_make(&rows, s->alloc, g);
    data = mem_zalloc(s->engine_alloc, MEM_MESSAGE, sizeof *data + rows.bytes.size);
    if (data) {
        data->rows = rows;
        data->rows.bytes = (struct buf){0};
        if (rows.bytes.size) memcpy(data->bytes, rows.bytes.data, rows.bytes.size);
        for (size_t i = 0; i < g->count; i++)
            if (rows.documents[i].size)
                data->rows.documents[i].data =
                    data->bytes + (rows.documents[i].data - rows.bytes.data);
    }
    oracle_rows_deinit(&rows);
    return data;
}

static void fill_write(struct collection_write *w, const struct oracle_group *g,
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
}

struct request *client_write(struct sim *s, struct place *p, const struct oracle_group *g,
                             uint64_t deadline_us)
{
    struct error err = {0};
    struct request *r = make_request(s, KIND_WRITE, p);
    struct write_message *m = message_create(s->scheduler, sizeof *m, KIND_WRITE, MESSAGE_WRITE);

    r->group = *g;
    r->deadline_us = deadline_us;
    s->counts.writes++;
    if (!m) return give_up(s, r, NULL);
    m->base.drop = write_message_drop;
    m->alloc = s->engine_alloc;
    struct write_data *data = copy_rows(s, g);
    m->data = data;
    m->outcome = mem_zalloc(s->engine_alloc, MEM_MESSAGE, sizeof *m->outcome);
    if (m->outcome) m->outcome->alloc = s->engine_alloc;
    if (!data || !m->outcome) return give_up(s, r, &m->base);
    m->base.bytes += sizeof *data;
    fill_write(&m->write, g, &data->rows);
    if (collection_write_check(s->engine_alloc, &m->write, &err) != 0) {
        if (err.code != LYNSE_NO_MEMORY) sim_fail(s, "a write was refused: %s", err.text);
        return give_up(s, r, &m->base);
    }
    return send(s, r, p->host->actor, &m->base);
}

static bool has_id(const struct oracle_group *g, int id)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->ids[i] == id) return true;
    return false;
}

static void make_group(struct sim *s, struct place *p, struct oracle_group *g)
{
    size_t rows = 1 + rng_below(&s->rng, one_in(s, 4) ? ORACLE_ROWS : 3);
    int given = p->oracle.states[p->oracle.lsn].max_number + 1;

    *g = (struct oracle_group){.kind = (enum oracle_kind)rng_below(&s->rng, GROUP_RESTORE + 1)};
    if (one_in(s, 3)) g->kind = GROUP_PUT;
    g->is_large = one_in(s, 8);
    if (s->habits.asks_levels && one_in(s, 3)) g->level = 1 + (uint8_t)rng_below(&s->rng, SYNC_OS);
    if (given < LETTERS) given = LETTERS; /* another write may raise it meanwhile */
    given += (int)(p->auto_in_flight + rows);
    g->is_auto = g->kind == GROUP_ADD && one_in(s, 2) && given <= ORACLE_NUMBERS;
    while (g->count < rows) {
        int id = (int)rng_below(&s->rng, 2 * LETTERS);
        if (id >= LETTERS) id += ORACLE_NUMBERS - LETTERS;
        if (!g->is_auto && has_id(g, id)) continue;
        uint16_t value = 1 + (uint16_t)rng_below(&s->rng, ORACLE_UNNAMED - 1);
        g->ids[g->count] = id;
        g->values[g->count++] = g->is_auto ? value + ORACLE_UNNAMED : value;
    }
}

static void write_something(struct sim *s, struct place *p)
{
    struct oracle_group g;
    uint64_t deadline_us = 0;

    make_group(s, p, &g);
    if (s->habits.has_deadlines && one_in(s, 4))
        deadline_us = s->clock.now_us + 1 + rng_below(&s->rng, DEADLINE_US_MAX);
    struct request *r = client_write(s, p, &g, deadline_us);
    if (!s->habits.cancels || r->answers > 0 || !one_in(s, 6)) return;
    r->is_cancelled = true;
    reply_cancel(r->reply);
}

static void cancel_something(struct sim *s)
{
    for (struct request *r = s->requests; r; r = r->next) {
        if (r->answers > 0 || r->is_cancelled || one_in(s, 2)) continue;
        r->is_cancelled = true;
        reply_cancel(r->reply);
        return;
    }
}

static void burst(struct sim *s, struct place *p)
{
    sim_say(s, "burst to %s", sim_names[p->name]);
    for (int i = 0; i < BURST && !s->has_failed; i++) {
        struct oracle_group g;
        make_group(s, p, &g);
        (void)client_write(s, p, &g, 0);
    }
}

/* ---- choosing ---- */

static void order_something(struct sim *s, struct place *p)
{
    static const enum message_kind kinds[] = {
        KIND_SYNC, KIND_SYNC,     KIND_FLUSH,     KIND_FLUSH,    KIND_INFO,
        KIND_INFO, KIND_SET_SYNC, KIND_SET_INDEX, KIND_DESCRIBE, KIND_CHECK};
    enum message_kind kind = kinds[rng_below(&s->rng, sizeof kinds / sizeof *kinds)];

    (void)client_send(s, kind, p);
}

/* What never waits; p: a collection with a handle, or NULL. */
static void act_on(struct sim *s, struct place *p, size_t name)
{
    uint64_t what = rng_below(&s->rng, 100);
    bool is_full = s->in_flight >= s->habits.window;

    if (what < 3 && !is_full) create_or_drop(s, KIND_CREATE_COLLECTION, name);
    else if (what < 5 && !is_full && s->habits.drops) create_or_drop(s, KIND_DROP_COLLECTION, name);
    else if (what < 9 && s->habits.cancels) cancel_something(s);
    else if (!p) return;
    else if (what < 20) read_begin(s, p);
    else if (what < 40) read_go_on(s);
    else if (what < 48 && !is_full) order_something(s, p);
    else if (!is_full) write_something(s, p);
}

void client_meddle(struct sim *s)
{
    size_t name = rng_below(&s->rng, SIM_NAMES);

    if (s->is_dead || s->is_settling || !s->engine) return;
    if (s->habits.crashes && one_in(s, 400)) world_crash(s, one_in(s, 2));
    else if (!s->is_closing) act_on(s, place_with_host(s, name), name);
}

/* Things that are rare; false: nothing of them. */
static bool act_rarely(struct sim *s, struct place *p)
{
    const struct habits *h = &s->habits;
    bool is_failing = s->is_disk_failing || s->is_memory_failing;

    switch (rng_below(&s->rng, 240)) {
    case 0:
        if (h->crashes) world_crash(s, one_in(s, 2));
        return h->crashes;
    case 1:
        if (!h->reopens) return false;
        s->counts.reopens++;
        if (world_close(s) == 0) (void)world_open(s);
        return true;
    case 2:
    case 3:
        if (!h->fails_disk || is_failing) return false;
        world_fail_disk(s);
        return true;
    case 4:
    case 5:
        if (!h->fails_memory || is_failing) return false;
        world_fail_memory(s);
        return true;
    case 6:
        if (h->bursts && p) burst(s, p);
        return h->bursts;
    case 7:
    case 8:
        if (p && p->in_flight == 0) {
            read_end_all(s);
            world_release(s, p);
        }
        return true;
    case 9:
    case 10:
        manual_clock_advance(&s->clock, rng_below(&s->rng, PAUSE_US_MAX));
        return true;
    case 11:
        engine_reap(s->engine);
        return true;
    default:
        return false;
    }
}

void client_act(struct sim *s)
{
    size_t name = rng_below(&s->rng, SIM_NAMES);
    uint32_t number = catalog_number(s, name);
    struct place *p = place_with_host(s, name);

    if ((s->is_disk_failing || s->is_memory_failing) && s->counts.steps >= s->fault_ends_at)
        world_heal(s);
    if (act_rarely(s, p)) return;
    bool is_current = p && p->number == number;
    if (number && !is_current && one_in(s, 3)) (void)world_acquire(s, name);
    else if (!number && one_in(s, 3) && s->in_flight < s->habits.window)
        create_or_drop(s, KIND_CREATE_COLLECTION, name);
    else act_on(s, p, name);
}
