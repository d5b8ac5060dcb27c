/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_filter.c — a `where` text: parsed, printed, parsed again, and both matched over rows whose
 * values are made from the text. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/limits.h"
#include "codec/msgpack.h"
#include "filter/filter.h"
#include "fuzz/fuzz.h"

enum { ROWS = 67 };

/* One of the kinds of values there are; texts are pieces of the expression. */
static void write_value(struct buf *b, struct slice text, uint64_t chance)
{
    size_t begin = text.size ? (chance >> 8) % text.size : 0;
    struct slice piece = slice_of(text.data + begin, text.size - begin);

    if (piece.size > (chance >> 24 & 15)) piece.size = chance >> 24 & 15;
    switch (chance % 11) {
    case 0:
        msgpack_write_null(b);
        return;
    case 1:
        msgpack_write_bool(b, chance >> 8 & 1);
        return;
    case 2:
        msgpack_write_uint(b, chance);
        return;
    case 3:
        msgpack_write_float(b, (double)(int8_t)(chance >> 8) / 2);
        return;
    case 4:
        msgpack_write_bytes(b, piece);
        return;
    case 5:
        msgpack_write_array(b, 2);
        msgpack_write_int(b, (int8_t)(chance >> 8));
        msgpack_write_text(b, piece);
        return;
    case 6:
        msgpack_write_map(b, 0);
        return;
    case 7:
        msgpack_write_datetime(b, (int64_t)(chance >> 12));
        return;
    case 8:
        msgpack_write_int(b, (int8_t)(chance >> 8));
        return;
    default:
        msgpack_write_text(b, piece); /* which need not be whole characters */
        return;
    }
}

static struct column *make_column(struct slice text, size_t number, struct buf *b)
{
    struct column *c;
    CHECK(column_create(alloc_libc(), ROWS, &c, NULL) == 0);
    uint64_t kinds = hash_xxh3_64(&number, sizeof number);
    for (uint64_t row = 0; row < ROWS; row++) {
        uint64_t key[] = {row, number};
        uint64_t chance = hash_xxh3_64(key, sizeof key);
        struct value v;
        if (kinds % 3 == 0) chance = chance / 11 * 11 + kinds % 11; /* of one type */
        buf_reset(b);
        write_value(b, text, chance);
        CHECK(buf_ok(b) && value_read(buf_slice(b), &v));
        CHECK(column_append(c, row % 13 == 5 ? NULL : &v, NULL) == 0);
    }
    return c;
}

static void match(const struct filter *f, const struct column_span *spans, uint64_t work,
                  uint64_t *out)
{
    void *scratch = malloc(filter_scratch_bytes(f));
    CHECK(scratch);
    filter_match_begin(f, spans, ROWS, scratch);
    while (!filter_match_advance(scratch, work, out)) continue;
    free(scratch);
    CHECK(out[1] >> (ROWS - 64) == 0);
    for (int w = 2; w < FILTER_MATCH_WORDS; w++) CHECK(out[w] == 0);
}

static void match_both(const struct filter *f, const struct filter *again, struct slice text)
{
    struct column *columns[LIMIT_WHERE_PATHS];
    struct column_span spans[LIMIT_WHERE_PATHS];
    uint64_t first[FILTER_MATCH_WORDS], second[FILTER_MATCH_WORDS];
    size_t count = filter_path_count(f);
    struct buf b;

    buf_init(&b, alloc_libc(), MEM_GENERAL);
    CHECK(filter_path_count(again) == count);
    for (size_t i = 0; i < count; i++) {
        CHECK(slice_equal(filter_path(f, i), filter_path(again, i)));
        columns[i] = make_column(text, i, &b);
        spans[i] = column_block(columns[i], 0);
    }
    match(f, spans, UINT64_MAX, first);
    match(again, spans, 1, second); /* left wherever it can be */
    CHECK(memcmp(first, second, sizeof first) == 0);
    for (size_t i = 0; i < count; i++) column_destroy(columns[i]);
    buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct filter *f, *again;
    struct error err = {0};
    struct buf printed, printed_again;

    if (filter_parse(alloc_libc(), text, &f, &err) != 0) {
        CHECK(err.code == LYNSE_PARSE || err.code == LYNSE_LIMIT);
        return 0;
    }
    buf_init(&printed, alloc_libc(), MEM_GENERAL);
    buf_init(&printed_again, alloc_libc(), MEM_GENERAL);
    CHECK(filter_print(f, &printed) == 0);
    if (printed.size <= LIMIT_WHERE_BYTES) { /* a short text may print as a longer one */
        CHECK(filter_parse(alloc_libc(), buf_slice(&printed), &again, &err) == 0);
        CHECK(filter_print(again, &printed_again) == 0);
        CHECK(slice_equal(buf_slice(&printed), buf_slice(&printed_again)));
        match_both(f, again, text);
        filter_destroy(again);
    }
    filter_destroy(f);
    buf_deinit(&printed);
    buf_deinit(&printed_again);
    return 0;
}
