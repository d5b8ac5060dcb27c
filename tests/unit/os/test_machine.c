/* SPDX-License-Identifier: Apache-2.0 */
#include "os/machine.h"

#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/temp_dir.h"
#include "support/test.h"

static char root[TEMP_PATH_BYTES];

static int set_up(void **state)
{
    (void)state;
    temp_dir_make(root);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_dir_remove(root);
    return 0;
}

/* Write a file below root, with the folders on the way. */
static void put(const char *path, const char *text)
{
    char full[TEMP_PATH_BYTES + 256];
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(full, 0700);
        *at = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void no_cgroup_is_no_limit(void **state)
{
    (void)state;
    assert_true(machine_cgroup_memory_bytes(root) == UINT64_MAX);
    put("/proc/self/cgroup", "0::/\n");
    assert_true(machine_cgroup_memory_bytes(root) == UINT64_MAX);
}

static void version_2_takes_the_lowest_limit_on_the_way_up(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/user.slice/app.service/job\n");
    put("/sys/fs/cgroup/user.slice/app.service/job/memory.max", "max\n");
    put("/sys/fs/cgroup/user.slice/app.service/memory.max", "536870912\n");
    put("/sys/fs/cgroup/user.slice/memory.max", "1073741824\n");
    assert_int_equal(machine_cgroup_memory_bytes(root), 536870912);
    put("/sys/fs/cgroup/user.slice/app.service/job/memory.max", "4096\n");
    assert_int_equal(machine_cgroup_memory_bytes(root), 4096);
}

static void a_container_sees_its_limit_at_the_mount(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/docker/0123456789abcdef\n"); /* not there under the mount */
    put("/sys/fs/cgroup/memory.max", "268435456\n");
    assert_int_equal(machine_cgroup_memory_bytes(root), 268435456);
}

static void version_1_is_found_by_its_controller(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "5:cpu,cpuacct:/a\n"
                             "4:memory:/process_api/57a1\n"
                             "0::/\n");
    put("/sys/fs/cgroup/memory/process_api/57a1/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(machine_cgroup_memory_bytes(root), 9223372036854771712u);
    put("/sys/fs/cgroup/memory/process_api/memory.limit_in_bytes", "2147483648\n");
    assert_int_equal(machine_cgroup_memory_bytes(root), 2147483648u);
    put("/sys/fs/cgroup/unified/memory.max", "1048576\n"); /* version 2 beside it */
    assert_int_equal(machine_cgroup_memory_bytes(root), 1048576);
}

static void a_controller_is_a_whole_word(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "3:memory_not,xmemory:/\n2:cpu,memory,pids:/b\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "777\n");
    assert_int_equal(machine_cgroup_memory_bytes(root), 777);
    put("/proc/self/cgroup", "3:memory_not,xmemory:/\n");
    assert_true(machine_cgroup_memory_bytes(root) == UINT64_MAX);
}

static void odd_lines_are_passed_over(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "\n:\nrubbish\n::\n4:memory\n0::/\n");
    put("/sys/fs/cgroup/memory.max", "-5\n");
    assert_true(machine_cgroup_memory_bytes(root) == UINT64_MAX);
    put("/sys/fs/cgroup/memory.max", "99999999999999999999999\n");
    assert_true(machine_cgroup_memory_bytes(root) == UINT64_MAX);
    put("/sys/fs/cgroup/memory.max", "");
    assert_true(machine_cgroup_memory_bytes(root) == UINT64_MAX);
}

static void memory_is_not_more_than_the_machine_has(void **state)
{
    (void)state;
    uint64_t bytes = machine_memory_bytes();
    uint64_t physical = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    assert_true(bytes > 0 && bytes <= physical);
}

static void cores_follow_the_affinity_mask(void **state)
{
    (void)state;
    cpu_set_t before;
    cpu_set_t one;
    assert_true(machine_core_count() >= 1);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_int_equal(machine_core_count(), CPU_COUNT(&before));
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &before)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(machine_core_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

static void identity_names_this_process(void **state)
{
    (void)state;
    struct machine_identity id;
    machine_identity(&id);
    assert_int_equal(id.pid, getpid());
    assert_int_equal(id.uid, getuid());
    assert_int_equal(strlen(id.boot_id), 36);
    assert_true(strlen(id.host) > 0);
    assert_true(id.process_start > 0);
    assert_true(machine_process_is_alive(id.pid, id.process_start));
    assert_true(machine_process_is_alive(id.pid, 0));
    assert_false(machine_process_is_alive(id.pid, id.process_start + 1)); /* the pid's next user */
    assert_false(machine_process_is_alive(0, 0));
    assert_false(machine_process_is_alive(-1, 0));
    assert_false(machine_process_is_alive(INT64_MAX, 0));
}

static void a_dead_process_is_not_alive(void **state)
{
    (void)state;
    siginfo_t info;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(machine_process_is_alive(pid, 0)); /* a zombie holds no lock */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(machine_process_is_alive(pid, 0));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(no_cgroup_is_no_limit, set_up, tear_down),
    cmocka_unit_test_setup_teardown(version_2_takes_the_lowest_limit_on_the_way_up, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(a_container_sees_its_limit_at_the_mount, set_up, tear_down),
    cmocka_unit_test_setup_teardown(version_1_is_found_by_its_controller, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_controller_is_a_whole_word, set_up, tear_down),
    cmocka_unit_test_setup_teardown(odd_lines_are_passed_over, set_up, tear_down),
    cmocka_unit_test(memory_is_not_more_than_the_machine_has),
    cmocka_unit_test(cores_follow_the_affinity_mask),
    cmocka_unit_test(identity_names_this_process),
    cmocka_unit_test(a_dead_process_is_not_alive),
};

TEST_MAIN(tests)
