/* SPDX-License-Identifier: Apache-2.0 */
/* pattern.c — Lua's patterns, matched in counted steps and without recursion.
 *
 * WHAT        A pattern is a line of items without nesting: a byte or set with its repetition, the
 *             ends of captures, a few tests.  It is compiled into an array; matching walks it with
 *             a stack of choices that can be taken otherwise.
 * LAYOUT      Sets and classes are 256 bits each; equal ones share a place.
 * INVARIANTS  (1) The items before a choice are never visited again when it is taken otherwise, so
 *                 each item has one choice on the stack at the most, and captures need no undoing:
 *                 those that are open or filled behind the choice are set again on the way.
 *             (2) Each byte looked at and each item visited is a step of the budget: patterns whose
 *                 time is exponential end with it.
 * THREADS     None of its own.
 * FAILURE     Raises; nothing is held.
 */
#include "lua/pattern.h"

#include <lauxlib.h>

#include "base/planted.h"
#include "lua/budget.h"

enum item_kind {
    ITEM_BYTE, /* a */
    ITEM_ANY,
    ITEM_SET,      /* sets[a] */
    ITEM_OPEN,     /* capture a begins */
    ITEM_CLOSE,    /* capture a ends */
    ITEM_POSITION, /* capture a is here */
    ITEM_SAME,     /* what capture a is */
    ITEM_BALANCED, /* from a to its b */
    ITEM_FRONTIER, /* from outside of sets[a] into it */
    ITEM_END,      /* of the subject */
};

enum { CHARGE_STEPS = 256 /* that are charged together */ };

/* ---- Sets ---- */

static void set_add(struct pattern_set *s, unsigned byte)
{
    s->bits[byte >> 6 & 3] |= 1ull << (byte & 63);
}

static bool set_has(const struct pattern_set *s, unsigned byte)
{
    return s->bits[byte >> 6 & 3] >> (byte & 63) & 1;
}

static bool is_between(unsigned c, unsigned low, unsigned high)
{
    return c >= low && c <= high;
}

/* Whether c is in the class of a lower-case letter; *known: whether there is such a class. */
static bool is_in_class(unsigned c, unsigned letter, bool *known)
{
    bool is_upper = is_between(c, 'A', 'Z'), is_lower = is_between(c, 'a', 'z');
    bool is_digit = is_between(c, '0', '9'), is_graph = is_between(c, 33, 126);

    *known = true;
    switch (letter) {
    case 'a':
        return is_upper || is_lower;
    case 'c':
        return c < 32 || c == 127;
    case 'd':
        return is_digit;
    case 'g':
        return is_graph;
    case 'l':
        return is_lower;
    case 'p':
        return is_graph && !(is_upper || is_lower || is_digit);
    case 's':
        return c == ' ' || is_between(c, '\t', '\r');
    case 'u':
        return is_upper;
    case 'w':
        return is_upper || is_lower || is_digit;
    case 'x':
        return is_digit || is_between(c, 'a', 'f') || is_between(c, 'A', 'F');
    case 'z':
        return c == 0;
    default:
        *known = false;
        return false;
    }
}

/* The class of %letter, or the letter itself where it names none. */
static void set_add_class(struct pattern_set *s, unsigned letter)
{
    bool is_upper = is_between(letter, 'A', 'Z'), known;
    unsigned lower = is_upper ? letter - 'A' + 'a' : letter;

    is_in_class(0, lower, &known);
    if (!known) {
        set_add(s, letter);
        return;
    }
    for (unsigned c = 0; c < 256; c++)
        if (is_in_class(c, lower, &known) != is_upper) set_add(s, c);
}

/* ---- Compiling ---- */

struct compiler {
    lua_State *L;
    struct slice text;
    size_t at;
    struct pattern *out;
    uint8_t open[PATTERN_CAPTURES_MAX]; /* captures that have not ended, innermost last */
    size_t open_count;
    uint32_t closed; /* a bit for each capture */
};

