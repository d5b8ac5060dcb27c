/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.c — records by id, and walks over a view's rows a word of its delete maps at a time.
 *
 * WHAT        A place is a part and a row in it.  The rows that a walk wants are bits: those of the
 *             live ones, or those of the deleted ones, 64 to a word; of the deleted rows only those
 *             count that are the newest version of their id, which the view has to be asked for.
 * INVARIANTS  (1) A cursor stands before the next row that it has not given; on an error it stays
 *                 where it was.
 *             (2) Bits at and past a part's row_count are never seen: those rows are of later
 *                 views.
 * THREADS     A cursor has one user at a time; the view under it never changes.
 * FAILURE     NO_MEMORY, and what segments say when bytes cannot be trusted.
 */
#include "query/fetch.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash_map.h"
#include "codec/value.h"
#include "filter/filter.h"

enum { LOOK_ROWS = 64 }; /* fetched between two looks at clock and cancel flag */

/* ---- By id ---- */

int fetch_ids(struct alloc *a, const struct view *v, const struct record_id *ids, size_t count,
              unsigned columns, struct result *out, struct error *err)
{
    if (result_init(out, a, v, count, 1, columns & ~(unsigned)RESULT_SCORES, err) != 0) return -1;
    for (size_t i = 0; i < count; i++) {
        size_t part;
        uint32_t row;
        bool is_dead;
        int found = view_find(v, &ids[i], &part, &row, &is_dead, err);
        if (found == 0 || (found > 0 && is_dead)) continue;
        if (found < 0 || result_add(out, v, (uint32_t)part, row, 0, err) != 0) {
            result_deinit(out);
            return -1;
        }
    }
    result_end_query(out);
    return 0;
}

int fetch_exists(const struct view *v, const struct record_id *id, struct error *err)
{
    size_t part;
    uint32_t row;
    bool is_dead;
    int found = view_find(v, id, &part, &row, &is_dead, err);
    return found > 0 ? !is_dead : found;
}

/* ---- Walks ---- */

struct place {
    size_t part;
    uint32_t row;
};

/* The wanted rows among the 64 that begin at row, a multiple of 64 (2). */
static uint64_t wanted_word(const struct fetch_cursor *c, size_t part, uint32_t row)
{
    const struct view_part *p = &c->view->parts[part];
    uint64_t word = tombstones_word(p->dead, row);
    if (c->rows) return row_filter_word(c->rows, part, row);
    if (!c->deleted) word = ~word;
    uint32_t left = p->row_count - row;
    return left < 64 ? word & ((1ull << left) - 1) : word;
}

/* The wanted rows from the place to the end of its word; 0 and at a later place when there are
 * none.  False at the end. */
static bool next_word(const struct fetch_cursor *c, struct place *at, uint64_t *out_word)
{
    const struct view *v = c->view;
    while (at->part < v->part_count && at->row >= v->parts[at->part].row_count)
        *at = (struct place){at->part + 1, 0};
    if (at->part == v->part_count) return false;
    uint32_t first = at->row / 64 * 64;
    *out_word = wanted_word(c, at->part, first) & (~0ull << (at->row % 64));
    return true;
}

/* Move to the next wanted row at or after the place; false at the end. */
static bool find_next(const struct fetch_cursor *c, struct place *at)
{
    uint64_t word;
    while (next_word(c, at, &word)) {
        uint32_t first = at->row / 64 * 64;
        at->row = word ? first + (uint32_t)__builtin_ctzll(word) : first + 64;
        if (word) return true;
    }
    return false;
}

/* Pass over up to row_count wanted rows by counting bits; how many they were. */
static uint64_t pass_rows(const struct fetch_cursor *c, struct place *at, uint64_t row_count)
{
    uint64_t passed = 0, word;
    while (passed < row_count && next_word(c, at, &word)) {
        uint64_t left = row_count - passed, here = (uint64_t)__builtin_popcountll(word);
        if (here <= left) {
            at->row = at->row / 64 * 64 + 64;
            passed += here;
            continue;
        }
        for (; left > 0; left--) word &= word - 1;
        at->row = at->row / 64 * 64 + (uint32_t)__builtin_ctzll(word);
        return row_count;
    }
    return passed;
}

