/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c — `where` text to tree, by recursive descent.
 *
 * WHAT        expression := term {OR term}, term := factor {AND factor}, factor := {NOT} test,
 *             test := "(" expression ")" | operand [operator …].  Literals: operand.c.
 * INVARIANTS  (1) The stack is bounded: only "(" recurses, LIMIT_WHERE_DEPTH deep.
 *             (2) Memory is bounded by the text, which LIMIT_WHERE_BYTES bounds, and by the limits
 *                 of nodes, paths and items.
 *             (3) The tree is that of ast.h.
 * THREADS     A parser belongs to one call.
 * FAILURE     The first error is the one that is told; nothing of the filter is left.
 */
#include <stdio.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "filter/caret.h"
#include "filter/parser.h"

int parser_advance(struct parser *p)
{
    p->end = p->token.at + p->token.size;
    return token_read(p->text, p->end, &p->token, p->err);
}

int parser_expected(struct parser *p, const char *what)
{
    return caret_unexpected(p->err, p->text, p->token.at, p->token.size, what);
}

static struct slice spelling(const struct parser *p)
{
    return slice_of(p->text.data + p->token.at, p->token.size);
}

bool parser_is_word(const struct parser *p, const char *word)
{
    return p->token.kind == TOKEN_WORD && slice_equal_word(spelling(p), slice_of_text(word));
}

bool parser_is_mark(const struct parser *p, char mark)
{
    return p->token.kind == TOKEN_MARK && p->text.data[p->token.at] == (uint8_t)mark;
}

/* ---- Nodes ---- */

static const struct node blank_node = {
    .parent = NO_INDEX,
    .first_child = NO_INDEX,
    .next_sibling = NO_INDEX,
    .left.path = NO_INDEX,
    .right.path = NO_INDEX,
    .upper.path = NO_INDEX,
};

static int add_node(struct parser *p, const struct node *n, uint32_t *out)
{
    if (p->filter->node_count == LIMIT_WHERE_NODES) {
        char what[80];
        snprintf(what, sizeof what, "over %d comparisons, ANDs, ORs and NOTs", LIMIT_WHERE_NODES);
        return caret_error(p->err, LYNSE_LIMIT, p->text, p->token.at, what);
    }
    if (filter_add_node(p->filter, n, out) == 0) return 0;
    return error_no_memory(p->err, sizeof *n * p->filter->node_count);
}

static int add_parent(struct parser *p, enum operator_kind op, uint32_t first_child, uint32_t *out)
{
    struct node n = blank_node;
    n.op = op;
    n.level = p->filter->nodes[first_child].level;
    n.first_child = first_child;
    if (add_node(p, &n, out) != 0) return -1;
    for (uint32_t i = first_child; i != NO_INDEX; i = p->filter->nodes[i].next_sibling)
        p->filter->nodes[i].parent = *out;
    return 0;
}

/* ---- Tests of one row ---- */

static int parse_list(struct parser *p, struct node *n)
{
    if (!parser_is_mark(p, '(')) return parser_expected(p, "\"(\" and the values of the list");
    p->items.size = 0;
    uint32_t count = 0;
    do {
        struct operand item;
        if (parser_advance(p) != 0) return -1;
        if (count == LIMIT_WHERE_ITEMS) {
            char what[80];
            snprintf(what, sizeof what, "over %d values in one list", LIMIT_WHERE_ITEMS);
            return caret_error(p->err, LYNSE_LIMIT, p->text, p->token.at, what);
        }
        if (parse_literal(p, &item) != 0) return -1;
        buf_append(&p->items, &item.literal, sizeof item.literal);
        count++;
    } while (parser_is_mark(p, ','));
    if (!parser_is_mark(p, ')')) return parser_expected(p, "\",\" or \")\"");
    void *items = arena_alloc(&p->filter->arena, p->items.size);
    if (!items || !buf_ok(&p->items)) return error_no_memory(p->err, p->items.size);
    memcpy(items, p->items.data, p->items.size);
    n->list = value_list_create(&p->filter->arena, (const struct value *)items, count);
    if (!n->list) return error_no_memory(p->err, p->items.size);
    return parser_advance(p);
}

