/* SPDX-License-Identifier: Apache-2.0 */
#include "os/fork_registry.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

static int parent_pid;
static int watched_fd;

static int run_in_child(int (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(fn());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int check_in_child(void)
{
    struct error err = {0};
    if (fork_check(parent_pid, &err) != -1) return 1;
    if (err.code != LYNSE_FORKED) return 2;
    return fork_check((int)getpid(), &err) == 0 ? 0 : 3;
}

static void a_child_is_told_that_it_is_one(void **state)
{
    (void)state;
    struct error err = {0};
    parent_pid = (int)getpid();
    assert_ok(fork_check(parent_pid, &err), &err);
    assert_int_equal(run_in_child(check_in_child), 0);
}

static int watched_is_open(void)
{
    return fcntl(watched_fd, F_GETFD) >= 0;
}

static void a_registered_descriptor_is_closed_in_the_child_alone(void **state)
{
    (void)state;
    int owner;
    struct error err = {0};
    watched_fd = open("/dev/null", O_RDONLY);
    assert_true(watched_fd >= 0);
    assert_int_equal(run_in_child(watched_is_open), 1);

    fork_registry_hold();
    int rc = fork_registry_add(watched_fd, &owner, &err);
    fork_registry_release();
    assert_ok(rc, &err);
    assert_int_equal(run_in_child(watched_is_open), 0);
    assert_true(watched_is_open());
    assert_int_equal(run_in_child(watched_is_open), 0); /* not only the first time */

    fork_registry_hold();
    assert_true(fork_registry_remove(&owner));
    assert_false(fork_registry_remove(&owner));
    fork_registry_release();
    assert_int_equal(run_in_child(watched_is_open), 1);
    assert_int_equal(close(watched_fd), 0);
}

static int owners[FORK_REGISTRY_SLOTS + 1];

static int remove_in_child(void)
{
    struct error err = {0};
    fork_registry_hold();
    bool was_there = fork_registry_remove(&owners[0]);
    /* The child's own table is empty and works. */
    int fd = open("/dev/null", O_RDONLY);
    int rc = fork_registry_add(fd, &owners[0], &err);
    fork_registry_release();
    return !was_there && rc == 0 ? 0 : 1;
}

static void a_full_registry_answers_the_limit(void **state)
{
    (void)state;
    struct error err = {0};
    int fds[FORK_REGISTRY_SLOTS];
    fork_registry_hold();
    for (int i = 0; i < FORK_REGISTRY_SLOTS; i++) {
        fds[i] = open("/dev/null", O_RDONLY);
        assert_ok(fork_registry_add(fds[i], &owners[i], &err), &err);
    }
    int rc = fork_registry_add(fds[0], &owners[FORK_REGISTRY_SLOTS], &err);
    fork_registry_release();
    assert_fails(rc, &err, LYNSE_LIMIT);
    char limit[16];
    snprintf(limit, sizeof limit, "%d", FORK_REGISTRY_SLOTS);
    assert_non_null(strstr(err.text, limit));
    assert_int_equal(run_in_child(remove_in_child), 0);

    fork_registry_hold();
    for (int i = 0; i < FORK_REGISTRY_SLOTS; i++) {
        assert_true(fork_registry_remove(&owners[i]));
        (void)close(fds[i]);
    }
    fork_registry_release();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_child_is_told_that_it_is_one),
    cmocka_unit_test(a_registered_descriptor_is_closed_in_the_child_alone),
    cmocka_unit_test(a_full_registry_answers_the_limit),
};

TEST_MAIN(tests)
