/* SPDX-License-Identifier: Apache-2.0 */
/* probes.h — what this machine's memory and processor can do at most, measured in the same minute
 * as what is to be compared with it.
 *
 * All are the best of a few tries of some milliseconds and more.  A fraction above 1 of such a
 * limit means that the probe was disturbed.
 */
#ifndef BENCH_PROBES_H
#define BENCH_PROBES_H

#include <stddef.h>

enum { PROBE_THREADS_MAX = 16, PROBE_FLOATS = 512 };

/* All of count floats read and added up, by plain loads or by two streams with software prefetch;
 * count: a multiple of PROBE_FLOATS; memory aligned to 32. */
void probe_read_plain(const float *memory, size_t count);
void probe_read_prefetched(const float *memory, size_t count);

/* Bytes a second of the faster of the two, by so many threads (PROBE_THREADS_MAX). */
double probe_read_rate(const float *memory, size_t count, unsigned thread_count);
/* Seconds for each of row_count rows of row_bytes bytes read in random order by one thread, 32 of
 * them asked for ahead: what a graph's distances cost when nothing else does. */
double probe_gather_seconds(const void *memory, size_t row_count, size_t row_bytes);
/* f32 multiplications and additions a second of one thread, out of registers. */
double probe_multiply_rate(void);

#endif
