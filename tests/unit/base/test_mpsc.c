/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mpsc.h"

#include <sched.h>

#include "base/rng.h"
#include "base/thread.h"
#include "support/test.h"

struct letter {
    struct mpsc_node node; /* first */
    uint32_t producer;
    uint32_t number;
};

/* ---- One thread ---- */

static void order_and_idle_bit_agree_with_a_plain_queue(void **state)
{
    (void)state;
    enum { LETTERS = 50 };
    struct rng r;
    rng_init(&r, test_seed(10));
    for (int round = 0; round < 200; round++) {
        struct mpsc q;
        static struct letter letters[LETTERS];
        bool is_idle = true;
        bool was_null = false;
        uint32_t first = 0, end = 0; /* of the letters in the queue */
        double push_chance = 0.2 + 0.003 * round;
        mpsc_init(&q);
        for (int step = 0; step < 2000; step++) {
            if (rng_chance(&r, push_chance) && end - first < LETTERS) {
                struct letter *l = &letters[end % LETTERS];
                l->number = end++;
                assert_int_equal(mpsc_push(&q, &l->node), is_idle);
                is_idle = false;
            } else if (was_null) {
                /* Idle exactly when nothing came since. */
                assert_int_equal(mpsc_mark_idle(&q), first == end);
                is_idle = first == end;
                was_null = false;
            } else {
                struct letter *l = (struct letter *)mpsc_pop(&q);
                was_null = l == NULL;
                if (first == end) {
                    assert_null(l);
                    continue;
                }
                assert_non_null(l);
                assert_int_equal(l->number, first++);
                memset(l, 0xEE, sizeof *l); /* it is ours again */
            }
        }
    }
}

/* A producer that is stopped between its two steps: done by hand. */
static void half_a_push_hides_but_loses_nothing(void **state)
{
    (void)state;
    for (int ahead = 0; ahead < 3; ahead++) {
        struct mpsc q;
        struct letter before[3];
        struct letter slow;
        struct letter after[2];
        mpsc_init(&q);
        for (int i = 0; i < ahead; i++) assert_int_equal(mpsc_push(&q, &before[i].node), i == 0);

        atomic_store_relaxed(&slow.node.next, NULL);
        uintptr_t previous = atomic_swap_acq_rel(&q.head, (uintptr_t)&slow.node);
        for (int i = 0; i < 2; i++) assert_false(mpsc_push(&q, &after[i].node));

        /* What is before the gap comes out but for the last, which the gap hangs on. */
        for (int i = 0; i + 1 < ahead; i++) assert_ptr_equal(mpsc_pop(&q), &before[i].node);
        for (int i = 0; i < 3; i++) {
            assert_null(mpsc_pop(&q));
            assert_false(mpsc_mark_idle(&q));
        }

        struct mpsc_node *linked = (struct mpsc_node *)(previous & ~(uintptr_t)1);
        atomic_store_release(&linked->next, &slow.node);
        if (ahead > 0) assert_ptr_equal(mpsc_pop(&q), &before[ahead - 1].node);
        assert_ptr_equal(mpsc_pop(&q), &slow.node);
        assert_ptr_equal(mpsc_pop(&q), &after[0].node);
        assert_ptr_equal(mpsc_pop(&q), &after[1].node);
        assert_null(mpsc_pop(&q));
        assert_true(mpsc_mark_idle(&q));
        assert_true(mpsc_push(&q, &slow.node));
    }
}

static void idle_queue_stays_idle_when_looked_at(void **state)
{
    (void)state;
    struct mpsc q;
    struct letter l;
    mpsc_init(&q);
    for (int i = 0; i < 3; i++) {
        assert_null(mpsc_pop(&q));
        assert_true(mpsc_mark_idle(&q));
    }
    assert_true(mpsc_push(&q, &l.node));
    assert_ptr_equal(mpsc_pop(&q), &l.node);
}

/* ---- Many threads ---- */

enum { PRODUCERS = 4, WORKERS = 2, LETTERS_EACH = 20000, RING = 64 };

/* A queue with its consumer, which any worker may run when it is scheduled. */
struct mailbox {
    struct mpsc queue;
    /* The consumer's own, plain on purpose: the queue and the scheduler hand it from run to run. */
    uint32_t next_number[PRODUCERS];
    uint64_t received;
    uint64_t runs;
    uint64_t disorders;
    atomic_bool is_running;
    atomic_bool was_run_twice;
    atomic_bool was_run_for_nothing;
    /* How many letters of each producer are done, so that it may use their memory again. */
    _Atomic(uint32_t) done[PRODUCERS];

