/* SPDX-License-Identifier: Apache-2.0 */
/* crashlab — crash the engine everywhere, recover, compare.
 *
 *   crashlab [--states N] [--seed S] [--jobs J] [--short]
 *   crashlab --target collection|root --history 'w:a1 …' [--seed S] [--fault K,E,N,S]
 *            [--point N --mask M]…        one state, or all of one history; M is kill, or 0x… and
 *                                         perhaps a tear, as a report says it
 *   crashlab --random S                   one history by chance, all of it
 *   crashlab --mutants                    every planted fault must be found
 *   crashlab --mutant NAME                that one; with a history: what it does there
 *   crashlab --readers                    readers beside a live writer only
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "crashlab/programme.h"

static struct options options = {.states = 800000, .seed = 1};

static void usage(void)
{
    fprintf(stderr, "usage: crashlab [--states N] [--seed S] [--jobs J] [--short]\n"
                    "       crashlab [--target collection|root] --history WORDS [--seed S]\n"
                    "                [--fault KINDS,ERRNO,NTH,SHORT] [--point N --mask MASK]...\n"
                    "       crashlab --random SEED\n"
                    "       crashlab --mutants | --mutant NAME\n"
                    "       crashlab --readers\n");
    exit(2);
}

static void parse_fault(const char *text)
{
    struct faulty_plan *f = &options.history.fault;
    unsigned is_short = 0;
    unsigned long long nth = 0;

    if (sscanf(text, "%u,%d,%llu,%u", &f->kinds, &f->os_errno, &nth, &is_short) != 4) usage();
    f->nth = nth;
    f->is_short = is_short != 0;
}

static void parse_mask(const char *text)
{
    if (options.step_count == 0) usage();
    struct crash_step *s = &options.steps[options.step_count - 1];
    s->is_kill = strcmp(text, "kill") == 0;
    if (!s->is_kill && !image_parse(text, &s->image)) usage();
}

static void parse_valued(const char *name, const char *value)
{
    if (strcmp(name, "--states") == 0) options.states = strtoull(value, NULL, 10);
    else if (strcmp(name, "--seed") == 0) options.seed = strtoull(value, NULL, 10);
    else if (strcmp(name, "--jobs") == 0) options.jobs = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--history") == 0) options.history.words = value;
    else if (strcmp(name, "--fault") == 0) parse_fault(value);
    else if (strcmp(name, "--mask") == 0) parse_mask(value);
    else if (strcmp(name, "--mutant") == 0) options.mutant = value;
    else if (strcmp(name, "--random") == 0) {
        options.is_random = true;
        options.seed = strtoull(value, NULL, 10);
    } else if (strcmp(name, "--target") == 0) {
        options.history.ops = strcmp(value, "root") == 0 ? &root_target : &collection_target;
    } else if (strcmp(name, "--point") == 0) {
        if (options.step_count == LAB_DEPTH_MAX) usage();
        options.steps[options.step_count++].point = strtoull(value, NULL, 10);
    } else {
        usage();
    }
}

/* To see what a mutant does in one history. */
static void plant(const char *name)
{
    if (!name) return;
#ifdef LYNSE_FAULTS
    int point = fault_find(name);
    if (point < 0) usage();
    fault_is_on[point] = true;
#else
    usage();
#endif
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    options.history.ops = &collection_target;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--short") == 0) options.is_short = true;
        else if (strcmp(argv[i], "--mutants") == 0) options.wants_mutants = true;
        else if (strcmp(argv[i], "--readers") == 0) options.wants_readers = true;
        else if (i + 1 < argc) {
            parse_valued(argv[i], argv[i + 1]);
            i++;
        } else {
            usage();
        }
    }
    if (options.history.words || options.is_random) {
        plant(options.mutant);
        return programme_one(&options);
    }
    if (options.wants_mutants || options.mutant) return programme_mutants(&options);
    return programme_run(&options);
}
