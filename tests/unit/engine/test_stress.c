/* SPDX-License-Identifier: Apache-2.0 */
/* test_stress.c — many threads on one root for some seconds: for ThreadSanitizer, and for whatever
 * only time finds.  `test_stress [SECONDS]`, or LYNSE_TEST_SECONDS; 5 otherwise; LYNSE_TEST_LONG
 * doubles them.
 *
 * Each writer owns ids of its own, so that it knows what it must read.  A record's fields name the
 * version that its vector has: a reader sees both of one write or of none.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/rng.h"
#include "lynse.h"
#include "support/temp_dir.h"
#include "support/test.h"

enum {
    WRITERS = 4,
    READERS = 4,
    CHURNERS = 3,
    THREADS = WRITERS + READERS + CHURNERS + 1,
    COLLECTIONS = 2,
    IDS = 64, /* of one writer */
    DIM = 8,
    ROUND_SECONDS = 3,
};

static double run_seconds = 5;
static uint64_t run_seed;

struct world {
    struct lynse *db;
    struct lynse_collection *docs[COLLECTIONS];
    _Atomic(bool) is_over;
    _Atomic(uint64_t) write_count, read_count, churn_count;
    _Atomic(uint64_t) seal_count; /* asked for; full tails are sealed besides */
    _Atomic(int64_t) waiting;     /* writes that do not wait */
};

/* What a writer knows of its ids in one collection. */
struct owned {
    uint8_t version[IDS]; /* 0: never written */
    bool is_live[IDS];
};

struct worker {
    struct world *world;
    unsigned number;
    struct rng rng;
    struct owned owned[COLLECTIONS];
};

/* Not cmocka's: this is called on threads of our own. */
#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (condition) break;                                                                      \
        fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        abort();                                                                                   \
    } while (0)
#define MUST_BE_OK(call, err) MUST((call) == LYNSE_OK, "%s", (err)->text)

/* ---- rows ---- */

struct row {
    uint64_t number;
    float vector[DIM];
    uint8_t map[4]; /* {"v": version} */
    struct lynse_bytes fields;
};

static void fill_row(struct row *r, uint64_t number, uint8_t version)
{
    r->number = number;
    for (size_t i = 0; i < DIM; i++) r->vector[i] = version;
    memcpy(r->map, (uint8_t[]){0x81, 0xa1, 'v', version}, 4);
    r->fields = (struct lynse_bytes){r->map, 4};
}

static struct lynse_rows rows_of(const struct row *r)
{
    return (struct lynse_rows){
        .dim = DIM, .count = 1, .numbers = &r->number, .vectors = r->vector, .fields = &r->fields};
}

static void check_hits(const struct lynse_hits *hits)
{
    for (size_t i = 0; i < hits->count; i++) {
        uint8_t version = ((const uint8_t *)hits->fields[i].data)[3];
        for (size_t k = 0; k < DIM; k++)
            MUST(hits->vectors[i * DIM + k] == version, "row %zu is torn", i);
    }
}

/* ---- writers ---- */

static void check_own(struct worker *w, size_t c, size_t i)
{
    struct lynse_error err = {0};
    struct lynse_hits *hits;
    struct lynse_id id = {.number = w->number * IDS + i};
    const struct owned *o = &w->owned[c];
    MUST_BE_OK(
        lynse_get(w->world->docs[c], &id, 1, LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS, &hits, &err),
        &err);
    MUST(hits->count == o->is_live[i], "id %llu", (unsigned long long)id.number);
    check_hits(hits);
    if (hits->count) MUST(hits->vectors[0] == o->version[i], "an old version");
    lynse_hits_free(hits);
}

