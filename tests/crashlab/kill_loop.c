/* SPDX-License-Identifier: Apache-2.0 */
/* kill_loop — a writing process is killed again and again; nothing acknowledged may be missing.
 *
 *   kill_loop [--kills N] [--seed S]
 *
 * The real file system, the public header, real threads.  It proves process death only: the page
 * cache survives a kill, so that nothing here says anything about power loss (crashlab does).
 *
 * Writer w performs its operations 0, 1, 2, … on ids of its own and waits for each; operation k
 * says what it does.  So its ids must be as after a operations, where a were acknowledged, or one
 * more: the one that was under way.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/thread.h"
#include "lynse.h"
#include "support/temp_dir.h"

enum { WRITERS = 4, COLLECTIONS = 2, IDS = 40, DIM = 4 };

/* Seen by both processes. */
struct ledger {
    _Atomic(uint64_t) acknowledged[WRITERS]; /* operations */
    _Atomic(int) is_broken;                  /* the child met an error */
    char text[300];
};
struct row {
    uint64_t operation; /* that wrote it, + 1; 0: never */
    int is_live;
};
struct writer {
    unsigned number;
    struct row rows[IDS]; /* as after `done` operations */
    uint64_t done;
};
struct job {
    struct ledger *ledger;
    struct lynse_collection *collection;
    unsigned number;
    uint64_t first;
};

static const char *const names[COLLECTIONS] = {"always", "os"};
static const uint32_t levels[COLLECTIONS] = {LYNSE_SYNC_ALWAYS, LYNSE_SYNC_OS};

/* ---- what operation k of a writer is ---- */

enum what { PUT, DELETE, RESTORE, FLUSH, CHECKPOINT };
struct operation {
    enum what what;
    uint64_t slot; /* of the writer's ids */
};

static struct operation operation_of(unsigned writer, uint64_t k)
{
    uint64_t h = hash_u64(k * WRITERS + writer + 12345);
    unsigned dice = (unsigned)(h >> 32) % 100;

    return (struct operation){dice < 70   ? PUT
                              : dice < 84 ? DELETE
                              : dice < 97 ? RESTORE
                              : dice < 99 ? FLUSH
                                          : CHECKPOINT,
                              h % IDS};
}

static void follow(struct writer *w)
{
    struct operation o = operation_of(w->number, w->done++);
    struct row *r = &w->rows[o.slot];

    if (o.what == PUT) *r = (struct row){w->done, 1};
    else if (o.what == DELETE) r->is_live = 0;
    else if (o.what == RESTORE) r->is_live = r->operation != 0;
}

static uint64_t id_of(unsigned writer, uint64_t slot)
{
    return writer * 1000 + slot;
}

/* The operation stands in the vector. */
static void vector_of(uint64_t operation, float out[DIM])
{
    for (int i = 0; i < DIM; i++) out[i] = (float)(operation >> (i * 12) & 0xfff);
}

/* ---- the child ---- */

static int perform(struct job *j, uint64_t k, struct lynse_error *err)
{
    struct operation o = operation_of(j->number, k);
    struct lynse_id id = {.number = id_of(j->number, o.slot)};
    float vector[DIM];

    vector_of(k + 1, vector);
    struct lynse_rows rows = {.dim = DIM, .count = 1, .ids = &id, .vectors = vector};
    switch (o.what) {
    case PUT:
        return lynse_upsert(j->collection, &rows, NULL, NULL, err);
    case DELETE:
        return lynse_delete(j->collection, &id, 1, NULL, NULL, err);
    case RESTORE:
        return lynse_restore(j->collection, &id, 1, NULL, NULL, err);
    case FLUSH:
        return lynse_flush(j->collection, err);
    case CHECKPOINT:
        return lynse_checkpoint(j->collection, err);
    }
    return 0;
}

static void write_for_ever(void *ctx)
{
    struct job *j = ctx;
    struct lynse_error err;

    for (uint64_t k = j->first;; k++) {
        if (perform(j, k, &err) != LYNSE_OK) {
            snprintf(j->ledger->text, sizeof j->ledger->text, "writer %u, operation %llu: %s",
                     j->number, (unsigned long long)k, err.text);
            atomic_store(&j->ledger->is_broken, 1);
            return;
        }
        atomic_store(&j->ledger->acknowledged[j->number], k + 1);
    }
}

static void run_child(const char *path, struct ledger *ledger, const struct writer *writers)
{
    struct lynse_open_desc open = {.path = path};
    struct lynse *db;
    struct lynse_error err;
    struct lynse_collection *collections[COLLECTIONS];
    struct job jobs[WRITERS];
    struct thread threads[WRITERS];

    CHECK(lynse_open(&open, &db, &err) == LYNSE_OK);
    for (int i = 0; i < COLLECTIONS; i++)
        CHECK(lynse_collection_open(db, names[i], &collections[i], &err) == LYNSE_OK);
    for (unsigned i = 0; i < WRITERS; i++) {
        struct error failed;
        jobs[i] = (struct job){ledger, collections[i % COLLECTIONS], i, writers[i].done};
        CHECK(thread_start(&threads[i], "writer", write_for_ever, &jobs[i], &failed) == 0);
    }
    for (;;) pause(); /* until the kill */
}

