/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <pthread.h>

#include "base/atomic.h"
#include "support/oom_sweep.h"
#include "support/test.h"

enum { HEADER = 16 };

static void blocks_are_aligned_and_counted(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    size_t sizes[] = {0, 1, 15, 16, 17, 4096, 100000, 524288, 1500000};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    void *blocks[COUNT];
    size_t sum = 0;
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = mem_alloc(a, MEM_TAIL, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], 0xAB, sizes[i]);
        sum += sizes[i] + HEADER;
    }
    assert_int_equal(alloc_used_bytes(a), sum);
    assert_int_equal(alloc_tag_bytes(a, MEM_TAIL), sum);
    assert_int_equal(alloc_tag_bytes(a, MEM_LOG), 0);
    assert_int_equal(alloc_count(a), COUNT);
    for (size_t i = 0; i < COUNT; i++) mem_free(a, blocks[i]);
    assert_int_equal(alloc_used_bytes(a), 0);
    assert_int_equal(alloc_tag_bytes(a, MEM_TAIL), 0);
    alloc_destroy(a);
}

static void empty_blocks_are_unique(void **state)
{
    (void)state;
    struct alloc *a = alloc_libc();
    void *one = mem_alloc(a, MEM_GENERAL, 0);
    void *two = mem_alloc(a, MEM_GENERAL, 0);
    assert_non_null(one);
    assert_non_null(two);
    assert_ptr_not_equal(one, two);
    mem_free(a, one);
    mem_free(a, two);
    mem_free(a, NULL);
}

static void zalloc_zeroes_recycled_memory(void **state)
{
    (void)state;
    struct alloc *a = alloc_libc();
    for (int round = 0; round < 4; round++) {
        uint8_t *dirty = mem_alloc(a, MEM_GENERAL, 500);
        memset(dirty, 0xFF, 500);
        mem_free(a, dirty);
        uint8_t *clean = mem_zalloc(a, MEM_GENERAL, 500);
        for (int i = 0; i < 500; i++) assert_int_equal(clean[i], 0);
        mem_free(a, clean);
    }
}

static void aligned_blocks_keep_their_alignment(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    for (size_t align = 64; align <= 4096; align *= 2) {
        for (size_t bytes = 0; bytes < 10000; bytes = bytes * 3 + 1) {
            uint8_t *block = mem_alloc_aligned(a, MEM_TAIL, bytes, align);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % align, 0);
            memset(block, 1, bytes);
            mem_free(a, block);
        }
    }
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void large_aligned_blocks_start_at_a_huge_page(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    const size_t huge = 2u << 20;
    size_t sizes[] = {huge - 1, huge, huge + 1, 2 * huge - 1, 5 * huge + 4095};
    for (size_t i = 0; i < 5; i++) {
        uint8_t *block = mem_alloc_aligned(a, MEM_TAIL, sizes[i], 64);
        assert_non_null(block);
        if (sizes[i] >= huge) assert_int_equal((uintptr_t)block % huge, 0);
        block[0] = 1;
        block[sizes[i] - 1] = 2;
        /* No hidden padding is charged: a page for the header at most. */
        assert_in_range(alloc_used_bytes(a), sizes[i], sizes[i] + (64 << 10));
        mem_free(a, block);
        assert_int_equal(alloc_used_bytes(a), 0);
    }
    alloc_destroy(a);
}

static void resize_keeps_contents_and_moves_the_tag(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    uint8_t *p = mem_resize(a, MEM_GENERAL, NULL, 10);
    for (uint8_t i = 0; i < 10; i++) p[i] = i;
    p = mem_resize(a, MEM_LOG, p, 3 << 20);
    for (uint8_t i = 0; i < 10; i++) assert_int_equal(p[i], i);
    assert_int_equal(alloc_tag_bytes(a, MEM_GENERAL), 0);
    assert_int_equal(alloc_tag_bytes(a, MEM_LOG), (3 << 20) + HEADER);
    p = mem_resize(a, MEM_LOG, p, 4);
    for (uint8_t i = 0; i < 4; i++) assert_int_equal(p[i], i);
    assert_int_equal(alloc_used_bytes(a), 4 + HEADER);
    mem_free(a, p);
    alloc_destroy(a);
}

