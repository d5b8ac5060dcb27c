/* SPDX-License-Identifier: Apache-2.0 */
/* match.c — which rows of a block an expression is true for.
 *
 * WHAT        Node by node in the order of the array, children first.  Each node answers for all
 *             rows at once, in the verdict of its level; a further term of AND or OR is joined
 *             into the first one's as soon as it is known.  Terms that cannot change the answer
 *             for any row are passed over, rows that one term has decided are not asked again.
 *             Work is counted: when what was allowed is done, a match is left between two nodes,
 *             two rows, or within the text or array of a row, and goes on there.
 * LAYOUT      scratch: the match, then a verdict per level (ast.h).
 * INVARIANTS  (1) A row is never both true and unknown.
 *             (2) Three-valued logic: AND is false where a term is, OR true where a term is;
 *                 else unknown where a term is; NOT unknown is unknown.
 *             (3) Where a match is left changes no answer, and each call gets further.
 * THREADS     The filter is constant, the scratch is one caller's.
 * FAILURE     None.
 */
#include "base/check.h"
#include "filter/block.h"

/* Work: about a byte of text each. */
enum { NODE_WORK = 64, ROW_WORK = 16 };

struct match {
    struct block block;
    uint64_t work;           /* that is left of this call's */
    uint32_t node;           /* in turn */
    uint32_t row;            /* of the node, the next to be asked */
    struct like_run like;    /* of the row's text */
    struct value_walk items; /* of an array */
    bool has_items;          /* `items` is in use */
};

static void spend(struct match *m, uint64_t done)
{
    m->work -= done < m->work ? done : m->work;
}

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

enum answer { ANSWER_FALSE, ANSWER_TRUE, ANSWER_UNKNOWN, ANSWER_LATER };

static bool is_null(const struct value *v)
{
    return v->type == VALUE_NULL || (v->type == VALUE_FLOAT && v->as.number != v->as.number);
}

/* v: what stands on the left side in this row, not NULL.  LATER: no work is left, and the same row
 * is to be asked again.  Work may be 0 already: for the rows of a word it is spent at once. */
typedef enum answer answer_fn(struct match *m, const struct node *n, uint32_t row,
                              const struct value *v);

static enum answer answer_of(bool is_true)
{
    return is_true ? ANSWER_TRUE : ANSWER_FALSE;
}

