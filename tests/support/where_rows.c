/* SPDX-License-Identifier: Apache-2.0 */
#include "support/where_rows.h"

#include <string.h>

#include "base/limits.h"

int where_rows_column(const struct where_rows *rows, struct slice path, struct column **out,
                      struct error *err)
{
    struct column *c;

    if (column_create(rows->alloc, rows->count, &c, err) != 0) return -1;
    for (uint32_t i = 0; i < rows->count; i++) {
        struct value v;
        bool has = doc_get(rows->documents[i], path, &v);
        if (column_append(c, has ? &v : NULL, err) != 0) {
            column_destroy(c);
            return -1;
        }
    }
    *out = c;
    return 0;
}

static int match_blocks(const struct where_rows *rows, const struct filter *f,
                        struct column *const *columns, uint8_t *out, struct error *err)
{
    struct column_span spans[LIMIT_WHERE_PATHS];
    uint64_t words[FILTER_MATCH_WORDS];
    size_t bytes = filter_scratch_bytes(f);
    void *scratch = mem_alloc(rows->alloc, MEM_SEARCH, bytes);

    if (!scratch) return error_no_memory(err, bytes);
    for (uint32_t row = 0; row < rows->count; row += COLUMN_BLOCK_ROWS) {
        uint32_t count = rows->count - row;
        if (count > COLUMN_BLOCK_ROWS) count = COLUMN_BLOCK_ROWS;
        for (size_t i = 0; i < filter_path_count(f); i++) spans[i] = column_block(columns[i], row);
        memset(scratch, 0x5a, bytes);
        filter_match_begin(f, spans, count, scratch);
        /* In the smallest steps, for where it is left changes nothing. */
        while (!filter_match_advance(scratch, 1, words)) continue;
        for (uint32_t i = 0; i < count; i++) out[row + i] = words[i / 64] >> (i % 64) & 1;
    }
    mem_free(rows->alloc, scratch);
    return 0;
}

int where_rows_match(const struct where_rows *rows, const struct filter *f, uint8_t *out,
                     struct error *err)
{
    struct column *columns[LIMIT_WHERE_PATHS] = {NULL};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < filter_path_count(f); i++)
        rc = where_rows_column(rows, filter_path(f, i), &columns[i], err);
    if (rc == 0) rc = match_blocks(rows, f, columns, out, err);
    for (size_t i = 0; i < filter_path_count(f); i++) column_destroy(columns[i]);
    return rc;
}
