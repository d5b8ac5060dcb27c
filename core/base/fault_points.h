/* SPDX-License-Identifier: Apache-2.0 */
/* fault_points.h — every named fault point and reach mark, sorted.
 *
 * FAULT_POINTS: places where a test switches a rule off (a planted mutant) or makes a step fail.
 * REACH_POINTS: marks that the crash laboratory demands to be hit.
 * Both are compiled out unless LYNSE_FAULTS is defined.
 */
#ifndef BASE_FAULT_POINTS_H
#define BASE_FAULT_POINTS_H

#define FAULT_POINTS(_)                                                                            \
    _(NONE, "none")

#define REACH_POINTS(_)                                                                            \
    _(NONE, "none")

#endif
