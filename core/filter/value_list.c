/* SPDX-License-Identifier: Apache-2.0 */
#include "filter/value_list.h"

#include "filter/order.h"

static bool is_less(const struct value *a, const struct value *b)
{
    return value_order_by_kind(a, b) == ORDER_LESS;
}

/* Heapsort: no memory, and no list makes it slow. */
static void sink(struct value *heap, uint32_t i, uint32_t count)
{
    struct value v = heap[i];
    for (uint32_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && is_less(&heap[child], &heap[child + 1])) child++;
        if (!is_less(&v, &heap[child])) break;
        heap[i] = heap[child];
    }
    heap[i] = v;
}

static void sort(struct value *values, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;) sink(values, i, count);
    for (uint32_t end = count; end > 1; end--) {
        struct value greatest = values[0];
        values[0] = values[end - 1];
        values[end - 1] = greatest;
        sink(values, 0, end - 1);
    }
}

const struct value_list *value_list_create(struct arena *a, const struct value *items,
                                           uint32_t count)
{
    struct value_list *l = (struct value_list *)arena_zalloc(a, sizeof *l);
    uint32_t time_count = 0;
    int64_t us;

    for (uint32_t i = 0; i < count; i++) time_count += value_as_datetime(&items[i], &us);
    if (!l || !(l->sorted = (struct value *)arena_alloc(a, count * sizeof *items)) ||
        !(l->times = (struct value *)arena_alloc(a, time_count * sizeof *items)))
        return NULL;
    l->items = items;
    l->count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].type == VALUE_NULL) l->has_null = true;
        else l->sorted[l->sorted_count++] = items[i];
        l->has_datetime |= items[i].type == VALUE_DATETIME;
        if (value_as_datetime(&items[i], &us))
            l->times[l->time_count++] =
                (struct value){.type = VALUE_DATETIME, .as.datetime_us = us};
    }
    sort(l->sorted, l->sorted_count);
    sort(l->times, l->time_count);
    return l;
}

static bool find(const struct value *values, uint32_t count, const struct value *v)
{
    uint32_t low = 0;
    while (count > 0) {
        uint32_t half = count / 2;
        enum order order = value_order_by_kind(&values[low + half], v);
        if (order == ORDER_EQUAL) return true;
        if (order == ORDER_NONE) return false;
        if (order == ORDER_LESS) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return false;
}

bool value_list_has(const struct value_list *l, const struct value *v)
{
    struct value time = {.type = VALUE_DATETIME};

    if (find(l->sorted, l->sorted_count, v)) return true;
    if (v->type == VALUE_DATETIME) return find(l->times, l->time_count, v);
    return l->has_datetime && value_as_datetime(v, &time.as.datetime_us) &&
           find(l->sorted, l->sorted_count, &time);
}
