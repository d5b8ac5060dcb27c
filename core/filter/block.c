/* SPDX-License-Identifier: Apache-2.0 */
/* block.c — the loops that comparisons spend their time in.
 *
 * WHAT        A column of numbers, or of datetimes, NULLs among them, against a literal of that
 *             kind is compared by kernels (simd/cell_kernels.h), and so is one of numbers, texts,
 *             bytes and datetimes against a number; texts are compared with a text once for each
 *             that was not met shortly before, and for equality by their beginnings.  A few
 *             numbers of an IN are as many comparisons.  All else is compared value by value.
 *             Comparisons give three sets, whatever the operator: it is applied to words of 64 rows
 *             (match.c).
 * INVARIANTS  (1) A fast loop answers as value_order does, row by row.
 *             (2) The three sets have no row in common, and none that does not exist.
 * THREADS     No state: any thread.
 * FAILURE     None.
 */
#include "filter/block.h"

#include "base/bytes.h"
#include "base/check.h"
#include "filter/value_list.h"
#include "simd/kernels.h"

enum {
    FAST_WORK = 4, /* of two values, if one is a literal */
    SLOW_WORK = 16,
    FIND_ITEMS = 16, /* of a list, and the longest text in it: a test is not left in the middle */
    FIND_TEXT_BYTES = 1024,
};

struct block block_of(const struct filter *f, const struct column_span *spans, uint32_t row_count)
{
    CHECK(row_count <= COLUMN_BLOCK_ROWS);
    struct block b = {.filter = f, .spans = spans, .row_count = row_count};
    b.word_count = (row_count + 63) / 64;
    for (uint32_t w = 0; w < b.word_count; w++) {
        uint32_t left = row_count - w * 64;
        b.rows.words[w] = left >= 64 ? UINT64_MAX : (1ull << left) - 1;
    }
    b.wanted = b.rows;
    return b;
}

static inline void read_cell(const struct column_span *span, uint32_t row, struct value *out)
{
    const union column_cell *cell = &span->cells[row];
    out->type = (enum value_type)span->types[row];
    switch (out->type) {
    case VALUE_NULL:
        break;
    case VALUE_BOOL:
        out->as.boolean = cell->boolean;
        break;
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_FLOAT:
    case VALUE_DATETIME:
        out->as.uinteger = cell->uinteger; /* eight bytes, whatever they are */
        break;
    case VALUE_TEXT:
    case VALUE_BYTES:
        out->as.text = slice_of(cell->bytes->data, cell->bytes->size);
        break;
    case VALUE_ARRAY:
    case VALUE_MAP:
        out->raw = slice_of(cell->bytes->data, cell->bytes->size);
        break;
    }
}

void block_value(const struct block *b, const struct operand *o, uint32_t row, struct value *out)
{
    if (o->path == NO_INDEX) *out = o->literal;
    else read_cell(&b->spans[o->path], row, out);
}

/* ---- Columns of one type ---- */

enum {
    TYPE_NULL = 1 << VALUE_NULL,
    TYPE_BOOL = 1 << VALUE_BOOL,
    TYPE_INT = 1 << VALUE_INT,
    TYPE_UINT = 1 << VALUE_UINT,
    TYPES_WHOLE = TYPE_BOOL | TYPE_INT, /* a cell is an integer: of BOOL 0 or 1 */
    TYPE_FLOAT = 1 << VALUE_FLOAT,
    TYPE_TEXT = 1 << VALUE_TEXT,
    TYPE_DATETIME = 1 << VALUE_DATETIME,
    TYPES_NUMBER = TYPES_WHOLE | TYPE_FLOAT,
    TYPES_ABOVE_NUMBERS = TYPE_TEXT | 1 << VALUE_BYTES | TYPE_DATETIME, /* whatever they are */
};

_Static_assert(sizeof(union column_cell) == sizeof(int64_t), "kernels read cells of eight bytes");

/* Rows that have one of these types. */
static void select_types(const struct block *b, const uint8_t *types, uint32_t wanted,
                         struct row_bits *out)
{
    const struct simd_kernels *kernels = kernels_active();
    uint32_t whole = b->row_count / CELL_WORD, left = b->row_count % CELL_WORD;

