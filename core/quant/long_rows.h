/* SPDX-License-Identifier: Apache-2.0 */
/* long_rows.h — rows that are far longer than most: they count for what codes are centred on and
 * range over as if they were no longer than so many medians, or one of 1e18 among rows of 1 would
 * leave no code to tell the others apart.  Pure; any thread. */
#ifndef QUANT_LONG_ROWS_H
#define QUANT_LONG_ROWS_H

#include <math.h>
#include <stdint.h>

/* The longest that a row counts as, of a sample's norms, which are sorted for it: so many times the
 * median of those that are finite and not 0. */
float long_rows_limit(float *norms, uint32_t count);

/* What a row of this norm is multiplied by; 0: it says nothing. */
static inline float long_row_factor(float norm, float limit)
{
    return norm <= limit ? 1 : norm < INFINITY ? limit / norm : 0;
}

#endif
