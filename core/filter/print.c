/* SPDX-License-Identifier: Apache-2.0 */
/* print.c — tree → text that parses to the same tree.
 *
 * WHAT        A walk along the tree's own links, so that no stack is needed.  Parentheses stand
 *             where the parser would otherwise read another tree; texts are in single quotes, and
 *             fields in backticks unless they are words.
 * INVARIANTS  (1) parse(print(f)) prints the same text again, and matches the same rows.
 * THREADS     Any thread; the buf is the caller's.
 * FAILURE     The buf remembers.
 */
#include <math.h>

#include "codec/datetime.h"
#include "codec/decimal.h"
#include "filter/ast.h"
#include "filter/token.h"

static void print_quoted(struct slice text, char quote, struct buf *out)
{
    buf_append_u8(out, (uint8_t)quote);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == (uint8_t)quote) buf_append_u8(out, (uint8_t)quote);
        buf_append_u8(out, text.data[i]);
    }
    buf_append_u8(out, (uint8_t)quote);
}

/* The bytes of the name and the [n] that path begins with, as they may stand without quotes; 0 when
 * they may not. */
static size_t bare_name_bytes(struct slice path)
{
    struct token t;
    if (path.size == 0 || token_read(path, 0, &t, NULL) != 0 || t.kind != TOKEN_WORD || t.at != 0)
        return 0;
    size_t at = t.size;
    while (at < path.size && path.data[at] == '[') {
        size_t digits = at + 1;
        while (digits < path.size && path.data[digits] >= '0' && path.data[digits] <= '9') digits++;
        bool has_leading_zero = path.data[at + 1] == '0' && digits > at + 2;
        if (digits == at + 1 || digits - at > 10 || has_leading_zero || digits == path.size ||
            path.data[digits] != ']')
            return 0;
        at = digits + 1;
    }
    return at;
}

static bool is_bare(struct slice path)
{
    size_t word = 0;
    while (word < path.size && path.data[word] != '.' && path.data[word] != '[') word++;
    if (word_is_reserved(slice_of(path.data, word))) return false;
    for (;;) {
        size_t size = bare_name_bytes(path);
        if (size == 0 || size == path.size) return size > 0;
        if (path.data[size] != '.') return false;
        path = slice_of(path.data + size + 1, path.size - size - 1);
    }
}

static void print_bytes(struct slice bytes, struct buf *out)
{
    buf_append_text(out, "x'");
    for (size_t i = 0; i < bytes.size; i++) buf_append_text(out, "%02x", bytes.data[i]);
    buf_append_u8(out, '\'');
}

static void print_float(double v, struct buf *out)
{
    char text[DECIMAL_TEXT_BYTES];
    if (isinf(v)) {
        buf_append_text(out, v < 0 ? "-1e999" : "1e999");
        return;
    }
    decimal_format_f64(v, text);
    buf_append_text(out, "%s", text);
}

static void print_literal(const struct value *v, struct buf *out)
{
    char time[DATETIME_TEXT_BYTES];

    switch (v->type) {
    case VALUE_BOOL:
        buf_append_text(out, v->as.boolean ? "TRUE" : "FALSE");
        return;
    case VALUE_INT:
        buf_append_text(out, "%lld", (long long)v->as.integer);
        return;
    case VALUE_UINT:
        buf_append_text(out, "%llu", (unsigned long long)v->as.uinteger);
        return;
    case VALUE_FLOAT:
        print_float(v->as.number, out);
        return;
    case VALUE_TEXT:
        print_quoted(v->as.text, '\'', out);
        return;
    case VALUE_BYTES:
        print_bytes(v->as.bytes, out);
        return;
    case VALUE_DATETIME:
        datetime_format(v->as.datetime_us, time);
        buf_append_text(out, "DATETIME '%s'", time);
        return;
    case VALUE_NULL:
    case VALUE_ARRAY:
    case VALUE_MAP:
        break;
    }
    buf_append_text(out, "NULL");
}

static void print_operand(const struct filter *f, const struct operand *o, struct buf *out)
{
    if (o->path == NO_INDEX) {
        print_literal(&o->literal, out);
        return;
    }
    struct slice path = f->paths[o->path];
    if (is_bare(path)) buf_append(out, path.data, path.size);
    else print_quoted(path, '`', out);
}

static void print_list(const struct value_list *l, struct buf *out)
{
    for (uint32_t i = 0; i < l->count; i++) {
        buf_append_text(out, i == 0 ? "(" : ", ");
        print_literal(&l->items[i], out);
    }
    buf_append_u8(out, ')');
}

static void print_pattern(const struct like_pattern *p, struct buf *out)
{
    print_quoted(p->text, '\'', out);
    if (p->escape.size == 0) return;
    buf_append_text(out, " ESCAPE ");
    print_quoted(p->escape, '\'', out);
}

static void print_test(const struct filter *f, const struct node *n, struct buf *out)
{
    const struct operator_info *o = &operators[n->op];

    print_operand(f, &n->left, out);
    if (o->shape == SHAPE_ALONE) return;
    bool is_null = o->shape == SHAPE_NULL;
    buf_append_text(out, n->is_negated && !is_null ? " NOT %s " : " %s ", o->text);
    if (is_null) buf_append_text(out, n->is_negated ? "NOT NULL" : "NULL");
    if (o->shape == SHAPE_LIST) print_list(n->list, out);
    if (o->shape == SHAPE_PATTERN) print_pattern(n->pattern, out);
    if (o->shape == SHAPE_INFIX || o->shape == SHAPE_RANGE) print_operand(f, &n->right, out);
    if (o->shape != SHAPE_RANGE) return;
    buf_append_text(out, " AND ");
    print_operand(f, &n->upper, out);
}

/* A junction within another term needs them, but for AND within OR. */
static bool has_parentheses(const struct filter *f, const struct node *n)
{
    if (operators[n->op].shape != SHAPE_JUNCTION || n->parent == NO_INDEX) return false;
    return n->op <= f->nodes[n->parent].op;
}

/* The end of n, and of all that end with it; returns the node that comes next, NULL at the end. */
static const struct node *print_ends(const struct filter *f, const struct node *n, struct buf *out)
{
    for (;;) {
        if (has_parentheses(f, n)) buf_append_u8(out, ')');
        if (n->parent == NO_INDEX) return NULL;
        const struct node *parent = &f->nodes[n->parent];
        if (n->next_sibling != NO_INDEX) {
            buf_append_text(out, " %s ", operators[parent->op].text);
            return &f->nodes[n->next_sibling];
        }
        n = parent;
    }
}

int filter_print(const struct filter *f, struct buf *out)
{
    const struct node *n = &f->nodes[f->node_count - 1];

    while (n) {
        if (has_parentheses(f, n)) buf_append_u8(out, '(');
        if (operators[n->op].shape == SHAPE_PREFIX)
            buf_append_text(out, "%s ", operators[n->op].text);
        if (n->first_child != NO_INDEX) {
            n = &f->nodes[n->first_child];
            continue;
        }
        print_test(f, n, out);
        n = print_ends(f, n, out);
    }
    return buf_ok(out) ? 0 : -1;
}
