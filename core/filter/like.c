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

/* Is the part at byte `at`?  *end is then behind it. */
static bool is_part_at(const struct like_part *part, struct slice text, size_t at, size_t *end)
{
    for (uint32_t i = 0; i < part->size; i++) {
        if (at >= text.size) return false;
        if (part->is_any[i]) {
            do at++;
            while (is_inside_character(text, at));
        } else if (fold(text.data[at++]) != part->bytes[i]) {
            return false;
        }
    }
    *end = at;
    return true;
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

static bool find_bytes(const struct like_part *part, struct slice text, size_t from, size_t *end)
{
    uint32_t k = 0;
    for (size_t i = from; i < text.size; i++) {
        uint8_t byte = fold(text.data[i]);
        while (k > 0 && byte != part->bytes[k]) k = part->border[k - 1];
        if (byte == part->bytes[k]) k++;
        if (k == part->size) {
            *end = i + 1;
            return true;
        }
    }
    return false;
}

/* The first place of a part at or behind `from`; *end is then behind it. */
static bool find_part(const struct like_part *part, struct slice text, size_t from, size_t *end)
{
    if (!part->has_any) return find_bytes(part, text, from, end);
    for (size_t i = from; i < text.size; i++)
        if (!is_inside_character(text, i) && is_part_at(part, text, i, end)) return true;
    return false;
}

bool like_matches(const struct like_pattern *p, struct slice text)
{
    uint32_t first = 0, last = p->part_count;
    size_t at = 0;

    if (p->is_never) return false;
    if (last == 0) return text.size == 0 || p->is_open_at_begin;
    if (!p->is_open_at_begin) {
        if (!is_part_at(&p->parts[0], text, 0, &at)) return false;
        first = 1;
        if (last == 1) return at == text.size || p->is_open_at_end;
    }
    if (!p->is_open_at_end) last--;
    for (uint32_t i = first; i < last; i++)
        if (!find_part(&p->parts[i], text, at, &at)) return false;
    return p->is_open_at_end || is_part_at_end(&p->parts[last], text, at);
}
