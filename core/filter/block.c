/* SPDX-License-Identifier: Apache-2.0 */
/* block.c — the loops that comparisons spend their time in.
 *
 * WHAT        A column of numbers, or of one other type, NULLs among them, against a literal of
 *             that kind has loops without branches, and so has one of numbers, texts, bytes and
 *             datetimes against a number; everything else is compared value by value.
 *             All loops give three sets, whatever the operator: it is applied to words of 64 rows
 *             (match.c).
 * INVARIANTS  (1) A fast loop answers as value_order does, row by row.
 *             (2) The three sets have no row in common, and none that does not exist.
 * THREADS     No state: any thread.
 * FAILURE     None.
 */
#include "filter/block.h"

#include "base/bytes.h"
#include "base/check.h"

enum { FAST_WORK = 4, SLOW_WORK = 16 }; /* of two values, if one is a literal and if not */

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

/* Bit t: a row has type t. */
static uint32_t find_types(const uint8_t *types, uint32_t row_count)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < row_count; i++) found |= 1u << types[i];
    return found;
}

/* Bit i: bytes[i], each of 64 being 0 or 1.  The product has them in its highest byte. */
static inline uint64_t pack_bits(const uint8_t *bytes)
{
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t eight = load_u64(bytes + i * 8);
        bits |= (eight * 0x0102040810204080u >> 56) << (i * 8);
    }
    return bits;
}

/* Answers as bytes first: the loop has no shifts then, and is done in vectors where those can
 * compare the type. */
#define ORDER_LOOP(name, type, member)                                                             \
    static void order_##name(const union column_cell *cells, const struct block *b, type k,        \
                             struct ordering *out)                                                 \
    {                                                                                              \
        uint8_t less[64] = {0}, equal[64] = {0}, greater[64] = {0};                                \
        for (uint32_t w = 0; w < b->word_count; w++, cells += 64) {                                \
            uint32_t left = b->row_count - w * 64, count = left < 64 ? left : 64;                  \
            for (uint32_t i = 0; i < count; i++) {                                                 \
                type v = cells[i].member;                                                          \
                less[i] = v < k;                                                                   \
                equal[i] = v == k;                                                                 \
                greater[i] = v > k;                                                                \
            }                                                                                      \
            out->less.words[w] = pack_bits(less) & b->rows.words[w];                               \
            out->equal.words[w] = pack_bits(equal) & b->rows.words[w];                             \
            out->greater.words[w] = pack_bits(greater) & b->rows.words[w];                         \
        }                                                                                          \
    }
ORDER_LOOP(integers, int64_t, integer)
ORDER_LOOP(floats, double, number)
#undef ORDER_LOOP

static void put_order(struct ordering *out, uint32_t row, enum order order)
{
    uint64_t bit = 1ull << (row % 64);
    if (order == ORDER_LESS) out->less.words[row / 64] |= bit;
    else if (order == ORDER_EQUAL) out->equal.words[row / 64] |= bit;
    else if (order == ORDER_GREATER) out->greater.words[row / 64] |= bit;
}

static void order_texts(const struct column_span *span, const struct block *b, struct slice k,
                        struct ordering *out)
{
    for (uint32_t w = 0; w < b->word_count; w++) {
        for (uint64_t left = b->wanted.words[w]; left != 0; left &= left - 1) {
            uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(left);
            if (span->types[row] == VALUE_NULL) continue;
            const struct column_bytes *text = span->cells[row].bytes;
            int order = slice_compare(slice_of(text->data, text->size), k);
            put_order(out, row, order < 0 ? ORDER_LESS : order > 0 ? ORDER_GREATER : ORDER_EQUAL);
        }
    }
}

/* Bits of the rows that have one of these types. */
static uint64_t select_types(const uint8_t *types, const struct block *b, uint32_t w,
                             uint32_t wanted)
{
    uint32_t left = b->row_count - w * 64, count = left < 64 ? left : 64;
    uint8_t is_wanted[64] = {0};
    for (uint32_t i = 0; i < count; i++) is_wanted[i] = wanted >> types[w * 64 + i] & 1;
    return pack_bits(is_wanted);
}

