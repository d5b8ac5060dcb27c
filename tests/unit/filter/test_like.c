/* SPDX-License-Identifier: Apache-2.0 */
/* LIKE, against a table and against a matcher that tries everything. */
#include "base/buf.h"
#include "base/rng.h"
#include "filter/like.h"
#include "support/test.h"

static bool like(struct slice text, const char *pattern, const char *escape)
{
    struct arena arena;
    bool is_too_wide;
    arena_init(&arena, alloc_libc(), MEM_GENERAL);
    const struct like_pattern *p =
        like_compile(&arena, slice_of_text(pattern), slice_of_text(escape), &is_too_wide);
    assert_non_null(p);
    uint64_t work = UINT64_MAX;
    struct like_run run = {0};
    enum like_answer whole = like_advance(p, text, &run, &work), stepped;
    assert_true(whole != LIKE_LATER);
    do {
        work = 1;
        stepped = like_advance(p, text, &run, &work);
    } while (stepped == LIKE_LATER);
    assert_int_equal(stepped, whole);
    arena_deinit(&arena);
    return whole == LIKE_YES;
}

static void a_pattern_is_that_of_sql(void **state)
{
    (void)state;
    static const struct {
        const char *text, *pattern, *escape;
        bool matches;
    } rows[] = {
        {"abc", "abc", "", true},
        {"abc", "ABC", "", true},
        {"abc", "ab", "", false},
        {"abc", "a%", "", true},
        {"abc", "%c", "", true},
        {"abc", "%b%", "", true},
        {"abc", "a%c", "", true},
        {"abc", "a%a", "", false},
        {"aba", "ab%ba", "", false},
        {"", "", "", true},
        {"", "%", "", true},
        {"", "_", "", false},
        {"a", "", "", false},
        {"a", "_%", "", true},
        {"a", "__", "", false},
        {"é", "_", "", true},
        {"é", "__", "", false},
        {"é", "É", "", false},
        {"日本語", "_本_", "", true},
        {"日本語", "%_語", "", true},
        {"日本語", "%____%", "", false},
        {"xaab", "%ab", "", true},
        {"aab", "%a_%", "", true},
        {"50%", "50!%", "!", true},
        {"505", "50!%", "!", false},
        {"a_b", "a\\_b", "\\", true},
        {"axb", "a\\_b", "\\", false},
        {"a\\b", "a\\b", "", true},
        {"a", "a!", "!", false},
        {"a!", "a!!", "!", true},
        {"100%", "%é%", "é", true},
        {"ab", "a%%b", "%", false},
        {"a%b", "a%%b", "%", true},
        {"line\nbreak", "line%break", "", true},
        {"aXbXc", "a%x%X%c", "", true},
        {"aXbc", "a%x%X%c", "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (like(slice_of_text(rows[i].text), rows[i].pattern, rows[i].escape) != rows[i].matches)
            fail_msg("'%s' LIKE '%s' ESCAPE '%s'", rows[i].text, rows[i].pattern, rows[i].escape);
}

/* By a table of which end of the pattern matches which end of the text. */
static bool like_slowly(struct slice text, struct slice pattern)
{
    bool matches[32][32] = {{false}};
    for (size_t p = pattern.size + 1; p-- > 0;) {
        for (size_t t = text.size + 1; t-- > 0;) {
            bool *m = &matches[p][t];
            if (p == pattern.size) *m = t == text.size;
            else if (pattern.data[p] == '%')
                *m = matches[p + 1][t] || (t < text.size && matches[p][t + 1]);
            else
                *m = t < text.size && matches[p + 1][t + 1] &&
                     (pattern.data[p] == '_' || (pattern.data[p] | 32) == (text.data[t] | 32));
        }
    }
    return matches[0][0];
}

static void random_patterns_match_what_they_should(void **state)
{
    (void)state;
    struct rng rng;
    size_t match_count = 0;
    rng_init(&rng, test_seed(3));
    for (int round = test_rounds(200000); round > 0; round--) {
        char text[24], pattern[24];
        size_t text_size = rng_below(&rng, 20), pattern_size = rng_below(&rng, 10);
        for (size_t i = 0; i < text_size; i++) text[i] = "abA"[rng_below(&rng, 3)];
        for (size_t i = 0; i < pattern_size; i++) pattern[i] = "abB%_a%"[rng_below(&rng, 7)];
        pattern[pattern_size] = '\0';
        bool expected = like_slowly(slice_of(text, text_size), slice_of(pattern, pattern_size));
        match_count += expected;
        if (like(slice_of(text, text_size), pattern, "") != expected)
            fail_msg("'%.*s' LIKE '%s'", (int)text_size, text, pattern);
    }
    assert_true(match_count > 0);
}

/* A document's text need not be UTF-8 where nothing has checked it. */
static void bytes_that_are_no_text_are_matched_too(void **state)
{
    (void)state;
    char bytes[2] = {(char)0x80, (char)0x80};
    assert_true(like(slice_of(bytes, 2), "%", ""));
    assert_false(like(slice_of(bytes, 2), "%_x", ""));
    assert_false(like(slice_of(bytes, 2), "a_", ""));
}

/* However long the text and whatever the pattern: one call does what it may, and not much more. */
static void a_long_text_is_matched_in_pieces(void **state)
{
    (void)state;
    enum { SIZE = 100000, WORK = 1000 };
    static const struct {
        const char *pattern;
        uint32_t factor; /* how often a byte may be looked at */
    } rows[] = {{"%aaaaaaaaab%", 1}, {"%aaa%aaaaaaab%", 1}, {"a%_aaaaaaaaaaaaaaab%", 17}};
    struct buf text;

    buf_init(&text, alloc_libc(), MEM_GENERAL);
    for (int i = 0; i < SIZE; i++) buf_append(&text, "A", 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena arena;
        bool is_too_wide;
        struct like_run run = {0};
        enum like_answer answer;
        uint32_t calls = 0;
        arena_init(&arena, alloc_libc(), MEM_GENERAL);
        const struct like_pattern *p =
            like_compile(&arena, slice_of_text(rows[i].pattern), slice_of_text(""), &is_too_wide);
        assert_non_null(p);
        do {
            uint64_t work = WORK;
            size_t from = run.at;
            answer = like_advance(p, buf_slice(&text), &run, &work);
            assert_true(answer != LIKE_LATER || run.at - from <= WORK);
            assert_true(work == 0 || answer != LIKE_LATER);
            calls++;
        } while (answer == LIKE_LATER);
        assert_int_equal(answer, LIKE_NO);
        assert_in_range(calls, rows[i].factor * (SIZE / WORK - 1),
                        rows[i].factor * (SIZE / WORK + 1));
        arena_deinit(&arena);
    }
    buf_deinit(&text);
}

/* Whatever work there is when a text is taken up again, the next one begins at its beginning. */
static void texts_one_after_the_other_are_each_matched_whole(void **state)
{
    (void)state;
    enum { TEXTS = 3000, SIZE = 300, WILD = 64 };
    struct rng rng;
    struct arena arena;
    struct like_run run = {0};
    char bytes[SIZE + 6];
    bool is_too_wide;

    rng_init(&rng, test_seed(11));
    arena_init(&arena, alloc_libc(), MEM_GENERAL);
    const struct like_pattern *p =
        like_compile(&arena, slice_of_text("%needle%"), slice_of_text(""), &is_too_wide);
    assert_non_null(p);
    for (int i = 0; i < TEXTS; i++) {
        size_t at = rng_u64(&rng) % SIZE, size = at + 6 + rng_u64(&rng) % (SIZE - at);
        bool has_it = rng_u64(&rng) % 2;
        memset(bytes, 'x', sizeof bytes);
        if (has_it) memcpy(bytes + at, "needle", 6);
        enum like_answer answer;
        do {
            uint64_t work = rng_u64(&rng) % 2 ? 1 + rng_u64(&rng) % SIZE : WILD * (SIZE + 7);
            answer = like_advance(p, slice_of(bytes, size), &run, &work);
        } while (answer == LIKE_LATER);
        assert_int_equal(answer, has_it ? LIKE_YES : LIKE_NO);
        assert_int_equal(run.at + run.part + run.matched, 0);
    }
    arena_deinit(&arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_pattern_is_that_of_sql),
    cmocka_unit_test(random_patterns_match_what_they_should),
    cmocka_unit_test(bytes_that_are_no_text_are_matched_too),
    cmocka_unit_test(a_long_text_is_matched_in_pieces),
    cmocka_unit_test(texts_one_after_the_other_are_each_matched_whole),
};
TEST_MAIN(tests)
