/* SPDX-License-Identifier: Apache-2.0 */
/* planted.c — the switch of builds with LYNSE_PLANTED; in others there is nothing to switch. */
#include "base/planted.h"

#ifdef LYNSE_PLANTED
#include <string.h>

bool planted_is_on[PLANTED_COUNT];

bool planted_set(const char *name)
{
#define PLANTED_NAME(defect, target, text) #defect,
    static const char *const names[PLANTED_COUNT] = {PLANTED_DEFECTS(PLANTED_NAME)};
#undef PLANTED_NAME
    bool is_found = !name;

    for (int i = 0; i < PLANTED_COUNT; i++) {
        planted_is_on[i] = name && strcmp(names[i], name) == 0;
        is_found = is_found || planted_is_on[i];
    }
    return is_found;
}

#else

bool planted_set(const char *name)
{
    return !name;
}

#endif
