/* SPDX-License-Identifier: Apache-2.0 */
/* readers.c — a process that only reads, beside a live writer (L4).
 *
 * Two kinds of runs.  Inside the writer: between two operations of the writer somebody opens the
 * root for reading, whole.  Inside the reader: at chosen operations of a reader's open the writer
 * goes on with its history.  What a reader shows must be the state at the LSN that it says, and in
 * level `always` no LSN that a power cut could take (P3).
 */
#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"
#include "crashlab/programme.h"
#include "engine/engine.h"

enum { STEPS_MAX = 12 };

struct meeting {
    struct alloc *alloc;
    struct rng rng;
    struct disk disk;
    struct mount mount;
    struct world world;
    struct target writer;
    const char *words; /* the writer's, from the next one on */
    struct vfs *reader_fs;
    uint64_t reader_seed;
    /* Inside the reader: before its operations number steps[…] the writer performs a word. */
    uint64_t operation;
    uint64_t steps[STEPS_MAX];
    size_t step_count;
    bool is_inside_writer;
    bool is_reading;
    bool has_failed;
    char *why;
    char history[HISTORY_BYTES];
};

static int fail(struct meeting *m, const char *who, const char *what)
{
    if (!m->has_failed)
        snprintf(m->why, REPORT_BYTES, "reader beside a writer: %s: %s\n  history '%s'%s", who,
                 what, m->history, m->is_inside_writer ? ", reader inside the writer" : "");
    m->has_failed = true;
    return -1;
}

static void write_on(struct meeting *m)
{
    char word[WORD_BYTES];

    if (m->has_failed || !word_next(&m->words, word)) return;
    if (m->writer.ops->perform(&m->writer, word) != 0) fail(m, "writer", m->writer.why);
}

/* ---- the reader ---- */

static int judge_view(struct meeting *m, struct view *v, uint64_t least)
{
    struct lab_oracle *o = &m->world.slots[0].oracle;
    char why[WHY_BYTES];

    m->writer.ops->look(&m->writer);
    if (v->lsn > o->lsn || v->lsn < least)
        return snprintf(why, sizeof why, "shows LSN %llu of %zu, %llu at least",
                        (unsigned long long)v->lsn, o->lsn, (unsigned long long)least),
               fail(m, "reader", why);
    if (oracle_compare(o, v, (size_t)v->lsn, why) != 0) return fail(m, "reader", why);
    if (o->states[v->lsn].level == SYNC_ALWAYS && v->lsn > o->promise.power)
        return snprintf(why, sizeof why, "shows LSN %llu, only %u is durable",
                        (unsigned long long)v->lsn, o->promise.power),
               fail(m, "reader", why);
    return 0;
}

static void read_collection(struct meeting *m, struct engine *e, uint64_t least)
{
    struct error err = {0};
    struct host *h = NULL;
    struct view *v = NULL;

    if (engine_acquire_host(e, "default", "c0", &h, &err) != 0) {
        fail(m, "reader", err.text);
        return;
    }
    for (int i = 0; i < 2 && !m->has_failed; i++) {
        if (i == 1 && engine_refresh(e, &err) != 0) fail(m, "refresh", err.text);
        if (m->has_failed || engine_view(h, &v, &err) != 0) break;
        uint64_t lsn = v->lsn;
        if (judge_view(m, v, least) == 0) least = lsn;
        view_release(v);
    }
    engine_release_host(h);
}

static void read_all(struct meeting *m, struct vfs *fs)
{
    struct manual_clock clock;
    struct error err = {0};
    struct engine *e;
    struct engine_desc desc = {.path = DISK_PATH,
                               .read_only = true,
                               .is_inline = true,
                               .seed = ++m->reader_seed,
                               .vfs = fs,
                               .clock = &clock.base,
                               .alloc = m->alloc,
                               .search_threads = 1};
    uint64_t least = m->world.slots[0].oracle.promise.vouched; /* flushed, at the least */

    manual_clock_init(&clock, 1000000);
    m->is_reading = true;
    m->operation = 0;
    if (engine_open(&desc, &e, &err) != 0) {
        fail(m, "reader", err.text);
    } else {
        read_collection(m, e, least);
        (void)engine_close(e, NULL);
    }
    m->is_reading = false;
}

