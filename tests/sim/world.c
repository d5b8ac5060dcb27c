/* SPDX-License-Identifier: Apache-2.0 */
/* world.c — the engine on its disk: opened, closed, crashed, starved.
 *
 * WHAT        The scheduler's pump is wrapped, so that a blocking call of one client is a place
 *             where the others act and where every step is checked too.
 * INVARIANTS  (1) Whatever ends a run of the engine, every request of it is answered by then.
 *             (2) What the next run must recover is settled before it starts: place.floor.
 */
#include <errno.h>

#include "base/check.h"
#include "crashlab/images.h"
#include "sim/sim.h"

enum {
    IMAGES_TRIED = 40,
    STEPS_IN_CALL_MAX = 200000, /* a blocking call that takes longer never ends */
    FAULT_STEPS_MAX = 60,
    MEMORY_NTH_MAX = 150,
};

const char *const sim_names[SIM_NAMES] = {"c0", "c1", "c2"};

/* pump has no context of its own. */
static struct sim *running;

/* ---- the scheduler ---- */

static void stop_if_endless(struct sim *s)
{
    if (++s->steps_in_call < STEPS_IN_CALL_MAX) return;
    sim_fail(s, "a call does not return after %d steps", STEPS_IN_CALL_MAX);
    CHECK(!"a call does not return"); /* nothing can unwind it */
}

static bool pump(struct scheduler *scheduler, uint64_t until_us, uint64_t *out_next_us)
{
    struct sim *s = running;
    bool has_acted = false;

    if (s->depth > 0) {
        stop_if_endless(s);
        if (!s->has_failed && rng_below(&s->rng, 4) == 0) {
            client_meddle(s);
            has_acted = true;
        }
    }
    bool has_run = s->inner->pump(scheduler, until_us, out_next_us);
    if (has_run) {
        s->counts.steps++;
        if (!s->has_failed) (void)invariants_check(s);
    }
    return has_run || has_acted;
}

/* A blocking call begins; what is pumped meanwhile is other clients' time. */
static void begin_call(struct sim *s)
{
    s->depth++;
    s->steps_in_call = 0;
}

static void end_call(struct sim *s)
{
    s->depth--;
}

/* ---- the disk ---- */

/* A failed sync: what the cache still shows will never be on the disk, and a kill may show that. */
static void lose(void *ctx, struct vfs_file *f, const char *name)
{
    struct sim *s = ctx;

    (void)name;
    disk_lose(&s->disk, mount_inode(&s->mount, f));
    for (struct place *p = s->places; p; p = p->next)
        p->oracle.promise.kill = p->oracle.promise.power;
}

static bool has_power(void *ctx, const struct vfs_op *op)
{
    const struct sim *s = ctx;
    (void)op;
    return !s->is_dead;
}

static void mount_disk(struct sim *s)
{
    mount_init(&s->mount, &s->disk, true);
    s->mount.after = has_power;
    s->mount.ctx = s;
    s->fs = vfs_faulty_create(s->alloc, mount_vfs(&s->mount));
    CHECK(s->fs);
    vfs_faulty_on_lost(s->fs, lose, s);
    vfs_faulty_on_operation(s->fs, invariants_glimpse, s);
}

static void unmount_disk(struct sim *s)
{
    vfs_faulty_destroy(s->fs);
    s->fs = NULL;
    mount_deinit(&s->mount);
}

void world_begin(struct sim *s)
{
    struct error err = {0};

    running = s;
    s->alloc = alloc_create(&(struct alloc_hooks){0}, 0);
    s->engine_alloc = alloc_create(&(struct alloc_hooks){0}, 0);
    CHECK(s->alloc && s->engine_alloc);
    manual_clock_init(&s->clock, 1000000);
    struct sim_scheduler_desc desc = {
        .alloc = s->engine_alloc,
        .clock = &s->clock,
        .seed = rng_u64(&s->rng),
        .policy = s->habits.policy,
        .step_us_max = s->habits.step_us_max,
        .delay_us_max = s->habits.delay_us_max,
    };
    s->scheduler = sim_scheduler_create(&desc, &err);
    CHECK(s->scheduler);
    s->inner = s->scheduler->ops;
    s->ops = *s->inner;
    s->ops.pump = pump;
    s->scheduler->ops = &s->ops;
    disk_init(&s->disk, s->alloc);
    mount_disk(s);
}

