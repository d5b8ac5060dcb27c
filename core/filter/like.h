/* SPDX-License-Identifier: Apache-2.0 */
/* like.h — the pattern of a LIKE: % is any text, _ any character, ASCII letters any case. */
#ifndef FILTER_LIKE_H
#define FILTER_LIKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"

/* What stands between two %, or before the first, or behind the last. */
struct like_part {
    const uint8_t *bytes;  /* lower case */
    const uint8_t *is_any; /* per byte: 1 where it stands for one character, whichever */
    uint32_t size;
    bool has_any;
    const uint32_t *border; /* without has_any: as Knuth, Morris and Pratt need it */
};

struct like_pattern {
    struct slice text;   /* as it was written */
    struct slice escape; /* one character, or empty */
    const struct like_part *parts;
    uint32_t part_count;   /* without the empty ones */
    bool is_open_at_begin; /* begins with % */
    bool is_open_at_end;   /* ends with % */
    bool is_never;         /* ends with an escape that escapes nothing */
};

/* A pattern in the arena; text and escape are borrowed.  NULL: out of memory, or *out_is_too_wide:
 * a part with _ that has to be searched for is over LIMIT_WHERE_WILD_BYTES. */
const struct like_pattern *like_compile(struct arena *a, struct slice text, struct slice escape,
                                        bool *out_is_too_wide);

/* In time that grows with text.size alone, but for parts with _, whose size is a factor.  Any
 * bytes are allowed as text. */
bool like_matches(const struct like_pattern *p, struct slice text);

#endif