static void write_one(struct worker *w)
{
    struct lynse_error err = {0};
    struct lynse_write_result result;
    size_t c = (size_t)rng_below(&w->rng, COLLECTIONS), i = (size_t)rng_below(&w->rng, IDS);
    struct lynse_collection *docs = w->world->docs[c];
    struct owned *o = &w->owned[c];
    struct lynse_id id = {.number = w->number * IDS + i};
    struct lynse_write_options options = {.sync = (uint32_t)rng_below(&w->rng, 4)};
    struct row row;
    fill_row(&row, id.number, (uint8_t)(1 + rng_below(&w->rng, 100)));
    struct lynse_rows rows = rows_of(&row);
    switch (rng_below(&w->rng, 5)) {
    case 0:
        MUST_BE_OK(lynse_delete(docs, &id, 1, &options, &result, &err), &err);
        MUST(result.row_count == o->is_live[i], "deleted %llu", (unsigned long long)id.number);
        o->is_live[i] = false;
        break;
    case 1:
        MUST_BE_OK(lynse_restore(docs, &id, 1, &options, &result, &err), &err);
        MUST(result.row_count == (o->version[i] && !o->is_live[i]), "restored");
        o->is_live[i] = o->version[i] != 0;
        break;
    case 2:
        if (lynse_add(docs, &rows, &options, &result, &err) == LYNSE_OK) {
            MUST(!o->is_live[i], "added twice");
            o->is_live[i] = true;
            o->version[i] = row.map[3];
        } else {
            MUST(err.code == LYNSE_ALREADY_EXISTS && o->is_live[i], "%s", err.text);
        }
        break;
    default:
        MUST_BE_OK(lynse_upsert(docs, &rows, &options, &result, &err), &err);
        o->is_live[i] = true;
        o->version[i] = row.map[3];
        break;
    }
    check_own(w, c, i);
    atomic_fetch_add(&w->world->write_count, 1);
}

static void *run_writer(void *arg)
{
    struct worker *w = arg;
    while (!atomic_load(&w->world->is_over)) write_one(w);
    for (size_t c = 0; c < COLLECTIONS; c++)
        for (size_t i = 0; i < IDS; i++) check_own(w, c, i);
    return NULL;
}

/* ---- readers ---- */

static void walk(struct lynse_collection *docs, uint32_t flags)
{
    struct lynse_error err = {0};
    struct lynse_scan *scan;
    bool seen[WRITERS * IDS] = {false};
    MUST_BE_OK(lynse_scan_begin(docs, flags | LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS, &scan, &err),
               &err);
    for (;;) {
        struct lynse_hits *hits;
        MUST_BE_OK(lynse_scan_next(scan, 50, &hits, &err), &err);
        bool is_end = hits->count == 0;
        check_hits(hits);
        for (size_t i = 0; i < hits->count; i++) {
            if (hits->numbers[i] >= WRITERS * IDS) continue;
            MUST(!seen[hits->numbers[i]], "id %llu is there twice",
                 (unsigned long long)hits->numbers[i]);
            seen[hits->numbers[i]] = true;
        }
        lynse_hits_free(hits);
        if (is_end) break;
    }
    lynse_scan_free(scan);
}

static void find(struct lynse_collection *docs, bool in_steps)
{
    struct lynse_error err = {0};
    struct lynse_hits *hits = NULL;
    struct lynse_search *search;
    float query[DIM] = {50};
    struct lynse_search_desc desc = {.vector = query,
                                     .dim = DIM,
                                     .k = 20,
                                     .flags = LYNSE_WITH_FIELDS | LYNSE_WITH_VECTORS,
                                     .error = &err};
    if (in_steps) {
        int code;
        MUST_BE_OK(lynse_search_begin(docs, &desc, &search), &err);
        while ((code = lynse_search_step(search, 1, &hits)) == LYNSE_MORE) continue;
        MUST_BE_OK(code, &err);
    } else {
        MUST_BE_OK(lynse_search(docs, &desc, &hits), &err);
    }
    check_hits(hits);
    for (size_t i = 1; i < hits->count; i++)
        MUST(hits->numbers[i] != hits->numbers[i - 1], "a hit twice");
    lynse_hits_free(hits);
}

static void *run_reader(void *arg)
{
    struct worker *w = arg;
    struct lynse_error err = {0};
    while (!atomic_load(&w->world->is_over)) {
        struct lynse_collection *docs = w->world->docs[rng_below(&w->rng, COLLECTIONS)];
        struct lynse_names *names;
        struct lynse_collection_info info = {0};
        switch (rng_below(&w->rng, 6)) {
        case 0:
            walk(docs, 0);
            break;
        case 1:
            walk(docs, LYNSE_SCAN_DELETED);
            break;
        case 2:
            MUST_BE_OK(lynse_list_fields(docs, &names, &err), &err);
            lynse_names_free(names);
            break;
        case 3:
            MUST_BE_OK(lynse_collection_info(docs, &info, &err), &err);
            MUST(info.flushed_lsn <= info.durable_lsn && info.durable_lsn <= info.applied_lsn,
                 "watermarks");
            break;
        default:
            find(docs, rng_chance(&w->rng, 0.5));
            break;
        }
        atomic_fetch_add(&w->world->read_count, 1);
    }
    return NULL;
}