/* One character. */
static int parse_escape(struct parser *p, struct slice *out)
{
    struct token t;
    if (parser_advance(p) != 0) return -1;
    t = p->token;
    if (parse_text(p, "the escape character in quotes", out) != 0) return -1;
    size_t characters = 0;
    for (size_t i = 0; i < out->size; i++) characters += (out->data[i] & 0xc0) != 0x80;
    if (characters == 1) return 0;
    return caret_unexpected(p->err, p->text, t.at, t.size, "one character in quotes");
}

static int parse_pattern(struct parser *p, struct node *n)
{
    struct slice text, escape = {NULL, 0};
    size_t at = p->token.at;
    bool is_too_wide;

    if (parse_text(p, "a pattern in quotes", &text) != 0) return -1;
    if (parser_is_word(p, "ESCAPE") && parse_escape(p, &escape) != 0) return -1;
    n->pattern = like_compile(&p->filter->arena, text, escape, &is_too_wide);
    if (n->pattern) return 0;
    if (!is_too_wide) return error_no_memory(p->err, text.size);
    char what[80];
    snprintf(what, sizeof what, "over %d bytes with _ between two %%, in the pattern",
             LIMIT_WHERE_WILD_BYTES);
    return caret_error(p->err, LYNSE_LIMIT, p->text, at, what);
}

/* What follows the operator of a test, which is the current token. */
static int parse_right_side(struct parser *p, struct node *n)
{
    if (parser_advance(p) != 0) return -1;
    switch (operators[n->op].shape) {
    case SHAPE_INFIX:
        return parse_operand(p, SIDE_RIGHT, &n->right);
    case SHAPE_RANGE:
        if (parse_operand(p, SIDE_RIGHT, &n->right) != 0) return -1;
        if (!parser_is_word(p, operators[OPERATOR_AND].text))
            return parser_expected(p, "AND and the upper bound");
        if (parser_advance(p) != 0) return -1;
        return parse_operand(p, SIDE_RIGHT, &n->upper);
    case SHAPE_LIST:
        return parse_list(p, n);
    case SHAPE_PATTERN:
        return parse_pattern(p, n);
    case SHAPE_NULL:
        if (parser_is_word(p, operators[OPERATOR_NOT].text)) {
            n->is_negated = true;
            if (parser_advance(p) != 0) return -1;
        }
        if (!parser_is_word(p, "NULL"))
            return parser_expected(p, n->is_negated ? "NULL" : "NULL or NOT NULL");
        return parser_advance(p);
    case SHAPE_JUNCTION:
    case SHAPE_PREFIX:
    case SHAPE_ALONE:
        break;
    }
    return 0;
}

static int parse_test(struct parser *p, uint32_t level, uint32_t *out)
{
    struct node n = blank_node;

    n.op = OPERATOR_TRUTH;
    n.level = level;
    if (parse_operand(p, SIDE_LEFT, &n.left) != 0) return -1;
    if (parser_is_word(p, operators[OPERATOR_NOT].text)) {
        n.is_negated = true;
        if (parser_advance(p) != 0) return -1;
    }
    enum operator_kind op = OPERATOR_COUNT;
    if (p->token.kind == TOKEN_SIGN || p->token.kind == TOKEN_WORD) op = operator_find(spelling(p));
    bool is_test = op != OPERATOR_COUNT && operators[op].shape >= SHAPE_INFIX;
    if (n.is_negated &&
        (!is_test || p->token.kind != TOKEN_WORD || operators[op].shape == SHAPE_NULL))
        return parser_expected(p, "IN, BETWEEN, LIKE or CONTAINS");
    if (p->token.kind == TOKEN_SIGN && !is_test) return parser_expected(p, "one of = != < <= > >=");
    if (is_test) {
        n.op = op;
        if (parse_right_side(p, &n) != 0) return -1;
    }
    return add_node(p, &n, out);
}