/* Cells of other types were compared too, whatever they hold. */
static void keep_types(const uint8_t *types, const struct block *b, uint32_t wanted,
                       struct ordering *out)
{
    for (uint32_t w = 0; w < b->word_count; w++) {
        uint64_t kept = select_types(types, b, w, wanted);
        out->less.words[w] &= kept;
        out->equal.words[w] &= kept;
        out->greater.words[w] &= kept;
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

enum {
    TYPE_NULL = 1 << VALUE_NULL,
    TYPE_INT = 1 << VALUE_INT,
    TYPE_FLOAT = 1 << VALUE_FLOAT,
    TYPE_TEXT = 1 << VALUE_TEXT,
    TYPE_DATETIME = 1 << VALUE_DATETIME,
    TYPES_NUMBER = TYPE_INT | TYPE_FLOAT,
    TYPES_ABOVE_NUMBERS = TYPE_TEXT | 1 << VALUE_BYTES | TYPE_DATETIME, /* whatever they are */
};

static bool is_number(const struct value *v)
{
    return v->type == VALUE_BOOL || v->type == VALUE_INT || v->type == VALUE_UINT ||
           (v->type == VALUE_FLOAT && v->as.number == v->as.number);
}

/* Rows of integers and floats of a column whose types are among `types`. */
static bool order_numbers(const struct block *b, const struct column_span *span, uint32_t types,
                          const struct value *literal, struct ordering *out)
{
    bool has_both = (types & TYPE_INT) != 0 && (types & TYPE_FLOAT) != 0;
    bool has_fraction = false;
    int64_t integer = 0;
    double number = 0;

    if ((types & TYPE_INT) != 0 && !as_integer(literal, &integer, &has_fraction)) return false;
    if ((types & TYPE_FLOAT) != 0 && !as_float(literal, &number)) return false;
    if ((types & TYPE_FLOAT) != 0) {
        order_floats(span->cells, b, number, out);
        if (types != TYPE_FLOAT) keep_types(span->types, b, TYPE_FLOAT, out);
    }
    if ((types & TYPE_INT) == 0) return true;
    struct ordering integers, *o = has_both ? &integers : out;
    order_integers(span->cells, b, integer, o);
    for (uint32_t w = 0; has_fraction && w < b->word_count; w++) {
        o->less.words[w] |= o->equal.words[w];
        o->equal.words[w] = 0;
    }
    if (types != TYPE_INT) keep_types(span->types, b, TYPE_INT, o);
    if (has_both) unite(b, out, &integers);
    return true;
}

/* A column against a literal; false: there is no fast loop for them. */
static bool order_fast(const struct block *b, const struct column_span *span,
                       const struct value *literal, struct ordering *out)
{
    uint32_t types = find_types(span->types, b->row_count);
    uint32_t others = types & ~(uint32_t)TYPE_NULL;
    int64_t us;

    if (others == 0 || literal->type == VALUE_NULL) return true; /* all unknown */
    if ((others & TYPES_NUMBER) != 0 && (others & ~(uint32_t)TYPES_NUMBER) == 0)
        return order_numbers(b, span, types, literal, out);
    if ((others & ~(uint32_t)(TYPES_NUMBER | TYPES_ABOVE_NUMBERS)) == 0 && is_number(literal)) {
        if ((others & TYPES_NUMBER) != 0 && !order_numbers(b, span, types, literal, out))
            return false;
        for (uint32_t w = 0; w < b->word_count; w++)
            out->greater.words[w] |= select_types(span->types, b, w, TYPES_ABOVE_NUMBERS);
        return true;
    }
    if (others == TYPE_TEXT && literal->type == VALUE_TEXT) {
        order_texts(span, b, literal->as.text, out);
        return true;
    }
    if (others != TYPE_DATETIME) return false;
    us = literal->as.datetime_us;
    if (literal->type != VALUE_DATETIME && !value_as_datetime(literal, &us)) return false;
    order_integers(span->cells, b, us, out);
    if (types != TYPE_DATETIME) keep_types(span->types, b, TYPE_DATETIME, out);
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
                 struct ordering *out)
{
    memset(out, 0, sizeof *out);
    if (left->path != NO_INDEX && right->path == NO_INDEX) {
        if (order_fast(b, &b->spans[left->path], &right->literal, out)) return;
    } else if (left->path == NO_INDEX && right->path != NO_INDEX) {
        if (order_fast(b, &b->spans[right->path], &left->literal, out)) {
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