    kernels->cell_select(types, whole, wanted, out->words);
    if (left == 0) return;
    uint8_t last[CELL_WORD] = {0};
    memcpy(last, types + whole * CELL_WORD, left);
    kernels->cell_select(last, 1, wanted, &out->words[whole]);
    out->words[whole] &= b->rows.words[whole];
}

/* Bit t: a row has type t. */
static uint32_t find_types(const struct block *b, const uint8_t *types)
{
    uint32_t found = 0, row = 0;
    struct row_bits known;

    while (row < b->row_count) {
        found |= 1u << types[row];
        select_types(b, types, found, &known);
        uint32_t w = row / 64; /* before it all rows are of types that were found */
        while (w < b->word_count && known.words[w] == b->rows.words[w]) w++;
        if (w == b->word_count) break;
        row = w * 64 + (uint32_t)__builtin_ctzll(b->rows.words[w] & ~known.words[w]);
    }
    return found;
}

static void order_integers(const struct block *b, const union column_cell *cells, int64_t k,
                           struct ordering *out)
{
    const struct simd_kernels *kernels = kernels_active();
    uint32_t whole = b->row_count / CELL_WORD, left = b->row_count % CELL_WORD;
    uint64_t *less = out->less.words, *equal = out->equal.words;

    kernels->cell_order_i64(&cells->integer, whole, k, less, equal);
    if (left > 0) {
        int64_t last[CELL_WORD] = {0};
        memcpy(last, cells + whole * CELL_WORD, left * sizeof *cells);
        kernels->cell_order_i64(last, 1, k, less + whole, equal + whole);
        less[whole] &= b->rows.words[whole];
        equal[whole] &= b->rows.words[whole];
    }
    for (uint32_t w = 0; w < b->word_count; w++)
        out->greater.words[w] = b->rows.words[w] & ~(less[w] | equal[w]);
}

static void order_floats(const struct block *b, const union column_cell *cells, double k,
                         struct ordering *out)
{
    const struct simd_kernels *kernels = kernels_active();
    uint32_t whole = b->row_count / CELL_WORD, left = b->row_count % CELL_WORD;
    uint64_t *less = out->less.words, *equal = out->equal.words, *greater = out->greater.words;

    kernels->cell_order_f64(&cells->number, whole, k, less, equal, greater);
    if (left == 0) return;
    double last[CELL_WORD] = {0};
    memcpy(last, cells + whole * CELL_WORD, left * sizeof *cells);
    kernels->cell_order_f64(last, 1, k, less + whole, equal + whole, greater + whole);
    less[whole] &= b->rows.words[whole];
    equal[whole] &= b->rows.words[whole];
    greater[whole] &= b->rows.words[whole];
}

static void put_order(struct ordering *out, uint32_t row, enum order order)
{
    uint64_t bit = 1ull << (row % 64);
    if (order == ORDER_LESS) out->less.words[row / 64] |= bit;
    else if (order == ORDER_EQUAL) out->equal.words[row / 64] |= bit;
    else if (order == ORDER_GREATER) out->greater.words[row / 64] |= bit;
}

/* What was answered for a text: cells of equal texts often are one pointer (column.c). */
enum { RECENT_TEXTS = 32 };
struct recent_text {
    const struct column_bytes *text;
    unsigned answer;
};

static inline struct recent_text *recent_of(struct recent_text *recent,
                                            const struct column_bytes *text)
{
    uintptr_t bits = (uintptr_t)text;
    return &recent[(bits >> 3 ^ bits >> 8) % RECENT_TEXTS];
}

/* Those that are equal to k, not empty; all others count as less.  A cell's first eight bytes, its
 * size and what it begins with, tell nearly all apart without a branch. */
static void match_texts(const struct column_span *span, const struct block *b, struct slice k,
                        struct ordering *out)
{
    enum { HEAD = 4 };
    size_t head = k.size < HEAD ? k.size : HEAD;
    struct {
        uint32_t size;
        uint8_t data[HEAD];
    } wanted = {.size = (uint32_t)k.size}, mask = {.size = UINT32_MAX};
    struct row_bits texts;

