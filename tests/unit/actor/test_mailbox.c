/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/mailbox.h"
#include "base/limits.h"
#include "support/oom_sweep.h"
#include "support/test.h"

enum { LIGHT, RARE, KIND_COUNT };

static void init(struct mailbox *mb, struct mailbox_desc desc)
{
    struct error err = {0};
    assert_ok(mailbox_init(mb, alloc_libc(), &desc, &err), &err);
}

static struct message message_of(uint16_t kind, enum message_class class, size_t bytes)
{
    return (struct message){.kind = kind, .class = (uint8_t) class, .bytes = bytes};
}

static size_t pop_all(struct mailbox *mb)
{
    struct message *m;
    size_t count = 0;
    bool is_empty = false;
    while (!is_empty) count += mailbox_pop(mb, &m, 1, SIZE_MAX, &is_empty);
    return count;
}

static void first_push_into_an_idle_mailbox_asks_for_a_wake_and_later_ones_do_not(void **state)
{
    struct mailbox mb;
    struct message a = message_of(LIGHT, MESSAGE_WRITE, 10);
    struct message b = a;

    (void)state;
    init(&mb, (struct mailbox_desc){0});
    assert_int_equal(mailbox_push(&mb, &a), MAILBOX_WAKE);
    assert_int_equal(mailbox_push(&mb, &b), MAILBOX_QUEUED);
    assert_int_equal(pop_all(&mb), 2);
    assert_int_equal(mailbox_push(&mb, &a), MAILBOX_QUEUED);
    assert_false(mailbox_mark_idle(&mb));
    assert_int_equal(pop_all(&mb), 1);
    assert_true(mailbox_mark_idle(&mb));
    assert_int_equal(mailbox_push(&mb, &a), MAILBOX_WAKE);
    pop_all(&mb);
    mailbox_deinit(&mb);
}

static void a_full_mailbox_is_busy_until_something_is_taken_out(void **state)
{
    struct mailbox mb;
    struct message m[4];
    struct message *out[4];
    bool is_empty;

    (void)state;
    init(&mb, (struct mailbox_desc){.messages_max = 3});
    for (int i = 0; i < 4; i++) m[i] = message_of(LIGHT, MESSAGE_READ, 1);
    for (int i = 0; i < 3; i++) assert_int_not_equal(mailbox_push(&mb, &m[i]), MAILBOX_BUSY);
    assert_int_equal(mailbox_push(&mb, &m[3]), MAILBOX_BUSY);
    assert_int_equal(mailbox_length(&mb), 3);
    assert_int_equal(mailbox_pop(&mb, out, 1, SIZE_MAX, &is_empty), 1);
    assert_ptr_equal(out[0], &m[0]);
    assert_int_equal(mailbox_push(&mb, &m[3]), MAILBOX_QUEUED);
    assert_int_equal(mailbox_pop(&mb, out, 4, SIZE_MAX, &is_empty), 3);
    for (int i = 0; i < 3; i++) assert_ptr_equal(out[i], &m[i + 1]);
    assert_true(is_empty);
    mailbox_deinit(&mb);
}

static void bytes_are_bounded_as_well_as_messages(void **state)
{
    struct mailbox mb;
    struct message a = message_of(LIGHT, MESSAGE_WRITE, 60);
    struct message b = message_of(LIGHT, MESSAGE_WRITE, 40);
    struct message c = message_of(LIGHT, MESSAGE_WRITE, 1);

    (void)state;
    init(&mb, (struct mailbox_desc){.bytes_max = 100});
    assert_int_equal(mailbox_push(&mb, &a), MAILBOX_WAKE);
    assert_int_equal(mailbox_push(&mb, &b), MAILBOX_QUEUED);
    assert_int_equal(mailbox_bytes(&mb), 100);
    assert_int_equal(mailbox_push(&mb, &c), MAILBOX_BUSY);
    assert_int_equal(mailbox_bytes(&mb), 100);
    assert_int_equal(pop_all(&mb), 2);
    assert_int_equal(mailbox_bytes(&mb), 0);
    mailbox_deinit(&mb);
}

static void a_message_over_the_byte_bound_is_taken_alone(void **state)
{
    struct mailbox mb;
    struct message big = message_of(LIGHT, MESSAGE_WRITE, 1000);
    struct message small = message_of(LIGHT, MESSAGE_WRITE, 1);

    (void)state;
    init(&mb, (struct mailbox_desc){.bytes_max = 100});
    assert_int_equal(mailbox_push(&mb, &small), MAILBOX_WAKE);
    assert_int_equal(mailbox_push(&mb, &big), MAILBOX_BUSY);
    pop_all(&mb);
    assert_int_equal(mailbox_push(&mb, &big), MAILBOX_QUEUED);
    assert_int_equal(mailbox_push(&mb, &small), MAILBOX_BUSY);
    pop_all(&mb);
    assert_int_equal(mailbox_push(&mb, &small), MAILBOX_QUEUED);
    pop_all(&mb);
    mailbox_deinit(&mb);
}

