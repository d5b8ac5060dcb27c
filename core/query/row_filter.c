/* SPDX-License-Identifier: Apache-2.0 */
/* row_filter.c — a block of bits that is computed when a row of it is asked for.
 *
 * WHAT        One block of one part is at hand.  A part's fields come through a reader of its
 *             columns, which is made when a block of it has to be matched: what was matched before,
 *             by whomever, was kept (segment/matched_rows.h) and only loses the deleted rows.  A
 *             block is read in as few pieces as can be read in READ_US each, and a piece is matched
 *             in steps of FILTER_WORK; between them clock and cancel flag are looked at, and there
 *             it may be left.
 * INVARIANTS  (1) A row is wanted if and only if it is below the part's row_count, not deleted, and
 *                 the filter is true for it: unknown is not true.
 *             (2) After a failure nothing is wanted.
 *             (3) While a block is open, rows below `done` of it are matched, and the next
 *                 `run_rows` are being matched: their columns stay where they are.
 * THREADS     One; others have row filters of their own over the same view and columns.
 * FAILURE     Kept until it is asked for, because who asks for bits cannot pass it on.
 */
#include "query/row_filter.h"

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/check.h"
#include "filter/filter.h"
#include "segment/matched_rows.h"

enum {
    NO_PART = -1,
    BLOCK_WORDS = COLUMN_BLOCK_ROWS / 64,
    FIRST_READ_ROWS = 16, /* documents may be large, and have to be unpacked */
    READ_US = 500,
};

struct row_filter {
    struct alloc *alloc;
    struct column_cache *columns;
    const struct filter *filter;
    const struct view *view;
    size_t path_count;
    int64_t part;                 /* that the block is of */
    uint32_t block_row;           /* the first row of the block */
    int64_t part_at_hand;         /* whose the next two are */
    struct matched_rows *kept;    /* NULL: there is no path, or no room */
    struct column_reader *reader; /* NULL: there is no path, or nothing to match so far */
    struct slice *paths;
    struct column_span *spans;
    void *scratch;
    struct row_limits limits;
    struct error error;
    uint32_t read_rows; /* at most, in one piece */
    bool is_open;       /* the block is not matched yet (3) */
    uint32_t row_count; /* of the block */
    uint32_t done, run_rows;
    uint64_t matched[BLOCK_WORDS];
    uint64_t words[BLOCK_WORDS]; /* the live rows while it is open, then those that are wanted */
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
        .part_at_hand = NO_PART,
        .read_rows = FIRST_READ_ROWS,
        .paths = (struct slice *)(memory + head),
        .spans = (struct column_span *)(memory + head + path_count * sizeof(struct slice)),
        .scratch = memory + head + paths,
    };
    for (size_t i = 0; i < path_count; i++) f->paths[i] = filter_path(filter, i);
    *out = f;
    return 0;
}

/* The columns first: while they are in use it is what is idle that makes room. */
static void leave_part(struct row_filter *f)
{
    column_reader_destroy(f->reader);
    matched_rows_release(f->columns, f->kept);
    f->reader = NULL;
    f->kept = NULL;
    f->part_at_hand = NO_PART;
}