/* ---- meeting ---- */

static bool after_write(void *ctx, const struct vfs_op *op)
{
    struct meeting *m = ctx;

    (void)op;
    if (m->is_inside_writer && !m->is_reading && rng_below(&m->rng, 3) == 0 && !m->has_failed)
        read_all(m, m->mount.memory);
    return true;
}

static void watch_reader(void *ctx, enum faulty_kind kind)
{
    struct meeting *m = ctx;

    (void)kind;
    m->operation++;
    for (size_t i = 0; i < m->step_count && m->is_reading; i++)
        if (m->steps[i] == m->operation) write_on(m);
}

static void make_history(struct meeting *m)
{
    static const char *const words[] = {
        "w:a1",    "w:b2,c3", "w:d4|e5|-d", "w:-a", "w:+a",       "w:-b|-c",
        "w:+b,c6", "seal",    "ckpt",       "ckpt", "seal",       "describe",
        "tick",    "w:f7,g8", "w:#2",       "W:h9", "w:-f|i1|+f", "w:a2,b3,c4,d5,e6",
        "mark",    "sync",    "poll"};
    size_t size = 0, count = 8 + (size_t)rng_below(&m->rng, 16);

    for (size_t i = 0; i < count; i++)
        size += (size_t)snprintf(m->history + size, sizeof m->history - size, "%s%s", i ? " " : "",
                                 words[rng_below(&m->rng, sizeof words / sizeof *words)]);
    m->words = m->history;
}

static void meet(struct meeting *m)
{
    struct error err = {0};
    size_t first = (size_t)rng_below(&m->rng, 8);

    if (m->writer.ops->open(&m->writer, &err) != 0 ||
        m->writer.ops->perform(&m->writer, "create:0") != 0) {
        fail(m, "writer", err.text);
        return;
    }
    m->is_inside_writer = rng_chance(&m->rng, 0.3);
    if (m->is_inside_writer) {
        while (*m->words && !m->has_failed) write_on(m);
        return;
    }
    for (size_t i = 0; i < first; i++) write_on(m);
    while (*m->words && !m->has_failed) {
        /* A few bursts: readers do most of their operations at the beginning. */
        m->step_count = 1 + (size_t)rng_below(&m->rng, STEPS_MAX);
        for (size_t i = 0; i < m->step_count; i++) m->steps[i] = 1 + rng_below(&m->rng, 60);
        read_all(m, m->reader_fs);
        m->step_count = 0;
        write_on(m);
    }
}

static int run(struct alloc *a, uint64_t seed, char why[REPORT_BYTES])
{
    struct meeting *m = mem_zalloc(a, MEM_GENERAL, sizeof *m);

    CHECK(m);
    m->alloc = a;
    m->why = why;
    m->reader_seed = hash_u64(seed + 77);
    rng_init(&m->rng, hash_u64(seed));
    make_history(m);
    disk_init(&m->disk, a);
    world_init(&m->world, a);
    mount_init(&m->mount, &m->disk, true);
    m->writer = (struct target){.ops = &root_target,
                                .alloc = a,
                                .fs = mount_vfs(&m->mount),
                                .world = &m->world,
                                .seed = seed};
    m->writer.ops->begin(&m->writer);
    m->mount.after = after_write;
    m->mount.ctx = m;
    m->reader_fs = vfs_faulty_create(a, m->mount.memory);
    CHECK(m->reader_fs);
    vfs_faulty_on_operation(m->reader_fs, watch_reader, m);
    meet(m);
    m->is_reading = true; /* nobody comes any more */
    m->writer.ops->abandon(&m->writer);
    vfs_faulty_destroy(m->reader_fs);
    mount_deinit(&m->mount);
    world_deinit(&m->world);
    disk_deinit(&m->disk);
    int rc = m->has_failed ? -1 : 0;
    mem_free(a, m);
    return rc;
}

int readers_run(struct alloc *a, uint64_t seed, uint64_t runs, char why[REPORT_BYTES])
{
    for (uint64_t i = 0; i < runs; i++)
        if (run(a, hash_u64(seed) + i, why) != 0) return -1;
    return 0;
}
