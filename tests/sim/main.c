/* SPDX-License-Identifier: Apache-2.0 */
/* sim — the engine under a seeded scheduler, with faults and crashes.
 *
 *   sim [--seeds N] [--first S] [--steps N] [--short]
 *   sim --seed S [--steps N] [--verbose]     one run, told step by step
 *   sim --mutants                            every planted fault of its own must be found
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/faults.h"
#include "sim/sim.h"
#include "support/test.h"

enum {
    REPEAT_EVERY = 16, /* seeds that are a multiple of this are run twice */
    FAILURES_MAX = 5,
};

struct options {
    uint64_t first, seeds, steps;
    bool is_one, is_verbose, wants_mutants;
};

static struct options options = {.first = 1, .seeds = 1000, .steps = 600};
static uint64_t current_seed;

static void usage(void)
{
    fprintf(stderr, "usage: sim [--seeds N] [--first S] [--steps N] [--short]\n"
                    "       sim --seed S [--steps N] [--verbose]\n"
                    "       sim --mutants\n");
    exit(2);
}

static void on_panic(const char *text, void *ctx)
{
    (void)ctx;
    printf("seed %llu: a check failed: %s\n", (unsigned long long)current_seed, text);
    fflush(stdout);
}

static void add_counts(struct sim_counts *sum, const struct sim_counts *c)
{
    const uint64_t *from = (const uint64_t *)(const void *)c;
    uint64_t *to = (uint64_t *)(void *)sum;

    for (size_t i = 0; i < sizeof *c / sizeof *from; i++) to[i] += from[i];
}

static int run_seed(uint64_t seed, struct sim_counts *sum)
{
    static struct sim s;
    uint64_t hash;

    current_seed = seed;
    int rc = sim_run(&s, seed, options.steps, options.is_verbose);
    add_counts(sum, &s.counts);
    hash = sim_hash(&s);
    if (rc == 0 && seed % REPEAT_EVERY == 0) {
        rc = sim_run(&s, seed, options.steps, false);
        if (rc == 0 && sim_hash(&s) != hash)
            rc = sim_fail(&s, "it ran differently the second time");
    }
    if (rc != 0)
        printf("seed %llu, step %llu: %s\n  reproduce: sim --seed %llu --steps %llu\n",
               (unsigned long long)seed, (unsigned long long)s.counts.steps, s.text,
               (unsigned long long)seed, (unsigned long long)options.steps);
    return rc;
}

static void print_counts(const struct sim_counts *c)
{
    printf("%llu steps, %.1f simulated hours, %llu requests, %llu writes, %llu reads, %llu crashes,"
           " %llu reopenings, %llu disk and %llu memory faults\nanswers:",
           (unsigned long long)c->steps, (double)c->simulated_us / 3.6e9,
           (unsigned long long)c->requests, (unsigned long long)c->writes,
           (unsigned long long)c->reads, (unsigned long long)c->crashes,
           (unsigned long long)c->reopens, (unsigned long long)c->disk_faults,
           (unsigned long long)c->memory_faults);
    for (int code = 0; code < 64; code++)
        if (c->codes[code])
            printf(" %s %llu", code ? error_name(code) : "OK", (unsigned long long)c->codes[code]);
    printf("\n");
#ifdef LYNSE_FAULTS
    printf("never reached:");
    for (int i = 0; i < REACH_COUNT; i++)
        if (!reach_count[i]) printf(" %s", reach_name((enum reach_point)i));
    printf("\n");
#endif
}

static int run_seeds(void)
{
    struct sim_counts sum = {0};
    uint64_t passed = 0, failed = 0;

    for (uint64_t i = 0; i < options.seeds && failed < FAILURES_MAX; i++) {
        if (run_seed(options.first + i, &sum) == 0) passed++;
        else failed++;
    }
    print_counts(&sum);
    printf("cases: %llu passed, %llu failed\n", (unsigned long long)passed,
           (unsigned long long)failed);
    return failed != 0;
}

/* ---- planted faults ---- */

#ifdef LYNSE_FAULTS
static const enum fault_point mutants[] = {
    FAULT_EARLY_VIEW,
    FAULT_EARLY_ACK,
    FAULT_ACTOR_LOST_WAKEUP,
    FAULT_ACTOR_DOUBLE_REPLY,
    FAULT_ACTOR_DROP_WITHOUT_ANSWER,
};

/* In a process of its own, for it may die.  true: something was wrong. */
static bool find_mutant(enum fault_point p)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) return false;
    if (pid == 0) {
        struct sim_counts sum = {0};
        fault_is_on[p] = true;
        for (uint64_t i = 0; i < options.seeds; i++)
            if (run_seed(options.first + i, &sum) != 0) {
                fflush(stdout);
                _exit(1);
            }
        _exit(0);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) continue;
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int run_mutants(void)
{
    unsigned found = 0, missed = 0;

    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++) {
        bool is_found = find_mutant(mutants[i]);
        printf("%s %s\n", is_found ? "found    " : "NOT FOUND", fault_name(mutants[i]));
        if (is_found) found++;
        else missed++;
    }
    printf("cases: %u passed, %u failed\n", found, missed);
    return missed != 0;
}
#else
static int run_mutants(void)
{
    fprintf(stderr, "sim: this build has no fault points; use ./dev sim --mutants\n");
    return 2;
}
#endif

static void parse_valued(const char *name, const char *value)
{
    uint64_t number = strtoull(value, NULL, 10);

    if (strcmp(name, "--seeds") == 0) options.seeds = number;
    else if (strcmp(name, "--first") == 0) options.first = number;
    else if (strcmp(name, "--steps") == 0) options.steps = number;
    else if (strcmp(name, "--seed") == 0) {
        options.first = number;
        options.seeds = 1;
    } else {
        usage();
    }
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    check_set_panic_hook(on_panic, NULL);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) options.is_verbose = true;
        else if (strcmp(argv[i], "--mutants") == 0) options.wants_mutants = true;
        else if (strcmp(argv[i], "--short") == 0) {
            options.seeds = 200;
            options.steps = (uint64_t)test_rounds(600);
        } else if (i + 1 < argc) {
            parse_valued(argv[i], argv[i + 1]);
            i++;
        } else {
            usage();
        }
    }
    return options.wants_mutants ? run_mutants() : run_seeds();
}
