/* SPDX-License-Identifier: Apache-2.0 */
#include "probes.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "base/thread.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { TRIES = 5, AHEAD = 32, LINE = 64, GATHERED = 200000, PRODUCT_ROUNDS = 1000000 };

static volatile float sink; /* keeps the compiler from dropping a sum */

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- Reading ---- */

#if defined(__x86_64__)
__attribute__((target("avx2"))) void probe_read_plain(const float *p, size_t count)
{
    __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;
    for (size_t i = 0; i < count; i += 32) {
        a = _mm256_add_ps(a, _mm256_load_ps(p + i));
        b = _mm256_add_ps(b, _mm256_load_ps(p + i + 8));
        c = _mm256_add_ps(c, _mm256_load_ps(p + i + 16));
        d = _mm256_add_ps(d, _mm256_load_ps(p + i + 24));
    }
    sink = _mm256_cvtss_f32(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d)));
}

__attribute__((target("avx2"))) void probe_read_prefetched(const float *p, size_t count)
{
    enum { STEP = PROBE_FLOATS / 2 }; /* two streams, alternating by 1 KiB */
    __m256 a = _mm256_setzero_ps(), b = a;
    for (size_t i = 0; i < count; i += 2 * STEP) {
        for (size_t j = i; j < i + STEP; j += 16) {
            _mm_prefetch((const char *)(p + j) + 2048, _MM_HINT_T0);
            _mm_prefetch((const char *)(p + j + STEP) + 2048, _MM_HINT_T0);
            a = _mm256_add_ps(a, _mm256_load_ps(p + j));
            b = _mm256_add_ps(b, _mm256_load_ps(p + j + STEP));
            a = _mm256_add_ps(a, _mm256_load_ps(p + j + 8));
            b = _mm256_add_ps(b, _mm256_load_ps(p + j + STEP + 8));
        }
    }
    sink = _mm256_cvtss_f32(_mm256_add_ps(a, b));
}
#else
void probe_read_plain(const float *p, size_t count)
{
    float sums[8] = {0};
    for (size_t i = 0; i < count; i += 8)
        for (size_t lane = 0; lane < 8; lane++) sums[lane] += p[i + lane];
    for (size_t lane = 0; lane < 8; lane++) sink = sums[lane];
}

void probe_read_prefetched(const float *p, size_t count)
{
    probe_read_plain(p, count);
}
#endif

struct reader {
    const float *memory;
    size_t count;
    void (*read)(const float *memory, size_t count);
};

static void run_reader(void *ctx)
{
    const struct reader *r = (const struct reader *)ctx;
    r->read(r->memory, r->count);
}

static double read_seconds(struct reader *readers, unsigned thread_count)
{
    struct thread threads[PROBE_THREADS_MAX] = {{0}};
    struct error err = {0};
    double begin = now_seconds();
    for (unsigned i = 1; i < thread_count; i++)
        if (thread_start(&threads[i], "read", run_reader, &readers[i], &err) != 0) abort();
    run_reader(&readers[0]);
    for (unsigned i = 1; i < thread_count; i++) thread_join(&threads[i]);
    return now_seconds() - begin;
}

double probe_read_rate(const float *memory, size_t count, unsigned thread_count)
{
    struct reader readers[PROBE_THREADS_MAX];
    size_t share = count / thread_count / PROBE_FLOATS * PROBE_FLOATS;
    double best = INFINITY;
    for (unsigned i = 0; i < 2 * TRIES; i++) {
        for (unsigned j = 0; j < thread_count; j++)
            readers[j] = (struct reader){memory + j * share, share,
                                         i % 2 ? probe_read_prefetched : probe_read_plain};
        best = fmin(best, read_seconds(readers, thread_count));
    }
    return (double)(share * thread_count * sizeof *memory) / best;
}

/* ---- Rows at random ---- */

static uint32_t next_row(uint64_t *state, size_t row_count)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 32) * row_count >> 32);
}

static float sum_of_lines(const uint8_t *row, size_t row_bytes)
{
    float sum = 0;
    for (size_t i = 0; i < row_bytes; i += LINE) sum += (float)row[i];
    return sum;
}

double probe_gather_seconds(const void *memory, size_t row_count, size_t row_bytes)
{
    const uint8_t *rows = (const uint8_t *)memory;
    double best = INFINITY;
    uint64_t state = 1;
    for (int try = 0; try < TRIES; try++) {
        uint32_t ahead[AHEAD] = {0};
        float sum = 0;
        double begin = now_seconds();
        for (size_t i = 0; i < GATHERED; i++) {
            uint32_t row = ahead[i % AHEAD];
            uint32_t next = ahead[i % AHEAD] = next_row(&state, row_count);
            for (size_t at = 0; at < row_bytes; at += LINE)
                __builtin_prefetch(rows + next * row_bytes + at);
            sum += sum_of_lines(rows + row * row_bytes, row_bytes);
        }
        best = fmin(best, now_seconds() - begin);
        sink = sum;
    }
    return best / GATHERED;
}

/* ---- Multiplying ---- */

enum { CHAINS = 10 }; /* enough that none waits for the one before */

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static size_t multiply_wide(size_t rounds)
{
    __m512 sums[CHAINS], factor = _mm512_set1_ps(0.999f);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_set1_ps((float)i);
    for (size_t round = 0; round < rounds; round++)
        for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_fmadd_ps(sums[i], factor, factor);
    for (int i = 1; i < CHAINS; i++) sums[0] = _mm512_add_ps(sums[0], sums[i]);
    sink = _mm512_cvtss_f32(sums[0]);
    return rounds * CHAINS * 16 * 2;
}

__attribute__((target("avx2,fma"))) static size_t multiply_narrow(size_t rounds)
{
    __m256 sums[CHAINS], factor = _mm256_set1_ps(0.999f);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_set1_ps((float)i);
    for (size_t round = 0; round < rounds; round++)
        for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_fmadd_ps(sums[i], factor, factor);
    for (int i = 1; i < CHAINS; i++) sums[0] = _mm256_add_ps(sums[0], sums[i]);
    sink = _mm256_cvtss_f32(sums[0]);
    return rounds * CHAINS * 8 * 2;
}

static size_t multiply(size_t rounds)
{
    return __builtin_cpu_supports("avx512f") ? multiply_wide(rounds) : multiply_narrow(rounds);
}
#else
static size_t multiply(size_t rounds)
{
    float sums[CHAINS * 4] = {0};
    for (size_t round = 0; round < rounds; round++)
        for (int i = 0; i < CHAINS * 4; i++) sums[i] = sums[i] * 0.999f + 0.999f;
    for (int i = 0; i < CHAINS * 4; i++) sink = sums[i];
    return rounds * CHAINS * 4 * 2;
}
#endif

double probe_multiply_rate(void)
{
    double best = 0;
    for (int try = 0; try < TRIES; try++) {
        double begin = now_seconds();
        size_t count = multiply(PRODUCT_ROUNDS);
        best = fmax(best, (double)count / (now_seconds() - begin));
    }
    return best;
}