/* From 512 KiB on blocks have pages of their own, from 4 MiB on huge ones; growing and shrinking
 * crosses these lines both ways. */
static void resize_of_a_large_block_keeps_contents_and_counts(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    static const size_t sizes[] = {5 << 20, 9 << 20, 200,     524287,  524288, 1 << 20,
                                   900000,  200000,  6 << 20, 4 << 20, 1 << 20};
    uint8_t *p = mem_alloc(a, MEM_LOG, 3 << 20);
    p[0] = 1;
    p[99] = 2;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        p = mem_resize(a, MEM_LOG, p, sizes[i]);
        assert_non_null(p);
        assert_int_equal(p[0], 1);
        assert_int_equal(p[99], 2);
        p[sizes[i] - 1] = 3;
        assert_in_range(alloc_used_bytes(a), sizes[i], sizes[i] + (64 << 10));
        alloc_fail_after(a, 1, false);
        assert_null(mem_resize(a, MEM_LOG, p, 12 << 20));
        assert_int_equal(p[99], 2);
    }
    mem_free(a, p);
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void refused_resize_leaves_the_block(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 1000);
    uint8_t *p = mem_alloc(a, MEM_GENERAL, 100);
    memset(p, 7, 100);
    assert_null(mem_resize(a, MEM_GENERAL, p, 2000));
    alloc_fail_after(a, 1, false);
    assert_null(mem_resize(a, MEM_GENERAL, p, 200));
    assert_null(mem_resize(a, MEM_GENERAL, p, SIZE_MAX - 3));
    for (int i = 0; i < 100; i++) assert_int_equal(p[i], 7);
    assert_int_equal(alloc_used_bytes(a), 100 + HEADER);
    mem_free(a, p);
    alloc_destroy(a);
}

static void budget_is_exact(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 1000);
    assert_int_equal(alloc_budget_bytes(a), 1000);
    assert_null(mem_alloc(a, MEM_GENERAL, 1000 - HEADER + 1));
    void *all = mem_alloc(a, MEM_GENERAL, 1000 - HEADER);
    assert_non_null(all);
    assert_null(mem_alloc(a, MEM_GENERAL, 0));
    mem_free(a, all);
    assert_int_equal(alloc_used_bytes(a), 0);
    all = mem_alloc(a, MEM_GENERAL, 1000 - HEADER);
    assert_non_null(all);
    mem_free(a, all);
    alloc_destroy(a);
}

static void absurd_sizes_are_refused(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(NULL, 0);
    size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 16, SIZE_MAX / 2, SIZE_MAX / 2 - 64};
    for (size_t i = 0; i < 5; i++) {
        assert_null(mem_alloc(a, MEM_GENERAL, sizes[i]));
        assert_null(mem_zalloc(a, MEM_GENERAL, sizes[i]));
        assert_null(mem_alloc_aligned(a, MEM_GENERAL, sizes[i], 4096));
        assert_null(mem_resize(a, MEM_GENERAL, NULL, sizes[i]));
    }
    assert_null(mem_copy_text(a, MEM_GENERAL, "x", SIZE_MAX));
    assert_int_equal(alloc_used_bytes(a), 0);
    alloc_destroy(a);
}

static void countdown_fails_the_nth(void **state)
{
    (void)state;
    struct alloc *a = alloc_libc();
    for (uint64_t n = 1; n <= 5; n++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            alloc_fail_after(a, n, sticky != 0);
            for (uint64_t i = 1; i <= 8; i++) {
                void *p = mem_alloc(a, MEM_GENERAL, 8);
                bool expected = sticky ? i < n : i != n;
                assert_int_equal(p != NULL, expected);
                mem_free(a, p);
            }
            alloc_fail_after(a, 0, sticky != 0);
            void *p = mem_alloc(a, MEM_GENERAL, 8);
            assert_non_null(p);
            mem_free(a, p);
        }
    }
}

