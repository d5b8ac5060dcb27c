/* SPDX-License-Identifier: Apache-2.0 */
/* order.h — which of two values comes first: SQLite's order without affinity.
 *
 * number < text < bytes < datetime; bool is 0 or 1.  Numbers compare by their exact value, texts
 * and bytes by bytes.  NULL, NaN, arrays and maps have no order.
 */
#ifndef FILTER_ORDER_H
#define FILTER_ORDER_H

#include <stdbool.h>

#include "codec/value.h"

enum order { ORDER_LESS, ORDER_EQUAL, ORDER_GREATER, ORDER_NONE };

/* A text that is a datetime (RFC 3339) counts as one where the other side is a datetime. */
enum order value_order(const struct value *a, const struct value *b);

/* The same without that: total over the values that have an order. */
enum order value_order_by_kind(const struct value *a, const struct value *b);

/* false: the value is no text, or not that of a datetime. */
bool value_as_datetime(const struct value *v, int64_t *out_us);

#endif
