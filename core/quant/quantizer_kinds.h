/* SPDX-License-Identifier: Apache-2.0 */
/* quantizer_kinds.h — the list of quantizers.  To add one: a file, and a name at the end here: the
 * places are in files (docs/FORMAT.md). */
#ifndef QUANT_QUANTIZER_KINDS_H
#define QUANT_QUANTIZER_KINDS_H

#include <stdint.h>

#if defined(LYNSE_FLAT_ONLY) /* those that are not trained; index_kinds.h */
#define QUANTIZER_KINDS(_) _(RAW, raw) _(SHADOWED, shadowed)
#else
#define QUANTIZER_KINDS(_)                                                                         \
    _(RAW, raw)                                                                                    \
    _(SHADOWED, shadowed)                                                                          \
    _(SQ8, sq8)                                                                                    \
    _(RABITQ, rabitq) _(POLARVEC, polarvec) _(SQ4, sq4) _(SIGN, sign) _(PQ, pq) _(PQFS, pqfs)
#endif

enum quantizer_kind {
#define QUANTIZER_NUMBER(KIND, name) QUANTIZER_##KIND,
    QUANTIZER_KINDS(QUANTIZER_NUMBER)
#undef QUANTIZER_NUMBER
        QUANTIZER_COUNT
};

/* Which quantizer an index is built with: RAW, or one of those that are trained. */
struct quantizer_spec {
    enum quantizer_kind kind;
    uint32_t number; /* its bits or subspaces; 0: its standard */
};

#endif