/* 0, or -1: a filtered cursor saw an end that is none. */
static int check_filter(const struct fetch_cursor *c, struct error *err)
{
    const struct error *failed = c->rows ? row_filter_error(c->rows) : NULL;
    if (!failed || failed->code == LYNSE_OK) return 0;
    if (err) *err = *failed;
    return -1;
}

/* 1: the row is the newest version of its id in the view; 0; -1. */
static int is_newest(const struct view *v, struct place at, struct error *err)
{
    struct record_id id;
    size_t part;
    uint32_t row;
    bool is_dead;
    if (segment_id(v->parts[at.part].segment, at.row, &id, err) != 0) return -1;
    int found = view_find(v, &id, &part, &row, &is_dead, err);
    return found > 0 ? part == at.part && row == at.row : found;
}

/* Move to the next row that the cursor gives: 1, or 0 at the end, or -1. */
static int find_row(const struct fetch_cursor *c, struct place *at, struct error *err)
{
    while (find_next(c, at)) {
        int wanted = c->deleted ? is_newest(c->view, *at, err) : 1;
        if (wanted != 0) return wanted;
        at->row++;
    }
    return check_filter(c, err);
}

void fetch_cursor_init(struct fetch_cursor *c, struct view *take_view, bool deleted)
{
    *c = (struct fetch_cursor){.view = take_view, .deleted = deleted};
}

int fetch_cursor_filter(struct fetch_cursor *c, struct alloc *a, const struct fetch_filter *filter,
                        struct error *err)
{
    CHECK(!c->filter && !c->deleted);
    if (filter_parse(a, filter->where, &c->filter, err) != 0) return -1;
    if (row_filter_create(a, filter->fields, c->filter, c->view, &c->rows, err) != 0) return -1;
    row_filter_limit(c->rows, &filter->limits);
    return 0;
}

void fetch_cursor_limit(struct fetch_cursor *c, const struct row_limits *limits)
{
    c->limits = *limits;
    if (c->rows) row_filter_limit(c->rows, limits);
}

void fetch_cursor_deinit(struct fetch_cursor *c)
{
    row_filter_destroy(c->rows);
    filter_destroy(c->filter);
    view_release(c->view);
    *c = (struct fetch_cursor){0};
}

/* How many rows the result must have room for: as many as there are, at most row_max. */
static int count_ahead(const struct fetch_cursor *c, size_t row_max, size_t *out, struct error *err)
{
    struct place end = {c->part, c->row};
    *out = (size_t)pass_rows(c, &end, row_max);
    return check_filter(c, err);
}

int fetch_next(struct fetch_cursor *c, struct alloc *a, size_t row_max, unsigned columns,
               struct result *out, struct error *err)
{
    struct place at = {c->part, c->row};
    size_t capacity;
    columns &= ~(unsigned)RESULT_SCORES;
    if (count_ahead(c, row_max, &capacity, err) != 0) return -1;
    if (result_init(out, a, c->view, capacity, 1, columns, err) != 0) return -1;
    /* Of deleted rows fewer may be given than were counted, so that more may have to be seen. */
    for (size_t seen = 0; out->count < capacity; seen++) {
        bool is_over = seen % LOOK_ROWS == 0 && row_limits_check(&c->limits, "walk", err) != 0;
        int found = is_over ? -1 : find_row(c, &at, err);
        if (found == 0) break;
        if (found < 0 || result_add(out, c->view, (uint32_t)at.part, at.row, 0, err) != 0) {
            result_deinit(out);
            return -1;
        }
        at.row++;
    }
    result_end_query(out);
    c->part = at.part;
    c->row = at.row;
    return 0;
}

