/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash_map.h"
#include "base/rng.h"
#include "support/oom_sweep.h"
#include "support/test.h"

enum { POOL = 300, KEY_BYTES_MAX = 300 };

struct model {
    uint8_t keys[POOL][KEY_BYTES_MAX];
    size_t sizes[POOL];
    uint64_t values[POOL];
    bool is_there[POOL];
    size_t count;
};

/* Keys are prefixes of each other and of zeros, so that only size and all bytes tell them apart. */
static void make_keys(struct model *m, struct rng *r)
{
    memset(m, 0, sizeof *m);
    for (size_t i = 0; i < POOL; i++) {
        m->sizes[i] = i;
        if (i % 3 == 1) memset(m->keys[i], 'k', i);
        if (i % 3 == 2) rng_bytes(r, m->keys[i], i);
    }
}

static struct slice key_of(const struct model *m, size_t i)
{
    return slice_of(i == 0 ? NULL : m->keys[i], m->sizes[i]);
}

static void assert_same(const struct text_map *map, const struct model *m)
{
    assert_int_equal(map->count, m->count);
    for (size_t i = 0; i < POOL; i++) {
        uint64_t value = 0xAAAA;
        assert_int_equal(text_map_get(map, key_of(m, i), &value), m->is_there[i]);
        assert_true(value == (m->is_there[i] ? m->values[i] : 0xAAAA));
    }
}

static void agrees_with_a_plain_array(void **state)
{
    (void)state;
    static struct model m;
    struct rng r;
    rng_init(&r, test_seed(4));
    for (int round = 0; round < 15; round++) {
        struct text_map map;
        make_keys(&m, &r);
        text_map_init(&map, alloc_libc(), MEM_ID_MAP);
        double put_chance = 0.3 + 0.03 * round;
        for (int step = 0; step < 4000; step++) {
            size_t i = rng_below(&r, POOL);
            if (rng_chance(&r, put_chance)) {
                m.values[i] = rng_u64(&r);
                m.count += !m.is_there[i];
                m.is_there[i] = true;
                assert_int_equal(text_map_put(&map, key_of(&m, i), m.values[i]), 0);
            } else {
                assert_int_equal(text_map_remove(&map, key_of(&m, i)), m.is_there[i]);
                m.count -= m.is_there[i];
                m.is_there[i] = false;
            }
            if (step % 100 == 0) assert_same(&map, &m);
        }
        assert_same(&map, &m);
        assert_true(map.count <= map.slot_count / 4 * 3);
        text_map_deinit(&map);
    }
}

static void keys_are_copied(void **state)
{
    (void)state;
    struct text_map map;
    char key[] = "mutable";
    text_map_init(&map, alloc_libc(), MEM_ID_MAP);
    assert_int_equal(text_map_put(&map, slice_of_text(key), 1), 0);
    key[0] = 'M';
    uint64_t value;
    assert_false(text_map_get(&map, slice_of_text(key), &value));
    assert_true(text_map_get(&map, slice_of_text("mutable"), &value));
    text_map_deinit(&map);
}

static void empty_map_answers(void **state)
{
    (void)state;
    struct text_map map;
    uint64_t value;
    text_map_init(&map, alloc_libc(), MEM_ID_MAP);
    assert_false(text_map_get(&map, slice_of_text("a"), &value));
    assert_false(text_map_remove(&map, slice_of_text("a")));
    text_map_deinit(&map);
    struct text_map zeroed = {0};
    text_map_deinit(&zeroed);
}

static void reserved_puts_cannot_fail(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    for (size_t more = 0; more < 120; more++) {
        struct text_map map;
        char key[KEY_BYTES_MAX];
        text_map_init(&map, a, MEM_ID_MAP);
        size_t key_bytes = 0;
        for (size_t i = 0; i < more; i++)
            key_bytes += (size_t)snprintf(key, sizeof key, "%*zu", (int)(i * 2 + 1), i);
        assert_int_equal(text_map_put(&map, slice_of_text("before"), 1), 0);
        assert_int_equal(text_map_reserve(&map, more, key_bytes), 0);
        alloc_fail_after(a, 1, true);
        for (size_t i = 0; i < more; i++) {
            snprintf(key, sizeof key, "%*zu", (int)(i * 2 + 1), i);
            assert_int_equal(text_map_put(&map, slice_of_text(key), i), 0);
        }
        alloc_fail_after(a, 0, false);
        assert_int_equal(map.count, more + 1);
        text_map_deinit(&map);
    }
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void absurd_reservations_are_refused(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 1 << 20);
    struct text_map map;
    text_map_init(&map, a, MEM_ID_MAP);
    assert_int_equal(text_map_reserve(&map, SIZE_MAX, 0), -1);
    assert_int_equal(text_map_reserve(&map, SIZE_MAX / 4 - 1, 0), -1);
    assert_int_equal(text_map_reserve(&map, 0, SIZE_MAX), -1);
    assert_int_equal(text_map_put(&map, slice_of_text("a"), 1), 0);
    text_map_deinit(&map);
    alloc_destroy(a);
}

static int fill_a_map(void *ctx, struct error *err)
{
    struct text_map map;
    int rc = 0;
    text_map_init(&map, ctx, MEM_ID_MAP);
    for (uint64_t i = 0; i < 200 && rc == 0; i++) {
        char key[40];
        snprintf(key, sizeof key, "a key of some length %llu", (unsigned long long)i);
        size_t count = map.count;
        if (text_map_put(&map, slice_of_text(key), i) == 0) continue;
        rc = error_no_memory(err, 0);
        uint64_t value;
        assert_int_equal(map.count, count);
        assert_false(text_map_get(&map, slice_of_text(key), &value));
        if (i > 0) assert_true(text_map_get(&map, slice_of_text("a key of some length 0"), &value));
    }
    text_map_deinit(&map);
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
    cmocka_unit_test(keys_are_copied),
    cmocka_unit_test(empty_map_answers),
    cmocka_unit_test(reserved_puts_cannot_fail),
    cmocka_unit_test(absurd_reservations_are_refused),
    cmocka_unit_test(survives_every_refusal),
};

TEST_MAIN(tests)
