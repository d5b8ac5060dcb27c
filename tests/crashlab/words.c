/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "crashlab/world.h"

/* ---- the world ---- */

void world_init(struct world *w, struct alloc *a)
{
    *w = (struct world){.alloc = a};
}

void world_deinit(struct world *w)
{
    for (size_t i = 0; i < WORLD_SLOTS; i++)
        if (w->slots[i].life != SLOT_NONE) oracle_deinit(&w->slots[i].oracle);
    *w = (struct world){0};
}

void world_copy(struct world *to, const struct world *from)
{
    *to = *from;
    for (size_t i = 0; i < WORLD_SLOTS; i++)
        if (from->slots[i].life != SLOT_NONE)
            oracle_copy(&to->slots[i].oracle, &from->slots[i].oracle);
}

void world_crash(struct world *w, enum crash_kind kind)
{
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        struct oracle_promise *p = &w->slots[i].oracle.promise;
        if (p->kill < p->power) p->kill = p->power;
        if (kind == CRASH_POWER) p->kill = p->power;
    }
}

int target_fail(struct target *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(t->why, sizeof t->why, format, args);
    va_end(args);
    return -1;
}

/* ---- words ---- */

bool word_next(const char **text, char out[WORD_BYTES])
{
    size_t n = 0;

    while (**text == ' ') (*text)++;
    while ((*text)[n] && (*text)[n] != ' ') n++;
    if (n == 0) return false;
    CHECK(n < WORD_BYTES);
    memcpy(out, *text, n);
    out[n] = '\0';
    *text += n;
    return true;
}

uint8_t word_level(const char *word)
{
    static const char *const names[] = {"always", "interval", "os", "none"};

    for (uint8_t i = 0; i < 4; i++)
        if (strcmp(word + 5, names[i]) == 0) return (uint8_t)(i + 1);
    return 0;
}

static bool parse_id(const char **at, int *out)
{
    char c = **at;

    if (c >= 'a' && c <= 'z') *out = c - 'a';
    else if (c >= 'A' && c <= 'Z') *out = ORACLE_NUMBERS + c - 'A';
    else return false;
    (*at)++;
    return true;
}

static uint16_t parse_number(const char **at)
{
    unsigned n = 0;

    while (**at >= '0' && **at <= '9') n = n * 10 + (unsigned)(*(*at)++ - '0');
    return (uint16_t)n;
}

/* One row of a group; its kind is the group's. */
static bool parse_row(const char **at, struct oracle_group *g)
{
    static const char signs[] = "=!-+";
    static const enum oracle_kind kinds[] = {GROUP_KEEP, GROUP_ADD, GROUP_DELETE, GROUP_RESTORE};
    const char *sign = **at ? strchr(signs, **at) : NULL;
    enum oracle_kind kind = sign ? kinds[sign - signs] : GROUP_PUT;

    if (g->count == ORACLE_ROWS || (g->count > 0 && kind != g->kind)) return false;
    if (sign) (*at)++;
    g->kind = kind;
    if (!parse_id(at, &g->ids[g->count])) return false;
    g->values[g->count++] = parse_number(at);
    return true;
}

static bool parse_group(const char **at, struct oracle_group *g)
{
    if (**at == '#') {
        (*at)++;
        g->kind = GROUP_ADD;
        g->is_auto = true;
        g->count = parse_number(at);
        return g->count > 0 && g->count <= ORACLE_ROWS;
    }
    for (;;) {
        if (!parse_row(at, g)) return false;
        if (**at != ',') return true;
        (*at)++;
    }
}

size_t word_groups(const char *word, struct oracle_group out[WORD_GROUPS])
{
    const char *at = word + 1;
    size_t count = 0;
    uint8_t level = 0;

    if (*word != 'w' && *word != 'W' && *word != 'q') return 0;
    if (*at >= '1' && *at <= '3') level = (uint8_t)(*at++ - '0');
    if (*at++ != ':') return 0;
    for (;; at++) {
        if (count == WORD_GROUPS) return 0;
        out[count] = (struct oracle_group){
            .level = level, .is_large = *word == 'W', .is_request = *word == 'q'};
        if (!parse_group(&at, &out[count++])) return 0;
        if (*at == '\0') return count;
        if (*at != '|') return 0;
    }
}
