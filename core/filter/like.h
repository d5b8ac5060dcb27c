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

/* How far the matching of one text has come: all zero before the first call and after the last. */
struct like_run {
    uint32_t part;    /* being looked for */
    uint32_t matched; /* so many bytes of it end at `at` */
    size_t at;
};
enum like_answer { LIKE_NO, LIKE_YES, LIKE_LATER };
/* Does the text match?  In time that grows with text.size alone, but for parts with _, whose size
 * is a factor.  Any bytes are allowed as text.  *inout_work becomes less by about the bytes that
 * were looked at.  LATER: it is 0 and there are more; something is looked at in every call. */
enum like_answer like_advance(const struct like_pattern *p, struct slice text, struct like_run *run,
                              uint64_t *inout_work);

#endif