static void copied_text_ends_with_nul(void **state)
{
    (void)state;
    struct alloc *a = alloc_libc();
    char *text = mem_copy_text(a, MEM_GENERAL, "hello world", 5);
    assert_string_equal(text, "hello");
    mem_free(a, text);
    text = mem_copy_text(a, MEM_GENERAL, NULL, 0);
    assert_string_equal(text, "");
    mem_free(a, text);
}

/* ---- Hooks ---- */

struct hook_log {
    size_t live_bytes;
    size_t calls;
    bool refuse;
};

static void *hook_alloc(void *ctx, size_t bytes, size_t align)
{
    struct hook_log *log = ctx;
    assert_true(align >= 16 && align <= 4096 && (align & (align - 1)) == 0);
    log->calls++;
    if (log->refuse) return NULL;
    void *block = NULL;
    assert_int_equal(posix_memalign(&block, align, bytes), 0);
    memset(block, 0xEE, bytes);
    log->live_bytes += bytes;
    return block;
}

static void hook_free(void *ctx, void *block, size_t bytes)
{
    struct hook_log *log = ctx;
    log->live_bytes -= bytes;
    free(block);
}

static void hooks_get_back_what_they_gave(void **state)
{
    (void)state;
    struct hook_log log = {0};
    struct alloc_hooks hooks = {hook_alloc, hook_free, &log};
    struct alloc *a = alloc_create(&hooks, 0);
    size_t own = log.live_bytes;
    void *plain = mem_alloc(a, MEM_GENERAL, 33);
    uint8_t *zeroed = mem_zalloc(a, MEM_GENERAL, 33);
    for (int i = 0; i < 33; i++) assert_int_equal(zeroed[i], 0);
    uint8_t *aligned = mem_alloc_aligned(a, MEM_GENERAL, 3 << 20, 4096);
    assert_int_equal((uintptr_t)aligned % 4096, 0);
    assert_int_equal(log.live_bytes - own, alloc_used_bytes(a));
    memset(plain, 5, 33);
    uint8_t *grown = mem_resize(a, MEM_GENERAL, plain, 66);
    for (int i = 0; i < 33; i++) assert_int_equal(grown[i], 5);
    grown = mem_resize(a, MEM_GENERAL, grown, 3);
    assert_int_equal(grown[2], 5);
    assert_int_equal(log.live_bytes - own, alloc_used_bytes(a));
    log.refuse = true;
    assert_null(mem_alloc(a, MEM_GENERAL, 1));
    assert_null(mem_resize(a, MEM_GENERAL, grown, 100));
    assert_null(alloc_create(&hooks, 0));
    assert_int_equal(grown[2], 5);
    mem_free(a, zeroed);
    mem_free(a, aligned);
    mem_free(a, grown);
    assert_int_equal(log.live_bytes, own);
    alloc_destroy(a);
    assert_int_equal(log.live_bytes, 0);
}

static void half_a_pair_of_hooks_means_libc(void **state)
{
    (void)state;
    struct hook_log log = {0};
    struct alloc_hooks hooks = {hook_alloc, NULL, &log};
    struct alloc *a = alloc_create(&hooks, 0);
    mem_free(a, mem_alloc(a, MEM_GENERAL, 5));
    alloc_destroy(a);
    assert_int_equal(log.calls, 0);
    alloc_destroy(NULL);
}

/* ---- Threads ---- */

enum { RACE_THREADS = 4, RACE_ROUNDS = 2000, RACE_BLOCK = 100, RACE_BLOCKS_MAX = 2 };

struct race {
    struct alloc *a;
    _Atomic(size_t) granted;
    _Atomic(bool) overrun;
};

static void *race_for_budget(void *arg)
{
    struct race *r = arg;
    for (int i = 0; i < RACE_ROUNDS; i++) {
        void *p = mem_alloc(r->a, MEM_SEARCH, RACE_BLOCK - HEADER);
        if (!p) continue;
        if (atomic_add_acq_rel(&r->granted, 1) + 1 > RACE_BLOCKS_MAX)
            atomic_store_relaxed(&r->overrun, true);
        atomic_sub_acq_rel(&r->granted, 1);
        mem_free(r->a, p);
    }
    return NULL;
}

