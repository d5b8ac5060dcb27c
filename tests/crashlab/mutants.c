/* SPDX-License-Identifier: Apache-2.0 */
/* mutants.c — the laboratory on trial: with each rule of the engine switched off, something must be
 * found. */
#include <stdio.h>
#include <sys/mman.h>

#include "base/check.h"
#include "crashlab/programme.h"

#ifdef LYNSE_FAULTS
enum { MUTANT_STATES = 600000 };

/* What the laboratory cannot find, and why not. */
static const struct {
    enum fault_point point;
    const char *why;
} exempt[] = {
    {FAULT_NONE, "no rule"},
    {FAULT_ACTOR_DOUBLE_REPLY, "the simulator's"},
    {FAULT_ACTOR_DROP_WITHOUT_ANSWER, "the simulator's"},
    {FAULT_ACTOR_LOST_WAKEUP, "the simulator's"},
    {FAULT_WAL_NO_CHAIN, "equivalent: salt and position in the file prove the order"},
    {FAULT_WAL_NO_GROUP_END, "equivalent here: a collection's group is one record"},
    {FAULT_WAL_NO_SALT, "equivalent: old records end below the first LSN of the file"},
};

struct trial {
    struct options options;
    enum fault_point point;
    struct share *share;
};

static const char *exemption_of(enum fault_point p)
{
    for (size_t i = 0; i < sizeof exempt / sizeof *exempt; i++)
        if (exempt[i].point == p) return exempt[i].why;
    return NULL;
}

static void work(void *ctx)
{
    struct trial *t = ctx;

    fault_is_on[t->point] = true;
    share_work(t->share, &t->options, 0, 1, t->options.states, 1);
}

/* 1: found; 0: not. */
static int try_mutant(enum fault_point p, const struct options *o)
{
    struct trial t = {.options = *o, .point = p, .share = share_create()};
    const char *why = exemption_of(p);
    char end[128];

    t.options.states = MUTANT_STATES;
    bool has_ended = run_in_child(work, &t, end);
    bool is_found = !has_ended || t.share->failed > 0;
    if (!has_ended) printf("found     %s: %s: %.600s\n", fault_name(p), end, t.share->now);
    else if (is_found) printf("found     %s: %.900s\n", fault_name(p), t.share->reports[0]);
    else printf("%s %s: %s\n", why ? "exempt   " : "NOT FOUND", fault_name(p), why ? why : "");
    munmap(t.share, sizeof *t.share);
    return is_found;
}

int programme_mutants(const struct options *o)
{
    unsigned found = 0, exempted = 0, missed = 0;
    int only = o->mutant ? fault_find(o->mutant) : -1;

    if (o->mutant && only < 0) {
        fprintf(stderr, "crashlab: no fault point '%s'\n", o->mutant);
        return 2;
    }
    for (int p = 0; p < FAULT_COUNT; p++) {
        if (only >= 0 && p != only) continue;
        const char *why = exemption_of((enum fault_point)p);
        if (why && only < 0) {
            printf("exempt    %s: %s\n", fault_name((enum fault_point)p), why);
            exempted++;
        } else if (try_mutant((enum fault_point)p, o)) {
            found++;
        } else {
            missed++;
        }
    }
    printf("%u mutants found, %u not, %u exempt (docs/TESTING.md argues each)\n", found, missed,
           exempted);
    printf("cases: %u passed, %u failed\n", found + exempted, missed);
    return missed != 0;
}
#else
int programme_mutants(const struct options *o)
{
    (void)o;
    fprintf(stderr, "crashlab: this build has no fault points; use ./dev crashlab --mutants\n");
    return 2;
}
#endif