void row_filter_destroy(struct row_filter *f)
{
    if (!f) return;
    leave_part(f);
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

int row_limits_check(const struct row_limits *l, const char *what, struct error *err)
{
    if (is_cancelled(l->cancel, l->host_cancel))
        return error_set(err, LYNSE_CANCELLED, "%s: cancelled before all rows were seen", what);
    if (l->clock && l->deadline_us != 0 && clock_now_us(l->clock) >= l->deadline_us)
        return error_set(err, LYNSE_DEADLINE, "%s: the deadline passed before all rows were seen",
                         what);
    return 0;
}

static bool is_pause(const struct row_limits *l)
{
    return l->clock && l->pause_us != 0 && clock_now_us(l->clock) >= l->pause_us;
}

static int enter_part(struct row_filter *f, size_t part)
{
    if (f->path_count == 0 || f->part_at_hand == (int64_t)part) return 0;
    leave_part(f);
    if (matched_rows_acquire(f->columns, f->view->parts[part].segment, filter_text(f->filter),
                             &f->kept, &f->error) != 0)
        return -1;
    f->part_at_hand = (int64_t)part;
    return 0;
}

/* Something of the part at hand has to be matched. */
static int make_reader(struct row_filter *f)
{
    if (f->path_count == 0 || f->reader) return 0;
    return column_reader_create(f->columns, f->view->parts[f->part_at_hand].segment, f->paths,
                                f->path_count, &f->reader, &f->error);
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

/* What took so long is read in smaller pieces the next time. */
static void adapt_reading(struct row_filter *f, uint64_t took_us)
{
    if (took_us > READ_US) f->read_rows = (uint32_t)(f->read_rows * (uint64_t)READ_US / took_us);
    else if (took_us < READ_US / 4 && f->read_rows < COLUMN_BLOCK_ROWS) f->read_rows *= 2;
    if (f->read_rows == 0) f->read_rows = 1;
}

/* Begin the match of the rows behind `done`, of as many as are read at a time. */
static int begin_run(struct row_filter *f)
{
    const struct clock *clock = f->limits.clock;
    uint32_t count = f->row_count - f->done;

    if (f->reader) {
        uint64_t begin_us = clock ? clock_now_us(clock) : 0;
        if (clock && count > f->read_rows) count = f->read_rows;
        if (column_reader_read(f->reader, f->block_row + f->done, &count, f->spans, &f->error) != 0)
            return -1;
        if (clock) adapt_reading(f, clock_now_us(clock) - begin_us);
    }
    filter_match_begin(f->filter, f->spans, count, f->scratch);
    f->run_rows = count;
    return 0;
}

/* Match the rest of the block: 1, or 0: it is left in the middle, or -1. */
static int match_rows(struct row_filter *f, bool may_pause)
{
    uint64_t bits[BLOCK_WORDS];

    while (f->done < f->row_count) {
        if (f->run_rows == 0 && begin_run(f) != 0) return -1;
        if (filter_match_advance(f->scratch, FILTER_WORK, bits)) {
            put_bits(f->matched, f->done, bits, f->run_rows);
            f->done += f->run_rows;
            f->run_rows = 0;
            if (f->done == f->row_count) break;
        }
        if (row_limits_check(&f->limits, "where", &f->error) != 0) return -1;
        if (may_pause && is_pause(&f->limits)) return 0;
    }
    return 1;
}

/* The block needs no matching. */
static bool take_kept(struct row_filter *f)
{
    const uint64_t *bits =
        f->kept ? matched_rows_block(f->kept, f->block_row / COLUMN_BLOCK_ROWS) : NULL;

    for (int i = 0; bits && i < BLOCK_WORDS; i++) f->words[i] &= bits[i];
    return bits != NULL;
}

/* Make it the block at hand; it is open when there is something to match. */
static void enter_block(struct row_filter *f, size_t part, uint32_t row)
{
    const struct view_part *p = &f->view->parts[part];

    f->part = (int64_t)part;
    f->block_row = row - row % COLUMN_BLOCK_ROWS;
    f->is_open = false;
    memset(f->words, 0, sizeof f->words);
    if (f->error.code != LYNSE_OK || f->block_row >= p->row_count) return; /* (2) */
    uint32_t left = p->row_count - f->block_row;
    f->row_count = left < COLUMN_BLOCK_ROWS ? left : COLUMN_BLOCK_ROWS;
    for (uint32_t i = 0; i < f->row_count; i += 64) {
        uint64_t live = ~tombstones_word(p->dead, f->block_row + i);
        if (f->row_count - i < 64) live &= (1ull << (f->row_count - i)) - 1;
        f->words[i / 64] = live;
    }
    if (!f->filter || !has_bits(f->words)) return;
    int rc = row_limits_check(&f->limits, "where", &f->error);
    if (rc == 0) rc = enter_part(f, part);
    if (rc == 0 && take_kept(f)) return;
    if (rc == 0) rc = make_reader(f);
    if (rc != 0) {
        memset(f->words, 0, sizeof f->words);
        return;
    }
    f->is_open = true;
    f->done = f->run_rows = 0;
    memset(f->matched, 0, sizeof f->matched);
}

static bool is_at_hand(const struct row_filter *f, size_t part, uint32_t row)
{
    return f->part == (int64_t)part && row - row % COLUMN_BLOCK_ROWS == f->block_row;
}

static bool load_block(struct row_filter *f, size_t part, uint32_t row, bool may_pause)
{
    if (!is_at_hand(f, part, row)) enter_block(f, part, row);
    if (!f->is_open) return true;
    int found = match_rows(f, may_pause);
    if (found == 0) return false;
    f->is_open = false;
    CHECK(found > 0 || f->error.code != LYNSE_OK);
    for (int i = 0; i < BLOCK_WORDS; i++) f->words[i] &= found > 0 ? f->matched[i] : 0;
    if (found > 0 && f->kept)
        matched_rows_keep(f->kept, f->block_row / COLUMN_BLOCK_ROWS, f->matched, f->row_count);
    return true;
}

bool row_filter_load(struct row_filter *f, size_t part, uint32_t row)
{
    return load_block(f, part, row, true);
}

uint64_t row_filter_word(struct row_filter *f, size_t part, uint32_t row)
{
    if (f->is_open || !is_at_hand(f, part, row)) load_block(f, part, row, false);
    return f->words[row % COLUMN_BLOCK_ROWS / 64];
}

const uint64_t *row_filter_whole(struct row_filter *f, size_t part, uint32_t *out_count)
{
    const struct view_part *p = &f->view->parts[part];

    if (!f->filter || f->error.code != LYNSE_OK || tombstones_count(p->dead) > 0) return NULL;
    if (p->row_count != p->segment->row_capacity || enter_part(f, part) != 0) return NULL;
    return f->kept ? matched_rows_all(f->kept, out_count) : NULL;
}
