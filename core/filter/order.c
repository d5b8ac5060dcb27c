/* SPDX-License-Identifier: Apache-2.0 */
#include "filter/order.h"

#include "codec/datetime.h"

enum kind { KIND_NONE, KIND_NUMBER, KIND_TEXT, KIND_BYTES, KIND_DATETIME };

static enum kind kind_of(enum value_type type)
{
    switch (type) {
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_FLOAT:
        return KIND_NUMBER;
    case VALUE_TEXT:
        return KIND_TEXT;
    case VALUE_BYTES:
        return KIND_BYTES;
    case VALUE_DATETIME:
        return KIND_DATETIME;
    case VALUE_NULL:
    case VALUE_ARRAY:
    case VALUE_MAP:
        break;
    }
    return KIND_NONE;
}

#define ORDER_OF(a, b) ((a) < (b) ? ORDER_LESS : (a) > (b) ? ORDER_GREATER : ORDER_EQUAL)

static enum order reverse(enum order o)
{
    return o == ORDER_LESS ? ORDER_GREATER : o == ORDER_GREATER ? ORDER_LESS : o;
}

/* Whole parts first: to round the integer to a float would make neighbours equal. */
static enum order order_float_integer(double f, int64_t i)
{
    if (f != f) return ORDER_NONE;
    if (f >= 0x1p63) return ORDER_GREATER;
    if (f < -0x1p63) return ORDER_LESS;
    int64_t whole = (int64_t)f;
    if (whole != i) return ORDER_OF(whole, i);
    return ORDER_OF(f, (double)whole); /* exact: f has a fraction only where whole < 2^53 */
}

static enum order order_float_unsigned(double f, uint64_t u)
{
    if (f != f) return ORDER_NONE;
    if (f >= 0x1p64) return ORDER_GREATER;
    if (f < 0x1p63) return ORDER_LESS; /* u is above INT64_MAX */
    return ORDER_OF((uint64_t)f, u);   /* from 2^63 on a float has no fraction */
}

static enum order order_floats(double a, double b)
{
    return a != a || b != b ? ORDER_NONE : ORDER_OF(a, b);
}

static int64_t integer_of(const struct value *v)
{
    return v->type == VALUE_BOOL ? v->as.boolean : v->as.integer;
}

static enum order order_float_number(double f, const struct value *v)
{
    if (v->type == VALUE_FLOAT) return order_floats(f, v->as.number);
    if (v->type == VALUE_UINT) return order_float_unsigned(f, v->as.uinteger);
    return order_float_integer(f, integer_of(v));
}

static enum order order_numbers(const struct value *a, const struct value *b)
{
    if (a->type == VALUE_FLOAT) return order_float_number(a->as.number, b);
    if (b->type == VALUE_FLOAT) return reverse(order_float_number(b->as.number, a));
    if (a->type == VALUE_UINT && b->type == VALUE_UINT)
        return ORDER_OF(a->as.uinteger, b->as.uinteger);
    if (a->type == VALUE_UINT) return ORDER_GREATER;
    if (b->type == VALUE_UINT) return ORDER_LESS;
    int64_t x = integer_of(a), y = integer_of(b);
    return ORDER_OF(x, y);
}

static enum order order_bytes(struct slice a, struct slice b)
{
    int order = slice_compare(a, b);
    return ORDER_OF(order, 0);
}

enum order value_order_by_kind(const struct value *a, const struct value *b)
{
    enum kind kind = kind_of(a->type), other = kind_of(b->type);

    if (kind == KIND_NONE || other == KIND_NONE) return ORDER_NONE;
    if (kind != other) {
        /* NaN stands for NULL, whatever it is compared with. */
        if (a->type == VALUE_FLOAT && a->as.number != a->as.number) return ORDER_NONE;
        if (b->type == VALUE_FLOAT && b->as.number != b->as.number) return ORDER_NONE;
        return ORDER_OF(kind, other);
    }
    switch (kind) {
    case KIND_NUMBER:
        return order_numbers(a, b);
    case KIND_TEXT:
        return order_bytes(a->as.text, b->as.text);
    case KIND_BYTES:
        return order_bytes(a->as.bytes, b->as.bytes);
    case KIND_DATETIME:
        return ORDER_OF(a->as.datetime_us, b->as.datetime_us);
    case KIND_NONE:
        break;
    }
    return ORDER_NONE;
}

bool value_as_datetime(const struct value *v, int64_t *out_us)
{
    if (v->type != VALUE_TEXT) return false;
    struct slice t = v->as.text;
    /* Nearly all texts end here; the parser would describe what is wrong with them. */
    if (t.size < 10 || t.data[4] != '-' || t.data[7] != '-') return false;
    return datetime_parse(t, out_us, NULL) == 0;
}

enum order value_order(const struct value *a, const struct value *b)
{
    int64_t us;
    if (a->type == VALUE_DATETIME && b->type == VALUE_TEXT && value_as_datetime(b, &us))
        return ORDER_OF(a->as.datetime_us, us);
    if (a->type == VALUE_TEXT && b->type == VALUE_DATETIME && value_as_datetime(a, &us))
        return ORDER_OF(us, b->as.datetime_us);
    return value_order_by_kind(a, b);
}
