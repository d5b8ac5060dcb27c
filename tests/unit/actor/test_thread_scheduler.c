/* SPDX-License-Identifier: Apache-2.0 */
/* Stress with real threads; meant for the thread sanitizer as well. */
#include <sched.h>

#include "base/check.h"
#include "base/rng.h"
#include "unit/actor/recorder.h"

enum { SENDERS = 3 };

struct sender {
    struct thread thread;
    struct recorder **recorders;
    size_t recorder_count;
    struct actor *actor; /* instead of recorders */
    uint64_t number;
    uint64_t round_count;
    uint64_t sent_count;
    _Atomic(uint64_t) *answered_count;
};

static void start_senders(struct sender *senders, struct sender prototype, void (*run)(void *ctx))
{
    for (uint64_t i = 0; i < SENDERS; i++) {
        struct error err = {0};
        senders[i] = prototype;
        senders[i].number = i;
        assert_ok(thread_start(&senders[i].thread, "sender", run, &senders[i], &err), &err);
    }
}

static void join_senders(struct sender *senders)
{
    for (int i = 0; i < SENDERS; i++) thread_join(&senders[i].thread);
}

static struct scheduler *make_with_spin(int32_t spin_us)
{
    struct thread_scheduler_desc desc = {
        .alloc = alloc_libc(), .actor_threads_max = 2, .spin_us = spin_us, .wait_spin_us = spin_us};
    struct scheduler *s = thread_scheduler_create(&desc, NULL);
    assert_non_null(s);
    return s;
}

/* One request at a time: every message finds the actor idle, or just about to be. */
static void ask_and_wait(void *ctx)
{
    struct sender *me = ctx;
    struct rng rng;

    rng_init(&rng, me->number);
    for (uint64_t i = 0; i < me->round_count; i++) {
        struct recorder *r = me->recorders[rng_below(&rng, me->recorder_count)];
        CHECK(future_code(note_send(r, i)) == LYNSE_OK);
    }
}

static void no_wake_up_is_lost(void **state)
{
    enum { RECORDERS = 4, ROUNDS = 3000 };
    static const int32_t spins_us[] = {-1, 1, 50};

    (void)state;
    for (size_t k = 0; k < sizeof spins_us / sizeof spins_us[0]; k++) {
        struct scheduler *s = make_with_spin(spins_us[k]);
        struct recorder *recorders[RECORDERS];
        struct sender senders[SENDERS];
        size_t value_count = 0;
        for (int i = 0; i < RECORDERS; i++) recorders[i] = recorder_create(s);
        start_senders(senders,
                      (struct sender){.recorders = recorders,
                                      .recorder_count = RECORDERS,
                                      .round_count = ROUNDS},
                      ask_and_wait);
        join_senders(senders);
        for (int i = 0; i < RECORDERS; i++) {
            value_count += recorders[i]->value_count;
            recorder_destroy(recorders[i]);
        }
        assert_int_equal(value_count, SENDERS * ROUNDS);
        scheduler_destroy(s);
    }
}

/* Checks order as it goes, because there are more messages than a recorder keeps. */
struct order_keeper {
    uint64_t next[SENDERS];
    uint64_t count;
};

static void keep_order(struct actor *a, struct message **batch, size_t count)
{
    struct order_keeper *k = a->state;
    for (size_t i = 0; i < count; i++) {
        struct note *n = (struct note *)batch[i];
        CHECK(n->value == k->next[n->sender]);
        k->next[n->sender]++;
        k->count++;
        message_answer_code(&n->base, LYNSE_OK);
        message_destroy(&n->base);
    }
}

static void flood(void *ctx)
{
    struct sender *me = ctx;
    struct actor *a = me->actor;

    for (uint64_t i = 0; i < me->round_count; i++) {
        struct note *n = message_create(a->scheduler, sizeof *n, RECORD, MESSAGE_WRITE);
        int code;
        CHECK(n);
        n->sender = me->number;
        n->value = i;
        while ((code = actor_try_send(a, &n->base)) == LYNSE_BUSY) sched_yield();
        CHECK(code == LYNSE_OK);
    }
}

