/* SPDX-License-Identifier: Apache-2.0 */
#include "crashlab/programme.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/hash.h"
#include "os/machine.h"

static const struct lab_plan plan_default = {
    .images_per_point = 14,
    .images_per_point_deep = 5,
    .branch_max = 14,
    .branch_chance = 0.04,
    .depth_max = 3,
    .damage_per_word = 2,
};
/* A taste of each history, for builds with sanitizers. */
static const struct lab_plan plan_short = {
    .images_per_point = 3,
    .images_per_point_deep = 2,
    .branch_max = 4,
    .branch_chance = 0.04,
    .depth_max = 3,
    .damage_per_word = 1,
};
enum { STATES_SHORT = 60000, SWEEP_STRIDE_SHORT = 12 };
enum { READER_RUNS = 60, LEVELS = 4, JOBS_MAX = 64 };

struct share *share_create(void)
{
    void *p =
        mmap(NULL, sizeof(struct share), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

bool run_in_child(void (*work)(void *ctx), void *ctx, char out[128])
{
    int status = 0;

    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        work(ctx);
        fflush(NULL);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    if (WIFSIGNALED(status)) snprintf(out, 128, "died by signal %d", WTERMSIG(status));
    else snprintf(out, 128, "ended with status %d", WEXITSTATUS(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void run_in_children(void (*work)(void *ctx), void *ctx, unsigned *number, unsigned count,
                     int *out_statuses)
{
    pid_t *pids = calloc(count, sizeof *pids);

    CHECK(pids);
    fflush(NULL);
    for (unsigned i = 0; i < count; i++) {
        *number = i;
        pids[i] = fork();
        CHECK(pids[i] >= 0);
        if (pids[i] != 0) continue;
        work(ctx);
        fflush(NULL);
        _exit(0);
    }
    for (unsigned i = 0; i < count; i++) {
        int status = 0;
        CHECK(waitpid(pids[i], &status, 0) == pids[i]);
        if (out_statuses) out_statuses[i] = status;
    }
    free(pids);
}

/* ---- units of work ---- */

static size_t count_of(const char *const *list)
{
    size_t n = 0;
    while (list[n]) n++;
    return n;
}

/* The fixed histories, in each level; then the readers; then histories by chance. */
static bool make_unit(uint64_t unit, struct history *h, char words[HISTORY_BYTES])
{
    static const char *const modes[LEVELS] = {"", "mode:interval ", "mode:os ", "mode:none "};
    size_t fixed = count_of(lab_histories), root = count_of(lab_root_histories);

    *h = (struct history){.seed = unit + 1, .words = words};
    if (unit < fixed * LEVELS) {
        h->ops = &collection_target;
        snprintf(words, HISTORY_BYTES, "%s%s", modes[unit % LEVELS], lab_histories[unit / LEVELS]);
        return true;
    }
    unit -= fixed * LEVELS;
    if (unit >= root) {
        if (unit - root < LAB_SWEEPS) lab_sweep(unit - root, h);
        return unit - root < LAB_SWEEPS;
    }
    h->ops = &root_target;
    h->is_thorough = true;
    snprintf(words, HISTORY_BYTES, "%s", lab_root_histories[unit]);
    return true;
}

static uint64_t fixed_units(void)
{
    return count_of(lab_histories) * LEVELS + count_of(lab_root_histories) + LAB_SWEEPS;
}

static void note_failure(struct share *s, const char *report)
{
    if (s->failed < FAILURES_MAX) snprintf(s->reports[s->failed], REPORT_BYTES, "%s", report);
    s->failed++;
}

static void work_readers(struct share *s, uint64_t seed, uint64_t runs)
{
    char why[REPORT_BYTES];

    s->now[0] = '\0';
    if (readers_run(alloc_libc(), seed, runs, why) == 0) s->passed++;
    else note_failure(s, why);
    s->reader_runs += runs;
}

static void work_history(struct share *s, struct lab *l, const struct history *h)
{
    if (lab_run(l, h) == 0) {
        s->passed++;
    } else {
        note_failure(s, l->report);
        l->has_failed = false;
    }
    s->counts = l->counts;
}

void share_work(struct share *s, const struct options *o, unsigned first, unsigned step,
                uint64_t states_max, unsigned failures_max)
{
    static char words[HISTORY_BYTES];
    struct history h;
    struct lab l;
    uint64_t fixed = fixed_units();

    lab_init(&l, alloc_libc(), o->is_short ? &plan_short : &plan_default);
    l.now = s->now;
    work_readers(s, hash_u64(o->seed) + first, o->is_short ? READER_RUNS : 4 * READER_RUNS);
    for (uint64_t u = first; s->failed < failures_max; u += step) {
        if (u >= fixed && l.counts.states >= states_max) break;
        if (o->is_short && u < fixed && u >= fixed - LAB_SWEEPS && u % SWEEP_STRIDE_SHORT != 0)
            continue;
        if (make_unit(u, &h, words)) {
            work_history(s, &l, &h);
            continue;
        }
        uint64_t seed = o->seed + (u - fixed);
        history_make(seed, &h, words);
        work_history(s, &l, &h);
        s->next_seed = seed + 1;
        if (u % 4 == 0 && s->failed < failures_max) work_readers(s, seed, READER_RUNS);
    }
    lab_deinit(&l);
#ifdef LYNSE_FAULTS
    memcpy(s->reached, reach_count, sizeof s->reached);
#endif
}

/* ---- one history ---- */

int programme_one(const struct options *o)
{
    static char words[HISTORY_BYTES];
    struct history h = o->history;
    struct lab_plan plan = plan_default;
    struct lab l;

    h.seed = o->seed;
    if (o->is_random) history_make(o->seed, &h, words);
    memcpy(plan.steps, o->steps, sizeof plan.steps);
    plan.step_count = o->step_count;
    lab_init(&l, alloc_libc(), &plan);
    int rc = lab_run(&l, &h);
    printf("%s\n", rc == 0 ? "nothing found" : l.report);
    printf("states %llu, judged %llu, points %llu\n", (unsigned long long)l.counts.states,
           (unsigned long long)l.counts.judged, (unsigned long long)l.counts.points);
    lab_deinit(&l);
    printf("cases: %d passed, %d failed\n", rc == 0, rc != 0);
    return rc != 0;
}

/* ---- the whole ---- */

struct jobs {
    const struct options *options;
    struct share **shares;
    unsigned number;
    unsigned count;
};

static void work_share(void *ctx)
{
    struct jobs *j = ctx;
    share_work(j->shares[j->number], j->options, j->number, j->count,
               (j->options->is_short ? STATES_SHORT : j->options->states) / j->count, FAILURES_MAX);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_counts(struct share *sum, const struct share *s)
{
    uint64_t *to = (uint64_t *)&sum->counts;
    const uint64_t *from = (const uint64_t *)&s->counts;

    for (size_t i = 0; i < sizeof sum->counts / sizeof *to; i++) to[i] += from[i];
    sum->passed += s->passed;
    sum->failed += s->failed;
    sum->reader_runs += s->reader_runs;
    if (s->next_seed > sum->next_seed) sum->next_seed = s->next_seed;
#ifdef LYNSE_FAULTS
    for (int i = 0; i < REACH_COUNT; i++) sum->reached[i] += s->reached[i];
#endif
    for (uint64_t i = 0; i < s->failed && i < FAILURES_MAX; i++)
        printf("FAILED %s\n", s->reports[i]);
}

/* Marks that were never hit: the lab would be blind there. */
static uint64_t check_marks(const struct share *sum)
{
    uint64_t missing = 0;
#ifdef LYNSE_FAULTS
    for (int i = 0; i < REACH_COUNT; i++) {
        if (sum->reached[i] > 0 || i == REACH_NONE) continue;
        printf("FAILED the mark %s was never reached\n", reach_name((enum reach_point)i));
        missing++;
    }
#else
    (void)sum;
#endif
    return missing;
}

static void summarise(const struct share *sum, const struct options *o, double elapsed)
{
    const struct lab_counts *c = &sum->counts;

    printf("%llu distinct crash states in %llu histories (seeds %llu..%llu), %llu points; %.1f %% "
           "while recovering, %.1f %% after an earlier crash\n",
           (unsigned long long)c->states, (unsigned long long)c->histories,
           (unsigned long long)o->seed,
           (unsigned long long)(sum->next_seed ? sum->next_seed - 1 : o->seed),
           (unsigned long long)c->points,
           100.0 * (double)c->in_recovery / (double)(c->states + !c->states),
           100.0 * (double)c->deep / (double)(c->states + !c->states));
    printf("%llu distinct images recovered and judged, %.0f a minute; %llu damaged images "
           "(%llu reported, %llu a loss that nobody vouched for); %llu readers beside a writer\n",
           (unsigned long long)c->judged, 60.0 * (double)c->judged / elapsed,
           (unsigned long long)c->damaged, (unsigned long long)c->reported,
           (unsigned long long)c->blind, (unsigned long long)sum->reader_runs);
}

static void sum_shares(const struct jobs *j, const int *statuses, struct share *sum)
{
    for (unsigned i = 0; i < j->count; i++) {
        struct share *s = j->shares[i];
        add_counts(sum, s);
        if (statuses[i] == 0) continue;
        printf("FAILED a process died (status 0x%x): %s\n", (unsigned)statuses[i], s->now);
        sum->failed++;
    }
}

int programme_run(const struct options *o)
{
    struct share *shares[JOBS_MAX], *sum = share_create();
    int statuses[JOBS_MAX];
    struct jobs j = {.options = o, .shares = shares};
    double start = seconds();

    j.count = o->jobs ? o->jobs : machine_core_count();
    if (j.count > JOBS_MAX) j.count = JOBS_MAX;
    for (unsigned i = 0; i < j.count; i++) shares[i] = share_create();
    run_in_children(work_share, &j, &j.number, j.count, statuses);
    sum_shares(&j, statuses, sum);
    sum->failed += o->is_short ? 0 : check_marks(sum);
    summarise(sum, o, seconds() - start);
    printf("cases: %llu passed, %llu failed\n", (unsigned long long)sum->passed,
           (unsigned long long)sum->failed);
    return sum->failed != 0;
}