    memcpy(wanted.data, k.data, head);
    memset(mask.data, 0xff, head);
    uint64_t wanted_head = load_u64(&wanted), mask_head = load_u64(&mask);
    select_types(b, span->types, TYPE_TEXT, &texts);
    for (uint32_t w = 0; w < b->word_count; w++) {
        uint64_t rows = b->wanted.words[w] & texts.words[w], equal = 0;
        const union column_cell *cells = span->cells + w * 64;
        for (uint64_t left = rows; left != 0; left &= left - 1) {
            uint32_t i = (uint32_t)__builtin_ctzll(left);
            uint64_t at = load_u64(cells[i].bytes) & mask_head;
            equal |= (uint64_t)(at == wanted_head) << i;
        }
        for (uint64_t left = k.size > HEAD ? equal : 0; left != 0; left &= left - 1) {
            uint32_t i = (uint32_t)__builtin_ctzll(left);
            if (memcmp(cells[i].bytes->data + HEAD, k.data + HEAD, k.size - HEAD) != 0)
                equal &= ~(1ull << i);
        }
        out->less.words[w] = rows & ~equal;
        out->equal.words[w] = equal;
    }
}

static void order_texts(const struct column_span *span, const struct block *b, struct slice k,
                        struct ordering *out)
{
    struct recent_text recent[RECENT_TEXTS] = {{NULL, 0}};

    for (uint32_t w = 0; w < b->word_count; w++) {
        uint64_t sets[ORDER_GREATER + 1] = {0};
        for (uint64_t left = b->wanted.words[w]; left != 0; left &= left - 1) {
            uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(left);
            if (span->types[row] == VALUE_NULL) continue;
            const struct column_bytes *text = span->cells[row].bytes;
            struct recent_text *r = recent_of(recent, text);
            if (r->text != text) {
                int order = slice_compare(slice_of(text->data, text->size), k);
                *r = (struct recent_text){text, order < 0   ? ORDER_LESS
                                                : order > 0 ? ORDER_GREATER
                                                            : ORDER_EQUAL};
            }
            sets[r->answer] |= 1ull << (row % 64);
        }
        out->less.words[w] = sets[ORDER_LESS];
        out->equal.words[w] = sets[ORDER_EQUAL];
        out->greater.words[w] = sets[ORDER_GREATER];
    }
}

/* Cells of other types were compared too, whatever they hold. */
static void keep_types(const uint8_t *types, const struct block *b, uint32_t wanted,
                       struct ordering *out)
{
    struct row_bits kept;

    select_types(b, types, wanted, &kept);
    for (uint32_t w = 0; w < b->word_count; w++) {
        out->less.words[w] &= kept.words[w];
        out->equal.words[w] &= kept.words[w];
        out->greater.words[w] &= kept.words[w];
    }
}

/* The sets of two kinds of rows. */
static void unite(const struct block *b, struct ordering *into, const struct ordering *other)
{
    for (uint32_t w = 0; w < b->word_count; w++) {
        into->less.words[w] |= other->less.words[w];
        into->equal.words[w] |= other->equal.words[w];
        into->greater.words[w] |= other->greater.words[w];
    }
}

/* The literal as integers are compared with it: the integer at or below it. */
static bool as_integer(const struct value *literal, int64_t *out, bool *out_has_fraction)
{
    *out_has_fraction = false;
    if (literal->type == VALUE_BOOL || literal->type == VALUE_INT) {
        *out = literal->type == VALUE_BOOL ? literal->as.boolean : literal->as.integer;
        return true;
    }
    double f = literal->type == VALUE_FLOAT ? literal->as.number : __builtin_inf();
    if (!(f > -0x1p62 && f < 0x1p62)) return false;
    int64_t whole = (int64_t)f;
    *out_has_fraction = (double)whole != f;
    *out = whole - ((double)whole > f);
    return true;
}

/* Likewise as a float of the same value. */
static bool as_float(const struct value *literal, double *out)
{
    const int64_t exact = 1ll << 53; /* up to here every integer is a float */
    if (literal->type == VALUE_FLOAT) *out = literal->as.number;
    else if (literal->type == VALUE_BOOL) *out = literal->as.boolean;
    else if (literal->type == VALUE_INT) *out = (double)literal->as.integer;
    else return false;
    return literal->type != VALUE_INT ||
           (literal->as.integer <= exact && literal->as.integer >= -exact);
}

static bool is_number(const struct value *v)
{
    return v->type == VALUE_BOOL || v->type == VALUE_INT || v->type == VALUE_UINT ||
           (v->type == VALUE_FLOAT && v->as.number == v->as.number);
}

