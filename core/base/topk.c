/* SPDX-License-Identifier: Apache-2.0 */
/* topk.c — a binary max-heap under the order (distance, tie): the root is the worst kept. */
#include "base/topk.h"

#include "base/bytes.h"

int topk_lower_row(void *ctx, const struct candidate *a, const struct candidate *b)
{
    (void)ctx;
    return a->row < b->row ? -1 : a->row > b->row;
}

int topk_init(struct topk *t, struct alloc *a, size_t k, topk_tie_fn *tie, void *tie_ctx)
{
    size_t bytes;
    /* One slot at least: topk_threshold reads heap[0] when the heap is full, and that of k = 0
     * always is. */
    if (!size_mul(k ? k : 1, sizeof(struct candidate), &bytes)) return -1;
    struct candidate *heap = (struct candidate *)mem_alloc(a, MEM_SEARCH, bytes);
    if (!heap) return -1;
    topk_init_at(t, heap, k, tie, tie_ctx);
    t->alloc = a;
    return 0;
}

void topk_init_at(struct topk *t, struct candidate *memory, size_t k, topk_tie_fn *tie,
                  void *tie_ctx)
{
    memory[0].distance = -__builtin_inff();
    *t = (struct topk){.heap = memory, .capacity = k, .tie = tie, .tie_ctx = tie_ctx};
}

void topk_deinit(struct topk *t)
{
    if (t->alloc) mem_free(t->alloc, t->heap);
    *t = (struct topk){0};
}

/* a comes after b in the answer. */
static inline bool is_worse(const struct topk *t, const struct candidate *a,
                            const struct candidate *b)
{
    if (a->distance != b->distance) return a->distance > b->distance;
    return t->tie(t->tie_ctx, a, b) > 0;
}

/* Put c where it belongs on the way from slot i, which is free, to the root. */
static void sift_up(struct topk *t, size_t i, struct candidate c)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!is_worse(t, &c, &t->heap[parent])) break;
        t->heap[i] = t->heap[parent];
        i = parent;
    }
    t->heap[i] = c;
}

/* Put c where it belongs below the root, which is free, in a heap of `count`. */
static void sift_down(struct topk *t, size_t count, struct candidate c)
{
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= count) break;
        if (child + 1 < count && is_worse(t, &t->heap[child + 1], &t->heap[child])) child++;
        if (!is_worse(t, &t->heap[child], &c)) break;
        t->heap[i] = t->heap[child];
        i = child;
    }
    t->heap[i] = c;
}

void topk_push(struct topk *t, float distance, uint32_t part, uint32_t row)
{
    /* Written so that NaN, which compares false, is dropped here too. */
    if (!(distance <= topk_threshold(t))) return;
    struct candidate c = {distance, part, row};
    if (t->count < t->capacity) {
        sift_up(t, t->count++, c);
        return;
    }
    if (t->capacity == 0 || !is_worse(t, &t->heap[0], &c)) return;
    sift_down(t, t->count, c);
}

void topk_merge(struct topk *t, const struct topk *other)
{
    for (size_t i = 0; i < other->count; i++)
        topk_push(t, other->heap[i].distance, other->heap[i].part, other->heap[i].row);
}

/* Heap sort: no memory, no recursion, and no order of the input that makes it slow. */
void topk_sort(struct topk *t)
{
    for (size_t left = t->count; left > 1; left--) {
        struct candidate worst = t->heap[0];
        sift_down(t, left - 1, t->heap[left - 1]);
        t->heap[left - 1] = worst;
    }
}

void topk_clear(struct topk *t)
{
    t->count = 0;
}