/* The next byte; error when there is none. */
static unsigned take(struct compiler *c, const char *wanted)
{
    if (c->at >= c->text.size) luaL_error(c->L, "malformed pattern (%s)", wanted);
    return c->text.data[c->at++];
}

static struct pattern_item *add_item(struct compiler *c, enum item_kind kind, unsigned a)
{
    struct pattern *p = c->out;
    if (p->item_count >= PATTERN_ITEMS_MAX)
        luaL_error(c->L, "a pattern of more than %d items; text is found by find(s, text, 1, true)",
                   PATTERN_ITEMS_MAX);
    struct pattern_item *item = &p->items[p->item_count++];
    *item = (struct pattern_item){.kind = (uint8_t)kind, .repeat = '1', .a = (uint8_t)a};
    return item;
}

/* The place of an equal set. */
static unsigned keep_set(struct compiler *c, const struct pattern_set *set)
{
    struct pattern *p = c->out;
    size_t i = 0;
    while (i < p->set_count && memcmp(&p->sets[i], set, sizeof *set) != 0) i++;
    if (i == p->set_count) {
        if (i >= PATTERN_SETS_MAX)
            luaL_error(c->L, "a pattern of more than %d different classes", PATTERN_SETS_MAX);
        p->sets[p->set_count++] = *set;
    }
    return (unsigned)i;
}

/* What stands between brackets; the first one has been taken. */
static unsigned compile_set(struct compiler *c)
{
    struct pattern_set set = {{0}};
    bool is_complement = c->at < c->text.size && c->text.data[c->at] == '^';
    if (is_complement) c->at++;

    for (bool is_first = true;; is_first = false) {
        unsigned byte = take(c, "missing ']'");
        if (byte == ']' && !is_first) break;
        if (byte == '%') {
            set_add_class(&set, take(c, "missing ']'"));
            continue;
        }
        const uint8_t *rest = c->text.data + c->at;
        if (c->text.size - c->at >= 2 && rest[0] == '-' && rest[1] != ']') {
            c->at += 2;
            for (unsigned b = byte; b <= rest[1]; b++) set_add(&set, b);
        } else {
            set_add(&set, byte);
        }
    }
    if (is_complement)
        for (int i = 0; i < 4; i++) set.bits[i] = ~set.bits[i];
    budget_charge(c->L, 16);
    return keep_set(c, &set);
}

static void compile_open(struct compiler *c)
{
    struct pattern *p = c->out;
    if (p->capture_count >= PATTERN_CAPTURES_MAX + PLANTED(LUA_PATTERN_CAPTURES))
        luaL_error(c->L, "too many captures");
    unsigned capture = (unsigned)p->capture_count++;
    if (c->at < c->text.size && c->text.data[c->at] == ')') {
        c->at++;
        add_item(c, ITEM_POSITION, capture);
        return;
    }
    c->open[c->open_count++] = (uint8_t)capture;
    add_item(c, ITEM_OPEN, capture);
}

static void compile_close(struct compiler *c)
{
    if (c->open_count == 0) luaL_error(c->L, "invalid pattern capture");
    unsigned capture = c->open[--c->open_count];
    c->closed |= 1u << capture;
    add_item(c, ITEM_CLOSE, capture);
}

/* What follows a '%'.  true: a single byte, which may be repeated. */
static bool compile_escape(struct compiler *c)
{
    struct pattern_set set = {{0}};
    unsigned byte = take(c, "ends with '%'");

    if (is_between(byte, '0', '9')) {
        if (byte == '0' || !(c->closed >> (byte - '1') & 1))
            luaL_error(c->L, "invalid capture index %%%c in pattern", (int)byte);
        add_item(c, ITEM_SAME, byte - '1');
        return false;
    }
    if (byte == 'b') {
        unsigned first = take(c, "missing arguments to '%b'");
        add_item(c, ITEM_BALANCED, first)->b = (uint8_t)take(c, "missing arguments to '%b'");
        return false;
    }
    if (byte == 'f') {
        if (take(c, "missing '[' after '%f'") != '[')
            luaL_error(c->L, "malformed pattern (missing '[' after '%%f')");
        add_item(c, ITEM_FRONTIER, compile_set(c));
        return false;
    }
    set_add_class(&set, byte);
    budget_charge(c->L, 4);
    add_item(c, ITEM_SET, keep_set(c, &set));
    return true;
}

