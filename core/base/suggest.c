/* SPDX-License-Identifier: Apache-2.0 */
/* suggest.c — optimal string alignment distance (Levenshtein's, with swapped neighbours), two rows
 * and the one before; a name is near when at most a third of it differs. */
#include "base/suggest.h"

void suggestion_begin(struct suggestion *s, struct slice given)
{
    *s = (struct suggestion){.given = given, .best_distance = 1 + given.size / 3};
    if (given.size > SUGGESTION_BYTES_MAX) s->best_distance = 0;
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static size_t distance_between(struct slice a, struct slice b)
{
    size_t rows[3][SUGGESTION_BYTES_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.size; j++) last[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t cost = a.data[i - 1] != b.data[j - 1];
            row[j] = least(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
                a.data[i - 2] == b.data[j - 1] && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = last, last = row, row = spare;
    }
    return last[b.size];
}

void suggestion_offer(struct suggestion *s, const char *name)
{
    struct slice offered = slice_of_text(name);

    if (s->best_distance == 0 || offered.size > SUGGESTION_BYTES_MAX) return;
    size_t distance = distance_between(s->given, offered);
    if (distance >= s->best_distance) return;
    s->best_distance = distance;
    s->best = name;
}
