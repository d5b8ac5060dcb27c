/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

struct caught {
    jmp_buf back;
    char text[512];
    int calls;
};

static void jump_out(const char *text, void *ctx)
{
    struct caught *c = ctx;
    snprintf(c->text, sizeof c->text, "%s", text);
    c->calls++;
    longjmp(c->back, 1);
}

static void return_anyway(const char *text, void *ctx)
{
    (void)text;
    (void)ctx;
}

static void true_checks_do_nothing(void **state)
{
    (void)state;
    int evaluated = 0;
    CHECK(++evaluated == 1);
    assert_int_equal(evaluated, 1);
    assert_false(check_is_poisoned());
#ifndef LYNSE_DEBUG
    CHECK_SLOW(++evaluated == 0);
    assert_int_equal(evaluated, 1);
#endif
}

/* Run body in a child whose stderr goes to a pipe; returns its wait status. */
static int run_in_child(void (*body)(void), char *out_text, size_t size)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        body();
        _exit(7);
    }
    close(fds[1]);
    size_t used = 0;
    ssize_t got;
    while (used < size - 1 && (got = read(fds[0], out_text + used, size - 1 - used)) > 0)
        used += (size_t)got;
    out_text[used] = '\0';
    close(fds[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void fail_plainly(void)
{
    CHECK(1 + 1 == 3);
}

static void fail_with_returning_hook(void)
{
    check_set_panic_hook(return_anyway, NULL);
    UNREACHABLE();
}

static void failure_logs_a_line_and_aborts(void **state)
{
    (void)state;
    char text[1000];
    int status = run_in_child(fail_plainly, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "test_check.c:"));
    assert_non_null(strstr(text, ": check failed: 1 + 1 == 3\n"));
}

static void hook_that_returns_does_not_continue(void **state)
{
    (void)state;
    char text[1000];
    int status = run_in_child(fail_with_returning_hook, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "unreachable"));
}

/* Last: the process stays poisoned. */
static void hook_gets_the_text_and_may_jump_out(void **state)
{
    (void)state;
    static struct caught c;
    check_set_panic_hook(jump_out, &c);
    if (setjmp(c.back) == 0) {
        CHECK(c.calls == 5);
        fail_msg("a failed check went on");
    }
    check_set_panic_hook(NULL, NULL);
    assert_int_equal(c.calls, 1);
    assert_non_null(strstr(c.text, "check failed: c.calls == 5"));
    assert_true(check_is_poisoned());
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(true_checks_do_nothing),
    cmocka_unit_test(failure_logs_a_line_and_aborts),
    cmocka_unit_test(hook_that_returns_does_not_continue),
    cmocka_unit_test(hook_gets_the_text_and_may_jump_out),
};

TEST_MAIN(tests)