/* ---- upkeep, and collections that come and go ---- */

static void *run_upkeep(void *arg)
{
    struct worker *w = arg;
    struct lynse_error err = {0};
    static const char *const modes[] = {"FLAT-L2", "FLAT-IP", "FLAT-COS"};
    while (!atomic_load(&w->world->is_over)) {
        struct lynse_collection *docs = w->world->docs[rng_below(&w->rng, COLLECTIONS)];
        switch (rng_below(&w->rng, 6)) {
        case 0:
            MUST_BE_OK(lynse_flush(docs, &err), &err);
            atomic_fetch_add(&w->world->seal_count, 1);
            break;
        case 1:
            MUST_BE_OK(lynse_checkpoint(docs, &err), &err);
            atomic_fetch_add(&w->world->seal_count, 1);
            break;
        case 2:
            MUST_BE_OK(lynse_sync(w->world->db, &err), &err);
            break;
        case 3:
            MUST_BE_OK(lynse_build_index(docs, modes[rng_below(&w->rng, 3)], &err), &err);
            break;
        case 4:
            MUST_BE_OK(lynse_set_sync(docs, (uint32_t)(1 + rng_below(&w->rng, 4)), 10, &err), &err);
            break;
        default:
            MUST_BE_OK(lynse_collection_describe(docs, "busy", &err), &err);
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return NULL;
}

static bool is_gone(int code)
{
    return code == LYNSE_OK || code == LYNSE_NOT_FOUND || code == LYNSE_ALREADY_EXISTS;
}

static void write_and_leave(void *ctx, const struct lynse_write_result *result,
                            const struct lynse_error *error)
{
    struct world *world = ctx;
    MUST(!error || error->code == LYNSE_NOT_FOUND || error->code == LYNSE_ALREADY_EXISTS ||
             error->code == LYNSE_SHUTTING_DOWN || error->code == LYNSE_BUSY,
         "%s", error->text);
    MUST(error || result->row_count == 1, "a write of one row");
    atomic_fetch_sub(&world->waiting, 1);
}

/* Several of these meet at the same three names. */
static void *run_churner(void *arg)
{
    struct worker *w = arg;
    struct world *world = w->world;
    while (!atomic_load(&world->is_over)) {
        struct lynse_error err = {0};
        char name[32];
        struct lynse_collection *c = NULL;
        struct lynse_collection_desc desc = {.name = name, .dim = DIM};
        struct lynse_write_options later = {
            .sync = LYNSE_SYNC_OS, .done = write_and_leave, .done_ctx = world};
        struct row row;
        snprintf(name, sizeof name, "churn/c%u", (unsigned)rng_below(&w->rng, 3));
        fill_row(&row, rng_u64(&w->rng) >> 1, 9);
        struct lynse_rows rows = rows_of(&row);
        int code = lynse_collection_require(world->db, &desc, &c, &err);
        MUST(is_gone(code), "%s", err.text);
        if (code == LYNSE_OK) {
            code = lynse_add(c, &rows, NULL, NULL, &err);
            MUST(is_gone(code), "%s", err.text);
            row.number++;
            atomic_fetch_add(&world->waiting, 1);
            MUST_BE_OK(lynse_add(c, &rows, &later, NULL, &err), &err);
            code = lynse_flush(c, &err);
            MUST(is_gone(code), "%s", err.text);
            uint64_t count;
            code = lynse_count(c, &count, &err);
            MUST(is_gone(code), "%s", err.text);
            lynse_collection_close(c);
        }
        if (rng_chance(&w->rng, 0.2)) code = lynse_database_drop(world->db, "churn", &err);
        else if (rng_chance(&w->rng, 0.5)) code = lynse_collection_drop(world->db, name, &err);
        else code = lynse_sync(world->db, &err);
        MUST(is_gone(code), "%s", err.text);
        atomic_fetch_add(&world->churn_count, 1);
    }
    return NULL;
}

/* ---- the run ---- */

static void open_world(struct world *world, const char *path)
{
    struct lynse_error err = {0};
    struct lynse_open_desc open = {.path = path};
    MUST_BE_OK(lynse_open(&open, &world->db, &err), &err);
    for (size_t c = 0; c < COLLECTIONS; c++) {
        struct lynse_collection_desc desc = {.name = c == 0 ? "first" : "second", .dim = DIM};
        MUST_BE_OK(lynse_collection_require(world->db, &desc, &world->docs[c], &err), &err);
        MUST_BE_OK(lynse_set_sync(world->docs[c], LYNSE_SYNC_OS, 0, &err), &err);
    }
}

static void start(pthread_t *thread, void *(*run)(void *), struct worker *w, struct world *world,
                  unsigned number)
{
    w->world = world;
    w->number = number;
    rng_init(&w->rng, run_seed++);
    assert_int_equal(pthread_create(thread, NULL, run, w), 0);
}

static void check_all(struct world *world, struct worker *writers)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].world = world;
        for (size_t c = 0; c < COLLECTIONS; c++)
            for (size_t k = 0; k < IDS; k++) check_own(&writers[i], c, k);
    }
}