    /* The scheduler. */
    struct mutex lock;
    struct condition changed;
    uint64_t scheduled; /* not yet taken by a worker */
    uint64_t schedules; /* in all */
    bool is_over;
};

struct producer {
    struct mailbox *box;
    uint32_t index;
    struct letter ring[RING];
};

static void schedule(struct mailbox *box)
{
    mutex_lock(&box->lock);
    box->scheduled++;
    box->schedules++;
    condition_signal(&box->changed);
    mutex_unlock(&box->lock);
}

static void produce(void *ctx)
{
    struct producer *p = ctx;
    struct rng r;
    rng_init(&r, p->index);
    for (uint32_t n = 0; n < LETTERS_EACH; n++) {
        /* Now and then wait until all is done, so that the consumer often falls idle. */
        uint32_t lead_max = rng_chance(&r, 0.05) ? 0 : RING - 1;
        while (n - atomic_load_acquire(&p->box->done[p->index]) > lead_max) sched_yield();
        struct letter *l = &p->ring[n % RING];
        l->producer = p->index;
        l->number = n;
        if (mpsc_push(&p->box->queue, &l->node)) schedule(p->box);
    }
}

static void receive(struct mailbox *box, struct letter *l)
{
    uint32_t producer = l->producer;
    if (l->number != box->next_number[producer]) box->disorders++;
    box->next_number[producer] = l->number + 1;
    box->received++;
    memset(l, 0xEE, sizeof *l);
    atomic_store_release(&box->done[producer], box->next_number[producer]);
}

static void run_consumer(struct mailbox *box)
{
    if (atomic_swap_acq_rel(&box->is_running, true))
        atomic_store_relaxed(&box->was_run_twice, true);
    uint64_t received_before = box->received;
    box->runs++;
    for (;;) {
        struct mpsc_node *node = mpsc_pop(&box->queue);
        if (node) {
            receive(box, (struct letter *)node);
            continue;
        }
        /* Before marking: from then on another worker may run. */
        bool is_empty_run = box->received == received_before;
        atomic_store_release(&box->is_running, false);
        if (mpsc_mark_idle(&box->queue)) {
            if (is_empty_run) atomic_store_relaxed(&box->was_run_for_nothing, true);
            return;
        }
        if (atomic_swap_acq_rel(&box->is_running, true))
            atomic_store_relaxed(&box->was_run_twice, true);
        sched_yield();
    }
}

static void work(void *ctx)
{
    struct mailbox *box = ctx;
    mutex_lock(&box->lock);
    for (;;) {
        while (box->scheduled == 0 && !box->is_over) condition_wait(&box->changed, &box->lock);
        if (box->scheduled == 0) break;
        box->scheduled--;
        mutex_unlock(&box->lock);
        run_consumer(box);
        mutex_lock(&box->lock);
    }
    mutex_unlock(&box->lock);
}

static void no_wakeup_is_lost_and_none_is_spurious(void **state)
{
    (void)state;
    static struct mailbox box;
    static struct producer producers[PRODUCERS];
    struct thread producer_threads[PRODUCERS] = {{0}};
    struct thread workers[WORKERS] = {{0}};
    struct error err;
    mpsc_init(&box.queue);
    mutex_init(&box.lock);
    condition_init(&box.changed);

    for (int i = 0; i < WORKERS; i++)
        assert_ok(thread_start(&workers[i], "worker", work, &box, &err), &err);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i].box = &box;
        producers[i].index = i;
        assert_ok(thread_start(&producer_threads[i], "producer", produce, &producers[i], &err),
                  &err);
    }
    for (int i = 0; i < PRODUCERS; i++) thread_join(&producer_threads[i]);
    /* A lost wake-up would leave letters behind: workers end when nothing is scheduled. */
    mutex_lock(&box.lock);
    box.is_over = true;
    condition_broadcast(&box.changed);
    mutex_unlock(&box.lock);
    for (int i = 0; i < WORKERS; i++) thread_join(&workers[i]);

    assert_int_equal(box.received, PRODUCERS * LETTERS_EACH);
    assert_int_equal(box.disorders, 0);
    assert_int_equal(box.runs, box.schedules);
    assert_false(atomic_load_relaxed(&box.was_run_for_nothing));
    assert_false(atomic_load_relaxed(&box.was_run_twice));
    assert_true(box.runs > 1);
    condition_deinit(&box.changed);
    mutex_deinit(&box.lock);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(order_and_idle_bit_agree_with_a_plain_queue),
    cmocka_unit_test(half_a_push_hides_but_loses_nothing),
    cmocka_unit_test(idle_queue_stays_idle_when_looked_at),
    cmocka_unit_test(no_wakeup_is_lost_and_none_is_spurious),
};

TEST_MAIN(tests)