/* One item.  true: a single byte, which may be repeated. */
static bool compile_item(struct compiler *c)
{
    unsigned byte = take(c, "");
    switch (byte) {
    case '(':
        compile_open(c);
        return false;
    case ')':
        compile_close(c);
        return false;
    case '%':
        return compile_escape(c);
    case '[':
        add_item(c, ITEM_SET, compile_set(c));
        return true;
    case '.':
        add_item(c, ITEM_ANY, 0);
        return true;
    case '$':
        if (c->at < c->text.size) break;
        add_item(c, ITEM_END, 0);
        return false;
    default:
        break;
    }
    add_item(c, ITEM_BYTE, byte);
    return true;
}

void pattern_compile(lua_State *L, struct slice text, struct pattern *out)
{
    struct compiler c = {.L = L, .text = text, .out = out};

    out->item_count = out->set_count = out->capture_count = 0;
    while (c.at < text.size) {
        if (!compile_item(&c) || c.at >= text.size) continue;
        unsigned next = text.data[c.at];
        if (next != '*' && next != '+' && next != '-' && next != '?') continue;
        out->items[out->item_count - 1].repeat = (uint8_t)next;
        c.at++;
    }
    if (c.open_count > 0) luaL_error(L, "unfinished capture");
}

/* ---- Matching ---- */

/* An item whose share of the subject may be another one. */
struct choice {
    uint32_t item;
    uint32_t at;  /* where what follows the item began */
    uint32_t low; /* greedy: where it may begin at the earliest */
};

struct matcher {
    lua_State *L;
    const struct pattern *pattern;
    struct slice subject;
    uint32_t steps; /* not yet charged */
    struct pattern_match *out;
    size_t choice_count;
    struct choice choices[PATTERN_ITEMS_MAX]; /* (1) */
};

static void step(struct matcher *m, size_t steps)
{
    m->steps += (uint32_t)steps;
    if (m->steps < CHARGE_STEPS) return;
    budget_charge(m->L, m->steps);
    m->steps = 0;
}

static bool is_byte_of(const struct matcher *m, const struct pattern_item *item, size_t at)
{
    if (at >= m->subject.size) return false;
    unsigned byte = m->subject.data[at];
    if (item->kind == ITEM_BYTE) return byte == item->a;
    return item->kind == ITEM_ANY || set_has(&m->pattern->sets[item->a], byte);
}

/* false: the item cannot begin here.  Else *at is where it ends, and there may be a choice more. */
static bool match_repeated(struct matcher *m, uint32_t index, size_t *at)
{
    const struct pattern_item *item = &m->pattern->items[index];
    size_t begin = *at, end = begin;

    step(m, 1);
    if (item->repeat == '-') {
        m->choices[m->choice_count++] = (struct choice){index, (uint32_t)begin, (uint32_t)begin};
        return true;
    }
    bool is_many = item->repeat == '*' || item->repeat == '+';
    bool is_needed = item->repeat == '1' || item->repeat == '+';
    while (is_byte_of(m, item, end)) {
        end++;
        if (!is_many) break;
        step(m, 1);
    }
    size_t low = begin + is_needed;
    if (end < low) return false;
    if (end > low)
        m->choices[m->choice_count++] = (struct choice){index, (uint32_t)end, (uint32_t)low};
    *at = end;
    return true;
}

