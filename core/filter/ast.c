/* SPDX-License-Identifier: Apache-2.0 */
#include "filter/ast.h"

#include "base/check.h"
#include "base/limits.h"

enum { FIRST_NODES = 16 };

const struct operator_info operators[OPERATOR_COUNT] = {
#define OPERATOR_INFO(name, text, shape, other) {text, other, SHAPE_##shape},
    OPERATORS(OPERATOR_INFO)
#undef OPERATOR_INFO
};

enum operator_kind operator_find(struct slice text)
{
    for (int i = 0; i < OPERATOR_COUNT; i++) {
        const struct operator_info *o = &operators[i];
        if (text.size > 0 && (slice_equal_word(text, slice_of_text(o->text)) ||
                              slice_equal_word(text, slice_of_text(o->other))))
            return (enum operator_kind)i;
    }
    return OPERATOR_COUNT;
}

bool word_is_reserved(struct slice word)
{
    static const char *const literals[] = {"NULL", "TRUE", "FALSE"};
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++)
        if (slice_equal_word(word, slice_of_text(literals[i]))) return true;
    return operator_find(word) != OPERATOR_COUNT;
}

struct filter *filter_create(struct alloc *a)
{
    size_t bytes = sizeof(struct filter) + LIMIT_WHERE_PATHS * sizeof(struct slice);
    struct filter *f = (struct filter *)mem_zalloc(a, MEM_SEARCH, bytes);
    if (!f) return NULL;
    f->alloc = a;
    arena_init(&f->arena, a, MEM_SEARCH);
    return f;
}

void filter_destroy(struct filter *f)
{
    if (!f) return;
    arena_deinit(&f->arena);
    mem_free(f->alloc, f->nodes);
    mem_free(f->alloc, f);
}

int filter_add_node(struct filter *f, const struct node *n, uint32_t *out_index)
{
    if (f->node_count == f->node_capacity) {
        uint32_t capacity = f->node_capacity ? 2 * f->node_capacity : FIRST_NODES;
        struct node *nodes = (struct node *)mem_resize(f->alloc, MEM_SEARCH, f->nodes,
                                                       capacity * sizeof(struct node));
        if (!nodes) return -1;
        f->nodes = nodes;
        f->node_capacity = capacity;
    }
    f->nodes[f->node_count] = *n;
    if (n->level >= f->level_count) f->level_count = n->level + 1;
    *out_index = f->node_count++;
    return 0;
}

int filter_keep_text(struct filter *f, struct slice text)
{
    char *copy = arena_copy_text(&f->arena, (const char *)text.data, text.size);

    if (!copy) return -1;
    f->text = slice_of(copy, text.size);
    return 0;
}

static uint32_t find_path(const struct filter *f, struct slice path)
{
    uint32_t i = 0;
    while (i < f->path_count && !slice_equal(f->paths[i], path)) i++;
    return i;
}

bool filter_has_room_for(const struct filter *f, struct slice path)
{
    return f->path_count < LIMIT_WHERE_PATHS || find_path(f, path) < f->path_count;
}

int filter_add_path(struct filter *f, struct slice path, uint32_t *out_index)
{
    uint32_t i = find_path(f, path);

    if (i == f->path_count) {
        CHECK(f->path_count < LIMIT_WHERE_PATHS);
        char *copy = arena_copy_text(&f->arena, (const char *)path.data, path.size);
        if (!copy) return -1;
        f->paths[f->path_count++] = slice_of(copy, path.size);
    }
    *out_index = i;
    return 0;
}

struct slice filter_text(const struct filter *f)
{
    return f->text;
}

size_t filter_path_count(const struct filter *f)
{
    return f->path_count;
}

struct slice filter_path(const struct filter *f, size_t i)
{
    CHECK(i < f->path_count);
    return f->paths[i];
}
