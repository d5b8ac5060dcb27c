/* SPDX-License-Identifier: Apache-2.0 */
/* hook_points.h — the places where somebody else's code takes part in a query. */
#ifndef QUERY_HOOK_POINTS_H
#define QUERY_HOOK_POINTS_H

/* name, word in error texts, manifests and languages. */
#define HOOK_POINTS(_)                                                                             \
    _(SCORE, "score")                                                                              \
    _(RERANK, "rerank")

enum hook_point {
#define HOOK_POINT_ENUM(name, word) HOOK_##name,
    HOOK_POINTS(HOOK_POINT_ENUM)
#undef HOOK_POINT_ENUM
        HOOK_POINT_COUNT
};

#endif
