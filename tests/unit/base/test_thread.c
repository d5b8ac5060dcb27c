/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "support/test.h"

struct seen {
    int runs;
    char name[16];
    sigset_t blocked;
};

static void look_around(void *ctx)
{
    struct seen *s = ctx;
    s->runs++;
    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    pthread_sigmask(SIG_SETMASK, NULL, &s->blocked);
}

static void thread_has_a_name_and_no_signals(void **state)
{
    (void)state;
    struct thread t = {0};
    struct seen s = {0};
    struct error err;
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_ok(thread_start(&t, "a-very-long-name-of-a-thread", look_around, &s, &err), &err);
    assert_true(t.is_started);
    thread_join(&t);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_false(t.is_started);
    assert_int_equal(s.runs, 1);
    assert_string_equal(s.name, "a-very-long-nam");
    const int blocked[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGALRM, SIGUSR1, SIGPIPE};
    for (size_t i = 0; i < 7; i++) assert_true(sigismember(&s.blocked, blocked[i]));
    /* A fault in a mapped file must reach the host's handler on the thread that caused it. */
    const int open[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL};
    for (size_t i = 0; i < 4; i++) assert_false(sigismember(&s.blocked, open[i]));
    for (int i = 1; i < 32; i++) assert_int_equal(sigismember(&before, i), sigismember(&after, i));
    thread_join(&t);
    struct thread zeroed = {0};
    thread_join(&zeroed);
}

static void step_back_twice(void *ctx)
{
    int *niceness = ctx;
    for (int i = 0; i < 3; i++) {
        if (i > 0) thread_step_back();
        niceness[i] = getpriority(PRIO_PROCESS, 0); /* of the calling thread */
    }
}

static void a_thread_steps_back_from_where_it_stands(void **state)
{
    (void)state;
    struct thread t = {0};
    struct error err;
    int niceness[3];
    assert_ok(thread_start(&t, "back", step_back_twice, niceness, &err), &err);
    thread_join(&t);
    assert_true(niceness[1] > niceness[0] || niceness[0] == 19);
    assert_true(niceness[2] > niceness[1] || niceness[1] == 19);
}

static void start_without_memory_is_an_error(void **state)
{
    (void)state;
    struct thread t = {0};
    struct seen s = {0};
    struct error err = {0};
    alloc_fail_after(alloc_libc(), 1, false);
    int rc = thread_start(&t, "none", look_around, &s, &err);
    assert_fails(rc, &err, LYNSE_NO_MEMORY);
    assert_false(t.is_started);
    thread_join(&t);
    assert_int_equal(s.runs, 0);
}

/* ---- Conditions ---- */

struct exchange {
    struct mutex lock;
    struct condition changed;
    int turn;
    int rounds;
    bool is_over;
};

static void exchange_init(struct exchange *x)
{
    *x = (struct exchange){.turn = 0};
    mutex_init(&x->lock);
    condition_init(&x->changed);
}

static void exchange_deinit(struct exchange *x)
{
    condition_deinit(&x->changed);
    mutex_deinit(&x->lock);
}

static void answer_turns(void *ctx)
{
    struct exchange *x = ctx;
    mutex_lock(&x->lock);
    while (!x->is_over) {
        if (x->turn == 1) {
            x->turn = 0;
            x->rounds++;
            condition_broadcast(&x->changed);
        }
        condition_wait(&x->changed, &x->lock);
    }
    mutex_unlock(&x->lock);
}

static void waiting_threads_are_woken(void **state)
{
    (void)state;
    enum { ROUNDS = 2000 };
    struct exchange x;
    struct thread t = {0};
    struct error err;
    exchange_init(&x);
    assert_ok(thread_start(&t, "answers", answer_turns, &x, &err), &err);
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&x.lock);
        x.turn = 1;
        condition_signal(&x.changed);
        while (x.turn == 1) condition_wait(&x.changed, &x.lock);
        mutex_unlock(&x.lock);
    }
    mutex_lock(&x.lock);
    x.is_over = true;
    condition_broadcast(&x.changed);
    mutex_unlock(&x.lock);
    thread_join(&t);
    assert_int_equal(x.rounds, ROUNDS);
    exchange_deinit(&x);
}

static void timed_wait_ends_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    struct exchange x;
    exchange_init(&x);
    mutex_lock(&x.lock);
    assert_false(condition_wait_until(&x.changed, &x.lock, 0));
    uint64_t start = clock_now_us(clock_system());
    assert_false(condition_wait_until(&x.changed, &x.lock, start));
    uint64_t deadline = start + 5000;
    /* A wait may end early without a signal, but never says "deadline" early. */
    while (condition_wait_until(&x.changed, &x.lock, deadline)) continue;
    assert_true(clock_now_us(clock_system()) >= deadline);
    mutex_unlock(&x.lock);
    exchange_deinit(&x);
}

static void timed_wait_is_woken_before_a_far_deadline(void **state)
{
    (void)state;
    const uint64_t far[] = {clock_now_us(clock_system()) + 3600000000ull, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct exchange x;
        struct thread t = {0};
        struct error err;
        exchange_init(&x);
        assert_ok(thread_start(&t, "answers", answer_turns, &x, &err), &err);
        mutex_lock(&x.lock);
        x.turn = 1;
        condition_signal(&x.changed);
        while (x.turn == 1) assert_true(condition_wait_until(&x.changed, &x.lock, far[i]));
        x.is_over = true;
        condition_broadcast(&x.changed);
        mutex_unlock(&x.lock);
        thread_join(&t);
        exchange_deinit(&x);
    }
}

static void pinning_is_best_effort(void **state)
{
    (void)state;
    struct exchange x;
    struct thread t = {0};
    struct error err;
    exchange_init(&x);
    assert_int_equal(thread_pin(&t, 0), -1);
    assert_ok(thread_start(&t, "pinned", answer_turns, &x, &err), &err);
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    unsigned cpu = 0;
    while (!CPU_ISSET(cpu, &allowed)) cpu++;
    assert_int_equal(thread_pin(&t, cpu), 0);
    assert_int_equal(thread_pin(&t, CPU_SETSIZE), -1);
    assert_int_equal(thread_pin(&t, UINT32_MAX), -1);
    mutex_lock(&x.lock);
    x.is_over = true;
    condition_broadcast(&x.changed);
    mutex_unlock(&x.lock);
    thread_join(&t);
    exchange_deinit(&x);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(thread_has_a_name_and_no_signals),
    cmocka_unit_test(a_thread_steps_back_from_where_it_stands),
    cmocka_unit_test(start_without_memory_is_an_error),
    cmocka_unit_test(waiting_threads_are_woken),
    cmocka_unit_test(timed_wait_ends_at_its_deadline_and_not_before),
    cmocka_unit_test(timed_wait_is_woken_before_a_far_deadline),
    cmocka_unit_test(pinning_is_best_effort),
};

TEST_MAIN(tests)