static void wait_for(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* Everybody works on one root, which is then closed with writes still on their way.  The first
 * WRITERS workers know what it holds, before and after. */
static void run_round(const char *path, double seconds, struct worker *workers, struct world *sum)
{
    struct world world = {0};
    pthread_t threads[THREADS];
    struct lynse_error err = {0};
    unsigned n = 0;
    open_world(&world, path);
    check_all(&world, workers);
    for (unsigned i = 0; i < WRITERS; i++, n++)
        start(&threads[n], run_writer, &workers[n], &world, i);
    for (unsigned i = 0; i < READERS; i++, n++)
        start(&threads[n], run_reader, &workers[n], &world, i);
    for (unsigned i = 0; i < CHURNERS; i++, n++)
        start(&threads[n], run_churner, &workers[n], &world, i);
    start(&threads[n], run_upkeep, &workers[n], &world, 0);
    wait_for(seconds);
    atomic_store(&world.is_over, true);
    for (unsigned i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    MUST_BE_OK(lynse_close(world.db, &err), &err);
    assert_int_equal(world.waiting, 0); /* close has answered all */
    sum->write_count += world.write_count;
    sum->read_count += world.read_count;
    sum->churn_count += world.churn_count;
    sum->seal_count += world.seal_count;
}

/* Rounds of ROUND_SECONDS or a little more, so that closing and opening are met often too. */
static void run_world(const char *path, double seconds)
{
    static struct worker workers[THREADS];
    struct world sum = {0};
    struct lynse_error err = {0};
    bool is_kept = strcmp(path, ":memory:") != 0;
    unsigned rounds = seconds < ROUND_SECONDS ? 1 : (unsigned)(seconds / ROUND_SECONDS);
    memset(workers, 0, sizeof workers);
    for (unsigned i = 0; i < rounds; i++) {
        if (!is_kept) memset(workers, 0, sizeof workers);
        run_round(path, seconds / rounds, workers, &sum);
    }
    print_message("%llu writes, %llu reads, %llu seals, %llu collections, %u closings\n",
                  (unsigned long long)sum.write_count, (unsigned long long)sum.read_count,
                  (unsigned long long)sum.seal_count, (unsigned long long)sum.churn_count, rounds);
    assert_true(sum.write_count > 0 && sum.read_count > 0);
    assert_true(sum.seal_count > 0 && sum.churn_count > 0);
    if (!is_kept) return;
    open_world(&sum, path);
    check_all(&sum, workers);
    MUST_BE_OK(lynse_close(sum.db, &err), &err);
}

static void a_busy_root_in_a_folder(void **state)
{
    char folder[TEMP_PATH_BYTES];
    (void)state;
    temp_dir_make(folder);
    run_world(folder, run_seconds * 0.6);
    temp_dir_remove(folder);
}

static void a_busy_root_in_memory(void **state)
{
    (void)state;
    run_world(":memory:", run_seconds * 0.4);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_root_in_a_folder),
        cmocka_unit_test(a_busy_root_in_memory),
    };
    const char *seconds = argc > 1 ? argv[1] : getenv("LYNSE_TEST_SECONDS");
    if (seconds && atof(seconds) > 0) run_seconds = atof(seconds);
    if (getenv("LYNSE_TEST_LONG")) run_seconds *= 2;
    run_seed = test_seed(1);
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