/* ---- the parent ---- */

static int complain(const char *what, const char *text)
{
    printf("FAILED %s: %s\n", what, text);
    return -1;
}

/* Rows of all writers of a collection as they are. */
static int read_rows(struct lynse_collection *c, struct row found[WRITERS][IDS])
{
    struct lynse_scan *scan;
    struct lynse_error err;
    int rc = -1;

    if (lynse_scan_begin(c, LYNSE_WITH_VECTORS, &scan, &err) != LYNSE_OK)
        return complain("scan", err.text);
    for (;;) {
        struct lynse_hits *hits;
        if (lynse_scan_next(scan, 64, &hits, &err) != LYNSE_OK) {
            complain("scan", err.text);
            break;
        }
        for (size_t i = 0; i < hits->count; i++) {
            uint64_t writer = hits->ids[i].number / 1000, slot = hits->ids[i].number % 1000;
            const float *v = hits->vectors + i * DIM;
            CHECK(writer < WRITERS && slot < IDS && !found[writer][slot].is_live);
            found[writer][slot] =
                (struct row){(uint64_t)v[0] | (uint64_t)v[1] << 12 | (uint64_t)v[2] << 24, 1};
        }
        size_t count = hits->count;
        lynse_hits_free(hits);
        if (count > 0) continue;
        rc = 0;
        break;
    }
    lynse_scan_free(scan);
    return rc;
}

static int is_as(const struct writer *w, const struct row found[IDS])
{
    for (int i = 0; i < IDS; i++) {
        if (w->rows[i].is_live != found[i].is_live) return 0;
        if (found[i].is_live && w->rows[i].operation != found[i].operation) return 0;
    }
    return 1;
}

/* All that was acknowledged is there, and at most one operation more. */
static int judge_writer(struct writer *w, const struct row found[IDS], uint64_t acknowledged)
{
    char text[160];

    while (w->done < acknowledged) follow(w);
    if (is_as(w, found)) return 0;
    follow(w);
    if (is_as(w, found)) return 0;
    snprintf(text, sizeof text, "writer %u: not as after %llu operations, nor after one more",
             w->number, (unsigned long long)acknowledged);
    return complain("lost", text);
}

static int judge(const char *path, const struct ledger *ledger, struct writer *writers)
{
    struct lynse_open_desc open = {.path = path, .mode = LYNSE_INLINE};
    struct lynse *db;
    struct lynse_error err;
    struct row found[WRITERS][IDS];
    int rc = 0;

    memset(found, 0, sizeof found);
    if (lynse_open(&open, &db, &err) != LYNSE_OK) return complain("open", err.text);
    for (int i = 0; i < COLLECTIONS && rc == 0; i++) {
        struct lynse_collection_desc desc = {
            .name = names[i], .dim = DIM, .metric = LYNSE_L2, .sync = levels[i]};
        struct lynse_collection *c;
        if (lynse_collection_require(db, &desc, &c, &err) != LYNSE_OK)
            rc = complain(names[i], err.text);
        else rc = read_rows(c, found);
    }
    for (unsigned i = 0; i < WRITERS && rc == 0; i++)
        rc = judge_writer(&writers[i], found[i], atomic_load(&ledger->acknowledged[i]));
    if (lynse_close(db, &err) != LYNSE_OK && rc == 0) rc = complain("close", err.text);
    return rc;
}

static void sleep_us(uint64_t us)
{
    struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    while (nanosleep(&t, &t) != 0) continue;
}

static int kill_once(const char *path, struct ledger *ledger, struct writer *writers,
                     struct rng *rng)
{
    int status = 0;

    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        run_child(path, ledger, writers);
        _exit(1);
    }
    /* Sometimes while it is still opening. */
    sleep_us(rng_below(rng, rng_chance(rng, 0.2) ? 5000 : 60000));
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        return complain("the writing process", "ended by itself");
    if (atomic_load(&ledger->is_broken)) return complain("the writing process", ledger->text);
    return judge(path, ledger, writers);
}

int main(int argc, char **argv)
{
    char path[TEMP_PATH_BYTES];
    struct writer writers[WRITERS];
    struct rng rng;
    uint64_t kills = 200, seed = 1, done = 0, sum = 0;
    int rc = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--kills") == 0) kills = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 10);
    }
    struct ledger *ledger =
        mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(ledger != MAP_FAILED);
    rng_init(&rng, seed);
    temp_dir_make(path);
    memset(writers, 0, sizeof writers);
    for (unsigned i = 0; i < WRITERS; i++) writers[i].number = i;
    rc = judge(path, ledger, writers); /* makes the collections */
    while (rc == 0 && done < kills) {
        rc = kill_once(path, ledger, writers, &rng);
        done += rc == 0;
    }
    for (int i = 0; i < WRITERS; i++) sum += writers[i].done;
    printf("%llu kills of a process that writes, %llu operations acknowledged, none missing; this "
           "proves process death only, not power loss\n",
           (unsigned long long)done, (unsigned long long)sum);
    printf("cases: %llu passed, %d failed\n", (unsigned long long)done, rc != 0);
    if (rc == 0) temp_dir_remove(path);
    else printf("the files are in %s\n", path);
    return rc != 0;
}
