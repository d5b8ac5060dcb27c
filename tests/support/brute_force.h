/* SPDX-License-Identifier: Apache-2.0 */
/* brute_force.h — what a search must answer: every live row by the one-pair kernel, sorted. */
#ifndef SUPPORT_BRUTE_FORCE_H
#define SUPPORT_BRUTE_FORCE_H

#include "query/search.h"

/* Fail unless `got` is the answer to the request over the view, ids and scores bit by bit. */
void assert_is_answer(const struct view *v, const struct search_request *request,
                      const struct result *got);

/* The same, of the rows that are wanted alone. */
typedef bool row_wanted_fn(const struct view *v, size_t part, uint32_t row);
void assert_is_filtered_answer(const struct view *v, const struct search_request *request,
                               row_wanted_fn *wanted, const struct result *got);

/* A search in one call and one slice; it succeeds. */
void search_once(struct alloc *a, struct view *v, const struct search_request *request,
                 struct result *out);

/* Fail unless both have the same rows with the same scores. */
void assert_same_result(const struct result *a, const struct result *b);

#endif
