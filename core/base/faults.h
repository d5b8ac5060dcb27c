/* SPDX-License-Identifier: Apache-2.0 */
/* faults.h — switches that make the engine break its own rules, for tests of the tests.
 *
 * `if (FAULT(WAL_SKIP_SYNC)) …` is constant false, and REACHED(x) is nothing, unless the build
 * defines LYNSE_FAULTS.  Process-wide (architecture D11); set before the engine runs.
 */
#ifndef BASE_FAULTS_H
#define BASE_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fault_points.h"

enum fault_point {
#define FAULTS_ENUM(name, text) FAULT_##name,
    FAULT_POINTS(FAULTS_ENUM)
#undef FAULTS_ENUM
        FAULT_COUNT
};
enum reach_point {
#define FAULTS_ENUM(name, text) REACH_##name,
    REACH_POINTS(FAULTS_ENUM)
#undef FAULTS_ENUM
        REACH_COUNT
};

#ifdef LYNSE_FAULTS
extern bool fault_is_on[FAULT_COUNT];
extern uint64_t reach_count[REACH_COUNT]; /* single-threaded tests only */
const char *fault_name(enum fault_point p);
const char *reach_name(enum reach_point p);
int fault_find(const char *name); /* -1: none of that name */
void fault_reset(void);           /* all faults off, all marks zero */
#define FAULT(name) (fault_is_on[FAULT_##name])
#define REACHED(name) ((void)(reach_count[REACH_##name]++))
#else
#define FAULT(name) (false)
#define REACHED(name) ((void)0)
#endif

#endif
