/* SPDX-License-Identifier: Apache-2.0 */
/* suggest.h — "did you mean": which of some names a mistyped one is nearest to.  Any thread. */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

#include "base/slice.h"

enum { SUGGESTION_BYTES_MAX = 48 }; /* a longer word is like nothing */

struct suggestion {
    struct slice given;
    const char *best; /* NULL: none is near */
    size_t best_distance;
};

void suggestion_begin(struct suggestion *s, struct slice given); /* borrowed */
/* name: static, or alive as long as s->best is used. */
void suggestion_offer(struct suggestion *s, const char *name);

#endif