static void system_messages_are_never_refused_and_are_counted(void **state)
{
    struct mailbox mb;
    struct message bounded = message_of(LIGHT, MESSAGE_WRITE, SIZE_MAX);
    struct message system[8];

    (void)state;
    init(&mb, (struct mailbox_desc){.messages_max = 1, .bytes_max = 1});
    assert_int_not_equal(mailbox_push(&mb, &bounded), MAILBOX_BUSY);
    for (int i = 0; i < 8; i++) {
        system[i] = message_of(LIGHT, MESSAGE_SYSTEM, SIZE_MAX);
        assert_int_not_equal(mailbox_push(&mb, &system[i]), MAILBOX_BUSY);
    }
    assert_int_equal(mailbox_length(&mb), 9);
    assert_int_equal(pop_all(&mb), 9);
    assert_int_equal(mailbox_length(&mb), 0);
    mailbox_deinit(&mb);
}

static void a_kind_can_have_a_bound_of_its_own(void **state)
{
    static const uint16_t limits[KIND_COUNT] = {[RARE] = 1};
    struct mailbox mb;
    struct message rare[2];
    struct message light = message_of(LIGHT, MESSAGE_WRITE, 1);
    struct message beyond = message_of(KIND_COUNT + 5, MESSAGE_WRITE, 1);

    (void)state;
    init(&mb, (struct mailbox_desc){.kind_limits = limits, .kind_count = KIND_COUNT});
    for (int i = 0; i < 2; i++) rare[i] = message_of(RARE, MESSAGE_WRITE, 1);
    assert_int_not_equal(mailbox_push(&mb, &rare[0]), MAILBOX_BUSY);
    assert_int_equal(mailbox_push(&mb, &rare[1]), MAILBOX_BUSY);
    assert_int_equal(mailbox_push(&mb, &light), MAILBOX_QUEUED);
    assert_int_equal(mailbox_push(&mb, &beyond), MAILBOX_QUEUED);
    assert_int_equal(pop_all(&mb), 3);
    assert_int_equal(mailbox_push(&mb, &rare[1]), MAILBOX_QUEUED);
    pop_all(&mb);
    mailbox_deinit(&mb);
}

static void a_refused_message_of_a_bounded_kind_does_not_use_up_its_kind(void **state)
{
    static const uint16_t limits[KIND_COUNT] = {[RARE] = 1};
    struct mailbox mb;
    struct message light = message_of(LIGHT, MESSAGE_WRITE, 1);
    struct message rare = message_of(RARE, MESSAGE_WRITE, 1);

    (void)state;
    init(&mb,
         (struct mailbox_desc){.messages_max = 1, .kind_limits = limits, .kind_count = KIND_COUNT});
    assert_int_equal(mailbox_push(&mb, &light), MAILBOX_WAKE);
    assert_int_equal(mailbox_push(&mb, &rare), MAILBOX_BUSY);
    pop_all(&mb);
    assert_int_equal(mailbox_push(&mb, &rare), MAILBOX_QUEUED);
    pop_all(&mb);
    mailbox_deinit(&mb);
}

static void a_batch_is_closed_when_it_weighs_enough(void **state)
{
    struct mailbox mb;
    struct message m[4];
    struct message *out[4];
    bool is_empty;

    (void)state;
    init(&mb, (struct mailbox_desc){0});
    for (int i = 0; i < 4; i++) {
        m[i] = message_of(LIGHT, MESSAGE_WRITE, 10);
        mailbox_push(&mb, &m[i]);
    }
    assert_int_equal(mailbox_pop(&mb, out, 4, 15, &is_empty), 2);
    assert_false(is_empty);
    assert_int_equal(mailbox_pop(&mb, out, 4, 1, &is_empty), 1);
    assert_int_equal(mailbox_pop(&mb, out, 4, 100, &is_empty), 1);
    assert_true(is_empty);
    mailbox_deinit(&mb);
}

static void bounds_out_of_range_are_an_error(void **state)
{
    struct mailbox mb;
    struct error err = {0};
    struct mailbox_desc many = {.messages_max = 1u << 20};
    struct mailbox_desc heavy = {.bytes_max = ((size_t)1 << 40) + 1};

    (void)state;
    assert_fails(mailbox_init(&mb, alloc_libc(), &many, &err), &err, LYNSE_LIMIT);
    assert_fails(mailbox_init(&mb, alloc_libc(), &heavy, &err), &err, LYNSE_LIMIT);
}

static int init_with_limits(void *ctx, struct error *err)
{
    static const uint16_t limits[KIND_COUNT] = {[RARE] = 1};
    struct mailbox_desc desc = {.kind_limits = limits, .kind_count = KIND_COUNT};
    struct mailbox mb;

    if (mailbox_init(&mb, ctx, &desc, err) != 0) return -1;
    mailbox_deinit(&mb);
    return 0;
}

static void without_memory_init_fails_cleanly(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);

    (void)state;
    oom_sweep(a, init_with_limits, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(first_push_into_an_idle_mailbox_asks_for_a_wake_and_later_ones_do_not),
    cmocka_unit_test(a_full_mailbox_is_busy_until_something_is_taken_out),
    cmocka_unit_test(bytes_are_bounded_as_well_as_messages),
    cmocka_unit_test(a_message_over_the_byte_bound_is_taken_alone),
    cmocka_unit_test(system_messages_are_never_refused_and_are_counted),
    cmocka_unit_test(a_kind_can_have_a_bound_of_its_own),
    cmocka_unit_test(a_refused_message_of_a_bounded_kind_does_not_use_up_its_kind),
    cmocka_unit_test(a_batch_is_closed_when_it_weighs_enough),
    cmocka_unit_test(bounds_out_of_range_are_an_error),
    cmocka_unit_test(without_memory_init_fails_cleanly),
};

TEST_MAIN(tests)
