/* SPDX-License-Identifier: Apache-2.0 */
/* bench_mailbox.c — what the actor runtime costs.
 *
 * WHAT        messages     through one actor, made, sent and freed one by one, from 1 and 2
 *                          senders; BUSY is answered by yielding and trying again
 *             request      to an actor, and its answer through a future
 *             task         handed to the search pool and awaited
 *                          hot: one after another; cold: after 5 ms of rest, when all sleep
 *             idle         processor time of all threads but the main one, by the second
 * METHOD      Messages: the median and the best of the rounds, and the processor time of a message
 *             on either side, which other programs on the machine disturb less.  Round trips:
 *             median and 99th percentile of single ones.
 * USAGE       bench_mailbox [rounds, 1 to 99; default 9]
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "actor/actor.h"
#include "actor/scheduler.h"
#include "base/check.h"
#include "os/machine.h"

enum {
    ROUNDS_MAX = 99,
    SENDERS_MAX = 2,
    MESSAGES = 1000000, /* of one round, over all senders */
    HOT_TRIPS = 20000,
    COLD_TRIPS = 200,
    COOL_DOWN_US = 5000,
    IDLE_US = 1000000,
};

static uint64_t read_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

/* Of all threads but this one, whose own time is read first: rather a bit too much than below 0. */
static uint64_t used_by_others_ns(void)
{
    uint64_t own_ns = read_ns(CLOCK_THREAD_CPUTIME_ID);
    return read_ns(CLOCK_PROCESS_CPUTIME_ID) - own_ns;
}

static void sleep_us(unsigned us)
{
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&t, NULL);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct scheduler *make_threads(void)
{
    struct thread_scheduler_desc desc = {.alloc = alloc_libc()};
    struct error err = {0};
    struct scheduler *s = thread_scheduler_create(&desc, &err);
    if (!s) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return s;
}

/* ---- Messages through one actor ---- */

struct payload {
    struct message base; /* first */
    uint64_t value;
};

struct counter {
    uint64_t count;
    uint64_t sum;
};

static void count_values(struct actor *a, struct message **batch, size_t count)
{
    struct counter *c = a->state;
    c->count += count; /* before the answers: who has one may look */
    for (size_t i = 0; i < count; i++) {
        c->sum += ((struct payload *)batch[i])->value;
        message_answer_code(batch[i], LYNSE_OK);
        message_destroy(batch[i]);
    }
}

static const struct actor_ops counter_ops = {.on_batch = count_values};

struct sender {
    struct actor *actor;
    uint64_t message_count;
    uint64_t busy_count;
    uint64_t cpu_ns;
    struct thread thread;
};

static void send_all(void *ctx)
{
    struct sender *me = ctx;
    for (uint64_t i = 0; i < me->message_count; i++) {
        struct payload *p = message_create(me->actor->scheduler, sizeof *p, 0, MESSAGE_WRITE);
        CHECK(p);
        p->value = i;
        while (actor_try_send(me->actor, &p->base) == LYNSE_BUSY) {
            me->busy_count++;
            sched_yield();
        }
    }
    me->cpu_ns = read_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* The answer comes after all that was sent before. */
static void ask(struct actor *a)
{
    struct future *f = future_create(a->scheduler, NULL);
    struct payload *p = message_create(a->scheduler, sizeof *p, 0, MESSAGE_SYSTEM);
    struct answer answer;

    CHECK(f && p);
    p->base.reply = &f->reply;
    actor_send(a, &p->base);
    CHECK(future_wait(f, 0, &answer, NULL) == 0);
    future_release(f);
}

/* Sums over the rounds. */
struct cost {
    uint64_t sender_ns; /* processor time, BUSY included */
    uint64_t worker_ns;
    uint64_t busy_count;
};

static double run_senders(size_t sender_count, struct cost *cost)
{
    struct scheduler *s = make_threads();
    struct counter counter = {0};
    struct actor_desc desc = {.ops = &counter_ops, .state = &counter, .name = "counter"};
    struct actor *a = actor_create(s, &desc, NULL);
    struct sender senders[SENDERS_MAX] = {0};

    CHECK(a);
    ask(a);
    uint64_t others_ns = used_by_others_ns();
    uint64_t began_ns = now_ns();
    for (size_t i = 0; i < sender_count; i++) {
        senders[i].actor = a;
        senders[i].message_count = MESSAGES / sender_count;
        CHECK(thread_start(&senders[i].thread, "sender", send_all, &senders[i], NULL) == 0);
    }
    for (size_t i = 0; i < sender_count; i++) thread_join(&senders[i].thread);
    ask(a);
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    CHECK(counter.count == MESSAGES + 2);
    actor_destroy(a);
    scheduler_destroy(s);
    others_ns = used_by_others_ns() - others_ns;
    for (size_t i = 0; i < sender_count; i++) {
        cost->busy_count += senders[i].busy_count;
        cost->sender_ns += senders[i].cpu_ns;
        others_ns -= senders[i].cpu_ns;
    }
    cost->worker_ns += others_ns;
    return MESSAGES / seconds / 1e6;
}

/* The same work on one thread: what is left without any hand-over. */
static double run_inline(void)
{
    struct inline_scheduler_desc inline_desc = {.alloc = alloc_libc()};
    struct scheduler *s = inline_scheduler_create(&inline_desc, NULL);
    struct counter counter = {0};
    struct actor_desc desc = {.ops = &counter_ops, .state = &counter, .name = "counter"};
    struct actor *a = actor_create(s, &desc, NULL);

    uint64_t began_ns = now_ns();
    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct payload *p = message_create(s, sizeof *p, 0, MESSAGE_WRITE);
        CHECK(p);
        while (actor_try_send(a, &p->base) == LYNSE_BUSY)
            while (inline_poll(s, 100)) continue;
    }
    while (inline_poll(s, 100)) continue;
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    actor_destroy(a);
    scheduler_destroy(s);
    return MESSAGES / seconds / 1e6;
}

