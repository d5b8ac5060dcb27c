/* SPDX-License-Identifier: Apache-2.0 */
/* mutants.c — the laboratory on trial: with each rule of the engine switched off, something must be
 * found; and with none switched off, in the same histories, nothing. */
#include <stdio.h>
#include <sys/mman.h>

#include "base/check.h"
#include "crashlab/programme.h"
#include "os/machine.h"

#ifdef LYNSE_FAULTS
enum { MUTANT_STATES = 400000 };

/* What the laboratory cannot find, and why not; docs/TESTING.md argues it. */
static const struct {
    enum fault_point point;
    const char *why;
} exempt[] = {
    {FAULT_ACTOR_DOUBLE_REPLY, "the simulator's"},
    {FAULT_ACTOR_DROP_WITHOUT_ANSWER, "the simulator's"},
    {FAULT_ACTOR_LOST_WAKEUP, "the simulator's"},
    {FAULT_NONE_KEEP_LOG, "equivalent: what level none skips closes the file, and F is above it"},
    {FAULT_REPLAY_SEALED_ROWS, "equivalent: every seal completes every map, none lags behind F"},
    {FAULT_WAL_NO_CHAIN, "equivalent: salt and position in the file prove the order"},
    {FAULT_WAL_NO_GROUP_END, "equivalent here: a collection's group is one record"},
    {FAULT_WAL_NO_SALT, "equivalent: old records end below the first LSN of the file"},
};

enum verdict { VERDICT_NONE, VERDICT_FOUND, VERDICT_MISSED, VERDICT_EXEMPT };
struct trial {
    struct options options;
    enum fault_point point;
    struct share *share;
};
struct court {
    const struct options *options;
    int only; /* -1: all */
    unsigned first;
    unsigned step;
    uint8_t *verdicts; /* shared; one a fault point */
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

static enum verdict try_mutant(enum fault_point p, const struct options *o)
{
    struct trial t = {.options = *o, .point = p, .share = share_create()};
    const char *text = t.share->reports[0];
    enum verdict verdict = VERDICT_FOUND;
    char end[128];

    t.options.states = MUTANT_STATES;
    if (!run_in_child(work, &t, end)) {
        printf("found     %s: %s: %.900s\n", fault_name(p), end, t.share->now);
    } else if (t.share->failed > 0) {
        printf("found     %s: %.900s\n", fault_name(p), text);
    } else {
        printf("NOT FOUND %s in %llu states\n", fault_name(p),
               (unsigned long long)t.share->counts.states);
        verdict = VERDICT_MISSED;
    }
    munmap(t.share, sizeof *t.share);
    return verdict;
}

static void sit(void *ctx)
{
    struct court *c = ctx;

    for (unsigned p = c->first; p < FAULT_COUNT; p += c->step) {
        if (p == FAULT_NONE || (c->only >= 0 && (int)p != c->only)) continue;
        const char *why = exemption_of((enum fault_point)p);
        if (why && c->only < 0) {
            printf("exempt    %s: %s\n", fault_name((enum fault_point)p), why);
            c->verdicts[p] = VERDICT_EXEMPT;
        } else {
            c->verdicts[p] = (uint8_t)try_mutant((enum fault_point)p, c->options);
        }
    }
}

static int sum_up(const uint8_t *verdicts)
{
    unsigned counts[4] = {0};

    for (int p = 0; p < FAULT_COUNT; p++) counts[verdicts[p]]++;
    printf("%u mutants found, %u not, %u exempt (docs/TESTING.md argues each)\n",
           counts[VERDICT_FOUND], counts[VERDICT_MISSED], counts[VERDICT_EXEMPT]);
    printf("cases: %u passed, %u failed\n", counts[VERDICT_FOUND], counts[VERDICT_MISSED]);
    return counts[VERDICT_MISSED] != 0;
}

int programme_mutants(const struct options *o)
{
    struct court c = {.options = o, .only = o->mutant ? fault_find(o->mutant) : -1};
    struct share *healthy = share_create();

    if (o->mutant && c.only < 0) {
        fprintf(stderr, "crashlab: no fault point '%s'\n", o->mutant);
        return 2;
    }
    /* A failure that shows without a mutant would prove nothing. */
    if (!o->mutant) share_work(healthy, o, 0, 1, MUTANT_STATES, 1);
    if (healthy->failed > 0) {
        printf("FAILED without a mutant: %s\ncases: 0 passed, 1 failed\n", healthy->reports[0]);
        return 1;
    }
    c.verdicts = mmap(NULL, FAULT_COUNT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(c.verdicts != MAP_FAILED);
    c.step = o->mutant ? 1 : o->jobs ? o->jobs : machine_core_count();
    run_in_children(sit, &c, &c.first, c.step, NULL);
    return sum_up(c.verdicts);
}
#else
int programme_mutants(const struct options *o)
{
    (void)o;
    fprintf(stderr, "crashlab: this build has no fault points; use ./dev crashlab --mutants\n");
    return 2;
}
#endif