static void each_senders_order_is_kept_under_load(void **state)
{
    enum { ROUNDS = 50000 };
    static const struct actor_ops ops = {.on_batch = keep_order};
    struct scheduler *s = make_threads();
    struct order_keeper keeper = {0};
    struct actor_desc desc = {.ops = &ops, .state = &keeper, .mailbox = {.messages_max = 100}};
    struct actor *a = actor_create(s, &desc, NULL);
    struct sender senders[SENDERS];
    struct note *last = note_create(s, 0);
    struct future *f = future_create(s, NULL);
    int code;

    (void)state;
    start_senders(senders, (struct sender){.actor = a, .round_count = ROUNDS}, flood);
    join_senders(senders);
    last->value = ROUNDS; /* sender 0's next */
    last->base.reply = &f->reply;
    while ((code = actor_try_send(a, &last->base)) == LYNSE_BUSY) sched_yield();
    assert_int_equal(code, LYNSE_OK);
    assert_int_equal(future_code(f), LYNSE_OK);
    assert_int_equal(keeper.count, SENDERS * ROUNDS + 1);
    actor_destroy(a);
    scheduler_destroy(s);
}

static void count_answer(void *ctx, struct answer *take_answer)
{
    CHECK(take_answer->code == LYNSE_OK || take_answer->code == LYNSE_BUSY ||
          take_answer->code == LYNSE_SHUTTING_DOWN);
    atomic_fetch_add((_Atomic(uint64_t) *)ctx, 1);
    answer_deinit(take_answer);
}

static void send_until_it_stops(void *ctx)
{
    struct sender *me = ctx;
    struct actor *a = me->recorders[0]->actor;
    struct scheduler *s = a->scheduler;

    for (uint64_t i = 0; i < me->round_count; i++) {
        struct note *n = message_create(s, sizeof *n, RECORD, MESSAGE_WRITE);
        CHECK(n);
        n->base.reply = reply_create_callback(s, count_answer, (void *)me->answered_count, NULL);
        CHECK(n->base.reply);
        actor_send(a, &n->base);
        me->sent_count++;
    }
}

static void a_stop_in_the_middle_leaves_no_message_unanswered(void **state)
{
    (void)state;
    for (int round = 0; round < 30; round++) {
        struct scheduler *s = make_threads();
        struct recorder *r = recorder_create(s);
        struct sender senders[SENDERS];
        _Atomic(uint64_t) answered_count = 0;
        uint64_t sent_count = 0;
        start_senders(senders,
                      (struct sender){.recorders = &r,
                                      .recorder_count = 1,
                                      .round_count = 2000,
                                      .answered_count = &answered_count},
                      send_until_it_stops);
        while (atomic_load(&answered_count) < (uint64_t)(round * 100)) sched_yield();
        actor_stop(r->actor);
        join_senders(senders);
        recorder_destroy(r);
        for (int i = 0; i < SENDERS; i++) sent_count += senders[i].sent_count;
        assert_int_equal(atomic_load(&answered_count), sent_count);
        assert_int_equal(atomic_load(&s->replies.completed_twice), 0);
        assert_int_equal(atomic_load(&s->replies.forgotten), 0);
        scheduler_destroy(s);
    }
}

/* Some requesters give up while their answers are on the way. */
static void ask_and_give_up(void *ctx)
{
    struct sender *me = ctx;
    for (uint64_t i = 0; i < me->round_count; i++) {
        struct answer answer = {0};
        struct future *f = note_send(me->recorders[0], i);
        if (future_wait(f, 1 + i % 2 * clock_now_us(clock_system()), &answer, NULL) != 0)
            future_cancel(f);
        answer_deinit(&answer);
        future_release(f);
    }
}