static void report_rate(const char *name, double *rates, int count, const struct cost *cost)
{
    double message_count = (double)MESSAGES * count;

    qsort(rates, (size_t)count, sizeof *rates, compare_doubles);
    printf("messages %-14s median %6.2f M/s    best %6.2f M/s", name, rates[count / 2],
           rates[count - 1]);
    if (cost)
        printf("    sender %4.0f ns  worker %4.0f ns  busy %4.1f %%",
               (double)cost->sender_ns / message_count, (double)cost->worker_ns / message_count,
               (double)cost->busy_count / message_count * 100);
    printf("\n");
}

static void bench_messages(int round_count)
{
    double rates[SENDERS_MAX + 1][ROUNDS_MAX];
    struct cost costs[SENDERS_MAX + 1] = {0};

    for (int i = 0; i < round_count; i++) {
        rates[0][i] = run_inline();
        for (size_t n = 1; n <= SENDERS_MAX; n++) rates[n][i] = run_senders(n, &costs[n]);
    }
    report_rate("1 sender", rates[1], round_count, &costs[1]);
    report_rate("2 senders", rates[2], round_count, &costs[2]);
    report_rate("no threads", rates[0], round_count, NULL);
    printf("         target: at least 5 M/s, goal 10 M/s, with 1 and with 2 senders\n");
}

/* ---- Round trips ---- */

static void report_trips(const char *name, double *us, size_t count, const char *target)
{
    qsort(us, count, sizeof *us, compare_doubles);
    printf("%-23s median %6.2f us    p99 %7.2f us    %s\n", name, us[count / 2],
           us[count * 99 / 100], target);
}

struct small_task {
    struct task task; /* first */
    struct reply *reply;
};

static bool answer_task(struct task *t, uint64_t budget_us)
{
    struct small_task *st = (struct small_task *)t;
    struct reply *reply = st->reply;
    (void)budget_us;
    reply_complete_code(reply, LYNSE_OK);
    reply_release(reply);
    return true;
}

static double trip_task(struct scheduler *s)
{
    struct future *f = future_create(s, NULL);
    struct small_task st = {.task = {.step = answer_task}};
    struct answer answer;

    CHECK(f);
    st.reply = &f->reply;
    uint64_t began_ns = now_ns();
    CHECK(scheduler_submit(s, TASK_SEARCH, &st.task, NULL) == 0);
    CHECK(future_wait(f, 0, &answer, NULL) == 0);
    double us = (double)(now_ns() - began_ns) / 1e3;
    future_release(f);
    return us;
}

static double trip_actor(struct actor *a)
{
    uint64_t began_ns = now_ns();
    ask(a);
    return (double)(now_ns() - began_ns) / 1e3;
}

static void bench_trips(struct scheduler *s)
{
    static double us[HOT_TRIPS];
    struct counter counter = {0};
    struct actor_desc desc = {.ops = &counter_ops, .state = &counter, .name = "counter"};
    struct actor *a = actor_create(s, &desc, NULL);

    CHECK(a);
    for (int i = 0; i < HOT_TRIPS; i++) us[i] = trip_actor(a);
    report_trips("request, hot", us, HOT_TRIPS, "");
    for (int i = 0; i < COLD_TRIPS; i++) {
        sleep_us(COOL_DOWN_US);
        us[i] = trip_actor(a);
    }
    report_trips("request, cold", us, COLD_TRIPS, "");
    for (int i = 0; i < HOT_TRIPS; i++) us[i] = trip_task(s);
    report_trips("task, hot", us, HOT_TRIPS, "target: at most 15 us");
    for (int i = 0; i < COLD_TRIPS; i++) {
        sleep_us(COOL_DOWN_US);
        us[i] = trip_task(s);
    }
    report_trips("task, cold", us, COLD_TRIPS, "target: at most 80 us");
    actor_destroy(a);
}

/* ---- Idle ---- */

static void bench_idle(struct scheduler *s)
{
    struct counter counter = {0};
    struct actor_desc desc = {.ops = &counter_ops, .state = &counter, .name = "counter"};
    struct actor *a = actor_create(s, &desc, NULL);

    CHECK(a);
    ask(a);
    (void)trip_task(s);
    for (int second = 1; second <= 3; second++) {
        uint64_t before_ns = used_by_others_ns();
        sleep_us(IDLE_US);
        printf("idle, second %d          %6.1f us of processor time         %s\n", second,
               (double)(used_by_others_ns() - before_ns) / 1e3,
               second == 3 ? "target: 0 after a second of rest" : "");
    }
    actor_destroy(a);
}

int main(int argc, char **argv)
{
    int round_count = argc > 1 ? atoi(argv[1]) : 9;

    if (round_count < 1 || round_count > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_mailbox [rounds, 1 to %d]\n", ROUNDS_MAX);
        return 2;
    }
    printf("%u cores, message of %zu bytes, %d messages a round, %d rounds\n", machine_core_count(),
           sizeof(struct payload), MESSAGES, round_count);
    bench_messages(round_count);
    struct scheduler *s = make_threads();
    bench_trips(s);
    bench_idle(s);
    scheduler_destroy(s);
    return 0;
}