static enum answer answer_truth(struct match *m, const struct node *n, uint32_t row,
                                const struct value *v)
{
    (void)m;
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

static enum answer answer_like(struct match *m, const struct node *n, uint32_t row,
                               const struct value *v)
{
    (void)row;
    if (v->type != VALUE_TEXT) return ANSWER_FALSE;
    enum like_answer found = like_advance(n->pattern, v->as.text, &m->like, &m->work);
    return found == LIKE_LATER ? ANSWER_LATER : answer_of(found == LIKE_YES);
}

static enum answer answer_in(struct match *m, const struct node *n, uint32_t row,
                             const struct value *v)
{
    (void)row;
    if (v->type == VALUE_ARRAY || v->type == VALUE_MAP) return ANSWER_UNKNOWN;
    if (v->type == VALUE_TEXT) spend(m, v->as.text.size);
    if (value_list_has(n->list, v)) return ANSWER_TRUE;
    return n->list->has_null ? ANSWER_UNKNOWN : ANSWER_FALSE;
}

static enum answer find_item(struct match *m, const struct value *array, const struct value *wanted)
{
    enum answer found = ANSWER_FALSE;
    struct value whole, item;

    if (!m->has_items) {
        spend(m, array->raw.size);
        if (!value_read(array->raw, &whole)) return ANSWER_FALSE;
        m->items = value_walk_of(&whole);
        m->has_items = true;
    }
    for (size_t before = m->items.rest.size;
         found == ANSWER_FALSE && value_walk_next(&m->items, NULL, &item);
         before = m->items.rest.size) {
        spend(m, ROW_WORK + before - m->items.rest.size);
        if (value_order(&item, wanted) == ORDER_EQUAL) found = ANSWER_TRUE;
        else if (m->work == 0) found = ANSWER_LATER;
    }
    m->has_items = found == ANSWER_LATER;
    return found;
}

static bool has_text(struct slice text, struct slice wanted)
{
    return wanted.size == 0 ||
           (text.size > 0 && memmem(text.data, text.size, wanted.data, wanted.size));
}

static enum answer answer_contains(struct match *m, const struct node *n, uint32_t row,
                                   const struct value *v)
{
    struct value wanted;

    block_value(&m->block, &n->right, row, &wanted);
    if (is_null(&wanted)) return ANSWER_UNKNOWN;
    if (v->type == VALUE_ARRAY) return find_item(m, v, &wanted);
    if (v->type != VALUE_TEXT || wanted.type != VALUE_TEXT) return ANSWER_FALSE;
    spend(m, v->as.text.size);
    return answer_of(has_text(v->as.text, wanted.as.text));
}

/* Ask these of 64 rows; those that are left. */
static inline uint64_t ask_word(struct match *m, const struct node *n, answer_fn *ask, uint32_t w,
                                uint64_t left, struct verdict *out)
{
    uint64_t is_true = 0, is_unknown = 0;

    for (; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(left);
        struct value v;
        block_value(&m->block, &n->left, w * 64 + i, &v);
        enum answer a = is_null(&v) ? ANSWER_UNKNOWN : ask(m, n, w * 64 + i, &v);
        if (a == ANSWER_LATER) break;
        is_true |= (uint64_t)(a == ANSWER_TRUE) << i;
        is_unknown |= (uint64_t)(a == ANSWER_UNKNOWN) << i;
    }
    out->is_true.words[w] |= is_true;
    out->is_unknown.words[w] |= is_unknown;
    return left;
}

/* Ask from m->row on; false: not all of them. */
static bool ask_rows(struct match *m, const struct node *n, answer_fn *ask, struct verdict *out)
{
    const struct block *b = &m->block;
    uint32_t first = m->row;

    if (first == 0) memset(out, 0, sizeof *out);
    for (uint32_t w = first / 64; w < b->word_count; w++) {
        uint64_t left = b->wanted.words[w];
        if (w == first / 64) left &= ~0ull << (first % 64);
        if (left == 0) continue;
        if (m->work > 0) {
            spend(m, ROW_WORK * (uint64_t)__builtin_popcountll(left));
            left = ask_word(m, n, ask, w, left, out);
        }
        if (left == 0) continue;
        m->row = w * 64 + (uint32_t)__builtin_ctzll(left);
        return false;
    }
    m->row = 0;
    return true;
}

static void find_nulls(const struct block *b, const struct node *n, struct verdict *out)
{
    struct verdict truth;

    memset(out, 0, sizeof *out);
    if (block_truth(b, &n->left, &truth)) {
        out->is_true = truth.is_unknown;
        return;
    }
    for (uint32_t row = 0; row < b->row_count; row++) {
        struct value v;
        block_value(b, &n->left, row, &v);
        out->is_true.words[row / 64] |= (uint64_t)is_null(&v) << (row % 64);
    }
}

/* ---- Tests by order ---- */

enum { IF_LESS = 1, IF_EQUAL = 2, IF_GREATER = 4 };

/* True in the orders that are taken, unknown where there is none.  It is not left in the middle:
 * the values of a block are few, or short. */
static void compare(struct match *m, const struct node *n, const struct operand *right,
                    unsigned taken, struct verdict *out)
{
    const struct block *b = &m->block;
    struct ordering o;

    spend(m, block_order_work(b, &n->left, right));
    block_order(b, &n->left, right, !(taken & IF_LESS) == !(taken & IF_GREATER), &o);
    for (uint32_t w = 0; w < b->word_count; w++) {
        uint64_t less = o.less.words[w], equal = o.equal.words[w], greater = o.greater.words[w];
        out->is_unknown.words[w] = b->rows.words[w] & ~(less | equal | greater);
        out->is_true.words[w] = ((taken & IF_LESS) != 0 ? less : 0) |
                                ((taken & IF_EQUAL) != 0 ? equal : 0) |
                                ((taken & IF_GREATER) != 0 ? greater : 0);
    }
}

static void compare_range(struct match *m, const struct node *n, struct verdict *out)
{
    struct verdict upper;
    compare(m, n, &n->right, IF_GREATER | IF_EQUAL, out);
    compare(m, n, &n->upper, IF_LESS | IF_EQUAL, &upper);
    join_and(&m->block, out, &upper);
}

/* false: not of all rows yet. */
static bool test_rows(struct match *m, const struct node *n, struct verdict *out)
{
    bool is_done = true;

    switch (n->op) {
    case OPERATOR_EQUAL:
        compare(m, n, &n->right, IF_EQUAL, out);
        break;
    case OPERATOR_DIFFERENT:
        compare(m, n, &n->right, IF_LESS | IF_GREATER, out);
        break;
    case OPERATOR_LESS:
        compare(m, n, &n->right, IF_LESS, out);
        break;
    case OPERATOR_LESS_EQUAL:
        compare(m, n, &n->right, IF_LESS | IF_EQUAL, out);
        break;
    case OPERATOR_GREATER:
        compare(m, n, &n->right, IF_GREATER, out);
        break;
    case OPERATOR_GREATER_EQUAL:
        compare(m, n, &n->right, IF_GREATER | IF_EQUAL, out);
        break;
    case OPERATOR_BETWEEN:
        compare_range(m, n, out);
        break;
    case OPERATOR_TRUTH:
        if (m->row == 0 && block_truth(&m->block, &n->left, out)) spend(m, m->block.row_count);
        else is_done = ask_rows(m, n, answer_truth, out);
        break;
    case OPERATOR_LIKE:
        is_done = ask_rows(m, n, answer_like, out);
        break;
    case OPERATOR_IN:
        if (m->row == 0 && block_find(&m->block, &n->left, n->list, out))
            spend(m, (uint64_t)ROW_WORK * m->block.row_count);
        else is_done = ask_rows(m, n, answer_in, out);
        break;
    case OPERATOR_CONTAINS:
        is_done = ask_rows(m, n, answer_contains, out);
        break;
    case OPERATOR_IS:
        find_nulls(&m->block, n, out);
        spend(m, 2ull * m->block.row_count);
        break;
    case OPERATOR_OR:
    case OPERATOR_AND:
    case OPERATOR_NOT:
    case OPERATOR_COUNT:
        UNREACHABLE();
    }
    if (is_done && n->is_negated) negate(&m->block, out);
    return is_done;
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
    return sizeof(struct match) + f->level_count * sizeof(struct verdict);
}

void filter_match_begin(const struct filter *f, const struct column_span *spans, uint32_t row_count,
                        void *scratch)
{
    struct match *m = (struct match *)scratch;

    *m = (struct match){.block = block_of(f, spans, row_count)};
}

bool filter_match_advance(void *scratch, uint64_t work, uint64_t *out_true)
{
    struct match *m = (struct match *)scratch;
    struct block *b = &m->block;
    struct verdict *levels = (struct verdict *)(m + 1);
    const struct node *nodes = b->filter->nodes;

    m->work = work > 0 ? work : 1; /* (3) */
    while (m->node < b->filter->node_count) {
        const struct node *n = &nodes[m->node];
        if (m->work == 0) return false;
        if (n->op == OPERATOR_NOT) negate(b, &levels[n->level]);
        else if (n->first_child == NO_INDEX && !test_rows(m, n, &levels[n->level])) return false;
        spend(m, NODE_WORK);
        b->wanted = b->rows;
        m->node = join(b, nodes, m->node, levels);
    }
    memset(out_true, 0, FILTER_MATCH_WORDS * sizeof *out_true);
    memcpy(out_true, levels[0].is_true.words, b->word_count * sizeof *out_true);
    return true;
}
