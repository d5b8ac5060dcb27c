/* SPDX-License-Identifier: Apache-2.0 */
/* bench_filter.c — what it costs to parse a filter, and to ask it about a row.
 *
 * WHAT        parse     one expression of ten terms: ns a parse, with the destroying of it
 *             the rest  expressions over columns of ROWS rows that are made before: ns a row
 * METHOD      Columns are larger than the second-level cache.  Every round runs every case once, so
 *             that a neighbour's noise falls on all; best and median of the rounds are printed.
 * USAGE       bench_filter [rounds, 1 to 99; default 15]
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rng.h"
#include "filter/filter.h"

enum { ROWS = 256 << 10, ROUNDS_MAX = 99, PARSES = 2000 };

struct bench_case {
    const char *text;
    const char *what;
    uint64_t time_us[ROUNDS_MAX];
    uint64_t match_count;
};

static const char ten_terms[] =
    "lang = 'c' AND stars > 100 AND (year BETWEEN 2015 AND 2024 OR archived IS NULL) AND "
    "owner.name LIKE 'a%' AND NOT fork AND size < 1e6 AND licence IN ('mit', 'bsd', 'apache') AND "
    "topics CONTAINS 'db' AND score >= 0.5 AND issues != 0";

static struct bench_case cases[] = {
    {.text = "i > 500000", .what = "one comparison, integers"},
    {.text = "f > 0.5", .what = "one comparison, floats"},
    {.text = "sparse > 500000", .what = "one comparison, half of them NULL"},
    {.text = "price > 500000", .what = "one comparison, integers and floats"},
    {.text = "mixed > 500000", .what = "one comparison, integers, floats, texts"},
    {.text = "i < f", .what = "two fields"},
    {.text = "lang = 'lua'", .what = "one comparison, texts"},
    {.text = "i > 100000 AND f < 0.9 AND lang != 'c' AND mixed < 900000 AND sparse IS NOT NULL",
     .what = "five mixed ones, most rows in each"},
    {.text = "i > 900000 OR f > 0.9 OR lang = 'lua' OR mixed > 900000 OR sparse = 7",
     .what = "five mixed ones, few rows in each"},
    {.text = "lang LIKE '%y%'", .what = "LIKE"},
    {.text = "lang IN ('c', 'lua', 'zig', 'go')", .what = "IN, four texts"},
    {.text = "i IN (1, 5, 9, 13, 17, 21, 25, 29, 33, 37)", .what = "IN, ten integers"},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static const char *const names[] = {"i", "f", "sparse", "mixed", "price", "lang"};
enum { COLUMNS = sizeof names / sizeof names[0] };
static struct column *columns[COLUMNS];

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "bench_filter: %s\n", why);
    exit(1);
}

static struct value make_value(struct rng *rng, size_t column)
{
    static const char *const langs[] = {"c", "lua", "python", "rust", "javascript", "go"};
    struct value integer = {.type = VALUE_INT, .as.integer = (int64_t)rng_below(rng, 1000000)};
    struct value number = {.type = VALUE_FLOAT, .as.number = rng_unit(rng)};
    struct value text = {.type = VALUE_TEXT, .as.text = slice_of_text(langs[rng_below(rng, 6)])};
    uint64_t kind = rng_below(rng, 4);

    switch (column) {
    case 0:
        return integer;
    case 1:
        return number;
    case 2:
        return kind < 2 ? (struct value){.type = VALUE_NULL} : integer;
    case 3:
        number.as.number *= 1e6;
        return kind == 0 ? number : kind == 1 ? text : integer;
    case 4:
        number.as.number *= 1e6;
        return kind < 2 ? number : integer;
    default:
        return text;
    }
}

static void make_columns(void)
{
    struct rng rng;
    rng_init(&rng, 1);
    for (size_t c = 0; c < COLUMNS; c++) {
        if (column_create(alloc_libc(), ROWS, &columns[c], NULL) != 0) give_up("no memory");
        for (size_t i = 0; i < ROWS; i++) {
            struct value v = make_value(&rng, c);
            if (column_append(columns[c], &v, NULL) != 0) give_up("no memory");
        }
    }
}

static struct filter *parse(const char *text)
{
    struct error err = {0};
    struct filter *f;
    if (filter_parse(alloc_libc(), slice_of_text(text), &f, &err) != 0) give_up(err.text);
    return f;
}

static struct column *find_column(struct slice path)
{
    for (size_t c = 0; c < COLUMNS; c++)
        if (slice_equal(path, slice_of_text(names[c]))) return columns[c];
    give_up("no such column");
}

static void run(struct bench_case *c, int round)
{
    struct column_span spans[COLUMNS];
    uint64_t words[FILTER_MATCH_WORDS];
    struct filter *f = parse(c->text);
    void *scratch = malloc(filter_scratch_bytes(f));

    if (!scratch) give_up("no memory");
    c->match_count = 0;
    uint64_t begin = clock_now_us(clock_system());
    for (uint32_t row = 0; row < ROWS; row += COLUMN_BLOCK_ROWS) {
        for (size_t i = 0; i < filter_path_count(f); i++)
            spans[i] = column_block(find_column(filter_path(f, i)), row);
        filter_match_begin(f, spans, COLUMN_BLOCK_ROWS, scratch);
        while (!filter_match_advance(scratch, FILTER_WORK, words)) continue;
        for (int w = 0; w < FILTER_MATCH_WORDS; w++)
            c->match_count += (uint64_t)__builtin_popcountll(words[w]);
    }
    c->time_us[round] = clock_now_us(clock_system()) - begin;
    free(scratch);
    filter_destroy(f);
}

static uint64_t run_parse(void)
{
    uint64_t begin = clock_now_us(clock_system());
    for (int i = 0; i < PARSES; i++) filter_destroy(parse(ten_terms));
    return clock_now_us(clock_system()) - begin;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_line(const char *what, uint64_t *time_us, int rounds, double count)
{
    qsort(time_us, (size_t)rounds, sizeof *time_us, compare_times);
    printf("  %-42s %9.2f %9.2f", what, (double)time_us[0] * 1000 / count,
           (double)time_us[rounds / 2] * 1000 / count);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 15;
    uint64_t parse_us[ROUNDS_MAX];

    if (rounds < 1 || rounds > ROUNDS_MAX) give_up("rounds: 1 to 99");
    make_columns();
    for (int r = 0; r < rounds; r++) {
        parse_us[r] = run_parse();
        for (size_t i = 0; i < CASES; i++) run(&cases[i], r);
    }
    printf("  %-42s %9s %9s %9s\n", "", "best", "median", "rows");
    print_line("parse ten terms, ns", parse_us, rounds, PARSES);
    printf("\nns a row:\n");
    for (size_t i = 0; i < CASES; i++) {
        print_line(cases[i].what, cases[i].time_us, rounds, ROWS);
        printf(" %8.1f%%\n", 100.0 * (double)cases[i].match_count / ROWS);
    }
    for (size_t c = 0; c < COLUMNS; c++) column_destroy(columns[c]);
    return 0;
}
