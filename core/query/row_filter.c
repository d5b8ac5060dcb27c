/* SPDX-License-Identifier: Apache-2.0 */
/* row_filter.c — a block of bits that is computed when a row of it is asked for.
 *
 * WHAT        One block of one part is at hand.  A part's fields come through a reader of its
 *             columns, which is made when the part is entered.
 * INVARIANTS  (1) A row is wanted if and only if it is below the part's row_count, not deleted, and
 *                 the filter is true for it: unknown is not true.
 *             (2) After a failure nothing is wanted.
 * THREADS     One; others have row filters of their own over the same view and columns.
 * FAILURE     Kept until it is asked for, because who asks for bits cannot pass it on.
 */
#include "query/row_filter.h"

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/check.h"
#include "filter/filter.h"

enum { NO_PART = -1, BLOCK_WORDS = COLUMN_BLOCK_ROWS / 64 };

struct row_filter {
    struct alloc *alloc;
    struct column_cache *columns;
    const struct filter *filter;
    const struct view *view;
    size_t path_count;
    int64_t part;       /* that the block is of */
    uint32_t block_row; /* the first row of the block */
    int64_t reader_part;
    struct column_reader *reader; /* of reader_part's fields; NULL: none, or no path */
    struct slice *paths;
    struct column_span *spans;
    void *scratch;
    struct row_limits limits;
    struct error error;
    uint64_t words[BLOCK_WORDS];
};

int row_filter_create(struct alloc *a, struct column_cache *columns, const struct filter *filter,
                      const struct view *view, struct row_filter **out, struct error *err)
{
    size_t path_count = filter ? filter_path_count(filter) : 0;
    size_t head = align_up(sizeof(struct row_filter), 64);
    size_t paths = align_up(path_count * (sizeof(struct slice) + sizeof(struct column_span)), 64);
    size_t bytes = head + paths + (filter ? filter_scratch_bytes(filter) : 0);
    uint8_t *memory = (uint8_t *)mem_alloc_aligned(a, MEM_SEARCH, bytes, 64);

    if (!memory) return error_no_memory(err, bytes);
    struct row_filter *f = (struct row_filter *)memory;
    *f = (struct row_filter){
        .alloc = a,
        .columns = columns,
        .filter = filter,
        .view = view,
        .path_count = path_count,
        .part = NO_PART,
        .reader_part = NO_PART,
        .paths = (struct slice *)(memory + head),
        .spans = (struct column_span *)(memory + head + path_count * sizeof(struct slice)),
        .scratch = memory + head + paths,
    };
    for (size_t i = 0; i < path_count; i++) f->paths[i] = filter_path(filter, i);
    *out = f;
    return 0;
}

void row_filter_destroy(struct row_filter *f)
{
    if (!f) return;
    column_reader_destroy(f->reader);
    mem_free(f->alloc, f);
}

const struct error *row_filter_error(const struct row_filter *f)
{
    return &f->error;
}

void row_filter_limit(struct row_filter *f, const struct row_limits *limits)
{
    f->limits = *limits;
}

static int check_limits(struct row_filter *f)
{
    const struct row_limits *l = &f->limits;

    /* Relaxed: nothing else is read because of it. */
    if (l->cancel && atomic_load_relaxed(l->cancel))
        return error_set(&f->error, LYNSE_CANCELLED, "where: cancelled while rows were matched");
    if (l->deadline_us != 0 && clock_now_us(l->clock) >= l->deadline_us)
        return error_set(&f->error, LYNSE_DEADLINE,
                         "where: the deadline passed while rows were matched");
    return 0;
}

static int enter_part(struct row_filter *f, size_t part)
{
    if (f->path_count == 0 || f->reader_part == (int64_t)part) return 0;
    column_reader_destroy(f->reader);
    f->reader = NULL;
    f->reader_part = NO_PART;
    if (column_reader_create(f->columns, f->view->parts[part].segment, f->paths, f->path_count,
                             &f->reader, &f->error) != 0)
        return -1;
    f->reader_part = (int64_t)part;
    return 0;
}

/* `bits` of row_count rows, at bit `at` of the words. */
static void put_bits(uint64_t *words, uint32_t at, const uint64_t *bits, uint32_t row_count)
{
    for (uint32_t i = 0; i < row_count; i += 64) {
        uint32_t to = at + i;
        words[to / 64] |= bits[i / 64] << (to % 64);
        if (to % 64 && to / 64 + 1 < BLOCK_WORDS)
            words[to / 64 + 1] |= bits[i / 64] >> (64 - to % 64);
    }
}

static bool has_bits(const uint64_t *words)
{
    uint64_t any = 0;

    for (int i = 0; i < BLOCK_WORDS; i++) any |= words[i];
    return any != 0;
}

/* The filter over row_count rows of the block at hand, into `matched`. */
static int match_block(struct row_filter *f, uint32_t row_count, uint64_t *matched)
{
    uint64_t bits[BLOCK_WORDS];

    for (uint32_t at = 0; at < row_count;) {
        uint32_t here = row_count - at;
        if (f->reader &&
            column_reader_read(f->reader, f->block_row + at, &here, f->spans, &f->error) != 0)
            return -1;
        filter_match(f->filter, f->spans, here, f->scratch, bits);
        put_bits(matched, at, bits, here);
        at += here;
    }
    return 0;
}

static void load_block(struct row_filter *f, size_t part, uint32_t row)
{
    const struct view_part *p = &f->view->parts[part];
    uint64_t matched[BLOCK_WORDS] = {0};

    f->part = (int64_t)part;
    f->block_row = row - row % COLUMN_BLOCK_ROWS;
    memset(f->words, 0, sizeof f->words);
    if (f->error.code != LYNSE_OK || f->block_row >= p->row_count) return; /* (2) */
    uint32_t left = p->row_count - f->block_row;
    uint32_t row_count = left < COLUMN_BLOCK_ROWS ? left : COLUMN_BLOCK_ROWS;
    for (uint32_t i = 0; i < row_count; i += 64) {
        uint64_t live = ~tombstones_word(p->dead, f->block_row + i);
        if (row_count - i < 64) live &= (1ull << (row_count - i)) - 1;
        f->words[i / 64] = live;
    }
    if (!f->filter || !has_bits(f->words)) return;
    if (check_limits(f) != 0 || enter_part(f, part) != 0 ||
        match_block(f, row_count, matched) != 0) {
        CHECK(f->error.code != LYNSE_OK);
        memset(f->words, 0, sizeof f->words);
        return;
    }
    for (int i = 0; i < BLOCK_WORDS; i++) f->words[i] &= matched[i];
}

uint64_t row_filter_word(struct row_filter *f, size_t part, uint32_t row)
{
    if (f->part != (int64_t)part || row - row % COLUMN_BLOCK_ROWS != f->block_row)
        load_block(f, part, row);
    return f->words[row % COLUMN_BLOCK_ROWS / 64];
}
