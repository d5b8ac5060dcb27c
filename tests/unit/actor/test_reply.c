/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/reply.h"
#include "base/check.h"
#include "support/oom_sweep.h"
#include "unit/actor/recorder.h"

struct outcome {
    size_t delivered_count;
    int code;
    void *result;
    char text[ERROR_TEXT_BYTES];
};

static void remember(void *ctx, struct answer *take_answer)
{
    struct outcome *o = ctx;
    o->delivered_count++;
    o->code = take_answer->code;
    o->result = take_answer->result;
    memcpy(o->text, take_answer->error.text, sizeof o->text);
    answer_deinit(take_answer);
}

static void count_destroyed(void *result)
{
    (*(int *)result)++;
}

static struct future *make_future(struct scheduler *s)
{
    struct error err = {0};
    struct future *f = future_create(s, &err);
    assert_ok(f ? 0 : -1, &err);
    return f;
}

static void complete_with(struct reply *r, int *result)
{
    struct answer answer;
    answer_init(&answer, LYNSE_OK);
    answer.result = result;
    answer.destroy_result = count_destroyed;
    reply_complete(r, &answer);
}

static void a_callback_gets_the_answer(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct outcome o = {0};
    struct reply *r = reply_create_callback(s, remember, &o, NULL);

    (void)state;
    reply_complete_code(r, LYNSE_BUSY);
    assert_int_equal(o.delivered_count, 1);
    assert_int_equal(o.code, LYNSE_BUSY);
    assert_string_equal(o.text, error_sentence(LYNSE_BUSY));
    reply_release(r);
    assert_int_equal(o.delivered_count, 1);
    scheduler_destroy(s);
}

static void a_callback_may_keep_or_destroy_the_result(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct outcome o = {0};
    struct reply *r = reply_create_callback(s, remember, &o, NULL);
    int destroyed = 0;

    (void)state;
    complete_with(r, &destroyed);
    reply_release(r);
    assert_ptr_equal(o.result, &destroyed);
    assert_int_equal(destroyed, 1);
    scheduler_destroy(s);
}

static void a_future_hands_out_the_result_once(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct future *f = make_future(s);
    struct answer answer = {0};
    int destroyed = 0;

    (void)state;
    assert_false(future_poll(f, &answer));
    complete_with(&f->reply, &destroyed);
    reply_release(&f->reply);
    assert_true(future_poll(f, &answer));
    assert_ptr_equal(answer.result, &destroyed);
    answer_deinit(&answer);
    assert_int_equal(destroyed, 1);
    assert_true(future_poll(f, &answer));
    assert_null(answer.result);
    future_release(f);
    assert_int_equal(destroyed, 1);
    scheduler_destroy(s);
}

static void an_answer_nobody_takes_is_destroyed_with_the_future(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct future *f = make_future(s);
    int destroyed = 0;

    (void)state;
    future_release(f);
    complete_with(&f->reply, &destroyed);
    assert_int_equal(destroyed, 0);
    reply_release(&f->reply);
    assert_int_equal(destroyed, 1);
    scheduler_destroy(s);
}

static void a_requester_that_gave_up_is_not_hit_by_the_late_answer(void **state)
{
    struct manual_clock clock;
    manual_clock_init(&clock, 100);
    struct scheduler *s = make_inline(&clock.base);
    struct future *f = make_future(s);
    struct answer answer = {0};
    struct error err = {0};
    int destroyed = 0;

    (void)state;
    assert_fails(future_wait(f, 50, &answer, &err), &err, LYNSE_DEADLINE);
    future_cancel(f);
    assert_true(reply_is_cancelled(&f->reply));
    future_release(f);
    complete_with(&f->reply, &destroyed);
    reply_release(&f->reply);
    assert_int_equal(destroyed, 1);
    scheduler_destroy(s);
}

static void a_wait_that_timed_out_may_be_repeated(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct future *f = make_future(s);
    struct answer answer = {0};
    struct error err = {0};

    (void)state;
    assert_fails(future_wait(f, 1, &answer, &err), &err, LYNSE_DEADLINE);
    reply_complete_code(&f->reply, LYNSE_NOT_FOUND);
    reply_release(&f->reply);
    assert_ok(future_wait(f, 1, &answer, &err), &err);
    assert_int_equal(answer.code, LYNSE_NOT_FOUND);
    future_release(f);
    scheduler_destroy(s);
}

#ifdef LYNSE_DEBUG

static jmp_buf panicked;

static void jump_out(const char *text, void *ctx)
{
    (void)text;
    (void)ctx;
    longjmp(panicked, 1);
}

static void broken_promises_fail_a_check(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct outcome o = {0};
    struct reply *r = reply_create_callback(s, remember, &o, NULL);

    (void)state;
    check_set_panic_hook(jump_out, NULL);
    if (setjmp(panicked) == 0) {
        reply_release(r);
        fail_msg("a forgotten reply went unnoticed");
    }
    reply_complete_code(r, LYNSE_OK);
    if (setjmp(panicked) == 0) {
        reply_complete_code(r, LYNSE_OK);
        fail_msg("a second answer went unnoticed");
    }
    check_set_panic_hook(NULL, NULL);
    reply_release(r);
    assert_int_equal(o.delivered_count, 1);
    scheduler_destroy(s);
}

#else

static void broken_promises_fail_a_check(void **state)
{
    struct scheduler *s = make_inline(NULL);
    struct outcome o = {0};
    struct reply *r = reply_create_callback(s, remember, &o, NULL);
    int destroyed = 0;

    (void)state;
    reply_complete_code(r, LYNSE_OK);
    complete_with(r, &destroyed);
    assert_int_equal(o.delivered_count, 1);
    assert_int_equal(destroyed, 1);
    assert_int_equal(atomic_load(&s->replies.completed_twice), 1);
    reply_release(r);

    r = reply_create_callback(s, remember, &o, NULL);
    reply_release(r);
    assert_int_equal(o.delivered_count, 2);
    assert_int_equal(o.code, LYNSE_INTERNAL);
    assert_int_equal(atomic_load(&s->replies.forgotten), 1);
    scheduler_destroy(s);
}

#endif

static int create_both(void *ctx, struct error *err)
{
    struct scheduler *s = ctx;
    struct outcome o = {0};
    struct future *f = future_create(s, err);
    struct reply *r = f ? reply_create_callback(s, remember, &o, err) : NULL;

    if (f) {
        reply_complete_code(&f->reply, LYNSE_OK);
        reply_release(&f->reply);
        future_release(f);
    }
    if (!r) return -1;
    reply_complete_code(r, LYNSE_OK);
    reply_release(r);
    return 0;
}

static void without_memory_creation_fails_cleanly(void **state)
{
    struct alloc *a = alloc_create(NULL, 0);
    struct inline_scheduler_desc desc = {.alloc = a};
    struct scheduler *s = inline_scheduler_create(&desc, NULL);

    (void)state;
    oom_sweep(a, create_both, s);
    scheduler_destroy(s);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_callback_gets_the_answer),
    cmocka_unit_test(a_callback_may_keep_or_destroy_the_result),
    cmocka_unit_test(a_future_hands_out_the_result_once),
    cmocka_unit_test(an_answer_nobody_takes_is_destroyed_with_the_future),
    cmocka_unit_test(a_requester_that_gave_up_is_not_hit_by_the_late_answer),
    cmocka_unit_test(a_wait_that_timed_out_may_be_repeated),
    cmocka_unit_test(broken_promises_fail_a_check),
    cmocka_unit_test(without_memory_creation_fails_cleanly),
};

TEST_MAIN(tests)
