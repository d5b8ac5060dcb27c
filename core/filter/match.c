/* SPDX-License-Identifier: Apache-2.0 */
/* match.c — which rows of a block an expression is true for.
 *
 * WHAT        Node by node in the order of the array, children first.  Each node answers for all
 *             rows at once, in the verdict of its level; a further term of AND or OR is joined
 *             into the first one's as soon as it is known.  Terms that cannot change the answer
 *             for any row are passed over, rows that one term has decided are not asked again.
 * LAYOUT      scratch: a verdict per level (ast.h).
 * INVARIANTS  (1) A row is never both true and unknown.
 *             (2) Three-valued logic: AND is false where a term is, OR true where a term is;
 *                 else unknown where a term is; NOT unknown is unknown.
 * THREADS     The filter is constant, the scratch is one caller's.
 * FAILURE     None.
 */
#include "base/check.h"
#include "filter/block.h"

static void negate(const struct block *b, struct verdict *v)
{
    for (uint32_t w = 0; w < b->word_count; w++)
        v->is_true.words[w] = b->rows.words[w] & ~v->is_true.words[w] & ~v->is_unknown.words[w];
}

static void join_and(const struct block *b, struct verdict *into, const struct verdict *term)
{
    for (uint32_t w = 0; w < b->word_count; w++) {
        uint64_t maybe = (into->is_true.words[w] | into->is_unknown.words[w]) &
                         (term->is_true.words[w] | term->is_unknown.words[w]);
        into->is_true.words[w] &= term->is_true.words[w];
        into->is_unknown.words[w] = maybe & ~into->is_true.words[w];
    }
}

static void join_or(const struct block *b, struct verdict *into, const struct verdict *term)
{
    for (uint32_t w = 0; w < b->word_count; w++) {
        uint64_t maybe = into->is_unknown.words[w] | term->is_unknown.words[w];
        into->is_true.words[w] |= term->is_true.words[w];
        into->is_unknown.words[w] = maybe & ~into->is_true.words[w];
    }
}

/* ---- Tests that are asked row by row ---- */

enum answer { ANSWER_FALSE, ANSWER_TRUE, ANSWER_UNKNOWN };

static bool is_null(const struct value *v)
{
    return v->type == VALUE_NULL || (v->type == VALUE_FLOAT && v->as.number != v->as.number);
}

/* v: what stands on the left side in this row, not NULL. */
typedef enum answer answer_fn(const struct block *b, const struct node *n, uint32_t row,
                              const struct value *v);

static enum answer answer_of(bool is_true)
{
    return is_true ? ANSWER_TRUE : ANSWER_FALSE;
}

static enum answer answer_truth(const struct block *b, const struct node *n, uint32_t row,
                                const struct value *v)
{
    (void)b;
    (void)n;
    (void)row;
    switch (v->type) {
    case VALUE_BOOL:
        return answer_of(v->as.boolean);
    case VALUE_INT:
        return answer_of(v->as.integer != 0);
    case VALUE_UINT:
        return ANSWER_TRUE;
    case VALUE_FLOAT:
        return answer_of(v->as.number != 0);
    default:
        return ANSWER_FALSE;
    }
}

static enum answer answer_like(const struct block *b, const struct node *n, uint32_t row,
                               const struct value *v)
{
    (void)b;
    (void)row;
    return answer_of(v->type == VALUE_TEXT && like_matches(n->pattern, v->as.text));
}

static enum answer answer_in(const struct block *b, const struct node *n, uint32_t row,
                             const struct value *v)
{
    (void)b;
    (void)row;
    if (v->type == VALUE_ARRAY || v->type == VALUE_MAP) return ANSWER_UNKNOWN;
    if (value_list_has(n->list, v)) return ANSWER_TRUE;
    return n->list->has_null ? ANSWER_UNKNOWN : ANSWER_FALSE;
}

static bool has_item(const struct value *array, const struct value *wanted)
{
    struct value whole, item;
    if (!value_read(array->raw, &whole)) return false;
    struct value_walk walk = value_walk_of(&whole);
    while (value_walk_next(&walk, NULL, &item))
        if (value_order(&item, wanted) == ORDER_EQUAL) return true;
    return false;
}

static bool has_text(struct slice text, struct slice wanted)
{
    return wanted.size == 0 ||
           (text.size > 0 && memmem(text.data, text.size, wanted.data, wanted.size));
}

static enum answer answer_contains(const struct block *b, const struct node *n, uint32_t row,
                                   const struct value *v)
{
    struct value wanted;

    block_value(b, &n->right, row, &wanted);
    if (is_null(&wanted)) return ANSWER_UNKNOWN;
    if (v->type == VALUE_ARRAY) return answer_of(has_item(v, &wanted));
    return answer_of(v->type == VALUE_TEXT && wanted.type == VALUE_TEXT &&
                     has_text(v->as.text, wanted.as.text));
}

static void ask_rows(const struct block *b, const struct node *n, answer_fn *ask,
                     struct verdict *out)
{
    for (uint32_t w = 0; w < b->word_count; w++) {
        uint64_t is_true = 0, is_unknown = 0;
        for (uint64_t left = b->wanted.words[w]; left != 0; left &= left - 1) {
            uint32_t i = (uint32_t)__builtin_ctzll(left);
            struct value v;
            block_value(b, &n->left, w * 64 + i, &v);
            enum answer a = is_null(&v) ? ANSWER_UNKNOWN : ask(b, n, w * 64 + i, &v);
            is_true |= (uint64_t)(a == ANSWER_TRUE) << i;
            is_unknown |= (uint64_t)(a == ANSWER_UNKNOWN) << i;
        }
        out->is_true.words[w] = is_true;
        out->is_unknown.words[w] = is_unknown;
    }
}

