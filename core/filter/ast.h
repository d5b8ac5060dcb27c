/* SPDX-License-Identifier: Apache-2.0 */
/* ast.h — what a `where` text says, as a tree in an array.
 *
 * LAYOUT      Nodes stand behind their children; the last one is the root.  AND and OR have two
 *             terms or more, NOT has one; every other node is a test of one row and has operands.
 * INVARIANTS  (1) A child stands before its parent, and a sibling before the next one.
 *             (2) The first term of a node has its level, further ones the next level: all levels
 *                 are below level_count, and a term's result is not overwritten before it is used.
 *             (3) Everything that nodes point to is in the filter's arena.
 */
#ifndef FILTER_AST_H
#define FILTER_AST_H

#include "base/arena.h"
#include "codec/value.h"
#include "filter/filter.h"
#include "filter/like.h"
#include "filter/value_list.h"

/* What is read and written around an operator. */
enum shape {
    SHAPE_JUNCTION, /* term OP term OP …         */
    SHAPE_PREFIX,   /* OP term                   */
    SHAPE_ALONE,    /* left                      */
    SHAPE_INFIX,    /* left OP right             */
    SHAPE_RANGE,    /* left OP right AND upper   */
    SHAPE_LIST,     /* left OP (list)            */
    SHAPE_PATTERN,  /* left OP 'pattern' [ESCAPE] */
    SHAPE_NULL,     /* left OP [NOT] NULL        */
};

/* A line, and a case in match.c: an operator is read, printed and matched.  A word may have NOT
 * before it.  OR, AND, NOT stand first and as they bind, from weak to strong (print.c).
 *       name      text        shape     other spelling */
#define OPERATORS(_)                                                                               \
    _(OR, "OR", JUNCTION, "")                                                                      \
    _(AND, "AND", JUNCTION, "")                                                                    \
    _(NOT, "NOT", PREFIX, "")                                                                      \
    _(TRUTH, "", ALONE, "")                                                                        \
    _(EQUAL, "=", INFIX, "==")                                                                     \
    _(DIFFERENT, "!=", INFIX, "<>")                                                                \
    _(LESS, "<", INFIX, "")                                                                        \
    _(LESS_EQUAL, "<=", INFIX, "")                                                                 \
    _(GREATER, ">", INFIX, "")                                                                     \
    _(GREATER_EQUAL, ">=", INFIX, "")                                                              \
    _(CONTAINS, "CONTAINS", INFIX, "")                                                             \
    _(BETWEEN, "BETWEEN", RANGE, "")                                                               \
    _(IN, "IN", LIST, "")                                                                          \
    _(LIKE, "LIKE", PATTERN, "")                                                                   \
    _(IS, "IS", NULL, "")

enum operator_kind {
#define OPERATOR_ENUM(name, text, shape, other) OPERATOR_##name,
    OPERATORS(OPERATOR_ENUM)
#undef OPERATOR_ENUM
        OPERATOR_COUNT
};

struct operator_info {
    const char *text;
    const char *other; /* accepted, never printed; "" when there is none */
    enum shape shape;
};
extern const struct operator_info operators[OPERATOR_COUNT];

/* The operator of this word, whatever its case, or sign; OPERATOR_COUNT when there is none. */
enum operator_kind operator_find(struct slice text);
/* A word that names a field in quotes only. */
bool word_is_reserved(struct slice word);

#define NO_INDEX UINT32_MAX

/* A field's value or a literal. */
struct operand {
    uint32_t path;        /* filter_path, or NO_INDEX */
    struct value literal; /* where path is NO_INDEX: type and `as`, no container */
};

struct node {
    enum operator_kind op;
    bool is_negated; /* NOT IN, NOT BETWEEN, …, IS NOT NULL */
    uint32_t level;
    uint32_t parent;       /* NO_INDEX: the root */
    uint32_t first_child;  /* NO_INDEX but for JUNCTION and PREFIX */
    uint32_t next_sibling; /* NO_INDEX: the last */
    struct operand left;
    struct operand right;               /* INFIX, RANGE */
    struct operand upper;               /* RANGE */
    const struct value_list *list;      /* LIST */
    const struct like_pattern *pattern; /* PATTERN */
};

struct filter {
    struct alloc *alloc;
    struct arena arena;
    struct slice text;
    struct node *nodes;
    uint32_t node_count;
    uint32_t node_capacity;
    uint32_t level_count;
    uint32_t path_count;
    struct slice paths[]; /* LIMIT_WHERE_PATHS */
};

/* An empty filter; NULL: out of memory. */
struct filter *filter_create(struct alloc *a);

/* A copy of it; -1: out of memory. */
int filter_keep_text(struct filter *f, struct slice text);

/* The node is copied; *out_index is its place.  -1: out of memory. */
int filter_add_node(struct filter *f, const struct node *n, uint32_t *out_index);

/* The index of a path, which is copied when it is new.  Below LIMIT_WHERE_PATHS of them (CHECK), or
 * it is not new.  -1: out of memory. */
int filter_add_path(struct filter *f, struct slice path, uint32_t *out_index);
bool filter_has_room_for(const struct filter *f, struct slice path);

#endif
