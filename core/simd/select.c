/* SPDX-License-Identifier: Apache-2.0 */
/* select.c — the kernel table, filled once, level over level: serial, then each ISA over it.
 *
 * WHAT        A level has what those below it have, and over it its own; a build of flat alone has
 *             no kernels of quantizers.
 * INVARIANTS, THREADS, FAILURE: see kernels.h.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "simd/kernels.h"

#define USE_DENSE_F32(kernel, isa)                                                                 \
    kernels->dense_##kernel##_f32 = dense_##kernel##_f32_##isa;                                    \
    kernels->dense_##kernel##_many_f32 = dense_##kernel##_many_f32_##isa;                          \
    kernels->dense_##kernel##_block_f32 = dense_##kernel##_block_f32_##isa;
#define USE_SERIAL(metric, number, text, words, names, kernel, value, ...)                         \
    DENSE_F32_OWN(value, USE_DENSE_F32(kernel, serial))
#define USE_AVX2(kernel) USE_DENSE_F32(kernel, avx2)
#define USE_AVX512(kernel) USE_DENSE_F32(kernel, avx512)
#define USE_NEON(kernel) USE_DENSE_F32(kernel, neon)

#define USE_CODES(isa)                                                                             \
    kernels->code_dot = code_dot_##isa;                                                            \
    kernels->code_bound = code_bound_##isa;                                                        \
    kernels->code_pack = code_pack_##isa;

#define USE_CELLS(isa)                                                                             \
    kernels->cell_order_i64 = cell_order_i64_##isa;                                                \
    kernels->cell_order_f64 = cell_order_f64_##isa;                                                \
    kernels->cell_select = cell_select_##isa;

#define USE_NARROW_FORMS(op, type, isa)                                                            \
    kernels->narrow_##type.op =                                                                    \
        (struct narrow_forms){narrow_##op##_##type##_##isa, narrow_##op##_many_##type##_##isa,     \
                              narrow_##op##_block_##type##_##isa};
#define USE_NARROW_SUMS(type, isa)                                                                 \
    USE_NARROW_FORMS(dot, type, isa)                                                               \
    USE_NARROW_FORMS(l2, type, isa)
#define USE_NARROW_ROWS(type, isa)                                                                 \
    kernels->narrow_##type.widen = narrow_widen_##type##_##isa;                                    \
    kernels->narrow_##type.pack = narrow_pack_##type##_##isa;
#define USE_NARROW_SERIAL(type, bytes, TYPE)                                                       \
    USE_NARROW_SUMS(type, serial) USE_NARROW_ROWS(type, serial)
#define USE_NARROW_AVX2(type, bytes, TYPE) USE_NARROW_SUMS(type, avx2) USE_NARROW_ROWS(type, avx2)
#define USE_NARROW_NEON(type, bytes, TYPE) USE_NARROW_SUMS(type, neon) USE_NARROW_ROWS(type, neon)
#define USE_NARROW_AVX512(type, bytes, TYPE) USE_NARROW_SUMS(type, avx512)
/* What quantizers and lists alone ask for. */
#if defined(LYNSE_FLAT_ONLY) /* it is not compiled (cmake/layers.cmake) */
#define USE_QUANT_BLOCKS(isa)
#define USE_QUANT_DOTS(isa)
#define USE_NEAREST(isa)
#else
#define USE_QUANT_BLOCKS(isa)                                                                      \
    kernels->quant_scan = quant_scan_##isa;                                                        \
    kernels->quant_near = quant_near_##isa;                                                        \
    kernels->quant_rotate = quant_rotate_##isa;                                                    \
    kernels->quant_sign = quant_sign_##isa;
#define USE_QUANT_DOTS(isa)                                                                        \
    kernels->quant_dot = quant_dot_##isa;                                                          \
    kernels->quant_gather = quant_gather_##isa;
#define USE_NEAREST(isa) kernels->nearest_f32 = nearest_f32_##isa;
#endif

