/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/parker.h"
#include "actor/task_pool.h"

#include <sched.h>

#include "base/check.h"
#include "base/clock.h"
#include "support/oom_sweep.h"
#include "support/test.h"

/* A task that waits for a gate before it is done. */
struct gated {
    struct task task;     /* first */
    struct parker *gate;  /* NULL: none */
    struct parker *begun; /* NULL: nobody wants to know */
    unsigned steps_left;
    _Atomic(uint32_t) step_count;
    _Atomic(int) drop_code;
    _Atomic(uint32_t) is_done;
    struct parker *finished;
};

static bool gated_step(struct task *t, uint64_t budget_us)
{
    struct gated *g = (struct gated *)t;

    CHECK(budget_us > 0);
    atomic_fetch_add(&g->step_count, 1);
    if (g->begun) parker_wake(g->begun);
    if (g->gate) (void)parker_wait(g->gate, NULL, 0);
    if (g->steps_left > 1) {
        g->steps_left--;
        return false;
    }
    atomic_store(&g->is_done, 1);
    if (g->finished) parker_wake(g->finished);
    return true;
}

static void gated_drop(struct task *t, int code)
{
    atomic_store(&((struct gated *)t)->drop_code, code);
}

static struct gated gated_of(struct parker *gate, struct parker *begun)
{
    return (struct gated){
        .task = {.step = gated_step, .drop = gated_drop}, .gate = gate, .begun = begun};
}

static struct task_pool *make_pool(unsigned threads_max, size_t queue_max, uint32_t spin_us)
{
    struct task_pool_desc desc = {.alloc = alloc_libc(),
                                  .name = "test-pool",
                                  .threads_max = threads_max,
                                  .queue_max = queue_max,
                                  .spin_us = spin_us};
    struct error err = {0};
    struct task_pool *p = task_pool_create(&desc, &err);
    assert_ok(p ? 0 : -1, &err);
    return p;
}

static void a_full_pool_is_busy_at_once(void **state)
{
    struct task_pool *p = make_pool(1, 2, 0);
    struct parker gate, begun;
    struct gated g[4];
    struct error err = {0};

    (void)state;
    parker_init(&gate);
    parker_init(&begun);
    g[0] = gated_of(&gate, &begun);
    for (int i = 1; i < 4; i++) g[i] = gated_of(NULL, NULL);
    assert_ok(task_pool_submit(p, &g[0].task, &err), &err);
    (void)parker_wait(&begun, NULL, 0); /* it is out of the queue */
    assert_ok(task_pool_submit(p, &g[1].task, &err), &err);
    assert_ok(task_pool_submit(p, &g[2].task, &err), &err);
    assert_int_equal(task_pool_length(p), 2);
    assert_fails(task_pool_submit(p, &g[3].task, &err), &err, LYNSE_BUSY);
    parker_wake(&gate);
    task_pool_destroy(p);
    assert_int_equal(atomic_load(&g[3].step_count), 0);
    assert_int_equal(atomic_load(&g[3].drop_code), 0); /* it stayed ours */
    parker_deinit(&gate);
    parker_deinit(&begun);
}

static void destroying_drops_what_waits_and_lets_what_runs_end_its_slice(void **state)
{
    struct task_pool *p = make_pool(1, 8, 0);
    struct parker gate, begun;
    struct gated running, waiting;
    struct error err = {0};

    (void)state;
    parker_init(&gate);
    parker_init(&begun);
    running = gated_of(NULL, &begun);
    running.steps_left = UINT32_MAX; /* for ever, but in slices */
    waiting = gated_of(NULL, NULL);
    waiting.steps_left = UINT32_MAX;
    assert_ok(task_pool_submit(p, &running.task, &err), &err);
    (void)parker_wait(&begun, NULL, 0);
    assert_ok(task_pool_submit(p, &waiting.task, &err), &err);
    task_pool_destroy(p);
    assert_int_equal(atomic_load(&running.drop_code), LYNSE_SHUTTING_DOWN);
    assert_int_equal(atomic_load(&waiting.drop_code), LYNSE_SHUTTING_DOWN);
    assert_int_equal(atomic_load(&running.is_done), 0);
    parker_deinit(&gate);
    parker_deinit(&begun);
}

static void a_long_task_does_not_keep_others_waiting(void **state)
{
    struct task_pool *p = make_pool(1, 8, 0);
    struct parker begun, finished;
    struct gated endless, quick;
    struct error err = {0};

    (void)state;
    parker_init(&begun);
    parker_init(&finished);
    endless = gated_of(NULL, &begun);
    endless.steps_left = UINT32_MAX;
    quick = gated_of(NULL, NULL);
    quick.finished = &finished;
    assert_ok(task_pool_submit(p, &endless.task, &err), &err);
    (void)parker_wait(&begun, NULL, 0);
    assert_ok(task_pool_submit(p, &quick.task, &err), &err);
    (void)parker_wait(&finished, NULL, 0);
    assert_int_equal(atomic_load(&quick.is_done), 1);
    task_pool_destroy(p);
    assert_int_equal(atomic_load(&endless.drop_code), LYNSE_SHUTTING_DOWN);
    parker_deinit(&begun);
    parker_deinit(&finished);
}

