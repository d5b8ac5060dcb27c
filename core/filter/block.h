/* SPDX-License-Identifier: Apache-2.0 */
/* block.h — tests of two values over a block of rows, a bit a row. */
#ifndef FILTER_BLOCK_H
#define FILTER_BLOCK_H

#include "filter/ast.h"
#include "filter/order.h"

/* Sets of rows; bits from the block's row_count on are 0. */
struct row_bits {
    uint64_t words[FILTER_MATCH_WORDS];
};

/* What an expression is for each row: true, unknown, or neither: false. */
struct verdict {
    struct row_bits is_true;
    struct row_bits is_unknown;
};

struct block {
    const struct filter *filter;
    const struct column_span *spans;
    uint32_t row_count;
    uint32_t word_count;
    struct row_bits rows;   /* all of them */
    struct row_bits wanted; /* those whose verdict is of use: the others may get any */
};

struct block block_of(const struct filter *f, const struct column_span *spans, uint32_t row_count);

/* The operand's value for a row, borrowed: type and `as`; raw for containers. */
void block_value(const struct block *b, const struct operand *o, uint32_t row, struct value *out);

/* Rows where left < right, left = right, left > right; in none of them: unknown.  by_equality: who
 * asks for `equal` alone may find the others in either of the other two. */
struct ordering {
    struct row_bits less;
    struct row_bits equal;
    struct row_bits greater;
};
void block_order(const struct block *b, const struct operand *left, const struct operand *right,
                 bool by_equality, struct ordering *out);
/* What a column says by itself, NULL and NaN being unknown, and whether its values are in a list.
 * false: there is no fast way, and rows are to be asked one by one. */
bool block_truth(const struct block *b, const struct operand *left, struct verdict *out);
bool block_find(const struct block *b, const struct operand *left, const struct value_list *l,
                struct verdict *out);
/* About what it costs, as filter_match_advance counts. */
uint64_t block_order_work(const struct block *b, const struct operand *left,
                          const struct operand *right);

#endif
