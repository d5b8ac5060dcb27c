/* SPDX-License-Identifier: Apache-2.0 */
/* rerank.h — the hits of one query, put in a new order by a `rerank` hook. */
#ifndef QUERY_RERANK_H
#define QUERY_RERANK_H

#include "base/arena.h"
#include "base/topk.h"
#include "query/hook.h"
#include "query/row_filter.h"
#include "segment/view.h"

/* best: sorted, nearest first, HOOK_HITS_MAX at most (LIMIT).  out: which of them are left, in
 * their new order, with the scores that the hook gave them; its arrays lie in the arena.
 * wants: kept by the caller from one query to the next.  limits: looked at before each record that
 * is fetched; no pause.  LIMIT: the documents are over LIMIT_RERANK_BYTES.  DEADLINE, CANCELLED,
 * NO_MEMORY, CORRUPT, IO, and what the hook says. */
int rerank_hits(struct hook *hook, const struct row_limits *limits, const struct view *view,
                const struct topk *best, struct hook_wants *wants, struct arena *arena,
                struct hook_order *out, struct error *err);

#endif