static void tasks_that_block_get_as_many_threads_as_there_may_be(void **state)
{
    enum { THREADS = 3, ROUNDS = 300 };
    struct task_pool *p = make_pool(THREADS, 8, 50);
    struct parker gates[THREADS], begun[THREADS], finished[THREADS];
    struct error err = {0};

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        parker_init(&gates[i]);
        parker_init(&begun[i]);
        parker_init(&finished[i]);
    }
    for (int round = 0; round < ROUNDS; round++) { /* from the second on a thread may be spinning */
        struct gated g[THREADS];
        for (int i = 0; i < THREADS; i++) {
            g[i] = gated_of(&gates[i], &begun[i]);
            g[i].finished = &finished[i];
            assert_ok(task_pool_submit(p, &g[i].task, &err), &err);
        }
        for (int i = 0; i < THREADS; i++) (void)parker_wait(&begun[i], NULL, 0);
        for (int i = 0; i < THREADS; i++) parker_wake(&gates[i]);
        for (int i = 0; i < THREADS; i++) (void)parker_wait(&finished[i], NULL, 0);
    }
    task_pool_destroy(p);
    for (int i = 0; i < THREADS; i++) {
        parker_deinit(&gates[i]);
        parker_deinit(&begun[i]);
        parker_deinit(&finished[i]);
    }
}

/* Submitters and a pool that goes to sleep all the time: no task may be left behind. */
struct submitter {
    struct task_pool *pool;
    struct thread thread;
    struct parker finished; /* outlives the pool: the last wake may still be in it */
};

static void submit_and_wait(void *ctx)
{
    enum { ROUNDS = 3000 };
    struct submitter *s = ctx;

    for (int i = 0; i < ROUNDS; i++) {
        struct gated g = gated_of(NULL, NULL);
        g.finished = &s->finished;
        g.steps_left = (unsigned)i % 3;
        while (task_pool_submit(s->pool, &g.task, NULL) != 0) sched_yield();
        (void)parker_wait(&s->finished, NULL, 0);
        CHECK(atomic_load(&g.is_done) == 1 && atomic_load(&g.drop_code) == 0);
    }
}

static void no_task_is_left_behind(void **state)
{
    enum { SUBMITTERS = 3 };
    static const uint32_t spins_us[] = {0, 1, 50};

    (void)state;
    for (size_t k = 0; k < sizeof spins_us / sizeof spins_us[0]; k++) {
        struct task_pool *p = make_pool(2, 2, spins_us[k]);
        struct submitter s[SUBMITTERS];
        struct error err = {0};
        for (int i = 0; i < SUBMITTERS; i++) {
            s[i] = (struct submitter){.pool = p};
            parker_init(&s[i].finished);
            assert_ok(thread_start(&s[i].thread, "submit", submit_and_wait, &s[i], &err), &err);
        }
        for (int i = 0; i < SUBMITTERS; i++) thread_join(&s[i].thread);
        assert_int_equal(task_pool_length(p), 0);
        task_pool_destroy(p);
        for (int i = 0; i < SUBMITTERS; i++) parker_deinit(&s[i].finished);
    }
}

/* One submitter and one thread, with pauses about as long as a spin: nobody else would come for a
 * task that is overlooked when the thread goes to sleep. */
static void a_task_that_comes_at_the_end_of_a_spin_is_seen(void **state)
{
    enum { ROUNDS = 20000, SPIN_US = 2 };
    const struct clock *clock = clock_system();
    struct task_pool *p = make_pool(1, 2, SPIN_US);
    struct parker finished;
    struct error err = {0};

    (void)state;
    parker_init(&finished);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct gated g = gated_of(NULL, NULL);
        g.finished = &finished;
        assert_ok(task_pool_submit(p, &g.task, &err), &err);
        (void)parker_wait(&finished, NULL, 0);
        uint64_t end_us = clock_now_us(clock) + i % (2 * SPIN_US);
        while (clock_now_us(clock) < end_us) continue;
    }
    task_pool_destroy(p);
    parker_deinit(&finished);
}

static int create_pool(void *ctx, struct error *err)
{
    struct task_pool_desc desc = {
        .alloc = ctx, .name = "test-pool", .threads_max = 2, .queue_max = 2};
    struct task_pool *p = task_pool_create(&desc, err);
    task_pool_destroy(p);
    return p ? 0 : -1;
}

static void without_memory_creation_fails_cleanly(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);

    (void)state;
    oom_sweep(a, create_pool, a);
    alloc_destroy(a);
}

static void when_no_thread_can_be_started_the_task_stays_the_callers(void **state)
{
    struct task_pool *p = make_pool(1, 2, 0);
    struct gated g = gated_of(NULL, NULL);
    struct error err = {0};

    (void)state;
    alloc_fail_after(alloc_libc(), 1, false); /* what thread_start needs */
    assert_fails(task_pool_submit(p, &g.task, &err), &err, LYNSE_NO_MEMORY);
    alloc_fail_after(alloc_libc(), 0, false);
    assert_int_equal(task_pool_length(p), 0);
    assert_ok(task_pool_submit(p, &g.task, &err), &err);
    task_pool_destroy(p);
    assert_int_equal(atomic_load(&g.is_done) + (atomic_load(&g.drop_code) != 0), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_full_pool_is_busy_at_once),
    cmocka_unit_test(destroying_drops_what_waits_and_lets_what_runs_end_its_slice),
    cmocka_unit_test(a_long_task_does_not_keep_others_waiting),
    cmocka_unit_test(tasks_that_block_get_as_many_threads_as_there_may_be),
    cmocka_unit_test(no_task_is_left_behind),
    cmocka_unit_test(a_task_that_comes_at_the_end_of_a_spin_is_seen),
    cmocka_unit_test(without_memory_creation_fails_cleanly),
    cmocka_unit_test(when_no_thread_can_be_started_the_task_stays_the_callers),
};

TEST_MAIN(tests)
