/* SPDX-License-Identifier: Apache-2.0 */
/* faults.c — the switches and marks of builds with LYNSE_FAULTS; nothing in others. */
#include "base/faults.h"

#ifdef LYNSE_FAULTS
#include <string.h>

#include "base/check.h"

bool fault_is_on[FAULT_COUNT];
uint64_t reach_count[REACH_COUNT];

#define FAULTS_NAME(name, text) #name,
static const char *const fault_names[FAULT_COUNT] = {FAULT_POINTS(FAULTS_NAME)};
static const char *const reach_names[REACH_COUNT] = {REACH_POINTS(FAULTS_NAME)};
#undef FAULTS_NAME

const char *fault_name(enum fault_point p)
{
    CHECK((unsigned)p < FAULT_COUNT);
    return fault_names[p];
}

const char *reach_name(enum reach_point p)
{
    CHECK((unsigned)p < REACH_COUNT);
    return reach_names[p];
}

int fault_find(const char *name)
{
    for (int p = 0; p < FAULT_COUNT; p++)
        if (strcmp(fault_names[p], name) == 0) return p;
    return -1;
}

void fault_reset(void)
{
    memset(fault_is_on, 0, sizeof fault_is_on);
    memset(reach_count, 0, sizeof reach_count);
}
#endif