static void find_nulls(const struct block *b, const struct node *n, struct verdict *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t row = 0; row < b->row_count; row++) {
        struct value v;
        block_value(b, &n->left, row, &v);
        out->is_true.words[row / 64] |= (uint64_t)is_null(&v) << (row % 64);
    }
}

/* ---- Tests by order ---- */

enum { IF_LESS = 1, IF_EQUAL = 2, IF_GREATER = 4 };

/* True in the orders that are taken, unknown where there is none. */
static void compare(const struct block *b, const struct node *n, const struct operand *right,
                    unsigned taken, struct verdict *out)
{
    struct ordering o;

    block_order(b, &n->left, right, &o);
    for (uint32_t w = 0; w < b->word_count; w++) {
        uint64_t less = o.less.words[w], equal = o.equal.words[w], greater = o.greater.words[w];
        out->is_unknown.words[w] = b->rows.words[w] & ~(less | equal | greater);
        out->is_true.words[w] = ((taken & IF_LESS) != 0 ? less : 0) |
                                ((taken & IF_EQUAL) != 0 ? equal : 0) |
                                ((taken & IF_GREATER) != 0 ? greater : 0);
    }
}

static void compare_range(const struct block *b, const struct node *n, struct verdict *out)
{
    struct verdict upper;
    compare(b, n, &n->right, IF_GREATER | IF_EQUAL, out);
    compare(b, n, &n->upper, IF_LESS | IF_EQUAL, &upper);
    join_and(b, out, &upper);
}

static void test_rows(const struct block *b, const struct node *n, struct verdict *out)
{
    switch (n->op) {
    case OPERATOR_EQUAL:
        compare(b, n, &n->right, IF_EQUAL, out);
        break;
    case OPERATOR_DIFFERENT:
        compare(b, n, &n->right, IF_LESS | IF_GREATER, out);
        break;
    case OPERATOR_LESS:
        compare(b, n, &n->right, IF_LESS, out);
        break;
    case OPERATOR_LESS_EQUAL:
        compare(b, n, &n->right, IF_LESS | IF_EQUAL, out);
        break;
    case OPERATOR_GREATER:
        compare(b, n, &n->right, IF_GREATER, out);
        break;
    case OPERATOR_GREATER_EQUAL:
        compare(b, n, &n->right, IF_GREATER | IF_EQUAL, out);
        break;
    case OPERATOR_BETWEEN:
        compare_range(b, n, out);
        break;
    case OPERATOR_TRUTH:
        ask_rows(b, n, answer_truth, out);
        break;
    case OPERATOR_LIKE:
        ask_rows(b, n, answer_like, out);
        break;
    case OPERATOR_IN:
        ask_rows(b, n, answer_in, out);
        break;
    case OPERATOR_CONTAINS:
        ask_rows(b, n, answer_contains, out);
        break;
    case OPERATOR_IS:
        find_nulls(b, n, out);
        break;
    case OPERATOR_OR:
    case OPERATOR_AND:
    case OPERATOR_NOT:
    case OPERATOR_COUNT:
        UNREACHABLE();
    }
    if (n->is_negated) negate(b, out);
}

/* ---- The tree ---- */

/* Rows that a further term of the junction can change: not those that are false in an AND, nor
 * true in an OR. */
static bool find_undecided(const struct block *b, enum operator_kind op, const struct verdict *v,
                           struct row_bits *out)
{
    uint64_t any = 0;
    for (uint32_t w = 0; w < b->word_count; w++) {
        uint64_t undecided = op == OPERATOR_AND ? v->is_true.words[w] | v->is_unknown.words[w]
                                                : b->rows.words[w] & ~v->is_true.words[w];
        out->words[w] = undecided;
        any |= undecided;
    }
    return any != 0;
}

/* The node to go on with after node i, whose verdict is known: the next one, or its parent where
 * further terms change nothing. */
static uint32_t join(struct block *b, const struct node *nodes, uint32_t i, struct verdict *levels)
{
    const struct node *n = &nodes[i];
    if (n->parent == NO_INDEX || operators[nodes[n->parent].op].shape != SHAPE_JUNCTION)
        return i + 1;
    const struct node *parent = &nodes[n->parent];
    struct verdict *into = &levels[parent->level];

    if (parent->first_child != i) {
        if (parent->op == OPERATOR_AND) join_and(b, into, &levels[n->level]);
        else join_or(b, into, &levels[n->level]);
    }
    /* What follows begins with the next term's first test. */
    return find_undecided(b, parent->op, into, &b->wanted) ? i + 1 : n->parent;
}

size_t filter_scratch_bytes(const struct filter *f)
{
    return f->level_count * sizeof(struct verdict);
}

void filter_match(const struct filter *f, const struct column_span *spans, uint32_t row_count,
                  void *scratch, uint64_t *out_true)
{
    struct block b = block_of(f, spans, row_count);
    struct verdict *levels = (struct verdict *)scratch;
    const struct node *nodes = f->nodes;

    for (uint32_t i = 0; i < f->node_count;) {
        const struct node *n = &nodes[i];
        if (n->op == OPERATOR_NOT) negate(&b, &levels[n->level]);
        else if (n->first_child == NO_INDEX) test_rows(&b, n, &levels[n->level]);
        b.wanted = b.rows;
        i = join(&b, nodes, i, levels);
    }
    memset(out_true, 0, FILTER_MATCH_WORDS * sizeof *out_true);
    memcpy(out_true, levels[0].is_true.words, b.word_count * sizeof *out_true);
}