static void budget_holds_against_racing_threads(void **state)
{
    (void)state;
    struct race r = {.a = alloc_create(NULL, RACE_BLOCK * 2)};
    pthread_t threads[RACE_THREADS];
    /* With room for two blocks, a third granted one would be an overrun. */
    for (int i = 0; i < RACE_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_for_budget, &r), 0);
    for (int i = 0; i < RACE_THREADS; i++) pthread_join(threads[i], NULL);
    assert_false(atomic_load_relaxed(&r.overrun));
    assert_int_equal(alloc_used_bytes(r.a), 0);
    assert_int_equal(alloc_tag_bytes(r.a, MEM_SEARCH), 0);
    assert_int_equal(alloc_count(r.a), RACE_THREADS * RACE_ROUNDS);
    alloc_destroy(r.a);
}

static void *allocate_once_each(void *arg)
{
    struct race *r = arg;
    for (int i = 0; i < RACE_ROUNDS; i++) {
        void *p = mem_alloc(r->a, MEM_SEARCH, 1);
        if (!p) atomic_add_relaxed(&r->granted, 1);
        mem_free(r->a, p);
    }
    return NULL;
}

static void countdown_hits_once_among_threads(void **state)
{
    (void)state;
    struct race r = {.a = alloc_create(NULL, 0)};
    pthread_t threads[RACE_THREADS];
    alloc_fail_after(r.a, RACE_ROUNDS, false);
    for (int i = 0; i < RACE_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_once_each, &r), 0);
    for (int i = 0; i < RACE_THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load_relaxed(&r.granted), 1);
    alloc_destroy(r.a);
}

/* ---- The sweep itself ---- */

struct three_blocks {
    struct alloc *a;
    int runs;
    int full_runs;
};

static int make_three_blocks(void *ctx, struct error *err)
{
    struct three_blocks *t = ctx;
    void *blocks[3] = {NULL, NULL, NULL};
    int rc = 0;
    t->runs++;
    for (int i = 0; i < 3 && rc == 0; i++) {
        blocks[i] = mem_alloc(t->a, MEM_GENERAL, 10);
        if (!blocks[i]) rc = error_no_memory(err, 10);
    }
    if (rc == 0) t->full_runs++;
    for (int i = 0; i < 3; i++) mem_free(t->a, blocks[i]);
    return rc;
}

static void sweep_fails_each_allocation_once_and_sticky(void **state)
{
    (void)state;
    struct three_blocks t = {.a = alloc_create(NULL, 0)};
    oom_sweep(t.a, make_three_blocks, &t);
    assert_int_equal(t.runs, 8);
    assert_int_equal(t.full_runs, 2);
    alloc_destroy(t.a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(blocks_are_aligned_and_counted),
    cmocka_unit_test(empty_blocks_are_unique),
    cmocka_unit_test(zalloc_zeroes_recycled_memory),
    cmocka_unit_test(aligned_blocks_keep_their_alignment),
    cmocka_unit_test(large_aligned_blocks_start_at_a_huge_page),
    cmocka_unit_test(resize_keeps_contents_and_moves_the_tag),
    cmocka_unit_test(resize_of_a_large_block_keeps_contents_and_counts),
    cmocka_unit_test(refused_resize_leaves_the_block),
    cmocka_unit_test(budget_is_exact),
    cmocka_unit_test(absurd_sizes_are_refused),
    cmocka_unit_test(countdown_fails_the_nth),
    cmocka_unit_test(copied_text_ends_with_nul),
    cmocka_unit_test(hooks_get_back_what_they_gave),
    cmocka_unit_test(half_a_pair_of_hooks_means_libc),
    cmocka_unit_test(budget_holds_against_racing_threads),
    cmocka_unit_test(countdown_hits_once_among_threads),
    cmocka_unit_test(sweep_fails_each_allocation_once_and_sticky),
};

TEST_MAIN(tests)
