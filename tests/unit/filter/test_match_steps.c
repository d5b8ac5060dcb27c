/* SPDX-License-Identifier: Apache-2.0 */
/* A filter that is left in its middle, again and again, finds the rows that it finds at once:
 * random trees over random texts and arrays, in pieces of random size. */
#include "base/rng.h"
#include "codec/msgpack.h"
#include "field/column.h"
#include "filter/filter.h"
#include "support/test.h"

enum { ROWS = 200, ROUNDS = 200, FILTERS = 20, PIECES_MAX = 10000000, TEXT_BYTES = 3000 };

struct table {
    struct column *columns[2]; /* t: texts and nulls; l: arrays */
    struct buf items[ROWS];
    char texts[ROWS][TEXT_BYTES];
};

static void fill(struct rng *rng, struct table *t)
{
    static const char letters[] = "abcde";
    static const uint64_t lengths[] = {20, 700, TEXT_BYTES};
    uint64_t most = lengths[rng_below(rng, 3)];
    struct error err = {0};

    for (size_t c = 0; c < 2; c++)
        assert_ok(column_create(alloc_libc(), ROWS, &t->columns[c], &err), &err);
    for (size_t i = 0; i < ROWS; i++) {
        size_t size = rng_below(rng, most);
        for (size_t k = 0; k < size; k++) t->texts[i][k] = letters[rng_below(rng, 5)];
        struct value v = {.type = VALUE_TEXT, .as.text = slice_of(t->texts[i], size)};
        if (rng_below(rng, 10) == 0) v = (struct value){.type = VALUE_NULL};
        assert_ok(column_append(t->columns[0], &v, &err), &err);
        uint32_t count = (uint32_t)rng_below(rng, 40);
        buf_init(&t->items[i], alloc_libc(), MEM_GENERAL);
        msgpack_write_array(&t->items[i], count);
        for (uint32_t k = 0; k < count; k++)
            msgpack_write_int(&t->items[i], (int64_t)rng_below(rng, 50));
        assert_true(value_read(buf_slice(&t->items[i]), &v));
        assert_ok(column_append(t->columns[1], &v, &err), &err);
    }
}

static void empty(struct table *t)
{
    for (size_t c = 0; c < 2; c++) column_destroy(t->columns[c]);
    for (size_t i = 0; i < ROWS; i++) buf_deinit(&t->items[i]);
}

static void write_leaf(struct rng *rng, struct buf *out)
{
    static const char signs[] = "ab%_c";

    switch (rng_below(rng, 9)) {
    case 0:
        buf_append_text(out, "l CONTAINS %d", (int)rng_below(rng, 5));
        return;
    case 1:
        buf_append_text(out, "t CONTAINS '%s'", rng_below(rng, 2) ? "ab" : "abca");
        return;
    case 2:
        buf_append_text(out, "t IN ('a','ab','b',%s)", rng_below(rng, 2) ? "NULL" : "'c'");
        return;
    case 3:
        buf_append_text(out, "t > 'b'");
        return;
    case 4:
    case 5:
    case 6: /* is looked for through all of most texts */
        buf_append_text(out, "t LIKE '%%abcde%s%%'", rng_below(rng, 2) ? "" : "abc");
        return;
    default:
        buf_append_text(out, "t %sLIKE '", rng_below(rng, 3) ? "" : "NOT ");
        for (uint64_t n = 1 + rng_below(rng, 6); n > 0; n--)
            buf_append_u8(out, (uint8_t)signs[rng_below(rng, 5)]);
        buf_append_u8(out, '\'');
    }
}

/* One to four leaves, joined and denied. */
static void write_filter(struct rng *rng, struct buf *out)
{
    for (uint64_t n = rng_below(rng, 4);; n--) {
        buf_append_text(out, rng_below(rng, 4) ? "(" : "NOT (");
        write_leaf(rng, out);
        buf_append_u8(out, ')');
        if (n == 0) return;
        buf_append_text(out, rng_below(rng, 2) ? " AND " : " OR ");
    }
}

static uint64_t next_piece(struct rng *rng, uint64_t mode)
{
    if (mode == 0) return 1 + rng_below(rng, 50);
    if (mode == 1) return rng_below(rng, 2) ? 1 + rng_below(rng, 3000) : rng_below(rng, 200000);
    return 1 + rng_below(rng, 20000);
}

static void compare(struct rng *rng, const struct table *t, struct filter *f)
{
    struct column_span spans[2];
    uint64_t whole[FILTER_MATCH_WORDS], pieces[FILTER_MATCH_WORDS];
    uint64_t mode = rng_below(rng, 3);
    int calls = 0;

    for (size_t i = 0; i < filter_path_count(f); i++)
        spans[i] = column_block(t->columns[filter_path(f, i).data[0] == 'l'], 0);
    void *scratch = mem_alloc_aligned(alloc_libc(), MEM_GENERAL, filter_scratch_bytes(f), 64);
    filter_match_begin(f, spans, ROWS, scratch);
    assert_true(filter_match_advance(scratch, UINT64_MAX, whole));
    filter_match_begin(f, spans, ROWS, scratch);
    while (!filter_match_advance(scratch, next_piece(rng, mode), pieces))
        assert_true(++calls < PIECES_MAX);
    assert_memory_equal(whole, pieces, sizeof whole);
    mem_free(alloc_libc(), scratch);
}

static void pieces_find_what_the_whole_finds(void **state)
{
    struct rng rng;
    struct error err = {0};
    struct table *t = calloc(1, sizeof *t);
    struct buf where;

    (void)state;
    assert_non_null(t);
    rng_init(&rng, test_seed(7));
    buf_init(&where, alloc_libc(), MEM_GENERAL);
    for (int round = 0; round < test_rounds(ROUNDS); round++) {
        fill(&rng, t);
        for (int i = 0; i < FILTERS; i++) {
            struct filter *f;
            buf_reset(&where);
            write_filter(&rng, &where);
            assert_ok(filter_parse(alloc_libc(), buf_slice(&where), &f, &err), &err);
            compare(&rng, t, f);
            filter_destroy(f);
        }
        empty(t);
    }
    buf_deinit(&where);
    free(t);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(pieces_find_what_the_whole_finds)};
TEST_MAIN(tests)