static void late_answers_harm_nobody(void **state)
{
    struct scheduler *s = make_threads();
    struct recorder *r = recorder_create(s);
    struct sender senders[SENDERS];

    (void)state;
    start_senders(senders,
                  (struct sender){.recorders = &r, .recorder_count = 1, .round_count = 5000},
                  ask_and_give_up);
    join_senders(senders);
    recorder_destroy(r);
    scheduler_destroy(s);
}

struct metronome {
    struct actor_timer *timer;
    struct future *done;
    unsigned beats_left;
};

static void beat(struct actor *a, void *ctx)
{
    struct metronome *m = ctx;
    (void)a;
    if (--m->beats_left != 0) return;
    actor_timer_stop(m->timer);
    reply_complete_code(&m->done->reply, LYNSE_OK);
    reply_release(&m->done->reply);
}

static void start_beating(struct actor *a, struct message **batch, size_t count)
{
    struct metronome *m = a->state;
    for (size_t i = 0; i < count; i++) {
        uint64_t now_us = scheduler_now_us(a->scheduler);
        m->timer = actor_timer_create(a, beat, m, NULL);
        CHECK(m->timer);
        actor_timer_start(m->timer, now_us + 500, 500);
        message_destroy(batch[i]);
    }
}

static void end_metronome(struct actor *a)
{
    actor_timer_destroy(((struct metronome *)a->state)->timer);
}

static void timers_fire_on_their_actors_threads(void **state)
{
    enum { METRONOMES = 5 };
    static const struct actor_ops ops = {.on_batch = start_beating, .on_stop = end_metronome};
    struct scheduler *s = make_threads();
    struct metronome m[METRONOMES];
    struct actor *a[METRONOMES];
    struct future *f[METRONOMES];

    (void)state;
    for (unsigned i = 0; i < METRONOMES; i++) {
        struct actor_desc desc = {.ops = &ops, .state = &m[i]};
        f[i] = future_create(s, NULL);
        m[i] = (struct metronome){.done = f[i], .beats_left = i + 1};
        a[i] = actor_create(s, &desc, NULL);
        actor_send(a[i], &note_create(s, 0)->base);
    }
    for (int i = 0; i < METRONOMES; i++) assert_int_equal(future_code(f[i]), LYNSE_OK);
    for (int i = 0; i < METRONOMES; i++) actor_destroy(a[i]);
    scheduler_destroy(s);
}

static void come_and_go(void *ctx)
{
    struct sender *me = ctx;
    for (uint64_t i = 0; i < me->round_count; i++) {
        struct recorder r = {0};
        struct actor_desc desc = {.ops = &recorder_ops, .state = &r};
        r.actor = actor_create(me->recorders[0]->actor->scheduler, &desc, NULL);
        CHECK(r.actor);
        struct future *f = note_send(&r, i);
        if (i % 2) CHECK(future_code(f) == LYNSE_OK);
        actor_destroy(r.actor);
        if (i % 2 == 0) (void)future_code(f);
    }
}

static void actors_come_and_go_beside_each_other(void **state)
{
    struct scheduler *s = make_threads();
    struct recorder *r = recorder_create(s);
    struct sender senders[SENDERS];

    (void)state;
    start_senders(senders,
                  (struct sender){.recorders = &r, .recorder_count = 1, .round_count = 1000},
                  come_and_go);
    join_senders(senders);
    recorder_destroy(r);
    scheduler_destroy(s);
}

static void an_unused_scheduler_has_no_threads_to_join(void **state)
{
    (void)state;
    scheduler_destroy(make_threads());
    scheduler_destroy(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(no_wake_up_is_lost),
    cmocka_unit_test(each_senders_order_is_kept_under_load),
    cmocka_unit_test(a_stop_in_the_middle_leaves_no_message_unanswered),
    cmocka_unit_test(late_answers_harm_nobody),
    cmocka_unit_test(timers_fire_on_their_actors_threads),
    cmocka_unit_test(actors_come_and_go_beside_each_other),
    cmocka_unit_test(an_unused_scheduler_has_no_threads_to_join),
};

TEST_MAIN(tests)
