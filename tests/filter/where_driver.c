/* SPDX-License-Identifier: Apache-2.0 */
/* where_driver.c — filters over rows, for compare_sqlite.py.
 *
 * stdin: the number of documents (u32), each as its size (u32) and its bytes; then expressions in
 * the same way until the end.  stdout: a line per expression; for each row 1 (true), 0 (false) or
 * 2 (unknown), or "error <text>" where it does not parse.  Ends with 1 where an expression, its
 * NOT and its printed form contradict each other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "support/where_rows.h"

static _Noreturn void give_up(const char *why, const char *what)
{
    fprintf(stderr, "where_driver: %s: %s\n", why, what);
    exit(1);
}

static void *take(size_t bytes)
{
    void *block = malloc(bytes ? bytes : 1);
    if (!block) give_up("no memory", "malloc");
    return block;
}

/* false: the end of the input. */
static bool read_piece(struct slice *out)
{
    uint32_t size;
    if (fread(&size, sizeof size, 1, stdin) != 1) return false;
    uint8_t *data = take(size);
    if (fread(data, 1, size, stdin) != size) give_up("the input ends early", "stdin");
    *out = slice_of(data, size);
    return true;
}

/* Columns are made once for each path. */
struct kept {
    struct slice path;
    struct column *column;
};
static struct kept kept[LIMIT_WHERE_PATHS];
static size_t kept_count;

static struct column *find_column(const struct where_rows *rows, struct slice path)
{
    struct error err = {0};
    size_t i = 0;
    while (i < kept_count && !slice_equal(kept[i].path, path)) i++;
    if (i < kept_count) return kept[i].column;
    if (kept_count == LIMIT_WHERE_PATHS) give_up("too many paths", "");
    uint8_t *copy = take(path.size);
    memcpy(copy, path.data, path.size);
    kept[i].path = slice_of(copy, path.size);
    if (where_rows_column(rows, path, &kept[i].column, &err) != 0) give_up("column", err.text);
    kept_count++;
    return kept[i].column;
}

static void match(const struct where_rows *rows, const struct filter *f, uint8_t *out)
{
    struct column_span spans[LIMIT_WHERE_PATHS];
    uint64_t words[FILTER_MATCH_WORDS];
    void *scratch = take(filter_scratch_bytes(f));

    for (uint32_t row = 0; row < rows->count; row += COLUMN_BLOCK_ROWS) {
        uint32_t count = rows->count - row;
        if (count > COLUMN_BLOCK_ROWS) count = COLUMN_BLOCK_ROWS;
        for (size_t i = 0; i < filter_path_count(f); i++)
            spans[i] = column_block(find_column(rows, filter_path(f, i)), row);
        filter_match_begin(f, spans, count, scratch);
        while (!filter_match_advance(scratch, FILTER_WORK, words)) continue;
        for (uint32_t i = 0; i < count; i++) out[row + i] = words[i / 64] >> (i % 64) & 1;
    }
    free(scratch);
}

/* before text after */
static int parse_within(const char *before, struct slice text, const char *after,
                        struct filter **out, struct error *err)
{
    struct buf b;
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    buf_append_text(&b, "%s", before);
    buf_append(&b, text.data, text.size);
    buf_append_text(&b, "%s", after);
    int rc = filter_parse(alloc_libc(), buf_slice(&b), out, err);
    buf_deinit(&b);
    return rc;
}

static void match_text(const struct where_rows *rows, const char *before, struct slice text,
                       const char *after, uint8_t *out)
{
    struct error err = {0};
    struct filter *f;
    if (parse_within(before, text, after, &f, &err) != 0) give_up("does not parse", err.text);
    match(rows, f, out);
    filter_destroy(f);
}

static void check_printed(const struct where_rows *rows, const struct filter *f,
                          const uint8_t *is_true)
{
    uint8_t *again = take(rows->count);
    struct filter *second;
    struct error err = {0};
    struct buf first_text, second_text;

    buf_init(&first_text, alloc_libc(), MEM_GENERAL);
    buf_init(&second_text, alloc_libc(), MEM_GENERAL);
    filter_print(f, &first_text);
    if (filter_parse(alloc_libc(), buf_slice(&first_text), &second, &err) != 0)
        give_up("what was printed does not parse", err.text);
    filter_print(second, &second_text);
    if (!slice_equal(buf_slice(&first_text), buf_slice(&second_text)))
        give_up("prints otherwise again", (const char *)first_text.data);
    match(rows, second, again);
    if (memcmp(is_true, again, rows->count) != 0) give_up("matches otherwise", "printed form");
    filter_destroy(second);
    buf_deinit(&first_text);
    buf_deinit(&second_text);
    free(again);
}

static void answer(const struct where_rows *rows, struct slice text)
{
    struct error err = {0};
    struct filter *f;
    if (filter_parse(alloc_libc(), text, &f, &err) != 0) {
        char *line = err.text;
        printf("error %s\n", strtok(line, "\n"));
        return;
    }
    char *line = take(rows->count + 1);
    uint8_t *is_true = take(rows->count), *is_false = take(rows->count);
    match(rows, f, is_true);
    match_text(rows, "NOT (", text, ")", is_false);
    for (uint32_t i = 0; i < rows->count; i++) {
        if (is_true[i] && is_false[i]) give_up("both true and false", err.text);
        line[i] = is_true[i] ? '1' : is_false[i] ? '0' : '2';
    }
    check_printed(rows, f, is_true);
    line[rows->count] = '\n';
    fwrite(line, 1, rows->count + 1, stdout);
    filter_destroy(f);
    free(line);
    free(is_true);
    free(is_false);
}

int main(void)
{
    uint32_t count;
    if (fread(&count, sizeof count, 1, stdin) != 1) give_up("no input", "stdin");
    struct slice *documents = take(count * sizeof *documents);
    for (uint32_t i = 0; i < count; i++)
        if (!read_piece(&documents[i])) give_up("the input ends early", "stdin");
    struct where_rows rows = {alloc_libc(), documents, count};
    struct slice text;
    while (read_piece(&text)) {
        answer(&rows, text);
        free((void *)(uintptr_t)text.data);
    }
    for (uint32_t i = 0; i < count; i++) free((void *)(uintptr_t)documents[i].data);
    free(documents);
    for (size_t i = 0; i < kept_count; i++) {
        column_destroy(kept[i].column);
        free((void *)(uintptr_t)kept[i].path.data);
    }
    return 0;
}
