/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/message_pool.h"

#include "base/mpsc.h"
#include "base/thread.h"
#include "support/oom_sweep.h"
#include "support/test.h"

#include <sched.h>

enum { SMALL = 100, LARGE = 5000 };

static void what_is_given_back_is_handed_out_again_and_freed_in_the_end(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);
    struct message_pool *p = message_pool_create(a, true, NULL);
    struct message_shard *home[3];
    void *block[3];

    (void)state;
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < 3; i++) {
            size_t bytes = i == 2 ? LARGE : SMALL;
            block[i] = message_pool_take(p, bytes, &home[i]);
            memset(block[i], round, bytes);
        }
        assert_ptr_not_equal(block[0], block[1]);
        for (int i = 0; i < 3; i++) message_pool_give(home[i], block[i]);
    }
    message_pool_destroy(p);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void a_pool_that_keeps_nothing_returns_memory_at_once(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);
    struct message_pool *p = message_pool_create(a, false, NULL);
    struct message_shard *home;
    size_t used = alloc_used_bytes(a);

    (void)state;
    void *block = message_pool_take(p, SMALL, &home);
    assert_true(alloc_used_bytes(a) > used);
    message_pool_give(home, block);
    assert_int_equal(alloc_used_bytes(a), used);
    message_pool_destroy(p);
    alloc_destroy(a);
}

static void what_is_kept_is_bounded(void **state)
{
    enum { BLOCKS = 20000 };
    struct alloc *a = alloc_create(NULL, 0);
    struct message_pool *p = message_pool_create(a, true, NULL);
    static void *block[BLOCKS];
    static struct message_shard *home[BLOCKS];

    (void)state;
    for (int i = 0; i < BLOCKS; i++) block[i] = message_pool_take(p, SMALL, &home[i]);
    for (int i = 0; i < BLOCKS; i++) message_pool_give(home[i], block[i]);
    assert_true(alloc_used_bytes(a) < (size_t)16 * 1024 * 512);
    message_pool_destroy(p);
    alloc_destroy(a);
}

/* Two threads take, one gives back. */
struct parcel {
    struct mpsc_node node; /* first */
    struct message_shard *home;
    uint64_t seal;
};

struct traffic {
    struct message_pool *pool;
    struct mpsc queue;
    struct thread senders[2];
};

enum { PARCELS = 20000 };

static void send_parcels(void *ctx)
{
    struct traffic *t = ctx;
    for (uint64_t i = 0; i < PARCELS; i++) {
        struct message_shard *home;
        struct parcel *parcel = message_pool_take(t->pool, sizeof *parcel, &home);
        parcel->home = home;
        parcel->seal = i * 31;
        (void)mpsc_push(&t->queue, &parcel->node);
    }
}

static void blocks_cross_threads_without_being_mixed_up(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);
    struct traffic t = {.pool = message_pool_create(a, true, NULL)};
    uint64_t sum = 0;

    (void)state;
    mpsc_init(&t.queue);
    for (int i = 0; i < 2; i++) {
        struct error err = {0};
        assert_ok(thread_start(&t.senders[i], "sender", send_parcels, &t, &err), &err);
    }
    for (size_t count = 0; count < 2 * PARCELS;) {
        struct parcel *parcel = (struct parcel *)mpsc_pop(&t.queue);
        if (!parcel) {
            sched_yield();
            continue;
        }
        sum += parcel->seal;
        message_pool_give(parcel->home, parcel);
        count++;
    }
    for (int i = 0; i < 2; i++) thread_join(&t.senders[i]);
    assert_int_equal(sum, 31ull * PARCELS * (PARCELS - 1));
    message_pool_destroy(t.pool);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static int create_pool(void *ctx, struct error *err)
{
    struct message_pool *p = message_pool_create(ctx, true, err);
    message_pool_destroy(p);
    return p ? 0 : -1;
}

static void without_memory_creation_fails_cleanly(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);

    (void)state;
    oom_sweep(a, create_pool, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_given_back_is_handed_out_again_and_freed_in_the_end),
    cmocka_unit_test(a_pool_that_keeps_nothing_returns_memory_at_once),
    cmocka_unit_test(what_is_kept_is_bounded),
    cmocka_unit_test(blocks_cross_threads_without_being_mixed_up),
    cmocka_unit_test(without_memory_creation_fails_cleanly),
};

TEST_MAIN(tests)