static bool match_same(struct matcher *m, const struct pattern_item *item, size_t *at)
{
    const struct pattern_capture *c = &m->out->captures[item->a];
    size_t size = c->size > 0 ? (size_t)c->size : 0;

    step(m, 1 + size / 16);
    if (size > m->subject.size - *at) return false;
    if (memcmp(m->subject.data + c->begin, m->subject.data + *at, size) != 0) return false;
    *at += size;
    return true;
}

static bool match_balanced(struct matcher *m, const struct pattern_item *item, size_t *at)
{
    size_t depth = 1, i = *at;

    if (i >= m->subject.size || m->subject.data[i] != item->a) return false;
    for (i++; i < m->subject.size; i++) {
        step(m, 1);
        if (m->subject.data[i] == item->b) {
            if (--depth > 0) continue;
            *at = i + 1;
            return true;
        }
        depth += m->subject.data[i] == item->a;
    }
    return false;
}

static bool match_frontier(const struct matcher *m, const struct pattern_item *item, size_t at)
{
    const struct pattern_set *set = &m->pattern->sets[item->a];
    unsigned before = at > 0 ? m->subject.data[at - 1] : 0;
    unsigned here = at < m->subject.size ? m->subject.data[at] : 0;
    return !set_has(set, before) && set_has(set, here);
}

/* What is no repeated byte. */
static bool match_other(struct matcher *m, const struct pattern_item *item, size_t *at)
{
    struct pattern_capture *c = &m->out->captures[item->a % PATTERN_CAPTURES_MAX];

    step(m, 1);
    switch (item->kind) {
    case ITEM_OPEN:
        *c = (struct pattern_capture){*at, 0};
        return true;
    case ITEM_CLOSE:
        c->size = (ptrdiff_t)(*at - c->begin);
        return true;
    case ITEM_POSITION:
        *c = (struct pattern_capture){*at, PATTERN_POSITION};
        return true;
    case ITEM_SAME:
        return match_same(m, item, at);
    case ITEM_BALANCED:
        return match_balanced(m, item, at);
    case ITEM_FRONTIER:
        return match_frontier(m, item, *at);
    default:
        return *at == m->subject.size;
    }
}

/* Take the last choice otherwise: the item and place to go on with, or false. */
static bool retreat(struct matcher *m, uint32_t *index, size_t *at)
{
    while (m->choice_count > 0) {
        struct choice *c = &m->choices[m->choice_count - 1];
        const struct pattern_item *item = &m->pattern->items[c->item];
        bool can = false;

        step(m, 1);
        if (item->repeat == '-') {
            can = is_byte_of(m, item, c->at);
            c->at += can;
        } else if (c->at > c->low) {
            can = true;
            c->at--;
        }
        if (can) {
            *index = c->item + 1;
            *at = c->at;
            return true;
        }
        m->choice_count--;
    }
    return false;
}

static bool match_from(struct matcher *m, size_t from)
{
    const struct pattern *p = m->pattern;
    uint32_t index = 0;
    size_t at = from;

    m->choice_count = 0;
    while (index < p->item_count) {
        const struct pattern_item *item = &p->items[index];
        bool has_matched =
            item->kind <= ITEM_SET ? match_repeated(m, index, &at) : match_other(m, item, &at);
        if (has_matched) index++;
        else if (!retreat(m, &index, &at)) return false;
    }
    m->out->begin = from;
    m->out->end = at;
    return true;
}

bool pattern_match_at(lua_State *L, const struct pattern *p, struct slice subject, size_t from,
                      struct pattern_match *out)
{
    struct matcher m = {.L = L, .pattern = p, .subject = subject, .out = out};
    bool has_matched = match_from(&m, from);
    budget_charge(L, m.steps);
    return has_matched;
}

bool pattern_search(lua_State *L, const struct pattern *p, struct slice subject, size_t from,
                    struct pattern_match *out)
{
    struct matcher m = {.L = L, .pattern = p, .subject = subject, .out = out};
    bool has_matched = false;
    for (size_t i = from; i <= subject.size && !has_matched; i++) has_matched = match_from(&m, i);
    budget_charge(L, m.steps);
    return has_matched;
}