/* Rows of integers and floats of a column whose types are among `types`. */
static bool order_numbers(const struct block *b, const struct column_span *span, uint32_t types,
                          const struct value *literal, struct ordering *out)
{
    bool has_both = (types & TYPES_WHOLE) != 0 && (types & TYPE_FLOAT) != 0;
    bool has_fraction = false;
    int64_t integer = 0;
    double number = 0;

    if ((types & TYPES_WHOLE) != 0 && !as_integer(literal, &integer, &has_fraction)) return false;
    if ((types & TYPE_FLOAT) != 0 && !as_float(literal, &number)) return false;
    if ((types & TYPE_FLOAT) != 0) {
        order_floats(b, span->cells, number, out);
        if (types != TYPE_FLOAT) keep_types(span->types, b, TYPE_FLOAT, out);
    }
    if ((types & TYPES_WHOLE) == 0) return true;
    struct ordering integers, *o = has_both ? &integers : out;
    order_integers(b, span->cells, integer, o);
    for (uint32_t w = 0; has_fraction && w < b->word_count; w++) {
        o->less.words[w] |= o->equal.words[w];
        o->equal.words[w] = 0;
    }
    if ((types & ~(uint32_t)TYPES_WHOLE) != 0) keep_types(span->types, b, TYPES_WHOLE, o);
    if (has_both) unite(b, out, &integers);
    return true;
}

/* A column against a literal; false: there is no fast loop for them. */
static bool order_fast(const struct block *b, const struct column_span *span,
                       const struct value *literal, bool by_equality, struct ordering *out)
{
    uint32_t types = find_types(b, span->types);
    uint32_t others = types & ~(uint32_t)TYPE_NULL;
    struct row_bits above;
    int64_t us;

    if (others == 0 || literal->type == VALUE_NULL) return true; /* all unknown */
    if ((others & TYPES_NUMBER) != 0 && (others & ~(uint32_t)TYPES_NUMBER) == 0)
        return order_numbers(b, span, types, literal, out);
    if ((others & ~(uint32_t)(TYPES_NUMBER | TYPES_ABOVE_NUMBERS)) == 0 && is_number(literal)) {
        if ((others & TYPES_NUMBER) != 0 && !order_numbers(b, span, types, literal, out))
            return false;
        select_types(b, span->types, TYPES_ABOVE_NUMBERS, &above);
        for (uint32_t w = 0; w < b->word_count; w++) out->greater.words[w] |= above.words[w];
        return true;
    }
    if (others == TYPE_TEXT && literal->type == VALUE_TEXT) {
        if (by_equality && literal->as.text.size > 0) match_texts(span, b, literal->as.text, out);
        else order_texts(span, b, literal->as.text, out);
        return true;
    }
    if (others != TYPE_DATETIME) return false;
    us = literal->as.datetime_us;
    if (literal->type != VALUE_DATETIME && !value_as_datetime(literal, &us)) return false;
    order_integers(b, span->cells, us, out);
    if (types != TYPE_DATETIME) keep_types(span->types, b, TYPE_DATETIME, out);
    return true;
}

/* ---- Other tests of a column ---- */

bool block_truth(const struct block *b, const struct operand *left, struct verdict *out)
{
    struct row_bits some;
    struct ordering o;

    if (left->path == NO_INDEX) return false;
    const struct column_span *span = &b->spans[left->path];
    uint32_t types = find_types(b, span->types);
    select_types(b, span->types, TYPE_NULL, &out->is_unknown);
    select_types(b, span->types, TYPE_UINT, &out->is_true);
    if ((types & TYPES_WHOLE) != 0) {
        order_integers(b, span->cells, 0, &o);
        select_types(b, span->types, TYPES_WHOLE, &some);
        for (uint32_t w = 0; w < b->word_count; w++)
            out->is_true.words[w] |= some.words[w] & ~o.equal.words[w];
    }
    if ((types & TYPE_FLOAT) == 0) return true;
    order_floats(b, span->cells, 0, &o);
    select_types(b, span->types, TYPE_FLOAT, &some);
    for (uint32_t w = 0; w < b->word_count; w++) {
        uint64_t not_zero = o.less.words[w] | o.greater.words[w];
        out->is_true.words[w] |= some.words[w] & not_zero;
        out->is_unknown.words[w] |= some.words[w] & ~(not_zero | o.equal.words[w]);
    }
    return true;
}

