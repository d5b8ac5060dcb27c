/* SPDX-License-Identifier: Apache-2.0 */
/* value_list.h — the values of an IN, sorted, so that each row asks a few of them only. */
#ifndef FILTER_VALUE_LIST_H
#define FILTER_VALUE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "codec/value.h"

struct value_list {
    const struct value *items; /* as they were written */
    uint32_t count;
    bool has_null;
    bool has_datetime;
    struct value *sorted; /* those that have an order */
    uint32_t sorted_count;
    struct value *times; /* of the texts that are datetimes; sorted */
    uint32_t time_count;
};

/* A list in the arena.  items: borrowed; no containers.  NULL: out of memory. */
const struct value_list *value_list_create(struct arena *a, const struct value *items,
                                           uint32_t count);

/* Does one of them equal v?  As value_order says. */
bool value_list_has(const struct value_list *l, const struct value *v);

#endif