static void free_records(struct sim *s)
{
    while (s->requests) {
        struct request *r = s->requests;
        s->requests = r->next;
        mem_free(s->alloc, r);
    }
    while (s->places) {
        struct place *p = s->places;
        s->places = p->next;
        oracle_deinit(&p->oracle);
        mem_free(s->alloc, p);
    }
}

void world_end(struct sim *s)
{
    const struct reply_counters *c = &s->scheduler->replies;

    s->counts.simulated_us = s->clock.now_us;
    if (atomic_load_relaxed(&c->completed_twice) || atomic_load_relaxed(&c->forgotten))
        sim_fail(s, "%llu replies completed twice, %llu forgotten",
                 (unsigned long long)atomic_load_relaxed(&c->completed_twice),
                 (unsigned long long)atomic_load_relaxed(&c->forgotten));
    scheduler_destroy(s->scheduler);
    s->scheduler = NULL;
    if (alloc_used_bytes(s->engine_alloc) != 0)
        sim_fail(s, "%zu bytes of the engine's are left", alloc_used_bytes(s->engine_alloc));
    if (s->has_failed) return;
    free_records(s);
    unmount_disk(s);
    disk_deinit(&s->disk);
    alloc_destroy(s->engine_alloc);
    alloc_destroy(s->alloc);
}

/* ---- places ---- */

uint32_t catalog_number(const struct sim *s, size_t name)
{
    const struct catalog_collection *entry =
        catalog_find(&s->engine->catalog, "default", sim_names[name]);
    return entry ? entry->number : 0;
}

struct place *place_of(struct sim *s, uint32_t number, size_t name)
{
    struct place *p = s->places;

    while (p && p->number != number) p = p->next;
    if (p) return p;
    p = mem_zalloc(s->alloc, MEM_GENERAL, sizeof *p);
    CHECK(p);
    p->number = number;
    p->name = name;
    p->is_exact = true;
    oracle_init(&p->oracle, s->alloc, SYNC_ALWAYS);
    p->next = s->places;
    s->places = p;
    return p;
}

/* Also of a collection that was dropped meanwhile. */
struct place *place_with_host(struct sim *s, size_t name)
{
    struct place *p = s->places;

    while (p && !(p->name == name && p->host)) p = p->next;
    return p;
}

int world_acquire(struct sim *s, size_t name)
{
    struct error err = {0};
    struct host *h = NULL;
    bool was_there = catalog_number(s, name) != 0,
         was_failing = s->is_disk_failing || s->is_memory_failing;

    begin_call(s);
    int rc = engine_acquire_host(s->engine, "default", sim_names[name], &h, &err);
    end_call(s);
    if (s->is_dead) {
        if (rc == 0) engine_release_host(h);
        return -1;
    }
    sim_say(s, "open %s: %s", sim_names[name], rc == 0 ? "done" : err.text);
    if (rc == 0) {
        struct place *p = place_of(s, h->entry.number, name);
        if (p->host) engine_release_host(h);
        else p->host = h;
        return 0;
    }
    bool is_excused = was_failing || world_disk_has_failed(s) || s->memory_has_failed;
    bool is_dropped = err.code == LYNSE_NOT_FOUND && (!was_there || s->habits.drops);
    if (err.code != LYNSE_INTERNAL && (is_dropped || is_excused)) return -1;
    return sim_fail(s, "open %s: %s: %s", sim_names[name], error_name(err.code), err.text);
}

void world_release(struct sim *s, struct place *p)
{
    sim_say(s, "release %s", sim_names[p->name]);
    engine_release_host(p->host);
    p->host = NULL;
}