/* ---- What joins them ---- */

static int parse_junction(struct parser *p, enum operator_kind op, uint32_t level, uint32_t *out);

static int parse_parentheses(struct parser *p, uint32_t level, uint32_t *out)
{
    if (p->depth == LIMIT_WHERE_DEPTH) {
        char what[80];
        snprintf(what, sizeof what, "over %d parentheses within each other", LIMIT_WHERE_DEPTH);
        return caret_error(p->err, LYNSE_LIMIT, p->text, p->token.at, what);
    }
    if (parser_advance(p) != 0) return -1;
    p->depth++;
    if (parse_junction(p, OPERATOR_OR, level, out) != 0) return -1;
    p->depth--;
    if (!parser_is_mark(p, ')')) return parser_expected(p, "an operator, AND, OR or \")\"");
    return parser_advance(p);
}

static int parse_factor(struct parser *p, uint32_t level, uint32_t *out)
{
    uint32_t not_count = 0;

    for (; parser_is_word(p, operators[OPERATOR_NOT].text); not_count++)
        if (parser_advance(p) != 0) return -1;
    if ((parser_is_mark(p, '(') ? parse_parentheses : parse_test)(p, level, out) != 0) return -1;
    for (; not_count > 0; not_count--)
        if (add_parent(p, OPERATOR_NOT, *out, out) != 0) return -1;
    return 0;
}

/* Terms of OR are ANDs, those of AND are factors. */
static int parse_junction(struct parser *p, enum operator_kind op, uint32_t level, uint32_t *out)
{
    uint32_t first = NO_INDEX, last = NO_INDEX;

    for (;;) {
        uint32_t term, term_level = level + (first != NO_INDEX);
        if (op == OPERATOR_OR ? parse_junction(p, OPERATOR_AND, term_level, &term) != 0
                              : parse_factor(p, term_level, &term) != 0)
            return -1;
        if (first == NO_INDEX) first = term;
        else p->filter->nodes[last].next_sibling = term;
        last = term;
        if (!parser_is_word(p, operators[op].text)) break;
        if (parser_advance(p) != 0) return -1;
    }
    *out = first;
    return first == last ? 0 : add_parent(p, op, first, out);
}

/* ---- The whole ---- */

static int check_text(struct slice text, struct error *err)
{
    if (text.size > LIMIT_WHERE_BYTES)
        return error_set(err, LYNSE_LIMIT, "where is %zu bytes; the limit is %d", text.size,
                         LIMIT_WHERE_BYTES);
    size_t valid = utf8_valid_bytes(text.data, text.size);
    const uint8_t *nul = text.size ? memchr(text.data, '\0', text.size) : NULL;
    if (nul && (size_t)(nul - text.data) < valid)
        return caret_error(err, LYNSE_PARSE, text, (size_t)(nul - text.data), "a NUL byte");
    if (valid < text.size)
        return caret_error(err, LYNSE_PARSE, slice_of(text.data, valid), valid,
                           "bytes that are not UTF-8");
    return 0;
}

int filter_parse(struct alloc *a, struct slice text, struct filter **out, struct error *err)
{
    if (check_text(text, err) != 0) return -1;
    struct parser p = {.text = text, .filter = filter_create(a), .err = err};
    uint32_t root;
    int rc = -1;

    if (!p.filter) return error_no_memory(err, sizeof *p.filter);
    buf_init(&p.items, a, MEM_SEARCH);
    if (parser_advance(&p) != 0) goto out;
    if (parse_junction(&p, OPERATOR_OR, 0, &root) != 0) goto out;
    if (p.token.kind != TOKEN_END) {
        parser_expected(&p, "an operator, AND, OR or the end");
        goto out;
    }
    if (filter_keep_text(p.filter, text) != 0) {
        error_no_memory(err, text.size);
        goto out;
    }
    *out = p.filter;
    p.filter = NULL;
    rc = 0;
out:
    buf_deinit(&p.items);
    filter_destroy(p.filter);
    return rc;
}
