/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash_map.h"
#include "base/rng.h"
#include "support/oom_sweep.h"
#include "support/test.h"

/* A pool of keys small enough that each is put and removed many times, so that runs grow, wrap and
 * are shifted back. */
enum { POOL = 400 };

struct model {
    uint64_t keys[POOL];
    uint64_t values[POOL];
    bool is_there[POOL];
    size_t count;
};

static void make_keys(struct model *m, struct rng *r)
{
    *m = (struct model){.count = 0};
    for (size_t i = 0; i < POOL; i++) m->keys[i] = i < POOL / 2 ? i : rng_u64(r);
    m->keys[POOL - 1] = UINT64_MAX;
}

static void assert_same(const struct int_map *map, const struct model *m)
{
    assert_int_equal(map->count, m->count);
    for (size_t i = 0; i < POOL; i++) {
        uint64_t value = 0xAAAA;
        assert_int_equal(int_map_get(map, m->keys[i], &value), m->is_there[i]);
        assert_true(value == (m->is_there[i] ? m->values[i] : 0xAAAA));
    }
}

static void agrees_with_a_plain_array(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, test_seed(3));
    for (int round = 0; round < 20; round++) {
        struct model m;
        struct int_map map;
        make_keys(&m, &r);
        int_map_init(&map, alloc_libc(), MEM_ID_MAP);
        /* Rounds differ in how full they let the table be. */
        double put_chance = 0.3 + 0.02 * round;
        for (int step = 0; step < 6000; step++) {
            size_t i = rng_below(&r, POOL);
            if (rng_chance(&r, put_chance)) {
                m.values[i] = rng_u64(&r);
                m.count += !m.is_there[i];
                m.is_there[i] = true;
                assert_int_equal(int_map_put(&map, m.keys[i], m.values[i]), 0);
            } else {
                assert_int_equal(int_map_remove(&map, m.keys[i]), m.is_there[i]);
                m.count -= m.is_there[i];
                m.is_there[i] = false;
            }
            if (step % 100 == 0) assert_same(&map, &m);
        }
        assert_same(&map, &m);
        assert_true(map.count <= map.slot_count / 4 * 3);
        int_map_deinit(&map);
    }
}

static void full_table_loses_nothing_when_emptied(void **state)
{
    (void)state;
    struct int_map map;
    int_map_init(&map, alloc_libc(), MEM_ID_MAP);
    enum { COUNT = 3000 };
    for (uint64_t i = 0; i < COUNT; i++) assert_int_equal(int_map_put(&map, i * i, i), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_true(int_map_remove(&map, i * i));
        assert_false(int_map_remove(&map, i * i));
        for (uint64_t j = i + 1; j < COUNT; j += 97) {
            uint64_t value;
            assert_true(int_map_get(&map, j * j, &value));
            assert_true(value == j);
        }
    }
    assert_int_equal(map.count, 0);
    int_map_deinit(&map);
}

static void empty_map_answers(void **state)
{
    (void)state;
    struct int_map map;
    uint64_t value;
    int_map_init(&map, alloc_libc(), MEM_ID_MAP);
    assert_false(int_map_get(&map, 0, &value));
    assert_false(int_map_remove(&map, 0));
    int_map_deinit(&map);
    struct int_map zeroed = {0};
    int_map_deinit(&zeroed);
}

static void reserved_puts_cannot_fail(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    for (size_t more = 0; more < 200; more++) {
        struct int_map map;
        int_map_init(&map, a, MEM_ID_MAP);
        for (uint64_t i = 0; i < more / 3; i++) assert_int_equal(int_map_put(&map, i, i), 0);
        assert_int_equal(int_map_reserve(&map, more), 0);
        alloc_fail_after(a, 1, true);
        for (uint64_t i = 0; i < more; i++) assert_int_equal(int_map_put(&map, 1000 + i, i), 0);
        alloc_fail_after(a, 0, false);
        int_map_deinit(&map);
    }
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void refused_growth_leaves_the_map(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    struct int_map map;
    int_map_init(&map, a, MEM_ID_MAP);
    uint64_t i = 0;
    for (; map.count < 12; i++) assert_int_equal(int_map_put(&map, i, i), 0);
    alloc_fail_after(a, 1, true);
    assert_int_equal(int_map_put(&map, i, i), -1);
    assert_int_equal(int_map_put(&map, 3, 33), 0);
    alloc_fail_after(a, 0, false);
    assert_int_equal(map.count, 12);
    for (uint64_t j = 0; j < 12; j++) {
        uint64_t value;
        assert_true(int_map_get(&map, j, &value));
        assert_true(value == (j == 3 ? 33 : j));
    }
    assert_int_equal(int_map_reserve(&map, SIZE_MAX), -1);
    assert_int_equal(int_map_reserve(&map, SIZE_MAX / 2), -1);
    assert_int_equal(int_map_reserve(&map, SIZE_MAX / 4 - 100), -1);
    int_map_deinit(&map);
    alloc_destroy(a);
}

static int fill_a_map(void *ctx, struct error *err)
{
    struct int_map map;
    int rc = 0;
    int_map_init(&map, ctx, MEM_ID_MAP);
    for (uint64_t i = 0; i < 300 && rc == 0; i++)
        if (int_map_put(&map, i, i) != 0) rc = error_no_memory(err, 0);
    int_map_deinit(&map);
    return rc;
}

static void survives_every_refusal(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    oom_sweep(a, fill_a_map, a);
    alloc_destroy(a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(agrees_with_a_plain_array),
    cmocka_unit_test(full_table_loses_nothing_when_emptied),
    cmocka_unit_test(empty_map_answers),
    cmocka_unit_test(reserved_puts_cannot_fail),
    cmocka_unit_test(refused_growth_leaves_the_map),
    cmocka_unit_test(survives_every_refusal),
};

TEST_MAIN(tests)