/* ---- open ---- */

static int try_open(struct sim *s, struct error *err)
{
    struct engine_desc desc = {
        .path = DISK_PATH,
        .sync_level = SYNC_ALWAYS,
        .seed = hash_u64(s->seed) ^ ++s->open_count,
        .vfs = s->fs,
        .clock = &s->clock.base,
        .scheduler = s->scheduler,
        .alloc = s->engine_alloc,
        .search_threads = 1,
        .measures_recall = true,
    };

    begin_call(s);
    int rc = engine_open(&desc, &s->engine, err);
    end_call(s);
    if (rc != 0) s->engine = NULL;
    return rc;
}

/* What the catalog holds against what it held. */
static int judge_catalog(struct sim *s)
{
    s->live_at_open = 0;
    for (size_t i = 0; i < SIM_NAMES; i++) {
        uint32_t number = catalog_number(s, i);
        if (number != s->numbers[i] && !s->is_catalog_unsure && s->open_count > 1)
            return sim_fail(s, "%s is number %u after opening, it was %u", sim_names[i], number,
                            s->numbers[i]);
        s->numbers[i] = number;
        s->live_at_open += number != 0;
    }
    s->first_number = s->engine->catalog.next_number;
    s->created = s->dropped = 0;
    s->is_catalog_unsure = false;
    return 0;
}

int world_open(struct sim *s)
{
    struct error err = {0};

    s->is_closing = s->is_dead = false;
    s->disk_has_failed = false;
    s->memory_has_failed = s->is_memory_failing;
    int rc = try_open(s, &err);
    sim_say(s, "open: %s", rc == 0 ? "done" : err.text);
    if (rc != 0 && (s->is_disk_failing || s->is_memory_failing) && err.code != LYNSE_INTERNAL) {
        /* An open that failed leaves nothing that stands in the way of the next one. */
        world_heal(s);
        rc = try_open(s, &err);
        s->disk_has_failed = s->memory_has_failed = false;
    }
    if (rc != 0) return sim_fail(s, "cannot open: %s: %s", error_name(err.code), err.text);
    return judge_catalog(s);
}

/* ---- close ---- */

static void release_places(struct sim *s)
{
    for (struct place *p = s->places; p; p = p->next) {
        if (p->host) engine_release_host(p->host);
        p->is_released = true;
    }
}

/* (2); is_clean: every collection said that all of it is durable. */
static void settle_places(struct sim *s, bool is_clean)
{
    for (struct place *p = s->places; p; p = p->next) {
        p->host = NULL;
        p->is_released = false;
        p->glimpsed = 0;
        bool was_open = p->is_judged;
        p->is_judged = false;
        /* A crash has settled it; and what was not opened is as it was. */
        if (s->is_dead || !was_open) continue;
        if (is_clean) p->oracle.promise.kill = p->oracle.promise.power = (uint16_t)p->settled;
        p->is_exact = is_clean;
        p->floor = p->oracle.promise.kill;
    }
}

static int check_answered(struct sim *s)
{
    if (s->in_flight == 0) return 0;
    for (const struct request *r = s->requests; r; r = r->next)
        if (r->answers == 0)
            return sim_fail(s, "request %llu of kind %d was not answered when all had ended",
                            (unsigned long long)r->id, (int)r->kind);
    return sim_fail(s, "%zu requests are not answered", s->in_flight);
}

int world_close(struct sim *s)
{
    struct error err = {0};

    read_end_all(s);
    release_places(s);
    s->is_closing = true;
    begin_call(s);
    int rc = engine_close(s->engine, &err);
    end_call(s);
    s->engine = NULL;
    sim_say(s, "close: %s", rc == 0 ? "done" : err.text);
    if (!s->has_failed && check_answered(s) != 0) return -1;
    if (rc != 0 && !s->is_dead && !world_disk_has_failed(s) && !s->memory_has_failed)
        return sim_fail(s, "close: %s: %s", error_name(err.code), err.text);
    settle_places(s, rc == 0);
    if (s->is_dead) {
        world_heal(s);
        unmount_disk(s);
        disk_deinit(&s->disk);
        s->disk = s->next_disk;
        mount_disk(s);
        s->is_dead = false;
    }
    return s->has_failed ? -1 : 0;
}