/* Numbers among a few numbers: what else is in the list equals none of them. */
static bool find_numbers(const struct block *b, const struct column_span *span, uint32_t types,
                         const struct value_list *l, struct verdict *out)
{
    bool has_one = false;

    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < l->sorted_count; i++) {
        struct ordering o;
        if (!is_number(&l->sorted[i])) continue;
        if (!order_numbers(b, span, types, &l->sorted[i], &o)) return false;
        has_one = true;
        for (uint32_t w = 0; w < b->word_count; w++) {
            uint64_t equal = o.equal.words[w];
            out->is_true.words[w] |= equal;
            out->is_unknown.words[w] =
                b->rows.words[w] & ~(o.less.words[w] | equal | o.greater.words[w]);
        }
    }
    return has_one;
}

static void find_texts(const struct block *b, const struct column_span *span,
                       const struct value_list *l, struct verdict *out)
{
    struct recent_text recent[RECENT_TEXTS] = {{NULL, 0}};

    memset(out, 0, sizeof *out);
    for (uint32_t w = 0; w < b->word_count; w++) {
        for (uint64_t left = b->wanted.words[w]; left != 0; left &= left - 1) {
            uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(left);
            if (span->types[row] == VALUE_NULL) {
                out->is_unknown.words[w] |= 1ull << (row % 64);
                continue;
            }
            const struct column_bytes *text = span->cells[row].bytes;
            struct recent_text *r = recent_of(recent, text);
            if (r->text != text) {
                struct value v = {.type = VALUE_TEXT, .as.text = slice_of(text->data, text->size)};
                *r = (struct recent_text){text, value_list_has(l, &v)};
            }
            out->is_true.words[w] |= (uint64_t)r->answer << (row % 64);
        }
    }
}

bool block_find(const struct block *b, const struct operand *left, const struct value_list *l,
                struct verdict *out)
{
    size_t longest = 0;

    if (left->path == NO_INDEX || l->sorted_count > FIND_ITEMS) return false;
    const struct column_span *span = &b->spans[left->path];
    uint32_t types = find_types(b, span->types), others = types & ~(uint32_t)TYPE_NULL;
    for (uint32_t i = 0; i < l->sorted_count; i++)
        if (l->sorted[i].type == VALUE_TEXT && l->sorted[i].as.text.size > longest)
            longest = l->sorted[i].as.text.size;
    if (others == TYPE_TEXT && longest <= FIND_TEXT_BYTES) find_texts(b, span, l, out);
    else if (others == 0 || (others & ~(uint32_t)TYPES_NUMBER) != 0 ||
             !find_numbers(b, span, types, l, out))
        return false;
    for (uint32_t w = 0; l->has_null && w < b->word_count; w++)
        out->is_unknown.words[w] = b->rows.words[w] & ~out->is_true.words[w];
    return true;
}

/* ---- Everything else ---- */

static void order_slow(const struct block *b, const struct operand *left,
                       const struct operand *right, struct ordering *out)
{
    for (uint32_t w = 0; w < b->word_count; w++) {
        for (uint64_t rest = b->wanted.words[w]; rest != 0; rest &= rest - 1) {
            uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(rest);
            struct value x, y;
            block_value(b, left, row, &x);
            block_value(b, right, row, &y);
            put_order(out, row, value_order(&x, &y));
        }
    }
}

void block_order(const struct block *b, const struct operand *left, const struct operand *right,
                 bool by_equality, struct ordering *out)
{
    memset(out, 0, sizeof *out);
    if (left->path != NO_INDEX && right->path == NO_INDEX) {
        if (order_fast(b, &b->spans[left->path], &right->literal, by_equality, out)) return;
    } else if (left->path == NO_INDEX && right->path != NO_INDEX) {
        if (order_fast(b, &b->spans[right->path], &left->literal, by_equality, out)) {
            struct row_bits less = out->less;
            out->less = out->greater;
            out->greater = less;
            return;
        }
    }
    order_slow(b, left, right, out);
}

uint64_t block_order_work(const struct block *b, const struct operand *left,
                          const struct operand *right)
{
    const struct value *l = &left->literal, *r = &right->literal;

    if (left->path != NO_INDEX && right->path != NO_INDEX)
        return (uint64_t)SLOW_WORK * b->row_count;
    if (left->path == NO_INDEX) r = l;
    /* Bytes are compared many at a time. */
    return b->row_count * (FAST_WORK + (r->type == VALUE_TEXT ? r->as.text.size / 16 : 0));
}
