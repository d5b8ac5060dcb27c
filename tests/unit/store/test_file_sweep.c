/* SPDX-License-Identifier: Apache-2.0 */
/* Garbage is unlinked piece by piece, and nothing of it once it was stopped. */
#include "store/file_sweep.h"

#include "unit/store/log_fixture.h"

static struct file_sweep *taken;
static int taken_count;

static void take(struct file_sweeper *to, struct file_sweep *take_s)
{
    (void)to;
    taken = take_s;
    taken_count++;
}

static struct file_sweeper sweeper = {.take = take};

struct sweep_bed {
    struct log_fixture f;
    struct file_sweep *sweep;
};

static int set_up(void **state)
{
    struct sweep_bed *b = malloc(sizeof *b);
    struct error err = {0};
    fixture_init(&b->f);
    assert_ok(file_sweep_create(b->f.alloc, b->f.dir, &sweeper, &b->sweep, &err), &err);
    taken = NULL;
    taken_count = 0;
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct sweep_bed *b = *state;
    file_sweep_release(b->sweep);
    fixture_deinit(&b->f);
    free(b);
    return 0;
}

/* The sweeper's turn, to its end. */
static int sweep_all(void)
{
    int steps = 0;
    while (file_sweep_step(taken)) steps++;
    file_sweep_release(taken);
    taken = NULL;
    return steps;
}

static void begin(struct sweep_bed *b, const char *names, size_t bytes)
{
    struct name_list list;
    name_list_init(&list, b->f.alloc);
    buf_append(&list.names, names, bytes);
    file_sweep_begin(b->sweep, &list);
    assert_int_equal(list.names.size, 0);
    name_list_deinit(&list);
}

static void what_is_on_the_list_goes_and_nothing_else(void **state)
{
    struct sweep_bed *b = *state;
    replace_bytes(&b->f, "seg-a", "", 0);
    replace_bytes(&b->f, "seg-b", "", 0);
    replace_bytes(&b->f, "seg-c", "", 0);
    begin(b, "seg-a\0gone\0seg-c", 17); /* one is not there any more */
    assert_int_equal(taken_count, 1);
    assert_true(file_sweep_step(taken));
    assert_false(is_there(&b->f, "seg-a"));
    assert_true(is_there(&b->f, "seg-c"));
    assert_int_equal(sweep_all(), 2);
    assert_false(is_there(&b->f, "seg-c"));
    assert_true(is_there(&b->f, "seg-b"));
}

static void an_empty_list_is_nobodys_work(void **state)
{
    begin(*state, "", 0);
    assert_int_equal(taken_count, 0);
}

static void a_newer_list_takes_the_place_of_an_older_one(void **state)
{
    struct sweep_bed *b = *state;
    replace_bytes(&b->f, "seg-a", "", 0);
    replace_bytes(&b->f, "seg-b", "", 0);
    begin(b, "seg-a", 6);
    begin(b, "seg-b", 6);
    assert_int_equal(taken_count, 1); /* it has it already */
    assert_int_equal(sweep_all(), 1);
    assert_true(is_there(&b->f, "seg-a"));
    assert_false(is_there(&b->f, "seg-b"));
    begin(b, "seg-a", 6);
    assert_int_equal(taken_count, 2);
    assert_int_equal(sweep_all(), 1);
    assert_false(is_there(&b->f, "seg-a"));
}

/* The name is somebody's again. */
static void nothing_goes_after_a_stop(void **state)
{
    struct sweep_bed *b = *state;
    replace_bytes(&b->f, "seg-a", "", 0);
    begin(b, "seg-a", 6);
    file_sweep_stop(b->sweep);
    assert_int_equal(sweep_all(), 0);
    assert_true(is_there(&b->f, "seg-a"));
    file_sweep_stop(NULL);
    file_sweep_release(NULL);
}

static void what_is_left_can_be_finished_at_once(void **state)
{
    struct sweep_bed *b = *state;
    replace_bytes(&b->f, "seg-a", "", 0);
    replace_bytes(&b->f, "seg-b", "", 0);
    begin(b, "seg-a\0seg-b", 12);
    assert_true(file_sweep_step(taken));
    file_sweep_finish(b->sweep);
    assert_false(is_there(&b->f, "seg-b"));
    assert_int_equal(sweep_all(), 0);
    file_sweep_finish(NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(what_is_on_the_list_goes_and_nothing_else),    CASE(an_empty_list_is_nobodys_work),
    CASE(a_newer_list_takes_the_place_of_an_older_one), CASE(nothing_goes_after_a_stop),
    CASE(what_is_left_can_be_finished_at_once),
};
TEST_MAIN(tests)