int fetch_next_ids(struct fetch_cursor *c, size_t row_max, struct record_id *out_ids,
                   uint64_t *out_lsns, size_t *out_count, struct error *err)
{
    struct place at = {c->part, c->row};
    size_t count = 0;
    for (; count < row_max; at.row++) {
        int found = find_row(c, &at, err);
        if (found == 0) break;
        struct segment *s = found < 0 ? NULL : c->view->parts[at.part].segment;
        if (!s || segment_id(s, at.row, &out_ids[count], err) != 0 ||
            segment_lsn(s, at.row, &out_lsns[count], err) != 0)
            return -1;
        count++;
    }
    c->part = at.part;
    c->row = at.row;
    *out_count = count;
    return 0;
}

uint64_t fetch_skip(struct fetch_cursor *c, uint64_t row_count)
{
    struct place at = {c->part, c->row};
    uint64_t passed = 0;
    /* An error stops it: the fetch_next that follows meets the same row, and says so. */
    if (!c->deleted) passed = pass_rows(c, &at, row_count);
    else
        for (; passed < row_count && find_row(c, &at, NULL) == 1; passed++) at.row++;
    c->part = at.part;
    c->row = at.row;
    return passed;
}

int fetch_count(struct alloc *a, const struct view *v, const struct fetch_filter *filter,
                uint64_t *out, struct error *err)
{
    struct fetch_cursor c;
    int rc = -1;
    fetch_cursor_init(&c, view_acquire((struct view *)v), false);
    if (fetch_cursor_filter(&c, a, filter, err) == 0) {
        struct place at = {0, 0};
        *out = pass_rows(&c, &at, UINT64_MAX);
        rc = check_filter(&c, err);
    }
    fetch_cursor_deinit(&c);
    return rc;
}

/* ---- Names of fields ---- */

static int add_names(struct text_map *names, struct slice document, struct error *err)
{
    struct value map, key, value;
    if (document.size == 0) return 0;
    if (!value_read(document, &map))
        return error_set(err, LYNSE_CORRUPT, "a document is no msgpack");
    struct value_walk walk = value_walk_of(&map);
    while (value_walk_next(&walk, &key, &value)) {
        uint64_t known;
        if (key.type != VALUE_TEXT || text_map_get(names, key.as.text, &known)) continue;
        if (text_map_put(names, key.as.text, 0) != 0) return error_no_memory(err, key.as.text.size);
    }
    return 0;
}

static int add_names_of_view(struct text_map *names, const struct view *v, struct error *err)
{
    const struct fetch_cursor all = {.view = (struct view *)v};
    for (struct place at = {0, 0}; find_next(&all, &at); at.row++) {
        struct doc_ref ref = {0};
        if (segment_document(v->parts[at.part].segment, at.row, &ref, err) != 0) return -1;
        int rc = add_names(names, ref.document, err);
        doc_ref_release(&ref);
        if (rc != 0) return -1;
    }
    return 0;
}

static int compare_slices(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static int copy_names(const struct text_map *names, struct arena *arena, const struct slice **out,
                      size_t *out_count, struct error *err)
{
    struct slice *list = (struct slice *)arena_alloc(arena, names->count * sizeof *list);
    size_t count = 0;
    if (!list) return error_no_memory(err, names->count * sizeof *list);
    for (size_t i = 0; i < names->slot_count; i++) {
        const struct text_map_slot *slot = &names->slots[i];
        if (!slot->key) continue;
        char *copy = arena_copy_text(arena, (const char *)slot->key, slot->key_size);
        if (!copy) return error_no_memory(err, slot->key_size);
        list[count++] = slice_of(copy, slot->key_size);
    }
    CHECK(count == names->count);
    if (count > 0) qsort(list, count, sizeof *list, compare_slices);
    *out = list;
    *out_count = count;
    return 0;
}

int fetch_field_names(struct alloc *a, const struct view *v, struct arena *arena,
                      const struct slice **out, size_t *out_count, struct error *err)
{
    struct text_map names;
    text_map_init(&names, a, MEM_SEARCH);
    int rc = add_names_of_view(&names, v, err);
    if (rc == 0) rc = copy_names(&names, arena, out, out_count, err);
    text_map_deinit(&names);
    return rc;
}
