/* SPDX-License-Identifier: Apache-2.0 */
#include "os/mapping.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "support/vfs_backends.h"
#include "support/vfs_faulty.h"

static void a_mapping_shows_the_whole_file(void **state)
{
    struct backend *b = *state;
    struct mapping m = {0};
    struct error err = {0};
    make_file(b->root, "f", "segment");
    assert_ok(mapping_open(&m, b->root, "f", 7, &err), &err);
    assert_int_equal(m.size, 7);
    assert_memory_equal(m.data, "segment", 7);
    mapping_close(&m);
    assert_null(m.data);
    mapping_close(&m);
}

static void another_length_is_damage(void **state)
{
    struct backend *b = *state;
    struct mapping m = {0};
    struct error err = {0};
    make_file(b->root, "seg-1.vec", "segment");
    assert_fails(mapping_open(&m, b->root, "seg-1.vec", 8, &err), &err, LYNSE_CORRUPT);
    assert_non_null(strstr(err.text, "'seg-1.vec'"));
    assert_non_null(strstr(err.text, "7"));
    assert_non_null(strstr(err.text, "8"));
    assert_fails(mapping_open(&m, b->root, "seg-1.vec", 6, &err), &err, LYNSE_CORRUPT);
    assert_fails(mapping_open(&m, b->root, "absent", 6, &err), &err, LYNSE_NOT_FOUND);
    assert_null(m.data);
    assert_int_equal(mapping_count(), 0);
}

static void an_empty_file_maps_to_nothing(void **state)
{
    struct backend *b = *state;
    struct mapping m = {0};
    struct error err = {0};
    make_file(b->root, "f", "");
    assert_ok(mapping_open(&m, b->root, "f", 0, &err), &err);
    assert_non_null(m.data);
    assert_int_equal(m.size, 0);
    assert_int_equal(mapping_count(), 0);
    mapping_close(&m);
}

static void an_address_is_found_while_it_is_mapped(void **state)
{
    struct backend *b = *state;
    struct mapping one = {0};
    struct mapping two = {0};
    struct mapping_range range;
    struct error err = {0};
    char own = 'x';
    make_file(b->root, "one", "first file");
    make_file(b->root, "two", "second");
    assert_ok(mapping_open(&one, b->root, "one", 10, &err), &err);
    assert_ok(mapping_open(&two, b->root, "two", 6, &err), &err);
    assert_int_equal(mapping_count(), 2);

    const char *in_two = (const char *)two.data + 5;
    assert_true(mapping_find(in_two, &range));
    assert_ptr_equal(range.data, two.data);
    assert_int_equal(range.size, 6);
    assert_false(mapping_find(in_two + 1, &range));
    assert_false(mapping_find(&own, &range));
    assert_false(mapping_find(NULL, &range));

    mapping_close(&one);
    assert_true(mapping_find(in_two, &range));
    mapping_close(&two);
    assert_false(mapping_find(in_two, &range));
    assert_int_equal(mapping_count(), 0);
}

static void every_fault_on_the_way_is_reported_and_leaves_nothing(void **state)
{
    struct backend *b = *state;
    struct mapping m = {0};
    make_file(b->root, "f", "segment");
    unsigned failures = 0;
    for (uint64_t n = 1;; n++) {
        struct error err = {0};
        struct faulty_plan plan = {
            .kinds = FAULTY_ALL, .os_errno = EMFILE, .mode = FAULTY_ONCE, .nth = n};
        vfs_faulty_arm(b->fs, &plan);
        int rc = mapping_open(&m, b->root, "f", 7, &err);
        vfs_faulty_disarm(b->fs);
        if (vfs_faulty_fired(b->fs) == 0) break;
        failures += rc != 0;
        if (rc != 0) {
            assert_int_equal(err.code, LYNSE_BUSY);
            assert_null(m.data);
            assert_int_equal(mapping_count(), 0);
        }
        mapping_close(&m);
    }
    assert_int_equal(failures, 3); /* open, size, map; closing a file that was read is no error */
    mapping_close(&m);
}

static struct mapping many[MAPPING_SLOTS];

static void a_full_table_answers_the_limit_and_maps_nothing(void **state)
{
    struct backend *b = *state;
    struct mapping m = {0};
    struct mapping_range range;
    struct error err = {0};
    make_file(b->root, "f", "segment");
    for (size_t i = 0; i < MAPPING_SLOTS; i++)
        assert_ok(mapping_open(&many[i], b->root, "f", 7, &err), &err);
    assert_fails(mapping_open(&m, b->root, "f", 7, &err), &err, LYNSE_LIMIT);
    assert_null(m.data);
    mapping_close(&many[500]);
    assert_ok(mapping_open(&m, b->root, "f", 7, &err), &err);
    assert_true(mapping_find(m.data, &range));
    mapping_close(&m);
    for (size_t i = 0; i < MAPPING_SLOTS; i++) mapping_close(&many[i]);
    assert_int_equal(mapping_count(), 0); /* the tear-down demands that no map is left */
}

enum { READERS = 2, ROUNDS = 3000 };
struct churn {
    struct vfs_dir *root;
    atomic_bool is_over;
    atomic_uint misses;
};

/* What a signal handler would ask while others map and unmap. */
static void *find_own(void *ctx)
{
    struct churn *c = ctx;
    struct mapping m = {0};
    struct mapping_range range;
    if (mapping_open(&m, c->root, "stable", 6, NULL) != 0) atomic_fetch_add(&c->misses, 1);
    do {
        bool found = mapping_find((const char *)m.data + 3, &range);
        if (!found || range.data != m.data || range.size != 6) atomic_fetch_add(&c->misses, 1);
    } while (!atomic_load(&c->is_over));
    mapping_close(&m);
    return NULL;
}

static void a_thread_finds_its_mapping_while_others_come_and_go(void **state)
{
    struct backend *b = *state;
    struct churn c = {.root = b->root};
    struct error err = {0};
    pthread_t readers[READERS];
    make_file(b->root, "stable", "stable");
    make_file(b->root, "other", "another length");
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, find_own, &c), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct mapping one = {0};
        struct mapping two = {0};
        assert_ok(mapping_open(&one, b->root, "other", 14, &err), &err);
        assert_ok(mapping_open(&two, b->root, "stable", 6, &err), &err);
        mapping_close(&one);
        mapping_close(&two);
    }
    atomic_store(&c.is_over, true);
    for (int i = 0; i < READERS; i++) assert_int_equal(pthread_join(readers[i], NULL), 0);
    assert_int_equal(atomic_load(&c.misses), 0);
    assert_int_equal(mapping_count(), 0);
}

#define CASES(_)                                                                                   \
    _(a_mapping_shows_the_whole_file)                                                              \
    _(another_length_is_damage)                                                                    \
    _(an_empty_file_maps_to_nothing)                                                               \
    _(an_address_is_found_while_it_is_mapped)                                                      \
    _(a_thread_finds_its_mapping_while_others_come_and_go)

static const struct CMUnitTest tests[] = {
    CASES(POSIX_CASE) CASES(MEMORY_CASE) CASES(RECORD_CASE) CASES(FAULTY_CASE)
        FAULTY_CASE(every_fault_on_the_way_is_reported_and_leaves_nothing)
            MEMORY_CASE(a_full_table_answers_the_limit_and_maps_nothing)};

TEST_MAIN(tests)