/* ---- what breaks ---- */

void world_crash(struct sim *s, bool is_kill)
{
    if (s->is_dead) return;
    if (is_kill) {
        disk_copy(&s->next_disk, &s->disk);
    } else {
        struct images images;
        images_make(&images, &s->disk, IMAGES_TRIED, &s->rng);
        disk_cut(&s->next_disk, &s->disk, &images.list[rng_below(&s->rng, images.count)]);
    }
    for (struct place *p = s->places; p; p = p->next) {
        if (!is_kill) p->oracle.promise.kill = p->oracle.promise.power;
        p->is_exact = false;
        p->floor = p->oracle.promise.kill;
    }
    s->is_dead = true;
    s->counts.crashes++;
    sim_say(s, "crash: %s", is_kill ? "kill" : "power cut");
}

void world_fail_disk(struct sim *s)
{
    static const int errors[] = {EIO, EIO, ENOSPC, ENOSPC, EDQUOT, EMFILE, EROFS};
    static const unsigned kinds[] = {FAULTY_WRITE,
                                     FAULTY_SYNC,
                                     FAULTY_WRITE | FAULTY_SYNC,
                                     FAULTY_OPEN | FAULTY_RENAME | FAULTY_DIR_SYNC,
                                     FAULTY_UNLINK | FAULTY_CLOSE | FAULTY_TRUNCATE,
                                     FAULTY_READ | FAULTY_MAP | FAULTY_SIZE | FAULTY_LIST,
                                     FAULTY_ALL & ~FAULTY_LOCK};
    struct faulty_plan plan = {
        .kinds = kinds[rng_below(&s->rng, sizeof kinds / sizeof *kinds)],
        .os_errno = errors[rng_below(&s->rng, sizeof errors / sizeof *errors)],
        .mode = (enum faulty_mode)rng_below(&s->rng, FAULTY_CHANCE + 1),
        .nth = 1 + rng_below(&s->rng, 30),
        .one_in = 1 + rng_below(&s->rng, 8),
        .seed = rng_u64(&s->rng),
        .is_short = rng_below(&s->rng, 2) == 0,
    };

    vfs_faulty_arm(s->fs, &plan);
    s->is_disk_failing = true;
    s->fault_ends_at = s->counts.steps + 1 + rng_below(&s->rng, FAULT_STEPS_MAX);
    s->counts.disk_faults++;
    sim_say(s, "disk fails: kinds 0x%x errno %d mode %d", plan.kinds, plan.os_errno,
            (int)plan.mode);
}

void world_fail_memory(struct sim *s)
{
    bool is_sticky = rng_below(&s->rng, 3) == 0;
    uint64_t nth = 1 + rng_below(&s->rng, MEMORY_NTH_MAX);

    alloc_fail_after(s->engine_alloc, nth, is_sticky);
    s->is_memory_failing = s->memory_has_failed = true;
    s->fault_ends_at = s->counts.steps + 1 + rng_below(&s->rng, FAULT_STEPS_MAX);
    s->counts.memory_faults++;
    sim_say(s, "memory fails: %llu%s", (unsigned long long)nth, is_sticky ? ", sticky" : "");
}

bool world_disk_has_failed(const struct sim *s)
{
    return s->disk_has_failed || (s->is_disk_failing && vfs_faulty_fired(s->fs) > 0);
}

void world_heal(struct sim *s)
{
    s->disk_has_failed = world_disk_has_failed(s);
    vfs_faulty_disarm(s->fs);
    alloc_fail_after(s->engine_alloc, 0, false);
    if (s->is_disk_failing || s->is_memory_failing) sim_say(s, "all works again");
    s->is_disk_failing = s->is_memory_failing = false;
}