#define USE_BYTES(op, type, isa)                                                                   \
    kernels->bytes_##op##_##type =                                                                 \
        (struct bytes_forms){bytes_##op##_##type##_##isa, bytes_##op##_many_##type##_##isa};
#define USE_BYTES_SERIAL(op, OP, type, TYPE) USE_BYTES(op, type, serial)
#define USE_BYTES_AVX2(op, OP, type, TYPE) USE_BYTES(op, type, avx2)
#define USE_BYTES_NEON(op, OP, type, TYPE) USE_BYTES(op, type, neon)
#define USE_BYTES_DOTPROD(op, OP, type, TYPE) USE_BYTES(op, type, dotprod)
#define USE_BYTES_VNNI(op, OP, type, TYPE) USE_BYTES(op, type, vnni)

#define USE_BITS(op, isa)                                                                          \
    kernels->bits_##op = (struct bits_forms){bits_##op##_##isa, bits_##op##_many_##isa};
#define USE_BITS_SERIAL(op, OP) USE_BITS(op, serial)
#define USE_BITS_AVX2(op, OP) USE_BITS(op, avx2)
#define USE_BITS_NEON(op, OP) USE_BITS(op, neon)
#define USE_BITS_VPOPCNT(op, OP) USE_BITS(op, vpopcnt)

static void fill(struct simd_kernels *kernels, enum simd_level level)
{
    kernels->level = level;
    LYNSE_METRICS(USE_SERIAL)
    USE_CODES(serial)
    USE_CELLS(serial)
    kernels->code_panel = code_panel_serial;
    kernels->code_dot_panels = code_dot_panels_serial;
    kernels->panels_pay = false;
    NARROW_TYPES(USE_NARROW_SERIAL)
    USE_QUANT_BLOCKS(serial)
    USE_QUANT_DOTS(serial)
    BYTES_KERNELS(USE_BYTES_SERIAL)
    BITS_KERNELS(USE_BITS_SERIAL)
    USE_NEAREST(serial)
#if defined(__x86_64__)
    if (level >= SIMD_AVX2) {
        DENSE_F32_AVX2(USE_AVX2)
        USE_CODES(avx2)
        USE_CELLS(avx2)
        NARROW_TYPES(USE_NARROW_AVX2)
        USE_QUANT_BLOCKS(avx2)
        USE_QUANT_DOTS(avx2)
        BYTES_KERNELS(USE_BYTES_AVX2)
        BITS_KERNELS(USE_BITS_AVX2)
        USE_NEAREST(avx2)
    }
    if (level >= SIMD_AVX512) {
        DENSE_F32_AVX512(USE_AVX512)
        USE_CELLS(avx512)
        NARROW_TYPES(USE_NARROW_AVX512)
        USE_QUANT_BLOCKS(avx512)
        USE_NEAREST(avx512)
    }
    if (level >= SIMD_VNNI) {
        USE_CODES(vnni)
        kernels->code_panel = code_panel_vnni;
        kernels->code_dot_panels = code_dot_panels_vnni;
        kernels->panels_pay = true;
        USE_QUANT_DOTS(vnni)
        BYTES_KERNELS(USE_BYTES_VNNI)
    }
    if (level >= SIMD_VPOPCNT) {
        BITS_KERNELS(USE_BITS_VPOPCNT)
    }
#elif defined(__aarch64__)
    if (level >= SIMD_NEON) {
        DENSE_F32_NEON(USE_NEON)
        USE_CODES(neon)
        USE_CELLS(neon)
        NARROW_TYPES(USE_NARROW_NEON)
        BYTES_KERNELS(USE_BYTES_NEON)
        BITS_KERNELS(USE_BITS_NEON)
    }
    if (level >= SIMD_DOTPROD) {
        kernels->code_dot = code_dot_dotprod;
        BYTES_KERNELS(USE_BYTES_DOTPROD)
    }
#endif
}

static struct simd_kernels active;
static pthread_once_t active_once = PTHREAD_ONCE_INIT;

static void fill_active(void)
{
    struct cpu_words words;
    cpu_probe(&words);
    enum simd_level best = cpu_best_level(&words);
    fill(&active, cpu_choose_level(getenv("LYNSE_SIMD"), best));
    log_event(LOG_DEBUG, "simd_level used=%s best=%s", cpu_level_name(active.level),
              cpu_level_name(best));
}

const struct simd_kernels *kernels_active(void)
{
    int rc = pthread_once(&active_once, fill_active);
    CHECK(rc == 0);
    return &active;
}

bool kernels_of_level(enum simd_level level, struct simd_kernels *out)
{
    struct cpu_words words;
    cpu_probe(&words);
    if (level > cpu_best_level(&words)) return false;
    fill(out, level);
    return true;
}
