/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/long_rows.h"

#include <stdlib.h>

/* Rows of what models make are within this of one another: they count as they are. */
#define LENGTHS 16

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

float long_rows_limit(float *norms, uint32_t count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++)
        if (norms[i] > 0 && norms[i] < INFINITY) norms[kept++] = norms[i];
    if (kept == 0) return INFINITY;
    qsort(norms, kept, sizeof *norms, by_size);
    return norms[kept / 2] * LENGTHS;
}
