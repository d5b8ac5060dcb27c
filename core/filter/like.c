/* SPDX-License-Identifier: Apache-2.0 */
/* like.c — LIKE without backtracking.
 *
 * WHAT        The parts between the % are looked for one after the other, each at the first place
 *             that has it: a later place would leave less for the rest.  The first part must be at
 *             the beginning and the last one at the end, unless a % is there.
 * LAYOUT      A part is bytes, folded to lower case; a byte that is_any stands for a character,
 *             which has several bytes perhaps.
 * INVARIANTS  (1) Parts without _ are searched for in linear time (Knuth, Morris, Pratt 1977),
 *                 those with _ are short: no text makes a pattern slow.
 *             (2) No byte outside the text is read, whether it is UTF-8 or not.
 *             (3) A text that is left in the middle is taken up at the byte where it was left.
 * THREADS     A compiled pattern is constant: any thread.
 * FAILURE     like_compile alone can fail, for want of memory.
 */
#include "filter/like.h"

#include "base/limits.h"

static uint8_t fold(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static bool is_inside_character(struct slice text, size_t at)
{
    return at < text.size && (text.data[at] & 0xc0) == 0x80;
}

/* ---- Compiling ---- */

struct compiler {
    struct like_pattern *pattern;
    struct like_part *parts;
    uint8_t *bytes;
    uint8_t *is_any;
    uint32_t size;  /* bytes so far */
    uint32_t begin; /* of the open part */
};

static void add_byte(struct compiler *c, uint8_t byte, bool is_any)
{
    c->bytes[c->size] = fold(byte);
    c->is_any[c->size++] = is_any;
    if (is_any) c->parts[c->pattern->part_count].has_any = true;
}

static void end_part(struct compiler *c)
{
    if (c->size == c->begin) return;
    struct like_part *part = &c->parts[c->pattern->part_count++];
    part->bytes = c->bytes + c->begin;
    part->is_any = c->is_any + c->begin;
    part->size = c->size - c->begin;
    c->begin = c->size;
}

static void split(struct compiler *c)
{
    struct like_pattern *p = c->pattern;
    struct slice text = p->text;

    p->is_open_at_begin = false;
    for (size_t i = 0; i < text.size; i++) {
        struct slice rest = slice_of(text.data + i, text.size - i);
        p->is_open_at_end = false;
        if (p->escape.size > 0 && rest.size >= p->escape.size &&
            memcmp(rest.data, p->escape.data, p->escape.size) == 0) {
            i += p->escape.size;
            p->is_never |= i == text.size;
            if (i < text.size) add_byte(c, text.data[i], false);
        } else if (text.data[i] == '%') {
            end_part(c);
            p->is_open_at_end = true;
            p->is_open_at_begin |= p->part_count == 0;
        } else {
            add_byte(c, text.data[i], text.data[i] == '_');
        }
    }
    end_part(c);
}

/* border[i]: the longest beginning of the part, shorter than i + 1, that bytes [0, i] end with. */
static uint32_t *find_borders(struct arena *a, const struct like_part *part)
{
    uint32_t *border = (uint32_t *)arena_alloc(a, part->size * sizeof *border);
    uint32_t k = 0;

    if (!border) return NULL;
    border[0] = 0;
    for (uint32_t i = 1; i < part->size; i++) {
        while (k > 0 && part->bytes[i] != part->bytes[k]) k = border[k - 1];
        if (part->bytes[i] == part->bytes[k]) k++;
        border[i] = k;
    }
    return border;
}

const struct like_pattern *like_compile(struct arena *a, struct slice text, struct slice escape,
                                        bool *out_is_too_wide)
{
    struct like_pattern *p = (struct like_pattern *)arena_zalloc(a, sizeof *p);
    size_t part_count_max = 1;

    *out_is_too_wide = false;
    for (size_t i = 0; i < text.size; i++) part_count_max += text.data[i] == '%';
    struct compiler c = {
        .pattern = p,
        .parts = (struct like_part *)arena_zalloc(a, part_count_max * sizeof *c.parts),
        .bytes = (uint8_t *)arena_alloc(a, text.size),
        .is_any = (uint8_t *)arena_alloc(a, text.size),
    };
    if (!p || !c.parts || !c.bytes || !c.is_any) return NULL;
    p->text = text;
    p->escape = escape;
    p->parts = c.parts;
    split(&c);
    for (uint32_t i = 0; i < p->part_count; i++) {
        struct like_part *part = &c.parts[i];
        bool is_searched =
            (i > 0 || p->is_open_at_begin) && (i + 1 < p->part_count || p->is_open_at_end);
        if (!is_searched) continue;
        *out_is_too_wide |= part->has_any && part->size > LIMIT_WHERE_WILD_BYTES;
        if (!part->has_any && !(part->border = find_borders(a, part))) return NULL;
    }
    return *out_is_too_wide ? NULL : p;
}

/* ---- Matching ---- */

static void spend(uint64_t *work, uint64_t done)
{
    *work -= done < *work ? done : *work;
}

/* Is the part at byte `at`?  *end is then behind it, else behind what was looked at. */
static inline bool is_part_at(const struct like_part *part, struct slice text, size_t at,
                              size_t *end)
{
    uint32_t i = 0;
    for (; i < part->size && at < text.size; i++) {
        if (part->is_any[i]) {
            do at++;
            while (is_inside_character(text, at));
        } else if (fold(text.data[at++]) != part->bytes[i]) {
            break;
        }
    }
    *end = at;
    return i == part->size;
}

/* Is the part at the text's end, behind byte `from`? */
static bool is_part_at_end(const struct like_part *part, struct slice text, size_t from)
{
    size_t at = text.size;
    for (uint32_t i = part->size; i-- > 0;) {
        if (at <= from) return false;
        at--;
        if (part->is_any[i]) {
            while (at > from && is_inside_character(text, at)) at--;
        } else if (fold(text.data[at]) != part->bytes[i]) {
            return false;
        }
    }
    return true;
}

/* The first place of a part at or behind run->at, which is then behind it. */
static inline enum like_answer find_bytes(const struct like_part *part, struct slice text,
                                          struct like_run *run, uint64_t *work)
{
    size_t begin = run->at, end = text.size, i = begin;
    uint32_t k = run->matched;
    if (end - begin > *work) end = begin + (*work > 0 ? (size_t)*work : 1);
    while (i < end && k < part->size) {
        if (k == 0) { /* most of a text */
            while (i < end && fold(text.data[i]) != part->bytes[0]) i++;
            if (i == end) break;
        } else if (fold(text.data[i]) != part->bytes[k]) {
            k = part->border[k - 1];
            continue;
        }
        i++;
        k++;
    }
    spend(work, i - begin);
    run->at = i;
    run->matched = k;
    if (k == part->size) return LIKE_YES;
    return end < text.size ? LIKE_LATER : LIKE_NO;
}

/* The same for a part with _. */
static inline enum like_answer find_wild(const struct like_part *part, struct slice text,
                                         struct like_run *run, uint64_t *work)
{
    while (run->at < text.size) {
        size_t end = run->at + 1;
        bool is_there =
            !is_inside_character(text, run->at) && is_part_at(part, text, run->at, &end);
        spend(work, end - run->at);
        run->at = is_there ? end : run->at + 1;
        if (is_there) return LIKE_YES;
        if (*work == 0 && run->at < text.size) return LIKE_LATER;
    }
    return LIKE_NO;
}

static inline __attribute__((always_inline)) enum like_answer
advance(const struct like_pattern *p, struct slice text, struct like_run *run, uint64_t *inout_work)
{
    uint32_t last = p->part_count;

    if (p->is_never) return LIKE_NO;
    if (last == 0) return text.size == 0 || p->is_open_at_begin ? LIKE_YES : LIKE_NO;
    if (!p->is_open_at_begin && run->part == 0) {
        bool is_there = is_part_at(&p->parts[0], text, 0, &run->at);
        spend(inout_work, run->at);
        if (!is_there) return LIKE_NO;
        if (last == 1) return run->at == text.size || p->is_open_at_end ? LIKE_YES : LIKE_NO;
        run->part = 1;
    }
    if (!p->is_open_at_end) last--;
    for (; run->part < last; run->part++, run->matched = 0) {
        const struct like_part *part = &p->parts[run->part];
        enum like_answer found = part->has_any ? find_wild(part, text, run, inout_work)
                                               : find_bytes(part, text, run, inout_work);
        if (found != LIKE_YES) return found;
    }
    if (p->is_open_at_end) return LIKE_YES;
    return is_part_at_end(&p->parts[last], text, run->at) ? LIKE_YES : LIKE_NO;
}

enum like_answer like_advance(const struct like_pattern *p, struct slice text, struct like_run *run,
                              uint64_t *inout_work)
{
    /* The common case, which is not left in the middle: it has nothing to remember.  Not one that
     * was left before (3): the next text would begin where this one was. */
    if (run->at == 0 && text.size < *inout_work / LIMIT_WHERE_WILD_BYTES) {
        struct like_run whole = {0};
        uint64_t work = UINT64_MAX;
        enum like_answer found = advance(p, text, &whole, &work);
        spend(inout_work, UINT64_MAX - work);
        return found;
    }
    enum like_answer answer = advance(p, text, run, inout_work);
    if (answer != LIKE_LATER) *run = (struct like_run){0};
    return answer;
}
