/* SPDX-License-Identifier: Apache-2.0 */
/* digits.h — a query as integers of one or two signed digits, as kernels over codes want it. */
#ifndef QUANT_DIGITS_H
#define QUANT_DIGITS_H

#include <stdint.h>

#include "simd/code_kernels.h"

/* vector to the nearest multiples of a step, of which the largest is `most`: at most
 * code_digits_max(dim), or quant_digits_max(dim) for unsigned codes; CODE_MAX: all in the low
 * digits, for unsigned codes of at most 4 bits.  digits: 2 * code_stride(dim)
 * bytes, aligned to CODE_CHUNK.  Returns the step, at least the smallest normal float; *sum: of all
 * integers. */
float digits_make(struct code_query *codes, int8_t *digits, const float *vector, uint32_t dim,
                  int32_t most, int32_t *sum);

#endif
